// scheduler/assign.cpp — gives each resource its node.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

bool is_mandatory(const Colocation& colocation) { return std::abs(colocation.score) >= Score::kInfinity; }

/// What a colocation with `other` says about where `rsc` may be; optional ones never leave it without a node.
void apply_this_with(Scheduler& s, const Colocation& colocation, Resource& rsc) {
    Resource& other = *colocation.primary;
    std::optional<NodeTable> archive;
    if (colocation.dependent_role >= Role::kPromoted ||
        (colocation.score < 0 && colocation.score > -Score::kInfinity)) {
        archive = rsc.allowed;
    }
    if (s.of(other).unassigned) assign(s, other, nullptr, true);
    const Noting noting(s.c, rsc, Cause::kColocation, colocation.id, other.id);
    apply_colocation(s, rsc, other, colocation, true);
    if (archive && !s.any_available(rsc.allowed)) rsc.allowed = std::move(*archive);
}

/// With several equally good nodes, stay where it is.
Node* prefer_current(Scheduler& s, Resource& rsc, const std::vector<Node*>& nodes, Node* chosen) {
    if (rsc.parent != nullptr && rsc.parent->is_clone() && rsc.parent->unique) return chosen;
    const Score best = rsc.allowed.find(*chosen)->score;
    if (best <= Score{0} || !s.available(chosen)) return chosen;
    Node* running = model::current_node(rsc);
    if (running == nullptr || !s.available(running, true, rsc.allowed.find(*running))) return chosen;
    for (std::size_t i = 1; i < nodes.size() && rsc.allowed.find(*nodes[i])->score == best; ++i) {
        if (nodes[i] == running) chosen = running;
    }
    return chosen;
}

bool assign_best(Scheduler& s, Resource& rsc, Node* prefer, bool stop_if_fail) {
    Node* most_free = nullptr;
    {
        const Noting noting(s.c, rsc, Cause::kCapacity);
        most_free = ban_insufficient_capacity(s, rsc);
    }
    if (prefer == nullptr) prefer = most_free;
    if (!s.of(rsc).unassigned) return rsc.assigned_node != nullptr;
    const std::vector<Node*> nodes = s.sorted_nodes(rsc.allowed, model::current_node(rsc));
    Node* chosen = nullptr;
    if (prefer != nullptr && !nodes.empty()) {
        const NodeScore* entry = rsc.allowed.find(*prefer);
        if (entry != nullptr && entry->score >= rsc.allowed.find(*nodes.front())->score &&
            s.available(prefer, true, entry)) {
            chosen = prefer;
        }
    }
    if (chosen == nullptr && !nodes.empty()) chosen = prefer_current(s, rsc, nodes, nodes.front());
    assign_to(s, rsc, chosen, chosen == nullptr ? nullptr : rsc.allowed.find(*chosen), false, stop_if_fail);
    return rsc.assigned_node != nullptr;
}

void note_remote_connection(Scheduler& s, const Resource& connection) {
    Node* node = s.c.find_node(connection.id);
    if (node == nullptr) return;
    if (connection.assigned_node != nullptr && connection.next_role != Role::kStopped) {
        node->online = true;
        if (!node->seen) node->unclean = false;
    } else {
        node->shutdown = true;
    }
}

