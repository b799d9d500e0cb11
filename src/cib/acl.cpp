#include "cib/acl.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "xml/xpath.h"

namespace systole::cib {
namespace {

using xml::Builder;
using xml::Node;
using xml::NodePtr;
using xml::Path;

/// A permission's selector as XPath; empty if it has none.
std::string selector(const Node& permission) {
    if (const auto xpath = permission.attribute("xpath")) return std::string(*xpath);
    // Names of 1.x schemas: tag and ref.
    const std::string_view type = permission.get("object-type", permission.get("tag"));
    const std::string_view reference = permission.get("reference", permission.get("ref"));
    const std::string_view attribute = permission.get("attribute");
    if (type.empty() && reference.empty()) return {};
    std::string out = fmt::format("//{}", type.empty() ? "*" : type);
    if (!reference.empty() && !attribute.empty())
        out += fmt::format("[@id='{}' and @{}]", reference, attribute);
    else if (!reference.empty())
        out += fmt::format("[@id='{}']", reference);
    else if (!attribute.empty())
        out += fmt::format("[@{}]", attribute);
    return out;
}

const Node* acls_of(const Node& cib) {
    const Node* configuration = cib.child("configuration");
    return configuration == nullptr ? nullptr : configuration->child("acls");
}

std::string step_name(const Node& node) {
    return node.has("id") ? fmt::format("{}[@id='{}']", node.name(), node.id()) : std::string(node.name());
}

bool has_only_id(const Node& node) {
    return std::ranges::all_of(node.attributes(), [](const xml::Attribute& a) { return a.name.view() == "id"; });
}

}  // namespace

bool acls_bind(const Node& cib, std::string_view user) {
    if (user.empty() || user == "root" || user == "hacluster") return false;
    const Node* configuration = cib.child("configuration");
    const Node* options = configuration == nullptr ? nullptr : configuration->child("crm_config");
    if (options == nullptr) return false;
    const auto value_in = [](const Node& set) -> std::optional<bool> {
        for (const NodePtr& pair : set.children())
            if (pair->is("nvpair") && pair->get("name") == "enable-acl")
                return parse_bool(pair->get("value")).value_or(false);
        return std::nullopt;
    };
    // The bootstrap set wins over all others.
    if (const Node* set = options->child("cluster_property_set", "cib-bootstrap-options"))
        if (const auto value = value_in(*set)) return *value;
    for (const NodePtr& set : options->children())
        if (set->is("cluster_property_set"))
            if (const auto value = value_in(*set)) return *value;
    return false;
}

Rights::Rights(const Node& cib, std::string_view user, const std::vector<std::string>& groups) : user_(user) {
    const Node* acls = acls_of(cib);
    if (acls == nullptr) return;
    const auto grant = [&](const Node& owner) {
        for (const NodePtr& permission : owner.children()) {
            // The kinds of 1.x schemas are element names.
            const std::string_view kind =
                permission->is("acl_permission") ? permission->get("kind") : permission->name();
            const unsigned mark = kind == "read" ? kRead : kind == "write" ? kWrite : kind == "deny" ? kDeny : 0U;
            if (mark == 0) continue;
            const std::string expression = selector(*permission);
            if (expression.empty()) continue;
            any_ = true;
            if (auto xpath = xml::XPath::compile(expression)) permissions_.push_back({std::move(*xpath), mark});
        }
    };
    for (const NodePtr& target : acls->children()) {
        const std::string_view name = target->get("name", target->id());
        const bool mine = ((target->is("acl_target") || target->is("acl_user")) && name == user) ||
                          (target->is("acl_group") && std::ranges::find(groups, name) != groups.end());
        if (!mine) continue;
        grant(*target);
        for (const NodePtr& reference : target->children()) {
            if (!reference->is("role") && !reference->is("role_ref")) continue;
            if (const Node* role = acls->child("acl_role", reference->id())) grant(*role);
        }
    }
    marks_ = marks_in(cib);
}

Rights::Marks Rights::marks_in(const Node& cib) const {
    Marks marks;
    for (const Permission& permission : permissions_)
        for (Path& path : permission.what.find(cib)) marks[std::move(path)] |= permission.mark;
    return marks;
}

unsigned Rights::mark_at(const Path& path) const {
    const auto found = marks_.find(path);
    return found == marks_.end() ? 0U : found->second;
}

Rights::Access Rights::own_access(const Path& path) const {
    const unsigned mark = mark_at(path);
    if ((mark & kDeny) != 0) return Access::kDenied;
    if ((mark & kWrite) != 0) return Access::kWritable;
    return (mark & kRead) != 0 ? Access::kReadable : Access::kUnmarked;
}

/// A readable subtree, but for what is denied below.
NodePtr Rights::kept(const NodePtr& node, Path& path) const {
    std::optional<Builder> copy;
    std::size_t place = 0;
    path.push_back(0);
    for (std::uint32_t i = 0; i < node->children().size(); ++i) {
        const NodePtr& child = node->children()[i];
        path.back() = i;
        const NodePtr shown = (mark_at(path) & kDeny) != 0 ? purged(child, path) : kept(child, path);
        if (shown == child) {
            ++place;
            continue;
        }
        if (!copy) copy.emplace(*node);
        if (shown)
            copy->replace(place++, shown);
        else
            copy->erase(place);
    }
    path.pop_back();
    return copy ? std::move(*copy).build() : node;
}

/// Nothing but the way to what is readable below; null if nothing is.
NodePtr Rights::purged(const NodePtr& node, Path& path) const {
    const unsigned mark = mark_at(path);
    if ((mark & kDeny) == 0 && (mark & (kRead | kWrite)) != 0) return kept(node, path);
    if (!node->is_element()) return nullptr;
    Builder copy(node->name());
    if (const xml::Attribute* id = node->find("id")) copy.append_attribute(id->name, id->value);
    bool any = false;
    path.push_back(0);
    for (std::uint32_t i = 0; i < node->children().size(); ++i) {
        path.back() = i;
        NodePtr shown = purged(node->children()[i], path);
        any = any || shown;
        copy.add(std::move(shown));
    }
    path.pop_back();
    return any ? std::move(copy).build() : nullptr;
}

NodePtr Rights::filter(const NodePtr& cib) const {
    if (marks_.empty()) return nullptr;
    Path path;
    return purged(cib, path);
}

/// Walks what differs between two CIBs, and keeps on the way what the ancestors' marks give.
class ChangeCheck {
public:
    ChangeCheck(const Rights& rights, const NodePtr& after, std::vector<AclNote>* notes)
        : rights_(rights), after_(after), notes_(notes) {}

