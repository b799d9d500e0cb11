#include "remote/proxy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"

namespace systole::remote {

xml::Builder make_proxy_message(std::string_view op, std::string_view session) {
    xml::Builder message(kProxyElement);
    message.set("lrmd_ipc_op", op).set("lrmd_ipc_session", session);
    return message;
}

int Proxy::admit(const wire::Client& client) const {
    // Clients recognise a remote node by this answer of this service.
    if (client.service == wire::Service::kPacemakerd || providers_.empty()) return -EREMOTEIO;
    return sessions_.size() < kSessionsMax ? 0 : -EAGAIN;
}

bool Proxy::is_provider(wire::ClientId peer) const { return std::ranges::find(providers_, peer) != providers_.end(); }

void Proxy::on_provider(wire::ClientId peer) {
    std::erase(providers_, peer);
    providers_.push_back(peer);
}

ProxyEffects Proxy::on_provider_gone(wire::ClientId peer) {
    ProxyEffects effects;
    std::erase(providers_, peer);
    std::erase_if(sessions_, [&](const auto& entry) {
        if (entry.second.provider != peer) return false;
        effects.emplace_back(wire::Evict{entry.first, "the cluster's connection to this node ended"});
        return true;
    });
    return effects;
}

Proxy::Session* Proxy::find(std::string_view uuid) {
    const auto found =
        std::ranges::find_if(sessions_, [&](const auto& entry) { return entry.second.client.uuid == uuid; });
    return found == sessions_.end() ? nullptr : &found->second;
}

ProxyEffects Proxy::on_message(wire::ClientId peer, const xml::Node& message) {
    const auto op = message.get("lrmd_ipc_op");
    const auto uuid = message.get("lrmd_ipc_session");
    Session* const session = find(uuid);
    if (session == nullptr || session->provider != peer) {
        if (op == "destroy") return {};
        return {ToPeer{peer, make_proxy_message("destroy", uuid).build()}};
    }
    const wire::ClientId client = session->client.id;
    if (op == "destroy") {
        sessions_.erase(client);
        return {wire::Evict{client, "the cluster ended its session"}};
    }
    const xml::Node* const wrapper = message.child("lrmd_ipc_msg");
    const xml::NodePtr content = wrapper == nullptr ? nullptr : wrapper->first_element_ptr();
    if (!content) return {};
    if (op == "event") return {wire::SendEvent{client, content}};
    if (op != "response") return {};
    const auto id = parse_integer(message.get("lrmd_ipc_msg_id")).value_or(0);
    // A response that nobody waits for would be taken for the next request's.
    if (session->unanswered.erase(static_cast<std::uint32_t>(id)) == 0) return {};
    return {wire::Respond{client, static_cast<std::uint32_t>(id), content}};
}

ProxyEffects Proxy::on_client(const wire::Client& client) {
    if (providers_.empty()) return {wire::Evict{client.id, "the cluster's connection to this node ended"}};
    const auto peer = providers_.back();
    sessions_.insert_or_assign(client.id, Session{.client = client, .provider = peer});
    xml::Builder message = make_proxy_message("new", client.uuid);
    message.set("lrmd_ipc_server", wire::service_name(client.service));
    return {ToPeer{peer, std::move(message).build(), client.id}};
}

ProxyEffects Proxy::on_request(const wire::ClientRequest& request) {
    const auto found = sessions_.find(request.client);
    if (found == sessions_.end()) return {};
    Session& session = found->second;
    const wire::Client& client = session.client;
    const bool expects = (request.flags & wire::kExpectsResponse) != 0;
    if (!request.message) {
        if (!expects) return {};
        xml::Builder nack("nack");
        nack.set("function", "pacemaker-remoted").set("line", 0).set("status", 76);
        return {wire::Respond{client.id, request.id, std::move(nack).build()}};
    }
    if (expects) session.unanswered.insert(request.id);
    if (session.unanswered.size() > kUnansweredMax) {
        ProxyEffects effects{
            ToPeer{session.provider, make_proxy_message("destroy", client.uuid).build()},
            wire::Evict{client.id, fmt::format("{} of its requests wait for a response", kUnansweredMax)}};
        sessions_.erase(found);
        return effects;
    }
    xml::Builder message = make_proxy_message("request", client.uuid);
    message
        .set("lrmd_ipc_client",
             fmt::format("proxy-{}-{}-{}", wire::service_name(client.service), client.pid, client.uuid.substr(0, 8)))
        .set("lrmd_ipc_user", client.user)
        .set("lrmd_ipc_msg_id", request.id)
        .set("lrmd_ipc_msg_flags", (request.flags & wire::kExpectsResponse) | wire::kProxied);
    xml::Builder wrapper("lrmd_ipc_msg");
    wrapper.add(request.message);
    message.add(std::move(wrapper));
    return {ToPeer{session.provider, std::move(message).build(), client.id}};
}

ProxyEffects Proxy::on_client_gone(wire::ClientId client) {
    const auto found = sessions_.find(client);
    if (found == sessions_.end()) return {};
    ProxyEffects effects{
        ToPeer{found->second.provider, make_proxy_message("destroy", found->second.client.uuid).build()}};
    sessions_.erase(found);
    return effects;
}

}  // namespace systole::remote
