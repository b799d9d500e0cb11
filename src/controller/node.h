#pragma once
// controller/node.h — everything a cluster node decides, as one core.
//
// A Node ties together the CIB manager, the attribute manager, the fencer and the controller (with election, join,
// transition runner and the scheduler's worker). systole-core runs one over Corosync or the local engine; the
// simulation runs hundreds in one process. Between its parts messages go through one queue in order, never by re-entry,
// so the same inputs give the same effects, byte for byte.
//
// What blocks is asked for as an effect: the scheduler (a worker thread), disk writes, agents.
// Source: protocol sheets cib.md, controller.md, attrd.md, fencer.md, ipc.md, cpg.md; reliability.md for the
// invariants.
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/exit_code.h"
#include "scheduler/schedule.h"
#include "wire/port.h"

namespace systole::cib {
class Schemas;
}

namespace systole::attributes {
class Table;
}

namespace systole::controller {

struct NodeConfig {
    wire::NodeRef self;
    std::string cluster_name;
    std::string infrastructure = "corosync";  ///< value of cluster-infrastructure: "corosync", "local", "simulated"
    std::string version;                      ///< value of dc-version
    std::uint64_t seed{};                     ///< the only source of randomness (uuids, fencing delays)
    std::uint32_t pid{};
    unsigned cpu_count = 1;   ///< for the default of node-action-limit
    std::string start_state;  ///< PCMK_node_start_state: "", "online" or "standby"
    /// Writes into node_state since when a node is a member, and not just that it is. Pacemaker 2.1.7 and later reads
    /// either; the status libraries before that (Debian 12's crm_mon and sbd) take every node for unclean then.
    bool node_state_times = false;
    bool have_watchdog = false;
    Duration watchdog_timeout{0};  ///< SBD_WATCHDOG_TIMEOUT
    /// Seconds that the machine's local time is east of UTC at a moment, for times that people read; null: UTC.
    int (*utc_offset)(WallTime) = nullptr;
    /// Schemas for the CIB manager, outliving the node; null: nothing is validated and nothing can be upgraded.
    cib::Schemas* schemas = nullptr;
};

/// Why a connection to a remote executor could not be made (executor-remote.md, section 1, failure mapping).
enum class RemoteFault : std::uint8_t {
    kNone,
    kNoKey,       ///< our key file is missing or empty: a configuration error, not to be tried again
    kRejected,    ///< the peer does not accept our key, or we not its: a configuration error, not to be tried again
    kUnresolved,  ///< the name has no address
    kUnreachable  ///< refused, timed out, or the handshake broke off: worth another try
};

// ---- Inputs ---------------------------------------------------------------------------------------------------------

/// First input: the CIB as the store loaded it (an empty CIB where there was none). `fault` is what is wrong with it,
/// so that requests are refused with a clear reason; empty if it is sound.
struct Loaded {
    xml::NodePtr cib;
    std::string fault;
};

/// The executor's process can be asked (it may hold resources from before we were started), or is gone.
struct ExecutorUp {};
struct ExecutorDown {};
struct ExecutorReply {
    std::uint32_t request{};
    xml::NodePtr message;  ///< lrmd_reply; null: no answer in time or connection lost
};
struct ExecutorEvent {
    xml::NodePtr message;
};  ///< lrmd_notify

struct PlanReady {
    std::uint32_t token{};
    std::shared_ptr<const scheduler::Plan> plan;  ///< null: the scheduler failed
    std::string fault;                            ///< why, where plan is null
    std::string saved_as;                         ///< path of the saved scheduler input, empty if not saved
};

struct CibWritten {
    std::uint64_t token{};
    std::string fault;  ///< empty: written and synced
};

/// Result of a fence agent.
struct FenceAgentDone {
    std::uint32_t token{};
    ExecStatus status{};  ///< kDone, kTimeout, kNotInstalled, kError
    int exit_code{};
    std::string output;  ///< standard output, bounded
    std::string error;   ///< standard error, bounded
};

/// A resource agent's metadata (XML text), or empty with a fault.
struct MetadataReady {
    std::uint32_t token{};
    std::string xml;
    std::string fault;
};

/// Load of the machine, sampled by the runtime every 30 s (thousandths of load per core).
struct LoadSampled {
    unsigned load_permille{};
};

/// A TLS connection to a remote or guest node's executor is up (the key is proven on both sides, nothing was sent yet),
/// or could not be made. Answers ConnectRemote with the same token; a later token makes an earlier answer void.
struct RemoteConnected {
    std::string node;
    std::uint32_t token{};
    RemoteFault fault{};
    std::string why;  ///< what a person reads, where fault is not kNone
};
/// A whole message of an established connection, in the order of arrival (lrmd_reply, lrmd_notify, lrmd_ipc_proxy).
struct RemoteMessage {
    std::string node;
    std::uint32_t token{};
    xml::NodePtr message;
};
/// An established connection ended without our asking (closed, reset, a frame that cannot be read).
struct RemoteLost {
    std::string node;
    std::uint32_t token{};
    std::string why;
};

struct ShutdownRequested {};  ///< leave in good order: resources move away first
struct EngineLost {
    std::string why;
};  ///< the cluster engine is gone: exit for a restart

using Input =
    std::variant<Loaded, wire::ClientConnected, wire::ClientRequest, wire::ClientClosed, wire::GroupChange,
                 wire::QuorumView, wire::NodeIdentified, wire::PeerMessage, wire::TimerFired, ExecutorUp, ExecutorDown,
                 ExecutorReply, ExecutorEvent, PlanReady, CibWritten, FenceAgentDone, MetadataReady, LoadSampled,
                 RemoteConnected, RemoteMessage, RemoteLost, ShutdownRequested, EngineLost>;

// ---- Effects --------------------------------------------------------------------------------------------------------

/// From here on the service accepts clients. (crmd opens once the node reached a started state.)
struct OpenService {
    wire::Service service{};
};
/// Joins the process group; its first GroupChange is the answer.
struct JoinGroup {
    wire::Group group{};
};
struct LeaveGroup {
    wire::Group group{};
};

/// An executor request (lrmd_command); answered by ExecutorReply with the same number, results come as ExecutorEvent.
struct ToExecutor {
    std::uint32_t request{};
    xml::NodePtr message;
};

/// To be computed off the core's thread; answered by PlanReady. A newer one replaces an older one not yet begun.
struct RunScheduler {
    std::uint32_t token{};
    scheduler::Input input;
};

/// Answered by CibWritten; only the newest waiting one needs to be written.
struct WriteCib {
    std::uint64_t token{};
    xml::NodePtr cib;
};

struct RunFenceAgent {
    std::uint32_t token{};
    std::string agent;  ///< "fence_xyz"
    std::string action;
    std::vector<std::pair<std::string, std::string>> parameters;  ///< one "name=value" line each, on standard input
    Duration timeout{};
};
struct KillFenceAgent {
    std::uint32_t token{};
};

/// A resource agent's (or fence agent's, class "stonith") metadata; answered by MetadataReady.
struct FetchMetadata {
    std::uint32_t token{};
    std::string agent_class, provider, type;
};

/// Connects to the executor of a remote or guest node: resolve, TCP, TLS; answered by one RemoteConnected within the
/// time. Replaces an existing connection of the same name, which then ends silently.
struct ConnectRemote {
    std::string node;  ///< the connection's name: the remote node's id
    std::uint32_t token{};
    std::string server;  ///< host name or address
    std::uint16_t port{};
    Duration timeout{};
};
/// Ends a connection or an attempt in good order; nothing of it is reported after this.
struct DisconnectRemote {
    std::string node;
};
/// One message to an established connection (lrmd_command or lrmd_ipc_proxy with its remote message attributes); to one
/// that is gone it is dropped, RemoteLost is on its way then.
struct ToRemote {
    std::string node;
    xml::NodePtr message;
};

/// The node must stop at once, whatever it runs (fenced while alive, evicted): reboot, off or crash as configured.
struct Panic {
    std::string why;
};
/// The core is done; pacemakerd decides by the code whether it is started again.
struct Exit {
    ExitCode code{};
    std::string why;
};

using Effect =
    std::variant<wire::Multicast, wire::Respond, wire::SendEvent, wire::Evict, wire::ArmTimer, wire::CancelTimer,
                 wire::Log, OpenService, JoinGroup, LeaveGroup, ToExecutor, RunScheduler, WriteCib, RunFenceAgent,
                 KillFenceAgent, FetchMetadata, ConnectRemote, DisconnectRemote, ToRemote, Panic, Exit>;
using Effects = std::vector<Effect>;  ///< to be performed in this order

class Node {
public:
    explicit Node(NodeConfig config);
    ~Node();
    Node(Node&&) noexcept;
    Node& operator=(Node&&) noexcept;

    [[nodiscard]] Effects on(const Now& now, const Input& input);

    // What checkers, status commands and tests look at; never changed by looking.
    [[nodiscard]] xml::NodePtr cib() const;
    [[nodiscard]] std::string state() const;  ///< S_IDLE, S_NOT_DC, ... (controller.md, section 1)
    [[nodiscard]] std::string dc() const;     ///< name of the DC; empty if none is known
    /// Would the plan with that token be carried out, or is another one made whatever it says?
    [[nodiscard]] bool awaits_plan(std::uint32_t token) const;
    /// Remote and guest nodes whose connection this node hosts, by name.
    [[nodiscard]] std::vector<std::string> connected_remotes() const;
    [[nodiscard]] const systole::attributes::Table& attributes() const;
    [[nodiscard]] std::size_t clients() const;  ///< connected to a service of this node, as far as it knows
    [[nodiscard]] std::vector<std::string> check_state() const;  ///< broken invariants, in words; empty if none

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace systole::controller
