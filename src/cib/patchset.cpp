#include "cib/patchset.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/text.h"
#include "cib/rc.h"
#include "xml/edit.h"
#include "xml/write.h"

namespace systole::cib {
namespace {

using xml::Builder;
using xml::Node;
using xml::NodePtr;

std::string step_name(const Node& node) {
    if (node.is_element() && node.has("id")) return fmt::format("{}[@id='{}']", node.name(), node.id());
    return std::string(node.name());
}

bool same_attributes(const Node& a, const Node& b) {
    return std::ranges::equal(a.attributes(), b.attributes(), [](const xml::Attribute& x, const xml::Attribute& y) {
        return x.name == y.name && x.value == y.value;
    });
}

/// Makes the change elements. Deletions come first in the document, whatever they stand beside.
class Maker {
public:
    std::vector<NodePtr> deletions, others;

    /// False if a change below can't be addressed by a path (twins without ids): the caller replaces `after` whole.
    bool compare(const NodePtr& before, const NodePtr& after, const std::string& path) {
        if (before == after) return true;
        if (!same_attributes(*before, *after)) others.push_back(modification(*before, *after, path));
        return compare_children(*before, *after, path);
    }

    static NodePtr creation(const NodePtr& node, const std::string& parent, std::size_t position) {
        Builder change("change");
        change.set("operation", "create").set("path", parent).set("position", static_cast<long long>(position));
        return std::move(change.add(node)).build();
    }

private:
    static NodePtr deletion(const std::string& path, std::optional<std::size_t> position) {
        Builder change("change");
        change.set("operation", "delete").set("path", path);
        if (position) change.set("position", static_cast<long long>(*position));
        return std::move(change).build();
    }
    static NodePtr modification(const Node& before, const Node& after, const std::string& path) {
        Builder list("change-list");
        const auto old = before.attributes();
        std::size_t index = 0;
        for (const xml::Attribute& a : after.attributes()) {
            const xml::Attribute* was = before.find(a.name.view());
            const bool moved = was != nullptr && (index >= old.size() || old[index].name != a.name);
            const bool order_only = moved && old.size() == after.attributes().size();
            if (was == nullptr || was->value != a.value || order_only) {
                list.add(std::move(Builder("change-attr")
                                       .set("name", a.name.view())
                                       .set("operation", "set")
                                       .set("value", a.value.view())));
            }
            ++index;
        }
        for (const xml::Attribute& a : old)
            if (!after.has(a.name.view()))
                list.add(std::move(Builder("change-attr").set("name", a.name.view()).set("operation", "unset")));
        Builder result(after.name());
        for (const xml::Attribute& a : after.attributes()) result.append_attribute(a.name, a.value);
        Builder change("change");
        change.set("operation", "modify").set("path", path);
        change.add(std::move(list)).add(std::move(Builder("change-result").add(std::move(result))));
        return std::move(change).build();
    }

    struct Pairing {
        std::vector<std::optional<std::size_t>> new_of_old, old_of_new;
        bool ambiguous = false;
    };

