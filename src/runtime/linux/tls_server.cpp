#include "runtime/linux/tls_server.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "runtime/linux/address.h"
#include "runtime/linux/tls_channel.h"

namespace systole::runtime {
namespace {

constexpr int kBacklog = 128;
constexpr int kAcceptsARound = 16;
constexpr Duration kCredentialsAge{60'000};  // a changed key is noticed after that
constexpr Duration kPause{100};              // when the process has no descriptor left
constexpr Duration kComplaintsPeriod{60'000};
constexpr unsigned kComplaintsMax = 10;  // failed handshakes told of a period
constexpr int kIdleBeforeProbe = 60;     // seconds; a cluster node that lost its power does not say so

struct Address {
    sockaddr_storage bytes{};
    socklen_t size{};
};

Result<Address> listening_address(const std::string& name, std::uint16_t port) {
    Address address;
    if (name.empty()) {
        auto* const any = reinterpret_cast<sockaddr_in6*>(&address.bytes);
        any->sin6_family = AF_INET6;
        any->sin6_addr = in6addr_any;
        any->sin6_port = htons(port);
        address.size = sizeof *any;
        return address;
    }
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int rc = ::getaddrinfo(name.c_str(), std::to_string(port).c_str(), &hints, &found); rc != 0)
        return fail(Errc::kUnreachable, fmt::format("address {}: {}", name, ::gai_strerror(rc)));
    std::memcpy(&address.bytes, found->ai_addr, found->ai_addrlen);
    address.size = found->ai_addrlen;
    ::freeaddrinfo(found);
    return address;
}

Result<int> listen_on(const Address& address) {
    const int fd = ::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return fail(Errc::kIo, fmt::format("socket: {}", std::strerror(errno)));
    const int on = 1;
    const int off = 0;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.bytes.ss_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address.bytes), address.size) != 0 ||
        ::listen(fd, kBacklog) != 0) {
        const int error = errno;
        ::close(fd);
        const Errc code = error == EADDRINUSE ? Errc::kExists : error == EADDRNOTAVAIL ? Errc::kUnreachable : Errc::kIo;
        return fail(code, fmt::format("{}: {}", describe_address(address.bytes), std::strerror(error)));
    }
    return fd;
}

}  // namespace

struct TlsServer::Impl {
    struct Connection {
        std::string from;
        std::unique_ptr<TlsChannel> channel;
    };

    Loop& loop;
    TlsServerOptions options;
    Handlers handlers;
    int listener = -1;
    Source accepting, pause;
    PeerId next = 1;
    std::map<PeerId, Connection> unproven;  ///< by age, as ids go up
    std::map<PeerId, Connection> proven;
    std::shared_ptr<const TlsCredentials> credentials;
    Instant credentials_read;
    unsigned complaints = 0, suppressed = 0;
    Instant complaints_since;
    std::shared_ptr<char> alive = std::make_shared<char>();

    Impl(Loop& l, TlsServerOptions o, Handlers h) : loop(l), options(std::move(o)), handlers(std::move(h)) {}
    ~Impl() { stop_listening(); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void log(wire::Severity severity, std::string text) const {
        if (options.log) options.log({.severity = severity, .text = std::move(text)});
    }

    /// Strangers must not fill the log.
    void complain(std::string text) {
        const Instant now = loop.now().mono;
        if (now - complaints_since >= kComplaintsPeriod) {
            if (suppressed != 0)
                log(wire::Severity::kWarning, fmt::format("{} more connections got no further", suppressed));
            complaints = suppressed = 0;
            complaints_since = now;
        }
        if (complaints++ < kComplaintsMax)
            log(wire::Severity::kWarning, std::move(text));
        else
            ++suppressed;
    }

    bool have_credentials() {
        const Instant now = loop.now().mono;
        if (credentials && now - credentials_read < kCredentialsAge) return true;
        auto loaded = TlsCredentials::load(options.tls, TlsRole::kServer);
        if (!loaded) {
            credentials = nullptr;
            complain(fmt::format("No cluster can connect: {}", loaded.error().what));
            return false;
        }
        if (!credentials && !(*loaded)->remark().empty()) log(wire::Severity::kWarning, (*loaded)->remark());
        credentials = std::move(*loaded);
        credentials_read = now;
        return true;
    }

    void watch_listener() {
        accepting = loop.on_fd(listener, EPOLLIN, [this](std::uint32_t) { accept_some(); }, Priority::kLow);
    }

    void accept_some() {
        for (int i = 0; i < kAcceptsARound; ++i) {
            sockaddr_storage peer{};
            socklen_t size = sizeof peer;
            const int fd = ::accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
                complain(fmt::format("A connection waits: {}", std::strerror(errno)));
                accepting.reset();
                pause = loop.after(kPause, [this] { watch_listener(); });
                return;
            }
            if (fd < 0) return;
            take(fd, describe_address(peer));
        }
    }

