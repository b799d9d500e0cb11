#pragma once
// xml/xpath_parse.h — an XPath expression as a tree of its parts. Internal to xml/xpath.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "xml/xpath.h"

namespace systole::xml {

enum class Axis : std::uint8_t {
    kChild,
    kDescendant,
    kDescendantOrSelf,
    kSelf,
    kParent,
    kAncestor,
    kAncestorOrSelf,
    kAttribute,
};

struct XPathStep {
    enum class Test : std::uint8_t { kName, kAny, kNode, kText, kComment };
    Axis axis{};
    Test test{};
    std::string name;
    std::vector<XPath::Expression> predicates;
    bool positional = false;  ///< some predicate depends on position() or last()
    Node::Sieve sieve{};      ///< what an element that this step can match has for sure
};

struct XPath::Expression {
    enum class Op : std::uint8_t {
        kOr,
        kAnd,
        kEqual,
        kNotEqual,
        kLess,
        kLessOrEqual,
        kGreater,
        kGreaterOrEqual,
        kUnion,
        kNumber,
        kString,
        kFunction,
        kPath,
    };
    Op op{};
    double number = 0;
    std::string text;  ///< literal, or function name
    std::vector<Expression> arguments;
    bool absolute = false;
    std::vector<XPathStep> steps;
};

/// Empty where the expression has anything that we leave to libxml2, malformed ones included.
std::optional<XPath::Expression> parse_xpath(std::string_view text);

}  // namespace systole::xml
