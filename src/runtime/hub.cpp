#include "runtime/hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace systole::runtime {
namespace {

constexpr const char* kFormTimer = "form";
constexpr const char* kBeatTimer = "beat";

std::uint64_t number(const xml::Node& head, std::string_view attribute) {
    const auto value = parse_integer(head.get(attribute));
    return value && *value > 0 ? static_cast<std::uint64_t>(*value) : 0;
}

xml::NodePtr head_of(const char* name) { return xml::Builder(name).build(); }

}  // namespace

Hub::Hub(Config config) : config_(std::move(config)) {}

Hub::Effects Hub::start(const Now& now) {
    return {wire::ArmTimer{kFormTimer, now.mono + config_.formation},
            wire::ArmTimer{kBeatTimer, now.mono + config_.heartbeat}};
}

bool Hub::is_quorate() const {
    const std::size_t configured = config_.nodes.size();
    if (peers_.size() * 2 > configured) return true;
    // Two nodes: one alone may go on, but only after both were here once, or each would found a cluster of its own.
    return configured == 2 && !peers_.empty() && seen_nodes_.size() == 2;
}

std::vector<NodeId> Hub::members() const {
    std::vector<NodeId> ids;
    for (const auto& [connection, peer] : peers_) ids.push_back(peer.node.id);
    std::ranges::sort(ids);
    return ids;
}

xml::NodePtr Hub::formed_head() const {
    return xml::Builder("formed").set("seq", static_cast<long long>(seq_)).build();
}

void Hub::to_all(const xml::NodePtr& head, Effects& out) const {
    for (const auto& [connection, peer] : peers_) out.emplace_back(Send{connection, head, nullptr});
}

void Hub::tell_view(Effects& out) {
    ++ring_;
    xml::Builder view("view");
    view.set("ring", static_cast<long long>(ring_)).set("quorate", is_quorate() ? "1" : "0");
    for (const NodeId id : members()) view.add(xml::Builder("node").set("id", id.value).build());
    to_all(std::move(view).build(), out);
}

void Hub::tell_group(const std::string& group, Effects& out) const {
    xml::Builder change("group");
    change.set("name", group);
    std::vector<std::pair<NodeId, std::uint32_t>> all;
    for (const auto& [connection, peer] : peers_)
        if (peer.groups.contains(group)) all.emplace_back(peer.node.id, peer.pid);
    std::ranges::sort(all);
    for (const auto& [id, pid] : all) change.add(xml::Builder("member").set("node", id.value).set("pid", pid).build());
    const xml::NodePtr head = std::move(change).build();
    for (const auto& [connection, peer] : peers_)
        if (peer.groups.contains(group)) out.emplace_back(Send{connection, head, nullptr});
}

Hub::Effects Hub::on_frame(const Now& now, Connection from, const xml::Node& head, Body body) {
    Effects out;
    if (head.is("hello")) {
        on_hello(now, from, head, out);
        return out;
    }
    const auto found = peers_.find(from);
    if (found == peers_.end()) {
        out.emplace_back(Close{from, fmt::format("'{}' before hello", head.name())});
        return out;
    }
    Peer& peer = found->second;
    peer.heard = now.mono;
    const std::string group(head.get("group"));
    if (head.is("pong")) {
    } else if (head.is("join")) {
        if (peer.groups.insert(group).second && is_formed()) tell_group(group, out);
    } else if (head.is("leave")) {
        if (peer.groups.contains(group)) {
            // Its own leaving is the last thing that it hears of the group.
            peer.groups.erase(group);
            tell_group(group, out);
        }
    } else if (head.is("mcast")) {
        on_message(peer, head, body, out);
    } else if (head.is("replay") && phase_ == Phase::kReplaying && from == replayer_ && body) {
        const std::uint64_t seq = number(head, "seq");
        const xml::NodePtr message = xml::Builder(head).rename("message").build();
        for (auto& [connection, other] : peers_) {
            // Numbers may be left out: messages of groups that the replayer was not in.
            if (connection == from || other.seen >= seq) continue;
            other.seen = seq;
            if (other.groups.contains(group)) out.emplace_back(Send{connection, message, body});
        }
    } else if (head.is("replayed") && phase_ == Phase::kReplaying && from == replayer_) {
        form(out);
    } else if (!head.is("replay") && !head.is("replayed")) {
        drop(from, fmt::format("unknown frame '{}'", head.name()), out);
    }
    return out;
}

