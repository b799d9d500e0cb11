// pacemaker-remoted: the executor of a remote or guest node, for clusters that have the key.
#include <fmt/format.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "base/exit_code.h"
#include "base/text.h"
#include "cli/command.h"
#include "daemons/daemon_command.h"
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

constexpr std::string_view kNotes =
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

cli::CommandSpec spec() {
    cli::CommandSpec s = daemons::daemon_spec(kProgram);
    s.summary = "make this machine or container a node of a cluster, without the cluster's own daemons";
    s.options.push_back(
        {'p', "port", cli::Value::kRequired, "PORT", "Listen on this TCP port (default: $PCMK_remote_port, 3121)"});
    s.notes = kNotes;
    return s;
}

int exit_status(ExitCode code) { return static_cast<int>(code); }

std::optional<std::uint16_t> parse_port(std::string_view text) {
    const auto port = parse_integer(text);
    if (!port || *port < 1 || *port > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(*port);
}

int serve(const cli::Arguments& arguments, std::optional<std::uint16_t> given_port) {
    runtime::LogOutput output(daemons::daemon_log(kProgram, arguments));
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
    options.tls.port = given_port ? *given_port : parse_port(port).value_or(options.tls.port);
    if (!port.empty() && !parse_port(port))
        log({.severity = wire::Severity::kError,
             .text = fmt::format("PCMK_remote_port '{}' is not a port: using {}", port, options.tls.port)});
    // With a watchdog, a cluster node that is not heard from for half its time is taken for gone.
    const auto watchdog = parse_interval(runtime::environment_value("SBD_WATCHDOG_TIMEOUT"));
    if (watchdog && *watchdog > Duration{0}) options.tls.user_timeout = *watchdog / 2;

    runtime::Loop loop;
    daemons::RemotedHost host(loop, std::move(options), log, [&loop](ExitCode code) { loop.stop(exit_status(code)); });
    const auto stop = [&host] { host.shut_down(); };
    const daemons::DaemonSignals signals(loop, output, stop);
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

ExitCode run(const cli::Arguments& arguments, cli::Output& output) {
    if (!daemons::has_no_arguments(arguments, output)) return ExitCode::kUsage;
    std::optional<std::uint16_t> port;
    if (const auto text = arguments.value("port")) {
        port = parse_port(*text);
        if (!port) {
            output.fail(fmt::format("'{}' is not a port", *text));
            return ExitCode::kUsage;
        }
    }
    const std::string as_first = runtime::pcmk_option("remote_pid1");
    if (::getpid() == 1 || as_first == "full" || as_first == "vars") runtime::load_environment(kInitVariables);
    if ((::getpid() == 1 && as_first != "vars") || as_first == "full")
        if (const auto status = runtime::become_init()) return static_cast<ExitCode>(*status);
    return static_cast<ExitCode>(serve(arguments, port));
}

}  // namespace

int main(int argc, char** argv) { return cli::command_main(spec(), argc, argv, run); }
