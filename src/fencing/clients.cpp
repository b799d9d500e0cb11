#include "fencing/clients.h"

#include <fmt/format.h>

namespace systole::fencing {

void Clients::connect(const wire::Client& client) { clients_.insert_or_assign(client.id, Entry{client, {}, {}}); }

const wire::Client* Clients::find(wire::ClientId id) const {
    const auto it = clients_.find(id);
    return it == clients_.end() ? nullptr : &it->second.client;
}

const wire::Client* Clients::find(std::string_view uuid) const {
    for (const auto& [id, entry] : clients_) {
        if (entry.client.uuid == uuid) return &entry.client;
    }
    return nullptr;
}

void Clients::name(wire::ClientId id, std::string_view given) {
    const auto it = clients_.find(id);
    if (it == clients_.end() || !it->second.name.empty() || given.empty()) return;
    it->second.name = fmt::format("{}.{}", given, it->second.client.pid);
}

std::string Clients::name_of(wire::ClientId id) const {
    const auto it = clients_.find(id);
    if (it == clients_.end()) return {};
    return it->second.name.empty() ? fmt::format("unknown.{}", it->second.client.pid) : it->second.name;
}

void Clients::subscribe(wire::ClientId id, std::string_view type, bool wanted) {
    const auto it = clients_.find(id);
    if (it == clients_.end()) return;
    if (wanted) {
        it->second.subscriptions.emplace(type);
    } else if (const auto found = it->second.subscriptions.find(type); found != it->second.subscriptions.end()) {
        it->second.subscriptions.erase(found);
    }
}

void Clients::answer(const Asker& asker, xml::NodePtr message) {
    if (!clients_.contains(asker.client)) return;
    if (asker.response_due) {
        c_.effects.emplace_back(wire::Respond{asker.client, asker.request, std::move(message)});
    } else {
        event(asker.client, std::move(message));
    }
}

void Clients::event(wire::ClientId id, xml::NodePtr message) {
    c_.effects.emplace_back(wire::SendEvent{id, std::move(message)});
}

void Clients::notify(std::string_view type, const Outcome& outcome, xml::NodePtr data) {
    xml::NodePtr message;
    for (const auto& [id, entry] : clients_) {
        if (!entry.subscriptions.contains(type)) continue;
        if (!message) message = make_notification(type, outcome, data);
        event(id, message);
    }
}

void Clients::tell_timeout(std::string_view uuid, std::string_view call, long long seconds) {
    const auto* client = find(uuid);
    if (client == nullptr || call.empty() || seconds <= 0) return;
    xml::Builder update("st-async-timeout-value");
    update.set("t", "st-async-timeout-value").set("st_callid", call).set("st_timeout", seconds);
    event(client->id, std::move(update).build());
}

}  // namespace systole::fencing
