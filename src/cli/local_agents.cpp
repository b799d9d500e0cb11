#include "cli/local_agents.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/fence_agents.h"
#include "cli/files.h"
#include "executor/agents.h"
#include "executor/lsb_metadata.h"
#include "runtime/linux/loop.h"
#include "runtime/linux/paths.h"
#include "runtime/linux/process.h"
#include "runtime/linux/systemd_units.h"
#include "xml/parse.h"

namespace systole::cli {
namespace {

namespace fs = std::filesystem;

std::string ocf_root() {
    const std::string root = runtime::environment_value("OCF_ROOT");
    return root.empty() ? "/usr/lib/ocf" : root;
}
std::string providers_directory() { return ocf_root() + "/resource.d"; }
constexpr const char* kInitScripts = "/etc/init.d";

// Names in a directory that `wanted` accepts, sorted.
template <class Wanted>
std::vector<std::string> names_in(const std::string& directory, Wanted wanted) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory, error)) {
        const std::string name = entry.path().filename();
        if (!name.starts_with('.') && wanted(entry)) names.push_back(name);
    }
    std::ranges::sort(names);
    return names;
}

bool is_executable(const fs::directory_entry& entry) {
    std::error_code error;
    const auto status = entry.status(error);
    constexpr auto kExecutable = fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec;
    return fs::is_regular_file(status) && (status.permissions() & kExecutable) != fs::perms::none;
}

std::vector<std::string> init_scripts() {
    return names_in(kInitScripts, [](const fs::directory_entry& entry) {
        return is_executable(entry) && entry.path().filename() != "README";
    });
}

std::vector<std::string> systemd_units() {
    std::set<std::string> names;
    for (const char* directory : {"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system",
                                  "/usr/lib/systemd/system", "/lib/systemd/system"}) {
        for (const std::string& name : names_in(directory, [](const fs::directory_entry& entry) {
                 const std::string suffix = entry.path().extension();
                 return suffix == ".service" || suffix == ".socket" || suffix == ".mount" || suffix == ".timer";
             })) {
            names.insert(name.ends_with(".service") ? name.substr(0, name.size() - 8) : name);
        }
    }
    return {names.begin(), names.end()};
}

AgentResult result_of(const executor::AgentName& agent, std::string_view action, const runtime::ProcessResult& done,
                      Duration timeout) {
    using End = runtime::ProcessResult::End;
    AgentResult result;
    result.output = done.output;
    result.error = done.error;
    result.reason = executor::ocf_exit_reason(done.error);
    const auto fail = [&](ExecStatus status, ExitCode code, std::string reason) {
        result.status = status;
        result.rc = static_cast<int>(code);
        result.reason = std::move(reason);
    };
    const std::string what = fmt::format("{} {}", executor::agent_kind(agent.standard), to_string(agent));
    switch (done.end) {
        case End::kExited:
            result.status = ExecStatus::kDone;
            result.rc = agent.standard == "ocf" ? executor::ocf_result(done.exit_code)
                                                : executor::lsb_result(action, done.exit_code);
            break;
        case End::kTimedOut:
            fail(ExecStatus::kTimeout, ExitCode::kError, executor::timeout_reason(agent.standard, timeout));
            break;
        case End::kNotFound:
            fail(ExecStatus::kNotInstalled, ExitCode::kNotInstalled, what + " is not installed");
            break;
        case End::kNotPermitted:
            fail(ExecStatus::kError, ExitCode::kInsufficientPrivileges, what + " may not be executed");
            break;
        case End::kSignalled:
        case End::kFailed: fail(ExecStatus::kError, ExitCode::kError, fmt::format("{} {}", what, done.reason)); break;
    }
    return result;
}

AgentResult run_program(const executor::AgentName& agent, std::string_view action, runtime::ProcessSpec spec) {
    runtime::Loop loop;
    runtime::ProcessRunner processes(loop, {.control_group = {}, .log = [](const wire::Log&) {}});
    spec.name = agent.type;
    spec.output_max = std::size_t{1024} * 1024;
    AgentResult result;
    processes.start(spec, [&](const runtime::ProcessResult& done) {
        result = result_of(agent, action, done, spec.timeout);
        loop.stop();
    });
    loop.run();
    return result;
}

