#include <fmt/format.h>

#include <algorithm>

#include "base/result.h"
#include "executor/core.h"

namespace systole::executor {

void Core::enqueue(Resource& resource, OperationPtr operation) {
    if (operation->recurring() && merge(resource, *operation)) return run_next(resource);
    if (operation->action == "stop") cancel_recurring(resource, nullptr);
    operation->queued_at = now_.mono;
    if (operation->start_delay > Duration{0}) {
        operation->delayed = true;
        effects_.emplace_back(
            wire::ArmTimer{fmt::format("delay/{}", operation->serial), now_.mono + operation->start_delay});
    }
    resource.pending.push_back(std::move(operation));
    run_next(resource);
}

/// Idempotent: runs as many of the waiting operations as end at once, and starts the next one.
void Core::run_next(Resource& resource) {
    if (shutting_down_) return;
    while (!resource.active && !resource.pending.empty() && !resource.pending.front()->delayed) {
        resource.active = std::move(resource.pending.front());
        resource.pending.pop_front();
        Operation& operation = *resource.active;
        operation.agent = resource.agent;
        operation.started_at = now_.mono;
        operation.queue_time = now_.mono - operation.queued_at;
        operation.run_time = now_.wall;
        log(operation.recurring() ? wire::Severity::kDebug : wire::Severity::kInfo,
            fmt::format("{}: running {} of {} (call {})", resource.id, operation.action, to_string(resource.agent),
                        operation.call_id),
            resource.id);
        // What ends at once goes the same way as what runs, but within this loop and not by recursion.
        if (auto outcome = start(resource, operation)) {
            OperationPtr ended = std::move(resource.active);
            ended->outcome = std::move(*outcome);
            tell(resource, *ended);
            if (ended->recurring()) sleep(resource, std::move(ended));
        }
    }
}

std::optional<Outcome> Core::start(Resource& resource, Operation& operation) {
    const auto& standard = resource.agent.standard;
    if (standard == "ocf") return start_ocf(resource, operation);
    if (standard == "lsb") return start_lsb(resource, operation, ResourceRun::Step::kWhole);
    if (standard == "service") return start_service(resource, operation);
    if (standard == "systemd") return start_systemd(resource, operation);
    if (standard == "stonith") return start_stonith(resource, operation);
    return Outcome{ExecStatus::kNotSupported,
                   static_cast<int>(ExitCode::kUnimplemented),
                   fmt::format("Agents of class '{}' are not supported", standard),
                   {}};
}

std::uint32_t Core::spawn(Spawn spawn, Run run) {
    spawn.token = ++last_token_;
    spawn.environment.insert(spawn.environment.begin(), config_.agent_environment.begin(),
                             config_.agent_environment.end());
    runs_.emplace(spawn.token, std::move(run));
    effects_.emplace_back(std::move(spawn));
    return last_token_;
}

/// The active operation ended.
void Core::finish(Resource& resource, Outcome outcome) {
    OperationPtr operation = std::move(resource.active);
    operation->exec_time = now_.mono - operation->started_at;
    operation->token = 0;
    if (operation->cancelled) {
        operation->outcome.status = ExecStatus::kCancelled;
    } else {
        operation->outcome = std::move(outcome);
    }
    tell(resource, *operation);
    if (operation->recurring() && !operation->cancelled && !operation->deleted) {
        sleep(resource, std::move(operation));
    }
    const std::string id = resource.id;
    run_next(resource);
    remove_if_drained(id);
}

/// An operation that does not run and will not: its result says so.
void Core::cancel_unstarted(Resource& resource, OperationPtr operation) {
    if (operation->delayed) effects_.emplace_back(wire::CancelTimer{fmt::format("delay/{}", operation->serial)});
    operation->outcome.status = ExecStatus::kCancelled;
    tell(resource, *operation);
}

/// Drops everything that was asked for; what runs at this moment ends by itself, unless it comes again and again.
void Core::forget_operations(Resource& resource) {
    while (!resource.pending.empty()) {  // first, so that nothing of it is started by what follows
        OperationPtr operation = std::move(resource.pending.front());
        resource.pending.pop_front();
        operation->deleted = true;
        cancel_unstarted(resource, std::move(operation));
    }
    cancel_recurring(resource, nullptr);
    if (resource.active) resource.active->deleted = true;
}

bool Core::cancel_operation(Resource& resource, std::string_view action, Duration interval) {
    const auto same = [&](const OperationPtr& operation) { return operation->same_operation(action, interval); };
    bool found = false;
    if (const auto at = std::ranges::find_if(resource.pending, same); at != resource.pending.end()) {
        OperationPtr operation = std::move(*at);
        resource.pending.erase(at);
        cancel_unstarted(resource, std::move(operation));
        found = true;
    } else if (const auto resting = std::ranges::find_if(resource.sleeping, same); resting != resource.sleeping.end()) {
        OperationPtr operation = std::move(*resting);
        resource.sleeping.erase(resting);
        effects_.emplace_back(wire::CancelTimer{fmt::format("interval/{}", operation->serial)});
        cancel_unstarted(resource, std::move(operation));
        found = true;
    }
    // What runs once must end by itself: nobody could say in which state a killed start leaves the service.
    Operation* active = resource.active.get();
    if (active != nullptr && active->recurring() && active->same_operation(action, interval) && !active->cancelled) {
        active->cancelled = true;
        const auto run = runs_.find(active->token);
        SYSTOLE_ASSERT(run != runs_.end(), "the active operation has a run");
        const auto& standard = active->agent.standard;
        const bool process =
            standard == "ocf" || standard == "lsb" || (standard == "service" && resource.service_standard != "systemd");
        if (process) effects_.emplace_back(Kill{active->token});
        found = true;
    }
    run_next(resource);
    return found;
}

void Core::remove_if_drained(const std::string& id) {
    const auto at = resources_.find(id);
    if (at == resources_.end() || at->second.registered || at->second.active) return;
    resources_.erase(at);
}

}  // namespace systole::executor
