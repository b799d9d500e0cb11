#pragma once
// runtime/linux/process.h — runs agents: programs that a core asked for, each with a limit of time and of output.
//
// A program runs in a session and process group of its own, and where the system lets us (cgroup v2, writable) in a
// control group of its own. When its time is up, or it is killed on demand, everything that it started dies with it:
// by the control group; else by process group, session, descent and a mark in the environment, as far as /proc shows.
// What it started and left behind when it ended by itself stays: that is how services are started.
//
// Invariants: done is called exactly once per start, and never from within start() or kill(); what a program writes
// never blocks it and never takes more memory than the limit; a run's end is told only after its process tree was
// killed, if it was to be killed. A process that cannot be killed (it hangs in the kernel) is given up after a grace
// time, with a log line.
// Where runs are recorded, a run that outlived this process is killed by the next one.
// Source: clone(2), cgroups(7), proc(5), prctl(2) PR_SET_CHILD_SUBREAPER; protocol sheet executor-remote.md, section 6.
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/linux/loop.h"
#include "runtime/log.h"

namespace systole::runtime {

struct ProcessSpec {
    std::string name;                                              ///< for control group and log; may be empty
    std::vector<std::string> argv;                                 ///< the first is the program's path
    std::vector<std::pair<std::string, std::string>> environment;  ///< added to this process' own, replacing it
    std::string input;                                             ///< all of its standard input
    Duration timeout{};                                            ///< 0: none
    bool keep_on_timeout{};                                        ///< leave it running when its time is up
    std::string user;                                              ///< whom it runs as; empty: as this process
    std::size_t output_max = std::size_t{32} * 1024;               ///< of each stream, in bytes
};

struct ProcessResult {
    enum class End : std::uint8_t {
        kExited,        ///< exit_code
        kSignalled,     ///< signal
        kTimedOut,      ///< and was killed, unless it was to be kept
        kNotFound,      ///< no such program (or its interpreter is missing)
        kNotPermitted,  ///< the program may not be executed
        kFailed,        ///< could not be started
    };
    End end{};
    int exit_code{};
    int signal{};
    std::string output, error;  ///< beginning and end, with a line about what was left out between them
    std::string reason;         ///< for all but kExited and kTimedOut: "was interrupted by signal 9 (Killed)", ...
};

struct ProcessRunnerOptions {
    /// The directory in which control groups are made; empty: none. See own_control_group().
    std::string control_group;
    Duration kill_grace{5000};  ///< how long a killed process may take to end
    /// Soft limit of open files for programs, where this process has raised its own; 0: as here.
    unsigned long descriptors_max = 0;
    /// Where runs are recorded (run_records.h): what an earlier process of ours left running is killed before anything
    /// is started. Empty: nothing is recorded.
    std::string records;
    LogSink log;
};

/// This process' control group (v2), if groups can be made and killed in it; else empty.
std::string own_control_group();
class ProcessRunner {
public:
    using RunId = std::uint64_t;
    using Done = std::function<void(const ProcessResult&)>;

    ProcessRunner(Loop& loop, ProcessRunnerOptions options);
    /// What still runs is left alone, and nobody is told about it.
    ~ProcessRunner();
    ProcessRunner(const ProcessRunner&) = delete;
    ProcessRunner& operator=(const ProcessRunner&) = delete;

    /// From now on orphans of what this process started become its children, and are reaped as they end
    /// (PR_SET_CHILD_SUBREAPER). Only for a process all of whose children belong to this runner.
    Result<void> adopt_orphans();

    RunId start(const ProcessSpec& spec, Done done);
    /// Kills the run with everything that it started; its end is told as that of any signalled process. Unknown and
    /// ended runs are ignored.
    void kill(RunId run);
    [[nodiscard]] std::size_t running() const;
    /// Process id of a run, 0 if it is not running.
    [[nodiscard]] pid_t pid_of(RunId run) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::runtime
