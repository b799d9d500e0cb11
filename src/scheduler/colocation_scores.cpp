// scheduler/colocation_scores.cpp — how the preferences of colocated resources add up, and what a placed one leaves to
// those that go with it.
#include <algorithm>

#include "base/text.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {

int compare_dependents(const Colocation& a, const Colocation& b);  // colocation_constraints.cpp
int compare_primaries(const Colocation& a, const Colocation& b);

namespace {

using List = std::vector<Colocation*>;
using Compare = int (*)(const Colocation&, const Colocation&);

void insert(List& list, Colocation* colocation, Compare compare) {
    const auto place =
        std::ranges::find_if(list, [&](const Colocation* other) { return compare(*colocation, *other) <= 0; });
    list.insert(place, colocation);
}

void insert_all(List& list, const List& addition, Compare compare) {
    if (list.empty()) {
        list = addition;
        return;
    }
    // Seen in Pacemaker 3.0.2, and with effect: to a list that isn't empty it adds the first one, as often as there are
    // some. A container with an address of its own knows only one of its bundle's colocations for that reason.
    for (std::size_t i = 0; i < addition.size(); ++i) insert(list, addition.front(), compare);
}

struct Direction {
    List Work::* own;
    Compare compare;
    bool with_this;
};
constexpr Direction kWithThis{&Work::with_this, &compare_dependents, true};
constexpr Direction kThisWith{&Work::this_with, &compare_primaries, false};

void collect(Scheduler& s, const Resource& rsc, const Resource& origin, const Direction& d, List& list);

void collect_primitive(Scheduler& s, const Resource& rsc, const Resource& origin, const Direction& d, List& list) {
    const List& own = s.of(rsc).*d.own;
    if (&rsc == &origin) {
        insert_all(list, own, d.compare);
        if (rsc.parent != nullptr) collect(s, *rsc.parent, origin, d, list);
        return;
    }
    // Another member of the group asks: only what an administrator said counts.
    for (Colocation* colocation : own) {
        if (colocation->from_config) insert(list, colocation, d.compare);
    }
}

void collect_group(Scheduler& s, const Resource& group, const Resource& origin, const Direction& d, List& list) {
    if (group.children.empty()) return;
    const List& own = s.of(group).*d.own;
    // Others follow the last member, and the group follows others with its first.
    const Resource* end = d.with_this ? group.children.back() : group.children.front();
    if (&group == &origin || &origin == end) {
        insert_all(list, own, d.compare);
        if (group.parent != nullptr) collect(s, *group.parent, origin, d, list);
        if (!group.group->colocated) return;
        for (const Resource* member : group.children) {
            if (member != &origin) collect(s, *member, origin, d, list);
        }
        return;
    }
    if (d.with_this) return;
    // An unmanaged member breaks the chain that starts at the first one.
    for (const Resource* member : group.children) {
        if (member == &origin) break;
        if (member->managed) continue;
        for (Colocation* colocation : own) {
            if (colocation->score == Score::kInfinity) insert(list, colocation, d.compare);
        }
        break;
    }
}

void collect_bundle(Scheduler& s, const Resource& bundle, const Resource& origin, const Direction& d, List& list) {
    const List& own = s.of(bundle).*d.own;
    if (&origin == &bundle || origin.replica_container) {
        insert_all(list, own, d.compare);
        return;
    }
    // The primitive inside is wherever its container is, but roles are its own.
    const Resource* inner = bundle.bundle->child;
    if (inner == nullptr || !inner->promotable || &origin.top() != inner) return;
    const bool applies = &origin == inner ? s.of(origin).promotion_constrained : !s.of(origin).unassigned;
    if (applies) insert_all(list, own, d.compare);
}

void collect(Scheduler& s, const Resource& rsc, const Resource& origin, const Direction& d, List& list) {
    switch (rsc.variant) {
        case model::Variant::kPrimitive: return collect_primitive(s, rsc, origin, d, list);
        case model::Variant::kGroup: return collect_group(s, rsc, origin, d, list);
        case model::Variant::kClone:
            insert_all(list, s.of(rsc).*d.own, d.compare);
            if (rsc.parent != nullptr) collect(s, *rsc.parent, origin, d, list);
            return;
        case model::Variant::kBundle: return collect_bundle(s, rsc, origin, d, list);
    }
}

/// The best score that the resource has on any node with that value of the attribute.
Score best_score_matching(Scheduler& s, Resource& rsc, std::string_view attribute,
                          std::optional<std::string_view> value, const NodeTable& allowed) {
    Score best = Score::minus_infinity();
    const auto consider = [&](const Node& node, const NodeScore& entry) {
        if (entry.score <= best || !s.available(&node)) return;
        const auto other = colocation_attribute(&node, attribute, &rsc);
        if (value && other ? same_ignoring_case(*value, *other) : value.has_value() == other.has_value()) {
            best = entry.score;
        }
    };
    // Names are unique, unless guests answer with their host's name or (not seen yet) with none.
    if (attribute == "#uname" && value && !rsc.is_bundled() && !rsc.meta_value("container-attribute-target")) {
        const Node* node = s.c.find_node(*value);
        const NodeScore* entry = node == nullptr ? nullptr : allowed.find(*node);
        if (entry != nullptr) consider(*node, *entry);
        return best;
    }
    allowed.each([&](std::uint32_t index, const NodeScore& entry) { consider(s.c.node_store[index], entry); });
    return best;
}

/// A member that an administrator colocated with something has its group's location preferences too.
NodeTable table_of_member(Scheduler& s, const Colocation* colocation, Resource& rsc) {
    NodeTable table = rsc.allowed;
    if (colocation == nullptr || &rsc != colocation->dependent || !colocation->from_config || rsc.parent == nullptr ||
        !rsc.parent->is_group() || &rsc == rsc.parent->children.front()) {
        return table;
    }
    std::swap(table, rsc.allowed);
    rsc.allowed = table;
    for (auto it = s.locations.rbegin(); it != s.locations.rend(); ++it) {
        if (it->rsc == rsc.parent) apply_location(s, rsc, *it);
    }
    std::swap(table, rsc.allowed);
    return table;
}

bool allowed_on_one(const Resource& rsc) {
    int count = 0;
    rsc.allowed.each([&](std::uint32_t, const NodeScore& entry) {
        if (entry.score >= Score{0}) ++count;
    });
    return count == 1;
}

void add_matching_scores(Scheduler& s, NodeTable& nodes, Resource& source, const Resource* target,
                         const Colocation& colocation, float factor, bool only_positive) {
    const NodeTable source_table = table_of_member(s, &colocation, source);
    nodes.each([&](std::uint32_t index, NodeScore& each) {
        const Node* node = &s.c.node_store[index];
        NodeScore* entry = &each;
        const auto value = colocation_attribute(node, colocation.attribute, target);
        const Score score = best_score_matching(s, source, colocation.attribute, value, source_table);
        if (factor < 0 && score < Score{0}) {
            // "Apart from something that can't be here" is no reason to come, unless that has one place only.
            if (colocation.primary->stickiness >= -score || !has_influence(colocation, nullptr) ||
                !allowed_on_one(*colocation.dependent)) {
                return;
            }
        }
        if (entry->held) return;
        const float exact = factor * static_cast<float>(score.value());
        int delta = static_cast<int>(exact < 0 ? static_cast<double>(exact) - 0.5 : static_cast<double>(exact) + 0.5);
        if (delta == 0 && score != Score{0}) delta = factor > 0.0F ? 1 : factor < 0.0F ? -1 : 0;
        const Score sum = Score{delta} + entry->score;
        if (only_positive && sum < Score{0} && entry->score > Score{0}) {
            entry->held = true;  // stays possible, as the least good one
            entry->score = Score::minus_infinity();
            return;
        }
        if (only_positive && sum < Score{0} && entry->score == Score{0}) return;
        entry->score = sum;
    });
}

int apply_to_scores(Scheduler& s, Resource& dependent, const Resource& primary, const Colocation& colocation) {
    std::optional<std::string_view> value;
    const Node* place = primary.assigned_node;
    if (place != nullptr) {
        value = colocation_attribute(place, colocation.attribute, &primary);
    } else if (colocation.score < 0) {
        return 0;  // nothing to keep away from
    }
    NodeTable table = dependent.allowed;
    table.each([&](std::uint32_t index, NodeScore& entry) {
        if (place == nullptr) {
            entry.score += Score{-colocation.score};
            return;
        }
        const auto other = colocation_attribute(&s.c.node_store[index], colocation.attribute, &dependent);
        const bool same = value && other ? same_ignoring_case(*value, *other) : value.has_value() == other.has_value();
        if (same) {
            if (colocation.score < Score::kInfinity) entry.score += Score{colocation.score};
        } else if (colocation.score >= Score::kInfinity) {
            entry.score = Score::minus_infinity();
        }
    });
    if (std::abs(colocation.score) >= Score::kInfinity || s.any_available(table)) dependent.allowed = std::move(table);
    return 0;
}

int apply_to_priority(Resource& dependent, const Resource& primary, const Colocation& colocation) {
    if (dependent.assigned_node == nullptr) return 0;
    if (primary.assigned_node != nullptr && colocation.primary_role != Role::kUnknown &&
        colocation.primary_role != role_resource(primary).next_role) {
        return 0;
    }
    const auto mine = colocation_attribute(dependent.assigned_node, colocation.attribute, &dependent);
    const auto other = colocation_attribute(primary.assigned_node, colocation.attribute, &primary);
    const bool same = mine && other ? same_ignoring_case(*mine, *other) : mine.has_value() == other.has_value();
    int multiplier = 1;
    if (!same) {
        if (colocation.score != Score::kInfinity || colocation.dependent_role != Role::kPromoted) return 0;
        multiplier = -1;
    } else if (colocation.dependent_role == Role::kUnpromoted) {
        multiplier = -1;
    }
    const int delta = multiplier * colocation.score;
    dependent.priority = (Score{delta} + Score{dependent.priority}).value();
    return delta;
}

int apply_primitive(Scheduler& s, Resource& dependent, const Resource& primary, const Colocation& colocation,
                    bool for_dependent) {
    if (for_dependent) return apply_colocation(s, dependent, primary, colocation, false);
    switch (colocation_affects(s, dependent, primary, colocation, false)) {
        case Affects::kRole: return apply_to_priority(dependent, primary, colocation);
        case Affects::kLocation: return apply_to_scores(s, dependent, primary, colocation);
        case Affects::kNothing: break;
    }
    return 0;
}

int sum(int a, int b) { return (Score{a} + Score{b}).value(); }

int apply_group_dependent(Scheduler& s, Resource& group, const Resource& primary, const Colocation& colocation) {
    if (group.children.empty()) return 0;
    int delta = 0;
    if (group.group->colocated) {
        delta = apply_colocation(s, *group.children.front(), primary, colocation, true);
    } else if (colocation.score >= Score::kInfinity) {
        s.c.config_error(group.id + ": Cannot perform mandatory colocation between non-colocated group and " +
                         primary.id);
        return 0;
    } else {
        for (Resource* member : group.children) {
            delta = sum(delta, apply_colocation(s, *member, primary, colocation, false));
        }
    }
    if (delta != 0) group.priority = sum(delta, group.priority);
    return delta;
}

int apply_group_primary(Scheduler& s, Resource& dependent, const Resource& group, const Colocation& colocation) {
    if (s.of(group).unassigned || group.children.empty()) return 0;
    if (group.group->colocated) {
        // Only a whole group will do for "must be together".
        const Resource& member =
            colocation.score >= Score::kInfinity ? *group.children.back() : *group.children.front();
        return apply_colocation(s, dependent, member, colocation, false);
    }
    if (colocation.score >= Score::kInfinity) {
        s.c.config_error(dependent.id + ": Cannot perform mandatory colocation with non-colocated group " + group.id);
        return 0;
    }
    int delta = 0;
    for (const Resource* member : group.children) {
        delta = sum(delta, apply_colocation(s, dependent, *member, colocation, false));
    }
    return delta;
}

bool can_interleave(Scheduler& s, const Colocation& colocation) {
    const Resource& dependent = *colocation.dependent;
    const Resource& primary = *colocation.primary;
    if ((!dependent.is_clone() && !dependent.is_bundle()) || !dependent.meta_true("interleave")) return false;
    if (dependent.max_per_node() == primary.max_per_node()) return true;
    s.c.config_error("Cannot interleave " + dependent.id + " and " + primary.id +
                     " because they do not support the same number of instances per node");
    return false;
}

int apply_clone_primary(Scheduler& s, Resource& dependent, const Resource& clone, const Colocation& colocation) {
    if (s.of(clone).unassigned) return 0;
    if (clone.promotable && colocation.primary_role != Role::kUnknown) {
        if (s.of(dependent).unassigned) {
            update_dependent_with_promotable(s, clone, dependent, colocation);
            return 0;
        }
        if (colocation.dependent_role == Role::kPromoted) {
            return update_promotable_dependent_priority(s, clone, dependent, colocation);
        }
    }
    if (can_interleave(s, colocation)) {
        const Resource* instance = compatible_instance(s, dependent, clone, Role::kUnknown, false);
        if (instance != nullptr) return apply_colocation(s, dependent, *instance, colocation, true);
        if (colocation.score >= Score::kInfinity) assign_to(s, dependent, nullptr, nullptr, true, true);
        return 0;
    }
    if (colocation.score >= Score::kInfinity) {
        std::vector<std::pair<Node*, Score>> nodes;
        for (const Resource* instance : clone.children) {
            Node* node = s.location_of(*instance, Scheduler::Where::kAssigned);
            if (node != nullptr && !is_blocked_anywhere(*instance)) {
                nodes.emplace_back(node, s.of(*instance).assigned_score);
            }
        }
        intersect_nodes(s, dependent, nodes, false);
        return 0;
    }
    int delta = 0;
    for (const Resource* instance : clone.children) {
        delta = sum(delta, apply_colocation(s, dependent, *instance, colocation, false));
    }
    return delta;
}

}  // namespace

