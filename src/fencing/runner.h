#pragma once
// fencing/runner.h — runs actions with devices of this node: one after the other, after their delays, with retries.
//
// Invariants: a device runs at most action_limit() agents at a time, the one that waits before a retry included; jobs
// of a device start in the order in which their delays end; every job ends exactly once (Finished), unless it was
// cancelled.
// Source: protocol sheet fencer.md, sections 5 (delays) and 8.
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fencing/context.h"

namespace systole::fencing {

struct Job {
    std::string device;
    std::string action;
    std::string target;             ///< empty for actions with the device itself
    Duration timeout{};             ///< if the device has none of its own for the action
    std::optional<Duration> delay;  ///< asked for, before the device's own; empty: no delay at all
    std::string operation;          ///< uuid of the fencing operation it is part of; empty if none
    bool needs_quorum = false;      ///< no agent is started for it without
};
using JobId = std::uint64_t;

struct Finished {
    JobId id{};
    Outcome outcome;
};

class Runner {
public:
    explicit Runner(Context& context) : c_(context) {}

    JobId submit(Job job);
    /// `what` follows "job/".
    void on_timer(std::string_view what);
    void on_agent_done(std::uint32_t token, ExecStatus status, int exit_code, std::string_view output,
                       std::string_view error);
    /// The operation is over: what waits for it is dropped, what runs is killed, and nobody is told of the results. An
    /// agent that went on could cut off a node that has come back since.
    void cancel_operation(std::string_view operation);
    void on_device_removed(std::string_view device);
    /// Jobs that ended since the last call, in order.
    [[nodiscard]] std::vector<Finished> take_finished() { return std::exchange(finished_, {}); }
    [[nodiscard]] std::vector<std::string> check_state() const;

private:
    enum class Step : std::uint8_t { kDelayed, kQueued, kRunning, kRetrying };
    struct Running {
        Job job;
        Step step = Step::kQueued;
        bool cancelled = false;
        int tries = 0;
        Instant begun;
        Duration limit{};
        std::string base_action;
        std::uint32_t token = 0;
    };
    void start_what_may(const std::string& device);
    void start(JobId id, Running& job, Device& device);
    void run_agent(JobId id, Running& job, const Device& device, Duration limit);
    void end(JobId id, Outcome outcome);

    Context& c_;
    std::map<JobId, Running> jobs_;
    std::map<std::uint32_t, JobId> tokens_;
    std::map<std::string, std::deque<JobId>, std::less<>> queues_;  ///< by device: jobs whose delay is over
    std::vector<Finished> finished_;
    JobId last_id_ = 0;
    std::uint32_t last_token_ = 0;
};

}  // namespace systole::fencing