    /// Elements pair by name and id, comments by text; equal pointers at both ends need no look.
    static Pairing pair_children(std::span<const NodePtr> before, std::span<const NodePtr> after) {
        Pairing p;
        p.new_of_old.resize(before.size());
        p.old_of_new.resize(after.size());
        const auto pair = [&](std::size_t o, std::size_t n) {
            p.new_of_old[o] = n;
            p.old_of_new[n] = o;
        };
        std::size_t head = 0;
        while (head < before.size() && head < after.size() && before[head] == after[head]) {
            pair(head, head);
            ++head;
        }
        std::size_t tail = 0;
        while (tail < before.size() - head && tail < after.size() - head &&
               before[before.size() - 1 - tail] == after[after.size() - 1 - tail]) {
            pair(before.size() - 1 - tail, after.size() - 1 - tail);
            ++tail;
        }
        using Key = std::pair<std::string_view, std::string_view>;
        const auto key = [](const Node& n) { return Key{n.name(), n.id()}; };
        std::map<Key, std::size_t> olds;
        std::multimap<std::string, std::size_t> comments;
        for (std::size_t o = head; o < before.size() - tail; ++o) {
            const Node& node = *before[o];
            if (node.kind() == xml::Kind::kComment)
                comments.emplace(node.text(), o);
            else if (!node.is_element() || !olds.emplace(key(node), o).second)
                p.ambiguous = true;
        }
        std::set<Key> news;
        for (std::size_t n = head; n < after.size() - tail; ++n) {
            const Node& node = *after[n];
            if (node.kind() == xml::Kind::kComment) {
                const auto found = comments.find(node.text());
                if (found == comments.end()) continue;
                pair(found->second, n);
                comments.erase(found);
                continue;
            }
            if (!node.is_element() || !news.insert(key(node)).second) {
                p.ambiguous = true;
                continue;
            }
            const auto found = olds.find(key(node));
            if (found != olds.end()) pair(found->second, n);
        }
        // A path without an id means the first of that name, so a changed element must not have a twin outside the
        // compared range either.
        const auto has_twin_outside = [&](std::span<const NodePtr> all, const Key& wanted) {
            for (std::size_t i = 0; i < all.size(); ++i) {
                const bool outside = i < head || i >= all.size() - tail;
                if (outside && all[i]->is_element() && key(*all[i]) == wanted) return true;
            }
            return false;
        };
        const bool small_change = olds.size() + news.size() <= 64;
        if (small_change) {
            for (const auto& [k, index] : olds) p.ambiguous = p.ambiguous || has_twin_outside(before, k);
            for (const Key& k : news) p.ambiguous = p.ambiguous || has_twin_outside(after, k);
        } else {
            std::set<Key> seen;
            for (const NodePtr& c : before)
                p.ambiguous = p.ambiguous || (c->is_element() && !seen.insert(key(*c)).second);
            seen.clear();
            for (const NodePtr& c : after)
                p.ambiguous = p.ambiguous || (c->is_element() && !seen.insert(key(*c)).second);
        }
        return p;
    }

    /// Kept children that stay in order among themselves: a longest increasing run of old places. The rest moves.
    static std::vector<bool> staying(const std::vector<std::optional<std::size_t>>& old_of_new) {
        std::vector<bool> stays(old_of_new.size(), false);
        std::vector<std::size_t> ends;  // new index that ends the best run of each length
        std::vector<std::optional<std::size_t>> previous(old_of_new.size());
        for (std::size_t n = 0; n < old_of_new.size(); ++n) {
            if (!old_of_new[n]) continue;
            const auto at =
                std::ranges::lower_bound(ends, *old_of_new[n], {}, [&](std::size_t e) { return *old_of_new[e]; });
            if (at != ends.begin()) previous[n] = *(at - 1);
            if (at == ends.end())
                ends.push_back(n);
            else
                *at = n;
        }
        if (!ends.empty())
            for (std::optional<std::size_t> n = ends.back(); n; n = previous[*n]) stays[*n] = true;
        return stays;
    }