std::vector<Colocation*> this_with(Scheduler& s, const Resource& rsc) {
    List list;
    collect(s, rsc, rsc, kThisWith, list);
    return list;
}

std::vector<Colocation*> with_this(Scheduler& s, const Resource& rsc) {
    List list;
    collect(s, rsc, rsc, kWithThis, list);
    return list;
}

bool has_influence(const Colocation& colocation, const Resource* rsc) {
    if (rsc == nullptr) rsc = colocation.primary;
    // A bundle's connection must not pull its container around once that is up.
    if (colocation.dependent->remote_nesting_allowed && !rsc->failed && rsc->active_nodes.size() == 1) return false;
    return colocation.influence || rsc->active_nodes.empty();
}

std::optional<std::string_view> colocation_attribute(const Node* node, std::string_view attribute,
                                                     const Resource* rsc) {
    if (node == nullptr) return std::nullopt;
    if (rsc == nullptr) return node->attribute(attribute);
    std::string_view target;
    const bool bundle_node = node->is_guest() && node->remote->launcher->is_bundled();
    if (bundle_node && rsc->is_bundled() && &rsc->top() == rsc->top(true).bundle->child) {
        target = "host";
    } else {
        target = rsc->meta_value("container-attribute-target").value_or("");
    }
    return model::attribute_of(*node, attribute, target, model::Host::kAssigned);
}

