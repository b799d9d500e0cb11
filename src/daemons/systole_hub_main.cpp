// systole-hub: the middle of a cluster of the local engine. Started by "systole local up".
//
// A second process watches it and starts it again if it dies: nodes wait for it for a while.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "base/exit_code.h"
#include "runtime/linux/hub_server.h"
#include "runtime/linux/local_cluster.h"
#include "runtime/linux/loop.h"

namespace {

using namespace systole;

void write_line(const wire::Log& line) {
    std::fprintf(stderr, "hub: %s\n", line.text.c_str());
    std::fflush(stderr);
}

std::string new_epoch() {
    std::uint64_t number = 0;
    [[maybe_unused]] const auto n = getrandom(&number, sizeof number, 0);
    return fmt::format("{:016x}", number);
}

int serve(const runtime::LocalCluster& cluster) {
    runtime::Loop loop;
    runtime::HubServer hub(
        loop, runtime::Hub::Config{.cluster_name = cluster.name, .nodes = cluster.nodes, .epoch = new_epoch()},
        write_line);
    if (const auto opened = hub.open(cluster.folder); !opened) {
        std::fprintf(stderr, "systole-hub: %s\n", opened.error().what.c_str());
        return static_cast<int>(opened.error().code == Errc::kExists ? ExitCode::kExists : ExitCode::kCannotCreate);
    }
    const runtime::Source terminate = loop.on_signal(SIGTERM, [&loop] { loop.stop(0); });
    const runtime::Source interrupt = loop.on_signal(SIGINT, [&loop] { loop.stop(0); });
    return loop.run();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: systole-hub FOLDER    (a local cluster's; systole local up makes one)\n", stderr);
        return static_cast<int>(ExitCode::kUsage);
    }
    const auto cluster = runtime::read_local_cluster(argv[1]);
    if (!cluster) {
        std::fprintf(stderr, "systole-hub: %s\n", cluster.error().what.c_str());
        return static_cast<int>(ExitCode::kNoInput);
    }
    runtime::Loop loop;
    runtime::Source watched, again;
    pid_t hub = -1;
    bool stopping = false;
    std::function<void()> start = [&] {
        hub = ::fork();
        if (hub == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGTERM);
            ::_exit(serve(*cluster));
        }
        auto source = loop.on_child(hub, [&](const runtime::ChildExit& how) {
            // A hub that is refused its place stays down; one that died has nodes that wait for it.
            if (stopping || how.code) {
                loop.stop(how.code.value_or(0));
                return;
            }
            write_line({.severity = wire::Severity::kError,
                        .text = fmt::format("the hub was ended by signal {}: starting it again", how.signal)});
            again = loop.after(Duration{200}, [&] { start(); });
        });
        if (source)
            watched = std::move(*source);
        else
            loop.stop(static_cast<int>(ExitCode::kOsError));
    };
    const auto stop = [&] {
        stopping = true;
        if (hub > 0) ::kill(hub, SIGTERM);
    };
    const runtime::Source terminate = loop.on_signal(SIGTERM, stop);
    const runtime::Source interrupt = loop.on_signal(SIGINT, stop);
    start();
    return loop.run();
}
