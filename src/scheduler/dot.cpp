// scheduler/dot.cpp — the graph for graphviz.
#include <fmt/format.h>

#include "base/text.h"
#include "model/operations.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

std::string name_of(const Action& a) {
    std::string_view host;
    if (a.node != nullptr) {
        host = a.node->name;
    } else if (!a.is(act::kPseudo)) {
        host = "<none>";
    }
    const bool cancel = a.task == "cancel";
    const std::string_view prefix = cancel ? "Cancel " : "";
    const auto with_host = [&](std::string_view name) {
        return host.empty() ? fmt::format("{}{}", prefix, name) : fmt::format("{}{} {}", prefix, name, host);
    };
    if (a.rsc != nullptr && !a.rsc->history_id.empty()) {
        if (a.task == "notify" || a.task == "notified") {
            return with_host(fmt::format("{}_{}_notify_{}_0", a.rsc->history_id, a.meta_value("notify_key_type"),
                                         a.meta_value("notify_key_operation")));
        }
        const Duration interval{parse_integer(a.meta_value("interval")).value_or(0)};
        return with_host(model::operation_key(a.rsc->history_id, cancel ? a.cancel_task : a.task, interval));
    }
    if (a.task == "stonith") {
        return fmt::format("{}{} '{}' {}", prefix, a.task, a.meta_value("stonith_action"), host);
    }
    if (a.rsc != nullptr && !host.empty()) return with_host(a.key());
    return host.empty() ? a.key() : with_host(a.task);
}

}  // namespace

void write_dot(Scheduler& s) {
    std::string out = " digraph \"g\" {\n";
    for (std::size_t i = s.actions.size(); i-- > 0;) {
        Action& a = s.actions[i];
        std::string_view style = "dashed", color = "red";
        std::string_view font = a.is(act::kPseudo) ? "orange" : "black";
        if (a.is(act::kInGraph)) {
            style = "bold";
            color = "green";
        } else if (a.rsc != nullptr && !a.rsc->managed) {
            font = "purple";
            if (!s.in.dot_all_actions) continue;
        } else if (a.is(act::kOptional)) {
            color = "blue";
            if (!s.in.dot_all_actions) continue;
        }
        a.set(act::kInGraph);
        out += fmt::format("\"{}\" [ style={} color=\"{}\" fontcolor=\"{}\"]\n", name_of(a), style, color, font);
    }
    for (std::size_t i = s.actions.size(); i-- > 0;) {
        const Action& a = s.actions[i];
        for (const Relation& input : a.before) {
            bool optional = true;
            if (input.graphed) {
                optional = false;
            } else if (input.flags == rel::kNone) {
                continue;
            } else if (input.other->is(act::kInGraph) && a.is(act::kInGraph) &&
                       input.flags != rel::kIfOnSameNodeOrTarget) {
                optional = false;
            }
            if (optional && !s.in.dot_all_actions) continue;
            out += fmt::format("\"{}\" -> \"{}\" [ style = {}]\n", name_of(*input.other), name_of(a),
                               input.graphed ? "bold" : "dashed");
        }
    }
    out += "}\n";
    s.plan.dot = std::move(out);
}

}  // namespace systole::scheduler
