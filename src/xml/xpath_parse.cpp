#include "xml/xpath_parse.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace systole::xml {
namespace {

using Op = XPath::Expression::Op;
using Test = XPathStep::Test;

struct Known {
    std::string_view name;
    std::size_t arguments_min, arguments_max;
};
// What is not in this list is left to libxml2, which knows all of XPath 1.0.
constexpr std::array kFunctions{Known{"not", 1, 1},     Known{"contains", 2, 2}, Known{"starts-with", 2, 2},
                                Known{"true", 0, 0},    Known{"false", 0, 0},    Known{"position", 0, 0},
                                Known{"last", 0, 0},    Known{"name", 0, 0},     Known{"local-name", 0, 0},
                                Known{"string", 0, 1},  Known{"boolean", 1, 1},  Known{"string-length", 0, 1},
                                Known{"concat", 2, 16}, Known{"number", 0, 1},   Known{"normalize-space", 0, 1}};

bool name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (static_cast<unsigned char>(c) & 0x80U) != 0;
}
bool digit(char c) { return c >= '0' && c <= '9'; }
bool name_char(char c) { return name_start(c) || digit(c) || c == '-' || c == '.'; }

/// Any surprise sets `given_up_`; nothing read after that counts.
class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    std::optional<XPath::Expression> parse() {
        XPath::Expression whole = parse_or();
        skip_blanks();
        if (given_up_ || at_ != text_.size()) return std::nullopt;
        return whole;
    }

