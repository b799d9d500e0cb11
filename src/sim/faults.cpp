#include "sim/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace systole::sim {
namespace {

template <class T>
const T& any_of(const std::vector<T>& list, Random& random) {
    return list[static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(list.size()) - 1))];
}

NodeId any_node(const Stage& s, Random& random) { return any_of(s.world.nodes(), random); }

NodeId dc_of(const World& world) {
    for (const NodeId node : world.nodes())
        if (const controller::Node* core = world.core(node); core != nullptr && core->dc() == world.name(node))
            return node;
    return NodeId{0};
}

struct Active {
    NodeId node{0};
    std::string resource;
    explicit operator bool() const { return node.value != 0; }
};

/// One of the promised and managed resources where it is active.
Active any_active(const Stage& s, Random& random) {
    std::vector<Active> found;
    for (const NodeId node : s.world.machines())
        for (const auto& [resource, activity] : s.world.services(node).active())
            if (!s.promises.unmanaged.contains(resource) &&
                (s.promises.cloned.contains(resource) || std::ranges::count(s.promises.exclusive, resource) != 0))
                found.push_back({node, resource});
    return found.empty() ? Active{} : any_of(found, random);
}

void cut(World& world, NodeId a, NodeId b) {
    world.network().set_link(a, b, false);
    world.network().set_link(b, a, false);
}

void heal_after(World& world, Duration time) {
    world.events().in(time, [&world] {
        world.note("", "the network is whole again");
        world.network().heal();
    });
}

void break_agent(const Stage& s, Random& r, std::string action, AgentFault::Kind kind, int times) {
    if (const Active active = any_active(s, r)) {
        // Nobody starts what runs, or stops it without a cause: it has to die first, or to be taken for broken.
        if (action == "stop")
            s.world.add_agent_fault(active.node, active.resource, {"monitor", AgentFault::Kind::kFail, 1});
        else
            s.world.crash_service(active.node, active.resource);
        s.world.add_agent_fault(active.node, active.resource, {std::move(action), kind, times});
    }
}

// ---- Network --------------------------------------------------------------------------------------------------------

