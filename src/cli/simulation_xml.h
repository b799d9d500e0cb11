#pragma once
// cli/simulation_xml.h — a plan's scores as crm_simulate's structured output shows them.
#include <vector>

#include "scheduler/schedule.h"
#include "xml/tree.h"

namespace systole::cli {

/// All lines of --show-scores and --show-utilization, within the element that stands for what was asked for.
xml::NodePtr placement_element(const std::vector<scheduler::ScoreLine>& lines, bool scores, bool utilization);

}  // namespace systole::cli
