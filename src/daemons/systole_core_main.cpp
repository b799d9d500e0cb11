// systole-core: every decision of a cluster node, started by pacemakerd.
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <thread>

#include "base/exit_code.h"
#include "base/text.h"
#include "cib/operations.h"
#include "cib/schemas_set.h"
#include "cli/command.h"
#include "cli/local_time.h"
#include "daemons/core_host.h"
#include "daemons/daemon_command.h"
#include "runtime/linux/corosync_engine.h"
#include "runtime/linux/disk.h"
#include "runtime/linux/ipc_server.h"
#include "runtime/linux/local_engine.h"
#include "runtime/linux/log_output.h"
#include "runtime/linux/loop.h"
#include "runtime/linux/panic.h"
#include "runtime/linux/paths.h"
#include "wire/message.h"

namespace {

using namespace systole;

constexpr const char* kProgram = "systole-core";

int exit_status(ExitCode code) { return static_cast<int>(code); }

Result<std::unique_ptr<cib::SchemaSet>> open_schemas(const std::string& folder, const runtime::LogSink& log) {
    auto disk = std::make_shared<runtime::Disk>(folder);
    const auto entries = disk->list();
    if (!entries) return tl::unexpected(entries.error());
    cib::SchemaFiles files;
    for (const auto& entry : *entries) files.names.push_back(entry.name);
    files.read = [disk](const std::string& name) { return disk->read(name); };
    auto set = std::make_unique<cib::SchemaSet>(std::move(files), [log](const cib::SchemaNote& note) {
        constexpr std::array kSeverity{wire::Severity::kError, wire::Severity::kWarning, wire::Severity::kInfo,
                                       wire::Severity::kDebug};
        log({.severity = kSeverity[static_cast<std::size_t>(note.level)],
             .text = note.origin.empty() ? note.text : fmt::format("{}: {}", note.origin, note.text)});
    });
    // Without them every change would be refused, those of a join too, for ever.
    const auto empty = cib::empty_cib(daemons::kSchemaOfNewClusters, wire::kFeatureSet);
    if (const auto usable = set->validate(*empty); !usable) {
        return fail(usable.error().code,
                    fmt::format("those of folder '{}' cannot be used: {}", folder, usable.error().what));
    }
    return set;
}

std::uint64_t random_seed() {
    std::uint64_t seed = 0;
    [[maybe_unused]] const auto n = getrandom(&seed, sizeof seed, 0);
    return seed;
}

std::unique_ptr<runtime::Engine> make_engine(runtime::Loop& loop, bool local, const runtime::LogSink& log) {
    if (!local) return std::make_unique<runtime::CorosyncEngine>(loop, log);
    const auto id = parse_integer(runtime::environment_value("SYSTOLE_NODE_ID")).value_or(0);
    return std::make_unique<runtime::LocalEngine>(
        loop, runtime::LocalEngineOptions{
                  .folder = runtime::environment_value("SYSTOLE_HUB"),
                  .self = {NodeId{static_cast<std::uint32_t>(id)}, runtime::environment_value("SYSTOLE_NODE")},
                  .log = log});
}

cli::CommandSpec spec() {
    cli::CommandSpec s = daemons::daemon_spec(kProgram);
    s.summary =
        "make the decisions of a cluster node\n\n"
        "CIB, controller, scheduler, attribute manager and fencer of this node in one process. It is\n"
        "started by pacemakerd, and needs no privileges.";
    return s;
}

int serve(const cli::Arguments& arguments) {
    runtime::LogOutput output(daemons::daemon_log(kProgram, arguments));
    const runtime::LogSink log = output.sink();
    std::signal(SIGPIPE, SIG_IGN);
    const runtime::Paths paths = runtime::paths_of_environment();
    const bool local = runtime::environment_value("SYSTOLE_ENGINE") == "local";

    const auto schemas = open_schemas(paths.schemas, log);
    if (!schemas) {
        log({.severity = wire::Severity::kError,
             .text = fmt::format("Cannot start without schemas: {}", schemas.error().what)});
        return exit_status(ExitCode::kFatal);
    }
    daemons::CoreHostOptions options{.config = {},
                                     .cib_folder = paths.cib,
                                     .inputs_folder = paths.inputs,
                                     .ipc_prefix = runtime::ipc_prefix_of_environment(),
                                     .ipc_owner = local ? std::optional(geteuid()) : std::nullopt};
    options.config.schemas = schemas->get();
    options.config.utc_offset = cli::local_offset_seconds;
    options.config.version = "3.0.2-systole-0.1.0";
    options.config.seed = random_seed();
    options.config.pid = static_cast<std::uint32_t>(getpid());
    options.config.cpu_count = std::max(1U, std::thread::hardware_concurrency());
    options.config.start_state = runtime::pcmk_option("node_start_state");
    options.config.have_watchdog = !local && runtime::find_sbd().has_value();
    options.config.watchdog_timeout =
        parse_interval(runtime::environment_value("SBD_WATCHDOG_TIMEOUT")).value_or(Duration{0});

    runtime::Loop loop;
    daemons::CoreHost host(loop, std::move(options), make_engine(loop, local, log), log,
                           [&loop](ExitCode code) { loop.stop(exit_status(code)); });
    const daemons::DaemonSignals signals(loop, output, [&host] { host.shut_down(); });
    if (const auto started = host.start(); !started) {
        log({.severity = wire::Severity::kError, .text = fmt::format("Cannot start: {}", started.error().what)});
        return exit_status(started.error().code == Errc::kIo ? ExitCode::kIo : ExitCode::kDisconnected);
    }
    return loop.run();
}

ExitCode run(const cli::Arguments& arguments, cli::Output& output) {
    if (!daemons::has_no_arguments(arguments, output)) return ExitCode::kUsage;
    return static_cast<ExitCode>(serve(arguments));
}

}  // namespace

int main(int argc, char** argv) { return cli::command_main(spec(), argc, argv, run); }
