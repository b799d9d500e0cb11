#pragma once
// runtime/linux/tls_channel.h — messages over one TLS connection, on either end, without blocking.
//
// Takes over a connected socket, makes the handshake, and then carries XML messages in remote frames. The handshake
// comes after everything else that is to be done, so that strangers cannot keep the known waiting.
//
// Invariants: not a byte of a peer is taken for a message before it has proven the key; handlers are called from the
// loop only, never from within the functions below; `ended` is called at most once, and nothing after it; a handler may
// destroy the channel. What waits to be sent is bounded: a peer that does not read is given up.
// Source: protocol sheet executor-remote.md, sections 1 and 2; GnuTLS manual, "Asynchronous operation".
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/linux/loop.h"
#include "runtime/linux/tls_credentials.h"
#include "xml/tree.h"

namespace systole::runtime {

struct TlsEnd {
    enum class Kind : std::uint8_t {
        kClosed,    ///< by the other end, in good order or not
        kRejected,  ///< the ends do not accept each other's keys or certificates
        kTimeout,   ///< of the handshake
        kDamaged,   ///< what came was no message
        kFull,      ///< too much waits to be sent
    };
    Kind kind{};
    std::string why;
};

struct TlsChannelOptions {
    std::shared_ptr<const TlsCredentials> credentials;
    Duration handshake_max{10'000};
    std::size_t queue_max = 64U * 1024U * 1024U;  ///< bytes that may wait to be sent
};

class TlsChannel {
public:
    struct Handlers {
        std::function<void()> established;
        std::function<void(xml::NodePtr)> message;
        std::function<void(const TlsEnd&)> ended;
    };

    /// Takes the descriptor over.
    TlsChannel(Loop& loop, int fd, TlsChannelOptions options, Handlers handlers);
    /// Ends the connection in good order, as far as that goes without waiting.
    ~TlsChannel();
    TlsChannel(const TlsChannel&) = delete;
    TlsChannel& operator=(const TlsChannel&) = delete;

    /// Once established. Errors: kInvalid for a message longer than a frame may be (nothing is sent then).
    Result<void> send(const xml::Node& message);
    [[nodiscard]] bool established() const;
    [[nodiscard]] std::size_t queued() const;  ///< bytes that wait to be sent

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::runtime
