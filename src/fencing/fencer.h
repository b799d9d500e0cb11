#pragma once
// fencing/fencer.h — the fencer: who can cut which node off, and doing it, once, with everybody told.
//
// Every cluster node has one. It knows the fence devices that this node may use and the fencing topology (from the CIB
// and by API), answers its peers' queries about them, runs fence agents, and owns the fencing operations that its own
// clients asked for: it collects the peers' answers, chooses peers and devices, keeps the time limits, and tells every
// peer and subscriber the result. It speaks Pacemaker's vocabulary, so peers and clients may be either.
//
// Fencer is a core: it never reads a clock, runs nothing, and draws randomness only from the seed it was given.
// Own messages to the group come back as on_peer_message and are needed: an operation is executed when the message that
// asks for it is delivered, so all members see the same order.
//
// A controller asks in the right of its partition's quorum. An operation lives longer than that right may: peers are
// asked one after the other, a request can reach a peer in the partition after, agents are tried again. So the right is
// looked at again wherever an agent would be started; the request carries that it is needed (an attribute that other
// fencers ignore). What a person asks for needs none.
//
// Invariants (check_state): every operation that is not finished has a timer or waits for another operation; no device
// runs more agents than its action limit; finished operations are bounded by kHistoryMax.
// Source: protocol sheet fencer.md (whole), ipc.md 6 to 9, cpg.md 4.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/exit_code.h"
#include "base/time.h"
#include "wire/port.h"
#include "xml/tree.h"

namespace systole::fencing {

/// Is the fence resource allowed on the node, by this CIB?
using AllowedOn = std::function<bool(const xml::Node& cib, std::string_view resource, std::string_view node)>;

/// Where nothing better is known: not if a location constraint bans the resource (or the group, clone or set it is in)
/// from the node with -INFINITY, be it by node, by a rule's #uname expressions, or in an opt-in cluster for want of a
/// score that lets it in. Resource role and health are not looked at here.
bool allowed_by_location(const xml::Node& cib, std::string_view resource, std::string_view node);

struct FencerConfig {
    wire::NodeRef self;
    std::uint64_t seed{};  ///< the only source of randomness (uuids, random delays)
    std::uint32_t pid{};   ///< for the client names "stonith_admin.<pid>" of our own relayed operations
    bool have_watchdog = false;
    Duration watchdog_timeout{0};                ///< SBD_WATCHDOG_TIMEOUT
    AllowedOn allowed_on = allowed_by_location;  ///< replaced by the scheduler's view where there is one
};

/// How an action ended.
struct Outcome {
    ExecStatus status = ExecStatus::kUnknown;
    int exit_code = 0;  ///< ExitCode of the action, or what the agent returned
    std::string reason;
    std::string output;  ///< the agent's standard output
    [[nodiscard]] bool ok() const { return status == ExecStatus::kDone && exit_code == 0; }
};

/// The "legacy" return code of an outcome: 0 or a negative errno.
int legacy_code(const Outcome& outcome);

enum class OperationState : std::uint8_t { kQuery = 0, kExecuting = 1, kDone = 2, kDuplicate = 3, kFailed = 4 };

// ---- Inputs that only the fencer has --------------------------------------------------------------------------------

/// What the controller of this node asks for; answered by exactly one LocalReply.
struct FenceRequest {
    std::string target;
    std::string action;     ///< "reboot", "off" or "on"
    Duration timeout{};     ///< stonith-timeout, before any device's own
    Duration delay{0};      ///< priority-fencing-delay for this target
    bool no_delay = false;  ///< neither this delay nor those of the devices
    Duration tolerance{0};  ///< a success of the same action younger than this counts
    /// Asked for in the right of a quorum: where that is lost, no agent is started any more, here or at a peer, unless
    /// for a member of the own partition; nor where a target that was away has come back.
    bool needs_quorum = false;
    std::string client_name = "pacemaker-controld";
};

// ---- Effects that only the fencer has -------------------------------------------------------------------------------

/// Answered by on_agent_done with the same token, always, killed or not.
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
/// The agent's metadata; answered by on_metadata with the same token. (Class is always "stonith".)
struct FetchMetadata {
    std::uint32_t token{};
    std::string agent;
    Duration timeout{};
};

/// Answers FenceRequest.
struct LocalReply {
    std::uint32_t token{};
    Outcome outcome;
    std::string delegate;   ///< node that did it; empty if none or not known
    std::string operation;  ///< uuid of the operation
};

/// A fencing operation ended, here or anywhere: for the controller of this node (what st_notify_fence is for clients).
struct FenceNotice {
    OperationState state{};
    std::string target, action;
    std::string delegate;     ///< node that executed it; empty if not known; "a human" after a manual confirmation
    std::string operation;    ///< uuid
    std::string origin;       ///< node whose client asked for it
    std::string client_name;  ///< "pacemaker-controld.4242", ...
    std::string client;       ///< the client's uuid
    Outcome outcome;
    bool witnessed = true;  ///< this process was there when it was asked for
    Instant asked{};        ///< when this process heard of it first
};

/// The history of fencing changed other than by one operation that ended (cleanup, synchronization).
struct HistoryNotice {};

/// The node must stop at once: it was asked to fence itself by watchdog.
struct Panic {
    std::string why;
};

using Effect =
    std::variant<wire::Multicast, wire::Respond, wire::SendEvent, wire::ArmTimer, wire::CancelTimer, wire::Log,
                 RunFenceAgent, KillFenceAgent, FetchMetadata, LocalReply, FenceNotice, HistoryNotice, Panic>;
using Effects = std::vector<Effect>;  ///< to be performed in this order

/// All timers of the fencer have names that begin so.
inline constexpr std::string_view kTimerPrefix = "fencer/";
inline constexpr std::size_t kHistoryMax = 500;  ///< finished operations that are remembered

/// One entry of the history, or an operation under way.
struct HistoryEntry {
    std::string operation;
    std::string target, action, origin, delegate, client_name;
    OperationState state{};
    WallTime completed{};  ///< of finished operations
    Outcome outcome;
};

class Fencer {
public:
    explicit Fencer(FencerConfig config);
    ~Fencer();
    Fencer(Fencer&&) noexcept;
    Fencer& operator=(Fencer&&) noexcept;