void partition(const Stage& s, Random& r) {
    std::vector<NodeId> side;
    for (const NodeId node : s.world.nodes())
        if (r.chance(40)) side.push_back(node);
    s.world.note("", fmt::format("the network splits off {} nodes", side.size()));
    for (const NodeId a : side)
        for (const NodeId b : s.world.nodes())
            if (std::ranges::find(side, b) == side.end()) cut(s.world, a, b);
    heal_after(s.world, r.between(Duration{500}, Duration{40'000}));
}

void one_way(const Stage& s, Random& r) {
    const NodeId a = any_node(s, r);
    const NodeId b = any_node(s, r);
    if (a == b) return;
    s.world.note("", fmt::format("{} is no longer heard by {}", s.world.name(a), s.world.name(b)));
    s.world.network().set_link(a, b, false);
    heal_after(s.world, r.between(Duration{500}, Duration{20'000}));
}

/// A and B reach each other, B and C too, but A and C do not.
void bridge(const Stage& s, Random& r) {
    const std::vector<NodeId> nodes = s.world.nodes();
    const NodeId middle = any_of(nodes, r);
    s.world.note("", fmt::format("only {} reaches everybody", s.world.name(middle)));
    for (const NodeId a : nodes)
        for (const NodeId b : nodes)
            if (a < b && a != middle && b != middle && (a.value + b.value) % 2 == 1) cut(s.world, a, b);
    heal_after(s.world, r.between(Duration{2000}, Duration{20'000}));
}

/// Each node reaches its two neighbours only.
void ring(const Stage& s, Random& r) {
    const std::vector<NodeId> nodes = s.world.nodes();
    s.world.note("", "everybody reaches two neighbours only");
    for (std::size_t i = 0; i < nodes.size(); ++i)
        for (std::size_t j = i + 2; j < nodes.size(); ++j)
            if (i != 0 || j + 1 != nodes.size()) cut(s.world, nodes[i], nodes[j]);
    heal_after(s.world, r.between(Duration{2000}, Duration{20'000}));
}

void flapping(const Stage& s, Random& r) {
    const NodeId a = any_node(s, r);
    const NodeId b = any_node(s, r);
    if (a == b) return;
    s.world.note("", fmt::format("the link between {} and {} flaps", s.world.name(a), s.world.name(b)));
    Duration at{0};
    for (int i = 0; i < 12; ++i) {
        at += r.between(Duration{50}, Duration{3000});
        s.world.events().in(at, [world = &s.world, a, b, up = i % 2 == 1] {
            world->network().set_link(a, b, up);
            world->network().set_link(b, a, up);
        });
    }
}

/// Links stop one by one and come back in another order.
void links_one_by_one(const Stage& s, Random& r) {
    s.world.note("", "links stop one by one");
    Duration longest{0};
    for (const NodeId a : s.world.nodes()) {
        for (const NodeId b : s.world.nodes()) {
            if (!(a < b) || !r.chance(50)) continue;
            const Duration down = r.between(Duration{0}, Duration{10'000});
            const Duration up = down + r.between(Duration{1000}, Duration{15'000});
            longest = std::max(longest, up);
            for (const bool way : {false, true})
                s.world.events().in(way ? up : down, [world = &s.world, a, b, way] {
                    world->network().set_link(a, b, way);
                    world->network().set_link(b, a, way);
                });
        }
    }
}

void slow_node(const Stage& s, Random& r) {
    const NodeId node = any_node(s, r);
    const Duration extra = r.between(Duration{50}, Duration{900});
    s.world.note(s.world.name(node), fmt::format("hears everything {} ms late", extra.count()));
    s.world.network().set_slow(node, extra);
    s.world.events().in(r.between(Duration{5000}, Duration{40'000}),
                        [world = &s.world, node] { world->network().set_slow(node, Duration{0}); });
}

// ---- Processes and machines -----------------------------------------------------------------------------------------

void kill_everything(const Stage& s, Random& r) {
    const NodeId node = any_node(s, r);
    s.world.kill_core(node);
    s.world.events().in(r.between(Duration{0}, Duration{200}),
                        [world = &s.world, node] { world->kill_executor(node); });
}

void kill_again_and_again(const Stage& s, Random& r) {
    const NodeId node = any_node(s, r);
    Duration at{0};
    for (int i = 0; i < 5; ++i) {
        at += r.between(Duration{1}, Duration{1500});
        s.world.events().in(at, [world = &s.world, node] { world->kill_core(node); });
    }
}

void blackout(const Stage& s, Random&) {
    s.world.note("", "the power of the whole site fails");
    for (const NodeId node : s.world.nodes()) s.world.power_off(node, "fault");
    s.world.events().in(Duration{10'000}, [world = &s.world] {
        for (const NodeId node : world->nodes()) world->boot(node);
    });
}

void reboot(const Stage& s, Random& r) {
    const NodeId node = any_node(s, r);
    s.world.power_off(node, "reset");
    s.world.events().in(r.between(Duration{200}, Duration{3000}), [world = &s.world, node] { world->boot(node); });
}

void crowd_of_disks(const Stage& s, Random& r, DiskFault fault) {
    s.world.set_disk_fault(any_node(s, r), fault, r.between(Duration{5000}, Duration{60'000}));
}

/// Only a power loss shows what a disk had not kept.
void disk_and_power(const Stage& s, Random& r, DiskFault fault) {
    const NodeId node = any_node(s, r);
    s.world.set_disk_fault(node, fault, Duration{60'000});
    s.world.events().in(r.between(Duration{1000}, Duration{20'000}), [world = &s.world, node] {
        world->power_off(node, "fault");
        world->events().in(Duration{5000}, [world, node] { world->boot(node); });
    });
}

// ---- Fencing --------------------------------------------------------------------------------------------------------

void broken_fencing(const Stage& s, Random& r, FenceFault fault, int times) {
    s.world.add_fence_fault(fault, times);
    s.world.power_off(any_node(s, r), "fault");
}

void one_sided_device(const Stage& s, Random& r) {
    const std::vector<NodeId> nodes = s.world.nodes();
    for (const NodeId node : nodes)
        if (r.chance(50)) s.world.hide_fence_device(node, r.between(Duration{5000}, Duration{30'000}));
    s.world.power_off(any_of(nodes, r), "fault");
}

// ---- People ---------------------------------------------------------------------------------------------------------

void standby(const Stage& s, Random& r) {
    const NodeId node = any_node(s, r);
    s.people.standby(node, true);
    s.world.events().in(r.between(Duration{3000}, Duration{25'000}),
                        [people = &s.people, node] { people->standby(node, false); });
}

void maintenance(const Stage& s, Random& r) {
    s.people.maintenance(true);
    s.world.events().in(r.between(Duration{3000}, Duration{25'000}),
                        [people = &s.people] { people->maintenance(false); });
}

void move(const Stage& s, Random& r) {
    if (const Active active = any_active(s, r); active && !s.promises.cloned.contains(active.resource)) {
        s.people.move(active.resource, active.node);
        s.world.events().in(r.between(Duration{2000}, Duration{25'000}),
                            [people = &s.people, resource = active.resource] { people->clear(resource); });
    }
}

/// The one that can migrate, away from where it is.
void migrate(const Stage& s, Random& r) {
    for (const NodeId node : s.world.nodes()) {
        if (!s.world.services(node).active().contains("mig")) continue;
        s.people.move("mig", node);
        s.world.events().in(r.between(Duration{2000}, Duration{25'000}),
                            [people = &s.people] { people->clear("mig"); });
        return;
    }
}

void cleanup(const Stage& s, Random& r) {
    if (const Active active = any_active(s, r)) s.people.cleanup(active.resource, active.node);
}

void rapid_edits(const Stage& s, Random& r) {
    Duration at{0};
    for (int i = 0; i < 30; ++i) {
        at += r.between(Duration{0}, Duration{100});
        s.world.events().in(at, [people = &s.people] { people->edit(); });
    }
}

void attributes(const Stage& s, Random& r) {
    Duration at{0};
    for (int i = 0; i < 10; ++i) {
        at += r.between(Duration{0}, Duration{3000});
        s.world.events().in(at, [people = &s.people, node = any_node(s, r)] { people->set_attribute(node); });
    }
}

void leave(const Stage& s, Random& r) {
    const NodeId node = any_node(s, r);
    s.world.shut_down(node);
    s.world.events().in(r.between(Duration{1000}, Duration{30'000}),
                        [world = &s.world, node] { world->start_again(node); });
}

void remove_node(const Stage& s, Random& r) {
    const NodeId node = any_node(s, r);
    s.world.shut_down(node);
    s.world.events().in(Duration{15'000}, [stage = s, node] {
        if (!stage.world.core_alive(node)) stage.people.forget_node(node);
        stage.world.start_again(node);
    });
}

// ---- Remote and guest nodes -----------------------------------------------------------------------------------------

NodeId any_remote(const Stage& s, Random& random) {
    std::vector<NodeId> found = s.world.machines();
    std::erase_if(found, [&](NodeId node) { return !s.world.is_remote(node); });
    return any_of(found, random);
}

/// Who has the connection, or anybody.
NodeId holder_of(const Stage& s, NodeId remote, Random& random) {
    for (const NodeId node : s.world.nodes())
        if (const controller::Node* core = s.world.core(node); core != nullptr)
            if (const auto held = core->connected_remotes(); std::ranges::count(held, s.world.name(remote)) > 0)
                return node;
    return any_node(s, random);
}

void connection_cut(const Stage& s, Random& r) {
    const NodeId remote = any_remote(s, r);
    const NodeId host = holder_of(s, remote, r);
    const Duration time = r.between(Duration{1000}, Duration{40'000});
    s.world.cut_remote(host, remote, time);
    s.world.cut_remote(remote, host, time);
}

void connection_cut_one_way(const Stage& s, Random& r) {
    const NodeId remote = any_remote(s, r);
    const NodeId host = holder_of(s, remote, r);
    const bool out = r.chance(50);
    s.world.cut_remote(out ? host : remote, out ? remote : host, r.between(Duration{1000}, Duration{40'000}));
}

void guest_dies(const Stage& s, Random& r) {
    const NodeId guest = any_remote(s, r);
    if (s.world.container(guest).empty()) {
        s.world.power_off(guest, "fault");
        return;
    }
    for (const NodeId node : s.world.nodes()) s.world.crash_service(node, s.world.container(guest));
}

constexpr std::array kRemoteFaults{
    Fault{"connection cut", "remote", connection_cut},
    Fault{"connection cut one way", "remote", connection_cut_one_way},
    Fault{"holder's core killed", "remote",
          [](const Stage& s, Random& r) { s.world.kill_core(holder_of(s, any_remote(s, r), r)); }},
    Fault{"holder loses power", "remote",
          [](const Stage& s, Random& r) { s.world.power_off(holder_of(s, any_remote(s, r), r), "fault"); }},
    Fault{"remote daemon killed", "remote", [](const Stage& s, Random& r) { s.world.kill_executor(any_remote(s, r)); }},
    Fault{"remote daemon stopped for a while", "remote",
          [](const Stage& s, Random& r) {
              s.world.stop_executor(any_remote(s, r), r.between(Duration{100}, Duration{40'000}));
          }},
    Fault{"guest or remote node dies", "remote", guest_dies},
    Fault{"wrong authkey", "remote",
          [](const Stage& s, Random& r) {
              const NodeId remote = any_remote(s, r);
              s.world.set_wrong_key(remote, r.between(Duration{1000}, Duration{30'000}));
              s.world.kill_executor(remote);
          }},
};

constexpr std::array kFaults{
    Fault{"partition", "network", partition},
    Fault{"one-way link loss", "network", one_way},
    Fault{"bridge", "network", bridge},
    Fault{"ring of neighbours", "network", ring},
    Fault{"flapping link", "network", flapping},
    Fault{"links one by one", "network", links_one_by_one},
    Fault{"slow node", "network", slow_node},
    Fault{"core killed", "process", [](const Stage& s, Random& r) { s.world.kill_core(any_node(s, r)); }},
    Fault{"core of the DC killed", "process",
          [](const Stage& s, Random&) {
              if (const NodeId dc = dc_of(s.world); dc.value != 0) s.world.kill_core(dc);
          }},
    Fault{"executor killed", "process", [](const Stage& s, Random& r) { s.world.kill_executor(any_node(s, r)); }},
    Fault{"executor killed at work", "process",
          [](const Stage& s, Random& r) {
              const Active active = any_active(s, r);
              if (!active) return;
              s.world.add_agent_fault(active.node, active.resource, {"stop", AgentFault::Kind::kSlow, 1});
              s.world.add_agent_fault(active.node, active.resource, {"start", AgentFault::Kind::kSlow, 1});
              s.world.crash_service(active.node, active.resource);
              s.world.events().in(r.between(Duration{4000}, Duration{9000}),
                                  [world = &s.world, node = active.node] { world->kill_executor(node); });
          }},
    Fault{"everything killed", "process", kill_everything},
    Fault{"core killed again and again", "process", kill_again_and_again},
    Fault{
        "core stopped for a while", "process",
        [](const Stage& s, Random& r) { s.world.stop_core(any_node(s, r), r.between(Duration{1}, Duration{60'000})); }},
    Fault{"executor stopped for a while", "process",
          [](const Stage& s, Random& r) {
              s.world.stop_executor(any_node(s, r), r.between(Duration{1}, Duration{20'000}));
          }},
    Fault{"cluster engine lost", "process",
          [](const Stage& s, Random& r) {
              s.world.lose_engine(any_node(s, r), r.between(Duration{100}, Duration{10'000}));
          }},
    Fault{"power loss", "machine", [](const Stage& s, Random& r) { s.world.power_off(any_node(s, r), "fault"); }},
    Fault{"power loss of the DC", "machine",
          [](const Stage& s, Random&) {
              if (const NodeId dc = dc_of(s.world); dc.value != 0) s.world.power_off(dc, "fault");
          }},
    Fault{"reboot", "machine", reboot},
    Fault{"blackout", "machine", blackout},
    Fault{"machine stands still", "machine",
          [](const Stage& s, Random& r) { s.world.pause(any_node(s, r), r.between(Duration{1}, Duration{30'000})); }},
    Fault{"clock jumps", "machine",
          [](const Stage& s, Random& r) { s.world.set_clock(any_node(s, r), r.between(-7200, 7200)); }},
    Fault{"disk full", "disk", [](const Stage& s, Random& r) { crowd_of_disks(s, r, DiskFault::kFull); }},
    Fault{"lost fsync", "disk", [](const Stage& s, Random& r) { disk_and_power(s, r, DiskFault::kLostFsync); }},
    Fault{"torn write", "disk", [](const Stage& s, Random& r) { disk_and_power(s, r, DiskFault::kTorn); }},
    Fault{
        "fencing fails", "fencing",
        [](const Stage& s, Random& r) { broken_fencing(s, r, FenceFault::kFail, static_cast<int>(r.between(1, 3))); }},
    Fault{"fencing hangs", "fencing", [](const Stage& s, Random& r) { broken_fencing(s, r, FenceFault::kHang, 1); }},
    Fault{"fencing works and says no", "fencing",
          [](const Stage& s, Random& r) { broken_fencing(s, r, FenceFault::kFalseFailure, 1); }},
    Fault{"fencing leaves it off", "fencing",
          [](const Stage& s, Random& r) { broken_fencing(s, r, FenceFault::kStaysOff, 1); }},
    Fault{"fence device on one side", "fencing", one_sided_device},
    Fault{"service dies", "agent",
          [](const Stage& s, Random& r) {
              if (const Active active = any_active(s, r)) s.world.crash_service(active.node, active.resource);
          }},
    Fault{"monitor fails", "agent",
          [](const Stage& s, Random& r) {
              if (const Active active = any_active(s, r))
                  s.world.add_agent_fault(active.node, active.resource, {"monitor", AgentFault::Kind::kFail, 1});
          }},
    Fault{"start fails", "agent",
          [](const Stage& s, Random& r) {
              break_agent(s, r, "start",
                          r.chance(50) ? AgentFault::Kind::kFail : AgentFault::Kind::kEffectWithoutSuccess, 1);
          }},
    Fault{"start does nothing", "agent",
          [](const Stage& s, Random& r) { break_agent(s, r, "start", AgentFault::Kind::kSuccessWithoutEffect, 1); }},
    Fault{"wrong code", "agent",
          [](const Stage& s, Random& r) { break_agent(s, r, "start", AgentFault::Kind::kWrongCode, 1); }},
    Fault{"start hangs", "agent",
          [](const Stage& s, Random& r) { break_agent(s, r, "start", AgentFault::Kind::kHang, 1); }},
    Fault{"stop hangs", "agent",
          [](const Stage& s, Random& r) { break_agent(s, r, "stop", AgentFault::Kind::kHang, 1); }},
    Fault{"stop fails", "agent",
          [](const Stage& s, Random& r) { break_agent(s, r, "stop", AgentFault::Kind::kFail, 1); }},
    Fault{"monitor hangs", "agent",
          [](const Stage& s, Random& r) {
              if (const Active active = any_active(s, r))
                  s.world.add_agent_fault(active.node, active.resource, {"monitor", AgentFault::Kind::kHang, 1});
          }},
    Fault{"slow agent", "agent",
          [](const Stage& s, Random& r) { break_agent(s, r, "start", AgentFault::Kind::kSlow, 2); }},
    Fault{"agent cannot be run", "agent",
          [](const Stage& s, Random& r) { break_agent(s, r, "start", AgentFault::Kind::kCannotRun, 1); }},
    Fault{"flood of output", "agent",
          [](const Stage& s, Random& r) {
              if (const Active active = any_active(s, r))
                  s.world.add_agent_fault(active.node, active.resource, {"monitor", AgentFault::Kind::kFlood, 3});
          }},
    Fault{"standby", "people", standby},
    Fault{"maintenance", "people", maintenance},
    Fault{"move", "people", move},
    Fault{"migration", "people", migrate},
    Fault{"cleanup", "people", cleanup},
    Fault{"rapid edits", "people", rapid_edits},
    Fault{"nonsense", "people", [](const Stage& s, Random&) { s.people.edit_nonsense(); }},
    Fault{"attribute updates", "people", attributes},
    Fault{"leave and return", "people", leave},
    Fault{"node removal", "people", remove_node},
};

}  // namespace

std::span<const Fault> fault_kinds() { return kFaults; }
std::span<const Fault> remote_fault_kinds() { return kRemoteFaults; }

}  // namespace systole::sim
