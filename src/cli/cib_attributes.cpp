#include "cli/cib_attributes.h"

#include <array>

#include <fmt/format.h>

#include "base/text.h"

namespace systole::cli {
namespace {

struct ScopeRow {
    PairScope scope;
    std::string_view name, set_type, set_id;
};
constexpr std::array kScopes{
    ScopeRow{PairScope::kCrmConfig, "crm_config", "cluster_property_set", "cib-bootstrap-options"},
    ScopeRow{PairScope::kRscDefaults, "rsc_defaults", "meta_attributes", "rsc_defaults-options"},
    ScopeRow{PairScope::kOpDefaults, "op_defaults", "meta_attributes", "op_defaults-options"},
    ScopeRow{PairScope::kNodes, "nodes", "instance_attributes", ""},
    ScopeRow{PairScope::kStatus, "status", "instance_attributes", ""},
    ScopeRow{PairScope::kTickets, "tickets", "instance_attributes", ""},
};

const ScopeRow& row_of(PairScope scope) {
    for (const ScopeRow& row : kScopes) {
        if (row.scope == scope) return row;
    }
    return kScopes.front();
}

const xml::Node* configuration(const xml::Node& cib, std::string_view section) {
    const xml::Node* parent = cib.child("configuration");
    return parent == nullptr ? nullptr : parent->child(section);
}

// The element that the sets stand in.
const xml::Node* parent_of_sets(const xml::Node& cib, const PairQuery& query) {
    switch (query.scope) {
        case PairScope::kNodes: {
            const xml::Node* nodes = configuration(cib, "nodes");
            return nodes == nullptr ? nullptr : nodes->child("node", query.node_id);
        }
        case PairScope::kStatus: {
            const xml::Node* status = cib.child("status");
            const xml::Node* state = status == nullptr ? nullptr : status->child("node_state", query.node_id);
            return state == nullptr ? nullptr : state->child("transient_attributes");
        }
        case PairScope::kTickets: {
            const xml::Node* status = cib.child("status");
            return status == nullptr ? nullptr : status->child("tickets");
        }
        case PairScope::kCrmConfig:
        case PairScope::kRscDefaults:
        case PairScope::kOpDefaults: break;
    }
    return configuration(cib, row_of(query.scope).name);
}

std::string_view set_type_of(const PairQuery& query) {
    return query.set_type.empty() ? row_of(query.scope).set_type : std::string_view(query.set_type);
}

std::string new_set_id(const PairQuery& query) {
    if (!query.set_id.empty()) return query.set_id;
    const ScopeRow& row = row_of(query.scope);
    if (!row.set_id.empty()) return std::string(row.set_id);
    std::string id = fmt::format("{}-{}", row.name, query.node_id);
    if (query.set_type == "utilization") id += "-utilization";
    return xml_id(id);
}

}  // namespace

std::optional<PairScope> parse_pair_scope(std::string_view name) {
    for (const ScopeRow& row : kScopes) {
        if (row.name == name) return row.scope;
    }
    return std::nullopt;
}

std::string_view name_of(PairScope scope) { return row_of(scope).name; }

std::vector<FoundPair> find_pairs(const xml::Node& cib, const PairQuery& query) {
    std::vector<FoundPair> found;
    const xml::Node* parent = parent_of_sets(cib, query);
    if (parent == nullptr) return found;
    for (const xml::NodePtr& set : parent->children()) {
        if (!set->is(set_type_of(query)) || (!query.set_id.empty() && set->id() != query.set_id)) continue;
        for (const xml::NodePtr& pair : set->children()) {
            if (!pair->is("nvpair")) continue;
            if (!query.pair_id.empty() && pair->id() != query.pair_id) continue;
            if (!query.name.empty() && pair->get("name") != query.name) continue;
            found.push_back({pair.get(), set.get()});
        }
    }
    return found;
}

CibCall set_pair(const xml::Node& cib, const PairQuery& query, std::string_view value, const FoundPair* existing,
                 std::uint32_t options) {
    std::string set_id;
    std::string pair_id = query.pair_id;
    if (existing != nullptr) {
        set_id = existing->set->id();
        pair_id = existing->pair->id();
    } else {
        set_id = new_set_id(query);
        // A set that is there already takes the new pair, unless one was asked for.
        const xml::Node* parent = parent_of_sets(cib, query);
        const xml::Node* first = parent == nullptr ? nullptr : parent->child(set_type_of(query));
        if (query.set_id.empty() && first != nullptr && parent->child(set_type_of(query), set_id) == nullptr &&
            row_of(query.scope).set_id.empty()) {
            set_id = first->id();
        }
        if (pair_id.empty()) pair_id = xml_id(fmt::format("{}-{}", set_id, query.name));
    }
    xml::Builder pair("nvpair");
    pair.set("id", pair_id);
    pair.set("name", query.name.empty() && existing != nullptr ? existing->pair->get("name") : query.name);
    pair.set("value", value);
    xml::Builder set(set_type_of(query));
    set.set("id", set_id).add(std::move(pair));

    xml::Builder top("");
    switch (query.scope) {
        case PairScope::kNodes:
            top.rename("node");
            top.set("id", query.node_id).add(std::move(set));
            break;
        case PairScope::kStatus: {
            xml::Builder transient("transient_attributes");
            transient.set("id", query.node_id).add(std::move(set));
            top.rename("node_state");
            top.set("id", query.node_id);
            const xml::Node* status = cib.child("status");
            if (status == nullptr || status->child("node_state", query.node_id) == nullptr) {
                top.set("uname", query.node_name);
                if (query.remote_node) top.set("remote_node", "true");
            }
            top.add(std::move(transient));
            break;
        }
        case PairScope::kTickets:
        case PairScope::kCrmConfig:
        case PairScope::kRscDefaults:
        case PairScope::kOpDefaults:
            top.rename(row_of(query.scope).name);
            top.add(std::move(set));
            break;
    }
    const std::string_view section =
        query.scope == PairScope::kTickets ? std::string_view("status") : row_of(query.scope).name;
    return {.op = cib::Op::kModify,
            .section = std::string(section),
            .input = std::move(top).build(),
            .options = options | cib::option::kCanCreate | cib::option::kSyncCall};
}

CibCall delete_pair(const PairQuery& query, std::string_view pair_id) {
    xml::Builder pair("nvpair");
    pair.set("id", pair_id);
    if (!query.name.empty()) pair.set("name", query.name);
    const std::string_view section =
        query.scope == PairScope::kTickets ? std::string_view("status") : row_of(query.scope).name;
    return {.op = cib::Op::kDelete,
            .section = std::string(section),
            .input = std::move(pair).build(),
            .options = cib::option::kSyncCall};
}

namespace {

// Ids of configured connections to remote and guest nodes.
bool names_remote(const xml::Node& node, std::string_view name) {
    if (node.is("primitive") && node.get("type") == "remote" && node.get("provider") == "pacemaker" &&
        same_ignoring_case(node.id(), name)) {
        return true;
    }
    if (node.is("nvpair") && node.get("name") == "remote-node" && same_ignoring_case(node.get("value"), name))
        return true;
    if (node.is("bundle") && name.starts_with(fmt::format("{}-", node.id()))) return true;
    for (const xml::NodePtr& child : node.children()) {
        if (names_remote(*child, name)) return true;
    }
    return false;
}

}  // namespace

std::optional<NodeIdentity> find_node(const xml::Node& cib, std::string_view name) {
    if (const xml::Node* nodes = configuration(cib, "nodes")) {
        for (const xml::NodePtr& node : nodes->children()) {
            if (node->is("node") && same_ignoring_case(node->get("uname"), name)) {
                const bool remote = node->get("type") == "remote";
                return NodeIdentity{std::string(node->id()), std::string(node->get("uname")), remote};
            }
        }
    }
    if (const xml::Node* resources = configuration(cib, "resources");
        resources != nullptr && names_remote(*resources, name)) {
        return NodeIdentity{std::string(name), std::string(name), true};
    }
    if (const xml::Node* status = cib.child("status")) {
        for (const xml::NodePtr& state : status->children()) {
            if (state->is("node_state") && same_ignoring_case(state->get("uname"), name)) {
                return NodeIdentity{std::string(state->id()), std::string(state->get("uname")),
                                    parse_bool(state->get("remote_node")).value_or(false)};
            }
        }
    }
    return std::nullopt;
}

}  // namespace systole::cli
