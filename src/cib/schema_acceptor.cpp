#include "cib/schema_acceptor.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <libxml/xmlregexp.h>

#include "base/text.h"
#include "xml/parse.h"

namespace systole::cib {
namespace {

enum class Op : std::uint8_t {
    kNotAllowed,
    kEmpty,
    kText,
    kChoice,      ///< of left and right
    kGroup,       ///< left, then right
    kInterleave,  ///< left and right, mixed
    kOneOrMore,   ///< of left
    kAttribute,   ///< left: name, right: pattern of its value
    kElement,     ///< left: which one
    kData,        ///< left: which datatype
    kValue,       ///< left: which text
};

using PatternId = std::uint32_t;
using NameId = std::uint32_t;
constexpr PatternId kNotAllowed = 0, kEmpty = 1, kText = 2;
constexpr NameId kAnyName = 0, kUnknownName = 1;

struct Pattern {
    Op op;
    std::uint32_t left;
    std::uint32_t right;
    bool nullable;
};

enum class Type : std::uint8_t { kId, kIdRef, kBoolean, kInteger, kString };

struct FreeRegexp {
    void operator()(xmlRegexp* regexp) const { xmlRegFreeRegexp(regexp); }
};

struct Datatype {
    Type type;
    long long least = 0;  ///< of a kInteger
    long long most = 0;
    std::vector<std::string> except{};  ///< of a kString
    std::unique_ptr<xmlRegexp, FreeRegexp> form{};
};

struct Element {
    NameId name;
    const xml::Node* source;
    std::optional<PatternId> content{};  ///< once it was needed; elements may hold themselves
};

// What attributes or children of one name may come next, and what is left after those that fit. More than one: the
// schema says different things of the same name, and the content tells which of them is meant.
struct Step {
    std::vector<std::uint32_t> options{};  ///< patterns of values, or elements
    std::vector<std::pair<std::uint64_t, PatternId>> after{};
};

constexpr std::size_t kOptionsMost = 64;
constexpr std::size_t kPatternsMost = 200'000;  // far beyond what our schemas come to

bool is_collapsed(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
    if (text.empty()) return true;
    if (blank(text.front()) || blank(text.back())) return false;
    return std::ranges::adjacent_find(text, [&](char a, char b) { return blank(a) && (blank(b) || a != ' '); }) ==
           text.end();
}

// The names of other scripts are libxml2's business.
bool is_plain_ncname(std::string_view text) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    const auto follows = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.'; };
    return !text.empty() && letter(text.front()) && std::ranges::all_of(text, follows);
}

bool is_integer(std::string_view text, long long least, long long most) {
    if (text.starts_with("+-") || text.size() > 18) return false;
    if (text.starts_with('+')) text.remove_prefix(1);
    long long number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() && number >= least && number <= most;
}

}  // namespace

// The compiled schema. It grows while documents are looked at, by what they need.
class SchemaAcceptor::Grammar {
public:
    explicit Grammar(xml::NodePtr source) : source_(std::move(source)) {
        patterns_ = {{Op::kNotAllowed, 0, 0, false}, {Op::kEmpty, 0, 0, true}, {Op::kText, 0, 0, true}};
        std::ignore = name_id("*");
        std::ignore = name_id("?");
        const xml::Node* start = nullptr;
        for (const auto& child : source_->children()) {
            if (child->is("start")) start = child.get();
            if (child->is("define") &&
                (child->has("combine") || !defines_.emplace(child->get("name"), child.get()).second))
                sound_ = false;
        }
        start_ = start == nullptr ? kNotAllowed : all_of(*start, Op::kGroup);
        // What is beyond this reader shall show now, not in the middle of a document.
        for (ElementIndex i = 0; i < elements_.size(); ++i) std::ignore = content(i);
    }

    using ElementIndex = std::uint32_t;

