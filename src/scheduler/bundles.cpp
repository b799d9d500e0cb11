// scheduler/bundles.cpp — bundles: containers are placed like instances of a clone, and everything else follows them.
#include <algorithm>

#include "model/digest.h"
#include "model/failcount.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

const Node* host_of(Scheduler& s, const Node* node) {
    if (node == nullptr || !node->is_guest() || !node->remote->launcher->is_bundled()) return node;
    return s.location_of(*node->remote->launcher, Scheduler::Where::kAssigned);
}

const Resource* compatible_container(Scheduler& s, const Resource& dependent, const Resource& bundle) {
    const auto on = [&](const Node* node) -> const Resource* {
        for (const auto& replica : bundle.bundle->replicas) {
            if (instance_matches(s, *replica.container, node, Role::kUnknown, false)) return replica.container;
        }
        return nullptr;
    };
    if (const Node* node = host_of(s, s.location_of(dependent, Scheduler::Where::kAssigned))) return on(node);
    for (const Node* candidate : s.sorted_nodes(dependent.allowed, nullptr)) {
        const Node* node = host_of(s, candidate);
        if (node == nullptr) continue;
        if (const Resource* container = on(node)) return container;
    }
    return nullptr;
}

bool threshold_reached(Scheduler& s, Resource& rsc, const Node& node) {
    if (rsc.migration_threshold == 0 || rsc.ignore_failure) return false;
    const auto count = model::fail_count(s.c, node, rsc, model::FailCount::kEffective, nullptr, true);
    return count.count > 0 && count.count >= rsc.migration_threshold;
}

void assign_replica(Scheduler& s, model::BundleReplica& replica, Node* prefer, bool stop_if_fail) {
    if (replica.ip != nullptr) assign(s, *replica.ip, prefer, stop_if_fail);
    const Node* host = replica.container->assigned_node;
    if (replica.remote != nullptr) {
        if (host != nullptr && host->remote_kind) {
            // A remote node can't hold connections: this one goes where the host's own connection is.
            add_colocation(s, "#replica-remote-with-host-remote", {}, Score::kInfinity, replica.remote, host->remote,
                           std::nullopt, std::nullopt, true, false);
        }
        assign(s, *replica.remote, prefer, stop_if_fail);
    }
    if (replica.child == nullptr) return;
    for (const Node* node : s.c.nodes) {
        NodeScore* entry = replica.child->allowed.find(*node);
        if (entry == nullptr) continue;
        if (node != replica.node) {
            entry->score = Score::minus_infinity();
        } else if (!threshold_reached(s, *replica.child, *node)) {
            entry->score = Score::infinity();
        }
    }
    s.of(*replica.child->parent).assigning = true;
    assign(s, *replica.child, replica.node, stop_if_fail);
    s.of(*replica.child->parent).assigning = false;
}

void replica_constraints(Scheduler& s, Resource& bundle, model::BundleReplica& replica) {
    using namespace rel;
    Resource& container = *replica.container;
    internal_constraints_of(s, container);
    s.order(bundle, "start", container, "start", kUnrunnableFirstBlocks | kThenImpliesFirstGraphed);
    if (replica.child != nullptr) s.order(bundle, "stop", *replica.child, "stop", kThenImpliesFirstGraphed);
    s.order(bundle, "stop", container, "stop", kThenImpliesFirstGraphed);
    s.order(container, "start", bundle, "running", kFirstImpliesThenGraphed);
    s.order(container, "stop", bundle, "stopped", kFirstImpliesThenGraphed);
    if (replica.ip != nullptr) {
        internal_constraints_of(s, *replica.ip);
        s.order(*replica.ip, "start", container, "start", kUnrunnableFirstBlocks | kGuestAllowed);
        s.order(container, "stop", *replica.ip, "stop", kThenImpliesFirst | kGuestAllowed);
        add_colocation(s, "#ip-with-container", {}, Score::kInfinity, replica.ip, &container, std::nullopt,
                       std::nullopt, true, false);
    }
    if (replica.remote != nullptr) internal_constraints_of(s, *replica.remote);
}

}  // namespace

const model::BundleReplica* replica_with(const Resource& part) {
    const Resource& top = part.top(true);
    if (!top.is_bundle()) return nullptr;
    for (const auto& replica : top.bundle->replicas) {
        if (&part == replica.container || &part == replica.ip || &part == replica.remote || &part == replica.child) {
            return &replica;
        }
    }
    return nullptr;
}

Node* assign_bundle(Scheduler& s, Resource& bundle, Node* prefer, bool stop_if_fail) {
    // What goes with it and what it carries ask for it first, while it is being assigned. The field's scheduler lets
    // them, so their scores depend on it; but where what it carries is colocated with itself there is no end.
    constexpr int kNestedMost = 4;
    if (s.of(bundle).entered > kNestedMost) return nullptr;
    ++s.of(bundle).entered;
    s.of(bundle).assigning = true;
    s.show_scores(bundle, "pcmk__bundle_assign");
    auto containers = instances_of(bundle);
    merge_sort(containers, [&](Resource* a, Resource* b) { return compare_instances(s, *a, *b); });
    assign_instances(s, bundle, containers, bundle.bundle->replicas_max, bundle.bundle->replicas_per_host);
    for (auto& replica : bundle.bundle->replicas) assign_replica(s, replica, prefer, stop_if_fail);
    if (Resource* inner = bundle.bundle->child) {
        for (const Node* node : s.c.nodes) {
            NodeScore* entry = inner->allowed.find(*node);
            if (entry == nullptr) continue;
            const bool own =
                std::ranges::any_of(bundle.bundle->replicas, [&](const auto& replica) { return replica.node == node; });
            entry->score = own ? Score{} : Score::minus_infinity();
        }
        assign(s, *inner, prefer, stop_if_fail);
    }
    --s.of(bundle).entered;
    s.of(bundle).assigning = s.of(bundle).unassigned = false;
    return nullptr;
}

