#include "runtime/linux/local_engine.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/text.h"
#include "runtime/linux/frame_socket.h"
#include "runtime/linux/peer_messages.h"

namespace systole::runtime {
namespace {

constexpr Duration kReconnect{200};
constexpr std::size_t kHistoryMax = 2000;  // messages kept for nodes that the hub did not reach any more
constexpr std::size_t kHistoryBytesMax = 64U << 20U;
constexpr std::size_t kPendingBytesMax = 256U << 20U;
constexpr std::array kGroups{wire::Group::kCib, wire::Group::kController, wire::Group::kAttributes,
                             wire::Group::kFencing};

std::optional<wire::Group> group_of(std::string_view name) {
    const auto* found = std::ranges::find(kGroups, name, wire::group_name);
    if (found == kGroups.end()) return std::nullopt;
    return *found;
}

std::uint64_t number(const xml::Node& head, std::string_view attribute) {
    const auto value = parse_integer(head.get(attribute));
    return value && *value > 0 ? static_cast<std::uint64_t>(*value) : 0;
}

NodeId node_id(const xml::Node& head, std::string_view attribute) {
    return NodeId{static_cast<std::uint32_t>(number(head, attribute))};
}

}  // namespace

struct LocalEngine::Impl {
    struct Sent {
        wire::Group group;
        std::string bytes;
    };
    struct Heard {
        std::uint64_t seq;
        wire::Group group;
        NodeId from;
        std::shared_ptr<const std::string> bytes;
    };

    Loop& loop;
    LocalEngineOptions options;
    PeerMessages messages;
    Handlers handlers;
    std::unique_ptr<FrameSocket> socket;
    Source watch, retry, deadline;
    bool writing = false;
    bool formed = false;
    bool over = false;
    std::string epoch, cluster;
    std::vector<wire::NodeRef> nodes;
    std::uint64_t seen = 0;
    std::uint64_t ring = 0;
    std::set<wire::Group> joined;
    std::map<wire::Group, std::vector<wire::GroupMember>> members;
    std::deque<Sent> pending;  // not come back yet
    std::size_t pending_bytes = 0;
    std::deque<Heard> history;
    std::size_t history_bytes = 0;
    std::shared_ptr<char> alive = std::make_shared<char>();

    Impl(Loop& l, LocalEngineOptions o) : loop(l), options(std::move(o)), messages(options.self, options.log) {}

    void log(wire::Severity severity, std::string text) const {
        if (options.log) options.log(wire::Log{.severity = severity, .text = std::move(text)});
    }

    void end(const std::string& why) {
        if (std::exchange(over, true)) return;
        watch.reset();
        retry.reset();
        deadline.reset();
        socket.reset();
        // Never from within the caller's own call.
        loop.defer([this, held = std::weak_ptr(alive), why] {
            if (!held.expired() && handlers.lost) handlers.lost(why);
        });
    }

    xml::NodePtr hello() const {
        xml::Builder head("hello");
        head.set("node", options.self.id.value)
            .set("name", options.self.name)
            .set("pid", static_cast<long long>(getpid()))
            .set("epoch", epoch)
            .set("seen", static_cast<long long>(seen))
            .set("ring", static_cast<long long>(ring));
        for (const wire::Group group : joined) head.add(xml::Builder("group").set("name", group_name(group)).build());
        return std::move(head).build();
    }

    Result<void> open() {
        const auto fd = connect_to(options.folder, kHubSocket);
        if (!fd) return tl::unexpected(fd.error());
        socket = std::make_unique<FrameSocket>(*fd);
        return socket->send(*hello());
    }

    void attach() {
        writing = socket->wants_write();
        const std::uint32_t events = writing ? std::uint32_t{EPOLLIN | EPOLLOUT} : std::uint32_t{EPOLLIN};
        watch.reset();
        watch = loop.on_fd(socket->fd(), events, [this](std::uint32_t) { serve(); });
    }

