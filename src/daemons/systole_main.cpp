// systole: what Pacemaker has no command for.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/exit_code.h"
#include "daemons/local_commands.h"
#include "runtime/linux/local_cluster.h"
#include "runtime/linux/paths.h"

namespace {

using namespace systole;

constexpr const char* kUsage =
    "usage: systole SUBCOMMAND ...\n"
    "       systole --node NODE [--dir DIR] COMMAND...   run a command on a node of a local cluster\n"
    "\n"
    "  local      a cluster on this machine, without root and without Corosync\n"
    "  lab        a large cluster on this machine, with real parts; needs root\n"
    "  guests     makes containers and virtual machines that a cluster uses as nodes\n"
    "  drill      a simulated cluster of any size, with faults\n"
    "  explain    where a resource runs and why; why not on another node, and what would bring it there\n"
    "  plan       what a change of the CIB would make the cluster do, before it is made\n"
    "  version    which version this is\n"
    "\n"
    "Other subcommands are programs of their own, named systole-SUBCOMMAND (systole-drill, ...).\n";

int usage(bool asked) {
    std::fputs(kUsage, asked ? stdout : stderr);
    return asked ? 0 : static_cast<int>(ExitCode::kUsage);
}

/// A subcommand that is a program of its own, beside this one.
int run_program(const std::string& name, char** argv) {
    const std::string path = runtime::own_program_folder() + "/systole-" + name;
    if (name.find('/') == std::string::npos && ::access(path.c_str(), X_OK) == 0) {
        ::execv(path.c_str(), argv);
        std::fprintf(stderr, "systole: %s: %s\n", path.c_str(), std::strerror(errno));
        return static_cast<int>(ExitCode::kOsError);
    }
    std::fprintf(stderr, "systole: unknown subcommand '%s'\n", name.c_str());
    return usage(false);
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.empty()) return usage(false);
    std::string node;
    std::string folder = runtime::default_local_folder();
    std::size_t next = 0;
    for (; next + 1 < arguments.size() && arguments[next].starts_with("--"); next += 2) {
        if (arguments[next] == "--node")
            node = arguments[next + 1];
        else if (arguments[next] == "--dir")
            folder = arguments[next + 1];
        else
            break;
    }
    if (!node.empty()) {
        if (next >= arguments.size()) return usage(false);
        return daemons::run_on_node(folder, node,
                                    {arguments.begin() + static_cast<std::ptrdiff_t>(next), arguments.end()});
    }
    const std::string& name = arguments[0];
    if (name == "--help" || name == "-h" || name == "help") return usage(true);
    if (name == "--version" || name == "version") {
        std::puts("Systole 0.1.0");
        return 0;
    }
    if (name == "local") return daemons::run_local({arguments.begin() + 1, arguments.end()});
    return run_program(name, argv + 1);
}
