#include "cli/fence_agents.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "runtime/linux/loop.h"
#include "runtime/linux/process.h"

namespace systole::cli {
namespace {

constexpr const char* kDirectory = "/usr/sbin";

}  // namespace

std::vector<std::string> installed_fence_agents() {
    namespace fs = std::filesystem;
    std::vector<std::string> agents;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(kDirectory, ignored)) {
        const std::string name = entry.path().filename();
        const auto status = entry.status(ignored);
        constexpr auto kExecutable = fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec;
        if (name.starts_with("fence_") && fs::is_regular_file(status) &&
            (status.permissions() & kExecutable) != fs::perms::none)
            agents.push_back(name);
    }
    std::ranges::sort(agents);
    return agents;
}

AgentRun run_fence_agent(const std::string& agent, const std::string& action,
                         const std::vector<std::pair<std::string, std::string>>& parameters, Duration timeout) {
    AgentRun run;
    if (agent.empty() || agent.find('/') != std::string::npos) {
        run.status = ExecStatus::kNotInstalled;
        return run;
    }
    runtime::Loop loop;
    runtime::ProcessRunner processes(loop, {.control_group = {}, .log = [](const wire::Log&) {}});
    runtime::ProcessSpec spec;
    spec.name = agent;
    spec.argv = {fmt::format("{}/{}", kDirectory, agent)};
    spec.input = fmt::format("action={}\n", action);
    for (const auto& [name, value] : parameters) spec.input += fmt::format("{}={}\n", name, value);
    spec.timeout = timeout;
    spec.output_max = std::size_t{1024} * 1024;
    processes.start(spec, [&](const runtime::ProcessResult& result) {
        using End = runtime::ProcessResult::End;
        run.exit_code = result.exit_code;
        run.output = result.output;
        run.error = result.error;
        switch (result.end) {
            case End::kExited: run.status = ExecStatus::kDone; break;
            case End::kTimedOut: run.status = ExecStatus::kTimeout; break;
            case End::kNotFound: run.status = ExecStatus::kNotInstalled; break;
            case End::kSignalled:
            case End::kNotPermitted:
            case End::kFailed:
                run.status = ExecStatus::kError;
                run.error = result.reason;
                break;
        }
        loop.stop();
    });
    loop.run();
    return run;
}

}  // namespace systole::cli
