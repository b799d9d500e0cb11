#include "daemons/local_commands.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/exit_code.h"
#include "base/text.h"
#include "runtime/linux/disk.h"
#include "runtime/linux/frame_socket.h"
#include "runtime/linux/ipc_client.h"
#include "runtime/linux/local_cluster.h"
#include "runtime/linux/local_engine.h"
#include "runtime/linux/loop.h"
#include "runtime/linux/paths.h"
#include "runtime/linux/process_spawn.h"
#include "wire/message.h"

namespace systole::daemons {
namespace {

using Clock = std::chrono::steady_clock;
using runtime::LocalCluster;

constexpr const char* kUsage =
    "usage: systole local up [--nodes N] [--dir DIR] [--foreground]   start a cluster (3 nodes), or its nodes that are "
    "down\n"
    "       systole local down [--dir DIR]        stop all nodes in good order, then the hub\n"
    "       systole local status [--dir DIR]      which nodes run\n"
    "       systole local start NODE [--dir DIR]  start one node\n"
    "       systole local stop NODE [--dir DIR]   stop one node in good order: its resources move away\n"
    "       systole local kill NODE [--dir DIR]   end all processes of a node at once, as a power cut would\n"
    "       systole --node NODE [--dir DIR] COMMAND...   run a command as if on that node\n"
    "\n"
    "A local cluster is for trying things out and for tests: its nodes are processes of this one machine.\n";
constexpr unsigned kNodesMax = 64;
constexpr Duration kStartLongest{15'000};
constexpr Duration kStopLongest{120'000};

int status_of(ExitCode code) { return static_cast<int>(code); }

int complain(ExitCode code, const std::string& what) {
    std::fprintf(stderr, "systole: %s\n", what.c_str());
    return status_of(code);
}

int complain(const Error& error) {
    return complain(error.code == Errc::kNotFound  ? ExitCode::kNoSuchObject
                    : error.code == Errc::kExists  ? ExitCode::kExists
                    : error.code == Errc::kInvalid ? ExitCode::kConfig
                                                   : ExitCode::kOsError,
                    error.what);
}

/// Waits until `condition` holds, looking often; false if it does not in time.
template <class Condition>
bool wait_until(Duration longest, Condition condition) {
    const auto end = Clock::now() + longest;
    while (!condition()) {
        if (Clock::now() >= end) return false;
        ::poll(nullptr, 0, 50);
    }
    return true;
}

std::string file_text(const std::string& path) {
    std::string text;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return text;
    std::array<char, 4096> chunk;
    for (ssize_t n = 0; (n = ::read(fd, chunk.data(), chunk.size())) > 0;)
        text.append(chunk.data(), static_cast<std::size_t>(n));
    ::close(fd);
    return text;
}

/// Processes whose environment holds this variable: those of a node, and what its agents started.
std::vector<pid_t> processes_with(const std::string& variable) {
    std::vector<pid_t> found;
    DIR* const proc = ::opendir("/proc");
    if (proc == nullptr) return found;
    const std::string needle = std::string(1, '\0') + variable + std::string(1, '\0');
    while (const dirent* const entry = ::readdir(proc)) {
        const auto pid = parse_integer(entry->d_name);
        if (!pid || *pid <= 1 || *pid == getpid()) continue;
        const std::string environment = std::string(1, '\0') + file_text(fmt::format("/proc/{}/environ", *pid));
        if (environment.find(needle) != std::string::npos) found.push_back(static_cast<pid_t>(*pid));
    }
    ::closedir(proc);
    return found;
}

/// The process that serves this node's pacemakerd name; empty if the node is down.
std::optional<pid_t> pacemakerd_of(const LocalCluster& cluster, const std::string& node) {
    const auto client =
        runtime::IpcClient::connect(wire::service_name(wire::Service::kPacemakerd),
                                    {.prefix = cluster.ipc_prefix(node), .connect_timeout = Duration{1000}});
    if (!client) return std::nullopt;
    return client->server_pid();
}

bool core_answers(const LocalCluster& cluster, const std::string& node) {
    return runtime::IpcClient::connect(wire::service_name(wire::Service::kController),
                                       {.prefix = cluster.ipc_prefix(node), .connect_timeout = Duration{1000}})
        .has_value();
}

bool hub_listens(const LocalCluster& cluster) {
    const auto fd = runtime::connect_to(cluster.folder, runtime::kHubSocket);
    if (fd) ::close(*fd);
    return fd.has_value();
}

/// Our variables replace what is in this process' environment.
std::vector<std::string> environment_for(const LocalCluster& cluster, const wire::NodeRef* node) {
    std::vector<std::pair<std::string, std::string>> ours;
    if (node != nullptr) ours = cluster.environment(*node);
    std::vector<std::string> out;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string_view text(*variable);
        const std::string_view name = text.substr(0, text.find('='));
        if (std::ranges::none_of(ours, [&](const auto& pair) { return pair.first == name; })) out.emplace_back(text);
    }
    for (const auto& [name, value] : ours) out.push_back(name + "=" + value);
    return out;
}

Result<pid_t> spawn_daemon(const LocalCluster& cluster, const wire::NodeRef* node, std::vector<std::string> argv,
                           const std::string& log) {
    argv.front() = runtime::find_daemon(argv.front());
    if (argv.front().empty()) return fail(Errc::kNotFound, "the daemons are not beside this program nor installed");
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out < 0) return fail(Errc::kIo, fmt::format("{}: {}", log, std::strerror(errno)));
    runtime::SpawnRequest request;
    request.argv = std::move(argv);
    request.environment = environment_for(cluster, node);
    request.input = null;
    request.output = out;
    request.error = out;
    const auto reply = runtime::spawn(request);
    ::close(null);
    ::close(out);
    if (reply.pid < 0)
        return fail(Errc::kIo, fmt::format("{}: {}", request.argv.front(), std::strerror(reply.error_code)));
    return reply.pid;
}

/// A node's power is switched by one at a time, for as long as this lives: whoever ends its processes would take those
/// of a start meanwhile (the cluster's fencing, say) for some that were missed. A node that was never started has no
/// switch.
class PowerSwitch {
public:
    explicit PowerSwitch(const std::string& node_folder)
        : fd_(::open((node_folder + "/power").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR)) {
        while (fd_ >= 0 && ::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
        }
    }
    ~PowerSwitch() {
        if (fd_ >= 0) ::close(fd_);
    }
    PowerSwitch(const PowerSwitch&) = delete;
    PowerSwitch& operator=(const PowerSwitch&) = delete;

private:
    int fd_;
};

Result<void> start_node(const LocalCluster& cluster, const wire::NodeRef& node) {
    const std::string folder = cluster.node_folder(node.name);
    for (const char* part : {"/log", "/run", "/resource-agents"})
        if (const auto made = runtime::make_folders(folder + part, S_IRWXU); !made) return made;
    const PowerSwitch alone(folder);
    const auto pid = spawn_daemon(cluster, &node, {"pacemakerd"}, folder + "/log/stderr.log");
    if (!pid) return tl::unexpected(pid.error());
    return {};
}

Result<void> start_hub(const LocalCluster& cluster) {
    if (hub_listens(cluster)) return {};
    const auto pid = spawn_daemon(cluster, nullptr, {"systole-hub", cluster.folder}, cluster.folder + "/hub.log");
    if (!pid) return tl::unexpected(pid.error());
    if (!wait_until(kStartLongest, [&] { return hub_listens(cluster); }))
        return fail(Errc::kUnreachable, fmt::format("the hub does not start; see {}/hub.log", cluster.folder));
    return runtime::Disk(cluster.folder).write("hub.pid", fmt::format("{}\n", *pid));
}

/// The hub's watcher, if the process of that number is one.
std::optional<pid_t> hub_of(const LocalCluster& cluster) {
    const auto pid = parse_integer(file_text(cluster.folder + "/hub.pid"));
    if (!pid || *pid <= 1) return std::nullopt;
    const std::string command = file_text(fmt::format("/proc/{}/cmdline", *pid));
    if (command.find("systole-hub") == std::string::npos || command.find(cluster.folder) == std::string::npos)
        return std::nullopt;
    return static_cast<pid_t>(*pid);
}

void stop_hub(const LocalCluster& cluster) {
    const auto pid = hub_of(cluster);
    if (!pid) return;
    ::kill(*pid, SIGTERM);
    wait_until(Duration{5000}, [&] { return !hub_of(cluster); });
}

void kill_node(const LocalCluster& cluster, const wire::NodeRef& node) {
    const std::string mark = fmt::format("SYSTOLE_STATE_DIR={}", cluster.node_folder(node.name));
    const PowerSwitch alone(cluster.node_folder(node.name));
    // Whoever was just being started by them is found in the next round.
    for (int round = 0; round < 10; ++round) {
        const auto found = processes_with(mark);
        if (found.empty()) return;
        for (const pid_t pid : found) ::kill(pid, SIGKILL);
        ::poll(nullptr, 0, 20);
    }
}

bool stop_nodes(const LocalCluster& cluster, const std::vector<wire::NodeRef>& nodes) {
    for (const wire::NodeRef& node : nodes)
        if (const auto pid = pacemakerd_of(cluster, node.name)) ::kill(*pid, SIGTERM);
    return wait_until(kStopLongest, [&] {
        return std::ranges::none_of(nodes,
                                    [&](const auto& node) { return pacemakerd_of(cluster, node.name).has_value(); });
    });
}

struct Arguments {
    std::string folder = runtime::default_local_folder();
    unsigned nodes = 0;  ///< 0: not given
    bool foreground = false;
    std::vector<std::string> rest;
};

Result<Arguments> read_arguments(const std::vector<std::string>& arguments) {
    Arguments out;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        const auto value = [&]() -> Result<std::string> {
            if (const std::size_t equals = argument.find('='); equals != std::string::npos)
                return argument.substr(equals + 1);
            if (i + 1 == arguments.size()) return fail(Errc::kInvalid, fmt::format("{} needs a value", argument));
            return arguments[++i];
        };
        if (argument == "--foreground") {
            out.foreground = true;
        } else if (argument == "--dir" || argument.starts_with("--dir=")) {
            const auto folder = value();
            if (!folder) return tl::unexpected(folder.error());
            out.folder = *folder;
        } else if (argument == "--nodes" || argument.starts_with("--nodes=")) {
            const auto count = value();
            if (!count) return tl::unexpected(count.error());
            const auto number = parse_integer(*count);
            if (!number || *number < 1 || *number > kNodesMax)
                return fail(Errc::kInvalid, fmt::format("'{}' is no number of nodes (1 to {})", *count, kNodesMax));
            out.nodes = static_cast<unsigned>(*number);
        } else if (argument.starts_with("-")) {
            return fail(Errc::kInvalid, fmt::format("unknown option '{}'", argument));
        } else {
            out.rest.push_back(argument);
        }
    }
    return out;
}

int up(const Arguments& arguments) {
    auto cluster = runtime::read_local_cluster(arguments.folder);
    if (!cluster && cluster.error().code == Errc::kNotFound)
        cluster = runtime::create_local_cluster(arguments.folder, arguments.nodes != 0 ? arguments.nodes : 3);
    if (!cluster) return complain(cluster.error());
    if (arguments.nodes != 0 && arguments.nodes != cluster->nodes.size())
        return complain(ExitCode::kUsage,
                        fmt::format("the cluster in {} has {} nodes; another --dir makes another cluster",
                                    cluster->folder, cluster->nodes.size()));
    if (const auto hub = start_hub(*cluster); !hub) return complain(hub.error());
    for (const wire::NodeRef& node : cluster->nodes) {
        if (pacemakerd_of(*cluster, node.name)) continue;
        if (const auto started = start_node(*cluster, node); !started) return complain(started.error());
    }
    for (const wire::NodeRef& node : cluster->nodes)
        if (!wait_until(kStartLongest, [&] { return core_answers(*cluster, node.name); }))
            return complain(ExitCode::kTimeout, fmt::format("node {} does not come up; see {}/log", node.name,
                                                            cluster->node_folder(node.name)));
    fmt::print(
        "Local cluster of {} nodes in {} (processes of this machine, for trying things out).\n"
        "Look at it:  systole --node {} crm_mon -1\n",
        cluster->nodes.size(), cluster->folder, cluster->nodes.front().name);
    if (!arguments.foreground) return 0;
    std::fflush(stdout);
    runtime::Loop loop;
    const runtime::Source terminate = loop.on_signal(SIGTERM, [&loop] { loop.stop(); });
    const runtime::Source interrupt = loop.on_signal(SIGINT, [&loop] { loop.stop(); });
    loop.run();
    const bool stopped = stop_nodes(*cluster, cluster->nodes);
    stop_hub(*cluster);
    return stopped ? 0 : status_of(ExitCode::kTimeout);
}

int down(const LocalCluster& cluster) {
    const bool stopped = stop_nodes(cluster, cluster.nodes);
    // What does not stop in good order, and services that stayed behind.
    for (const wire::NodeRef& node : cluster.nodes) kill_node(cluster, node);
    stop_hub(cluster);
    return stopped ? 0 : complain(ExitCode::kTimeout, "not all nodes stopped in good order; they were ended");
}

int show_status(const LocalCluster& cluster) {
    fmt::print("Local cluster in {}: {} nodes, hub {}\n", cluster.folder, cluster.nodes.size(),
               hub_listens(cluster) ? "running" : "down");
    bool all = true;
    for (const wire::NodeRef& node : cluster.nodes) {
        const auto pid = pacemakerd_of(cluster, node.name);
        const bool ready = pid && core_answers(cluster, node.name);
        all = all && ready;
        fmt::print("  {}: {}\n", node.name,
                   !pid    ? "down"
                   : ready ? fmt::format("running (pacemakerd is process {})", *pid)
                           : fmt::format("starting or stopping (pacemakerd is process {})", *pid));
    }
    return all ? 0 : status_of(ExitCode::kNotRunning);
}

}  // namespace

