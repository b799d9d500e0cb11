#include "runtime/linux/loop.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

namespace systole::runtime {
namespace {

std::int64_t sd_priority(Priority priority) {
    switch (priority) {
        case Priority::kHigh: return SD_EVENT_PRIORITY_NORMAL - 50;
        case Priority::kNormal: return SD_EVENT_PRIORITY_NORMAL;
        case Priority::kLow: return SD_EVENT_PRIORITY_NORMAL + 50;
    }
    return SD_EVENT_PRIORITY_NORMAL;
}

constexpr std::size_t index_of(Priority priority) { return static_cast<std::size_t>(priority); }

}  // namespace

// The handler may reset its own Source, so whoever calls it holds a share of this.
struct Source::State : std::enable_shared_from_this<Source::State> {
    sd_event_source* source = nullptr;
    std::function<void(std::uint32_t)> handler;
    int owned_fd = -1;

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { disable(); }
    void disable() {
        if (source != nullptr) sd_event_source_disable_unref(std::exchange(source, nullptr));
        if (owned_fd >= 0) ::close(std::exchange(owned_fd, -1));
    }
    void call(std::uint32_t events) {
        const auto keep = shared_from_this();
        handler(events);
    }
};

Source::Source(std::shared_ptr<State> state) : state_(std::move(state)) {}
Source::Source(Source&&) noexcept = default;
Source& Source::operator=(Source&& other) noexcept {
    if (this != &other) {
        reset();
        state_ = std::move(other.state_);
    }
    return *this;
}
Source::~Source() { reset(); }

void Source::reset() {
    if (const auto state = std::exchange(state_, nullptr)) state->disable();
}

struct Loop::Impl {
    sd_event* event = nullptr;
    std::array<std::deque<std::function<void()>>, 3> deferred;
    std::array<sd_event_source*, 3> runners{};
    std::mutex posted_lock;
    std::vector<std::function<void()>> posted;
    int post_fd = -1;
    Source post_source;
    int exit_code = 0;
    bool stopped = false;

    template <std::size_t kClass>
    static int run_deferred(sd_event_source* /*source*/, void* self) {
        static_cast<Impl*>(self)->run_class(kClass);
        return 0;
    }

