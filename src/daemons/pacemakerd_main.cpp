// pacemakerd: starts the other daemons, watches them, and answers those who ask how the node does.
#include <fcntl.h>
#include <fmt/format.h>
#include <getopt.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/exit_code.h"
#include "base/text.h"
#include "daemons/corosync_watch.h"
#include "daemons/daemon_command.h"
#include "daemons/supervisor.h"
#include "runtime/linux/accounts.h"
#include "runtime/linux/disk.h"
#include "runtime/linux/ipc_client.h"
#include "runtime/linux/ipc_server.h"
#include "runtime/linux/log_output.h"
#include "runtime/linux/loop.h"
#include "runtime/linux/panic.h"
#include "runtime/linux/paths.h"
#include "runtime/linux/process_spawn.h"
#include "runtime/linux/worker.h"
#include "wire/message.h"

namespace {

using namespace systole;

constexpr const char* kUsage =
    "pacemakerd - starts and supervises the daemons of a cluster node\n"
    "Usage: pacemakerd [options]\n"
    "Options:\n"
    " -?, --help           this text\n"
    " -$, --version        version\n"
    " -V, --verbose        more detail in the log; may be given several times\n"
    " -F, --features       version and supported features\n"
    " -S, --shutdown       ask the pacemakerd that runs on this node to shut down, and wait for it\n"
    " -s, --standby        start this node in standby mode\n"
    " -f, --foreground     accepted for compatibility: it always runs in the foreground\n"
    " -p, --pid-file=FILE  accepted for compatibility\n";

struct ChildSpec {
    const char* program;
    wire::Service service;  ///< on which it must answer
    bool as_hacluster;
    bool needs_engine;
};
// They are stopped in reverse: a core that leaves in good order needs its executor to stop what runs here.
constexpr std::array kChildren{ChildSpec{"systole-execd", wire::Service::kExecutor, false, false},
                               ChildSpec{"systole-core", wire::Service::kCibRo, true, true}};

int exit_status(ExitCode code) { return static_cast<int>(code); }

template <class... F>
struct Overloaded : F... {
    using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

class Pacemakerd {
public:
    Pacemakerd(runtime::Loop& loop, runtime::LogSink log, std::vector<std::string> log_files, bool local)
        : loop_(loop),
          log_(std::move(log)),
          log_files_(std::move(log_files)),
          local_(local),
          supervisor_(config_of_environment(local)),
          timers_(loop, [this](const std::string& name) { feed(wire::TimerFired{name}); }),
          server_(loop,
                  {.prefix = runtime::ipc_prefix_of_environment(),
                   .owner = local ? std::optional(geteuid()) : std::nullopt,
                   .log = log_},
                  {.admit = {},
                   .connected = [this](const wire::Client& client) { feed(wire::ClientConnected{client}); },
                   .request = [this](const wire::ClientRequest& request) { feed(request); },
                   .closed = [this](wire::ClientId id) { feed(wire::ClientClosed{id}); }}),
          watch_(
              loop, [this](bool here) { here ? feed(daemons::EngineBack{}) : feed(daemons::EngineGone{}); }, log_),
          checker_(loop) {}

    /// Errors: kExists if a pacemakerd runs here already; kUnreachable if Corosync is not there.
    Result<void> start() {
        if (const auto opened = server_.open(wire::Service::kPacemakerd); !opened) return opened;
        if (const auto made = make_folders(); !made) return made;
        if (!local_)
            if (const auto watched = watch_.start(runtime::find_group(runtime::kDaemonGroup)); !watched) return watched;
        perform(supervisor_.start(loop_.now()));
        ::sd_notify(0, "READY=1");
        return {};
    }

    void feed(const daemons::SupervisorInput& input) { perform(supervisor_.on(loop_.now(), input)); }

private:
    static daemons::SupervisorConfig config_of_environment(bool local) {
        daemons::SupervisorConfig config;
        for (const ChildSpec& child : kChildren) {
            config.children.emplace_back(child.program);
            config.needs_engine.push_back(child.needs_engine && !local);
        }
        config.fail_fast = parse_bool(runtime::pcmk_option("fail_fast")).value_or(false);
        config.wait_for_sbd = !local && runtime::find_sbd() &&
                              parse_bool(runtime::environment_value("SBD_SYNC_RESOURCE_STARTUP")).value_or(false);
        return config;
    }

