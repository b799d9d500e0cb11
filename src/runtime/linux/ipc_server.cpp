#include "runtime/linux/ipc_server.h"

#include <fmt/format.h>
#include <qb/qbipcs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <vector>

#include "runtime/linux/accounts.h"
#include "runtime/linux/qb_adapter.h"
#include "runtime/linux/uuid.h"
#include "wire/ipc_header.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::runtime {
namespace {

constexpr std::size_t kFlushMax = 100;                        // messages a round, so that one client starves no other
constexpr std::size_t kQueueBytesMax = 256U * 1024U * 1024U;  // for one client; beyond, it is evicted at once
constexpr Duration kRetryFirst{2};
constexpr Duration kRetryLongest{1000};
constexpr Duration kBacklogCheck{1000};  // how long a backlog has to shrink before it is held against the client

}  // namespace

std::string ipc_prefix_of_environment() {
    const char* prefix = std::getenv("SYSTOLE_IPC_PREFIX");
    return prefix != nullptr ? prefix : "";
}

struct IpcServer::Impl {
    struct Queue {
        std::deque<std::string> chunks;
        std::size_t bytes{};
        Duration retry{kRetryFirst};
        Source timer;
    };

    struct Connection {
        qb_ipcs_connection_t* qb{};
        wire::Client client;
        std::string label;  // for the log
        wire::IpcDecoder decoder;
        wire::HeaderLayout layout = wire::HeaderLayout::kClassic;
        bool proxied{};
        bool leaving{};
        std::int32_t event_number{};
        std::size_t buffer_size{};
        Queue events, responses;
        std::size_t queue_max{};
        std::size_t backlog{};  // events waiting at the last check; 0: none yet
        Instant backlog_checked{};
    };

    struct ServiceState {
        Impl* impl{};
        wire::Service service{};
        qb_ipcs_service_t* qb{};
    };

    Loop& loop;
    IpcServerOptions options;
    Handlers handlers;
    QbAdapter adapter;
    std::map<wire::Service, std::unique_ptr<ServiceState>> services;
    std::vector<std::unique_ptr<ServiceState>> retired;  // libqb may hold a connection, and with it this, for longer
    std::map<std::uint64_t, std::unique_ptr<Connection>> connections;
    std::uint64_t client_next = 1;
    std::optional<uid_t> daemon_uid;
    std::optional<gid_t> daemon_gid;
    bool dying = false;
    std::shared_ptr<char> alive = std::make_shared<char>();

    Impl(Loop& l, IpcServerOptions o, Handlers h)
        : loop(l), options(std::move(o)), handlers(std::move(h)), adapter(loop) {
        if (const auto user = find_user(kDaemonUser)) daemon_uid = user->uid;
        daemon_gid = find_group(kDaemonGroup);
    }

    ~Impl() {
        dying = true;
        for (auto& [name, state] : services) destroy(*state);
    }

    void log(wire::Severity severity, std::string text) const {
        if (options.log) options.log(wire::Log{.severity = severity, .text = std::move(text)});
    }

    void destroy(ServiceState& state) {
        if (state.qb == nullptr) return;
        const QbAdapter::Entry entry(adapter);
        // Closing the last connection may free the service as well: hold each while it goes.
        qb_ipcs_service_t* const qb = std::exchange(state.qb, nullptr);
        std::vector<qb_ipcs_connection_t*> held;
        for (const auto& [id, connection] : connections)
            if (connection->client.service == state.service) held.push_back(connection->qb);
        for (auto* connection : held) {
            qb_ipcs_connection_ref(connection);
            qb_ipcs_disconnect(connection);
            qb_ipcs_connection_unref(connection);
        }
        qb_ipcs_destroy(qb);
    }

    Connection* find(wire::ClientId id) {
        const auto found = connections.find(id.value);
        return found == connections.end() ? nullptr : found->second.get();
    }

    wire::Client describe(const ServiceState& state, qb_ipcs_connection_t* qb, uid_t uid, gid_t gid) const {
        wire::Client client{.id = {},
                            .service = state.service,
                            .uid = uid,
                            .gid = gid,
                            .pid = 0,
                            .user = user_name(uid),
                            .privileged = uid == 0 || uid == daemon_uid || uid == options.owner,
                            .uuid = {}};
        if (client.user.empty()) client.user = "#unprivileged";
        if (auto* const stats = qb_ipcs_connection_stats_get_2(qb, 0)) {
            client.pid = stats->client_pid;
            std::free(stats);
        }
        return client;
    }

