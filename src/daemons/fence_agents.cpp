#include "daemons/fence_agents.h"

#include <fmt/format.h>

namespace systole::daemons {
namespace {

using End = runtime::ProcessResult::End;

ExecStatus status_of(const runtime::ProcessResult& result) {
    switch (result.end) {
        case End::kExited: return ExecStatus::kDone;
        case End::kTimedOut: return ExecStatus::kTimeout;
        case End::kNotFound: return ExecStatus::kNotInstalled;
        case End::kSignalled:
        case End::kNotPermitted:
        case End::kFailed: return ExecStatus::kError;
    }
    return ExecStatus::kError;
}

}  // namespace

FenceAgents::FenceAgents(runtime::Loop& loop, std::string directory, runtime::LogSink log, Handlers handlers)
    : directory_(std::move(directory)),
      handlers_(std::move(handlers)),
      processes_(loop, {.control_group = runtime::own_control_group(), .log = std::move(log)}) {}

runtime::ProcessSpec FenceAgents::spec(const std::string& agent, Duration timeout) const {
    runtime::ProcessSpec spec;
    spec.name = agent;
    spec.argv = {fmt::format("{}/{}", directory_, agent)};
    spec.timeout = timeout;
    return spec;
}

void FenceAgents::run(const fencing::RunFenceAgent& what) {
    auto spec = this->spec(what.agent, what.timeout);
    for (const auto& [name, value] : what.parameters) spec.input += fmt::format("{}={}\n", name, value);
    runs_[what.token] = processes_.start(spec, [this, token = what.token](const runtime::ProcessResult& result) {
        runs_.erase(token);
        const bool started = result.end == End::kExited || result.end == End::kTimedOut;
        handlers_.done(token, status_of(result), result.exit_code, result.output,
                       started ? result.error : result.reason);
    });
}

void FenceAgents::kill(const fencing::KillFenceAgent& what) {
    if (const auto run = runs_.find(what.token); run != runs_.end()) processes_.kill(run->second);
}

void FenceAgents::fetch(const fencing::FetchMetadata& what) {
    auto spec = this->spec(what.agent, what.timeout);
    spec.input = "action=metadata\n";
    spec.output_max = std::size_t{1024} * 1024;  // cut metadata would be no XML
    processes_.start(spec, [this, token = what.token](const runtime::ProcessResult& result) {
        std::string fault;
        if (result.end == End::kTimedOut) {
            fault = "it took too long";
        } else if (result.end != End::kExited) {
            fault = result.reason;
        } else if (result.exit_code != 0) {
            fault = fmt::format("exit status {}", result.exit_code);
        }
        handlers_.metadata(token, fault.empty() ? result.output : std::string{}, fault);
    });
}

}  // namespace systole::daemons
