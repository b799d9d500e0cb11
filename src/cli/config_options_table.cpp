// The texts are part of the interface: tools show them to users as they are, and recorded output is compared with them.
#include <fmt/format.h>

#include "cli/config_options.h"

namespace systole::cli {

using Owner = ConfigOption::Owner;

const std::vector<ConfigOption>& cluster_options() {
    static const std::vector<ConfigOption> kOptions{
        {.name = "dc-version",
         .type = "version",
         .short_text = "Pacemaker version on cluster node elected Designated Controller (DC)",
         .long_text = "Includes a hash which identifies the exact revision the code was built from. Used for "
                      "diagnostic purposes.",
         .generated = true,
         .owner = Owner::kController},
        {.name = "cluster-infrastructure",
         .type = "string",
         .short_text = "The messaging layer on which Pacemaker is currently running",
         .long_text = "Used for informational and diagnostic purposes.",
         .generated = true,
         .owner = Owner::kController},
        {.name = "cluster-name",
         .type = "string",
         .short_text = "An arbitrary name for the cluster",
         .long_text = "This optional value is mostly for users' convenience as desired in administration, but may also "
                      "be used in Pacemaker configuration rules via the #cluster-name node attribute, and by "
                      "higher-level tools and resource agents.",
         .owner = Owner::kController},
        {.name = "dc-deadtime",
         .type = "duration",
         .fallback = "20s",
         .short_text = "How long to wait for a response from other nodes during start-up",
         .long_text =
             "The optimal value will depend on the speed and load of your network and the type of switches used.",
         .owner = Owner::kController},
        {.name = "cluster-recheck-interval",
         .type = "duration",
         .fallback = "15min",
         .short_text = "Polling interval to recheck cluster state and evaluate rules with date specifications",
         .long_text = "Pacemaker is primarily event-driven, and looks ahead to know when to recheck cluster state for "
                      "failure-timeout settings and most time-based rules. However, it will also recheck the cluster "
                      "after this amount of inactivity, to evaluate rules with date specifications and serve as a "
                      "fail-safe for certain types of scheduler bugs. A value of 0 disables polling. A positive value "
                      "sets an interval in seconds, unless other units are specified (for example, \"5min\").",
         .owner = Owner::kController},
        {.name = "election-timeout",
         .type = "duration",
         .fallback = "2min",
         .short_text = "Declare an election failed if it is not decided within this much time. If you need to adjust "
                       "this value, it probably indicates the presence of a bug.",
         .advanced = true,
         .owner = Owner::kController},
        {.name = "shutdown-escalation",
         .type = "duration",
         .fallback = "20min",
         .short_text = "Exit immediately if shutdown does not complete within this much time. If you need to adjust "
                       "this value, it probably indicates the presence of a bug.",
         .advanced = true,
         .owner = Owner::kController},
        {.name = "join-integration-timeout",
         .type = "duration",
         .fallback = "3min",
         .short_text = "If you need to adjust this value, it probably indicates the presence of a bug.",
         .advanced = true,
         .owner = Owner::kController},
        {.name = "join-finalization-timeout",
         .type = "duration",
         .fallback = "30min",
         .short_text = "If you need to adjust this value, it probably indicates the presence of a bug.",
         .advanced = true,
         .owner = Owner::kController},
        {.name = "transition-delay",
         .type = "duration",
         .fallback = "0s",
         .short_text = "Enabling this option will slow down cluster recovery under all conditions",
         .long_text = "Delay cluster recovery for this much time to allow for additional events to occur. Useful if "
                      "your configuration is sensitive to the order in which ping updates arrive.",
         .advanced = true,
         .owner = Owner::kController},
        {.name = "no-quorum-policy",
         .type = "select",
         .fallback = "stop",
         .choices = {"stop", "freeze", "ignore", "demote", "fence", "suicide"},
         .short_text = "What to do when the cluster does not have quorum",
         .owner = Owner::kScheduler},
        {.name = "shutdown-lock",
         .type = "boolean",
         .fallback = "false",
         .short_text = "Whether to lock resources to a cleanly shut down node",
         .long_text = "When true, resources active on a node when it is cleanly shut down are kept \"locked\" to that "
                      "node (not allowed to run elsewhere) until they start again on that node after it rejoins (or "
                      "for at most shutdown-lock-limit, if set). Stonith resources and Pacemaker Remote connections "
                      "are never locked. Clone and bundle instances and the promoted role of promotable clones are "
                      "currently never locked, though support could be added in a future release.",
         .owner = Owner::kScheduler},
        {.name = "shutdown-lock-limit",
         .type = "duration",
         .fallback = "0",
         .short_text = "Do not lock resources to a cleanly shut down node longer than this",
         .long_text =
             "If shutdown-lock is true and this is set to a nonzero time duration, shutdown locks will expire after "
             "this much time has passed since the shutdown was initiated, even if the node has not rejoined.",
         .owner = Owner::kScheduler},
        {.name = "enable-acl",
         .type = "boolean",
         .fallback = "false",
         .short_text = "Enable Access Control Lists (ACLs) for the CIB",
         .owner = Owner::kCibManager},
        {.name = "symmetric-cluster",
         .type = "boolean",
         .fallback = "true",
         .short_text = "Whether resources can run on any node by default",
         .owner = Owner::kScheduler},
        {.name = "maintenance-mode",
         .type = "boolean",
         .fallback = "false",
         .short_text = "Whether the cluster should refrain from monitoring, starting, and stopping resources",
         .owner = Owner::kScheduler},
        {.name = "start-failure-is-fatal",
         .type = "boolean",
         .fallback = "true",
         .short_text = "Whether a start failure should prevent a resource from being recovered on the same node",
         .long_text =
             "When true, the cluster will immediately ban a resource from a node if it fails to start there. When "
             "false, the cluster will instead check the resource's fail count against its migration-threshold.",
         .owner = Owner::kScheduler},
        {.name = "enable-startup-probes",
         .type = "boolean",
         .fallback = "true",
         .short_text = "Whether the cluster should check for active resources during start-up",
         .deprecated = true,
         .owner = Owner::kScheduler},
        {.name = "fence-remote-without-quorum",
         .type = "boolean",
         .fallback = "false",
         .short_text = "Whether remote nodes can be fenced without quorum",
         .long_text = "By default, an inquorate node can not fence Pacemaker Remote nodes that are part of its "
                      "partition as long as the cluster thinks they can be restarted.  If true, inquorate nodes will "
                      "be able to fence remote nodes regardless.",
         .advanced = true,
         .owner = Owner::kScheduler},
        {.name = "fencing-enabled",
         .type = "boolean",
         .fallback = "true",
         .short_text = "Whether nodes may be fenced as part of recovery",
         .long_text = "If false, unresponsive nodes are immediately assumed to be harmless, and resources that were "
                      "active on them may be recovered elsewhere. This can result in a \"split-brain\" situation, "
                      "potentially leading to data loss and/or service unavailability.",
         .advanced = true,
         .owner = Owner::kScheduler},
        {.name = "stonith-enabled",
         .type = "boolean",
         .fallback = "true",
         .short_text = "Deprecated alias for fencing-enabled",
         .advanced = true,
         .deprecated = true,
         .replaced_by = "fencing-enabled",
         .owner = Owner::kScheduler},
        {.name = "fencing-action",
         .type = "select",
         .fallback = "reboot",
         .choices = {"reboot", "off"},
         .short_text = "Action to send to fence device when a node needs to be fenced",
         .owner = Owner::kScheduler},
        {.name = "stonith-action",
         .type = "select",
         .fallback = "reboot",
         .choices = {"reboot", "off"},
         .short_text = "Deprecated alias for fencing-action",
         .deprecated = true,
         .replaced_by = "fencing-action",
         .owner = Owner::kScheduler},
        {.name = "fencing-reaction",
         .type = "select",
         .fallback = "stop",
         .choices = {"stop", "panic"},
         .short_text = "How a cluster node should react if notified of its own fencing",
         .long_text = "A cluster node may receive notification of a \"succeeded\" fencing that targeted it if fencing "
                      "is misconfigured, or if fabric fencing is in use that doesn't cut cluster communication. Use "
                      "\"stop\" to attempt to immediately stop Pacemaker and stay stopped, or \"panic\" to attempt to "
                      "immediately reboot the local node, falling back to stop on failure.",
         .owner = Owner::kController},
        {.name = "fence-reaction",
         .type = "select",
         .fallback = "stop",
         .choices = {"stop", "panic"},
         .short_text = "Deprecated alias for fencing-reaction",
         .deprecated = true,
         .replaced_by = "fencing-reaction",
         .owner = Owner::kController},
        {.name = "fencing-timeout",
         .type = "duration",
         .fallback = "60s",
         .short_text = "How long to wait for on, off, and reboot fence actions to complete by default",
         .owner = Owner::kScheduler},
        {.name = "stonith-timeout",
         .type = "duration",
         .fallback = "60s",
         .short_text = "Deprecated alias for fencing-timeout",
         .deprecated = true,
         .replaced_by = "fencing-timeout",
         .owner = Owner::kScheduler},
        {.name = "have-watchdog",
         .type = "boolean",
         .fallback = "false",
         .short_text = "Whether watchdog integration is enabled",
         .long_text =
             "This is set automatically by the cluster according to whether SBD is detected to be in use. "
             "User-configured values are ignored. The value `true` is meaningful if diskless SBD is used and "
             "`fencing-watchdog-timeout` is nonzero. In that case, if fencing is required, watchdog-based self-fencing "
             "will be performed via SBD without requiring a fencing resource explicitly configured.",
         .generated = true,
         .owner = Owner::kScheduler},
        {.name = "fencing-watchdog-timeout",
         .type = "timeout",
         .fallback = "0",
         .short_text = "How long before nodes can be assumed to be safely down when watchdog-based self-fencing via "
                       "SBD is in use",
         .long_text =
             "If this is set to a positive value, lost nodes are assumed to achieve self-fencing using watchdog-based "
             "SBD within this much time. This does not require a fencing resource to be explicitly configured, though "
             "a fence_watchdog resource can be configured, to limit use to specific nodes. If this is set to 0 (the "
             "default), the cluster will never assume watchdog-based self-fencing. If this is set to a negative value, "
             "the cluster will use twice the local value of the `SBD_WATCHDOG_TIMEOUT` environment variable if that is "
             "positive, or otherwise treat this as 0. WARNING: When used, this timeout must be larger than "
             "`SBD_WATCHDOG_TIMEOUT` on all nodes that use watchdog-based SBD, and Pacemaker will refuse to start on "
             "any of those nodes where this is not true for the local value or SBD is not active. When this is set to "
             "a negative value, `SBD_WATCHDOG_TIMEOUT` must be set to the same value on all nodes that use SBD, "
             "otherwise data corruption or loss could occur.",
         .owner = Owner::kController},
        {.name = "stonith-watchdog-timeout",
         .type = "timeout",
         .fallback = "0",
         .short_text = "Deprecated alias for fencing-watchdog-timeout",
         .deprecated = true,
         .replaced_by = "fencing-watchdog-timeout",
         .owner = Owner::kController},
        {.name = "fencing-max-attempts",
         .type = "score",
         .fallback = "10",
         .short_text =
             "How many times fencing can fail before it will no longer be immediately re-attempted on a target",
         .owner = Owner::kController},
        {.name = "stonith-max-attempts",
         .type = "score",
         .fallback = "10",
         .short_text = "Deprecated alias for fencing-max-attempts",
         .deprecated = true,
         .replaced_by = "fencing-max-attempts",
         .owner = Owner::kController},
        {.name = "concurrent-fencing",
         .type = "boolean",
         .fallback = "true",
         .short_text = "Allow performing fencing operations in parallel",
         .deprecated = true,
         .owner = Owner::kScheduler},
        {.name = "startup-fencing",
         .type = "boolean",
         .fallback = "true",
         .short_text = "Whether to fence unseen nodes at start-up",
         .long_text = "Setting this to false may lead to a \"split-brain\" situation, potentially leading to data loss "
                      "and/or service unavailability.",
         .advanced = true,
         .owner = Owner::kScheduler},
        {.name = "priority-fencing-delay",
         .type = "duration",
         .fallback = "0",
         .short_text = "Apply fencing delay targeting the lost nodes with the highest total resource priority",
         .long_text = "Apply specified delay for the fencings that are targeting the lost nodes with the highest total "
                      "resource priority in case we don't have the majority of the nodes in our cluster partition, so "
                      "that the more significant nodes potentially win any fencing match, which is especially "
                      "meaningful under split-brain of 2-node cluster. A promoted resource instance takes the base "
                      "priority + 1 on calculation if the base priority is not 0. Any static/random delays that are "
                      "introduced by `pcmk_delay_base/max` configured for the corresponding fencing resources will be "
                      "added to this delay. This delay should be significantly greater than, safely twice, the maximum "
                      "`pcmk_delay_base/max`. By default, priority fencing delay is disabled.",
         .owner = Owner::kScheduler},
        {.name = "node-pending-timeout",
         .type = "duration",
         .fallback = "0",
         .short_text = "How long to wait for a node that has joined the cluster to join the controller process group",
         .long_text = "Fence nodes that do not join the controller process group within this much time after joining "
                      "the cluster, to allow the cluster to continue managing resources. A value of 0 means never "
                      "fence pending nodes. Setting the value to 2h means fence nodes after 2 hours.",
         .owner = Owner::kScheduler},
        {.name = "cluster-delay",
         .type = "duration",
         .fallback = "60s",
         .short_text = "Maximum time for node-to-node communication",
         .long_text =
             "The node elected Designated Controller (DC) will consider an action failed if it does not get a response "
             "from the node executing the action within this time (after considering the action's own timeout). The "
             "\"correct\" value will depend on the speed and load of your network and cluster nodes.",
         .owner = Owner::kScheduler},
        {.name = "load-threshold",
         .type = "percentage",
         .fallback = "80%",
         .short_text = "Maximum amount of system load that should be used by cluster nodes",
         .long_text = "The cluster will slow down its recovery process when the amount of system resources used "
                      "(currently CPU) approaches this limit",
         .owner = Owner::kController},
        {.name = "node-action-limit",
         .type = "integer",
         .fallback = "0",
         .short_text = "Maximum number of jobs that can be scheduled per node (defaults to 2x cores)",
         .owner = Owner::kController},
        {.name = "batch-limit",
         .type = "integer",
         .fallback = "0",
         .short_text = "Maximum number of jobs that the cluster may execute in parallel across all nodes",
         .long_text = "The \"correct\" value will depend on the speed and load of your network and cluster nodes. If "
                      "set to 0, the cluster will impose a dynamically calculated limit when any node has a high load.",
         .owner = Owner::kScheduler},
        {.name = "migration-limit",
         .type = "integer",
         .fallback = "-1",
         .short_text = "The number of live migration actions that the cluster is allowed to execute in parallel on a "
                       "node (-1 means no limit)",
         .owner = Owner::kScheduler},
        {.name = "cluster-ipc-limit",
         .type = "nonnegative_integer",
         .short_text = "Ignored",
         .deprecated = true,
         .owner = Owner::kCibManager},
        {.name = "stop-all-resources",
         .type = "boolean",
         .fallback = "false",
         .short_text = "Whether the cluster should stop all active resources",
         .owner = Owner::kScheduler},
        {.name = "stop-removed-resources",
         .type = "boolean",
         .fallback = "true",
         .short_text = "Whether to stop resources that were removed from the configuration",
         .deprecated = true,
         .owner = Owner::kScheduler},
        {.name = "stop-orphan-resources",
         .type = "boolean",
         .fallback = "true",
         .short_text = "Deprecated alias for stop-removed-resources",
         .deprecated = true,
         .replaced_by = "stop-removed-resources",
         .owner = Owner::kScheduler},
        {.name = "cancel-removed-actions",
         .type = "boolean",
         .fallback = "true",
         .short_text = "Whether to cancel recurring actions removed from the configuration",
         .deprecated = true,
         .owner = Owner::kScheduler},
        {.name = "stop-orphan-actions",
         .type = "boolean",
         .fallback = "true",
         .short_text = "Deprecated alias for cancel-removed-actions",
         .deprecated = true,
         .replaced_by = "cancel-removed-actions",
         .owner = Owner::kScheduler},
        {.name = "pe-error-series-max",
         .type = "integer",
         .fallback = "-1",
         .short_text = "The number of scheduler inputs resulting in errors to save",
         .long_text = "Zero to disable, -1 to store unlimited.",
         .owner = Owner::kScheduler},
        {.name = "pe-warn-series-max",
         .type = "integer",
         .fallback = "5000",
         .short_text = "The number of scheduler inputs resulting in warnings to save",
         .long_text = "Zero to disable, -1 to store unlimited.",
         .owner = Owner::kScheduler},
        {.name = "pe-input-series-max",
         .type = "integer",
         .fallback = "4000",
         .short_text = "The number of scheduler inputs without errors or warnings to save",
         .long_text = "Zero to disable, -1 to store unlimited.",
         .owner = Owner::kScheduler},
        {.name = "node-health-strategy",
         .type = "select",
         .fallback = "none",
         .choices = {"none", "migrate-on-red", "only-green", "progressive", "custom"},
         .short_text = "How cluster should react to node health attributes",
         .long_text = "Requires external entities to create node attributes (named with the prefix \"#health\") with "
                      "values \"red\", \"yellow\", or \"green\".",
         .owner = Owner::kScheduler},
        {.name = "node-health-base",
         .type = "score",
         .fallback = "0",
         .short_text = "Base health score assigned to a node",
         .long_text = "Only used when \"node-health-strategy\" is set to \"progressive\".",
         .owner = Owner::kScheduler},
        {.name = "node-health-green",
         .type = "score",
         .fallback = "0",
         .short_text = "The score to use for a node health attribute whose value is \"green\"",
         .long_text = "Only used when \"node-health-strategy\" is set to \"custom\" or \"progressive\".",
         .owner = Owner::kScheduler},
        {.name = "node-health-yellow",
         .type = "score",
         .fallback = "0",
         .short_text = "The score to use for a node health attribute whose value is \"yellow\"",
         .long_text = "Only used when \"node-health-strategy\" is set to \"custom\" or \"progressive\".",
         .owner = Owner::kScheduler},
        {.name = "node-health-red",
         .type = "score",
         .fallback = "-INFINITY",
         .short_text = "The score to use for a node health attribute whose value is \"red\"",
         .long_text = "Only used when \"node-health-strategy\" is set to \"custom\" or \"progressive\".",
         .owner = Owner::kScheduler},
        {.name = "placement-strategy",
         .type = "select",
         .fallback = "default",
         .choices = {"default", "utilization", "minimal", "balanced"},
         .short_text = "How the cluster should allocate resources to nodes",
         .owner = Owner::kScheduler},
    };
    return kOptions;
}

const std::vector<ConfigOption>& primitive_meta_attributes() {
    static const std::vector<ConfigOption> kOptions{
        {.name = "priority",
         .type = "score",
         .fallback = "0",
         .short_text = "Resource assignment priority",
         .long_text = "If not all resources can be active, the cluster will stop lower-priority resources in order to "
                      "keep higher-priority ones active."},
        {.name = "critical",
         .type = "boolean",
         .fallback = "true",
         .short_text = "Default value for influence in colocation constraints",
         .long_text =
             "Use this value as the default for influence in all colocation constraints involving this resource, as "
             "well as in the implicit colocation constraints created if this resource is in a group."},
        {.name = "target-role",
         .type = "select",
         .fallback = "Started",
         .choices = {"Stopped", "Started", "Unpromoted", "Promoted"},
         .short_text = "State the cluster should attempt to keep this resource in",
         .long_text = "\"Stopped\" forces the resource to be stopped. \"Started\" allows the resource to be started "
                      "(and in the case of promotable clone resources, promoted if appropriate). \"Unpromoted\" allows "
                      "the resource to be started, but only in the unpromoted role if the resource is promotable. "
                      "\"Promoted\" is equivalent to \"Started\"."},
        {.name = "is-managed",
         .type = "boolean",
         .fallback = "true",
         .short_text = "Whether the cluster is allowed to actively change the resource's state",
         .long_text =
             "If false, the cluster will not start, stop, promote, or demote the resource on any node. Recurring "
             "actions for the resource are unaffected. If true, a true value for the maintenance-mode cluster option, "
             "the maintenance node attribute, or the maintenance resource meta-attribute overrides this."},
        {.name = "maintenance",
         .type = "boolean",
         .fallback = "false",
         .short_text = "If true, the cluster will not schedule any actions involving the resource",
         .long_text =
             "If true, the cluster will not start, stop, promote, or demote the resource on any node, and will pause "
             "any recurring monitors (except those specifying role as \"Stopped\"). If false, a true value for the "
             "maintenance-mode cluster option or maintenance node attribute overrides this."},
        {.name = "resource-stickiness",
         .type = "score",
         .short_text = "Score to add to the current node when a resource is already active",
         .long_text =
             "Score to add to the current node when a resource is already active. This allows running resources to "
             "stay where they are, even if they would be placed elsewhere if they were being started from a stopped "
             "state. The default is 1 for individual clone instances, and 0 for all other resources."},
        {.name = "requires",
         .type = "select",
         .choices = {"nothing", "quorum", "fencing", "unfencing"},
         .short_text = "Conditions under which the resource can be started",
         .long_text =
             "Conditions under which the resource can be started. \"nothing\" means the cluster can always start this "
             "resource. \"quorum\" means the cluster can start this resource only if a majority of the configured "
             "nodes are active. \"fencing\" means the cluster can start this resource only if a majority of the "
             "configured nodes are active and any failed or unknown nodes have been fenced. \"unfencing\" means the "
             "cluster can start this resource only if a majority of the configured nodes are active and any failed or "
             "unknown nodes have been fenced, and only on nodes that have been unfenced. The default is \"quorum\" for "
             "resources with a class of stonith; otherwise, \"unfencing\" if unfencing is active in the cluster; "
             "otherwise, \"fencing\" if the fencing-enabled cluster option is true; otherwise, \"quorum\"."},
        {.name = "migration-threshold",
         .type = "score",
         .fallback = "INFINITY",
         .short_text = "Number of failures on a node before the resource becomes ineligible to run there.",
         .long_text = "Number of failures that may occur for this resource on a node, before that node is marked "
                      "ineligible to host this resource. A value of 0 indicates that this feature is disabled (the "
                      "node will never be marked ineligible). By contrast, the cluster treats \"INFINITY\" (the "
                      "default) as a very large but finite number. This option has an effect only if the failed "
                      "operation specifies its on-fail attribute as \"restart\" (the default), and additionally for "
                      "failed start operations, if the start-failure-is-fatal cluster property is set to false."},
        {.name = "failure-timeout",
         .type = "duration",
         .fallback = "0",
         .short_text = "Number of seconds before acting as if a failure had not occurred",
         .long_text = "Number of seconds after a failed action for this resource before acting as if the failure had "
                      "not occurred, and potentially allowing the resource back to the node on which it failed. A "
                      "value of 0 indicates that this feature is disabled."},
        {.name = "multiple-active",
         .type = "select",
         .fallback = "stop_start",
         .choices = {"block", "stop_only", "stop_start", "stop_unexpected"},
         .short_text = "What to do if the cluster finds the resource active on more than one node",
         .long_text = "What to do if the cluster finds the resource active on more than one node. \"block\" means to "
                      "mark the resource as unmanaged. \"stop_only\" means to stop all active instances of this "
                      "resource and leave them stopped. \"stop_start\" means to stop all active instances of this "
                      "resource and start the resource in one location only. \"stop_unexpected\" means to stop all "
                      "active instances of this resource except where the resource should be active. (This should be "
                      "used only when extra instances are not expected to disrupt existing instances, and the resource "
                      "agent's monitor of an existing instance is capable of detecting any problems that could be "
                      "caused. Note that any resources ordered after this one will still need to be restarted.)"},
        {.name = "allow-migrate",
         .type = "boolean",
         .short_text = "Whether the cluster should try to \"live migrate\" this resource when it needs to be moved",
         .long_text = "Whether the cluster should try to \"live migrate\" this resource when it needs to be moved. The "
                      "default is true for ocf:pacemaker:remote resources, and false otherwise."},
        {.name = "allow-unhealthy-nodes",
         .type = "boolean",
         .fallback = "false",
         .short_text = "Whether the resource should be allowed to run on a node even if the node's health score would "
                       "otherwise prevent it"},
        {.name = "container-attribute-target",
         .type = "string",
         .short_text = "Where to check user-defined node attributes",
         .long_text = "Whether to check user-defined node attributes on the physical host where a container is running "
                      "or on the local node. This is usually set for a bundle resource and inherited by the bundle's "
                      "primitive resource. A value of \"host\" means to check user-defined node attributes on the "
                      "underlying physical host. Any other value means to check user-defined node attributes on the "
                      "local node (for a bundled primitive resource, this is the bundle node)."},
        {.name = "remote-node",
         .type = "string",
         .short_text = "Name of the Pacemaker Remote guest node this resource is associated with, if any",
         .long_text = "Name of the Pacemaker Remote guest node this resource is associated with, if any. If specified, "
                      "this both enables the resource as a guest node and defines the unique name used to identify the "
                      "guest node. The guest must be configured to run the Pacemaker Remote daemon when it is started. "
                      "WARNING: This value cannot overlap with any resource or node IDs."},
        {.name = "remote-addr",
         .type = "string",
         .short_text = "If remote-node is specified, the IP address or hostname used to connect to the guest via "
                       "Pacemaker Remote",
         .long_text = "If remote-node is specified, the IP address or hostname used to connect to the guest via "
                      "Pacemaker Remote. The Pacemaker Remote daemon on the guest must be configured to accept "
                      "connections on this address. The default is the value of the remote-node meta-attribute."},
        {.name = "remote-port",
         .type = "port",
         .fallback = "3121",
         .short_text = "If remote-node is specified, port on the guest used for its Pacemaker Remote connection",
         .long_text = "If remote-node is specified, the port on the guest used for its Pacemaker Remote connection. "
                      "The Pacemaker Remote daemon on the guest must be configured to listen on this port."},
        {.name = "remote-connect-timeout",
         .type = "timeout",
         .fallback = "60s",
         .short_text =
             "If remote-node is specified, how long before a pending Pacemaker Remote guest connection times out."},
        {.name = "remote-allow-migrate",
         .type = "boolean",
         .fallback = "true",
         .short_text = "If remote-node is specified, this acts as the allow-migrate meta-attribute for the implicit "
                       "remote connection resource (ocf:pacemaker:remote)."},
    };
    return kOptions;
}

const std::vector<ConfigOption>& fencing_parameters() {
    static const std::vector<ConfigOption> kOptions = [] {
        std::vector<ConfigOption> options{
            {.name = "pcmk_host_argument",
             .type = "string",
             .short_text = "Name of agent parameter that should be set to the fencing target",
             .long_text = "If the fencing agent metadata advertises support for the \"port\" or \"plug\" parameter, "
                          "that will be used as the default, otherwise \"none\" will be used, which tells the cluster "
                          "not to supply any additional parameters.",
             .advanced = true},
            {.name = "pcmk_host_map",
             .type = "string",
             .short_text = "A mapping of node names to port numbers for devices that do not support node names.",
             .long_text = "For example, \"node1:1;node2:2,3\" would tell the cluster to use port 1 for node1 and ports "
                          "2 and 3 for node2."},
            {.name = "pcmk_host_list",
             .type = "string",
             .short_text = "Nodes targeted by this device",
             .long_text = "Comma-separated list of nodes that can be targeted by this device (for example, "
                          "\"node1,node2,node3\"). If pcmk_host_check is \"static-list\", either this or pcmk_host_map "
                          "must be set."},
            {.name = "pcmk_host_check",
             .type = "select",
             .choices = {"dynamic-list", "static-list", "status", "none"},
             .short_text = "How to determine which nodes can be targeted by the device",
             .long_text =
                 "Use \"dynamic-list\" to query the device via the 'list' command; \"static-list\" to check the "
                 "pcmk_host_list attribute; \"status\" to query the device via the 'status' command; or \"none\" to "
                 "assume every device can fence every node. The default value is \"static-list\" if pcmk_host_map or "
                 "pcmk_host_list is set; otherwise \"dynamic-list\" if the device supports the list operation; "
                 "otherwise \"status\" if the device supports the status operation; otherwise \"none\""},
            {.name = "pcmk_delay_max",
             .type = "duration",
             .fallback = "0s",
             .short_text = "Enable a delay of no more than the time specified before executing fencing actions.",
             .long_text = "Enable a delay of no more than the time specified before executing fencing actions. "
                          "Pacemaker derives the overall delay by taking the value of pcmk_delay_base and adding a "
                          "random delay value such that the sum is kept below this maximum."},
            {.name = "pcmk_delay_base",
             .type = "string",
             .fallback = "0s",
             .short_text = "Enable a base delay for fencing actions and specify base delay value.",
             .long_text = "This enables a static delay for fencing actions, which can help avoid \"death matches\" "
                          "where two nodes try to fence each other at the same time. If pcmk_delay_max is also used, a "
                          "random delay will be added such that the total delay is kept below that value. This can be "
                          "set to a single time value to apply to any node targeted by this device (useful if a "
                          "separate device is configured for each target), or to a node map (for example, "
                          "\"node1:1s;node2:5\") to set a different value for each target."},
            {.name = "pcmk_action_limit",
             .type = "integer",
             .fallback = "1",
             .short_text = "The maximum number of actions can be performed in parallel on this device",
             .long_text =
                 "If the concurrent-fencing cluster property is \"true\", this specifies the maximum number of actions "
                 "that can be performed in parallel on this device. A value of -1 means unlimited."},
        };
        for (const char* action : {"reboot", "off", "on", "list", "monitor", "status"}) {
            options.push_back(
                {.name = fmt::format("pcmk_{}_action", action),
                 .type = "string",
                 .fallback = action,
                 .short_text = fmt::format("An alternate command to run instead of '{}'", action),
                 .long_text = fmt::format(
                     "Some devices do not support the standard commands or may provide additional ones. Use this to "
                     "specify an alternate, device-specific, command that implements the '{}' action.",
                     action),
                 .advanced = true});
            options.push_back(
                {.name = fmt::format("pcmk_{}_timeout", action),
                 .type = "timeout",
                 .fallback = "60s",
                 .short_text = fmt::format(
                     "Specify an alternate timeout to use for '{}' actions instead of fencing-timeout", action),
                 .long_text = fmt::format("Some devices need much more/less time to complete than normal. Use this to "
                                          "specify an alternate, device-specific, timeout for '{}' actions.",
                                          action),
                 .advanced = true});
            options.push_back(
                {.name = fmt::format("pcmk_{}_retries", action),
                 .type = "integer",
                 .fallback = "2",
                 .short_text = fmt::format(
                     "The maximum number of times to try the '{}' command within the timeout period", action),
                 .long_text =
                     fmt::format("Some devices do not support multiple connections. Operations may \"fail\" if the "
                                 "device is busy with another task. In that case, Pacemaker will automatically retry "
                                 "the operation if there is time remaining. Use this option to alter the number of "
                                 "times Pacemaker tries a '{}' action before giving up.",
                                 action),
                 .advanced = true});
        }
        return options;
    }();
    return kOptions;
}

}  // namespace systole::cli
