#pragma once
// xml/xpath.h — XPath 1.0 over the immutable tree.
//
// Location paths with the usual axes, predicates and functions are evaluated on our own tree at the cost of what they
// walk, and subtrees whose sieve excludes a match are not walked. An expression with anything else (arithmetic, rare
// axes and functions) is evaluated by libxml2 on a converted copy: same results, at the cost of the whole document.
// Source: XPath 1.0; protocol sheet cib.md, section 5, for what a match of the CIB is.
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "xml/edit.h"

namespace systole::xml {

class XPath {
public:
    /// Errors: kInvalid, with the expression and the parser's own words, if it is not well-formed.
    static Result<XPath> compile(std::string_view expression);

    /// The matching elements in document order, each once. A matching attribute, text or comment stands for the element
    /// around it, the document node for the root element. An expression that has no node-set as its value, or that
    /// begins at a context node (there is none), matches nothing.
    [[nodiscard]] std::vector<Path> find(const Node& root) const;
    /// As find, but no more than the first match.
    [[nodiscard]] std::vector<Path> find_first(const Node& root) const;
    /// Is it evaluated without libxml2? For tests and for those who want to know what a request costs.
    [[nodiscard]] bool is_native() const { return native_ != nullptr; }

    struct Expression;

private:
    std::string text_;
    std::shared_ptr<const Expression> native_;
};

}  // namespace systole::xml
