#pragma once
// sim/campaign.h — drills of many seeds, several at once, and what came of them.
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/drill.h"

namespace systole::sim {

struct Campaign {
    DrillOptions options;
    std::uint64_t first = 1;
    std::uint64_t count = 100;
    unsigned jobs = 1;
    bool twice = false;       ///< each seed, and the traces are compared
    bool keep_going = false;  ///< after a failure
};

struct Totals {
    std::uint64_t runs = 0;
    double simulated_hours = 0;
    std::size_t steps = 0, fencings = 0, agent_runs = 0, messages = 0;
    std::map<std::pair<std::string, std::string>, unsigned> faults;  ///< by where and kind
    std::vector<DrillResult> failed;                                 ///< in order of their seeds
};

/// `progress` is called after each run, by one thread at a time.
Totals run_campaign(const Campaign& campaign, const std::function<void(const Totals&)>& progress);

}  // namespace systole::sim
