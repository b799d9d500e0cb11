#pragma once
// sim/events.h — virtual time: what happens next, and in which order at one moment.
//
// Invariant: events at the same moment happen in the order in which they were posted.
#include <functional>
#include <map>
#include <utility>

#include "base/time.h"

namespace systole::sim {

class Events {
public:
    using Handle = std::pair<Instant, std::uint64_t>;

    Handle at(Instant when, std::function<void()> what) {
        const Handle handle{std::max(when, now_), next_++};
        queue_.emplace(handle, std::move(what));
        return handle;
    }
    Handle in(Duration delay, std::function<void()> what) { return at(now_ + delay, std::move(what)); }
    void cancel(const Handle& handle) { queue_.erase(handle); }
    /// Advances to the next event and performs it; false when none is left or the next one is after `until`
    /// (time then stands at `until`).
    bool step(Instant until) {
        if (queue_.empty() || queue_.begin()->first.first > until) {
            now_ = std::max(now_, until);
            return false;
        }
        auto next = queue_.extract(queue_.begin());
        now_ = next.key().first;
        next.mapped()();
        return true;
    }
    [[nodiscard]] Instant now() const { return now_; }

private:
    Instant now_{};
    std::uint64_t next_ = 0;
    std::map<Handle, std::function<void()>> queue_;
};

}  // namespace systole::sim
