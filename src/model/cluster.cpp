#include "model/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace systole::model {
namespace {

struct RoleName {
    std::string_view text;
    Role role;
};
constexpr std::array kRoleNames{
    RoleName{"Unknown", Role::kUnknown},   RoleName{"Stopped", Role::kStopped},
    RoleName{"Started", Role::kStarted},   RoleName{"Unpromoted", Role::kUnpromoted},
    RoleName{"Promoted", Role::kPromoted}, RoleName{"Slave", Role::kUnpromoted},
    RoleName{"Master", Role::kPromoted},
};

bool member_matters(const Resource& resource, const Node& node, ActiveNodes& active) {
    const bool happy = node.online && !node.unclean;
    ++active.all;
    if (happy) ++active.clean;
    return happy && !resource.needs_fencing;
}

void count_active(const Resource& resource, Node& node, ActiveNodes& active) {
    const bool preferred = member_matters(resource, node, active);
    if (resource.partial_migration_source != nullptr) {
        // A migration under way counts as running where it comes from.
        if (&node == resource.partial_migration_source) active.current = &node;
    } else if (preferred) {
        // Without fencing, a clean online node tells more than one that may be dead.
        if (active.current == nullptr || !active.current->online || active.current->unclean) active.current = &node;
    }
    if (active.current == nullptr) active.current = &node;
}

}  // namespace

std::string_view text_of(Role role) { return kRoleNames[static_cast<std::size_t>(role)].text; }

Role parse_role(std::string_view text) {
    const auto* it = std::ranges::find_if(kRoleNames, [&](auto& row) { return same_ignoring_case(row.text, text); });
    return it == kRoleNames.end() ? Role::kUnknown : it->role;
}

NodeScore& NodeTable::at(const Node& node, const NodeScore& initial) {
    if (many_.empty()) {
        const auto place = std::ranges::lower_bound(few_, node.index, {}, &std::pair<std::uint32_t, NodeScore>::first);
        if (place != few_.end() && place->first == node.index) return place->second;
        if (few_.size() < kFew) {
            const auto made = few_.insert(place, {node.index, initial});
            made->second.present = true;
            return made->second;
        }
        many_.resize(std::max(few_.back().first, node.index) + 1);
        for (const auto& [index, entry] : few_) many_[index] = entry;
        few_.clear();
    }
    if (node.index >= many_.size()) many_.resize(node.index + 1);
    NodeScore& entry = many_[node.index];
    if (!entry.present) {
        entry = initial;
        entry.present = true;
    }
    return entry;
}
void NodeTable::erase(const Node& node) {
    std::erase_if(few_, [&](const auto& entry) { return entry.first == node.index; });
    if (node.index < many_.size()) many_[node.index] = NodeScore{};
}
void NodeTable::clear() {
    few_.clear();
    many_.clear();
}
bool NodeTable::empty() const {
    return few_.empty() && std::ranges::none_of(many_, [](const NodeScore& entry) { return entry.present; });
}

bool Node::is_guest() const { return remote_kind && remote != nullptr && remote->launcher != nullptr; }

std::optional<std::string_view> Node::attribute(std::string_view attribute_name) const {
    const auto it = attributes.find(attribute_name);
    if (it == attributes.end()) return std::nullopt;
    return it->second;
}

std::optional<std::string_view> attribute_of(const Node& node, std::string_view name, std::string_view target,
                                             Host host) {
    if (!node.is_guest() || !same_ignoring_case(target, "host")) return node.attribute(name);
    const Resource& container = *node.remote->launcher;
    const Node* where = container.assigned_node;
    if (host == Host::kCurrent) where = container.active_nodes.empty() ? nullptr : container.active_nodes.front();
    return where == nullptr ? std::nullopt : where->attribute(name);
}

bool Resource::is_bundled() const {
    for (const Resource* r = this; r != nullptr; r = r->parent) {
        if (r->is_bundle()) return r != this;
    }
    return false;
}

std::optional<std::string_view> Resource::meta_value(std::string_view name) const {
    const auto it = meta.find(name);
    if (it == meta.end()) return std::nullopt;
    return it->second;
}

bool Resource::meta_true(std::string_view name) const {
    const auto value = meta_value(name);
    return value && parse_bool(*value).value_or(false);
}

