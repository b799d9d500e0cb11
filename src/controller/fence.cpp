// controller/fence.cpp — having nodes fenced, and what a proven fencing means for the cluster's records.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cib/request.h"
#include "controller/state.h"

namespace systole::controller {
namespace {
/// A node whose controller is here for less than this many seconds is not the one that was fenced just now.
constexpr std::int64_t kNewLife = 2;
}  // namespace

void Controller::State::fence(const transition::Action& action, const transition::Key& key) {
    std::string what(action.meta("stonith_action"));
    if (what.empty()) what = "reboot";
    const std::uint32_t token = ++fence_tokens;
    fencings.emplace(
        token, Fencing{action.node, what, key, peers.find(action.node) == nullptr ? 0 : peers.find(action.node)->pid});
    fencing::FenceRequest request;
    request.target = action.node;
    request.action = what;
    request.timeout = runner.graph() != nullptr ? runner.graph()->fencing_timeout : Duration(60'000);
    request.needs_quorum = !peers.remotes().contains(action.node) && option("no-quorum-policy", "stop") != "ignore";
    const auto delay = parse_interval(action.meta("priority-fencing-delay"));
    if (delay) request.delay = *delay;
    log(wire::Severity::kNotice, fmt::format("fencing {} ({})", action.node, what), action.node);
    out.emplace_back(FenceCall{token, std::move(request)});
}

void Controller::State::on_fenced(const fencing::LocalReply& reply) {
    const auto found = fencings.find(reply.token);
    if (found == fencings.end()) return;
    const Fencing fencing = found->second;
    if (!reply.outcome.ok()) {
        fencings.erase(found);
        const int failures = ++fence_failures[fencing.target];
        log(wire::Severity::kError,
            fmt::format("{} cannot be fenced ({}; attempt {}): what it may still run stays blocked", fencing.target,
                        reply.outcome.reason.empty() ? "no reason given" : reply.outcome.reason, failures),
            fencing.target);
        fencing_failed = true;
        const bool ran = runner.running();
        perform(runner.on_result(now.mono, fencing.key, fencing.target, ExecStatus::kError, 1).effects);
        if (ran && runner.running()) perform(runner.abort(now.mono, kAbortAll, "fencing failed"));
        if (!ran) plan_after_failed_fencing();
        return;
    }
    fence_failures.erase(fencing.target);
    log(wire::Severity::kNotice,
        fmt::format("{} was fenced ({}) by {}", fencing.target, fencing.action,
                    reply.delegate.empty() ? "the cluster" : reply.delegate),
        fencing.target);
    if (fencing.action == "on") {
        xml::Builder update("update_attr");
        update.set("t", "attrd").set("src", "crmd").set("task", "update").set("attr_name", "#node-unfenced");
        update.set("attr_value", static_cast<long long>(now.wall.seconds)).set("attr_host", fencing.target);
        update.set("attr_is_remote", is_remote(fencing.target) ? "1" : "0").set("attr_is_private", "0");
        out.emplace_back(AttributeCall{std::move(update).build()});
        fencing_recorded(reply.token);
        return;
    }
    write_fenced(fencing.target, reply.token);
}

/// A failed fencing is tried again after a while, not at once and for ever.
void Controller::State::plan_after_failed_fencing() {
    fencing_failed = false;
    int worst = 1;
    for (const auto& [target, failures] : fence_failures) worst = std::max(worst, failures);
    plan_reason = "fencing failed before";
    arm("plan", std::min(Duration(1000) * (1 << std::min(worst - 1, 6)), Duration(60'000)));
}

bool Controller::State::is_in_cib(const std::string& name) const {
    const auto lists = [&name](const xml::Node* list) {
        return list != nullptr && std::ranges::any_of(list->children(), [&name](const xml::NodePtr& node) {
                   return same_ignoring_case(node->get("uname"), name);
               });
    };
    const xml::Node* configuration = cib ? cib->child("configuration") : nullptr;
    return (configuration != nullptr && lists(configuration->child("nodes"))) || (cib && lists(cib->child("status")));
}

/// The proof that a node is off makes its history void: nothing of it runs any more.
void Controller::State::write_fenced(const std::string& target, std::optional<std::uint32_t> token) {
    const membership::Peer* peer = peers.find(target);
    if (peer != nullptr && peer->active()) {
        // Proven off, yet here. If it came after the fencing was asked for it is a new life of the node, whose join
        // replaces the history; else its loss will be noticed in a moment, and is a clean one then.
        const bool asked_here = token && fencings.contains(*token);
        const bool new_life = asked_here ? fencings.at(*token).pid != peer->pid
                                         : now.wall.seconds - peer->online_since.seconds < kNewLife;
        if (new_life) {
            if (token) fencing_recorded(*token);
            return;
        }
        board.forget(peer->id);
    }
    if (peer != nullptr) {
        peers.set_expected(peer->id, membership::Expected::kDown);
        vanished.erase(peer->id);
        if (office() != nullptr) office()->missing.erase(peer->id);
    }
    const bool remote = is_remote(target);
    if (peer == nullptr && !remote && !is_in_cib(target)) {
        // Somebody confirmed a name that is none of ours; to record it would make it one.
        log(wire::Severity::kWarning, fmt::format("{} was fenced, which is no node of this cluster", target), target);
        if (token) fencing_recorded(*token);
        return;
    }
    const auto erase = [&](std::string_view what) {
        cib_call(cib::make_request(cib::Op::kDelete, fmt::format("//node_state[@uname='{}']/{}", target, what), {},
                                   cib::option::kXPath));
    };
    erase("lrm");
    if (remote) {
        forget_attributes(target);
    } else {
        erase("transient_attributes");
    }
    xml::Builder state("node_state");
    if (peer != nullptr) {
        state.set("id", peer->id.value);
    } else {
        const xml::Node* configuration = cib ? cib->child("configuration") : nullptr;
        const xml::Node* nodes = configuration == nullptr ? nullptr : configuration->child("nodes");
        std::string id = target;
        if (nodes != nullptr) {
            for (const auto& node : nodes->children()) {
                if (same_ignoring_case(node->get("uname"), target)) id = node->id();
            }
        }
        state.set("id", id);
    }
    state.set("uname", target);
    if (remote) {
        state.set("remote_node", "true").set("in_ccm", "false");
        state.set("node_fenced", static_cast<long long>(now.wall.seconds));
    } else if (times_as_epoch()) {
        state.set("in_ccm", 0).set("crmd", 0);
    } else {
        state.set("in_ccm", "false").set("crmd", "offline");
    }
    state.set("crm-debug-origin", "send_stonith_update");
    if (!remote) state.set("join", "down").set("expected", "down");
    std::optional<CibWait> wait = CibWait{CibReason::kPlanInput, {}, {}};
    if (token) wait = CibWait{CibReason::kFenced, {}, *token};
    cib_call(cib::make_request(cib::Op::kModify, "status", std::move(state).build(), cib::option::kCanCreate), wait);
}

void Controller::State::fencing_recorded(std::uint32_t token) {
    const auto found = fencings.find(token);
    if (found == fencings.end()) return;
    const Fencing fencing = found->second;
    fencings.erase(found);
    if (office() == nullptr) return;
    const auto answer =
        runner.on_result(now.mono, fencing.key, fencing.target, ExecStatus::kDone, fencing.key.target_rc);
    perform(answer.effects);
    if (answer.match != transition::Match::kConfirmed) abort(fmt::format("{} was fenced", fencing.target));
}

/// What the DC before may not have recorded any more. Whoever was back when it was heard, or came back since, lives
/// anew: its history is not of the life that was ended.
void Controller::State::record_former_fencings() {
    for (const auto& [target, heard] : std::exchange(fenced_unrecorded, {})) {
        const membership::Peer* peer = peers.find(target);
        const auto came = peer == nullptr ? online_at.end() : online_at.find(peer->id);
        const bool anew = came != online_at.end() && came->second > heard - std::chrono::seconds(kNewLife);
        if (peer != nullptr && peer->active() && anew) continue;
        write_fenced(target, std::nullopt);
    }
}

void Controller::State::on_fence_notice(const fencing::FenceNotice& notice) {
    alert(alert_of_fencing(notice));
    if (!notice.outcome.ok() || notice.action == "on" || notice.target.empty()) return;
    if (same_ignoring_case(notice.target, self.name)) {
        if (std::holds_alternative<Stopping>(phase)) return;
        if (!notice.witnessed) {
            // A message waits while Corosync forms a new ring, and a machine may be back before that is done: who is
            // meant is its life before. Who lives through a fencing has heard the question before the answer.
            log(wire::Severity::kNotice,
                fmt::format("this node was fenced by {} for {} before it started", notice.delegate, notice.origin));
            return;
        }
        log(wire::Severity::kError, fmt::format("this node was fenced by {} for {}, yet it runs: stopping at once",
                                                notice.delegate, notice.origin));
        out.emplace_back(Panic{fmt::format("fenced by {} for {}", notice.delegate, notice.origin)});
        return;
    }
    // A remote node that is proven off answers no more, whatever its connection looks like.
    if (is_remote(notice.target)) {
        remote_is(notice.target, false, {});
        perform(connections.fail(now, notice.target, "it was fenced"));
    }
    for (const auto& [token, fencing] : fencings) {
        if (same_ignoring_case(fencing.target, notice.target)) return;  // ours: its reply says the same
    }
    if (const membership::Peer* peer = peers.find(notice.target); peer != nullptr && peer->active()) {
        // The message of a machine's end may come after the machine is back: what is there now lives.
        const auto came = online_at.find(peer->id);
        if (!notice.witnessed || (came != online_at.end() && came->second > notice.asked)) {
            log(wire::Severity::kInfo,
                fmt::format("{} was fenced by {} before it came back", peer->name, notice.delegate), peer->name);
            return;
        }
    }
    if (settled_office() == nullptr) {
        // Whoever is or becomes DC records it. If that is us, all_joined() will.
        fenced_unrecorded.insert_or_assign(notice.target, now.mono);
        return;
    }
    log(wire::Severity::kNotice,
        fmt::format("{} was fenced by {} for {}", notice.target, notice.delegate, notice.origin), notice.target);
    fence_failures.erase(notice.target);
    write_fenced(notice.target, std::nullopt);
    abort(fmt::format("{} was fenced", notice.target));
}

}  // namespace systole::controller
