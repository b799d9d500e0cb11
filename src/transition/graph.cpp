#include "transition/graph.h"

#include <fmt/format.h>

#include <map>

#include "base/score.h"
#include "base/text.h"

namespace systole::transition {
namespace {

std::optional<ActionKind> kind_of(std::string_view element) {
    if (element == "rsc_op") return ActionKind::kResource;
    if (element == "crm_event") return ActionKind::kCluster;
    if (element == "pseudo_event") return ActionKind::kPseudo;
    return std::nullopt;
}

Result<int> integer(const xml::Node& element, std::string_view attribute) {
    const auto value = parse_integer(element.get(attribute));
    if (!value || *value < 0 || *value > INT32_MAX)
        return fail(Errc::kInvalid, fmt::format("transition graph: {} of <{}> is '{}', not a number", attribute,
                                                element.name(), element.get(attribute)));
    return static_cast<int>(*value);
}

Duration interval_or(std::string_view text, Duration fallback) {
    const auto value = parse_interval(text);
    return value ? *value : fallback;
}

Result<Action> parse_action(const xml::NodePtr& element, ActionKind kind) {
    Action action;
    action.kind = kind;
    const auto id = integer(*element, "id");
    if (!id) return tl::unexpected(id.error());
    action.id = *id;
    action.operation = element->get("operation");
    action.key = element->get("operation_key");
    action.node = element->get("on_node");
    action.node_id = element->get("on_node_uuid");
    action.router = element->get("router_node");
    if (action.operation.empty())
        return fail(Errc::kInvalid, fmt::format("transition graph: action {} has no operation", action.id));
    for (const xml::NodePtr& child : element->children())
        if (child->is("primitive")) action.resource = child->id();
    action.xml = element;
    // Timeouts in graphs are milliseconds without a unit.
    if (const auto timeout = parse_integer(action.meta("timeout")); timeout && *timeout > 0)
        action.timeout = Duration{*timeout};
    if (const auto delay = parse_integer(action.meta("start_delay")); delay && *delay > 0)
        action.timeout += Duration{*delay};
    if (const auto target = parse_integer(action.meta("op_target_rc")); target && *target >= 0 && *target < 256)
        action.target_rc = static_cast<int>(*target);
    action.can_fail = parse_bool(action.meta("can_fail")).value_or(false);
    action.wait = !parse_bool(action.meta("op_no_wait")).value_or(false);
    if (const xml::Node* downed = element->child("downed"))
        for (const xml::NodePtr& node : downed->children()) action.downed.emplace_back(node->id());
    return action;
}

}  // namespace

bool Action::is_connection() const {
    const xml::Node* primitive = xml->child("primitive");
    return primitive != nullptr && primitive->get("class") == "ocf" && primitive->get("provider") == "pacemaker" &&
           primitive->get("type") == "remote";
}

std::string_view Action::meta(std::string_view name) const {
    const xml::Node* attributes = xml->child("attributes");
    if (attributes == nullptr) return {};
    constexpr std::string_view kPrefix = "CRM_meta_";
    for (const xml::Attribute& a : attributes->attributes()) {
        const std::string_view full = a.name.view();
        if (full.starts_with(kPrefix) && full.substr(kPrefix.size()) == name) return a.value.view();
    }
    return {};
}

Result<Graph> parse_graph(const xml::Node& element) {
    if (!element.is("transition_graph"))
        return fail(Errc::kInvalid, fmt::format("<{}> is not a transition graph", element.name()));
    Graph graph;
    const auto id = integer(element, "transition_id");
    if (!id) return tl::unexpected(id.error());
    graph.id = *id;
    graph.cluster_delay = interval_or(element.get("cluster-delay"), graph.cluster_delay);
    // Source: controller.md, section 10: readers take either name, and the cluster's delay where neither is there.
    const std::string_view fencing = element.get("fencing-timeout", element.get("stonith-timeout"));
    graph.fencing_timeout = interval_or(fencing, graph.cluster_delay);
    if (const auto limit = parse_integer(element.get("batch-limit")); limit && *limit > 0)
        graph.batch_limit = static_cast<unsigned>(*limit);
    if (const auto limit = parse_integer(element.get("migration-limit")); limit && *limit >= 0)
        graph.migration_limit = static_cast<int>(*limit);
    graph.failed_stop_offset = element.get("failed-stop-offset", graph.failed_stop_offset);
    graph.failed_start_offset = element.get("failed-start-offset", graph.failed_start_offset);
    graph.recheck_by = parse_integer(element.get("recheck-by")).value_or(0);

    std::map<int, ActionIndex> by_id;
    for (const xml::NodePtr& child : element.children()) {
        if (!child->is("synapse")) continue;
        Synapse synapse;
        const auto synapse_id = integer(*child, "id");
        if (!synapse_id) return tl::unexpected(synapse_id.error());
        synapse.id = *synapse_id;
        if (const auto priority = parse_score(child->get("priority"))) synapse.priority = priority->value();
        if (const xml::Node* set = child->child("action_set")) {
            for (const xml::NodePtr& entry : set->children()) {
                const auto kind = kind_of(entry->name());
                if (!kind) continue;
                auto action = parse_action(entry, *kind);
                if (!action) return tl::unexpected(std::move(action.error()));
                action->synapse = graph.synapses.size();
                if (!by_id.emplace(action->id, graph.actions.size()).second)
                    return fail(Errc::kInvalid,
                                fmt::format("transition graph: action id {} is used twice", action->id));
                synapse.actions.push_back(graph.actions.size());
                graph.actions.push_back(std::move(*action));
            }
        }
        graph.synapses.push_back(std::move(synapse));
    }
    SynapseIndex index = 0;
    for (const xml::NodePtr& child : element.children()) {
        if (!child->is("synapse")) continue;
        if (const xml::Node* inputs = child->child("inputs")) {
            for (const xml::NodePtr& trigger : inputs->children()) {
                const xml::Node* reference = trigger->first_element();
                if (!trigger->is("trigger") || reference == nullptr) continue;
                const auto input = integer(*reference, "id");
                if (!input) return tl::unexpected(input.error());
                const auto found = by_id.find(*input);
                if (found == by_id.end()) continue;
                graph.synapses[index].inputs.push_back(found->second);
                graph.actions[found->second].successors.push_back(index);
            }
        }
        ++index;
    }
    return graph;
}

}  // namespace systole::transition
