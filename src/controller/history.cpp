#include "controller/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "transition/key.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::controller {
namespace {

constexpr std::string_view kMetaPrefix = "CRM_meta_";

bool in_digest(std::string_view name, std::int64_t interval_ms) {
    constexpr std::array<std::string_view, 6> kLeftOut{"id",      "crm_feature_set", "op-digest",
                                                       "on_node", "on_node_uuid",    "pcmk_external_ip"};
    if (interval_ms != 0 && name == "CRM_meta_timeout") return true;
    return !name.starts_with(kMetaPrefix) && std::ranges::find(kLeftOut, name) == kLeftOut.end();
}

/// Digest over the parameters that `keep` wants; std::map gives the order by name that the digest asks for.
template <class Keep>
std::string digest_of(const std::map<std::string, std::string>& parameters, Keep keep) {
    xml::Builder element("parameters");
    for (const auto& [name, value] : parameters)
        if (keep(name)) element.append_attribute(xml::Text(name), xml::Text(value));
    return xml::digest_on_disk(*std::move(element).build());
}

/// Two blanks at both ends and one between, as peers write it.
std::string list_of(const std::vector<std::string>& names) {
    std::string inner;
    for (const std::string& name : names) inner += (inner.empty() ? "" : " ") + name;
    return names.empty() ? std::string() : fmt::format("  {}  ", inner);
}

bool is_true(std::string_view text) { return text == "1" || text == "true" || text == "yes"; }

}  // namespace

Result<AgentTraits> read_traits(std::string_view metadata) {
    auto document = xml::parse(metadata, {.text = xml::TextNodes::kDrop});
    if (!document) return tl::unexpected(std::move(document.error()));
    AgentTraits traits;
    bool legacy = false;
    bool agent = false;
    if (const xml::Node* actions = (*document)->child("actions")) {
        for (const xml::NodePtr& action : actions->children()) {
            legacy = legacy || action->get("name") == "reload";
            agent = agent || action->get("name") == "reload-agent";
        }
    }
    using enum AgentTraits::Reload;
    traits.reload = agent ? kAgent : legacy ? kLegacy : kNone;
    if (const xml::Node* parameters = (*document)->child("parameters")) {
        for (const xml::NodePtr& parameter : parameters->children()) {
            if (!parameter->is("parameter")) continue;
            const std::string name(parameter->get("name"));
            const bool restart = agent ? !is_true(parameter->get("reloadable")) : is_true(parameter->get("unique"));
            if (traits.reload != kNone && restart) traits.restart_parameters.push_back(name);
            if (is_true(parameter->get("private"))) traits.private_parameters.push_back(name);
        }
    }
    return traits;
}

const AgentTraits& connection_traits() {
    static const AgentTraits kTraits{
        .reload = AgentTraits::Reload::kAgent, .restart_parameters = {"server", "port"}, .private_parameters = {}};
    return kTraits;
}

bool is_unexpected(const OperationResult& result) {
    switch (result.status) {
        case ExecStatus::kPending:
        case ExecStatus::kCancelled: return false;
        case ExecStatus::kDone: break;
        case ExecStatus::kUnknown:
        case ExecStatus::kTimeout:
        case ExecStatus::kNotSupported:
        case ExecStatus::kError:
        case ExecStatus::kErrorHard:
        case ExecStatus::kErrorFatal:
        case ExecStatus::kNotInstalled:
        case ExecStatus::kNotConnected:
        case ExecStatus::kInvalid:
        case ExecStatus::kNoFenceDevice:
        case ExecStatus::kNoSecrets: return true;
    }
    const auto key = transition::parse_key(result.transition_key);
    const int target = key ? key->target_rc : 0;
    int rc = result.rc;
    if (rc == static_cast<int>(ExitCode::kDegraded)) rc = static_cast<int>(ExitCode::kOk);
    if (rc == static_cast<int>(ExitCode::kDegradedPromoted)) rc = static_cast<int>(ExitCode::kPromoted);
    return rc != target;
}

std::string operation_key(std::string_view resource, std::string_view action, std::int64_t interval_ms) {
    return fmt::format("{}_{}_{}", resource, action, interval_ms);
}

std::string notify_key(std::string_view resource, std::string_view type, std::string_view action) {
    return fmt::format("{}_{}_notify_{}_0", resource, type, action);
}

std::string operation_digest(const std::map<std::string, std::string>& parameters, std::int64_t interval_ms) {
    return digest_of(parameters, [&](const std::string& name) { return in_digest(name, interval_ms); });
}

