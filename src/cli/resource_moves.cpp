#include "cli/resource_moves.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "rules/evaluate.h"

namespace systole::cli {
namespace {

using model::Cluster;
using model::Node;
using model::Resource;

ExitCode finish(Output& output, const Result<CibReply>& reply) {
    const int rc = reply ? reply->rc : legacy_code(reply.error());
    if (rc == 0) return ExitCode::kOk;
    output.fail(fmt::format("Error performing operation: {}", describe_legacy(rc)));
    return exit_code_of_legacy(rc);
}

const Node* named_node(Output& output, const Cluster& cluster, const std::string& name) {
    const Node* node = cluster.find_node(name);
    if (node == nullptr)
        output.fail(fmt::format("Node '{}' not found\nError performing operation: No such object", name));
    return node;
}

// When a constraint of that lifetime ends. Empty: never. Errors: it is no duration.
Result<std::string> end_of(Output& output, const Cluster& cluster, const std::string& lifetime) {
    if (lifetime.empty()) return std::string();
    const auto length = rules::parse_duration(lifetime);
    if (!length)
        return systole::fail(Errc::kInvalid,
                             fmt::format("Invalid duration specified: {} (ISO 8601, such as PT15M)", lifetime));
    const std::string end = to_string(cluster.now + *length, {.with_offset = true});
    output.line(fmt::format("Migration will take effect until: {}", end));
    return end;
}

xml::NodePtr constraint(const Resource& resource, const std::string& node, bool ban, bool promoted,
                        const std::string& end) {
    const std::string name(resource.printable_id());
    const std::string base = ban ? fmt::format("{}-on-{}", name, node) : name;
    const std::string prefix = ban ? "cli-ban" : "cli-prefer";
    const char* score = ban ? "-INFINITY" : "INFINITY";
    xml::Builder location("rsc_location");
    location.set("id", xml_id(fmt::format("{}-{}", prefix, base)));
    location.set("rsc", name).set("role", promoted ? "Promoted" : "Started");
    if (end.empty()) {
        location.set("node", node).set("score", score);
        return std::move(location).build();
    }
    const auto id_of = [&](const char* part, const char* short_part) {
        return xml_id(ban ? fmt::format("{}-{}-{}", prefix, base, short_part)
                          : fmt::format("{}-{}-{}", prefix, part, base));
    };
    xml::Builder rule("rule");
    rule.set("id", id_of("rule", "rule"));
    rule.set("score", score).set("boolean-op", "and");
    xml::Builder expression("expression");
    expression.set("id", id_of("expr", "expr"));
    expression.set("attribute", "#uname").set("operation", "eq").set("value", node).set("type", "string");
    xml::Builder date("date_expression");
    date.set("id", id_of("lifetime-end", "lifetime"));
    date.set("operation", "lt").set("end", end);
    rule.add(std::move(expression)).add(std::move(date));
    return std::move(location.add(std::move(rule))).build();
}

Result<CibReply> put(CibAccess& access, const xml::NodePtr& location) {
    xml::Builder constraints("constraints");
    constraints.add(location);
    return access.call({.op = cib::Op::kModify,
                        .section = "constraints",
                        .input = std::move(constraints).build(),
                        .options = cib::option::kCanCreate | cib::option::kSyncCall});
}

Result<CibReply> drop(CibAccess& access, std::string_view id) {
    return access.call({.op = cib::Op::kDelete,
                        .section = "constraints",
                        .input = xml::Builder("rsc_location").set("id", id).build(),
                        .options = cib::option::kSyncCall});
}

void collect_active(const Resource& resource, bool promoted, std::vector<const Node*>& nodes) {
    for (const Resource* child : resource.children) collect_active(*child, promoted, nodes);
    if (!resource.children.empty() || (promoted && resource.role != model::Role::kPromoted)) return;
    for (const Node* node : resource.active_nodes) {
        if (std::ranges::find(nodes, node) == nodes.end()) nodes.push_back(node);
    }
}

std::vector<const Node*> active_on(const Resource& resource, bool promoted) {
    std::vector<const Node*> nodes;
    collect_active(resource, promoted, nodes);
    return nodes;
}

void warn_of_ban(Output& output, const std::string& id, const Resource& resource, const std::string& node) {
    output.text(
        fmt::format("WARNING: Creating rsc_location constraint '{}' with a score of -INFINITY for resource {} on {}.\n"
                    "\tThis will prevent {} from running on {} until the constraint is removed using the clear option "
                    "or by editing "
                    "the CIB with an appropriate tool.\n"
                    "\tThis will be the case even if {} is the last node in the cluster\n",
                    id, resource.printable_id(), node, resource.printable_id(), node, node));
}

ExitCode ban_from(Output& output, CibAccess& access, const Cluster& cluster, const MoveRequest& request,
                  const std::string& node) {
    const auto end = end_of(output, cluster, request.lifetime);
    if (!end) {
        output.fail(end.error().what);
        return ExitCode::kUsage;
    }
    const xml::NodePtr location = constraint(*request.resource, node, true, request.promoted, *end);
    warn_of_ban(output, std::string(location->id()), *request.resource, node);
    return finish(output, put(access, location));
}

// What --move and --ban made earlier: of one resource (or any), for one node (or any).
struct Made {
    const xml::Node* location;
    bool ban;
};
std::vector<Made> made_before(const Cluster& cluster, const Resource* resource) {
    std::vector<Made> made;
    const xml::Node* configuration = cluster.cib->child("configuration");
    const xml::Node* constraints = configuration == nullptr ? nullptr : configuration->child("constraints");
    if (constraints == nullptr) return made;
    for (const xml::NodePtr& location : constraints->children()) {
        if (!location->is("rsc_location")) continue;
        if (resource != nullptr && location->get("rsc") != resource->printable_id()) continue;
        const bool ban = location->id().starts_with("cli-ban-");
        if (ban || location->id().starts_with("cli-prefer-")) made.push_back({location.get(), ban});
    }
    return made;
}

std::string node_of(const xml::Node& location) {
    if (location.has("node")) return std::string(location.get("node"));
    const xml::Node* rule = location.child("rule");
    const xml::Node* expression = rule == nullptr ? nullptr : rule->child("expression");
    return expression == nullptr ? std::string() : std::string(expression->get("value"));
}

bool has_expired(const xml::Node& location, const Cluster& cluster) {
    const xml::Node* rule = location.child("rule");
    const xml::Node* date = rule == nullptr ? nullptr : rule->child("date_expression");
    if (date == nullptr) return false;
    rules::Input input;
    input.now = cluster.now;
    return rules::evaluate_condition(*date, input).outcome == rules::Outcome::kAfter;
}

}  // namespace

ExitCode clear_moves(Output& output, CibAccess& access, const Cluster& cluster, const MoveRequest& request) {
    if (!request.node.empty() && named_node(output, cluster, request.node) == nullptr) return ExitCode::kNoSuchObject;
    for (const Made& made : made_before(cluster, request.resource)) {
        if (request.expired) {
            if (!has_expired(*made.location, cluster)) continue;
        } else if (!request.node.empty() && !same_ignoring_case(node_of(*made.location), request.node) &&
                   (made.ban || !request.force)) {
            continue;
        }
        if (request.promoted && made.location->get("role") != "Promoted") continue;
        const ExitCode code = finish(output, drop(access, made.location->id()));
        if (code != ExitCode::kOk) return code;
        output.line(fmt::format("Removing constraint: {}", made.location->id()));
    }
    return ExitCode::kOk;
}

ExitCode ban_resource(Output& output, CibAccess& access, const Cluster& cluster, const MoveRequest& request) {
    const Resource& resource = *request.resource;
    if (!request.node.empty()) {
        const Node* node = named_node(output, cluster, request.node);
        return node == nullptr ? ExitCode::kNoSuchObject : ban_from(output, access, cluster, request, node->name);
    }
    const std::vector<const Node*> nodes = active_on(resource, request.promoted || resource.promotable);
    if (nodes.size() != 1) {
        output.fail(fmt::format(
            "Resource '{}' not moved: active in {} {}locations.\n"
            "To prevent '{}' from running on a specific location, specify a node.",
            resource.printable_id(), nodes.size(), request.promoted ? "promoted " : "", resource.printable_id()));
        return ExitCode::kUsage;
    }
    return ban_from(output, access, cluster, request, nodes.front()->name);
}

ExitCode move_resource(Output& output, CibAccess& access, const Cluster& cluster, const MoveRequest& request) {
    const Resource& resource = *request.resource;
    if (request.node.empty()) return ban_resource(output, access, cluster, request);
    const Node* node = named_node(output, cluster, request.node);
    if (node == nullptr) return ExitCode::kNoSuchObject;
    const std::vector<const Node*> nodes = active_on(resource, request.promoted);
    const bool there = std::ranges::find(nodes, node) != nodes.end();
    if (there && !request.force && nodes.size() == 1) {
        output.fail("Error performing operation: Requested item already exists");
        return ExitCode::kExists;
    }
    const auto end = end_of(output, cluster, request.lifetime);
    if (!end) {
        output.fail(end.error().what);
        return ExitCode::kUsage;
    }
    // An earlier preference, and an earlier ban from that very node, would stand against this one.
    for (const Made& made : made_before(cluster, &resource)) {
        if (made.ban && !same_ignoring_case(node_of(*made.location), node->name)) continue;
        const ExitCode code = finish(output, drop(access, made.location->id()));
        if (code != ExitCode::kOk) return code;
    }
    const ExitCode code = finish(output, put(access, constraint(resource, node->name, false, request.promoted, *end)));
    if (code != ExitCode::kOk || !request.force || nodes.size() != 1 || there) return code;
    return ban_from(output, access, cluster, request, nodes.front()->name);
}

}  // namespace systole::cli