AgentResult run_unit(const executor::AgentName& agent, std::string_view action, Duration timeout) {
    runtime::Loop loop;
    runtime::SystemdUnits units(loop, [](const wire::Log&) {});
    AgentResult result;
    units.act({.unit = executor::systemd_unit(agent.type),
               .action = std::string(action),
               .resource = agent.type,
               .timeout = timeout},
              [&](const runtime::UnitResult& done) {
                  result.status = done.status;
                  result.rc = done.rc;
                  result.reason = done.reason;
                  result.output = done.output;
                  loop.stop();
              });
    loop.run();
    return result;
}

std::string standard_of_service(const std::string& type) {
    return fs::exists(executor::lsb_path(kInitScripts, type)) ? "lsb" : "systemd";
}

}  // namespace

std::optional<AgentSpec> parse_agent_spec(std::string_view text) {
    const auto parts = split(text, ":");
    if (parts.size() < 2) return std::nullopt;
    AgentSpec spec{std::string(parts[0]), "", ""};
    if (spec.standard != "ocf") {
        spec.type = text.substr(spec.standard.size() + 1);
        return spec;
    }
    if (parts.size() > 2) {
        spec.provider = parts[1];
        spec.type = text.substr(spec.standard.size() + spec.provider.size() + 2);
        return spec;
    }
    // Without a provider it is the first one that has the agent.
    spec.type = parts[1];
    const auto providers = installed_providers(spec.type);
    if (providers.empty()) return std::nullopt;
    spec.provider = providers.front();
    return spec;
}

std::string to_string(const AgentSpec& agent) {
    return to_string(executor::AgentName{agent.standard, agent.provider, agent.type});
}

std::vector<std::string> installed_standards() {
    std::vector<std::string> standards;
    if (!installed_providers().empty()) standards.emplace_back("ocf");
    if (!init_scripts().empty()) standards.emplace_back("lsb");
    standards.emplace_back("service");
    standards.emplace_back("systemd");
    if (!installed_fence_agents().empty()) standards.emplace_back("stonith");
    return standards;
}

std::vector<std::string> installed_providers(std::string_view type) {
    return names_in(providers_directory(), [type](const fs::directory_entry& entry) {
        std::error_code error;
        if (!entry.is_directory(error)) return false;
        return type.empty() ? !fs::is_empty(entry.path(), error) : fs::exists(entry.path() / type, error);
    });
}

std::vector<std::string> installed_agents(std::string_view standard, std::string_view provider) {
    if (standard == "ocf") {
        std::set<std::string> names;
        for (const std::string& one : provider.empty() ? installed_providers() : std::vector{std::string(provider)}) {
            const auto agents = names_in(providers_directory() + "/" + one, is_executable);
            names.insert(agents.begin(), agents.end());
        }
        return {names.begin(), names.end()};
    }
    if (standard == "lsb") return init_scripts();
    if (standard == "systemd") return systemd_units();
    if (standard == "stonith") return installed_fence_agents();
    if (standard == "service") {
        std::set<std::string> names;
        for (const auto& list : {init_scripts(), systemd_units()}) names.insert(list.begin(), list.end());
        return {names.begin(), names.end()};
    }
    return {};
}

AgentResult run_agent(const AgentSpec& agent, std::string_view resource, std::string_view action,
                      const AgentParameters& parameters, Duration timeout, const AgentParameters& environment) {
    executor::AgentName name{agent.standard, agent.provider, agent.type};
    if (name.standard == "service") name.standard = standard_of_service(name.type);
    if (name.standard == "systemd") return run_unit(name, action, timeout);
    if (name.standard == "stonith") {
        AgentResult result;
        const std::string fence_action =
            action == "validate-all" || action == "metadata" ? std::string(action) : "monitor";
        const AgentRun run = run_fence_agent(name.type, fence_action, {parameters.begin(), parameters.end()}, timeout);
        result.status = run.status;
        result.rc = run.status == ExecStatus::kNotInstalled ? static_cast<int>(ExitCode::kNotInstalled)
                    : run.exit_code == 0                    ? 0
                                                            : static_cast<int>(ExitCode::kError);
        result.output = run.output;
        result.error = run.error;
        return result;
    }
    runtime::ProcessSpec spec;
    spec.timeout = timeout;
    if (name.standard == "ocf") {
        spec.argv = {executor::ocf_path(ocf_root(), name), std::string(action)};
        spec.environment =
            executor::ocf_environment(ocf_root(), name, resource, {parameters.begin(), parameters.end()});
    } else {
        spec.argv = {executor::lsb_path(kInitScripts, name.type), std::string(executor::lsb_action(action))};
    }
    for (const auto& [variable, value] : environment) spec.environment.emplace_back(variable, value);
    return run_program(name, action, std::move(spec));
}

