#include "controller/controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cib/request.h"
#include "controller/state.h"

namespace systole::controller {
namespace {

/// A version 4 UUID out of a seed (splitmix64).
std::string make_uuid(std::uint64_t seed) {
    const auto next = [&seed] {
        seed += 0x9e3779b97f4a7c15U;
        std::uint64_t z = seed;
        z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31U);
    };
    const std::uint64_t a = next();
    const std::uint64_t b = next();
    return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", a >> 32U, (a >> 16U) & 0xffffU, a & 0xfffU,
                       0x8000U | ((b >> 48U) & 0x3fffU), b & 0xffffffffffffU);
}

}  // namespace

Controller::State::State(NodeConfig the_config)
    : config(std::move(the_config)),
      self(config.self),
      election(self),
      resources(self),
      alerts(config.version),
      runner(make_uuid(config.seed)) {
    peers.on_identified(self);
}

// ---- Plumbing -------------------------------------------------------------------------------------------------------

ControllerEffects Controller::State::finish() {
    // Bounded: every message to ourselves is an answer to another, and chains of them are short.
    for (int rounds = 0; !inbox.empty() || !unreachable.empty(); ++rounds) {
        SYSTOLE_ASSERT(rounds < 100'000, "messages to ourselves must come to an end");
        if (!unreachable.empty()) {
            for (const std::string& node : std::exchange(unreachable, {})) perform(runner.on_node_lost(now.mono, node));
            continue;
        }
        const xml::NodePtr next = inbox.front();
        inbox.pop_front();
        on_message(self, next);
    }
    return std::exchange(out, {});
}

void Controller::State::log(wire::Severity severity, std::string text, std::string node, std::string resource) {
    out.emplace_back(wire::Log{.severity = severity,
                               .text = std::move(text),
                               .node = std::move(node),
                               .resource = std::move(resource),
                               .transition = office() != nullptr ? runner.transition() : -1});
}

xml::Builder Controller::State::message(std::string_view task, std::string_view to_system, std::string_view from_system,
                                        std::string_view to_host, xml::NodePtr data) {
    const std::string reference = wire::make_reference(task, from_system, now.wall, references++);
    return wire::make_message({.origin = "systole",
                               .task = task,
                               .to_system = to_system,
                               .from_system = from_system,
                               .to_host = to_host,
                               .reference = reference},
                              std::move(data));
}

void Controller::State::send(const std::string& to, xml::NodePtr message) {
    if (!to.empty() && same_ignoring_case(to, self.name)) {
        xml::Builder local(*message);
        local.set("src", self.name);
        inbox.push_back(std::move(local).build());
        return;
    }
    out.emplace_back(wire::Multicast{wire::Group::kController, to, std::move(message)});
}

void Controller::State::arm(std::string_view name, Duration in) {
    out.emplace_back(wire::ArmTimer{std::string(kControllerTimers) + std::string(name), now.mono + in});
}

void Controller::State::disarm(std::string_view name) {
    out.emplace_back(wire::CancelTimer{std::string(kControllerTimers) + std::string(name)});
}

void Controller::State::cib_call(xml::NodePtr request, std::optional<CibWait> wait) {
    std::uint64_t token = 0;
    if (wait) {
        token = ++cib_tokens;
        if (wait->reason == CibReason::kPlanInput) plan_waits.insert(token);
        cib_waits.emplace(token, *wait);
    }
    out.emplace_back(CibCall{token, std::move(request), {}});
}

void Controller::State::perform(Resources::Step step) { perform(std::string(), std::move(step)); }

void Controller::State::perform(const std::string& owner, Resources::Step step) {
    for (ControllerEffect& effect : step.effects) {
        if (auto* metadata = std::get_if<FetchMetadata>(&effect); metadata != nullptr) {
            metadata_owners.emplace(++metadata_tokens, std::pair(owner, metadata->token));
            metadata->token = metadata_tokens;
        } else if (auto* call = std::get_if<CibCall>(&effect); call != nullptr && call->token != 0) {
            cib_owners.emplace(++resource_tokens, std::pair(owner, call->token));
            call->token = resource_tokens;
        } else if (auto* request = std::get_if<ToExecutor>(&effect); request != nullptr && !owner.empty()) {
            perform(connections.send(now, owner, request->request, request->message));
            continue;
        }
        out.push_back(std::move(effect));
    }
    for (const Resources::Ended& one : step.ended) {
        if (is_told(one.result)) alert(alert_of_operation(owner.empty() ? self.name : owner, one.resource, one.result));
    }
    for (const DirectAck& ack : step.acks) route(ack);
    for (const ConnectionOrder& order : step.orders) perform(connections.order(now, order));
    if (!step.imported) return;
    if (!owner.empty()) {
        remote_imported(owner);
    } else if (importing) {
        importing = false;
        confirm_join();
    }
}

void Controller::State::alert(const AlertEvent& event) {
    const int offset = config.utc_offset == nullptr ? 0 : config.utc_offset(now.wall);
    for (xml::NodePtr& request : alerts.requests(now, offset, cib.get(), event)) {
        if (resources.executor_up()) {
            out.emplace_back(ToExecutor{kAlertRequests + alert_requests++ % kAlertRequests, std::move(request)});
        } else {
            log(wire::Severity::kWarning, "an alert is lost: there is no executor to run its agent");
        }
    }
}

/// Tells of nodes that became members or are members no more since this was called last.
void Controller::State::alert_of_members() {
    if (!cib || !resources.executor_up()) return;
    for (const auto& [id, peer] : peers.all()) {
        if (id == self.id || peer.name.empty() || peer.member == members_told.contains(id)) continue;
        if (peer.member) {
            members_told.insert(id);
        } else {
            members_told.erase(id);
        }
        alert(alert_of_node(peer.name, id.value, peer.member));
    }
}

void Controller::State::remote_is(std::string_view node, bool up, std::string_view host) {
    const auto known = peers.remotes().find(node);
    const bool was_up = known != peers.remotes().end() && known->second.up;
    peers.set_remote(node, up, host);
    if (up != was_up) alert(alert_of_node(node, 0, up));
}

std::string Controller::State::option(std::string_view name, std::string_view fallback) const {
    // The first set that has the option counts, the bootstrap set before all others.
    const xml::Node* configuration = cib ? cib->child("configuration") : nullptr;
    const xml::Node* options = configuration == nullptr ? nullptr : configuration->child("crm_config");
    if (options == nullptr) return std::string(fallback);
    std::optional<std::string> found;
    for (const auto& set : options->children()) {
        if (!set->is("cluster_property_set")) continue;
        for (const auto& pair : set->children()) {
            if (!pair->is("nvpair") || pair->get("name") != name || !pair->has("value")) continue;
            if (set->id() == "cib-bootstrap-options") return std::string(pair->get("value"));
            if (!found) found = pair->get("value");
        }
    }
    return found.value_or(std::string(fallback));
}

Duration Controller::State::duration_option(std::string_view name, Duration fallback) const {
    return parse_interval(option(name, "")).value_or(fallback);
}

Office* Controller::State::settled_office() {
    Office* mine = office();
    return mine != nullptr && mine->settled ? mine : nullptr;
}

bool Controller::State::holds_office() const {
    if (office() != nullptr) return true;
    const auto* electing = std::get_if<Electing>(&phase);
    return electing != nullptr && electing->in_office;
}

std::string Controller::State::dc_name() const {
    if (office() != nullptr) return self.name;
    if (std::holds_alternative<Following>(phase)) return member.dc();
    return {};
}

std::string Controller::State::state_name() const {
    struct Names {
        std::string operator()(const Starting&) const { return "S_STARTING"; }
        std::string operator()(const Pending&) const { return "S_PENDING"; }
        std::string operator()(const Electing&) const { return "S_ELECTION"; }
        std::string operator()(const Office& office) const {
            switch (office.step) {
                case DcStep::kIntegration: return "S_INTEGRATION";
                case DcStep::kFinalizing: return "S_FINALIZE_JOIN";
                case DcStep::kIdle: return "S_IDLE";
                case DcStep::kPlanning: return "S_POLICY_ENGINE";
                case DcStep::kRunning: return "S_TRANSITION_ENGINE";
            }
            return "S_IDLE";
        }
        std::string operator()(const Following&) const { return "S_NOT_DC"; }
        std::string operator()(const Stopping&) const { return "S_STOPPING"; }
    };
    return std::visit(Names{}, phase);
}

bool Controller::State::times_as_epoch() const { return config.node_state_times; }

// ---- Inputs ---------------------------------------------------------------------------------------------------------

Controller::Controller(NodeConfig config) : state_(std::make_unique<State>(std::move(config))) {}
Controller::~Controller() = default;
Controller::Controller(Controller&&) noexcept = default;
Controller& Controller::operator=(Controller&&) noexcept = default;

ControllerEffects Controller::on_cib_ready(const Now& now, const xml::NodePtr& cib) {
    State& s = *state_;
    s.now = now;
    if (!s.born) s.born = now.mono;
    s.cib = cib;
    s.cib_ready = true;
    s.start_if_ready();
    return s.finish();
}

ControllerEffects Controller::on_cib_changed(const Now& now, const cib::Changed& change) {
    State& s = *state_;
    s.now = now;
    s.cib = change.after;
    if (change.patchset) {
        s.read_own_deletions(*change.patchset);
        if (!s.awaited_bans.empty()) s.release_banned();
        if (s.holds_office()) s.read_patchset(*change.patchset);
    }
    return s.finish();
}

ControllerEffects Controller::on_cib_behind(const Now& now, const std::string& node) {
    State& s = *state_;
    s.now = now;
    if (s.settled_office() != nullptr) {
        const std::string why = fmt::format("{} has a newer CIB", node);
        s.log(wire::Severity::kNotice, fmt::format("{}: everybody joins again, with the newest", why), node);
        s.abort(why);
        s.begin_integration();
    }
    return s.finish();
}

ControllerEffects Controller::on_cib_reply(const Now& now, std::uint64_t token, const xml::NodePtr& reply) {
    State& s = *state_;
    s.now = now;
    if (token >= Resources::kTokenBase) {
        const auto owner = s.cib_owners.extract(token);
        if (owner.empty()) return s.finish();
        const auto [node, own_token] = owner.mapped();
        if (Resources* there = s.resources_of(node); there != nullptr)
            s.perform(node, there->on_cib_reply(now, own_token, reply.get()));
        return s.finish();
    }
    const auto found = s.cib_waits.find(token);
    if (found == s.cib_waits.end()) return s.finish();
    const CibWait wait = found->second;
    s.cib_waits.erase(found);
    s.plan_waits.erase(token);
    const int rc = reply ? static_cast<int>(parse_integer(reply->get("cib_rc")).value_or(-71)) : -110;
    if (rc != 0 && wait.reason != CibReason::kSynced)
        s.log(wire::Severity::kError,
              fmt::format("the CIB manager refused a write of the controller: {} ({})", describe_legacy(rc), rc));
    switch (wait.reason) {
        case CibReason::kSynced: s.synced(rc); break;
        case CibReason::kConfirmed: s.history_stored(wait.node); break;
        case CibReason::kPlanInput: break;
        case CibReason::kFenced: s.fencing_recorded(wait.fence_token); break;
    }
    s.plan_if_ready();
    return s.finish();
}

ControllerEffects Controller::on_client_connected(const Now& now, const wire::Client& client) {
    state_->now = now;
    state_->clients[client.id] = client;
    return {};
}

ControllerEffects Controller::on_client_request(const Now& now, const wire::ClientRequest& request) {
    State& s = *state_;
    s.now = now;
    const auto client = s.clients.find(request.client);
    if (client != s.clients.end()) s.on_client_request(client->second, request);
    return s.finish();
}

ControllerEffects Controller::on_client_closed(const Now& now, wire::ClientId client) {
    state_->now = now;
    state_->clients.erase(client);
    state_->hellos.erase(client);
    return {};
}

ControllerEffects Controller::on_group_change(const Now& now, const wire::GroupChange& change) {
    State& s = *state_;
    s.now = now;
    const auto before = s.peers.active();
    const auto events = s.peers.on_group(change, now.wall);
    const bool here = std::ranges::any_of(change.members, [&](const auto& m) { return m.node == s.self.id; });
    if (!here) {
        if (s.joined_group && !std::holds_alternative<Stopping>(s.phase))
            s.stop(ExitCode::kDisconnected, "the cluster engine took this node out of the controllers' group");
        return s.finish();
    }
    s.joined_group = true;
    s.on_peer_events(events, before);
    return s.finish();
}

ControllerEffects Controller::on_quorum(const Now& now, const wire::QuorumView& view) {
    State& s = *state_;
    s.now = now;
    const bool was_quorate = s.peers.quorate();
    const auto before = s.peers.active();
    const auto events = s.peers.on_quorum(view, now.wall);
    s.start_if_ready();
    if (was_quorate != s.peers.quorate()) {
        s.log(wire::Severity::kNotice, s.peers.quorate() ? "quorum acquired" : "quorum lost");
        if (s.settled_office() != nullptr) {
            s.write_quorum();
            s.abort("quorum changed");
        }
    }
    s.on_peer_events(events, before);
    return s.finish();
}

ControllerEffects Controller::on_identified(const Now& now, const wire::NodeRef& node) {
    State& s = *state_;
    s.now = now;
    const auto before = s.peers.active();
    s.on_peer_events(s.peers.on_identified(node), before);
    return s.finish();
}

ControllerEffects Controller::on_peer_message(const Now& now, const wire::PeerMessage& message) {
    State& s = *state_;
    s.now = now;
    if (std::holds_alternative<Stopping>(s.phase) || !message.message) return s.finish();
    const auto before = s.peers.active();
    s.on_peer_events(s.peers.on_identified(message.from), before);
    s.on_message(message.from, message.message);
    return s.finish();
}

ControllerEffects Controller::on_timer(const Now& now, const std::string& name) {
    State& s = *state_;
    s.now = now;
    if (!name.starts_with(kControllerTimers)) return s.finish();
    const std::string_view timer = std::string_view(name).substr(kControllerTimers.size());
    constexpr std::string_view kRun = "run/";
    if (timer.starts_with(kRun)) {
        s.perform(s.runner.on_timer(now.mono, timer.substr(kRun.size())));
    } else if (timer.starts_with(kConnectionTimers)) {
        s.perform(s.connections.on_timer(now, timer));
    } else if (timer == "dc-deadtime") {
        if (auto* pending = std::get_if<Pending>(&s.phase); pending != nullptr) {
            pending->deadtime_over = true;
            s.elect_if_due();
        }
    } else if (timer == "greetings") {
        if (std::holds_alternative<Pending>(s.phase)) s.announce();
    } else if (timer == "election") {
        s.on_verdict(s.election.on_timeout(), nullptr, nullptr);
    } else if (timer == "vote-again") {
        if (std::holds_alternative<Electing>(s.phase) && s.election.state() == membership::Election::State::kInProgress)
            s.call_election("not everybody has answered");
    } else if (timer == "integration" || timer == "finalization") {
        s.log(wire::Severity::kWarning,
              fmt::format("join-{}: not every node has answered in time; going on without them", s.board.id()));
        for (const NodeId node : s.board.in(membership::JoinPhase::kOffered)) s.board.forget(node);
        if (timer == "finalization") {
            for (const NodeId node : s.board.in(membership::JoinPhase::kFinalized)) s.board.forget(node);
        }
        s.advance_join();
    } else if (timer == "sync") {
        if (Office* mine = s.office(); mine != nullptr && mine->syncing) s.synced(-110);
    } else if (timer == "missing") {
        s.end_grace();
    } else if (timer == "counts") {
        s.awaited_counts.clear();
        s.plan_if_ready();
    } else if (timer == "plan" || timer == "recheck") {
        s.want_plan(timer == "recheck" ? "recheck" : s.plan_reason.empty() ? "retry" : s.plan_reason);
    } else if (timer == "escalation") {
        s.log(wire::Severity::kError, "shutdown takes too long: leaving without having stopped everything");
        s.stop(ExitCode::kError, "shutdown-escalation");
    }
    return s.finish();
}

ControllerEffects Controller::on_executor_up(const Now& now) {
    State& s = *state_;
    s.now = now;
    s.perform(s.resources.on_executor_up(now));
    s.alert_of_members();
    s.start_if_ready();
    return s.finish();
}

ControllerEffects Controller::on_executor_down(const Now& now) {
    State& s = *state_;
    s.now = now;
    s.log(wire::Severity::kWarning, "the executor is gone: operations wait until it is back");
    s.perform(s.resources.on_executor_down(now));
    return s.finish();
}

ControllerEffects Controller::on_attribute_changed(const Now& now, const attributes::Changed& change) {
    State& s = *state_;
    s.now = now;
    if (!change.by_writer) return {};
    const membership::Peer* peer = s.peers.find(change.node);
    s.alert(alert_of_attribute(change, peer == nullptr ? 0 : peer->id.value));
    return s.finish();
}

ControllerEffects Controller::on_executor_reply(const Now& now, const ExecutorReply& reply) {
    State& s = *state_;
    s.now = now;
    s.perform(s.resources.on_reply(now, reply));
    return s.finish();
}

ControllerEffects Controller::on_executor_event(const Now& now, const ExecutorEvent& event) {
    State& s = *state_;
    s.now = now;
    if (event.message) s.perform(s.resources.on_event(now, *event.message));
    return s.finish();
}

ControllerEffects Controller::on_metadata(const Now& now, const MetadataReady& metadata) {
    State& s = *state_;
    s.now = now;
    const auto owner = s.metadata_owners.extract(metadata.token);
    if (owner.empty()) return s.finish();
    const auto [node, own_token] = owner.mapped();
    MetadataReady own = metadata;
    own.token = own_token;
    if (Resources* there = s.resources_of(node); there != nullptr) s.perform(node, there->on_metadata(now, own));
    return s.finish();
}

ControllerEffects Controller::on_plan(const Now& now, const PlanReady& plan) {
    State& s = *state_;
    s.now = now;
    s.on_plan(plan);
    return s.finish();
}

ControllerEffects Controller::on_load(const Now& now, const LoadSampled& load) {
    State& s = *state_;
    s.now = now;
    const auto threshold =
        static_cast<unsigned>(parse_integer(trim(split(s.option("load-threshold", "80%"), "%").empty()
                                                     ? std::string_view("80")
                                                     : split(s.option("load-threshold", "80%"), "%").front()))
                                  .value_or(80));
    // Load per core against the threshold times 1.2, 1.6 and 2.0: low, medium, high.
    const unsigned base = threshold * 10;
    unsigned mode = 0x0000;
    if (load.load_permille > base * 2) {
        mode = 0x0100;
    } else if (load.load_permille > base * 16 / 10) {
        mode = 0x0010;
    } else if (load.load_permille > base * 12 / 10) {
        mode = 0x0001;
    }
    if (mode != s.own_mode && s.joined_group) {
        s.own_mode = mode;
        const long long limit = parse_integer(s.option("node-action-limit", "0")).value_or(0);
        auto message = s.message("throttle", "crmd", "crmd", "");
        message.set("crm-limit-mode", mode).set("crm-limit-max", limit > 0 ? limit : 2LL * s.config.cpu_count);
        s.send("", std::move(message).build());
    }
    return s.finish();
}

ControllerEffects Controller::on_fenced(const Now& now, const fencing::LocalReply& reply) {
    State& s = *state_;
    s.now = now;
    s.on_fenced(reply);
    return s.finish();
}

ControllerEffects Controller::on_fence_notice(const Now& now, const fencing::FenceNotice& notice) {
    State& s = *state_;
    s.now = now;
    s.on_fence_notice(notice);
    return s.finish();
}

ControllerEffects Controller::on_shutdown(const Now& now) {
    State& s = *state_;
    s.now = now;
    s.request_shutdown();
    return s.finish();
}

ControllerEffects Controller::on_remote_connected(const Now& now, const RemoteConnected& input) {
    State& s = *state_;
    s.now = now;
    s.perform(s.connections.on_connected(now, input));
    return s.finish();
}

ControllerEffects Controller::on_remote_message(const Now& now, const RemoteMessage& input) {
    State& s = *state_;
    s.now = now;
    s.perform(s.connections.on_message(now, input));
    return s.finish();
}

ControllerEffects Controller::on_remote_lost(const Now& now, const RemoteLost& input) {
    State& s = *state_;
    s.now = now;
    s.perform(s.connections.on_lost(now, input));
    return s.finish();
}

std::vector<std::string> Controller::connected_remotes() const { return state_->connections.up(); }

std::string Controller::state() const { return state_->state_name(); }
std::string Controller::dc() const { return state_->dc_name(); }
bool Controller::awaits_plan(std::uint32_t token) const { return state_->awaits_plan(token); }

std::vector<std::string> Controller::check_state() const {
    const State& s = *state_;
    std::vector<std::string> broken = s.peers.check_state();
    std::ranges::move(s.resources.check_state(), std::back_inserter(broken));
    std::ranges::move(s.runner.check_state(), std::back_inserter(broken));
    std::ranges::move(s.connections.check_state(), std::back_inserter(broken));
    for (const auto& [node, there] : s.remote_resources) {
        std::ranges::move(there.check_state(), std::back_inserter(broken));
        if (!s.connections.is_up(node)) broken.push_back("resources on " + node + " are kept without a connection");
    }
    const Office* office = s.office();
    if (!s.holds_office() && s.runner.running()) broken.emplace_back("a transition runs although this node is not DC");
    if (office != nullptr && !office->settled && s.runner.running())
        broken.emplace_back("a transition runs before the members have joined");
    return broken;
}

}  // namespace systole::controller
