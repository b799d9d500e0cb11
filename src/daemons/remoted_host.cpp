#include "daemons/remoted_host.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <deque>
#include <utility>

#include "remote/server.h"
#include "runtime/linux/ipc_server.h"
#include "runtime/linux/uuid.h"

namespace systole::daemons {
namespace {

constexpr std::array kProxied{wire::Service::kCibRo,      wire::Service::kCibRw,  wire::Service::kCibShm,
                              wire::Service::kAttributes, wire::Service::kFencer, wire::Service::kController,
                              wire::Service::kPacemakerd};
/// A local client's requests are not passed on while so much waits for the cluster to take it.
constexpr std::size_t kBacklogMax = 8U * 1024U * 1024U;

wire::ClientId client_of(runtime::TlsServer::PeerId id) { return wire::ClientId{remote::kFirstPeer + id}; }
runtime::TlsServer::PeerId peer_of(wire::ClientId id) { return id.value - remote::kFirstPeer; }
bool is_peer(wire::ClientId id) { return id.value >= remote::kFirstPeer; }

}  // namespace

struct RemotedHost::Impl {
    runtime::Loop& loop;
    runtime::LogSink log;
    ExecutorHost executor;
    remote::Server core;
    runtime::Timers timers;
    runtime::TlsServer tls;
    runtime::IpcServer proxied;
    std::deque<remote::Input> waiting;  ///< an effect may cause an input at once
    bool feeding = false;

    Impl(runtime::Loop& l, RemotedHostOptions options, runtime::LogSink sink, std::function<void(ExitCode)> done)
        : loop(l),
          log(std::move(sink)),
          executor(loop, std::move(options.executor), log, std::move(done)),
          timers(loop, [this](const std::string& name) { feed(wire::TimerFired{name}); }),
          tls(loop, std::move(options.tls),
              {.connected =
                   [this](runtime::TlsServer::PeerId id, const std::string& from) {
                       feed(remote::PeerConnected{.id = client_of(id), .uuid = runtime::make_uuid(), .from = from});
                   },
               .message =
                   [this](runtime::TlsServer::PeerId id, xml::NodePtr message) {
                       feed(remote::PeerMessage{.id = client_of(id), .message = std::move(message)});
                   },
               .closed = [this](
                             runtime::TlsServer::PeerId id,
                             const std::string& why) { feed(remote::PeerClosed{.id = client_of(id), .why = why}); }}),
          proxied(loop,
                  {.prefix = options.ipc_prefix,
                   .owner = ::geteuid() == 0 ? std::nullopt : std::optional(::geteuid()),
                   .log = log},
                  {.admit = [this](const wire::Client& client) { return core.admit(client); },
                   .connected = [this](const wire::Client& client) { feed(wire::ClientConnected{client}); },
                   .request = [this](const wire::ClientRequest& request) { feed(request); },
                   .closed = [this](wire::ClientId id) { feed(wire::ClientClosed{id}); }}) {
        executor.set_remote([this](const executor::Effect& effect) { return take(effect); });
    }

    /// What the executor has for a peer comes here.
    bool take(const executor::Effect& effect) {
        return std::visit(
            [this](const auto& what) {
                using What = std::decay_t<decltype(what)>;
                if constexpr (std::is_same_v<What, wire::Respond> || std::is_same_v<What, wire::SendEvent> ||
                              std::is_same_v<What, wire::Evict>) {
                    if (!is_peer(what.client)) return false;
                    feed(remote::FromExecutor{what});
                    return true;
                } else {
                    return false;
                }
            },
            effect);
    }

    void feed(remote::Input input) {
        waiting.push_back(std::move(input));
        if (feeding) return;
        feeding = true;
        while (!waiting.empty()) {
            const remote::Input next = std::move(waiting.front());
            waiting.pop_front();
            for (const remote::Effect& effect : core.on(loop.now(), next))
                std::visit([this](const auto& what) { perform(what); }, effect);
        }
        feeding = false;
    }

    void perform(const remote::ToPeer& effect) {
        const auto peer = peer_of(effect.peer);
        std::string fault;
        if (effect.on_behalf.value != 0 && tls.queued(peer) > kBacklogMax) fault = "the cluster takes nothing more";
        if (fault.empty())
            if (const auto sent = tls.send(peer, *effect.message); !sent) fault = sent.error().what;
        if (fault.empty()) return;
        if (effect.on_behalf.value != 0)
            proxied.evict({effect.on_behalf, fault});
        else
            log({.severity = wire::Severity::kError, .text = fmt::format("A message is not sent: {}", fault)});
    }
    void perform(const remote::ClosePeer& effect) { tls.close(peer_of(effect.peer), effect.why); }
    void perform(const remote::ToExecutor& effect) { executor.feed(effect.input); }
    void perform(const remote::StopListening&) { tls.stop_listening(); }
    void perform(const wire::Respond& effect) { proxied.respond(effect); }
    void perform(const wire::SendEvent& effect) { proxied.send_event(effect); }
    void perform(const wire::Evict& effect) { proxied.evict(effect); }
    void perform(const wire::ArmTimer& effect) { timers.arm(effect.name, effect.at); }
    void perform(const wire::CancelTimer& effect) { timers.cancel(effect.name); }
    void perform(const wire::Log& effect) { log(effect); }
};

RemotedHost::RemotedHost(runtime::Loop& loop, RemotedHostOptions options, runtime::LogSink log,
                         std::function<void(ExitCode)> exited)
    : impl_(std::make_unique<Impl>(loop, std::move(options), std::move(log), std::move(exited))) {}
RemotedHost::~RemotedHost() = default;

Result<std::uint16_t> RemotedHost::open() {
    if (const auto opened = impl_->executor.open(); !opened) return tl::unexpected(opened.error());
    for (const wire::Service service : kProxied)
        if (const auto opened = impl_->proxied.open(service); !opened) return tl::unexpected(opened.error());
    return impl_->tls.open();
}

void RemotedHost::shut_down() { impl_->feed(remote::ShutdownRequested{}); }

}  // namespace systole::daemons