    /// The first place that may not be changed; empty if there is none.
    std::string run(const NodePtr& before) {
        enter(*before, rights_.mark_at(path_));
        compare(before, after_);
        return std::move(denied_);
    }

private:
    void enter(const Node& node, unsigned mark) {
        place_.push_back(place_.empty() ? "/" + step_name(node) : place_.back() + "/" + step_name(node));
        marks_.push_back(mark);
    }
    void leave() {
        place_.pop_back();
        marks_.pop_back();
    }

    void note(bool about_creation, std::string text) {
        if (notes_ != nullptr) notes_->push_back({about_creation, std::move(text)});
    }

    // May the element that was entered last be written? `attribute` only tells the note which one was.
    bool may_write(std::string_view attribute = {}) {
        std::string_view why = rights_.any_ ? "Default " : "Lack of ";
        for (std::size_t i = marks_.size(); rights_.any_ && i-- > 0;) {
            if ((marks_[i] & Rights::kDeny) != 0) {
                why = i + 1 == marks_.size() ? "" : "Parent ";
                break;
            }
            if ((marks_[i] & Rights::kWrite) != 0) return true;
        }
        const std::string where = place_.back() + (attribute.empty() ? "" : fmt::format("[@{}]", attribute));
        note(false, fmt::format("{}ACL denies user '{}' read/write access to {}", why, rights_.user_, where));
        if (denied_.empty()) denied_ = place_.back();
        return false;
    }