    // ---- libqb's callbacks ----

    static ServiceState& state_of(qb_ipcs_connection_t* qb) {
        return *static_cast<ServiceState*>(qb_ipcs_connection_service_context_get(qb));
    }

    // Until connection_created, a connection's credentials wait in its context.
    struct Accepted {
        uid_t uid;
        gid_t gid;
    };

    static int32_t on_accept(qb_ipcs_connection_t* qb, uid_t uid, gid_t gid) {
        ServiceState& state = state_of(qb);
        Impl& self = *state.impl;
        if (self.dying || state.qb == nullptr) return -EPERM;
        if (self.handlers.admit) {
            const int rc = self.handlers.admit(self.describe(state, qb, uid, gid));
            if (rc < 0) return rc;
        }
        // The client's files belong to its user; members of the cluster's group get at them, others do not.
        if (uid != 0 && uid != self.options.owner && self.daemon_gid)
            qb_ipcs_connection_auth_set(qb, static_cast<uid_t>(-1), *self.daemon_gid,
                                        S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP);
        qb_ipcs_context_set(qb, new Accepted{uid, gid});
        return 0;
    }

    static void on_created(qb_ipcs_connection_t* qb) {
        ServiceState& state = state_of(qb);
        Impl& self = *state.impl;
        const std::unique_ptr<Accepted> who(static_cast<Accepted*>(qb_ipcs_context_get(qb)));
        auto connection = std::make_unique<Connection>();
        connection->qb = qb;
        connection->client = self.describe(state, qb, who->uid, who->gid);
        connection->client.id = wire::ClientId{self.client_next++};
        connection->client.uuid = make_uuid();
        connection->label = fmt::format("{} client {} (pid {}, user {})", service_name(state.service),
                                        connection->client.id.value, connection->client.pid, connection->client.user);
        connection->queue_max = self.options.queue_max;
        const int32_t size = qb_ipcs_connection_get_buffer_size(qb);
        connection->buffer_size =
            size > 0 ? std::max<std::size_t>(static_cast<std::size_t>(size), 1024) : self.options.buffer_size;
        qb_ipcs_context_set(qb, connection.get());
        const wire::Client client = connection->client;
        self.connections.emplace(client.id.value, std::move(connection));
        if (self.handlers.connected) self.handlers.connected(client);
    }

    static int32_t on_message(qb_ipcs_connection_t* qb, void* data, size_t size) {
        auto* const connection = static_cast<Connection*>(qb_ipcs_context_get(qb));
        if (connection != nullptr) state_of(qb).impl->take(*connection, data, size);
        return 0;
    }

    static int32_t on_closed(qb_ipcs_connection_t* qb) {
        auto* const connection = static_cast<Connection*>(qb_ipcs_context_get(qb));
        if (connection == nullptr) return 0;
        Impl& self = *state_of(qb).impl;
        qb_ipcs_context_set(qb, nullptr);
        const wire::ClientId id = connection->client.id;
        self.connections.erase(id.value);
        if (!self.dying && self.handlers.closed) self.handlers.closed(id);
        return 0;
    }

    // on_closed has cleared the context of whatever was created; what is left was accepted and got no further.
    static void on_destroyed(qb_ipcs_connection_t* qb) { delete static_cast<Accepted*>(qb_ipcs_context_get(qb)); }

    // ---- Requests ----

