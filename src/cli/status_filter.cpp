#include "cli/status_filter.h"

#include <algorithm>

namespace systole::cli {

NameFilter nodes_named(const model::Cluster& cluster, std::string_view name) {
    if (name.empty() || name == "*") return {};
    if (const model::Node* node = cluster.find_node(name)) return NameFilter({node->name});
    const auto tag = cluster.tags.find(name);
    std::vector<std::string> names;
    if (tag != cluster.tags.end()) {
        // Tags name nodes by id.
        for (const std::string& id : tag->second) {
            for (const model::Node* node : cluster.nodes) {
                if (node->id == id) names.push_back(node->name);
            }
        }
    }
    return NameFilter(names);
}

const model::Resource* find_any(const model::Cluster& cluster, std::string_view name) {
    if (const model::Resource* resource = cluster.find_resource(name)) return resource;
    // Instances of anonymous clones go by the name that is configured.
    for (const model::Resource& resource : cluster.resource_store) {
        if (resource.xml && resource.xml_id() == name) return &resource;
    }
    return nullptr;
}

NameFilter resources_named(const model::Cluster& cluster, std::string_view name) {
    if (name.empty() || name == "*") return {};
    if (const model::Resource* resource = find_any(cluster, name)) {
        // Who asks for "db:1" means that instance; else everything of that name.
        if (name.find(':') != std::string_view::npos) return NameFilter({std::string(name)});
        return NameFilter({std::string(resource->printable_id())});
    }
    const auto tag = cluster.tags.find(name);
    return tag == cluster.tags.end() ? NameFilter(std::vector<std::string>{}) : NameFilter(tag->second);
}

bool runs_on_any(const model::Resource& resource, const NameFilter& nodes) {
    if (nodes.is_all()) return true;
    if (resource.children.empty() || resource.is_bundle()) {
        if (resource.is_bundle()) {
            return std::ranges::any_of(resource.bundle->replicas, [&](const model::BundleReplica& replica) {
                return (replica.container != nullptr && runs_on_any(*replica.container, nodes)) ||
                       (replica.ip != nullptr && runs_on_any(*replica.ip, nodes)) ||
                       (replica.child != nullptr && runs_on_any(*replica.child, nodes)) ||
                       (replica.remote != nullptr && runs_on_any(*replica.remote, nodes));
            });
        }
        return std::ranges::any_of(resource.active_nodes, [&](const model::Node* n) { return nodes.has(n->name); });
    }
    return std::ranges::any_of(resource.children, [&](const model::Resource* c) { return runs_on_any(*c, nodes); });
}

bool is_elsewhere(const model::Resource& resource, const NameFilter& nodes) {
    return resource.is_active(false) && !runs_on_any(resource, nodes);
}

bool is_chosen(const model::Resource& resource, const NameFilter& resources) {
    return resources.has(resource.printable_id()) ||
           (resource.id.find(':') != std::string::npos && resources.has(resource.id));
}

bool is_filtered(const model::Resource& resource, const NameFilter& resources, bool check_parent) {
    if (resources.is_all()) return false;
    if (resources.has(resource.printable_id()) || resources.has(resource.id)) return false;
    switch (resource.variant) {
        case model::Variant::kPrimitive:
            if (check_parent && resource.parent != nullptr) return is_filtered(resource.top(true), resources, false);
            return true;
        case model::Variant::kGroup:
            if (check_parent && resources.has(resource.top(false).printable_id())) return false;
            break;
        case model::Variant::kClone: break;
        case model::Variant::kBundle:
            for (const model::BundleReplica& replica : resource.bundle->replicas) {
                for (const model::Resource* part : {replica.ip, replica.child, replica.container, replica.remote}) {
                    if (part != nullptr && !is_filtered(*part, resources, false)) return false;
                }
            }
            return true;
    }
    return std::ranges::all_of(resource.children,
                               [&](const model::Resource* child) { return is_filtered(*child, resources, false); });
}

bool is_internal(const model::Resource& resource) { return resource.meta_true("internal_rsc"); }

std::string_view description_of(const model::Resource& resource, const Show& show) {
    return show.detail || show.descriptions ? resource.xml->get("description") : std::string_view{};
}

}  // namespace systole::cli
