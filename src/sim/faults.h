#pragma once
// sim/faults.h — what can go wrong in a drill, each kind drawn by chance. Source: reliability.md, "Faults".
#include <functional>
#include <span>
#include <string_view>

#include "sim/people.h"
#include "sim/promises.h"
#include "sim/random.h"
#include "sim/world.h"

namespace systole::sim {

/// What a fault may lay hands on. All of it outlives the drill's events.
struct Stage {
    World& world;
    People& people;
    const Promises& promises;
};

struct Fault {
    std::string_view name;   ///< in reports
    std::string_view where;  ///< network, process, machine, disk, fencing, agent, people
    void (*strike)(const Stage&, Random&);
};

/// All kinds, in the order of the table in reliability.md.
std::span<const Fault> fault_kinds();
/// Those of remote and guest nodes and of the connections to them.
std::span<const Fault> remote_fault_kinds();

}  // namespace systole::sim
