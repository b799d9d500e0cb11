#include "fencing/runner.h"

#include <fmt/format.h>

#include <algorithm>

namespace systole::fencing {
namespace {

constexpr Duration kRetryPause{1000};
constexpr Duration kDefaultTimeout{60'000};

std::string describe_job(const Job& job) {
    return job.target.empty() ? fmt::format("'{}' with {}", job.action, job.device)
                              : fmt::format("'{}' of {} with {}", job.action, job.target, job.device);
}

std::string last_line(std::string_view text) {
    const auto lines = split(text, "\r\n");
    return lines.empty() ? std::string{} : std::string(trim(lines.back()));
}

/// Asked for a target's status, an agent answers with 2 if the target is off: an answer, no failure.
bool is_answer(const Job& job, int exit_code) { return exit_code == 0 || (job.action == "status" && exit_code == 2); }

}  // namespace

JobId Runner::submit(Job job) {
    const JobId id = ++last_id_;
    const std::string device_id = job.device;
    Running& running = jobs_.emplace(id, Running{}).first->second;
    running.job = std::move(job);
    const Device* device = c_.devices.find(device_id);
    if (device == nullptr) {
        end(id, failed(ExecStatus::kNoFenceDevice, fmt::format("Requested device '{}' not found", device_id)));
        return id;
    }
    Duration delay{0};
    if (running.job.delay) {
        auto [base, max] = device->delays(running.job.action, running.job.target);
        if (max == Duration{0}) max = base;
        if (max < base) {
            c_.log(wire::Severity::kWarning,
                   fmt::format("pcmk_delay_base ({}s) of {} is larger than its pcmk_delay_max ({}s): waiting the "
                               "latter",
                               to_seconds(base), device_id, to_seconds(max)),
                   running.job.target, device_id);
            base = max;
        }
        // Whole seconds, as peers reckon their limits by.
        const auto spread = std::chrono::duration_cast<std::chrono::seconds>(max - base).count();
        delay = *running.job.delay + base + std::chrono::seconds(c_.random.up_to(static_cast<std::uint64_t>(spread)));
        if (delay > Duration{0}) {
            c_.log(wire::Severity::kNotice,
                   fmt::format("{} waits {}s first (requested {}s, device {}s to {}s)", describe_job(running.job),
                               to_seconds(delay), to_seconds(*running.job.delay), to_seconds(base), to_seconds(max)),
                   running.job.target, device_id);
        }
    }
    if (delay > Duration{0}) {
        running.step = Step::kDelayed;
        c_.arm(fmt::format("job/{}", id), delay);
        return id;
    }
    queues_[device_id].push_back(id);
    start_what_may(device_id);
    return id;
}

void Runner::on_timer(std::string_view what) {
    const auto number = parse_integer(what);
    const auto it = number ? jobs_.find(static_cast<JobId>(*number)) : jobs_.end();
    if (it == jobs_.end()) return;
    auto& [id, running] = *it;
    const std::string device_id = running.job.device;
    if (running.step == Step::kDelayed) {
        running.step = Step::kQueued;
        queues_[device_id].push_back(id);
        start_what_may(device_id);
    } else if (running.step == Step::kRetrying) {
        const Device* device = c_.devices.find(device_id);
        if (device == nullptr) {
            end(id, failed(ExecStatus::kNoFenceDevice, fmt::format("Device '{}' was removed", device_id)));
            return;
        }
        run_agent(id, running, *device, running.limit - (c_.now.mono - running.begun));
    }
}

void Runner::start_what_may(const std::string& device_id) {
    Device* device = c_.devices.find(device_id);
    if (device == nullptr) return;
    const int limit = device->action_limit();
    // A job that ends at once starts what may follow it: the queue is looked up anew after each.
    for (auto queue = queues_.find(device_id); queue != queues_.end(); queue = queues_.find(device_id)) {
        if (queue->second.empty()) {
            queues_.erase(queue);
            return;
        }
        const auto active = std::ranges::count_if(jobs_, [&](const auto& j) {
            return j.second.job.device == device_id &&
                   (j.second.step == Step::kRunning || j.second.step == Step::kRetrying);
        });
        if (limit >= 0 && active >= limit) return;
        const JobId id = queue->second.front();
        queue->second.pop_front();
        start(id, jobs_.at(id), *device);
    }
}

void Runner::start(JobId id, Running& running, Device& device) {
    if (device.is_watchdog()) {
        if (cuts_off(running.job.action) && c_.fences_by_watchdog(c_.self())) {
            c_.effects.emplace_back(
                Panic{fmt::format("asked to fence ourselves by watchdog ({})", running.job.action)});
            running.step = Step::kRunning;  // there is no coming back from this
            running.begun = c_.now.mono;
        } else {
            end(id, done());
        }
        return;
    }
    running.base_action = device.base_action(running.job.action);
    if (running.base_action != running.job.action) {
        c_.log(wire::Severity::kNotice,
               fmt::format("{} has no '{}': doing '{}' of {} with {} instead", device.what.agent, running.job.action,
                           running.base_action, running.job.target, device.id()),
               running.job.target, device.id());
    }
    running.begun = c_.now.mono;
    running.limit = device.action_timeout(running.job.action).value_or(running.job.timeout);
    if (running.limit <= Duration{0}) running.limit = kDefaultTimeout;
    run_agent(id, running, device, running.limit);
}

void Runner::run_agent(JobId id, Running& running, const Device& device, Duration limit) {
    if (running.job.needs_quorum && !c_.may_cut_off(running.job.target)) {
        c_.log(wire::Severity::kWarning,
               fmt::format("{} is not done: this partition has no quorum any more", describe_job(running.job)),
               running.job.target, device.id());
        end(id, failed(ExecStatus::kError, std::string(kQuorumLost)));
        return;
    }
    running.step = Step::kRunning;
    ++running.tries;
    running.token = ++last_token_;
    tokens_.emplace(running.token, id);
    c_.effects.emplace_back(RunFenceAgent{running.token, device.what.agent, device.agent_action(running.base_action),
                                          device.agent_input(running.base_action, running.job.target), limit});
}

void Runner::on_agent_done(std::uint32_t token, ExecStatus status, int exit_code, std::string_view output,
                           std::string_view error) {
    const auto token_it = tokens_.find(token);
    if (token_it == tokens_.end()) {
        c_.log(wire::Severity::kWarning, fmt::format("result of an unknown run of a fence agent ({}): ignored", token));
        return;
    }
    const JobId id = token_it->second;
    tokens_.erase(token_it);
    Running& running = jobs_.at(id);
    const std::string device_id = running.job.device;
    Outcome outcome{status, exit_code, last_line(error), std::string(output)};
    if (status == ExecStatus::kTimeout && outcome.reason.empty()) {
        outcome.reason = fmt::format("{} did not end within {}s", describe_job(running.job), to_seconds(running.limit));
    }
    if (status != ExecStatus::kDone && outcome.exit_code == 0) outcome.exit_code = 1;
    if (running.cancelled) {
        jobs_.erase(id);
        start_what_may(device_id);
        return;
    }
    Device* device = c_.devices.find(device_id);
    const bool answered = status == ExecStatus::kDone && is_answer(running.job, exit_code);
    if (answered) outcome.reason.clear();  // agents warn of this and that though all went well
    if (!answered && status == ExecStatus::kDone && device != nullptr) {
        const int tries = device->tries(running.base_action);
        const auto elapsed = c_.now.mono - running.begun;
        // A retry with little time left would be killed in the middle of what it does.
        const bool time_left = elapsed * 10 < running.limit * 7 && elapsed + kRetryPause < running.limit;
        if (running.tries < tries && time_left) {
            c_.log(wire::Severity::kWarning,
                   fmt::format("{} failed (exit status {}{}{}): trying again in 1s, attempt {} of {}",
                               describe_job(running.job), exit_code, outcome.reason.empty() ? "" : ", ", outcome.reason,
                               running.tries + 1, tries),
                   running.job.target, device_id);
            running.step = Step::kRetrying;
            c_.arm(fmt::format("job/{}", id), kRetryPause);
            return;
        }
    }
    if (answered && device != nullptr &&
        (running.job.action == "list" || running.job.action == "monitor" || running.job.action == "status")) {
        device->verified = true;
    }
    if (!running.job.target.empty() && running.job.action != "status") {
        c_.log(outcome.ok() ? wire::Severity::kNotice : wire::Severity::kWarning,
               fmt::format("{}: {}{}{}", describe_job(running.job),
                           outcome.ok() ? "done"
                           : status == ExecStatus::kDone
                               ? fmt::format("failed with exit status {} after {} attempt{}", exit_code, running.tries,
                                             running.tries == 1 ? "" : "s")
                               : fmt::format("failed: {}", describe(status)),
                           outcome.reason.empty() ? "" : ": ", outcome.reason),
               running.job.target, device_id);
    }
    end(id, std::move(outcome));
}

void Runner::end(JobId id, Outcome outcome) {
    const auto it = jobs_.find(id);
    const std::string device_id = it->second.job.device;
    jobs_.erase(it);
    finished_.push_back({id, std::move(outcome)});
    start_what_may(device_id);
}

void Runner::cancel_operation(std::string_view operation) {
    std::vector<std::string> freed;
    for (auto it = jobs_.begin(); it != jobs_.end();) {
        auto& [id, running] = *it;
        if (running.job.operation != operation || operation.empty()) {
            ++it;
            continue;
        }
        if (running.step == Step::kRunning) {
            if (running.token != 0 && !running.cancelled) {
                c_.log(wire::Severity::kNotice,
                       fmt::format("killing the agent that does {}: the operation is over", describe_job(running.job)),
                       running.job.target, running.job.device);
                c_.effects.emplace_back(KillFenceAgent{running.token});
            }
            running.cancelled = true;  // its device is busy until the agent is gone
            ++it;
            continue;
        }
        if (running.step != Step::kQueued) c_.cancel(fmt::format("job/{}", id));
        if (const auto queue = queues_.find(running.job.device); queue != queues_.end()) std::erase(queue->second, id);
        freed.push_back(running.job.device);
        it = jobs_.erase(it);
    }
    for (const auto& device : freed) start_what_may(device);
}

void Runner::on_device_removed(std::string_view device) {
    queues_.erase(std::string(device));
    std::vector<JobId> ended;
    for (const auto& [id, running] : jobs_) {
        if (running.job.device == device && running.step != Step::kRunning && running.step != Step::kRetrying)
            ended.push_back(id);
    }
    for (const JobId id : ended) {
        if (jobs_.at(id).step == Step::kDelayed) c_.cancel(fmt::format("job/{}", id));
        end(id, failed(ExecStatus::kNoFenceDevice, "Device was removed before action could be executed"));
    }
}

std::vector<std::string> Runner::check_state() const {
    std::vector<std::string> broken;
    std::map<std::string, int> active;
    for (const auto& [id, running] : jobs_) {
        if (running.step == Step::kRunning || running.step == Step::kRetrying) ++active[running.job.device];
    }
    for (const auto& [id, count] : active) {
        const Device* device = c_.devices.find(id);
        if (device != nullptr && device->action_limit() >= 0 && count > device->action_limit())
            broken.push_back(fmt::format("{} runs {} agents, {} are allowed", id, count, device->action_limit()));
    }
    return broken;
}

}  // namespace systole::fencing
