#include "runtime/linux/corosync_engine.h"

#include <corosync/corotypes.h>
#include <corosync/cpg.h>
#include <corosync/quorum.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include <algorithm>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "runtime/linux/cmap.h"
#include "runtime/linux/peer_messages.h"

namespace systole::runtime {
namespace {

constexpr int kDispatchMax = 50;  // callbacks a round and connection, so that none starves the others
constexpr std::size_t kFlushMax = 200;
constexpr std::size_t kWaitingBytesMax = 256U << 20U;
constexpr Duration kRetryFirst{5};
constexpr Duration kRetryLongest{1000};
constexpr int kStartTries = 10;

bool is_busy(cs_error_t rc) { return rc == CS_ERR_TRY_AGAIN || rc == CS_ERR_QUEUE_FULL || rc == CS_ERR_TIMEOUT; }

}  // namespace

struct CorosyncEngine::Impl {
    struct Channel {
        Impl* engine{};
        wire::Group group{};
        cpg_handle_t cpg{};
        Source watch, retry;
        std::deque<std::string> waiting;
        std::size_t waiting_bytes{};
        Duration delay{kRetryFirst};
        bool joined{};
        int join_tries{};
        Channel() = default;
        Channel(const Channel&) = delete;
        Channel& operator=(const Channel&) = delete;
        ~Channel() {
            watch.reset();
            if (cpg != 0) cpg_finalize(cpg);
        }
    };

    Loop& loop;
    LogSink log_sink;
    Handlers handlers;
    std::optional<PeerMessages> messages;
    std::map<wire::Group, std::unique_ptr<Channel>> channels;
    std::vector<std::unique_ptr<Channel>> retired;  // left within a callback of their own
    quorum_handle_t quorum{};
    Source quorum_watch;
    std::map<NodeId, std::string> names;
    bool over = false;
    std::shared_ptr<char> alive = std::make_shared<char>();

    Impl(Loop& l, LogSink log) : loop(l), log_sink(std::move(log)) {}
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() {
        quorum_watch.reset();
        if (quorum != 0) quorum_finalize(quorum);
    }

    void log(wire::Severity severity, std::string text) const {
        if (log_sink) log_sink(wire::Log{.severity = severity, .text = std::move(text)});
    }

    void end(std::string why) {
        if (std::exchange(over, true)) return;
        for (auto& [group, channel] : channels) {
            channel->watch.reset();
            channel->retry.reset();
        }
        quorum_watch.reset();
        loop.defer([this, held = std::weak_ptr(alive), why = std::move(why)] {
            if (!held.expired() && handlers.lost) handlers.lost(why);
        });
    }

    // ---- Names ----

    void read_names() {
        const auto cmap = Cmap::open();
        if (!cmap) {
            log(wire::Severity::kWarning, cmap.error().what);
            return;
        }
        for (const wire::NodeRef& node : cmap->nodes())
            if (!node.name.empty()) names[node.id] = node.name;
    }

    // ---- Quorum ----

    static void on_quorum(quorum_handle_t handle, std::uint32_t quorate, std::uint64_t ring, std::uint32_t count,
                          std::uint32_t* members) {
        void* context = nullptr;
        if (quorum_context_get(handle, const_cast<const void**>(&context)) != CS_OK || context == nullptr) return;
        Impl& self = *static_cast<Impl*>(context);
        if (self.over) return;
        wire::QuorumView view{.ring = ring, .quorate = quorate != 0, .members = {}};
        for (std::uint32_t i = 0; i < count; ++i) view.members.push_back(NodeId{members[i]});
        std::ranges::sort(view.members);
        self.identify(view.members);
        self.handlers.quorum_view(view);
    }

    /// Tells the names of nodes that were not known before.
    void identify(const std::vector<NodeId>& members) {
        const auto is_new = [&](NodeId id) { return !names.contains(id); };
        if (std::ranges::none_of(members, is_new)) return;
        const auto before = names;
        read_names();
        for (const auto& [id, name] : names)
            if (!before.contains(id)) handlers.node_identified({{id, name}});
    }

    Result<void> open_quorum() {
        quorum_callbacks_t callbacks{};
        callbacks.quorum_notify_fn = &on_quorum;
        std::uint32_t type = 0;
        cs_error_t rc = quorum_initialize(&quorum, &callbacks, &type);
        if (rc != CS_OK) {
            quorum = 0;
            return fail(Errc::kUnreachable, fmt::format("Corosync's quorum service: {}", corosync_error(rc)));
        }
        if (type != QUORUM_SET)
            return fail(Errc::kInvalid,
                        "Corosync has no quorum provider: corosync.conf needs one (corosync_votequorum)");
        int fd = -1;
        rc = quorum_fd_get(quorum, &fd);
        if (rc == CS_OK && !served_by_root(fd)) return fail(Errc::kDenied, "Corosync's quorum service is not root's");
        if (rc == CS_OK) rc = quorum_context_set(quorum, this);
        if (rc == CS_OK) rc = quorum_trackstart(quorum, CS_TRACK_CHANGES | CS_TRACK_CURRENT);
        if (rc != CS_OK) return fail(Errc::kIo, fmt::format("Corosync's quorum service: {}", corosync_error(rc)));
        quorum_watch = loop.on_fd(fd, EPOLLIN, [this](std::uint32_t) {
            const cs_error_t result = quorum_dispatch(quorum, CS_DISPATCH_ALL);
            if (result != CS_OK && !is_busy(result))
                end(fmt::format("Corosync's quorum service is gone: {}", corosync_error(result)));
        });
        return {};
    }

