#include "rules/nvpairs.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/score.h"

namespace systole::rules {
namespace {

void put(NameValues& values, std::string_view name, std::string_view value, bool overwrite) {
    const auto found = values.find(name);
    if (value == "#default") {
        if (found != values.end()) values.erase(found);
    } else if (found == values.end()) {
        values.emplace(name, value);
    } else if (overwrite) {
        found->second = value;
    }
}

}  // namespace

std::optional<WallTime> earlier(std::optional<WallTime> a, std::optional<WallTime> b) {
    if (!a || !b) return a ? a : b;
    return std::min(*a, *b);
}

std::vector<const xml::Node*> ordered_sets(const xml::Node& parent, std::string_view set_name,
                                           const ResolveRef& resolve, std::string_view first_id,
                                           std::vector<std::string>* problems) {
    struct Ranked {
        const xml::Node* set;
        bool first;
        Score score;
    };
    std::vector<Ranked> ranked;
    for (const xml::NodePtr& child : parent.children()) {
        if (!child->is(set_name)) continue;
        const xml::Node* set = child.get();
        if (const auto reference = child->attribute("id-ref")) {
            set = resolve ? resolve(set_name, *reference) : nullptr;
            if (set == nullptr) {
                if (problems != nullptr) {
                    problems->push_back(fmt::format("{} of {} {}: id-ref '{}' points to no {}", set_name, parent.name(),
                                                    parent.id(), *reference, set_name));
                }
                continue;
            }
        }
        Score score{0};
        if (const auto text = set->attribute("score")) {
            const auto parsed = parse_score(*text);
            if (!parsed && problems != nullptr) {
                problems->push_back(fmt::format("{} {}: score '{}' is not valid: using 0", set_name, set->id(), *text));
            }
            score = parsed.value_or(Score{0});
        }
        ranked.push_back({set, !first_id.empty() && set->id() == first_id, score});
    }
    // Of two sets with the same score, the later one wins.
    std::ranges::reverse(ranked);
    std::ranges::stable_sort(
        ranked, [](const Ranked& a, const Ranked& b) { return a.first != b.first ? a.first : a.score > b.score; });
    std::vector<const xml::Node*> sets;
    for (const Ranked& one : ranked) sets.push_back(one.set);
    return sets;
}

Unpacked unpack_nvpairs(const xml::Node& parent, std::string_view set_name, const Input& input,
                        const ResolveRef& resolve, NameValues& values, const UnpackOptions& options) {
    Unpacked result;
    for (const xml::Node* set : ordered_sets(parent, set_name, resolve, options.first_id, &result.problems)) {
        Evaluation rules = evaluate_rules_of(*set, input);
        result.next_change = earlier(result.next_change, rules.next_change);
        result.next_date_spec = earlier(result.next_date_spec, rules.next_date_spec);
        std::ranges::move(rules.problems, std::back_inserter(result.problems));
        if (!rules.holds()) continue;
        // Old configurations wrap the pairs into one more element.
        const xml::Node* wrapped = set->child("attributes");
        for (const xml::NodePtr& child : (wrapped != nullptr ? wrapped : set)->children()) {
            if (!child->is("nvpair")) continue;
            const xml::Node* pair = child.get();
            std::string_view name = pair->get("name");
            if (const auto reference = pair->attribute("id-ref")) {
                // A reference may rename what it refers to.
                pair = resolve ? resolve("nvpair", *reference) : nullptr;
                if (pair == nullptr) {
                    result.problems.push_back(
                        fmt::format("{} {}: nvpair id-ref '{}' points to no nvpair", set_name, set->id(), *reference));
                    continue;
                }
                if (name.empty()) name = pair->get("name");
            }
            const auto value = pair->attribute("value");
            if (name.empty() || !value) continue;
            put(values, name, *value, options.overwrite);
        }
    }
    return result;
}

}  // namespace systole::rules
