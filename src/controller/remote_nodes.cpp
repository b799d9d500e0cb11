// controller/remote_nodes.cpp — remote and guest nodes whose connections this node hosts, and what the cluster is told
// of them.
//
// A remote node's state in the CIB is written by the host of its connection: a connection that was newly made finds a
// node of which nothing is known for certain, so its history is erased and probed again; one that was taken over while
// it stood changes nothing. A guest node that ended with its container is cleaned up by the DC, whose plan says when.
// Source: protocol sheets executor-remote.md, section 8; controller.md, sections 9, 10 and 13.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cib/request.h"
#include "controller/state.h"

namespace systole::controller {
namespace {

template <class... F>
struct Overloaded : F... {
    using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace

void Controller::State::perform(RemoteConnections::Events events) {
    for (RemoteEvent& event : events) {
        std::visit(Overloaded{
                       [&](const ConnectionResult& e) { on_connection_result(e); },
                       [&](const RemoteUp& e) { remote_up(e); },
                       [&](const RemoteGone& e) { remote_gone(e.node); },
                       [&](const RemoteDown& e) { remote_down(e.node); },
                       [&](const RemoteHandedOver& e) {
                           log(wire::Severity::kNotice, fmt::format("{} was taken over by another node", e.node),
                               e.node);
                           remote_resources.erase(e.node);
                           early_notices.erase(e.node);
                           out.emplace_back(ProxyClosed{e.node});
                       },
                       [&](const RemoteSearch& e) {
                           auto question = message("remote_reach", "crmd", "crmd", "");
                           question.set("id", e.node).set("server", e.server).set("port", e.port);
                           send("", std::move(question).build());
                       },
                       [&](const RemoteSearched& e) { remote_searched(e); },
                       [&](const RemoteReached& e) {
                           if (!e.reachable) return;
                           auto answer = message("remote_reached", "crmd", "crmd", e.asker);
                           answer.set("id", e.node);
                           send(e.asker, std::move(answer).build());
                       },
                       [&](const RemoteAnswer& e) {
                           if (Resources* there = resources_of(e.node); there != nullptr)
                               perform(e.node, there->on_reply(now, e.reply));
                       },
                       [&](const RemoteNotice& e) {
                           const Resources* there = resources_of(e.node);
                           if (there != nullptr && there->importing()) {
                               early_notices[e.node].push_back(e.message);
                           } else {
                               remote_notice(e.node, *e.message);
                           }
                       },
                       [&](ControllerEffect& e) { out.push_back(std::move(e)); },
                   },
                   event);
    }
}

bool Controller::State::is_remote(std::string_view node) const {
    if (peers.remotes().contains(node) || connections.is_up(node)) return true;
    const xml::Node* status = cib ? cib->child("status") : nullptr;
    const xml::Node* state = status == nullptr ? nullptr : status->child("node_state", node);
    return state != nullptr && parse_bool(state->get("remote_node")).value_or(false);
}

Resources* Controller::State::resources_of(std::string_view node) {
    if (node.empty()) return &resources;
    const auto found = remote_resources.find(node);
    return found == remote_resources.end() ? nullptr : &found->second;
}

void Controller::State::remote_up(const RemoteUp& up) {
    if (!up.taken_over) write_remote_state(up.node, true, true);
    tell_remote_state(up.node, true);
    const auto [it, fresh] =
        remote_resources.insert_or_assign(up.node, Resources({NodeId{}, up.node}, Resources::Kind::kRemoteNode));
    perform(up.node, it->second.on_executor_up(now));
    if (up.taken_over) perform(up.node, it->second.import(now, lrm_in(cib.get(), up.node)));
}

void Controller::State::remote_imported(const std::string& node) {
    const auto early = early_notices.extract(node);
    if (early.empty()) return;
    for (const xml::NodePtr& message : early.mapped()) remote_notice(node, *message);
}

void Controller::State::remote_notice(const std::string& node, const xml::Node& message) {
    if (Resources* there = resources_of(node); there != nullptr) perform(node, there->on_event(now, message));
}

/// What runs there runs on; results of what was ordered there do not come any more.
void Controller::State::remote_gone(const std::string& node) {
    remote_resources.erase(node);
    early_notices.erase(node);
    out.emplace_back(ProxyClosed{node});
    tell_remote_state(node, false);
}

void Controller::State::remote_down(const std::string& node) {
    remote_gone(node);
    write_remote_state(node, false, false);
}

void Controller::State::write_remote_state(const std::string& node, bool up, bool erase_history) {
    if (erase_history)
        cib_call(cib::make_request(cib::Op::kDelete, fmt::format("//node_state[@uname='{}']/lrm", node), {},
                                   cib::option::kXPath));
    forget_attributes(node);
    xml::Builder state("node_state");
    state.set("id", node).set("uname", node).set("remote_node", "true").set("in_ccm", up ? "true" : "false");
    if (up) state.set("node_fenced", "0");
    state.set("crm-debug-origin", up ? "remote_node_up" : "remote_node_down");
    cib_call(cib::make_request(cib::Op::kModify, "status", std::move(state).build(), cib::option::kCanCreate));
}

/// The writer of attributes erases them in the CIB as well. Erased by us, who are not in step with it, they would be
/// written back by it before it hears that they are to go.
void Controller::State::forget_attributes(const std::string& node) {
    xml::Builder purge("attrd");
    purge.set("t", "attrd").set("src", "crmd").set("task", "peer-remove").set("attr_host", node).set("reap", "false");
    out.emplace_back(AttributeCall{std::move(purge).build()});
}

void Controller::State::tell_remote_state(const std::string& node, bool up) {
    auto state = message("remote_state", "crmd", "crmd", "");
    state.set("id", node).set("in_ccm", up ? "true" : "false").set("connection_host", self.name);
    send("", std::move(state).build());
}

void Controller::State::on_remote_state(const wire::NodeRef& from, const xml::Node& message) {
    const std::string node(message.id());
    if (node.empty()) return;
    const bool up = parse_bool(message.get("in_ccm")).value_or(false);
    const auto known = peers.remotes().find(node);
    const bool was_up = known != peers.remotes().end() && known->second.up;
    remote_is(node, up, message.get("connection_host", from.name));
    if (up && !was_up && holds_office()) {
        // A plan that brings the node up goes on there, unless it was made when nothing could be planned for it.
        const transition::Graph* graph = runner.running() ? runner.graph() : nullptr;
        const bool planned = graph != nullptr && std::ranges::any_of(graph->actions, [&](const auto& action) {
                                 return action.is_remote() && action.node == node;
                             });
        if (!planned) abort(fmt::format("{} is connected", node));
    }
    // What was ordered there is not going to be answered; the plan that runs must not wait for it.
    if (!up && holds_office()) perform(runner.on_node_lost(now.mono, node));
}

void Controller::State::on_reach_request(const wire::NodeRef& from, const xml::Node& message) {
    const auto port = parse_integer(message.get("port"));
    if (from.id == self.id || message.id().empty() || !port || *port <= 0 || *port > 65535) return;
    perform(connections.reach(from.name, std::string(message.id()), std::string(message.get("server")),
                              static_cast<std::uint16_t>(*port)));
}

void Controller::State::remote_searched(const RemoteSearched& searched) {
    const std::string& node = searched.node;
    if (searched.ordered) {
        log(wire::Severity::kInfo, fmt::format("{} is no longer looked for: an order came first", node), node);
    } else if (!searched.found) {
        log(wire::Severity::kWarning, fmt::format("no node can reach {}: its connection has failed", node), node);
    } else if (searched.here) {
        log(wire::Severity::kNotice, fmt::format("{} can be reached again: connecting anew", node), node);
    } else {
        // The scheduler knows no better reason to prefer another host than that a start has failed here.
        log(wire::Severity::kWarning,
            fmt::format("{} can be reached from other nodes, but not from {}: moving its connection; clean {} up here "
                        "once that is repaired",
                        node, self.name, node),
            node);
        awaited_bans.emplace(node, ConnectionResult{});
        for (const auto& [name, value] : {std::pair{"fail-count", std::string("INFINITY")},
                                          std::pair{"last-failure", std::to_string(now.wall.seconds)}}) {
            xml::Builder update("update_attr");
            update.set("t", "attrd").set("src", "crmd").set("task", "update");
            update.set("attr_name", fmt::format("{}-{}#start_0", name, node)).set("attr_value", value);
            update.set("attr_host", self.name).set("attr_host_id", self.id.value);
            update.set("attr_is_remote", "0").set("attr_is_private", "0");
            out.emplace_back(AttributeCall{std::move(update).build()});
        }
    }
    const auto held = held_orders.extract(node);
    if (held.empty()) return;
    for (const auto& [op, requester] : held.mapped())
        perform(Resources({NodeId{}, node}, Resources::Kind::kRemoteNode)
                    .refuse_unconnected(*op, requester, fmt::format("There is no connection to {}", node)));
}

void Controller::State::on_connection_result(const ConnectionResult& result) {
    const auto awaited = awaited_bans.find(result.node);
    if (result.run == 0 && awaited != awaited_bans.end()) {
        awaited->second = result;
        release_banned();
    } else {
        perform(resources.on_connection_result(now, result));
    }
}

/// A plan made between the two would start the connection where it has just failed.
void Controller::State::release_banned() {
    for (auto it = awaited_bans.begin(); it != awaited_bans.end();) {
        const std::string attribute = fmt::format("fail-count-{}#start_0", it->first);
        if (it->second.node.empty() || transient_value(self.name, attribute) != "INFINITY") {
            ++it;
            continue;
        }
        const ConnectionResult result = it->second;
        it = awaited_bans.erase(it);
        perform(resources.on_connection_result(now, result));
    }
}

void Controller::State::on_pseudo_event(const transition::Action& action) {
    if (action.operation == "stonith") {
        for (const std::string& guest : action.downed) {
            log(wire::Severity::kNotice, fmt::format("{} ended with its container", guest), guest);
            write_remote_state(guest, false, true);
            tell_remote_state(guest, false);
        }
        return;
    }
    const xml::Node* maintenance = action.xml->child("maintenance");
    if (action.operation != "maintenance_nodes" || maintenance == nullptr) return;
    xml::Builder status("status");
    for (const auto& entry : maintenance->children()) {
        if (!entry->is("node") || entry->id().empty()) continue;
        xml::Builder state("node_state");
        state.set("id", entry->id())
            .set("uname", entry->id())
            .set("remote_node", "true")
            .set("node_in_maintenance", entry->get("node_in_maintenance"));
        status.add(std::move(state));
    }
    if (!status.children().empty())
        cib_call(cib::make_request(cib::Op::kModify, "status", std::move(status).build(), cib::option::kCanCreate));
}

ControllerEffects Controller::on_remote_shutdown(const Now& now, const std::string& node) {
    State& s = *state_;
    s.now = now;
    s.log(wire::Severity::kNotice, fmt::format("{} wants to shut down: moving its resources away", node), node);
    xml::Builder update("update_attr");
    update.set("t", "attrd")
        .set("src", "crmd")
        .set("task", "update")
        .set("attr_name", "shutdown")
        .set("attr_value", static_cast<long long>(now.wall.seconds))
        .set("attr_host", node)
        .set("attr_is_remote", "1")
        .set("attr_is_private", "0");
    s.out.emplace_back(AttributeCall{std::move(update).build()});
    return s.finish();
}

}  // namespace systole::controller
