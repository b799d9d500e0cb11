#pragma once
// controller/state.h — what a controller holds, for the files that carry it out; nobody else includes this.
//
// fsa.cpp: life from start to end, election.  joining.cpp: both sides of the join.  dc.cpp: planning, carrying out,
// node_state.  remote_nodes.cpp: remote and guest nodes whose connections are hosted here.  events.cpp: what CIB
// changes mean.  fence.cpp: fencing.  requests.cpp: messages of peers and clients.
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>

#include "controller/alerts.h"
#include "controller/controller.h"
#include "controller/remote_connections.h"
#include "controller/resources.h"
#include "membership/election.h"
#include "membership/join.h"
#include "membership/peers.h"
#include "transition/runner.h"
#include "wire/message.h"

namespace systole::controller {

/// What a peer's controller said of itself when it greeted us.
struct Greeting {
    bool told_dc{};  ///< it is one of ours, and said whom it takes for the DC
    std::string dc;  ///< empty: nobody
};

// ---- Phases: what a controller is doing, each with what only that phase needs ---------------------------------------

struct Starting {};  ///< waits for CIB, executor, membership
struct Pending {
    bool deadtime_over{};                  ///< dc-deadtime passed without a DC
    std::map<NodeId, Greeting> greetings;  ///< since we came or they came
};
struct Electing {
    bool in_office{};  ///< we were DC when the election began
    Instant since;
};
enum class DcStep : std::uint8_t { kIntegration, kFinalizing, kIdle, kPlanning, kRunning };
struct Office {
    DcStep step = DcStep::kIntegration;
    bool syncing{};                 ///< a cib_sync is under way
    bool history_replaced = false;  ///< by a joiner's newer CIB: everybody has to tell again what runs there
    std::set<NodeId> confirming;    ///< their histories are on the way into the CIB
    bool settled{};                 ///< the first round of joins is over: plans may be made
    std::uint32_t plan_token{};     ///< of the plan under way
    bool replan{};                  ///< something changed while the plan was made
    bool leave_when_done{};         ///< our own do_shutdown was ordered
    std::set<NodeId> missing;       ///< their cores vanished a moment ago and may be back in another: no plan yet
};
struct Following {};
struct Stopping {};
using Phase = std::variant<Starting, Pending, Electing, Office, Following, Stopping>;

/// A core that crashed is started again at once, and its executor has kept its resources: fencing the node would be
/// worse than waiting this long, as long as the node itself is a member.
inline constexpr Duration kCoreGrace = std::chrono::seconds(2);

/// Above every synapse's priority: an event that makes the plan void leaves nothing of it to begin or to wait for.
inline constexpr int kAbortAll = 1'000'001;

/// Requests to run alert agents are numbered from here, clear of those of resources; nobody waits for their replies.
inline constexpr std::uint32_t kAlertRequests = 0x4000'0000U;

/// What a CIB reply that we asked for leads to.
enum class CibReason : std::uint8_t { kSynced, kConfirmed, kPlanInput, kFenced };
struct CibWait {
    CibReason reason{};
    NodeId node{};                ///< kConfirmed
    std::uint32_t fence_token{};  ///< kFenced
};

struct Fencing {
    std::string target, action;
    transition::Key key;  ///< of the graph's action
    std::uint32_t pid{};  ///< of the target's controller then: another one is another incarnation
};

struct Throttle {
    unsigned mode{}, max{};
};

/// A node's <lrm> in the CIB's status section; null if there is none.
const xml::Node* lrm_in(const xml::Node* cib, std::string_view node_id);

struct Controller::State {
    explicit State(NodeConfig the_config);

    // -- plumbing (controller.cpp) --
    [[nodiscard]] ControllerEffects finish();  ///< drains the inbox, hands out the effects
    void log(wire::Severity severity, std::string text, std::string node = {}, std::string resource = {});
    xml::Builder message(std::string_view task, std::string_view to_system, std::string_view from_system,
                         std::string_view to_host, xml::NodePtr data = {});
    void send(const std::string& to, xml::NodePtr message);  ///< to ourselves without the detour; empty: everybody
    void arm(std::string_view name, Duration in);
    void disarm(std::string_view name);
    void cib_call(xml::NodePtr request, std::optional<CibWait> wait = std::nullopt);
    void perform(Resources::Step step);                            ///< of this node's executor
    void perform(const std::string& owner, Resources::Step step);  ///< of a remote node's; empty: this node's
    void alert(const AlertEvent& event);
    void alert_of_members();
    /// What is known of a remote node's connection, and told where it is news.
    void remote_is(std::string_view node, bool up, std::string_view host);
    [[nodiscard]] std::string option(std::string_view name, std::string_view fallback) const;
    [[nodiscard]] Duration duration_option(std::string_view name, Duration fallback) const;
    [[nodiscard]] Office* office() { return std::get_if<Office>(&phase); }
    [[nodiscard]] const Office* office() const { return std::get_if<Office>(&phase); }
    [[nodiscard]] Office* settled_office();
    /// DC, or DC until an election ends that is under way: results of what we ordered still count.
    [[nodiscard]] bool holds_office() const;
    [[nodiscard]] std::string dc_name() const;
    [[nodiscard]] std::string state_name() const;
    [[nodiscard]] bool times_as_epoch() const;  ///< node_state carries times (feature set 3.18.0)

