// scheduler/instances.cpp — instances of clones and containers of bundles: which one goes where.
#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

bool did_fail(const Resource& rsc) {
    return rsc.failed || std::ranges::any_of(rsc.children, [](const Resource* child) { return did_fail(*child); });
}

long number_of(const Resource& instance) {
    const std::string& id = instance.id;
    auto mark = id.rfind(':');
    if (mark == std::string::npos) mark = id.rfind('-');
    long number = 0;
    if (mark != std::string::npos) std::from_chars(id.data() + mark + 1, id.data() + id.size(), number);
    return number;
}

/// What colocations of the instance say about the node that it is on.
Score colocated_score(Scheduler& s, const Resource& instance, Node& node) {
    std::optional<NodeTable> table(std::in_place);
    NodeScore start;
    start.score = node.score;
    table->at(node, start);
    for (const Colocation* colocation : this_with(s, instance)) {
        add_colocated_scores(s, *colocation->primary, &instance, table, colocation,
                             static_cast<float>(colocation->score) / Score::kInfinity, {});
    }
    for (const Colocation* colocation : with_this(s, instance)) {
        if (!has_influence(*colocation, &instance)) continue;
        add_colocated_scores(s, *colocation->dependent, &instance, table, colocation,
                             static_cast<float>(colocation->score) / Score::kInfinity, {.select_nonnegative = true});
    }
    const NodeScore* entry = table->find(node);
    return entry == nullptr ? Score::minus_infinity() : entry->score;
}

bool can_run(Scheduler& s, const Resource& instance, const Node& node, int max_per_node) {
    if (instance.removed || !s.available(&node)) return false;
    const NodeScore* entry = s.top_allowed(instance, node);
    return entry != nullptr && entry->score >= Score{0} && entry->count < max_per_node;
}

void ban_unavailable(Scheduler& s, Resource& instance, int max_per_node) {
    const Noting noting(s.c, instance, Cause::kInstances);
    for (const Node* node : s.c.nodes) {
        NodeScore* entry = instance.allowed.find(*node);
        if (entry == nullptr || can_run(s, instance, *node, max_per_node)) continue;
        entry->score = Score::minus_infinity();
        for (Resource* child : instance.children) {
            if (NodeScore* child_entry = child->allowed.find(*node)) child_entry->score = Score::minus_infinity();
        }
    }
}

void count_on_parent(Scheduler& s, const Resource& instance, const Node* node) {
    if (node == nullptr) return;
    if (NodeScore* entry = s.top_allowed(instance, *node)) ++entry->count;
}

Node* assign_instance(Scheduler& s, Resource& instance, Node* prefer, int max_per_node) {
    if (s.of(instance).assigning) return nullptr;
    ban_unavailable(s, instance, max_per_node);
    Node* chosen = assign(s, instance, prefer, prefer == nullptr);
    count_on_parent(s, instance, chosen);
    return chosen;
}

void save_tables(const Resource& rsc, std::vector<NodeTable>& saved) {
    saved.push_back(rsc.allowed);
    for (const Resource* child : rsc.children) save_tables(*child, saved);
}
void restore_tables(Resource& rsc, const std::vector<NodeTable>& saved, std::size_t& next) {
    rsc.allowed = saved[next++];
    for (Resource* child : rsc.children) restore_tables(*child, saved, next);
}

/// Where the instance is, if it may stay there without crowding others.
Node* preferred_node(Scheduler& s, const Resource& instance, int optimal_per_node) {
    if (instance.active_nodes.empty() || !s.of(instance).unassigned || instance.failed) return nullptr;
    Node* node = model::current_node(instance);
    NodeScore plain;
    plain.score = node->score;
    if (!s.available(node, true, &plain)) return nullptr;
    const NodeScore* entry = s.top_allowed(instance, *node);
    return entry != nullptr && entry->count >= optimal_per_node ? nullptr : node;
}

