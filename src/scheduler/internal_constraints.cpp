// scheduler/internal_constraints.cpp — what nobody configures but always holds: stop before start, members in the order
// of their group, instances within their clone, containers around what they hold.
#include <algorithm>

#include "model/operations.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

void order_starts(Scheduler& s, Resource& a, Resource& b, Flags flags) { s.order(a, "start", b, "start", flags); }
void order_stops(Scheduler& s, Resource& a, Resource& b, Flags flags) { s.order(a, "stop", b, "stop", flags); }

void avoid_remote_nodes(Scheduler& s, Resource& rsc) {
    for (const Node* node : s.c.nodes) {
        if (node->remote == nullptr) continue;
        if (NodeScore* entry = rsc.allowed.find(*node)) entry->score = Score::minus_infinity();
    }
}

void order_vs_unfencing_of(Scheduler& s, Resource& rsc, Node& node) {
    Action* unfence = s.fence_action(node, "on", true, nullptr, false);
    // Unfencing may be needed because a node's access was cut: stop what still thinks it has it, start it after.
    s.order(OrderEnd(rsc, "stop"), OrderEnd(unfence), rel::kOrdered | rel::kIfOnSameNode);
    s.order(OrderEnd(unfence), OrderEnd(rsc, "start"), rel::kFirstImpliesSameNodeThen | rel::kIfOnSameNode);
}

void order_vs_container(Scheduler& s, Resource& rsc, const std::vector<Node*>& allowed) {
    Resource& launcher = *rsc.launcher;
    Resource* connection = nullptr;
    if (rsc.remote_connection) {
        // Guests in guests are not supported, except that bundles may run on remote nodes.
        if (!rsc.remote_nesting_allowed) avoid_remote_nodes(s, launcher);
        // If the container's monitor fails, its connection is of no use.
        s.order(launcher, "monitor", rsc, "stop", rel::kOrdered);
    } else if (launcher.remote_connection) {
        connection = &launcher;
    } else {
        connection = guest_connection_in(launcher);
    }
    if (connection != nullptr) {
        // The container is itself a node: what it holds can run there only.
        for (const Node* node : allowed) {
            if (node->remote == connection) continue;
            if (NodeScore* entry = rsc.allowed.find(*node)) entry->score = Score::minus_infinity();
        }
        return;
    }
    s.order(launcher, "start", rsc, "start", rel::kFirstImpliesThen | rel::kUnrunnableFirstBlocks);
    s.order(rsc, "stop", launcher, "stop", rel::kThenImpliesFirst);
    const int score = rsc.remote_nesting_allowed ? 10000 : Score::kInfinity;
    add_colocation(s, "#resource-with-container", {}, score, &rsc, &launcher, std::nullopt, std::nullopt, true, false);
}

void primitive_constraints(Scheduler& s, Resource& rsc) {
    if (!rsc.managed) return;
    const bool unfencing = !rsc.fence_device && s.c.enable_unfencing && rsc.needs_unfencing;
    const bool utilization = !rsc.utilization.empty() && s.c.options.placement != model::Placement::kDefault;
    s.order(rsc, "stop", rsc, "start", rel::kOrdered | rel::kFirstImpliesThen | rel::kIntermediateStop);
    if (rsc.top().promotable || rsc.role > Role::kUnpromoted) {
        s.order(rsc, "demote", rsc, "stop", rel::kPromotedThenImpliesFirst);
        s.order(rsc, "start", rsc, "promote", rel::kUnrunnableFirstBlocks);
    }
    // Without history the probe would be needless.
    s.order(rsc, "lrm_delete", rsc, "monitor", rel::kIfOnSameNode | rel::kThenCancelsFirst);
    std::vector<Node*> allowed;
    if (unfencing || utilization || rsc.launcher != nullptr) {
        for (Node* node : s.c.nodes) {
            if (rsc.allowed.find(*node) != nullptr) allowed.push_back(node);
        }
    }
    if (unfencing) {
        for (Node* node : allowed) order_vs_unfencing_of(s, rsc, *node);
    }
    if (utilization) order_load_stopped(s, rsc, allowed);
    if (rsc.launcher != nullptr) order_vs_container(s, rsc, allowed);
    if (rsc.remote_connection || rsc.fence_device) avoid_remote_nodes(s, rsc);
}