    [[nodiscard]] bool sound() const { return sound_ && start_ != kNotAllowed; }
    [[nodiscard]] bool overgrown() const { return patterns_.size() > kPatternsMost; }
    [[nodiscard]] PatternId start() const { return start_; }
    [[nodiscard]] const Pattern& at(PatternId pattern) const { return patterns_[pattern]; }
    [[nodiscard]] const Datatype& datatype(std::uint32_t index) const { return datatypes_[index]; }
    [[nodiscard]] const std::string& value(std::uint32_t index) const { return values_[index]; }
    [[nodiscard]] NameId known_name(std::string_view name) const {
        const auto found = names_.find(name);
        return found == names_.end() ? kUnknownName : found->second;
    }

    PatternId content(ElementIndex index) {
        if (!elements_[index].content) {
            elements_[index].content = kNotAllowed;  // in case it is asked for meanwhile
            const PatternId made = all_of(*elements_[index].source, Op::kGroup, true);
            elements_[index].content = made;
        }
        return *elements_[index].content;
    }

    Step& attribute_step(PatternId pattern, NameId name) {
        return step(attribute_steps_, Op::kAttribute, pattern, name);
    }
    Step& child_step(PatternId pattern, NameId name) { return step(child_steps_, Op::kElement, pattern, name); }

    // What is left of `pattern` after an attribute or child of that name that fits these options.
    PatternId after(Op op, Step& step, PatternId pattern, NameId name, std::uint64_t fitting) {
        for (const auto& [mask, left] : step.after)
            if (mask == fitting) return left;
        const PatternId left = fitting == 0 ? kNotAllowed : derivative(op, step.options, pattern, name, fitting);
        step.after.emplace_back(fitting, left);
        return left;
    }

    // What is left once there are no more attributes.
    PatternId closed(PatternId pattern) {
        if (pattern < closed_.size() && closed_[pattern]) return *closed_[pattern];
        const Pattern p = patterns_[pattern];
        PatternId made = pattern;
        switch (p.op) {
            case Op::kAttribute: made = kNotAllowed; break;
            case Op::kChoice:
            case Op::kGroup:
            case Op::kInterleave: made = combined(p.op, closed(p.left), closed(p.right)); break;
            case Op::kOneOrMore: made = one_or_more(closed(p.left)); break;
            case Op::kNotAllowed:
            case Op::kEmpty:
            case Op::kText:
            case Op::kElement:
            case Op::kData:
            case Op::kValue: break;
        }
        if (closed_.size() <= pattern) closed_.resize(patterns_.size());
        closed_[pattern] = made;
        return made;
    }

private:
    using Steps = std::unordered_map<std::uint64_t, Step>;

    // ---- Reading ----

    PatternId beyond_us() {
        sound_ = false;
        return kNotAllowed;
    }

    NameId name_id(std::string_view name) {
        return names_.emplace(std::string(name), static_cast<NameId>(names_.size())).first->second;
    }

    // Name of an element or attribute: an attribute "name", or the first child is <anyName/>.
    std::optional<NameId> name_of(const xml::Node& node) {
        if (node.has("ns")) return std::nullopt;
        if (const auto name = node.attribute("name")) return name_id(*name);
        const xml::Node* first = node.first_element();
        if (first == nullptr || !first->is("anyName") || !first->children().empty()) return std::nullopt;
        return kAnyName;
    }

    // The children of a node, together; `named`: its name is not among them.
    PatternId all_of(const xml::Node& node, Op how, bool named = false) {
        std::vector<PatternId> parts;
        for (const auto& child : node.children()) {
            if (!child->is_element() || (named && child->is("anyName"))) continue;
            parts.push_back(read(*child));
        }
        if (parts.empty()) return kEmpty;
        PatternId made = parts.back();
        for (std::size_t i = parts.size() - 1; i-- > 0;) made = combined(how, parts[i], made);
        return made;
    }

