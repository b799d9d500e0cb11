#include "sim/world.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cib/operations.h"
#include "cib/request.h"
#include "xml/write.h"

namespace systole::sim {
namespace {

constexpr std::int64_t kEpochStart = 1'700'000'000;  // the wall clock's time at virtual zero
constexpr wire::ClientId kCoreAsClient{1};           // systole-core at the executor
constexpr wire::ClientId kExecutorAsClient{2};       // systole-execd at the fencer
constexpr Duration kRespawnMin{50}, kRespawnMax{250};
constexpr Duration kHop{1};  // from process to process on one machine

template <class... Handlers>
struct Overload : Handlers... {
    using Handlers::operator()...;
};

}  // namespace

World::World(WorldOptions options) : options_(std::move(options)), random_(options_.seed) {
    std::vector<wire::NodeRef> refs;
    for (unsigned i = 1; i <= options_.nodes; ++i) {
        const wire::NodeRef ref{NodeId{i}, fmt::format("n{}", i)};
        refs.push_back(ref);
        Machine& machine = machines_[ref.id];
        machine.ref = ref;
        machine.disk.cib = options_.cib;
    }
    network_ =
        std::make_unique<Network>(events_, random_.fork(), options_.times, refs, options_.nodes == 2,
                                  [this](NodeId node, const Delivery& delivery) { on_delivery(node, delivery); });
}

World::~World() = default;

Now World::both_clocks() const {
    const auto ms = events_.now().time_since_epoch().count();
    return {events_.now(), WallTime{kEpochStart + ms / 1000}};
}

std::vector<NodeId> World::nodes() const {
    std::vector<NodeId> out;
    for (const auto& [id, machine] : machines_) out.push_back(id);
    return out;
}

NodeId World::find(std::string_view node_name) const {
    for (const auto& [id, machine] : machines_)
        if (same_ignoring_case(machine.ref.name, node_name)) return id;
    return NodeId{0};
}

void World::violate(std::string what) {
    note("", "VIOLATION: " + what);
    violations_.push_back(std::move(what));
}

void World::note(const std::string& node, std::string text) {
    if (history_.size() >= options_.history_max) history_.erase(history_.begin(), history_.begin() + 1000);
    history_.push_back({events_.now(), node, std::move(text)});
}

void World::trace(std::string_view what, NodeId node, std::string_view text) {
    if (!options_.trace) return;
    const auto mix = [&](std::string_view bytes) {
        for (const char c : bytes) trace_ = (trace_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    };
    mix(what);
    mix(std::to_string(node.value));
    mix(std::to_string(events_.now().time_since_epoch().count()));
    mix(text);
}

void World::run_for(Duration time, bool stop_at_violation) {
    const Instant until = events_.now() + time;
    while (events_.step(until)) {
        ++steps_;
        if (check_step) check_step();
        if (stop_at_violation && !violations_.empty()) return;
    }
}

// ---- Lives of processes
// ----------------------------------------------------------------------------------------------

void World::guarded(NodeId node, bool core, std::uint64_t life, const std::function<void(Machine&)>& what) {
    Machine& machine = machines_.at(node);
    if (life != (core ? machine.core_life : machine.executor_life)) return;
    if (machine.paused) {
        machine.held.emplace_back([this, node, core, life, what] { guarded(node, core, life, what); });
        return;
    }
    what(machine);
}

void World::core_event(NodeId node, Duration delay, std::function<void(Machine&)> what) {
    events_.in(delay, [this, node, life = machines_.at(node).core_life, what = std::move(what)] {
        guarded(node, true, life, what);
    });
}

void World::executor_event(NodeId node, Duration delay, std::function<void(Machine&)> what) {
    events_.in(delay, [this, node, life = machines_.at(node).executor_life, what = std::move(what)] {
        guarded(node, false, life, what);
    });
}

void World::machine_event(NodeId node, Duration delay, std::function<void(Machine&)> what) {
    events_.in(delay, [this, node, cycle = machines_.at(node).power_cycle, what = std::move(what)] {
        Machine& machine = machines_.at(node);
        if (machine.powered && machine.power_cycle == cycle) what(machine);
    });
}

void World::boot_all() {
    for (const auto& [id, machine] : machines_) boot(id);
}

void World::boot(NodeId node) {
    Machine& machine = machines_.at(node);
    if (machine.powered) return;
    machine.powered = true;
    machine.wanted = true;
    ++machine.power_cycle;
    note(machine.ref.name, "boots");
    machine_event(node, random_.between(Duration{10}, Duration{300}), [this, node](Machine&) {
        network_->start(node);
        start_executor(node);
        start_core(node);
    });
}

void World::start_core(NodeId node) {
    Machine& machine = machines_.at(node);
    if (!machine.powered || machine.core || !machine.wanted) return;
    controller::NodeConfig config;
    config.self = machine.ref;
    config.cluster_name = "drill";
    config.infrastructure = "simulated";
    config.version = "simulated";
    config.seed = random_.next();
    config.pid = ++machine.pid;
    config.cpu_count = 4;
    machine.core = std::make_unique<controller::Node>(std::move(config));
    ++machine.core_life;
    note(machine.ref.name, "systole-core starts");
    feed_core(node, controller::Loaded{machine.disk.cib, {}});
    for (const auto& [id, other] : machines_)
        core_event(node, kHop, [this, node, ref = other.ref](Machine&) { feed_core(node, wire::NodeIdentified{ref}); });
    core_event(node, kHop, [this, node](Machine& m) {
        const std::set<NodeId> members = network_->ring_members(node);
        feed_core(node, wire::QuorumView{1, network_->quorate(node), {members.begin(), members.end()}});
        if (m.core && m.executor) {
            feed_executor(node, wire::ClientConnected{{.id = kCoreAsClient,
                                                       .service = wire::Service::kExecutor,
                                                       .pid = static_cast<std::int32_t>(m.pid),
                                                       .user = "hacluster",
                                                       .privileged = true,
                                                       .uuid = "core"}});
            feed_core(node, controller::ExecutorUp{});
        }
    });
}

void World::start_executor(NodeId node) {
    Machine& machine = machines_.at(node);
    if (!machine.powered || machine.executor) return;
    machine.executor = std::make_unique<executor::Executor>(executor::ExecutorConfig{.node_name = machine.ref.name});
    ++machine.executor_life;
    note(machine.ref.name, "systole-execd starts");
    if (!machine.core) return;
    executor_event(node, kHop, [this, node](Machine& m) {
        if (!m.core) return;
        feed_executor(node, wire::ClientConnected{{.id = kCoreAsClient,
                                                   .service = wire::Service::kExecutor,
                                                   .pid = static_cast<std::int32_t>(m.pid),
                                                   .user = "hacluster",
                                                   .privileged = true,
                                                   .uuid = "core"}});
        feed_core(node, controller::ExecutorUp{});
    });
}

void World::core_gone(NodeId node, bool respawn) {
    Machine& machine = machines_.at(node);
    machine.core.reset();
    ++machine.core_life;
    disarm_all(machine.core_timers);
    machine.services_open.clear();
    machine.answers.clear();
    machine.fence_runs.clear();
    if (options_.sabotage != Sabotage::kMemberNeverLeaves)
        for (const wire::Group group :
             {wire::Group::kCib, wire::Group::kController, wire::Group::kAttributes, wire::Group::kFencing})
            network_->leave(node, group);
    if (machine.executor) feed_executor(node, wire::ClientClosed{kCoreAsClient});
    if (respawn)
        machine_event(node, random_.between(kRespawnMin, kRespawnMax), [this, node](Machine&) { start_core(node); });
}

void World::executor_gone(NodeId node, bool respawn) {
    Machine& machine = machines_.at(node);
    machine.executor.reset();
    ++machine.executor_life;
    disarm_all(machine.executor_timers);
    // The agents it had started run on; nobody reads what comes of them.
    for (const auto& [token, handles] : machine.run_events)
        for (const Events::Handle& handle : handles) events_.cancel(handle);
    machine.run_events.clear();
    for (auto& [token, run] : std::exchange(machine.runs, {})) {
        machine_event(node, run.takes, [run = run](Machine& m) mutable {
            if (run.hangs)
                m.services.killed(run);
            else
                m.services.end(run);
        });
    }
    if (machine.core) core_event(node, kHop, [this, node](Machine&) { feed_core(node, controller::ExecutorDown{}); });
    if (respawn)
        machine_event(node, random_.between(kRespawnMin, kRespawnMax),
                      [this, node](Machine&) { start_executor(node); });
}

// ---- Faults
// ----------------------------------------------------------------------------------------------------------

void World::power_off(NodeId node, const std::string& why) {
    Machine& machine = machines_.at(node);
    if (!machine.powered) return;
    note(machine.ref.name, "loses power: " + why);
    network_->stop(node);
    machine.powered = false;
    ++machine.power_cycle;
    machine.services.power_off();
    machine.paused = false;
    machine.held.clear();
    core_gone(node, false);
    executor_gone(node, false);
    machine.runs.clear();
}

void World::kill_core(NodeId node) {
    Machine& machine = machines_.at(node);
    if (!machine.core) return;
    note(machine.ref.name, "systole-core is killed");
    core_gone(node, true);
}

void World::kill_executor(NodeId node) {
    Machine& machine = machines_.at(node);
    if (!machine.executor) return;
    note(machine.ref.name, "systole-execd is killed");
    executor_gone(node, true);
}

void World::pause(NodeId node, Duration time) {
    Machine& machine = machines_.at(node);
    if (!machine.powered || machine.paused) return;
    note(machine.ref.name, fmt::format("stands still for {} ms", time.count()));
    machine.paused = true;
    network_->pause(node);
    machine_event(node, time, [this, node](Machine& m) {
        note(m.ref.name, "goes on");
        m.paused = false;
        network_->resume(node);
        for (const auto& what : std::exchange(m.held, {})) what();
    });
}

void World::crash_service(NodeId node, const std::string& instance) {
    Machine& machine = machines_.at(node);
    if (!machine.services.active().contains(instance)) return;
    note(machine.ref.name, fmt::format("service {} dies", instance));
    machine.services.crash(instance);
}

void World::add_agent_fault(NodeId node, const std::string& instance, AgentFault fault) {
    Machine& machine = machines_.at(node);
    note(machine.ref.name, fmt::format("the agent of {} will misbehave in {}", instance, fault.action));
    machine.services.add_fault(instance, std::move(fault));
}

void World::set_fencing_fault(int failures) {
    note("", fmt::format("the next {} fence actions fail", failures));
    fencing_failures_ = failures;
}

void World::clear_faults() {
    for (auto& [id, machine] : machines_) machine.services.clear_faults();
    fencing_failures_ = 0;
    network_->heal();
}

// ---- People
// ----------------------------------------------------------------------------------------------------------

bool World::cib_request(NodeId node, const xml::NodePtr& request, Answer answer) {
    Machine& machine = machines_.at(node);
    if (!machine.core || !machine.services_open.contains(wire::Service::kCibRw)) return false;
    const wire::ClientId client{next_client_++};
    machine.answers[client.value] = std::move(answer);
    feed_core(node, wire::ClientConnected{{.id = client,
                                           .service = wire::Service::kCibRw,
                                           .pid = 1,
                                           .user = "root",
                                           .privileged = true,
                                           .uuid = fmt::format("admin-{}", client.value)}});
    xml::Builder synchronous(*request);
    synchronous.set("cib_callid", "1").set("cib_clientname", "drill");
    const auto options = parse_integer(synchronous.get("cib_callopt")).value_or(0);
    synchronous.set("cib_callopt", options | static_cast<long long>(cib::option::kSyncCall));
    feed_core(node, wire::ClientRequest{client, 1, wire::kExpectsResponse, std::move(synchronous).build()});
    return true;
}

void World::shut_down(NodeId node) {
    Machine& machine = machines_.at(node);
    if (!machine.core) return;
    note(machine.ref.name, "is asked to leave the cluster");
    machine.wanted = false;
    feed_core(node, controller::ShutdownRequested{});
}

// ---- Inputs
// ----------------------------------------------------------------------------------------------------------

void World::on_delivery(NodeId node, const Delivery& delivery) {
    Machine& machine = machines_.at(node);
    if (!machine.core) return;
    std::visit(
        [&](const auto& input) {
            using Kind = std::decay_t<decltype(input)>;
            if constexpr (std::is_same_v<Kind, wire::PeerMessage>) {
                if (options_.sabotage == Sabotage::kLostAttributes && input.group == wire::Group::kAttributes &&
                    random_.chance(1))
                    return;
                if (options_.sabotage == Sabotage::kUnorderedMessages && random_.chance(2)) {
                    core_event(node, Duration{random_.between(1, 50)},
                               [this, node, input](Machine&) { feed_core(node, input); });
                    return;
                }
                feed_core(node, input);
                if (options_.sabotage == Sabotage::kTwiceDelivered && random_.chance(2)) feed_core(node, input);
                return;
            }
            feed_core(node, input);
        },
        delivery);
}

void World::feed_core(NodeId node, const controller::Input& input) {
    Machine& machine = machines_.at(node);
    if (!machine.core) return;
    trace("core", node, std::to_string(input.index()));
    const std::uint64_t life = machine.core_life;
    for (const controller::Effect& effect : machine.core->on(both_clocks(), input)) {
        if (machine.core_life != life) return;  // an effect ended this life
        perform(node, effect);
    }
}

void World::feed_executor(NodeId node, const executor::Input& input) {
    Machine& machine = machines_.at(node);
    if (!machine.executor) return;
    trace("executor", node, std::to_string(input.index()));
    const std::uint64_t life = machine.executor_life;
    for (const executor::Effect& effect : machine.executor->on(both_clocks(), input)) {
        if (machine.executor_life != life) return;
        perform(node, effect);
    }
}

// ---- Effects
// ---------------------------------------------------------------------------------------------------------

void World::arm(NodeId node, Part part, const wire::ArmTimer& timer) {
    const bool core = part == Part::kCore;
    Machine& machine = machines_.at(node);
    Timers& timers = core ? machine.core_timers : machine.executor_timers;
    disarm(timers, timer.name);
    const std::uint64_t life = core ? machine.core_life : machine.executor_life;
    timers[timer.name] = events_.at(timer.at, [this, node, core, life, timer_name = timer.name] {
        guarded(node, core, life, [this, node, core, timer_name](Machine& m) {
            (core ? m.core_timers : m.executor_timers).erase(timer_name);
            if (core)
                feed_core(node, wire::TimerFired{timer_name});
            else
                feed_executor(node, wire::TimerFired{timer_name});
        });
    });
}

void World::disarm(Timers& timers, const std::string& timer) {
    const auto armed = timers.find(timer);
    if (armed == timers.end()) return;
    events_.cancel(armed->second);
    timers.erase(armed);
}

void World::disarm_all(Timers& timers) {
    for (const auto& [timer, handle] : timers) events_.cancel(handle);
    timers.clear();
}

void World::perform(NodeId node, const controller::Effect& effect) {
    Machine& machine = machines_.at(node);
    const auto log = [&](const wire::Log& line) {
        if (line.severity == wire::Severity::kDebug) return;
        constexpr std::array kNames{"error", "warning", "notice", "info", "debug"};
        note(machine.ref.name, fmt::format("{}: {}", kNames[static_cast<std::size_t>(line.severity)], line.text));
    };
    std::visit(
        Overload{
            [&](const wire::Multicast& e) {
                if (options_.trace) trace("multicast", node, xml::write(*e.message));
                network_->multicast(node, e.group, e.to, e.message);
            },
            [&](const wire::Respond& e) {
                if (e.client == kExecutorAsClient) {
                    executor_event(node, kHop, [this, node, request = e.request, message = e.message](Machine&) {
                        feed_executor(node, executor::FencerReply{request, message});
                    });
                    return;
                }
                const auto waiting = machine.answers.find(e.client.value);
                if (waiting == machine.answers.end()) return;
                const Answer answer = std::move(waiting->second);
                machine.answers.erase(waiting);
                const xml::Node* data = e.message->child("cib_calldata");
                const int rc = static_cast<int>(parse_integer(e.message->get("cib_rc")).value_or(-71));
                core_event(node, kHop,
                           [this, node, client = e.client](Machine&) { feed_core(node, wire::ClientClosed{client}); });
                answer(rc, data == nullptr ? xml::NodePtr{} : data->first_element_ptr());
            },
            [&](const wire::SendEvent&) {},
            [&](const wire::Evict& e) { machine.answers.erase(e.client.value); },
            [&](const wire::ArmTimer& e) { arm(node, Part::kCore, e); },
            [&](const wire::CancelTimer& e) { disarm(machine.core_timers, e.name); },
            [&](const wire::Log& e) { log(e); },
            [&](const controller::OpenService& e) { machine.services_open.insert(e.service); },
            [&](const controller::JoinGroup& e) { network_->join(node, e.group, machine.pid); },
            [&](const controller::LeaveGroup& e) { network_->leave(node, e.group); },
            [&](const controller::ToExecutor& e) {
                executor_event(node, kHop, [this, node, e](Machine&) {
                    feed_executor(node,
                                  wire::ClientRequest{kCoreAsClient, e.request, wire::kExpectsResponse, e.message});
                });
            },
            [&](const controller::RunScheduler& e) {
                // Computed when it would be done, on the snapshot that it was given.
                core_event(node, random_.between(Duration{1}, Duration{20}), [this, node, e](Machine&) {
                    controller::PlanReady ready{.token = e.token};
                    auto plan = scheduler::schedule(e.input);
                    if (plan)
                        ready.plan = std::make_shared<const scheduler::Plan>(std::move(*plan));
                    else
                        ready.fault = plan.error().what;
                    feed_core(node, ready);
                });
            },
            [&](const controller::WriteCib& e) {
                core_event(node, random_.between(Duration{1}, Duration{15}), [this, node, e](Machine& m) {
                    m.disk.cib = e.cib;
                    feed_core(node, controller::CibWritten{e.token, {}});
                });
            },
            [&](const controller::RunFenceAgent& e) { run_fence_agent(node, e); },
            [&](const controller::KillFenceAgent& e) {
                if (machine.fence_runs.erase(e.token) == 0) return;
                core_event(node, kHop, [this, node, e](Machine&) {
                    feed_core(node, controller::FenceAgentDone{e.token, ExecStatus::kCancelled, 1, {}, {}});
                });
            },
            [&](const controller::FetchMetadata& e) {
                core_event(node, random_.between(Duration{5}, Duration{80}), [this, node, e](Machine&) {
                    const std::string_view text = simulated_metadata(e.agent_class, e.type);
                    feed_core(node, controller::MetadataReady{e.token, std::string(text),
                                                              text.empty() ? "no such agent" : ""});
                });
            },
            [&](const controller::ConnectRemote& e) {
                core_event(node, Duration{1}, [this, node, e](Machine&) {
                    feed_core(node,
                              controller::RemoteConnected{.node = e.node,
                                                          .token = e.token,
                                                          .fault = controller::RemoteFault::kUnreachable,
                                                          .why = "the simulated network has no remote nodes yet"});
                });
            },
            [&](const controller::DisconnectRemote&) {},
            [&](const controller::ToRemote&) {},
            [&](const controller::Panic& e) {
                note(machine.ref.name, "panics: " + e.why);
                events_.in(Duration{0}, [this, node, cycle = machine.power_cycle] {
                    if (machines_.at(node).power_cycle != cycle) return;
                    power_off(node, "panic");
                    events_.in(random_.between(options_.boot_min, options_.boot_max), [this, node] { boot(node); });
                });
            },
            [&](const controller::Exit& e) {
                note(machine.ref.name, fmt::format("systole-core exits with {}: {}", static_cast<int>(e.code), e.why));
                const bool respawn = machine.wanted && e.code != ExitCode::kFatal;
                events_.in(Duration{0}, [this, node, respawn, life = machine.core_life] {
                    if (machines_.at(node).core_life == life) core_gone(node, respawn);
                });
            },
        },
        effect);
}

void World::perform(NodeId node, const executor::Effect& effect) {
    Machine& machine = machines_.at(node);
    std::visit(
        Overload{
            [&](const wire::Respond& e) {
                if (e.client != kCoreAsClient) return;
                core_event(node, kHop, [this, node, e](Machine&) {
                    feed_core(node, controller::ExecutorReply{e.request, e.message});
                });
            },
            [&](const wire::SendEvent& e) {
                if (e.client != kCoreAsClient) return;
                core_event(node, kHop,
                           [this, node, e](Machine&) { feed_core(node, controller::ExecutorEvent{e.message}); });
            },
            [&](const wire::Evict&) {},
            [&](const wire::ArmTimer& e) { arm(node, Part::kExecutor, e); },
            [&](const wire::CancelTimer& e) { disarm(machine.executor_timers, e.name); },
            [&](const wire::Log& e) {
                if (e.severity != wire::Severity::kDebug) note(machine.ref.name, "execd: " + e.text);
            },
            [&](const executor::Spawn& e) { run_agent(node, e); },
            [&](const executor::Kill& e) {
                const auto run = machine.runs.find(e.token);
                if (run == machine.runs.end()) return;
                for (const Events::Handle& handle : machine.run_events[e.token]) events_.cancel(handle);
                machine.run_events.erase(e.token);
                machine.services.killed(run->second);
                machine.runs.erase(run);
                executor_event(node, kHop, [this, node, e](Machine&) {
                    feed_executor(node, executor::ProcessDone{.token = e.token, .status = ExecStatus::kTimeout});
                });
            },
            [&](const executor::ToFencer& e) {
                core_event(node, kHop, [this, node, e](Machine& m) {
                    if (!m.services_open.contains(wire::Service::kFencer)) {
                        feed_executor(node, executor::FencerReply{e.token, {}});
                        return;
                    }
                    if (m.fencer_clients[kExecutorAsClient.value] != m.pid) {
                        m.fencer_clients[kExecutorAsClient.value] = m.pid;
                        feed_core(node, wire::ClientConnected{{.id = kExecutorAsClient,
                                                               .service = wire::Service::kFencer,
                                                               .pid = 2,
                                                               .user = "root",
                                                               .privileged = true,
                                                               .uuid = "execd"}});
                    }
                    feed_core(node, wire::ClientRequest{kExecutorAsClient, e.token, wire::kExpectsResponse, e.message});
                });
                if (!machine.core) {
                    executor_event(node, kHop, [this, node, e](Machine&) {
                        feed_executor(node, executor::FencerReply{e.token, {}});
                    });
                }
            },
            [&](const executor::ToSystemd& e) {
                executor_event(node, kHop, [this, node, e](Machine&) {
                    feed_executor(node,
                                  executor::SystemdDone{e.token, ExecStatus::kNotInstalled, 5, "no systemd here"});
                });
            },
            [&](const executor::Exit&) { executor_gone(node, true); },
        },
        effect);
}

void World::run_agent(NodeId node, const executor::Spawn& spawn) {
    Machine& machine = machines_.at(node);
    ++agent_runs_;
    AgentRun run = machine.services.begin(spawn, random_);
    for (std::string& violation : machine.services.violations())
        violate(fmt::format("{} on {}", violation, machine.ref.name));
    if (run.action != "monitor" && !run.instance.empty())
        note(machine.ref.name, fmt::format("agent: {} {}", run.action, run.instance));
    const std::uint32_t token = spawn.token;
    const bool times_out = run.hangs || (spawn.timeout > Duration{0} && run.takes > spawn.timeout);
    const Duration takes = times_out ? spawn.timeout : run.takes;
    machine.runs.emplace(token, std::move(run));
    const auto handle = events_.in(takes, [this, node, token, times_out, life = machine.executor_life] {
        guarded(node, false, life, [this, node, token, times_out](Machine& m) {
            const auto found = m.runs.find(token);
            if (found == m.runs.end()) return;
            AgentRun done = std::move(found->second);
            m.runs.erase(found);
            m.run_events.erase(token);
            if (times_out) {
                m.services.killed(done);
                feed_executor(node, executor::ProcessDone{.token = token, .status = ExecStatus::kTimeout});
                return;
            }
            m.services.end(done);
            feed_executor(node, done.result);
        });
    });
    machine.run_events[token].push_back(handle);
}

void World::run_fence_agent(NodeId node, const controller::RunFenceAgent& run) {
    Machine& machine = machines_.at(node);
    machine.fence_runs.insert(run.token);
    std::string target;
    for (const auto& [key, value] : run.parameters)
        if (key == "plug" || key == "port" || key == "nodename") target = value;
    const bool switches = run.action == "off" || run.action == "reboot" || run.action == "on";
    const bool fails = switches && fencing_failures_ > 0;
    if (fails) --fencing_failures_;
    const bool right = network_->quorate(node) || machine.core == nullptr;
    if (switches && !fails) {
        note(machine.ref.name, fmt::format("fence agent: {} {}", run.action, target));
        std::set<NodeId> voters;
        for (const NodeId other : network_->ring_members(node)) voters.insert(other);
        if (!right && 2 * voters.size() <= machines_.size() && machines_.size() > 2)
            violate(fmt::format("I3: {} fences {} without quorum", machine.ref.name, target));
    }
    const Duration takes =
        switches ? random_.between(Duration{300}, Duration{2500}) : random_.between(Duration{5}, Duration{50});
    if (switches && !fails) {
        // The switch acts somewhere in the middle, whatever happens to the machine that asked for it.
        events_.in(takes / 2, [this, node, target, action = run.action] { switch_power(node, target, action); });
    }
    core_event(node, takes, [this, node, token = run.token, fails, action = run.action](Machine& m) {
        if (m.fence_runs.erase(token) == 0) return;
        controller::FenceAgentDone done{token, ExecStatus::kDone, fails ? 1 : 0, {}, {}};
        if (fails) done.error = "simulated: no answer from the switch\n";
        if (action == "metadata") done.output = simulated_metadata("stonith", "fence_sim");
        if (action == "list")
            for (const auto& [id, other] : machines_) done.output += other.ref.name + ",\n";
        feed_core(node, done);
    });
}

void World::switch_power(NodeId by, const std::string& target, const std::string& action) {
    const NodeId victim = find(target);
    if (victim.value == 0) return;
    ++fencings_;
    if (options_.sabotage == Sabotage::kFencingClaimsSuccess && random_.chance(50)) return;
    if (action == "on") {
        boot(victim);
        return;
    }
    power_off(victim, fmt::format("fenced by {}", name(by)));
    if (action == "reboot")
        events_.in(random_.between(options_.boot_min, options_.boot_max), [this, victim] { boot(victim); });
}

}  // namespace systole::sim
