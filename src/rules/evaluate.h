#pragma once
// rules/evaluate.h — whether a rule of the CIB holds, and until when at least.
//
// A pure function of the rule's XML and an Input. The XML may come from a user: whatever can't be understood makes the
// condition fail and is told in `problems`, which name element, id and attribute.
// Source: Pacemaker Explained, "Rules".
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "rules/iso8601.h"
#include "xml/tree.h"

namespace systole::rules {

/// Looks a name up; empty if there is no such thing. The view must live until evaluation ends.
using Lookup = std::function<std::optional<std::string_view>(std::string_view name)>;

/// Finds the element that an id-ref of an element of that name points to; null if there is none.
using ResolveRef = std::function<const xml::Node*(std::string_view element_name, std::string_view id)>;

/// What conditions are compared with. A part that is absent makes conditions that need it fail (an `expression`
/// without node attributes, `rsc_expression` without a resource, `op_expression` without an operation), as
/// documented for the places where such conditions can't be used.
struct Input {
    DateTime now;           ///< with the machine's offset: date_spec and dates without zone mean local time
    Lookup node_attribute;  ///< node attributes and the built-in #uname, #id, #kind, #is_dc, ...
    Lookup resource_param;  ///< for value-source="param"
    Lookup resource_meta;   ///< for value-source="meta"
    /// For location constraints with rsc-pattern: what %0 (all) to %9 in an expression's attribute name stand for.
    std::span<const std::string> pattern_matches;

    struct Resource {
        std::string_view standard, provider, type;
    };
    struct Operation {
        std::string_view name;
        Duration interval{0};
    };
    std::optional<Resource> resource;
    std::optional<Operation> operation;
    ResolveRef resolve;  ///< for rules that are only an id-ref; without it such a rule is invalid
};

enum class Outcome : std::uint8_t {
    kTrue,
    kFalse,
    kBefore,        ///< false: not yet in effect
    kAfter,         ///< false: has expired
    kUndetermined,  ///< false: the condition lacks something or the input does
    kInvalid,       ///< false: the condition can't be understood
};

struct Evaluation {
    Outcome outcome = Outcome::kFalse;
    /// The earliest time later than now at which a date or duration could change the outcome.
    std::optional<WallTime> next_change;
    /// The same for date_specs alone, which next_change leaves out: the field doesn't count them among the times that
    /// a transition graph names, but whoever waits for a change wants to know of them.
    std::optional<WallTime> next_date_spec;
    std::vector<std::string> problems;
    [[nodiscard]] bool holds() const { return outcome == Outcome::kTrue; }
};

/// A <rule>: its conditions joined by boolean-op ("and" by default). A rule without conditions holds.
Evaluation evaluate_rule(const xml::Node& rule, const Input& input);
/// One condition of a rule: expression, date_expression, rsc_expression, op_expression or a nested rule.
Evaluation evaluate_condition(const xml::Node& condition, const Input& input);
/// All <rule> children of `parent`: it applies if it has none, or any of them holds. A <lifetime> child of a
/// constraint is asked the same way.
Evaluation evaluate_rules_of(const xml::Node& parent, const Input& input);

/// Whether any condition below `rule` depends on node attributes (so that the result differs from node to node).
bool depends_on_node(const xml::Node& rule);

/// -1, 0, 1: dotted versions part by part as numbers ("1.10" is newer than "1.9", "1.2" older than "1.2.1").
int compare_versions(std::string_view a, std::string_view b);

}  // namespace systole::rules
