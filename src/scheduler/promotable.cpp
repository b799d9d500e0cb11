// scheduler/promotable.cpp — which instances of a promotable clone are promoted.
// Source: Pacemaker Explained, "Clone Resources That Have Multiple Modes".
#include <fmt/format.h>

#include <algorithm>

#include "model/failcount.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

Resource* named(Resource& instance, std::string_view id) {
    if (instance.id == id || instance.xml_id() == id) return &instance;
    for (Resource* child : instance.children) {
        if (Resource* found = named(*child, id)) return found;
    }
    return nullptr;
}

bool is_probed(const Resource& rsc, const Node& node) {
    return node.index < rsc.probed.size() && rsc.probed[node.index];
}

/// The part called `id`, of any instance, that is active on the node.
const Resource* active_part(const Resource& clone, std::string_view id, const Node& node) {
    for (Resource* child : clone.children) {
        const Resource* part = named(*child, id);
        if (part != nullptr && part->runs_on(node)) return part;
    }
    return nullptr;
}

bool known_part(const Resource& clone, std::string_view id, const Node& node) {
    return std::ranges::any_of(clone.children, [&](Resource* child) {
        const Resource* part = named(*child, id);
        return part != nullptr && is_probed(*part, node);
    });
}

/// A node's promotion score is meant for the instance that is (or could be) there.
bool score_applies(const Resource& rsc, const Node& node) {
    const NodeScore* entry = rsc.allowed.find(node);
    const bool allowed = entry != nullptr && entry->score >= Score{0};
    if (!rsc.unique) {
        const std::string_view id = model::without_instance(rsc.id);
        const Resource* active = active_part(rsc.top(), id, node);
        if (active == &rsc) return allowed;
        if (active == nullptr && known_part(rsc.top(), id, node)) return allowed;
    }
    const bool none_probed = std::ranges::none_of(rsc.probed, [](bool probed) { return probed; });
    if (rsc.active_nodes.empty() && none_probed) return allowed;
    return (is_probed(rsc, node) || rsc.runs_on(node)) && allowed;
}

/// Empty if no promotion score is set there.
std::optional<int> promotion_score(Scheduler& s, const Resource& rsc, const Node& node) {
    if (!rsc.children.empty()) {
        std::optional<int> sum;
        for (const Resource* child : rsc.children) {
            if (const auto score = promotion_score(s, *child, node)) sum = sum.value_or(0) + *score;
        }
        return sum;
    }
    const std::string_view target = rsc.meta_value("container-attribute-target").value_or("");
    const auto host = s.of(rsc).unassigned ? model::Host::kCurrent : model::Host::kAssigned;
    const std::string& name = rsc.name_in_history();
    auto value = model::attribute_of(node, "master-" + name, target, host);
    if (!value && !rsc.unique) {
        const std::string_view base = model::without_instance(rsc.id);
        if (base != rsc.id) value = model::attribute_of(node, fmt::format("master-{}", base), target, host);
    }
    // The costly question comes last: most nodes of a large cluster have no score.
    if (!value || !score_applies(rsc, node)) return std::nullopt;
    return s.c.options.score(*value).value_or(Score{}).value();
}

void apply_promoted_locations(Scheduler& s, Resource& instance, const Resource& constrained, const Node& chosen) {
    if (!s.promoted_locations) {
        s.promoted_locations.emplace();
        for (const Location& location : s.locations) {
            if (location.role == Role::kPromoted) s.promoted_locations->push_back(&location);
        }
    }
    for (const Location* entry : *s.promoted_locations) {
        const Location& location = *entry;
        const bool through_bundle = location.rsc->is_bundle() && location.rsc->bundle->child == &constrained;
        if (location.rsc != &constrained && !through_bundle) continue;
        // Of several scores for a node in one constraint the last counts, as with attributes of rules.
        const auto it = std::ranges::find(location.nodes, &chosen, [](const auto& pair) { return pair.first; });
        if (it != location.nodes.end()) instance.priority = (Score{instance.priority} + it->second).value();
    }
}

void set_current_unpromoted(Resource& rsc) {
    if (rsc.role == Role::kStarted) rsc.role = Role::kUnpromoted;
    for (Resource* child : rsc.children) set_current_unpromoted(*child);
}

