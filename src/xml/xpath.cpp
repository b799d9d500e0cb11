#include "xml/xpath.h"

#include <fmt/format.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <variant>

#include "base/text.h"
#include "xml/xpath_parse.h"

namespace systole::xml {
namespace {

using Expression = XPath::Expression;
using Op = Expression::Op;
using Test = XPathStep::Test;

/// Where the evaluation is: the nodes from the document node (null) down, and the way there.
struct Cursor {
    std::vector<const Node*> nodes{nullptr};
    Path path{};  // path[0] is the root element's place below the document node, always 0
    const Attribute* attribute = nullptr;

    [[nodiscard]] const Node* node() const { return nodes.back(); }
    void down(std::uint32_t index, const Node& child) {
        path.push_back(index);
        nodes.push_back(&child);
    }
    void up() {
        path.pop_back();
        nodes.pop_back();
    }
};

using Visit = std::function<bool(Cursor&)>;  // true: enough seen

void append_text(std::string& out, const Node& node) {
    if (node.kind() == Kind::kText || node.kind() == Kind::kCData) out += node.text();
    for (const NodePtr& c : node.children()) append_text(out, *c);
}

std::string string_value(const Cursor& c) {
    if (c.attribute != nullptr) return std::string(c.attribute->value.view());
    if (c.node() == nullptr) return {};
    if (!c.node()->is_element()) return c.node()->text();
    std::string out;
    append_text(out, *c.node());
    return out;
}

double to_number(std::string_view text) {
    text = trim(text);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size())
        return std::numeric_limits<double>::quiet_NaN();
    return value;
}

std::string to_text(double number) {
    if (std::isnan(number)) return "NaN";
    if (number == std::floor(number) && std::abs(number) < 1e15) return std::to_string(static_cast<long long>(number));
    return fmt::format("{}", number);
}

class Evaluator {
public:
    explicit Evaluator(const Node& root) : root_(root) {}

    /// All matches of a node-set expression; each Path without the document node's 0.
    std::vector<Path> find(const Expression& e, bool first_only) {
        std::vector<Path> found;
        bool ordered = true;
        if (e.op == Op::kUnion) {
            for (const Expression& part : e.arguments) std::ranges::copy(find(part, false), std::back_inserter(found));
            ordered = false;
        } else if (e.op == Op::kPath && e.absolute) {
            const bool streams =
                std::ranges::none_of(e.steps, [](const XPathStep& s) { return s.positional; }) && is_forward(e.steps);
            Cursor document;
            walk(e.steps, 0, document, [&](Cursor& c) {
                found.emplace_back(c.path.begin() + (c.path.empty() ? 0 : 1), c.path.end());
                return first_only && streams;
            });
            ordered = streams;
        }
        if (!ordered || !std::ranges::is_sorted(found)) std::ranges::sort(found);
        found.erase(std::unique(found.begin(), found.end()), found.end());
        if (first_only && found.size() > 1) found.resize(1);
        return found;
    }

private:
    struct Focus {
        std::size_t position = 1;
        std::size_t last = 1;
    };
    using Value = std::variant<bool, double, std::string, std::vector<std::string>>;  // a node-set as string values

    static bool is_forward(const std::vector<XPathStep>& steps) {
        return std::ranges::all_of(steps, [](const XPathStep& s) {
            return s.axis == Axis::kChild || s.axis == Axis::kSelf || s.axis == Axis::kAttribute ||
                   s.axis == Axis::kDescendant || s.axis == Axis::kDescendantOrSelf;
        });
    }

    std::uint32_t child_count(const Cursor& c) const {
        return c.node() == nullptr ? 1U : static_cast<std::uint32_t>(c.node()->children().size());
    }
    const Node& child(const Cursor& c, std::uint32_t i) const {
        return c.node() == nullptr ? root_ : *c.node()->children()[i];
    }

    static bool passes_test(const XPathStep& step, const Node* node) {
        switch (step.test) {
            case Test::kNode: return true;
            case Test::kName: return node != nullptr && node->is(step.name);
            case Test::kAny: return node != nullptr && node->is_element();
            case Test::kText: return node != nullptr && (node->kind() == Kind::kText || node->kind() == Kind::kCData);
            case Test::kComment: return node != nullptr && node->kind() == Kind::kComment;
        }
        return false;
    }
    bool passes(const XPathStep& step, Cursor& c) {
        return passes_test(step, c.node()) &&
               std::ranges::all_of(step.predicates, [&](const Expression& p) { return holds(p, c, {}); });
    }