    bool compare_children(const Node& before, const Node& after, const std::string& path) {
        const auto olds = before.children();
        const auto news = after.children();
        if (olds.empty() && news.empty()) return true;
        Pairing p = pair_children(olds, news);
        if (p.ambiguous) return false;
        const std::vector<bool> stays = staying(p.old_of_new);
        for (std::size_t n = 0; n < news.size(); ++n) {  // a comment has no address of its own: it can't move
            if (!p.old_of_new[n] || stays[n] || news[n]->kind() != xml::Kind::kComment) continue;
            p.new_of_old[*p.old_of_new[n]].reset();
            p.old_of_new[n].reset();
        }
        std::size_t position = 0;  // among what is left when this deletion is made
        for (std::size_t o = 0; o < olds.size(); ++o) {
            if (p.new_of_old[o]) {
                ++position;
                continue;
            }
            const bool comment = olds[o]->kind() == xml::Kind::kComment;
            deletions.push_back(
                deletion(path + "/" + step_name(*olds[o]), comment ? std::optional(position) : std::nullopt));
        }
        for (std::size_t n = 0; n < news.size(); ++n) {
            if (!p.old_of_new[n]) {
                others.push_back(creation(news[n], path, n));
                continue;
            }
            const NodePtr& old = olds[*p.old_of_new[n]];
            if (old != news[n] && news[n]->is_element()) {
                const std::string below = path + "/" + step_name(*news[n]);
                const std::size_t deletion_count = deletions.size();
                const std::size_t other_count = others.size();
                if (!compare(old, news[n], below)) {
                    deletions.resize(deletion_count);
                    others.resize(other_count);
                    deletions.push_back(deletion(below, std::nullopt));
                    others.push_back(creation(news[n], path, n));
                    continue;
                }
            }
            if (!stays[n]) {
                Builder move("change");
                move.set("operation", "move").set("path", path + "/" + step_name(*news[n]));
                others.push_back(std::move(move.set("position", static_cast<long long>(n))).build());
            }
        }
        return true;
    }
};

void add_version(Builder& version, const char* name, const Node& cib) {
    Builder b(name);
    for (const char* part : {"admin_epoch", "epoch", "num_updates"}) b.set(part, cib.get(part, "1"));
    version.add(std::move(b));
}

// ---- Applying -------------------------------------------------------------------------------------------------------

struct Step {
    std::string_view name, id;
    bool has_id = false;
};

/// "/cib/a/b[@id='x']" as steps; empty if it is no such path.
std::optional<std::vector<Step>> parse_path(std::string_view path) {
    std::vector<Step> steps;
    while (!path.empty()) {
        if (!path.starts_with('/')) return std::nullopt;
        path.remove_prefix(1);
        Step step;
        const std::size_t end = path.find_first_of("/[");
        step.name = path.substr(0, end);
        path.remove_prefix(step.name.size());
        if (step.name.empty()) return std::nullopt;
        constexpr std::string_view kOpen = "[@id='";
        if (path.starts_with('[')) {
            const std::size_t close = path.find("']");
            if (!path.starts_with(kOpen) || close == std::string_view::npos || close < kOpen.size())
                return std::nullopt;
            step.id = path.substr(kOpen.size(), close - kOpen.size());
            step.has_id = true;
            path.remove_prefix(close + 2);
        }
        steps.push_back(step);
    }
    return steps;
}

std::optional<std::size_t> find_child(const Node& parent, const Step& step, std::optional<std::size_t> position) {
    const auto children = parent.children();
    for (std::size_t i = 0; i < children.size(); ++i) {
        const Node& c = *children[i];
        if (c.name() != step.name) continue;
        if (step.has_id && c.id() != step.id) continue;
        if (c.kind() == xml::Kind::kComment && position && *position != i) continue;
        return i;
    }
    return std::nullopt;
}

std::optional<xml::Path> resolve(const Node& root, std::string_view path, std::optional<std::size_t> position = {}) {
    const auto steps = parse_path(path);
    if (!steps || steps->empty() || !root.is(steps->front().name)) return std::nullopt;
    if (steps->front().has_id && root.id() != steps->front().id) return std::nullopt;
    xml::Path result;
    const Node* node = &root;
    for (std::size_t i = 1; i < steps->size(); ++i) {
        const auto index = find_child(*node, (*steps)[i], position);
        if (!index) return std::nullopt;
        result.push_back(static_cast<std::uint32_t>(*index));
        node = node->children()[*index].get();
    }
    return result;
}

std::optional<std::size_t> position_of(const Node& change) {
    const auto value = parse_integer(change.get("position"));
    if (!value || *value < 0) return std::nullopt;
    return static_cast<std::size_t>(*value);
}

class Applier {
public:
    explicit Applier(NodePtr cib) : cib_(std::move(cib)) {}
    std::string trouble;  // the first one

