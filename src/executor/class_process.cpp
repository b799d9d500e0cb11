// Classes whose agents are programs of their own: ocf and lsb. What "service" stands for is found out here too.
#include <fmt/format.h>

#include "executor/core.h"

namespace systole::executor {

namespace {

bool block_on_failure(const Operation& operation) {
    if (operation.action != "stop") return false;
    for (const auto& [name, value] : operation.parameters) {
        if (name == "CRM_meta_on_fail") return value == "block";
    }
    return false;
}

Spawn spawn_for(const Resource& resource, const Operation& operation) {
    Spawn spawn;
    spawn.resource = resource.id;
    spawn.timeout = operation.timeout;
    spawn.keep_on_timeout = block_on_failure(operation);
    return spawn;
}

}  // namespace

std::optional<Outcome> Core::start_ocf(Resource& resource, Operation& operation) {
    Spawn agent = spawn_for(resource, operation);
    agent.argv = {ocf_path(config_.ocf_root, resource.agent), operation.action};
    agent.environment = ocf_environment(config_.ocf_root, resource.agent, resource.id, operation.parameters);
    operation.token = spawn(std::move(agent), ResourceRun{resource.id, operation.serial, ResourceRun::Step::kWhole});
    return {};
}

std::optional<Outcome> Core::start_lsb(Resource& resource, Operation& operation, ResourceRun::Step step) {
    Spawn agent = spawn_for(resource, operation);
    agent.argv = {lsb_path(config_.lsb_root, resource.agent.type), std::string(lsb_action(operation.action))};
    operation.token = spawn(std::move(agent), ResourceRun{resource.id, operation.serial, step});
    return {};
}

/// An init script wins over a unit of the same name. Whether there is one shows when it is started, so its absence
/// leads to the unit; what was found is remembered until it is gone.
std::optional<Outcome> Core::start_service(Resource& resource, Operation& operation) {
    if (resource.service_standard == "systemd") return start_systemd(resource, operation);
    return start_lsb(resource, operation, ResourceRun::Step::kServiceScript);
}

Outcome Core::outcome_of(const Operation& operation, const ProcessDone& done) {
    Outcome outcome;
    outcome.status = done.status;
    outcome.output = printable(done.error.empty() ? done.output : done.error);
    outcome.reason = printable(ocf_exit_reason(done.error));
    if (done.not_permitted) {
        outcome.status = ExecStatus::kError;
        outcome.rc = static_cast<int>(ExitCode::kInsufficientPrivileges);
        outcome.reason =
            fmt::format("{} {} may not be executed", agent_kind(operation.agent.standard), to_string(operation.agent));
    } else if (done.status == ExecStatus::kDone) {
        outcome.rc = operation.agent.standard == "ocf" ? ocf_result(done.exit_code)
                                                       : lsb_result(operation.action, done.exit_code);
    } else if (done.status == ExecStatus::kTimeout) {
        outcome.rc = static_cast<int>(ExitCode::kError);
        outcome.reason = timeout_reason(operation.agent.standard, operation.timeout);
    } else if (done.status == ExecStatus::kNotInstalled) {
        outcome.rc = static_cast<int>(ExitCode::kNotInstalled);
        outcome.reason =
            fmt::format("{} {} is not installed", agent_kind(operation.agent.standard), to_string(operation.agent));
    } else {
        outcome.rc = static_cast<int>(ExitCode::kError);
        outcome.reason = fmt::format("{} {}", agent_kind(operation.agent.standard), done.reason);
    }
    return outcome;
}

}  // namespace systole::executor
