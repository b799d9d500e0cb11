// scheduler/recurring.cpp — monitors and other recurring operations: which run where, and which are cancelled.
#include <fmt/format.h>

#include "base/text.h"
#include "model/operations.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

struct Recurring {
    std::string_view name;
    Duration interval;
    Role role;
};

bool cannot_recur(std::string_view task) {
    return task == "stop" || task == "start" || task == "demote" || task == "promote" || task == "reload-agent" ||
           task == "migrate_to" || task == "migrate_from";
}

bool is_duplicate(Scheduler& s, const Resource& rsc, const model::OperationConfig& op) {
    std::string_view first;
    for (const auto& other : rsc.operations) {
        if (other.name != op.name || other.interval != op.interval || other.xml->id().empty()) continue;
        if (first.empty()) {
            first = other.xml->id();
            continue;
        }
        s.c.config_error(
            fmt::format("Operation {} is duplicate of {} (do not use same name and interval combination "
                        "more than once per resource)",
                        other.xml->id(), first));
        return true;
    }
    return false;
}

std::optional<Recurring> recurring_from(Scheduler& s, const Resource& rsc, const model::OperationConfig& op) {
    if (op.interval.count() == 0) return std::nullopt;
    if (op.xml->id().empty()) {
        s.c.config_error(fmt::format("Ignoring operation of {} without ID", rsc.id));
        return std::nullopt;
    }
    if (cannot_recur(op.name)) {
        s.c.config_error(fmt::format("Ignoring {} because {} action cannot be recurring", op.xml->id(), op.name));
        return std::nullopt;
    }
    if (is_duplicate(s, rsc, op)) return std::nullopt;
    Recurring result{op.name, op.interval, Role::kUnknown};
    if (const auto role = op.xml->attribute("role")) {
        result.role = model::parse_role(*role);
        if (result.role == Role::kUnknown) {
            s.c.config_error(fmt::format("Ignoring {} role because {} is not a valid role", op.xml->id(), *role));
            return std::nullopt;
        }
    }
    if (model::find_operation(rsc, op.name, op.interval, model::Disabled::kExclude) == nullptr) return std::nullopt;
    return result;
}

void for_active(Scheduler& s, Resource& rsc, Action& start, Node* node, const Recurring& op) {
    if (op.role == Role::kStopped) return;
    const auto known = s.find_actions(rsc, op.name, op.interval, node, true);
    bool optional = node != nullptr && start.is(act::kOptional) && !known.empty();
    for (const Action* a : known) optional = optional && !a->is(act::kReschedule);
    const bool matches = op.role == Role::kUnknown ? rsc.next_role != Role::kPromoted : rsc.next_role == op.role;
    if (!matches) {
        if (!optional) return;
        // It runs, but not in the role that is coming.
        Action* cancel = cancel_action(s, rsc, op.name, op.interval, node);
        std::string_view before;
        if (rsc.role == Role::kUnpromoted || rsc.role == Role::kStarted) {
            if (rsc.next_role == Role::kPromoted) before = "promote";
            if (rsc.next_role == Role::kStopped) before = "stop";
        } else if (rsc.role == Role::kPromoted) {
            before = "demote";
        }
        if (!before.empty()) s.order(OrderEnd(&rsc, cancel), OrderEnd(rsc, before), rel::kUnrunnableFirstBlocks);
        return;
    }
    Action* monitor = s.action(rsc, op.name, op.name, op.interval, node, optional);
    if (!start.is(act::kRunnable) || node == nullptr || !node->online || node->unclean) {
        monitor->clear(act::kRunnable);
    }
    if (rsc.next_role == Role::kPromoted) monitor->meta["op_target_rc"] = "8";
    if (node != nullptr && !rsc.managed) return;
    constexpr Flags kAfter = rel::kFirstImpliesThen | rel::kUnrunnableFirstBlocks;
    constexpr Flags kAfterRole = rel::kOrdered | rel::kUnrunnableFirstBlocks;
    s.order(OrderEnd(rsc, "start"), OrderEnd(monitor), kAfter);
    s.order(OrderEnd(rsc, "reload-agent"), OrderEnd(monitor), kAfter);
    if (rsc.next_role == Role::kPromoted) {
        s.order(OrderEnd(rsc, "promote"), OrderEnd(&rsc, monitor), kAfterRole);
    } else if (rsc.role == Role::kPromoted) {
        s.order(OrderEnd(rsc, "demote"), OrderEnd(&rsc, monitor), kAfterRole);
    }
}