const Resource& Resource::top(bool include_bundle) const {
    const Resource* r = this;
    while (r->parent != nullptr && (include_bundle || !r->parent->is_bundle())) r = r->parent;
    return *r;
}
Resource& Resource::top(bool include_bundle) { return const_cast<Resource&>(std::as_const(*this).top(include_bundle)); }

bool Resource::has_ancestor(const Resource& other) const {
    for (const Resource* r = parent; r != nullptr; r = r->parent) {
        if (r == &other) return true;
    }
    return false;
}

bool Resource::is_disabled() const {
    const auto value = meta_value("target-role");
    if (!value) return false;
    const Role target = parse_role(*value);
    return target == Role::kStopped || (target == Role::kUnpromoted && top().promotable);
}

bool Resource::runs_on(const Node& node) const { return std::ranges::find(active_nodes, &node) != active_nodes.end(); }

bool Resource::is_active(bool all) const {
    switch (variant) {
        case Variant::kPrimitive:
            return std::ranges::any_of(active_nodes,
                                       [&](const Node* n) { return n->unclean || n->online || !managed; });
        case Variant::kGroup:
            if (all) {
                return !children.empty() &&
                       std::ranges::all_of(children, [](const Resource* child) { return child->is_active(true); });
            }
            return std::ranges::any_of(children, [](const Resource* child) { return child->is_active(false); });
        case Variant::kClone:
            if (all) return std::ranges::all_of(children, [](const Resource* child) { return child->is_active(true); });
            return std::ranges::any_of(children, [](const Resource* child) { return child->is_active(false); });
        case Variant::kBundle:
            for (const BundleReplica& replica : bundle->replicas) {
                for (const Resource* part : {replica.ip, replica.child, replica.container, replica.remote}) {
                    if (part == nullptr) continue;
                    const bool active = part->is_active(all);
                    if (active && !all) return true;
                    if (!active && all) return false;
                }
            }
            return all;
    }
    return false;
}

Role Resource::state(bool current) const {
    switch (variant) {
        case Variant::kPrimitive: return current ? role : next_role;
        case Variant::kBundle: return Role::kUnknown;
        case Variant::kGroup:
        case Variant::kClone: break;
    }
    Role highest = Role::kUnknown;
    for (const Resource* child : children) highest = std::max(highest, child->state(current));
    return highest;
}

int Resource::max_per_node() const {
    switch (variant) {
        case Variant::kClone: return clone->node_max;
        case Variant::kBundle: return bundle->replicas_per_host;
        case Variant::kPrimitive:
        case Variant::kGroup: break;
    }
    return 1;
}

ActiveNodes active_nodes_of(const Resource& resource) {
    ActiveNodes active;
    if (!resource.is_bundle()) {
        for (Node* node : resource.active_nodes) count_active(resource, *node, active);
        return active;
    }
    std::vector<const Resource*> containers;
    for (const BundleReplica& replica : resource.bundle->replicas) {
        if (!replica.container->active_nodes.empty()) containers.push_back(replica.container);
    }
    if (containers.size() == 1) return active_nodes_of(*containers.front());
    std::vector<const Node*> counted;
    for (const Resource* container : containers) {
        for (Node* node : container->active_nodes) {
            if (std::ranges::find(counted, node) != counted.end()) continue;
            counted.push_back(node);
            count_active(resource, *node, active);
        }
    }
    return active;
}

unsigned count_active_for_requirements(const Resource& resource) {
    const ActiveNodes active = active_nodes_of(resource);
    return resource.needs_fencing ? active.all : active.clean;
}

Node* Cluster::find_node(std::string_view name) const {
    const auto it = nodes_by_name.find(to_lower(name));
    return it == nodes_by_name.end() ? nullptr : it->second;
}

Node* Cluster::find_node_any(std::string_view id, std::string_view name) const {
    if (!id.empty()) {
        if (const auto it = nodes_by_id.find(to_lower(id)); it != nodes_by_id.end()) return it->second;
    }
    return name.empty() ? nullptr : find_node(name);
}

Resource* Cluster::find_resource(std::string_view id) const {
    const auto exact = resources_by_id.find(id);
    Resource* found = exact == resources_by_id.end() ? nullptr : exact->second;
    if (const auto known = resources_by_history_id.find(id); known != resources_by_history_id.end()) {
        for (Resource* candidate : known->second) {
            if (candidate->history_id == id && (found == nullptr || candidate->index < found->index)) found = candidate;
        }
    }
    return found;
}