    bool walk(const std::vector<XPathStep>& steps, std::size_t i, Cursor& c, const Visit& visit) {
        if (i == steps.size()) return visit(c);
        const XPathStep& step = steps[i];
        if (c.attribute != nullptr && step.axis != Axis::kSelf && step.axis != Axis::kParent) return false;
        const auto go_on = [&](Cursor& at) { return walk(steps, i + 1, at, visit); };
        switch (step.axis) {
            case Axis::kSelf: return passes(step, c) && go_on(c);
            case Axis::kChild: return step.positional ? positional_children(step, c, go_on) : children(step, c, go_on);
            case Axis::kDescendantOrSelf:
                if (step.positional) return false;
                return (passes(step, c) && go_on(c)) || descendants(step, c, go_on);
            case Axis::kDescendant: return descendants(step, c, go_on);
            case Axis::kAttribute: return attributes(step, c, go_on);
            case Axis::kParent: return step_up(step, c, false, false, go_on);
            case Axis::kAncestor: return step_up(step, c, true, false, go_on);
            case Axis::kAncestorOrSelf: return step_up(step, c, true, true, go_on);
        }
        return false;
    }
    bool children(const XPathStep& step, Cursor& c, const Visit& visit) {
        for (std::uint32_t i = 0, n = child_count(c); i < n; ++i) {
            const Node& next = child(c, i);
            if (!passes_test(step, &next)) continue;
            c.down(i, next);
            const bool enough = passes(step, c) && visit(c);
            c.up();
            if (enough) return true;
        }
        return false;
    }
    bool positional_children(const XPathStep& step, Cursor& c, const Visit& visit) {
        std::vector<std::uint32_t> left;
        for (std::uint32_t i = 0, n = child_count(c); i < n; ++i)
            if (passes_test(step, &child(c, i))) left.push_back(i);
        for (const Expression& predicate : step.predicates) {
            std::vector<std::uint32_t> kept;
            for (std::size_t k = 0; k < left.size(); ++k) {
                c.down(left[k], child(c, left[k]));
                if (holds(predicate, c, {k + 1, left.size()})) kept.push_back(left[k]);
                c.up();
            }
            left = std::move(kept);
        }
        for (const std::uint32_t i : left) {
            c.down(i, child(c, i));
            const bool enough = visit(c);
            c.up();
            if (enough) return true;
        }
        return false;
    }
    bool descendants(const XPathStep& step, Cursor& c, const Visit& visit) {
        for (std::uint32_t i = 0, n = child_count(c); i < n; ++i) {
            const Node& next = child(c, i);
            if (!next.sieve().covers(step.sieve)) continue;
            c.down(i, next);
            const bool enough = (passes(step, c) && visit(c)) || descendants(step, c, visit);
            c.up();
            if (enough) return true;
        }
        return false;
    }
    bool attributes(const XPathStep& step, Cursor& c, const Visit& visit) {
        if (c.node() == nullptr || (step.test != Test::kName && step.test != Test::kAny && step.test != Test::kNode))
            return false;
        for (const Attribute& a : c.node()->attributes()) {
            if (step.test == Test::kName && a.name.view() != step.name) continue;
            c.attribute = &a;
            const bool enough =
                std::ranges::all_of(step.predicates, [&](const Expression& p) { return holds(p, c, {}); }) && visit(c);
            c.attribute = nullptr;
            if (enough) return true;
        }
        return false;
    }
    /// Upwards, with what was left behind put back afterwards.
    bool step_up(const XPathStep& step, Cursor& c, bool all, bool with_self, const Visit& visit) {
        Cursor at = c;
        if (at.attribute != nullptr) {
            at.attribute = nullptr;
        } else if (!with_self) {
            if (at.path.empty()) return false;
            at.up();
        }
        for (;;) {
            if (passes(step, at) && visit(at)) return true;
            if (!all || at.path.empty()) return false;
            at.up();
        }
    }

    Cursor start_of(const Expression& path, const Cursor& c) const { return path.absolute ? Cursor{} : c; }

