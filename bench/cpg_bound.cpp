// What Corosync alone does here: agreed messages a second from one node that waits for its own copies.
// usage: cpg_bound COUNT WINDOW BYTES      WINDOW: messages under way at the same time
#include <corosync/cpg.h>
#include <poll.h>
#include <sys/uio.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace {

unsigned own_node = 0;
long delivered = 0;

void on_deliver(cpg_handle_t, const cpg_name*, std::uint32_t node, std::uint32_t, void*, std::size_t) {
    if (node == own_node) ++delivered;
}
void on_change(cpg_handle_t, const cpg_name*, const cpg_address*, std::size_t, const cpg_address*, std::size_t,
               const cpg_address*, std::size_t) {}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) return 64;
    const long count = std::atol(argv[1]);
    const long window = std::atol(argv[2]);
    std::string message(static_cast<std::size_t>(std::atol(argv[3])), 'x');
    cpg_callbacks_t callbacks{};
    callbacks.cpg_deliver_fn = &on_deliver;
    callbacks.cpg_confchg_fn = &on_change;
    cpg_handle_t group{};
    cpg_name name{};
    std::strcpy(name.value, "bench");
    name.length = 5;
    int fd = -1;
    if (cpg_initialize(&group, &callbacks) != CS_OK || cpg_local_get(group, &own_node) != CS_OK ||
        cpg_join(group, &name) != CS_OK || cpg_fd_get(group, &fd) != CS_OK)
        return 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the join is through
    cpg_dispatch(group, CS_DISPATCH_ALL);
    const auto begin = std::chrono::steady_clock::now();
    for (long sent = 0; delivered < count;) {
        for (; sent < count && sent - delivered < window; ++sent) {
            const iovec part{message.data(), message.size()};
            if (cpg_mcast_joined(group, CPG_TYPE_AGREED, &part, 1) != CS_OK) break;
        }
        pollfd ready{fd, POLLIN, 0};
        poll(&ready, 1, 10);
        cpg_dispatch(group, CS_DISPATCH_ALL);
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("%.0f/s\n", static_cast<double>(count) / took.count());
    cpg_finalize(group);
    return 0;
}
