// scheduler/create_actions.cpp — from where a resource is and where it shall be to what has to be done.
#include <fmt/format.h>

#include <algorithm>

#include "model/failcount.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

using Step = void (*)(Scheduler&, Resource&, Node*, bool optional);

/// Already where it shall be while stopping it elsewhere.
bool is_expected(Scheduler& s, const Resource& rsc, const Node* node) {
    const Work& work = s.of(rsc);
    return work.stop_unexpected && work.restarting && rsc.next_role > Role::kStopped && node != nullptr &&
           rsc.assigned_node == node;
}

void stop_step(Scheduler& s, Resource& rsc, Node*, bool optional) {
    const std::vector<Node*> active = rsc.active_nodes;
    for (Node* current : active) {
        if (is_expected(s, rsc, current)) continue;
        if (rsc.partial_migration_target != nullptr) {
            // The migration goes on: only the source has to be stopped.
            if (current == rsc.partial_migration_target && current == rsc.assigned_node) continue;
            optional = false;
        }
        Action* stop = s.stop(rsc, current, optional);
        if (rsc.assigned_node == nullptr) {
            stop->set_reason("node availability", true);
        } else if (s.of(rsc).restarting && s.of(rsc).stop_unexpected) {
            stop->set_reason("being multiply active", true);
        }
        if (!rsc.managed) stop->clear(act::kRunnable);
        if (rsc.needs_unfencing) {
            Action* unfence = s.fence_action(*current, "on", true, nullptr, false);
            s.relate(stop, unfence, rel::kThenImpliesFirst);
            if (!is_unfenced(*current)) {
                s.c.error(fmt::format("Stopping {} until {} can be unfenced", rsc.id, current->name));
            }
        }
    }
}

void start_step(Scheduler& s, Resource& rsc, Node* node, bool optional) {
    Action* start = s.start(rsc, node, true);
    if (node != nullptr) order_vs_unfencing(s, rsc, *node, *start, rel::kFirstImpliesThen);
    if (start->is(act::kRunnable) && !optional) start->clear(act::kOptional);
    if (is_expected(s, rsc, node)) start->set(act::kPseudo);
}

void promote_step(Scheduler& s, Resource& rsc, Node* node, bool optional) {
    const auto starts = s.find_actions(rsc, "start", Duration{0}, node, true);
    const bool runnable = std::ranges::all_of(starts, [](const Action* a) { return a->is(act::kRunnable); });
    if (runnable) {
        Action* promote = s.promote(rsc, node, optional);
        if (is_expected(s, rsc, node)) promote->set(act::kPseudo);
        return;
    }
    for (Action* promote : s.find_actions(rsc, "promote", Duration{0}, node, true)) promote->clear(act::kRunnable);
}

void demote_step(Scheduler& s, Resource& rsc, Node*, bool optional) {
    const std::vector<Node*> active = rsc.active_nodes;
    for (Node* current : active) {
        if (!is_expected(s, rsc, current)) s.demote(rsc, current, optional);
    }
}

struct Transition {
    Role next;
    Step step;
};

/// The next role on the way from one to another, and how to get there; no step: nothing to do (or no way).
Transition towards(Role from, Role to) {
    const bool down = to == Role::kUnknown || to == Role::kStopped;
    switch (from) {
        case Role::kUnknown: return {down ? to : Role::kStopped, to == Role::kUnknown ? nullptr : &stop_step};
        case Role::kStopped:
            if (down) return {Role::kStopped, nullptr};
            return {to == Role::kStarted ? Role::kStarted : Role::kUnpromoted, &start_step};
        case Role::kStarted:
            if (down) return {Role::kStopped, &stop_step};
            if (to == Role::kPromoted) return {Role::kPromoted, &promote_step};
            return {to, nullptr};
        case Role::kUnpromoted:
            if (down || to == Role::kStarted) return {Role::kStopped, &stop_step};
            if (to == Role::kPromoted) return {Role::kPromoted, &promote_step};
            return {Role::kUnpromoted, nullptr};
        case Role::kPromoted:
            if (to == Role::kUnknown) return {Role::kStopped, &demote_step};
            if (to == Role::kPromoted) return {Role::kPromoted, nullptr};
            return {Role::kUnpromoted, &demote_step};
    }
    return {to, nullptr};
}

