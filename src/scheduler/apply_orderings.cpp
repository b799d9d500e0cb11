// scheduler/apply_orderings.cpp — from orderings between resources to relations between actions, and what relations do
// to the actions' flags, until nothing changes any more.
#include <fmt/format.h>

#include <algorithm>

#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

struct Changed {
    bool first = false, then = false;
    Changed& operator|=(Changed other) {
        first = first || other.first;
        then = then || other.then;
        return *this;
    }
};

/// What a relation asks to be looked at: flags of the first action, which of them matter, and the kind of relation.
struct Update {
    Flags first_flags;
    Flags filter;
    Flags type;
};

Changed update(Scheduler& s, Resource& rsc, Action& first, Action& then, const Node* node, const Update& u);

bool is_collective(const Resource& rsc) { return rsc.is_clone() || rsc.is_bundle(); }

/// "start" of the instances for "running" of a collective of primitives; groups have both.
std::string_view instance_task(const Action& action) {
    std::string_view task = action.task;
    if (task == "notify" || task == "notified") {
        const auto mark = action.key_task.find("_notify_");
        if (mark == std::string::npos) return task;
        task = std::string_view(action.key_task).substr(mark + 8);
    }
    const Resource* instance = action.rsc->children.empty() ? nullptr : action.rsc->children.front();
    return instance != nullptr && instance->is_primitive() ? uncompleted(task) : task;
}

Flags group_action_flags(Scheduler& s, Action& action, const Node* node) {
    Flags flags = act::kOptional | act::kRunnable | act::kPseudo;
    for (Resource* member : action.rsc->children) {
        const std::string_view task = uncompleted(action.task);
        Action* member_action = s.find_task(*member, task, node);
        if (member_action == nullptr) {
            if (task != "stop" && task != "demote") flags &= ~act::kRunnable;
            continue;
        }
        const Flags member_flags = action_flags(s, *member_action, node);
        if ((flags & act::kOptional) != 0 && (member_flags & act::kOptional) == 0) {
            flags &= ~act::kOptional;
            action.clear(act::kOptional);
        }
        // A completed one needs all members to be done.
        if (task != action.task && (flags & act::kRunnable) != 0 && (member_flags & act::kRunnable) == 0) {
            flags &= ~act::kRunnable;
            action.clear(act::kRunnable);
        }
    }
    return flags;
}

Flags flags_for_ordering(Scheduler& s, Action& action, const Node* node) {
    if (action.rsc == nullptr) return action.flags;
    Flags flags = action_flags(s, action, nullptr);
    if (node == nullptr || !action.rsc->is_clone()) return flags;
    // On the other action's node only; but runnable if it is anywhere.
    const bool runnable = (flags & act::kRunnable) != 0;
    flags = action_flags(s, action, node);
    return runnable ? flags | act::kRunnable : flags;
}

/// Others wait for the end of what a group or clone does, not for its beginning.
Action& end_of(Scheduler& s, Action& action) {
    Resource* rsc = action.rsc;
    if (rsc == nullptr || rsc->is_primitive() || action.interval.count() > 0) return action;
    if (action.key().find("notify") != std::string::npos) return action;
    const std::string_view done = completed(action.key_task);
    const bool is_done = uncompleted(action.key_task) != action.key_task;
    if (done == action.key_task && !is_done) return action;
    Action* end = rsc->notify && (rsc->is_clone() || rsc->is_bundle() || rsc->is_bundled())
                      ? s.find_key(*rsc, fmt::format("confirmed-post_notify_{}", done))
                      : s.find_key(*rsc, done);
    return end == nullptr ? action : *end;
}

// --- what relations do
// -------------------------------------------------------------------------------------------------

void asymmetric(Scheduler&, Action& first, Action& then) {
    if (then.rsc == nullptr || first.is(act::kRunnable)) return;
    if (then.is(act::kOptional)) {
        const Role role = then.rsc->state(true);
        if (role == Role::kStopped && then.task == "stop") return;
        if (role >= Role::kStarted && then.task == "start" && then.rsc->active_nodes.size() == 1 &&
            then.rsc->active_nodes.front() == then.node) {
            return;  // it is as it shall be
        }
    }
    then.clear_because(act::kOptional, first);
    then.clear_because(act::kRunnable, first);
}

