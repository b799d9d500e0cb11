#include "sim/network.h"

#include <algorithm>

#include "base/text.h"

namespace systole::sim {
namespace {

constexpr std::array kGroups{wire::Group::kCib, wire::Group::kController, wire::Group::kAttributes,
                             wire::Group::kFencing};

}  // namespace

Network::Network(Events& events, Random random, NetworkTimes times, std::vector<wire::NodeRef> nodes, bool two_node,
                 std::function<void(NodeId, const Delivery&)> deliver)
    : events_(events), random_(random), times_(times), two_node_(two_node), deliver_(std::move(deliver)) {
    for (const wire::NodeRef& node : nodes) state_[node.id].ref = node;
}

bool Network::reach(NodeId a, NodeId b) const {
    const State& x = state_.at(a);
    const State& y = state_.at(b);
    if (!x.running || !y.running || x.paused || y.paused) return false;
    return a == b || (!cut_.contains({a, b}) && !cut_.contains({b, a}));
}

std::vector<NodeId> Network::members_of(std::uint64_t ring) const {
    std::vector<NodeId> members;
    for (const auto& [id, state] : state_)
        if (state.ring == ring && ring != 0) members.push_back(id);
    return members;
}

bool Network::intact(std::uint64_t ring) const {
    const std::vector<NodeId> members = members_of(ring);
    for (const NodeId a : members)
        for (const NodeId b : members)
            if (a <= b && !reach(a, b)) return false;
    return ring != 0;
}

bool Network::quorate(NodeId node) const {
    const State& state = state_.at(node);
    if (!state.running || !intact(state.ring)) return false;
    const std::size_t count = members_of(state.ring).size();
    return 2 * count > state_.size() || (two_node_ && state_.size() == 2);
}

std::size_t Network::held_back() const {
    std::size_t most = 0;
    for (const auto& [id, state] : state_) most = std::max(most, state.waiting.size());
    return most;
}

Duration Network::ring_age(NodeId node) const { return events_.now() - state_.at(node).ring_since; }

std::set<NodeId> Network::ring_members(NodeId node) const {
    const std::vector<NodeId> members = members_of(state_.at(node).ring);
    return {members.begin(), members.end()};
}

void Network::changed(Duration delay) {
    if (reform_) {
        if (reform_->first <= events_.now() + delay) return;
        events_.cancel(*reform_);
    }
    reform_ = events_.in(delay, [this] {
        reform_.reset();
        form_rings();
    });
}

void Network::start(NodeId node) {
    State& state = state_.at(node);
    if (state.running) return;
    const wire::NodeRef ref = state.ref;
    const std::uint64_t life = state.life + 1;
    state = State{};
    state.ref = ref;
    state.life = life;
    state.running = true;
    state.ring = next_ring_++;
    state.ring_since = events_.now();
    post(node, wire::QuorumView{state.ring, quorate(node), {node}});
    changed(random_.between(times_.merge_min, times_.merge_max));
}

void Network::stop(NodeId node) {
    State& state = state_.at(node);
    if (!state.running) return;
    state.running = false;
    ++state.life;
    state.waiting.clear();
    state.held.clear();
    changed(times_.token + random_.between(Duration{0}, times_.consensus_max));
}

void Network::pause(NodeId node) {
    State& state = state_.at(node);
    if (!state.running || state.paused) return;
    state.paused = true;
    changed(times_.token + random_.between(Duration{0}, times_.consensus_max));
}

void Network::resume(NodeId node) {
    State& state = state_.at(node);
    if (!state.paused) return;
    state.paused = false;
    for (Delivery& delivery : std::exchange(state.held, {})) post(node, std::move(delivery));
    changed(random_.between(times_.merge_min, times_.merge_max));
}

void Network::set_link(NodeId from, NodeId to, bool up) {
    if (up)
        cut_.erase({from, to});
    else
        cut_.emplace(from, to);
    changed(up ? random_.between(times_.merge_min, times_.merge_max)
               : times_.token + random_.between(Duration{0}, times_.consensus_max));
}

void Network::heal() {
    cut_.clear();
    for (auto& [id, state] : state_) state.slow = Duration{0};
    changed(random_.between(times_.merge_min, times_.merge_max));
}

void Network::set_slow(NodeId node, Duration extra) { state_.at(node).slow = extra; }

void Network::post(NodeId to, Delivery delivery) {
    State& state = state_.at(to);
    // Deliveries to one node keep their order whatever the delays drawn.
    state.last_delivery = std::max(
        state.last_delivery, events_.now() + state.slow + random_.between(times_.latency_min, times_.latency_max));
    events_.at(state.last_delivery, [this, to, life = state.life, delivery = std::move(delivery)] {
        State& receiver = state_.at(to);
        if (!receiver.running || receiver.life != life) return;
        if (receiver.paused) {
            receiver.held.push_back(delivery);
            return;
        }
        deliver_(to, delivery);
    });
}

void Network::order(NodeId from, const Outgoing& outgoing) {
    State& sender = state_.at(from);
    if (outgoing.change) {
        if (outgoing.change->joins)
            sender.announced[outgoing.change->group] = outgoing.change->pid;
        else
            sender.announced.erase(outgoing.change->group);
    }
    for (const NodeId to : members_of(sender.ring)) {
        State& receiver = state_.at(to);
        if (!outgoing.change) {
            // Only members of the group hear it, and of those only the addressee takes it.
            if (!receiver.announced.contains(outgoing.group)) continue;
            if (!outgoing.to.empty() && !same_ignoring_case(outgoing.to, receiver.ref.name)) continue;
            ++messages_;
            post(to, wire::PeerMessage{outgoing.group, sender.ref, outgoing.message});
            continue;
        }
        auto& view = receiver.views[outgoing.change->group];
        const wire::GroupMember member{from, outgoing.change->pid};
        wire::GroupChange change{.group = outgoing.change->group};
        if (outgoing.change->joins) {
            view.insert(member);
            change.joined.push_back(member);
        } else {
            std::erase_if(view, [&](const wire::GroupMember& m) { return m.node == from; });
            change.left.push_back(member);
        }
        if (!receiver.announced.contains(outgoing.change->group) && to != from) continue;
        change.members.assign(view.begin(), view.end());
        post(to, std::move(change));
    }
}

void Network::join(NodeId node, wire::Group group, std::uint32_t pid) {
    State& state = state_.at(node);
    if (!state.running) return;
    const Outgoing outgoing{group, {}, {}, Membership{group, pid, true}};
    if (intact(state.ring))
        order(node, outgoing);
    else
        state.waiting.push_back(outgoing);
}

void Network::leave(NodeId node, wire::Group group) {
    State& state = state_.at(node);
    if (!state.running) return;
    const auto known = state.announced.find(group);
    const Outgoing outgoing{
        group, {}, {}, Membership{group, known == state.announced.end() ? 0 : known->second, false}};
    // What a dead process had not sent yet died with it.
    std::erase_if(state.waiting, [&](const Outgoing& o) { return o.group == group; });
    if (intact(state.ring))
        order(node, outgoing);
    else
        state.waiting.push_back(outgoing);
}

void Network::multicast(NodeId from, wire::Group group, const std::string& to, xml::NodePtr message) {
    State& state = state_.at(from);
    if (!state.running) return;
    const Outgoing outgoing{group, to, std::move(message), std::nullopt};
    if (intact(state.ring) && state.waiting.empty())
        order(from, outgoing);
    else
        state.waiting.push_back(outgoing);
}

void Network::tell_groups(State& state, const std::set<NodeId>& continuing, const std::vector<NodeId>& ring) {
    for (const wire::Group group : kGroups) {
        auto& view = state.views[group];
        wire::GroupChange leaving{.group = group};
        for (auto it = view.begin(); it != view.end();) {
            const State& member = state_.at(it->node);
            const auto known = member.announced.find(group);
            const bool stays =
                continuing.contains(it->node) && known != member.announced.end() && known->second == it->pid;
            if (!stays) leaving.left.push_back(*it);
            it = stays ? std::next(it) : view.erase(it);
        }
        leaving.members.assign(view.begin(), view.end());
        wire::GroupChange joining{.group = group};
        for (const NodeId node : ring) {
            const auto known = state_.at(node).announced.find(group);
            if (known == state_.at(node).announced.end()) continue;
            const wire::GroupMember member{node, known->second};
            if (view.insert(member).second) joining.joined.push_back(member);
        }
        joining.members.assign(view.begin(), view.end());
        if (!state.announced.contains(group)) continue;
        if (!leaving.left.empty()) post(state.ref.id, std::move(leaving));
        if (!joining.joined.empty()) post(state.ref.id, std::move(joining));
    }
}

void Network::form_rings() {
    // Lowest node first; everybody who reaches all that are in already joins. Links that are not transitive thus split
    // a ring as they do in Corosync, and alike on every run.
    std::vector<std::vector<NodeId>> rings;
    for (const auto& [id, state] : state_) {
        if (!state.running) continue;
        const auto fits = [&](const std::vector<NodeId>& ring) {
            return std::ranges::all_of(ring, [&](NodeId other) { return reach(id, other); });
        };
        const auto found = std::ranges::find_if(rings, fits);
        if (!state.paused && found != rings.end())
            found->push_back(id);
        else if (!state.paused)
            rings.push_back({id});
    }
    for (const std::vector<NodeId>& ring : rings) {
        if (members_of(state_.at(ring.front()).ring) == ring) {
            // A link was away for less time than anybody needs to notice: what was held back goes out.
            for (const NodeId node : ring)
                for (const Outgoing& outgoing : std::exchange(state_.at(node).waiting, {})) order(node, outgoing);
        }
    }
    // Whoever stays together still gets a new ring when others left theirs: all are compared with the rings before.
    std::erase_if(rings,
                  [&](const std::vector<NodeId>& ring) { return members_of(state_.at(ring.front()).ring) == ring; });
    for (const std::vector<NodeId>& ring : rings) {
        std::map<NodeId, std::uint64_t> before;
        for (const NodeId node : ring) before[node] = state_.at(node).ring;
        const std::uint64_t id = next_ring_++;
        for (const NodeId node : ring) {
            state_.at(node).ring = id;
            state_.at(node).ring_since = events_.now();
        }
        const bool has_quorum = quorate(ring.front());
        for (const NodeId node : ring) {
            State& state = state_.at(node);
            std::set<NodeId> continuing;
            for (const auto& [other, old_ring] : before)
                if (old_ring == before[node]) continuing.insert(other);
            // The two services tell their clients on their own; either may come first.
            const bool quorum_first = random_.chance(50);
            wire::QuorumView view{id, has_quorum, ring};
            if (quorum_first) post(node, view);
            tell_groups(state, continuing, ring);
            if (!quorum_first) post(node, std::move(view));
        }
        for (const NodeId node : ring)
            for (const Outgoing& outgoing : std::exchange(state_.at(node).waiting, {})) order(node, outgoing);
    }
    // Nodes that were left behind (dead, paused) are in no ring that counts; a paused one notices when it goes on.
    for (auto& [id, state] : state_)
        if (!state.running) state.ring = 0;
    bool again = false;
    for (const auto& [id, state] : state_) again = again || (state.running && !state.paused && !intact(state.ring));
    if (again) changed(times_.token);
}

}  // namespace systole::sim
