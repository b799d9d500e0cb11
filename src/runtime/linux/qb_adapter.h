#pragma once
// runtime/linux/qb_adapter.h — lets libqb's IPC servers run on our loop.
//
// libqb's poll handlers carry no context, so the adapter in whose name libqb is being called is noted for the thread
// while it runs: every call into libqb that may touch descriptors is made within an Entry.
//
// Invariant: a descriptor that libqb has removed is not dispatched any more, not even in the same round.
// Source: qbipcs.h (qb_ipcs_poll_handlers); protocol sheet ipc.md, section 11.
#include <qb/qbipcs.h>

#include <map>
#include <memory>

#include "runtime/linux/loop.h"

namespace systole::runtime {

class QbAdapter {
public:
    explicit QbAdapter(Loop& loop) : loop_(loop) {}
    QbAdapter(const QbAdapter&) = delete;
    QbAdapter& operator=(const QbAdapter&) = delete;

    /// To be handed to qb_ipcs_poll_handlers_set(); the same for all adapters.
    static qb_ipcs_poll_handlers handlers();

    /// While it lives, libqb's handlers work on this adapter.
    class Entry {
    public:
        explicit Entry(QbAdapter& adapter);
        ~Entry();
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;

    private:
        QbAdapter* before_;
    };

private:
    struct Watch {
        Source source;
        qb_ipcs_dispatch_fn_t dispatch{};
        void* data{};
    };
    static int32_t add(qb_loop_priority priority, int32_t fd, int32_t events, void* data, qb_ipcs_dispatch_fn_t fn);
    static int32_t modify(qb_loop_priority priority, int32_t fd, int32_t events, void* data, qb_ipcs_dispatch_fn_t fn);
    static int32_t remove(int32_t fd);
    static int32_t add_job(qb_loop_priority priority, void* data, qb_loop_job_dispatch_fn fn);

    Loop& loop_;
    std::map<int, Watch> watches_;
    std::shared_ptr<char> alive_ = std::make_shared<char>();  // deferred jobs of a dead adapter are dropped
};

}  // namespace systole::runtime