    /// A predicate's truth: a number means "at this position".
    bool holds(const Expression& e, Cursor& c, Focus focus) {
        if (e.op == Op::kNumber || e.op == Op::kFunction) {
            const Value v = value(e, c, focus);
            if (const auto* number = std::get_if<double>(&v)) return static_cast<double>(focus.position) == *number;
            return truth(v);
        }
        return holds_as_bool(e, c, focus);
    }
    bool holds_as_bool(const Expression& e, Cursor& c, Focus focus) {
        if (e.op == Op::kOr) return holds_as_bool(e.arguments[0], c, focus) || holds_as_bool(e.arguments[1], c, focus);
        if (e.op == Op::kAnd) return holds_as_bool(e.arguments[0], c, focus) && holds_as_bool(e.arguments[1], c, focus);
        if (e.op == Op::kPath) return any(e, c, [](Cursor&) { return true; });
        if (e.op == Op::kEqual || e.op == Op::kNotEqual) return compare_equality(e, c, focus);
        return truth(value(e, c, focus));
    }
    bool any(const Expression& path, Cursor& c, const Visit& test) {
        if (!path.absolute) return walk(path.steps, 0, c, test);
        Cursor document;
        return walk(path.steps, 0, document, test);
    }
    /// Most predicates are `@name='value'`: those need no copies.
    bool compare_equality(const Expression& e, Cursor& c, Focus focus) {
        const Expression* left = &e.arguments[0];
        const Expression* right = &e.arguments[1];
        if (left->op != Op::kPath) std::swap(left, right);
        if (left->op == Op::kPath && right->op == Op::kString) {
            const bool equal = e.op == Op::kEqual;
            return any(*left, c, [&](Cursor& at) {
                if (at.attribute != nullptr) return (at.attribute->value.view() == right->text) == equal;
                return (string_value(at) == right->text) == equal;
            });
        }
        return relate(e.op, value(e.arguments[0], c, focus), value(e.arguments[1], c, focus));
    }

    static bool truth(const Value& v) {
        if (const auto* b = std::get_if<bool>(&v)) return *b;
        if (const auto* d = std::get_if<double>(&v)) return *d != 0 && !std::isnan(*d);
        if (const auto* s = std::get_if<std::string>(&v)) return !s->empty();
        return !std::get<std::vector<std::string>>(v).empty();
    }
    static std::string text_of(const Value& v) {
        if (const auto* b = std::get_if<bool>(&v)) return *b ? "true" : "false";
        if (const auto* d = std::get_if<double>(&v)) return to_text(*d);
        if (const auto* s = std::get_if<std::string>(&v)) return *s;
        const auto& set = std::get<std::vector<std::string>>(v);
        return set.empty() ? std::string{} : set.front();
    }
    static double number_of(const Value& v) {
        if (const auto* b = std::get_if<bool>(&v)) return *b ? 1 : 0;
        if (const auto* d = std::get_if<double>(&v)) return *d;
        return to_number(text_of(v));
    }
    static bool order(Op op, double a, double b) {
        if (op == Op::kEqual) return a == b;
        if (op == Op::kNotEqual) return a != b;
        if (op == Op::kLess) return a < b;
        if (op == Op::kLessOrEqual) return a <= b;
        if (op == Op::kGreater) return a > b;
        return a >= b;
    }
    /// XPath 1.0, section 3.4.
    static bool relate(Op op, const Value& a, const Value& b) {
        if (std::holds_alternative<bool>(a) || std::holds_alternative<bool>(b))
            return order(op, truth(a) ? 1 : 0, truth(b) ? 1 : 0);
        if (const auto* set = std::get_if<std::vector<std::string>>(&a))
            return std::ranges::any_of(*set, [&](const std::string& s) { return relate(op, Value(s), b); });
        if (const auto* set = std::get_if<std::vector<std::string>>(&b))
            return std::ranges::any_of(*set, [&](const std::string& s) { return relate(op, a, Value(s)); });
        const bool texts = std::holds_alternative<std::string>(a) && std::holds_alternative<std::string>(b);
        if (texts && op == Op::kEqual) return std::get<std::string>(a) == std::get<std::string>(b);
        if (texts && op == Op::kNotEqual) return std::get<std::string>(a) != std::get<std::string>(b);
        return order(op, number_of(a), number_of(b));
    }

