#pragma once
// sim/drill.h — a run of the simulated cluster by seed: a configuration, faults while it works, and what must hold.
//
// A drill has three parts: the cluster comes up; for some minutes faults happen at drawn moments; they stop, what is
// off is switched on, and after a bound of virtual time everything that can run must run. The invariants are checked
// after every step. The same options and seed give the same run. Source: reliability.md (faults; "How it is tested").
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/checks.h"
#include "sim/world.h"

namespace systole::sim {

struct DrillOptions {
    unsigned nodes_min = 3, nodes_max = 7;  ///< drawn per seed
    unsigned resources = 6;                 ///< primitives beside the group and the clone
    Duration fault_time{120'000};
    Duration settle_time{180'000};  ///< the bound for liveness
    unsigned faults_max = 6;
    Sabotage sabotage = Sabotage::kNone;
    xml::NodePtr cib;  ///< the user's own configuration; null: a drawn one
    bool trace = false;
};

struct DrillResult {
    std::uint64_t seed{};
    unsigned nodes{};
    Duration simulated{};
    std::size_t steps{}, messages{}, fencings{}, agent_runs{};
    std::map<std::string, unsigned> faults;  ///< by kind
    std::vector<std::string> violations;     ///< empty: passed
    std::vector<HistoryLine> history;
    std::uint64_t trace_hash{};
};

DrillResult run_drill(const DrillOptions& options, std::uint64_t seed);

/// The configuration of a drill without a user's own: fencing by fence_sim, dummies with monitors and constraints, a
/// group and a clone.
xml::NodePtr drill_cib(unsigned nodes, unsigned resources, Random& random);
/// What such a configuration promises.
Promises promises_of(const xml::Node& cib);

/// Names of the deliberate errors, as options name them; the first is "none".
const std::vector<std::pair<std::string, Sabotage>>& sabotage_names();

}  // namespace systole::sim
