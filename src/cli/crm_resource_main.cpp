// crm_resource — questions about resources, and changes to their configuration.
#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/cib_access.h"
#include "cli/command.h"
#include "cli/local_time.h"
#include "cli/resource_constraints.h"
#include "cli/resource_moves.h"
#include "cli/resource_settings.h"
#include "cli/status_source.h"
#include "cli/status_view.h"
#include "model/operations.h"
#include "model/read_cluster.h"
#include "xml/write.h"

namespace systole::cli {
namespace {

using model::Cluster;
using model::Node;
using model::Resource;

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_resource";
    s.summary = "crm_resource - perform tasks related to Pacemaker cluster resources";
    s.formats = {"text", "xml", "json"};
    s.groups = {
        {"queries",
         "Queries:",
         "Show query help",
         {{'L', "list", Value::kNone, "", "List all cluster resources with status"},
          {'l', "list-raw", Value::kNone, "",
           "List IDs of all instantiated resources (individual members\nrather than groups etc.)"},
          {'O', "list-operations", Value::kNone, "",
           "List active resource operations, optionally filtered by\n--resource and/or --node"},
          {'o', "list-all-operations", Value::kNone, "",
           "List all resource operations, optionally filtered by\n--resource and/or --node"},
          {'q', "query-xml", Value::kNone, "", "Show XML configuration of resource (after any template expansion)"},
          {'w', "query-xml-raw", Value::kNone, "",
           "Show XML configuration of resource (before any template expansion)"},
          {'g', "get-parameter", Value::kRequired, "PARAM",
           "Display named parameter for resource (use instance attribute\nunless --element, --meta, or --utilization "
           "is specified)"},
          {'W', "locate", Value::kNone, "", "Show node(s) currently running resource"},
          {'a', "constraints", Value::kNone, "",
           "Display the location and colocation constraints that apply to a\n"
           "resource; with --recursive also to the resources involved in those\n"
           "colocations. For a member of a group, clone or bundle they are those\n"
           "of the whole, unless --force is given."},
          {'A', "stack", Value::kNone, "", "Equivalent to --constraints --recursive"}}},
        {"commands",
         "Commands:",
         "Show command help",
         {{'p', "set-parameter", Value::kRequired, "PARAM",
           "Set named parameter for resource (requires -v). Use instance\nattribute unless --element, --meta, or "
           "--utilization is specified."},
          {'d', "delete-parameter", Value::kRequired, "PARAM",
           "Delete named parameter for resource. Use instance attribute\nunless --element, --meta, or --utilization is "
           "specified."}}},
        {"locations",
         "Locations:",
         "Show location help",
         {{'M', "move", Value::kNone, "",
           "Create a constraint to move resource: to the node given by --node,\n"
           "else away from where it is now. Optional: --lifetime, --promoted,\n--force (ban the current node in any "
           "case)"},
          {'B', "ban", Value::kNone, "",
           "Create a constraint to keep resource off a node (--node, else the\none that it is active on). Optional: "
           "--lifetime, --promoted"},
          {'U', "clear", Value::kNone, "",
           "Remove constraints created by --ban and --move. Optional: --resource,\n--node, --promoted, --expired"},
          {'e', "expired", Value::kNone, "", "With --clear: only constraints with expired lifetimes"},
          {'u', "lifetime", Value::kRequired, "TIMESPEC", "Lifespan (as ISO 8601 duration) of created constraints"},
          {0, "promoted", Value::kNone, "", "Limit scope of command to promoted role"},
          {0, "master", Value::kNone, "", ""}}},
        {"advanced",
         "Advanced:",
         "Show advanced option help",
         {{'D', "delete", Value::kNone, "", "(Advanced) Delete a resource from the CIB. Required: -t"}}},
        {"additional",
         "Additional Options:",
         "Show additional options",
         {{'N', "node", Value::kRequired, "NAME", "Node name"},
          {0, "recursive", Value::kNone, "", "Follow colocation chains when using --set-parameter or --constraints"},
          {'t', "resource-type", Value::kRequired, "ELEMENT",
           "Resource XML element (primitive, group, etc.) (with -D)"},
          {'v', "parameter-value", Value::kRequired, "PARAM", "Value to use with -p"},
          {'m', "meta", Value::kNone, "",
           "Use resource meta-attribute instead of instance attribute\n(with -p, -g, -d)"},
          {'z', "utilization", Value::kNone, "",
           "Use resource utilization attribute instead of instance attribute\n(with -p, -g, -d)"},
          {0, "element", Value::kNone, "",
           "Use resource element attribute instead of instance attribute\n(with -p, -g, -d)"},
          {'s', "set-name", Value::kRequired, "ID", "(Advanced) XML ID of attributes element to use (with -p, -d)"},
          {'i', "nvpair", Value::kRequired, "ID", "(Advanced) XML ID of nvpair element to use (with -p, -d)"},
          {0, "class", Value::kRequired, "CLASS", ""},
          {0, "agent", Value::kRequired, "AGENT", ""},
          {0, "provider", Value::kRequired, "PROVIDER", ""},
          {'f', "force", Value::kNone, "", "See help for individual commands"}}}};
    s.options = {{'Q', "quiet", Value::kNone, "", "Be less descriptive in output."},
                 {'r', "resource", Value::kRequired, "ID", "Resource ID"}};
    return s;
}

ExitCode not_found(Output& output, const std::string& id) {
    output.fail(fmt::format("Resource '{}' not found\nError performing operation: No such object", id));
    return ExitCode::kNoSuchObject;
}

void collect_primitives(const Resource& resource, std::vector<const Resource*>& all) {
    if (resource.is_bundle()) {
        for (const model::BundleReplica& replica : resource.bundle->replicas) {
            for (const Resource* part : {replica.ip, replica.child, replica.container, replica.remote}) {
                if (part != nullptr) collect_primitives(*part, all);
            }
        }
        return;
    }
    if (resource.is_primitive()) all.push_back(&resource);
    for (const Resource* child : resource.children) collect_primitives(*child, all);
}

// --- queries ---

ExitCode list(Output& output, const Cluster& cluster) {
    Show show;
    show.inactive = true;
    Spacer spacer;
    if (cluster.resources.empty()) {
        output.line("NO resources configured");
        return ExitCode::kOk;
    }
    show_resources(output, show, cluster, spacer);
    return ExitCode::kOk;
}

ExitCode list_raw(Output& output, const Cluster& cluster) {
    std::vector<const Resource*> all;
    for (const Resource* resource : cluster.resources) collect_primitives(*resource, all);
    xml::Builder element("resources");
    for (const Resource* resource : all) {
        output.line(resource->id);
        element.add(xml::Builder("resource").set("id", resource->id).build());
    }
    output.add(std::move(element));
    return ExitCode::kOk;
}

ExitCode query_xml(Output& output, const Cluster& cluster, const Resource& resource, bool raw) {
    const xml::NodePtr& configured = raw && resource.original_xml ? resource.original_xml : resource.xml;
    const std::string text = xml::write(*configured, {.pretty = true});
    Show show;
    show.inactive = true;
    show_resource(output, show, cluster, resource);
    output.line("Resource XML:");
    output.text(text);
    xml::Builder config("resource_config");
    config.add(resource_xml(show, resource));
    config.add(xml::Builder("xml").add(xml::Builder::cdata(text)).build());
    output.add(std::move(config));
    return ExitCode::kOk;
}

ExitCode locate(Output& output, const Cluster& cluster, const Resource& resource, const std::string& asked) {
    struct Place {
        std::string node;
        bool promoted;
    };
    std::vector<Place> places;
    const auto add = [&places](const Resource& one) {
        for (const Node* node : one.active_nodes) {
            const bool promoted = one.role == model::Role::kPromoted;
            const auto known = std::ranges::find(places, node->name, &Place::node);
            if (known == places.end()) places.push_back({node->name, promoted});
        }
    };
    // A name without instance number stands for all instances of an anonymous clone.
    const bool instance = asked.find(':') != std::string::npos;
    const Resource* whole = &resource;
    if (!instance && resource.is_primitive() && resource.parent != nullptr && resource.parent->is_clone() &&
        resource.printable_id() == asked) {
        whole = resource.parent;
    }
    std::vector<const Resource*> parts;
    collect_primitives(*whole, parts);
    for (const Resource* part : parts) add(*part);
    if (!instance) std::ranges::sort(places, {}, &Place::node);
    (void)cluster;

    xml::Builder nodes("nodes");
    nodes.set("resource", asked);
    for (const Place& place : places) {
        output.line(
            fmt::format("resource {} is running on: {}{}", asked, place.node, place.promoted ? " Promoted" : " "));
        xml::Builder node("node");
        if (place.promoted) node.set("state", "promoted");
        nodes.add(node.add(xml::Builder::text(place.node)).build());
    }
    if (places.empty()) output.line(fmt::format("resource {} is NOT running", asked));
    output.add(std::move(nodes));
    return ExitCode::kOk;
}

// What was done before the last start is over, and so is everything once it was stopped.
void drop_inactive(std::vector<const xml::Node*>& entries) {
    std::ptrdiff_t start = -1;
    std::ptrdiff_t stop = -1;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const xml::Node& entry = *entries[i];
        const bool good = entry.get("rc-code") == "0";
        const std::string_view task = entry.get("operation");
        if (task == "stop" && good) stop = static_cast<std::ptrdiff_t>(i);
        if ((task == "start" || task == "migrate_from") || (good && model::is_probe(entry))) {
            start = static_cast<std::ptrdiff_t>(i);
        }
    }
    if (stop > start) {
        entries.clear();
    } else if (start > 0) {
        entries.erase(entries.begin(), entries.begin() + start);
    }
}

