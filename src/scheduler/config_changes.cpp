// scheduler/config_changes.cpp — operations whose resource was configured differently when they were run: restart,
// reload, run monitors anew, cancel those that are not configured any more.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "model/digest.h"
#include "model/failcount.h"
#include "model/history_reader.h"
#include "model/operations.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

using model::DigestResult;

/// Digests of these are made over what a start would get.
std::string_view task_for_digest(std::string_view task, Duration interval) {
    const bool like_start = task == "monitor" || task == "migrate_from" || task == "promote";
    return interval.count() == 0 && like_start ? "start" : task;
}

bool agent_changed(Scheduler& s, Resource& rsc, Node& node, const xml::Node& entry, bool active) {
    bool changed = false;
    for (const std::string_view name : {"type", "class", "provider"}) {
        if (rsc.xml->attribute(name) == entry.attribute(name)) continue;
        changed = true;
        s.unfence_for(&rsc, &node, "Device definition changed");
    }
    if (changed && active) {
        s.stop(rsc, &node, false);
        rsc.start_pending = true;
    }
    return changed;
}

void force_restart(Scheduler& s, Resource& rsc, std::string_view task, Duration interval, Node& node) {
    Action* required = s.action(rsc, task, task, interval, nullptr, false);
    required->set_reason("resource definition change", true);
    s.unfence_for(&rsc, &node, "Device parameters changed");
}

void reschedule(Scheduler& s, Resource& rsc, std::string_view task, Duration interval, Node& node) {
    s.unfence_for(&rsc, &node, "Device parameters changed (reschedule)");
    s.action(rsc, task, task, interval, &node, true)->set(act::kReschedule);
}

void schedule_reload(Scheduler& s, Resource& rsc, Node& node) {
    if (!rsc.children.empty()) {
        for (Resource* child : rsc.children) schedule_reload(s, *child, node);
        return;
    }
    if (!rsc.managed || rsc.failed) return;
    if (rsc.start_pending) {  // whether it got the old or the new parameters nobody knows
        s.stop(rsc, &node, false);
        return;
    }
    s.of(rsc).reload = true;
    Action* reload = s.action(rsc, "reload-agent", &node, false);
    reload->set_reason("resource definition change", false);
    s.order(OrderEnd(reload), OrderEnd(rsc, "stop"), rel::kOrdered | rel::kThenCancelsFirst);
    s.order(OrderEnd(reload), OrderEnd(rsc, "demote"), rel::kOrdered | rel::kThenCancelsFirst);
}

/// True if the operation is configured differently now (and something has been done about it).
bool check_operation(Scheduler& s, Resource& rsc, Node& node, const xml::Node& entry) {
    const Duration interval = model::history_interval(entry);
    const std::string_view task = entry.get("operation");
    if (interval.count() > 0 && model::find_operation(rsc, task, interval, model::Disabled::kExclude) == nullptr) {
        if (s.c.options.cancel_removed_actions) {
            schedule_cancel(s, rsc, entry.get("call-id"), task, interval, &node);
        }
        return true;
    }
    const std::string_view digest_task = task_for_digest(task, interval);
    bool only_private = false;
    switch (model::compare_digests(s.c, rsc, entry, node, s.in.sanitized, &only_private)) {
        case DigestResult::kMatch:
            if (only_private && (s.in.want_scores || s.in.want_utilization)) {
                s.plan.scores.push_back(
                    {fmt::format("Only 'private' parameters to {}-interval {} for {} on {} changed: {}",
                                 readable_duration(interval), task, rsc.id, node.name, entry.get("transition-magic"))});
            }
            return false;
        case DigestResult::kRestart: force_restart(s, rsc, digest_task, interval, node); return true;
        case DigestResult::kUnknown:
        case DigestResult::kMismatch:
            if (interval.count() > 0) {
                reschedule(s, rsc, task, interval, node);
            } else if (entry.has("op-restart-digest")) {
                s.unfence_for(&rsc, &node, "Device parameters changed (reload)");
                schedule_reload(s, rsc, node);
            } else {
                force_restart(s, rsc, digest_task, interval, node);
            }
            return true;
    }
    return false;
}

void check_active(Scheduler& s, Resource& rsc, Node& node, const xml::Node& entry) {
    if (!check_operation(s, rsc, node, entry)) return;
    if (model::fail_count(s.c, node, rsc, model::FailCount::kEffective).count != 0) s.clear_fail_count(rsc, node);
}

