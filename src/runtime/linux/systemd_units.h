#pragma once
// runtime/linux/systemd_units.h — starts, stops and looks at systemd units over D-Bus.
//
// A start or stop is over when systemd says that its job was removed. A unit that is on its way (activating, reloading,
// deactivating) is looked at again until it has arrived or the time is up. While a unit is started by the cluster an
// override file keeps it from being started and stopped by systemd for other reasons than the cluster's: it is ordered
// so that at shutdown the cluster goes first, and never restarted by systemd.
//
// Invariants: done is called exactly once per act, never from within it; nothing blocks.
// Source: org.freedesktop.systemd1(5) (Manager, Unit, Job); protocol sheet executor-remote.md, section 6.
#include <functional>
#include <memory>
#include <string>

#include "base/exit_code.h"
#include "base/time.h"
#include "runtime/linux/loop.h"
#include "runtime/log.h"

namespace systole::runtime {

struct UnitAction {
    std::string unit;      ///< with its suffix
    std::string action;    ///< "start", "stop", "monitor", "restart", "reload", "metadata"
    std::string resource;  ///< for the log
    Duration timeout{};    ///< 0: a minute
};

struct UnitResult {
    ExecStatus status{};
    int rc{};  ///< an OCF result
    std::string reason;
    std::string output;  ///< metadata
};

class SystemdUnits {
public:
    using Done = std::function<void(const UnitResult&)>;
    SystemdUnits(Loop& loop, LogSink log);
    ~SystemdUnits();
    SystemdUnits(const SystemdUnits&) = delete;
    SystemdUnits& operator=(const SystemdUnits&) = delete;

    void act(const UnitAction& action, Done done);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::runtime
