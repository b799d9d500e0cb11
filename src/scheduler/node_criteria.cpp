// scheduler/node_criteria.cpp — what speaks for and against each node before resources look at each other: node health,
// shutdown locks, location constraints, stickiness, failures, exclusive discovery.
#include <fmt/format.h>

#include "base/text.h"
#include "model/failcount.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

void ban_unless_locked(Scheduler& s, Resource& rsc) {
    for (const Node* node : s.c.nodes) {
        if (node != rsc.lock_node) s.c.add_location(rsc, node, Score::minus_infinity());
    }
}

std::int64_t shutdown_time(const Cluster& c, const Node& node) {
    const auto time = parse_integer(node.attribute("shutdown").value_or(""));
    return time && *time != 0 ? *time : c.epoch();
}

/// A resource that a clean shutdown stops stays locked to its node until the limit.
void apply_shutdown_lock(Scheduler& s, Resource& rsc) {
    if (rsc.is_group()) {
        for (Resource* member : rsc.children) apply_shutdown_lock(s, *member);
        return;
    }
    if (!rsc.is_primitive() || rsc.fence_device || rsc.remote_connection) return;
    if (rsc.lock_node != nullptr) {
        if (!rsc.active_nodes.empty()) {  // it is back: the lock has done its work
            s.delete_history(rsc, *rsc.lock_node);
            rsc.lock_node = nullptr;
            rsc.lock_time = 0;
        }
    } else if (rsc.active_nodes.size() == 1) {
        Node* node = rsc.active_nodes.front();
        if (node->shutdown && !node->unclean) {
            rsc.lock_node = node;
            rsc.lock_time = shutdown_time(s.c, *node);
        }
    }
    if (rsc.lock_node == nullptr) return;
    const auto limit_s = s.c.options.shutdown_lock_limit.count() / 1000;
    if (limit_s > 0) s.c.recheck(rsc.lock_time + limit_s + 1);
    const Noting noting(s.c, rsc, Cause::kLock);
    ban_unless_locked(s, rsc);
}

void apply_one(Scheduler&, Resource& rsc, const Location& location, bool zero_scores) {
    if (location.role > Role::kUnknown && location.role != rsc.next_role) return;
    for (const auto& [node, score] : location.nodes) {
        const Score effective = zero_scores ? Score{} : score;
        NodeScore* entry = rsc.allowed.find(*node);
        if (entry == nullptr) {
            NodeScore initial;
            initial.discovery = node->discovery;
            entry = &rsc.allowed.at(*node, initial);
            entry->score = effective;
        } else {
            entry->score += effective;
        }
        if (entry->discovery < location.discovery) {
            if (location.discovery == Discovery::kExclusive) rsc.exclusive_discovery = true;
            entry->discovery = location.discovery;
        }
    }
}

void apply_to(Scheduler& s, Resource& rsc, const Location& location, bool zero_scores) {
    apply_one(s, rsc, location, zero_scores);
    switch (rsc.variant) {
        case model::Variant::kPrimitive: break;
        case model::Variant::kGroup:
            for (Resource* member : rsc.children) {
                // The first member's score speaks for a colocated group.
                const bool zero = zero_scores || (rsc.group->colocated && member != rsc.children.front());
                apply_to(s, *member, location, zero);
            }
            break;
        case model::Variant::kClone:
            for (Resource* child : rsc.children) apply_to(s, *child, location, zero_scores);
            break;
        case model::Variant::kBundle:
            for (const auto& replica : rsc.bundle->replicas) {
                if (replica.container != nullptr) apply_to(s, *replica.container, location, zero_scores);
                if (replica.ip != nullptr) apply_to(s, *replica.ip, location, zero_scores);
            }
            if (rsc.bundle->child != nullptr &&
                (location.role == Role::kUnpromoted || location.role == Role::kPromoted)) {
                // Roles are the business of the primitive inside.
                apply_to(s, *rsc.bundle->child, location, zero_scores);
            }
            break;
    }
}

