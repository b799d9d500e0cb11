// scheduler/summary.cpp — the plan in words: what happens to each node and resource, and why.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

class Summary {
public:
    explicit Summary(Scheduler& s) : s_(s) {}
    void nodes();
    void resource(Resource& rsc);

private:
    void primitive(Resource& rsc);
    void same_role(Resource& rsc, Node* current, Node* next, Action* start, Action* stop, Action* promote,
                   Action* demote);
    void line(std::string_view change, const Resource& rsc, const Node* origin, const Node* destination,
              const Action* action, const Action* source);
    Action* first(Resource& rsc, std::string_view task, Node* node) {
        const auto found = s_.find_actions(rsc, task, Duration{0}, node);
        return found.empty() ? nullptr : found.front();
    }

    Scheduler& s_;
    // Columns get wider as longer names come.
    std::size_t name_width_ = 5, detail_width_ = 5;
};

std::string details_of(const Resource& rsc, const Node* origin, const Node* destination) {
    const bool need_role = rsc.role > Role::kStarted || rsc.next_role > Role::kUnpromoted;
    const bool same_host = origin != nullptr && origin == destination;
    const bool same_role = rsc.role == rsc.next_role;
    const std::string_view role = text_of(rsc.role), next = text_of(rsc.next_role);
    const auto name = [](const Node* node) {
        return node == nullptr ? std::string_view("unspecified node") : std::string_view(node->name);
    };
    if (origin == nullptr) {
        return need_role ? fmt::format("{} -> {} {}", role, next, name(destination)) : std::string(name(destination));
    }
    if (destination == nullptr || (same_role && same_host)) {
        return need_role ? fmt::format("{} {}", role, origin->name) : origin->name;
    }
    if (same_role) {
        return need_role ? fmt::format("{} -> {} {}", origin->name, destination->name, role)
                         : fmt::format("{} -> {}", origin->name, destination->name);
    }
    if (same_host) return fmt::format("{} -> {} {}", role, next, origin->name);
    return fmt::format("{} {} -> {} {}", role, origin->name, next, destination->name);
}

