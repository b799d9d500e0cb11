#include "daemons/corosync_watch.h"

#include <corosync/cfg.h>
#include <corosync/corotypes.h>
#include <fmt/format.h>
#include <sys/epoll.h>

#include <utility>

#include "runtime/linux/cmap.h"

namespace systole::daemons {
namespace {

constexpr Duration kRetry{1000};

/// A polite request to shut Corosync down is refused: resources run on it.
void refuse_shutdown(corosync_cfg_handle_t handle, corosync_cfg_shutdown_flags_t /*flags*/) {
    corosync_cfg_replyto_shutdown(handle, COROSYNC_CFG_SHUTDOWN_FLAG_NO);
}

}  // namespace

struct CorosyncWatch::Impl {
    runtime::Loop& loop;
    std::function<void(bool)> changed;
    runtime::LogSink log;
    corosync_cfg_handle_t cfg{};
    std::optional<gid_t> gid;
    runtime::Source watch, retry;

    Result<void> connect() {
        auto cmap = runtime::Cmap::open();
        if (!cmap) return tl::unexpected(cmap.error());
        if (gid) {
            if (const auto admitted = cmap->admit_group(*gid); !admitted)
                log({.severity = wire::Severity::kWarning, .text = admitted.error().what});
        }
        corosync_cfg_callbacks_t callbacks{};
        callbacks.corosync_cfg_shutdown_callback = &refuse_shutdown;
        cs_error_t rc = corosync_cfg_initialize(&cfg, &callbacks);
        if (rc != CS_OK) {
            cfg = 0;
            return fail(Errc::kUnreachable, fmt::format("Corosync's cfg service: {}", runtime::corosync_error(rc)));
        }
        int fd = -1;
        rc = corosync_cfg_fd_get(cfg, &fd);
        if (rc == CS_OK) rc = corosync_cfg_trackstart(cfg, 0);
        if (rc != CS_OK || !runtime::served_by_root(fd)) {
            corosync_cfg_finalize(std::exchange(cfg, 0));
            return fail(Errc::kUnreachable, fmt::format("Corosync's cfg service: {}", runtime::corosync_error(rc)));
        }
        watch = loop.on_fd(fd, EPOLLIN, [this](std::uint32_t) {
            const cs_error_t result = corosync_cfg_dispatch(cfg, CS_DISPATCH_ALL);
            if (result == CS_OK || result == CS_ERR_TRY_AGAIN) return;
            watch.reset();
            corosync_cfg_finalize(std::exchange(cfg, 0));
            changed(false);
            again();
        });
        return {};
    }

    void again() {
        retry = loop.after(kRetry, [this] {
            if (connect())
                changed(true);
            else
                again();
        });
    }
};

CorosyncWatch::CorosyncWatch(runtime::Loop& loop, std::function<void(bool)> changed, runtime::LogSink log)
    : impl_(new Impl{
          .loop = loop, .changed = std::move(changed), .log = std::move(log), .gid = {}, .watch = {}, .retry = {}}) {}

CorosyncWatch::~CorosyncWatch() {
    impl_->watch.reset();
    if (impl_->cfg != 0) corosync_cfg_finalize(impl_->cfg);
}

Result<void> CorosyncWatch::start(std::optional<gid_t> gid) {
    impl_->gid = gid;
    return impl_->connect();
}

void CorosyncWatch::stop_corosync() {
    if (impl_->cfg != 0) corosync_cfg_try_shutdown(impl_->cfg, COROSYNC_CFG_SHUTDOWN_FLAG_IMMEDIATE);
}

}  // namespace systole::daemons
