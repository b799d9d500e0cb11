#pragma once
// cli/command.h — the frame of every command's main: options, help, output, exit status.
#include <functional>

#include "cli/options.h"
#include "cli/output.h"

namespace systole::cli {

/// Does the command's work and tells its exit status; what there is to say goes to the output.
using RunCommand = std::function<ExitCode(const Arguments& arguments, Output& output)>;

/// Reads the command line, answers --help and --version, opens the output, runs, finishes. Returns what main returns.
int command_main(const CommandSpec& spec, int argc, char** argv, const RunCommand& run);

}  // namespace systole::cli
