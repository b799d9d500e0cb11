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
            const auto xpath = xml::XPath::compile(expression);
            if (!xpath) continue;
            for (Path& path : xpath->find(cib)) marks_[std::move(path)] |= mark;
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

bool Rights::may_write(const Path& path) const {
    Path at = path;
    for (;;) {
        const unsigned mark = mark_at(at);
        if ((mark & kDeny) != 0) return false;
        if ((mark & kWrite) != 0) return true;
        if (at.empty()) return false;
        at.pop_back();
    }
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

/// Empty if allowed, else the place. Walks what differs only.
std::string Rights::denied_change(const NodePtr& before, const NodePtr& after, Path& path, bool in_acls) const {
    if (before == after) return {};
    const auto here = [](const Node& node) { return "/" + step_name(node); };
    const bool attributes_differ =
        !std::ranges::equal(before->attributes(), after->attributes(),
                            [](const auto& a, const auto& b) { return a.name == b.name && a.value == b.value; });
    if (attributes_differ && !may_write(path)) return here(*after);
    const auto olds = before->children();
    const auto news = after->children();
    std::vector<bool> kept_old(olds.size(), false);
    const auto same = [](const Node& a, const Node& b) {
        if (a.kind() != b.kind()) return false;
        return a.is_element() ? a.name() == b.name() && a.id() == b.id() : a.text() == b.text();
    };
    std::size_t likely = 0;  // children keep their order but for a few: the next one is mostly the match
    const auto find_old = [&](const NodePtr& wanted) -> std::optional<std::size_t> {
        for (std::size_t k = 0; k < olds.size(); ++k) {
            const std::size_t o = (likely + k) % olds.size();
            if (!kept_old[o] && (olds[o] == wanted || same(*olds[o], *wanted))) return o;
        }
        return std::nullopt;
    };
    for (const NodePtr& child : news) {
        const bool acls = in_acls || child->is("acls");
        const auto old = find_old(child);
        if (!old) {
            // Bare scaffolding is allowed anywhere, but for the ACLs' own section; what is inside it is looked at.
            const std::function<std::string(const Node&, bool)> denied_creation = [&](const Node& made,
                                                                                      bool below_acls) {
                if (may_write(path)) return std::string{};
                if (!made.is_element() || below_acls || !has_only_id(made)) return here(made);
                for (const NodePtr& c : made.children()) {
                    std::string denied = denied_creation(*c, below_acls);
                    if (!denied.empty()) return here(made) + denied;
                }
                return std::string{};
            };
            std::string denied = denied_creation(*child, acls);
            if (!denied.empty()) return here(*after) + denied;
            continue;
        }
        kept_old[*old] = true;
        likely = *old + 1;
        path.push_back(static_cast<std::uint32_t>(*old));
        std::string denied = denied_change(olds[*old], child, path, acls);
        path.pop_back();
        if (!denied.empty()) return here(*after) + denied;
    }
    for (std::uint32_t o = 0; o < olds.size(); ++o) {
        if (kept_old[o]) continue;
        path.push_back(o);
        const bool allowed = may_write(path);
        path.pop_back();
        if (!allowed) return here(*after) + here(*olds[o]);
    }
    return {};
}

Result<void> Rights::check_change(const NodePtr& before, const NodePtr& after) const {
    // Who has no permission at all may not even build scaffolding.
    if (!any_ && !xml::deep_equal(*before, *after))
        return fail(Errc::kDenied, fmt::format("user '{}' has no permissions", user_));
    Path path;
    const std::string denied = denied_change(before, after, path, false);
    if (denied.empty()) return {};
    return fail(Errc::kDenied, fmt::format("user '{}' may not change {}", user_, denied));
}

}  // namespace systole::cib