    // -- life (fsa.cpp) --
    void start_if_ready();
    void on_peer_events(const membership::PeerEvents& events, const std::set<NodeId>& active_before);
    void enter_pending();
    void announce();
    void greet(NodeId node);
    void on_greeting(const wire::NodeRef& from, const xml::Node& message);
    void elect_if_due();
    void call_election(std::string_view why);
    void on_vote(const wire::NodeRef& from, const xml::Node& message);
    void on_verdict(membership::Verdict verdict, const membership::Vote* vote, const wire::NodeRef* from);
    void take_office();
    void leave_office(std::string_view why);
    void dc_lost(std::string_view why);
    void request_shutdown();
    void on_shutdown_request(const wire::NodeRef& from);
    void stop(ExitCode code, std::string why);

    // -- joining (joining.cpp) --
    void begin_integration();
    void offer(NodeId node);
    void on_announce(const wire::NodeRef& from);
    void on_offer(const wire::NodeRef& from, const xml::Node& message);
    void on_join_request(const wire::NodeRef& from, const xml::Node& message);
    void advance_join();
    void synced(int rc);
    void on_join_ack(const wire::NodeRef& from, const xml::Node& message);
    void confirm_join();
    void on_join_confirm(const wire::NodeRef& from, const xml::Node& message);
    void history_stored(NodeId node);
    void all_joined();

    // -- the DC (dc.cpp) --
    void write_takeover();
    void write_node_states(const std::set<NodeId>& nodes, std::string_view why);
    void write_quorum();
    void peer_lost(NodeId node);
    void declare_lost(NodeId node);
    void end_grace();
    void want_plan(std::string_view why);
    void plan_if_ready();
    void on_plan(const PlanReady& plan);
    [[nodiscard]] bool awaits_plan(std::uint32_t token);
    void abort(std::string_view why);
    void perform(const transition::Effects& effects);
    void execute(const transition::Action& action, const transition::Key& key);
    void execute_cluster_action(const transition::Action& action, const transition::Key& key);
    void record_timeout(const transition::Action& action, const transition::Key& key);
    void transition_over(const transition::Finished& finished);
    void update_limits();

    // -- remote and guest nodes (remote_nodes.cpp) --
    void perform(RemoteConnections::Events events);
    void remote_up(const RemoteUp& up);
    void remote_gone(const std::string& node);
    void remote_down(const std::string& node);
    void remote_imported(const std::string& node);
    void remote_notice(const std::string& node, const xml::Node& message);
    void write_remote_state(const std::string& node, bool up, bool erase_history);
    void forget_attributes(const std::string& node);
    void tell_remote_state(const std::string& node, bool up);
    void on_remote_state(const wire::NodeRef& from, const xml::Node& message);
    void on_reach_request(const wire::NodeRef& from, const xml::Node& message);
    void remote_searched(const RemoteSearched& searched);
    void on_connection_result(const ConnectionResult& result);
    void release_banned();
    void on_pseudo_event(const transition::Action& action);
    [[nodiscard]] bool is_remote(std::string_view node) const;
    /// Who runs resources on that node as far as we reach it: this node's executor, a connected remote node's, or none.
    [[nodiscard]] Resources* resources_of(std::string_view node);

    // -- events (events.cpp) --
    void read_patchset(const xml::Node& patchset);
    void read_own_deletions(const xml::Node& patchset);
    void on_record(const xml::Node& record, std::string_view resource, const std::string& node);
    void on_direct_ack(const xml::Node& message);
    void offer_again(NodeId node);
    void count_failure(const xml::Node& record, std::string_view resource, const std::string& node,
                       const transition::Key& key, bool only_time);
    [[nodiscard]] std::string node_name(std::string_view state_id) const;
    [[nodiscard]] std::string transient_value(std::string_view node, std::string_view attribute) const;

