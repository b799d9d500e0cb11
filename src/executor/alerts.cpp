// Alert agents: run as hacluster, belong to no resource, and nobody is told how they end.
#include <fmt/format.h>

#include <cerrno>

#include "executor/core.h"
#include "executor/private_requests.h"

namespace systole::executor {

void Core::run_alert(const Asked& asked) {
    const xml::Node* alert = find_element(*asked.input.message, "lrmd_alert");
    if (alert == nullptr || alert->get("lrmd_alert_path").empty()) return answer(asked, -EINVAL);
    if (runs_.size() >= kAgentRunsMax) {
        log(wire::Severity::kError, fmt::format("Not running alert agent {}: {} agents run already",
                                                alert->get("lrmd_alert_path"), runs_.size()));
        return answer(asked, -EAGAIN);
    }
    AlertRun run{.id = std::string(alert->get("lrmd_alert_id")),
                 .path = std::string(alert->get("lrmd_alert_path")),
                 .timeout = duration_of(*alert, "lrmd_timeout")};
    Spawn agent;
    agent.argv = {run.path};
    agent.environment = parameters_of(*alert);
    agent.timeout = run.timeout;
    agent.as_hacluster = true;
    answer(asked, 0);
    spawn(std::move(agent), std::move(run));
}

void Core::alert_done(const AlertRun& run, const ProcessDone& done) {
    if (done.status == ExecStatus::kDone && done.exit_code == 0) return;
    std::string why = fmt::format("exit status {}", done.exit_code);
    if (done.not_permitted) {
        why = "it may not be executed";
    } else if (done.status == ExecStatus::kTimeout) {
        why = timeout_reason("alert", run.timeout);
    } else if (done.status == ExecStatus::kNotInstalled) {
        why = "there is no such program";
    } else if (done.status != ExecStatus::kDone) {
        why = fmt::format("it {}", done.reason);
    }
    log(wire::Severity::kWarning, fmt::format("Alert {} ({}) failed: {}", run.id, run.path, why));
}

}  // namespace systole::executor