/// Tries to keep an instance where it is before others are placed. It may turn out that what it is colocated with
/// keeps it away: then that place is kept for a later instance and the next best is tried.
bool assign_early(Scheduler& s, Resource& instance, Node* current, int max_per_node, int available) {
    const NodeScore* entry = instance.allowed.find(*current);
    if (entry == nullptr || !s.available(current, true, entry)) return false;
    std::vector<NodeTable> saved;
    save_tables(instance, saved);
    Resource& parent = *instance.parent;
    const NodeTable parent_table = parent.allowed;
    Node* chosen = nullptr;
    for (int reserved = 0; reserved < available;) {
        chosen = assign_instance(s, instance, current, max_per_node);
        if (chosen == current) break;
        std::size_t next = 0;
        restore_tables(instance, saved, next);
        if (chosen == nullptr) {
            s.of(instance).unassigned = true;
            break;
        }
        ++reserved;
        unassign(s, instance);
        chosen = nullptr;
    }
    parent.allowed = parent_table;
    if (chosen == nullptr) return false;
    count_on_parent(s, instance, chosen);
    return true;
}

int compare_int(long a, long b) { return a < b ? -1 : a > b ? 1 : 0; }

}  // namespace

int compare_instance_numbers(const Resource& a, const Resource& b) { return compare_int(number_of(a), number_of(b)); }

int compare_instances(Scheduler& s, const Resource& a, const Resource& b) {
    const auto active_a = model::active_nodes_of(a), active_b = model::active_nodes_of(b);
    Node* node_a = active_a.current;
    Node* node_b = active_b.current;
    if (active_a.all > 0 && active_b.all > 0 && active_a.all != active_b.all)
        return active_a.all < active_b.all ? -1 : 1;
    const auto check = [](const Resource& instance, Node*& node) {
        if (node == nullptr) return true;
        const NodeScore* entry = instance.allowed.find(*node);
        if (entry != nullptr && entry->score >= Score{0}) return true;
        node = nullptr;
        return false;
    };
    const bool ok_a = check(a, node_a), ok_b = check(b, node_b);
    if (ok_a != ok_b) return ok_a ? -1 : 1;
    if (a.priority != b.priority) return a.priority > b.priority ? -1 : 1;
    const auto by_presence = [](const void* x, const void* y) { return x == nullptr ? (y == nullptr ? 0 : 1) : -1; };
    if (node_a == nullptr || node_b == nullptr) return by_presence(node_a, node_b);
    const bool up_a = s.available(node_a), up_b = s.available(node_b);
    if (up_a != up_b) return up_a ? -1 : 1;
    const NodeScore* entry_a = s.top_allowed(a, *node_a);
    const NodeScore* entry_b = s.top_allowed(b, *node_b);
    if (entry_a == nullptr || entry_b == nullptr) return by_presence(entry_a, entry_b);
    if (entry_a->count != entry_b->count) return entry_a->count < entry_b->count ? -1 : 1;
    const bool failed_a = did_fail(a), failed_b = did_fail(b);
    if (failed_a != failed_b) return failed_a ? 1 : -1;
    Node* here_a = model::current_node(a);
    Node* here_b = model::current_node(b);
    const Score score_a = colocated_score(s, a, *here_a), score_b = colocated_score(s, b, *here_b);
    if (score_a != score_b) return score_a > score_b ? -1 : 1;
    return compare_instance_numbers(a, b);
}

