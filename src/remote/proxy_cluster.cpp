#include "remote/proxy_cluster.h"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "base/text.h"

namespace systole::remote {
namespace {

/// What a remote node's clients may reach.
constexpr std::array kServices{wire::Service::kCibRo,      wire::Service::kCibRw,  wire::Service::kCibShm,
                               wire::Service::kAttributes, wire::Service::kFencer, wire::Service::kController};

std::optional<wire::Service> service_of(std::string_view name) {
    for (const wire::Service service : kServices)
        if (wire::service_name(service) == name) return service;
    return std::nullopt;
}

xml::Builder proxy_message(std::string_view op, std::string_view session) {
    xml::Builder message("lrmd_ipc_proxy");
    message.set("lrmd_op", "ipc_fwd").set("lrmd_ipc_op", op).set_unless_empty("lrmd_ipc_session", session);
    return message;
}

ToRemoteDaemon delivery(const std::string& node, std::string_view op, const std::string& session,
                        std::optional<std::uint32_t> request, const xml::NodePtr& message) {
    xml::Builder outer = proxy_message(op, session);
    if (request) outer.set("lrmd_ipc_msg_id", *request);
    xml::Builder inner("lrmd_ipc_msg");
    inner.add(message);
    outer.add(std::move(inner));
    return {node, std::move(outer).build()};
}

bool means_here(std::string_view host) { return host.empty() || same_ignoring_case(host, "localhost"); }

/// An attribute request without a node is about the node that it comes from.
xml::NodePtr with_own_node(const xml::Node& request, const std::string& node) {
    const std::string_view task = request.get("task");
    const bool update = task.starts_with("update");
    xml::Builder own(request);
    bool told = false;
    for (std::size_t i = 0; i < request.children().size(); ++i) {
        const xml::Node& op = *request.children()[i];
        if (!op.is("op")) continue;
        told = true;
        if (!means_here(op.get("attr_host", request.get("attr_host")))) continue;
        xml::Builder own_op(op);
        own_op.set("attr_host", node).set("attr_is_remote", "1").unset("attr_host_id");
        own.replace(i, std::move(own_op).build());
    }
    const std::string_view host = request.get("attr_host");
    if (!told && (update ? means_here(host) : same_ignoring_case(host, "localhost"))) {
        own.set("attr_host", node).set("attr_is_remote", "1").unset("attr_host_id");
    } else if (!told && same_ignoring_case(host, node)) {
        own.set("attr_is_remote", "1");
    }
    return std::move(own).build();
}

}  // namespace

void ClusterProxy::request(const std::string& node, const std::string& session, const xml::Node& message,
                           ProxyEffects& out) {
    const auto sessions = nodes_.find(node);
    const auto found = sessions == nodes_.end() ? decltype(sessions->second.end()){} : sessions->second.find(session);
    if (sessions == nodes_.end() || found == sessions->second.end()) {
        // Its daemon takes the session for open; it shall close it.
        out.emplace_back(ToRemoteDaemon{node, proxy_message("destroy", session).build()});
        return;
    }
    const Session& open = found->second;
    const xml::Node* wrapped = message.child("lrmd_ipc_msg");
    const xml::NodePtr inner = wrapped == nullptr ? xml::NodePtr{} : wrapped->first_element_ptr();
    wire::ClientRequest request{.client = open.client, .message = {}};
    request.id = static_cast<std::uint32_t>(parse_integer(message.get("lrmd_ipc_msg_id")).value_or(0));
    // A response is delivered as one here, whatever way it takes to the remote node's client.
    request.flags =
        static_cast<std::uint32_t>(parse_integer(message.get("lrmd_ipc_msg_flags")).value_or(0)) & ~wire::kProxied;
    if (inner) {
        xml::NodePtr told = open.service == wire::Service::kAttributes ? with_own_node(*inner, node) : inner;
        xml::Builder own(*told);
        own.set("acl_role", "pacemaker-remote");
        // Whoever it says to act for: the rights are the remote node's.
        for (const char* name : {"acl_target", "cib_user", "attr_user", "crm_user"}) own.unset(name);
        if (open.service == wire::Service::kController && inner->get("crm_task") == "node-info" &&
            inner->get("id").empty() && inner->get("uname").empty())
            own.set("uname", node);
        request.message = std::move(own).build();
    }
    out.emplace_back(std::move(request));
}

ProxyEffects ClusterProxy::on_message(const std::string& node, const xml::Node& message) {
    ProxyEffects out;
    const std::string_view op = message.get("lrmd_ipc_op");
    const std::string session(message.get("lrmd_ipc_session"));
    if (op == "shutdown_req") {
        out.emplace_back(ToRemoteDaemon{node, proxy_message("shutdown_ack", session).build()});
        out.emplace_back(RemoteWantsShutdown{node});
        return out;
    }
    if (session.empty()) {
        out.emplace_back(wire::Log{.severity = wire::Severity::kWarning,
                                   .text = fmt::format("proxy message '{}' of {} names no session: ignored", op, node),
                                   .node = node});
        return out;
    }
    if (op == "new") {
        const std::string_view name = message.get("lrmd_ipc_server");
        const auto service = service_of(name);
        auto& sessions = nodes_[node];
        if (!service || sessions.size() >= kSessionsMax || sessions.contains(session)) {
            out.emplace_back(
                wire::Log{.severity = wire::Severity::kWarning,
                          .text = fmt::format("session {} of {} with '{}' is refused: {}", session, node, name,
                                              !service                     ? "there is no such service"
                                              : sessions.contains(session) ? "it is open already"
                                                                           : "too many are open"),
                          .node = node});
            if (!sessions.contains(session))
                out.emplace_back(ToRemoteDaemon{node, proxy_message("destroy", session).build()});
            return out;
        }
        const wire::ClientId id{next_client_++};
        sessions.emplace(session, Session{id, *service});
        clients_.emplace(id, Place{node, session});
        wire::Client client;
        client.id = id;
        client.service = *service;
        client.user = node;
        // The fencer knows no rights but these two; the reference relays as the cluster's own user.
        client.privileged = *service == wire::Service::kFencer;
        client.uuid = session;
        out.emplace_back(wire::ClientConnected{std::move(client)});
    } else if (op == "request") {
        request(node, session, message, out);
    } else if (op == "destroy") {
        const auto sessions = nodes_.find(node);
        if (sessions == nodes_.end()) return out;
        const auto found = sessions->second.find(session);
        if (found == sessions->second.end()) return out;
        out.emplace_back(wire::ClientClosed{found->second.client});
        out.emplace_back(ToRemoteDaemon{node, proxy_message("destroy", session).build()});
        clients_.erase(found->second.client);
        sessions->second.erase(found);
    }
    return out;
}

ProxyEffects ClusterProxy::on_closed(const std::string& node) {
    ProxyEffects out;
    const auto sessions = nodes_.extract(node);
    if (sessions.empty()) return out;
    for (const auto& [name, session] : sessions.mapped()) {
        clients_.erase(session.client);
        out.emplace_back(wire::ClientClosed{session.client});
    }
    return out;
}

ProxyEffects ClusterProxy::on_response(const wire::Respond& response) {
    ProxyEffects out;
    const auto found = clients_.find(response.client);
    if (found == clients_.end()) return out;
    out.emplace_back(
        delivery(found->second.node, "response", found->second.session, response.request, response.message));
    return out;
}

ProxyEffects ClusterProxy::on_event(const wire::SendEvent& event) {
    ProxyEffects out;
    const auto found = clients_.find(event.client);
    if (found == clients_.end()) return out;
    out.emplace_back(delivery(found->second.node, "event", found->second.session, std::nullopt, event.message));
    return out;
}

ProxyEffects ClusterProxy::on_evicted(const wire::Evict& evict) {
    ProxyEffects out;
    const auto found = clients_.find(evict.client);
    if (found == clients_.end()) return out;
    const Place place = found->second;
    out.emplace_back(wire::ClientClosed{evict.client});
    out.emplace_back(ToRemoteDaemon{place.node, proxy_message("destroy", place.session).build()});
    clients_.erase(found);
    nodes_[place.node].erase(place.session);
    return out;
}

std::size_t ClusterProxy::sessions(const std::string& node) const {
    const auto found = nodes_.find(node);
    return found == nodes_.end() ? 0 : found->second.size();
}

std::vector<std::string> ClusterProxy::check_state() const {
    std::vector<std::string> broken;
    std::size_t sessions = 0;
    for (const auto& [node, open] : nodes_) sessions += open.size();
    if (sessions != clients_.size())
        broken.push_back(fmt::format("{} sessions have {} clients", sessions, clients_.size()));
    return broken;
}

}  // namespace systole::remote
