#include "daemons/core_host.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <utility>

#include "cib/operations.h"
#include "cib/store.h"
#include "daemons/executor_link.h"
#include "daemons/remote_links.h"
#include "daemons/scheduler_inputs.h"
#include "runtime/linux/disk.h"
#include "runtime/linux/ipc_server.h"
#include "runtime/linux/worker.h"
#include "scheduler/schedule.h"
#include "wire/message.h"

namespace systole::daemons {
namespace {

constexpr Duration kLoadEvery{30'000};
// Changes in quick succession share a plan and a write: neither may take the processor or the disk for itself.
constexpr runtime::Worker::Pace kPlanPace{.times = 3, .longest = Duration{50}};
constexpr runtime::Worker::Pace kWritePace{.times = 4, .longest = Duration{200}};

template <class... F>
struct Overloaded : F... {
    using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

unsigned load_permille(unsigned cpu_count) {
    std::array<double, 1> load{};
    if (getloadavg(load.data(), 1) != 1 || cpu_count == 0) return 0;
    return static_cast<unsigned>(load[0] * 1000.0 / cpu_count);
}

InputSeries series_of(const scheduler::Plan& plan) {
    if (plan.processing_errors || plan.config_errors) return InputSeries::kError;
    if (plan.processing_warnings || plan.config_warnings) return InputSeries::kWarning;
    return InputSeries::kInput;
}

/// On the worker's thread.
controller::PlanReady make_plan(std::uint32_t token, const scheduler::Input& input, const std::string& folder) {
    controller::PlanReady ready{.token = token, .plan = nullptr, .fault = {}, .saved_as = {}};
    auto plan = scheduler::schedule(input);
    const InputSeries series = plan ? series_of(*plan) : InputSeries::kError;
    if (plan)
        ready.plan = std::make_shared<const scheduler::Plan>(std::move(*plan));
    else
        ready.fault = plan.error().what;
    if (auto path = next_scheduler_input(folder, series, *input.cib)) ready.saved_as = std::move(*path);
    return ready;
}

}  // namespace

struct CoreHost::Impl {
    runtime::Loop& loop;
    CoreHostOptions options;
    std::unique_ptr<runtime::Engine> engine;
    runtime::LogSink log;
    std::function<void(ExitCode)> exited;
    runtime::Timers timers;
    runtime::IpcServer server;
    ExecutorLink executor;
    RemoteLinks remotes;
    std::optional<controller::Node> node;
    std::deque<controller::Input> inputs;  // what came while effects were being performed
    bool performing = false;
    bool over = false;
    runtime::Source load_timer;
    // Last, so that they end first: their reports call into the rest.
    runtime::Worker planner;
    runtime::Worker writer;

    Impl(runtime::Loop& l, CoreHostOptions o, std::unique_ptr<runtime::Engine> e, runtime::LogSink sink,
         std::function<void(ExitCode)> on_exit)
        : loop(l),
          options(std::move(o)),
          engine(std::move(e)),
          log(std::move(sink)),
          exited(std::move(on_exit)),
          timers(loop, [this](const std::string& name) { feed(wire::TimerFired{name}); }),
          server(loop, {.prefix = options.ipc_prefix, .owner = options.ipc_owner, .log = log},
                 {.admit = {},
                  .connected = [this](const wire::Client& client) { feed(wire::ClientConnected{client}); },
                  .request = [this](const wire::ClientRequest& request) { feed(request); },
                  .closed = [this](wire::ClientId id) { feed(wire::ClientClosed{id}); }}),
          executor(
              loop, [this](controller::Input input) { feed(std::move(input)); }, log),
          remotes(
              loop, runtime::tls_settings_of_environment(), [this](controller::Input input) { feed(std::move(input)); },
              log),
          planner(loop),
          writer(loop) {}

    void feed(controller::Input input) {
        if (over || !node) return;
        inputs.push_back(std::move(input));
        if (performing) return;
        performing = true;
        while (!inputs.empty() && !over) {
            const controller::Input next = std::move(inputs.front());
            inputs.pop_front();
            for (const controller::Effect& effect : node->on(loop.now(), next))
                std::visit([this](const auto& e) { perform(e); }, effect);
        }
        performing = false;
    }

    void end(ExitCode code, const std::string& why) {
        if (std::exchange(over, true)) return;
        log({.severity = code == ExitCode::kOk ? wire::Severity::kNotice : wire::Severity::kError,
             .text = fmt::format("systole-core ends with status {}{}{}", static_cast<int>(code),
                                 why.empty() ? "" : ": ", why)});
        writer.finish();  // the last change is on disk when this node says that it has stopped
        // A round later, so that what was said last gets out.
        loop.defer([this, code] { exited(code); }, runtime::Priority::kLow);
    }

    // ---- Effects ----

    void perform(const wire::Multicast& effect) { engine->multicast(effect); }
    void perform(const wire::Respond& effect) { server.respond(effect); }
    void perform(const wire::SendEvent& effect) { server.send_event(effect); }
    void perform(const wire::Evict& effect) { server.evict(effect); }
    void perform(const wire::ArmTimer& effect) { timers.arm(effect.name, effect.at); }
    void perform(const wire::CancelTimer& effect) { timers.cancel(effect.name); }
    void perform(const wire::Log& effect) { log(effect); }
    void perform(const controller::OpenService& effect) {
        if (const auto opened = server.open(effect.service); !opened)
            // Another process serves this name: a second set of daemons must not go on.
            end(ExitCode::kFatal, opened.error().what);
    }
    void perform(const controller::JoinGroup& effect) { engine->join(effect.group); }
    void perform(const controller::LeaveGroup& effect) { engine->leave(effect.group); }
    void perform(const controller::ToExecutor& effect) { executor.send(effect); }
    void perform(const controller::RunFenceAgent& effect) { executor.run(effect); }
    void perform(const controller::KillFenceAgent& effect) { executor.kill(effect); }
    void perform(const controller::FetchMetadata& effect) { executor.fetch(effect); }
    void perform(const controller::ConnectRemote& effect) { remotes.connect(effect); }
    void perform(const controller::DisconnectRemote& effect) { remotes.disconnect(effect); }
    void perform(const controller::ToRemote& effect) { remotes.send(effect); }
    void perform(const controller::RunScheduler& effect) {
        planner.submit(
            "plan",
            [this, token = effect.token, input = effect.input, folder = options.inputs_folder,
             now = loop.now().wall]() -> runtime::Worker::Report {
                const controller::PlanReady ready = make_plan(token, input, folder);
                planner.report([this, ready] { feed(ready); });
                // Nobody waits for the file.
                if (ready.saved_as.empty()) return {};
                return save_input(ready.saved_as, *input.cib, now);
            },
            kPlanPace);
    }
    void perform(const controller::WriteCib& effect) {
        writer.submit(
            "cib",
            [this, token = effect.token, cib = effect.cib, folder = options.cib_folder]() -> runtime::Worker::Report {
                runtime::Disk disk(folder);
                const auto stored = cib::store_cib(disk, *cib);
                return [this, token, fault = stored ? std::string() : stored.error().what] {
                    feed(controller::CibWritten{.token = token, .fault = fault});
                };
            },
            kWritePace);
    }

    /// On the worker's thread.
    runtime::Worker::Report save_input(const std::string& path, const xml::Node& cib, WallTime now) {
        const auto saved = save_scheduler_input(path, cib, now);
        if (saved) return {};
        return [this, why = saved.error().what] {
            log({.severity = wire::Severity::kWarning,
                 .text = fmt::format("The scheduler's input is not kept: {}", why)});
        };
    }
    void perform(const controller::Panic& effect) { end(ExitCode::kPanic, effect.why); }
    void perform(const controller::Exit& effect) { end(effect.code, effect.why); }

    void sample_load() {
        feed(controller::LoadSampled{load_permille(options.config.cpu_count)});
        load_timer = loop.after(kLoadEvery, [this] { sample_load(); });
    }
};

CoreHost::CoreHost(runtime::Loop& loop, CoreHostOptions options, std::unique_ptr<runtime::Engine> engine,
                   runtime::LogSink log, std::function<void(ExitCode)> exited)
    : impl_(std::make_unique<Impl>(loop, std::move(options), std::move(engine), std::move(log), std::move(exited))) {}
CoreHost::~CoreHost() = default;

Result<void> CoreHost::start() {
    Impl& self = *impl_;
    const auto who =
        self.engine->start({.group_change = [&self](const wire::GroupChange& change) { self.feed(change); },
                            .quorum_view = [&self](const wire::QuorumView& view) { self.feed(view); },
                            .node_identified = [&self](const wire::NodeIdentified& node) { self.feed(node); },
                            .message = [&self](const wire::PeerMessage& message) { self.feed(message); },
                            .lost = [&self](const std::string& why) { self.feed(controller::EngineLost{why}); }});
    if (!who) return tl::unexpected(who.error());

    runtime::Disk disk(self.options.cib_folder);
    if (const auto readable = disk.list(); !readable) return tl::unexpected(readable.error());
    cib::Schemas* const schemas = self.options.config.schemas;
    const auto empty = cib::empty_cib(schemas != nullptr ? kSchemaOfNewClusters : "none", wire::kFeatureSet);
    cib::LoadedCib loaded = cib::load_cib(disk, empty);
    for (const std::string& remark : loaded.remarks) self.log({.severity = wire::Severity::kWarning, .text = remark});

    self.options.config.self = who->self;
    self.options.config.cluster_name = who->cluster_name;
    self.options.config.infrastructure = who->infrastructure;
    self.node.emplace(self.options.config);
    self.log({.severity = wire::Severity::kNotice,
              .text = fmt::format("node {} (id {}) of cluster '{}', engine {}; CIB from {}", who->self.name,
                                  who->self.id.value, who->cluster_name, who->infrastructure,
                                  loaded.source.empty() ? "nowhere: it is new" : loaded.source)});
    // The first input, before anything that the engine has to say.
    self.feed(controller::Loaded{loaded.cib, loaded.fault});
    self.executor.start();
    self.sample_load();
    return {};
}

void CoreHost::shut_down() { impl_->feed(controller::ShutdownRequested{}); }

}  // namespace systole::daemons