Node* assign_primitive(Scheduler& s, Resource& rsc, Node* prefer, bool stop_if_fail) {
    if (rsc.parent != nullptr && !s.of(*rsc.parent).assigning) assign(s, *rsc.parent, prefer, stop_if_fail);
    if (!s.of(rsc).unassigned) return rsc.assigned_node;
    if (s.of(rsc).assigning) return nullptr;  // a circle of colocations
    s.of(rsc).assigning = true;

    const auto mine = this_with(s, rsc), others = with_this(s, rsc);
    for (const bool mandatory : {true, false}) {
        for (const Colocation* colocation : mine) {
            if (is_mandatory(*colocation) == mandatory) apply_this_with(s, *colocation, rsc);
        }
        for (const Colocation* colocation : others) {
            if (is_mandatory(*colocation) != mandatory) continue;
            const Noting noting(s.c, rsc, Cause::kInfluence, colocation->id, colocation->dependent->id);
            add_dependent_scores(s, *colocation, rsc);
        }
    }
    if (rsc.next_role == Role::kStopped) {
        const Noting noting(s.c, rsc, Cause::kRole);
        s.c.add_location(rsc, nullptr, Score::minus_infinity());
        if (rsc.assigned_node != nullptr) rsc.assigned_node = nullptr;
    } else if (rsc.next_role > rsc.role && !s.c.quorate && s.c.options.no_quorum == model::NoQuorum::kFreeze) {
        rsc.next_role = rsc.role;
    }
    s.show_scores(rsc, "pcmk__primitive_assign");
    if (s.c.options.fencing_enabled && !s.c.have_fencing) rsc.managed = false;
    if (!rsc.managed) {
        rsc.next_role = rsc.role;
        assign_to(s, rsc, model::current_node(rsc), nullptr, true, stop_if_fail);
    } else if (s.c.options.stop_all_resources) {
        assign_to(s, rsc, nullptr, nullptr, true, stop_if_fail);
    } else {
        assign_best(s, rsc, prefer, stop_if_fail);
    }
    s.of(rsc).assigning = false;
    if (rsc.remote_connection) note_remote_connection(s, rsc);
    return rsc.assigned_node;
}

Node* assign_group(Scheduler& s, Resource& group, Node* prefer, bool stop_if_fail) {
    Work& work = s.of(group);
    if (!work.unassigned) return group.assigned_node;
    if (work.assigning) return nullptr;
    if (group.children.empty()) {
        work.unassigned = false;
        return nullptr;
    }
    work.assigning = true;
    group.role = group.children.front()->role;
    s.show_scores(group, "pcmk__group_assign");
    Node* first = nullptr;
    for (Resource* member : group.children) {
        Node* node = assign(s, *member, prefer, stop_if_fail);
        if (first == nullptr) first = node;
    }
    group.next_role = group.children.front()->next_role;
    Work& done = s.of(group);
    done.assigning = done.unassigned = false;
    return group.group->colocated ? first : nullptr;
}

Node* assign_clone(Scheduler& s, Resource& clone, Node* prefer, bool stop_if_fail) {
    if (!s.of(clone).unassigned || s.of(clone).assigning) return nullptr;
    s.of(clone).assigning = true;
    if (clone.promotable) add_promotion_scores(s, clone);
    // What this goes with has to have its place first.
    for (const Colocation* colocation : this_with(s, clone)) assign(s, *colocation->primary, prefer, stop_if_fail);
    for (const Colocation* colocation : with_this(s, clone)) {
        const Noting noting(s.c, clone, Cause::kInfluence, colocation->id, colocation->dependent->id);
        add_dependent_scores(s, *colocation, clone);
    }
    s.show_scores(clone, "pcmk__clone_assign");
    merge_sort(clone.children, [&](const Resource* a, const Resource* b) { return compare_instances(s, *a, *b); });
    assign_instances(s, clone, clone.children, clone.clone->max, clone.clone->node_max);
    if (clone.promotable) set_instance_roles(s, clone);
    s.of(clone).assigning = s.of(clone).unassigned = false;
    return nullptr;
}

/// Two resources in the order in which they get their nodes where capacity matters.
int compare_for_placement(Scheduler& s, Resource& a, Resource& b, const std::vector<Node*>& nodes) {
    if (a.priority != b.priority) return a.priority > b.priority ? -1 : 1;
    if (nodes.empty()) return 0;
    std::optional<NodeTable> table_a, table_b;
    add_colocated_scores(s, a, nullptr, table_a, nullptr, 1, {.select_this_with = true});
    add_colocated_scores(s, b, nullptr, table_b, nullptr, 1, {.select_this_with = true});
    const auto score = [](const std::optional<NodeTable>& table, const Node* node) {
        const NodeScore* entry = node == nullptr || !table ? nullptr : table->find(*node);
        return entry == nullptr ? Score::minus_infinity() : entry->score;
    };
    const auto compare = [&](const Node* node_a, const Node* node_b) {
        const Score score_a = score(table_a, node_a), score_b = score(table_b, node_b);
        return score_a > score_b ? -1 : score_a < score_b ? 1 : 0;
    };
    if (const int result = compare(model::current_node(a), model::current_node(b)); result != 0) return result;
    for (const Node* node : nodes) {
        if (const int result = compare(node, node); result != 0) return result;
    }
    return 0;
}

