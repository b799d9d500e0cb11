#include "runtime/linux/tcp_connect.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/text.h"

namespace systole::runtime {

struct TcpConnect::Impl {
    Loop& loop;
    Done done;
    std::string name;
    Instant deadline;
    Resolver::Lookup lookup;
    Resolver::Addresses addresses;
    std::size_t tried = 0;
    std::vector<std::string> faults;
    int fd = -1;
    Source watch, timer, overall;

    Impl(Loop& l, Done d, std::string n, Instant until)
        : loop(l), done(std::move(d)), name(std::move(n)), deadline(until) {
        overall = loop.at(deadline, [this] {
            if (fd >= 0) faults.push_back(fmt::format("{}: no answer", describe_address(addresses[tried - 1])));
            finish(fail(Errc::kUnreachable, faults.empty() ? fmt::format("{}: its address was not found in time", name)
                                                           : join(faults, "; ")));
        });
    }
    ~Impl() { drop(); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void drop() {
        watch.reset();
        timer.reset();
        if (fd >= 0) ::close(std::exchange(fd, -1));
    }

    /// Last of what a function does: the owner may destroy this.
    void finish(Result<int> result) {
        drop();
        overall.reset();
        lookup.reset();
        const Done told = std::move(done);
        told(std::move(result));
    }

    void fault(int error) {
        faults.push_back(fmt::format("{}: {}", describe_address(addresses[tried - 1]),
                                     error == ETIMEDOUT ? "no answer" : std::strerror(error)));
        drop();
        try_next();
    }

    void try_next() {
        while (tried < addresses.size()) {
            const sockaddr_storage& address = addresses[tried++];
            fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
            const socklen_t size = address.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
            const bool begun = fd >= 0 && (::connect(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0 ||
                                           errno == EINPROGRESS);
            if (!begun) {
                faults.push_back(fmt::format("{}: {}", describe_address(address), std::strerror(errno)));
                drop();
                continue;
            }
            watch = loop.on_fd(fd, EPOLLOUT, [this](std::uint32_t) { connected(); });
            const auto left = std::max(deadline - loop.now().mono, Duration{1});
            const auto others = static_cast<long>(addresses.size() - tried);
            if (others > 0) timer = loop.after(left / (others + 1), [this] { fault(ETIMEDOUT); });
            return;
        }
        finish(fail(Errc::kUnreachable, join(faults, "; ")));
    }

    void connected() {
        int error = 0;
        socklen_t size = sizeof error;
        if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
        if (error != 0) return fault(error);
        watch.reset();
        finish(std::exchange(fd, -1));
    }
};

TcpConnect::TcpConnect(Loop& loop, Resolver& resolver, const std::string& name, std::uint16_t port, Duration timeout,
                       Done done)
    : impl_(std::make_unique<Impl>(loop, std::move(done), name, loop.now().mono + timeout)) {
    impl_->lookup = resolver.find(name, port, [impl = impl_.get()](const Result<Resolver::Addresses>& addresses) {
        if (!addresses) return impl->finish(tl::unexpected(addresses.error()));
        impl->addresses = *addresses;
        impl->try_next();
    });
}
TcpConnect::~TcpConnect() = default;

}  // namespace systole::runtime
