// scheduler/fencing.cpp — which nodes are fenced or shut down, and what waits for that.
// Source: Pacemaker Explained, "Fencing".
#include <fmt/format.h>

#include <algorithm>

#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

bool is_known_on(const Resource& rsc, const Node& node) {
    const auto probed = [&](const Resource& r) { return node.index < r.probed.size() && r.probed[node.index]; };
    return probed(rsc) ||
           (rsc.is_primitive() && rsc.parent != nullptr && rsc.parent->is_anonymous_clone() && probed(*rsc.parent));
}

void order_starts(Scheduler& s, Resource& rsc, Action& fencing) {
    const auto& list = s.of(rsc).actions;
    for (std::size_t i = list.size(); i-- > 0;) {
        Action* a = list[i];
        if (a->needs == Needs::kFencing) {
            s.relate(&fencing, a, rel::kOrdered);
        } else if (a->needs == Needs::kQuorum && a->task == "start" && rsc.allowed.find(*fencing.node) != nullptr &&
                   !is_known_on(rsc, *fencing.node)) {
            // It may be running there for all we know.
            s.relate(&fencing, a, rel::kOrdered | rel::kUnrunnableFirstBlocks);
        }
    }
}

void order_stops(Scheduler& s, Resource& rsc, Action& fencing) {
    Node& target = *fencing.node;
    const bool implied = rsc.needs_fencing || target.is_guest();
    const auto stops = s.find_actions(rsc, "stop", Duration{0}, &target);
    Action* parent_stop = nullptr;
    if (!stops.empty() && implied) parent_stop = s.find_task(rsc.uber_parent(), "stop");
    for (Action* stop : stops) {
        stop->set(act::kPseudo | act::kRunnable);  // fencing has done it
        if (implied) {
            if (!rsc.is_bundled()) s.relate(&fencing, stop, rel::kGuestAllowed);
            s.relate(&fencing, parent_stop, rel::kGuestAllowed);
        }
        if (rsc.notify) order_notifications_after_fencing(s, *stop, rsc, fencing);
    }
    for (Action* demote : s.find_actions(rsc, "demote", Duration{0}, &target)) {
        if (demote->node->online && !demote->node->unclean && !rsc.failed) continue;
        demote->set(act::kPseudo | act::kRunnable);
        if (!rsc.is_bundled() && implied) s.relate(&fencing, demote, rel::kGuestAllowed | rel::kOrdered);
    }
}

void order_resource(Scheduler& s, Resource& rsc, Action& fencing) {
    if (!rsc.children.empty()) {
        for (Resource* child : rsc.children) order_resource(s, *child, fencing);
        return;
    }
    if (!rsc.managed) return;
    order_starts(s, rsc, fencing);
    order_stops(s, rsc, fencing);
}

/// A guest is fenced by stopping its container: the action is only a point in the order.
void fence_guest(Scheduler& s, Node& node) {
    Resource& launcher = *node.remote->launcher;
    Action* stop = s.find_task(launcher, "stop");
    const std::string_view operation = s.find_task(launcher, "start") != nullptr ? "reboot" : "off";
    const std::string reason = "guest is unclean";
    Action* fencing = s.fence_action(node, operation, false, &reason, false);
    fencing->set(act::kPseudo | act::kRunnable);
    if (stop != nullptr && stop->is(act::kPseudo)) {
        Action* host = s.fence_action(*stop->node, {}, false, nullptr, false);
        s.relate(host, fencing, rel::kUnrunnableFirstBlocks | rel::kFirstImpliesThen);
    } else if (stop != nullptr) {
        s.relate(stop, fencing, rel::kUnrunnableFirstBlocks | rel::kFirstImpliesThen);
    } else if (Action* connection_stop = s.find_task(*node.remote, "stop")) {
        s.relate(connection_stop, fencing, rel::kOrdered);
    }
    order_vs_fencing(s, *fencing);
}

