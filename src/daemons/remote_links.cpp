#include "daemons/remote_links.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace systole::daemons {
namespace {

/// A peer that accepts but does not answer must not take all of a long start timeout: another try may fare better.
constexpr Duration kHandshakeMax{5000};

using controller::RemoteFault;

}  // namespace

RemoteLinks::RemoteLinks(runtime::Loop& loop, runtime::TlsSettings tls, std::function<void(controller::Input)> feed,
                         runtime::LogSink log)
    : loop_(loop), tls_(std::move(tls)), feed_(std::move(feed)), log_(std::move(log)), resolver_(loop) {}

void RemoteLinks::connect(const controller::ConnectRemote& effect) {
    links_.erase(effect.node);  // ends silently
    Link& link = links_[effect.node];
    link.token = effect.token;
    link.where = fmt::format("{} at {} port {}", effect.node, effect.server, effect.port);
    link.deadline = loop_.now().mono + effect.timeout;
    link.attempt = std::make_unique<runtime::TcpConnect>(
        loop_, resolver_, effect.server, effect.port, effect.timeout, [this, node = effect.node](Result<int> fd) {
            if (!fd)
                return fail(node,
                            fd.error().code == Errc::kNotFound ? RemoteFault::kUnresolved : RemoteFault::kUnreachable,
                            fd.error().what);
            start_tls(node, *fd);
        });
}

void RemoteLinks::start_tls(const std::string& node, int fd) {
    // Read for each attempt: the administrator may just have put it right.
    auto credentials = runtime::TlsCredentials::load(tls_, runtime::TlsRole::kClient);
    if (!credentials) {
        ::close(fd);
        return fail(node, RemoteFault::kNoKey, credentials.error().what);
    }
    if ((*credentials)->remark() != remark_) {
        remark_ = (*credentials)->remark();
        if (!remark_.empty()) log_({.severity = wire::Severity::kWarning, .text = remark_});
    }
    Link& link = links_.at(node);
    link.attempt.reset();
    const Duration left = std::max(link.deadline - loop_.now().mono, Duration{1});
    link.channel = std::make_unique<runtime::TlsChannel>(
        loop_, fd,
        runtime::TlsChannelOptions{.credentials = std::move(*credentials),
                                   .handshake_max = std::min(left, kHandshakeMax)},
        runtime::TlsChannel::Handlers{
            .established =
                [this, node] {
                    Link& there = links_.at(node);
                    there.reported = true;
                    feed_(controller::RemoteConnected{
                        .node = node, .token = there.token, .fault = RemoteFault::kNone, .why = {}});
                },
            .message =
                [this, node](xml::NodePtr message) {
                    feed_(controller::RemoteMessage{
                        .node = node, .token = links_.at(node).token, .message = std::move(message)});
                },
            .ended = [this, node](const runtime::TlsEnd& end) { ended(node, end); }});
}

void RemoteLinks::fail(const std::string& node, RemoteFault fault, std::string why) {
    const auto link = links_.extract(node);
    feed_(controller::RemoteConnected{.node = node,
                                      .token = link.mapped().token,
                                      .fault = fault,
                                      .why = fmt::format("{}: {}", link.mapped().where, why)});
}

void RemoteLinks::ended(const std::string& node, const runtime::TlsEnd& end) {
    if (!links_.at(node).reported)
        return fail(node,
                    end.kind == runtime::TlsEnd::Kind::kRejected ? RemoteFault::kRejected : RemoteFault::kUnreachable,
                    end.why);
    const auto link = links_.extract(node);
    feed_(controller::RemoteLost{
        .node = node, .token = link.mapped().token, .why = fmt::format("{}: {}", link.mapped().where, end.why)});
}

void RemoteLinks::disconnect(const controller::DisconnectRemote& effect) { links_.erase(effect.node); }

void RemoteLinks::send(const controller::ToRemote& effect) {
    const auto found = links_.find(effect.node);
    if (found == links_.end() || !found->second.channel || !found->second.channel->established()) return;
    if (const auto sent = found->second.channel->send(*effect.message); !sent)
        log_({.severity = wire::Severity::kError,
              .text = fmt::format("A message to {} is not sent: {}", found->second.where, sent.error().what)});
}

}  // namespace systole::daemons