bool assigned_anywhere(const Resource& rsc) {
    if (rsc.children.empty()) return rsc.assigned_node != nullptr;
    return std::ranges::any_of(rsc.children, [](const Resource* child) { return assigned_anywhere(*child); });
}

void set_next_unpromoted(Resource& rsc) {
    rsc.next_role = assigned_anywhere(rsc) ? Role::kUnpromoted : Role::kStopped;
    for (Resource* child : rsc.children) set_next_unpromoted(*child);
}

void set_next_promoted(Resource& rsc) {
    if (rsc.next_role == Role::kUnknown) rsc.next_role = Role::kPromoted;
    for (Resource* child : rsc.children) set_next_promoted(*child);
}

void set_priority(Scheduler& s, Resource& instance, const Resource& clone) {
    if (instance.state(true) == Role::kStarted) set_current_unpromoted(instance);
    const Node* chosen = s.location_of(instance, Scheduler::Where::kAssigned);
    if (chosen == nullptr) return;
    const Role next = instance.state(false);
    if (next == Role::kStarted || next == Role::kUnknown) {
        instance.priority = promotion_score(s, instance, *chosen).value_or(-1);
    } else if (next == Role::kUnpromoted || next == Role::kStopped) {
        instance.priority = -Score::kInfinity;
    }
    apply_promoted_locations(s, instance, instance, *chosen);
    apply_promoted_locations(s, instance, clone, *chosen);
    for (const Colocation* colocation : this_with(s, instance)) {
        apply_colocation(s, instance, *colocation->primary, *colocation, true);
    }
    s.of(instance).promotion_priority = next == Role::kPromoted ? Score::kInfinity : instance.priority;
}

int compare_for_promotion(Scheduler& s, const Resource& a, const Resource& b) {
    const int priority_a = s.of(a).promotion_priority, priority_b = s.of(b).promotion_priority;
    if (priority_a != priority_b) return priority_a > priority_b ? -1 : 1;
    const Role role_a = a.state(true), role_b = b.state(true);
    if (role_a != role_b) return role_a > role_b ? -1 : 1;
    return compare_instances(s, a, b);
}

/// Takes into account where those that want to be with the promoted instance would like it to be.
void sort_instances(Scheduler& s, Resource& clone) {
    if (s.of(clone).promotion_constrained) return;
    s.of(clone).promotion_constrained = true;
    s.of(clone).updating_scores = true;
    for (const Resource* child : clone.children) {
        const int priority = s.of(*child).promotion_priority;
        const Node* chosen = s.location_of(*child, Scheduler::Where::kAssigned);
        if (priority < 0 || chosen == nullptr) continue;
        if (NodeScore* entry = clone.allowed.find(*chosen)) entry->score += Score{priority};
    }
    for (const Colocation* colocation : with_this(s, clone)) {
        if (colocation->primary_role != Role::kPromoted || !has_influence(*colocation, nullptr)) continue;
        std::optional<NodeTable> table(clone.allowed);
        add_colocated_scores(s, *colocation->dependent, &clone, table, colocation,
                             static_cast<float>(colocation->score) / Score::kInfinity,
                             {.select_nonnegative = true, .select_active = true});
        clone.allowed = std::move(*table);
    }
    require_promotion_tickets(s, clone);
    for (Resource* child : clone.children) {
        const Node* chosen = s.location_of(*child, Scheduler::Where::kAssigned);
        int& priority = s.of(*child).promotion_priority;
        if (!child->managed && child->next_role == Role::kPromoted) {
            priority = Score::kInfinity;
        } else if (chosen == nullptr) {
            priority = -Score::kInfinity;
        } else if (priority >= 0) {
            const NodeScore* entry = clone.allowed.find(*chosen);
            priority = entry == nullptr ? -Score::kInfinity : entry->score.value();
        }
    }
    merge_sort(clone.children, [&](Resource* a, Resource* b) { return compare_for_promotion(s, *a, *b); });
    s.of(clone).updating_scores = false;
}