int run_local(const std::vector<std::string>& arguments) {
    if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "help") {
        std::fputs(kUsage, arguments.empty() ? stderr : stdout);
        return arguments.empty() ? status_of(ExitCode::kUsage) : 0;
    }
    const auto parsed = read_arguments({arguments.begin() + 1, arguments.end()});
    if (!parsed) return complain(ExitCode::kUsage, parsed.error().what);
    const std::string& verb = arguments[0];
    if (verb == "up" && parsed->rest.empty()) return up(*parsed);
    const auto cluster = runtime::read_local_cluster(parsed->folder);
    if ((verb == "down" || verb == "status") && parsed->rest.empty()) {
        if (!cluster) return complain(cluster.error());
        return verb == "down" ? down(*cluster) : show_status(*cluster);
    }
    if ((verb == "start" || verb == "stop" || verb == "kill") && parsed->rest.size() == 1) {
        if (!cluster) return complain(cluster.error());
        const wire::NodeRef* const node = cluster->find(parsed->rest[0]);
        if (node == nullptr)
            return complain(ExitCode::kNoSuchObject,
                            fmt::format("the local cluster has no node '{}'", parsed->rest[0]));
        if (verb == "kill") {
            kill_node(*cluster, *node);
            return 0;
        }
        if (verb == "stop")
            return stop_nodes(*cluster, {*node})
                       ? 0
                       : complain(ExitCode::kTimeout, fmt::format("node {} does not stop", node->name));
        if (pacemakerd_of(*cluster, node->name)) return 0;
        if (const auto hub = start_hub(*cluster); !hub) return complain(hub.error());
        const auto started = start_node(*cluster, *node);
        return started ? 0 : complain(started.error());
    }
    std::fputs(kUsage, stderr);
    return status_of(ExitCode::kUsage);
}

int run_on_node(const std::string& folder, const std::string& name, const std::vector<std::string>& command) {
    const auto cluster = runtime::read_local_cluster(folder);
    if (!cluster) return complain(cluster.error());
    const wire::NodeRef* const node = cluster->find(name);
    if (node == nullptr)
        return complain(ExitCode::kNoSuchObject, fmt::format("the local cluster has no node '{}'", name));
    for (const auto& [variable, value] : cluster->environment(*node)) ::setenv(variable.c_str(), value.c_str(), 1);
    // Our commands before the system's of the same name.
    ::setenv("PATH", (runtime::own_program_folder() + ":" + runtime::environment_value("PATH")).c_str(), 1);
    std::vector<char*> argv;
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    return complain(ExitCode::kNotInstalled, fmt::format("{}: {}", command[0], std::strerror(errno)));
}

}  // namespace systole::daemons
