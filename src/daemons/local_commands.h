#pragma once
// daemons/local_commands.h — "systole local ...": a cluster on this machine, without root and without Corosync.
#include <string>
#include <vector>

namespace systole::daemons {

/// Arguments after "local"; returns an exit status, having said on standard error what went wrong.
int run_local(const std::vector<std::string>& arguments);

/// "systole --node NODE COMMAND...": runs the command as if on that node; does not return if it could be started.
int run_on_node(const std::string& folder, const std::string& node, const std::vector<std::string>& command);

}  // namespace systole::daemons
