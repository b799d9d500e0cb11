#pragma once
// cli/local_agents.h — resource agents installed on this machine: what there is, and running one without the cluster.
//
// Source: crm_resource(8), --list-agents, --show-metadata, --validate, --force-*; OCF Resource Agent API 1.1.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/exit_code.h"
#include "base/result.h"
#include "base/time.h"
#include "cli/output.h"

namespace systole::cli {

struct AgentSpec {
    std::string standard;  ///< "ocf", "lsb", "service", "systemd", "stonith"
    std::string provider;  ///< of ocf agents
    std::string type;
};
/// "ocf:heartbeat:IPaddr2", "systemd:sshd", "ocf:Dummy" (the provider that has it). Empty if it is no such name.
std::optional<AgentSpec> parse_agent_spec(std::string_view text);
std::string to_string(const AgentSpec& agent);

std::vector<std::string> installed_standards();
/// Providers of ocf agents; with a type only those that have it.
std::vector<std::string> installed_providers(std::string_view type = {});
/// Types of a standard; of one provider's, if one is given.
std::vector<std::string> installed_agents(std::string_view standard, std::string_view provider = {});

struct AgentResult {
    ExecStatus status{};
    int rc = 0;  ///< an OCF result
    std::string reason, output, error;
};
using AgentParameters = std::map<std::string, std::string, std::less<>>;
/// Runs the agent to its end. Parameters that begin with "CRM_meta_" are handed on like all others.
AgentResult run_agent(const AgentSpec& agent, std::string_view resource, std::string_view action,
                      const AgentParameters& parameters, Duration timeout, const AgentParameters& environment = {});

/// The metadata of an agent, made up for those that have none of their own (lsb, systemd).
Result<std::string> agent_metadata(const AgentSpec& agent);

/// Shows how an action went. `resource` may be empty.
void show_agent_action(Output& output, const AgentSpec& agent, std::string_view resource, std::string_view action,
                       const AgentParameters& overrides, const AgentResult& result);

}  // namespace systole::cli