    PatternId read(const xml::Node& node) {
        const std::string_view what = node.name();
        if (what == "empty") return kEmpty;
        if (what == "text") return kText;
        if (what == "notAllowed") return kNotAllowed;
        if (what == "choice") return all_of(node, Op::kChoice);
        if (what == "group") return all_of(node, Op::kGroup);
        if (what == "interleave") return all_of(node, Op::kInterleave);
        if (what == "optional") return choice(all_of(node, Op::kGroup), kEmpty);
        if (what == "oneOrMore") return one_or_more(all_of(node, Op::kGroup));
        if (what == "zeroOrMore") return choice(one_or_more(all_of(node, Op::kGroup)), kEmpty);
        if (what == "ref") return read_reference(node.get("name"));
        if (what == "attribute") {
            const auto name = name_of(node);
            if (!name) return beyond_us();
            const bool says_more = std::ranges::any_of(node.children(), [](const xml::NodePtr& child) {
                return child->is_element() && !child->is("anyName");
            });
            return make(Op::kAttribute, *name, says_more ? all_of(node, Op::kGroup, true) : kText);
        }
        if (what == "element") {
            const auto [found, fresh] = element_of_.emplace(&node, static_cast<ElementIndex>(elements_.size()));
            if (fresh) {
                const auto name = name_of(node);
                if (!name) return beyond_us();
                elements_.push_back({*name, &node});
            }
            return make(Op::kElement, found->second, 0);
        }
        if (what == "value") {
            if (node.has("type") || !is_collapsed(node.text())) return beyond_us();
            values_.push_back(node.text());
            return make(Op::kValue, static_cast<std::uint32_t>(values_.size() - 1), 0);
        }
        if (what == "data") return read_data(node);
        return beyond_us();
    }

    PatternId read_reference(std::string_view name) {
        const auto found = defines_.find(name);
        if (found == defines_.end() || depth_ > 100) return beyond_us();  // a definition that holds itself
        const auto known = meaning_.find(name);
        if (known != meaning_.end()) return known->second;
        ++depth_;
        const PatternId made = all_of(*found->second, Op::kGroup);
        --depth_;
        meaning_.emplace(found->first, made);
        return made;
    }

    PatternId read_data(const xml::Node& node) {
        constexpr long long kHuge = 999'999'999'999'999'999;
        const std::string_view type = node.get("type");
        Datatype made{};
        if (type == "ID")
            made = {.type = Type::kId};
        else if (type == "IDREF")
            made = {.type = Type::kIdRef};
        else if (type == "boolean")
            made = {.type = Type::kBoolean};
        else if (type == "integer")
            made = {.type = Type::kInteger, .least = -kHuge, .most = kHuge};
        else if (type == "nonNegativeInteger")
            made = {.type = Type::kInteger, .least = 0, .most = kHuge};
        else if (type == "positiveInteger")
            made = {.type = Type::kInteger, .least = 1, .most = kHuge};
        else if (type == "string")
            made = {.type = Type::kString};
        else
            return beyond_us();
        for (const auto& part : node.children()) {
            if (!part->is_element()) continue;
            const std::string text = part->text();
            if (part->is("param") && part->get("name") == "pattern" && made.type == Type::kString && !made.form) {
                made.form.reset(xmlRegexpCompile(reinterpret_cast<const xmlChar*>(text.c_str())));
                if (!made.form) return beyond_us();
            } else if (part->is("param") && part->get("name") == "maxInclusive" && made.type == Type::kInteger) {
                const auto most = parse_integer(text);
                if (!most) return beyond_us();
                made.most = *most;
            } else if (part->is("except") && made.type == Type::kString) {
                if (!read_exceptions(*part, made.except)) return beyond_us();
            } else {
                return beyond_us();
            }
        }
        datatypes_.push_back(std::move(made));
        return make(Op::kData, static_cast<std::uint32_t>(datatypes_.size() - 1), 0);
    }

    static bool read_exceptions(const xml::Node& node, std::vector<std::string>& into) {
        return std::ranges::all_of(node.children(), [&](const xml::NodePtr& child) {
            if (!child->is_element()) return true;
            if (child->is("choice")) return read_exceptions(*child, into);
            if (!child->is("value") || child->has("type")) return false;
            into.push_back(child->text());
            return true;
        });
    }

    // ---- Patterns: what means the same is the same ----

