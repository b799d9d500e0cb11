#include "executor/core.h"

namespace systole::executor {

std::optional<Outcome> Core::start_systemd(Resource& resource, Operation& operation) {
    ToSystemd request;
    request.token = ++last_token_;
    request.resource = resource.id;
    request.unit = systemd_unit(resource.agent.type);
    request.action = operation.action == "status" ? "monitor" : operation.action;
    request.timeout = operation.timeout;
    operation.token = request.token;
    runs_.emplace(request.token, ResourceRun{resource.id, operation.serial, ResourceRun::Step::kWhole});
    effects_.emplace_back(std::move(request));
    return {};
}

}  // namespace systole::executor