// One line for each entry of the history, nodes in the order of the status section.
ExitCode list_operations(Output& output, Cluster& cluster, const std::string& resource_id, const std::string& node_name,
                         bool active_only) {
    const xml::Node* status = cluster.cib->child("status");
    xml::Builder operations("operations");
    if (status == nullptr) return ExitCode::kOk;
    for (const xml::NodePtr& state : status->children()) {
        if (!state->is("node_state")) continue;
        const Node* node = cluster.find_node_any(state->id(), state->get("uname"));
        if (node == nullptr || !node->online || (!node_name.empty() && !same_ignoring_case(node->name, node_name)))
            continue;
        const xml::Node* lrm = state->child("lrm");
        const xml::Node* histories = lrm == nullptr ? nullptr : lrm->child("lrm_resources");
        if (histories == nullptr) continue;
        for (const xml::NodePtr& history : histories->children()) {
            const Resource* resource = find_any(cluster, history->id());
            if (resource == nullptr || (!resource_id.empty() && resource->printable_id() != resource_id)) continue;
            std::vector<const xml::Node*> entries;
            for (const xml::NodePtr& entry : history->children()) {
                if (entry->is("lrm_rsc_op")) entries.push_back(entry.get());
            }
            std::ranges::stable_sort(entries, {},
                                     [](const xml::Node* e) { return model::integer_of(*e, "call-id", -1); });
            if (active_only) drop_inactive(entries);
            for (const xml::Node* entry : entries) {
                const auto op_status = static_cast<ExecStatus>(model::integer_of(*entry, "op-status", 0));
                const std::string_view exec = entry->get("exec-time");
                std::string line = fmt::format("{}\t({}):\t {}: {} (node={}, call={}, rc={}", resource->printable_id(),
                                               agent_text(*resource), state_text(*resource, true),
                                               entry->get("operation_key", entry->id()), node->name,
                                               entry->get("call-id", "-1"), entry->get("rc-code"));
                if (!exec.empty()) line += fmt::format(", exec={}ms", exec);
                output.line(line + fmt::format("): {}", describe(op_status)));
                xml::Builder element("operation");
                element.set("op", entry->get("operation_key", entry->id())).set("node", node->name);
                element.set("call", entry->get("call-id", "-1")).set("rc", entry->get("rc-code"));
                element.set("status", describe(op_status)).set("rsc", resource->printable_id());
                element.set("agent", fmt::format("{}:{}:{}", resource->standard(), resource->provider(),
                                                 resource->agent_type()));
                element.set_unless_empty("exec-time", exec);
                operations.add(std::move(element));
            }
        }
    }
    output.add(std::move(operations));
    return ExitCode::kOk;
}

