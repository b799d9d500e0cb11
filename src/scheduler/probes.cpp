// scheduler/probes.cpp — finding out what runs where before anything is started.
#include <algorithm>
#include <iterator>

#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

bool is_probed(const Resource& rsc, const Node& node) {
    return node.index < rsc.probed.size() && rsc.probed[node.index];
}

bool guest_will_stop(const Node& node) {
    const Resource& guest = *node.remote->launcher;
    return node.remote_reset || node.unclean || guest.failed || guest.next_role == Role::kStopped ||
           (guest.role > Role::kStopped && guest.assigned_node != nullptr && !guest.runs_on(*guest.assigned_node));
}

bool probe_primitive(Scheduler& s, Resource& rsc, Node& node) {
    Resource* top = &rsc.uber_parent();
    if (rsc.launcher != nullptr && !rsc.remote_connection) return false;
    if (rsc.removed || is_probed(rsc, node)) return false;
    const NodeScore* allowed = rsc.allowed.find(node);
    if (rsc.exclusive_discovery || top->exclusive_discovery) {
        if (allowed == nullptr || allowed->discovery != Discovery::kExclusive) return false;
    }
    if ((allowed == nullptr ? node.discovery : allowed->discovery) == Discovery::kNever) return false;
    if (node.is_guest()) {
        Resource& guest = *node.remote->launcher;
        if (guest.role == Role::kStopped) {
            // Nothing can run there; but it must be known that the guest doesn't.
            if (guest.assigned_node != nullptr && !is_probed(guest, *guest.assigned_node)) {
                s.order(guest, "monitor", *top, "start", rel::kOrdered);
            }
            return false;
        }
        if (guest_will_stop(node)) {
            s.order(guest, "stop", *top, "start", rel::kOrdered);
            return false;
        }
    }
    Action* probe = s.action(rsc, "monitor", &node, false);
    probe->clear(act::kOptional);
    order_vs_unfencing(s, rsc, node, *probe, rel::kOrdered);
    if (!rsc.runs_on(node)) {
        probe->meta["op_target_rc"] = "7";
        // Its answer takes the place of a history of another agent's actions that never ended.
        if (Action* cleanup = s.find_task(rsc, "delete", &node)) cleanup->set(act::kOptional);
    } else if (rsc.role == Role::kPromoted) {
        probe->meta["op_target_rc"] = "8";
    }
    if (!top->is_clone()) top = &rsc;
    Flags flags = rel::kOrdered;
    if (!probe->is(act::kRunnable) && top->active_nodes.empty()) flags |= rel::kUnrunnableFirstBlocks;
    s.order(OrderEnd(&rsc, probe), OrderEnd(*top, "start"), flags);
    s.order(OrderEnd(&rsc, probe), OrderEnd(*top, "reload-agent"), rel::kOrdered);
    return true;
}

bool probed_anywhere_in(const Resource& rsc, const Node& node) {
    if (rsc.children.empty()) return is_probed(rsc, node);
    return std::ranges::any_of(rsc.children, [&](const Resource* child) { return probed_anywhere_in(*child, node); });
}

bool probe_clone(Scheduler& s, Resource& clone, Node& node) {
    if (clone.exclusive_discovery) {
        const NodeScore* allowed = clone.allowed.find(node);
        if (allowed == nullptr || allowed->discovery != Discovery::kExclusive) {
            clone.allowed.erase(node);
            return false;
        }
    }
    merge_sort(clone.children, [](Resource* a, Resource* b) { return compare_instance_numbers(*a, *b); });
    if (clone.unique) return probe_list(s, clone.children, node);
    // Any instance finds out for all: one known there, else the one that will be there, else the first.
    Resource* chosen = nullptr;
    for (Resource* instance : clone.children) {
        if (probed_anywhere_in(*instance, node)) {
            chosen = instance;
            break;
        }
    }
    for (auto it = clone.children.begin(); it != clone.children.end() && chosen == nullptr; ++it) {
        if (s.location_of(**it, Scheduler::Where::kAssigned) == &node) chosen = *it;
    }
    return probe(s, chosen == nullptr ? *clone.children.front() : *chosen, node);
}