const Resource* contained(const Resource& container) {
    const Resource& top = container.top(true);
    if (!top.is_bundle()) return nullptr;
    for (const auto& replica : top.bundle->replicas) {
        if (replica.container == &container) return replica.child;
    }
    return nullptr;
}

const Resource& role_resource(const Resource& rsc) {
    if (rsc.replica_container) {
        if (const Resource* child = contained(rsc)) return *child;
    }
    return rsc;
}

Affects colocation_affects(Scheduler& s, const Resource& dependent, const Resource& primary,
                           const Colocation& colocation, bool preview) {
    if (!preview && s.of(primary).unassigned) return Affects::kNothing;
    const Resource& dependent_role = role_resource(dependent);
    const Resource& primary_role = role_resource(primary);
    if (colocation.dependent_role >= Role::kUnpromoted && dependent_role.parent != nullptr &&
        dependent_role.parent->promotable && !s.of(dependent_role).unassigned) {
        return Affects::kRole;  // it has its place; now the question is whether it is promoted
    }
    if (!preview && !s.of(dependent).unassigned) return Affects::kNothing;
    if (colocation.dependent_role != Role::kUnknown && colocation.dependent_role != dependent_role.next_role) {
        return Affects::kNothing;
    }
    if (colocation.primary_role != Role::kUnknown && colocation.primary_role != primary_role.next_role) {
        return Affects::kNothing;
    }
    return Affects::kLocation;
}

