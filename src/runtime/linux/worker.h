#pragma once
// runtime/linux/worker.h — one thread for what takes long or blocks: the scheduler, writes to disk, connection
// attempts.
//
// A job gets only what it was given (immutable snapshots); what comes of it is a function that the loop's thread calls.
// Invariant: jobs run one at a time, in order; a waiting job is replaced by a newer one of the same slot.
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "runtime/linux/loop.h"

namespace systole::runtime {

class Worker {
public:
    using Report = std::function<void()>;  ///< called on the loop's thread; may be empty
    using Job = std::function<Report()>;

    /// How often a slot's jobs may run when they come faster than they should be done, each replacing the one before: a
    /// job rests for `times` as long as the last one of its slot took, at most `longest`. One that comes alone begins
    /// at once.
    struct Pace {
        int times = 0;
        Duration longest{0};
    };

    explicit Worker(Loop& loop);
    /// Waits for the job that runs; those that wait, and reports not yet called, are dropped.
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// An empty slot replaces nothing. May be called from within a job.
    void submit(const std::string& slot, Job job, Pace pace);
    void submit(const std::string& slot, Job job) { submit(slot, std::move(job), Pace{}); }
    /// For a job that has more to do than anybody waits for: what it found out so far.
    void report(Report report);
    /// Returns when no job runs or waits; those that rest begin at once. Their reports come as always.
    void finish();

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace systole::runtime