ExitCode remove(Output& output, CibAccess& access, const std::string& type, const std::string& id) {
    if (type.empty()) {
        output.fail("You need to specify a resource type with -t");
        return ExitCode::kUsage;
    }
    const auto reply = access.call({.op = cib::Op::kDelete,
                                    .section = "resources",
                                    .input = xml::Builder(type).set("id", id).build(),
                                    .options = cib::option::kSyncCall});
    const int rc = reply ? reply->rc : legacy_code(reply.error());
    if (rc == 0) return ExitCode::kOk;
    output.fail(fmt::format("Error performing operation: {}", describe_legacy(rc)));
    return exit_code_of_legacy(rc);
}

std::optional<SettingRequest> setting(const Arguments& arguments, const char* option) {
    const auto name = arguments.value(option);
    if (!name) return std::nullopt;
    SettingRequest request;
    request.name = *name;
    request.value = arguments.value("parameter-value").value_or("");
    request.set_id = arguments.value("set-name").value_or("");
    request.pair_id = arguments.value("nvpair").value_or("");
    request.force = arguments.has("force");
    request.recursive = arguments.has("recursive");
    if (arguments.has("meta")) request.kind = SettingRequest::Kind::kMeta;
    if (arguments.has("utilization")) request.kind = SettingRequest::Kind::kUtilization;
    if (arguments.has("element")) request.kind = SettingRequest::Kind::kElement;
    return request;
}

