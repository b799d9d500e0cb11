// controller/dc.cpp — the DC at work: node_state, plans, carrying them out.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cib/request.h"
#include "controller/plan_input.h"
#include "controller/state.h"

namespace systole::controller {
namespace {

constexpr Duration kRecheckDefault = std::chrono::minutes(15);
constexpr Duration kPlanAgain = std::chrono::seconds(5);

void add_property(xml::Builder& set, std::string_view name, std::string_view value) {
    set.add(xml::Builder("nvpair")
                .set("id", fmt::format("cib-bootstrap-options-{}", name))
                .set("name", name)
                .set("value", value)
                .build());
}

}  // namespace

// ---- What the DC writes about the cluster ---------------------------------------------------------------------------

void Controller::State::write_takeover() {
    cib_call(cib::make_request(cib::Op::kPrimary, "", {}));
    cib_call(cib::make_request(cib::Op::kModify, "cib",
                               xml::Builder("cib").set("crm_feature_set", wire::kFeatureSet).build()));
    xml::Builder set("cluster_property_set");
    set.set("id", "cib-bootstrap-options");
    const auto want = [&](std::string_view name, std::string_view value) {
        if (!value.empty() && option(name, "") != value) add_property(set, name, value);
    };
    want("have-watchdog", config.have_watchdog ? "true" : "false");
    want("dc-version", config.version);
    want("cluster-infrastructure", config.infrastructure);
    if (option("cluster-name", "").empty()) want("cluster-name", config.cluster_name);
    if (set.children().empty()) return;
    xml::Builder options("crm_config");
    options.add(std::move(set));
    cib_call(cib::make_request(cib::Op::kModify, "crm_config", std::move(options).build(), cib::option::kCanCreate));
}

void Controller::State::write_node_states(const std::set<NodeId>& nodes, std::string_view why) {
    const bool epoch = times_as_epoch();
    const xml::Node* known = cib ? cib->child("status") : nullptr;
    xml::Builder status("status");
    for (const NodeId id : nodes) {
        const membership::Peer* peer = peers.find(id);
        if (peer == nullptr || peer->name.empty()) continue;
        // A node that came and went without ever joining leaves no trace of ours: we don't know what it was before.
        // Said to be down it would count as cleanly so, and what it may still run would be started elsewhere; unseen,
        // it is fenced if the configuration knows it. (That it has attributes was said by whoever saw it.)
        const xml::Node* recorded = known == nullptr ? nullptr : known->child("node_state", std::to_string(id.value));
        if (!peer->active() && peer->expected == membership::Expected::kUnknown &&
            (recorded == nullptr || !recorded->has("in_ccm")))
            continue;
        xml::Builder state("node_state");
        state.set("id", id.value).set("uname", peer->name);
        if (epoch) {
            state.set("in_ccm", static_cast<long long>(peer->member_since.seconds))
                .set("crmd", static_cast<long long>(peer->online_since.seconds));
        } else {
            state.set("in_ccm", peer->member ? "true" : "false").set("crmd", peer->online ? "online" : "offline");
        }
        state.set("crm-debug-origin", why);
        const bool joined = peer->active() && board.phase(id) == membership::JoinPhase::kConfirmed;
        state.set("join", joined ? "member" : "down");
        state.set_unless_empty("expected", membership::to_text(peer->expected));
        status.add(std::move(state));
    }
    if (status.children().empty()) return;
    cib_call(cib::make_request(cib::Op::kModify, "status", std::move(status).build(), cib::option::kCanCreate),
             CibWait{CibReason::kPlanInput, {}, {}});
}

void Controller::State::write_quorum() {
    xml::Builder root("cib");
    root.set("have-quorum", peers.quorate() ? "1" : "0").set("dc-uuid", self.id.value);
    cib_call(cib::make_request(cib::Op::kModify, "cib", std::move(root).build()),
             CibWait{CibReason::kPlanInput, {}, {}});
}

/// A member of ours is not active any more.
void Controller::State::peer_lost(NodeId node) {
    Office& mine = *office();
    const membership::Peer* peer = peers.find(node);
    board.forget(node);
    mine.confirming.erase(node);
    const bool clean = peer != nullptr && peer->expected == membership::Expected::kDown;
    if (mine.settled && peer != nullptr && peer->member && !clean) {
        mine.missing.insert(node);
        arm("missing", kCoreGrace);
    }
    perform(runner.on_node_lost(now.mono, peers.name_of(node)));
    if (office() == nullptr) return;
    if (settled_office() != nullptr) {
        if (mine.missing.contains(node)) {
            abort(fmt::format("the core of {} ended", peers.name_of(node)));
        } else {
            declare_lost(node);
        }
    }
    advance_join();
}

void Controller::State::declare_lost(NodeId node) {
    office()->missing.erase(node);
    const membership::Peer* peer = peers.find(node);
    const std::string name = peers.name_of(node);
    if (peer != nullptr && peer->expected == membership::Expected::kDown) {
        cib_call(
            cib::make_request(cib::Op::kDelete, fmt::format("//node_state[@uname='{}']/transient_attributes", name), {},
                              cib::option::kXPath),
            CibWait{CibReason::kPlanInput, {}, {}});
    }
    write_node_states({node}, "peer_update_callback");
    abort(fmt::format("{} left", name));
}

/// Whose core is not back by now is lost. Whose is back but has not joined yet is waited for as in any join: what runs
/// there can neither be stopped nor fenced meanwhile, and a plan would promote another instance beside it.
void Controller::State::end_grace() {
    if (settled_office() == nullptr) return;
    const Duration patience = duration_option("join-integration-timeout", std::chrono::minutes(3));
    std::optional<Duration> wait;
    for (const NodeId node : std::set<NodeId>(office()->missing)) {
        const membership::Peer* peer = peers.find(node);
        const auto back = online_at.find(node);
        const Duration left = back == online_at.end() ? Duration{0} : back->second + patience - now.mono;
        if (peer != nullptr && peer->active() && left.count() > 0) {
            wait = std::min(wait.value_or(left), left);
        } else {
            declare_lost(node);
        }
    }
    if (wait) arm("missing", *wait);
    plan_if_ready();
}

// ---- Plans ----------------------------------------------------------------------------------------------------------

void Controller::State::want_plan(std::string_view why) {
    Office* mine = settled_office();
    if (mine == nullptr) return;
    plan_wanted = true;
    plan_reason = why;
    plan_if_ready();
}

/// What runs is stopped as far as it has not begun, and a new plan is made.
void Controller::State::abort(std::string_view why) {
    Office* mine = office();
    if (mine == nullptr) return;
    if (runner.running()) {
        log(wire::Severity::kInfo, fmt::format("transition {} aborted: {}", runner.transition(), why));
        perform(runner.abort(now.mono, kAbortAll, why));
    }
    if (settled_office() != nullptr) want_plan(why);
}

void Controller::State::plan_if_ready() {
    Office* mine = settled_office();
    if (mine == nullptr || !plan_wanted || !plan_waits.empty() || !awaited_counts.empty() || runner.running() ||
        !mine->missing.empty())
        return;
    if (mine->step == DcStep::kPlanning) {
        mine->replan = true;
        return;
    }
    plan_wanted = false;
    mine->step = DcStep::kPlanning;
    mine->replan = false;
    mine->plan_token = ++plan_tokens;
    disarm("plan");
    disarm("recheck");
    xml::Builder root(*with_actions_in_flight(cib, now.wall));
    root.set("have-quorum", peers.quorate() ? "1" : "0");
    if (peers.ever_quorate()) root.set("no-quorum-panic", "1");
    root.set("dc-uuid", self.id.value);
    log(wire::Severity::kInfo, fmt::format("planning: {}", plan_reason));
    scheduler::Input input;
    input.cib = std::move(root).build();
    input.now = rules::DateTime(now.wall, 0);
    out.emplace_back(RunScheduler{mine->plan_token, std::move(input)});
}

/// A plan that is overtaken while it is made is not looked at.
bool Controller::State::awaits_plan(std::uint32_t token) {
    const Office* mine = settled_office();
    return mine != nullptr && mine->step == DcStep::kPlanning && token == mine->plan_token && !mine->replan &&
           !plan_wanted;
}

void Controller::State::on_plan(const PlanReady& ready) {
    Office* mine = office();
    if (mine == nullptr || mine->step != DcStep::kPlanning || ready.token != mine->plan_token) return;
    mine->step = DcStep::kIdle;
    if (!mine->settled) return;
    if (mine->replan || plan_wanted) {
        plan_wanted = true;
        plan_if_ready();
        return;
    }
    if (!ready.plan || !ready.plan->graph) {
        log(wire::Severity::kError, fmt::format("the scheduler made no plan: {}", ready.fault));
        plan_reason = "the scheduler failed before";
        arm("plan", kPlanAgain);
        return;
    }
    for (const std::string& text : ready.plan->messages) log(wire::Severity::kInfo, text);
    recheck_by = ready.plan->recheck_by ? std::optional(ready.plan->recheck_by->seconds) : std::nullopt;
    xml::Builder graph(*ready.plan->graph);
    graph.set("transition_id", ++transitions);
    const xml::NodePtr finished = std::move(graph).build();
    mine->step = DcStep::kRunning;
    auto effects = runner.start(now.mono, *finished);
    if (!effects) {
        mine->step = DcStep::kIdle;
        log(wire::Severity::kError, fmt::format("the plan cannot be carried out: {}", effects.error().what));
        plan_reason = "the former plan could not be carried out";
        arm("plan", kPlanAgain);
        return;
    }
    const std::size_t actions = runner.graph() == nullptr ? 0 : runner.graph()->actions.size();
    log(actions == 0 ? wire::Severity::kInfo : wire::Severity::kNotice,
        fmt::format("transition {}: {} actions{}{}", transitions, actions, ready.saved_as.empty() ? "" : ", input in ",
                    ready.saved_as));
    perform(*effects);
}

void Controller::State::perform(const transition::Effects& effects) {
    for (const transition::Effect& effect : effects) {
        if (const auto* e = std::get_if<transition::Execute>(&effect)) {
            execute(e->action, e->key);
        } else if (const auto* p = std::get_if<transition::Happened>(&effect)) {
            on_pseudo_event(p->action);
        } else if (const auto* t = std::get_if<transition::TimedOut>(&effect)) {
            record_timeout(t->action, t->key);
        } else if (const auto* a = std::get_if<transition::ArmTimer>(&effect)) {
            out.emplace_back(wire::ArmTimer{fmt::format("{}run/{}", kControllerTimers, a->name), a->at});
        } else if (const auto* c = std::get_if<transition::CancelTimer>(&effect)) {
            disarm("run/" + c->name);
        } else if (const auto* f = std::get_if<transition::Finished>(&effect)) {
            transition_over(*f);
        }
    }
}

void Controller::State::execute(const transition::Action& action, const transition::Key& key) {
    if (action.kind == transition::ActionKind::kCluster) {
        execute_cluster_action(action, key);
        return;
    }
    xml::Builder op(*action.xml);
    op.set("transition-key", transition::to_string(key));
    const std::string& node = action.executed_by();
    if (const membership::Peer* peer = peers.find(node); peer != nullptr && !peer->active()) {
        unreachable.insert(node);  // it left in this very step: the runner is told once the step is over
        return;
    }
    log(wire::Severity::kInfo,
        fmt::format("{} on {}{}", action.key, action.node, node == action.node ? "" : " by " + node), action.node,
        action.resource);
    send(node, message("lrm_invoke", "lrmd", "tengine", node, std::move(op).build()).build());
}

void Controller::State::execute_cluster_action(const transition::Action& action, const transition::Key& key) {
    const std::string& task = action.operation;
    if (task == "stonith") {
        fence(action, key);
        return;
    }
    if (task == "do_shutdown") {
        Office& mine = *office();
        if (const membership::Peer* peer = peers.find(action.node); peer != nullptr)
            peers.set_expected(peer->id, membership::Expected::kDown);
        if (same_ignoring_case(action.node, self.name)) {
            mine.leave_when_done = true;
        } else {
            log(wire::Severity::kNotice, fmt::format("{} may leave now", action.node), action.node);
            send(action.node, message("do_shutdown", "crmd", "tengine", action.node).build());
        }
        if (action.wait) perform(runner.on_done(now.mono, action.id, true));
        return;
    }
    if (task == "clear_failcount") {
        const std::string operation(action.meta("operation"));
        const std::string interval(action.meta("interval").empty() ? "0" : action.meta("interval"));
        xml::Builder clear("clear");
        clear.set("t", "attrd").set("src", "crmd").set("task", "clear-failure");
        clear.set("attr_host", action.node)
            .set("attr_resource", action.resource)
            .set("attr_is_remote", is_remote(action.node) ? "1" : "0");
        if (!operation.empty()) clear.set("attr_clear_operation", operation).set("attr_clear_interval", interval);
        out.emplace_back(AttributeCall{std::move(clear).build()});
        std::string xpath =
            fmt::format("//node_state[@uname='{}']//lrm_resource[@id='{}']/lrm_rsc_op[@id='{}_last_failure_0'",
                        action.node, action.resource, action.resource);
        if (!operation.empty()) xpath += fmt::format(" and @operation='{}' and @interval='{}'", operation, interval);
        cib_call(cib::make_request(cib::Op::kDelete, xpath + "]", {}, cib::option::kXPath));
    } else if (task == "lrm_delete") {
        // History of a resource on a node that is not here to be asked: its record only.
        cib_call(cib::make_request(
            cib::Op::kDelete,
            fmt::format("//node_state[@uname='{}']//lrm_resource[@id='{}']", action.node, action.resource), {},
            cib::option::kXPath));
    }
    if (action.wait) perform(runner.on_done(now.mono, action.id, true));
}

void Controller::State::record_timeout(const transition::Action& action, const transition::Key& key) {
    log(wire::Severity::kError, fmt::format("{} on {}: no result in time", action.key, action.node), action.node,
        action.resource);
    const membership::Peer* peer = peers.find(action.node);
    const xml::Node* primitive = action.xml->child("primitive");
    const bool remote = is_remote(action.node);
    if ((peer == nullptr && !remote) || primitive == nullptr) {
        perform(runner.on_done(now.mono, action.id, false));
        return;
    }
    ResourceIdentity identity;
    identity.id = primitive->id();
    identity.agent_class = primitive->get("class");
    identity.provider = primitive->get("provider");
    identity.type = primitive->get("type");
    OperationResult result;
    result.action = action.operation;
    result.interval_ms = parse_integer(action.meta("interval")).value_or(0);
    result.call_id = 0;
    result.status = ExecStatus::kTimeout;
    result.rc = 1;
    result.exit_reason = "No result was reported in time";
    result.transition_key = transition::to_string(key);
    result.run_time = now.wall.seconds;
    result.rc_change_time = now.wall.seconds;
    if (const xml::Node* attributes = action.xml->child("attributes"); attributes != nullptr) {
        for (const xml::Attribute& attribute : attributes->attributes())
            result.parameters.emplace(attribute.name.view(), attribute.value.view());
    }
    const wire::NodeRef node = remote ? wire::NodeRef{NodeId{}, action.node} : wire::NodeRef{peer->id, peer->name};
    cib_call(cib::make_request(
        cib::Op::kModify, "status",
        history_update(node, remote, identity, history_records(identity, result, node.name, nullptr, "te_rsc_command"),
                       "te_rsc_command"),
        cib::option::kCanCreate));
}

void Controller::State::transition_over(const transition::Finished& finished) {
    Office* mine = office();
    if (mine == nullptr) return;
    if (mine->step == DcStep::kRunning) mine->step = DcStep::kIdle;
    switch (finished.outcome) {
        case transition::Outcome::kComplete:
            log(wire::Severity::kInfo, fmt::format("transition {} is complete", finished.transition));
            break;
        case transition::Outcome::kAborted:
            log(wire::Severity::kInfo,
                fmt::format("transition {} ended early: {} ({} actions skipped, {} not begun)", finished.transition,
                            finished.reason, finished.skipped, finished.incomplete));
            break;
        case transition::Outcome::kStuck:
            log(wire::Severity::kError, fmt::format("transition {} is stuck: {} actions can never begin",
                                                    finished.transition, finished.incomplete));
            break;
    }
    if (mine->leave_when_done && finished.outcome != transition::Outcome::kStuck) {
        stop(ExitCode::kOk, "shut down");
        return;
    }
    if (finished.outcome == transition::Outcome::kAborted) {
        if (fencing_failed) {
            plan_after_failed_fencing();
        } else {
            want_plan(finished.reason);
        }
        return;
    }
    if (plan_wanted) {
        plan_if_ready();
        return;
    }
    const Duration interval = duration_option("cluster-recheck-interval", kRecheckDefault);
    Duration next = interval;
    if (recheck_by) {
        const Duration until = std::chrono::seconds(std::max<std::int64_t>(*recheck_by - now.wall.seconds, 0) + 1);
        next = interval.count() > 0 ? std::min(interval, until) : until;
    }
    if (next.count() > 0) arm("recheck", next);
}

void Controller::State::update_limits() {
    if (office() == nullptr) return;
    transition::Limits limits;
    unsigned worst = 0;
    const long long configured = parse_integer(option("node-action-limit", "0")).value_or(0);
    for (const auto& [id, peer] : peers.all()) {
        if (!peer.active() || peer.name.empty()) continue;
        const auto told = throttles.find(peer.name);
        const unsigned mode = told == throttles.end() ? 0 : told->second.mode;
        unsigned max = configured > 0            ? static_cast<unsigned>(configured)
                       : told == throttles.end() ? 2 * config.cpu_count
                                                 : told->second.max;
        max = std::max(max, 1U);
        worst = std::max(worst, mode);
        unsigned jobs = max;
        if (mode >= 0x0100) {
            jobs = 1;
        } else if (mode >= 0x0010) {
            jobs = max / 4;
        } else if (mode >= 0x0001) {
            jobs = max / 2;
        }
        limits.jobs[peer.name] = std::max(jobs, 1U);
    }
    limits.remote_jobs = configured > 0 ? static_cast<unsigned>(configured) : 2 * std::max(config.cpu_count, 1U);
    const auto count = static_cast<unsigned>(peers.active().size());
    if (worst >= 0x1000) {
        limits.batch = std::max(count / 4, 1U);
    } else if (worst >= 0x0100) {
        limits.batch = std::max(count / 2, 1U);
    }
    runner.set_limits(std::move(limits));
}

}  // namespace systole::controller
