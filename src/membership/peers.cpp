#include "membership/peers.h"

#include <algorithm>

#include "base/text.h"

namespace systole::membership {

std::string_view to_text(Expected expected) {
    switch (expected) {
        case Expected::kUnknown: return "";
        case Expected::kMember: return "member";
        case Expected::kDown: return "down";
        case Expected::kPending: return "pending";
        case Expected::kNack: return "nack";
    }
    return "";
}

Peer& Peers::entry(NodeId node) {
    Peer& peer = peers_[node];
    peer.id = node;
    return peer;
}

PeerEvents Peers::on_quorum(const wire::QuorumView& view, WallTime now) {
    ring_ = std::max<std::uint64_t>(view.ring, 1);
    quorate_ = view.quorate;
    ever_quorate_ = ever_quorate_ || quorate_;
    members_ = {view.members.begin(), view.members.end()};
    PeerEvents events;
    for (auto& [id, peer] : peers_) {
        if (!peer.member || members_.contains(id)) continue;
        peer.member = false;
        peer.member_since = {};
        events.push_back({PeerEventKind::kMemberLost, id});
    }
    for (const NodeId id : members_) {
        Peer& peer = entry(id);
        peer.last_ring = ring_;
        peer.ever_seen = true;
        if (peer.member) continue;
        peer.member = true;
        peer.member_since = now;
        events.push_back({PeerEventKind::kMemberGained, id});
    }
    return events;
}

PeerEvents Peers::on_group(const wire::GroupChange& change, WallTime now) {
    std::map<NodeId, std::set<std::uint32_t>> present;
    for (const auto& member : change.members) present[member.node].insert(member.pid);
    PeerEvents events;
    for (auto& [id, peer] : peers_) {
        if (!peer.online) continue;
        const auto found = present.find(id);
        if (found != present.end() && found->second.contains(peer.pid)) continue;
        peer.online = false;
        peer.online_since = {};
        events.push_back({PeerEventKind::kOffline, id});
    }
    for (const auto& [id, pids] : present) {
        Peer& peer = entry(id);
        peer.ever_seen = true;
        if (peer.online) continue;
        peer.online = true;
        peer.pid = *pids.rbegin();
        peer.online_since = now;
        events.push_back({PeerEventKind::kOnline, id});
    }
    return events;
}

PeerEvents Peers::on_identified(const wire::NodeRef& node) {
    if (node.id.value == 0 || node.name.empty()) return {};
    for (auto it = peers_.begin(); it != peers_.end();) {
        const bool stale = it->first != node.id && same_ignoring_case(it->second.name, node.name);
        if (stale && it->second.active()) {
            it->second.name.clear();  // two live nodes with one name: the newer claim wins, the other becomes nameless
            ++it;
        } else {
            it = stale ? peers_.erase(it) : std::next(it);
        }
    }
    Peer& peer = entry(node.id);
    if (peer.name == node.name) return {};
    peer.name = node.name;
    return {{PeerEventKind::kNamed, node.id}};
}

void Peers::set_expected(NodeId node, Expected expected) {
    if (const auto it = peers_.find(node); it != peers_.end()) it->second.expected = expected;
}

std::size_t Peers::forget(NodeId node, std::string_view name) {
    return std::erase_if(peers_, [&](const auto& entry) {
        const Peer& peer = entry.second;
        if (peer.active()) return false;
        if (node.value == 0 && name.empty()) return false;
        return (node.value == 0 || peer.id == node) && (name.empty() || same_ignoring_case(peer.name, name));
    });
}

const Peer* Peers::find(NodeId node) const {
    const auto it = peers_.find(node);
    return it == peers_.end() ? nullptr : &it->second;
}

const Peer* Peers::find(std::string_view name) const {
    if (name.empty()) return nullptr;
    const auto it =
        std::ranges::find_if(peers_, [&](const auto& e) { return same_ignoring_case(e.second.name, name); });
    return it == peers_.end() ? nullptr : &it->second;
}

std::set<NodeId> Peers::active() const {
    std::set<NodeId> ids;
    for (const auto& [id, peer] : peers_) {
        if (peer.active()) ids.insert(id);
    }
    return ids;
}

bool Peers::is_active(NodeId node) const {
    const Peer* peer = find(node);
    return peer != nullptr && peer->active();
}

std::string Peers::name_of(NodeId node) const {
    const Peer* peer = find(node);
    return peer == nullptr ? std::string{} : peer->name;
}

void Peers::set_remote(std::string_view name, bool up, std::string_view host) {
    RemotePeer& remote = remotes_[std::string(name)];
    remote.name = name;
    remote.up = up;
    if (up && !host.empty()) remote.host = host;
    if (!up) remote.host.clear();
}

bool Peers::forget_remote(std::string_view name) {
    const auto it = remotes_.find(name);
    if (it == remotes_.end()) return false;
    remotes_.erase(it);
    return true;
}

std::vector<std::string> Peers::check_state() const {
    std::vector<std::string> broken;
    std::set<std::string> names;
    for (const auto& [id, peer] : peers_) {
        if (id.value == 0) broken.emplace_back("a peer has node id 0");
        if (!peer.name.empty() && !names.insert(to_lower(peer.name)).second)
            broken.push_back("two peers share the name " + peer.name);
        if (peer.member != members_.contains(id))
            broken.push_back("peer " + peer.name + ": membership disagrees with the quorum view");
    }
    return broken;
}

}  // namespace systole::membership
