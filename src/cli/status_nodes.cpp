// Nodes, their attributes and the summary: parts of cli/status_view.h.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "cli/local_time.h"
#include "cli/status_filter.h"
#include "cli/status_view.h"

namespace systole::cli {

using model::Cluster;
using model::Node;
using model::Resource;

int health_of(const Cluster& cluster, const Node& node) {
    const model::Options& options = cluster.options;
    if (options.health_strategy == model::HealthStrategy::kNone) return 1;
    int least = 1;
    for (const auto& [name, value] : node.attributes) {
        if (!name.starts_with("#health")) continue;
        if (same_ignoring_case(value, "red")) return -1;
        const auto score = options.score(value);
        if (same_ignoring_case(value, "yellow")) {
            least = 0;
        } else if (score && *score <= options.health_red) {
            return -1;
        } else if (score && *score <= options.health_yellow && options.health_yellow != options.health_green) {
            least = 0;
        }
    }
    return least;
}

namespace {

const char* kind_text(const Node& node) {
    if (node.is_guest()) return "GuestNode";
    return node.is_remote() ? "RemoteNode" : "Node";
}

std::string mode_text(const Node& node) {
    if (node.unclean) {
        if (node.online) return "UNCLEAN (online)";
        return node.pending ? "UNCLEAN (pending)" : "UNCLEAN (offline)";
    }
    if (node.pending) return "pending";
    if (node.standby_on_fail && node.online) return "standby (on-fail)";
    if (node.standby) {
        if (!node.online) return "OFFLINE (standby)";
        return node.running.empty() ? "standby" : "standby (with active resources)";
    }
    if (node.maintenance) return node.online ? "maintenance" : "OFFLINE (maintenance)";
    return node.online ? "online" : "OFFLINE";
}

std::string_view feature_set_of(const Node& node) {
    if (node.remote_kind || !node.online) return {};
    // Nodes from before 3.15.1 don't tell.
    return node.attribute("#feature-set").value_or("<3.15.1");
}

bool node_alone(const Cluster& cluster, const Node& node, const Show& show) {
    return node.unclean || node.pending || (node.standby_on_fail && node.online) || node.standby || node.maintenance ||
           show.by_node || show.detail || health_of(cluster, node) <= 0;
}

std::string node_line(const Cluster& cluster, const Node& node, const Show& show) {
    std::string text = fmt::format("{} {}: {}", kind_text(node), node_label(node, show.detail), mode_text(node));
    const int health = health_of(cluster, node);
    if (health < 0) text += " (health is RED)";
    if (health == 0) text += " (health is YELLOW)";
    if (show.detail && !feature_set_of(node).empty()) text += fmt::format(", feature set {}", feature_set_of(node));
    return text;
}

std::string bracketed(const std::vector<std::string>& names) {
    std::string text = "[";
    for (const std::string& name : names) text += " " + name;
    return text + " ]";
}

const char* yes_no(bool value) { return value ? "true" : "false"; }

xml::Builder node_xml(const Cluster& cluster, const Node& node, const Show& show) {
    xml::Builder element("node");
    element.set("name", node.name).set("id", node.id);
    element.set("online", yes_no(node.online));
    element.set("standby", yes_no(node.standby));
    element.set("standby_onfail", yes_no(node.standby_on_fail));
    element.set("maintenance", yes_no(node.maintenance));
    element.set("pending", yes_no(node.pending));
    element.set("unclean", yes_no(node.unclean));
    const int health = health_of(cluster, node);
    element.set("health", health < 0 ? "red" : (health == 0 ? "yellow" : "green"));
    element.set_unless_empty("feature_set", feature_set_of(node));
    element.set("shutdown", yes_no(node.shutdown));
    element.set("expected_up", yes_no(node.expected_up));
    element.set("is_dc", yes_no(node.is_dc));
    element.set("resources_running", static_cast<long long>(node.running.size()));
    element.set("type", node.remote_kind ? "remote" : "member");
    if (node.is_guest() && node.remote != nullptr && node.remote->launcher != nullptr) {
        element.set("id_as_resource", node.remote->launcher->id);
    }
    if (show.by_node) {
        Show inner = show;
        inner.nodes = {};
        inner.resources = {};
        inner.descriptions = true;
        for (const Resource* resource : node.running) {
            if (!is_filtered(*resource, show.resources, true)) element.add(resource_xml(inner, *resource));
        }
    }
    return element;
}

}  // namespace

std::string node_label(const Node& node, bool detail) {
    std::string text = node.name;
    if (!detail) return text;
    if (node.is_guest()) {
        // Where the container runs, as that is what a person looks for; nothing while it doesn't.
        const Resource* container = node.remote != nullptr ? node.remote->launcher : nullptr;
        const Node* host = container != nullptr ? model::current_node(*container) : nullptr;
        text += "@" + (host != nullptr ? host->name : std::string());
    }
    if (node.id != node.name) text += fmt::format(" ({})", node.id);
    return text;
}

// Declared in status_resources.cpp, as its lines are those of resources.
void show_brief(Output& output, const std::vector<const Resource*>& resources, const Show& show, const Cluster& cluster,
                bool with_nodes);

bool show_nodes(Output& output, const Show& show, const Cluster& cluster, Spacer& spacer) {
    std::vector<const Node*> nodes;
    for (const Node* node : cluster.nodes) {
        if (show.nodes.has(node->name)) nodes.push_back(node);
    }
    if (output.is_structured()) {
        xml::Builder list("nodes");
        for (const Node* node : nodes) list.add(node_xml(cluster, *node, show));
        output.add(std::move(list));
        return true;
    }
    if (nodes.empty()) return false;
    const bool html = output.format() == Format::kHtml;
    struct List {
        const char* title;
        std::vector<std::string> names;
    };
    List online{"Online", {}};
    List offline{"OFFLINE", {}};
    List remote_online{"RemoteOnline", {}};
    List remote_offline{"RemoteOFFLINE", {}};
    List guest_online{"GuestOnline", {}};
    spacer.before_section(output);
    output.begin_list("Node List");
    for (const Node* node : nodes) {
        if (!html && !node_alone(cluster, *node, show)) {
            List* list = &online;
            if (node->is_guest()) {
                list = node->online ? &guest_online : nullptr;
            } else if (node->remote_kind) {
                list = node->online ? &remote_online : &remote_offline;
            } else if (!node->online) {
                list = &offline;
            }
            if (list != nullptr) list->names.push_back(node_label(*node, show.detail));
            continue;
        }
        const std::string line = node_line(cluster, *node, show);
        if (!show.by_node) {
            output.item(line, node->online ? "online" : "offline");
            continue;
        }
        std::vector<const Resource*> running;
        for (const Resource* resource : node->running) {
            if (!is_filtered(*resource, show.resources, true)) running.push_back(resource);
        }
        if (show.brief && running.empty()) continue;
        output.begin_list(line);
        output.begin_list("Resources");
        if (show.brief) {
            show_brief(output, running, show, cluster, false);
        } else {
            Show inner = show;
            inner.descriptions = true;
            for (const Resource* resource : running) {
                if (is_internal(*resource) && !show.detail) continue;
                output.item(primitive_text(cluster, *resource, resource->printable_id(), nullptr, inner));
            }
        }
        output.end_list();
        output.end_list();
    }
    for (const List* list : {&online, &offline, &remote_online, &remote_offline, &guest_online}) {
        if (!list->names.empty()) output.item(fmt::format("{}: {}", list->title, bracketed(list->names)));
    }
    output.end_list();
    return true;
}

// --- attributes ---

namespace {

bool is_shown_attribute(std::string_view name) {
    static constexpr std::array kHidden{"shutdown", "terminate", "standby", "fail-count", "last-failure", "#"};
    return std::ranges::none_of(kHidden, [name](const char* prefix) { return name.starts_with(prefix); });
}

// What a ping resource that runs on the node and feeds the attribute would write if everything answered.
std::optional<int> expected_score(const Resource& resource, const Node& node, std::string_view attribute) {
    if (!resource.is_primitive()) return std::nullopt;
    const std::string_view type = resource.agent_type();
    if (!same_ignoring_case(type, "ping") && !same_ignoring_case(type, "pingd")) return std::nullopt;
    (void)node;
    std::string_view name = "pingd";
    std::string_view hosts;
    int multiplier = 1;
    for (const xml::NodePtr& set : resource.xml->children()) {
        if (!set->is("instance_attributes")) continue;
        for (const xml::NodePtr& pair : set->children()) {
            if (!pair->is("nvpair")) continue;
            if (pair->get("name") == "name") name = pair->get("value");
            if (pair->get("name") == "host_list") hosts = pair->get("value");
            if (pair->get("name") == "multiplier") {
                multiplier = static_cast<int>(parse_integer(pair->get("value")).value_or(1));
            }
        }
    }
    if (name != attribute || hosts.empty()) return std::nullopt;
    return static_cast<int>(split(hosts, " ").size()) * (multiplier == 0 ? 1 : multiplier);
}

}  // namespace

bool show_node_attributes(Output& output, const Show& show, const Cluster& cluster, Spacer& spacer) {
    bool any = false;
    xml::Builder all("node_attributes");
    for (const Node* node : cluster.nodes) {
        if (!node->online || !show.nodes.has(node->name)) continue;
        bool first = true;
        xml::Builder element("node");
        element.set("name", node->name);
        for (const auto& [name, value] : node->attributes) {
            if (!is_shown_attribute(name)) continue;
            if (!any) {
                spacer.before_section(output);
                output.begin_list("Node Attributes");
            }
            any = true;
            if (first) output.begin_list(fmt::format("Node: {}", node_label(*node, show.detail)));
            first = false;
            std::optional<int> expected;
            for (const Resource* resource : node->running) {
                if (!expected) expected = expected_score(*resource, *node, name);
            }
            std::string line = fmt::format("{:<32}\t: {:<10}", name, value);
            if (expected) {
                const auto actual = parse_integer(value).value_or(0);
                if (actual <= 0) {
                    line += "\t: Connectivity is lost";
                } else if (actual < *expected) {
                    line += fmt::format("\t: Connectivity is degraded (Expected={})", *expected);
                }
            }
            output.item(line);
            xml::Builder attribute("attribute");
            attribute.set("name", name).set("value", value);
            if (expected) attribute.set("expected", *expected);
            element.add(std::move(attribute));
        }
        if (!first) {
            output.end_list();
            all.add(std::move(element));
        }
    }
    if (any) {
        output.add(std::move(all));
        output.end_list();
    }
    return any;
}

// --- summary ---

namespace {

void count(const Resource& resource, InstanceCounts& counts) {
    if (resource.is_bundle()) {
        for (const model::BundleReplica& replica : resource.bundle->replicas) {
            for (const Resource* part : {replica.ip, replica.child, replica.container, replica.remote}) {
                if (part != nullptr) count(*part, counts);
            }
        }
        return;
    }
    if (!resource.children.empty()) {
        for (const Resource* child : resource.children) count(*child, counts);
        return;
    }
    if (!resource.is_primitive() || (resource.removed && resource.role <= model::Role::kStopped)) return;
    ++counts.all;
    if (resource.is_disabled()) ++counts.disabled;
    if (resource.blocked) ++counts.blocked;
}

std::string instances_text(const InstanceCounts& counts) {
    std::string text = fmt::format("{} resource instance{} configured", counts.all, counts.all == 1 ? "" : "s");
    if (counts.disabled > 0 && counts.blocked > 0) {
        text += fmt::format(" ({} DISABLED, {} BLOCKED from further action due to failure)", counts.disabled,
                            counts.blocked);
    } else if (counts.disabled > 0) {
        text += fmt::format(" ({} DISABLED)", counts.disabled);
    } else if (counts.blocked > 0) {
        text += fmt::format(" ({} BLOCKED from further action due to failure)", counts.blocked);
    }
    return text;
}

const char* policy_text(model::NoQuorum policy) {
    switch (policy) {
        case model::NoQuorum::kFreeze: return "freeze";
        case model::NoQuorum::kStop: return "stop";
        case model::NoQuorum::kIgnore: return "ignore";
        case model::NoQuorum::kFence: return "fence";
        case model::NoQuorum::kDemote: return "demote";
    }
    return "stop";
}

const char* policy_words(model::NoQuorum policy) {
    switch (policy) {
        case model::NoQuorum::kFreeze: return "Freeze resources";
        case model::NoQuorum::kStop: return "Stop ALL resources";
        case model::NoQuorum::kIgnore: return "Ignore";
        case model::NoQuorum::kFence: return "Fence";
        case model::NoQuorum::kDemote: return "Demote promotable resources and stop all other resources";
    }
    return "";
}

bool has_mixed_versions(const Cluster& cluster) {
    std::string_view first;
    for (const Node* node : cluster.nodes) {
        if (node->remote_kind || !node->online) continue;
        const std::string_view set = node->attribute("#feature-set").value_or("");
        if (set.empty()) continue;
        if (first.empty()) first = set;
        if (set != first) return true;
    }
    return false;
}

const char* quorum_text(bool quorate, bool mixed) {
    if (mixed) return quorate ? "MIXED-VERSION partition with quorum" : "MIXED-VERSION partition WITHOUT quorum";
    return quorate ? "partition with quorum" : "partition WITHOUT quorum";
}

std::string option_value(const Cluster& cluster, std::string_view name, std::string_view fallback) {
    const auto found = cluster.options.values.find(name);
    return found == cluster.options.values.end() ? std::string(fallback) : found->second;
}

xml::Builder options_xml(const model::Options& options) {
    xml::Builder element("cluster_options");
    const auto timeout = static_cast<long long>(options.fencing_timeout.count());
    element.set("fencing-enabled", yes_no(options.fencing_enabled));
    element.set("fencing-timeout-ms", timeout);
    element.set("symmetric-cluster", yes_no(options.symmetric));
    element.set("no-quorum-policy", policy_text(options.no_quorum));
    element.set("maintenance-mode", yes_no(options.maintenance_mode));
    element.set("stop-all-resources", yes_no(options.stop_all_resources));
    element.set("priority-fencing-delay-ms", static_cast<long long>(options.priority_fencing_delay.count()));
    element.set("stonith-enabled", yes_no(options.fencing_enabled));
    element.set("stonith-timeout-ms", timeout);
    return element;
}

void show_options(Output& output, const model::Options& options, Spacer& spacer) {
    spacer.before_section(output);
    output.begin_list("Config Options");
    output.item(options.fencing_enabled ? "Fencing of failed nodes enabled" : "Fencing of failed nodes disabled");
    output.item(options.symmetric ? "Cluster is symmetric" : "Cluster is asymmetric");
    output.item(fmt::format("No quorum policy: {}", policy_words(options.no_quorum)));
    if (options.maintenance_mode) {
        output.item("Resource management: DISABLED (the cluster will not attempt to start, stop, or recover services)");
    } else if (options.stop_all_resources) {
        output.item("Resource management: STOPPED (the cluster will keep all resources stopped)");
    } else {
        output.item("Resource management: enabled");
    }
    output.end_list();
}

}  // namespace

InstanceCounts count_instances(const Cluster& cluster) {
    InstanceCounts counts;
    for (const Resource* resource : cluster.resources) count(*resource, counts);
    return counts;
}

bool show_summary(Output& output, const Show& show, const Cluster& cluster, std::uint32_t parts, const LiveState& live,
                  Spacer& spacer) {
    using enum Summary;
    const xml::Node& cib = *cluster.cib;
    const std::string stack = option_value(cluster, "cluster-infrastructure", "unknown");
    const std::string dc_version = option_value(cluster, "dc-version", "");
    const bool mixed = has_mixed_versions(cluster);
    const InstanceCounts counts = count_instances(cluster);

    if (output.is_structured()) {
        xml::Builder summary("summary");
        if (has(parts, kStack)) {
            xml::Builder element("stack");
            element.set("type", stack);
            element.set_unless_empty("pacemakerd-state", live.pacemakerd_state);
            summary.add(std::move(element));
        }
        if (has(parts, kDc)) {
            xml::Builder dc("current_dc");
            dc.set("present", yes_no(cluster.dc != nullptr));
            if (cluster.dc != nullptr) {
                dc.set("version", dc_version).set("name", cluster.dc->name).set("id", cluster.dc->id);
                dc.set("with_quorum", yes_no(cluster.quorate)).set("mixed_version", yes_no(mixed));
            }
            summary.add(std::move(dc));
        }
        if (has(parts, kTimes)) {
            xml::Builder update("last_update");
            update.set("time", ctime_text(now().wall()));
            update.set_unless_empty("origin", live.local_node);
            summary.add(std::move(update));
            xml::Builder change("last_change");
            change.set("time", cib.get("cib-last-written"));
            change.set_unless_empty("user", cib.get("update-user"));
            change.set_unless_empty("client", cib.get("update-client"));
            change.set_unless_empty("origin", cib.get("update-origin"));
            summary.add(std::move(change));
        }
        if (has(parts, kCounts)) {
            summary.add(
                xml::Builder("nodes_configured").set("number", static_cast<long long>(cluster.nodes.size())).build());
            summary.add(xml::Builder("resources_configured")
                            .set("number", counts.all)
                            .set("disabled", counts.disabled)
                            .set("blocked", counts.blocked)
                            .build());
        }
        if (has(parts, kOptions)) summary.add(options_xml(cluster.options));
        output.add(std::move(summary));
        return true;
    }

    const auto wanted = static_cast<std::uint32_t>(kAll) & ~static_cast<std::uint32_t>(kOptions);
    if ((parts & wanted) != 0) {
        spacer.before_section(output);
        output.begin_list("Cluster Summary");
        if (has(parts, kStack)) {
            output.item(live.pacemakerd_state.empty()
                            ? fmt::format("Stack: {}", stack)
                            : fmt::format("Stack: {} (Pacemaker is {})", stack, live.pacemakerd_state));
        }
        if (has(parts, kDc)) {
            if (cluster.dc == nullptr) {
                output.item("Current DC: NONE", "warning");
            } else {
                output.item(fmt::format("Current DC: {} (version {}) - {}", node_label(*cluster.dc, show.detail),
                                        dc_version.empty() ? "unknown" : dc_version,
                                        quorum_text(cluster.quorate, mixed)));
            }
        }
        if (has(parts, kTimes)) {
            output.item(live.local_node.empty()
                            ? fmt::format("Last updated: {}", ctime_text(now().wall()))
                            : fmt::format("Last updated: {} on {}", ctime_text(now().wall()), live.local_node));
            std::string change = fmt::format("Last change:  {}", cib.get("cib-last-written"));
            if (const auto user = cib.get("update-user"); !user.empty()) change += fmt::format(" by {}", user);
            if (const auto client = cib.get("update-client"); !client.empty()) change += fmt::format(" via {}", client);
            if (const auto origin = cib.get("update-origin"); !origin.empty()) change += fmt::format(" on {}", origin);
            output.item(change);
        }
        if (has(parts, kCounts)) {
            output.item(
                fmt::format("{} node{} configured", cluster.nodes.size(), cluster.nodes.size() == 1 ? "" : "s"));
            output.item(instances_text(counts));
        }
        output.end_list();
    }
    if (has(parts, kOptions) && output.format() == Format::kHtml) show_options(output, cluster.options, spacer);
    return true;
}

bool show_maintenance(Output& output, const Cluster& cluster, Spacer& spacer) {
    if (output.is_structured() || output.format() == Format::kHtml) return false;
    const model::Options& options = cluster.options;
    if (!options.maintenance_mode && !options.stop_all_resources) return false;
    spacer.before_section(output);
    output.line("              *** Resource management is DISABLED ***");
    output.line(options.maintenance_mode ? "  The cluster will not attempt to start, stop or recover services"
                                         : "  The cluster will keep all resources stopped");
    return true;
}

std::string_view origin_of(std::string_view problem) {
    struct Origin {
        std::string_view beginning, name;
    };
    static constexpr std::array kOrigins{
        Origin{"Preventing ", "unpack_rsc_op"},
        Origin{"Blind faith", "unpack_config"},
        Origin{"Resource start-up disabled", "unpack_resources"},
        Origin{"Unknown action '", "invert_action"},
    };
    const auto* origin =
        std::ranges::find_if(kOrigins, [problem](const Origin& o) { return problem.starts_with(o.beginning); });
    return origin == kOrigins.end() ? std::string_view("read_cluster") : origin->name;
}

void log_problems(Output& output, const Cluster& cluster) { log_problems(output, cluster.problems); }

void log_problems(Output& output, std::span<const model::Problem> problems) {
    // These commands are about the cluster; what is wrong with its configuration is for who asks (and crm_verify).
    if (output.config().verbosity == 0 && !output.config().logs_wanted) return;
    for (const model::Problem& problem : problems) {
        const bool error =
            problem.kind == model::Problem::Kind::kConfigError || problem.kind == model::Problem::Kind::kError;
        output.log(error ? Severity::kError : Severity::kWarning, origin_of(problem.text), problem.text);
    }
}

}  // namespace systole::cli
