#include <fmt/format.h>

#include <algorithm>

#include "executor/core.h"

namespace systole::executor {

namespace {

wire::Severity severity_of(const Operation& operation, bool changed) {
    const auto& outcome = operation.outcome;
    if (outcome.status == ExecStatus::kCancelled) return wire::Severity::kInfo;
    const bool bad = outcome.status != ExecStatus::kDone || (outcome.rc != 0 && outcome.rc != 7 && outcome.rc != 8);
    if (bad && changed) return wire::Severity::kWarning;
    return operation.recurring() && !changed ? wire::Severity::kDebug : wire::Severity::kInfo;
}

void remember(Resource& resource, const Operation& operation, const xml::NodePtr& message) {
    const std::string key = fmt::format("{}_{}", operation.action, operation.interval.count());
    auto& history = resource.history;
    std::erase_if(history, [&](const auto& entry) { return entry.first == key; });
    if (history.size() >= kHistoryMax) history.erase(history.begin());
    history.emplace_back(key, message);
}

}  // namespace

/// The result goes to everybody who registered (or the originator alone), and is kept for a controller that is away.
void Core::tell(Resource& resource, Operation& operation) {
    const auto& outcome = operation.outcome;
    const bool changed = !operation.told || operation.told_rc != outcome.rc || operation.told_status != outcome.status;
    // A cancellation says nothing new about the service.
    const bool cancelled = outcome.status == ExecStatus::kCancelled;
    if (!cancelled && (operation.change_time == WallTime{} || operation.told_rc != outcome.rc ||
                       operation.told_status != outcome.status)) {
        operation.change_time = operation.run_time;
    }
    log(severity_of(operation, changed),
        fmt::format("{}: {} ended: {} (rc {}){}{} after {} ms", resource.id, operation.action, describe(outcome.status),
                    outcome.rc, outcome.reason.empty() ? "" : ": ", outcome.reason, operation.exec_time.count()),
        resource.id);
    const bool deleted = operation.deleted || !resource.registered;
    const xml::NodePtr message = make_result(resource.id, operation, deleted);
    if (!cancelled && !deleted) remember(resource, operation, message);
    const bool only_changes = (operation.options & kNotifyChangesOnly) != 0;
    operation.told_rc = outcome.rc;
    operation.told_status = outcome.status;
    if (only_changes && !changed) return;
    operation.told = true;
    if (operation.from_controller && !controller_connected()) {
        std::erase_if(kept_, [&](const Kept& other) {
            return operation.recurring() && other.resource == resource.id && other.action == operation.action &&
                   other.interval == operation.interval;
        });
        kept_.push_back(Kept{resource.id, operation.action, operation.interval, message});
    }
    if ((operation.options & kNotifyOriginatorOnly) != 0) {
        const auto originator = sessions_.find(operation.client);
        if (originator != sessions_.end() && !originator->second.name.empty()) {
            effects_.emplace_back(wire::SendEvent{operation.client, message});
        }
        return;
    }
    notify_all(message);
}

void Core::notify_all(const xml::NodePtr& message, const wire::ClientId* except) {
    for (const auto& [id, session] : sessions_) {
        if (session.name.empty() || (except != nullptr && id == *except)) continue;
        effects_.emplace_back(wire::SendEvent{id, message});
    }
}

bool Core::controller_connected() const {
    return std::ranges::any_of(sessions_, [](const auto& entry) { return entry.second.controller; });
}

/// What ended while no controller was there is told to the first one that comes.
void Core::hand_over(const Session& session) {
    if (kept_.empty()) return;
    log(wire::Severity::kNotice,
        fmt::format("Telling {} the results of {} operations that ended meanwhile", session.name, kept_.size()));
    for (Kept& result : kept_) effects_.emplace_back(wire::SendEvent{session.client.id, std::move(result.message)});
    kept_.clear();
}

}  // namespace systole::executor