void assign_instances(Scheduler& s, Resource& collective, const std::vector<Resource*>& instances, int max_total,
                      int max_per_node) {
    int available_nodes = 0;
    for (const Node* node : s.c.nodes) {
        NodeScore* entry = collective.allowed.find(*node);
        if (entry == nullptr) continue;
        entry->count = 0;
        if (s.available(node)) ++available_nodes;
    }
    const int optimal = std::max(1, available_nodes > 0 ? max_total / available_nodes : 0);
    int assigned = 0;
    for (Resource* instance : instances) {
        if (assigned >= max_total) break;
        if (!s.of(*instance).unassigned) continue;
        Node* current = preferred_node(s, *instance, optimal);
        if (current != nullptr && assign_early(s, *instance, current, max_per_node, max_total - assigned)) ++assigned;
    }
    for (Resource* instance : instances) {
        if (!s.of(*instance).unassigned) continue;
        if (assigned >= max_total) {
            const Noting noting(s.c, *instance, Cause::kInstances);
            s.c.add_location(*instance, nullptr, Score::minus_infinity());
            instance->assigned_node = nullptr;
        } else if (assign_instance(s, *instance, nullptr, max_per_node) != nullptr) {
            ++assigned;
        }
    }
}

std::vector<Resource*> instances_of(const Resource& collective) {
    if (!collective.is_bundle()) return collective.children;
    std::vector<Resource*> containers;
    for (const auto& replica : collective.bundle->replicas) containers.push_back(replica.container);
    return containers;
}

bool is_blocked_anywhere(const Resource& rsc) {
    return rsc.blocked ||
           std::ranges::any_of(rsc.children, [](const Resource* child) { return is_blocked_anywhere(*child); });
}

bool instance_matches(Scheduler& s, const Resource& instance, const Node* node, Role role, bool current) {
    const Node* place = s.location_of(instance, current ? Scheduler::Where::kCurrent : Scheduler::Where::kAssigned);
    return place != nullptr && place == node && (role == Role::kUnknown || role == instance.state(current)) &&
           !is_blocked_anywhere(instance);
}

Resource* compatible_instance(Scheduler& s, const Resource& match, const Resource& collective, Role role,
                              bool current) {
    const auto where = current ? Scheduler::Where::kCurrent : Scheduler::Where::kAssigned;
    const std::vector<Resource*> instances = instances_of(collective);
    const auto on = [&](const Node* node) -> Resource* {
        for (Resource* instance : instances) {
            if (instance_matches(s, *instance, node, role, current)) return instance;
        }
        return nullptr;
    };
    if (const Node* node = s.location_of(match, where)) return on(node);
    if (s.c.options.placement == model::Placement::kBalanced) {
        for (const Node* candidate : s.sorted_nodes(match.allowed, nullptr)) {
            if (Resource* instance = on(candidate)) return instance;
        }
        return nullptr;
    }
    // The best node with an instance, without looking at the others.
    Resource* best = nullptr;
    const Node* best_node = nullptr;
    for (Resource* instance : instances) {
        const Node* node = s.location_of(*instance, where);
        if (node == nullptr || node == best_node || match.allowed.find(*node) == nullptr) continue;
        if (best != nullptr && !s.node_before(&match.allowed, *node, *best_node, nullptr)) continue;
        if (!instance_matches(s, *instance, node, role, current)) continue;
        best = instance;
        best_node = node;
    }
    return best;
}

CompatibleInstances::CompatibleInstances(Scheduler& s, const Resource& collective, bool current)
    : s_(s), collective_(collective), current_(current), on_node_(s.c.node_store.size()) {
    const auto where = current ? Scheduler::Where::kCurrent : Scheduler::Where::kAssigned;
    for (Resource* instance : instances_of(collective)) {
        const Node* node = s.location_of(*instance, where);
        if (node != nullptr && on_node_[node->index] == nullptr && !is_blocked_anywhere(*instance)) {
            on_node_[node->index] = instance;
        }
    }
}

Resource* CompatibleInstances::find(const Resource& match) const {
    const auto where = current_ ? Scheduler::Where::kCurrent : Scheduler::Where::kAssigned;
    if (const Node* node = s_.location_of(match, where)) {
        Resource* known = on_node_[node->index];
        if (known == nullptr) return nullptr;
        if (instance_matches(s_, *known, node, Role::kUnknown, current_)) return known;
    }
    // Unassigned, or what was there has been taken away meanwhile.
    return compatible_instance(s_, match, collective_, Role::kUnknown, current_);
}

}  // namespace systole::scheduler