    Result<void> make_folders() const {
        const runtime::Paths paths = runtime::paths_of_environment();
        uid_t uid = static_cast<uid_t>(-1);
        gid_t gid = static_cast<gid_t>(-1);
        if (!local_) {
            const auto user = runtime::find_user(runtime::kDaemonUser);
            const auto group = runtime::find_group(runtime::kDaemonGroup);
            if (!user || !group)
                return fail(Errc::kNotFound, fmt::format("user {} and group {} must exist", runtime::kDaemonUser,
                                                         runtime::kDaemonGroup));
            uid = user->uid;
            gid = *group;
        }
        constexpr mode_t kPrivate = S_IRWXU | S_IRGRP | S_IXGRP;
        for (const std::string& folder : {paths.cib, paths.inputs, paths.cores, paths.blackbox, paths.run})
            if (const auto made = runtime::make_owned_folder(folder, uid, gid, kPrivate); !made) return made;
        if (const auto made = runtime::make_owned_folder(paths.logs, uid, gid, kPrivate | S_IWGRP); !made) return made;
        // The core is not root, and writes to the same log.
        constexpr mode_t kShared = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP;
        for (const std::string& file : log_files_) {
            const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, kShared);
            if (fd < 0 || (!local_ && ::fchown(fd, uid, gid) != 0) || ::fchmod(fd, kShared) != 0)
                log_({.severity = wire::Severity::kWarning,
                      .text = fmt::format("log file {}: {}", file, std::strerror(errno))});
            if (fd >= 0) ::close(fd);
        }
        return {};
    }

    void perform(const daemons::SupervisorEffects& effects) {
        for (const auto& effect : effects)
            std::visit(Overloaded{
                           [this](const wire::Respond& e) { server_.respond(e); },
                           [this](const wire::SendEvent& e) { server_.send_event(e); },
                           [this](const wire::ArmTimer& e) { timers_.arm(e.name, e.at); },
                           [this](const wire::CancelTimer& e) { timers_.cancel(e.name); },
                           [this](const wire::Log& e) { log_(e); },
                           [this](const daemons::StartChild& e) { start_child(e.child); },
                           [this](const daemons::SignalChild& e) {
                               if (const auto found = pids_.find(e.child); found != pids_.end())
                                   ::kill(found->second, e.signal);
                           },
                           [this](const daemons::CheckChild& e) { check_child(e.child); },
                           [this](const daemons::StopEngine&) { watch_.stop_corosync(); },
                           [this](const daemons::PanicNode& e) { panic(e.why); },
                           [this](const daemons::EndSupervisor& e) {
                               ::sd_notify(0, "STOPPING=1");
                               loop_.defer([this, code = e.code] { loop_.stop(exit_status(code)); },
                                           runtime::Priority::kLow);
                           },
                       },
                       effect);
    }

    void start_child(std::size_t index) {
        const ChildSpec& spec = kChildren[index];
        const auto failed = [&](const std::string& why) {
            loop_.defer([this, index, why] { feed(daemons::ChildNotStarted{index, why}); });
        };
        if (adopt(index)) return;
        const std::string path = runtime::find_daemon(spec.program);
        if (path.empty()) return failed("no such program beside pacemakerd or in /usr/lib/pacemaker");
        runtime::SpawnRequest request;
        request.argv = {path};
        for (char** variable = environ; *variable != nullptr; ++variable) request.environment.emplace_back(*variable);
        const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        request.input = null;
        // A local cluster's daemons share the file that their pacemakerd's standard error is.
        request.output = local_ ? STDERR_FILENO : null;
        request.error = request.output;
        const auto user = runtime::find_user(runtime::kDaemonUser);
        const auto group = runtime::find_group(runtime::kDaemonGroup);
        if (spec.as_hacluster && !local_ && geteuid() == 0 && user) {
            request.change_user = true;
            request.uid = user->uid;
            request.gid = user->gid;
            request.groups = {user->gid};
            if (group && *group != user->gid) request.groups.push_back(*group);
        }
        const runtime::SpawnReply reply = runtime::spawn(request);
        ::close(null);
        if (reply.pid < 0) return failed(std::strerror(reply.error_code));
        if (const auto watched = watch_child(index, reply.pid); !watched) {
            ::kill(reply.pid, SIGKILL);
            return failed(watched.error().what);
        }
        log_({.severity = wire::Severity::kInfo, .text = fmt::format("Started {} as process {}", path, reply.pid)});
    }

