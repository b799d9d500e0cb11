#include "sim/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "cib/request.h"
#include "wire/message.h"
#include "xml/write.h"

namespace systole::sim {
namespace {

constexpr std::int64_t kEpochStart = 1'700'000'000;  // the wall clock's time at virtual zero
constexpr Duration kRespawnMin{50}, kRespawnMax{250};
constexpr std::uint32_t kFirstRemote = 100'001;  // ids of remote machines, which only the world knows

}  // namespace

xml::NodePtr with_empty_status(const xml::NodePtr& cib) {
    xml::Builder root(*cib);
    for (std::size_t i = 0; i < root.children().size(); ++i)
        if (root.children()[i]->is("status")) root.replace(i, xml::Builder("status").build());
    return std::move(root).build();
}

World::World(WorldOptions options) : options_(std::move(options)), random_(options_.seed) {
    for (const wire::NodeRef& ref : options_.nodes) {
        Machine& machine = machines_[ref.id];
        machine.ref = ref;
        machine.disk = {options_.cib, options_.cib, options_.cib, std::nullopt};
        machine.services.keep_migrated(options_.sabotage == Sabotage::kMigrationTwoWriters);
    }
    NodeId next{kFirstRemote};
    for (const std::string& remote_name : options_.remotes) {
        Machine& machine = machines_[next];
        machine.ref = {next, remote_name};
        machine.remote = true;
        ++next.value;
    }
    for (const auto& [guest, container] : options_.guests) {
        Machine& machine = machines_[next];
        machine.ref = {next, guest};
        machine.remote = true;
        machine.container = container;
        containers_.insert(container);
        ++next.value;
    }
    network_ =
        std::make_unique<Network>(events_, random_.fork(), options_.times, options_.nodes, options_.nodes.size() == 2,
                                  [this](NodeId node, const Delivery& delivery) { on_delivery(node, delivery); });
}

World::~World() = default;

Now World::both_clocks(const Machine& machine) const {
    const auto ms = events_.now().time_since_epoch().count();
    return {events_.now(), WallTime{kEpochStart + machine.clock_offset + ms / 1000}};
}

std::vector<NodeId> World::nodes() const {
    std::vector<NodeId> out;
    for (const auto& [id, machine] : machines_)
        if (!machine.remote) out.push_back(id);
    return out;
}

std::vector<NodeId> World::machines() const {
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

// ---- Lives of processes ---------------------------------------------------------------------------------------------

void World::guarded(NodeId node, Part part, std::uint64_t life, const std::function<void(Machine&)>& what) {
    Machine& machine = machines_.at(node);
    const bool core = part == Part::kCore;
    if (life != (core ? machine.core_life : machine.executor_life)) return;
    auto* held = machine.paused                                        ? &machine.held
                 : core && machine.core_stopped                        ? &machine.core_held
                 : part == Part::kExecutor && machine.executor_stopped ? &machine.executor_held
                                                                       : nullptr;
    if (held != nullptr) {
        held->emplace_back([this, node, part, life, what] { guarded(node, part, life, what); });
        return;
    }
    what(machine);
}

void World::release(std::vector<std::function<void()>>& held) {
    for (const auto& what : std::exchange(held, {})) what();
}

void World::core_event(NodeId node, Duration delay, std::function<void(Machine&)> what) {
    events_.in(delay, [this, node, life = machines_.at(node).core_life, what = std::move(what)] {
        guarded(node, Part::kCore, life, what);
    });
}

void World::executor_event(NodeId node, Duration delay, std::function<void(Machine&)> what) {
    events_.in(delay, [this, node, life = machines_.at(node).executor_life, what = std::move(what)] {
        guarded(node, Part::kExecutor, life, what);
    });
}

void World::machine_event(NodeId node, Duration delay, std::function<void(Machine&)> what) {
    events_.in(delay, [this, node, cycle = machines_.at(node).power_cycle, what = std::move(what)] {
        Machine& machine = machines_.at(node);
        if (machine.powered && machine.power_cycle == cycle) what(machine);
    });
}

void World::boot_all() {
    for (const auto& [id, machine] : machines_)
        if (machine.container.empty()) boot(id);
}

void World::boot(NodeId node) {
    Machine& machine = machines_.at(node);
    if (machine.powered || machine.broken) return;
    machine.powered = true;
    machine.wanted = true;
    ++machine.power_cycle;
    note(machine.ref.name, "boots");
    if (witness != nullptr) witness->on_power(node, Power::kOn);
    machine_event(node, random_.between(Duration{10}, Duration{300}), [this, node](Machine& m) {
        if (m.remote) {
            start_executor(node);
            return;
        }
        network_->start(node);
        start_executor(node);
        start_core(node);
    });
}

void World::start_core(NodeId node) {
    Machine& machine = machines_.at(node);
    if (machine.remote || !machine.powered || machine.core || !machine.wanted || !network_->running(node)) return;
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
    machine.core_since = events_.now();
    note(machine.ref.name, "systole-core starts");
    feed_core(node, controller::Loaded{machine.disk.newest, {}});
    for (const NodeId id : nodes())
        core_event(node, kHop,
                   [this, node, ref = machines_.at(id).ref](Machine&) { feed_core(node, wire::NodeIdentified{ref}); });
    core_event(node, kHop, [this, node](Machine& m) {
        const std::set<NodeId> members = network_->ring_members(node);
        if (!network_->running(node)) return;
        on_delivery(node, wire::QuorumView{1, network_->quorate(node), {members.begin(), members.end()}});
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
    machine.executor = std::make_unique<executor::Executor>(
        executor::ExecutorConfig{.node_name = machine.ref.name, .fence_devices = !machine.remote});
    if (machine.remote) machine.server = std::make_unique<remote::Server>();
    ++machine.executor_life;
    note(machine.ref.name, machine.remote ? "pacemaker-remoted starts" : "systole-execd starts");
    if (!machine.core) return;
    // The core connects once it sees that the executor is back; one that stands still sees nothing before it goes on.
    core_event(node, kHop, [this, node, life = machine.executor_life](Machine& m) {
        if (!m.executor || m.executor_life != life) return;
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
    drop_links(node);
    disarm_all(machine.core_timers);
    machine.core_stopped = false;
    machine.core_held.clear();
    machine.services_open.clear();
    machine.waiting.clear();
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
    machine.server.reset();
    machine.server_inputs.clear();
    disarm_all(machine.server_timers);
    ++machine.executor_life;
    drop_peers(node);
    disarm_all(machine.executor_timers);
    machine.executor_stopped = false;
    machine.executor_held.clear();
    // The agents that it had started go with it: its successor kills what it finds of them.
    for (const auto& [token, handles] : machine.run_events)
        for (const Events::Handle& handle : handles) events_.cancel(handle);
    machine.run_events.clear();
    for (const auto& [token, run] : std::exchange(machine.runs, {})) {
        machine.services.killed(run);
        if (witness != nullptr && machine.powered) witness->on_agent_end(node, run, true);
    }
    if (machine.core) core_event(node, kHop, [this, node](Machine&) { feed_core(node, controller::ExecutorDown{}); });
    if (respawn)
        machine_event(node, random_.between(kRespawnMin, kRespawnMax),
                      [this, node](Machine&) { start_executor(node); });
}

// ---- Faults --------------------------------------------------------------------------------------------------------

void World::power_off(NodeId node, const std::string& why, Power how) {
    Machine& machine = machines_.at(node);
    if (!machine.powered) return;
    note(machine.ref.name, "loses power: " + why);
    if (!machine.remote) network_->stop(node);
    machine.powered = false;
    ++machine.power_cycle;
    machine.services.power_off();
    machine.paused = false;
    machine.held.clear();
    if (!machine.remote) core_gone(node, false);
    executor_gone(node, false);
    Disk& disk = machine.disk;
    constexpr Duration kWriting{20};  // what was just confirmed may not have reached the disk yet
    lies_.emplace_back(events_.now() - kWriting, events_.now());
    if (options_.sabotage == Sabotage::kLostWrites) {
        disk.newest = disk.before = disk.first;
    } else if (disk.fault == DiskFault::kLostFsync || disk.fault == DiskFault::kTorn) {
        note(machine.ref.name, "its disk has lost what was written last");
        disk.newest = disk.before;
        lies_.emplace_back(disk.fault_since, events_.now());
    }
    disk.fault.reset();
    if (witness != nullptr) witness->on_power(node, how);
    if (!machine.remote) sync_guests();
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
    note(machine.ref.name, machine.remote ? "pacemaker-remoted is killed" : "systole-execd is killed");
    executor_gone(node, true);
}

void World::lose_engine(NodeId node, Duration time) {
    Machine& machine = machines_.at(node);
    if (!machine.powered || !network_->running(node)) return;
    note(machine.ref.name, fmt::format("the cluster engine ends for {} ms", time.count()));
    network_->stop(node);
    if (machine.core) feed_core(node, controller::EngineLost{"the connection to the cluster engine is lost"});
    machine_event(node, time, [this, node](Machine& m) {
        note(m.ref.name, "the cluster engine is back");
        network_->start(node);
        start_core(node);
    });
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
        release(m.held);
    });
}

void World::stop_process(NodeId node, Part part, Duration time) {
    Machine& machine = machines_.at(node);
    const bool core = part == Part::kCore;
    bool& stopped = core ? machine.core_stopped : machine.executor_stopped;
    if (!machine.powered || stopped || (core ? !machine.core : !machine.executor)) return;
    const char* process = core ? "systole-core" : machine.remote ? "pacemaker-remoted" : "systole-execd";
    note(machine.ref.name, fmt::format("{} is stopped for {} ms", process, time.count()));
    stopped = true;
    const std::uint64_t life = core ? machine.core_life : machine.executor_life;
    machine_event(node, time, [this, core, life, process](Machine& m) {
        if ((core ? m.core_life : m.executor_life) != life || !(core ? m.core_stopped : m.executor_stopped)) return;
        note(m.ref.name, fmt::format("{} goes on", process));
        (core ? m.core_stopped : m.executor_stopped) = false;
        release(core ? m.core_held : m.executor_held);
    });
}

void World::stop_core(NodeId node, Duration time) { stop_process(node, Part::kCore, time); }
void World::stop_executor(NodeId node, Duration time) { stop_process(node, Part::kExecutor, time); }

void World::set_clock(NodeId node, std::int64_t seconds) {
    Machine& machine = machines_.at(node);
    note(machine.ref.name, fmt::format("its clock jumps by {} s", seconds));
    machine.clock_offset += seconds;
    clocks_jumped_ = true;
}

void World::set_disk_fault(NodeId node, DiskFault fault, Duration time) {
    Machine& machine = machines_.at(node);
    note(machine.ref.name, fault == DiskFault::kFull        ? "its disk is full"
                           : fault == DiskFault::kLostFsync ? "its disk does not keep what it confirms"
                                                            : "its disk will write half of the last file");
    machine.disk.fault = fault;
    machine.disk.fault_since = events_.now();
    events_.in(time, [this, node] { machines_.at(node).disk.fault.reset(); });
}

void World::crash_service(NodeId node, const std::string& instance) {
    Machine& machine = machines_.at(node);
    if (!machine.services.active().contains(instance)) return;
    note(machine.ref.name, fmt::format("service {} dies", instance));
    machine.services.crash(instance);
    if (witness != nullptr) witness->on_service_died(node, instance);
    if (containers_.contains(instance)) sync_guests();
}

void World::start_service_by_hand(NodeId node, const std::string& instance) {
    machines_.at(node).services.run(instance);
}

void World::add_agent_fault(NodeId node, const std::string& instance, AgentFault fault) {
    Machine& machine = machines_.at(node);
    note(machine.ref.name, fmt::format("the agent of {} will misbehave in {}", instance, fault.action));
    machine.services.add_fault(instance, std::move(fault));
}

void World::add_fence_fault(FenceFault fault, int times) {
    constexpr std::array kNames{"fail", "hang", "work and say that they failed", "leave the machine off"};
    note("", fmt::format("the next {} fence actions {}", times, kNames[static_cast<std::size_t>(fault)]));
    fence_faults_.insert(fence_faults_.end(), static_cast<std::size_t>(times), fault);
}

void World::hide_fence_device(NodeId node, Duration time) {
    Machine& machine = machines_.at(node);
    note(machine.ref.name, "can't reach the fence device");
    machine.device_hidden = true;
    events_.in(time, [this, node] { machines_.at(node).device_hidden = false; });
}

void World::clear_faults() {
    for (auto& [id, machine] : machines_) {
        machine.services.clear_faults();
        machine.device_hidden = false;
        machine.clock_offset = 0;
        machine.disk.fault.reset();
        machine.wrong_key = false;
        if (machine.core_stopped) {
            machine.core_stopped = false;
            release(machine.core_held);
        }
        if (machine.executor_stopped) {
            machine.executor_stopped = false;
            release(machine.executor_held);
        }
    }
    fence_faults_.clear();
    cut_remotes_.clear();
    network_->heal();
}

bool World::disk_lied(Instant at) const {
    return std::ranges::any_of(lies_, [&](const auto& lie) { return lie.first <= at && at <= lie.second; });
}

bool World::standing_still(NodeId node) const {
    const Machine& machine = machines_.at(node);
    return machine.paused || machine.core_stopped || machine.executor_stopped;
}

// ---- People --------------------------------------------------------------------------------------------------------

bool World::request(NodeId node, wire::Service service, const xml::NodePtr& message, Reply reply) {
    Machine& machine = machines_.at(node);
    if (!machine.core || machine.paused || machine.core_stopped || !machine.services_open.contains(service))
        return false;
    const wire::ClientId client{next_client_++};
    const std::string_view what = service == wire::Service::kCibRw        ? message->get("cib_op")
                                  : service == wire::Service::kAttributes ? message->get("task")
                                                                          : message->get("crm_task");
    machine.waiting[client.value] = {std::move(reply), events_.now(),
                                     fmt::format("{} {}", wire::service_name(service), what)};
    const std::uint64_t life = machine.core_life;
    feed_core(node, wire::ClientConnected{{.id = client,
                                           .service = service,
                                           .pid = 1,
                                           .user = "root",
                                           .privileged = true,
                                           .uuid = fmt::format("admin-{}", client.value)}});
    if (service == wire::Service::kController && machine.core_life == life) {
        xml::Builder options("options");
        options.set("major_version", "1").set("minor_version", "0").set("client_name", "drill");
        options.set("client_uuid", fmt::format("admin-{}", client.value));
        feed_core(
            node,
            wire::ClientRequest{
                client, 0, 0,
                wire::make_message({.task = "hello", .from_system = "drill"}, std::move(options).build()).build()});
    }
    if (machine.core_life == life) feed_core(node, wire::ClientRequest{client, 1, wire::kExpectsResponse, message});
    return true;
}

bool World::cib_request(NodeId node, const xml::NodePtr& cib_command, Answer answer) {
    xml::Builder synchronous(*cib_command);
    synchronous.set("cib_callid", "1").set("cib_clientname", "drill");
    const auto call_options = parse_integer(synchronous.get("cib_callopt")).value_or(0);
    synchronous.set("cib_callopt", call_options | static_cast<long long>(cib::option::kSyncCall));
    return request(node, wire::Service::kCibRw, std::move(synchronous).build(),
                   [answer = std::move(answer)](const xml::NodePtr& reply) {
                       const xml::Node* data = reply->child("cib_calldata");
                       const int rc = static_cast<int>(parse_integer(reply->get("cib_rc")).value_or(-71));
                       answer(rc, data == nullptr ? xml::NodePtr{} : data->first_element_ptr());
                   });
}

std::vector<std::string> World::unanswered(Duration so_long) const {
    std::vector<std::string> out;
    for (const auto& [id, machine] : machines_)
        for (const auto& [client, waiting] : machine.waiting)
            if (events_.now() - waiting.since > so_long)
                out.push_back(fmt::format(
                    "{} asked of {} {} s ago", waiting.what, machine.ref.name,
                    std::chrono::duration_cast<std::chrono::seconds>(events_.now() - waiting.since).count()));
    return out;
}

void World::start_again(NodeId node) {
    Machine& machine = machines_.at(node);
    machine.wanted = true;
    if (!machine.container.empty()) return;  // its resource switches it
    if (!machine.powered)
        boot(node);
    else
        start_core(node);
}

void World::shut_down(NodeId node) {
    Machine& machine = machines_.at(node);
    if (!machine.core) return;
    note(machine.ref.name, "is asked to leave the cluster");
    machine.wanted = false;
    feed_core(node, controller::ShutdownRequested{});
}

}  // namespace systole::sim
