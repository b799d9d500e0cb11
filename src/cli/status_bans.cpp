#include "cli/status_bans.h"

#include <regex.h>

#include <algorithm>

#include "base/text.h"
#include "rules/evaluate.h"

namespace systole::cli {
namespace {

using model::Cluster;
using model::Node;
using model::Resource;

struct Target {
    const Resource* resource;
    std::vector<std::string> matches;  // of rsc-pattern
};

void find_by_pattern(const Cluster& cluster, std::string_view pattern, std::vector<Target>& targets) {
    const bool inverted = pattern.starts_with('!');
    regex_t compiled{};
    if (regcomp(&compiled, std::string(pattern.substr(inverted ? 1 : 0)).c_str(), REG_EXTENDED) != 0) return;
    for (const Resource* resource : cluster.resources) {
        regmatch_t groups[10];
        const bool hit = regexec(&compiled, resource->id.c_str(), 10, groups, 0) == 0;
        if (hit == inverted) continue;
        Target target{resource, {}};
        for (const regmatch_t& group : groups) {
            if (inverted || group.rm_so < 0) break;
            target.matches.push_back(resource->id.substr(static_cast<std::size_t>(group.rm_so),
                                                         static_cast<std::size_t>(group.rm_eo - group.rm_so)));
        }
        targets.push_back(std::move(target));
    }
    regfree(&compiled);
}

// A constraint may name a resource, or a tag or template that stands for several.
void find_by_name(const Cluster& cluster, std::string_view name, std::vector<Target>& targets) {
    if (const Resource* resource = cluster.find_resource(name)) {
        targets.push_back({resource, {}});
        return;
    }
    for (const auto* table : {&cluster.tags, &cluster.templates}) {
        const auto found = table->find(name);
        if (found == table->end()) continue;
        for (const std::string& id : found->second) {
            if (const Resource* resource = cluster.find_resource(id)) targets.push_back({resource, {}});
        }
    }
}

// The score that a constraint's rules give a node.
Score rules_score(const Cluster& cluster, const xml::Node& constraint, const Node& node, const Target& target,
                  bool& promoted_only) {
    Score sum{0};
    for (const xml::NodePtr& rule : constraint.children()) {
        if (!rule->is("rule")) continue;
        rules::Input input;
        input.now = cluster.now;
        input.node_attribute = [&node](std::string_view name) { return node.attribute(name); };
        input.pattern_matches = target.matches;
        if (!rules::evaluate_rule(*rule, input).holds()) continue;
        std::string_view text = rule->get("score");
        if (const auto attribute = rule->attribute("score-attribute")) text = node.attribute(*attribute).value_or("");
        sum += cluster.options.score(text).value_or(Score{0});
        if (model::parse_role(rule->get("role")) == model::Role::kPromoted) promoted_only = true;
    }
    return sum;
}

void add_bans(const Cluster& cluster, const xml::Node& constraint, const xml::Node& place, std::string_view role,
              const std::vector<Target>& targets, std::vector<model::Ban>& bans) {
    for (const Target& target : targets) {
        for (const Node* node : cluster.nodes) {
            bool promoted_only = model::parse_role(role) == model::Role::kPromoted;
            Score score{0};
            if (const auto name = place.attribute("node")) {
                if (!same_ignoring_case(*name, node->name)) continue;
                score = cluster.options.score(place.get("score", constraint.get("score"))).value_or(Score{0});
            } else {
                score = rules_score(cluster, place, *node, target, promoted_only);
            }
            if (score < Score{0}) {
                bans.push_back({std::string(constraint.id()), target.resource->id, node, score, promoted_only});
            }
        }
    }
}

}  // namespace

std::vector<model::Ban> ban_list(const Cluster& cluster, std::string_view prefix) {
    std::vector<model::Ban> bans;
    const xml::Node* configuration = cluster.cib->child("configuration");
    const xml::Node* constraints = configuration == nullptr ? nullptr : configuration->child("constraints");
    if (constraints == nullptr) return bans;
    rules::Input input;
    input.now = cluster.now;
    const auto children = constraints->children();
    for (auto it = children.rbegin(); it != children.rend(); ++it) {
        const xml::Node& constraint = **it;
        if (!constraint.is("rsc_location") || !constraint.id().starts_with(prefix)) continue;
        if (const xml::Node* lifetime = constraint.child("lifetime")) {
            if (!rules::evaluate_rules_of(*lifetime, input).holds()) continue;
        }
        std::vector<Target> targets;
        if (const auto pattern = constraint.attribute("rsc-pattern")) find_by_pattern(cluster, *pattern, targets);
        if (const auto name = constraint.attribute("rsc")) find_by_name(cluster, *name, targets);
        add_bans(cluster, constraint, constraint, constraint.get("role"), targets, bans);
        for (const xml::NodePtr& set : constraint.children()) {
            if (!set->is("resource_set")) continue;
            targets.clear();
            for (const xml::NodePtr& member : set->children()) {
                if (member->is("resource_ref")) find_by_name(cluster, member->id(), targets);
            }
            add_bans(cluster, constraint, constraint, set->get("role", constraint.get("role")), targets, bans);
        }
    }
    return bans;
}

}  // namespace systole::cli
