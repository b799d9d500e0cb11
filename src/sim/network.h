#pragma once
// sim/network.h — a virtual Corosync: total order within a ring, agreed membership views, partitions and merges.
//
// Nodes that reach each other in both directions form a ring. Within an intact ring every message is delivered to all
// members in one order. When a ring breaks (a node dies, stops answering, a link fails), messages wait; after the token
// timeout the reachable nodes form new rings, each node is told who left and who joined, seen from where it was, and
// what waited is sent in the new ring. Nodes that went through different rings meanwhile see each other leave and join
// again.
//
// Invariants: two nodes that pass from one ring into the same next ring have seen the same messages in the same order
// (agreed delivery, Corosync's virtual synchrony); a node is in one ring.
// Source: corosync_overview(8), cpg_overview(3); protocol sheet cpg.md, sections 2 to 6.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "sim/events.h"
#include "sim/random.h"
#include "wire/port.h"

namespace systole::sim {

using Delivery = std::variant<wire::PeerMessage, wire::GroupChange, wire::QuorumView>;

struct NetworkTimes {
    Duration latency_min{0}, latency_max{2};
    Duration token{1000};                     ///< until a break is noticed
    Duration consensus_max{400};              ///< added at random
    Duration merge_min{100}, merge_max{500};  ///< until reachable rings find each other
};

class Network {
public:
    Network(Events& events, Random random, NetworkTimes times, std::vector<wire::NodeRef> nodes, bool two_node,
            std::function<void(NodeId, const Delivery&)> deliver);

    void start(NodeId node);  ///< the engine of a node starts, in a ring of its own
    void stop(NodeId node);   ///< it is gone without a word (power)
    void pause(NodeId node);
    void resume(NodeId node);
    /// One direction of a link.
    void set_link(NodeId from, NodeId to, bool up);
    void heal();
    /// Adds to the delivery time of everything for that node.
    void set_slow(NodeId node, Duration extra);

    void join(NodeId node, wire::Group group, std::uint32_t pid);
    void leave(NodeId node, wire::Group group);  ///< also when the process died
    void multicast(NodeId from, wire::Group group, const std::string& to, xml::NodePtr message);

    [[nodiscard]] bool running(NodeId node) const { return state_.at(node).running; }
    /// Is the node, in truth, in a ring with quorum that is intact?
    [[nodiscard]] bool quorate(NodeId node) const;
    [[nodiscard]] std::set<NodeId> ring_members(NodeId node) const;
    /// Since when the node is in its ring.
    [[nodiscard]] Duration ring_age(NodeId node) const;
    /// Most messages that any node holds back for want of an intact ring.
    [[nodiscard]] std::size_t held_back() const;
    [[nodiscard]] std::size_t messages() const { return messages_; }

private:
    struct Membership {
        wire::Group group{};
        std::uint32_t pid{};
        bool joins{};
    };
    struct Outgoing {
        wire::Group group{};
        std::string to;
        xml::NodePtr message;  // null: `change` counts
        std::optional<Membership> change;
    };
    struct State {
        wire::NodeRef ref;
        bool running = false;
        bool paused = false;
        Duration slow{0};
        std::uint64_t ring = 0;
        Instant ring_since{};
        Instant last_delivery{};
        std::vector<Outgoing> waiting;                             // while the ring is broken
        std::vector<Delivery> held;                                // while paused
        std::uint64_t life = 0;                                    // deliveries of an earlier life are dropped
        std::map<wire::Group, std::uint32_t> announced;            // what the ring knows of our processes
        std::map<wire::Group, std::set<wire::GroupMember>> views;  // as last delivered to this node
    };
    [[nodiscard]] bool reach(NodeId a, NodeId b) const;
    [[nodiscard]] bool intact(std::uint64_t ring) const;
    [[nodiscard]] std::vector<NodeId> members_of(std::uint64_t ring) const;
    void changed(Duration delay);
    void form_rings();
    void order(NodeId from, const Outgoing& outgoing);
    void post(NodeId to, Delivery delivery);
    void tell_groups(State& state, const std::set<NodeId>& continuing, const std::vector<NodeId>& ring);

    Events& events_;
    Random random_;
    NetworkTimes times_;
    bool two_node_;
    std::function<void(NodeId, const Delivery&)> deliver_;
    std::map<NodeId, State> state_;
    std::set<std::pair<NodeId, NodeId>> cut_;
    std::uint64_t next_ring_ = 1;
    std::optional<Events::Handle> reform_;
    std::size_t messages_ = 0;
};

}  // namespace systole::sim
