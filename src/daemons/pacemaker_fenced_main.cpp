// pacemaker-fenced: the fencer under the name that tools know, for `metadata` and, alone, for tests.
//
// In a cluster the fencer is a part of systole-core; this program then isn't running.
#include <fmt/format.h>
#include <getopt.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "base/exit_code.h"
#include "daemons/fencer_host.h"
#include "runtime/linux/log_output.h"
#include "runtime/linux/loop.h"

namespace {

using namespace systole;

constexpr const char* kProgram = "pacemaker-fenced";
constexpr const char* kUsage =
    "pacemaker-fenced - executes fencing actions in Pacemaker clusters\n"
    "Usage: pacemaker-fenced [options] [metadata]\n"
    "Options:\n"
    " -?, --help           this text\n"
    " -$, --version        version\n"
    " -V, --verbose        more detail in the log; may be given several times\n"
    " -s, --stand-alone    run as a cluster of one node without configuration; only for tests\n"
    " -l, --logfile=FILE   write the log to this file too; may be given several times\n";

int exit_status(ExitCode code) { return static_cast<int>(code); }

int serve(int verbosity, const std::vector<std::string>& files) {
    runtime::LogOptions log_options = runtime::log_options_of_environment(kProgram);
    log_options.files.insert(log_options.files.end(), files.begin(), files.end());
    runtime::LogOutput output(log_options);
    output.change_detail(verbosity);
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
    const runtime::Source terminate = loop.on_signal(SIGTERM, stop);
    const runtime::Source interrupt = loop.on_signal(SIGINT, stop);
    const runtime::Source louder = loop.on_signal(SIGUSR1, [&output] { output.change_detail(1); });
    const runtime::Source quieter = loop.on_signal(SIGUSR2, [&output] { output.change_detail(-1); });
    if (const auto opened = host.open(); !opened) {
        log({.severity = wire::Severity::kError,
             .text = fmt::format("The fencer cannot serve clients: {}", opened.error().what)});
        std::fprintf(stderr, "%s: %s\n", kProgram, opened.error().what.c_str());
        return exit_status(ExitCode::kFatal);
    }
    log({.severity = wire::Severity::kNotice, .text = "Fencer successfully started: accepting connections"});
    return loop.run();
}

}  // namespace

int main(int argc, char** argv) {
    static const option kOptions[] = {{"help", no_argument, nullptr, '?'},
                                      {"version", no_argument, nullptr, '$'},
                                      {"verbose", no_argument, nullptr, 'V'},
                                      {"stand-alone", no_argument, nullptr, 's'},
                                      {"stand-alone-w-cpg", no_argument, nullptr, 's'},
                                      {"logfile", required_argument, nullptr, 'l'},
                                      {nullptr, 0, nullptr, 0}};
    int verbosity = 0;
    bool alone = false;
    std::vector<std::string> files;
    opterr = 0;
    for (int found = 0; (found = ::getopt_long(argc, argv, "+:?$Vsl:", kOptions, nullptr)) != -1;) {
        switch (found) {
            case '$': std::puts("Systole 0.1.0, a fencer for Pacemaker clusters"); return exit_status(ExitCode::kOk);
            case 'V': ++verbosity; break;
            case 's': alone = true; break;
            case 'l': files.emplace_back(optarg); break;
            default: {
                const bool asked = optopt == 0 || optopt == '?';
                if (!asked) std::fprintf(stderr, "%s: unrecognized option '%s'\n", kProgram, argv[optind - 1]);
                std::fputs(kUsage, asked ? stdout : stderr);
                return exit_status(asked ? ExitCode::kOk : ExitCode::kUsage);
            }
        }
    }
    if (optind < argc) {
        std::fprintf(stderr, "%s: unexpected argument '%s'\n%s", kProgram, argv[optind], kUsage);
        return exit_status(ExitCode::kUsage);
    }
    if (!alone) {
        std::fprintf(stderr,
                     "%s: the fencer of a cluster node is a part of systole-core; alone it runs with --stand-alone\n",
                     kProgram);
        return exit_status(ExitCode::kUsage);
    }
    return serve(verbosity, files);
}
