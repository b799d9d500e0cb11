// pacemaker-remoted: the executor of a remote or guest node, for clusters that have the key.
#include <fmt/format.h>
#include <getopt.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "base/exit_code.h"
#include "base/text.h"
#include "daemons/executor_setup.h"
#include "daemons/remoted_host.h"
#include "runtime/linux/init_process.h"
#include "runtime/linux/ipc_server.h"
#include "runtime/linux/log_output.h"
#include "runtime/linux/loop.h"
#include "runtime/linux/paths.h"

namespace {

using namespace systole;

constexpr const char* kProgram = "pacemaker-remoted";
constexpr const char* kInitVariables = "/etc/pacemaker/pcmk-init.env";

constexpr const char* kUsage =
    "pacemaker-remoted - makes this machine or container a node of a cluster, without the cluster's own daemons\n"
    "Usage: pacemaker-remoted [options]\n"
    "Options:\n"
    " -?, --help           this text\n"
    " -$, --version        version\n"
    " -V, --verbose        more detail in the log; may be given several times\n"
    " -l, --logfile=FILE   write the log to this file too; may be given several times\n"
    " -p, --port=PORT      listen on this TCP port (default: $PCMK_remote_port, 3121)\n"
    "\n"
    "The cluster and this node need the same key in /etc/pacemaker/authkey (owner root, group haclient, mode 0640):\n"
    "   dd if=/dev/urandom of=/etc/pacemaker/authkey bs=4096 count=1\n"
    "Environment (from /etc/default/pacemaker or /etc/sysconfig/pacemaker where the system's service starts it):\n"
    "   PCMK_remote_address       address to listen on (default: all)\n"
    "   PCMK_remote_port          TCP port to listen on\n"
    "   PCMK_authkey_location     where the key is\n"
    "   PCMK_tls_priorities       GnuTLS priorities (default: NORMAL)\n"
    "   PCMK_cert_file, PCMK_key_file, PCMK_ca_file, PCMK_crl_file\n"
    "                             certificates instead of the key\n"
    "   PCMK_remote_pid1          default, full or vars: as process 1 of a container (or always, with full) it also\n"
    "                             reaps what others leave, after it has read /etc/pacemaker/pcmk-init.env\n"
    "   PCMK_logfile, PCMK_logfacility, PCMK_logpriority, PCMK_debug, PCMK_stderr\n"
    "                             as for the cluster's daemons\n"
    "On SIGTERM it asks the cluster to move its resources away, and ends when that is done.\n";

struct Settings {
    int verbosity = 0;
    std::vector<std::string> log_files;
    std::uint16_t port = 0;  ///< 0: not given
};

int exit_status(ExitCode code) { return static_cast<int>(code); }

std::optional<std::uint16_t> parse_port(std::string_view text) {
    const auto port = parse_integer(text);
    if (!port || *port < 1 || *port > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(*port);
}

int serve(const Settings& settings) {
    runtime::LogOptions log_options = runtime::log_options_of_environment(kProgram);
    log_options.files.insert(log_options.files.end(), settings.log_files.begin(), settings.log_files.end());
    runtime::LogOutput output(log_options);
    output.change_detail(settings.verbosity);
    const runtime::LogSink log = output.sink();
    std::signal(SIGPIPE, SIG_IGN);

    daemons::RemotedHostOptions options;
    options.executor = daemons::prepare_executor(log);
    options.executor.config.fence_devices = false;
    options.ipc_prefix = runtime::ipc_prefix_of_environment();
    options.tls.tls = runtime::tls_settings_of_environment();
    options.tls.address = runtime::pcmk_option("remote_address");
    options.tls.log = log;
    const std::string port = runtime::pcmk_option("remote_port");
    options.tls.port = settings.port != 0 ? settings.port : parse_port(port).value_or(options.tls.port);
    if (!port.empty() && !parse_port(port))
        log({.severity = wire::Severity::kError,
             .text = fmt::format("PCMK_remote_port '{}' is not a port: using {}", port, options.tls.port)});
    // With a watchdog, a cluster node that is not heard from for half its time is taken for gone.
    const auto watchdog = parse_interval(runtime::environment_value("SBD_WATCHDOG_TIMEOUT"));
    if (watchdog && *watchdog > Duration{0}) options.tls.user_timeout = *watchdog / 2;

    runtime::Loop loop;
    daemons::RemotedHost host(loop, std::move(options), log, [&loop](ExitCode code) { loop.stop(exit_status(code)); });
    const auto stop = [&host] { host.shut_down(); };
    const runtime::Source terminate = loop.on_signal(SIGTERM, stop);
    const runtime::Source interrupt = loop.on_signal(SIGINT, stop);
    const runtime::Source hang_up = loop.on_signal(SIGHUP, [&output] { output.reopen(); });
    const runtime::Source louder = loop.on_signal(SIGUSR1, [&output] { output.change_detail(1); });
    const runtime::Source quieter = loop.on_signal(SIGUSR2, [&output] { output.change_detail(-1); });
    const auto opened = host.open();
    if (!opened) {
        log({.severity = wire::Severity::kError,
             .text = fmt::format("The remote executor cannot serve anybody: {}", opened.error().what)});
        std::fprintf(stderr, "%s: %s\n", kProgram, opened.error().what.c_str());
        return exit_status(ExitCode::kFatal);
    }
    log({.severity = wire::Severity::kNotice,
         .text = fmt::format("Pacemaker remote executor successfully started and accepting connections on port {}",
                             *opened)});
    ::sd_notify(0, "READY=1");
    const int status = loop.run();
    log({.severity = wire::Severity::kNotice, .text = fmt::format("Remote executor ends with status {}", status)});
    return status;
}

}  // namespace

int main(int argc, char** argv) {
    static const option kOptions[] = {
        {"help", no_argument, nullptr, '?'},       {"version", no_argument, nullptr, '$'},
        {"verbose", no_argument, nullptr, 'V'},    {"logfile", required_argument, nullptr, 'l'},
        {"port", required_argument, nullptr, 'p'}, {nullptr, 0, nullptr, 0}};
    Settings settings;
    opterr = 0;
    for (int found = 0; (found = ::getopt_long(argc, argv, "+:?$Vl:p:", kOptions, nullptr)) != -1;) {
        switch (found) {
            case '$':
                std::puts("Systole 0.1.0, a remote executor for Pacemaker clusters");
                return exit_status(ExitCode::kOk);
            case 'V': ++settings.verbosity; break;
            case 'l': settings.log_files.emplace_back(optarg); break;
            case 'p':
                if (const auto port = parse_port(optarg)) {
                    settings.port = *port;
                    break;
                }
                std::fprintf(stderr, "%s: '%s' is not a port\n", kProgram, optarg);
                return exit_status(ExitCode::kUsage);
            default: {
                const bool asked = optopt == 0 || optopt == '?';
                if (!asked) std::fprintf(stderr, "%s: wrong option '%s'\n", kProgram, argv[optind - 1]);
                std::fputs(kUsage, asked ? stdout : stderr);
                return exit_status(asked ? ExitCode::kOk : ExitCode::kUsage);
            }
        }
    }
    if (optind < argc) {
        std::fprintf(stderr, "%s: unexpected argument '%s'\n%s", kProgram, argv[optind], kUsage);
        return exit_status(ExitCode::kUsage);
    }
    const std::string as_first = runtime::pcmk_option("remote_pid1");
    if (::getpid() == 1 || as_first == "full" || as_first == "vars") runtime::load_environment(kInitVariables);
    if ((::getpid() == 1 && as_first != "vars") || as_first == "full")
        if (const auto status = runtime::become_init()) return *status;
    return serve(settings);
}
