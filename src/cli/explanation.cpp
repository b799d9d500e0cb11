#include "cli/explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/text.h"
#include "cli/remedies.h"
#include "model/cluster.h"

namespace systole::cli {
namespace {

using model::Node;
using model::Resource;
using Cause = model::ScoreNote::Cause;

void primitives_of(const Resource& rsc, std::vector<const Resource*>& found) {
    if (rsc.is_bundle()) {
        for (const auto& replica : rsc.bundle->replicas) {
            for (const Resource* part : {replica.container, replica.child}) {
                if (part != nullptr) found.push_back(part);
            }
        }
        return;
    }
    if (rsc.children.empty()) found.push_back(&rsc);
    for (const Resource* child : rsc.children) primitives_of(*child, found);
}

std::string obstacle_of(const Node& node) {
    if (!node.online) return node.unclean ? "unclean (to be fenced)" : "offline";
    if (node.unclean) return "unclean (to be fenced)";
    if (node.shutdown) return "shutting down";
    if (node.standby_on_fail) return "in standby after a failure";
    if (node.standby) return "in standby";
    if (node.maintenance) return "in maintenance";
    if (node.pending) return "joining";
    return {};
}

std::string in_words(const model::ScoreNote& note, const Node& node) {
    const auto with_id = [&](std::string_view words) { return fmt::format("{} '{}'", words, note.id); };
    switch (note.cause) {
        case Cause::kHistory: return with_id("history entry");
        case Cause::kLocation: return with_id("location constraint or rule");
        case Cause::kLock: return "shutdown lock";
        case Cause::kStickiness: return fmt::format("stickiness: it is active on {}", node.name);
        case Cause::kThreshold: return "migration-threshold reached: clean up the failures to allow it again";
        case Cause::kDiscovery: return "resource-discovery=\"exclusive\" names other nodes";
        case Cause::kColocation: return fmt::format("colocation '{}' with {}", note.id, note.with);
        case Cause::kInfluence: return fmt::format("preference of {} by colocation '{}'", note.with, note.id);
        case Cause::kTicket: return with_id("ticket");
        case Cause::kCapacity: return "not enough capacity left (utilization)";
        case Cause::kPromotion: return "promotion score";
        case Cause::kInstances: return "no (further) instance may be there";
        case Cause::kRole: return "it is to be stopped";
    }
    return {};
}

std::string inactive_reason(const model::Cluster& c, const Resource& rsc, bool any_place) {
    if (c.options.stop_all_resources) return "option stop-all-resources is set";
    if (rsc.is_disabled()) return fmt::format("target-role is {}", rsc.meta_value("target-role").value_or(""));
    if (rsc.removed) return "it is not configured any more";
    if (rsc.blocked) return "it is blocked";
    if (!rsc.managed) return "it is unmanaged";
    if (!c.quorate && c.options.no_quorum == model::NoQuorum::kStop) return "the partition has no quorum";
    return any_place ? "what it depends on keeps it from starting" : "no node is allowed";
}

NodeAnswer answer_for(const model::Cluster& c, const Resource& rsc, const Node& node) {
    NodeAnswer answer;
    answer.node = node.name;
    answer.chosen = rsc.assigned_node == &node && rsc.next_role > model::Role::kStopped;
    answer.current = rsc.runs_on(node);
    answer.obstacle = obstacle_of(node);
    if (const model::NodeScore* entry = rsc.allowed.find(node)) answer.score = to_string(entry->score);
    if (node.score == Score::minus_infinity()) {
        answer.reasons.push_back(
            {"node", node.name, "", "0", "-INFINITY", fmt::format("{} can't run resources", node.name)});
    }
    const auto& notes = *c.score_notes;
    for (const model::ScoreNote& note : notes) {
        if (note.resource != rsc.index || note.node != node.index) continue;
        answer.reasons.push_back({std::string(text_of(note.cause)), note.id, note.with, to_string(note.before),
                                  to_string(note.after), in_words(note, node)});
    }
    return answer;
}

InstanceAnswer answer_for(const scheduler::Plan& plan, const Resource& rsc) {
    const model::Cluster& c = *plan.cluster;
    InstanceAnswer answer;
    answer.id = rsc.id;
    answer.role = text_of(rsc.role);
    answer.next_role = text_of(rsc.next_role);
    for (const Node* node : rsc.active_nodes) answer.current_nodes.push_back(node->name);
    bool any_place = false;
    for (const Node* node : c.nodes) {
        if (rsc.allowed.find(*node) == nullptr && obstacle_of(*node).empty() && c.options.symmetric) continue;
        answer.nodes.push_back(answer_for(c, rsc, *node));
        const auto& last = answer.nodes.back();
        any_place = any_place || (last.obstacle.empty() && !last.score.empty() && !last.score.starts_with('-'));
    }
    if (rsc.assigned_node != nullptr && rsc.next_role > model::Role::kStopped) {
        answer.next_node = rsc.assigned_node->name;
    } else {
        answer.why_inactive = inactive_reason(c, rsc, any_place);
    }
    for (const scheduler::ActionReason& action : plan.actions) {
        if (action.resource == rsc.index && (action.required || !action.runnable) && !action.node.empty()) {
            answer.actions.push_back(action);
        }
    }
    return answer;
}

Result<scheduler::Plan> plan_of(const xml::NodePtr& cib, const rules::DateTime& now, bool reasons) {
    return scheduler::schedule({.cib = cib, .now = now, .want_reasons = reasons, .sanitized = true});
}

/// Is any of the resource's primitives planned for the node?
bool goes_to(const scheduler::Plan& plan, const std::string& resource, const std::string& node) {
    const Resource* rsc = plan.cluster->find_resource(resource);
    if (rsc == nullptr) return false;
    std::vector<const Resource*> parts;
    primitives_of(*rsc, parts);
    const auto there = [&](const Resource* part) {
        return part->assigned_node != nullptr && part->assigned_node->name == node &&
               part->next_role > model::Role::kStopped;
    };
    // A start that can't be run brings nothing there; what is active stays.
    for (const scheduler::ActionReason& action : plan.actions) {
        const bool start = action.key.ends_with("_start_0") && action.node == node && action.required;
        const bool ours = std::ranges::any_of(parts, [&](const Resource* p) { return p->index == action.resource; });
        if (start && ours && !action.runnable) return false;
    }
    return rsc->is_group() ? std::ranges::all_of(parts, there) : std::ranges::any_of(parts, there);
}

/// Tries sets of remedies, the smallest first, until one brings the resource to the node.
void search(Explanation& explanation, const xml::NodePtr& cib, const rules::DateTime& now,
            const std::vector<Remedy>& remedies) {
    constexpr int kPlansMax = 400;
    constexpr std::size_t kSetMax = 4;
    std::vector<std::size_t> chosen;
    const std::function<bool(std::size_t, std::size_t, const xml::NodePtr&)> extend =
        [&](std::size_t first, std::size_t left, const xml::NodePtr& base) {
            for (std::size_t i = first; i + left <= remedies.size() && explanation.plans_tried < kPlansMax; ++i) {
                const xml::NodePtr changed = remedies[i].apply(base);
                chosen.push_back(i);
                if (left > 1) {
                    if (extend(i + 1, left - 1, changed)) return true;
                } else {
                    ++explanation.plans_tried;
                    const auto plan = plan_of(changed, now, true);
                    if (plan && goes_to(*plan, explanation.resource, explanation.asked_node)) return true;
                }
                chosen.pop_back();
            }
            return false;
        };
    for (std::size_t size = 1; size <= std::min(kSetMax, remedies.size()); ++size) {
        if (!extend(0, size, cib)) continue;
        for (const std::size_t i : chosen) explanation.remedies.push_back(remedies[i].change);
        return;
    }
}

}  // namespace

Result<Explanation> explain(const xml::NodePtr& cib, const rules::DateTime& now, const std::string& resource,
                            const std::optional<std::string>& node) {
    const auto plan = plan_of(cib, now, true);
    if (!plan) return tl::unexpected(plan.error());
    const model::Cluster& c = *plan->cluster;
    const Resource* rsc = c.find_resource(resource);
    if (rsc == nullptr) rsc = c.find_resource(resource + ":0");
    if (rsc == nullptr) return fail(Errc::kNotFound, fmt::format("Resource '{}' not found", resource));
    Explanation explanation;
    explanation.resource = rsc->id;
    std::vector<const Resource*> parts;
    primitives_of(*rsc, parts);
    for (const Resource* part : parts) explanation.instances.push_back(answer_for(*plan, *part));
    if (!node) return explanation;
    const Node* wanted = c.find_node(*node);
    if (wanted == nullptr) return fail(Errc::kNotFound, fmt::format("Node '{}' not found", *node));
    explanation.asked_node = wanted->name;
    explanation.there = goes_to(*plan, explanation.resource, wanted->name);
    if (!explanation.there) search(explanation, cib, now, remedies_for(*plan, *rsc, *wanted));
    return explanation;
}

}  // namespace systole::cli