    Value value(const Expression& e, Cursor& c, Focus focus) {
        switch (e.op) {
            case Op::kNumber: return e.number;
            case Op::kString: return e.text;
            case Op::kPath:
            case Op::kUnion: {
                std::vector<std::string> values;
                const auto collect = [&](const Expression& path) {
                    any(path, c, [&](Cursor& at) {
                        values.push_back(string_value(at));
                        return false;
                    });
                };
                if (e.op == Op::kPath) {
                    collect(e);
                } else {
                    for (const Expression& part : e.arguments) {
                        const Value v = value(part, c, focus);
                        std::ranges::copy(std::get<std::vector<std::string>>(v), std::back_inserter(values));
                    }
                }
                return values;
            }
            case Op::kOr:
            case Op::kAnd:
            case Op::kEqual:
            case Op::kNotEqual: return holds_as_bool(e, c, focus);
            case Op::kLess:
            case Op::kLessOrEqual:
            case Op::kGreater:
            case Op::kGreaterOrEqual:
                return relate(e.op, value(e.arguments[0], c, focus), value(e.arguments[1], c, focus));
            case Op::kFunction: return call(e, c, focus);
        }
        return false;
    }
    Value call(const Expression& e, Cursor& c, Focus focus) {
        const auto text = [&](std::size_t i) {
            return i < e.arguments.size() ? text_of(value(e.arguments[i], c, focus)) : string_value(c);
        };
        if (e.text == "not") return !holds_as_bool(e.arguments[0], c, focus);
        if (e.text == "boolean") return holds_as_bool(e.arguments[0], c, focus);
        if (e.text == "true") return true;
        if (e.text == "false") return false;
        if (e.text == "position") return static_cast<double>(focus.position);
        if (e.text == "last") return static_cast<double>(focus.last);
        if (e.text == "contains") return text(0).find(text(1)) != std::string::npos;
        if (e.text == "starts-with") return text(0).starts_with(text(1));
        if (e.text == "string") return text(0);
        if (e.text == "number") return to_number(text(0));
        if (e.text == "string-length") {
            const std::string s = text(0);  // in characters, not bytes
            return static_cast<double>(
                std::ranges::count_if(s, [](char ch) { return (static_cast<unsigned char>(ch) & 0xC0U) != 0x80U; }));
        }
        if (e.text == "normalize-space") {
            const std::string s = text(0);
            std::string out;
            for (const std::string_view word : split(s, " \t\r\n")) {
                if (!out.empty()) out += ' ';
                out += word;
            }
            return out;
        }
        if (e.text == "concat") {
            std::string out;
            for (std::size_t i = 0; i < e.arguments.size(); ++i) out += text(i);
            return out;
        }
        // name and local-name: the parser lets no other function through.
        if (c.attribute != nullptr) return std::string(c.attribute->name.view());
        return c.node() != nullptr && c.node()->is_element() ? std::string(c.node()->name()) : std::string{};
    }

