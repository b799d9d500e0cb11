// scheduler/location_constraints.cpp — rsc_location: which nodes a resource prefers, may use, and is probed on.
// Source: Pacemaker Explained, "Deciding Which Nodes a Resource Can Run On"; "Rules".
#include <fmt/format.h>
#include <regex.h>

#include <memory>

#include "base/text.h"
#include "model/operations.h"
#include "rules/evaluate.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

/// Roles that say nothing ("started", "unpromoted" is what everything starts as) filter nothing.
std::optional<Role> location_role(std::string_view text) {
    const Role role = model::parse_role(text);
    if (role == Role::kUnknown) return std::nullopt;
    return role == Role::kStarted || role == Role::kUnpromoted ? Role::kUnknown : role;
}

std::string with_matches(std::string_view text, const std::vector<std::string>& matches) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9') {
            const auto index = static_cast<std::size_t>(text[i + 1] - '0');
            if (index < matches.size()) result += matches[index];
            ++i;
        } else {
            result += text[i];
        }
    }
    return result;
}

void location_from_rule(Scheduler& s, const xml::Node& constraint, Resource& rsc,
                        const std::vector<std::string>& matches) {
    const xml::Node* rule = constraint.child("rule");
    if (rule != nullptr && rule->has("id-ref")) rule = s.c.resolve_reference("rule", rule->get("id-ref"));
    if (rule == nullptr) return;
    if (rule->id().empty()) {
        s.c.config_error(fmt::format("Ignoring location constraint '{}' because its rule has no id", constraint.id()));
        return;
    }
    Role role = Role::kUnknown;
    if (const auto text = rule->attribute("role")) {
        const auto parsed = location_role(*text);
        if (!parsed) {
            s.c.config_error(fmt::format("Ignoring location constraint '{}' because rule '{}' has invalid role '{}'",
                                         constraint.id(), rule->id(), *text));
            return;
        }
        role = *parsed;
    }
    const std::string_view boolean = rule->get("boolean-op", "and");
    if (!same_ignoring_case(boolean, "and") && !same_ignoring_case(boolean, "or")) {
        s.c.config_error(fmt::format("Ignoring location constraint '{}' because rule '{}' has invalid boolean-op '{}'",
                                     constraint.id(), rule->id(), boolean));
        return;
    }
    std::optional<Score> fixed;
    std::string attribute;
    if (const auto name = rule->attribute("score-attribute")) {
        attribute = matches.empty() ? std::string(*name) : with_matches(*name, matches);
    } else {
        const auto text = rule->attribute("score");
        fixed = text ? s.c.options.score(*text) : std::nullopt;
        if (!fixed) {
            s.c.config_error(fmt::format(
                "Ignoring location constraint rule {} because it has neither a valid score nor score-attribute",
                rule->id()));
            return;
        }
    }
    Location* location = add_location(s, std::string(rule->id()), rsc, constraint.attribute("resource-discovery"));
    if (location == nullptr) return;
    location->role = role;

    rules::Input input;
    input.now = s.c.now;
    input.pattern_matches = matches;
    input.resource_meta = [&rsc](std::string_view name) { return rsc.meta_value(name); };
    const bool varies = rules::depends_on_node(*rule);
    std::optional<bool> same_everywhere;
    for (Node* node : s.c.nodes) {
        bool holds = false;
        // A rule may compare with parameters: rules among those count for when to look again, whether they are asked or
        // not.
        model::resource_parameters(s.c, rsc, node);
        if (varies || !same_everywhere) {
            input.node_attribute = [node](std::string_view name) { return node->attribute(name); };
            input.resource_param = [&s, &rsc, node](std::string_view name) -> std::optional<std::string_view> {
                const NameValues& parameters = model::resource_parameters(s.c, rsc, node);
                const auto it = parameters.find(name);
                if (it == parameters.end()) return std::nullopt;
                return it->second;
            };
            const rules::Evaluation evaluation = rules::evaluate_rule(*rule, input);
            s.c.recheck_for(evaluation);
            for (const std::string& problem : evaluation.problems) s.c.config_error(problem);
            holds = evaluation.holds();
            same_everywhere = holds;
        } else {
            holds = *same_everywhere;
        }
        if (!holds) continue;
        Score score = fixed.value_or(Score{});
        if (!fixed) {
            const auto value =
                model::attribute_of(*node, attribute, rsc.meta_value("container-attribute-target").value_or(""));
            const auto parsed = value && !value->empty() ? s.c.options.score(*value) : std::nullopt;
            if (!parsed) continue;
            score = *parsed;
        }
        location->nodes.emplace_back(node, score);
    }
}

