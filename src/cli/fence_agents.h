#pragma once
// cli/fence_agents.h — the fence agents installed on this machine, asked without the fencer.
//
// Source: Fence Agent API (ClusterLabs); stonith_admin(8).
#include <string>
#include <utility>
#include <vector>

#include "base/exit_code.h"
#include "base/time.h"

namespace systole::cli {

/// Names of the agents, in order.
std::vector<std::string> installed_fence_agents();

struct AgentRun {
    ExecStatus status{};
    int exit_code{};
    std::string output, error;
};
/// Runs the agent with these lines of standard input. kNotInstalled if there is no such agent.
AgentRun run_fence_agent(const std::string& agent, const std::string& action,
                         const std::vector<std::pair<std::string, std::string>>& parameters, Duration timeout);

}  // namespace systole::cli