    const Node& root_;
};

// ---- What we leave to libxml2 ---------------------------------------------------------------------------------------

struct FreeXml {
    void operator()(xmlDocPtr p) const { xmlFreeDoc(p); }
    void operator()(xmlXPathContextPtr p) const { xmlXPathFreeContext(p); }
    void operator()(xmlXPathCompExprPtr p) const { xmlXPathFreeCompExpr(p); }
    void operator()(xmlXPathObjectPtr p) const { xmlXPathFreeObject(p); }
};
template <class T>
using Owned = std::unique_ptr<T, FreeXml>;

const xmlChar* chars(const std::string& text) { return reinterpret_cast<const xmlChar*>(text.c_str()); }

/// A copy for libxml2; each node's _private is its index among its siblings.
xmlNodePtr convert(const Node& node, xmlDocPtr document, std::uintptr_t index) {
    xmlNodePtr copy = nullptr;
    const std::string name(node.name());
    switch (node.kind()) {
        case Kind::kElement: copy = xmlNewDocNode(document, nullptr, chars(name), nullptr); break;
        case Kind::kComment: copy = xmlNewDocComment(document, chars(node.text())); break;
        case Kind::kText: copy = xmlNewDocText(document, chars(node.text())); break;
        case Kind::kCData: {
            const std::string text = node.text();
            copy = xmlNewCDataBlock(document, chars(text), static_cast<int>(text.size()));
            break;
        }
    }
    if (copy == nullptr) return nullptr;
    copy->_private = reinterpret_cast<void*>(index);
    if (!node.is_element()) return copy;
    for (const Attribute& a : node.attributes())
        xmlNewProp(copy, chars(std::string(a.name.view())), chars(std::string(a.value.view())));
    std::uintptr_t i = 0;
    for (const NodePtr& c : node.children()) {
        xmlNodePtr below = convert(*c, document, i++);
        if (below == nullptr) continue;
        // Not xmlAddChild: it would merge neighbouring text nodes and shift the indexes.
        below->parent = copy;
        below->prev = copy->last;
        if (copy->last != nullptr)
            copy->last->next = below;
        else
            copy->children = below;
        copy->last = below;
    }
    return copy;
}

void keep_first_error(void* user, xmlErrorPtr error) {
    auto& words = *static_cast<std::string*>(user);
    if (!words.empty() || error->message == nullptr) return;
    words = error->message;
    while (words.ends_with('\n')) words.pop_back();
}

void say_nothing(void*, const char*, ...) {}

Owned<xmlXPathCompExpr> compile_foreign(const std::string& text, std::string& error) {
    const Owned<xmlXPathContext> context(xmlXPathNewContext(nullptr));
    if (!context) return nullptr;
    context->error = keep_first_error;
    context->userData = &error;
    return Owned<xmlXPathCompExpr>(xmlXPathCtxtCompile(context.get(), chars(text)));
}

std::vector<Path> find_foreign(const std::string& text, const Node& root) {
    std::string error;
    const Owned<xmlXPathCompExpr> compiled = compile_foreign(text, error);
    const Owned<xmlDoc> document(xmlNewDoc(chars("1.0")));
    if (!compiled || !document) return {};
    xmlDocSetRootElement(document.get(), convert(root, document.get(), 0));
    const Owned<xmlXPathContext> context(xmlXPathNewContext(document.get()));
    if (!context) return {};
    context->error = keep_first_error;
    context->userData = &error;
    // Some of libxml2's complaints pass by the context's handler and would go to standard error.
    xmlSetGenericErrorFunc(nullptr, say_nothing);
    const Owned<xmlXPathObject> result(xmlXPathCompiledEval(compiled.get(), context.get()));
    xmlSetGenericErrorFunc(nullptr, nullptr);
    std::vector<Path> found;
    if (!result || result->type != XPATH_NODESET || result->nodesetval == nullptr) return found;
    for (int i = 0; i < result->nodesetval->nodeNr; ++i) {
        const xmlNode* node = result->nodesetval->nodeTab[i];
        if (node->type == XML_NAMESPACE_DECL) continue;
        if (node->type == XML_ATTRIBUTE_NODE || node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE)
            node = node->parent;
        Path path;
        for (; node->parent != nullptr && node->parent->type != XML_DOCUMENT_NODE && node->type != XML_DOCUMENT_NODE;
             node = node->parent)
            path.push_back(static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(node->_private)));
        std::ranges::reverse(path);
        found.push_back(std::move(path));
    }
    std::ranges::sort(found);
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

/// Matches that are no elements stand for the element around them; a comment beside the root stands for nothing.
std::vector<Path> lifted(std::vector<Path> found, const Node& root) {
    bool changed = false;
    for (Path& path : found) {
        const Node* node = node_at(root, path);
        if (node == nullptr || node->is_element() || path.empty()) continue;
        path.pop_back();
        changed = true;
    }
    if (changed) {
        std::ranges::sort(found);
        found.erase(std::unique(found.begin(), found.end()), found.end());
    }
    return found;
}

}  // namespace

Result<XPath> XPath::compile(std::string_view expression) {
    XPath xpath;
    xpath.text_ = expression;
    if (auto native = parse_xpath(expression)) {
        xpath.native_ = std::make_shared<const Expression>(std::move(*native));
        return xpath;
    }
    std::string error;
    if (!compile_foreign(xpath.text_, error))
        return fail(Errc::kInvalid, fmt::format("XPath '{}': {}", expression, error.empty() ? "malformed" : error));
    return xpath;
}

std::vector<Path> XPath::find(const Node& root) const {
    if (!native_) return find_foreign(text_, root);
    return lifted(Evaluator(root).find(*native_, false), root);
}

std::vector<Path> XPath::find_first(const Node& root) const {
    if (!native_) {
        std::vector<Path> found = find_foreign(text_, root);
        if (found.size() > 1) found.resize(1);
        return found;
    }
    return lifted(Evaluator(root).find(*native_, true), root);
}

}  // namespace systole::xml
