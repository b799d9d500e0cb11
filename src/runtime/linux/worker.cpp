#include "runtime/linux/worker.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <ranges>
#include <thread>
#include <utility>

namespace systole::runtime {

struct Worker::Impl {
    using Clock = std::chrono::steady_clock;
    struct Waiting {
        std::string slot;
        Job job;
        Pace pace;
    };

    Loop& loop;
    std::mutex lock;
    std::condition_variable wake, idle;
    std::deque<Waiting> jobs;
    std::map<std::string, Clock::time_point> rests;  // by slot: its next job does not begin before
    bool running = false;
    bool hurry = false;
    bool stopping = false;
    bool gone = false;  // only looked at on the loop's thread
    std::thread thread;

    explicit Impl(Loop& l) : loop(l) {}

    [[nodiscard]] Clock::time_point begin_of(const Waiting& waiting) const {
        const auto rest = rests.find(waiting.slot);
        return hurry || rest == rests.end() ? Clock::time_point::min() : rest->second;
    }

    /// The next job, waiting for it; empty when the worker ends.
    std::optional<Waiting> take(std::unique_lock<std::mutex>& held) {
        for (;;) {
            if (stopping) return std::nullopt;
            const auto now = Clock::now();
            const auto ready = std::ranges::find_if(jobs, [&](const Waiting& w) { return begin_of(w) <= now; });
            if (ready != jobs.end()) {
                Waiting next = std::move(*ready);
                jobs.erase(ready);
                running = true;
                return next;
            }
            if (jobs.empty()) {
                idle.notify_all();
                wake.wait(held);
            } else {
                wake.wait_until(held, std::ranges::min(
                                          jobs | std::views::transform([&](const Waiting& w) { return begin_of(w); })));
            }
        }
    }

    void hand_over(Report report, const std::weak_ptr<Impl>& shared) {
        loop.post([shared, report = std::move(report)] {
            const auto still = shared.lock();
            if (still && !still->gone) report();
        });
    }

    void run(const std::weak_ptr<Impl>& shared) {
        std::unique_lock held(lock);
        while (auto next = take(held)) {
            held.unlock();
            const auto begin = Clock::now();
            Report report = next->job();
            next->job = nullptr;  // what it holds goes before the next begins
            const auto end = Clock::now();
            if (report) hand_over(std::move(report), shared);
            held.lock();
            running = false;
            if (next->pace.times > 0)
                rests[next->slot] =
                    end + std::min<Clock::duration>(next->pace.times * (end - begin), next->pace.longest);
        }
    }
};

Worker::Worker(Loop& loop) : impl_(std::make_shared<Impl>(loop)) {
    // Signals are for the loop: the new thread inherits a mask in which they are blocked.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    impl_->thread = std::thread([impl = impl_.get(), shared = std::weak_ptr(impl_)] { impl->run(shared); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Worker::~Worker() {
    impl_->gone = true;
    {
        const std::lock_guard held(impl_->lock);
        impl_->stopping = true;
    }
    impl_->wake.notify_one();
    impl_->thread.join();
}

void Worker::submit(const std::string& slot, Job job, Pace pace) {
    {
        const std::lock_guard held(impl_->lock);
        const bool replaces =
            !slot.empty() && std::erase_if(impl_->jobs, [&](const auto& waiting) { return waiting.slot == slot; }) > 0;
        impl_->jobs.push_back({slot, std::move(job), pace});
        if (replaces) return;  // the thread knows when it is to begin
    }
    impl_->wake.notify_one();
}

void Worker::report(Report report) { impl_->hand_over(std::move(report), impl_); }

void Worker::finish() {
    std::unique_lock held(impl_->lock);
    impl_->hurry = true;
    impl_->wake.notify_one();
    impl_->idle.wait(held, [this] { return impl_->jobs.empty() && !impl_->running; });
    impl_->hurry = false;
}

}  // namespace systole::runtime
