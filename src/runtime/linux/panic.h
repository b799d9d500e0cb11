#pragma once
// runtime/linux/panic.h — stops this machine at once, whatever it runs.
// Source: protocol sheet pacemakerd.md, section 3; kernel documentation, sysrq; reboot(2), pid_namespaces(7).
#include <sys/types.h>

#include <optional>
#include <string>

#include "runtime/log.h"

namespace systole::runtime {

/// The main process of sbd, if it runs (pid file, else by name).
std::optional<pid_t> find_sbd();

/// With sbd: ends it, so that the watchdog resets the machine. Without: `action` is reboot (default), off or crash,
/// with a leading "sync-" after writing caches back. In a container only the container ends. Returns if nothing worked.
void panic_machine(const std::string& action, const LogSink& log);

}  // namespace systole::runtime
