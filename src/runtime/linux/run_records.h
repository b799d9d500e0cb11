#pragma once
// runtime/linux/run_records.h — which programs run, kept in files, so that a killed daemon's successor finds them.
//
// An agent that outlives the daemon that ran it would run beside the one that the successor starts for the same
// resource. What an agent started and left behind when it ended (a service) carries the same marks, so marks alone do
// not tell who is to be killed: a record lasts from before the agent's start until its end was seen.
//
// Invariants: one file a run, gone with it; records of a live daemon are left alone, so several may share a directory;
// only a directory that belongs to this user is trusted. Source: reliability.md, I15.
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace systole::runtime {

class RunRecords {
public:
    /// Makes the directory if need be. Errors: kIo with the system's reason, kDenied if it belongs to somebody else.
    static Result<RunRecords> open(const std::string& directory);
    RunRecords() = default;

    struct Run {
        std::string mark;   ///< of kRunMark
        pid_t leader = 0;   ///< 0: its daemon ended before it was known
        std::string group;  ///< control group; empty: none
    };
    /// Before the program is started (without `leader`), and when it runs. Best effort: a full disk stops no agent.
    void write(const Run& run) const;
    void remove(const std::string& mark) const;
    /// Runs whose daemon ended before they did, as far as records tell; their records are gone then.
    [[nodiscard]] std::vector<Run> take_unfinished() const;

private:
    std::string directory_;  ///< empty: nothing is kept
    std::string owner_;      ///< this process: its number and start time
};

/// Kills what still runs of those, with all that it started, and waits until it is gone (at most two seconds each).
/// A run whose program has ended by itself is left alone: what it started is a service. Returns how many were killed.
std::size_t kill_unfinished(const std::vector<RunRecords::Run>& runs);

}  // namespace systole::runtime
