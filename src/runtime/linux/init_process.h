#pragma once
// runtime/linux/init_process.h — what a container's first process owes the others, and its file of variables.
//
// In a container nobody but process 1 reaps orphans, and signals without a handler do not reach it. So a daemon that is
// started as process 1 forks: the parent stays init, the child becomes the daemon.
// Source: pid_namespaces(7), kill(2); protocol sheet executor-remote.md, section 9.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace systole::runtime {

/// The variables of a file with a NAME=value a line; the value may be in single or double quotes, and then nothing in
/// it has a special meaning. Blank lines, comments (#) and lines without a valid name are left out.
std::vector<std::pair<std::string, std::string>> parse_environment(std::string_view text);
/// Sets them; a file that is not there has none.
void load_environment(const std::string& file);

/// Forks. Empty in the child, which goes on as the daemon. The parent reaps whatever ends, passes requests to stop and
/// the like on to the child, and returns the child's status when that ends (128 and the signal that killed it).
std::optional<int> become_init();

}  // namespace systole::runtime
