#include "executor/messages.h"

#include <limits>

#include "base/text.h"

namespace systole::executor {

const xml::Node* find_element(const xml::Node& root, std::string_view name) {
    if (root.is(name)) return &root;
    for (const auto& child : root.children()) {
        if (!child->is_element()) continue;
        if (const auto* found = find_element(*child, name)) return found;
    }
    return nullptr;
}

Duration duration_of(const xml::Node& node, std::string_view attribute, Duration fallback) {
    const auto number = parse_integer(node.get(attribute));
    return number && *number >= 0 && *number <= std::numeric_limits<int>::max() ? Duration{*number} : fallback;
}

std::uint32_t number_of(const xml::Node& node, std::string_view attribute) {
    const auto number = parse_integer(node.get(attribute));
    return number && *number >= 0 && *number <= std::numeric_limits<int>::max() ? static_cast<std::uint32_t>(*number)
                                                                                : 0U;
}

Parameters parameters_of(const xml::Node& data) {
    Parameters parameters;
    const auto* attributes = data.child("attributes");
    if (attributes == nullptr) return parameters;
    for (const auto& attribute : attributes->attributes()) {
        parameters.emplace_back(attribute.name.view(), attribute.value.view());
    }
    for (const auto& child : attributes->children()) {
        if (child->is("param") && child->has("name")) parameters.emplace_back(child->get("name"), child->get("value"));
    }
    return parameters;
}

xml::Builder make_reply(int rc, std::uint32_t call_id) {
    xml::Builder reply("lrmd_reply");
    reply.set("lrmd_origin", "systole-execd").set("lrmd_rc", rc).set("lrmd_callid", call_id);
    return reply;
}

xml::Builder make_notification(std::string_view op, std::uint32_t call_id, int rc) {
    xml::Builder notification("lrmd_notify");
    notification.set("lrmd_origin", "systole-execd").set("lrmd_callid", call_id).set("lrmd_rc", rc).set("lrmd_op", op);
    return notification;
}

xml::NodePtr make_result(std::string_view resource, const Operation& operation, bool deleted) {
    const auto& outcome = operation.outcome;
    xml::Builder result("lrmd_notify");
    result.set("lrmd_origin", "systole-execd")
        .set("lrmd_timeout", operation.timeout.count())
        .set("lrmd_rsc_interval", operation.interval.count())
        .set("lrmd_rsc_start_delay", operation.start_delay.count())
        .set("lrmd_exec_rc", outcome.rc)
        .set("lrmd_exec_op_status", static_cast<int>(outcome.status))
        .set("lrmd_callid", operation.call_id)
        .set("lrmd_rsc_deleted", deleted ? 1 : 0)
        .set("lrmd_run_time", operation.run_time.seconds)
        .set("lrmd_rcchange_time", operation.change_time.seconds)
        .set("lrmd_exec_time", operation.exec_time.count())
        .set("lrmd_queue_time", operation.queue_time.count())
        .set("lrmd_op", request::kExec)
        .set("lrmd_rsc_id", resource)
        .set("lrmd_rsc_action", operation.action)
        .set_unless_empty("lrmd_rsc_userdata_str", operation.userdata)
        .set_unless_empty("lrmd_rsc_exit_reason", outcome.reason)
        .set_unless_empty("lrmd_rsc_output", outcome.output)
        .add(operation.attributes ? operation.attributes : xml::Builder("attributes").build());
    return std::move(result).build();
}

}  // namespace systole::executor
