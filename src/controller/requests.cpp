// controller/requests.cpp — messages of peers and of local clients, and their answers.
// Source: protocol sheets controller.md, sections 5 to 7; ipc.md, sections 9 and 10.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cib/request.h"
#include "controller/state.h"

namespace systole::controller {

Readiness Controller::State::readiness() const {
    if (shutting_down) return Readiness::kShuttingDown;
    if (std::holds_alternative<Following>(phase)) return Readiness::kReady;
    const Office* mine = office();
    if (mine != nullptr &&
        (mine->step == DcStep::kPlanning || mine->step == DcStep::kRunning || mine->step == DcStep::kIdle))
        return Readiness::kReady;
    return Readiness::kStopsOnly;
}

void Controller::State::on_message(const wire::NodeRef& from, const xml::NodePtr& message) {
    const std::string_view to = message->get("crm_host_to");
    if (!to.empty() && !same_ignoring_case(to, self.name)) return;
    if (std::holds_alternative<Stopping>(phase)) return;
    const std::string_view task = wire::task_of(*message);
    const std::string_view system = message->get("crm_sys_to");
    if (task == "vote" || task == "no-vote") {
        on_vote(from, *message);
        return;
    }
    // Whatever is addressed to a client's id goes to that client, be it a reply or an acknowledgement.
    for (const auto& [id, client] : clients) {
        if (client.uuid.empty() || client.uuid != system) continue;
        out.emplace_back(wire::SendEvent{id, message});
        return;
    }
    if (task == "lrm_invoke" && (system == "tengine" || system == "dc")) {
        on_direct_ack(*message);
        return;
    }
    if (wire::is_response(*message)) return;
    if ((system == "dc" || system == "tengine") && office() == nullptr) return;  // the DC hears it too
    on_request(from, message);
}

void Controller::State::on_request(const wire::NodeRef& from, const xml::NodePtr& message) {
    const std::string_view task = wire::task_of(*message);
    if (task == "hello") {
        on_greeting(from, *message);
    } else if (task == "noop") {
        return;
    } else if (task == "join_announce") {
        on_announce(from);
    } else if (task == "join_offer") {
        on_offer(from, *message);
    } else if (task == "join_request") {
        on_join_request(from, *message);
    } else if (task == "join_ack_nack") {
        on_join_ack(from, *message);
    } else if (task == "join_confirm") {
        on_join_confirm(from, *message);
    } else if (task == "req_shutdown") {
        on_shutdown_request(from);
    } else if (task == "do_shutdown") {
        if (from.id == self.id || same_ignoring_case(from.name, member.dc())) stop(ExitCode::kOk, "shut down");
    } else if (task == "throttle") {
        on_throttle(from, *message);
    } else if (task == "remote_state") {
        on_remote_state(from, *message);
    } else if (task == "remote_reach") {
        on_reach_request(from, *message);
    } else if (task == "remote_reached") {
        perform(connections.on_reachable(now, std::string(message->id())));
    } else if (task == "rm_node_cache") {
        forget_node(*message, false);
    } else if (task == "ping") {
        xml::Builder pong("ping_response");
        pong.set("crm_subsystem", message->get("crm_sys_to", "crmd"))
            .set("crmd_state", state_name())
            .set("result", "ok");
        reply(*message, std::move(pong).build());
    } else if (task == "node-info") {
        answer_node_info(*message);
    } else if (task == "list-nodes") {
        answer_list_nodes(*message);
    } else if (task == "lrm_invoke" || task == "lrm_delete" || task == "lrm_fail" || task == "probe_again" ||
               task == "lrm_refresh" || task == "clear_failcount") {
        on_resource_request(message);
    } else if (task == "maintenance_nodes") {
        return;  // remote nodes' flags: our DC writes them itself
    } else {
        log(wire::Severity::kWarning, fmt::format("request '{}' of {} is not known", task, from.name), from.name);
    }
}

// ---- Local clients --------------------------------------------------------------------------------------------------

void Controller::State::on_client_request(const wire::Client& client, const wire::ClientRequest& request) {
    const bool respond = (request.flags & wire::kExpectsResponse) != 0;
    const auto ack = [&](ExitCode code) {
        if (respond)
            out.emplace_back(
                wire::Respond{client.id, request.id, wire::make_ack("controller", static_cast<int>(code))});
    };
    if (!request.message) {
        ack(ExitCode::kProtocol);
        return;
    }
    ack(ExitCode::kIndeterminate);
    const xml::Node& message = *request.message;
    const std::string_view task = wire::task_of(message);
    if (task == "hello") {
        const xml::NodePtr options = wire::data_of(message);
        const std::string_view name = options ? options->get("client_name") : std::string_view{};
        if (name.empty() || options->get("client_uuid").empty() || options->get("major_version") != "1") {
            out.emplace_back(wire::Evict{client.id, "bad hello"});
            return;
        }
        hellos[client.id] = name;
        return;
    }
    if (!hellos.contains(client.id)) {
        log(wire::Severity::kWarning,
            fmt::format("request '{}' of client {} ignored: it has not introduced itself", task, client.pid));
        return;
    }
    xml::Builder forwarded(message);
    forwarded.set("crm_sys_from", client.uuid).set("src", self.name);
    if (!client.privileged || !message.has("crm_user")) forwarded.set("crm_user", client.user);
    const std::string_view system = message.get("crm_sys_to");
    std::string host(message.get("crm_host_to"));
    const xml::NodePtr ready = forwarded.build();
    if (task == "rm_node_cache") {
        forget_node(*ready, true);
        return;
    }
    if (host.empty() && (system == "dc" || system == "tengine")) {
        if (office() != nullptr || dc_name().empty()) {
            // Without a DC a ping is answered here, so that the asker learns that there is none.
            if (office() != nullptr || task == "ping") {
                on_request(self, ready);
            } else {
                log(wire::Severity::kInfo, fmt::format("request '{}' dropped: there is no DC", task));
            }
            return;
        }
        host = dc_name();
        xml::Builder out_message(*ready);
        out.emplace_back(wire::Multicast{wire::Group::kController, host, std::move(out_message).build()});
        return;
    }
    if (host.empty() || same_ignoring_case(host, self.name)) {
        on_request(self, ready);
        return;
    }
    if (const membership::Peer* peer = peers.find(host); peer == nullptr || !peer->active()) {
        log(wire::Severity::kWarning, fmt::format("request '{}' for {} dropped: it is not here", task, host), host);
        return;
    }
    out.emplace_back(wire::Multicast{wire::Group::kController, host, ready});
}

void Controller::State::reply(const xml::Node& request, xml::NodePtr data) {
    const xml::NodePtr message = wire::make_reply(request, "systole", std::move(data)).build();
    const std::string host(request.get("src"));
    send(host.empty() ? self.name : host, message);
}

void Controller::State::route(const DirectAck& ack) {
    const bool to_dc = ack.to.is_dc() && ack.to.host.empty();
    const std::string host = to_dc ? dc_name() : ack.to.host;
    auto message = this->message("lrm_invoke", ack.to.system, "lrmd", host, ack.node_state);
    message.set("subt", "response");
    if (host.empty() && to_dc) return;  // no DC any more: the next one reads the history
    send(host.empty() ? self.name : host, std::move(message).build());
}

// ---- Answers --------------------------------------------------------------------------------------------------------

void Controller::State::answer_node_info(const xml::Node& request) {
    const auto id = parse_integer(request.get("id"));
    const std::string_view name = request.get("uname");
    const membership::Peer* peer = nullptr;
    if (id && *id > 0) peer = peers.find(NodeId{static_cast<std::uint32_t>(*id)});
    if (peer == nullptr && !name.empty()) peer = peers.find(name);
    if (peer == nullptr && !(id && *id > 0) && name.empty()) peer = peers.find(self.id);
    xml::Builder node("node");
    node.set("crm_subsystem", request.get("crm_sys_to", "crmd")).set("have-quorum", peers.quorate() ? "true" : "false");
    if (peer != nullptr) {
        node.set("id", peer->id.value)
            .set("uname", peer->name)
            .set("crmd", peer->member ? "member" : "lost")
            .set("remote_node", "false");
    } else if (const auto remote = peers.remotes().find(name); remote != peers.remotes().end()) {
        node.set("id", name)
            .set("uname", name)
            .set("crmd", remote->second.up ? "member" : "lost")
            .set("remote_node", "true");
    }
    reply(request, std::move(node).build());
}

void Controller::State::answer_list_nodes(const xml::Node& request) {
    xml::Builder nodes("nodes");
    for (const auto& [id, peer] : peers.all()) {
        nodes.add(xml::Builder("node")
                      .set("id", id.value)
                      .set("uname", peer.name)
                      .set("in_ccm", peer.member ? "member" : "lost")
                      .build());
    }
    reply(request, std::move(nodes).build());
}

void Controller::State::forget_node(const xml::Node& message, bool from_client) {
    const NodeId id{static_cast<std::uint32_t>(parse_integer(message.id()).value_or(0))};
    const std::string name(message.get("uname"));
    if (from_client) {
        // Every controller shall forget it, ourselves included when our own copy comes back.
        auto everybody = this->message("rm_node_cache", "crmd", "crmd", "");
        everybody.set_unless_empty("id", message.id()).set_unless_empty("uname", name);
        send("", std::move(everybody).build());
        return;
    }
    peers.forget(id, name);
    if (!connections.is_up(name)) peers.forget_remote(name);
    out.emplace_back(ForgetNode{id, name});
}

void Controller::State::on_throttle(const wire::NodeRef& from, const xml::Node& message) {
    throttles[from.name] = {
        static_cast<unsigned>(std::clamp(parse_integer(message.get("crm-limit-mode")).value_or(0), 0LL, 0xffffLL)),
        static_cast<unsigned>(std::clamp(parse_integer(message.get("crm-limit-max")).value_or(0), 0LL, 10'000LL))};
    update_limits();
}

void Controller::State::on_resource_request(const xml::NodePtr& message) {
    const std::string_view task = wire::task_of(*message);
    Requester requester;
    requester.user = message->get("crm_user");
    const std::string_view sender = message->get("crm_sys_from");
    if (sender != "tengine" && sender != "dc" && sender != "crmd") {
        requester.system = sender;
        requester.host = message->get("src");
    }
    const xml::NodePtr op = wire::data_of(*message);
    const std::string node(op ? op->get("on_node") : std::string_view{});
    const bool elsewhere = !node.empty() && !same_ignoring_case(node, self.name) && is_remote(node);
    const std::string owner = elsewhere ? node : std::string();
    Resources* there = resources_of(owner);
    if (task == "probe_again") {
        if (there != nullptr) perform(owner, there->remove_all(now, requester));
        reply(*message, {});
        return;
    }
    if (!op) {
        log(wire::Severity::kWarning, fmt::format("request '{}' without an operation ignored", task));
        return;
    }
    if (op->get("mode") == "cib") {
        // The node is not up: only its record in the CIB can be removed, and this node does it on its behalf.
        const xml::Node* primitive = op->child("primitive");
        if (primitive == nullptr || node.empty()) return;
        out.emplace_back(CibCall{
            0,
            cib::make_request(cib::Op::kDelete,
                              fmt::format("//node_state[@uname='{}']//lrm_resource[@id='{}']", node, primitive->id()),
                              {}, cib::option::kXPath),
            requester.user == "root" || requester.user == "hacluster" ? std::string{} : requester.user});
        xml::Builder done(*op);
        ResourceIdentity identity;
        identity.id = primitive->id();
        OperationResult result{.action = "delete",
                               .call_id = 0,
                               .status = ExecStatus::kDone,
                               .rc = 0,
                               .exit_reason = {},
                               .transition_key = std::string(op->get("transition-key")),
                               .parameters = {}};
        route(
            {requester, history_update(self, false, identity,
                                       history_records(identity, result, node, nullptr, "lrm_delete"), "lrm_delete")});
        return;
    }
    if (there == nullptr && connections.is_searched(owner)) {
        held_orders[owner].emplace_back(op, requester);
    } else if (there == nullptr) {
        // Not recorded: nothing is known of what runs there, and the connection's failure says why.
        perform(Resources({NodeId{}, owner}, Resources::Kind::kRemoteNode)
                    .refuse_unconnected(*op, requester, fmt::format("There is no connection to {}", owner)));
    } else if (task == "lrm_delete") {
        perform(owner, there->remove(now, op, requester));
    } else if (task == "lrm_fail") {
        perform(owner, there->fail(now, op, requester));
    } else if (task == "lrm_invoke") {
        perform(owner, there->invoke(now, op, requester, readiness()));
    }
}

}  // namespace systole::controller
