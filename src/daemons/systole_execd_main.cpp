// systole-execd (also installed as pacemaker-execd): runs what the cluster decides on this node.
#include <fmt/format.h>
#include <getopt.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "base/exit_code.h"
#include "daemons/executor_host.h"
#include "daemons/executor_setup.h"
#include "runtime/linux/log_output.h"
#include "runtime/linux/loop.h"

namespace {

using namespace systole;

constexpr const char* kProgram = "pacemaker-execd";  // as logs and their readers know it

constexpr const char* kUsage =
    "pacemaker-execd - runs resource agents, fence agents and alert agents for the cluster\n"
    "Usage: pacemaker-execd [options] [metadata]\n"
    "Options:\n"
    " -?, --help           this text\n"
    " -$, --version        version\n"
    " -V, --verbose        more detail in the log; may be given several times\n"
    " -l, --logfile=FILE   write the log to this file too; may be given several times\n";

struct Settings {
    int verbosity = 0;
    std::vector<std::string> log_files;
    bool metadata = false;
};

int exit_status(ExitCode code) { return static_cast<int>(code); }

/// The daemon has no options in the cluster's configuration; tools that ask all daemons get a valid answer.
void print_metadata() {
    std::fputs(
        "<?xml version=\"1.0\"?>\n"
        "<resource-agent name=\"pacemaker-execd\" version=\"0.1.0\">\n"
        "  <version>1.1</version>\n"
        "  <longdesc lang=\"en\">The executor runs agents. It is set by environment variables only.</longdesc>\n"
        "  <shortdesc lang=\"en\">Executor options</shortdesc>\n"
        "  <parameters/>\n"
        "</resource-agent>\n",
        stdout);
}

int serve(const Settings& settings) {
    runtime::LogOptions log_options = runtime::log_options_of_environment(kProgram);
    log_options.files.insert(log_options.files.end(), settings.log_files.begin(), settings.log_files.end());
    runtime::LogOutput output(log_options);
    output.change_detail(settings.verbosity);
    const runtime::LogSink log = output.sink();
    std::signal(SIGPIPE, SIG_IGN);

    daemons::ExecutorHostOptions options = daemons::prepare_executor(log);
    runtime::Loop loop;
    daemons::ExecutorHost host(loop, std::move(options), log, [&loop](ExitCode code) { loop.stop(exit_status(code)); });
    const auto stop = [&host] { host.feed(executor::ShutdownRequested{}); };
    const runtime::Source terminate = loop.on_signal(SIGTERM, stop);
    const runtime::Source interrupt = loop.on_signal(SIGINT, stop);
    const runtime::Source hang_up = loop.on_signal(SIGHUP, [&output] { output.reopen(); });
    const runtime::Source louder = loop.on_signal(SIGUSR1, [&output] { output.change_detail(1); });
    const runtime::Source quieter = loop.on_signal(SIGUSR2, [&output] { output.change_detail(-1); });
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

}  // namespace

int main(int argc, char** argv) {
    static const option kOptions[] = {{"help", no_argument, nullptr, '?'},
                                      {"version", no_argument, nullptr, '$'},
                                      {"verbose", no_argument, nullptr, 'V'},
                                      {"logfile", required_argument, nullptr, 'l'},
                                      {nullptr, 0, nullptr, 0}};
    Settings settings;
    opterr = 0;
    for (int found = 0; (found = ::getopt_long(argc, argv, "+:?$Vl:", kOptions, nullptr)) != -1;) {
        switch (found) {
            case '$': std::puts("Systole 0.1.0, an executor for Pacemaker clusters"); return exit_status(ExitCode::kOk);
            case 'V': ++settings.verbosity; break;
            case 'l': settings.log_files.emplace_back(optarg); break;
            default: {
                const bool asked = optopt == 0 || optopt == '?';
                if (!asked) std::fprintf(stderr, "pacemaker-execd: unrecognized option '%s'\n", argv[optind - 1]);
                std::fputs(kUsage, asked ? stdout : stderr);
                return exit_status(asked ? ExitCode::kOk : ExitCode::kUsage);
            }
        }
    }
    if (optind < argc && std::string_view(argv[optind]) == "metadata") {
        print_metadata();
        return exit_status(ExitCode::kOk);
    }
    if (optind < argc) {
        std::fprintf(stderr, "pacemaker-execd: unexpected argument '%s'\n%s", argv[optind], kUsage);
        return exit_status(ExitCode::kUsage);
    }
    return serve(settings);
}
