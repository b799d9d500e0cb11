// Remote and guest nodes of the toy world: machines with an executor that answers over connections.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "controller/toy_world.h"

namespace systole::controller::toy {

World::Machine& World::machine_of(const std::string& name) {
    const auto remote = remote_machines_.find(name);
    return remote == remote_machines_.end() ? machines_.at(name) : remote->second;
}

bool World::is_stuck(const Machine& machine) const {
    const auto remote = remotes_.find(machine.name);
    return remote != remotes_.end() && (remote->second.frozen || !machine.power);
}

void World::power_on_remote(const std::string& name) {
    Machine& machine = remote_machines_.at(name);
    if (machine.power) return;
    note(name + " power on");
    machine.power = true;
    machine.executor = {};
    machine.executor.up = true;
}

void World::power_off_remote(const std::string& name) {
    Machine& machine = remote_machines_.at(name);
    if (!machine.power) return;
    note(name + " power off");
    machine.power = false;
    machine.services.clear();
    machine.executor = {};
    remotes_[name].frozen = false;
    cut_connection(name);
}

void World::freeze_remote(const std::string& name, bool frozen) {
    note(name + (frozen ? " frozen" : " thawed"));
    remotes_.at(name).frozen = frozen;
}

void World::cut_connection(const std::string& name) {
    Remote& remote = remotes_.at(name);
    remote.providers.clear();
    for (const auto& [host, token] : std::exchange(remote.connections, {})) {
        at(Duration(1), [this, host = host, token = token, name] {
            feed(machines_.at(host), RemoteLost{.node = name, .token = token, .why = "Connection reset by peer"});
        });
    }
}

std::vector<std::string> World::connected(const std::string& name) const {
    std::vector<std::string> hosts;
    for (const auto& [host, token] : remotes_.at(name).connections) hosts.push_back(host);
    return hosts;
}

void World::connect_remote(const std::string& host, const ConnectRemote& order) {
    disconnect_remote(host, order.node);
    const std::uint64_t life = machines_.at(host).life;
    // A peer that is asked to try uses a name of its own.
    const bool test = order.node.starts_with("?");
    const std::string target = test ? order.node.substr(1) : order.node;
    const auto remote = remotes_.find(target);
    const bool answers =
        remote != remotes_.end() && !is_stuck(remote_machines_.at(target)) && !blocked_.contains({host, target});
    at(answers ? Duration(3) : std::min(order.timeout, Duration(200)),
       [this, host, life, order, answers, test, target] {
           Machine& machine = machines_.at(host);
           if (machine.life != life) return;
           RemoteConnected connected{.node = order.node, .token = order.token, .fault = RemoteFault::kNone, .why = {}};
           if (answers && !is_stuck(remote_machines_.at(target))) {
               if (!test) remotes_.at(target).connections[host] = order.token;
           } else {
               connected.fault = RemoteFault::kUnreachable;
               connected.why = "Connection refused";
           }
           feed(machine, connected);
       });
}

void World::disconnect_remote(const std::string& host, const std::string& node) {
    const auto remote = remotes_.find(node);
    if (remote == remotes_.end()) return;
    remote->second.connections.erase(host);
    std::erase(remote->second.providers, host);
}

void World::host_lost(const std::string& host) {
    for (const auto& [node, remote] : remotes_) disconnect_remote(host, node);
}

void World::tell_host(const std::string& node, const std::string& host, const xml::NodePtr& message) {
    const Remote& remote = remotes_.at(node);
    const auto connection = remote.connections.find(host);
    if (connection == remote.connections.end()) return;
    at(Duration(1), [this, node, host, token = connection->second, message] {
        feed(machines_.at(host), RemoteMessage{.node = node, .token = token, .message = message});
    });
}

void World::to_remote(const std::string& host, const ToRemote& order) {
    at(Duration(1), [this, host, order] {
        Remote& remote = remotes_.at(order.node);
        Machine& machine = remote_machines_.at(order.node);
        if (!remote.connections.contains(host) || is_stuck(machine)) return;
        const xml::Node& message = *order.message;
        const auto notify = [&](const std::string& to, std::string_view op) {
            xml::Builder notice("lrmd_notify");
            notice.set("lrmd_op", op).set("lrmd_rc", "0").set("lrmd_remote_msg_id", "0");
            notice.set("lrmd_remote_msg_type", "notify");
            tell_host(order.node, to, std::move(notice).build());
        };
        if (message.is("lrmd_ipc_proxy")) {
            remote.proxied.push_back(order.message);
            return;
        }
        const std::string_view op = message.get("lrmd_op");
        xml::Builder reply("lrmd_reply");
        reply.set("lrmd_rc", "0").set("lrmd_callid", ++machine.executor.calls);
        if (op == "register") {
            for (const std::string& other : remote.providers) notify(other, "lrmd_rsc_new_client");
            remote.providers.push_back(host);
        } else if (op != "lrmd_rsc_poke") {
            reply = execute(machine, message);
        }
        reply.set("lrmd_remote_msg_id", message.get("lrmd_remote_msg_id")).set("lrmd_remote_msg_type", "reply");
        tell_host(order.node, host, std::move(reply).build());
        if (op == "lrmd_rsc_poke") notify(host, op);
    });
}

void World::from_remote(const std::string& node, const xml::NodePtr& message) {
    const Remote& remote = remotes_.at(node);
    if (!remote.providers.empty()) tell_host(node, remote.providers.back(), message);
}

std::vector<xml::NodePtr> World::proxied(const std::string& node) {
    return std::exchange(remotes_.at(node).proxied, {});
}

/// A resource that is a guest: its machine goes on and off with it.
void World::switch_guest(const Machine& machine, const std::string& resource, bool on) {
    const auto guest = options_.guests.find(resource);
    if (guest == options_.guests.end()) return;
    const auto service = machine.services.find(resource);
    if (on) {
        power_on_remote(guest->second);
    } else if (service != machine.services.end() && service->second.running) {
        power_off_remote(guest->second);
    }
}

}  // namespace systole::controller::toy