    // -- fencing (fence.cpp) --
    void fence(const transition::Action& action, const transition::Key& key);
    void on_fenced(const fencing::LocalReply& reply);
    void record_former_fencings();
    void on_fence_notice(const fencing::FenceNotice& notice);
    void write_fenced(const std::string& target, std::optional<std::uint32_t> token);
    /// Is it among the nodes of the configuration or of the status?
    [[nodiscard]] bool is_in_cib(const std::string& name) const;
    void fencing_recorded(std::uint32_t token);
    void plan_after_failed_fencing();

    // -- requests (requests.cpp) --
    void on_message(const wire::NodeRef& from, const xml::NodePtr& message);
    void on_request(const wire::NodeRef& from, const xml::NodePtr& message);
    void on_client_request(const wire::Client& client, const wire::ClientRequest& request);
    void reply(const xml::Node& request, xml::NodePtr data);
    void route(const DirectAck& ack);
    void answer_node_info(const xml::Node& request);
    void answer_list_nodes(const xml::Node& request);
    void on_resource_request(const xml::NodePtr& message);
    void on_throttle(const wire::NodeRef& from, const xml::Node& message);
    void forget_node(const xml::Node& message, bool from_client);
    [[nodiscard]] Readiness readiness() const;

    NodeConfig config;
    wire::NodeRef self;
    Phase phase = Starting{};

    Now now{};
    ControllerEffects out;
    std::deque<xml::NodePtr> inbox;  ///< messages to ourselves
    std::uint64_t references = 0;
    std::optional<Instant> born;

    // Everybody's.
    xml::NodePtr cib;  ///< as of the last change that we were told of
    bool cib_ready{}, joined_group{}, group_asked{};
    membership::Peers peers;
    membership::Election election;
    membership::JoinMember member;
    bool importing{};  ///< acknowledged; the confirmation waits for the executor's answers
    bool ever_joined{};
    Resources resources;
    RemoteConnections connections;
    /// What runs on remote nodes, by name; those whose connection we host and which have accepted us.
    std::map<std::string, Resources, std::less<>> remote_resources;
    /// Connections that count as stopped here once the CIB says that they may not be started here.
    std::map<std::string, ConnectionResult> awaited_bans;
    /// Orders for remote nodes whose connection was lost and that are searched for: refused when that is over.
    std::map<std::string, std::vector<std::pair<xml::NodePtr, Requester>>> held_orders;
    /// Notices of remote executors that came before we had asked what runs there.
    std::map<std::string, std::vector<xml::NodePtr>> early_notices;
    /// Tokens that remote nodes' resources were given under another number: owner and its own token.
    std::uint32_t metadata_tokens = 0;
    std::map<std::uint32_t, std::pair<std::string, std::uint32_t>> metadata_owners;
    std::uint64_t resource_tokens = Resources::kTokenBase;
    std::map<std::uint64_t, std::pair<std::string, std::uint64_t>> cib_owners;
    bool shutting_down{};
    std::set<NodeId>
        leaving;  ///< asked to shut down; only the DC's order or their own farewell makes their end a clean one
    std::map<wire::ClientId, wire::Client> clients;
    std::map<wire::ClientId, std::string> hellos;  ///< clients that introduced themselves, with the names they gave
    /// Fenced while this node was not the DC that records it, and when that was heard.
    std::map<std::string, Instant> fenced_unrecorded;
    std::map<NodeId, Instant> online_at;        ///< when controllers of peers came, as far as we saw it
    std::map<NodeId, Instant> vanished;         ///< cores of members that ended without having said so, and when
    std::map<std::string, Throttle> throttles;  ///< by node
    unsigned own_mode = 0;

    Alerts alerts;
    std::uint32_t alert_requests = 0;
    std::set<NodeId> members_told;  ///< peers whose membership agents were told of

    // The DC's. The runner outlives an election that we win again: what is in flight stays known.
    membership::JoinBoard board;
    transition::Runner runner;
    int transitions = 0;
    std::uint32_t plan_tokens = 0;
    bool plan_wanted{};
    std::string plan_reason;
    std::uint64_t cib_tokens = 0;
    std::map<std::uint64_t, CibWait> cib_waits;
    std::set<std::uint64_t> plan_waits;  ///< CIB writes that the next plan must see
    /// Fail counts that were asked for and are not in the CIB yet: (node, attribute) with the value before. A plan made
    /// without them would recover in the wrong place.
    std::map<std::pair<std::string, std::string>, std::string> awaited_counts;
    std::uint32_t fence_tokens = 0;
    std::map<std::uint32_t, Fencing> fencings;
    std::map<std::string, int> fence_failures;  ///< in a row, by target
    bool fencing_failed{};                      ///< in the transition that runs: the next plan waits a while
    std::optional<std::int64_t> recheck_by;
    std::set<std::string>
        unreachable;  ///< actions were ordered there in this step, but the nodes are not here any more
};

}  // namespace systole::controller
