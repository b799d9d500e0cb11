// model/history.cpp — the status section: which resource is in which role where, and what failed.
//
// Histories are read node by node; those of remote and guest nodes only once their connections are known to be up,
// which other histories tell, so the nodes are gone through until nothing new comes.
#include <fmt/format.h>

#include <algorithm>
#include <climits>

#include "base/text.h"
#include "model/history_reader.h"
#include "model/operations.h"
#include "model/reader.h"

namespace systole::model {

void Reader::read_status() {
    const xml::Node* status = c_.cib->child("status");
    if (status == nullptr) return;
    std::vector<std::pair<const xml::Node*, Node*>> states;
    for (const auto& child : status->children()) {
        if (child->is("tickets")) {
            for (const auto& ticket : child->children()) {
                if (ticket->is("ticket_state")) read_ticket_state(*ticket);
            }
        } else if (child->is("node_state")) {
            read_node_state(*child);
            if (child->has("id") && child->has("uname")) states.emplace_back(child.get(), nullptr);
        }
    }

    HistoryReader history(c_, *this);
    const auto ready = [&](const Node& node) {
        if (node.is_guest()) {
            return node.remote->role == Role::kStarted && node.remote->launcher->role == Role::kStarted;
        }
        if (node.is_remote()) {
            return node.remote != nullptr && (c_.options.shutdown_lock || node.remote->role == Role::kStarted);
        }
        return c_.options.fencing_enabled || c_.options.shutdown_lock || node.online;
    };
    // A guest that is not configured any more becomes known when its connection's history is read.
    const auto identify = [&](const xml::Node& state) {
        Node* node = c_.find_node_any(state.id(), state.get("uname"));
        const xml::Node* lrm = state.child("lrm");
        const xml::Node* list = lrm == nullptr || node == nullptr ? nullptr : lrm->child("lrm_resources");
        if (list == nullptr) return node;
        for (const auto& entry : list->children()) {
            if (entry->is("lrm_resource")) node->history.emplace(entry->id(), entry.get());
        }
        return node;
    };
    // Migrations compare histories of different nodes: all of them have to be known first.
    for (auto& [state, node] : states) node = identify(*state);
    const auto read_all = [&](bool whatever) {
        bool found = false;
        for (auto& [state, node] : states) {
            if (node == nullptr) node = identify(*state);
            if (node == nullptr || node->unpacked || (!whatever && !ready(*node))) continue;
            if (node->remote_kind) {
                determine_remote_online(*node);
                read_remote_attributes(*state, *node);
            }
            node->unpacked = true;
            history.read_node(*state, *node);
            found = true;
        }
        return found;
    };
    while (read_all(false)) {
    }
    // With fencing, what may run on dead nodes counts too.
    read_all(c_.options.fencing_enabled);
    history.stop_failed_containers();

    for (Node* node : c_.nodes) {
        if (!node->remote_kind) continue;
        if (node->shutdown && node->remote != nullptr) node->remote->next_role = Role::kStopped;
        if (!node->unpacked) determine_remote_online(*node);
    }
}

// --- which resource a history belongs to ---------------------------------------------------------------------------

void HistoryReader::read_node(const xml::Node& state, Node& node) {
    const xml::Node* lrm = state.child("lrm");
    const xml::Node* list = lrm == nullptr ? nullptr : lrm->child("lrm_resources");
    if (list == nullptr) return;
    bool launched = false;
    for (const auto& entry : list->children()) {
        if (!entry->is("lrm_resource")) continue;
        const Resource* resource = read_resource(*entry, node);
        launched = launched || (resource != nullptr && resource->removed_launched);
    }
    if (!launched) return;
    // Connections left over from guests that are not configured any more are stopped with what contained them.
    for (const auto& entry : list->children()) {
        const auto container = entry->attribute("container");
        if (!container || entry->id().empty()) continue;
        Resource* launcher = c_.find_resource(*container);
        Resource* resource = c_.find_resource(entry->id());
        if (launcher == nullptr || resource == nullptr || resource->launcher != nullptr ||
            !resource->removed_launched) {
            continue;
        }
        resource->launcher = launcher;
        launcher->launched.push_back(resource);
    }
}

Resource* HistoryReader::member_called(Resource& instance, std::string_view id) const {
    if (!instance.top().is_clone()) return nullptr;
    if (instance.id == id || instance.xml_id() == id) return &instance;
    for (Resource* child : instance.children) {
        if (Resource* found = member_called(*child, id)) return found;
    }
    return nullptr;
}

namespace {
/// Where the instance (for groups: any member) is active or about to be.
std::vector<Node*> locations_of(const Resource& instance) {
    std::vector<Node*> nodes;
    const auto add = [&](Node* node) {
        if (node != nullptr && std::ranges::find(nodes, node) == nodes.end()) nodes.push_back(node);
    };
    if (instance.children.empty()) {
        for (Node* node : instance.active_nodes) add(node);
        add(instance.pending_node);
        return nodes;
    }
    for (const Resource* child : instance.children) {
        for (Node* node : locations_of(*child)) add(node);
    }
    return nodes;
}

/// Runs on every cluster node anyway, so that it doesn't matter which instance was where.
bool is_universal(const Resource& clone, const Cluster& cluster) {
    return clone.is_clone() && clone.clone->max == static_cast<int>(cluster.nodes.size());
}
}  // namespace

Resource* HistoryReader::anonymous_instance(Resource& clone, const Node& node, std::string_view base_id) {
    Resource* found = nullptr;
    Resource* inactive = nullptr;
    bool skip_inactive = false;
    for (Resource* child : clone.children) {
        const auto locations = locations_of(*child);
        if (!locations.empty()) {
            if (locations.front() == &node) {
                found = member_called(*child, base_id);
                if (found != nullptr && !found->active_nodes.empty()) {
                    // More histories on this node than an anonymous clone can have: each gets an instance of its own.
                    skip_inactive = true;
                    found = nullptr;
                }
            }
        } else if (!skip_inactive && inactive == nullptr && !child->blocked) {
            inactive = member_called(*child, base_id);
            if (inactive != nullptr && inactive->pending_node != nullptr && inactive->pending_node != &node) {
                inactive = nullptr;
            }
        }
        if (found != nullptr) break;
    }
    if (found == nullptr && !skip_inactive) found = inactive;
    // A dead node's instance must not take the number of one that will run elsewhere.
    if (found != nullptr && !found->needs_fencing && (!node.online || node.unclean) && !node.is_guest() &&
        !is_universal(clone, c_)) {
        found = nullptr;
    }
    if (found == nullptr) {
        Resource* instance = reader_.create_clone_child(clone);
        if (instance != nullptr) found = member_called(*instance, base_id);
    }
    return found;
}

Resource* HistoryReader::configured_resource(const xml::Node& entry, const Node& node) {
    const std::string_view id = entry.id();
    Resource* resource = c_.find_resource(id);
    Resource* parent = nullptr;
    if (resource == nullptr) {
        Resource* first = c_.find_resource(fmt::format("{}:0", without_instance(id)));
        if (first != nullptr && !first->unique) {
            resource = first;
            parent = &first->uber_parent();
        }
    } else if (!resource->is_primitive()) {
        // A primitive became a group or clone of that name: its history is not theirs.
        return nullptr;
    } else {
        parent = &resource->uber_parent();
    }
    if (parent != nullptr && parent->is_anonymous_clone()) {
        if (parent->is_bundled()) {
            resource = nullptr;
            for (const BundleReplica& replica : parent->parent->bundle->replicas) {
                if (replica.node == &node) resource = replica.child;
            }
        } else {
            resource = anonymous_instance(*parent, node, without_instance(id));
        }
    }
    if (resource != nullptr && id != resource->id && id != resource->history_id) {
        c_.set_history_id(*resource, std::string(id));
    }
    return resource;
}

Resource* HistoryReader::removed_resource(const xml::Node& entry) {
    xml::Builder primitive("primitive");
    for (const auto& attribute : entry.attributes()) primitive.append_attribute(attribute.name, attribute.value);
    const xml::NodePtr xml = std::move(primitive).build();
    Resource* resource = reader_.create_resource(xml, nullptr, std::nullopt);
    if (resource == nullptr) return nullptr;
    if (is_remote_connection(*xml)) {
        Node* node = c_.find_node(entry.id());
        if (node == nullptr) node = reader_.create_node(entry.id(), entry.id(), "remote", Score{});
        reader_.link_remote_node(*resource);
        if (node != nullptr) node->shutdown = true;
    }
    if (entry.has("container")) resource->removed_launched = true;
    resource->removed = true;
    c_.resources.push_back(resource);
    if (!c_.options.stop_removed_resources) {
        resource->managed = false;
    } else {
        c_.add_location(*resource, nullptr, Score::minus_infinity());
    }
    return resource;
}

// --- one resource on one node ---------------------------------------------------------------------------------------

void HistoryReader::read_shutdown_lock(const xml::Node& entry, Resource& resource, Node& node) {
    const auto time = parse_integer(entry.get("shutdown-lock"));
    if (!time || *time == 0) return;
    const auto limit_s = c_.options.shutdown_lock_limit.count() / 1000;
    if (limit_s > 0 && c_.epoch() > *time + limit_s) {
        c_.requests.push_back({.kind = HistoryRequest::Kind::kDeleteHistory, .resource = &resource, .node = &node});
        return;
    }
    resource.lock_node = &node;
    resource.lock_time = *time;
}

Resource* HistoryReader::read_resource(const xml::Node& entry, Node& node) {
    if (entry.id().empty()) {
        c_.config_error("Ignoring invalid lrm_resource entry: No id");
        return nullptr;
    }
    std::vector<const xml::Node*> operations;
    for (const auto& child : entry.children()) {
        if (child->is("lrm_rsc_op")) operations.push_back(child.get());
    }
    if (operations.empty() && !c_.options.shutdown_lock) return nullptr;
    Resource* resource = configured_resource(entry, node);
    if (resource == nullptr) {
        if (operations.empty()) return nullptr;
        resource = removed_resource(entry);
        if (resource == nullptr) return nullptr;
    }
    if (c_.options.shutdown_lock) read_shutdown_lock(entry, *resource, node);

    const Role saved_role = resource->role;
    resource->role = Role::kUnknown;
    std::ranges::reverse(operations);  // of equally new ones, the one written last counts first
    sort_by_age(operations);
    OnFail on_fail = OnFail::kIgnore;
    const xml::Node* last_failure = nullptr;
    Resource& noted = resource->unique ? *resource : resource->uber_parent();
    for (const xml::Node* operation : operations) {
        const Noting noting(c_, noted, ScoreNote::Cause::kHistory, operation->id());
        read_operation(*operation, *resource, node, last_failure, on_fail);
    }
    note_recurring(operations, *resource, node);
    {
        const Noting noting(c_, noted, ScoreNote::Cause::kHistory,
                            last_failure != nullptr ? last_failure->id() : entry.id());
        conclude(*resource, node, on_fail);
    }

    if (const auto wanted = target_role(c_, *resource)) {
        if (resource->next_role == Role::kUnknown || *wanted < resource->next_role) resource->next_role = *wanted;
    }
    resource->role = std::max(resource->role, saved_role);
    return resource;
}

ActiveRange active_range(const std::vector<const xml::Node*>& operations) {
    ActiveRange range;
    int implied_by_monitor = -1, implied_by_role = -1;
    for (int i = 0; i < static_cast<int>(operations.size()); ++i) {
        const xml::Node& op = *operations[static_cast<std::size_t>(i)];
        const std::string_view task = op.get("operation");
        if (task == "stop" && op.get("op-status") == "0") {
            range.stop = i;
        } else if (task == "start" || task == "migrate_from") {
            range.start = i;
        } else if (implied_by_monitor <= range.stop && task == "monitor") {
            const std::string_view rc = op.get("rc-code");
            if (rc == "0" || rc == "8") implied_by_monitor = i;
        } else if (task == "promote" || task == "demote") {
            implied_by_role = i;
        }
    }
    if (range.start == -1) range.start = implied_by_role != -1 ? implied_by_role : implied_by_monitor;
    return range;
}

void HistoryReader::note_recurring(const std::vector<const xml::Node*>& operations, Resource& resource, Node& node) {
    if (!node.online) return;
    const ActiveRange range = active_range(operations);
    for (int i = 0; i < static_cast<int>(operations.size()); ++i) {
        if ((range.start < range.stop && i <= range.stop) || i < range.start) continue;
        const xml::Node& op = *operations[static_cast<std::size_t>(i)];
        const Duration interval = history_interval(op);
        if (interval.count() == 0 || op.get("op-status") == "-1") continue;
        c_.requests.push_back({.kind = HistoryRequest::Kind::kRecurring,
                               .resource = &resource,
                               .node = &node,
                               .task = std::string(op.get("operation")),
                               .interval = interval});
    }
}

void HistoryReader::request(HistoryRequest::Kind kind, Resource& resource, Node& node) {
    c_.requests.push_back({.kind = kind, .resource = &resource, .node = &node});
    // A stop that can't be run is as good as a failed one, and what is read next shall know.
    const bool unreachable = !node.online && (!node.is_guest() || node.remote_reset);
    if (kind == HistoryRequest::Kind::kStop && unreachable && resource.managed && !node.unclean) {
        fence_node(c_, node, "stop is unrunnable", false);
    }
}

void HistoryReader::apply_on_fail(Resource& resource, Node& node, OnFail on_fail, bool active) {
    switch (on_fail) {
        case OnFail::kIgnore: break;
        case OnFail::kDemote:
            resource.failed = true;
            request(HistoryRequest::Kind::kDemote, resource, node);
            break;
        case OnFail::kFenceNode: fence_node(c_, node, fmt::format("{} failed there", resource.id), false); break;
        case OnFail::kStandbyNode: node.standby = node.standby_on_fail = true; break;
        case OnFail::kBlock:
            resource.managed = false;
            resource.blocked = true;
            break;
        case OnFail::kBan: c_.add_location(resource, &node, Score::minus_infinity()); break;
        case OnFail::kStop: resource.next_role = Role::kStopped; break;
        case OnFail::kRestart:
            if (active) {
                resource.failed = resource.stop_if_failed = true;
                request(HistoryRequest::Kind::kStop, resource, node);
            }
            break;
        case OnFail::kRestartContainer:
            resource.failed = resource.stop_if_failed = true;
            if (resource.launcher != nullptr && resource.is_bundled()) {
                containers_to_stop_.insert(containers_to_stop_.begin(), resource.launcher);
            } else if (resource.launcher != nullptr) {
                request(HistoryRequest::Kind::kStop, *resource.launcher, node);
            } else if (active) {
                request(HistoryRequest::Kind::kStop, resource, node);
            }
            break;
        case OnFail::kResetRemote:
            resource.failed = resource.stop_if_failed = true;
            if (c_.options.fencing_enabled) {
                Node* remote = resource.remote_connection ? c_.find_node(resource.id) : nullptr;
                if (remote != nullptr && remote->is_remote() && !remote->remote_fenced) {
                    fence_node(c_, *remote, "remote connection is unrecoverable", false);
                }
            }
            if (active) request(HistoryRequest::Kind::kStop, resource, node);
            if (resource.remote_reconnect.count() > 0) resource.next_role = Role::kStopped;
            break;
    }
}

void HistoryReader::conclude(Resource& resource, Node& node, OnFail on_fail) {
    const bool active = resource.role > Role::kStopped;
    if (resource.role != Role::kUnknown) {
        for (Resource* r = &resource; r != nullptr; r = r->parent) {
            if (r->probed.size() <= node.index) r->probed.resize(node.index + 1);
            r->probed[node.index] = true;
            if (r->unique) break;
        }
    }
    if (active && !node.online && !node.maintenance && resource.managed) {
        bool fence = false;
        std::string reason;
        if (node.is_guest()) {
            resource.failed = resource.stop_if_failed = true;
            fence = true;
        } else if (c_.options.fencing_enabled) {
            if (node.is_remote() && node.remote != nullptr && !node.remote->failed) {
                // Its resources may be fine: fencing is off again if the connection comes up on another node.
                node.seen = false;
                reason = fmt::format(
                    "{} is active there (fencing will be revoked if remote connection can be re-established elsewhere)",
                    resource.id);
            }
            fence = true;
        }
        if (fence) {
            if (reason.empty()) reason = fmt::format("{} is thought to be active there", resource.id);
            fence_node(c_, node, reason, false);
        }
    }
    const OnFail configured = on_fail;
    if (node.unclean) on_fail = OnFail::kIgnore;  // fencing the node is recovery enough
    apply_on_fail(resource, node, on_fail, active);

    if (resource.failed && resource.remote_connection) {
        Node* remote = c_.find_node(resource.id);
        if (remote != nullptr && remote->unclean) remote->seen = true;  // recovering the connection won't help it
    }
    if (active) {
        add_running(c_, resource, node, configured != OnFail::kIgnore);
        switch (on_fail) {
            case OnFail::kIgnore: break;
            case OnFail::kDemote:
            case OnFail::kBlock: resource.failed = true; break;
            case OnFail::kRestart:
            case OnFail::kResetRemote:
            case OnFail::kRestartContainer:
            case OnFail::kBan:
            case OnFail::kStop:
            case OnFail::kStandbyNode:
            case OnFail::kFenceNode: resource.failed = resource.stop_if_failed = true; break;
        }
    } else if (resource.history_id.find(':') != std::string::npos) {
        // The number belongs to where an instance is active; inactive ones don't keep it.
        c_.set_history_id(resource, "");
    } else {
        request(HistoryRequest::Kind::kForgetStops, resource, node);
    }
    if (resource.role == Role::kStopped && !resource.active_nodes.empty() &&
        resource.partial_migration_target != nullptr && resource.partial_migration_source == &node) {
        resource.role = Role::kStarted;
    }
}

void HistoryReader::stop_failed_containers() {
    for (Resource* container : containers_to_stop_) {
        if (Node* node = current_node(*container)) request(HistoryRequest::Kind::kStop, *container, *node);
    }
    containers_to_stop_.clear();
}

// --- where a resource runs ------------------------------------------------------------------------------------------

void add_running(Cluster& cluster, Resource& resource, Node& node, bool failed) {
    if (resource.runs_on(node)) return;
    resource.active_nodes.push_back(&node);
    if (resource.is_primitive()) {
        node.running.push_back(&resource);
        if (resource.priority != 0 && !failed) {
            const int priority = resource.priority + (resource.role == Role::kPromoted ? 1 : 0);
            node.priority += priority;
            if (node.is_guest()) {
                for (Node* host : node.remote->launcher->active_nodes) host->priority += priority;
            }
        }
        if (node.maintenance) {
            resource.managed = false;
            resource.maintenance = true;
        }
    }
    if (!resource.managed) {
        cluster.add_location(resource, &node, Score::infinity());
        for (Resource* p = resource.parent; p != nullptr; p = p->parent) p->active_nodes.push_back(&node);
        return;
    }
    if (resource.is_primitive() && count_active_for_requirements(resource) > 1) {
        if (resource.multiply_active == MultiplyActive::kStop) {
            resource.allowed.clear();
            for (const Node* each : cluster.nodes) {
                resource.allowed.at(*each, NodeScore{.score = Score::minus_infinity(), .discovery = each->discovery});
            }
        } else if (resource.multiply_active == MultiplyActive::kBlock) {
            const auto block = [](Resource& r) {
                r.managed = false;
                r.blocked = true;
            };
            block(resource);
            Resource* parent = resource.parent;
            if (parent != nullptr && (parent->is_group() || parent->is_bundle()) &&
                parent->multiply_active == MultiplyActive::kBlock) {
                for (Resource* sibling : parent->children) block(*sibling);
            }
        }
    }
    if (resource.parent != nullptr) add_running(cluster, *resource.parent, node, false);
}

}  // namespace systole::model