    Result<void> watch_child(std::size_t index, pid_t pid) {
        auto watched = loop_.on_child(pid, [this, index](const runtime::ChildExit& how) {
            pids_.erase(index);
            // It may have found its name served by a process that was not ready yet when it was looked for.
            if (how.code == exit_status(ExitCode::kFatal) && adopt(index)) return;
            feed(daemons::ChildEnded{.child = index, .code = how.code, .signal = how.signal});
        });
        if (!watched) return tl::unexpected(watched.error());
        pids_[index] = pid;
        sources_[index] = std::move(*watched);
        return {};
    }

    /// A pacemakerd that was killed leaves its children, and what they run, alive: its successor goes on with them.
    bool adopt(std::size_t index) {
        const ChildSpec& spec = kChildren[index];
        const auto client =
            runtime::IpcClient::connect(wire::service_name(spec.service), {.connect_timeout = Duration{500}});
        if (!client) return false;
        const auto pid = static_cast<pid_t>(client->server_pid());
        const auto name = runtime::Disk(fmt::format("/proc/{}", pid)).read("comm");
        if (!name || trim(*name) != std::string_view(spec.program) || !watch_child(index, pid)) return false;
        log_({.severity = wire::Severity::kNotice,
              .text = fmt::format("{} runs already as process {}: going on with it", spec.program, pid)});
        return true;
    }

    /// On the worker: a child that hangs would keep the connection attempt waiting.
    void check_child(std::size_t index) {
        const auto found = pids_.find(index);
        if (found == pids_.end()) return;
        checker_.submit(fmt::format("{}", index), [this, index, pid = found->second]() -> runtime::Worker::Report {
            const auto client = runtime::IpcClient::connect(wire::service_name(kChildren[index].service),
                                                            {.connect_timeout = Duration{2000}});
            const bool answered = client && client->server_pid() == pid;
            return [this, index, answered] { feed(daemons::ChildChecked{.child = index, .answered = answered}); };
        });
    }

    void panic(const std::string& why) {
        log_({.severity = wire::Severity::kError, .text = fmt::format("This node must stop at once: {}", why)});
        if (!local_) {
            runtime::panic_machine(runtime::pcmk_option("panic_action"), log_);
        } else {
            // One machine plays all nodes, so the node's processes end, not the machine.
            for (const auto& [index, pid] : pids_) ::kill(pid, SIGKILL);
        }
        loop_.stop(exit_status(ExitCode::kPanic));
    }