std::optional<ExitCode> usage_problem(const Arguments& arguments, Output& output) {
    if (!arguments.positional.empty()) {
        std::string text = "non-option ARGV-elements:";
        for (std::size_t i = 0; i < arguments.positional.size(); ++i) {
            text += fmt::format("\n[{} of {}] {}", i + 1, arguments.positional.size(), arguments.positional[i]);
        }
        output.fail(text);
        return ExitCode::kUsage;
    }
    if (arguments.has("class") || arguments.has("agent") || arguments.has("provider")) {
        output.fail(arguments.has("resource")
                        ? "--class, --agent, and --provider cannot be used with -r/--resource"
                        : "--class, --agent, and --provider can only be used with --validate and --force-*");
        return ExitCode::kUsage;
    }
    if (arguments.has("set-parameter") && !arguments.has("parameter-value")) {
        output.fail("You need to supply a value with the -v option");
        return ExitCode::kUsage;
    }
    return std::nullopt;
}

ExitCode run(const Arguments& arguments, Output& output) {
    if (const auto problem = usage_problem(arguments, output)) return *problem;
    auto access = open_cib(cib_source(), log_to(output));
    auto cib = access ? (*access)->query() : Result<xml::NodePtr>(tl::unexpected(access.error()));
    if (!cib) {
        output.fail(fmt::format("Could not connect to the CIB: {}", cib.error().what));
        return exit_code_of_legacy(legacy_code(cib.error()));
    }
    auto newest = upgraded(*cib);
    auto read = model::read_cluster(newest ? *newest : *cib, now());
    if (!read) {
        output.fail(read.error().what);
        return ExitCode::kConfig;
    }
    Cluster& cluster = **read;
    log_problems(output, cluster);

    const std::string id = arguments.value("resource").value_or("");
    Resource* resource = id.empty() ? nullptr : const_cast<Resource*>(find_any(cluster, id));
    const std::string node = arguments.value("node").value_or("");
    if (arguments.has("list-raw")) return list_raw(output, cluster);
    if (arguments.has("list-operations") || arguments.has("list-all-operations")) {
        if (!id.empty() && resource == nullptr) return not_found(output, id);
        return list_operations(output, cluster, id, node, arguments.has("list-operations"));
    }
    if (arguments.has("clear") || arguments.has("move") || arguments.has("ban")) {
        if ((!id.empty() || !arguments.has("clear")) && resource == nullptr) return not_found(output, id);
        if (resource != nullptr && id.find(':') != std::string::npos && resource->is_replica_of_clone()) {
            output.fail(
                fmt::format("Cannot operate on clone resource instance '{}'\n"
                            "Error performing operation: Invalid parameter",
                            id));
            return ExitCode::kInvalidParameter;
        }
        const MoveRequest request{.resource = resource,
                                  .node = node,
                                  .promoted = arguments.has("promoted") || arguments.has("master"),
                                  .force = arguments.has("force"),
                                  .expired = arguments.has("expired"),
                                  .lifetime = arguments.value("lifetime").value_or("")};
        if (arguments.has("clear")) return clear_moves(output, **access, cluster, request);
        return arguments.has("move") ? move_resource(output, **access, cluster, request)
                                     : ban_resource(output, **access, cluster, request);
    }
    if (arguments.has("delete")) return remove(output, **access, arguments.value("resource-type").value_or(""), id);
    if (id.empty() || arguments.has("list")) return list(output, cluster);
    if (resource == nullptr) return not_found(output, id);
    if (arguments.has("query-xml")) return query_xml(output, cluster, *resource, false);
    if (arguments.has("query-xml-raw")) return query_xml(output, cluster, *resource, true);
    if (arguments.has("locate")) return locate(output, cluster, *resource, id);
    if (arguments.has("constraints") || arguments.has("stack")) {
        const Resource& whole = arguments.has("force") ? *resource : resource->top(false);
        show_constraints(output, cluster, whole, arguments.has("stack") || arguments.has("recursive"));
        return ExitCode::kOk;
    }
    if (const auto request = setting(arguments, "get-parameter"))
        return get_setting(output, cluster, *resource, *request);
    if (const auto request = setting(arguments, "set-parameter")) {
        return set_setting(output, **access, cluster, *resource, *request);
    }
    if (const auto request = setting(arguments, "delete-parameter")) {
        return delete_setting(output, **access, cluster, *resource, *request);
    }
    return list(output, cluster);
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
