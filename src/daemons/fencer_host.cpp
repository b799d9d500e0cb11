#include "daemons/fencer_host.h"

#include <fmt/format.h>
#include <unistd.h>

#include <deque>
#include <functional>

#include "daemons/fence_agents.h"
#include "runtime/linux/ipc_server.h"

namespace systole::daemons {

struct FencerHost::Impl {
    runtime::Loop& loop;
    runtime::LogSink log;
    wire::NodeRef self;
    fencing::Fencer core;
    runtime::Timers timers;
    FenceAgents agents;
    runtime::IpcServer server;
    std::deque<std::function<fencing::Effects(const Now&)>> waiting;  ///< an effect may cause an input at once
    bool feeding = false;

    Impl(runtime::Loop& l, FencerHostOptions options, runtime::LogSink sink)
        : loop(l),
          log(std::move(sink)),
          self(options.config.self),
          core(options.config),
          timers(loop,
                 [this](const std::string& name) {
                     feed([this, name](const Now& now) { return core.on_timer(now, name); });
                 }),
          agents(loop, options.agent_directory, log,
                 {.done =
                      [this](std::uint32_t token, ExecStatus status, int code, const std::string& output,
                             const std::string& error) {
                          feed([=, this](const Now& now) {
                              return core.on_agent_done(now, token, status, code, output, error);
                          });
                      },
                  .metadata =
                      [this](std::uint32_t token, const std::string& xml, const std::string& fault) {
                          feed([=, this](const Now& now) { return core.on_metadata(now, token, xml, fault); });
                      }}),
          server(loop,
                 {.prefix = runtime::ipc_prefix_of_environment(),
                  .owner = ::geteuid() == 0 ? std::nullopt : std::optional(::geteuid()),
                  .log = log},
                 {.admit = {},
                  .connected =
                      [this](const wire::Client& client) {
                          feed([=, this](const Now& now) { return core.on_client_connected(now, client); });
                      },
                  .request =
                      [this](const wire::ClientRequest& request) {
                          feed([=, this](const Now& now) { return core.on_client_request(now, request); });
                      },
                  .closed =
                      [this](wire::ClientId client) {
                          feed([=, this](const Now& now) { return core.on_client_closed(now, client); });
                      }}) {
        wire::GroupChange alone;
        alone.group = wire::Group::kFencing;
        alone.members = alone.joined = {{self.id, static_cast<std::uint32_t>(::getpid())}};
        feed([=, this](const Now& now) { return core.on_group_change(now, alone); });
    }

    void feed(std::function<fencing::Effects(const Now&)> input) {
        waiting.push_back(std::move(input));
        if (feeding) return;
        feeding = true;
        while (!waiting.empty()) {
            const auto next = std::move(waiting.front());
            waiting.pop_front();
            for (const auto& effect : next(loop.now())) {
                std::visit([this](const auto& what) { perform(what); }, effect);
            }
        }
        feeding = false;
    }

    void perform(const wire::Multicast& effect) {
        if (!effect.to.empty() && effect.to != self.name) return;
        feed([this, message = effect.message](const Now& now) {
            return core.on_peer_message(now, {wire::Group::kFencing, self, message});
        });
    }
    void perform(const wire::Respond& effect) { server.respond(effect); }
    void perform(const wire::SendEvent& effect) { server.send_event(effect); }
    void perform(const wire::ArmTimer& effect) { timers.arm(effect.name, effect.at); }
    void perform(const wire::CancelTimer& effect) { timers.cancel(effect.name); }
    void perform(const wire::Log& effect) { log(effect); }
    void perform(const fencing::RunFenceAgent& effect) { agents.run(effect); }
    void perform(const fencing::KillFenceAgent& effect) { agents.kill(effect); }
    void perform(const fencing::FetchMetadata& effect) { agents.fetch(effect); }
    // There is no controller here, and no watchdog.
    void perform(const fencing::LocalReply& /*unused*/) {}
    void perform(const fencing::FenceNotice& /*unused*/) {}
    void perform(const fencing::HistoryNotice& /*unused*/) {}
    void perform(const fencing::Panic& effect) {
        log({.severity = wire::Severity::kError, .text = fmt::format("Not stopping the machine: {}", effect.why)});
    }
};

FencerHost::FencerHost(runtime::Loop& loop, FencerHostOptions options, runtime::LogSink log)
    : impl_(std::make_unique<Impl>(loop, std::move(options), std::move(log))) {}
FencerHost::~FencerHost() = default;
Result<void> FencerHost::open() { return impl_->server.open(wire::Service::kFencer); }

}  // namespace systole::daemons