void intermediate_stop(Action& first, Action& then, Flags filter) {
    const bool restart = (filter & act::kOptional) != 0 && !then.is(act::kOptional);
    const bool stop =
        (filter & act::kRunnable) != 0 && !then.is(act::kRunnable) && then.rsc->managed && first.rsc == then.rsc;
    if (!restart && !stop) return;
    if (first.is(act::kRunnable)) first.clear_because(act::kOptional, then);
    if (!then.is(act::kOptional)) first.clear_because(act::kOptional, then);
    if (!then.is(act::kMigratable)) first.clear_because(act::kMigratable, then);
    if (!first.is(act::kOptional) && !first.is(act::kRunnable)) then.clear_because(act::kRunnable, first);
}

Changed update_primitive(Scheduler& s, Action& first, Action& then, const Update& u) {
    const Flags then_before = then.flags, first_before = first.flags;
    const auto type = [&](Flags flag) { return (u.type & flag) != 0; };
    const bool optional = (u.filter & act::kOptional) != 0;
    if (type(rel::kAsymmetric)) asymmetric(s, first, then);
    if (type(rel::kThenImpliesFirst) && (then_before & act::kOptional) == 0) {
        if (optional && (u.first_flags & act::kOptional) == 0 && (first_before & act::kOptional) != 0) {
            first.clear_because(act::kOptional, then);
        }
        if ((u.first_flags & act::kMigratable) != 0 && !then.is(act::kMigratable)) {
            first.clear_because(act::kMigratable, then);
        }
    }
    if (type(rel::kPromotedThenImpliesFirst) && then.rsc != nullptr && then.rsc->role == Role::kPromoted && optional &&
        !then.is(act::kOptional)) {
        first.clear_because(act::kOptional, then);
        if (first.is(act::kMigratable) && !then.is(act::kMigratable)) first.clear_because(act::kMigratable, then);
    }
    if (type(rel::kUnmigratableThenBlocks) && optional) {
        if (!then.is(act::kMigratable | act::kRunnable)) first.clear_because(act::kRunnable, then);
        if (!then.is(act::kOptional)) first.clear_because(act::kOptional, then);
    }
    if (type(rel::kFirstElseThen) && optional && !first.is(act::kRunnable)) {
        then.clear_because(act::kMigratable, first);
        then.clear(act::kPseudo);
    }
    if (type(rel::kUnrunnableFirstBlocks) && (u.filter & act::kRunnable) != 0 && then.is(act::kRunnable) &&
        (u.first_flags & act::kRunnable) == 0) {
        then.clear_because(act::kRunnable, first);
        then.clear_because(act::kMigratable, first);
    }
    if (type(rel::kFirstImpliesThen) && optional && then.is(act::kOptional) && (u.first_flags & act::kOptional) == 0 &&
        !first.is(act::kMigratable)) {
        then.clear_because(act::kOptional, first);
    }
    if (type(rel::kIntermediateStop)) intermediate_stop(first, then, u.filter);

    Changed changed;
    if (then_before != then.flags) {
        changed.then = true;
        if (then.rsc != nullptr && then.rsc->parent != nullptr) update_action(s, then);
    }
    changed.first = first_before != first.flags;
    return changed;
}

Changed update_group(Scheduler& s, Action& first, Action& then, const Node* node, const Update& u) {
    Changed changed = update_primitive(s, first, then, u);
    if (then.rsc == nullptr) return changed;
    for (Resource* member : then.rsc->children) {
        Action* action = s.find_task(*member, then.task, node);
        if (action != nullptr) changed |= update(s, *member, first, *action, node, u);
    }
    return changed;
}

/// Of the action itself or of notifications about it.
bool is_about(const Action& action, std::string_view task) {
    return action.key_task == task || action.key_task.ends_with(fmt::format("_{}", task));
}

bool can_interleave(const Action& first, const Action& then) {
    if (first.rsc == nullptr || then.rsc == nullptr || first.rsc == then.rsc) return false;
    if (!is_collective(*first.rsc) || !is_collective(*then.rsc)) return false;
    // Of two stops, what is stopped first is what was started last.
    const bool down = is_about(then, "stop") || is_about(then, "demote");
    return (down ? first.rsc : then.rsc)->meta_true("interleave");
}