void Cluster::set_history_id(Resource& resource, std::string id) {
    if (!id.empty()) resources_by_history_id[id].push_back(&resource);
    resource.history_id = std::move(id);
}

namespace {
void index_elements(const xml::Node& node, std::unordered_map<std::string, const xml::Node*>& index) {
    if (const auto* id = node.find("id"); id != nullptr) {
        index.emplace(fmt::format("{} {}", node.name(), id->value.view()), &node);
    }
    for (const auto& child : node.children()) {
        if (child->is_element()) index_elements(*child, index);
    }
}
}  // namespace

const xml::Node* Cluster::resolve_reference(std::string_view element, std::string_view id) const {
    if (elements_by_id.empty()) {
        if (const auto* configuration = cib->child("configuration")) index_elements(*configuration, elements_by_id);
    }
    const auto it = elements_by_id.find(fmt::format("{} {}", element, id));
    return it == elements_by_id.end() ? nullptr : it->second;
}

bool Cluster::can_fence(const Node* node) const {
    if (node != nullptr && node->is_guest()) {
        // A guest is fenced by recovering its container, which must be known to be dead where it was.
        return std::ranges::all_of(node->remote->launcher->active_nodes,
                                   [&](const Node* host) { return host->online || can_fence(host); });
    }
    if (!options.fencing_enabled || !have_fencing) return false;
    if (quorate || options.no_quorum == NoQuorum::kIgnore) return true;
    if (node == nullptr || !node->online) return false;
    if (node->remote_kind && !options.fence_remote_without_quorum && node->remote != nullptr) {
        // Another partition may be running the connection on a node that is not here.
        for (const Node* host : nodes) {
            if (node->remote->allowed.find(*host) != nullptr && !host->online) return false;
        }
    }
    return true;
}

void Cluster::recheck(std::int64_t at) {
    if (at <= epoch()) return;
    recheck_by = rules::earlier(recheck_by, WallTime{at});
    graph_recheck_by = rules::earlier(graph_recheck_by, WallTime{at});
}

void Cluster::add_location(Resource& resource, const Node* node, Score score) {
    if (node == nullptr) {
        for (const Node* each : nodes) add_location(resource, each, score);
        return;
    }
    for (Resource* child : resource.children) add_location(*child, node, score);
    NodeScore initial;
    initial.score = node->score;
    initial.discovery = node->discovery;
    NodeScore& entry = resource.allowed.at(*node, initial);
    entry.score += score;
}

void fence_node(Cluster& cluster, Node& node, std::string reason, bool priority_delay) {
    const auto ask = [&](bool delay) {
        HistoryRequest request{.kind = HistoryRequest::Kind::kFence, .node = &node, .reason = std::move(reason)};
        request.priority_delay = delay;
        cluster.requests.push_back(std::move(request));
    };
    if (node.is_guest()) {
        Resource& container = *node.remote->launcher;
        if (container.failed || !container.managed) return;
        cluster.warning(fmt::format("Guest node {} will be fenced (by recovering its guest resource {}): {}", node.name,
                                    container.id, reason));
        node.remote_reset = true;
        container.failed = container.stop_if_failed = true;
    } else if (node.remote_kind && node.remote != nullptr && node.remote->launcher == nullptr &&
               node.remote->removed_launched) {
        // A guest node whose container is not configured any more: stopping its connection is all there is to do.
        node.remote->failed = node.remote->stop_if_failed = true;
    } else if (node.remote_kind) {
        if ((node.remote == nullptr || node.remote->managed) && !node.remote_reset) {
            node.remote_reset = true;
            cluster.warning(fmt::format("Remote node {} {}: {}", node.name,
                                        cluster.can_fence(&node) ? "will be fenced" : "is unclean", reason));
        }
        node.unclean = true;
        ask(false);
    } else if (!node.unclean) {
        cluster.warning(fmt::format("Cluster node {} {}: {}", node.name,
                                    cluster.can_fence(&node) ? "will be fenced" : "is unclean", reason));
        node.unclean = true;
        ask(priority_delay);
    }
}

}  // namespace systole::model
