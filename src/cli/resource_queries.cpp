#include "cli/resource_queries.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/local_time.h"
#include "cli/status_view.h"
#include "model/operations.h"
#include "xml/write.h"

namespace systole::cli {

using model::Cluster;
using model::Node;
using model::Resource;

namespace {

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

}  // namespace

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

ExitCode list_resources(Output& output, const Cluster& cluster) {
    Show show;
    show.inactive = true;
    show.without_nodes = true;
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
    xml::Builder element("list");
    element.set("name", "resource names").set("count", static_cast<long long>(all.size()));
    for (const Resource* resource : all) {
        output.line(resource->id);
        xml::Builder item("item");
        item.set("name", "resource").add(xml::Builder::text(resource->id));
        element.add(std::move(item).build());
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

ExitCode locate(Output& output, const Resource& resource, const std::string& asked) {
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
    std::ranges::reverse(places);  // the last instance first, as administrators' scripts know it

    xml::Builder nodes("nodes");
    nodes.set("resource", asked);
    for (const Place& place : places) {
        output.line(
            fmt::format("resource {} is running on: {}{}", asked, place.node, place.promoted ? " Promoted" : ""));
        xml::Builder node("node");
        if (place.promoted) node.set("state", "promoted");
        nodes.add(node.add(xml::Builder::text(place.node)).build());
    }
    if (places.empty()) output.line(fmt::format("resource {} is NOT running", asked));
    output.add(std::move(nodes));
    return ExitCode::kOk;
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
                if (const auto when = epoch_text(entry->get("last-rc-change")); !when.empty())
                    line += fmt::format(", last-rc-change='{}', exec={}ms", when, exec.empty() ? "0" : exec);
                output.line(line + fmt::format("): {}", describe(op_status)));
                xml::Builder element("operation");
                element.set("op", entry->get("operation_key", entry->id())).set("node", node->name);
                element.set("call", entry->get("call-id", "-1")).set("rc", entry->get("rc-code"));
                element.set("status", describe(op_status)).set("rsc", resource->printable_id());
                element.set("agent", fmt::format("{}:{}:{}", resource->standard(), resource->provider(),
                                                 resource->agent_type()));
                if (const auto changed = parse_integer(entry->get("last-rc-change"))) {
                    element.set("last-rc-change", offset_text(WallTime{*changed}));
                    element.set("exec-time", exec.empty() ? "0" : exec);
                }
                operations.add(std::move(element));
            }
        }
    }
    output.add(std::move(operations));
    return ExitCode::kOk;
}

}  // namespace systole::cli