int apply_colocation(Scheduler& s, Resource& dependent, const Resource& primary, const Colocation& colocation,
                     bool for_dependent) {
    const Resource& subject = for_dependent ? dependent : primary;
    switch (subject.variant) {
        case model::Variant::kPrimitive: return apply_primitive(s, dependent, primary, colocation, for_dependent);
        case model::Variant::kGroup:
            return for_dependent ? apply_group_dependent(s, dependent, primary, colocation)
                                 : apply_group_primary(s, dependent, primary, colocation);
        case model::Variant::kClone: return apply_clone_primary(s, dependent, primary, colocation);
        case model::Variant::kBundle: return apply_bundle_colocation(s, dependent, primary, colocation, for_dependent);
    }
    return 0;
}

void intersect_nodes(Scheduler& s, Resource& dependent, const std::vector<std::pair<Node*, Score>>& nodes, bool merge) {
    for (const Node* node : s.c.nodes) {
        NodeScore* entry = dependent.allowed.find(*node);
        if (entry == nullptr) continue;
        const auto found = std::ranges::find(nodes, node, &std::pair<Node*, Score>::first);
        if (found == nodes.end()) {
            entry->score = Score::minus_infinity();
        } else if (merge) {
            entry->score += found->second;
        }
    }
}

void add_colocated_scores(Scheduler& s, Resource& source, const Resource* target, std::optional<NodeTable>& nodes,
                          const Colocation* colocation, float factor, ColocatedScores options) {
    if (s.of(source).updating_scores) return;  // a circle
    if (source.is_group()) {
        s.of(source).updating_scores = true;
        if (source.children.empty()) return;
        Resource& member = nodes ? *source.children.front() : *source.children.back();
        add_colocated_scores(s, member, target, nodes, colocation, factor, options);
        s.of(source).updating_scores = false;
        return;
    }
    s.of(source).updating_scores = true;
    std::optional<NodeTable> work;
    if (!nodes) {
        work = source.allowed;
        target = &source;
    } else {
        work = *nodes;
        add_matching_scores(s, *work, source, target, *colocation, factor, options.select_nonnegative);
    }
    if (s.any_available(*work)) {
        const auto list = options.select_this_with ? this_with(s, source) : with_this(s, source);
        options.select_active = true;
        for (const Colocation* constraint : list) {
            const float other_factor = factor * static_cast<float>(constraint->score) / Score::kInfinity;
            if (!options.select_this_with && !has_influence(*constraint, nullptr)) continue;
            Resource& other = options.select_this_with ? *constraint->primary : *constraint->dependent;
            add_colocated_scores(s, other, target, work, constraint, other_factor, options);
        }
    } else if (options.select_active) {
        s.of(source).updating_scores = false;  // together there would be no place at all: leave it out
        return;
    }
    if (options.select_nonnegative) {
        work->each([](std::uint32_t, NodeScore& entry) {
            if (!entry.held) return;
            entry.held = false;
            entry.score = Score{1};
        });
    }
    nodes = std::move(work);
    s.of(source).updating_scores = false;
}

