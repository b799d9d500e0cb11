#pragma once
// runtime/log.h — where log lines go.
//
// Parts of the runtime are handed a sink; only a program's main decides what it is (journal, syslog, file, stderr).
#include <functional>

#include "wire/port.h"

namespace systole::runtime {

using LogSink = std::function<void(const wire::Log&)>;

}  // namespace systole::runtime