Action* interleaved_action(Scheduler& s, const Action& action, Resource& instance, std::string_view task,
                           const Node* node, bool for_first) {
    const Resource* rsc = nullptr;
    const bool stopping = action.task == "stop" || action.task == "stopped";
    const bool role_change = uncompleted(action.task) == "promote" || uncompleted(action.task) == "demote";
    // Inside a container is what matters, except that it is down as soon as its container is.
    if ((for_first && !stopping) || (!for_first && role_change)) rsc = contained(instance);
    if (rsc != nullptr) node = nullptr;
    return s.find_task(rsc == nullptr ? instance : *rsc, task, node);
}

Changed update_interleaved(Scheduler& s, Action& first, Action& then, const Node* node, const Update& u) {
    Changed changed;
    const std::string first_task(instance_task(first));
    const bool current = is_about(first, "stopped") || is_about(first, "demoted");
    const CompatibleInstances firsts(s, *first.rsc, current);
    for (Resource* then_instance : instances_of(*then.rsc)) {
        Resource* first_instance = firsts.find(*then_instance);
        if (first_instance == nullptr) {
            const bool mandatory = (u.type & (rel::kUnrunnableFirstBlocks | rel::kFirstImpliesThen)) != 0;
            if (!current && mandatory && assign_to(s, *then_instance, nullptr, nullptr, true, true))
                changed.then = true;
            continue;
        }
        Action* first_action = interleaved_action(s, first, *first_instance, first_task, node, true);
        if (first_action == nullptr) continue;
        Action* then_action = interleaved_action(s, then, *then_instance, then.task, node, false);
        if (then_action == nullptr) continue;
        if (s.relate(first_action, then_action, u.type)) changed |= {true, true};
        const Flags flags = action_flags(s, *first_action, node);
        changed |= update(s, *then_instance, *first_action, *then_action, node, {flags, u.filter, u.type});
    }
    return changed;
}

Changed update_instance(Scheduler& s, Resource& instance, Action& first, const Action& then, const Node* node,
                        const Update& u) {
    Action* action = s.find_task(instance, then.task, node);
    if (action == nullptr || (action_flags(s, *action, node) & act::kRunnable) == 0) return {};
    const Changed changed = update(s, instance, first, *action, node, u);
    if (changed.then) {
        for (std::size_t i = action->after.size(); i-- > 0;) update_action(s, *action->after[i].other);
    }
    return changed;
}

Changed update(Scheduler& s, Resource& rsc, Action& first, Action& then, const Node* node, const Update& u) {
    if (rsc.is_primitive()) return update_primitive(s, first, then, u);
    if (rsc.is_group()) return update_group(s, first, then, node, u);
    if (then.rsc == nullptr) return {};
    if (can_interleave(first, then)) return update_interleaved(s, first, then, node, u);
    Changed changed = update_primitive(s, first, then, u);
    for (Resource* instance : instances_of(*then.rsc)) changed |= update_instance(s, *instance, first, then, node, u);
    return changed;
}

