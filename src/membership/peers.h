#pragma once
// membership/peers.h — who is here: the cache of cluster nodes and remote nodes.
//
// A node takes part when two independent sources agree: the quorum service counts it as a member, and its controller
// is in the controllers' process group. The two change at different moments, so both are kept, with the time since
// when each holds (peers with feature set 3.18.0 and later write those times into node_state).
//
// Invariants: ids are unique and not 0; no two entries share a name (names are compared without case).
// Source: protocol sheets cpg.md, sections 5 and 6; controller.md, section 9.
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "wire/port.h"

namespace systole::membership {

/// What the cluster believes a node intends to be (node_state's attribute `expected`).
enum class Expected : std::uint8_t { kUnknown, kMember, kDown, kPending, kNack };
std::string_view to_text(Expected expected);  ///< "member", "down", "pending", "nack"; empty for kUnknown

struct Peer {
    NodeId id;
    std::string name;           ///< may be empty until somebody tells
    bool member{};              ///< in the quorum service's view
    bool online{};              ///< its controller is in the group
    std::uint32_t pid{};        ///< of its controller while online
    WallTime member_since{};    ///< 0 while not a member
    WallTime online_since{};    ///< 0 while offline
    std::uint64_t last_ring{};  ///< newest membership that it was seen in
    bool ever_seen{};           ///< was a member or online at any time of this process's life
    Expected expected = Expected::kUnknown;
    [[nodiscard]] bool active() const { return member && online; }
};

/// A node that runs no cluster engine: its connection is a resource.
struct RemotePeer {
    std::string name;
    bool up{};
    std::string host;  ///< cluster node that holds the connection; empty if unknown
};

enum class PeerEventKind : std::uint8_t { kMemberGained, kMemberLost, kOnline, kOffline, kNamed };
struct PeerEvent {
    PeerEventKind kind{};
    NodeId node;
    bool operator==(const PeerEvent&) const = default;
};
using PeerEvents = std::vector<PeerEvent>;

class Peers {
public:
    /// Events come in ascending order of id, losses before gains.
    PeerEvents on_quorum(const wire::QuorumView& view, WallTime now);
    /// A controller that was replaced by another process of the same node gives kOffline and then kOnline.
    PeerEvents on_group(const wire::GroupChange& change, WallTime now);
    /// An older entry with the same name under another id is dropped.
    PeerEvents on_identified(const wire::NodeRef& node);

    void set_expected(NodeId node, Expected expected);
    /// Removes lost nodes that match (all given fields); returns how many. Active nodes stay.
    std::size_t forget(NodeId node, std::string_view name);

    [[nodiscard]] const Peer* find(NodeId node) const;
    [[nodiscard]] const Peer* find(std::string_view name) const;
    [[nodiscard]] const std::map<NodeId, Peer>& all() const { return peers_; }
    [[nodiscard]] std::set<NodeId> active() const;
    [[nodiscard]] bool is_active(NodeId node) const;
    [[nodiscard]] std::string name_of(NodeId node) const;  ///< empty if unknown

    [[nodiscard]] bool quorate() const { return quorate_; }
    [[nodiscard]] bool ever_quorate() const { return ever_quorate_; }
    [[nodiscard]] bool has_view() const { return ring_ != 0; }
    [[nodiscard]] std::uint64_t ring() const { return ring_; }
    [[nodiscard]] const std::set<NodeId>& members() const { return members_; }

    void set_remote(std::string_view name, bool up, std::string_view host);
    bool forget_remote(std::string_view name);
    [[nodiscard]] const std::map<std::string, RemotePeer, std::less<>>& remotes() const { return remotes_; }

    [[nodiscard]] std::vector<std::string> check_state() const;

private:
    Peer& entry(NodeId node);
    std::map<NodeId, Peer> peers_;
    std::set<NodeId> members_;
    std::map<std::string, RemotePeer, std::less<>> remotes_;
    std::uint64_t ring_{};
    bool quorate_{}, ever_quorate_{};
};

}  // namespace systole::membership