void restart_steps(Scheduler& s, Resource& rsc, Node* current, bool need_stop, bool need_promote) {
    s.of(rsc).restarting = true;
    Role role = rsc.role;
    while (role != Role::kStopped) {
        const Transition t = towards(role, Role::kStopped);
        if (t.step == nullptr) break;
        t.step(s, rsc, current, !need_stop);
        role = t.next;
    }
    while (rsc.role <= rsc.next_role && role != rsc.role && !rsc.blocked) {
        const Transition t = towards(role, rsc.role);
        if (t.step == nullptr) break;
        const bool required = need_stop || (t.next == Role::kPromoted && need_promote);
        t.step(s, rsc, rsc.assigned_node, !required);
        role = t.next;
    }
    s.of(rsc).restarting = false;
}

void role_steps(Scheduler& s, Resource& rsc) {
    Role role = rsc.role;
    while (role != rsc.next_role) {
        const Transition t = towards(role, rsc.next_role);
        if (t.step == nullptr) break;
        t.step(s, rsc, rsc.assigned_node, false);
        role = t.next;
    }
}

void create_primitive_actions(Scheduler& s, Resource& rsc) {
    if (rsc.next_role == Role::kUnknown) {
        rsc.next_role = rsc.assigned_node == nullptr ? Role::kStopped : Role::kStarted;
    }
    const model::ActiveNodes active = model::active_nodes_of(rsc);
    Node* current = active.current;
    for (Node* source : rsc.dangling_migration_sources) s.stop(rsc, source, false)->set(act::kMigrationAbort);

    const bool moving = current != nullptr && rsc.assigned_node != nullptr && current != rsc.assigned_node &&
                        rsc.next_role >= Role::kStarted;
    bool need_stop = moving;
    bool need_promote = false;
    bool migrate = moving && can_migrate(rsc, current);
    bool multiply_active = false;
    const bool partial = rsc.partial_migration_source != nullptr || rsc.partial_migration_target != nullptr;
    if (rsc.partial_migration_source != nullptr && rsc.partial_migration_target != nullptr && migrate &&
        active.all == 2 && current == rsc.partial_migration_source &&
        rsc.assigned_node == rsc.partial_migration_target) {
        // It goes on where it was.
    } else if (partial) {
        need_stop = true;
        rsc.partial_migration_source = rsc.partial_migration_target = nullptr;
        migrate = false;
    } else {
        multiply_active = (rsc.needs_fencing ? active.all : active.clean) > 1;
    }
    if (multiply_active) {
        s.c.error(fmt::format("{} resource {} might be active on {} nodes", rsc.standard(), rsc.id, active.all));
        if (rsc.multiply_active == model::MultiplyActive::kRestart) need_stop = true;
        if (rsc.multiply_active == model::MultiplyActive::kUnexpected) {
            need_stop = true;
            s.of(rsc).stop_unexpected = true;
        }
    } else {
        s.of(rsc).stop_unexpected = false;
    }
    if (rsc.start_pending) s.start(rsc, rsc.assigned_node, true)->set(act::kAlwaysInGraph);
    if (moving) {
        // Stopped anyway.
    } else if (rsc.failed) {
        if (rsc.stop_if_failed) {
            need_stop = true;
        } else if (rsc.next_role == Role::kPromoted) {
            need_promote = true;
        }
    } else if (rsc.blocked) {
        need_stop = true;
    } else if (rsc.role > Role::kStarted && current != nullptr && rsc.assigned_node != nullptr) {
        if (!s.start(rsc, rsc.assigned_node, true)->is(act::kOptional)) need_stop = true;
    }
    restart_steps(s, rsc, current, need_stop, need_promote);
    role_steps(s, rsc);
    create_recurring_actions(s, rsc);
    if (migrate) create_migration_actions(s, rsc, current);
}