    void serve() {
        // What was read before the end of the stream still counts.
        const auto readable = socket->fill();
        auto broken = readable ? socket->flush() : readable;
        while (socket) {
            auto frame = socket->next();
            if (!frame) {
                broken = tl::unexpected(frame.error());
                break;
            }
            if (!*frame) break;
            take(**frame);
        }
        if (!socket) return;
        if (!broken)
            lost_hub(broken.error().what);
        else if (writing != socket->wants_write())
            attach();
    }

    void send(const xml::Node& head, const std::string* body = nullptr) {
        if (!socket) return;
        const auto sent = socket->send(head, body);
        if (!sent)
            lost_hub(sent.error().what);
        else if (watch && writing != socket->wants_write())
            attach();
    }

    void lost_hub(const std::string& why) {
        if (over) return;
        formed = false;
        watch.reset();
        socket.reset();
        log(wire::Severity::kWarning, fmt::format("connection to the hub is lost: {}", why));
        if (!deadline)
            deadline = loop.after(options.hub_timeout, [this] { end("the hub of the local cluster stayed away"); });
        retry = loop.after(kReconnect, [this] { reconnect(); });
    }

    void reconnect() {
        if (over) return;
        const auto opened = open();
        if (opened) {
            attach();
            return;
        }
        socket.reset();
        retry = loop.after(kReconnect, [this] { reconnect(); });
    }

    void take(const Frame& frame) {
        const xml::Node& head = *frame.head;
        if (head.is("message"))
            take_message(head, frame.body);
        else if (head.is("ping"))
            send(*xml::Builder("pong").build());
        else if (head.is("group"))
            take_group(head);
        else if (head.is("view"))
            take_view(head);
        else if (head.is("welcome"))
            take_welcome(head);
        else if (head.is("formed"))
            take_formed(head);
        else if (head.is("refused"))
            end(std::string(head.get("why")));
        else if (head.is("replay-from"))
            replay(number(head, "seq"));
    }

    void take_welcome(const xml::Node& head) {
        epoch = head.get("epoch");
        cluster = head.get("cluster");
        nodes.clear();
        for (const xml::NodePtr& child : head.children())
            if (child->is("node")) nodes.push_back({node_id(*child, "id"), std::string(child->get("name"))});
    }

    void take_formed(const xml::Node& head) {
        seen = std::max(seen, number(head, "seq"));
        formed = true;
        deadline.reset();
        // Groups joined while there was nobody to tell; the hub ignores what it knows.
        for (const wire::Group group : joined) send(*xml::Builder("join").set("group", group_name(group)).build());
        // A failing send clears `socket`, not the queue.
        for (std::size_t i = 0; i < pending.size() && socket; ++i) send_pending(pending[i]);
    }

    void send_pending(const Sent& sent) {
        send(*xml::Builder("mcast").set("group", group_name(sent.group)).build(), &sent.bytes);
    }

    void take_message(const xml::Node& head, const std::shared_ptr<const std::string>& body) {
        const auto group = group_of(head.get("group"));
        if (!group || !body) return;
        const NodeId from = node_id(head, "node");
        seen = number(head, "seq");
        history.push_back({seen, *group, from, body});
        history_bytes += body->size();
        while (history.size() > kHistoryMax || history_bytes > kHistoryBytesMax) {
            history_bytes -= history.front().bytes->size();
            history.pop_front();
        }
        // The hub keeps each sender's order, so what comes back is what waits longest.
        if (from == options.self.id && !pending.empty()) {
            pending_bytes -= pending.front().bytes.size();
            pending.pop_front();
        }
        if (!joined.contains(*group)) return;
        if (const auto message = messages.decode(*group, *body, from)) handlers.message(*message);
    }

    void take_group(const xml::Node& head) {
        const auto group = group_of(head.get("name"));
        if (!group || !joined.contains(*group)) return;
        wire::GroupChange change{.group = *group, .members = {}, .joined = {}, .left = {}};
        for (const xml::NodePtr& child : head.children())
            change.members.push_back({node_id(*child, "node"), static_cast<std::uint32_t>(number(*child, "pid"))});
        std::ranges::sort(change.members);
        auto& before = members[*group];
        std::ranges::set_difference(change.members, before, std::back_inserter(change.joined));
        std::ranges::set_difference(before, change.members, std::back_inserter(change.left));
        if (change.joined.empty() && change.left.empty()) return;
        before = change.members;
        handlers.group_change(change);
    }

