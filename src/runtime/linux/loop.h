#pragma once
// runtime/linux/loop.h — the event loop of every daemon: descriptors, timers, signals, child processes, deferred work.
//
// One thread, over sd-event. What is watched is owned by a Source; once that is reset or gone, its handler is not
// called again, not even for an event that was already found in the same round. A handler may reset its own Source.
//
// Invariants: handlers are never called from within the functions below, only from run() and dispatch(); a timer fires
// at its instant or later, never before; timers of the same instant fire in the order in which they were armed.
// Source: sd-event(3), sd_event_add_io(3), sd_event_add_time(3), pidfd_open(2).
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"

struct sd_event;

namespace systole::runtime {

/// Ready sources of a higher class are served first.
enum class Priority : std::uint8_t { kHigh, kNormal, kLow };

/// Ownership of something watched; resetting it ends the watch at once.
class Source {
public:
    Source() = default;
    Source(Source&&) noexcept;
    Source& operator=(Source&&) noexcept;
    ~Source();
    void reset();
    explicit operator bool() const { return state_ != nullptr; }

private:
    friend class Loop;
    struct State;
    explicit Source(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

/// How a child process ended.
struct ChildExit {
    pid_t pid{};
    std::optional<int> code;  ///< exit status, if it exited
    int signal{};             ///< the signal that ended it, otherwise
};

class Loop {
public:
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Both clocks, read now (CLOCK_MONOTONIC in milliseconds, wall clock in seconds).
    [[nodiscard]] Now now() const;

    /// `events` are those of epoll_ctl(2) (EPOLLIN, ...); the handler gets those that are ready.
    [[nodiscard]] Source on_fd(int fd, std::uint32_t events, std::function<void(std::uint32_t)> handler,
                               Priority priority = Priority::kNormal);
    /// Fires once; the Source stays to be reset or dropped.
    [[nodiscard]] Source at(Instant when, std::function<void()> handler, Priority priority = Priority::kNormal);
    [[nodiscard]] Source after(Duration delay, std::function<void()> handler, Priority priority = Priority::kNormal);
    /// Blocks the signal in the calling thread and takes it from the loop.
    [[nodiscard]] Source on_signal(int signal, std::function<void()> handler);
    /// Calls the handler once when the process has ended, and reaps it if it is this process' own child; of others only
    /// their end is known (neither code nor signal).
    /// Errors: kIo if it cannot be watched (already reaped, out of descriptors).
    [[nodiscard]] Result<Source> on_child(pid_t pid, std::function<void(const ChildExit&)> handler);

    /// Runs `work` once in a later round, before anything of a lower class; `work` of the same class in order.
    void defer(std::function<void()> work, Priority priority = Priority::kHigh);
    /// Like defer(), but may be called from any thread (results of a worker).
    void post(std::function<void()> work);

    /// Until stop(). Returns what stop() was given.
    int run();
    void stop(int code = 0);
    /// One round: waits for at most `wait` (negative: for ever), serves what is ready. True if anything was.
    bool dispatch(Duration wait);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Timers by name, as cores ask for them: arming one of a name replaces the armed one.
class Timers {
public:
    Timers(Loop& loop, std::function<void(const std::string& name)> fired);
    void arm(const std::string& name, Instant at);
    void cancel(const std::string& name);
    void clear();
    [[nodiscard]] std::size_t size() const { return armed_.size(); }

private:
    Loop& loop_;
    std::function<void(const std::string&)> fired_;
    std::map<std::string, Source> armed_;
};

}  // namespace systole::runtime