    NodePtr run(const Node& patchset) {
        for (const NodePtr& change : patchset.children())
            if (change->is("change")) first_pass(*change);
        std::ranges::stable_sort(later_, {}, [](const Node* c) { return position_of(*c).value_or(~std::size_t{0}); });
        for (const Node* change : later_) second_pass(*change);
        return cib_;
    }

private:
    void note(const Node& change, std::string_view problem) {
        if (trouble.empty())
            trouble = fmt::format("{} of '{}': {}", change.get("operation"), change.get("path"), problem);
    }
    void first_pass(const Node& change) {
        const std::string_view operation = change.get("operation");
        if (operation.empty()) return;  // never seen, and nothing to do
        const std::string_view path = change.get("path");
        const auto place = resolve(*cib_, path, operation == "delete" ? position_of(change) : std::nullopt);
        if (operation == "delete") {
            if (place && !place->empty()) cib_ = xml::remove_at(cib_, *place);
            return;
        }
        if (!place) {
            note(change, "there is no such place");
        } else if (operation == "create") {
            later_.push_back(&change);
        } else if (operation == "move") {
            later_.push_back(&change);
            if (place->empty()) return note(change, "the root can't move");
            const NodePtr moved = xml::node_at(*cib_, *place)->share();
            cib_ = xml::append_at(xml::remove_at(cib_, *place), parent_of(*place), moved);
        } else if (operation == "modify") {
            const Node* result = change.child("change-result");
            const Node* attributes = result == nullptr ? nullptr : result->first_element();
            if (attributes == nullptr) return note(change, "it brings no result");
            Builder copy(*xml::node_at(*cib_, *place));
            copy.clear_attributes();
            for (const xml::Attribute& a : attributes->attributes()) copy.append_attribute(a.name, a.value);
            cib_ = xml::replace_at(cib_, *place, std::move(copy).build());
        } else {
            note(change, "this operation is unknown");
        }
    }
    void second_pass(const Node& change) {
        const auto place = resolve(*cib_, change.get("path"));
        if (!place) return note(change, "there is no such place any more");
        const std::size_t position = position_of(change).value_or(~std::size_t{0});
        if (change.get("operation") == "create") {
            const NodePtr object = change.children().empty() ? NodePtr{} : change.children().front();
            if (!object) return note(change, "it brings no object");
            cib_ = xml::insert_at(cib_, *place, position, object);
            return;
        }
        if (place->empty() || place->back() == position) return;
        const NodePtr moved = xml::node_at(*cib_, *place)->share();
        // Taken out first, the place it goes to is the same for both directions.
        const NodePtr without = xml::remove_at(cib_, *place);
        const xml::PathView parent = parent_of(*place);
        if (position > xml::node_at(*without, parent)->children().size())
            return note(change, fmt::format("there is no position {}", position));
        cib_ = xml::insert_at(without, parent, position, moved);
    }
    static xml::PathView parent_of(const xml::Path& path) { return xml::PathView(path).first(path.size() - 1); }

