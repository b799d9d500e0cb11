#pragma once
// daemons/daemon_command.h — what the command lines of all daemons have in common, and the signals that steer their
// logs.
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "runtime/linux/log_output.h"
#include "runtime/linux/loop.h"

namespace systole::daemons {

/// A daemon's command line: "-l FILE" besides what every command has.
cli::CommandSpec daemon_spec(std::string_view name);

/// By the environment and the command line.
runtime::LogOptions daemon_log(const std::string& program, const cli::Arguments& arguments);

/// SIGHUP: the log's files are opened again; SIGUSR1, SIGUSR2: more, less detail. As long as this lives.
class LogSignals {
public:
    LogSignals(runtime::Loop& loop, runtime::LogOutput& output);

private:
    runtime::Source reopen_, louder_, quieter_;
};

}  // namespace systole::daemons
