#include "rules/evaluate.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "base/text.h"
#include "rules/date_expression.h"
#include "rules/nvpairs.h"

namespace systole::rules {
namespace {

constexpr int kDepthMax = 64;  // of rules within rules; the XML's own bound is higher

std::string place_of(const xml::Node& node) { return fmt::format("{} {}", node.name(), node.get("id", "without ID")); }

Evaluation invalid(std::string problem) {
    Evaluation result{Outcome::kInvalid, std::nullopt, std::nullopt, {}};
    result.problems.push_back(std::move(problem));
    return result;
}

Evaluation plain(bool holds) { return {holds ? Outcome::kTrue : Outcome::kFalse, std::nullopt, std::nullopt, {}}; }

// --- node attribute expressions ---

// The number that a text begins with, as the field reads them: what follows is passed over, nothing is an error.
std::optional<double> leading_number(std::string_view text) {
    text = trim(text);
    if (text.starts_with('+')) text.remove_prefix(1);
    double value = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end.ptr == text.data() || end.ec != std::errc{}) return std::nullopt;
    return value;
}

std::optional<long long> leading_integer(std::string_view text) {
    text = trim(text);
    if (text.starts_with('+')) text.remove_prefix(1);
    long long value = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end.ptr == text.data() || end.ec != std::errc{}) return std::nullopt;
    return value;
}

template <class T>
int three_way(const T& a, const T& b) {
    return a < b ? -1 : (b < a ? 1 : 0);
}

// Source: Pacemaker Explained, "Attributes of an expression element": type.
int compare_as(std::string_view type, std::string_view a, std::string_view b) {
    if (type == "integer") {
        const auto left = leading_integer(a);
        const auto right = leading_integer(b);
        if (left && right) return three_way(*left, *right);
    } else if (type == "number") {
        const auto left = leading_number(a);
        const auto right = leading_number(b);
        if (left && right) return three_way(*left, *right);
    } else if (type == "version") {
        return compare_versions(a, b);
    }
    return three_way(compare_ignoring_case(a, b), 0);
}

// "%1" becomes what the first group of the constraint's rsc-pattern matched.
std::string with_matches(std::string_view name, std::span<const std::string> matches) {
    std::string result;
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (name[i] == '%' && i + 1 < name.size() && name[i + 1] >= '0' && name[i + 1] <= '9' && !matches.empty()) {
            const auto group = static_cast<std::size_t>(name[++i] - '0');
            if (group < matches.size()) result += matches[group];
        } else {
            result += name[i];
        }
    }
    return result;
}

Evaluation evaluate_attribute(const xml::Node& node, const Input& input) {
    const std::string_view attribute = node.get("attribute");
    if (attribute.empty()) return invalid(fmt::format("{}: attribute is missing", place_of(node)));
    const std::string_view operation = node.get("operation");
    static constexpr std::array<std::string_view, 8> kOperations{"eq", "ne", "defined", "not_defined",
                                                                 "lt", "gt", "lte",     "gte"};
    const auto known =
        std::ranges::find_if(kOperations, [&](std::string_view o) { return same_ignoring_case(o, operation); });
    if (known == kOperations.end()) {
        return invalid(fmt::format("{}: operation '{}' is not one of lt, gt, lte, gte, eq, ne, defined, not_defined",
                                   place_of(node), operation));
    }
    const std::string_view op = *known;

    std::vector<std::string> problems;
    const std::string_view source = node.get("value-source", "literal");
    std::optional<std::string_view> reference = node.attribute("value");
    if (reference && same_ignoring_case(source, "param")) {
        reference = input.resource_param ? input.resource_param(*reference) : std::nullopt;
    } else if (reference && same_ignoring_case(source, "meta")) {
        reference = input.resource_meta ? input.resource_meta(*reference) : std::nullopt;
    } else if (!same_ignoring_case(source, "literal")) {
        problems.push_back(fmt::format("{}: value-source '{}' is not valid: using 'literal'", place_of(node), source));
    }
    std::string replaced;
    std::string_view name = attribute;
    if (!input.pattern_matches.empty() && attribute.find('%') != std::string_view::npos) {
        replaced = with_matches(attribute, input.pattern_matches);
        name = replaced;
    }
    std::optional<std::string_view> actual;
    if (input.node_attribute) actual = input.node_attribute(name);

    const bool ordering = op.starts_with('l') || op.starts_with('g');
    std::string type = to_lower(node.get("type"));
    if (type != "string" && type != "integer" && type != "number" && type != "version") {
        if (!type.empty())
            problems.push_back(fmt::format("{}: type '{}' is not valid: using the default", place_of(node), type));
        const auto has_point = [](const auto& v) { return v && v->find('.') != std::string_view::npos; };
        type = !ordering ? "string" : (has_point(actual) || has_point(reference) ? "number" : "integer");
    }

    Evaluation result;
    result.problems = std::move(problems);
    const auto answer = [&result](bool holds, Outcome otherwise) {
        result.outcome = holds ? Outcome::kTrue : otherwise;
        return result;
    };
    if (op == "defined") return answer(actual.has_value(), Outcome::kFalse);
    if (op == "not_defined") return answer(!actual.has_value(), Outcome::kFalse);
    if (!actual || !reference) {
        // Nothing equals nothing only; and nothing is before or after nothing.
        const bool same = actual.has_value() == reference.has_value();
        return answer(op == "eq" ? same : (op == "ne" ? !same : false), Outcome::kFalse);
    }
    const int order = compare_as(type, *actual, *reference);
    if (op == "eq") return answer(order == 0, Outcome::kFalse);
    if (op == "ne") return answer(order != 0, Outcome::kFalse);
    if (op == "lt") return answer(order < 0, Outcome::kAfter);
    if (op == "lte") return answer(order <= 0, Outcome::kAfter);
    if (op == "gt") return answer(order > 0, Outcome::kBefore);
    return answer(order >= 0, Outcome::kBefore);
}

