#include "runtime/linux/frame_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "xml/parse.h"
#include "xml/write.h"

namespace systole::runtime {
namespace {

constexpr std::size_t kHeadMax = 1U << 20U;
constexpr std::size_t kBodyMax = 80U << 20U;
constexpr std::size_t kWaitingMax = 256U << 20U;
constexpr std::size_t kCompactFrom = 1U << 20U;
using Lengths = std::array<std::uint32_t, 2>;

void compact(std::string& buffer, std::size_t& used) {
    if (used == buffer.size()) {
        buffer.clear();
        used = 0;
    } else if (used > kCompactFrom) {
        buffer.erase(0, used);
        used = 0;
    }
}

tl::unexpected<Error> failed(const std::string& what) {
    return fail(errno == ECONNREFUSED || errno == ENOENT ? Errc::kUnreachable : Errc::kIo,
                fmt::format("{}: {}", what, std::strerror(errno)));
}

/// The socket's address by way of the open folder.
sockaddr_un address_in(int folder_fd, const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = fmt::format("/proc/self/fd/{}/{}", folder_fd, name);
    SYSTOLE_ASSERT(path.size() < sizeof address.sun_path, "names of sockets are short");
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

struct Folder {
    int fd;
    explicit Folder(const std::string& path) : fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}
    ~Folder() {
        if (fd >= 0) ::close(fd);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
};

}  // namespace

FrameSocket::FrameSocket(int fd) : fd_(fd) {
    const int flags = fcntl(fd_, F_GETFL);
    fcntl(fd_, F_SETFL, flags | O_NONBLOCK);
}

FrameSocket::~FrameSocket() { ::close(fd_); }

Result<void> FrameSocket::send(const xml::Node& head, const std::string* body) {
    const std::string text = xml::write(head);
    const Lengths lengths{static_cast<std::uint32_t>(text.size()),
                          static_cast<std::uint32_t>(body != nullptr ? body->size() : 0)};
    if (out_.size() - written_ + text.size() + lengths[1] > kWaitingMax || lengths[1] > kBodyMax)
        return fail(Errc::kInvalid, fmt::format("more than {} bytes would wait", kWaitingMax));
    out_.append(reinterpret_cast<const char*>(lengths.data()), sizeof lengths);
    out_ += text;
    if (body != nullptr) out_ += *body;
    return flush();
}

Result<void> FrameSocket::flush() {
    while (written_ < out_.size()) {
        const ssize_t n = ::send(fd_, out_.data() + written_, out_.size() - written_, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
        if (n < 0) return fail(Errc::kUnreachable, std::strerror(errno));
        written_ += static_cast<std::size_t>(n);
    }
    compact(out_, written_);
    return {};
}

Result<void> FrameSocket::fill() {
    std::array<char, 64 * 1024> chunk;
    for (;;) {
        const ssize_t n = ::recv(fd_, chunk.data(), chunk.size(), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {};
        if (n < 0) return fail(Errc::kUnreachable, std::strerror(errno));
        if (n == 0) return fail(Errc::kUnreachable, "the other end closed the connection");
        in_.append(chunk.data(), static_cast<std::size_t>(n));
        if (static_cast<std::size_t>(n) < chunk.size()) return {};
        if (in_.size() - read_ > kHeadMax + kBodyMax) return {};  // enough for a frame; the rest waits in the socket
    }
}

Result<std::optional<Frame>> FrameSocket::next() {
    Lengths lengths{};
    if (in_.size() - read_ < sizeof lengths) return std::nullopt;
    std::memcpy(lengths.data(), in_.data() + read_, sizeof lengths);
    if (lengths[0] > kHeadMax || lengths[1] > kBodyMax)
        return fail(Errc::kInvalid, fmt::format("frame of {} and {} bytes", lengths[0], lengths[1]));
    if (in_.size() - read_ < sizeof lengths + lengths[0] + lengths[1]) return std::nullopt;
    const std::string_view rest = std::string_view(in_).substr(read_ + sizeof lengths);
    auto head = xml::parse(rest.substr(0, lengths[0]));
    if (!head) return fail(Errc::kInvalid, fmt::format("head of a frame: {}", head.error().what));
    Frame frame{std::move(*head), nullptr};
    if (lengths[1] != 0) frame.body = std::make_shared<const std::string>(rest.substr(lengths[0], lengths[1]));
    read_ += sizeof lengths + lengths[0] + lengths[1];
    compact(in_, read_);
    return frame;
}

Result<int> connect_to(const std::string& folder, const std::string& name) {
    const Folder opened(folder);
    if (opened.fd < 0) return failed(folder);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return failed("socket");
    const sockaddr_un address = address_in(opened.fd, name);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        auto error = failed(folder + "/" + name);
        ::close(fd);
        return error;
    }
    return fd;
}

Result<int> listen_at(const std::string& folder, const std::string& name) {
    if (const auto other = connect_to(folder, name)) {
        ::close(*other);
        return fail(Errc::kExists, fmt::format("{}/{}: another process listens there", folder, name));
    }
    const Folder opened(folder);
    if (opened.fd < 0) return failed(folder);
    ::unlinkat(opened.fd, name.c_str(), 0);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return failed("socket");
    const sockaddr_un address = address_in(opened.fd, name);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::fchmodat(opened.fd, name.c_str(), S_IRUSR | S_IWUSR, 0) != 0 || ::listen(fd, 64) != 0) {
        auto error = failed(folder + "/" + name);
        ::close(fd);
        return error;
    }
    return fd;
}

}  // namespace systole::runtime
