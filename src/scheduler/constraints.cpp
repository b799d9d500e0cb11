// scheduler/constraints.cpp — what the kinds of constraints have in common: resources, tags, templates, sets.
#include "scheduler/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/text.h"

namespace systole::scheduler {
namespace {

/// What a tag or template stands for; null if there is no such thing.
const std::vector<std::string>* members_of(const Cluster& c, std::string_view id) {
    if (const auto it = c.templates.find(id); it != c.templates.end()) {
        return it->second.empty() ? nullptr : &it->second;
    }
    const auto it = c.tags.find(id);
    return it == c.tags.end() || it->second.empty() ? nullptr : &it->second;
}

xml::NodePtr reference_to(std::string_view id) {
    xml::Builder ref("resource_ref");
    ref.set("id", id);
    return std::move(ref).build();
}

/// Spells out tags inside the sets of a constraint; null if there are none (or a set names what doesn't exist).
xml::NodePtr expand_sets(Scheduler& s, const xml::NodePtr& constraint) {
    xml::Builder expanded(*constraint);
    bool any = false;
    for (std::size_t i = 0; i < constraint->children().size(); ++i) {
        const xml::NodePtr& set = constraint->children()[i];
        if (!set->is("resource_set")) continue;
        xml::Builder copy(*set);
        copy.clear_children();
        for (const auto& ref : set->children()) {
            if (!ref->is("resource_ref") || constraint_resource(s, ref->id()) != nullptr) {
                copy.add(ref);
                continue;
            }
            const auto* members = members_of(s.c, ref->id());
            if (members == nullptr) {
                s.c.config_error(fmt::format(
                    "Ignoring resource sets for constraint '{}' because '{}' is not a valid resource or tag",
                    constraint->id(), ref->id()));
                return nullptr;
            }
            for (const std::string& member : *members) copy.add(reference_to(member));
            any = true;
        }
        expanded.replace(i, std::move(copy).build());
    }
    return any ? std::move(expanded).build() : nullptr;
}

}  // namespace

Resource* constraint_resource(Scheduler& s, std::string_view id) {
    Resource* found = s.c.find_resource(id);
    if (found == nullptr || found->id == id) return found;
    return &found->uber_parent();  // a clone's instance, by the name that its history has
}

xml::NodePtr expand_tags(Scheduler& s, const xml::NodePtr& constraint, const std::vector<ConstraintEnd>& ends) {
    const bool has_sets =
        std::ranges::any_of(constraint->children(), [](const auto& child) { return child->is("resource_set"); });
    if (has_sets) {
        xml::NodePtr expanded = expand_sets(s, constraint);
        return expanded ? expanded : constraint;
    }
    std::size_t tags = 0;
    for (const ConstraintEnd& end : ends) {
        const auto id = constraint->attribute(end.attribute);
        if (!id) return constraint;
        if (constraint_resource(s, *id) != nullptr) continue;
        if (members_of(s.c, *id) != nullptr) {
            ++tags;
        } else {
            s.c.config_error(fmt::format("Ignoring constraint '{}' because '{}' is not a valid resource or tag",
                                         constraint->id(), *id));
            return nullptr;
        }
    }
    if (tags == 0) return constraint;
    if (constraint->is("rsc_colocation") && tags > 1) {
        s.c.config_error(fmt::format("Ignoring constraint '{}' because two templates or tags cannot be colocated",
                                     constraint->id()));
        return nullptr;
    }
    xml::Builder expanded(*constraint);
    for (const ConstraintEnd& end : ends) {
        const std::string id(expanded.get(end.attribute));
        const bool is_resource = constraint_resource(s, id) != nullptr;
        if (is_resource && !end.convert_resource) continue;
        xml::Builder set("resource_set");
        set.set("id", id);
        if (is_resource) {
            set.add(reference_to(id));
        } else {
            for (const std::string& member : *members_of(s.c, id)) set.add(reference_to(member));
            set.set("sequential", "false");
        }
        if (expanded.has(end.role_attribute)) {
            set.set(end.set_attribute, expanded.get(end.role_attribute));
            expanded.unset(end.role_attribute);
        }
        expanded.unset(end.attribute);
        expanded.add(std::move(set).build());
    }
    return std::move(expanded).build();
}

namespace {
/// The constraint that holds the set, and the set's position there.
std::optional<std::pair<const xml::Node*, std::size_t>> place_of_set(Scheduler& s, const xml::Node& set) {
    const xml::Node* configuration = s.c.cib->child("configuration");
    const xml::Node* constraints = configuration == nullptr ? nullptr : configuration->child("constraints");
    if (constraints == nullptr) return std::nullopt;
    for (const auto& constraint : constraints->children()) {
        const auto children = constraint->children();
        const auto found = std::ranges::find(children, &set, &xml::NodePtr::get);
        if (found != children.end()) {
            return std::pair(constraint.get(), static_cast<std::size_t>(found - children.begin()));
        }
    }
    return std::nullopt;
}
}  // namespace

std::optional<std::vector<const xml::Node*>> resource_sets(Scheduler& s, const xml::Node& constraint) {
    std::vector<const xml::Node*> sets;
    const xml::Node* parent = &constraint;
    for (std::size_t i = 0; i < parent->children().size(); ++i) {
        const xml::Node* set = parent->children()[i].get();
        if (!set->is("resource_set")) continue;
        if (const auto ref = set->attribute("id-ref")) {
            set = s.c.resolve_reference("resource_set", *ref);
            if (set == nullptr) {
                s.c.config_error(fmt::format("Ignoring constraint '{}' because resource set '{}' does not exist",
                                             constraint.id(), *ref));
                return std::nullopt;
            }
            // In all versions of the field, what comes next are the sets that follow the one referred to, where that
            // one stands, not those that follow the reference.
            if (std::ranges::find(sets, set) != sets.end()) break;  // in a circle
            if (const auto place = place_of_set(s, *set)) std::tie(parent, i) = *place;
        }
        sets.push_back(set);
    }
    return sets;
}

std::vector<std::string_view> references(const xml::Node& set) {
    std::vector<std::string_view> ids;
    for (const auto& ref : set.children()) {
        if (ref->is("resource_ref")) ids.push_back(ref->id());
    }
    return ids;
}

std::optional<Role> constraint_role(Scheduler& s, std::string_view id, std::optional<std::string_view> text) {
    if (!text) return Role::kUnknown;
    const Role role = model::parse_role(*text);
    if (role == Role::kUnknown) {
        s.c.config_error(fmt::format("Ignoring constraint {}: Invalid role '{}'", id, *text));
        return std::nullopt;
    }
    return role == Role::kStarted ? Role::kUnknown : role;  // any role is a started one
}

void unpack_constraints(Scheduler& s) {
    const xml::Node* configuration = s.c.cib->child("configuration");
    const xml::Node* constraints = configuration == nullptr ? nullptr : configuration->child("constraints");
    if (constraints == nullptr) return;
    for (const auto& child : constraints->children()) {
        if (!child->is_element()) continue;
        if (child->id().empty()) {
            s.c.config_error(fmt::format("Ignoring <{}> constraint without id", child->name()));
        } else if (child->is("rsc_order")) {
            unpack_ordering(s, child);
        } else if (child->is("rsc_colocation")) {
            unpack_colocation(s, child);
        } else if (child->is("rsc_location")) {
            unpack_location(s, child);
        } else if (child->is("rsc_ticket")) {
            unpack_ticket(s, child);
        } else {
            s.c.config_error(fmt::format("Unsupported constraint type: {}", child->name()));
        }
    }
}

}  // namespace systole::scheduler
