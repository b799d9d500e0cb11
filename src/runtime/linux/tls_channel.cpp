#include "runtime/linux/tls_channel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <optional>

#include "wire/remote_frame.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::runtime {
namespace {

constexpr std::size_t kRecordMax = 16384;  // of TLS
constexpr int kRecordsARound = 32;         // so that one peer keeps no other waiting

/// A failure that comes of what the ends prove to each other, not of the connection between them.
bool is_rejection(int rc) {
    switch (rc) {
        case GNUTLS_E_PREMATURE_TERMINATION:
        case GNUTLS_E_PULL_ERROR:
        case GNUTLS_E_PUSH_ERROR:
        case GNUTLS_E_SESSION_EOF:
        case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
        case GNUTLS_E_UNEXPECTED_PACKET:
        case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
        case GNUTLS_E_MEMORY_ERROR: return false;
        default: return true;
    }
}

std::string describe(gnutls_session_t session, int rc) {
    if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED || rc == GNUTLS_E_WARNING_ALERT_RECEIVED) {
        const char* const name = gnutls_alert_get_name(gnutls_alert_get(session));
        return fmt::format("the other end says: {}", name != nullptr ? name : "an unknown alert");
    }
    if (rc == GNUTLS_E_PREMATURE_TERMINATION || rc == GNUTLS_E_PULL_ERROR || rc == GNUTLS_E_PUSH_ERROR)
        return "the connection broke off";
    return gnutls_strerror(rc);
}

}  // namespace

struct TlsChannel::Impl {
    Loop& loop;
    int fd;
    TlsChannelOptions options;
    std::shared_ptr<const Handlers> handlers;  ///< held while one runs, which may destroy this
    gnutls_session_t session = nullptr;
    bool established = false;
    bool over = false;
    std::uint64_t sent = 0;  // messages
    bool again = false;      // GnuTLS holds the last piece that was handed to it
    std::deque<std::string> out;
    std::size_t out_bytes = 0;
    std::size_t out_used = 0;  // of the first
    wire::RemoteDecoder decoder;
    std::uint32_t watched = 0;
    Source watch, timer;
    std::shared_ptr<char> alive = std::make_shared<char>();