bool any_managed(const std::vector<Resource*>& list) {
    return std::ranges::any_of(list, [](const Resource* r) { return r->managed || any_managed(r->children); });
}

void order_stops_before_shutdown(Scheduler& s, Node& node, Action& shutdown) {
    for (std::size_t i = s.actions.size(); i-- > 0;) {
        Action& a = s.actions[i];
        if (a.node != &node || a.task != "stop" || a.rsc == nullptr) continue;
        // What is unmanaged is left running, and doesn't hold the shutdown up.
        if (a.rsc->maintenance || node.maintenance || (!a.rsc->managed && !a.rsc->blocked)) continue;
        a.clear(act::kOptional);
        s.order(OrderEnd(a.rsc, &a), OrderEnd(&shutdown), rel::kOrdered | rel::kUnrunnableFirstBlocks);
    }
}

Action* shutdown_action(Scheduler& s, Node& node) {
    Action* a = s.global_action(fmt::format("do_shutdown-{}", node.name), "do_shutdown", &node, false);
    order_stops_before_shutdown(s, node, *a);
    a->meta["op_no_wait"] = "true";
    return a;
}

}  // namespace

bool is_unfenced(const Node& node) {
    const auto value = node.attribute("#node-unfenced");
    return value && *value != "0";
}

void order_vs_fencing(Scheduler& s, Action& fencing) {
    for (Resource* rsc : s.c.resources) order_resource(s, *rsc, fencing);
}

void order_vs_unfencing(Scheduler& s, const Resource& rsc, Node& node, Action& action, Flags flags) {
    if (!(rsc.fence_device && s.c.enable_unfencing) && !rsc.needs_unfencing) return;
    Action* unfence = s.fence_action(node, "on", true, nullptr, false);
    s.relate(unfence, &action, flags);
    if (!is_unfenced(node)) s.unfence_for(nullptr, &node, fmt::format("required by {} {}", rsc.id, action.task));
}

void schedule_fencing_and_shutdowns(Scheduler& s) {
    const bool have_managed = any_managed(s.c.resources);
    std::vector<Action*> fencings, shutdowns;  // newest first
    Action* dc_down = nullptr;
    const bool concurrent = s.c.options.concurrent_fencing;
    for (Node* node : s.c.nodes) {
        if (node->is_guest()) {
            if (node->remote_reset && have_managed && s.c.can_fence(node)) fence_guest(s, *node);
            continue;
        }
        if (have_managed && node->unclean && s.c.can_fence(node)) {
            const std::string reason = "node is unclean";
            Action* fencing = s.fence_action(*node, {}, false, &reason, false);
            s.c.warning(fmt::format("Scheduling node {} for fencing", node->name));
            order_vs_fencing(s, *fencing);
            if (node == s.c.dc) {
                dc_down = fencing;
            } else {
                if (!concurrent && !fencings.empty()) s.relate(fencings.front(), fencing, rel::kOrdered);
                fencings.insert(fencings.begin(), fencing);
            }
            continue;
        }
        if (node->unclean) s.c.config_warning(fmt::format("Node {} is unclean but cannot be fenced", node->name));
        if (!node->remote_kind && node->online && node->shutdown) {
            Action* down = shutdown_action(s, *node);
            if (node == s.c.dc) {
                dc_down = down;
            } else {
                shutdowns.insert(shutdowns.begin(), down);
            }
        }
    }
    if (dc_down == nullptr) return;
    // The DC goes last: an election in the middle of it would cost time.
    if (dc_down->task == "do_shutdown") {
        for (Action* down : shutdowns) s.relate(down, dc_down, rel::kOrdered);
    }
    if (concurrent) {
        for (Action* fencing : fencings) s.relate(fencing, dc_down, rel::kOrdered);
    } else if (!fencings.empty()) {
        s.relate(fencings.front(), dc_down, rel::kOrdered);
    }
}

}  // namespace systole::scheduler