/// Without its probe, no instance is to start that the clone's start would lead to.
void order_starts_after(Scheduler& s, Action& probe, const Relation& after) {
    Action& clone_start = *after.other;
    if (clone_start.rsc == nullptr || clone_start.rsc->is_primitive() || clone_start.rsc->is_group() ||
        probe.is(act::kRunnable) || (after.declared & rel::kUnrunnableFirstBlocks) != 0 ||
        &probe.rsc->top() != clone_start.rsc || clone_start.task != "start") {
        return;
    }
    for (std::size_t i = clone_start.after.size(); i-- > 0;) {
        Action* then = clone_start.after[i].other;
        if (then->rsc == nullptr || !then->rsc->active_nodes.empty() || &then->rsc->top() != clone_start.rsc ||
            then->task != "start") {
            continue;
        }
        s.relate(&probe, then, rel::kOrdered | rel::kUnrunnableFirstBlocks);
    }
}

/// What restarts because of a start that waits for a probe must not be stopped before the probe: it may turn out that
/// the start (and so the restart) isn't needed.
void order_restarts_after(Scheduler& s, Action& probe, Action& after) {
    if (!probe.rsc->is_primitive() || probe.task != "monitor" || after.visit == s.visit) return;
    after.visit = s.visit;
    if (after.rsc != nullptr && after.rsc->is_primitive() && probe.rsc != after.rsc) {
        std::vector<Action*> undo;
        if (after.task == "start") undo = s.find_actions(*after.rsc, "stop", Duration{0}, nullptr);
        if (after.task == "promote") undo = s.find_actions(*after.rsc, "demote", Duration{0}, nullptr);
        for (Action* a : undo) {
            if (!a->is(act::kPseudo)) s.relate(&probe, a, rel::kOrdered);
        }
    }
    const bool collective = after.rsc != nullptr && (after.rsc->is_clone() || after.rsc->is_bundle());
    const bool interleave = collective && after.rsc->meta_true("interleave");
    const Resource* compatible =
        interleave ? compatible_instance(s, *probe.rsc, *after.rsc, Role::kUnknown, false) : nullptr;
    for (std::size_t i = after.after.size(); i-- > 0;) {
        const Relation relation = after.after[i];
        if ((relation.declared & rel::kFirstImpliesThen) == 0) {
            // Otherwise only from a collective to its own parts, as those follow without saying so.
            const Resource* chained = relation.other->rsc;
            if (after.rsc == nullptr || after.rsc->is_primitive() || probe.rsc->parent == after.rsc ||
                chained == nullptr || chained->is_clone() || chained->is_bundle() || after.rsc != chained->parent) {
                continue;
            }
            if (collective && interleave && compatible != chained) continue;
        }
        order_restarts_after(s, probe, *relation.other);
    }
}

void order_after_probes_of(Scheduler& s, Resource& rsc) {
    if (!rsc.is_primitive()) {
        for (Resource* child : rsc.children) order_after_probes_of(s, *child);
        return;
    }
    for (Action* probe : s.find_actions(rsc, "monitor", Duration{0}, nullptr)) {
        for (std::size_t i = probe->after.size(); i-- > 0;) {
            const Relation relation = probe->after[i];
            order_starts_after(s, *probe, relation);
            ++s.visit;
            order_restarts_after(s, *probe, *relation.other);
        }
    }
}

bool is_needed_before(const Action& probe, const Action& then) {
    // A node can be unfenced (or shut down) without probes that have to wait for just that.
    if (then.task == "stonith" && probe.node == then.node && then.meta_value("stonith_action") == "on") return false;
    return then.task != "do_shutdown" || probe.node == nullptr || then.node == nullptr || probe.node == then.node;
}

