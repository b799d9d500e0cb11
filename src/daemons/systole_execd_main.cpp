// systole-execd (also installed as pacemaker-execd): runs what the cluster decides on this node.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/exit_code.h"
#include "cli/command.h"
#include "daemons/daemon_command.h"
#include "daemons/executor_host.h"
#include "daemons/executor_setup.h"
#include "runtime/linux/log_output.h"
#include "runtime/linux/loop.h"

namespace {

using namespace systole;

constexpr const char* kProgram = "pacemaker-execd";  // as logs and their readers know it

cli::CommandSpec spec() {
    cli::CommandSpec s = daemons::daemon_spec(kProgram);
    s.usage = "[OPTION?] [metadata]";
    s.summary = "run resource agents, fence agents and alert agents for the cluster";
    return s;
}

int exit_status(ExitCode code) { return static_cast<int>(code); }

/// The daemon has no options in the cluster's configuration; tools that ask all daemons get a valid answer.
constexpr std::string_view kMetadata =
    "<?xml version=\"1.0\"?>\n"
    "<resource-agent name=\"pacemaker-execd\" version=\"0.1.0\">\n"
    "  <version>1.1</version>\n"
    "  <longdesc lang=\"en\">The executor runs agents. It is set by environment variables only.</longdesc>\n"
    "  <shortdesc lang=\"en\">Executor options</shortdesc>\n"
    "  <parameters/>\n"
    "</resource-agent>\n";

int serve(const cli::Arguments& arguments) {
    runtime::LogOutput output(daemons::daemon_log(kProgram, arguments));
    const runtime::LogSink log = output.sink();
    std::signal(SIGPIPE, SIG_IGN);

    daemons::ExecutorHostOptions options = daemons::prepare_executor(log);
    runtime::Loop loop;
    daemons::ExecutorHost host(loop, std::move(options), log, [&loop](ExitCode code) { loop.stop(exit_status(code)); });
    const auto stop = [&host] { host.feed(executor::ShutdownRequested{}); };
    const daemons::DaemonSignals signals(loop, output, stop);
    if (const auto opened = host.open(); !opened) {
        log({.severity = wire::Severity::kError,
             .text = fmt::format("The executor cannot serve clients: {}", opened.error().what)});
        std::fprintf(stderr, "pacemaker-execd: %s\n", opened.error().what.c_str());
        return exit_status(ExitCode::kFatal);
    }
    log({.severity = wire::Severity::kNotice, .text = "Executor successfully started: accepting connections"});
    const int status = loop.run();
    log({.severity = wire::Severity::kNotice, .text = fmt::format("Executor ends with status {}", status)});
    return status;
}

ExitCode run(const cli::Arguments& arguments, cli::Output& output) {
    if (arguments.positional == std::vector<std::string>{"metadata"}) {
        output.text(kMetadata);
        return ExitCode::kOk;
    }
    if (!daemons::has_no_arguments(arguments, output)) return ExitCode::kUsage;
    return static_cast<ExitCode>(serve(arguments));
}

}  // namespace

int main(int argc, char** argv) { return cli::command_main(spec(), argc, argv, run); }
