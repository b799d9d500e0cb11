#pragma once
// cli/simulated_transition.h — carries out a transition graph on a SimulatedCib, as if every action did what it should.
#include <string>
#include <vector>

#include "cli/output.h"
#include "cli/simulated_cib.h"
#include "model/cluster.h"

namespace systole::cli {

struct SimulatedRun {
    const xml::Node* graph;
    const model::Cluster* cluster;      ///< knows the resources by the names that histories use
    std::vector<std::string> failures;  ///< "RESOURCE_TASK_INTERVAL@NODE=RC": these fail
    bool quiet = false;
};

/// Says what is done as list items. False if the graph has a loop, so that it can't be carried out to its end.
bool simulate_transition(const SimulatedRun& run, SimulatedCib& cib, Output& output);

}  // namespace systole::cli