    void take_view(const xml::Node& head) {
        ring = number(head, "ring");
        wire::QuorumView view{.ring = ring, .quorate = head.get("quorate") == "1", .members = {}};
        for (const xml::NodePtr& child : head.children()) view.members.push_back(node_id(*child, "id"));
        handlers.quorum_view(view);
    }

    void replay(std::uint64_t from) {
        for (const Heard& heard : history) {
            if (heard.seq < from || !socket) continue;
            send(*xml::Builder("replay")
                      .set("seq", static_cast<long long>(heard.seq))
                      .set("group", group_name(heard.group))
                      .set("node", heard.from.value)
                      .build(),
                 heard.bytes.get());
        }
        send(*xml::Builder("replayed").build());
    }
};

LocalEngine::LocalEngine(Loop& loop, LocalEngineOptions options)
    : impl_(std::make_unique<Impl>(loop, std::move(options))) {}
LocalEngine::~LocalEngine() = default;

Result<EngineIdentity> LocalEngine::start(Handlers handlers) {
    Impl& self = *impl_;
    self.handlers = std::move(handlers);
    const auto until = std::chrono::steady_clock::now() + self.options.start_timeout;
    std::string why;
    // A hub that starts at the same time, or that has yet to notice the end of this node's last process.
    for (;;) {
        if (const auto opened = self.open(); !opened) {
            why = opened.error().what;
            self.socket.reset();
        }
        while (self.socket && std::chrono::steady_clock::now() < until) {
            pollfd ready{.fd = self.socket->fd(), .events = POLLIN, .revents = 0};
            ::poll(&ready, 1, 100);
            const auto filled = self.socket->fill();
            auto frame = self.socket->next();
            if (frame && *frame && (*frame)->head->is("welcome")) {
                self.take_welcome(*(*frame)->head);
                // The rest comes through the loop, also what has been read already.
                self.loop.defer([impl = &self, held = std::weak_ptr(self.alive)] {
                    if (held.expired() || impl->over) return;
                    for (const wire::NodeRef& node : impl->nodes) impl->handlers.node_identified({node});
                    impl->attach();
                    impl->serve();
                });
                return EngineIdentity{self.options.self, self.cluster, "local"};
            }
            if (frame && *frame && (*frame)->head->is("refused")) {
                why = (*frame)->head->get("why");
                self.socket.reset();
            } else if (!filled || !frame) {
                why = filled ? frame.error().what : filled.error().what;
                self.socket.reset();
            }
        }
        if (std::chrono::steady_clock::now() >= until)
            return fail(Errc::kUnreachable, fmt::format("no hub of a local cluster in {}: {}", self.options.folder,
                                                        why.empty() ? "no answer" : why));
        ::poll(nullptr, 0, 100);
    }
}

void LocalEngine::join(wire::Group group) {
    impl_->joined.insert(group);
    if (impl_->formed) impl_->send(*xml::Builder("join").set("group", group_name(group)).build());
}

void LocalEngine::leave(wire::Group group) {
    impl_->joined.erase(group);
    impl_->members.erase(group);
    if (impl_->formed) impl_->send(*xml::Builder("leave").set("group", group_name(group)).build());
}

void LocalEngine::multicast(const wire::Multicast& message) {
    Impl& self = *impl_;
    if (self.over) return;
    if (!self.joined.contains(message.group)) {
        self.log(wire::Severity::kWarning,
                 fmt::format("message to group {} dropped: this node is not in it", group_name(message.group)));
        return;
    }
    auto bytes = self.messages.encode(message);
    if (!bytes) {
        self.log(wire::Severity::kError,
                 fmt::format("message to group {} dropped: {}", group_name(message.group), bytes.error().what));
        return;
    }
    self.pending_bytes += bytes->size();
    self.pending.push_back({message.group, std::move(*bytes)});
    if (self.pending_bytes > kPendingBytesMax)
        self.end("the hub takes no messages");
    else if (self.formed)
        self.send_pending(self.pending.back());
}

}  // namespace systole::runtime
