#include "cib/merge.h"

#include <optional>

#include "base/score.h"
#include "base/text.h"

namespace systole::cib {
namespace {

using xml::Builder;
using xml::Node;
using xml::NodePtr;

bool is_expression(std::string_view name, std::string_view value) {
    if (!value.starts_with(name) || value.size() < name.size() + 2) return false;
    const std::string_view tail = value.substr(name.size(), 2);
    return tail == "++" || tail == "+=";
}

/// Index of the child of `children` that an update's child element is merged into.
std::optional<std::size_t> match_child(std::span<const NodePtr> children, const Node& wanted) {
    const xml::Attribute* id = wanted.find("id");
    const xml::Attribute* reference = id == nullptr ? wanted.find("id-ref") : nullptr;
    // Most siblings are ruled out by their sieve, without a look at their names and ids.
    const auto sieve = Node::Sieve::of(wanted.name(), id == nullptr ? std::string_view{} : id->value.view());
    for (std::size_t i = 0; i < children.size(); ++i) {
        const Node& c = *children[i];
        if (!c.sieve().covers(sieve) || !c.is(wanted.name())) continue;
        if (id != nullptr && c.id() != id->value.view()) continue;
        if (reference != nullptr && c.get("id-ref") != reference->value.view()) continue;
        return i;
    }
    return std::nullopt;
}

bool has_comment_like(std::span<const NodePtr> children, const Node& comment) {
    const std::string text = comment.text();
    for (const NodePtr& c : children)
        if (c->kind() == xml::Kind::kComment && same_ignoring_case(c->text(), text)) return true;
    return false;
}

/// 2.1.5: "replace" on an object names children to remove first; the attribute itself isn't kept.
NodePtr without_replaced_children(const NodePtr& target, std::string_view names, Place place, Editing& editing) {
    Builder copy(*target);
    for (const std::string_view name : split(names, ",")) {
        const auto& children = copy.children();
        for (std::size_t i = 0; i < children.size(); ++i) {
            if (!children[i]->is(name)) continue;
            copy.erase(i);
            editing.mark(place.config);
            break;
        }
    }
    return std::move(copy).build();
}

/// 2.1.5's way of creating: element by element, attribute by attribute; comments turn into elements of that name.
NodePtr rebuilt(const NodePtr& target, const Node& object, Place place, Editing& editing) {
    NodePtr result = target;
    if (const auto replace = object.attribute("replace"))
        result = without_replaced_children(result, *replace, place, editing);
    Builder copy(*result);
    for (const xml::Attribute& a : object.attributes()) {
        if (a.name.view() == "replace") continue;
        const auto old = result->attribute(a.name.view());
        const std::string value = old ? expand_score(a.name.view(), a.value.view(), *old) : std::string(a.value.view());
        if (old && *old == value) continue;
        copy.set(a.name.view(), value);
        editing.mark(place.config);
    }
    for (const NodePtr& c : object.children()) {
        std::optional<std::size_t> found;
        const auto& children = copy.children();
        for (std::size_t i = 0; i < children.size() && !found; ++i)
            if (children[i]->name() == c->name() && (!c->has("id") || children[i]->id() == c->id())) found = i;
        const NodePtr into = found ? children[*found] : Builder(c->name()).build();
        NodePtr merged = rebuilt(into, *c, place.below(*c), editing);
        if (found)
            copy.replace(*found, std::move(merged));
        else
            copy.add(std::move(merged));
    }
    return std::move(copy).build();
}

}  // namespace

Place place_of(const Node& root, xml::PathView path) {
    Place place{.root = true};
    const Node* node = &root;
    for (const std::uint32_t index : path) {
        node = node->children()[index].get();
        place = place.below(*node);
    }
    return place;
}

std::string expand_score(std::string_view name, std::string_view value, std::string_view old_value) {
    if (!is_expression(name, value)) return std::string(value);
    const auto score = [](std::string_view text) { return parse_score(text).value_or(Score{0}); };
    const Score step = value[name.size() + 1] == '+' ? Score{1} : score(value.substr(name.size() + 2));
    return std::to_string((score(old_value) + step).value());
}

NodePtr merge(const NodePtr& target, const Node& update, Place place, Editing& editing) {
    std::optional<Builder> copy;  // made at the first difference only
    const auto edit = [&]() -> Builder& {
        if (!copy) copy.emplace(*target);
        return *copy;
    };
    for (const xml::Attribute& a : update.attributes()) {
        const xml::Attribute* old = target->find(a.name.view());
        if (old == nullptr) {
            edit().set(a.name.view(), a.value);
        } else if (editing.expand_scores && is_expression(a.name.view(), a.value.view())) {
            const std::string value = expand_score(a.name.view(), a.value.view(), old->value.view());
            if (value == old->value.view()) continue;
            edit().set(a.name.view(), value);
        } else if (old->value != a.value) {
            edit().set(a.name.view(), a.value);
        } else {
            continue;
        }
        editing.mark(place.config);
    }
    for (const NodePtr& c : update.children()) {
        const std::span<const NodePtr> now = copy ? std::span<const NodePtr>(copy->children()) : target->children();
        if (c->kind() == xml::Kind::kComment) {
            if (has_comment_like(now, *c)) continue;
            edit().add(c);
            editing.mark_copy(place.config);
            continue;
        }
        if (!c->is_element()) continue;
        const Place below = place.below(*c);
        if (const auto index = match_child(now, *c)) {
            const NodePtr old = now[*index];
            NodePtr merged = merge(old, *c, below, editing);
            if (merged != old) edit().replace(*index, std::move(merged));
            continue;
        }
        NodePtr fresh = merge(Builder(c->name()).build(), *c, below, editing);
        edit().add(std::move(fresh));
        // Older releases don't notice a new element that has no attributes.
        if (!editing.release.copies_uncounted) editing.mark(below.config);
    }
    return copy ? std::move(*copy).build() : target;
}

NodePtr created_object(const NodePtr& object, Place place, Editing& editing) {
    const Place below = place.below(*object);
    if (!editing.release.objects_rebuilt) {
        editing.mark(below.config);
        return object;
    }
    return rebuilt(Builder(object->name()).build(), *object, below, editing);
}

NodePtr expand_leftovers(const NodePtr& before, const NodePtr& after, Place place, Editing& editing) {
    if (before == after) return after;
    std::optional<Builder> copy;
    for (const xml::Attribute& a : after->attributes()) {
        if (!is_expression(a.name.view(), a.value.view())) continue;
        if (!copy) copy.emplace(*after);
        copy->set(a.name.view(), expand_score(a.name.view(), a.value.view(), "0"));
        editing.mark(place.config);
    }
    for (std::size_t i = 0; i < after->children().size(); ++i) {
        const NodePtr& child = after->children()[i];
        // The same place in the old tree is a good guess; a wrong one only costs a look at more of the new tree.
        NodePtr old;
        if (before && i < before->children().size()) old = before->children()[i];
        NodePtr expanded = expand_leftovers(old, child, place.below(*child), editing);
        if (expanded == child) continue;
        if (!copy) copy.emplace(*after);
        copy->replace(i, std::move(expanded));
    }
    return copy ? std::move(*copy).build() : after;
}

}  // namespace systole::cib