void check_history(Scheduler& s, Resource& rsc, Node& node, const xml::Node& entry) {
    if (rsc.removed) {
        if (!rsc.top().is_anonymous_clone()) schedule_cleanup(s, rsc, node, false);
        return;
    }
    const bool active = rsc.runs_on(node);
    if (agent_changed(s, rsc, node, entry, active)) schedule_cleanup(s, rsc, node, false);
    if (!active) return;
    std::vector<const xml::Node*> operations;
    for (const auto& child : entry.children()) {
        if (child->is("lrm_rsc_op")) operations.insert(operations.begin(), child.get());
    }
    model::sort_by_age(operations);
    const model::ActiveRange range = model::active_range(operations);
    if (range.start < range.stop) return;
    for (int i = std::max(0, range.start); i < static_cast<int>(operations.size()); ++i) {
        const xml::Node& op = *operations[static_cast<std::size_t>(i)];
        const std::string_view task = op.get("operation");
        const Duration interval = model::history_interval(op);
        if (interval.count() > 0 && (rsc.maintenance || node.maintenance)) {
            schedule_cancel(s, rsc, op.get("call-id"), task, interval, &node);
        } else if (interval.count() > 0 || task == "monitor" || task == "start" || task == "promote" ||
                   task == "migrate_from") {
            if (model::needs_host_name(s.c, rsc)) {
                s.c.parameter_checks.push_back({&op, &rsc, &node, true});
            } else {
                check_active(s, rsc, node, op);
            }
        }
    }
}

}  // namespace

void schedule_cleanup(Scheduler& s, Resource& rsc, Node& node, bool optional) {
    if (rsc.failed || node.unclean || !node.online) return;
    const Flags flags = optional ? rel::kFirstImpliesThen : rel::kOrdered;
    s.action(rsc, "delete", &node, optional);
    s.order(rsc, "stop", rsc, "delete", flags);
    s.order(rsc, "delete", rsc, "start", flags);
}

void handle_config_changes(Scheduler& s) {
    // What a history is left of may have the id of a group or clone that is configured now.
    std::map<std::string_view, std::vector<Resource*>> removed;
    for (Resource* rsc : s.c.resources) {
        if (rsc->removed && rsc->is_primitive()) removed[rsc->id].push_back(rsc);
    }
    std::vector<Resource*> matching;
    for (Node* node : s.c.nodes) {
        if (!node->maintenance && !s.available(node)) continue;
        if (node->state == nullptr) continue;
        const xml::Node* lrm = node->state->child("lrm");
        const xml::Node* list = lrm == nullptr ? nullptr : lrm->child("lrm_resources");
        if (list == nullptr) continue;
        for (const auto& entry : list->children()) {
            if (!entry->is("lrm_resource") || entry->children().empty()) continue;
            // The last one configured comes first.
            matching.clear();
            const std::string_view id = entry->id();
            if (const auto it = s.c.resources_by_id.find(id); it != s.c.resources_by_id.end()) {
                matching.push_back(it->second);
            }
            if (const auto it = s.c.resources_by_history_id.find(id); it != s.c.resources_by_history_id.end()) {
                for (Resource* r : it->second) {
                    if (r->history_id == id && std::ranges::find(matching, r) == matching.end()) matching.push_back(r);
                }
            }
            if (const auto it = removed.find(id); it != removed.end()) {
                for (Resource* r : it->second) {
                    if (std::ranges::find(matching, r) == matching.end()) matching.push_back(r);
                }
            }
            if (matching.size() > 1) std::ranges::sort(matching, std::ranges::greater{}, &Resource::index);
            for (Resource* rsc : matching) {
                if (rsc->is_primitive()) check_history(s, *rsc, *node, *entry);
            }
        }
    }
}

void check_parameters_of_bundles(Scheduler& s) {
    const auto checks = std::move(s.c.parameter_checks);
    s.c.parameter_checks.clear();
    for (const model::ParameterCheck& check : checks) {
        if (check.active) {
            check_active(s, *check.resource, *check.node, *check.xml);
            continue;
        }
        const DigestResult result = model::compare_digests(s.c, *check.resource, *check.xml, *check.node);
        if (result == DigestResult::kMismatch || result == DigestResult::kRestart) {
            s.clear_fail_count(*check.resource, *check.node);
        }
    }
}

}  // namespace systole::scheduler