    NodePtr cib_;
    std::vector<const Node*> later_;
};

long long part(const Node* version, const char* name, long long fallback) {
    if (version == nullptr) return fallback;
    return parse_integer(version->get(name)).value_or(fallback);
}

Patched refuse(int rc, std::string why) { return {.rc = rc, .cib = {}, .why = std::move(why)}; }

std::optional<Patched> check_versions(const Version& current, const Node& patchset) {
    const Node* version = patchset.child("version");
    const Node* source = version == nullptr ? nullptr : version->child("source");
    const Node* target = version == nullptr ? nullptr : version->child("target");
    const Version from{part(source, "admin_epoch", current.admin_epoch), part(source, "epoch", current.epoch),
                       part(source, "num_updates", current.num_updates)};
    const Version to{part(target, "admin_epoch", current.admin_epoch), part(target, "epoch", current.epoch),
                     part(target, "num_updates", current.num_updates + 1)};
    if (current < from)
        return refuse(rc::kDiffFailed, fmt::format("the patch starts at {}, this CIB is only at {}", to_string(from),
                                                   to_string(current)));
    if (current > from)
        return refuse(rc::kOldData, fmt::format("the patch starts at {}, this CIB is at {} already", to_string(from),
                                                to_string(current)));
    if (to.admin_epoch <= from.admin_epoch && to.epoch <= from.epoch && to.num_updates <= from.num_updates)
        return refuse(rc::kOldData, fmt::format("the patch leads from {} back to {}", to_string(from), to_string(to)));
    return std::nullopt;
}

}  // namespace

NodePtr make_patchset(const NodePtr& before, const NodePtr& after, bool digest) {
    if (before == after) return nullptr;
    Maker maker;
    if (!maker.compare(before, after, "/" + step_name(*after))) {
        // Twins directly below the root: there is no parent to replace, so all children are.
        maker.deletions.clear();
        std::erase_if(maker.others,
                      [](const NodePtr& c) { return c->get("operation") != "modify" || c->get("path") != "/cib"; });
        for (const NodePtr& c : before->children())
            maker.deletions.push_back(std::move(Builder("change")
                                                    .set("operation", "delete")
                                                    .set("path", "/cib/" + step_name(*c))
                                                    .set_unless_empty("position", c->is_element() ? "" : "0"))
                                          .build());
        for (std::size_t i = 0; i < after->children().size(); ++i)
            maker.others.push_back(Maker::creation(after->children()[i], "/cib", i));
    }
    if (maker.deletions.empty() && maker.others.empty()) return nullptr;
    Builder version("version");
    add_version(version, "source", *before);
    add_version(version, "target", *after);
    Builder diff("diff");
    diff.set("format", "2");
    if (digest) diff.set("digest", xml::digest_versioned(*after));
    diff.add(std::move(version));
    for (NodePtr& change : maker.deletions) diff.add(std::move(change));
    for (NodePtr& change : maker.others) diff.add(std::move(change));
    return std::move(diff).build();
}

Patched apply_patchset(const NodePtr& cib, const Node& patchset, VersionCheck check) {
    if (!patchset.is("diff")) return refuse(rc::kInvalid, fmt::format("<{}> is no patch", patchset.name()));
    if (check == VersionCheck::kStrict)
        if (auto refused = check_versions(version_of(*cib), patchset)) return std::move(*refused);
    const std::string_view format = patchset.get("format", "1");
    if (format != "2") return refuse(rc::kDiffFailed, fmt::format("patch format '{}' is not supported", format));
    Applier applier(cib);
    NodePtr result = applier.run(patchset);
    if (!applier.trouble.empty()) return refuse(rc::kDiffFailed, applier.trouble);
    // The patch doesn't say by which release's escaping its digest was made.
    const auto digest = patchset.attribute("digest");
    if (digest && *digest != xml::digest_versioned(*result, xml::Escaping::kCurrent) &&
        *digest != xml::digest_versioned(*result, xml::Escaping::kLegacy))
        return refuse(rc::kDiffFailed, fmt::format("the result's digest isn't the announced {}", *digest));
    return {.rc = 0, .cib = std::move(result), .why = {}};
}

Version target_version(const Node& patchset) {
    const Node* version = patchset.child("version");
    const Node* target = version == nullptr ? nullptr : version->child("target");
    return {part(target, "admin_epoch", 0), part(target, "epoch", 0), part(target, "num_updates", 0)};
}

bool touches_configuration(const Node& patchset) {
    return std::ranges::any_of(patchset.children(), [](const NodePtr& c) {
        const std::string_view path = c->get("path");
        constexpr std::string_view kConfiguration = "/cib/configuration";
        if (path.starts_with(kConfiguration)) return true;
        const Node* object = c->first_element();
        return path == "/cib" && c->get("operation") == "create" && object != nullptr && object->is("configuration");
    });
}

}  // namespace systole::cib