void apply_stickiness(Scheduler& s, Resource& rsc) {
    if (!rsc.children.empty()) {
        for (Resource* child : rsc.children) apply_stickiness(s, *child);
        return;
    }
    if (!rsc.managed || rsc.stickiness < Score{1} || rsc.active_nodes.size() != 1) return;
    const Node* node = rsc.active_nodes.front();
    if (!s.c.options.symmetric && rsc.allowed.find(*node) == nullptr) return;
    const Noting noting(s.c, rsc, Cause::kStickiness);
    s.c.add_location(rsc, node, rsc.stickiness);
}

void check_failures(Scheduler& s, Resource& rsc, Node& node) {
    if (!rsc.children.empty()) {
        for (Resource* child : rsc.children) check_failures(s, *child, node);
        return;
    }
    if (rsc.migration_threshold == 0 || rsc.ignore_failure) return;
    const auto count = model::fail_count(s.c, node, rsc, model::FailCount::kEffective, nullptr, true);
    if (count.count <= 0 || count.count < rsc.migration_threshold) return;
    // Being cleared anyway, they don't count.
    if (!s.find_actions(rsc, "clear_failcount", Duration{0}, &node, true).empty()) return;
    Resource& banned = rsc.unique ? rsc : rsc.uber_parent();
    s.c.warning(
        fmt::format("{} cannot run on {} due to reaching migration threshold (clean up resource to allow again)",
                    banned.id, node.name));
    const Noting noting(s.c, banned, Cause::kThreshold);
    s.c.add_location(banned, &node, Score::minus_infinity());
}

void apply_exclusive_discovery(Scheduler& s, Resource& rsc) {
    if (!rsc.exclusive_discovery && !rsc.top().exclusive_discovery) return;
    for (Resource* child : rsc.children) apply_exclusive_discovery(s, *child);
    const Noting noting(s.c, rsc, Cause::kDiscovery);
    rsc.allowed.each([](std::uint32_t, NodeScore& entry) {
        if (entry.discovery != Discovery::kExclusive) entry.score = Score::minus_infinity();
    });
}

}  // namespace

void apply_node_health(Scheduler& s) {
    const auto& options = s.c.options;
    if (options.health_strategy == model::HealthStrategy::kNone) return;
    const Score base = options.health_strategy == model::HealthStrategy::kProgressive ? options.health_base : Score{};
    for (Node* node : s.c.nodes) {
        Score health = base;
        for (const auto& [name, value] : node->attributes) {
            if (name.starts_with("#health")) health += options.score(value).value_or(Score{});
        }
        if (health == Score{}) continue;
        for (Resource* rsc : s.c.resources) {
            if (health < Score{} && rsc->meta_true("allow-unhealthy-nodes")) continue;
            add_location(s, options.health_strategy_text, *rsc, std::nullopt)->nodes.emplace_back(node, health);
        }
    }
}

void apply_location(Scheduler& s, Resource& rsc, const Location& location) { apply_to(s, rsc, location, false); }

void apply_node_criteria(Scheduler& s) {
    if (s.c.options.shutdown_lock) {
        for (Resource* rsc : s.c.resources) apply_shutdown_lock(s, *rsc);
    }
    for (auto it = s.locations.rbegin(); it != s.locations.rend(); ++it) {
        const Noting noting(s.c, *it->rsc, Cause::kLocation, it->id);
        apply_location(s, *it->rsc, *it);
    }
    for (Resource* rsc : s.c.resources) apply_stickiness(s, *rsc);
    for (Node* node : s.c.nodes) {
        if (!model::has_fail_counts(s.c, *node)) continue;
        for (Resource* rsc : s.c.resources) check_failures(s, *rsc, *node);
    }
    for (Resource* rsc : s.c.resources) apply_exclusive_discovery(s, *rsc);
}

}  // namespace systole::scheduler
