#include "cib/operations.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cib/acl.h"
#include "cib/edits.h"
#include "cib/patchset.h"
#include "cib/rc.h"
#include "wire/message.h"
#include "xml/xpath.h"

namespace systole::cib {
namespace {

using xml::Builder;
using xml::Node;
using xml::NodePtr;
using xml::Path;

std::vector<std::string> groups_of(const World& world, std::string_view user) {
    return world.groups_of ? world.groups_of(user) : std::vector<std::string>{};
}

NodePtr without_children(const Node& node) { return std::move(Builder(node).clear_children()).build(); }

std::string address(const Node& root, const Path& path) {
    std::string out;
    const Node* node = &root;
    const auto append = [&out](const Node& n) {
        out += fmt::format("/{}", n.name());
        if (n.has("id")) out += fmt::format("[@id='{}']", n.id());
    };
    append(root);
    for (const std::uint32_t index : path) {
        node = node->children()[index].get();
        append(*node);
    }
    return out;
}

Outcome refuse(const NodePtr& cib, int rc, std::string why) {
    Outcome o;
    o.rc = rc;
    o.cib = cib;
    o.why = std::move(why);
    return o;
}

NodePtr answer_xpath(const Node& visible, const Request& request, const std::vector<Path>& found) {
    if (request.has(option::kXPathAddress)) {
        Builder list("xpath-query");
        for (const Path& path : found)
            list.add(std::move(Builder("xpath-query-path").set("id", address(visible, path))));
        return std::move(list).build();
    }
    const auto shown = [&](const Path& path) {
        const Node& node = *xml::node_at(visible, path);
        return request.has(option::kNoChildren) && node.is_element() ? without_children(node) : node.share();
    };
    if (found.size() == 1) return shown(found.front());
    Builder list("xpath-query");
    for (const Path& path : found) list.add(shown(path));
    return std::move(list).build();
}

/// A CIB as the requester may see it.
NodePtr shown_to(const NodePtr& cib, const Request& request, const World& world) {
    if (!acls_bind(*cib, request.user)) return cib;
    return Rights(*cib, request.user, groups_of(world, request.user)).filter(cib);
}

Outcome query(const NodePtr& cib, const Request& request, const World& world) {
    const NodePtr visible = shown_to(cib, request, world);
    if (!visible) return refuse(cib, rc::kDenied, fmt::format("user '{}' may read nothing", request.user));
    Outcome o;
    o.cib = cib;
    if (request.has(option::kXPath)) {
        const auto xpath = xml::XPath::compile(request.section);
        if (!xpath) return refuse(cib, rc::kNotFound, xpath.error().what);
        const std::vector<Path> found = xpath->find(*visible);
        if (found.empty()) return refuse(cib, rc::kNotFound, fmt::format("nothing matches '{}'", request.section));
        o.output = answer_xpath(*visible, request, found);
        return o;
    }
    const bool all = request.section.empty() || same_ignoring_case(request.section, "all");
    const auto path = find_section(*visible, all ? "" : request.section);
    if (!path) return refuse(cib, rc::kNotFound, fmt::format("there is no section '{}'", request.section));
    const Node& found = *xml::node_at(*visible, *path);
    o.output = request.has(option::kNoChildren) ? without_children(found) : found.share();
    return o;
}

Edit upgrade(const NodePtr& cib, const Request& request, const World& world) {
    Edit e;
    if (world.schemas == nullptr) {
        e.rc = rc::kNotSupported;
        e.why = "there are no schemas to upgrade to";
        return e;
    }
    Schemas::Upgrade result = world.schemas->upgrade(cib, request.message->get("cib_schema_max"));
    if (!result.upgraded) {
        e.why = std::move(result.why);
        switch (result.refusal) {
            case Schemas::Refusal::kUnchanged: e.rc = rc::kSchemaUnchanged; break;
            case Schemas::Refusal::kInvalid: e.rc = rc::kSchemaViolated; break;
            case Schemas::Refusal::kTransformFailed: e.rc = rc::kTransformFailed; break;
        }
        return e;
    }
    Version version = version_of(*result.cib);
    ++version.admin_epoch;
    version.epoch = 1;
    version.num_updates = 1;
    e.cib = with_version(*result.cib, version);
    e.infer_changes = true;
    return e;
}

Edit apply(const NodePtr& cib, const Request& request) {
    Edit e;
    if (!request.input) {
        e.rc = rc::kInvalid;
        e.why = "the request has no patch";
        return e;
    }
    Patched patched = apply_patchset(cib, *request.input);
    e.rc = patched.rc;
    e.cib = std::move(patched.cib);
    e.why = std::move(patched.why);
    e.infer_changes = true;
    return e;
}

void infer_changes(const NodePtr& before, const NodePtr& after, Editing& editing) {
    const NodePtr old = before->child_ptr("configuration");
    const NodePtr now = after->child_ptr("configuration");
    const bool config = !old || !now ? old != now : !xml::deep_equal(*old, *now);
    if (config || !xml::deep_equal(*before, *after)) editing.mark(config);
}

Edit edit(const NodePtr& cib, const Request& request, const World& world, Editing& editing);

/// All of its requests, or none.
Edit commit(const NodePtr& cib, const Request& request, const World& world, Editing& editing) {
    Edit result;
    result.cib = cib;
    if (!request.input || !request.input->is("cib_transaction")) {
        result.rc = rc::kInvalid;
        result.why = "the request has no transaction";
        return result;
    }
    for (const NodePtr& command : request.input->children()) {
        if (!command->is("cib_command")) continue;
        Request part = read_request(command);
        part.user = request.user;
        part.origin = request.origin;
        if (!may_be_in_transaction(part.op)) {
            result.rc = rc::kNotSupported;
            result.why = fmt::format("'{}' can't be part of a transaction", part.op_text);
            return result;
        }
        Editing of_part{.release = editing.release};
        Edit e = edit(result.cib, part, world, of_part);
        if (e.rc != 0) {
            e.why = fmt::format("{} in the transaction failed: {}", part.op_text, e.why);
            return e;
        }
        if (of_part.changes.any) editing.mark(of_part.changes.config);
        result.cib = e.cib;
    }
    return result;
}

Edit edit(const NodePtr& cib, const Request& request, const World& world, Editing& editing) {
    editing.expand_scores = editing.release.scores_always_expanded || request.has(option::kScoreUpdate);
    Edit e;
    switch (request.op) {
        case Op::kCreate: e = create(cib, request, editing); break;
        case Op::kModify: e = modify(cib, request, editing); break;
        case Op::kDelete: e = remove(cib, request, editing); break;
        case Op::kReplace: e = replace(cib, request, editing); break;
        case Op::kErase: e = erase(cib); break;
        case Op::kBump: e = bump(cib, editing); break;
        case Op::kApplyDiff: e = apply(cib, request); break;
        case Op::kUpgrade: e = upgrade(cib, request, world); break;
        case Op::kCommitTransaction: e = commit(cib, request, world, editing); break;
        case Op::kUnknown:
        case Op::kQuery:
        case Op::kSync:
        case Op::kSyncOne:
        case Op::kPrimary:
        case Op::kSecondary:
        case Op::kIsPrimary:
        case Op::kDeleteAlt:
        case Op::kNoop:
        case Op::kPing:
        case Op::kShutdown:
        case Op::kSchemas:
            e.rc = rc::kInvalid;
            e.why = fmt::format("'{}' doesn't change the CIB", request.op_text);
            return e;
    }
    if (e.rc != 0) return e;
    if (editing.release.scores_always_expanded) e.cib = expand_leftovers(cib, e.cib, {.root = true}, editing);
    if (e.infer_changes) infer_changes(cib, e.cib, editing);
    return e;
}

NodePtr with_counters(const NodePtr& cib, const Changes& changes) {
    if (!changes.any) return cib;
    Version version = version_of(*cib);
    if (changes.config) {
        ++version.epoch;
        version.num_updates = 0;
    } else {
        ++version.num_updates;
    }
    return with_version(*cib, version);
}

NodePtr with_modification_time(const NodePtr& cib, const Request& request, const World& world) {
    Builder copy(*cib);
    copy.set("cib-last-written", world.modification_time);
    if (compare_schema_names(cib->get("validate-with"), "pacemaker-1.2") >= 0) {
        const auto set_or_unset = [&](const char* name, std::string_view value) {
            if (value.empty())
                copy.unset(name);
            else
                copy.set(name, value);
        };
        set_or_unset("update-origin", request.origin);
        set_or_unset("update-client", request.client_name);
        set_or_unset("update-user", request.user);
    }
    return std::move(copy).build();
}

Outcome change(const NodePtr& cib, const Request& request, const World& world) {
    Editing editing{.release = release_of(*cib)};
    Edit e = edit(cib, request, world, editing);
    if (e.rc != 0) {
        Outcome o = refuse(cib, e.rc, std::move(e.why));
        o.output = std::move(e.output);
        return o;
    }
    if (acls_bind(*cib, request.user)) {
        const Rights rights(*cib, request.user, groups_of(world, request.user));
        std::vector<AclNote> notes;
        const auto allowed = rights.check_change(cib, e.cib, world.on_acl ? &notes : nullptr);
        for (const AclNote& note : notes) world.on_acl(note);
        if (!allowed) return refuse(cib, rc::kDenied, allowed.error().what);
    }
    const std::string_view feature_set = e.cib->get("crm_feature_set");
    if (!world.feature_set.empty() && wire::compare_versions(feature_set, world.feature_set) > 0)
        return refuse(cib, rc::kFeatureTooNew,
                      fmt::format("the CIB would need feature set {}, ours is {}", feature_set, world.feature_set));
    const Version before = version_of(*cib);
    const Version offered = version_of(*e.cib);
    if (offered.admin_epoch < before.admin_epoch ||
        (offered.admin_epoch == before.admin_epoch && offered.epoch < before.epoch))
        return refuse(cib, rc::kOldData,
                      fmt::format("version {} would follow {}", to_string(offered), to_string(before)));
    Outcome o;
    const bool counted = !request.full_sync && !request.has(option::kInhibitBroadcast);
    NodePtr result = counted ? with_counters(e.cib, editing.changes) : e.cib;
    o.config_changed = editing.changes.config;
    if (editing.changes.any) o.patchset = make_patchset(cib, result);
    if (editing.changes.config && !world.modification_time.empty() && !request.has(option::kNoModificationTime) &&
        !request.full_sync)
        result = with_modification_time(result, request, world);
    // A request for the status section isn't validated, as everywhere; nor is what only removes things outside of the
    // configuration, which can't do harm and is the common way to clean up history.
    const bool only_removes_status =
        request.op == Op::kDelete && result->child_ptr("configuration") == cib->child_ptr("configuration");
    if (world.schemas != nullptr && result != cib && request.section != "status" && !only_removes_status) {
        if (world.validated != nullptr) ++*world.validated;
        if (const auto valid = world.schemas->validate(*result, cib.get()); !valid) {
            Outcome refused = refuse(cib, rc::kSchemaViolated, valid.error().what);
            refused.output = shown_to(result, request, world);
            return refused;
        }
    }
    if (request.has(option::kDryRun)) {
        o.cib = cib;
        return o;
    }
    o.cib = std::move(result);
    return o;
}

}  // namespace

Outcome execute(const NodePtr& cib, const Request& request, const World& world) {
    if (request.op == Op::kQuery) return query(cib, request, world);
    return change(cib, request, world);
}

}  // namespace systole::cib