// --- what is configured ---

Evaluation evaluate_resource(const xml::Node& node, const Input& input) {
    if (!input.resource) return plain(false);
    const auto matches = [&node](const char* attribute, std::string_view actual) {
        const auto wanted = node.attribute(attribute);
        return !wanted || *wanted == actual;
    };
    return plain(matches("class", input.resource->standard) && matches("provider", input.resource->provider) &&
                 matches("type", input.resource->type));
}

Evaluation evaluate_operation(const xml::Node& node, const Input& input) {
    const std::string_view name = node.get("name");
    if (name.empty()) return invalid(fmt::format("{}: name is missing", place_of(node)));
    std::optional<Duration> interval;
    if (const auto text = node.attribute("interval")) {
        interval = parse_interval_spec(*text);
        if (!interval) return invalid(fmt::format("{}: interval '{}' is not valid", place_of(node), *text));
    }
    if (!input.operation) return plain(false);
    return plain(name == input.operation->name && (!interval || *interval == input.operation->interval));
}

void absorb(Evaluation& into, Evaluation&& one) {
    into.next_change = earlier(into.next_change, one.next_change);
    into.next_date_spec = earlier(into.next_date_spec, one.next_date_spec);
    std::ranges::move(one.problems, std::back_inserter(into.problems));
}

Evaluation evaluate_rule_at(const xml::Node& given, const Input& input, int depth);

Evaluation evaluate_condition_at(const xml::Node& node, const Input& input, int depth) {
    if (node.is("rule")) return evaluate_rule_at(node, input, depth + 1);
    if (node.is("expression")) return evaluate_attribute(node, input);
    if (node.is("date_expression")) return evaluate_date_expression(node, input.now);
    if (node.is("rsc_expression")) return evaluate_resource(node, input);
    if (node.is("op_expression")) return evaluate_operation(node, input);
    return invalid(fmt::format("{} is no condition that a rule can have", place_of(node)));
}

Evaluation evaluate_rule_at(const xml::Node& given, const Input& input, int depth) {
    const xml::Node* rule = &given;
    if (const auto reference = given.attribute("id-ref")) {
        rule = input.resolve ? input.resolve("rule", *reference) : nullptr;
        if (rule == nullptr) return invalid(fmt::format("rule: id-ref '{}' points to no rule", *reference));
    }
    if (rule->id().empty()) return invalid("rule without ID");
    if (depth > kDepthMax)
        return invalid(fmt::format("{}: rules are nested more than {} deep", place_of(*rule), kDepthMax));
    const std::string_view boolean_op = rule->get("boolean-op", "and");
    const bool all = same_ignoring_case(boolean_op, "and");
    if (!all && !same_ignoring_case(boolean_op, "or")) {
        return invalid(fmt::format("{}: boolean-op '{}' is neither 'and' nor 'or'", place_of(*rule), boolean_op));
    }

    Evaluation result{Outcome::kTrue, std::nullopt, std::nullopt, {}};
    bool empty = true;
    for (const xml::NodePtr& condition : rule->children()) {
        if (!condition->is_element()) continue;
        Evaluation one = evaluate_condition_at(*condition, input, depth);
        if (all || empty || one.holds()) result.outcome = one.outcome;
        empty = false;
        const bool decided = one.holds() != all;
        absorb(result, std::move(one));
        if (decided) break;
    }
    if (empty) result.problems.push_back(fmt::format("{} has no conditions: it always holds", place_of(*rule)));
    if (const auto negate = rule->attribute("negate"); negate && parse_bool(*negate).value_or(false)) {
        if (result.outcome == Outcome::kTrue) {
            result.outcome = Outcome::kFalse;
        } else if (result.outcome != Outcome::kInvalid && result.outcome != Outcome::kUndetermined) {
            result.outcome = Outcome::kTrue;
        }
    }
    return result;
}

bool depends_on_node_at(const xml::Node& node, int depth) {
    if (node.is("expression")) return true;
    return depth <= kDepthMax && std::ranges::any_of(node.children(), [depth](const xml::NodePtr& child) {
               return depends_on_node_at(*child, depth + 1);
           });
}

}  // namespace

Evaluation evaluate_rule(const xml::Node& rule, const Input& input) { return evaluate_rule_at(rule, input, 0); }

Evaluation evaluate_condition(const xml::Node& condition, const Input& input) {
    return evaluate_condition_at(condition, input, 0);
}

Evaluation evaluate_rules_of(const xml::Node& parent, const Input& input) {
    Evaluation result{Outcome::kTrue, std::nullopt, std::nullopt, {}};
    bool first = true;
    for (const xml::NodePtr& child : parent.children()) {
        if (!child->is("rule")) continue;
        Evaluation one = evaluate_rule(*child, input);
        if (first || one.holds()) result.outcome = one.outcome;
        first = false;
        const bool holds = one.holds();
        absorb(result, std::move(one));
        if (holds) break;
    }
    return result;
}

bool depends_on_node(const xml::Node& rule) { return depends_on_node_at(rule, 0); }

int compare_versions(std::string_view a, std::string_view b) {
    const auto left = split(a, ".");
    const auto right = split(b, ".");
    for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
        const auto part = [i](const auto& parts) {
            return i < parts.size() ? leading_integer(parts[i]).value_or(0) : 0;
        };
        if (const int order = three_way(part(left), part(right)); order != 0) return order;
    }
    return 0;
}

}  // namespace systole::rules
