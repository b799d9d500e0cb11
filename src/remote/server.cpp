#include "remote/server.h"

#include <fmt/format.h>

#include "base/text.h"
#include "executor/messages.h"

namespace systole::remote {
namespace {

constexpr const char* kShutdownTimer = "shutdown-answer";
/// Messages about the node itself belong to no session.
constexpr std::string_view kNoSession = "0";

}  // namespace

Effects Server::on(const Now& now, const Input& input) {
    now_ = now;
    effects_.clear();
    std::visit([this](const auto& what) { handle(what); }, input);
    return std::move(effects_);
}

void Server::log(wire::Severity severity, std::string text) {
    effects_.emplace_back(wire::Log{.severity = severity, .text = std::move(text)});
}

void Server::send(wire::ClientId peer, const xml::Node& message, std::string_view type, std::uint32_t id,
                  wire::ClientId on_behalf) {
    xml::Builder numbered(message);
    numbered.set("lrmd_remote_msg_id", id).set("lrmd_remote_msg_type", type);
    effects_.emplace_back(ToPeer{peer, std::move(numbered).build(), on_behalf});
}

void Server::perform(ProxyEffects effects) {
    for (ProxyEffect& effect : effects) {
        if (const auto* message = std::get_if<ToPeer>(&effect)) {
            send(message->peer, *message->message, "notify", 0, message->on_behalf);
        } else {
            std::visit(
                [this](auto& what) {
                    if constexpr (!std::is_same_v<std::decay_t<decltype(what)>, ToPeer>)
                        effects_.emplace_back(std::move(what));
                },
                effect);
        }
    }
}

// ---- Peers ----

void Server::handle(const PeerConnected& input) {
    peers_.insert_or_assign(input.id, Peer{.from = input.from, .name = {}, .registrations = {}});
    log(wire::Severity::kNotice, fmt::format("Cluster connection from {}: its key is right", input.from));
    effects_.emplace_back(ToExecutor{wire::ClientConnected{wire::Client{.id = input.id,
                                                                        .service = wire::Service::kExecutor,
                                                                        .uid = 0,
                                                                        .gid = 0,
                                                                        .pid = 0,
                                                                        .user = "root",
                                                                        .privileged = true,
                                                                        .uuid = input.uuid}}});
}

void Server::handle(const PeerMessage& input) {
    const auto found = peers_.find(input.id);
    if (found == peers_.end()) return;
    Peer& peer = found->second;
    const xml::Node& message = *input.message;
    const auto id = executor::number_of(message, "lrmd_remote_msg_id");
    if (message.get("lrmd_op") == executor::request::kRegister) {
        peer.name = message.get("lrmd_clientname");
        if (parse_bool(message.get("lrmd_is_ipc_provider")).value_or(false)) peer.registrations.insert(id);
    }
    if (message.is(kProxyElement)) {
        const auto op = message.get("lrmd_ipc_op");
        if (op == "shutdown_ack" || op == "shutdown_nack")
            answer_shutdown(input.id, op == "shutdown_ack");
        else if (proxy_.is_provider(input.id))
            perform(proxy_.on_message(input.id, message));
    }
    // The executor numbers all requests, and answers those for the proxy, too.
    effects_.emplace_back(ToExecutor{
        wire::ClientRequest{.client = input.id, .id = id, .flags = wire::kExpectsResponse, .message = input.message}});
}

void Server::handle(const PeerClosed& input) {
    const auto found = peers_.find(input.id);
    if (found == peers_.end()) return;
    const Peer peer = std::move(found->second);
    peers_.erase(found);
    log(wire::Severity::kNotice, fmt::format("Cluster connection from {}{}{} ended: {}", peer.from,
                                             peer.name.empty() ? "" : " as ", peer.name, input.why));
    perform(proxy_.on_provider_gone(input.id));
    effects_.emplace_back(ToExecutor{wire::ClientClosed{input.id}});
    if ((phase_ == Phase::kAsking || phase_ == Phase::kLeaving) && !proxy_.has_provider()) end();
}

void Server::handle(const FromExecutor& input) {
    if (const auto* reply = std::get_if<wire::Respond>(&input.effect)) {
        const auto found = peers_.find(reply->client);
        if (found == peers_.end()) return;
        if (found->second.registrations.erase(reply->request) != 0 && reply->message->get("lrmd_rc") == "0") {
            proxy_.on_provider(reply->client);
            log(wire::Severity::kNotice, fmt::format("{} at {} serves this node's local clients from here on",
                                                     found->second.name, found->second.from));
        }
        send(reply->client, *reply->message, "reply", reply->request);
    } else if (const auto* event = std::get_if<wire::SendEvent>(&input.effect)) {
        if (peers_.contains(event->client)) send(event->client, *event->message, "notify", 0);
    } else if (const auto* evicted = std::get_if<wire::Evict>(&input.effect)) {
        if (peers_.contains(evicted->client)) effects_.emplace_back(ClosePeer{evicted->client, evicted->why});
    }
}

// ---- Local clients ----

void Server::handle(const wire::ClientConnected& input) { perform(proxy_.on_client(input.client)); }
void Server::handle(const wire::ClientRequest& input) { perform(proxy_.on_request(input)); }
void Server::handle(const wire::ClientClosed& input) { perform(proxy_.on_client_gone(input.client)); }

// ---- Shutdown ----

void Server::handle(const ShutdownRequested&) {
    if (phase_ != Phase::kServing) {
        log(wire::Severity::kNotice, phase_ == Phase::kLeaving
                                         ? "Already leaving: the cluster is moving the resources away"
                                         : "Already leaving");
        return;
    }
    effects_.emplace_back(StopListening{});
    if (!proxy_.has_provider()) {
        log(wire::Severity::kNotice, "Leaving at once: no cluster is connected");
        return end();
    }
    phase_ = Phase::kAsking;
    log(wire::Severity::kNotice,
        fmt::format("Asking {} to move the resources away before this node leaves", peers_.at(proxy_.provider()).name));
    send(proxy_.provider(), *make_proxy_message("shutdown_req", kNoSession).build(), "notify", 0);
    effects_.emplace_back(wire::ArmTimer{kShutdownTimer, now_.mono + kShutdownAnswer});
}

void Server::answer_shutdown(wire::ClientId peer, bool granted) {
    if (phase_ != Phase::kAsking || !proxy_.is_provider(peer)) return;
    if (!granted) {
        log(wire::Severity::kWarning, "Leaving at once: the cluster does not move the resources away");
        return end();
    }
    effects_.emplace_back(wire::CancelTimer{kShutdownTimer});
    phase_ = Phase::kLeaving;
    log(wire::Severity::kNotice, "The cluster is moving the resources away; waiting until it disconnects");
}

void Server::handle(const wire::TimerFired& input) {
    if (input.name != kShutdownTimer || phase_ != Phase::kAsking) return;
    log(wire::Severity::kWarning,
        fmt::format("Leaving at once: the cluster did not answer within {} s", kShutdownAnswer.count() / 1000));
    end();
}

void Server::end() {
    if (phase_ == Phase::kAsking) effects_.emplace_back(wire::CancelTimer{kShutdownTimer});
    phase_ = Phase::kOver;
    effects_.emplace_back(ToExecutor{executor::ShutdownRequested{}});
}

}  // namespace systole::remote
