#pragma once
// sim/drill.h — a run of the simulated cluster by seed: a configuration, faults while it works, and what must hold.
//
// A drill comes up; for some minutes faults happen at drawn moments while people change this and that; then they stop,
// what is off is switched on, and within a bound of virtual time everything that can run must run, and rest. In the end
// one node leaves in good order, or breaks down for good. The invariants are checked as it happens. The same options
// and seed give the same run. Source: reliability.md (faults; "How it is tested").
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/checks.h"
#include "sim/promises.h"
#include "sim/world.h"

namespace systole::sim {

struct DrillOptions {
    unsigned nodes_min = 3, nodes_max = 7;  ///< drawn per seed
    unsigned remotes = 0, guests = 0;       ///< remote and guest nodes
    unsigned resources = 6;                 ///< primitives beside those of which there is always one
    Duration fault_time{120'000};
    Duration settle_time{400'000};  ///< the bound for liveness
    unsigned faults_max = 10;
    Sabotage sabotage = Sabotage::kNone;
    xml::NodePtr cib;  ///< the user's own configuration; null: a drawn one
    bool trace = false;
    std::optional<std::vector<std::size_t>> only;  ///< of the drawn faults only these happen, by number from 0
};

/// A fault as it was drawn.
struct DrawnFault {
    Duration at{};  ///< since the faults began
    std::string name, where;
};

struct DrillResult {
    std::uint64_t seed{};
    std::size_t nodes{};
    Duration simulated{};
    std::size_t steps{}, messages{}, fencings{}, agent_runs{};
    std::vector<DrawnFault> faults;
    std::vector<std::string> violations;  ///< empty: passed
    std::vector<HistoryLine> history;
    std::uint64_t trace_hash{};
    xml::NodePtr cib;  ///< of the last DC, at the end
};

DrillResult run_drill(const DrillOptions& options, std::uint64_t seed);

/// The fewest faults of a failing run, as far as leaving out one after the other finds it, with which the same
/// invariant is still broken.
std::vector<std::size_t> shorten(DrillOptions options, const DrillResult& failed);

}  // namespace systole::sim
