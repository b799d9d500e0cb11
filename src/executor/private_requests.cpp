#include "executor/private_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "executor/core.h"
#include "executor/lsb_metadata.h"

namespace systole::executor {

namespace {

constexpr Duration kDefaultTimeout{60'000};

bool is_metadata(std::string_view action) { return action == "meta-data" || action == "metadata"; }

/// The lines that fence agents read.
std::string fence_input(const AgentRun& run) {
    const bool action_given =
        std::ranges::any_of(run.parameters, [](const auto& parameter) { return parameter.first == "action"; });
    std::string input = action_given ? "" : fmt::format("action={}\n", run.action);
    for (const auto& [name, value] : run.parameters) input += fmt::format("{}={}\n", name, value);
    return input;
}

}  // namespace

void Core::run_agent(const Asked& asked) {
    const xml::Node* element = find_element(*asked.input.message, kAgentElement);
    if (element == nullptr) return answer(asked, -EINVAL);
    AgentRun run{.client = asked.session.client.id,
                 .call_id = asked.call_id,
                 .agent = {.standard = std::string(element->get("lrmd_class")),
                           .provider = std::string(element->get("lrmd_provider")),
                           .type = std::string(element->get("lrmd_type"))},
                 .action = std::string(element->get("lrmd_rsc_action")),
                 .userdata = std::string(element->get("lrmd_rsc_userdata_str")),
                 .target = {},
                 .started = now_.mono,
                 .timeout = duration_of(*element, "lrmd_timeout"),
                 .parameters = {},
                 .resource = std::string(element->get("lrmd_rsc_id")),
                 .cancelled = false};
    if (run.timeout == Duration{0}) run.timeout = kDefaultTimeout;
    for (const auto& child : element->children()) {
        if (child->is("param")) run.parameters.emplace_back(child->get("name"), child->get("value"));
    }
    const auto& standard = run.agent.standard;
    const bool known = standard == "ocf" || standard == "lsb" || standard == "service" || standard == "systemd" ||
                       standard == "stonith";
    const bool complete =
        !run.agent.type.empty() && !run.action.empty() && (standard != "ocf" || !run.agent.provider.empty());
    // A fence agent is named, not found: no path leads out of the directory of fence agents.
    const bool path = run.agent.type.find('/') != std::string::npos && standard != "lsb";
    if (!known || !complete || path) {
        log(wire::Severity::kError, fmt::format("Refusing to run {} of agent '{}'", run.action, to_string(run.agent)));
        return answer(asked, -EINVAL);
    }
    const auto running =
        std::ranges::count_if(runs_, [](const auto& entry) { return std::holds_alternative<AgentRun>(entry.second); });
    if (static_cast<std::size_t>(running) >= kAgentRunsMax || shutting_down_) return answer(asked, -EAGAIN);
    run.target = standard == "service" ? "lsb" : standard;
    answer(asked, static_cast<int>(asked.call_id));
    start_agent(std::move(run));
}

void Core::start_agent(AgentRun run) {
    if (run.target == "systemd") {
        ToSystemd request;
        request.token = ++last_token_;
        request.unit = systemd_unit(run.agent.type);
        request.action = is_metadata(run.action) ? "metadata" : run.action;
        request.timeout = run.timeout;
        runs_.emplace(request.token, std::move(run));
        effects_.emplace_back(std::move(request));
        return;
    }
    Spawn agent;
    agent.resource = run.resource;
    agent.timeout = run.timeout;
    if (is_metadata(run.action)) agent.output_max = kMetadataMax;
    if (run.target == "stonith") {
        agent.argv = {fmt::format("{}/{}", config_.fence_root, run.agent.type)};
        agent.input = fence_input(run);
    } else if (run.target == "lsb" && is_metadata(run.action)) {
        agent.argv = {"/bin/cat", "--", lsb_path(config_.lsb_root, run.agent.type)};
    } else if (run.target == "lsb") {
        agent.argv = {lsb_path(config_.lsb_root, run.agent.type), std::string(lsb_action(run.action))};
    } else {
        agent.argv = {ocf_path(config_.ocf_root, run.agent), run.action};
        agent.environment = ocf_environment(config_.ocf_root, run.agent, run.resource, run.parameters);
    }
    spawn(std::move(agent), std::move(run));
}

void Core::tell_history(const Asked& asked) {
    const auto wanted = asked.data == nullptr ? std::string_view{} : asked.data->get("lrmd_rsc_id");
    if (!wanted.empty() && find_registered(wanted) == nullptr) return answer(asked, -ENODEV);
    auto reply = make_reply(0, asked.call_id);
    for (const auto& [id, resource] : resources_) {
        if (!resource.registered || (!wanted.empty() && id != wanted)) continue;
        xml::Builder element("lrmd_rsc");
        element.set("lrmd_rsc_id", id)
            .set("lrmd_class", resource.agent.standard)
            .set_unless_empty("lrmd_provider", resource.agent.provider)
            .set("lrmd_type", resource.agent.type);
        if (!wanted.empty()) {
            for (const auto& [key, result] : resource.history) element.add(result);
        }
        reply.add(std::move(element));
    }
    answer(asked, std::move(reply).build());
}

void Core::cancel_agent(const Asked& asked) {
    const xml::Node* element = find_element(*asked.input.message, kAgentElement);
    const auto call = element == nullptr ? 0U : number_of(*element, "lrmd_callid");
    for (auto& [token, entry] : runs_) {
        auto* run = std::get_if<AgentRun>(&entry);
        if (run == nullptr || run->call_id != call || run->client != asked.session.client.id) continue;
        run->cancelled = true;
        answer(asked, 0);
        if (run->target != "systemd") effects_.emplace_back(Kill{token});
        return;
    }
    answer(asked, -ENODEV);
}

void Core::agent_done(AgentRun run, ProcessDone done) {
    const bool lsb_metadata = run.target == "lsb" && is_metadata(run.action);
    const bool missing = lsb_metadata ? done.status != ExecStatus::kDone || done.exit_code != 0
                                      : done.status == ExecStatus::kNotInstalled;
    if (missing && run.agent.standard == "service" && run.target == "lsb" && !run.cancelled) {
        run.target = "systemd";
        return start_agent(std::move(run));
    }
    if (lsb_metadata && done.status == ExecStatus::kDone) {
        if (missing) {
            done.status = ExecStatus::kNotInstalled;
            done.output.clear();
        } else {
            done.output = lsb_metadata_of(run.agent.type, done.output);
        }
    }
    int rc = done.exit_code;
    std::string reason = printable(ocf_exit_reason(done.error));
    if (run.cancelled) {
        done.status = ExecStatus::kCancelled;
        rc = 1;
    } else if (done.not_permitted) {
        done.status = ExecStatus::kError;
        rc = static_cast<int>(ExitCode::kInsufficientPrivileges);
        reason = fmt::format("{} {} may not be executed", agent_kind(run.target), to_string(run.agent));
    } else if (done.status == ExecStatus::kNotInstalled) {
        rc = static_cast<int>(ExitCode::kNotInstalled);
        reason = fmt::format("{} {} is not installed", agent_kind(run.target), to_string(run.agent));
    } else if (done.status == ExecStatus::kTimeout) {
        rc = static_cast<int>(ExitCode::kError);
        reason = timeout_reason(run.target, run.timeout);
    } else if (done.status != ExecStatus::kDone) {
        rc = static_cast<int>(ExitCode::kError);
        reason = fmt::format("{} {}", agent_kind(run.target), printable(done.reason));
    }
    const auto client = sessions_.find(run.client);
    if (client == sessions_.end() || client->second.name.empty()) return;
    auto result = make_notification(kRunAgent, run.call_id, 0);
    result.set("lrmd_class", run.agent.standard)
        .set_unless_empty("lrmd_provider", run.agent.provider)
        .set("lrmd_type", run.agent.type)
        .set("lrmd_rsc_action", run.action)
        .set_unless_empty("lrmd_rsc_userdata_str", run.userdata)
        .set("lrmd_exec_op_status", static_cast<int>(done.status))
        .set("lrmd_exec_rc", rc)
        .set("lrmd_exec_time", (now_.mono - run.started).count())
        .set_unless_empty("lrmd_rsc_exit_reason", reason)
        .set_unless_empty("lrmd_rsc_output", printable(done.output))
        .set_unless_empty(kAgentError, printable(done.error));
    effects_.emplace_back(wire::SendEvent{run.client, std::move(result).build()});
}

}  // namespace systole::executor