    Impl(Loop& l, int descriptor, TlsChannelOptions o, Handlers h)
        : loop(l), fd(descriptor), options(std::move(o)), handlers(std::make_shared<const Handlers>(std::move(h))) {
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
        const bool client = options.credentials->role() == TlsRole::kClient;
        const unsigned role = client ? GNUTLS_CLIENT : GNUTLS_SERVER;
        SYSTOLE_ASSERT(gnutls_init(&session, role | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) == 0, "there is memory");
        gnutls_transport_set_int(session, fd);
        gnutls_handshake_set_timeout(session, GNUTLS_INDEFINITE_TIMEOUT);  // ours is the loop's
        if (const auto applied = options.credentials->apply(session); !applied)
            end_later({TlsEnd::Kind::kRejected, applied.error().what});
        else
            watch_for(client ? EPOLLOUT : EPOLLIN);
        timer = loop.after(options.handshake_max, [this] {
            end({TlsEnd::Kind::kTimeout,
                 fmt::format("no TLS handshake within {} s", (options.handshake_max.count() + 999) / 1000)});
        });
    }
    ~Impl() {
        watch.reset();
        if (established && !over) {
            flush();
            gnutls_bye(session, GNUTLS_SHUT_WR);
        }
        gnutls_deinit(session);
        ::close(fd);
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void watch_for(std::uint32_t events) {
        if (events == watched && watch) return;
        watched = events;
        watch.reset();
        watch = loop.on_fd(
            fd, events, [this](std::uint32_t) { serve(); }, established ? Priority::kNormal : Priority::kLow);
    }

    /// Last of what a function does: the owner may destroy this.
    void end(TlsEnd why) {
        if (std::exchange(over, true)) return;
        watch.reset();
        timer.reset();
        const auto told = handlers;
        if (told->ended) told->ended(why);
    }

    void end_later(TlsEnd why) {
        watch.reset();
        loop.defer([this, held = std::weak_ptr(alive), why = std::move(why)] {
            if (!held.expired()) end(why);
        });
    }

    void serve() {
        if (over) return;
        if (!established) return shake_hands();
        if (!read()) return;
        if (const auto failed = flush()) return end(*failed);
        watch_for(out.empty() ? std::uint32_t{EPOLLIN} : std::uint32_t{EPOLLIN | EPOLLOUT});
    }

    void shake_hands() {
        int rc = 0;
        do rc = gnutls_handshake(session);
        while (rc == GNUTLS_E_INTERRUPTED || (rc < 0 && rc != GNUTLS_E_AGAIN && gnutls_error_is_fatal(rc) == 0));
        if (rc == GNUTLS_E_AGAIN) return watch_for(gnutls_record_get_direction(session) == 0 ? EPOLLIN : EPOLLOUT);
        if (rc < 0) {
            const bool rejected = is_rejection(rc);
            // So that the other end can tell, too.
            if (rejected && rc != GNUTLS_E_FATAL_ALERT_RECEIVED) gnutls_alert_send_appropriate(session, rc);
            std::string why = describe(session, rc);
            if (rejected)
                why = fmt::format("the TLS handshake failed ({}): {} must be that of the other end", why,
                                  options.credentials->file());
            return end({rejected ? TlsEnd::Kind::kRejected : TlsEnd::Kind::kClosed, std::move(why)});
        }
        established = true;
        timer.reset();
        watch.reset();
        watch_for(EPOLLIN);
        const std::weak_ptr held(alive);
        const auto told = handlers;
        if (told->established) told->established();
        if (held.expired()) return;
        serve();
    }

    /// False if this is over, or gone.
    bool read() {
        const std::weak_ptr held(alive);
        const auto told = handlers;
        std::array<char, kRecordMax> record;
        for (int i = 0; i < kRecordsARound; ++i) {
            const ssize_t n = gnutls_record_recv(session, record.data(), record.size());
            if (n == GNUTLS_E_AGAIN) return true;
            if (n < 0 && gnutls_error_is_fatal(static_cast<int>(n)) == 0) continue;
            if (n <= 0) {
                const int rc = static_cast<int>(n);
                // A certificate that the server does not accept is told only now.
                const bool rejected = rc == GNUTLS_E_FATAL_ALERT_RECEIVED;
                end({rejected ? TlsEnd::Kind::kRejected : TlsEnd::Kind::kClosed,
                     n == 0 ? "closed by the other end" : describe(session, rc)});
                return false;
            }
            decoder.feed({record.data(), static_cast<std::size_t>(n)});
            for (;;) {
                auto text = decoder.next();
                if (!text) {
                    end({TlsEnd::Kind::kDamaged, "what came is no message: " + text.error().what});
                    return false;
                }
                if (!*text) break;
                auto message = xml::parse(**text);
                if (!message) {
                    end({TlsEnd::Kind::kDamaged, "what came is no message: " + message.error().what});
                    return false;
                }
                if (told->message) told->message(std::move(*message));
                if (held.expired() || over) return false;
            }
        }
        if (gnutls_record_check_pending(session) != 0)
            loop.defer(
                [this, held] {
                    if (!held.expired()) serve();
                },
                Priority::kNormal);
        return true;
    }

    std::optional<TlsEnd> flush() {
        while (!out.empty()) {
            const std::string& first = out.front();
            // The header goes as a record of its own: Pacemaker 2.1.x reads 80 bytes at first, and then waits for the
            // socket to become readable again, which it does not while the rest of a record sits in GnuTLS.
            const std::size_t end = out_used < wire::kRemoteHeaderSize ? wire::kRemoteHeaderSize : first.size();
            const ssize_t n =
                again ? gnutls_record_send(session, nullptr, 0)
                      : gnutls_record_send(session, first.data() + out_used, std::min(end - out_used, kRecordMax));
            again = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED;
            if (n == GNUTLS_E_INTERRUPTED) continue;
            if (n == GNUTLS_E_AGAIN) return std::nullopt;
            if (n < 0) return TlsEnd{TlsEnd::Kind::kClosed, describe(session, static_cast<int>(n))};
            out_used += static_cast<std::size_t>(n);
            out_bytes -= static_cast<std::size_t>(n);
            if (out_used < first.size()) continue;
            out.pop_front();
            out_used = 0;
        }
        return std::nullopt;
    }
};

TlsChannel::TlsChannel(Loop& loop, int fd, TlsChannelOptions options, Handlers handlers)
    : impl_(std::make_unique<Impl>(loop, fd, std::move(options), std::move(handlers))) {}
TlsChannel::~TlsChannel() = default;

Result<void> TlsChannel::send(const xml::Node& message) {
    Impl& self = *impl_;
    SYSTOLE_ASSERT(self.established, "nothing is sent to a peer that has not proven the key");
    auto frame = wire::encode_remote(++self.sent, xml::write(message));
    if (!frame) return tl::unexpected(frame.error());
    if (self.over) return {};
    self.out_bytes += frame->size();
    self.out.push_back(std::move(*frame));
    if (self.out_bytes > self.options.queue_max) {
        self.end_later({TlsEnd::Kind::kFull, fmt::format("{} bytes wait and it takes none", self.out_bytes)});
        return {};
    }
    if (self.watched != EPOLLIN) return {};  // the socket is full: in its turn
    if (auto failed = self.flush())
        self.end_later(std::move(*failed));
    else if (!self.out.empty())
        self.watch_for(EPOLLIN | EPOLLOUT);
    return {};
}

bool TlsChannel::established() const { return impl_->established; }
std::size_t TlsChannel::queued() const { return impl_->out_bytes; }

}  // namespace systole::runtime