private:
    void skip_blanks() {
        while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
    }
    bool looking_at(std::string_view token) {
        skip_blanks();
        return text_.substr(at_).starts_with(token);
    }
    bool take(std::string_view token) {
        if (!looking_at(token)) return false;
        at_ += token.size();
        return true;
    }
    bool take_word(std::string_view word) {
        if (!looking_at(word)) return false;
        const std::size_t end = at_ + word.size();
        if (end < text_.size() && name_char(text_[end])) return false;
        at_ = end;
        return true;
    }
    std::string_view take_name() {
        skip_blanks();
        const std::size_t begin = at_;
        if (at_ >= text_.size() || !name_start(text_[at_])) return {};
        while (at_ < text_.size() && name_char(text_[at_])) ++at_;
        return text_.substr(begin, at_ - begin);
    }
    void give_up() { given_up_ = true; }

    XPath::Expression binary(Op op, XPath::Expression left, XPath::Expression right) {
        XPath::Expression e;
        e.op = op;
        e.arguments.push_back(std::move(left));
        e.arguments.push_back(std::move(right));
        return e;
    }
    XPath::Expression parse_or() {
        if (++depth_ > kDepthMax) give_up();
        if (given_up_) return {};
        XPath::Expression left = parse_and();
        while (!given_up_ && take_word("or")) left = binary(Op::kOr, std::move(left), parse_and());
        --depth_;
        return left;
    }
    XPath::Expression parse_and() {
        XPath::Expression left = parse_equality();
        while (!given_up_ && take_word("and")) left = binary(Op::kAnd, std::move(left), parse_equality());
        return left;
    }
    XPath::Expression parse_equality() {
        XPath::Expression left = parse_relation();
        while (!given_up_) {
            if (take("!="))
                left = binary(Op::kNotEqual, std::move(left), parse_relation());
            else if (take("="))
                left = binary(Op::kEqual, std::move(left), parse_relation());
            else
                break;
        }
        return left;
    }
    XPath::Expression parse_relation() {
        XPath::Expression left = parse_union();
        while (!given_up_) {
            if (take("<="))
                left = binary(Op::kLessOrEqual, std::move(left), parse_union());
            else if (take("<"))
                left = binary(Op::kLess, std::move(left), parse_union());
            else if (take(">="))
                left = binary(Op::kGreaterOrEqual, std::move(left), parse_union());
            else if (take(">"))
                left = binary(Op::kGreater, std::move(left), parse_union());
            else
                break;
        }
        return left;
    }
    XPath::Expression parse_union() {
        XPath::Expression left = parse_primary();
        while (!given_up_ && take("|")) {
            XPath::Expression right = parse_primary();
            const auto is_set = [](const XPath::Expression& e) { return e.op == Op::kPath || e.op == Op::kUnion; };
            if (!is_set(left) || !is_set(right)) give_up();
            left = binary(Op::kUnion, std::move(left), std::move(right));
        }
        return left;
    }
    XPath::Expression parse_primary() {
        skip_blanks();
        XPath::Expression e;
        if (at_ >= text_.size()) {
            give_up();
            return e;
        }
        const char c = text_[at_];
        if (c == '\'' || c == '"') {
            const std::size_t end = text_.find(c, at_ + 1);
            if (end == std::string_view::npos) {
                give_up();
                return e;
            }
            e.op = Op::kString;
            e.text = text_.substr(at_ + 1, end - at_ - 1);
            at_ = end + 1;
            return e;
        }
        if (digit(c)) {
            e.op = Op::kNumber;
            const auto [end, error] =
                std::from_chars(text_.data() + at_, text_.data() + text_.size(), e.number, std::chars_format::fixed);
            if (error != std::errc{}) give_up();
            at_ = static_cast<std::size_t>(end - text_.data());
            return e;
        }
        if (take("(")) {
            e = parse_or();
            if (!take(")")) give_up();
            if (looking_at("[") || looking_at("/")) give_up();  // filter expressions
            return e;
        }
        const std::size_t begin = at_;
        const std::string_view name = take_name();
        if (!name.empty() && looking_at("(") && name != "node" && name != "text" && name != "comment")
            return parse_function(name);
        at_ = begin;
        return parse_path();
    }
    XPath::Expression parse_function(std::string_view name) {
        XPath::Expression e;
        e.op = Op::kFunction;
        e.text = name;
        take("(");
        if (!take(")")) {
            do e.arguments.push_back(parse_or());
            while (!given_up_ && take(","));
            if (!take(")")) give_up();
        }
        const auto* known = std::ranges::find(kFunctions, name, &Known::name);
        if (known == kFunctions.end() || e.arguments.size() < known->arguments_min ||
            e.arguments.size() > known->arguments_max)
            give_up();
        if (looking_at("[") || looking_at("/")) give_up();
        return e;
    }

    static XPathStep make_step(Axis axis, Test test) {
        XPathStep step;
        step.axis = axis;
        step.test = test;
        return step;
    }
    XPath::Expression parse_path() {
        XPath::Expression e;
        e.op = Op::kPath;
        if (take("//")) {
            e.absolute = true;
            e.steps.push_back(make_step(Axis::kDescendantOrSelf, Test::kNode));
        } else if (take("/")) {
            e.absolute = true;
            skip_blanks();
            const bool more =
                at_ < text_.size() &&
                (name_start(text_[at_]) || std::string_view("*@.").find(text_[at_]) != std::string_view::npos);
            if (!more) return e;
        }
        for (;;) {
            parse_step(e.steps);
            if (given_up_) return e;
            if (take("//"))
                e.steps.push_back(make_step(Axis::kDescendantOrSelf, Test::kNode));
            else if (!take("/"))
                return e;
        }
    }
    void parse_step(std::vector<XPathStep>& steps) {
        XPathStep step;
        if (take("..")) {
            steps.push_back(make_step(Axis::kParent, Test::kNode));
            return;
        }
        if (take(".")) {
            steps.push_back(make_step(Axis::kSelf, Test::kNode));
            return;
        }
        step.axis = Axis::kChild;
        if (take("@")) {
            step.axis = Axis::kAttribute;
        } else {
            const std::size_t begin = at_;
            const std::string_view axis = take_name();
            if (take("::"))
                step.axis = axis_of(axis);
            else
                at_ = begin;
        }
        if (take("*")) {
            step.test = Test::kAny;
        } else {
            const std::string_view name = take_name();
            if (name.empty() || looking_at(":")) {  // namespaces
                give_up();
                return;
            }
            step.test = Test::kName;
            step.name = name;
            if (take("(")) {
                if (!take(")")) give_up();
                if (name == "node")
                    step.test = Test::kNode;
                else if (name == "text")
                    step.test = Test::kText;
                else if (name == "comment")
                    step.test = Test::kComment;
                else
                    give_up();
            }
        }
        while (!given_up_ && take("[")) {
            step.predicates.push_back(parse_or());
            if (!take("]")) give_up();
            step.positional = step.positional || is_positional(step.predicates.back());
        }
        const bool reverse =
            step.axis == Axis::kParent || step.axis == Axis::kAncestor || step.axis == Axis::kAncestorOrSelf;
        if ((reverse || step.axis == Axis::kAttribute) && step.positional) give_up();
        note_sieve(step);
        // "//x" without positions is the same as descendant::x, which needs no second look at every node.
        const bool after_slashes = !steps.empty() && steps.back().axis == Axis::kDescendantOrSelf &&
                                   steps.back().test == Test::kNode && steps.back().predicates.empty();
        if (after_slashes && step.axis == Axis::kChild && !step.positional) {
            step.axis = Axis::kDescendant;
            steps.pop_back();
        } else if (step.axis == Axis::kDescendant && step.positional) {
            give_up();
        }
        steps.push_back(std::move(step));
    }
    Axis axis_of(std::string_view name) {
        constexpr std::array kAxes{std::pair{"child", Axis::kChild},
                                   std::pair{"descendant", Axis::kDescendant},
                                   std::pair{"descendant-or-self", Axis::kDescendantOrSelf},
                                   std::pair{"self", Axis::kSelf},
                                   std::pair{"parent", Axis::kParent},
                                   std::pair{"ancestor", Axis::kAncestor},
                                   std::pair{"ancestor-or-self", Axis::kAncestorOrSelf},
                                   std::pair{"attribute", Axis::kAttribute}};
        const auto* found = std::ranges::find_if(kAxes, [&](const auto& a) { return name == a.first; });
        if (found == kAxes.end()) {
            give_up();
            return Axis::kSelf;
        }
        return found->second;
    }
    /// Would the predicate's truth change with the node's position among its siblings?
    static bool is_positional(const XPath::Expression& e, bool top = true) {
        if (e.op == Op::kFunction && (e.text == "position" || e.text == "last")) return true;
        const bool number =
            e.op == Op::kNumber || (e.op == Op::kFunction && (e.text == "number" || e.text == "string-length"));
        if (top && number) return true;
        return std::ranges::any_of(e.arguments, [](const auto& a) { return is_positional(a, false); });
    }
    static void note_sieve(XPathStep& step) {
        if (step.test == Test::kName) step.sieve.names |= Node::Sieve::bit(step.name);
        if (step.test == Test::kComment) step.sieve.names |= Node::Sieve::bit("comment");
        for (const XPath::Expression& p : step.predicates) note_predicate(p, step.sieve);
    }
    static void note_predicate(const XPath::Expression& e, Node::Sieve& sieve) {
        if (e.op == Op::kAnd) {
            for (const XPath::Expression& a : e.arguments) note_predicate(a, sieve);
        } else if (e.op == Op::kEqual) {
            const XPath::Expression* path = &e.arguments[0];
            const XPath::Expression* literal = &e.arguments[1];
            if (path->op != Op::kPath) std::swap(path, literal);
            if (path->op == Op::kPath && literal->op == Op::kString && !path->absolute && path->steps.size() == 1 &&
                path->steps[0].axis == Axis::kAttribute && path->steps[0].name == "id" && !literal->text.empty())
                sieve.ids |= Node::Sieve::bit(literal->text);
        }
    }

    static constexpr int kDepthMax = 64;
    std::string_view text_;
    std::size_t at_ = 0;
    int depth_ = 0;
    bool given_up_ = false;
};

}  // namespace

std::optional<XPath::Expression> parse_xpath(std::string_view text) { return Parser(text).parse(); }

}  // namespace systole::xml