void Hub::on_hello(const Now& now, Connection from, const xml::Node& head, Effects& out) {
    const auto refuse = [&](std::string why) {
        out.emplace_back(Send{from, xml::Builder("refused").set("why", why).build(), nullptr});
        out.emplace_back(Close{from, std::move(why)});
    };
    Peer peer{.node = {NodeId{static_cast<std::uint32_t>(number(head, "node"))}, std::string(head.get("name"))},
              .pid = static_cast<std::uint32_t>(number(head, "pid")),
              .seen = number(head, "seen"),
              .groups = {},
              .heard = now.mono};
    if (std::ranges::find(config_.nodes, peer.node) == config_.nodes.end())
        return refuse(fmt::format("node {} '{}' is not one of this cluster", peer.node.id.value, peer.node.name));
    if (std::ranges::any_of(peers_, [&](const auto& entry) { return entry.second.node.id == peer.node.id; }))
        return refuse(fmt::format("node {} is here already", peer.node.name));
    const std::string_view former = head.get("epoch");
    if (!former.empty() && (former == config_.epoch || phase_ != Phase::kGathering))
        return refuse(fmt::format("node {} was given up meanwhile", peer.node.name));
    for (const xml::NodePtr& child : head.children())
        if (child->is("group")) peer.groups.emplace(child->get("name"));
    ring_ = std::max(ring_, number(head, "ring"));

    xml::Builder welcome("welcome");
    welcome.set("epoch", config_.epoch).set("cluster", config_.cluster_name);
    for (const wire::NodeRef& node : config_.nodes)
        welcome.add(xml::Builder("node").set("id", node.id.value).set("name", node.name).build());
    out.emplace_back(Send{from, std::move(welcome).build(), nullptr});
    out.emplace_back(wire::Log{.severity = wire::Severity::kNotice,
                               .text = fmt::format("node {} is here", peer.node.name),
                               .node = peer.node.name});

    // A node without a past has missed nothing.
    if (former.empty()) peer.seen = UINT64_MAX;
    seen_nodes_.insert(peer.node.id);
    const std::set<std::string> groups = peer.groups;
    peers_.emplace(from, std::move(peer));
    switch (phase_) {
        case Phase::kGathering:
            if (peers_.size() == config_.nodes.size()) end_gathering(out);
            break;
        case Phase::kReplaying: break;
        case Phase::kFormed:
            out.emplace_back(Send{from, formed_head(), nullptr});
            tell_view(out);
            for (const std::string& group : groups) tell_group(group, out);
            break;
    }
}

void Hub::on_message(Peer& peer, const xml::Node& head, const Body& body, Effects& out) {
    const std::string group(head.get("group"));
    if (!is_formed() || !body || !peer.groups.contains(group)) {
        out.emplace_back(wire::Log{.severity = wire::Severity::kWarning,
                                   .text = fmt::format("message of node {} to group {} dropped: {}", peer.node.name,
                                                       group, is_formed() ? "it is not a member" : "the cluster forms"),
                                   .node = peer.node.name});
        return;
    }
    const xml::NodePtr message = xml::Builder("message")
                                     .set("seq", static_cast<long long>(++seq_))
                                     .set("group", group)
                                     .set("node", peer.node.id.value)
                                     .build();
    for (auto& [connection, other] : peers_)
        if (other.groups.contains(group)) out.emplace_back(Send{connection, message, body});
}

void Hub::end_gathering(Effects& out) {
    std::uint64_t least = UINT64_MAX;
    for (const auto& [connection, peer] : peers_) {
        if (peer.seen == UINT64_MAX) continue;
        if (peer.seen >= seq_) {
            seq_ = peer.seen;
            replayer_ = connection;
        }
        least = std::min(least, peer.seen);
    }
    if (least >= seq_) return form(out);
    phase_ = Phase::kReplaying;
    out.emplace_back(
        Send{replayer_, xml::Builder("replay-from").set("seq", static_cast<long long>(least + 1)).build(), nullptr});
}

void Hub::form(Effects& out) {
    phase_ = Phase::kFormed;
    std::vector<Connection> behind;
    for (const auto& [connection, peer] : peers_)
        if (peer.seen < seq_) behind.push_back(connection);
    for (const Connection connection : behind) drop(connection, "it missed messages that nobody has any more", out);
    to_all(formed_head(), out);
    tell_view(out);
    std::set<std::string> groups;
    for (const auto& [connection, peer] : peers_) groups.insert(peer.groups.begin(), peer.groups.end());
    for (const std::string& group : groups) tell_group(group, out);
    out.emplace_back(
        wire::Log{.severity = wire::Severity::kNotice,
                  .text = fmt::format("membership formed: {} of {} nodes", peers_.size(), config_.nodes.size())});
}

void Hub::drop(Connection connection, const std::string& why, Effects& out) {
    const auto found = peers_.find(connection);
    if (found == peers_.end()) return;
    out.emplace_back(Close{connection, why});
    const Peer gone = std::move(found->second);
    peers_.erase(found);
    out.emplace_back(wire::Log{.severity = wire::Severity::kNotice,
                               .text = fmt::format("node {} is gone: {}", gone.node.name, why),
                               .node = gone.node.name});
    if (phase_ == Phase::kReplaying && connection == replayer_) {
        // Who is still behind by what it alone had is dropped by form(); so let the order begin at what is left.
        seq_ = 0;
        phase_ = Phase::kGathering;
        end_gathering(out);
        return;
    }
    if (!is_formed()) return;
    // Groups first: a daemon is gone before its node is.
    for (const std::string& group : gone.groups) tell_group(group, out);
    tell_view(out);
}

Hub::Effects Hub::on_closed(const Now& /*now*/, Connection connection) {
    Effects out;
    drop(connection, "its connection closed", out);
    return out;
}

Hub::Effects Hub::on_timer(const Now& now, const std::string& name) {
    Effects out;
    if (name == kFormTimer) {
        if (phase_ == Phase::kGathering) end_gathering(out);
        return out;
    }
    std::vector<Connection> silent;
    for (const auto& [connection, peer] : peers_)
        if (now.mono - peer.heard > config_.token) silent.push_back(connection);
    for (const Connection connection : silent)
        drop(connection, fmt::format("silent for more than {} ms", config_.token.count()), out);
    to_all(head_of("ping"), out);
    out.emplace_back(wire::ArmTimer{kBeatTimer, now.mono + config_.heartbeat});
    return out;
}

}  // namespace systole::runtime
