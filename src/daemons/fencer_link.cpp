#include "daemons/fencer_link.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/text.h"

namespace systole::daemons {

FencerLink::FencerLink(runtime::Loop& loop, Handlers handlers, runtime::LogSink log)
    : loop_(loop), handlers_(std::move(handlers)), log_(std::move(log)) {}

bool FencerLink::connect() {
    if (client_) return true;
    auto client = runtime::IpcClient::connect(wire::service_name(wire::Service::kFencer));
    if (client) {
        xml::Builder hello("stonith_command");
        hello.set("t", "stonith-ng")
            .set("st_op", "register")
            .set("st_clientname", "pacemaker-execd")
            .set("st_callid", 0)
            .set("st_callopt", 0);
        const auto reply = client->call(*std::move(hello).build());
        if (reply && (*reply)->get("st_op") == "register") {
            client_.emplace(std::move(*client));
            source_ = loop_.on_fd(client_->fd(), EPOLLIN, [this](std::uint32_t) { read_events(); });
            return true;
        }
        const std::string why = reply ? "it refused to register this client" : reply.error().what;
        log_({.severity = wire::Severity::kWarning, .text = fmt::format("The fencer cannot be used: {}", why)});
        return false;
    }
    log_({.severity = wire::Severity::kWarning,
          .text = fmt::format("The fencer cannot be reached: {}", client.error().what)});
    return false;
}

void FencerLink::disconnect() {
    source_.reset();
    client_.reset();
}

void FencerLink::send(std::uint32_t token, const xml::Node& request) {
    if (!connect()) {
        loop_.defer([this, token] { handlers_.replied(token, {}); });
        return;
    }
    const auto sent = client_->send(request);
    if (sent) return;
    log_({.severity = wire::Severity::kWarning, .text = fmt::format("The fencer was lost: {}", sent.error().what)});
    loop_.defer([this] {
        disconnect();
        handlers_.lost();
    });
}

void FencerLink::read_events() {
    while (client_) {
        auto event = client_->next_event();
        if (!event) {
            if (event.error().code == Errc::kInvalid) continue;
            log_({.severity = wire::Severity::kWarning,
                  .text = fmt::format("The fencer was lost: {}", event.error().what)});
            disconnect();
            handlers_.lost();
            return;
        }
        if (!*event || !**event) return;
        const xml::Node& message = ***event;
        const auto token = parse_integer(message.get("st_callid"));
        // Notifications and announced timeouts have other types; only replies are of interest.
        if (message.get("t") != "stonith-ng" || !token || *token <= 0) continue;
        handlers_.replied(static_cast<std::uint32_t>(*token), **event);
    }
}

}  // namespace systole::daemons
