// Fence devices. "Starting" one makes it known to the local fencer and tries it once; the fencer runs its agent.
// Source: protocol sheets executor-remote.md, section 6 (class stonith), and fencer.md, sections 2, 7 and 8.
#include <fmt/format.h>

#include <algorithm>

#include "base/result.h"
#include "base/text.h"
#include "executor/core.h"

namespace systole::executor {

namespace {

constexpr std::string_view kLost = "Lost connection to fencer";
/// The fencer ends its agents itself; this is how much later an answer that does not come is given up.
constexpr Duration kGrace{2000};

Outcome failed(std::string reason) {
    return Outcome{ExecStatus::kError, static_cast<int>(ExitCode::kError), std::move(reason), {}};
}

/// What a reply of the fencer says in OCF terms.
Outcome outcome_of_reply(const xml::Node& reply) {
    Outcome outcome;
    outcome.reason = printable(reply.get("exit-reason"));
    outcome.output = printable(reply.get("st_output"));
    if (!reply.has("rc-code")) {  // an older fencer tells a legacy code only
        const auto rc = parse_integer(reply.get("st_rc")).value_or(-1);
        if (rc >= 0) return outcome;
        return failed(std::string(describe_legacy(static_cast<int>(rc))));
    }
    const auto rc = parse_integer(reply.get("rc-code")).value_or(1);
    outcome.status = static_cast<ExecStatus>(parse_integer(reply.get("op-status")).value_or(rc == 0 ? 0 : 4));
    outcome.rc = rc == 0 && outcome.status == ExecStatus::kDone ? 0 : static_cast<int>(ExitCode::kError);
    // The caller knows the statuses of resources; the rest are errors with a reason.
    if (outcome.status == ExecStatus::kNoFenceDevice) {
        outcome.status = ExecStatus::kDone;
        outcome.rc = static_cast<int>(ExitCode::kNotRunning);
    } else if (outcome.status == ExecStatus::kInvalid || outcome.status == ExecStatus::kNotConnected ||
               outcome.status == ExecStatus::kPending) {
        outcome.status = ExecStatus::kError;
    }
    return outcome;
}

}  // namespace

std::optional<Outcome> Core::start_stonith(Resource& resource, Operation& operation) {
    if (!config_.fence_devices) {
        return Outcome{ExecStatus::kError,
                       static_cast<int>(ExitCode::kUnimplemented),
                       "Fence devices cannot run on a remote node: it has no fencer",
                       {}};
    }
    if (operation.action == "start") {
        ask_fencer(resource, operation, ResourceRun::Step::kFenceRegister);
        return {};
    }
    if (operation.action == "stop") {
        ask_fencer(resource, operation, ResourceRun::Step::kFenceRemove);
        return {};
    }
    if (operation.action != "monitor" && operation.action != "status") {
        return Outcome{ExecStatus::kError,
                       static_cast<int>(ExitCode::kUnimplemented),
                       fmt::format("Fence devices do not support {}", operation.action),
                       {}};
    }
    if (operation.recurring()) {
        ask_fencer(resource, operation, ResourceRun::Step::kFenceMonitor);
        return {};
    }
    switch (resource.device) {  // a probe
        case DeviceState::kStarted: return Outcome{};
        case DeviceState::kStopped: return Outcome{ExecStatus::kDone, static_cast<int>(ExitCode::kNotRunning), {}, {}};
        case DeviceState::kLost: break;
    }
    return failed(std::string(kLost));
}

void Core::ask_fencer(Resource& resource, Operation& operation, ResourceRun::Step step) {
    const Duration left = operation.timeout - (now_.mono - operation.started_at);
    xml::Builder data("systole-execd");
    std::string_view op;
    switch (step) {
        case ResourceRun::Step::kFenceRegister: {
            op = "st_device_register";
            data.rename("st_device_id").set("id", resource.id).set_unless_empty("namespace", resource.agent.provider);
            data.set("agent", resource.agent.type);
            xml::Builder attributes("attributes");
            for (const auto& [name, value] : operation.parameters) {
                if (name == "provides" || name == "CRM_meta_provides") data.set("rsc_provides", value);
                attributes.set(name, value);
            }
            data.add(std::move(attributes));
            break;
        }
        case ResourceRun::Step::kFenceRemove:
            op = "st_device_remove";
            data.rename("st_device_id").set("id", resource.id);
            break;
        case ResourceRun::Step::kFenceMonitor:
            op = "st_execute";
            data.rename("st_device_id").set("st_device_id", resource.id).set("st_device_action", "monitor");
            break;
        case ResourceRun::Step::kWhole:
        case ResourceRun::Step::kServiceScript: SYSTOLE_ASSERT(false, "not a step of class stonith");
    }
    const auto seconds = std::max<std::int64_t>(1, (left.count() + 999) / 1000);
    xml::Builder request("stonith_command");
    request.set("t", "stonith-ng")
        .set("st_op", op)
        .set("st_callid", last_token_ + 1)  // what the reply is known by, which comes as an event
        .set("st_callopt", 0)
        .set("st_timeout", operation.timeout > Duration{0} ? seconds : 60)
        .add(xml::Builder("st_calldata").add(std::move(data)).build());
    operation.token = ++last_token_;
    runs_.emplace(operation.token, ResourceRun{resource.id, operation.serial, step});
    if (operation.timeout > Duration{0}) {
        effects_.emplace_back(wire::ArmTimer{fmt::format("fencer/{}", operation.token), now_.mono + left + kGrace});
    }
    effects_.emplace_back(ToFencer{operation.token, std::move(request).build()});
}

void Core::fencer_answered(Resource& resource, ResourceRun run, const xml::Node* reply) {
    Operation& operation = *resource.active;
    // A device that was unregistered or replaced meanwhile has no state here any more.
    DeviceState ignored = DeviceState::kStopped;
    DeviceState& device = operation.deleted ? ignored : resource.device;
    const bool removal = run.step == ResourceRun::Step::kFenceRemove;
    if (reply == nullptr) {
        // What a fencer was told of devices by this connection ends with it, so there is nothing left to remove.
        device = removal ? DeviceState::kStopped : DeviceState::kLost;
        return finish(resource, removal ? Outcome{} : failed(std::string(kLost)));
    }
    Outcome outcome = outcome_of_reply(*reply);
    if (outcome.status == ExecStatus::kTimeout) outcome.reason = timeout_reason("stonith", operation.timeout);
    const bool ok = outcome.status == ExecStatus::kDone && outcome.rc == 0;
    if (removal) {
        const bool unknown = outcome.status == ExecStatus::kDone && outcome.rc == 7;
        if (ok || unknown) device = DeviceState::kStopped;
        return finish(resource, unknown ? Outcome{} : std::move(outcome));
    }
    if (run.step == ResourceRun::Step::kFenceRegister && ok) {
        return ask_fencer(resource, operation, ResourceRun::Step::kFenceMonitor);
    }
    if (operation.action == "start") device = ok ? DeviceState::kStarted : DeviceState::kStopped;
    // An unknown device is not running to a monitor; to a start it is a failure.
    if (operation.action == "start" && outcome.rc == 7) outcome = failed(std::move(outcome.reason));
    finish(resource, std::move(outcome));
}

void Core::fencer_timed_out(std::uint32_t token) {
    const auto found = runs_.find(token);
    if (found == runs_.end()) return;
    const ResourceRun run = std::get<ResourceRun>(found->second);
    runs_.erase(found);
    Resource& resource = resources_.find(run.resource)->second;
    const Duration timeout = resource.active->timeout;
    finish(resource,
           Outcome{ExecStatus::kTimeout, static_cast<int>(ExitCode::kError), timeout_reason("stonith", timeout), {}});
}

/// Every device that was started is in doubt: its recurring monitors fail at once and probes say so.
void Core::handle(const FencerLost&) {
    std::vector<std::uint32_t> asked;
    for (const auto& [token, run] : runs_) {
        const auto* mine = std::get_if<ResourceRun>(&run);
        if (mine != nullptr &&
            (mine->step == ResourceRun::Step::kFenceRegister || mine->step == ResourceRun::Step::kFenceMonitor ||
             mine->step == ResourceRun::Step::kFenceRemove))
            asked.push_back(token);
    }
    for (auto& [id, resource] : resources_) {
        if (resource.agent.standard != "stonith") continue;
        if (resource.device == DeviceState::kStarted) resource.device = DeviceState::kLost;
        for (OperationPtr& operation : resource.sleeping) {
            operation->outcome = failed(std::string(kLost));
            operation->run_time = now_.wall;
            operation->exec_time = operation->queue_time = Duration{0};
            tell(resource, *operation);
        }
    }
    for (const auto token : asked) {
        const auto found = runs_.find(token);
        const ResourceRun run = std::get<ResourceRun>(found->second);
        runs_.erase(found);
        effects_.emplace_back(wire::CancelTimer{fmt::format("fencer/{}", token)});
        fencer_answered(resources_.find(run.resource)->second, run, nullptr);
    }
}

}  // namespace systole::executor
