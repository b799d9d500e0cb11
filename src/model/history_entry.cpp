// model/history_entry.cpp — what one lrm_rsc_op says about its resource.
// Source: Pacemaker Explained, "Status — Here be dragons"; "Handling Failures".
#include <fmt/format.h>

#include <algorithm>
#include <climits>

#include "base/text.h"
#include "model/digest.h"
#include "model/history_reader.h"
#include "model/operations.h"

namespace systole::model {
namespace {

constexpr int ocf(ExitCode code) { return static_cast<int>(code); }

bool changes_state(std::string_view task) {
    static constexpr std::string_view kTasks[] = {"monitor", "start",      "stop",         "promote",
                                                  "demote",  "migrate_to", "migrate_from", "asyncmon"};
    return std::ranges::find(kTasks, task) != std::end(kTasks);
}

int expected_result(const xml::Node& operation) {
    const auto key = operation.attribute("transition-key");
    if (!key) return -1;
    // "action:transition:target-rc:uuid"
    const std::size_t first = key->find(':');
    const std::size_t second = first == std::string_view::npos ? first : key->find(':', first + 1);
    const std::size_t third = second == std::string_view::npos ? second : key->find(':', second + 1);
    if (third == std::string_view::npos) return 0;
    return static_cast<int>(parse_integer(key->substr(second + 1, third - second - 1)).value_or(0));
}

/// A degraded resource works; it is shown, but nothing is done about it.
int without_degradation(int exit) {
    if (exit == ocf(ExitCode::kDegraded)) return ocf(ExitCode::kOk);
    if (exit == ocf(ExitCode::kDegradedPromoted)) return ocf(ExitCode::kPromoted);
    return exit;
}

}  // namespace

void HistoryReader::set_active(Resource& resource) {
    resource.role = resource.top().promotable ? Role::kUnpromoted : Role::kStarted;
}

void HistoryReader::record_failed(const Entry& e) {
    if (!e.node.online) return;
    for (const FailedOperation& failed : c_.failed) {
        if (failed.key == e.key && failed.node == &e.node) return;
    }
    c_.failed.push_back({&e.xml, &e.resource, &e.node, std::string(e.key)});
}

void HistoryReader::read_operation(const xml::Node& xml, Resource& resource, Node& node, const xml::Node*& last_failure,
                                   OnFail& on_fail) {
    Entry e{.xml = xml, .resource = resource, .node = node};
    e.id = xml.id();
    e.task = xml.get("operation");
    if (e.id.empty() || e.task.empty()) {
        c_.config_error(fmt::format("Ignoring resource history entry {} for {} on {} without {}", e.id, resource.id,
                                    node.name, e.id.empty() ? "ID" : "operation"));
        return;
    }
    e.interval = history_interval(xml);
    if (!changes_state(e.task)) return;
    const int status = integer_of(xml, "op-status", INT_MIN);
    if (status < static_cast<int>(ExecStatus::kPending) || status > static_cast<int>(ExecStatus::kNoSecrets) ||
        status == static_cast<int>(ExecStatus::kCancelled)) {
        c_.config_error(fmt::format("Ignoring resource history entry {} for {} on {} with invalid op-status '{}'", e.id,
                                    resource.id, node.name, xml.get("op-status")));
        return;
    }
    e.status = static_cast<ExecStatus>(status);
    e.exit = integer_of(xml, "rc-code", -1);
    if (e.exit < 0 || e.exit > 255) {
        c_.config_error(fmt::format("Ignoring resource history entry {} for {} on {} with invalid rc-code '{}'", e.id,
                                    resource.id, node.name, xml.get("rc-code")));
        return;
    }
    e.masked = !resource.is_bundled() && is_masked_probe_failure(e.task, e.interval, e.exit, status);
    e.expected = expected_result(xml);
    e.key = history_key(xml);

    const bool expired = has_expired(e);
    const int original_exit = e.exit;
    interpret(e, on_fail, expired);
    if (expired && drop_expired(e, original_exit)) return;
    if (e.masked) {
        note_masked_probe(e, last_failure, on_fail);
        return;
    }
    Resource& banned = resource.unique ? resource : resource.uber_parent();
    if (e.status == ExecStatus::kPending) return note_pending(e, last_failure);
    if (e.status == ExecStatus::kDone) return note_success(e, e.exit, last_failure, on_fail);

    const OperationConfig* config = find_operation(resource, e.task, e.interval);
    const auto meta =
        operation_meta(c_, resource, &node, e.task, e.interval, config == nullptr ? nullptr : config->xml);
    const OnFail strategy = parse_on_fail(c_, resource, e.task, e.interval, *meta);
    const Role fail_role = role_after_failure(resource, e.task, strategy);
    if (e.status == ExecStatus::kNotInstalled) {
        if (strategy == OnFail::kIgnore) on_fail = OnFail::kBan;  // nothing to ignore: there is no agent
        c_.add_location(banned, &node, Score::minus_infinity());
        note_failure(e, strategy, fail_role, last_failure, on_fail);
        return;
    }
    if (e.status == ExecStatus::kNotConnected && node.remote_kind && node.remote != nullptr && node.remote->managed) {
        node.remote->failed = node.remote->stop_if_failed = true;
    }
    if (strategy == OnFail::kIgnore || (strategy == OnFail::kRestartContainer && e.task == "stop")) {
        note_success(e, e.expected, last_failure, on_fail);
        resource.ignore_failure = true;
        record_failed(e);
        if (strategy == OnFail::kRestartContainer && on_fail <= OnFail::kRestart) on_fail = strategy;
        return;
    }
    note_failure(e, strategy, fail_role, last_failure, on_fail);
    if (e.status == ExecStatus::kErrorHard) {
        const std::string_view reason = e.xml.get("exit-reason");
        c_.error(fmt::format("Preventing {} from restarting on {} because of hard failure ({}{}{}) | {}", banned.id,
                             node.name, describe(static_cast<ExitCode>(e.exit)), reason.empty() ? "" : ": ", reason,
                             e.xml.id()));
        c_.add_location(banned, &node, Score::minus_infinity());
    } else if (e.status == ExecStatus::kErrorFatal) {
        c_.error(fmt::format("Preventing {} from restarting anywhere because of fatal failure ({})", banned.id,
                             describe(static_cast<ExitCode>(e.exit))));
        c_.add_location(banned, nullptr, Score::minus_infinity());
    }
}

// --- expiry
// -----------------------------------------------------------------------------------------------------------

bool HistoryReader::keeps_failures(const Entry& e) const {
    // A failed connection stays failed until its node is fenced, or the interval for new attempts would mean nothing.
    if (e.resource.remote_reconnect.count() == 0 || !c_.options.fencing_enabled || e.interval.count() == 0 ||
        e.task != "monitor") {
        return false;
    }
    const Node* remote = c_.find_node(e.resource.id);
    return remote != nullptr && !remote->remote_fenced;
}

bool HistoryReader::parameters_changed(const Entry& e) {
    if (e.task != "start" && e.task != "monitor") return false;
    if (needs_host_name(c_, e.resource)) {
        c_.parameter_checks.push_back({.xml = &e.xml, .resource = &e.resource, .node = &e.node});
        return false;
    }
    const DigestResult result = compare_digests(c_, e.resource, e.xml, e.node);
    return result == DigestResult::kMismatch || result == DigestResult::kRestart;
}

bool HistoryReader::has_expired(const Entry& e) {
    const bool is_last_failure = e.id.ends_with("_last_failure_0");
    if (e.status == ExecStatus::kNotInstalled) return false;
    bool expired = false;
    int unexpired_count = 0;
    const std::int64_t expiration_s = e.resource.failure_timeout.count() / 1000;
    if (const auto last_run = time_of(e.xml); expiration_s > 0 && last_run) {
        if (c_.epoch() >= *last_run + expiration_s && !keeps_failures(e)) expired = true;
        const auto count = fail_count(c_, e.node, e.resource, FailCount::kEffective, &e.xml);
        unexpired_count = count.count;
        const std::int64_t expires = count.last_failure + expiration_s + 1;
        if (unexpired_count != 0 && c_.epoch() < expires) c_.recheck(expires);
    }
    std::string clear_reason;
    if (expired) {
        if (fail_count(c_, e.node, e.resource, FailCount::kRaw, &e.xml).count != 0) {
            if (unexpired_count == 0) {
                clear_reason = "it expired";
            } else {
                expired = false;  // a later failure of another operation keeps this one alive
            }
        } else if (is_last_failure && e.resource.remote_reconnect.count() > 0) {
            clear_reason = "reconnect interval is set";
        }
    }
    if (!expired && is_last_failure && parameters_changed(e)) clear_reason = "resource parameters have changed";
    if (!clear_reason.empty()) {
        HistoryRequest clear{.kind = HistoryRequest::Kind::kClearFailCount,
                             .resource = &e.resource,
                             .node = &e.node,
                             .reason = clear_reason};
        clear.after_fencing = c_.options.fencing_enabled && e.resource.remote_reconnect.count() > 0;
        c_.requests.push_back(std::move(clear));
    }
    if (expired && is_probe(e.task, e.interval)) {
        // Probes tell the state, however old they are, unless they failed.
        const int exit = without_degradation(e.exit);
        if (exit == ocf(ExitCode::kOk) || exit == ocf(ExitCode::kNotRunning) || exit == ocf(ExitCode::kPromoted)) {
            expired = false;
        }
    }
    return expired;
}

bool HistoryReader::succeeded_since(const Entry& e) const {
    const xml::Node* history = history_of(e.resource.name_in_history(), e.node.name);
    if (history == nullptr) return false;
    return std::ranges::any_of(history->children(), [&](const xml::NodePtr& other) {
        return other->is("lrm_rsc_op") && other->get("operation") == e.task && history_interval(*other) == e.interval &&
               integer_of(*other, "rc-code", -1) == e.expected && compare_age(*other, e.xml) > 0;
    });
}

bool HistoryReader::drop_expired(const Entry& e, int exit) {
    if (e.masked && exit != e.expected) {
        if (e.resource.role <= Role::kStopped) e.resource.role = Role::kUnknown;  // to be probed again
        return true;
    }
    if (e.exit == e.expected) return false;
    if (e.interval.count() == 0) return true;
    if (e.node.online && !e.node.unclean) {
        // The monitor is run anew, as its last result says nothing any more; unless this is not the last one, and
        // nothing clears it now: then each plan would run it anew.
        const bool cleared = !c_.requests.empty() && c_.requests.back().kind == HistoryRequest::Kind::kClearFailCount &&
                             c_.requests.back().resource == &e.resource && c_.requests.back().node == &e.node;
        if (cleared || !succeeded_since(e)) c_.expired_recurring.insert(&e.xml);
        return true;
    }
    return false;
}

// --- what a result means
// ------------------------------------------------------------------------------------------------

void HistoryReader::block_if_unrecoverable(const Entry& e) {
    if (e.task != "stop" || c_.can_fence(&e.node)) return;
    c_.error(fmt::format("No further recovery can be attempted for {} because {} on {} failed ({})", e.resource.id,
                         e.task, e.node.name, describe(static_cast<ExitCode>(e.exit))));
    e.resource.managed = false;
    e.resource.blocked = true;
}

void HistoryReader::interpret(Entry& e, OnFail& on_fail, bool expired) {
    Resource& r = e.resource;
    const int effective = without_degradation(e.exit);
    if (effective != e.exit) {
        e.exit = effective;
        if (!expired && (!e.node.shutdown || e.node.online)) record_failed(e);
    }
    if (e.masked) {
        e.status = ExecStatus::kDone;
        e.exit = ocf(ExitCode::kNotRunning);
    }
    if (e.status == ExecStatus::kNoFenceDevice || e.status == ExecStatus::kNoSecrets) {
        e.status = ExecStatus::kErrorHard;
        return;
    }
    if (e.status != ExecStatus::kDone && e.status != ExecStatus::kError) return;

    const bool probe = is_probe(e.task, e.interval);
    e.status = e.expected >= 0 && e.exit == e.expected ? ExecStatus::kDone : ExecStatus::kError;
    const auto is = [&](ExitCode code) { return e.exit == ocf(code); };
    if (is(ExitCode::kOk)) {
        if (probe && e.expected == ocf(ExitCode::kNotRunning)) e.status = ExecStatus::kDone;
    } else if (is(ExitCode::kNotRunning)) {
        if (probe || e.expected == e.exit || !r.managed) {
            e.status = ExecStatus::kDone;
            r.role = Role::kStopped;
            on_fail = OnFail::kIgnore;  // clean and stopped: whatever failed before is over
            r.next_role = Role::kUnknown;
        }
    } else if (is(ExitCode::kPromoted)) {
        if (probe && e.exit != e.expected) e.status = ExecStatus::kDone;
        if (!expired || e.exit == e.expected) r.role = Role::kPromoted;
    } else if (is(ExitCode::kFailedPromoted)) {
        if (!expired) r.role = Role::kPromoted;
        e.status = ExecStatus::kError;
    } else if (is(ExitCode::kNotConfigured)) {
        e.status = ExecStatus::kErrorFatal;
    } else if (is(ExitCode::kUnimplemented) && e.interval.count() > 0) {
        e.status = ExecStatus::kNotSupported;
    } else if (is(ExitCode::kUnimplemented) || is(ExitCode::kNotInstalled) || is(ExitCode::kInvalidParameter) ||
               is(ExitCode::kInsufficientPrivileges)) {
        if (!expired) block_if_unrecoverable(e);
        e.status = ExecStatus::kErrorHard;
    } else if (e.status == ExecStatus::kDone) {
        e.status = ExecStatus::kError;
    }
}

void HistoryReader::note_success(const Entry& e, int exit, const xml::Node* last_failure, OnFail& on_fail) {
    Resource& r = e.resource;
    bool clears = false;
    if (exit == ocf(ExitCode::kNotInstalled) || e.masked) {
        r.role = Role::kStopped;
    } else if (exit == ocf(ExitCode::kNotRunning)) {
        clears = true;
    } else if (e.task == "monitor") {
        clears = last_failure != nullptr && e.key == history_key(*last_failure);
        if (r.role < Role::kStarted) set_active(r);
    } else if (e.task == "start" || e.task == "migrate_from") {
        r.role = Role::kStarted;
        clears = true;
    } else if (e.task == "stop") {
        r.role = Role::kStopped;
        clears = true;
    } else if (e.task == "promote") {
        r.role = Role::kPromoted;
        clears = true;
    } else if (e.task == "demote") {
        clears = on_fail == OnFail::kDemote;
        r.role = Role::kUnpromoted;
    } else if (e.task == "migrate_to") {
        migrated_to(e);
    } else if (r.role < Role::kStarted) {
        set_active(r);
    }
    if (!clears) return;
    switch (on_fail) {
        case OnFail::kStop:
        case OnFail::kBan:
        case OnFail::kStandbyNode:
        case OnFail::kFenceNode: break;  // only a person clears these
        case OnFail::kBlock:
        case OnFail::kIgnore:
        case OnFail::kDemote:
        case OnFail::kRestart:
        case OnFail::kRestartContainer:
            on_fail = OnFail::kIgnore;
            r.next_role = Role::kUnknown;
            break;
        case OnFail::kResetRemote:
            if (r.remote_reconnect.count() == 0) {
                on_fail = OnFail::kIgnore;
                r.next_role = Role::kUnknown;
            }
            break;
    }
}

void HistoryReader::ban_from_everywhere(Resource& resource) {
    Resource* banned = &resource;
    if (resource.parent != nullptr && resource.uber_parent().is_anonymous_clone()) banned = &resource.uber_parent();
    banned->allowed.clear();
    for (const Node* node : c_.nodes) {
        banned->allowed.at(*node, NodeScore{.score = Score::minus_infinity(), .discovery = node->discovery});
    }
}

void HistoryReader::note_failure(const Entry& e, OnFail configured, Role fail_role, const xml::Node*& last_failure,
                                 OnFail& on_fail) {
    Resource& r = e.resource;
    last_failure = &e.xml;
    const bool probe = is_probe(e.task, e.interval);
    // In an opt-in cluster it is normal that most nodes lack the agent.
    if (c_.options.symmetric || e.exit != ocf(ExitCode::kNotInstalled)) {
        c_.warning(fmt::format("Unexpected result ({}) was recorded for {} of {} on {}",
                               describe(static_cast<ExitCode>(e.exit)), probe ? "probe" : e.task, r.id, e.node.name));
        record_failed(e);
    }
    on_fail = std::max(on_fail, configured);
    if (e.task == "stop") {
        c_.add_location(r, &e.node, Score::minus_infinity());
    } else if (e.task == "migrate_to") {
        failed_migrate_to(e);
    } else if (e.task == "migrate_from") {
        failed_migrate_from(e);
    } else if (e.task == "promote") {
        r.role = Role::kPromoted;  // to be safe: it has to be demoted
    } else if (e.task == "demote") {
        if (configured == OnFail::kBlock) {
            r.role = Role::kPromoted;
            r.next_role = Role::kStopped;
        } else if (e.exit == ocf(ExitCode::kNotRunning)) {
            r.role = Role::kStopped;
        } else {
            // Neither promoted nor cleanly demoted: recovered like an unpromoted failure.
            r.role = Role::kUnpromoted;
        }
    }
    if (probe && e.exit == ocf(ExitCode::kNotInstalled)) {
        r.role = Role::kStopped;
    } else if (r.role < Role::kStarted) {
        set_active(r);
    }
    if (fail_role != Role::kStarted && r.next_role < fail_role) r.next_role = fail_role;
    if (fail_role == Role::kStopped) ban_from_everywhere(r);
}

void HistoryReader::note_masked_probe(const Entry& e, const xml::Node* last_failure, OnFail& on_fail) {
    note_success(e, e.expected, last_failure, on_fail);
    record_failed(e);
    Resource& banned = e.resource.unique ? e.resource : e.resource.uber_parent();
    c_.add_location(banned, &e.node, Score::minus_infinity());
}

void HistoryReader::note_pending(const Entry& e, const xml::Node* last_failure) {
    Resource& r = e.resource;
    if (last_failure != nullptr && e.task == last_failure->get("operation") &&
        e.interval == history_interval(*last_failure)) {
        const auto mine = time_of(e.xml), failure = time_of(*last_failure);
        if (mine && failure && *failure >= *mine) return;  // the failure is the outcome of this very action
    }
    if (e.task == "start") {
        r.start_pending = true;
        set_active(r);
    } else if (e.task == "promote") {
        r.role = Role::kPromoted;
    } else if (e.task == "migrate_to" && e.node.unclean) {
        // It may have got through before the node died: stop it on the other side too.
        if (Node* target = c_.find_node(e.xml.get("migrate_target"))) {
            request(HistoryRequest::Kind::kStop, r, *target);
        }
    }
    if (!r.pending_action.empty() || is_probe(e.task, e.interval)) return;
    r.pending_action = e.task;
    r.pending_node = &e.node;
}

}  // namespace systole::model