void sort_resources(Scheduler& s) {
    std::vector<Node*> nodes = s.c.nodes;
    std::ranges::stable_sort(nodes,
                             [&](const Node* a, const Node* b) { return s.node_before(nullptr, *a, *b, nullptr); });
    merge_sort(s.c.resources, [&](Resource* a, Resource* b) { return compare_for_placement(s, *a, *b, nodes); });
}

void note_failed_start(Scheduler& s, Resource& rsc) {
    rsc.next_role = Role::kStopped;
    for (Action* a : s.of(rsc).actions) {
        if (a->task == "stop") {
            a->clear(act::kOptional);
        } else if (a->task == "start") {
            a->clear(act::kRunnable);
        } else if (a->meta.contains("interval") && a->meta_value("interval") != "0" &&
                   a->meta_value("op_target_rc") != "7") {
            a->clear(act::kRunnable);  // monitors of the stopped role go on
        }
    }
}

}  // namespace

bool assign_to(Scheduler& s, Resource& rsc, Node* node, const NodeScore* entry, bool force, bool stop_if_fail) {
    if (!rsc.children.empty()) {
        bool changed = false;
        for (Resource* child : rsc.children) changed |= assign_to(s, *child, node, entry, force, stop_if_fail);
        return changed;
    }
    if (!force && node != nullptr &&
        ((entry != nullptr && entry->score < Score{0}) || (!s.available(node, true, entry) && !node->is_guest()))) {
        if (stop_if_fail) rsc.next_role = Role::kStopped;
        node = nullptr;
    }
    const bool changed = rsc.assigned_node != node;
    unassign(s, rsc);
    s.of(rsc).unassigned = false;
    if (node == nullptr) {
        if (stop_if_fail) note_failed_start(s, rsc);
        return changed;
    }
    rsc.assigned_node = node;
    s.of(rsc).assigned_score = entry == nullptr ? node->score : entry->score;
    ++s.resources_on_node[node->index];
    s.assigned_to[node->index].push_back(&rsc);
    consume_capacity(*node, rsc);
    if (s.in.want_utilization) {
        std::string line = fmt::format("pcmk__assign_resource: {} utilization on {}:", rsc.id, node->name);
        std::vector<std::pair<std::string, std::string>> values{
            {"resource", rsc.id}, {"node", node->name}, {"function", "pcmk__assign_resource"}};
        for (const auto& [name, value] : rsc.utilization) {
            line += fmt::format(" {}={}", name, value);
            values.emplace_back(name, std::to_string(value));
        }
        s.plan.scores.push_back({std::move(line), "utilization", std::move(values)});
    }
    return changed;
}

void unassign(Scheduler& s, Resource& rsc) {
    s.of(rsc).unassigned = true;
    if (!rsc.children.empty()) {
        for (Resource* child : rsc.children) unassign(s, *child);
        return;
    }
    Node* old = rsc.assigned_node;
    if (old == nullptr) return;
    rsc.assigned_node = nullptr;
    std::erase(s.assigned_to[old->index], &rsc);
    --s.resources_on_node[old->index];
    release_capacity(*old, rsc);
}

Node* assign(Scheduler& s, Resource& rsc, Node* prefer, bool stop_if_fail) {
    switch (rsc.variant) {
        case model::Variant::kPrimitive: return assign_primitive(s, rsc, prefer, stop_if_fail);
        case model::Variant::kGroup: return assign_group(s, rsc, prefer, stop_if_fail);
        case model::Variant::kClone: return assign_clone(s, rsc, prefer, stop_if_fail);
        case model::Variant::kBundle: return assign_bundle(s, rsc, prefer, stop_if_fail);
    }
    return nullptr;
}

void assign_resources(Scheduler& s) {
    if (s.c.options.placement != model::Placement::kDefault) sort_resources(s);
    show_capacities(s, "Original");
    // Connections first: what runs on remote nodes has to know whether they will be there.
    if (s.c.have_remote_nodes) {
        for (Resource* rsc : s.c.resources) {
            if (rsc->remote_connection) assign(s, *rsc, rsc->partial_migration_target, true);
        }
    }
    for (Resource* rsc : s.c.resources) {
        if (!rsc->remote_connection) assign(s, *rsc, nullptr, true);
    }
    show_capacities(s, "Remaining");
}

}  // namespace systole::scheduler
