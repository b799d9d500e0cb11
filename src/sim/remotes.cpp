// Machines that carry nothing but pacemaker-remoted: remote nodes, and guests that live and die with a resource.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "sim/world.h"
#include "wire/message.h"

namespace systole::sim {
namespace {

constexpr Duration kRetransmit{200};    ///< a segment that was lost is sent again
constexpr Duration kForgotten{20'000};  ///< until a daemon hears that a machine without power holds its connection

bool is_peer(wire::ClientId client) { return client.value >= remote::kFirstPeer; }

}  // namespace

bool World::connected(NodeId from, NodeId to) const {
    return !cut_remotes_.contains({from, to}) && machines_.at(from).powered && machines_.at(to).powered;
}

bool World::reaches(NodeId host, NodeId remote) const {
    const Machine& machine = machines_.at(remote);
    return connected(host, remote) && connected(remote, host) && machine.server && !machine.executor_stopped &&
           !machine.paused && !machine.wrong_key;
}

// ---- Faults ---------------------------------------------------------------------------------------------------------

void World::cut_remote(NodeId from, NodeId to, Duration time) {
    note("", fmt::format("{} does not hear {} any more", name(to), name(from)));
    cut_remotes_.emplace(from, to);
    events_.in(time, [this, from, to] { cut_remotes_.erase({from, to}); });
}

void World::set_wrong_key(NodeId remote, Duration time) {
    note(name(remote), "has another authkey");
    machines_.at(remote).wrong_key = true;
    events_.in(time, [this, remote] { machines_.at(remote).wrong_key = false; });
}

void World::sync_guests() {
    for (auto& [id, machine] : machines_) {
        if (machine.container.empty()) continue;
        const bool runs = std::ranges::any_of(machines_, [&](const auto& entry) {
            return entry.second.powered && entry.second.services.active().contains(machine.container);
        });
        if (runs && !machine.powered)
            boot(id);
        else if (!runs && machine.powered)
            power_off(id, fmt::format("{} ended", machine.container));
    }
}

// ---- Connections ----------------------------------------------------------------------------------------------------

void World::connect_remote(NodeId host, const controller::ConnectRemote& order) {
    disconnect_remote(host, order.node);
    const NodeId target = find(order.server);
    machines_.at(host).links[order.node] = {.token = order.token, .target = target};
    const auto answer = [this, host, order](Duration in, controller::RemoteFault fault, std::string why) {
        core_event(host, in, [this, host, order, fault, why = std::move(why)](Machine& m) {
            const auto link = m.links.find(order.node);
            if (link == m.links.end() || link->second.token != order.token) return;
            m.links.erase(link);
            feed_core(host, controller::RemoteConnected{order.node, order.token, fault, why});
        });
    };
    using enum controller::RemoteFault;
    if (target.value == 0) return answer(Duration{2}, kUnresolved, "the name is not known");
    const Machine& machine = machines_.at(target);
    if (connected(host, target) && connected(target, host) && !machine.paused && !machine.executor_stopped) {
        if (!machine.server) return answer(Duration{2}, kUnreachable, "connection refused");
        if (machine.wrong_key) return answer(Duration{5}, kRejected, "the keys differ");
        core_event(host, random_.between(Duration{2}, Duration{6}), [this, host, order, target, answer](Machine& m) {
            const auto link = m.links.find(order.node);
            if (link == m.links.end() || link->second.token != order.token) return;
            if (!reaches(host, target)) return answer(order.timeout, kUnreachable, "timed out");
            const wire::ClientId peer{remote::kFirstPeer + ++last_peer_};
            link->second.peer = peer;
            machines_.at(target).peers[peer] = {host, order.node, order.token};
            feed_server(target, remote::PeerConnected{peer, fmt::format("peer-{}", last_peer_), name(host)});
            feed_core(host, controller::RemoteConnected{order.node, order.token, kNone, {}});
        });
        return;
    }
    answer(order.timeout, kUnreachable, "timed out");
}

void World::disconnect_remote(NodeId host, const std::string& node) {
    Machine& machine = machines_.at(host);
    const auto link = machine.links.find(node);
    if (link == machine.links.end()) return;
    if (options_.sabotage == Sabotage::kConnectionsStay && link->second.peer.value != 0) return;
    const Link gone = link->second;
    machine.links.erase(link);
    if (gone.peer.value != 0) tell_closed(gone.target, gone.peer, kHop, "closed by the cluster");
}

std::set<std::string> World::connections(NodeId host) const {
    std::set<std::string> open;
    for (const auto& [node, link] : machines_.at(host).links)
        if (link.peer.value != 0) open.insert(node);
    return open;
}

/// The daemon hears that a cluster's connection is over.
void World::tell_closed(NodeId target, wire::ClientId peer, Duration in, const std::string& why) {
    executor_event(target, in, [this, target, peer, why](Machine& m) {
        if (m.peers.erase(peer) > 0 && m.server) feed_server(target, remote::PeerClosed{peer, why});
    });
}

/// The core of a host ended, with its connections.
void World::drop_links(NodeId host) {
    const bool powered = machines_.at(host).powered;
    for (const auto& [node, link] : std::exchange(machines_.at(host).links, {}))
        if (link.peer.value != 0)
            tell_closed(link.target, link.peer, powered ? kHop : kForgotten,
                        powered ? "closed by the cluster" : "no answer any more");
}

/// The daemon of a remote node ended: where the machine lives on, its system tells so.
void World::drop_peers(NodeId target) {
    Machine& machine = machines_.at(target);
    for (const auto& [peer, place] : std::exchange(machine.peers, {}))
        if (machine.powered)
            core_event(place.host, kHop,
                       [this, place](Machine& m) { lose_link(m, place.host, place.node, place.token); });
}

void World::lose_link(Machine& machine, NodeId host, const std::string& node, std::uint32_t token) {
    const auto link = machine.links.find(node);
    if (link == machine.links.end() || link->second.token != token) return;
    machine.links.erase(link);
    feed_core(host, controller::RemoteLost{node, token, "connection reset by peer"});
}

void World::to_remote(NodeId host, const controller::ToRemote& order) {
    Machine& machine = machines_.at(host);
    const auto link = machine.links.find(order.node);
    if (link == machine.links.end() || link->second.peer.value == 0) return;
    link->second.outgoing.push_back(order.message);
    if (link->second.outgoing.size() == 1) pump_out(host, order.node, link->second.token, kHop);
}

/// What is lost on the way is sent again, and in order.
void World::pump_out(NodeId host, const std::string& node, std::uint32_t token, Duration in) {
    events_.in(in, [this, host, node, token] {
        Machine& machine = machines_.at(host);
        const auto link = machine.links.find(node);
        if (link == machine.links.end() || link->second.token != token) return;
        const NodeId target = link->second.target;
        if (!connected(host, target)) return pump_out(host, node, token, kRetransmit);
        for (const xml::NodePtr& message : std::exchange(link->second.outgoing, {}))
            executor_event(target, kHop, [this, target, peer = link->second.peer, message](Machine& m) {
                if (m.peers.contains(peer)) feed_server(target, remote::PeerMessage{peer, message});
            });
    });
}

void World::pump_in(NodeId target, wire::ClientId peer, Duration in) {
    events_.in(in, [this, target, peer] {
        Machine& machine = machines_.at(target);
        const auto found = machine.peers.find(peer);
        if (found == machine.peers.end()) return;
        const NodeId host = found->second.host;
        if (!connected(target, host)) return pump_in(target, peer, kRetransmit);
        for (const xml::NodePtr& message : std::exchange(found->second.outgoing, {}))
            core_event(host, kHop,
                       [this, host, node = found->second.node, token = found->second.token, message](Machine& m) {
                           const auto link = m.links.find(node);
                           if (link == m.links.end() || link->second.token != token) return;
                           feed_core(host, controller::RemoteMessage{node, token, message});
                       });
    });
}

// ---- The daemon -----------------------------------------------------------------------------------------------------

void World::feed_server(NodeId node, remote::Input input) {
    Machine& machine = machines_.at(node);
    if (!machine.server) return;
    machine.server_inputs.push_back(std::move(input));
    if (machine.server_busy) return;
    machine.server_busy = true;
    const std::uint64_t life = machine.executor_life;
    while (machine.executor_life == life && !machine.server_inputs.empty()) {
        const remote::Input next = std::move(machine.server_inputs.front());
        machine.server_inputs.pop_front();
        for (const remote::Effect& effect : machine.server->on(both_clocks(machine), next)) {
            perform_server(node, effect);
            if (machine.executor_life != life) break;
        }
    }
    machine.server_busy = false;
}

void World::perform_server(NodeId node, const remote::Effect& effect) {
    Machine& machine = machines_.at(node);
    if (const auto* to_peer = std::get_if<remote::ToPeer>(&effect)) {
        const auto peer = machine.peers.find(to_peer->peer);
        if (peer == machine.peers.end()) return;
        peer->second.outgoing.push_back(to_peer->message);
        if (peer->second.outgoing.size() == 1) pump_in(node, to_peer->peer, kHop);
    } else if (const auto* close = std::get_if<remote::ClosePeer>(&effect)) {
        const auto peer = machine.peers.extract(close->peer);
        if (peer.empty()) return;
        core_event(peer.mapped().host, kHop,
                   [this, place = peer.mapped()](Machine& m) { lose_link(m, place.host, place.node, place.token); });
        executor_event(node, Duration{0}, [this, node, id = close->peer, why = close->why](Machine&) {
            feed_server(node, remote::PeerClosed{id, why});
        });
    } else if (const auto* to_executor = std::get_if<remote::ToExecutor>(&effect)) {
        feed_executor(node, to_executor->input);
    } else if (const auto* respond = std::get_if<wire::Respond>(&effect)) {
        executor_event(node, kHop, [this, node, client = respond->client](Machine&) {
            feed_server(node, wire::ClientClosed{client});
        });
    } else if (const auto* timer = std::get_if<wire::ArmTimer>(&effect)) {
        arm(node, Part::kExecutor, &Machine::server_timers, *timer,
            [this, node](const wire::TimerFired& fired) { feed_server(node, fired); });
    } else if (const auto* cancel = std::get_if<wire::CancelTimer>(&effect)) {
        disarm(machine.server_timers, cancel->name);
    } else if (const auto* line = std::get_if<wire::Log>(&effect)) {
        perform_log(node, *line);
    }
}

bool World::for_server(NodeId node, const executor::Effect& effect) {
    if (!machines_.at(node).server) return false;
    return std::visit(
        [&](const auto& what) {
            using What = std::decay_t<decltype(what)>;
            if constexpr (std::is_same_v<What, wire::Respond> || std::is_same_v<What, wire::SendEvent> ||
                          std::is_same_v<What, wire::Evict>) {
                if (!is_peer(what.client)) return false;
                feed_server(node, remote::FromExecutor{what});
                return true;
            } else {
                return false;
            }
        },
        effect);
}

/// A command's request on a remote node: relayed to the cluster, if there is one.
void World::remote_request(NodeId node, wire::Service service, const xml::NodePtr& message) {
    const wire::Client client{.id = {next_client_++},
                              .service = service,
                              .pid = 1,
                              .user = "root",
                              .privileged = true,
                              .uuid = fmt::format("agent-{}", next_client_)};
    Machine& machine = machines_.at(node);
    if (!machine.server || machine.server->admit(client) != 0) return;
    feed_server(node, wire::ClientConnected{client});
    feed_server(node, wire::ClientRequest{client.id, 1, wire::kExpectsResponse, message});
}

}  // namespace systole::sim
