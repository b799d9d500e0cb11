#pragma once
// fencing/agent.h — what a fence agent says about itself in its metadata.
// Source: Fence Agent API (ClusterLabs), "Agent Operations and Return Values"; protocol sheet fencer.md, section 6.
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"

namespace systole::fencing {

struct AgentTraits {
    bool list = false, status = false, reboot = false, on = false;
    bool automatic_unfencing = false;                   ///< a node joining the cluster is unfenced with it
    std::set<std::string, std::less<>> on_target_only;  ///< actions that only the target itself may carry out
    std::string host_argument;  ///< parameter that takes the target: "plug" before "port"; empty if it has neither
};

/// Errors: kInvalid if `metadata` is not XML, with the parser's words.
Result<AgentTraits> read_agent_metadata(std::string_view metadata);

}  // namespace systole::fencing