    // Clients of the service stonith-ng. The client is known from its connection; a request of one that was never
    // announced is refused.
    [[nodiscard]] Effects on_client_connected(const Now& now, const wire::Client& client);
    [[nodiscard]] Effects on_client_request(const Now& now, const wire::ClientRequest& request);
    [[nodiscard]] Effects on_client_closed(const Now& now, wire::ClientId client);

    /// The controller of this node. `token` is the caller's and comes back in LocalReply.
    [[nodiscard]] Effects on_local_request(const Now& now, std::uint32_t token, const FenceRequest& request);

    [[nodiscard]] Effects on_peer_message(const Now& now, const wire::PeerMessage& message);
    [[nodiscard]] Effects on_group_change(const Now& now, const wire::GroupChange& change);
    /// Until the first one, nothing is known of a quorum and nothing is refused for want of it.
    [[nodiscard]] Effects on_quorum(const Now& now, const wire::QuorumView& view);
    [[nodiscard]] Effects on_node_identified(const Now& now, const wire::NodeRef& node);

    [[nodiscard]] Effects on_timer(const Now& now, std::string_view name);
    /// `status`: kDone (exit_code valid), kTimeout, kNotInstalled, kError. Unknown tokens are ignored and logged.
    [[nodiscard]] Effects on_agent_done(const Now& now, std::uint32_t token, ExecStatus status, int exit_code,
                                        std::string_view output, std::string_view error);
    /// The agent's metadata as XML text; empty with a fault.
    [[nodiscard]] Effects on_metadata(const Now& now, std::uint32_t token, std::string_view xml,
                                      std::string_view fault);

    /// The CIB as it is from now on. Devices, levels, options and remote nodes are taken from it; cheap if the sections
    /// that matter here are the same nodes as before.
    [[nodiscard]] Effects on_cib_change(const Now& now, xml::NodePtr cib);

    // What checkers, status commands and tests look at; never changed by looking.
    [[nodiscard]] std::vector<HistoryEntry> history() const;     ///< oldest first, pending ones last
    [[nodiscard]] std::vector<std::string> devices() const;      ///< ids of the registered devices, in order
    [[nodiscard]] std::vector<std::string> check_state() const;  ///< broken invariants, in words; empty if none

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace systole::fencing