void group_constraints(Scheduler& s, Resource& group) {
    using namespace rel;
    s.order(group, "stop", group, "stopped", kUnrunnableFirstBlocks);
    s.order(group, "stopped", group, "start", kOrdered);
    s.order(group, "start", group, "running", kUnrunnableFirstBlocks);
    const bool ordered = group.group->ordered, colocated = group.group->colocated, promotable = group.top().promotable;
    Resource* previous = nullptr;
    Resource* last_active = nullptr;
    for (Resource* member : group.children) {
        internal_constraints_of(s, *member);
        Flags down = kThenImpliesFirstGraphed, post_down = kFirstImpliesThenGraphed;
        if (previous == nullptr) {
            if (ordered) {
                // The first member stops last, so the group is stopped when it is.
                down |= kOrdered;
                post_down = kFirstImpliesThen;
            }
        } else if (colocated) {
            add_colocation(s, "#group-members", {}, Score::kInfinity, member, previous, std::nullopt, std::nullopt,
                           member->critical, false);
        }
        constexpr Flags kUpDone = kUnrunnableFirstBlocks | kFirstImpliesThen | kFirstImpliesThenGraphed;
        constexpr Flags kUpAll = kFirstImpliesThen | kUnrunnableFirstBlocks | kThenImpliesFirstGraphed;
        if (promotable) {
            s.order(group, "demote", *member, "demote", down);
            s.order(*member, "demote", group, "demoted", post_down);
            s.order(*member, "promote", group, "promoted", kUpDone);
            s.order(group, "promote", *member, "promote", kThenImpliesFirstGraphed);
        }
        order_stops(s, group, *member, down);
        s.order(*member, "stop", group, "stopped", post_down);
        order_starts(s, group, *member, kThenImpliesFirstGraphed);
        s.order(*member, "start", group, "running", kUpDone);
        if (!ordered) {
            order_starts(s, group, *member, kUpAll);
            if (promotable) s.order(group, "promote", *member, "promote", kUpAll);
        } else if (previous == nullptr) {
            order_starts(s, group, *member, kNone);
            if (promotable) s.order(group, "promote", *member, "promote", kNone);
        } else {
            order_starts(s, *previous, *member, kFirstImpliesThen | kUnrunnableFirstBlocks);
            order_stops(s, *member, *previous, kOrdered | kIntermediateStop);
            if (!member->active_nodes.empty() && previous->active_nodes.empty()) {
                // Partly active: what comes later has to stop before what comes first starts.
                s.order(*member, "stop", *previous, "start", kThenImpliesFirst | kUnrunnableFirstBlocks);
            }
            if (promotable) {
                s.order(*previous, "promote", *member, "promote", kFirstImpliesThen | kUnrunnableFirstBlocks);
                s.order(*member, "demote", *previous, "demote", kOrdered);
            }
        }
        if (!member->active_nodes.empty()) {
            if (ordered && previous != nullptr && previous->active_nodes.empty() && last_active != nullptr &&
                !last_active->active_nodes.empty()) {
                order_stops(s, *member, *last_active, kOrdered);
            }
            last_active = member;
        }
        previous = member;
    }
}

void clone_constraints(Scheduler& s, Resource& clone) {
    using namespace rel;
    s.order(clone, "stopped", clone, "start", kOrdered);
    s.order(clone, "start", clone, "running", kUnrunnableFirstBlocks);
    s.order(clone, "stop", clone, "stopped", kUnrunnableFirstBlocks);
    if (clone.promotable) {
        s.order(clone, "demoted", clone, "stop", kOrdered);
        s.order(clone, "running", clone, "promote", kUnrunnableFirstBlocks);
    }
    const bool ordered = clone.clone->ordered;
    if (ordered) {
        merge_sort(clone.children, [](Resource* a, Resource* b) { return compare_instance_numbers(*a, *b); });
    }
    for (std::size_t i = 0; i < clone.children.size(); ++i) {
        Resource& instance = *clone.children[i];
        internal_constraints_of(s, instance);
        order_starts(s, clone, instance, kUnrunnableFirstBlocks | kThenImpliesFirstGraphed);
        s.order(instance, "start", clone, "running", kFirstImpliesThenGraphed);
        order_stops(s, clone, instance, kThenImpliesFirstGraphed);
        s.order(instance, "stop", clone, "stopped", kFirstImpliesThenGraphed);
        if (!ordered) continue;
        for (std::size_t j = i + 1; j < clone.children.size(); ++j) {
            order_starts(s, instance, *clone.children[j], kOrdered);
            order_stops(s, *clone.children[j], instance, kOrdered);
        }
    }
    if (clone.promotable) order_promotable_instances(s, clone);
}

}  // namespace

void internal_constraints_of(Scheduler& s, Resource& rsc) {
    switch (rsc.variant) {
        case model::Variant::kPrimitive: primitive_constraints(s, rsc); break;
        case model::Variant::kGroup: group_constraints(s, rsc); break;
        case model::Variant::kClone: clone_constraints(s, rsc); break;
        case model::Variant::kBundle: bundle_internal_constraints(s, rsc); break;
    }
}

void add_internal_constraints(Scheduler& s) {
    for (Resource* rsc : s.c.resources) internal_constraints_of(s, *rsc);
}

}  // namespace systole::scheduler