Result<std::string> agent_metadata(const AgentSpec& agent) {
    constexpr Duration kPatience{30'000};
    std::string standard = agent.standard == "service" ? standard_of_service(agent.type) : agent.standard;
    if (standard == "lsb") {
        const auto script = read_file(executor::lsb_path(kInitScripts, agent.type));
        if (!script) return tl::unexpected(script.error());
        return executor::lsb_metadata_of(agent.type, *script);
    }
    const std::string_view action = standard == "ocf" ? "meta-data" : "metadata";
    AgentResult run = run_agent({standard, agent.provider, agent.type}, agent.type, action, {}, kPatience);
    if (run.status != ExecStatus::kDone || run.rc != 0) {
        return fail(run.status == ExecStatus::kNotInstalled ? Errc::kNotFound : Errc::kIo,
                    run.reason.empty() ? fmt::format("the agent ended with {}", run.rc) : run.reason);
    }
    return std::move(run.output);
}

void show_agent_action(Output& output, const AgentSpec& agent, std::string_view resource, std::string_view action,
                       const AgentParameters& overrides, const AgentResult& result) {
    xml::Builder element("resource-agent-action");
    element.set("action", action).set("class", agent.standard).set("type", agent.type);
    element.set_unless_empty("rsc", resource).set_unless_empty("provider", agent.provider);
    xml::Builder list("overrides");
    if (!overrides.empty()) {
        output.begin_list("overrides");
        for (const auto& [name, value] : overrides) {
            output.item(resource.empty()
                            ? fmt::format("Overriding the cluster configuration with '{}' = '{}'", name, value)
                            : fmt::format("Overriding the cluster configuration for '{}' with '{}' = '{}'", resource,
                                          name, value));
            xml::Builder one("override");
            one.set("name", name).set("value", value).set_unless_empty("rsc", resource);
            list.add(std::move(one).build());
        }
        output.end_list();
    }
    element.add(std::move(list));
    const auto code = static_cast<ExitCode>(result.rc);
    std::string line = fmt::format("Operation {} ", action);
    if (!resource.empty()) line += fmt::format("for {} ", resource);
    line += fmt::format("({}) returned {}", to_string(agent), result.rc);
    line += fmt::format(" ({}", result.status == ExecStatus::kDone ? describe(code) : describe(result.status));
    line += result.reason.empty() ? ")" : fmt::format(": {})", result.reason);
    output.line(line);
    xml::Builder status("agent-status");
    status.set("code", result.rc).set("message", describe(code));
    status.set("execution_code", static_cast<int>(result.status)).set("execution_message", describe(result.status));
    status.set_unless_empty("reason", result.reason);
    element.add(std::move(status));

    const bool quiet_action = action == "validate-all" && output.config().verbosity == 0;
    if (!quiet_action || output.is_structured()) {
        for (const std::string* stream : {&result.output, &result.error}) {
            if (!quiet_action && !stream->empty()) output.text(stream->ends_with('\n') ? *stream : *stream + "\n");
        }
        xml::Builder command("command");
        command.set("code", result.rc);
        const auto add = [&command](const char* source, const std::string& text) {
            if (text.empty()) return;
            xml::Builder part("output");
            part.set("source", source).add(xml::Builder::text(executor::printable(text)));
            command.add(std::move(part).build());
        };
        add("stdout", result.output);
        add("stderr", result.error);
        if (!result.output.empty() || !result.error.empty()) element.add(std::move(command));
    }
    output.add(std::move(element));
}

}  // namespace systole::cli