    void take(Connection& connection, const void* data, size_t size) {
        if (connection.leaving) return;
        // The size is what the client wrote into the shared memory. Within the buffer's size the ring is mapped
        // wherever the message starts; beyond it the memory is not ours to read.
        if (size < wire::kIpcHeaderSize || size > connection.buffer_size) {
            log(wire::Severity::kWarning, fmt::format("{}: message of {} bytes dropped: the buffer has {}",
                                                      connection.label, size, connection.buffer_size));
            return;
        }
        // Copied before it is looked at: the client could still change it.
        const std::string chunk(static_cast<const char*>(data), size);
        auto decoded = connection.decoder.on_chunk(chunk);
        if (!decoded) {
            log(wire::Severity::kWarning,
                fmt::format("{}: message dropped: {}", connection.label, decoded.error().what));
            return;
        }
        if (!*decoded) return;  // more parts to come
        wire::IpcMessage& message = **decoded;
        connection.layout = message.layout;
        if ((message.flags & wire::kProxied) != 0) connection.proxied = true;

        wire::ClientRequest request{.client = connection.client.id,
                                    .id = static_cast<std::uint32_t>(message.id),
                                    .flags = message.flags,
                                    .message = nullptr};
        if (message.fault.empty()) {
            auto tree = xml::parse(message.text);
            if (tree)
                request.message = std::move(*tree);
            else
                message.fault = tree.error().what;
        }
        if (!message.fault.empty())
            log(wire::Severity::kWarning,
                fmt::format("{}: request {} cannot be read: {}", connection.label, message.id, message.fault));
        if (handlers.request) handlers.request(request);
    }

    // ---- Replies and events ----

    void enqueue(Connection& connection, bool as_event, std::int32_t id, std::uint32_t flags,
                 const xml::Node& message) {
        if (connection.leaving) return;
        auto chunks = wire::encode_ipc(connection.layout, id, flags, xml::write(message), connection.buffer_size);
        if (!chunks) {
            log(wire::Severity::kError, fmt::format("{}: {} cannot be sent: {}", connection.label,
                                                    as_event ? "event" : "response", chunks.error().what));
            return;
        }
        Queue& queue = as_event ? connection.events : connection.responses;
        for (auto& chunk : *chunks) {
            queue.bytes += chunk.size();
            queue.chunks.push_back(std::move(chunk));
        }
        if (!queue.timer) flush(connection, as_event);
        if (connection.events.bytes + connection.responses.bytes > kQueueBytesMax)
            disconnect(connection, fmt::format("{} bytes wait for it", kQueueBytesMax));
    }

    void flush(Connection& connection, bool as_event) {
        Queue& queue = as_event ? connection.events : connection.responses;
        const QbAdapter::Entry entry(adapter);
        std::size_t sent = 0;
        bool full = false;
        while (!queue.chunks.empty() && sent < kFlushMax && !connection.leaving) {
            const std::string& chunk = queue.chunks.front();
            const ssize_t rc = as_event ? qb_ipcs_event_send(connection.qb, chunk.data(), chunk.size())
                                        : qb_ipcs_response_send(connection.qb, chunk.data(), chunk.size());
            if (rc == -EAGAIN || rc == -ETIMEDOUT || rc == -ENOBUFS) {
                full = true;
                break;
            }
            if (rc < 0) {
                // The connection is broken; its end is about to be noticed, and nothing said now would arrive.
                log(wire::Severity::kInfo,
                    fmt::format("{}: not sent: {}", connection.label, std::strerror(static_cast<int>(-rc))));
                queue.chunks.clear();
                queue.bytes = 0;
                return;
            }
            queue.bytes -= chunk.size();
            queue.chunks.pop_front();
            ++sent;
        }
        if (queue.chunks.empty()) {
            queue.retry = kRetryFirst;
            queue.timer.reset();
            if (as_event) connection.backlog = 0;
            return;
        }
        if (as_event && is_stuck(connection)) {
            disconnect(connection, fmt::format("{} events wait and it takes none", queue.chunks.size()));
            return;
        }
        const Duration delay = full ? queue.retry : Duration{0};
        queue.retry = sent > 0 ? kRetryFirst : std::min(queue.retry * 2, kRetryLongest);
        queue.timer = loop.after(delay, [this, id = connection.client.id, as_event] {
            if (Connection* const again = find(id)) {
                (as_event ? again->events : again->responses).timer.reset();
                flush(*again, as_event);
            }
        });
    }

    /// Too many events wait, and their number did not shrink since the last check.
    bool is_stuck(Connection& connection) {
        const std::size_t waiting = connection.events.chunks.size();
        const Instant now = loop.now().mono;
        if (waiting <= connection.queue_max) {
            connection.backlog = 0;
            return false;
        }
        if (connection.backlog == 0) {
            connection.backlog = waiting;
            connection.backlog_checked = now;
            return false;
        }
        if (now - connection.backlog_checked < kBacklogCheck) return false;
        const bool stuck = waiting >= connection.backlog;
        connection.backlog = waiting;
        connection.backlog_checked = now;
        return stuck;
    }

