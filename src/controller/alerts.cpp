#include "controller/alerts.h"

#include <fmt/format.h>

#include "base/text.h"
#include "base/time_format.h"
#include "rules/nvpairs.h"
#include "transition/key.h"
#include "xml/edit.h"

namespace systole::controller {
namespace {

constexpr Duration kTimeoutDefault = std::chrono::seconds(30);
constexpr std::string_view kTimeFormatDefault = "%H:%M:%S.%06N";

std::string_view name_of(AlertEvent::Kind kind) {
    switch (kind) {
        case AlertEvent::Kind::kNode: return "node";
        case AlertEvent::Kind::kFencing: return "fencing";
        case AlertEvent::Kind::kResource: return "resource";
        case AlertEvent::Kind::kAttribute: return "attribute";
    }
    return {};
}

/// Without <select>, all but attributes are.
bool selects(const xml::Node& alert, const AlertEvent& event) {
    const xml::Node* select = alert.child("select");
    if (select == nullptr) return event.kind != AlertEvent::Kind::kAttribute;
    switch (event.kind) {
        case AlertEvent::Kind::kNode: return select->child("select_nodes") != nullptr;
        case AlertEvent::Kind::kFencing: return select->child("select_fencing") != nullptr;
        case AlertEvent::Kind::kResource: return select->child("select_resources") != nullptr;
        case AlertEvent::Kind::kAttribute: break;
    }
    const xml::Node* attributes = select->child("select_attributes");
    if (attributes == nullptr) return false;
    bool any_named = false;
    for (const auto& one : attributes->children()) {
        if (!one->is("attribute")) continue;
        any_named = true;
        if (one->get("name") == event.attribute) return true;
    }
    return !any_named;
}

struct Settings {
    rules::NameValues meta, instance;
};

/// What is set at `element`; where it says nothing, `above` counts.
Settings settings_of(const xml::Node& element, const rules::Input& input, const Settings& above) {
    Settings own;
    rules::unpack_nvpairs(element, "meta_attributes", input, input.resolve, own.meta);
    rules::unpack_nvpairs(element, "instance_attributes", input, input.resolve, own.instance);
    own.meta.insert(above.meta.begin(), above.meta.end());
    own.instance.insert(above.instance.begin(), above.instance.end());
    return own;
}

std::string_view value_of(const rules::NameValues& values, std::string_view name) {
    const auto found = values.find(name);
    return found == values.end() ? std::string_view() : found->second;
}

}  // namespace

AlertEvent alert_of_node(std::string_view node, std::uint32_t id, bool member) {
    return {.kind = AlertEvent::Kind::kNode,
            .node = std::string(node),
            .attribute = {},
            .particulars = {{"nodeid", fmt::to_string(id)}, {"desc", member ? "member" : "lost"}}};
}

AlertEvent alert_of_fencing(const fencing::FenceNotice& notice) {
    const fencing::Outcome& outcome = notice.outcome;
    const std::string result =
        outcome.ok() ? "OK"
                     : fmt::format("{}{}", describe(outcome.status),
                                   outcome.reason.empty() ? std::string() : fmt::format(" ({})", outcome.reason));
    return {.kind = AlertEvent::Kind::kFencing,
            .node = notice.target,
            .attribute = {},
            .particulars = {
                {"task", "st_notify_fence"},
                {"desc", fmt::format("Operation {} of {} by {} for {}@{}: {} (ref={})", notice.action, notice.target,
                                     notice.delegate.empty() ? std::string_view("<no-one>") : notice.delegate,
                                     notice.client_name, notice.origin, result, notice.operation)},
                {"rc", fmt::to_string(fencing::legacy_code(outcome))}}};
}

bool is_told(const OperationResult& result) {
    if (result.action != "monitor" || result.interval_ms != 0) return true;
    const auto key = transition::parse_key(result.transition_key);
    return !key || result.status != ExecStatus::kDone || result.rc != key->target_rc;
}

AlertEvent alert_of_operation(std::string_view node, std::string_view resource, const OperationResult& result) {
    const auto key = transition::parse_key(result.transition_key);
    const bool done = result.status == ExecStatus::kDone;
    return {.kind = AlertEvent::Kind::kResource,
            .node = std::string(node),
            .attribute = {},
            .particulars = {
                {"rsc", std::string(resource)},
                {"task", result.action},
                {"interval", fmt::to_string(result.interval_ms)},
                {"target_rc", fmt::to_string(key ? key->target_rc : 0)},
                {"status", fmt::to_string(static_cast<int>(result.status))},
                {"rc", fmt::to_string(result.rc)},
                {"exec_time", fmt::to_string(result.exec_time_ms)},
                {"desc", std::string(done ? describe(static_cast<ExitCode>(result.rc)) : describe(result.status))}}};
}

AlertEvent alert_of_attribute(const attributes::Changed& change, std::uint32_t node_id) {
    return {.kind = AlertEvent::Kind::kAttribute,
            .node = change.node,
            .attribute = change.attribute,
            .particulars = {{"nodeid", fmt::to_string(node_id)},
                            {"attribute_name", change.attribute},
                            {"attribute_value", change.value.value_or("")}}};
}

std::vector<xml::NodePtr> Alerts::requests(const Now& now, int utc_offset, const xml::Node* cib,
                                           const AlertEvent& event) {
    std::vector<xml::NodePtr> found;
    const xml::Node* configuration = cib == nullptr ? nullptr : cib->child("configuration");
    const xml::Node* alerts = configuration == nullptr ? nullptr : configuration->child("alerts");
    if (alerts == nullptr) return found;
    rules::Input input;
    input.now = {now.wall, utc_offset};
    input.resolve = [configuration](std::string_view name, std::string_view id) -> const xml::Node* {
        const auto path = xml::find_element(*configuration, {}, name, id, true);
        return path ? xml::node_at(*configuration, *path) : nullptr;
    };

    const auto request = [&](const xml::Node& alert, std::string_view recipient, const Settings& settings) {
        if (!parse_bool(value_of(settings.meta, "enabled")).value_or(true)) return;
        const std::string_view wanted = value_of(settings.meta, "timestamp-format");
        const std::string time =
            format_time(wanted.empty() ? kTimeFormatDefault : wanted, now.wall, now.micros, utc_offset);
        xml::Builder environment("attributes");
        const auto tell = [&environment](std::string_view name, std::string_view value) {
            // The second prefix is that of ocf:pacemaker:ClusterMon's external agents, of which many are still in use.
            for (const std::string_view prefix : {"CRM_alert_", "CRM_notify_"})
                environment.set(fmt::format("{}{}", prefix, name), value);
        };
        tell("version", version_);
        tell("kind", name_of(event.kind));
        tell("node", event.node);
        tell("recipient", recipient);
        tell("node_sequence", fmt::to_string(++sequence_));
        tell("timestamp", time);
        tell("timestamp_epoch", fmt::to_string(now.wall.seconds));
        tell("timestamp_usec", fmt::to_string(now.micros));
        for (const auto& [name, value] : event.particulars) tell(name, value);
        for (const auto& [name, value] : settings.instance) {
            xml::Builder param("param");
            param.set("name", name).set("value", value);
            environment.add(std::move(param));
        }
        const Duration timeout = parse_interval(value_of(settings.meta, "timeout")).value_or(kTimeoutDefault);
        xml::Builder data("lrmd_alert");
        data.set("lrmd_origin", "controller")
            .set("lrmd_alert_id", alert.id())
            .set("lrmd_alert_path", alert.get("path"))
            .set("lrmd_timeout", (timeout > Duration{0} ? timeout : kTimeoutDefault).count());
        data.add(std::move(environment));
        xml::Builder calldata("lrmd_calldata");
        calldata.add(std::move(data));
        xml::Builder command("lrmd_command");
        command.set("t", "lrmd").set("lrmd_op", "lrmd_alert_exec").set("lrmd_timeout", 0).set("lrmd_callopt", 0);
        command.add(std::move(calldata));
        found.push_back(std::move(command).build());
    };
    for (const auto& alert : alerts->children()) {
        if (!alert->is("alert") || !selects(*alert, event)) continue;
        const Settings settings = settings_of(*alert, input, {});
        bool any_recipient = false;
        for (const auto& recipient : alert->children()) {
            if (!recipient->is("recipient")) continue;
            any_recipient = true;
            request(*alert, recipient->get("value"), settings_of(*recipient, input, settings));
        }
        if (!any_recipient) request(*alert, {}, settings);
    }
    return found;
}

}  // namespace systole::controller
