// Fence devices as the CIB has them.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/score.h"
#include "base/text.h"
#include "fencing/devices.h"
#include "fencing/topology.h"

namespace systole::fencing {
namespace {

/// A primitive with what it stands in, innermost first.
struct Place {
    const xml::Node* primitive;
    std::vector<const xml::Node*> around;
};

void collect(const xml::Node& node, std::vector<const xml::Node*>& around, std::vector<Place>& found) {
    for (const auto& child : node.children()) {
        if (child->is("primitive")) {
            found.push_back({child.get(), {around.rbegin(), around.rend()}});
        } else if (child->is("group") || child->is("clone") || child->is("master")) {
            around.push_back(child.get());
            collect(*child, around, found);
            around.pop_back();
        }
    }
}

const xml::Node* resources_of(const xml::Node& cib) {
    const auto* configuration = cib.child("configuration");
    return configuration == nullptr ? nullptr : configuration->child("resources");
}

const xml::Node* find_by_id(const xml::Node& node, std::string_view element, std::string_view id) {
    if (node.is(element) && node.id() == id) return &node;
    for (const auto& child : node.children()) {
        if (const auto* found = find_by_id(*child, element, id)) return found;
    }
    return nullptr;
}

/// Names and values of the element's sets: higher scores first, the first value of a name wins, templates last.
Parameters values_of(const xml::Node& cib, const xml::Node& owner, std::string_view set_name,
                     const xml::Node* from_template) {
    Parameters values;
    for (const auto* holder : {&owner, from_template}) {
        if (holder == nullptr) continue;
        std::vector<const xml::Node*> sets;
        for (const auto& child : holder->children()) {
            if (!child->is(set_name)) continue;
            const xml::Node* set = child.get();
            if (const auto reference = set->get("id-ref"); !reference.empty()) {
                set = find_by_id(cib, set_name, reference);
            }
            if (set != nullptr && set->child("rule") == nullptr) sets.push_back(set);
        }
        std::ranges::stable_sort(sets, std::greater<>{}, [](const xml::Node* set) {
            return parse_score(set->get("score")).value_or(Score{0}).value();
        });
        for (const auto* set : sets) {
            for (const auto& pair : set->children()) {
                if (!pair->is("nvpair")) continue;
                const xml::Node* nvpair = pair.get();
                std::string_view name = nvpair->get("name");
                if (const auto reference = nvpair->get("id-ref"); !reference.empty()) {
                    nvpair = find_by_id(cib, "nvpair", reference);
                    if (nvpair == nullptr) continue;
                    if (name.empty()) name = nvpair->get("name");
                }
                if (!name.empty() && nvpair->has("value")) values.try_emplace(std::string(name), nvpair->get("value"));
            }
        }
    }
    return values;
}

const xml::Node* template_of(const xml::Node& cib, const xml::Node& primitive) {
    const auto name = primitive.get("template");
    const auto* resources = resources_of(cib);
    return name.empty() || resources == nullptr ? nullptr : resources->child("template", name);
}

bool stopped(const Parameters& meta) {
    const auto it = meta.find("target-role");
    return it != meta.end() && same_ignoring_case(it->second, "Stopped");
}

// ---- Location constraints -------------------------------------------------------------------------------------------

/// Does the rule hold for the node? Empty if it depends on what is not looked at here.
std::optional<bool> holds(const xml::Node& rule, std::string_view node) {
    const bool any = same_ignoring_case(rule.get("boolean-op"), "or");
    bool unknown = false;
    for (const auto& child : rule.children()) {
        std::optional<bool> one;
        if (child->is("rule")) {
            one = holds(*child, node);
        } else if (child->is("expression") && child->get("attribute") == "#uname") {
            const auto operation = child->get("operation");
            const bool same = same_ignoring_case(child->get("value"), node);
            if (operation == "eq") one = same;
            if (operation == "ne") one = !same;
            if (operation == "defined") one = true;
            if (operation == "not_defined") one = false;
        } else if (!child->is_element()) {
            continue;
        }
        if (!one) {
            unknown = true;
        } else if (*one == any) {
            return any;
        }
    }
    if (unknown) return std::nullopt;
    return !any;
}

bool names(const xml::Node& constraint, std::string_view resource) {
    if (constraint.get("rsc") == resource) return true;
    if (const auto pattern = constraint.get("rsc-pattern"); !pattern.empty()) {
        const bool negated = pattern.starts_with('!');
        return matches_pattern(negated ? pattern.substr(1) : pattern, resource) != negated;
    }
    for (const auto& set : constraint.children()) {
        if (!set->is("resource_set")) continue;
        for (const auto& member : set->children()) {
            if (member->is("resource_ref") && member->id() == resource) return true;
        }
    }
    return false;
}

std::string_view option_of(const xml::Node& cib, std::string_view name) {
    const auto* configuration = cib.child("configuration");
    const auto* options = configuration == nullptr ? nullptr : configuration->child("crm_config");
    if (options == nullptr) return {};
    for (const auto& set : options->children()) {
        for (const auto& pair : set->children()) {
            if (pair->is("nvpair") && pair->get("name") == name) return pair->get("value");
        }
    }
    return {};
}

/// The sum of what constraints give the resource on the node; empty if none speaks of this node.
std::optional<Score> score_of(const xml::Node& constraints, std::string_view resource, std::string_view node) {
    std::optional<Score> sum;
    const auto add = [&](const xml::Node& holder) {
        if (const auto score = parse_score(holder.get("score"))) sum = sum.value_or(Score{0}) + *score;
    };
    for (const auto& constraint : constraints.children()) {
        if (!constraint->is("rsc_location") || !names(*constraint, resource)) continue;
        if (!constraint->get("node").empty()) {
            if (same_ignoring_case(constraint->get("node"), node)) add(*constraint);
            continue;
        }
        for (const auto& rule : constraint->children()) {
            // A rule for a role other than the default one says nothing about where the device may be used.
            if (rule->is("rule") && holds(*rule, node).value_or(false)) add(*rule);
        }
    }
    return sum;
}

}  // namespace

bool allowed_by_location(const xml::Node& cib, std::string_view resource, std::string_view node) {
    const auto* resources = resources_of(cib);
    const auto* configuration = cib.child("configuration");
    const auto* constraints = configuration == nullptr ? nullptr : configuration->child("constraints");
    const bool opt_in = !parse_bool(option_of(cib, "symmetric-cluster")).value_or(true);
    if (resources == nullptr || constraints == nullptr) return !opt_in;

    std::vector<std::string_view> ids{resource};
    std::vector<const xml::Node*> around;
    std::vector<Place> places;
    collect(*resources, around, places);
    for (const auto& place : places) {
        if (place.primitive->id() != resource) continue;
        if (const auto name = place.primitive->get("template"); !name.empty()) ids.push_back(name);
        for (const auto* holder : place.around) ids.push_back(holder->id());
    }
    bool let_in = !opt_in;
    Score sum{0};
    for (const auto id : ids) {
        if (const auto score = score_of(*constraints, id, node)) {
            let_in = true;
            sum += *score;
        }
    }
    return let_in && sum >= Score{0};
}

std::vector<DeviceDescription> devices_from_cib(const xml::Node& cib, std::string_view node,
                                                const AllowedOn& allowed_on) {
    std::vector<DeviceDescription> devices;
    const auto* resources = resources_of(cib);
    if (resources == nullptr) return devices;
    std::vector<const xml::Node*> around;
    std::vector<Place> places;
    collect(*resources, around, places);
    for (const auto& place : places) {
        const auto& primitive = *place.primitive;
        const auto* from_template = template_of(cib, primitive);
        const auto& kind = from_template == nullptr ? primitive : *from_template;
        if (kind.get("class") != "stonith") continue;
        const auto meta = values_of(cib, primitive, "meta_attributes", from_template);
        const bool disabled = stopped(meta) || std::ranges::any_of(place.around, [&](const xml::Node* holder) {
                                  return stopped(values_of(cib, *holder, "meta_attributes", nullptr));
                              });
        if (disabled || !allowed_on(cib, primitive.id(), node)) continue;
        DeviceDescription what;
        what.id = primitive.id();
        what.agent = kind.get("type");
        what.parameters = values_of(cib, primitive, "instance_attributes", from_template);
        const auto provides = meta.find("provides");
        what.provides_unfencing = provides != meta.end() && same_ignoring_case(provides->second, "unfencing");
        devices.push_back(std::move(what));
    }
    return devices;
}

}  // namespace systole::fencing
