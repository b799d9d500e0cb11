// Resources as elements: part of cli/status_view.h.
#include <algorithm>

#include "cli/status_filter.h"
#include "cli/status_view.h"

namespace systole::cli {
namespace {

using model::Resource;
using model::Role;

const char* yes_no(bool value) { return value ? "true" : "false"; }

xml::NodePtr primitive_xml(const Show& show, const Resource& resource) {
    if (is_filtered(resource, show.resources, true)) return nullptr;
    xml::Builder element("resource");
    element.set("id", resource.printable_id());
    element.set("resource_agent", agent_text(resource));
    element.set("role", state_text(resource, false));
    if (const auto target = resource.meta_value("target-role")) element.set("target_role", *target);
    element.set("active", yes_no(resource.is_active(true)));
    element.set("orphaned", yes_no(resource.removed));
    element.set("removed", yes_no(resource.removed));
    element.set("blocked", yes_no(resource.blocked));
    element.set("maintenance", yes_no(resource.maintenance));
    element.set("managed", yes_no(resource.managed));
    element.set("failed", yes_no(resource.failed));
    element.set("failure_ignored", yes_no(resource.ignore_failure));
    element.set("nodes_running_on", static_cast<long long>(resource.active_nodes.size()));
    if (show.pending && !resource.pending_action.empty()) {
        const std::string task = state_text(resource, true);
        const std::string role = state_text(resource, false);
        if (task != role) element.set("pending", task);
        if (resource.pending_action == "monitor") element.set("pending", "Monitoring");
    }
    if (resource.lock_node != nullptr) element.set("locked_to", resource.lock_node->name);
    element.set_unless_empty("description", description_of(resource, show));
    for (const model::Node* node : resource.active_nodes) {
        element.add(xml::Builder("node")
                        .set("name", node->name)
                        .set("id", node->id)
                        .set("cached", yes_no(node->online))
                        .build());
    }
    return std::move(element).build();
}

xml::NodePtr group_xml(const Show& show, const Resource& resource) {
    if (is_filtered(resource, show.resources, true)) return nullptr;
    const bool chosen = is_chosen(resource, show.resources);
    xml::Builder element("group");
    element.set("id", resource.id);
    element.set("number_resources", std::ranges::count_if(resource.children, [&](const Resource* child) {
                    return chosen || !is_filtered(*child, show.resources, false);
                }));
    element.set("maintenance", yes_no(resource.maintenance));
    element.set("managed", yes_no(resource.managed));
    element.set("disabled", yes_no(resource.is_disabled()));
    element.set_unless_empty("description", description_of(resource, show));
    bool any = false;
    for (const Resource* child : resource.children) {
        const bool filtered = is_filtered(*child, show.resources, false);
        const bool visible = child->is_active(false) || show.inactive;
        if (!(!show.resources.is_all() && !filtered) && !((!filtered || chosen) && visible)) continue;
        Show inner = show;
        inner.resources = {};
        if (xml::NodePtr part = resource_xml(inner, *child)) {
            element.add(std::move(part));
            any = true;
        }
    }
    return any ? std::move(element).build() : nullptr;
}

xml::NodePtr clone_xml(const Show& show, const Resource& resource) {
    if (is_filtered(resource, show.resources, true)) return nullptr;
    const bool chosen = is_chosen(resource, show.resources);
    xml::Builder element("clone");
    element.set("id", resource.id);
    element.set("multi_state", yes_no(resource.promotable));
    element.set("unique", yes_no(resource.unique));
    element.set("maintenance", yes_no(resource.maintenance));
    element.set("managed", yes_no(resource.managed));
    element.set("disabled", yes_no(resource.is_disabled()));
    element.set("failed", yes_no(resource.failed));
    element.set("failure_ignored", yes_no(resource.ignore_failure));
    if (const auto target = resource.meta_value("target-role")) element.set("target_role", *target);
    element.set_unless_empty("description", description_of(resource, show));
    bool any = false;
    for (const Resource* child : resource.children) {
        if (is_elsewhere(*child, show.nodes)) continue;
        if (!chosen && is_filtered(*child, show.resources, false)) continue;
        Show inner = show;
        inner.resources = {};
        if (xml::NodePtr part = resource_xml(inner, *child)) {
            element.add(std::move(part));
            any = true;
        }
    }
    return any ? std::move(element).build() : nullptr;
}

xml::NodePtr bundle_xml(const Show& show, const Resource& resource) {
    if (is_filtered(resource, show.resources, true)) return nullptr;
    const bool everything = show.resources.has(resource.id);
    xml::Builder element("bundle");
    element.set("id", resource.id);
    element.set("type", resource.bundle->agent);
    element.set("image", resource.bundle->image);
    element.set("unique", yes_no(resource.unique));
    element.set("maintenance", yes_no(resource.maintenance));
    element.set("managed", yes_no(resource.managed));
    element.set("failed", yes_no(resource.failed));
    element.set_unless_empty("description", description_of(resource, show));
    bool any = false;
    for (const model::BundleReplica& replica : resource.bundle->replicas) {
        if (replica.container != nullptr && is_elsewhere(*replica.container, show.nodes)) continue;
        xml::Builder part("replica");
        part.set("id", replica.offset);
        bool some = false;
        for (const Resource* member : {replica.ip, replica.child, replica.container, replica.remote}) {
            if (member == nullptr || (!everything && is_filtered(*member, show.resources, false))) continue;
            Show inner = show;
            inner.resources = {};
            part.add(resource_xml(inner, *member));
            some = true;
        }
        if (!some) continue;
        element.add(std::move(part));
        any = true;
    }
    return any ? std::move(element).build() : nullptr;
}

}  // namespace

xml::NodePtr resource_xml(const Show& show, const Resource& resource) {
    switch (resource.variant) {
        case model::Variant::kPrimitive: return primitive_xml(show, resource);
        case model::Variant::kGroup: return group_xml(show, resource);
        case model::Variant::kClone: return clone_xml(show, resource);
        case model::Variant::kBundle: return bundle_xml(show, resource);
    }
    return nullptr;
}

}  // namespace systole::cli
