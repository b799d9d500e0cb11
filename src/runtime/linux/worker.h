#pragma once
// runtime/linux/worker.h — one thread for what takes long or blocks: the scheduler, writes to disk, connection
// attempts.
//
// A job gets only what it was given (immutable snapshots); what comes of it is a function that the loop's thread calls.
// Invariant: jobs run one at a time, in order; a waiting job is replaced by a newer one of the same slot.
#include <functional>
#include <memory>
#include <string>

#include "runtime/linux/loop.h"

namespace systole::runtime {

class Worker {
public:
    using Report = std::function<void()>;  ///< called on the loop's thread; may be empty
    using Job = std::function<Report()>;

    explicit Worker(Loop& loop);
    /// Waits for the job that runs; those that wait, and reports not yet called, are dropped.
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// An empty slot replaces nothing.
    void submit(const std::string& slot, Job job);

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace systole::runtime