void location_for(Scheduler& s, const xml::Node& constraint, Resource& rsc, std::optional<std::string_view> role_text,
                  std::optional<std::string_view> score_text, const std::vector<std::string>& matches) {
    if (!score_text) score_text = constraint.attribute("score");
    const auto node_name = constraint.attribute("node");
    if (!node_name || !score_text) {
        location_from_rule(s, constraint, rsc, matches);
        return;
    }
    Node* node = s.c.find_node(*node_name);
    if (node == nullptr) return;
    const auto score = s.c.options.score(*score_text);
    if (!score) {
        s.c.config_error(fmt::format("Ignoring location constraint {} because '{}' is not a valid score",
                                     constraint.id(), *score_text));
        return;
    }
    if (!role_text) role_text = constraint.attribute("role");
    Role role = Role::kUnknown;
    if (role_text) {
        const auto parsed = location_role(*role_text);
        if (!parsed) {
            s.c.config_error(fmt::format("Ignoring location constraint {} because '{}' is not a valid role",
                                         constraint.id(), *role_text));
            return;
        }
        role = *parsed;
    }
    Location* location = add_location(s, std::string(constraint.id()), rsc, constraint.attribute("resource-discovery"));
    if (location == nullptr) return;
    location->role = role;
    location->nodes.emplace_back(node, *score);
}

/// A POSIX extended regular expression, as rsc-pattern is one.
class Pattern {
public:
    explicit Pattern(const std::string& text) : valid_(regcomp(&regex_, text.c_str(), REG_EXTENDED) == 0) {}
    Pattern(const Pattern&) = delete;
    Pattern& operator=(const Pattern&) = delete;
    ~Pattern() {
        if (valid_) regfree(&regex_);
    }
    [[nodiscard]] bool valid() const { return valid_; }
    [[nodiscard]] std::optional<std::vector<std::string>> match(const std::string& text) const {
        std::vector<regmatch_t> found(regex_.re_nsub + 1);
        if (regexec(&regex_, text.c_str(), found.size(), found.data(), 0) != 0) return std::nullopt;
        std::vector<std::string> parts;
        for (const regmatch_t& m : found) {
            parts.push_back(m.rm_so < 0 ? std::string{}
                                        : text.substr(static_cast<std::size_t>(m.rm_so),
                                                      static_cast<std::size_t>(m.rm_eo - m.rm_so)));
        }
        return parts;
    }

private:
    regex_t regex_{};
    bool valid_;
};

void unpack_pattern(Scheduler& s, const xml::Node& constraint) {
    std::string_view text = constraint.get("rsc-pattern");
    const bool invert = text.starts_with('!');
    if (invert) text.remove_prefix(1);
    const Pattern pattern{std::string(text)};
    if (!pattern.valid()) {
        s.c.config_error(
            fmt::format("Ignoring constraint '{}' because rsc-pattern has invalid value '{}'", constraint.id(), text));
        return;
    }
    for (Resource* rsc : s.c.resources) {
        const auto matches = pattern.match(rsc->id);
        if (matches && !invert) location_for(s, constraint, *rsc, std::nullopt, std::nullopt, *matches);
        if (!matches && invert) location_for(s, constraint, *rsc, std::nullopt, std::nullopt, {});
    }
}

}  // namespace

Location* add_location(Scheduler& s, std::string id, Resource& rsc, std::optional<std::string_view> discovery) {
    Discovery mode = Discovery::kAlways;
    if (discovery && same_ignoring_case(*discovery, "never")) {
        mode = Discovery::kNever;
    } else if (discovery && same_ignoring_case(*discovery, "exclusive")) {
        mode = Discovery::kExclusive;
        rsc.exclusive_discovery = true;
    } else if (discovery && !same_ignoring_case(*discovery, "always")) {
        s.c.config_error(fmt::format("Invalid resource-discovery value {} in location constraint {}", *discovery, id));
    }
    Location& location = s.locations.emplace_back();
    location.id = std::move(id);
    location.rsc = &rsc;
    location.discovery = mode;
    return &location;
}

void unpack_location(Scheduler& s, const xml::NodePtr& original) {
    const xml::NodePtr constraint = expand_tags(
        s, original,
        {{.attribute = "rsc", .role_attribute = "role", .set_attribute = "role", .convert_resource = false}});
    if (!constraint) return;
    const auto sets = resource_sets(s, *constraint);
    if (!sets) return;
    for (const xml::Node* set : *sets) {
        for (const std::string_view id : references(*set)) {
            Resource* rsc = constraint_resource(s, id);
            if (rsc == nullptr) {
                s.c.config_error(fmt::format("{}: No resource found for {}", set->id(), id));
                return;
            }
            location_for(s, *constraint, *rsc, set->attribute("role"), set->attribute("score"), {});
        }
    }
    if (!sets->empty()) return;
    if (const auto id = constraint->attribute("rsc")) {
        if (Resource* rsc = constraint_resource(s, *id)) {
            location_for(s, *constraint, *rsc, std::nullopt, std::nullopt, {});
        }
    }
    if (constraint->has("rsc-pattern")) unpack_pattern(s, *constraint);
}

}  // namespace systole::scheduler