void cancel_if_running(Scheduler& s, Resource& rsc, Node* node, const Recurring& op) {
    if (s.find_actions(rsc, op.name, op.interval, node, true).empty()) return;
    Action* cancel = cancel_action(s, rsc, op.name, op.interval, node);
    if (rsc.next_role == Role::kStarted || rsc.next_role == Role::kUnpromoted) {
        s.order(OrderEnd(&rsc, cancel), OrderEnd(rsc, "start"), rel::kUnrunnableFirstBlocks);
    }
}

/// Monitors of the stopped role look, on all other nodes, for resources that run where they should not.
void for_inactive(Scheduler& s, Resource& rsc, Node* node, const Recurring& op) {
    if (op.role != Role::kStopped || !rsc.unique) return;
    for (Node* other : s.c.nodes) {
        if (other == node) {
            cancel_if_running(s, rsc, node, op);
            continue;
        }
        const bool known = !s.find_actions(rsc, op.name, op.interval, other, true).empty();
        Action* monitor = s.action(rsc, op.name, op.name, op.interval, other, known);
        monitor->meta["op_target_rc"] = "7";
        if (rsc.managed) {
            for (Action* probe : s.find_actions(rsc, "monitor", Duration{0}, other)) {
                s.relate(probe, monitor, rel::kUnrunnableFirstBlocks);
            }
        }
        for (Action* stop : s.find_actions(rsc, "stop", Duration{0}, other, true)) {
            if (!stop->is(act::kOptional) && !monitor->is(act::kOptional) && !rsc.managed) {
                monitor->set(act::kOptional);
            }
            if (!stop->is(act::kRunnable)) monitor->clear(act::kRunnable);
            if (rsc.managed) {
                s.order(OrderEnd(&rsc, stop), OrderEnd(monitor), rel::kFirstImpliesThen | rel::kUnrunnableFirstBlocks);
            }
        }
        if (!other->online || other->unclean) monitor->clear(act::kRunnable);
    }
}

}  // namespace

bool is_recurring(const Action& action) { return parse_integer(action.meta_value("interval")).value_or(0) > 0; }

Action* cancel_action(Scheduler& s, Resource& rsc, std::string_view task, Duration interval, Node* node) {
    Action* cancel = s.action(rsc, task, "cancel", interval, node, false);
    cancel->task = "cancel";
    cancel->cancel_task = task;
    cancel->meta["operation"] = task;
    cancel->meta["interval"] = std::to_string(interval.count());
    return cancel;
}

void schedule_cancel(Scheduler& s, Resource& rsc, std::string_view call_id, std::string_view task, Duration interval,
                     Node* node) {
    Action* cancel = cancel_action(s, rsc, task, interval, node);
    cancel->meta["call-id"] = call_id;
    // If it is stopped anyway, it is cancelled with that.
    s.order(OrderEnd(rsc, "stop"), OrderEnd(&rsc, cancel), rel::kOrdered);
}

void create_recurring_actions(Scheduler& s, Resource& rsc) {
    if (rsc.blocked || rsc.maintenance) return;
    Node* node = rsc.assigned_node;
    Action* start = nullptr;
    if (node != nullptr && !node->maintenance && (rsc.next_role != Role::kStopped || !rsc.managed)) {
        start = s.start(rsc, node, true);
    }
    for (const auto& config : rsc.operations) {
        const auto op = recurring_from(s, rsc, config);
        if (!op) continue;
        if (start != nullptr) for_active(s, rsc, *start, node, *op);
        for_inactive(s, rsc, node, *op);
    }
}

}  // namespace systole::scheduler