Changed apply_relation(Scheduler& s, Action& first, Action& then, Flags first_flags, Flags then_flags,
                       Relation& order) {
    Changed changed;
    const Node* node = then.node;
    const auto type = [&](Flags flag) { return (order.flags & flag) != 0; };
    const auto update_then = [&](Flags flags, Flags filter, Flags kind) {
        changed |= update(s, *then.rsc, first, then, node, {flags, filter, kind});
    };
    if (type(rel::kFirstImpliesSameNodeThen)) {
        order.flags = (order.flags & ~rel::kFirstImpliesSameNodeThen) | rel::kFirstImpliesThen;
        node = first.node;
    }
    if (type(rel::kFirstImpliesThen)) {
        if (then.rsc != nullptr) {
            update_then(first_flags & act::kOptional, act::kOptional, rel::kFirstImpliesThen);
        } else if ((first_flags & act::kOptional) == 0 && then.is(act::kOptional)) {
            then.clear(act::kOptional);
            changed.then = true;
        }
    }
    if (type(rel::kIntermediateStop) && then.rsc != nullptr) {
        update_then(first_flags, act::kOptional | act::kRunnable, rel::kIntermediateStop);
    }
    if (type(rel::kThenImpliesFirst)) {
        if (first.rsc != nullptr) {
            changed |= update(s, *first.rsc, first, then, node, {first_flags, act::kOptional, rel::kThenImpliesFirst});
        } else if ((first_flags & act::kOptional) == 0 && first.is(act::kRunnable)) {
            first.clear(act::kRunnable);
            changed.first = true;
        }
    }
    if (type(rel::kPromotedThenImpliesFirst) && then.rsc != nullptr) {
        update_then(first_flags & act::kOptional, act::kOptional, rel::kPromotedThenImpliesFirst);
    }
    if (type(rel::kMinRunnable)) {
        if (then.rsc != nullptr) {
            update_then(first_flags, act::kRunnable, rel::kMinRunnable);
        } else if ((first_flags & act::kRunnable) != 0) {
            ++then.runnable_before;
            if (then.runnable_before >= then.required_runnable_before && !then.is(act::kRunnable)) {
                then.set(act::kRunnable);
                changed.then = true;
            }
        }
    }
    if (type(rel::kNestedRemoteProbe) && then.rsc != nullptr) {
        if ((first_flags & act::kRunnable) == 0 && first.rsc != nullptr && !first.rsc->active_nodes.empty()) {
            order.flags = rel::kNone;  // the container is up already: the connection can be looked for
        } else {
            update_then(first_flags, act::kRunnable, rel::kUnrunnableFirstBlocks);
        }
    }
    if (type(rel::kUnrunnableFirstBlocks)) {
        if (then.rsc != nullptr) {
            update_then(first_flags, act::kRunnable, rel::kUnrunnableFirstBlocks);
        } else if ((first_flags & act::kRunnable) == 0 && then.is(act::kRunnable)) {
            then.clear(act::kRunnable);
            changed.then = true;
        }
    }
    if (then.rsc != nullptr) {
        if (type(rel::kUnmigratableThenBlocks)) {
            update_then(first_flags, act::kOptional, rel::kUnmigratableThenBlocks);
        }
        if (type(rel::kFirstElseThen)) update_then(first_flags, act::kOptional, rel::kFirstElseThen);
        if (type(rel::kOrdered)) update_then(first_flags, act::kRunnable, rel::kOrdered);
        if (type(rel::kAsymmetric)) update_then(first_flags, act::kRunnable, rel::kAsymmetric);
    }
    if (first.is(act::kRunnable) && type(rel::kFirstImpliesThenGraphed) && (first_flags & act::kOptional) == 0) {
        then.set(act::kAlwaysInGraph);
    }
    if (type(rel::kThenImpliesFirstGraphed) && (then_flags & act::kOptional) == 0) first.set(act::kAlwaysInGraph);
    if (type(rel::kFirstImpliesThen | rel::kThenImpliesFirst | rel::kIntermediateStop) && first.rsc != nullptr &&
        !first.rsc->managed && first.rsc->blocked && !first.is(act::kRunnable) && first.task == "stop" &&
        then.is(act::kRunnable)) {
        then.clear(act::kRunnable);  // what can't be stopped holds up what depends on that
        changed.then = true;
    }
    return changed;
}

/// A group's start is where its members will be.
const Node* start_node(Scheduler& s, const Action& action) {
    if (action.rsc != nullptr && action.rsc->is_group() && action.task == "start") {
        return s.location_of(*action.rsc, Scheduler::Where::kAssigned);
    }
    return action.node;
}

// --- blocked colocations
// -------------------------------------------------------------------------------------------------

void mark_blocked(Scheduler& s, Resource& rsc, std::string_view task, const Resource& reason) {
    const auto list = s.of(rsc).actions;
    for (std::size_t i = list.size(); i-- > 0;) {
        Action* a = list[i];
        if (!a->is(act::kRunnable) || a->task != task) continue;
        a->clear(act::kRunnable);
        a->set_reason(fmt::format("colocation with {}", reason.id), false);
        block_colocation_dependents(s, *a);
        update_action(s, *a);
    }
    for (Resource* child : rsc.children) mark_blocked(s, *child, task, reason);
}