    runtime::Loop& loop_;
    runtime::LogSink log_;
    std::vector<std::string> log_files_;
    bool local_;
    daemons::Supervisor supervisor_;
    runtime::Timers timers_;
    runtime::IpcServer server_;
    daemons::CorosyncWatch watch_;
    std::map<std::size_t, pid_t> pids_;
    std::map<std::size_t, runtime::Source> sources_;
    runtime::Worker checker_;
};

int serve(int verbosity) {
    runtime::LogOptions log_options = runtime::log_options_of_environment("pacemakerd");
    runtime::LogOutput output(log_options);
    output.change_detail(verbosity);
    const runtime::LogSink log = output.sink();
    std::signal(SIGPIPE, SIG_IGN);
    const bool local = runtime::environment_value("SYSTOLE_ENGINE") == "local";
    if (!local) ::setenv("PCMK_cluster_type", "corosync", 1);

    runtime::Loop loop;
    log({.severity = wire::Severity::kNotice,
         .text = fmt::format("Starting Systole 0.1.0 ({} cluster engine)", local ? "local" : "Corosync")});
    Pacemakerd daemon(loop, log, log_options.files, local);
    const auto stop = [&daemon] { daemon.feed(daemons::StopRequested{}); };
    const daemons::DaemonSignals signals(loop, output, stop);
    const runtime::Source quit = loop.on_signal(SIGQUIT, [&daemon] { daemon.feed(daemons::PanicRequested{}); });
    if (const auto started = daemon.start(); !started) {
        log({.severity = wire::Severity::kError, .text = fmt::format("Cannot start: {}", started.error().what)});
        std::fprintf(stderr, "pacemakerd: %s\n", started.error().what.c_str());
        if (started.error().code == Errc::kExists) return exit_status(ExitCode::kOk);
        return exit_status(started.error().code == Errc::kUnreachable ? ExitCode::kDisconnected
                                                                      : ExitCode::kCannotCreate);
    }
    const int status = loop.run();
    log({.severity = wire::Severity::kNotice, .text = fmt::format("pacemakerd ends with status {}", status)});
    return status;
}

/// Asks the running pacemakerd to stop and waits until it has.
int shut_down() {
    auto client = runtime::IpcClient::connect(wire::service_name(wire::Service::kPacemakerd));
    if (!client) {
        std::fprintf(stderr, "pacemakerd: %s\n", client.error().what.c_str());
        return exit_status(client.error().code == Errc::kDenied ? ExitCode::kInsufficientPrivileges
                                                                : ExitCode::kDisconnected);
    }
    const xml::NodePtr request = wire::make_message({.origin = "pacemakerd",
                                                     .type = "pacemakerd",
                                                     .task = "quit",
                                                     .to_system = "pacemakerd",
                                                     .from_system = fmt::format("{}_pacemakerd", getpid()),
                                                     .reference = "quit-pacemakerd-0-0"})
                                     .build();
    if (const auto acknowledged = client->call(*request); !acknowledged) {
        std::fprintf(stderr, "pacemakerd: %s\n", acknowledged.error().what.c_str());
        return exit_status(ExitCode::kError);
    }
    for (;;) {
        const auto event = client->next_event(Duration{-1});
        if (!event && event.error().code == Errc::kUnreachable) return exit_status(ExitCode::kOk);
        if (!event || !*event) continue;
        const xml::NodePtr data = wire::data_of(***event);
        if (data && data->get("op-status", "0") != "0") {
            std::fprintf(stderr, "pacemakerd: this user may not shut the node down\n");
            return exit_status(ExitCode::kInsufficientPrivileges);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    static const option kOptions[] = {{"help", no_argument, nullptr, '?'},
                                      {"version", no_argument, nullptr, '$'},
                                      {"verbose", no_argument, nullptr, 'V'},
                                      {"features", no_argument, nullptr, 'F'},
                                      {"shutdown", no_argument, nullptr, 'S'},
                                      {"standby", no_argument, nullptr, 's'},
                                      {"foreground", no_argument, nullptr, 'f'},
                                      {"pid-file", required_argument, nullptr, 'p'},
                                      {nullptr, 0, nullptr, 0}};
    int verbosity = 0;
    opterr = 0;
    for (int found = 0; (found = ::getopt_long(argc, argv, "?$VFSsfp:", kOptions, nullptr)) != -1;) {
        switch (found) {
            case '$': std::puts("Pacemaker 3.0.2-systole-0.1.0\nWritten by the Systole project"); return 0;
            case 'V': ++verbosity; break;
            case 'F':
                fmt::print(
                    "Pacemaker 3.0.2-systole-0.1.0 (Build: systole)\n Supporting v{}: agent-manpages corosync-ge-2 "
                    "libqb-ipc nagios ncurses systemd\n",
                    wire::kFeatureSet);
                return 0;
            case 'S': return shut_down();
            case 's': ::setenv("PCMK_node_start_state", "standby", 1); break;
            case 'f':
            case 'p': break;
            default: {
                const bool asked = optopt == 0 || optopt == '?';
                if (!asked) std::fprintf(stderr, "pacemakerd: unrecognized option '%s'\n", argv[optind - 1]);
                std::fputs(kUsage, asked ? stdout : stderr);
                return exit_status(asked ? ExitCode::kOk : ExitCode::kUsage);
            }
        }
    }
    if (optind < argc) {
        std::fprintf(stderr, "pacemakerd: unexpected argument '%s'\n%s", argv[optind], kUsage);
        return exit_status(ExitCode::kUsage);
    }
    return serve(verbosity);
}
