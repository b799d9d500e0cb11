#pragma once
// runtime/linux/tls_server.h — the TCP port on which a remote executor awaits clusters.
//
// Strangers get as little as can be: a bounded number of unfinished handshakes, of which the oldest goes when a new one
// comes, each with a bounded time, all of them served after everything else. A cluster's own handshake takes
// milliseconds, so it gets through even while others knock.
//
// Invariants: a peer is told of (`connected`) only after it has proven the key; after `closed` nothing more is said
// about it.
// Source: protocol sheet executor-remote.md, section 1.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "runtime/linux/loop.h"
#include "runtime/linux/tls_credentials.h"
#include "runtime/log.h"
#include "xml/tree.h"

namespace systole::runtime {

struct TlsServerOptions {
    std::string address;        ///< name or number; empty: all addresses, IPv6 and IPv4
    std::uint16_t port = 3121;  ///< 0: the kernel's choice
    TlsSettings tls;
    std::optional<Duration> user_timeout;  ///< TCP_USER_TIMEOUT: sent data unacknowledged for so long ends a connection
    Duration handshake_max{10'000};
    std::size_t handshakes_max = 64;  ///< at a time
    std::size_t peers_max = 64;
    LogSink log;
};

class TlsServer {
public:
    using PeerId = std::uint64_t;  ///< from 1, never used again
    struct Handlers {
        std::function<void(PeerId, const std::string& from)> connected;
        std::function<void(PeerId, xml::NodePtr)> message;
        std::function<void(PeerId, const std::string& why)> closed;
    };

    TlsServer(Loop& loop, TlsServerOptions options, Handlers handlers);
    ~TlsServer();
    TlsServer(const TlsServer&) = delete;
    TlsServer& operator=(const TlsServer&) = delete;

    /// Listens; returns the port. A key that cannot be used is only logged: it may come later. Errors: kExists if the
    /// port is taken, kUnreachable if the address is not this machine's, kIo.
    Result<std::uint16_t> open();
    /// No new connections; handshakes that are not finished end.
    void stop_listening();
    /// To peers that are gone nothing is sent. Errors: kInvalid as TlsChannel::send().
    Result<void> send(PeerId peer, const xml::Node& message);
    /// Ends a connection in good order, in a later round; `closed` is told.
    void close(PeerId peer, const std::string& why);
    [[nodiscard]] std::size_t queued(PeerId peer) const;  ///< bytes that wait to be sent
    [[nodiscard]] std::size_t handshakes() const;         ///< unfinished ones
    [[nodiscard]] std::size_t peers() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::runtime