NodeScore* promotion_place(Scheduler& s, Resource& rsc) {
    for (Resource* child : rsc.children) {
        if (promotion_place(s, *child) == nullptr) return nullptr;
    }
    Node* node = s.location_of(rsc, Scheduler::Where::kAssigned);
    if (node == nullptr) return nullptr;
    if (!rsc.managed) {
        if (rsc.state(true) != Role::kPromoted) return nullptr;
    } else if (rsc.priority < 0 || !s.available(node)) {
        return nullptr;
    } else if (node->is_guest() && s.location_of(*node->remote->launcher, Scheduler::Where::kAssigned) == nullptr) {
        return nullptr;
    }
    Resource& top = rsc.top();
    NodeScore* entry = top.allowed.find(*node);
    if (entry == nullptr) return nullptr;
    return entry->count >= top.clone->promoted_node_max && rsc.managed ? nullptr : entry;
}

void choose_role(Scheduler& s, Resource& instance, int& count) {
    const Resource& clone = instance.top();
    if (s.in.want_scores) {
        const Node* chosen = s.location_of(instance, Scheduler::Where::kAssigned);
        const std::string score = to_string(Score{s.of(instance).promotion_priority});
        const std::string place = chosen == nullptr ? "(inactive)" : fmt::format("on {}", chosen->name);
        std::vector<std::pair<std::string, std::string>> values{{"id", instance.id}, {"score", score}};
        if (chosen != nullptr) values.emplace_back("node", chosen->name);
        s.plan.scores.push_back({fmt::format("{} promotion score {}: {}", instance.id, place, score), "promotion_score",
                                 std::move(values)});
    }
    NodeScore* place = nullptr;
    if (s.of(instance).promotion_priority >= 0 && (count < clone.clone->promoted_max || !clone.managed)) {
        place = promotion_place(s, instance);
    }
    const bool frozen =
        instance.role < Role::kPromoted && !s.c.quorate && s.c.options.no_quorum == model::NoQuorum::kFreeze;
    if (place == nullptr || frozen) {
        set_next_unpromoted(instance);
        return;
    }
    ++place->count;
    set_next_promoted(instance);
    ++count;
}

void note_role_change(Scheduler& s, const Resource& rsc, bool& demoting, bool& promoting) {
    for (const Resource* child : rsc.children) note_role_change(s, *child, demoting, promoting);
    if (!rsc.children.empty()) return;
    for (const Action* a : s.of(rsc).actions) {
        if (a->is(act::kOptional)) continue;
        if (a->task == "demote") demoting = true;
        if (a->task == "promote") promoting = true;
    }
}

}  // namespace

void add_promotion_scores(Scheduler& s, Resource& clone) {
    if (s.of(clone).promotion_scores_added) return;
    s.of(clone).promotion_scores_added = true;
    for (Resource* child : clone.children) {
        const Noting noting(s.c, *child, Cause::kPromotion);
        for (const Node* node : s.c.nodes) {
            NodeScore* entry = child->allowed.find(*node);
            if (entry == nullptr || !s.available(node)) continue;
            const int score = promotion_score(s, *child, *node).value_or(0);
            if (score > 0) entry->score += Score{score};
            child->priority = std::max(child->priority, score);
        }
    }
}

void set_instance_roles(Scheduler& s, Resource& clone) {
    for (const Node* node : s.c.nodes) {
        if (NodeScore* entry = clone.allowed.find(*node)) entry->count = 0;
    }
    for (Resource* child : clone.children) set_priority(s, *child, clone);
    sort_instances(s, clone);
    int promoted = 0;
    for (Resource* child : clone.children) choose_role(s, *child, promoted);
}

void create_promotable_actions(Scheduler& s, Resource& clone) {
    bool promoting = false, demoting = false;
    for (Resource* instance : clone.children) {
        create_actions(s, *instance);
        note_role_change(s, *instance, demoting, promoting);
    }
    Action* promote = s.rsc_pseudo_action(clone, "promote", !promoting, true);
    Action* promoted = s.rsc_pseudo_action(clone, "promoted", !promoting, true);
    promoted->priority = Score::kInfinity;
    // Their notifications come between, so that ids are in that order.
    create_promotable_notification_pseudo_actions(s, clone, promote, promoted, nullptr, nullptr);
    Action* demote = s.rsc_pseudo_action(clone, "demote", !demoting, true);
    Action* demoted = s.rsc_pseudo_action(clone, "demoted", !demoting, true);
    demoted->priority = Score::kInfinity;
    create_promotable_notification_pseudo_actions(s, clone, nullptr, nullptr, demote, demoted);
    for (Resource* instance : clone.children) instance->priority = clone.priority;
}

