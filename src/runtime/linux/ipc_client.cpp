#include "runtime/linux/ipc_client.h"

#include <fmt/format.h>
#include <poll.h>
#include <qb/qbipcc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "runtime/linux/accounts.h"
#include "wire/port.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::runtime {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Duration kSlice{500};    // how long to wait for a response before looking whether the server still lives
constexpr Duration kSendRetry{2};  // between attempts to put a request into a full buffer
constexpr Duration kSendLongest{5000};

/// Requests are numbered in one row for all connections of the process, as Pacemaker's library does.
std::int32_t next_request_id() {
    static std::atomic<std::int32_t> last{0};
    return ++last;
}

int to_ms(Duration wait) { return static_cast<int>(std::clamp<Duration::rep>(wait.count(), -1, 24 * 3600'000)); }

Duration left_until(Clock::time_point deadline) {
    return std::max(Duration{0}, std::chrono::ceil<Duration>(deadline - Clock::now()));
}

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

bool is_gone(ssize_t rc) { return rc != -EAGAIN && rc != -ETIMEDOUT && rc != -EINTR && rc != -ENOMSG; }

}  // namespace

struct IpcClient::Impl {
    qb_ipcc_connection_t* qb{};
    std::string service;
    pid_t pid{};
    uid_t uid{};
    gid_t gid{};
    std::size_t buffer_size{};
    wire::HeaderLayout layout{};
    wire::IpcDecoder responses, events;
    std::string buffer;

    Impl() = default;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() { disconnect(); }

    void disconnect() {
        if (qb != nullptr) qb_ipcc_disconnect(std::exchange(qb, nullptr));
    }

    tl::unexpected<Error> lost() {
        disconnect();
        return fail(Errc::kUnreachable, fmt::format("connection to {} is lost", service));
    }

    [[nodiscard]] bool alive() const { return qb != nullptr && qb_ipcc_is_connected(qb) != 0; }

    Result<std::int32_t> transmit(const xml::Node& request, std::uint32_t flags, Clock::time_point deadline) {
        if (!alive()) return lost();
        const std::int32_t id = next_request_id();
        const auto chunks = wire::encode_ipc(layout, id, flags, xml::write(request), buffer_size);
        if (!chunks) return tl::unexpected(chunks.error());
        for (const std::string& chunk : *chunks) {
            for (;;) {
                const ssize_t rc = qb_ipcc_send(qb, chunk.data(), chunk.size());
                if (rc == static_cast<ssize_t>(chunk.size())) break;
                if (rc < 0 && rc != -EAGAIN && rc != -ENOBUFS && rc != -ETIMEDOUT && rc != -EINTR) return lost();
                if (!alive()) return lost();
                if (Clock::now() >= deadline)
                    return fail(Errc::kStale, fmt::format("{} takes no requests: its buffer stays full", service));
                std::this_thread::sleep_for(kSendRetry);
            }
        }
        return id;
    }

    /// One whole message of a direction, or nothing within `wait`.
    template <class Receive>
    Result<std::optional<wire::IpcMessage>> receive(wire::IpcDecoder& decoder, Duration wait, Receive receive_chunk) {
        const bool for_ever = wait < Duration{0};
        const auto deadline = Clock::now() + (for_ever ? Duration{0} : wait);
        for (;;) {
            if (qb == nullptr) return lost();
            const Duration left = for_ever ? kSlice : std::min(kSlice, left_until(deadline));
            const ssize_t rc = receive_chunk(qb, buffer.data(), buffer.size(), to_ms(left));
            if (rc > 0) {
                auto message = decoder.on_chunk(std::string_view(buffer).substr(0, static_cast<std::size_t>(rc)));
                if (!message)
                    return fail(Errc::kInvalid, fmt::format("message from {}: {}", service, message.error().what));
                if (!*message) continue;
                layout = (*message)->layout;
                return std::move(*message);
            }
            if (rc < 0 && is_gone(rc)) return lost();
            if (!alive()) return lost();
            if (!for_ever && Clock::now() >= deadline) return std::nullopt;
        }
    }

    Result<xml::NodePtr> parse(const wire::IpcMessage& message) const {
        if (!message.fault.empty())
            return fail(Errc::kInvalid, fmt::format("message from {}: {}", service, message.fault));
        auto tree = xml::parse(message.text);
        if (!tree) return fail(Errc::kInvalid, fmt::format("message from {}: {}", service, tree.error().what));
        return tree;
    }
};

IpcClient::IpcClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
IpcClient::IpcClient(IpcClient&&) noexcept = default;
IpcClient& IpcClient::operator=(IpcClient&&) noexcept = default;
IpcClient::~IpcClient() = default;

Result<IpcClient> IpcClient::connect(std::string_view service, const IpcClientOptions& options) {
    const std::string prefix = options.prefix ? *options.prefix : environment("SYSTOLE_IPC_PREFIX");
    auto impl = std::make_unique<Impl>();
    impl->service = prefix + std::string(service);
    impl->layout = environment("SYSTOLE_IPC_LAYOUT") == "multipart" ? wire::HeaderLayout::kMultipart : options.layout;

    const auto refused = [&](int error) {
        const bool denied = error == EACCES || error == EPERM;
        return fail(denied                               ? Errc::kDenied
                    : error == EMFILE || error == ENOMEM ? Errc::kIo
                                                         : Errc::kUnreachable,
                    fmt::format("cannot connect to {}: {}", impl->service, std::strerror(error)));
    };
    int fd = -1;
    errno = 0;
    qb_ipcc_connection_t* const pending = qb_ipcc_connect_async(impl->service.c_str(), options.buffer_size, &fd);
    if (pending == nullptr) return refused(errno != 0 ? errno : ECONNREFUSED);
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    int polled = 0;
    const auto deadline = Clock::now() + options.connect_timeout;
    do polled = ::poll(&ready, 1, to_ms(left_until(deadline)));
    while (polled < 0 && errno == EINTR);
    if (polled <= 0) {
        qb_ipcc_disconnect(pending);
        return refused(ETIMEDOUT);
    }
    // Frees the connection where it fails.
    if (const int rc = qb_ipcc_connect_continue(pending); rc != 0) return refused(rc < 0 ? -rc : rc);
    impl->qb = pending;
    if (qb_ipcc_auth_get(impl->qb, &impl->pid, &impl->uid, &impl->gid) < 0)
        return fail(Errc::kIo, fmt::format("{}: the server's user cannot be told", impl->service));
    if (options.check_server) {
        const auto user = find_user(kDaemonUser);
        const auto group = find_group(kDaemonGroup);
        const bool own = !prefix.empty() && impl->uid == geteuid();
        if (impl->uid != 0 && !own && !(user && impl->uid == user->uid) && !(group && impl->gid == *group))
            return fail(Errc::kDenied,
                        fmt::format("{} is served by user {}, who has no right to", impl->service, impl->uid));
    }
    const int32_t size = qb_ipcc_get_buffer_size(impl->qb);
    impl->buffer_size = size > 1024 ? static_cast<std::size_t>(size) : options.buffer_size;
    impl->buffer.resize(impl->buffer_size);
    return IpcClient(std::move(impl));
}

Result<xml::NodePtr> IpcClient::call(const xml::Node& request, Duration timeout, std::uint32_t flags) {
    const auto deadline = Clock::now() + timeout;
    const auto id = impl_->transmit(request, flags | wire::kExpectsResponse, deadline);
    if (!id) return tl::unexpected(id.error());
    for (;;) {
        auto message = impl_->receive(impl_->responses, left_until(deadline), qb_ipcc_recv);
        if (!message) return tl::unexpected(message.error());
        if (!*message)
            return fail(Errc::kStale, fmt::format("{} did not answer within {} ms", impl_->service, timeout.count()));
        if ((*message)->id < *id) continue;  // to a request that was given up
        if ((*message)->id > *id)
            return fail(Errc::kInvalid,
                        fmt::format("{} answers request {}, which was not sent", impl_->service, (*message)->id));
        return impl_->parse(**message);
    }
}

Result<void> IpcClient::send(const xml::Node& request, std::uint32_t flags) {
    const auto id = impl_->transmit(request, flags, Clock::now() + kSendLongest);
    if (!id) return tl::unexpected(id.error());
    return {};
}

Result<std::int32_t> IpcClient::post(const xml::Node& request, std::uint32_t flags) {
    return impl_->transmit(request, flags, Clock::now());
}

Result<std::optional<IpcClient::Event>> IpcClient::next_message(Duration wait) {
    auto message = impl_->receive(impl_->events, wait, qb_ipcc_event_recv);
    if (!message) return tl::unexpected(message.error());
    if (!*message) return std::nullopt;
    auto tree = impl_->parse(**message);
    if (!tree) return tl::unexpected(tree.error());
    return Event{(*message)->id, (*message)->flags, std::move(*tree)};
}

Result<std::optional<xml::NodePtr>> IpcClient::next_event(Duration wait) {
    auto event = next_message(wait);
    if (!event) return tl::unexpected(event.error());
    if (!*event) return std::nullopt;
    return std::move((*event)->message);
}

int IpcClient::fd() const {
    int32_t fd = -1;
    if (impl_->qb == nullptr || qb_ipcc_fd_get(impl_->qb, &fd) < 0) return -1;
    return fd;
}

bool IpcClient::connected() const { return impl_->alive(); }
pid_t IpcClient::server_pid() const { return impl_->pid; }
uid_t IpcClient::server_uid() const { return impl_->uid; }
wire::HeaderLayout IpcClient::layout() const { return impl_->layout; }

}  // namespace systole::runtime
