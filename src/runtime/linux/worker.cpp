#include "runtime/linux/worker.h"

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace systole::runtime {

struct Worker::Impl {
    Loop& loop;
    std::mutex lock;
    std::condition_variable wake;
    std::deque<std::pair<std::string, Job>> jobs;
    bool stopping = false;
    bool gone = false;  // only looked at on the loop's thread
    std::thread thread;

    explicit Impl(Loop& l) : loop(l) {}
};

Worker::Worker(Loop& loop) : impl_(std::make_shared<Impl>(loop)) {
    // Signals are for the loop: the new thread inherits a mask in which they are blocked.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    impl_->thread = std::thread([impl = impl_.get(), shared = std::weak_ptr(impl_)] {
        for (;;) {
            Job job;
            {
                std::unique_lock held(impl->lock);
                impl->wake.wait(held, [&] { return impl->stopping || !impl->jobs.empty(); });
                if (impl->stopping) return;
                job = std::move(impl->jobs.front().second);
                impl->jobs.pop_front();
            }
            Report report = job();
            if (!report) continue;
            impl->loop.post([shared, report = std::move(report)] {
                const auto still = shared.lock();
                if (still && !still->gone) report();
            });
        }
    });
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

void Worker::submit(const std::string& slot, Job job) {
    {
        const std::lock_guard held(impl_->lock);
        if (!slot.empty()) std::erase_if(impl_->jobs, [&](const auto& waiting) { return waiting.first == slot; });
        impl_->jobs.emplace_back(slot, std::move(job));
    }
    impl_->wake.notify_one();
}

}  // namespace systole::runtime