/// Where from and where to, as which role: what programs are told in place of details.
std::vector<std::pair<std::string, std::string>> places_of(const Resource& rsc, const Node* origin,
                                                           const Node* destination) {
    const bool need_role = rsc.role > Role::kStarted || rsc.next_role > Role::kUnpromoted;
    const bool same_host = origin != nullptr && origin == destination;
    const bool same_role = rsc.role == rsc.next_role;
    const std::pair<std::string, std::string> role("role", text_of(rsc.role)),
        next("next-role", text_of(rsc.next_role));
    std::vector<std::pair<std::string, std::string>> values;
    if (origin == nullptr || destination == nullptr) {
        if (need_role) values.push_back(role);
        if (origin != nullptr) {
            values.emplace_back("node", origin->name);
        } else if (need_role) {
            values.push_back(next);
            if (destination != nullptr) values.emplace_back("dest", destination->name);
        } else if (destination != nullptr) {
            values.emplace_back("node", destination->name);
        }
    } else if (same_role) {
        values.emplace_back("source", origin->name);
        if (!same_host) values.emplace_back("dest", destination->name);
        if (need_role) values.push_back(role);
    } else {
        values.push_back(role);
        values.push_back(next);
        values.emplace_back("source", origin->name);
        if (!same_host) values.emplace_back("dest", destination->name);
    }
    return values;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

void Summary::line(std::string_view change, const Resource& rsc, const Node* origin, const Node* destination,
                   const Action* action, const Action* source) {
    if (source == nullptr) source = action;
    if (action == nullptr) action = source;
    if (rsc.id.size() > name_width_) name_width_ = rsc.id.size() + 2;
    const std::string details = details_of(rsc, origin, destination);
    detail_width_ = std::max(detail_width_, details.size());
    std::string reason;
    std::vector<std::pair<std::string, std::string>> values{{"action", lower(change)}, {"resource", rsc.id}};
    std::ranges::move(places_of(rsc, origin, destination), std::back_inserter(values));
    if (source != nullptr) {
        const bool runnable = action->is(act::kRunnable);
        if (source->has_reason) {
            reason = fmt::format("  due to {}{}", source->reason, runnable ? "" : " (blocked)");
            values.emplace_back("reason", source->reason);
        } else if (!runnable) {
            reason = "  blocked";
        }
        if (!runnable) values.emplace_back("blocked", "true");
    }
    s_.plan.summary.push_back(
        {fmt::format("{:<8}   {:<{}}   ( {:>{}} ){}", change, rsc.id, name_width_, details, detail_width_, reason),
         "rsc_action", std::move(values)});
}

void Summary::nodes() {
    for (std::size_t i = s_.actions.size(); i-- > 0;) {
        const Action& a = s_.actions[i];
        if (a.rsc != nullptr || a.is(act::kOptional) || a.node == nullptr || !a.has_reason) continue;
        std::string task;
        if (a.task == "do_shutdown") {
            task = "Shutdown";
        } else if (a.task == "stonith") {
            task = fmt::format("Fence ({})", a.meta_value("stonith_action"));
        } else {
            continue;
        }
        std::string name = a.node->name;
        if (a.node->is_guest()) name += fmt::format(" (resource: {})", a.node->remote->launcher->id);
        s_.plan.summary.push_back({fmt::format("{} {} '{}'", task, name, a.reason),
                                   "node_action",
                                   {{"task", task}, {"node", name}, {"reason", a.reason}}});
    }
}

void Summary::same_role(Resource& rsc, Node* current, Node* next, Action* start, Action* stop, Action* promote,
                        Action* demote) {
    const Action* migrate = first(rsc, "migrate_from", next);
    const bool moving = current != nullptr && next != nullptr && current != next;
    if (migrate != nullptr && current != nullptr && migrate->is(act::kRunnable)) {
        line("Migrate", rsc, current, next, start, nullptr);
    } else if (s_.of(rsc).reload) {
        line("Reload", rsc, current, next, start, nullptr);
    } else if (start == nullptr || start->is(act::kOptional)) {
        if (demote != nullptr && promote != nullptr && !demote->is(act::kOptional) && !promote->is(act::kOptional)) {
            line("Re-promote", rsc, current, next, promote, demote);
        }
    } else if (!start->is(act::kRunnable)) {
        line("Stop", rsc, current, nullptr, stop, stop == nullptr || !stop->has_reason ? start : stop);
    } else if (moving) {
        line(rsc.failed ? "Recover" : "Move", rsc, current, next, stop, nullptr);
    } else if (rsc.failed) {
        line("Recover", rsc, current, nullptr, stop, nullptr);
    } else {
        line("Restart", rsc, current, next, start, nullptr);
    }
}

void Summary::primitive(Resource& rsc) {
    Node* next = rsc.assigned_node;
    Node* current = nullptr;
    if (!rsc.active_nodes.empty()) {
        current = model::current_node(rsc);
        if (rsc.role == Role::kStopped) rsc.role = Role::kStarted;  // it runs, after all
    }
    if ((current == nullptr && rsc.removed) || !rsc.managed || (current == nullptr && next == nullptr)) return;
    const bool moving = current != nullptr && next != nullptr && current != next;
    Action* start = first(rsc, "start", next);
    Action* stop = first(rsc, "stop", start == nullptr || !start->is(act::kRunnable) ? nullptr : current);
    if (stop == nullptr && s_.of(rsc).stop_unexpected) stop = first(rsc, "stop", nullptr);
    Action* promote = first(rsc, "promote", next);
    Action* demote = first(rsc, "demote", next);
    if (rsc.role == rsc.next_role) return same_role(rsc, current, next, start, stop, promote, demote);

    const bool start_blocked = start != nullptr && !start->is(act::kRunnable);
    if (stop != nullptr && (rsc.next_role == Role::kStopped || start_blocked)) {
        for (Node* node : rsc.active_nodes) {
            const Action* there = first(rsc, "stop", node);
            line("Stop", rsc, node, nullptr, there, there != nullptr && there->has_reason ? there : start);
        }
    } else if (stop != nullptr && rsc.failed && rsc.stop_if_failed) {
        line("Recover", rsc, current, next, stop, start);
    } else if (moving) {
        line("Move", rsc, current, next, stop, nullptr);
    } else if (s_.of(rsc).reload) {
        line("Reload", rsc, current, next, start, nullptr);
    } else if (stop != nullptr && !stop->is(act::kOptional)) {
        line("Restart", rsc, current, next, start, nullptr);
    } else if (rsc.role == Role::kPromoted) {
        line("Demote", rsc, current, next, demote, nullptr);
    } else if (rsc.next_role == Role::kPromoted) {
        line("Promote", rsc, current, next, promote, nullptr);
    } else if (rsc.role == Role::kStopped && rsc.next_role > Role::kStopped) {
        line("Start", rsc, current, next, start, nullptr);
    }
}

void Summary::resource(Resource& rsc) {
    if (rsc.is_bundle()) {
        for (auto& replica : rsc.bundle->replicas) {
            for (Resource* part : {replica.ip, replica.container, replica.remote, replica.child}) {
                if (part != nullptr) resource(*part);
            }
        }
    } else if (!rsc.children.empty()) {
        for (Resource* child : rsc.children) resource(*child);
    } else {
        primitive(rsc);
    }
}

}  // namespace

void write_summary(Scheduler& s) {
    Summary summary(s);
    // Twice, as columns are as wide for the first line as for the last.
    for (int round = 0; round < 2; ++round) {
        s.plan.summary.clear();
        summary.nodes();
        for (Resource* rsc : s.c.resources) summary.resource(*rsc);
    }
}

}  // namespace systole::scheduler