// --- orderings to relations
// ----------------------------------------------------------------------------------------------

std::vector<Action*> actions_at(Scheduler& s, const OrderEnd& end, Resource& rsc) {
    if (end.action != nullptr) return {end.action};
    return s.find_actions(rsc, end.task, Duration{0}, nullptr);
}

void relate_after(Scheduler& s, Action* first, Resource& then_rsc, const Ordering& o) {
    const auto thens = actions_at(s, o.then, then_rsc);
    Flags flags = o.flags;
    if (first != nullptr && first->rsc == &then_rsc && first->is(act::kMigrationAbort)) {
        flags &= ~rel::kFirstImpliesThen;  // it is started anyway, or not
    }
    if (first == nullptr && (flags & rel::kFirstImpliesThen) == 0) return;
    for (Action* then : thens) {
        if (first != nullptr) {
            s.relate(first, then, flags);
        } else {
            then->clear(act::kRunnable);
        }
    }
}

void relate_from(Scheduler& s, Resource& first_rsc, const Ordering& o) {
    auto firsts = actions_at(s, o.first, first_rsc);
    if (firsts.empty() && &first_rsc != o.then.rsc) {
        const Role role = first_rsc.state(true);
        const std::string_view task = o.first.task;
        const bool done = (role == Role::kStopped && task == "stop") || (role == Role::kUnpromoted && task == "demote");
        if (!done) firsts.push_back(s.action(first_rsc, task, nullptr, true));
    }
    Resource* then_rsc = o.then.rsc;
    if (then_rsc == nullptr) {
        if (o.then.action == nullptr) return;
        then_rsc = o.then.action->rsc;
    }
    for (Action* first : firsts) {
        if (then_rsc == nullptr) {
            s.relate(first, o.then.action, o.flags);
        } else {
            relate_after(s, first, *then_rsc, o);
        }
    }
}

bool is_invalid(const Action& action, Relation& input) {
    // A container must not wait for what runs inside it.
    if ((input.flags & rel::kGuestAllowed) == 0 && input.other->rsc != nullptr && action.rsc != nullptr &&
        !action.rsc->launched.empty() && input.other->node != nullptr && input.other->node->remote != nullptr &&
        input.other->node->remote->launcher == action.rsc) {
        return true;
    }
    return input.flags == rel::kIfOnSameNodeOrTarget && action.rsc != nullptr && action.task == "migrate_to" &&
           has_loop(action, action, input);
}

}  // namespace

Flags collective_action_flags(Scheduler& s, Action& action, const std::vector<Resource*>& instances, const Node* node) {
    Flags flags = act::kOptional | act::kRunnable | act::kPseudo;
    bool any_runnable = false;
    const std::string task(instance_task(action));
    for (Resource* instance : instances) {
        Action* instance_action = s.find_task(*instance, task, instance->is_primitive() ? node : nullptr);
        if (instance_action == nullptr) continue;
        const Flags instance_flags = action_flags(s, *instance_action, node);
        if ((flags & act::kOptional) != 0 && (instance_flags & act::kOptional) == 0) {
            flags &= ~act::kOptional;
            action.clear(act::kOptional);
        }
        any_runnable = any_runnable || (instance_flags & act::kRunnable) != 0;
    }
    if (!any_runnable) {
        flags &= ~act::kRunnable;
        if (node == nullptr) action.clear(act::kRunnable);
    }
    return flags;
}

Flags action_flags(Scheduler& s, Action& action, const Node* node) {
    if (action.rsc == nullptr) return action.flags;
    switch (action.rsc->variant) {
        case model::Variant::kPrimitive: return action.flags;
        case model::Variant::kGroup: return group_action_flags(s, action, node);
        case model::Variant::kClone: return collective_action_flags(s, action, action.rsc->children, node);
        case model::Variant::kBundle: return bundle_action_flags(s, action, node);
    }
    return action.flags;
}