    /// In a later round: the client may be just the one whose request is being served.
    void disconnect(Connection& connection, const std::string& why) {
        if (connection.leaving) return;
        connection.leaving = true;
        log(wire::Severity::kWarning, fmt::format("{}: disconnected: {}", connection.label, why));
        loop.defer([this, held = std::weak_ptr(alive), id = connection.client.id] {
            if (held.expired()) return;
            Connection* const found = find(id);
            if (found == nullptr) return;
            const QbAdapter::Entry entry(adapter);
            qb_ipcs_disconnect(found->qb);
        });
    }
};

IpcServer::IpcServer(Loop& loop, IpcServerOptions options, Handlers handlers)
    : impl_(std::make_unique<Impl>(loop, std::move(options), std::move(handlers))) {}

IpcServer::~IpcServer() = default;

Result<void> IpcServer::open(wire::Service service) {
    if (impl_->services.contains(service)) return {};
    auto state = std::make_unique<Impl::ServiceState>();
    state->impl = impl_.get();
    state->service = service;
    const std::string name = impl_->options.prefix + std::string(service_name(service));
    static qb_ipcs_service_handlers callbacks{.connection_accept = &Impl::on_accept,
                                              .connection_created = &Impl::on_created,
                                              .msg_process = &Impl::on_message,
                                              .connection_closed = &Impl::on_closed,
                                              .connection_destroyed = &Impl::on_destroyed};
    state->qb = qb_ipcs_create(name.c_str(), 0, QB_IPC_SHM, &callbacks);
    if (state->qb == nullptr) return fail(Errc::kIo, fmt::format("IPC service {}: {}", name, std::strerror(errno)));
    auto poll_handlers = QbAdapter::handlers();
    qb_ipcs_service_context_set(state->qb, state.get());
    qb_ipcs_enforce_buffer_size(state->qb, impl_->options.buffer_size);
    qb_ipcs_poll_handlers_set(state->qb, &poll_handlers);
    // The fencer answers before others: nodes wait for it.
    qb_ipcs_request_rate_limit(state->qb, service == wire::Service::kFencer ? QB_IPCS_RATE_FAST : QB_IPCS_RATE_NORMAL);
    const QbAdapter::Entry entry(impl_->adapter);
    if (const int rc = qb_ipcs_run(state->qb); rc < 0)
        return fail(rc == -EADDRINUSE ? Errc::kExists : Errc::kIo,
                    fmt::format("IPC service {}: {}", name, std::strerror(-rc)));
    impl_->services.emplace(service, std::move(state));
    return {};
}

void IpcServer::close(wire::Service service) {
    const auto found = impl_->services.find(service);
    if (found == impl_->services.end()) return;
    impl_->destroy(*found->second);
    impl_->retired.push_back(std::move(found->second));
    impl_->services.erase(found);
}

void IpcServer::respond(const wire::Respond& effect) {
    Impl::Connection* const connection = impl_->find(effect.client);
    if (connection == nullptr || !effect.message) return;
    const auto id = static_cast<std::int32_t>(effect.request);
    if (connection->proxied)
        impl_->enqueue(*connection, true, id, wire::kIpcEvent | wire::kIpcProxiedResponse, *effect.message);
    else
        impl_->enqueue(*connection, false, id, 0, *effect.message);
}

void IpcServer::send_event(const wire::SendEvent& effect) {
    Impl::Connection* const connection = impl_->find(effect.client);
    if (connection == nullptr || !effect.message) return;
    impl_->enqueue(*connection, true, ++connection->event_number, wire::kIpcEvent, *effect.message);
}

void IpcServer::evict(const wire::Evict& effect) {
    if (Impl::Connection* const connection = impl_->find(effect.client)) impl_->disconnect(*connection, effect.why);
}

void IpcServer::set_queue_max(wire::ClientId client, std::size_t queue_max) {
    if (Impl::Connection* const connection = impl_->find(client))
        connection->queue_max = std::max(queue_max, impl_->options.queue_max);
}

std::size_t IpcServer::client_count() const { return impl_->connections.size(); }

std::size_t IpcServer::queued(wire::ClientId client) const {
    const Impl::Connection* const connection = impl_->find(client);
    return connection == nullptr ? 0 : connection->events.chunks.size();
}

}  // namespace systole::runtime
