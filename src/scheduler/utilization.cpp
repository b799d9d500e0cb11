// scheduler/utilization.cpp — capacities of nodes and what resources take of them.
// Source: Pacemaker Explained, "Utilization and Placement Strategy".
#include <fmt/format.h>

#include <algorithm>

#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

using Amounts = std::map<std::string, int, std::less<>>;

bool contains(const std::vector<Resource*>& list, const Resource* rsc) {
    return std::ranges::find(list, rsc) != list.end();
}

void add_demand(Scheduler& s, const Resource& rsc, const std::vector<Resource*>& all, Amounts& total) {
    if (!s.of(rsc).unassigned) return;
    switch (rsc.variant) {
        case model::Variant::kPrimitive:
            for (const auto& [name, value] : rsc.utilization) total[name] += value;
            return;
        case model::Variant::kGroup:
            if (rsc.group->colocated || (rsc.parent != nullptr && rsc.parent->is_clone())) {
                for (const Resource* member : rsc.children) {
                    if (s.of(*member).unassigned && !contains(all, member)) add_demand(s, *member, all, total);
                }
            } else if (!rsc.children.empty()) {
                const Resource* member = rsc.children.front();
                if (s.of(*member).unassigned && !contains(all, member)) add_demand(s, *member, all, total);
            }
            return;
        case model::Variant::kClone: {
            bool existing = false;
            for (const Resource* child : rsc.children) {
                if (contains(all, child)) {
                    existing = true;
                    continue;
                }
                if (std::ranges::any_of(child->children, [&](const Resource* m) { return contains(all, m); })) {
                    add_demand(s, *child, all, total);
                    existing = true;
                }
            }
            if (!existing && !rsc.children.empty()) add_demand(s, *rsc.children.front(), all, total);
            return;
        }
        case model::Variant::kBundle:
            if (!rsc.bundle->replicas.empty()) add_demand(s, *rsc.bundle->replicas.front().container, all, total);
            return;
    }
}

bool has_capacity(const Node& node, const Amounts& demand) {
    return std::ranges::all_of(demand, [&](const auto& item) {
        const auto it = node.utilization.find(item.first);
        return item.second <= (it == node.utilization.end() ? 0 : it->second);
    });
}

void change_capacity(Node& node, const Resource& rsc, int sign) {
    for (const auto& [name, value] : rsc.utilization) node.utilization[name] += sign * value;
}

Action* load_stopped(Scheduler& s, Node& node) {
    Action* a = s.pseudo_action("load_stopped_" + node.name);
    if (a->node == nullptr) {
        a->node = &node;
        a->clear(act::kOptional);
    }
    return a;
}

}  // namespace

int compare_capacities(const Node& a, const Node& b) {
    int result = 0;
    const auto amount = [](const Node& node, const std::string& name) {
        const auto it = node.utilization.find(name);
        return it == node.utilization.end() ? 0 : it->second;
    };
    for (const auto& [name, value] : a.utilization) {
        const int other = amount(b, name);
        result += value > other ? -1 : value < other ? 1 : 0;
    }
    for (const auto& [name, value] : b.utilization) {
        if (!a.utilization.contains(name)) result += value < 0 ? -1 : value > 0 ? 1 : 0;
    }
    return result;
}

void consume_capacity(Node& node, const Resource& rsc) { change_capacity(node, rsc, -1); }
void release_capacity(Node& node, const Resource& rsc) { change_capacity(node, rsc, 1); }

Node* ban_insufficient_capacity(Scheduler& s, Resource& rsc) {
    if (s.c.options.placement == model::Placement::kDefault) return nullptr;
    std::vector<Resource*> together = colocated_resources(s, rsc, nullptr, {});
    if (!contains(together, &rsc)) together.push_back(&rsc);
    Amounts demand;
    for (const Resource* each : together) add_demand(s, *each, together, demand);
    bool any_capable = false;
    Node* most_capable = nullptr;
    std::vector<Node*> candidates;
    for (Node* node : s.c.nodes) {
        if (rsc.allowed.find(*node) != nullptr) candidates.push_back(node);
    }
    s.in_table_order(candidates);
    for (Node* node : candidates) {
        if (!s.available(node, true, rsc.allowed.find(*node))) continue;
        if (has_capacity(*node, demand)) any_capable = true;
        if (most_capable == nullptr || compare_capacities(*node, *most_capable) < 0) most_capable = node;
    }
    // If no node takes all of them, at least this one shall run.
    const Amounts& needed = any_capable ? demand : rsc.utilization;
    for (Node* node : s.c.nodes) {
        const NodeScore* entry = rsc.allowed.find(*node);
        if (entry != nullptr && s.available(node, true, entry) && !has_capacity(*node, needed)) {
            s.c.add_location(rsc, node, Score::minus_infinity());
        }
    }
    return any_capable ? nullptr : most_capable;
}

void show_capacities(Scheduler& s, std::string_view when) {
    if (!s.in.want_utilization) return;
    for (const Node* node : s.c.nodes) {
        if (node->is_guest() && node->remote->launcher->is_bundled()) continue;
        std::string line = fmt::format("{}: {} capacity:", when, node->name);
        std::vector<std::pair<std::string, std::string>> values{{"node", node->name}, {"comment", std::string(when)}};
        for (const auto& [name, value] : node->utilization) {
            line += fmt::format(" {}={}", name, value);
            values.emplace_back(name, std::to_string(value));
        }
        s.plan.scores.push_back({std::move(line), "capacity", std::move(values)});
    }
}

void order_load_stopped(Scheduler& s, Resource& rsc, const std::vector<Node*>& allowed) {
    for (Node* node : rsc.active_nodes) {
        s.order(OrderEnd(rsc, "stop"), OrderEnd(load_stopped(s, *node)), rel::kIfOnSameNodeOrTarget);
    }
    for (Node* node : allowed) {
        Action* stopped = load_stopped(s, *node);
        s.order(OrderEnd(stopped), OrderEnd(rsc, "start"), rel::kIfOnSameNodeOrTarget);
        s.order(OrderEnd(stopped), OrderEnd(rsc, "migrate_to"), rel::kIfOnSameNodeOrTarget);
    }
}

}  // namespace systole::scheduler
