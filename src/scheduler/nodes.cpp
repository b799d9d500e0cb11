// scheduler/nodes.cpp — which node is better, and where a resource is.
#include <fmt/format.h>

#include <algorithm>

#include "scheduler/scheduler.h"
#include "scheduler/table_order.h"

namespace systole::scheduler {

bool Scheduler::available(const Node* node, bool consider_score, const NodeScore* entry) const {
    if (node == nullptr || !node->online || node->shutdown || node->unclean || node->standby || node->maintenance) {
        return false;
    }
    return !consider_score || entry == nullptr || entry->score >= Score{0};
}

bool Scheduler::any_available(const NodeTable& table) const {
    bool found = false;
    table.each([&](std::uint32_t index, const NodeScore& entry) {
        found = found || available(&c.node_store[index], true, &entry);
    });
    return found;
}

bool Scheduler::node_before(const NodeTable* table, const Node& a, const Node& b, const Node* preferred) const {
    const auto score_on = [&](const Node& node) {
        if (!available(&node)) return Score::minus_infinity();
        if (table == nullptr) return node.score;
        const NodeScore* entry = table->find(node);
        return entry == nullptr ? Score::minus_infinity() : entry->score;
    };
    const Score score_a = score_on(a), score_b = score_on(b);
    if (score_a != score_b) return score_a > score_b;
    if (c.options.placement != model::Placement::kMinimal) {
        if (c.options.placement == model::Placement::kBalanced) {
            const int result = compare_capacities(a, b);
            if (result != 0) return result < 0;
        }
        const int count_a = resources_on_node[a.index], count_b = resources_on_node[b.index];
        if (count_a != count_b) return count_a < count_b;
        if (preferred != nullptr && &a != &b) {
            if (preferred == &a) return true;
            if (preferred == &b) return false;
        }
    }
    return a.name < b.name;
}

namespace {
/// The order that node_before() tells, but for balanced placement. What it is made of is looked up once for each node.
/// A total order, as names are unique: where the list began makes no difference.
void sort_by_keys(Scheduler& s, const NodeTable& table, const Node* preferred, std::vector<Node*>& list) {
    struct Key {
        Score score;
        int count = 0;
        bool other = false;  ///< than the preferred one
        Node* node;
    };
    const bool counts = s.c.options.placement != model::Placement::kMinimal;
    std::vector<Key> keys;
    keys.reserve(list.size());
    for (Node* node : list) {
        const NodeScore* entry = table.find(*node);
        const bool usable = s.available(node) && entry != nullptr;
        keys.push_back({.score = usable ? entry->score : Score::minus_infinity(),
                        .count = counts ? s.resources_on_node[node->index] : 0,
                        .other = counts && node != preferred,
                        .node = node});
    }
    std::ranges::sort(keys, [](const Key& a, const Key& b) {
        if (a.score != b.score) return a.score > b.score;
        if (a.count != b.count) return a.count < b.count;
        if (a.other != b.other) return b.other;
        return a.node->name < b.node->name;
    });
    std::ranges::transform(keys, list.begin(), &Key::node);
}
}  // namespace

std::vector<Node*> Scheduler::sorted_nodes(const NodeTable& table, const Node* preferred) {
    std::vector<Node*> list;
    table.each([&](std::uint32_t index, const NodeScore&) { list.push_back(&c.node_store[index]); });
    if (c.options.placement != model::Placement::kBalanced) {
        sort_by_keys(*this, table, preferred, list);
        return list;
    }
    const auto before = [&](const Node* a, const Node* b) { return node_before(&table, *a, *b, preferred); };
    in_table_order(list);
    std::ranges::reverse(list);
    merge_sort(list, [&](const Node* a, const Node* b) { return before(a, b) ? -1 : before(b, a) ? 1 : 0; });
    return list;
}

void Scheduler::in_table_order(std::vector<Node*>& nodes) const {
    std::vector<std::string_view> ids;
    for (const Node* node : nodes) ids.push_back(node->id);
    std::vector<Node*> ordered;
    for (const std::size_t place : table_order(ids)) ordered.push_back(nodes[place]);
    nodes = std::move(ordered);
}

NodeScore* Scheduler::top_allowed(const Resource& rsc, const Node& node) {
    Resource& owner = const_cast<Resource&>(rsc.parent == nullptr ? rsc : *rsc.parent);
    return owner.allowed.find(node);
}

namespace {
void collect_locations(const Resource& rsc, Scheduler::Where where, std::vector<Node*>& found) {
    const auto add = [&](Node* node) {
        if (std::ranges::find(found, node) == found.end()) found.push_back(node);
    };
    if (!rsc.children.empty()) {
        for (const Resource* child : rsc.children) collect_locations(*child, where, found);
    } else if (where == Scheduler::Where::kAssigned) {
        if (rsc.assigned_node != nullptr) add(rsc.assigned_node);
    } else {
        for (Node* node : rsc.active_nodes) add(node);
    }
}
}  // namespace

Node* Scheduler::location_of(const Resource& rsc, Where where) {
    if (rsc.children.empty() && where == Where::kAssigned) return rsc.assigned_node;
    if (rsc.children.empty() && rsc.active_nodes.size() < 2) {
        return rsc.active_nodes.empty() ? nullptr : rsc.active_nodes.front();
    }
    std::vector<Node*> found;
    collect_locations(rsc, where, found);
    return found.size() == 1 ? found.front() : nullptr;  // several places are no place
}

void Scheduler::show_scores(const Resource& rsc, std::string_view pass) {
    if (!in.want_scores || rsc.removed) return;
    for (const Node* node : c.nodes) {
        if (const NodeScore* entry = rsc.allowed.find(*node)) {
            const std::string score = to_string(entry->score);
            plan.scores.push_back(
                {fmt::format("{}: {} allocation score on {}: {}", pass, rsc.id, node->name, score),
                 "node_weight",
                 {{"function", std::string(pass)}, {"node", node->name}, {"score", score}, {"id", rsc.id}}});
        }
    }
    for (const Resource* child : rsc.children) show_scores(*child, pass);
}

}  // namespace systole::scheduler
