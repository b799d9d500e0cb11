#include "cli/progress.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace systole::cli {

Progress::Progress(bool wanted) {
    if (!wanted || isatty(STDERR_FILENO) == 0) return;
    over_ = false;
    thread_ = std::thread([this] { show(); });
}

void Progress::phase(std::string_view what) {
    const std::scoped_lock lock(mutex_);
    phase_ = what;
    if (what.empty()) wipe();
}

void Progress::wipe() {
    if (!shown_) return;
    shown_ = false;
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
}

void Progress::end() {
    {
        const std::scoped_lock lock(mutex_);
        over_ = true;
    }
    ended_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Progress::show() {
    using namespace std::chrono_literals;
    std::unique_lock lock(mutex_);
    const auto over = [this] { return over_; };
    if (ended_.wait_for(lock, 1s, over)) return;
    int seconds_by_4 = 4;
    do {
        ++seconds_by_4;
        if (phase_.empty()) continue;
        shown_ = true;
        std::fprintf(stderr, "\r\033[K%s ... %d s", phase_.c_str(), seconds_by_4 / 4);
        std::fflush(stderr);
    } while (!ended_.wait_for(lock, 250ms, over));
    wipe();
}

}  // namespace systole::cli
