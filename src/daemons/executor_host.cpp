#include "daemons/executor_host.h"

#include <fmt/format.h>
#include <unistd.h>

#include <deque>
#include <map>

#include "daemons/fencer_link.h"
#include "runtime/linux/ipc_server.h"
#include "runtime/linux/process.h"
#include "runtime/linux/systemd_units.h"

namespace systole::daemons {

namespace {

/// Events that may wait for the cluster's own processes.
constexpr std::size_t kPrivilegedQueueMax = 50'000;

executor::ProcessDone done_of(std::uint32_t token, const runtime::ProcessResult& result) {
    using End = runtime::ProcessResult::End;
    executor::ProcessDone done;
    done.token = token;
    done.exit_code = result.exit_code;
    done.output = result.output;
    done.error = result.error;
    done.reason = result.reason;
    switch (result.end) {
        case End::kExited: done.status = ExecStatus::kDone; break;
        case End::kTimedOut: done.status = ExecStatus::kTimeout; break;
        case End::kNotFound: done.status = ExecStatus::kNotInstalled; break;
        case End::kNotPermitted:
            done.status = ExecStatus::kError;
            done.not_permitted = true;
            break;
        case End::kSignalled:
        case End::kFailed: done.status = ExecStatus::kError; break;
    }
    return done;
}

}  // namespace

struct ExecutorHost::Impl {
    runtime::Loop& loop;
    ExecutorHostOptions options;
    runtime::LogSink log;
    std::function<void(ExitCode)> exited;
    std::function<bool(const executor::Effect&)> remote;
    executor::Executor core;
    runtime::Timers timers;
    runtime::ProcessRunner processes;
    runtime::SystemdUnits units;
    FencerLink fencer;
    runtime::IpcServer server;
    std::map<std::uint32_t, runtime::ProcessRunner::RunId> runs;  ///< by the core's token
    std::deque<executor::Input> waiting;                          ///< an effect may cause an input at once
    bool feeding = false;

    Impl(runtime::Loop& l, ExecutorHostOptions o, runtime::LogSink sink, std::function<void(ExitCode)> done)
        : loop(l),
          options(std::move(o)),
          log(std::move(sink)),
          exited(std::move(done)),
          core(options.config),
          timers(loop, [this](const std::string& name) { feed(wire::TimerFired{name}); }),
          processes(loop, {.control_group = options.control_group,
                           .descriptors_max = options.descriptors_max,
                           .records = options.records,
                           .log = log}),
          units(loop, log),
          fencer(loop,
                 {.replied = [this](std::uint32_t token,
                                    xml::NodePtr reply) { feed(executor::FencerReply{token, std::move(reply)}); },
                  .lost = [this] { feed(executor::FencerLost{}); }},
                 log),
          server(loop,
                 {.prefix = runtime::ipc_prefix_of_environment(),
                  .owner = ::geteuid() == 0 ? std::nullopt : std::optional(::geteuid()),
                  .log = log},
                 {.admit = {},
                  .connected =
                      [this](const wire::Client& client) {
                          // The core must not be cut off for being slow: it may be told of thousands of results at
                          // once.
                          if (client.privileged) server.set_queue_max(client.id, kPrivilegedQueueMax);
                          feed(wire::ClientConnected{client});
                      },
                  .request = [this](const wire::ClientRequest& request) { feed(request); },
                  .closed = [this](wire::ClientId client) { feed(wire::ClientClosed{client}); }}) {
        if (const auto adopted = processes.adopt_orphans(); !adopted) {
            log({.severity = wire::Severity::kWarning, .text = adopted.error().what});
        }
    }

    void feed(executor::Input input) {
        waiting.push_back(std::move(input));
        if (feeding) return;
        feeding = true;
        while (!waiting.empty()) {
            const executor::Input next = std::move(waiting.front());
            waiting.pop_front();
            for (const auto& effect : core.on(loop.now(), next)) {
                if (remote && remote(effect)) continue;
                std::visit([this](const auto& what) { perform(what); }, effect);
            }
        }
        feeding = false;
    }

    void perform(const wire::Respond& effect) { server.respond(effect); }
    void perform(const wire::SendEvent& effect) { server.send_event(effect); }
    void perform(const wire::Evict& effect) { server.evict(effect); }
    void perform(const wire::ArmTimer& effect) { timers.arm(effect.name, effect.at); }
    void perform(const wire::CancelTimer& effect) { timers.cancel(effect.name); }
    void perform(const wire::Log& effect) { log(effect); }
    void perform(const executor::Spawn& effect) {
        runtime::ProcessSpec spec;
        spec.name = effect.resource;
        spec.argv = effect.argv;
        spec.environment = effect.environment;
        spec.input = effect.input;
        spec.timeout = effect.timeout;
        spec.keep_on_timeout = effect.keep_on_timeout;
        if (effect.as_hacluster) spec.user = options.alert_user;
        spec.output_max = effect.output_max;
        const std::uint32_t token = effect.token;
        runs[token] = processes.start(spec, [this, token](const runtime::ProcessResult& result) {
            runs.erase(token);
            feed(done_of(token, result));
        });
    }
    void perform(const executor::Kill& effect) {
        if (const auto run = runs.find(effect.token); run != runs.end()) processes.kill(run->second);
    }
    void perform(const executor::ToFencer& effect) { fencer.send(effect.token, *effect.message); }
    void perform(const executor::ToSystemd& effect) {
        const std::uint32_t token = effect.token;
        units.act(
            {.unit = effect.unit, .action = effect.action, .resource = effect.resource, .timeout = effect.timeout},
            [this, token](const runtime::UnitResult& result) {
                feed(executor::SystemdDone{.token = token,
                                           .status = result.status,
                                           .exit_code = result.rc,
                                           .reason = result.reason,
                                           .output = result.output});
            });
    }
    void perform(const executor::Exit& effect) { exited(effect.code); }
};

ExecutorHost::ExecutorHost(runtime::Loop& loop, ExecutorHostOptions options, runtime::LogSink log,
                           std::function<void(ExitCode)> exited)
    : impl_(std::make_unique<Impl>(loop, std::move(options), std::move(log), std::move(exited))) {}
ExecutorHost::~ExecutorHost() = default;
Result<void> ExecutorHost::open() { return impl_->server.open(wire::Service::kExecutor); }
void ExecutorHost::feed(const executor::Input& input) { impl_->feed(input); }
void ExecutorHost::set_remote(std::function<bool(const executor::Effect&)> take) { impl_->remote = std::move(take); }

}  // namespace systole::daemons
