// pacemaker-based, -controld, -schedulerd, -attrd, -execd: the names under which clients ask for a daemon's options.
//
// What these daemons do elsewhere is done by systole-core and systole-execd, so nothing runs under these names. They
// exist because pcs and crmsh run them, at fixed places, with the argument "metadata", and
// crmsh with "version".
#include <cerrno>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/config_options.h"
#include "cli/version.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = program_invocation_short_name;
    s.usage = "metadata|version";
    s.summary = "show the cluster options of a Pacemaker daemon (the daemon itself is a part of systole-core)";
    s.help_short = '?';
    return s;
}

ExitCode run(const Arguments& arguments, Output& output) {
    const std::string name = program_invocation_short_name;
    if (arguments.positional == std::vector<std::string>{"version"}) {
        output.text(fmt::format("CRM Version: {} (systole-{})\n", kPacemakerVersion, kSystoleVersion));
        return ExitCode::kOk;
    }
    if (arguments.positional != std::vector<std::string>{"metadata"}) {
        output.fail(
            "only the arguments \"metadata\" and \"version\" are understood: this daemon is a part of systole-core");
        return ExitCode::kUsage;
    }
    const auto metadata = daemon_metadata(name);
    if (!metadata) {
        output.fail(fmt::format("{} has no options in the cluster's configuration", name));
        return ExitCode::kUnimplemented;
    }
    output.text(*metadata);
    return ExitCode::kOk;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