void promotable_restart_ordering(Scheduler& s, Resource& rsc) {
    static constexpr std::pair<std::string_view, std::string_view> kPairs[] = {
        {"stopped", "start"},   {"stopped", "promote"}, {"demoted", "stop"},  {"demoted", "start"},
        {"demoted", "promote"}, {"running", "promote"}, {"demote", "demoted"}};
    for (const auto& [first, then] : kPairs) s.order(rsc, first, rsc, then, rel::kOrdered);
}

void order_promotable_instances(Scheduler& s, Resource& clone) {
    promotable_restart_ordering(s, clone);
    Resource* previous = nullptr;
    for (Resource* instance : clone.children) {
        s.order(*instance, "demote", *instance, "promote", rel::kOrdered);
        s.order(clone, "promote", *instance, "promote", rel::kOrdered);
        s.order(*instance, "promote", clone, "promoted", rel::kOrdered);
        const bool ordered = previous != nullptr && clone.clone->ordered;
        if (ordered) s.order(*previous, "promote", *instance, "promote", rel::kOrdered);
        s.order(clone, "demote", *instance, "demote", rel::kThenImpliesFirstGraphed);
        s.order(*instance, "demote", clone, "demoted", rel::kFirstImpliesThenGraphed);
        if (ordered) s.order(*instance, "demote", *previous, "demote", rel::kOrdered);
        previous = instance;
    }
}

void require_promotion_tickets(Scheduler& s, Resource& rsc) {
    for (const TicketDependency& d : s.of(rsc).tickets) {
        if (d.role == Role::kPromoted && (!d.ticket->granted || d.ticket->standby)) {
            s.c.add_location(rsc, nullptr, Score::minus_infinity());
        }
    }
}

void update_dependent_with_promotable(Scheduler& s, const Resource& primary, Resource& dependent,
                                      const Colocation& colocation) {
    std::vector<std::pair<Node*, Score>> affected;
    for (const Resource* instance : primary.children) {
        Node* node = s.location_of(*instance, Scheduler::Where::kAssigned);
        if (node == nullptr || instance->state(false) != colocation.primary_role) continue;
        const Resource* placed = instance;
        while (!placed->children.empty()) placed = placed->children.front();
        affected.emplace_back(node, s.of(*placed).assigned_score);
        if (colocation.score >= Score::kInfinity) continue;
        const auto value = colocation_attribute(node, colocation.attribute, &primary);
        for (const Node* each : s.c.nodes) {
            NodeScore* entry = dependent.allowed.find(*each);
            if (entry != nullptr && colocation_attribute(each, colocation.attribute, &dependent) == value) {
                entry->score += Score{colocation.score};
            }
        }
    }
    if (colocation.score >= Score::kInfinity &&
        (colocation.dependent_role != Role::kPromoted || colocation.primary_role != Role::kPromoted)) {
        intersect_nodes(s, dependent, affected, true);
    }
}

int update_promotable_dependent_priority(Scheduler& s, const Resource& primary, Resource& dependent,
                                         const Colocation& colocation) {
    const auto same_value = [&](const Resource& instance) {
        if (instance.state(false) != colocation.primary_role || is_blocked_anywhere(instance)) return false;
        const Node* place = s.location_of(instance, Scheduler::Where::kAssigned);
        const Node* here = s.location_of(dependent, Scheduler::Where::kAssigned);
        return place != nullptr && here != nullptr &&
               colocation_attribute(place, colocation.attribute, &instance) ==
                   colocation_attribute(here, colocation.attribute, &instance);
    };
    if (std::ranges::any_of(primary.children, [&](const Resource* child) { return same_value(*child); })) {
        dependent.priority = (Score{dependent.priority} + Score{colocation.score}).value();
        return colocation.score;
    }
    if (colocation.score >= Score::kInfinity) {
        dependent.priority = -Score::kInfinity;
        return -Score::kInfinity;
    }
    return 0;
}

}  // namespace systole::scheduler
