#pragma once
// daemons/corosync_watch.h — pacemakerd's view of Corosync: is it there, and it may not leave while we run.
// Source: protocol sheet cpg.md, section 1 (cfg), pacemakerd.md, section 2.
#include <functional>
#include <memory>

#include "base/result.h"
#include "runtime/linux/loop.h"
#include "runtime/log.h"

namespace systole::daemons {

class CorosyncWatch {
public:
    /// `changed(true)` when it came back, `changed(false)` when it was lost.
    CorosyncWatch(runtime::Loop& loop, std::function<void(bool here)> changed, runtime::LogSink log);
    ~CorosyncWatch();
    CorosyncWatch(const CorosyncWatch&) = delete;
    CorosyncWatch& operator=(const CorosyncWatch&) = delete;

    /// Errors: kUnreachable, kDenied. Members of `gid` may use Corosync afterwards.
    Result<void> start(std::optional<gid_t> gid);
    /// Asks Corosync to go down.
    void stop_corosync();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::daemons