    void compare(const NodePtr& before, const NodePtr& after) {
        if (before == after) return;
        for (const xml::Attribute& old : before->attributes()) {
            const auto now = after->attribute(old.name.view());
            if (!now) may_write();
            if (now && *now != old.value.view()) may_write(old.name.view());
        }
        for (const xml::Attribute& now : after->attributes())
            if (!before->has(now.name.view())) may_write(now.name.view());
        compare_children(before->children(), after->children());
    }

    void compare_children(std::span<const NodePtr> olds, std::span<const NodePtr> news) {
        std::vector<std::optional<std::uint32_t>> match(news.size());
        std::vector<bool> stays(olds.size(), false);
        const auto same = [](const Node& a, const Node& b) {
            if (a.kind() != b.kind()) return false;
            return a.is_element() ? a.name() == b.name() && a.id() == b.id() : a.text() == b.text();
        };
        std::size_t likely = 0;  // children keep their order but for a few: the next one is mostly the match
        for (std::size_t n = 0; n < news.size(); ++n) {
            for (std::size_t k = 0; k < olds.size() && !match[n]; ++k) {
                const std::size_t o = (likely + k) % olds.size();
                if (!stays[o] && (olds[o] == news[n] || same(*olds[o], *news[n])))
                    match[n] = static_cast<std::uint32_t>(o);
            }
            if (!match[n]) continue;
            stays[*match[n]] = true;
            likely = *match[n] + 1U;
        }
        for (std::uint32_t o = 0; o < olds.size(); ++o) {
            if (stays[o]) continue;
            path_.push_back(o);
            enter(*olds[o], rights_.mark_at(path_));
            may_write();
            leave();
            path_.pop_back();
        }
        for (std::uint32_t n = 0; n < news.size(); ++n) {
            path_after_.push_back(n);
            if (match[n]) {
                path_.push_back(*match[n]);
                enter(*news[n], rights_.mark_at(path_));
                compare(olds[*match[n]], news[n]);
                leave();
                path_.pop_back();
            } else {
                create(*news[n]);
            }
            path_after_.pop_back();
        }
    }

    // Bare scaffolding is allowed anywhere, but for the ACLs' own section; what is inside it is looked at.
    void create(const Node& made) {
        if (!made_marks_) made_marks_ = rights_.marks_in(*after_);
        const auto mark = made_marks_->find(path_after_);
        enter(made, mark == made_marks_->end() ? 0U : mark->second);
        const std::string what = fmt::format("<{}>", made.name());
        const bool scaffolding =
            made.is_element() && has_only_id(made) && place_.back().find("/acls") == std::string::npos;
        bool allowed = true;
        if (scaffolding) {
            note(true, fmt::format("Creation of {} scaffolding with id=\"{}\" is implicitly allowed", what, made.id()));
        } else {
            allowed = may_write();
            note(true,
                 fmt::format("ACLs {} creation of {} with id=\"{}\"", allowed ? "allow" : "disallow", what, made.id()));
        }
        path_after_.push_back(0);
        for (const NodePtr& child : allowed ? made.children() : std::span<const NodePtr>{}) {
            create(*child);
            ++path_after_.back();
        }
        path_after_.pop_back();
        leave();
    }

    const Rights& rights_;
    const NodePtr& after_;
    std::vector<AclNote>* notes_;
    std::optional<Rights::Marks> made_marks_;  ///< of the CIB as it will be; asked for only where something is created
    Path path_, path_after_;
    std::vector<std::string> place_;
    std::vector<unsigned> marks_;
    std::string denied_;
};

Result<void> Rights::check_change(const NodePtr& before, const NodePtr& after, std::vector<AclNote>* notes) const {
    const std::string denied = ChangeCheck(*this, after, notes).run(before);
    if (!denied.empty()) return fail(Errc::kDenied, fmt::format("user '{}' may not change {}", user_, denied));
    // Who has no permission at all may not even build scaffolding.
    if (!any_ && !xml::deep_equal(*before, *after))
        return fail(Errc::kDenied, fmt::format("user '{}' has no permissions", user_));
    return {};
}

}  // namespace systole::cib
