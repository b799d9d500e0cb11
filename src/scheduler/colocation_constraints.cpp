// scheduler/colocation_constraints.cpp — rsc_colocation: what is to run together or apart.
// Source: Pacemaker Explained, "Placing Resources Relative to other Resources".
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

/// Orders colocations by what is at their other end: priority, then kind (bundles first), promotable ones, id.
int compare_ends(const Resource& a, const Resource& b) {
    if (a.priority != b.priority) return a.priority > b.priority ? -1 : 1;
    if (a.variant != b.variant) return a.variant > b.variant ? -1 : 1;
    if (a.is_clone() && a.promotable != b.promotable) return a.promotable ? -1 : 1;
    return a.id.compare(b.id);
}

/// What must not share a node with the other must be gone there before the other comes.
void order_anti_colocation(Scheduler& s, Resource& first, Role first_role, Resource& then, Role then_role) {
    std::vector<std::string_view> first_tasks{first_role == Role::kPromoted ? "demote" : "stop"};
    if (first_role == Role::kUnpromoted) first_tasks.emplace_back("promote");
    std::vector<std::string_view> then_tasks{then_role == Role::kPromoted ? "promote" : "start"};
    if (then_role == Role::kUnpromoted) then_tasks.emplace_back("demote");
    for (const auto first_task : first_tasks) {
        for (const auto then_task : then_tasks) s.order(first, first_task, then, then_task, rel::kIfRequiredOnSameNode);
    }
}

bool influence_of(Scheduler& s, std::string_view id, const Resource& dependent, std::optional<std::string_view> text) {
    if (text) {
        if (const auto value = parse_bool(*text)) return *value;
        s.c.config_error(fmt::format("Constraint '{}' has invalid value for influence (using default)", id));
    }
    return dependent.critical;
}

struct Context {
    std::string_view id;
    int score;
    std::optional<std::string_view> influence;
};

bool is_sequential(const xml::Node& set) { return parse_bool(set.get("sequential")).value_or(true); }

/// Resources within a set: each with the one before it; a negative score keeps all of them apart.
void colocate_within(Scheduler& s, const xml::Node& set, const Context& context) {
    int score = context.score;
    if (const auto text = set.attribute("score")) {
        const auto parsed = s.c.options.score(*text);
        if (!parsed) {
            s.c.config_error(fmt::format("Ignoring colocation '{}' for set '{}' because '{}' is not a valid score",
                                         context.id, set.id(), *text));
            return;
        }
        score = parsed->value();
    }
    if (score == 0 || !is_sequential(set)) return;
    const bool with_previous = same_ignoring_case(set.get("ordering", "group"), "group");
    const auto role = set.attribute("role");
    const auto ids = references(set);
    Resource* previous = nullptr;
    for (std::size_t i = 0; i < ids.size(); ++i) {
        Resource* rsc = constraint_resource(s, ids[i]);
        if (rsc == nullptr) {
            s.c.config_error(
                fmt::format("Ignoring {} and later resources in set {}: No such resource", ids[i], set.id()));
            return;
        }
        const bool influence = influence_of(s, context.id, *rsc, context.influence);
        if (score > 0) {
            if (previous != nullptr) {
                add_colocation(s, std::string(set.id()), {}, score, with_previous ? rsc : previous,
                               with_previous ? previous : rsc, role, role, influence, true);
            }
            previous = rsc;
            continue;
        }
        for (const std::string_view other : ids) {
            if (other == rsc->id) break;
            add_colocation(s, std::string(set.id()), {}, score, rsc, constraint_resource(s, other), role, role,
                           influence, true);
        }
    }
}

/// One set with the next: sequential sets by their ends, others each with each.
void colocate_sets(Scheduler& s, const xml::Node& set1, const xml::Node& set2, const Context& context) {
    if (context.score == 0) return;
    auto dependents = references(set1), primaries = references(set2);
    if (dependents.empty() || primaries.empty()) return;
    if (is_sequential(set1)) dependents.resize(1);
    if (is_sequential(set2)) primaries = {primaries.back()};
    for (const std::string_view dependent_id : dependents) {
        Resource* dependent = constraint_resource(s, dependent_id);
        if (dependent == nullptr) {
            s.c.config_error(fmt::format("Ignoring colocation of set {} resource {} with set {}: No such resource",
                                         set1.id(), dependent_id, set2.id()));
            continue;
        }
        for (const std::string_view primary_id : primaries) {
            Resource* primary = constraint_resource(s, primary_id);
            if (primary == nullptr) {
                s.c.config_error(fmt::format("Ignoring set {} colocation with resource {} in set {}: No such resource",
                                             set1.id(), primary_id, set2.id()));
                continue;
            }
            add_colocation(s, std::string(context.id), {}, context.score, dependent, primary, set1.attribute("role"),
                           set2.attribute("role"), influence_of(s, context.id, *dependent, context.influence), true);
        }
    }
}

}  // namespace