    void take(int fd, const std::string& from) {
        if (!have_credentials() || proven.size() >= options.peers_max) {
            if (credentials) complain(fmt::format("Connection from {} refused: {} are there", from, proven.size()));
            ::close(fd);
            return;
        }
        if (unproven.size() >= options.handshakes_max) {
            complain(fmt::format("Connection from {} dropped: {} newer ones have not proven the key either",
                                 unproven.begin()->second.from, unproven.size()));
            unproven.erase(unproven.begin());
        }
        const int on = 1;
        ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kIdleBeforeProbe, sizeof kIdleBeforeProbe);
        if (options.user_timeout) {
            const auto ms = static_cast<unsigned>(options.user_timeout->count());
            ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
        }
        const PeerId id = next++;
        unproven[id] = {
            from, std::make_unique<TlsChannel>(
                      loop, fd, TlsChannelOptions{.credentials = credentials, .handshake_max = options.handshake_max},
                      TlsChannel::Handlers{.established = [this, id] { establish(id); },
                                           .message =
                                               [this, id](xml::NodePtr message) {
                                                   if (handlers.message) handlers.message(id, std::move(message));
                                               },
                                           .ended = [this, id](const TlsEnd& end) { ended(id, end); }})};
    }

    void establish(PeerId id) {
        auto node = unproven.extract(id);
        const std::string from = node.mapped().from;
        proven.insert(std::move(node));
        if (handlers.connected) handlers.connected(id, from);
    }

    void ended(PeerId id, const TlsEnd& end) {
        if (const auto found = unproven.find(id); found != unproven.end()) {
            if (end.kind != TlsEnd::Kind::kClosed)
                complain(fmt::format("Connection from {} refused: {}", found->second.from, end.why));
            unproven.erase(found);
            return;
        }
        if (proven.erase(id) != 0 && handlers.closed) handlers.closed(id, end.why);
    }

    void stop_listening() {
        accepting.reset();
        pause.reset();
        unproven.clear();
        if (listener >= 0) ::close(std::exchange(listener, -1));
    }
};

TlsServer::TlsServer(Loop& loop, TlsServerOptions options, Handlers handlers)
    : impl_(std::make_unique<Impl>(loop, std::move(options), std::move(handlers))) {}
TlsServer::~TlsServer() = default;

Result<std::uint16_t> TlsServer::open() {
    Impl& self = *impl_;
    auto address = listening_address(self.options.address, self.options.port);
    if (!address) return tl::unexpected(address.error());
    auto fd = listen_on(*address);
    if (!fd && self.options.address.empty() && fd.error().code != Errc::kExists) {  // a machine without IPv6
        address = listening_address("0.0.0.0", self.options.port);
        if (address) fd = listen_on(*address);
    }
    if (!fd) return tl::unexpected(fd.error());
    self.listener = *fd;
    self.have_credentials();
    self.watch_listener();
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(*fd, reinterpret_cast<sockaddr*>(&bound), &size);
    return port_of(bound);
}

void TlsServer::stop_listening() { impl_->stop_listening(); }

Result<void> TlsServer::send(PeerId peer, const xml::Node& message) {
    const auto found = impl_->proven.find(peer);
    if (found == impl_->proven.end()) return {};
    return found->second.channel->send(message);
}

void TlsServer::close(PeerId peer, const std::string& why) {
    impl_->loop.defer([this, held = std::weak_ptr(impl_->alive), peer, why] {
        if (held.expired() || impl_->proven.erase(peer) == 0) return;
        if (impl_->handlers.closed) impl_->handlers.closed(peer, why);
    });
}

std::size_t TlsServer::queued(PeerId peer) const {
    const auto found = impl_->proven.find(peer);
    return found == impl_->proven.end() ? 0 : found->second.channel->queued();
}

std::size_t TlsServer::handshakes() const { return impl_->unproven.size(); }
std::size_t TlsServer::peers() const { return impl_->proven.size(); }

}  // namespace systole::runtime