void create_group_actions(Scheduler& s, Resource& group) {
    for (Resource* member : group.children) create_actions(s, *member);
    const auto pseudo = [&](std::string_view task) {
        s.action(group, task, nullptr, true)->set(act::kPseudo | act::kRunnable);
    };
    for (const auto task : {"start", "running", "stop", "stopped"}) pseudo(task);
    if (group.meta_true("promotable")) {
        for (const auto task : {"demote", "demoted", "promote", "promoted"}) pseudo(task);
    }
}

struct InstanceState {
    bool active = false, starting = false, stopping = false, restarting = false;
};

void note_state(Scheduler& s, const Resource& rsc, InstanceState& state) {
    if (!rsc.is_primitive()) {
        for (const Resource* child : rsc.children) note_state(s, *child, state);
        return;
    }
    state.active = state.active || !rsc.active_nodes.empty();
    bool starting = false, stopping = false;
    for (const Action* a : s.of(rsc).actions) {
        if (a->is(act::kOptional)) continue;
        if (a->task == "start" && a->is(act::kRunnable)) starting = true;
        if (a->task == "stop" && a->any(act::kPseudo | act::kRunnable)) stopping = true;
    }
    state.starting = state.starting || starting;
    state.stopping = state.stopping || stopping;
    state.restarting = state.restarting || (starting && stopping);
}

void clear_removed_fail_counts(Scheduler& s, Resource& rsc) {
    if (!rsc.removed) return;
    for (Node* node : s.c.nodes) {
        if (!node->online || model::fail_count(s.c, *node, rsc, model::FailCount::kEffective).count == 0) continue;
        Action* clear = s.clear_fail_count(rsc, *node);
        // Else the attribute could come back with the stop's result.
        s.order(OrderEnd(clear), OrderEnd(rsc, "stop"), rel::kOrdered);
    }
}

}  // namespace

void create_instance_actions(Scheduler& s, Resource& collective, const std::vector<Resource*>& instances) {
    InstanceState state;
    for (Resource* instance : instances) {
        create_actions(s, *instance);
        note_state(s, *instance, state);
    }
    Action* start = s.rsc_pseudo_action(collective, "start", !state.starting, true);
    Action* started = s.rsc_pseudo_action(collective, "running", !state.starting, false);
    started->priority = Score::kInfinity;
    if (state.active || state.starting) started->set(act::kRunnable);
    Action* stop = s.rsc_pseudo_action(collective, "stop", !state.stopping, true);
    Action* stopped = s.rsc_pseudo_action(collective, "stopped", !state.stopping, true);
    stopped->priority = Score::kInfinity;
    if (!state.restarting) stop->set(act::kMigratable);
    if (collective.is_clone()) {
        create_notification_pseudo_actions(s, collective, start, started, stop, stopped);
    }
}

void create_actions(Scheduler& s, Resource& rsc) {
    switch (rsc.variant) {
        case model::Variant::kPrimitive: create_primitive_actions(s, rsc); break;
        case model::Variant::kGroup: create_group_actions(s, rsc); break;
        case model::Variant::kClone:
            create_instance_actions(s, rsc, rsc.children);
            if (rsc.promotable) create_promotable_actions(s, rsc);
            break;
        case model::Variant::kBundle: create_bundle_actions(s, rsc); break;
    }
}

void schedule_resource_actions(Scheduler& s) {
    check_parameters_of_bundles(s);
    if (s.c.options.enable_startup_probes) schedule_probes(s);
    if (s.c.options.stop_removed_resources) {
        for (Resource* rsc : s.c.resources) clear_removed_fail_counts(s, *rsc);
    }
    for (Resource* rsc : s.c.resources) create_actions(s, *rsc);
}

}  // namespace systole::scheduler
