// controller/fsa.cpp — a controller's life: start, election, losing and taking office, shutdown.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cib/request.h"
#include "controller/state.h"

namespace systole::controller {
namespace {
using membership::PeerEventKind;
using membership::Verdict;

constexpr Duration kDeadtimeDefault = std::chrono::seconds(20);
constexpr Duration kVoteAgain = std::chrono::seconds(1);
constexpr Duration kAnnounceAgain = std::chrono::seconds(1);
constexpr Duration kEscalation = std::chrono::minutes(20);
}  // namespace

void Controller::State::start_if_ready() {
    if (group_asked || !cib_ready || !resources.executor_up() || !peers.has_view() || shutting_down) return;
    group_asked = true;
    out.emplace_back(JoinGroup{wire::Group::kController});
}

void Controller::State::on_peer_events(const membership::PeerEvents& events, const std::set<NodeId>& active_before) {
    if (std::holds_alternative<Stopping>(phase)) return;
    alert_of_members();
    bool greet_all = false;
    std::vector<NodeId> lost;  ///< whose cores were awaited back, and whose machines are gone now
    if (joined_group && std::holds_alternative<Starting>(phase)) {
        out.emplace_back(OpenService{wire::Service::kController});
        enter_pending();
        greet_all = true;
    }
    if (std::holds_alternative<Starting>(phase)) return;
    for (const auto& event : events) {
        if (event.node == self.id) continue;
        const std::string name = peers.name_of(event.node);
        switch (event.kind) {
            case PeerEventKind::kOnline:
                fenced_unrecorded.erase(name);
                online_at[event.node] = now.mono;
                fence_failures.erase(name);
                vanished.erase(event.node);
                leaving.erase(event.node);
                if (!greet_all) greet(event.node);
                break;
            case PeerEventKind::kOffline:
            case PeerEventKind::kMemberLost:
                if (event.kind == PeerEventKind::kOffline &&
                    peers.find(event.node)->expected != membership::Expected::kDown) {
                    vanished[event.node] = now.mono;
                } else {
                    vanished.erase(event.node);
                    if (Office* mine = settled_office(); mine != nullptr && mine->missing.contains(event.node))
                        lost.push_back(event.node);
                }
                if (auto* pending = std::get_if<Pending>(&phase); pending != nullptr)
                    pending->greetings.erase(event.node);
                throttles.erase(name);
                break;
            case PeerEventKind::kMemberGained:
            case PeerEventKind::kNamed: break;
        }
    }
    for (const NodeId node : lost) declare_lost(node);
    const std::set<NodeId> active = peers.active();
    for (const NodeId node : active_before) {
        const bool replaced = std::ranges::any_of(
            events, [&](const auto& e) { return e.node == node && e.kind == PeerEventKind::kOffline; });
        if (active.contains(node) && !replaced) continue;
        const std::string name = peers.name_of(node);
        log(wire::Severity::kNotice, fmt::format("{} left the cluster", name), name);
        if (office() != nullptr) {
            peer_lost(node);
        } else if (same_ignoring_case(member.dc(), name)) {
            dc_lost(fmt::format("the DC {} left", name));
        }
    }
    for (const NodeId node : active) {
        if (active_before.contains(node) || node == self.id || office() == nullptr) continue;
        if (board.phase(node)) continue;
        offer(node);
    }
    on_verdict(election.on_members(active), nullptr, nullptr);
    if (std::holds_alternative<Pending>(phase)) elect_if_due();
}

void Controller::State::enter_pending() {
    Pending next;
    if (const auto* before = std::get_if<Pending>(&phase); before != nullptr) next = *before;
    phase = std::move(next);
    member.reset();
    importing = false;
    greet(NodeId{});
    announce();
    arm("dc-deadtime", duration_option("dc-deadtime", kDeadtimeDefault));
}

void Controller::State::announce() {
    send("", message("join_announce", "dc", "crmd", "").build());
    arm("greetings", kAnnounceAgain);
}

/// Tells a peer (id 0: everybody) our name and whom we take for the DC. Peers that learn from every member that there
/// is none need not wait for one.
void Controller::State::greet(NodeId node) {
    const std::string to = peers.name_of(node);
    auto hello = message("hello", "crmd", "crmd", to);
    hello.set("dc", dc_name()).set("crmd_state", state_name());
    send(to, std::move(hello).build());
}

void Controller::State::on_greeting(const wire::NodeRef& from, const xml::Node& hello) {
    if (from.id == self.id) return;
    if (hello.get("leaving") == "true") {
        peers.set_expected(from.id, membership::Expected::kDown);
        return;
    }
    auto* pending = std::get_if<Pending>(&phase);
    if (pending == nullptr) return;
    pending->greetings[from.id] = {hello.has("dc"), std::string(hello.get("dc"))};
    elect_if_due();
}

void Controller::State::elect_if_due() {
    const auto* pending = std::get_if<Pending>(&phase);
    if (pending == nullptr || !peers.is_active(self.id)) return;
    if (pending->deadtime_over) {
        call_election("no DC showed up within dc-deadtime");
        return;
    }
    // Everybody we know of is here, and everybody says that there is no DC: nobody is left to wait for.
    for (const auto& [id, peer] : peers.all()) {
        if (id == self.id) continue;
        if (!peer.active()) return;
        const auto greeting = pending->greetings.find(id);
        if (greeting == pending->greetings.end() || !greeting->second.told_dc || !greeting->second.dc.empty()) return;
    }
    const xml::Node* configuration = cib ? cib->child("configuration") : nullptr;
    const xml::Node* nodes = configuration == nullptr ? nullptr : configuration->child("nodes");
    if (nodes != nullptr) {
        for (const auto& node : nodes->children()) {
            if (!node->is("node") || (node->has("type") && node->get("type") != "member")) continue;
            const membership::Peer* peer = peers.find(node->get("uname"));
            if (peer == nullptr || !peer->active()) return;
        }
    }
    call_election("all known nodes are here and none is DC");
}

void Controller::State::call_election(std::string_view why) {
    const auto active = peers.active();
    const bool in_office =
        office() != nullptr || (std::holds_alternative<Electing>(phase) && std::get<Electing>(phase).in_office);
    if (!std::holds_alternative<Electing>(phase)) {
        log(wire::Severity::kInfo, fmt::format("calling an election: {}", why));
        if (office() != nullptr) abort("election");
        phase = Electing{.in_office = in_office, .since = now.mono};
        disarm("dc-deadtime");
        disarm("greetings");
        arm("election", duration_option("election-timeout", membership::kElectionTimeout));
    }
    const auto vote = election.start(now.mono, now.mono - born.value_or(now.mono), active);
    send("", vote_message(vote, "crmd", "", wire::make_reference("vote", "crmd", now.wall, references++)));
    arm("vote-again", kVoteAgain);
}

void Controller::State::on_vote(const wire::NodeRef& from, const xml::Node& message) {
    const auto vote = membership::parse_vote(message);
    if (!vote) {
        log(wire::Severity::kWarning, vote.error().what, from.name);
        return;
    }
    const auto active = peers.active();
    const bool eligible = !std::holds_alternative<Starting>(phase) && !std::holds_alternative<Stopping>(phase);
    const Duration age = now.mono - born.value_or(now.mono);
    on_verdict(election.on_vote(now.mono, age, from, *vote, {.eligible = eligible, .active = active}), &*vote, &from);
}

void Controller::State::on_verdict(Verdict verdict, const membership::Vote* vote, const wire::NodeRef* from) {
    switch (verdict) {
        case Verdict::kNothing: return;
        case Verdict::kCall: call_election(fmt::format("{} voted, and we come before it", from->name)); return;
        case Verdict::kElected: take_office(); return;
        case Verdict::kLost: break;
    }
    send(from->name, vote_message(election.answer(*vote), "crmd", from->name,
                                  wire::make_reference("no-vote", "crmd", now.wall, references++)));
    disarm("election");
    disarm("vote-again");
    const bool held_office = holds_office();
    if (held_office) leave_office(fmt::format("{} won the election", from->name));
    // A member whose own DC votes goes on following it: the offer comes in a moment.
    if (std::holds_alternative<Following>(phase) && same_ignoring_case(member.dc(), from->name)) return;
    if (std::holds_alternative<Electing>(phase) || std::holds_alternative<Following>(phase) || held_office) {
        phase = Pending{};
        member.reset();
        importing = false;
        // The winner's offer is on its way; only if it dies before that somebody has to act.
        arm("dc-deadtime", duration_option("dc-deadtime", kDeadtimeDefault));
    }
}

void Controller::State::take_office() {
    disarm("election");
    disarm("vote-again");
    disarm("dc-deadtime");
    disarm("greetings");
    log(wire::Severity::kNotice, fmt::format("{} is the DC now", self.name), self.name);
    phase = Office{};
    member.reset();
    write_takeover();
    begin_integration();
}

void Controller::State::leave_office(std::string_view why) {
    log(wire::Severity::kNotice, fmt::format("{} is no longer DC: {}", self.name, why), self.name);
    cib_call(cib::make_request(cib::Op::kSecondary, "", {}));
    board.clear();
    perform(runner.reset());
    plan_wanted = false;
    plan_waits.clear();
    cib_waits.clear();
    awaited_counts.clear();
    fencings.clear();
    recheck_by.reset();
    for (const auto* timer : {"integration", "finalization", "sync", "counts", "plan", "recheck", "missing"})
        disarm(timer);
    phase = Pending{};
}

void Controller::State::dc_lost(std::string_view why) {
    log(wire::Severity::kNotice, fmt::format("{}: electing another", why));
    member.reset();
    importing = false;
    if (std::holds_alternative<Electing>(phase)) return;
    if (!std::holds_alternative<Pending>(phase)) phase = Pending{};
    call_election(why);
}

// ---- Shutdown -------------------------------------------------------------------------------------------------------

void Controller::State::request_shutdown() {
    if (shutting_down || std::holds_alternative<Stopping>(phase)) return;
    shutting_down = true;
    arm("escalation", duration_option("shutdown-escalation", kEscalation));
    if (!joined_group || (resources.active().empty() && resources.running() == 0 && !ever_joined)) {
        stop(ExitCode::kOk, "shutdown requested before the node joined");
        return;
    }
    log(wire::Severity::kNotice, fmt::format("{} asks to shut down", self.name), self.name);
    send("", message("req_shutdown", "crmd", "crmd", "").build());
    if (std::holds_alternative<Pending>(phase) && peers.active().size() == 1)
        call_election("shutting down without a DC");
}

void Controller::State::on_shutdown_request(const wire::NodeRef& from) {
    // Asking is not being done: a node that vanishes before its resources are stopped is lost like any other.
    leaving.insert(from.id);
    if (office() == nullptr) return;
    log(wire::Severity::kNotice, fmt::format("{} wants to shut down: moving its resources away", from.name), from.name);
    xml::Builder update("update_attr");
    update.set("t", "attrd")
        .set("src", "crmd")
        .set("task", "update")
        .set("attr_name", "shutdown")
        .set("attr_value", static_cast<long long>(now.wall.seconds))
        .set("attr_host", from.name)
        .set("attr_host_id", from.id.value)
        .set("attr_is_remote", "0")
        .set("attr_is_private", "0");
    out.emplace_back(AttributeCall{std::move(update).build()});
}

void Controller::State::stop(ExitCode code, std::string why) {
    if (std::holds_alternative<Stopping>(phase)) return;
    log(wire::Severity::kNotice, fmt::format("{} leaves the cluster: {}", self.name, why), self.name);
    for (const auto* timer : {"dc-deadtime", "greetings", "election", "vote-again", "integration", "finalization",
                              "sync", "counts", "plan", "recheck", "missing", "escalation"})
        disarm(timer);
    perform(runner.reset());
    perform(connections.close_all());
    remote_resources.clear();
    if (joined_group) {
        // A farewell says that nothing runs here any more: nobody has to be fenced for our leaving.
        if (ever_joined && resources.active().empty() && resources.running() == 0) {
            if (office() != nullptr) {
                auto last = message("join_offer", "crmd", "dc", "");
                last.set("join_id", board.id()).set("dc-leaving", "true").set("crm_feature_set", wire::kFeatureSet);
                send("", std::move(last).build());
            }
            auto farewell = message("hello", "crmd", "crmd", "");
            farewell.set("leaving", "true");
            send("", std::move(farewell).build());
        }
        out.emplace_back(LeaveGroup{wire::Group::kController});
    }
    joined_group = false;
    phase = Stopping{};
    out.emplace_back(StopParts{code, std::move(why)});
}

}  // namespace systole::controller
