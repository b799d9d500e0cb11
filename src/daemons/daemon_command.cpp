#include "daemons/daemon_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

namespace systole::daemons {

cli::CommandSpec daemon_spec(std::string_view name) {
    cli::CommandSpec spec;
    spec.name = name;
    spec.help_short = '?';
    spec.options = {
        {'l', "logfile", cli::Value::kRequired, "FILE", "Write the log to this file too; may be given several times"}};
    return spec;
}

runtime::LogOptions daemon_log(const std::string& program, const cli::Arguments& arguments) {
    runtime::LogOptions options = runtime::log_options_of_environment(program);
    for (std::string& file : arguments.values("logfile")) options.files.push_back(std::move(file));
    const int detail = std::min(static_cast<int>(options.detail_lowest) + arguments.verbosity,
                                static_cast<int>(wire::Severity::kDebug));
    options.detail_lowest = static_cast<wire::Severity>(detail);
    return options;
}

bool has_no_arguments(const cli::Arguments& arguments, cli::Output& output) {
    if (!arguments.positional.empty())
        output.fail(fmt::format("unexpected argument '{}'", arguments.positional.front()));
    return arguments.positional.empty();
}

DaemonSignals::DaemonSignals(runtime::Loop& loop, runtime::LogOutput& output, const std::function<void()>& stop)
    : terminate_(loop.on_signal(SIGTERM, stop)),
      interrupt_(loop.on_signal(SIGINT, stop)),
      reopen_(loop.on_signal(SIGHUP, [&output] { output.reopen(); })),
      louder_(loop.on_signal(SIGUSR1, [&output] { output.change_detail(1); })),
      quieter_(loop.on_signal(SIGUSR2, [&output] { output.change_detail(-1); })) {}

}  // namespace systole::daemons