    PatternId make(Op op, std::uint32_t left, std::uint32_t right) {
        constexpr std::uint64_t kPart = 30;
        const std::uint64_t key =
            (static_cast<std::uint64_t>(op) << (2 * kPart)) | (static_cast<std::uint64_t>(left) << kPart) | right;
        const auto [found, fresh] = known_.emplace(key, static_cast<PatternId>(patterns_.size()));
        if (fresh) {
            bool nullable = false;
            if (op == Op::kChoice) nullable = patterns_[left].nullable || patterns_[right].nullable;
            if (op == Op::kGroup || op == Op::kInterleave)
                nullable = patterns_[left].nullable && patterns_[right].nullable;
            if (op == Op::kOneOrMore) nullable = patterns_[left].nullable;
            patterns_.push_back({op, left, right, nullable});
        }
        return found->second;
    }

    // The operands of nested operations of one kind.
    void operands(Op op, PatternId pattern, std::vector<PatternId>& into) const {
        for (; patterns_[pattern].op == op; pattern = patterns_[pattern].right)
            operands(op, patterns_[pattern].left, into);
        into.push_back(pattern);
    }

    // kChoice, kGroup or kInterleave of two patterns. What has no order is sorted, so that it is the same however it
    // came about.
    PatternId combined(Op op, PatternId a, PatternId b) {
        if (op == Op::kChoice) {
            if (a == kNotAllowed || a == b) return b;
            if (b == kNotAllowed) return a;
        } else {
            if (a == kNotAllowed || b == kNotAllowed) return kNotAllowed;
            if (a == kEmpty) return b;
            if (b == kEmpty) return a;
        }
        std::vector<PatternId> parts;
        operands(op, a, parts);
        operands(op, b, parts);
        if (op != Op::kGroup) std::ranges::sort(parts);
        if (op == Op::kChoice) parts.erase(std::ranges::unique(parts).begin(), parts.end());
        PatternId made = parts.back();
        for (std::size_t i = parts.size() - 1; i-- > 0;) made = make(op, parts[i], made);
        return made;
    }
    PatternId choice(PatternId a, PatternId b) { return combined(Op::kChoice, a, b); }
    PatternId group(PatternId a, PatternId b) { return combined(Op::kGroup, a, b); }

    PatternId one_or_more(PatternId a) {
        if (a == kNotAllowed || a == kEmpty || patterns_[a].op == Op::kOneOrMore) return a;
        return make(Op::kOneOrMore, a, 0);
    }

    // ---- Derivatives ----

    [[nodiscard]] bool is_named(Op op, const Pattern& p, NameId name) const {
        const NameId own = op == Op::kAttribute ? p.left : elements_[p.left].name;
        return own == kAnyName || own == name;
    }
    static std::uint32_t option_of(Op op, const Pattern& p) { return op == Op::kAttribute ? p.right : p.left; }

    // Attributes or elements of that name that can come next.
    void find_options(Op op, PatternId pattern, NameId name, std::vector<std::uint32_t>& into) const {
        const Pattern& p = patterns_[pattern];
        if (p.op == op) {
            if (is_named(op, p, name) && std::ranges::find(into, option_of(op, p)) == into.end())
                into.push_back(option_of(op, p));
        } else if (p.op == Op::kChoice || p.op == Op::kInterleave) {
            find_options(op, p.left, name, into);
            find_options(op, p.right, name, into);
        } else if (p.op == Op::kGroup) {
            find_options(op, p.left, name, into);
            // Attributes have no order.
            if (op == Op::kAttribute || patterns_[p.left].nullable) find_options(op, p.right, name, into);
        } else if (p.op == Op::kOneOrMore) {
            find_options(op, p.left, name, into);
        }
    }

    Step& step(Steps& steps, Op op, PatternId pattern, NameId name) {
        const auto [found, fresh] = steps.try_emplace((static_cast<std::uint64_t>(pattern) << 32U) | name);
        if (fresh) {
            find_options(op, pattern, name, found->second.options);
            if (found->second.options.size() > kOptionsMost) found->second.options.clear();
        }
        return found->second;
    }