void create_bundle_actions(Scheduler& s, Resource& bundle) {
    for (auto& replica : bundle.bundle->replicas) {
        if (replica.ip != nullptr) create_actions(s, *replica.ip);
        create_actions(s, *replica.container);
        if (replica.remote != nullptr) create_actions(s, *replica.remote);
    }
    create_instance_actions(s, bundle, instances_of(bundle));
    Resource* inner = bundle.bundle->child;
    if (inner == nullptr) return;
    create_actions(s, *inner);
    if (!inner->promotable) return;
    for (const std::string_view task : {"promote", "promoted", "demote", "demoted"}) {
        Action* a = s.rsc_pseudo_action(bundle, task, true, true);
        if (task.ends_with('d')) a->priority = Score::kInfinity;
    }
}

void bundle_internal_constraints(Scheduler& s, Resource& bundle) {
    using namespace rel;
    for (auto& replica : bundle.bundle->replicas) replica_constraints(s, bundle, replica);
    Resource* inner = bundle.bundle->child;
    if (inner == nullptr) return;
    s.order(bundle, "start", *inner, "start", kThenImpliesFirstGraphed);
    s.order(*inner, "running", bundle, "running", kFirstImpliesThenGraphed);
    s.order(bundle, "stop", *inner, "stop", kThenImpliesFirstGraphed);
    s.order(*inner, "stopped", bundle, "stopped", kFirstImpliesThenGraphed);
    internal_constraints_of(s, *inner);
    if (!inner->promotable) return;
    promotable_restart_ordering(s, bundle);
    s.order(bundle, "demote", *inner, "demote", kThenImpliesFirstGraphed);
    s.order(*inner, "demoted", bundle, "demoted", kFirstImpliesThenGraphed);
    s.order(bundle, "promote", *inner, "promote", kThenImpliesFirstGraphed);
    s.order(*inner, "promoted", bundle, "promoted", kFirstImpliesThenGraphed);
}

int apply_bundle_colocation(Scheduler& s, Resource& dependent, const Resource& primary, const Colocation& colocation,
                            bool) {
    if (s.of(primary).unassigned) return 0;
    const bool mandatory = colocation.score >= Score::kInfinity;
    if (colocation.dependent->is_clone() || colocation.dependent->is_bundle()) {
        const Resource* container = compatible_container(s, dependent, primary);
        if (container != nullptr) return apply_colocation(s, dependent, *container, colocation, true);
        if (mandatory) assign_to(s, dependent, nullptr, nullptr, true, true);
        return 0;
    }
    int delta = 0;
    std::vector<std::pair<Node*, Score>> hosts;
    for (const auto& replica : primary.bundle->replicas) {
        if (!mandatory) {
            delta =
                (Score{delta} + Score{apply_colocation(s, dependent, *replica.container, colocation, false)}).value();
            continue;
        }
        Node* chosen = s.location_of(*replica.container, Scheduler::Where::kAssigned);
        if (chosen == nullptr || is_blocked_anywhere(*replica.container)) continue;
        if (colocation.primary_role >= Role::kPromoted &&
            (replica.child == nullptr || replica.child->next_role < Role::kPromoted)) {
            continue;
        }
        hosts.emplace_back(chosen, s.of(*replica.container).assigned_score);
    }
    if (mandatory) intersect_nodes(s, dependent, hosts, false);
    return delta;
}

bool probe_bundle(Scheduler& s, Resource& bundle, Node& node) {
    bool any = false;
    for (auto& replica : bundle.bundle->replicas) {
        if (replica.ip != nullptr && probe(s, *replica.ip, node)) any = true;
        if (replica.child != nullptr && &node == replica.node && probe(s, *replica.child, node)) any = true;
        if (probe(s, *replica.container, node)) {
            any = true;
            if (bundle.bundle->replicas_per_host == 1) {
                // One already running here would be in the way of another that is started here.
                for (auto& other : bundle.bundle->replicas) {
                    if (&other == &replica) continue;
                    s.order(*replica.container, "monitor", *other.container, "start",
                            rel::kOrdered | rel::kIfOnSameNode);
                }
            }
        }
        if (replica.remote != nullptr && probe(s, *replica.remote, node)) {
            for (Action* a : s.find_actions(*replica.remote, "monitor", Duration{0}, &node, true)) {
                any = true;
                // A connection can be there only if its container is.
                s.order(OrderEnd(*replica.container, "start"), OrderEnd(replica.remote, a), rel::kNestedRemoteProbe);
                break;
            }
        }
    }
    return any;
}

Flags bundle_action_flags(Scheduler& s, Action& action, const Node* node) {
    const Resource& bundle = *action.rsc;
    if (const Resource* inner = bundle.bundle->child) {
        static constexpr std::string_view kOuter[] = {"monitor", "stop",        "stopped", "start",
                                                      "running", "do_shutdown", "stonith"};
        if (std::ranges::find(kOuter, action.task) == std::end(kOuter)) {
            return collective_action_flags(s, action, inner->children, node);
        }
    }
    return collective_action_flags(s, action, instances_of(bundle), node);
}

}  // namespace systole::scheduler