    // ---- Groups ----

    static Channel* channel_of(cpg_handle_t handle) {
        void* context = nullptr;
        if (cpg_context_get(handle, &context) != CS_OK) return nullptr;
        return static_cast<Channel*>(context);
    }

    static void on_deliver(cpg_handle_t handle, const cpg_name* /*name*/, std::uint32_t node, std::uint32_t /*pid*/,
                           void* bytes, std::size_t size) {
        Channel* const channel = channel_of(handle);
        if (channel == nullptr || channel->engine->over) return;
        Impl& self = *channel->engine;
        const auto message =
            self.messages->decode(channel->group, {static_cast<const char*>(bytes), size}, NodeId{node});
        if (message) self.handlers.message(*message);
    }

    static std::vector<wire::GroupMember> list_of(const cpg_address* entries, std::size_t count) {
        std::vector<wire::GroupMember> out;
        for (std::size_t i = 0; i < count; ++i) out.push_back({NodeId{entries[i].nodeid}, entries[i].pid});
        std::ranges::sort(out);
        return out;
    }

    static void on_change(cpg_handle_t handle, const cpg_name* /*name*/, const cpg_address* members,
                          std::size_t member_count, const cpg_address* left, std::size_t left_count,
                          const cpg_address* joined, std::size_t joined_count) {
        Channel* const channel = channel_of(handle);
        if (channel == nullptr || channel->engine->over) return;
        channel->engine->handlers.group_change({.group = channel->group,
                                                .members = list_of(members, member_count),
                                                .joined = list_of(joined, joined_count),
                                                .left = list_of(left, left_count)});
    }

    Result<void> open_channel(Channel& channel) {
        cpg_model_v1_data_t model{};
        model.model = CPG_MODEL_V1;
        model.cpg_deliver_fn = &on_deliver;
        model.cpg_confchg_fn = &on_change;
        cs_error_t rc =
            cpg_model_initialize(&channel.cpg, CPG_MODEL_V1, reinterpret_cast<cpg_model_data_t*>(&model), &channel);
        int fd = -1;
        if (rc == CS_OK)
            rc = cpg_fd_get(channel.cpg, &fd);
        else
            channel.cpg = 0;
        if (rc != CS_OK)
            return fail(Errc::kUnreachable, fmt::format("Corosync's process groups ({}): {}", group_name(channel.group),
                                                        corosync_error(rc)));
        if (!served_by_root(fd)) return fail(Errc::kDenied, "Corosync's process groups are not root's");
        channel.watch = loop.on_fd(fd, EPOLLIN, [this, &channel](std::uint32_t) {
            for (int i = 0; i < kDispatchMax && !over && channel.cpg != 0; ++i) {
                const cs_error_t result = cpg_dispatch(channel.cpg, CS_DISPATCH_ONE_NONBLOCKING);
                if (result == CS_OK) continue;
                if (!is_busy(result))
                    end(fmt::format("Corosync's process group {} is gone: {}", group_name(channel.group),
                                    corosync_error(result)));
                break;
            }
        });
        return {};
    }

    void try_join(Channel& channel) {
        if (over) return;
        channel.retry.reset();
        cpg_name name{};
        const std::string_view text = group_name(channel.group);
        name.length = static_cast<std::uint32_t>(text.size() + 1);  // with the NUL, as Pacemaker counts
        text.copy(name.value, sizeof name.value - 1);
        const cs_error_t rc = cpg_join(channel.cpg, &name);
        if (rc == CS_OK) {
            channel.joined = true;
            channel.delay = kRetryFirst;
            flush(channel);
        } else if (is_busy(rc) && ++channel.join_tries < 30) {
            channel.retry = loop.after(channel.delay, [this, &channel] { try_join(channel); });
            channel.delay = std::min(channel.delay * 2, kRetryLongest);
        } else {
            end(fmt::format("process group {} cannot be joined: {}", text, corosync_error(rc)));
        }
    }