    PatternId derivative(Op op, const std::vector<std::uint32_t>& options, PatternId pattern, NameId name,
                         std::uint64_t fitting) {
        const Pattern p = patterns_[pattern];
        const auto of = [&](PatternId part) { return derivative(op, options, part, name, fitting); };
        if (p.op == op) {
            if (!is_named(op, p, name)) return kNotAllowed;
            const auto option = std::ranges::find(options, option_of(op, p));
            if (option == options.end()) return kNotAllowed;
            return ((fitting >> static_cast<unsigned>(option - options.begin())) & 1U) != 0 ? kEmpty : kNotAllowed;
        }
        switch (p.op) {
            case Op::kChoice: return choice(of(p.left), of(p.right));
            case Op::kInterleave:
                return choice(combined(p.op, of(p.left), p.right), combined(p.op, p.left, of(p.right)));
            case Op::kOneOrMore: return group(of(p.left), choice(pattern, kEmpty));
            case Op::kGroup: {
                const PatternId first = group(of(p.left), p.right);
                if (op == Op::kAttribute) return choice(first, group(p.left, of(p.right)));
                return patterns_[p.left].nullable ? choice(first, of(p.right)) : first;
            }
            case Op::kNotAllowed:
            case Op::kEmpty:
            case Op::kText:
            case Op::kAttribute:
            case Op::kElement:
            case Op::kData:
            case Op::kValue: return kNotAllowed;
        }
        return kNotAllowed;
    }

    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };

    xml::NodePtr source_;
    bool sound_ = true;
    int depth_ = 0;
    std::map<std::string_view, const xml::Node*> defines_;
    std::map<std::string_view, PatternId> meaning_;
    std::unordered_map<const xml::Node*, ElementIndex> element_of_;
    std::unordered_map<std::string, NameId, Hash, std::equal_to<>> names_;
    std::vector<Element> elements_;
    std::vector<Datatype> datatypes_;
    std::vector<std::string> values_;
    std::vector<Pattern> patterns_;
    std::unordered_map<std::uint64_t, PatternId> known_;
    std::vector<std::optional<PatternId>> closed_;
    Steps attribute_steps_;
    Steps child_steps_;
    PatternId start_ = kNotAllowed;
};

// One look at one document.
class SchemaAcceptor::Run {
public:
    explicit Run(Grammar& grammar) : grammar_(grammar) {}

    bool document(const xml::Node& root) {
        PatternId left = grammar_.start();
        return child(root, left, Place::kRoot) && grammar_.at(left).nullable && !grammar_.overgrown() &&
               ids_are_sound();
    }

private:
    enum class Place : std::uint8_t { kRoot, kStatus, kElsewhere };

    // Takes a child off the pattern; false if it doesn't fit.
    bool child(const xml::Node& node, PatternId& pattern, Place place) {
        const NameId name = name_of(node.name());
        Step& step = grammar_.child_step(pattern, name);
        std::uint64_t fitting = 0;
        for (std::size_t i = 0; i < step.options.size(); ++i) {
            const std::size_t ids = ids_.size(), references = references_.size();
            const bool fits = element(node, step.options[i], place);
            if (!fits || fitting != 0) {  // ids count once
                ids_.resize(ids);
                references_.resize(references);
            }
            if (fits) fitting |= std::uint64_t{1} << i;
        }
        pattern = grammar_.after(Op::kElement, step, pattern, name, fitting);
        return pattern != kNotAllowed;
    }

    bool element(const xml::Node& node, std::uint32_t index, Place place) {
        PatternId pattern = grammar_.content(index);
        for (const auto& attribute : node.attributes()) {
            const NameId name = name_of(attribute.name.view());
            Step& step = grammar_.attribute_step(pattern, name);
            const std::size_t ids = ids_.size() + references_.size();
            std::uint64_t fitting = 0;
            for (std::size_t i = 0; i < step.options.size(); ++i)
                if (fits(step.options[i], attribute.value.view())) fitting |= std::uint64_t{1} << i;
            // Whether that is an id is still open.
            if (ids_.size() + references_.size() != ids && std::popcount(fitting) > 1) return false;
            pattern = grammar_.after(Op::kAttribute, step, pattern, name, fitting);
            if (pattern == kNotAllowed) return false;
        }
        pattern = grammar_.closed(pattern);
        if (place == Place::kStatus) return grammar_.at(pattern).nullable;
        for (const auto& part : node.children()) {
            if (part->kind() == xml::Kind::kCData) return false;
            const bool status = place == Place::kRoot && part->is("status");
            if (part->is_element() && !child(*part, pattern, status ? Place::kStatus : Place::kElsewhere)) return false;
        }
        return grammar_.at(pattern).nullable;
    }