std::vector<xml::NodePtr> history_records(const ResourceIdentity& resource, const OperationResult& result,
                                          std::string_view node, const AgentTraits* traits, std::string_view origin) {
    const auto parameter = [&](const char* name) {
        const auto found = result.parameters.find(name);
        return found == result.parameters.end() ? std::string_view{} : std::string_view(found->second);
    };
    const bool failed = is_unexpected(result);
    // A reload leaves the resource as a start with the new parameters would; a failed one says no more than a monitor.
    std::string action = result.action;
    if (action == "reload" || action == "reload-agent") action = failed ? "monitor" : "start";
    const std::string key = operation_key(resource.id, action, result.interval_ms);

    std::vector<std::string> ids;
    if (result.action == "notify") {
        ids.push_back(
            notify_key(resource.id, parameter("CRM_meta_notify_type"), parameter("CRM_meta_notify_operation")));
    } else if (failed) {
        ids.push_back(resource.id + "_last_failure_0");
        if (result.interval_ms == 0) ids.push_back(resource.id + "_last_0");
    } else if (result.interval_ms > 0 || action == "migrate_to" || action == "migrate_from") {
        ids.push_back(key);
    } else {
        ids.push_back(resource.id + "_last_0");
    }

    std::vector<xml::NodePtr> records;
    for (const std::string& id : ids) {
        xml::Builder record("lrm_rsc_op");
        record.reserve(26, 0);
        record.set("id", id)
            .set("operation_key", result.action == "notify" ? id : key)
            .set("operation", action)
            .set("crm-debug-origin", origin)
            .set_unless_empty("crm_feature_set", parameter("crm_feature_set"))
            .set("transition-key", result.transition_key)
            .set("transition-magic",
                 fmt::format("{}:{};{}", static_cast<int>(result.status), result.rc, result.transition_key))
            .set("exit-reason", failed ? result.exit_reason : std::string())
            .set("on_node", node)
            .set("call-id", static_cast<long long>(result.call_id))
            .set("rc-code", result.rc)
            .set("op-status", static_cast<int>(result.status))
            .set("interval", static_cast<long long>(result.interval_ms));
        if (result.run_time != 0 || result.rc_change_time != 0 || result.exec_time_ms != 0 ||
            result.queue_time_ms != 0) {
            // A recurring operation ran often with the same result: what counts is since when.
            const std::int64_t since = result.interval_ms > 0 && result.rc_change_time != 0 ? result.rc_change_time
                                       : result.run_time != 0                               ? result.run_time
                                                                                            : result.rc_change_time;
            record.set("last-rc-change", static_cast<long long>(since))
                .set("exec-time", static_cast<long long>(result.exec_time_ms))
                .set("queue-time", static_cast<long long>(result.queue_time_ms));
        }
        if (result.action == "migrate_to" || result.action == "migrate_from")
            record.set("migrate_source", parameter("CRM_meta_migrate_source"))
                .set("migrate_target", parameter("CRM_meta_migrate_target"));
        record.set("op-digest", operation_digest(result.parameters, result.interval_ms));
        if (traits != nullptr && result.interval_ms == 0 && traits->reload != AgentTraits::Reload::kNone) {
            const auto& names = traits->restart_parameters;
            record.set("op-force-restart", list_of(names));
            record.set("op-restart-digest", digest_of(result.parameters, [&](const std::string& name) {
                           return in_digest(name, 0) && std::ranges::find(names, name) != names.end();
                       }));
        }
        if (traits != nullptr && !traits->private_parameters.empty()) {
            const auto& names = traits->private_parameters;
            record.set("op-secure-params", list_of(names));
            record.set("op-secure-digest", digest_of(result.parameters, [&](const std::string& name) {
                           return in_digest(name, result.interval_ms) && std::ranges::find(names, name) == names.end();
                       }));
        }
        records.push_back(std::move(record).build());
    }
    return records;
}

xml::NodePtr history_update(const wire::NodeRef& node, bool remote, const ResourceIdentity& resource,
                            std::vector<xml::NodePtr> records, std::string_view origin) {
    const std::string node_id = remote ? node.name : std::to_string(node.id.value);
    xml::Builder entry("lrm_resource");
    entry.set("id", resource.id)
        .set("class", resource.agent_class)
        .set_unless_empty("provider", resource.provider)
        .set("type", resource.type)
        .set_unless_empty("container", resource.container);
    for (xml::NodePtr& record : records) entry.add(std::move(record));
    xml::Builder resources("lrm_resources");
    resources.add(std::move(entry));
    xml::Builder lrm("lrm");
    lrm.set("id", node_id).add(std::move(resources));
    xml::Builder state("node_state");
    state.set("id", node_id).set("uname", node.name).set("crm-debug-origin", origin);
    if (remote) state.set("remote_node", "true");
    state.add(std::move(lrm));
    return std::move(state).build();
}

}  // namespace systole::controller
