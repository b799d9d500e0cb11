// pacemaker-fenced: the fencer under the name that tools know, for `metadata` and, alone, for tests.
//
// In a cluster the fencer is a part of systole-core; this program then isn't running.
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "base/exit_code.h"
#include "cli/command.h"
#include "cli/config_options.h"
#include "daemons/daemon_command.h"
#include "daemons/fencer_host.h"
#include "runtime/linux/log_output.h"
#include "runtime/linux/loop.h"

namespace {

using namespace systole;

constexpr const char* kProgram = "pacemaker-fenced";

cli::CommandSpec spec() {
    cli::CommandSpec s = daemons::daemon_spec(kProgram);
    s.usage = "[OPTION?] [metadata]";
    s.summary =
        "execute fencing actions in Pacemaker clusters\n\n"
        "In a cluster the fencer is a part of systole-core. This program shows the parameters\n"
        "that every fencing resource has (\"metadata\"), and runs alone for tests.";
    s.options.push_back({'s', "stand-alone", cli::Value::kNone, "",
                         "Run as a cluster of one node without configuration; only for tests"});
    s.options.push_back({0, "stand-alone-w-cpg", cli::Value::kNone, "", ""});
    return s;
}

int exit_status(ExitCode code) { return static_cast<int>(code); }

int serve(const cli::Arguments& arguments) {
    runtime::LogOutput output(daemons::daemon_log(kProgram, arguments));
    const runtime::LogSink log = output.sink();
    std::signal(SIGPIPE, SIG_IGN);

    daemons::FencerHostOptions options;
    utsname name{};
    options.config.self = {NodeId{1}, ::uname(&name) == 0 ? name.nodename : "localhost"};
    std::random_device random;
    options.config.seed = (static_cast<std::uint64_t>(random()) << 32U) | random();
    options.config.pid = static_cast<std::uint32_t>(::getpid());

    runtime::Loop loop;
    daemons::FencerHost host(loop, std::move(options), log);
    const auto stop = [&loop] { loop.stop(exit_status(ExitCode::kOk)); };
    const daemons::DaemonSignals signals(loop, output, stop);
    if (const auto opened = host.open(); !opened) {
        log({.severity = wire::Severity::kError,
             .text = fmt::format("The fencer cannot serve clients: {}", opened.error().what)});
        std::fprintf(stderr, "%s: %s\n", kProgram, opened.error().what.c_str());
        return exit_status(ExitCode::kFatal);
    }
    log({.severity = wire::Severity::kNotice, .text = "Fencer successfully started: accepting connections"});
    return loop.run();
}

ExitCode run(const cli::Arguments& arguments, cli::Output& output) {
    if (arguments.positional == std::vector<std::string>{"metadata"}) {
        output.text(cli::daemon_metadata(kProgram).value_or(""));
        return ExitCode::kOk;
    }
    if (!daemons::has_no_arguments(arguments, output)) return ExitCode::kUsage;
    if (!arguments.has("stand-alone") && !arguments.has("stand-alone-w-cpg")) {
        output.fail("the fencer of a cluster node is a part of systole-core; alone it runs with --stand-alone");
        return ExitCode::kUsage;
    }
    return static_cast<ExitCode>(serve(arguments));
}

}  // namespace

int main(int argc, char** argv) { return cli::command_main(spec(), argc, argv, run); }
