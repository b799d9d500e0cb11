#pragma once
// runtime/linux/ipc_server.h — Pacemaker's IPC services, as its unmodified clients expect them.
//
// libqb carries the messages (shared memory, 128 KiB at least); this adds the 40-byte header in both of its layouts
// (remembered per connection, told apart per message), compression or parts for what does not fit, credentials, and a
// bounded queue of events per client. Requests come out as the inputs that cores take and go back as their effects.
//
// Invariants: a client's requests are handed over in the order sent; after closed() nothing more is said about it; a
// request whose header is damaged is dropped with a log line, one whose payload is damaged is handed over with a null
// message; what a client does never blocks or stops the daemon. A client that has been told of a proxied request gets
// everything as events.
// Source: protocol sheet ipc.md, sections 2 to 8 and 11.
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "runtime/linux/loop.h"
#include "runtime/log.h"
#include "wire/port.h"

namespace systole::runtime {

struct IpcServerOptions {
    std::string prefix;                      ///< goes before each name; abstract names are one set per machine
    std::optional<uid_t> owner;              ///< this user is privileged, as root and hacluster are (local engine)
    std::uint32_t buffer_size = 128 * 1024;  ///< bytes, enforced on every client
    std::size_t queue_max = 500;             ///< events waiting for a client that does not take them
    LogSink log;
};

/// The prefix for this process: $SYSTOLE_IPC_PREFIX, usually empty.
std::string ipc_prefix_of_environment();

class IpcServer {
public:
    struct Handlers {
        /// 0 lets the client in; a negative errno value is what it is told (-EPERM while shutting down). May be empty.
        std::function<int(const wire::Client&)> admit;
        std::function<void(const wire::Client&)> connected;
        std::function<void(const wire::ClientRequest&)> request;
        std::function<void(wire::ClientId)> closed;
    };

    IpcServer(Loop& loop, IpcServerOptions options, Handlers handlers);
    ~IpcServer();
    IpcServer(const IpcServer&) = delete;
    IpcServer& operator=(const IpcServer&) = delete;

    /// From here on clients of this service are accepted; opening an open one does nothing.
    /// Errors: kExists if another process serves this name; kIo with the system's reason.
    Result<void> open(wire::Service service);
    /// No new clients; those that are there are disconnected.
    void close(wire::Service service);

    // Effects of cores. Unknown (already gone) clients are ignored.
    void respond(const wire::Respond& effect);
    void send_event(const wire::SendEvent& effect);
    void evict(const wire::Evict& effect);
    /// More waiting events than the default for a client that deserves it (cluster-ipc-limit).
    void set_queue_max(wire::ClientId client, std::size_t queue_max);

    [[nodiscard]] std::size_t client_count() const;
    [[nodiscard]] std::size_t queued(wire::ClientId client) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::runtime