/// What comes after a stop also comes after a probe, which may find something that has to be stopped.
void order_like_stops(Scheduler& s) {
    // The list is in order of creation here, and may not grow meanwhile.
    for (const Ordering& o : s.orderings) {
        if (o.flags == rel::kNone || o.first.rsc == nullptr || o.first.rsc == o.then.rsc) continue;
        const std::string_view first_task = o.first.action != nullptr ? o.first.action->task : o.first.task;
        const std::string_view then_task = o.then.action != nullptr ? o.then.action->task : o.then.task;
        if (first_task != "stop") continue;
        // A container's own stop doesn't wait for probes inside.
        if (o.then.rsc != nullptr && o.first.rsc->launcher == o.then.rsc && then_task == "stop") continue;
        Flags flags = rel::kOrdered | (o.flags & (rel::kIfFirstUnmigratable | rel::kIfOnSameNode));
        if (o.flags == rel::kIfRequiredOnSameNode || o.flags == rel::kIfOnSameNodeOrTarget) flags = o.flags;
        const auto probes = s.find_actions(*o.first.rsc, "monitor", Duration{0}, nullptr);
        if (probes.empty()) continue;
        std::vector<Action*> thens;
        if (o.then.action != nullptr) {
            thens.push_back(o.then.action);
        } else if (o.then.rsc != nullptr) {
            thens = s.find_actions(*o.then.rsc, o.then.task, Duration{0}, nullptr);
        }
        for (Action* probe : probes) {
            for (Action* then : thens) {
                if (is_needed_before(*probe, *then)) s.relate(probe, then, flags);
            }
        }
    }
}

}  // namespace

Resource* guest_connection_in(const Resource& rsc) {
    const auto it =
        std::ranges::find_if(rsc.launched, [](const Resource* launched) { return launched->remote_connection; });
    return it == rsc.launched.end() ? nullptr : *it;
}

bool probe_list(Scheduler& s, const std::vector<Resource*>& list, Node& node) {
    bool any = false;
    for (Resource* rsc : list) any = probe(s, *rsc, node) || any;
    return any;
}

bool probe(Scheduler& s, Resource& rsc, Node& node) {
    if (!s.c.options.enable_startup_probes) return false;
    if (rsc.is_bundle()) return probe_bundle(s, rsc, node);
    if (rsc.is_clone()) return probe_clone(s, rsc, node);
    if (node.remote_kind) {
        if (rsc.fence_device || rsc.remote_connection) return false;
        if (node.is_guest() && guest_connection_in(rsc) != nullptr) return false;
    }
    if (!rsc.children.empty()) return probe_list(s, rsc.children, node);
    return probe_primitive(s, rsc, node);
}

namespace {
/// Nodes that a resource can be probed on, by the node's index; empty optional: all of them.
std::optional<std::vector<std::uint32_t>> probe_places(const Resource& rsc) {
    if (!rsc.exclusive_discovery || rsc.is_bundle()) return std::nullopt;
    std::vector<std::uint32_t> places;
    const std::function<void(const Resource&)> add = [&](const Resource& r) {
        r.allowed.each([&](std::uint32_t index, const NodeScore&) { places.push_back(index); });
        for (const Resource* child : r.children) add(*child);
    };
    add(rsc);
    std::ranges::sort(places);
    places.erase(std::ranges::unique(places).begin(), places.end());
    return places;
}
}  // namespace

void schedule_probes(Scheduler& s) {
    // Where discovery is exclusive, only few nodes matter: with many of them, asking for each would be most of the
    // work.
    std::vector<std::size_t> everywhere, here;
    std::vector<std::vector<std::size_t>> only_on(s.c.node_store.size());
    for (std::size_t i = 0; i < s.c.resources.size(); ++i) {
        const auto places = probe_places(*s.c.resources[i]);
        if (!places) everywhere.push_back(i);
        for (const std::uint32_t index : places.value_or(std::vector<std::uint32_t>{})) only_on[index].push_back(i);
    }
    for (Node* node : s.c.nodes) {
        if (!node->online) {
            if (is_failed_remote_node(*node)) s.fence(*node, "the connection is unrecoverable");
            continue;
        }
        if (node->unclean || !node->probes_allowed) continue;
        here.clear();
        std::ranges::merge(everywhere, only_on[node->index], std::back_inserter(here));
        for (const std::size_t i : here) probe(s, *s.c.resources[i], *node);
    }
}

void order_probes(Scheduler& s) {
    for (Resource* rsc : s.c.resources) order_after_probes_of(s, *rsc);
    order_like_stops(s);
}

}  // namespace systole::scheduler
