#pragma once
// executor/agents.h — how the agents of each class are called, and what their exit statuses mean.
//
// Functions of their arguments only: which program with which words and variables, and what its end says in OCF terms.
// Source: OCF Resource Agent API 1.1; LSB 5.0, chapter 22.2 (init scripts); protocol sheet executor-remote.md,
// sections 5 and 6.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/exit_code.h"
#include "base/time.h"

namespace systole::executor {

/// Names and values in the order in which they were given.
using Parameters = std::vector<std::pair<std::string, std::string>>;

/// What an agent is called by in the CIB.
struct AgentName {
    std::string standard;  ///< "ocf", "lsb", "service", "systemd", "stonith"
    std::string provider;  ///< ocf only
    std::string type;
    auto operator<=>(const AgentName&) const = default;
};
std::string to_string(const AgentName& agent);  ///< "ocf:pacemaker:Dummy", "lsb:nfs"

/// How an operation ended.
struct Outcome {
    ExecStatus status = ExecStatus::kDone;
    int rc = 0;  ///< an OCF result
    std::string reason;
    std::string output;
};

std::string ocf_path(std::string_view ocf_root, const AgentName& agent);
/// The variables that the API promises an agent, parameters as OCF_RESKEY_<name>.
Parameters ocf_environment(std::string_view ocf_root, const AgentName& agent, std::string_view resource,
                           const Parameters& parameters);
/// 0 to 9, 190 and 191 stand for themselves, everything else is an error (1).
int ocf_result(int exit_code);
/// What follows the last "ocf-exit-reason:" on its line; empty if there is none.
std::string ocf_exit_reason(std::string_view error_output);

/// The script of a service; a type that is an absolute path is one itself.
std::string lsb_path(std::string_view lsb_root, std::string_view type);
/// Init scripts and units know a monitor as "status".
std::string_view lsb_action(std::string_view action);
int lsb_result(std::string_view action, int exit_code);

/// "httpd" is "httpd.service"; names that end in a type of unit are left alone.
std::string systemd_unit(std::string_view type);

/// What people call the program: "Resource agent", "Fence agent".
std::string_view agent_kind(std::string_view standard);
/// "20s", "1m30s", "1.500s", "0s".
std::string readable_interval(Duration interval);
/// "Resource agent did not complete within 20s"
std::string timeout_reason(std::string_view standard, Duration timeout);

/// Text for an attribute of a message: what XML 1.0 cannot hold (control characters, broken UTF-8) becomes '?'.
std::string printable(std::string_view bytes);

}  // namespace systole::executor