void add_dependent_scores(Scheduler& s, const Colocation& colocation, Resource& primary) {
    if (!has_influence(colocation, nullptr)) return;
    std::optional<NodeTable> table(std::move(primary.allowed));
    primary.allowed = *table;  // others look at it meanwhile
    add_colocated_scores(s, *colocation.dependent, &primary, table, &colocation,
                         static_cast<float>(colocation.score) / Score::kInfinity,
                         {.select_nonnegative = primary.is_clone(), .select_active = true});
    primary.allowed = std::move(*table);
}

std::vector<Resource*> colocated_resources(Scheduler& s, Resource& rsc, Resource* original,
                                           std::vector<Resource*> found) {
    if (original == nullptr) original = &rsc;
    if (rsc.is_group() && (rsc.group->colocated || (rsc.parent != nullptr && rsc.parent->is_clone()))) {
        found.insert(found.begin(), &rsc);
        for (Resource* member : rsc.children) found = colocated_resources(s, *member, original, std::move(found));
        return found;
    }
    if (std::ranges::find(found, &rsc) != found.end()) return found;
    found.insert(found.begin(), &rsc);
    for (const Colocation* colocation : this_with(s, rsc)) {
        Resource& primary = *colocation->primary;
        if (&primary == original) continue;
        if (colocation->score == Score::kInfinity &&
            colocation_affects(s, rsc, primary, *colocation, true) == Affects::kLocation) {
            found = colocated_resources(s, primary, original, std::move(found));
        }
    }
    for (const Colocation* colocation : with_this(s, rsc)) {
        Resource& dependent = *colocation->dependent;
        if (&dependent == original || (rsc.is_clone() && !dependent.is_clone())) continue;
        if (colocation->score == Score::kInfinity &&
            colocation_affects(s, dependent, rsc, *colocation, true) == Affects::kLocation) {
            found = colocated_resources(s, dependent, original, std::move(found));
        }
    }
    return found;
}

}  // namespace systole::scheduler