    // Only what was waiting at the beginning of the round: work that defers itself again must not starve the rest.
    void run_class(std::size_t which) {
        auto& queue = deferred[which];
        for (std::size_t left = queue.size(); left > 0 && !queue.empty(); --left) {
            const auto work = std::move(queue.front());
            queue.pop_front();
            work();
        }
        if (!queue.empty()) wake(which);
    }
    void wake(std::size_t which) {
        const int rc = sd_event_source_set_enabled(runners[which], SD_EVENT_ONESHOT);
        SYSTOLE_ASSERT(rc >= 0, "a deferred source can be enabled");
    }
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {
    int rc = sd_event_new(&impl_->event);
    SYSTOLE_ASSERT(rc >= 0, "the event loop needs a few descriptors");
    constexpr std::array<sd_event_handler_t, 3> kRunners{Impl::run_deferred<0>, Impl::run_deferred<1>,
                                                         Impl::run_deferred<2>};
    for (const Priority priority : {Priority::kHigh, Priority::kNormal, Priority::kLow}) {
        sd_event_source*& runner = impl_->runners[index_of(priority)];
        rc = sd_event_add_defer(impl_->event, &runner, kRunners[index_of(priority)], impl_.get());
        SYSTOLE_ASSERT(rc >= 0, "deferred work needs memory only");
        sd_event_source_set_enabled(runner, SD_EVENT_OFF);
        sd_event_source_set_priority(runner, sd_priority(priority));
    }
    impl_->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    SYSTOLE_ASSERT(impl_->post_fd >= 0, "the event loop needs a few descriptors");
    impl_->post_source = on_fd(impl_->post_fd, EPOLLIN, [impl = impl_.get()](std::uint32_t) {
        std::uint64_t count = 0;
        [[maybe_unused]] const auto n = ::read(impl->post_fd, &count, sizeof count);
        std::vector<std::function<void()>> work;
        {
            const std::lock_guard lock(impl->posted_lock);
            work.swap(impl->posted);
        }
        for (const auto& item : work) item();
    });
}

Loop::~Loop() {
    impl_->post_source.reset();
    for (auto* runner : impl_->runners) sd_event_source_disable_unref(runner);
    if (impl_->post_fd >= 0) ::close(impl_->post_fd);
    sd_event_unref(impl_->event);
}

Now Loop::now() const {
    timespec mono{};
    timespec wall{};
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    return {Instant{Duration{mono.tv_sec * 1000LL + mono.tv_nsec / 1'000'000}}, WallTime{wall.tv_sec},
            static_cast<std::uint32_t>(wall.tv_nsec / 1000)};
}

Source Loop::on_fd(int fd, std::uint32_t events, std::function<void(std::uint32_t)> handler, Priority priority) {
    auto state = std::make_shared<Source::State>();
    state->handler = std::move(handler);
    const auto serve = [](sd_event_source*, int, std::uint32_t ready, void* data) {
        static_cast<Source::State*>(data)->call(ready);
        return 0;
    };
    const int rc = sd_event_add_io(impl_->event, &state->source, fd, events, serve, state.get());
    SYSTOLE_ASSERT(rc >= 0, "only an open descriptor that is not watched yet can be watched");
    sd_event_source_set_priority(state->source, sd_priority(priority));
    return Source(std::move(state));
}

Source Loop::at(Instant when, std::function<void()> handler, Priority priority) {
    auto state = std::make_shared<Source::State>();
    state->handler = [handler = std::move(handler)](std::uint32_t) { handler(); };
    const auto serve = [](sd_event_source*, std::uint64_t, void* data) {
        static_cast<Source::State*>(data)->call(0);
        return 0;
    };
    // An instant is in whole milliseconds, rounded down: what is due at 5 may not fire at 4.9, and 5.0 is not before.
    const auto ms = std::max<Duration::rep>(when.time_since_epoch().count(), 1);
    const int rc = sd_event_add_time(impl_->event, &state->source, CLOCK_MONOTONIC,
                                     static_cast<std::uint64_t>(ms) * 1000, 1, serve, state.get());
    SYSTOLE_ASSERT(rc >= 0, "timers need memory only");
    sd_event_source_set_priority(state->source, sd_priority(priority));
    return Source(std::move(state));
}

Source Loop::after(Duration delay, std::function<void()> handler, Priority priority) {
    return at(now().mono + delay, std::move(handler), priority);
}

Source Loop::on_signal(int signal, std::function<void()> handler) {
    auto state = std::make_shared<Source::State>();
    state->handler = [handler = std::move(handler)](std::uint32_t) { handler(); };
    const auto serve = [](sd_event_source*, const signalfd_siginfo*, void* data) {
        static_cast<Source::State*>(data)->call(0);
        return 0;
    };
    const int rc =
        sd_event_add_signal(impl_->event, &state->source, signal | SD_EVENT_SIGNAL_PROCMASK, serve, state.get());
    SYSTOLE_ASSERT(rc >= 0, "a signal is watched at most once a loop");
    return Source(std::move(state));
}

Result<Source> Loop::on_child(pid_t pid, std::function<void(const ChildExit&)> handler) {
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (fd < 0) return fail(Errc::kIo, fmt::format("process {} cannot be watched: {}", pid, std::strerror(errno)));
    auto state = std::make_shared<Source::State>();
    state->owned_fd = fd;
    state->handler = [pid, fd, weak = std::weak_ptr(state), handler = std::move(handler)](std::uint32_t) {
        siginfo_t info{};
        const bool ours = waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(fd), &info, WEXITED | WNOHANG) == 0;
        if (ours ? info.si_pid == 0 : errno != ECHILD) return;
        if (const auto self = weak.lock()) self->disable();
        ChildExit how{.pid = pid, .code = std::nullopt, .signal = 0};
        if (ours && info.si_code == CLD_EXITED)
            how.code = info.si_status;
        else if (ours)
            how.signal = info.si_status;
        handler(how);
    };
    const auto serve = [](sd_event_source*, int, std::uint32_t ready, void* data) {
        static_cast<Source::State*>(data)->call(ready);
        return 0;
    };
    const int rc = sd_event_add_io(impl_->event, &state->source, fd, EPOLLIN, serve, state.get());
    if (rc < 0) return fail(Errc::kIo, fmt::format("process {} cannot be watched: {}", pid, std::strerror(-rc)));
    return Source(std::move(state));
}

void Loop::defer(std::function<void()> work, Priority priority) {
    impl_->deferred[index_of(priority)].push_back(std::move(work));
    impl_->wake(index_of(priority));
}

void Loop::post(std::function<void()> work) {
    {
        const std::lock_guard lock(impl_->posted_lock);
        impl_->posted.push_back(std::move(work));
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = ::write(impl_->post_fd, &one, sizeof one);
}

int Loop::run() {
    while (!impl_->stopped) dispatch(Duration{-1});
    impl_->stopped = false;
    return impl_->exit_code;
}

void Loop::stop(int code) {
    impl_->exit_code = code;
    impl_->stopped = true;
}

bool Loop::dispatch(Duration wait) {
    const std::uint64_t timeout = wait < Duration{0} ? UINT64_MAX : static_cast<std::uint64_t>(wait.count()) * 1000;
    const int rc = sd_event_run(impl_->event, timeout);
    SYSTOLE_ASSERT(rc >= 0 || rc == -EINTR, "the event loop only fails by a bug");
    return rc > 0;
}

Timers::Timers(Loop& loop, std::function<void(const std::string& name)> fired)
    : loop_(loop), fired_(std::move(fired)) {}

void Timers::arm(const std::string& name, Instant at) {
    armed_.insert_or_assign(name, loop_.at(at, [this, name] {
        // Gone before the call: the core may arm the same name again.
        armed_.erase(name);
        fired_(name);
    }));
}

void Timers::cancel(const std::string& name) { armed_.erase(name); }
void Timers::clear() { armed_.clear(); }

}  // namespace systole::runtime
