#include "runtime/linux/qb_adapter.h"

#include <poll.h>
#include <sys/epoll.h>

#include <cerrno>

#include "base/result.h"

namespace systole::runtime {
namespace {

thread_local QbAdapter* current = nullptr;

static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLPRI == EPOLLPRI && POLLHUP == EPOLLHUP,
              "libqb speaks poll, the loop epoll");

Priority priority_of(qb_loop_priority priority) {
    switch (priority) {
        case QB_LOOP_HIGH: return Priority::kHigh;
        case QB_LOOP_MED: return Priority::kNormal;
        case QB_LOOP_LOW: return Priority::kLow;
    }
    return Priority::kNormal;
}

}  // namespace

QbAdapter::Entry::Entry(QbAdapter& adapter) : before_(current) { current = &adapter; }
QbAdapter::Entry::~Entry() { current = before_; }

qb_ipcs_poll_handlers QbAdapter::handlers() {
    return {.job_add = &add_job, .dispatch_add = &add, .dispatch_mod = &modify, .dispatch_del = &remove};
}

int32_t QbAdapter::add(qb_loop_priority priority, int32_t fd, int32_t events, void* data, qb_ipcs_dispatch_fn_t fn) {
    SYSTOLE_ASSERT(current != nullptr, "libqb is only called within an Entry");
    QbAdapter& self = *current;
    if (self.watches_.contains(fd)) return -EEXIST;
    const auto wanted = static_cast<std::uint32_t>(events) & (EPOLLIN | EPOLLOUT | EPOLLPRI);
    Source source = self.loop_.on_fd(
        fd, wanted,
        [&self, fd](std::uint32_t ready) {
            const auto found = self.watches_.find(fd);
            if (found == self.watches_.end()) return;
            const Entry entry(self);
            const auto dispatch = found->second.dispatch;
            void* const subject = found->second.data;
            // libqb removes what it closes itself; a failure says that the descriptor is of no use any more.
            if (dispatch(fd, static_cast<int32_t>(ready), subject) < 0) {
                const auto still = self.watches_.find(fd);
                if (still != self.watches_.end() && still->second.data == subject) self.watches_.erase(still);
            }
        },
        priority_of(priority));
    self.watches_.emplace(fd, Watch{std::move(source), fn, data});
    return 0;
}

int32_t QbAdapter::modify(qb_loop_priority priority, int32_t fd, int32_t events, void* data, qb_ipcs_dispatch_fn_t fn) {
    remove(fd);
    return add(priority, fd, events, data, fn);
}

int32_t QbAdapter::remove(int32_t fd) {
    SYSTOLE_ASSERT(current != nullptr, "libqb is only called within an Entry");
    return current->watches_.erase(fd) != 0 ? 0 : -ENOENT;
}

int32_t QbAdapter::add_job(qb_loop_priority priority, void* data, qb_loop_job_dispatch_fn fn) {
    SYSTOLE_ASSERT(current != nullptr, "libqb is only called within an Entry");
    QbAdapter& self = *current;
    self.loop_.defer(
        [&self, alive = std::weak_ptr(self.alive_), data, fn] {
            if (alive.expired()) return;
            const Entry entry(self);
            fn(data);
        },
        priority_of(priority));
    return 0;
}

}  // namespace systole::runtime