void block_colocation_dependents(Scheduler& s, Action& action) {
    if (action.is(act::kRunnable)) return;
    const bool start = action.task == "start";
    if ((!start && action.task != "promote") || action.rsc == nullptr) return;
    Resource* rsc = &action.rsc->uber_parent();
    if (rsc->parent != nullptr) rsc = rsc->parent;  // bundle
    // As long as one of its parts can be started, others may go with that.
    for (const Resource* child : rsc->children) {
        const Action* child_action = s.find_task(*child, action.task);
        if (child_action == nullptr || child_action->is(act::kRunnable)) return;
    }
    for (const Colocation* colocation : with_this(s, *rsc)) {
        if (colocation->score < Score::kInfinity) continue;
        if (!start && colocation->primary_role != Role::kPromoted) continue;
        const bool promoted = colocation->dependent_role == Role::kPromoted;
        mark_blocked(s, *colocation->dependent, promoted ? "promote" : "start", *action.rsc);
    }
}

void update_action(Scheduler& s, Action& then) {
    Changed changed;
    const Flags before = then.flags;
    if (then.required_runnable_before > 0) {
        then.runnable_before = 0;
        then.clear(act::kRunnable);
    }
    for (std::size_t i = then.before.size(); i-- > 0;) {
        Action* first = then.before[i].other;
        const Node* then_node = start_node(s, then);
        const Node* first_node = start_node(s, *first);
        const Flags flags = then.before[i].flags;
        if ((flags & rel::kIfOnSameNode) != 0 && first_node != nullptr && then_node != nullptr &&
            first_node != then_node) {
            then.before[i].flags = rel::kNone;
            continue;
        }
        changed.first = false;
        if (first->rsc != nullptr && (flags & rel::kThenCancelsFirst) != 0 && !then.is(act::kOptional)) {
            first->set(act::kOptional);
            if (first->task == "reload-agent") s.of(*first->rsc).reload = false;
        }
        if (first->rsc != nullptr && then.rsc != nullptr && first->rsc != then.rsc &&
            !then.rsc->has_ancestor(*first->rsc)) {
            first = &end_of(s, *first);
        }
        if (first == then.before[i].other) {
            const Flags first_flags = flags_for_ordering(s, *first, then_node);
            const Flags then_flags = flags_for_ordering(s, then, first_node);
            Relation relation = then.before[i];  // the list may grow meanwhile
            const Flags flags_before = relation.flags;
            changed |= apply_relation(s, *first, then, first_flags, then_flags, relation);
            if (relation.flags != flags_before) then.before[i].flags = relation.flags;
        } else if (s.relate(first, &then, flags)) {
            changed.then = true;
            then.before[i].flags = rel::kNone;
        }
        if (changed.first) {
            for (std::size_t j = first->after.size(); j-- > 0;) update_action(s, *first->after[j].other);
            update_action(s, *first);
        }
    }
    if (then.required_runnable_before > 0) changed.then = before != then.flags;
    if (!changed.then) return;
    if ((before & act::kRunnable) != 0 && !then.is(act::kRunnable)) block_colocation_dependents(s, then);
    update_action(s, then);
    for (std::size_t i = then.after.size(); i-- > 0;) update_action(s, *then.after[i].other);
}

void apply_orderings(Scheduler& s) {
    for (std::size_t i = 0; i < s.orderings.size(); ++i) {
        const Ordering o = s.orderings[i];
        if (o.first.rsc != nullptr) {
            relate_from(s, *o.first.rsc, o);
        } else if (o.then.rsc != nullptr) {
            relate_after(s, o.first.action, *o.then.rsc, o);
        } else {
            s.relate(o.first.action, o.then.action, o.flags);
        }
    }
    for (std::size_t i = s.actions.size(); i-- > 0;) block_colocation_dependents(s, s.actions[i]);
    order_probes(s);
    for (std::size_t i = s.actions.size(); i-- > 0;) update_action(s, s.actions[i]);
    // Where relations make a circle, the newest one gives way.
    for (std::size_t i = s.actions.size(); i-- > 0;) {
        Action& action = s.actions[i];
        for (std::size_t j = action.before.size(); j-- > 0;) {
            if (is_invalid(action, action.before[j])) action.before[j].flags = rel::kNone;
        }
    }
}

}  // namespace systole::scheduler
