#pragma once
// daemons/daemon_command.h — what the command lines of all daemons have in common, and the signals that they take.
#include <functional>
#include <string>
#include <string_view>

#include "cli/command.h"
#include "runtime/linux/log_output.h"
#include "runtime/linux/loop.h"

namespace systole::daemons {

/// A daemon's command line: "-l FILE" besides what every command has.
cli::CommandSpec daemon_spec(std::string_view name);

/// By the environment and the command line.
runtime::LogOptions daemon_log(const std::string& program, const cli::Arguments& arguments);

/// For daemons that take no arguments: false, and said so, if there are some.
bool has_no_arguments(const cli::Arguments& arguments, cli::Output& output);

/// SIGTERM, SIGINT: stop; SIGHUP: the log's files are opened again; SIGUSR1, SIGUSR2: more, less detail. As long as
/// this lives.
class DaemonSignals {
public:
    DaemonSignals(runtime::Loop& loop, runtime::LogOutput& output, const std::function<void()>& stop);

private:
    runtime::Source terminate_, interrupt_, reopen_, louder_, quieter_;
};

}  // namespace systole::daemons