void add_colocation(Scheduler& s, std::string id, std::string_view attribute, int score, Resource* dependent,
                    Resource* primary, std::optional<std::string_view> dependent_role,
                    std::optional<std::string_view> primary_role, bool influence, bool from_config) {
    if (dependent == nullptr || primary == nullptr) {
        s.c.config_error(fmt::format("Ignoring colocation '{}' because resource does not exist", id));
        return;
    }
    const auto role1 = constraint_role(s, id, dependent_role), role2 = constraint_role(s, id, primary_role);
    if (!role1 || !role2 || score == 0) return;
    Colocation& colocation = s.colocations.emplace_back();
    colocation.id = std::move(id);
    colocation.attribute = attribute.empty() ? "#uname" : attribute;
    colocation.dependent = dependent;
    colocation.primary = primary;
    colocation.dependent_role = *role1;
    colocation.primary_role = *role2;
    colocation.score = score;
    colocation.influence = influence;
    colocation.from_config = from_config;
    // Of equal ones the newest goes first.
    const auto insert = [&](std::vector<Colocation*>& list, Resource* Colocation::* end) {
        const auto place = std::ranges::find_if(
            list, [&](const Colocation* other) { return compare_ends(*(colocation.*end), *(other->*end)) <= 0; });
        list.insert(place, &colocation);
    };
    insert(s.of(*dependent).this_with, &Colocation::primary);
    insert(s.of(*primary).with_this, &Colocation::dependent);
    if (score <= -Score::kInfinity) {
        order_anti_colocation(s, *dependent, *role1, *primary, *role2);
        order_anti_colocation(s, *primary, *role2, *dependent, *role1);
    }
}

int compare_dependents(const Colocation& a, const Colocation& b) { return compare_ends(*a.dependent, *b.dependent); }
int compare_primaries(const Colocation& a, const Colocation& b) { return compare_ends(*a.primary, *b.primary); }

void unpack_colocation(Scheduler& s, const xml::NodePtr& original) {
    const xml::NodePtr constraint = expand_tags(
        s, original,
        {{.attribute = "rsc", .role_attribute = "rsc-role", .set_attribute = "role", .convert_resource = true},
         {.attribute = "with-rsc",
          .role_attribute = "with-rsc-role",
          .set_attribute = "role",
          .convert_resource = true}});
    if (!constraint) return;
    Context context{.id = constraint->id(), .score = 0, .influence = constraint->attribute("influence")};
    if (const auto text = constraint->attribute("score")) {
        const auto score = s.c.options.score(*text);
        if (!score) {
            s.c.config_error(
                fmt::format("Ignoring colocation {} because '{}' is not a valid score", constraint->id(), *text));
            return;
        }
        context.score = score->value();
    }
    const auto sets = resource_sets(s, *constraint);
    if (!sets) return;
    const xml::Node* last = nullptr;
    for (const xml::Node* set : *sets) {
        if (set->id().empty()) {
            s.c.config_error(fmt::format("Ignoring resource_set without id in constraint '{}'", constraint->id()));
            continue;
        }
        colocate_within(s, *set, context);
        if (last != nullptr) colocate_sets(s, *last, *set, context);
        last = set;
    }
    if (last != nullptr) return;
    Resource* dependent = constraint_resource(s, constraint->get("rsc"));
    Resource* primary = constraint_resource(s, constraint->get("with-rsc"));
    if (dependent == nullptr || primary == nullptr) {
        s.c.config_error(fmt::format("Ignoring constraint '{}' because resource '{}' does not exist", constraint->id(),
                                     constraint->get(dependent == nullptr ? "rsc" : "with-rsc")));
        return;
    }
    add_colocation(s, std::string(context.id), constraint->get("node-attribute"), context.score, dependent, primary,
                   constraint->attribute("rsc-role"), constraint->attribute("with-rsc-role"),
                   influence_of(s, context.id, *dependent, context.influence), true);
}

}  // namespace systole::scheduler