    bool fits(PatternId pattern, std::string_view text) {
        const Pattern& p = grammar_.at(pattern);
        switch (p.op) {
            case Op::kText: return true;
            case Op::kEmpty: return text.empty();
            case Op::kChoice: return fits(p.left, text) || fits(p.right, text);
            case Op::kValue: return grammar_.value(p.left) == text;
            case Op::kData: return fits(grammar_.datatype(p.left), text);
            case Op::kNotAllowed:
            case Op::kGroup:
            case Op::kInterleave:
            case Op::kOneOrMore:
            case Op::kAttribute:
            case Op::kElement: return false;
        }
        return false;
    }

    bool fits(const Datatype& data, std::string_view text) {
        switch (data.type) {
            case Type::kId:
            case Type::kIdRef:
                if (!is_plain_ncname(text)) return false;
                (data.type == Type::kId ? ids_ : references_).push_back(text);
                return true;
            case Type::kBoolean: return text == "true" || text == "false" || text == "1" || text == "0";
            case Type::kInteger: return is_integer(text, data.least, data.most);
            case Type::kString: break;
        }
        if (!data.except.empty() && (!is_collapsed(text) || std::ranges::find(data.except, text) != data.except.end()))
            return false;
        if (!data.form) return true;
        const std::string copy(text);
        return xmlRegexpExec(data.form.get(), reinterpret_cast<const xmlChar*>(copy.c_str())) == 1;
    }

    // A parsed tree has one copy of each name, so most look-ups are of an address that was just seen.
    NameId name_of(std::string_view name) {
        Known& known = seen_[(reinterpret_cast<std::uintptr_t>(name.data()) >> 4U) % seen_.size()];
        if (known.name.data() != name.data() || known.name.size() != name.size())
            known = {name, grammar_.known_name(name)};
        return known.id;
    }

    // No id is there twice, and what is referred to is there.
    bool ids_are_sound() {
        std::size_t room = 16;
        while (room < 2 * ids_.size()) room *= 2;
        std::vector<std::uint32_t> table(room, 0);  // index in ids_ and one, or nothing
        const auto place_of = [&](std::string_view id) {
            std::size_t at = std::hash<std::string_view>{}(id) & (room - 1);
            while (table[at] != 0 && ids_[table[at] - 1] != id) at = (at + 1) & (room - 1);
            return at;
        };
        for (std::size_t i = 0; i < ids_.size(); ++i) {
            std::uint32_t& place = table[place_of(ids_[i])];
            if (place != 0) return false;
            place = static_cast<std::uint32_t>(i + 1);
        }
        return std::ranges::all_of(references_, [&](std::string_view id) { return table[place_of(id)] != 0; });
    }

    struct Known {
        std::string_view name;
        NameId id = kUnknownName;
    };

    Grammar& grammar_;
    std::array<Known, 256> seen_{};
    std::vector<std::string_view> ids_;
    std::vector<std::string_view> references_;
};

SchemaAcceptor::SchemaAcceptor(std::unique_ptr<Grammar> grammar) : grammar_(std::move(grammar)) {}
SchemaAcceptor::~SchemaAcceptor() = default;

std::unique_ptr<SchemaAcceptor> SchemaAcceptor::read(std::string_view schema) {
    const auto source = xml::parse(schema, {.text = xml::TextNodes::kKeep});
    if (!source || !(*source)->is("grammar")) return nullptr;
    auto grammar = std::make_unique<Grammar>(*source);
    if (!grammar->sound()) return nullptr;
    return std::unique_ptr<SchemaAcceptor>(new SchemaAcceptor(std::move(grammar)));
}

bool SchemaAcceptor::accepts(const xml::Node& cib) { return Run(*grammar_).document(cib); }

}  // namespace systole::cib
