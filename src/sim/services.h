#pragma once
// sim/services.h — the truth: what runs on a machine, whatever the manager believes.
//
// Agents act on it: a start that ends well leaves the service running, a crash of the service leaves nothing. A service
// counts as active from the moment its start begins until its stop has ended well, since a start half done may already
// write to shared storage. A migration hands the service over when migrate_to has ended well; whoever runs migrate_from
// holds it from then on. Checkers look here.
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "executor/executor.h"
#include "sim/random.h"

namespace systole::sim {

enum class Activity : std::uint8_t { kStopped, kStarted, kPromoted };

/// How an agent misbehaves, for one resource (instance) on one machine.
struct AgentFault {
    enum class Kind : std::uint8_t {
        kHang,                  ///< never returns; is killed at its timeout
        kFail,                  ///< returns 1 and does nothing
        kWrongCode,             ///< does its work and returns a code that no agent should
        kEffectWithoutSuccess,  ///< does its work, then returns 1
        kSuccessWithoutEffect,  ///< does nothing and returns 0
        kFlood,                 ///< works, with a flood of output
        kSlow,                  ///< works, and takes seconds
        kCannotRun,             ///< no process could be made for it
    };
    std::string action;
    Kind kind{};
    int times = 1;  ///< how many runs are hit
};

/// What one run of an agent will do.
struct AgentRun {
    std::string instance, action, type;
    Duration takes{};
    bool hangs = false;
    bool effect = true;   ///< false: it changes nothing
    bool forced = false;  ///< the exit code is a fault's and stays
    executor::ProcessDone result;
};

class Services {
public:
    /// Begins a run: decides its duration and outcome, and applies what already counts at the beginning.
    [[nodiscard]] AgentRun begin(const executor::Spawn& spawn, Random& random);
    /// Applies what counts at the end, and completes the result (a monitor tells the truth at its end).
    void end(AgentRun& run);
    /// Killed at its timeout: a stop had no effect, a start may have had.
    void killed(const AgentRun& run);

    void run(const std::string& instance) { active_.try_emplace(instance, Activity::kStarted); }  ///< by hand
    void crash(const std::string& instance);  ///< the service dies on its own
    void power_off();
    void add_fault(const std::string& instance, AgentFault fault) { faults_[instance].push_back(std::move(fault)); }
    void clear_faults() { faults_.clear(); }
    /// Deliberately wrong: what was migrated away runs on.
    void keep_migrated(bool keep) { keep_migrated_ = keep; }

    [[nodiscard]] const std::map<std::string, Activity>& active() const { return active_; }
    [[nodiscard]] Activity activity(const std::string& instance) const;
    [[nodiscard]] const std::set<std::string>& running_agents() const { return agents_; }
    /// Broken rules seen since the last call: two agent runs of a resource at once (I15).
    [[nodiscard]] std::vector<std::string> violations();

private:
    void apply_fault(AgentRun& run, Random& random);

    std::map<std::string, Activity> active_;  ///< by instance; stopped ones are absent
    std::map<std::string, std::vector<AgentFault>> faults_;
    std::set<std::string> agents_;  ///< instances whose agent runs now
    std::vector<std::string> violations_;
    bool keep_migrated_ = false;
};

/// Metadata of the simulated agents: any resource agent, and fence agents. Empty if there is none.
std::string_view simulated_metadata(std::string_view agent_class, std::string_view type);

}  // namespace systole::sim