    void flush(Channel& channel) {
        std::size_t sent = 0;
        bool busy = false;
        while (!channel.waiting.empty() && sent < kFlushMax && !over) {
            std::string& bytes = channel.waiting.front();
            const iovec part{bytes.data(), bytes.size()};
            const cs_error_t rc = cpg_mcast_joined(channel.cpg, CPG_TYPE_AGREED, &part, 1);
            if (is_busy(rc)) {
                busy = true;
                break;
            }
            if (rc != CS_OK) {
                end(fmt::format("message to process group {} cannot be sent: {}", group_name(channel.group),
                                corosync_error(rc)));
                return;
            }
            channel.waiting_bytes -= bytes.size();
            channel.waiting.pop_front();
            ++sent;
        }
        if (channel.waiting.empty()) {
            channel.delay = kRetryFirst;
            return;
        }
        if (sent > 0) channel.delay = kRetryFirst;
        channel.retry = loop.after(busy ? channel.delay : Duration{0}, [this, &channel] {
            channel.retry.reset();
            flush(channel);
        });
        if (busy) channel.delay = std::min(channel.delay * 2, kRetryLongest);
    }
};

CorosyncEngine::CorosyncEngine(Loop& loop, LogSink log) : impl_(std::make_unique<Impl>(loop, std::move(log))) {}
CorosyncEngine::~CorosyncEngine() = default;

Result<EngineIdentity> CorosyncEngine::start(Handlers handlers) {
    Impl& self = *impl_;
    self.handlers = std::move(handlers);
    const auto cmap = Cmap::open();
    if (!cmap) return tl::unexpected(cmap.error());
    for (const wire::NodeRef& node : cmap->nodes())
        if (!node.name.empty()) self.names[node.id] = node.name;

    // The local node's id is what CPG says.
    auto channel = std::make_unique<Impl::Channel>();
    channel->engine = &self;
    channel->group = wire::Group::kCib;
    if (const auto opened = self.open_channel(*channel); !opened) return tl::unexpected(opened.error());
    unsigned id = 0;
    cs_error_t rc = CS_ERR_TRY_AGAIN;
    for (int tries = 0; is_busy(rc) && tries < kStartTries; ++tries) rc = cpg_local_get(channel->cpg, &id);
    if (rc != CS_OK || id == 0)
        return fail(Errc::kUnreachable, fmt::format("Corosync does not tell this node's id: {}", corosync_error(rc)));

    EngineIdentity who{.self = {NodeId{id}, {}},
                       .cluster_name = cmap->get("totem.cluster_name").value_or(""),
                       .infrastructure = "corosync"};
    if (const auto found = self.names.find(NodeId{id}); found != self.names.end()) {
        who.self.name = found->second;
    } else {
        utsname host{};
        if (uname(&host) == 0) who.self.name = host.nodename;
        self.names[NodeId{id}] = who.self.name;
    }
    if (who.self.name.empty()) return fail(Errc::kInvalid, fmt::format("node {} has no name", id));
    self.messages.emplace(who.self, self.log_sink);
    self.channels.emplace(wire::Group::kCib, std::move(channel));
    if (const auto opened = self.open_quorum(); !opened) return tl::unexpected(opened.error());
    self.loop.defer([impl = &self, held = std::weak_ptr(self.alive)] {
        if (held.expired()) return;
        const auto names = impl->names;
        for (const auto& [node, name] : names) impl->handlers.node_identified({{node, name}});
    });
    return who;
}

void CorosyncEngine::join(wire::Group group) {
    Impl& self = *impl_;
    if (self.over) return;
    auto& channel = self.channels[group];
    if (!channel) {
        channel = std::make_unique<Impl::Channel>();
        channel->engine = &self;
        channel->group = group;
        if (const auto opened = self.open_channel(*channel); !opened) {
            self.end(opened.error().what);
            return;
        }
    }
    if (!channel->joined) self.try_join(*channel);
}

void CorosyncEngine::leave(wire::Group group) {
    Impl& self = *impl_;
    const auto found = self.channels.find(group);
    if (found == self.channels.end()) return;
    Impl::Channel& channel = *found->second;
    if (channel.cpg != 0 && !self.over) {
        self.flush(channel);  // what was to be said before leaving
        cpg_name name{};
        const std::string_view text = group_name(group);
        name.length = static_cast<std::uint32_t>(text.size() + 1);
        text.copy(name.value, sizeof name.value - 1);
        cpg_leave(channel.cpg, &name);
    }
    channel.watch.reset();
    channel.retry.reset();
    channel.joined = false;
    // Perhaps within one of its own callbacks: its connection is closed when they are done.
    self.retired.push_back(std::move(found->second));
    self.channels.erase(found);
    self.loop.defer([impl = &self, held = std::weak_ptr(self.alive)] {
        if (!held.expired()) impl->retired.clear();
    });
}

void CorosyncEngine::multicast(const wire::Multicast& message) {
    Impl& self = *impl_;
    if (self.over) return;
    const auto found = self.channels.find(message.group);
    if (found == self.channels.end()) {
        self.log(wire::Severity::kWarning,
                 fmt::format("message to group {} dropped: this node is not in it", group_name(message.group)));
        return;
    }
    auto bytes = self.messages->encode(message);
    if (!bytes) {
        self.log(wire::Severity::kError,
                 fmt::format("message to group {} dropped: {}", group_name(message.group), bytes.error().what));
        return;
    }
    Impl::Channel& channel = *found->second;
    channel.waiting_bytes += bytes->size();
    channel.waiting.push_back(std::move(*bytes));
    if (channel.waiting_bytes > kWaitingBytesMax)
        self.end(fmt::format("Corosync takes no messages for process group {}", group_name(message.group)));
    else if (channel.joined && !channel.retry)
        self.flush(channel);
}

}  // namespace systole::runtime
