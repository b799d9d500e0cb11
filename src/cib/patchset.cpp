#include "cib/patchset.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/text.h"
#include "cib/rc.h"
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

bool same_attributes(const Node& a, const Node& b, AttributeOrder order) {
    if (order == AttributeOrder::kIgnored) {
        return a.attributes().size() == b.attributes().size() &&
               std::ranges::all_of(a.attributes(), [&](const xml::Attribute& x) {
                   const xml::Attribute* y = b.find(x.name.view());
                   return y != nullptr && y->value == x.value;
               });
    }
    return std::ranges::equal(a.attributes(), b.attributes(), [](const xml::Attribute& x, const xml::Attribute& y) {
        return x.name == y.name && x.value == y.value;
    });
}

/// Makes the change elements. Deletions come first in the document, whatever they stand beside.
class Maker {
public:
    explicit Maker(AttributeOrder order) : order_(order) {}

    std::vector<NodePtr> deletions, others;

    /// False if a change below can't be addressed by a path (twins without ids): the caller replaces `after` whole.
    bool compare(const NodePtr& before, const NodePtr& after, const std::string& path) {
        if (before == after) return true;
        if (!same_attributes(*before, *after, order_)) others.push_back(modification(*before, *after, path));
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
    [[nodiscard]] NodePtr modification(const Node& before, const Node& after, const std::string& path) const {
        Builder list("change-list");
        const auto old = before.attributes();
        std::size_t index = 0;
        for (const xml::Attribute& a : after.attributes()) {
            const xml::Attribute* was = before.find(a.name.view());
            const bool moved = was != nullptr && (index >= old.size() || old[index].name != a.name);
            const bool displaced =
                moved && (order_ == AttributeOrder::kCounts ||
                          (order_ == AttributeOrder::kTracked && old.size() == after.attributes().size()));
            if (was == nullptr || was->value != a.value || displaced) {
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

    /// Elements pair by name and id, comments by text (and place); equal pointers at both ends need no look.
    [[nodiscard]] Pairing pair_children(std::span<const NodePtr> before, std::span<const NodePtr> after) const {
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
                auto found = comments.find(node.text());
                // Between two documents (not: a document and its next version) a comment is the same in its place only.
                if (order_ != AttributeOrder::kTracked)
                    while (found != comments.end() && (found->first != node.text() || found->second != n))
                        found = found->first == node.text() ? std::next(found) : comments.end();
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
        // A path step with an id means the first child of that name and id, one without the first of that name whatever
        // its id. So what may differ must not have such a twin, outside the compared range either.
        const auto count_twins = [&p](std::span<const NodePtr> all, std::size_t first, std::size_t last) {
            std::map<std::string_view, int> names;
            std::map<Key, int> keys;
            for (const NodePtr& c : all) {
                if (!c->is_element()) continue;
                ++names[c->name()];
                ++keys[{c->name(), c->id()}];
            }
            for (std::size_t i = first; i < last; ++i) {
                if (!all[i]->is_element()) continue;
                const bool twin =
                    all[i]->has("id") ? keys[{all[i]->name(), all[i]->id()}] > 1 : names[all[i]->name()] > 1;
                p.ambiguous = p.ambiguous || twin;
            }
        };
        const auto check_twins = [&](std::span<const NodePtr> all) {
            const std::size_t last = all.size() - tail;
            if (last - head == 1 && all[head]->is_element() && all[head]->has("id")) {  // the usual change
                const Key wanted{all[head]->name(), all[head]->id()};
                const auto sieve = Node::Sieve::of(wanted.first, wanted.second);
                for (std::size_t i = 0; i < all.size(); ++i)
                    if (i != head && all[i]->sieve().covers(sieve) && all[i]->is(wanted.first) &&
                        all[i]->id() == wanted.second)
                        p.ambiguous = true;
                return;
            }
            if (last > head) count_twins(all, head, last);
        };
        check_twins(before);
        check_twins(after);
        return p;
    }

    /// Which kept children don't move. The field compares places one after the other, leaving out of the count those
    /// that were found to move; its answer is taken where it adds up (what stays keeps its order), as patches should
    /// read alike. Else: a longest increasing run of old places.
    static std::vector<bool> staying(const std::vector<std::optional<std::size_t>>& old_of_new,
                                     const std::vector<std::optional<std::size_t>>& new_of_old) {
        std::vector<bool> stays = staying_by_place(old_of_new, new_of_old);
        std::optional<std::size_t> last;
        for (std::size_t n = 0; n < old_of_new.size(); ++n) {
            if (!stays[n]) continue;
            if (last && *old_of_new[n] < *last) return longest_run(old_of_new);
            last = old_of_new[n];
        }
        return stays;
    }

    static std::vector<bool> staying_by_place(const std::vector<std::optional<std::size_t>>& old_of_new,
                                              const std::vector<std::optional<std::size_t>>& new_of_old) {
        // Where nothing but additions and removals happened, which is nearly always, nothing needs counting.
        std::vector<bool> stays(old_of_new.size(), false);
        bool in_order = true;
        std::optional<std::size_t> last;
        for (std::size_t n = 0; n < old_of_new.size(); ++n) {
            stays[n] = old_of_new[n].has_value();
            if (!stays[n]) continue;
            in_order = in_order && (!last || *last < *old_of_new[n]);
            last = old_of_new[n];
        }
        if (in_order) return stays;
        std::vector<bool> skip_old(new_of_old.size());
        std::vector<bool> skip_new(old_of_new.size());
        for (std::size_t o = 0; o < new_of_old.size(); ++o) skip_old[o] = !new_of_old[o];
        for (std::size_t n = 0; n < old_of_new.size(); ++n) skip_new[n] = !old_of_new[n];
        const auto place = [](const std::vector<bool>& skip, std::size_t index) {
            return std::count(skip.begin(), skip.begin() + static_cast<std::ptrdiff_t>(index), false);
        };
        for (std::size_t o = 0; o < new_of_old.size(); ++o) {
            if (!new_of_old[o]) continue;
            const std::size_t n = *new_of_old[o];
            const auto from = place(skip_old, o);
            const auto to = place(skip_new, n);
            if (from == to) continue;
            stays[n] = false;
            if (from > to) {
                skip_old[o] = true;
            } else {
                skip_new[n] = true;
            }
        }
        return stays;
    }

    static std::vector<bool> longest_run(const std::vector<std::optional<std::size_t>>& old_of_new) {
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
        const std::vector<bool> stays = staying(p.old_of_new, p.new_of_old);
        for (std::size_t n = 0; n < news.size(); ++n) {  // a comment has no address of its own: it can't move
            if (!p.old_of_new[n] || stays[n] || news[n]->kind() != xml::Kind::kComment) continue;
            p.new_of_old[*p.old_of_new[n]].reset();
            p.old_of_new[n].reset();
        }
        // Deletions are told in the order in which the old document has them, those inside a child at its place.
        // What is replaced as a whole goes last: the positions of comments count it.
        std::map<std::size_t, std::vector<NodePtr>> gone;
        std::vector<NodePtr> replaced;
        std::size_t position = 0;  // among what is left when this deletion is made
        for (std::size_t o = 0; o < olds.size(); ++o) {
            if (p.new_of_old[o]) {
                ++position;
                continue;
            }
            const bool comment = olds[o]->kind() == xml::Kind::kComment;
            gone[o].push_back(
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
                const std::size_t other_count = others.size();
                std::vector<NodePtr> before_this = std::exchange(deletions, {});
                const bool addressable = compare(old, news[n], below);
                std::vector<NodePtr> inside = std::exchange(deletions, std::move(before_this));
                if (!addressable) {
                    others.resize(other_count);
                    replaced.push_back(deletion(below, std::nullopt));
                    others.push_back(creation(news[n], path, n));
                    continue;
                }
                if (!inside.empty()) gone[*p.old_of_new[n]] = std::move(inside);
            }
            if (!stays[n]) {
                Builder move("change");
                move.set("operation", "move").set("path", path + "/" + step_name(*news[n]));
                others.push_back(std::move(move.set("position", static_cast<long long>(n))).build());
            }
        }
        for (auto& [place, some] : gone) deletions.insert(deletions.end(), some.begin(), some.end());
        deletions.insert(deletions.end(), replaced.begin(), replaced.end());
        return true;
    }

    AttributeOrder order_;
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

std::optional<std::size_t> position_of(const Node& change) {
    const auto value = parse_integer(change.get("position"));
    if (!value || *value < 0) return std::nullopt;
    return static_cast<std::size_t>(*value);
}

/// A tree that is being patched: nodes keep their identity while they change and move, as ids need not be unique. Only
/// the parts that changes lead to are unfolded; the rest stays the shared original.
class Draft {
public:
    explicit Draft(NodePtr original) : original_(std::move(original)) {}

    [[nodiscard]] std::string_view name() const { return original_->name(); }
    [[nodiscard]] std::string_view id() const {
        return attributes_ ? attributes_->id() : original_->is_element() ? original_->id() : std::string_view{};
    }
    [[nodiscard]] bool is_comment() const { return original_->kind() == xml::Kind::kComment; }
    [[nodiscard]] Draft* parent() const { return parent_; }

    std::vector<std::unique_ptr<Draft>>& children() {
        if (!unfolded_) {
            unfolded_ = true;
            children_.reserve(original_->children().size());
            for (const NodePtr& c : original_->children()) add(children_.size(), std::make_unique<Draft>(c));
        }
        return children_;
    }
    void add(std::size_t index, std::unique_ptr<Draft> child) {
        children();
        child->parent_ = this;
        const std::size_t at = std::min(index, children_.size());
        children_.insert(children_.begin() + static_cast<std::ptrdiff_t>(at), std::move(child));
    }
    std::unique_ptr<Draft> take(std::size_t index) {
        std::unique_ptr<Draft> taken = std::move(children()[index]);
        children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(index));
        taken->parent_ = nullptr;
        return taken;
    }
    [[nodiscard]] std::size_t index() const {
        const auto& siblings = parent_->children_;
        return static_cast<std::size_t>(std::ranges::find(siblings, this, [](const auto& c) { return c.get(); }) -
                                        siblings.begin());
    }
    void set_attributes(NodePtr from) { attributes_ = std::move(from); }

    [[nodiscard]] NodePtr finished() const {
        if (!attributes_ && !unfolded_) return original_;
        Builder copy(attributes_ ? *attributes_ : *original_);
        if (attributes_) copy.rename(original_->name());
        copy.clear_children();
        copy.reserve(0, unfolded_ ? children_.size() : original_->children().size());
        bool same = !attributes_ && unfolded_ && children_.size() == original_->children().size();
        if (unfolded_) {
            for (const auto& c : children_) {
                NodePtr done = c->finished();
                same = same && done == original_->children()[copy.children().size()];
                copy.add(std::move(done));
            }
        } else {
            for (const NodePtr& c : original_->children()) copy.add(c);
        }
        return same ? original_ : std::move(copy).build();
    }

private:
    NodePtr original_;
    NodePtr attributes_;  // an element whose attributes count instead of the original's
    bool unfolded_ = false;
    Draft* parent_ = nullptr;
    std::vector<std::unique_ptr<Draft>> children_;
};

class Applier {
public:
    explicit Applier(const NodePtr& cib) : root_(cib) {}
    std::string trouble;  // the first one

    NodePtr run(const Node& patchset) {
        for (const NodePtr& change : patchset.children())
            if (change->is("change")) first_pass(*change);
        std::ranges::stable_sort(later_, {}, &Later::position);
        for (const Later& later : later_) second_pass(later);
        return root_.finished();
    }

private:
    struct Later {
        const Node* change;
        Draft* place;  // the parent of what is created; what moves
        std::size_t position;
    };

    void note(const Node& change, std::string_view problem) {
        if (trouble.empty())
            trouble = fmt::format("{} of '{}': {}", change.get("operation"), change.get("path"), problem);
    }
    Draft* resolve(std::string_view path, std::optional<std::size_t> position) {
        const auto steps = parse_path(path);
        if (!steps || steps->empty() || root_.name() != steps->front().name) return nullptr;
        if (steps->front().has_id && root_.id() != steps->front().id) return nullptr;
        Draft* at = &root_;
        for (std::size_t i = 1; i < steps->size() && at != nullptr; ++i) at = find_child(*at, (*steps)[i], position);
        return at;
    }
    static Draft* find_child(Draft& parent, const Step& step, std::optional<std::size_t> position) {
        auto& children = parent.children();
        for (std::size_t i = 0; i < children.size(); ++i) {
            const Draft& c = *children[i];
            if (c.name() != step.name || (step.has_id && c.id() != step.id)) continue;
            if (c.is_comment() && position && *position != i) continue;
            return children[i].get();
        }
        return nullptr;
    }
    void first_pass(const Node& change) {
        const std::string_view operation = change.get("operation");
        if (operation.empty()) return;  // never seen, and nothing to do
        Draft* place = resolve(change.get("path"), operation == "delete" ? position_of(change) : std::nullopt);
        if (operation == "delete") {
            if (place != nullptr && place->parent() != nullptr) {
                std::unique_ptr<Draft> gone = place->parent()->take(place->index());
                std::erase_if(later_, [&](const Later& l) { return is_within(l.place, gone.get()); });
            }
            return;
        }
        if (place == nullptr) {
            note(change, "there is no such place");
        } else if (operation == "create") {
            later_.push_back({&change, place, position_of(change).value_or(kEnd)});
        } else if (operation == "move") {
            Draft* parent = place->parent();
            if (parent == nullptr) return note(change, "the root can't move");
            parent->add(kEnd, parent->take(place->index()));
            later_.push_back({&change, place, position_of(change).value_or(kEnd)});
        } else if (operation == "modify") {
            const Node* result = change.child("change-result");
            NodePtr attributes = result == nullptr ? NodePtr{} : result->first_element_ptr();
            if (!attributes) return note(change, "it brings no result");
            place->set_attributes(std::move(attributes));
        } else {
            note(change, "this operation is unknown");
        }
    }
    static bool is_within(const Draft* node, const Draft* subtree) {
        for (; node != nullptr; node = node->parent())
            if (node == subtree) return true;
        return false;
    }
    void second_pass(const Later& later) {
        if (later.change->get("operation") == "create") {
            const NodePtr object = later.change->children().empty() ? NodePtr{} : later.change->children().front();
            if (!object) return note(*later.change, "it brings no object");
            later.place->add(later.position, std::make_unique<Draft>(object));
            return;
        }
        Draft* parent = later.place->parent();
        const std::size_t index = later.place->index();
        if (index == later.position) return;
        // Taken out first, the place it goes to is the same for both directions.
        std::unique_ptr<Draft> moved = parent->take(index);
        if (later.position > parent->children().size())
            note(*later.change, fmt::format("there is no position {}", later.position));
        parent->add(later.position, std::move(moved));
    }

    static constexpr std::size_t kEnd = ~std::size_t{0};
    Draft root_;
    std::vector<Later> later_;
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

NodePtr make_patchset(const NodePtr& before, const NodePtr& after, bool digest, AttributeOrder order) {
    if (before == after) return nullptr;
    Maker maker(order);
    if (!maker.compare(before, after, "/" + std::string(after->name()))) {
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
    if (digest && !fits_digest(*result, *digest))
        return refuse(rc::kDiffFailed, fmt::format("the result's digest isn't the announced {}", *digest));
    return {.rc = 0, .cib = std::move(result), .why = {}};
}

bool fits_digest(const Node& cib, std::string_view digest) {
    return digest == xml::digest_versioned(cib, xml::Escaping::kCurrent) ||
           digest == xml::digest_versioned(cib, xml::Escaping::kLegacy);
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
