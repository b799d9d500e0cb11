#include "executor/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/result.h"
#include "base/text.h"
#include "executor/core.h"
#include "executor/private_requests.h"

namespace systole::executor {

struct Executor::State {
    Core core;
};

Executor::Executor(ExecutorConfig config) : state_(new State{Core(std::move(config))}) {}
Executor::~Executor() = default;
Executor::Executor(Executor&&) noexcept = default;
Executor& Executor::operator=(Executor&&) noexcept = default;

Effects Executor::on(const Now& now, const Input& input) { return state_->core.on(now, input); }
std::vector<std::string> Executor::check_state() const { return state_->core.check_state(); }

Effects Core::on(const Now& now, const Input& input) {
    now_ = now;
    effects_.clear();
    std::visit([this](const auto& what) { handle(what); }, input);
    exit_when_idle();
    return std::move(effects_);
}

void Core::handle(const wire::ClientConnected& input) {
    sessions_.insert_or_assign(input.client.id, Session{.client = input.client, .name = {}, .controller = false});
}

void Core::handle(const wire::ClientClosed& input) {
    const auto session = sessions_.find(input.client);
    if (session == sessions_.end()) return;
    const bool controller = session->second.controller;
    const bool remote = session->second.remote();
    const std::string name = session->second.name;
    sessions_.erase(session);
    const bool last_cluster = std::ranges::none_of(sessions_, [](const auto& entry) { return entry.second.remote(); });
    if (controller) {
        log(wire::Severity::kNotice, fmt::format("{} disconnected: its results are kept until it is back", name));
    }
    // A cluster whose connection moves to another of its nodes goes on with what it began here; only the last one to
    // leave ends it, whoever asked for it.
    if (!remote || last_cluster) {
        for (auto& [id, resource] : resources_) {
            if ((resource.options & kDropRecurring) != 0) cancel_recurring(resource, remote ? nullptr : &input.client);
        }
    }
    // A fence agent that was begun must not be left half way; the others only wanted to be heard.
    for (auto& [token, run] : runs_) {
        auto* agent = std::get_if<AgentRun>(&run);
        if (agent == nullptr || agent->client != input.client || agent->agent.standard == "stonith") continue;
        agent->cancelled = true;
        if (agent->target != "systemd") effects_.emplace_back(Kill{token});
    }
}

void Core::handle(const wire::TimerFired& input) {
    const auto slash = input.name.find('/');
    const auto kind = std::string_view(input.name).substr(0, slash);
    const auto number = slash == std::string::npos ? std::nullopt : parse_integer(input.name.substr(slash + 1));
    SYSTOLE_ASSERT(number.has_value(), "timers are armed with a number in their name");
    if (kind == "interval") {
        wake(static_cast<std::uint64_t>(*number));
    } else if (kind == "delay") {
        end_start_delay(static_cast<std::uint64_t>(*number));
    } else if (kind == "fencer") {
        fencer_timed_out(static_cast<std::uint32_t>(*number));
    }
}

void Core::handle(const ProcessDone& input) {
    const auto found = runs_.find(input.token);
    if (found == runs_.end()) return;
    Run run = std::move(found->second);
    runs_.erase(found);
    if (auto* agent = std::get_if<AgentRun>(&run)) return agent_done(std::move(*agent), input);
    if (const auto* alert = std::get_if<AlertRun>(&run)) return alert_done(*alert, input);
    const auto& mine = std::get<ResourceRun>(run);
    const auto at = resources_.find(mine.resource);
    SYSTOLE_ASSERT(at != resources_.end() && at->second.active && at->second.active->serial == mine.serial,
                   "a resource stays as long as something runs for it");
    Resource& resource = at->second;
    Operation& operation = *resource.active;
    if (mine.step == ResourceRun::Step::kServiceScript && !operation.cancelled && !operation.deleted) {
        if (input.status == ExecStatus::kNotInstalled) {
            resource.service_standard = "systemd";
            if (auto outcome = start_systemd(resource, operation)) finish(resource, std::move(*outcome));
            return;
        }
        resource.service_standard = "lsb";
    }
    finish(resource, outcome_of(operation, input));
}

void Core::handle(const FencerReply& input) {
    const auto found = runs_.find(input.token);
    if (found == runs_.end()) return;
    const ResourceRun run = std::get<ResourceRun>(found->second);
    runs_.erase(found);
    effects_.emplace_back(wire::CancelTimer{fmt::format("fencer/{}", input.token)});
    const auto at = resources_.find(run.resource);
    SYSTOLE_ASSERT(at != resources_.end() && at->second.active && at->second.active->serial == run.serial,
                   "a resource stays as long as the fencer is asked for it");
    fencer_answered(at->second, run, input.message.get());
}

void Core::handle(const SystemdDone& input) {
    const auto found = runs_.find(input.token);
    if (found == runs_.end()) return;
    Run run = std::move(found->second);
    runs_.erase(found);
    if (auto* agent = std::get_if<AgentRun>(&run)) {
        return agent_done(std::move(*agent), ProcessDone{.token = input.token,
                                                         .status = input.status,
                                                         .exit_code = input.exit_code,
                                                         .output = input.output,
                                                         .error = {},
                                                         .not_permitted = input.exit_code == 4,
                                                         .reason = input.reason});
    }
    const auto& mine = std::get<ResourceRun>(run);
    const auto at = resources_.find(mine.resource);
    SYSTOLE_ASSERT(at != resources_.end() && at->second.active && at->second.active->serial == mine.serial,
                   "a resource stays as long as its unit is asked about");
    Resource& resource = at->second;
    if (input.status == ExecStatus::kNotInstalled && !resource.active->deleted) resource.service_standard.clear();
    Outcome outcome{input.status, input.exit_code, printable(input.reason), {}};
    if (outcome.status == ExecStatus::kTimeout && outcome.reason.empty()) {
        outcome.reason = timeout_reason("systemd", resource.active->timeout);
    }
    finish(resource, std::move(outcome));
}

void Core::handle(const ShutdownRequested&) {
    if (shutting_down_) return;
    shutting_down_ = true;
    for (auto& [id, resource] : resources_) {
        while (!resource.pending.empty()) {
            OperationPtr operation = std::move(resource.pending.front());
            resource.pending.pop_front();
            cancel_unstarted(resource, std::move(operation));
        }
        cancel_recurring(resource, nullptr);
    }
    if (!runs_.empty()) {
        log(wire::Severity::kNotice, fmt::format("Shutting down: waiting for {} running agents", runs_.size()));
    }
}

void Core::exit_when_idle() {
    if (!shutting_down_ || exited_ || !runs_.empty()) return;
    exited_ = true;
    effects_.emplace_back(Exit{ExitCode::kOk});
}

void Core::log(wire::Severity severity, std::string text, std::string_view resource) {
    effects_.emplace_back(wire::Log{.severity = severity,
                                    .text = std::move(text),
                                    .node = config_.node_name,
                                    .resource = std::string(resource),
                                    .transition = -1});
}

std::vector<std::string> Core::check_state() const {
    std::vector<std::string> broken;
    std::map<std::string, std::size_t> runs_of;
    for (const auto& [token, run] : runs_) {
        const auto* mine = std::get_if<ResourceRun>(&run);
        if (mine == nullptr) continue;
        ++runs_of[mine->resource];
        const auto at = resources_.find(mine->resource);
        if (at == resources_.end() || !at->second.active || at->second.active->serial != mine->serial) {
            broken.push_back(fmt::format("run {} belongs to no active operation of {}", token, mine->resource));
        } else if (at->second.active->token != token) {
            broken.push_back(fmt::format("the active operation of {} does not know its run {}", mine->resource, token));
        }
    }
    for (const auto& [id, resource] : resources_) {
        const auto runs = runs_of[id];
        if (runs > 1) broken.push_back(fmt::format("{} agents run for {} at the same time", runs, id));
        if (resource.active && runs == 0) broken.push_back(fmt::format("{} is busy but nothing runs for it", id));
        if (!resource.active && !resource.pending.empty() && !resource.pending.front()->delayed)
            broken.push_back(fmt::format("{} waits although nothing runs for it", id));
        if (!resource.registered && (!resource.active || !resource.pending.empty() || !resource.sleeping.empty()))
            broken.push_back(fmt::format("{} is unregistered but was not forgotten", id));
        std::set<std::pair<std::string, Duration>> recurring;
        const auto note = [&](const Operation& operation) {
            if (operation.recurring() && !recurring.insert({operation.action, operation.interval}).second)
                broken.push_back(
                    fmt::format("{} has {} every {} ms twice", id, operation.action, operation.interval.count()));
        };
        for (const auto& operation : resource.pending) note(*operation);
        for (const auto& operation : resource.sleeping) note(*operation);
    }
    return broken;
}

}  // namespace systole::executor
