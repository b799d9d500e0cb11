// systole explain — where a resource runs and why; why it is not on another node, and what would bring it there.
#include <fmt/format.h>

#include "base/text.h"
#include "cli/command.h"
#include "cli/explanation.h"
#include "cli/snapshot_input.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "systole explain";
    s.usage = "[OPTION?] RESOURCE [NODE]";
    s.summary =
        "systole explain - tell where a resource runs and why; for another node, why it is not there and the smallest "
        "change that would bring it there";
    s.formats = {"text", "xml", "json"};
    s.groups = {snapshot_options()};
    return s;
}

std::string place_of(const InstanceAnswer& answer) {
    const std::string now = answer.current_nodes.empty() ? "" : join(answer.current_nodes, ", ");
    if (answer.next_node.empty()) {
        return now.empty() ? fmt::format("stopped: {}", answer.why_inactive)
                           : fmt::format("{} on {}, will be stopped: {}", answer.role, now, answer.why_inactive);
    }
    if (now == answer.next_node) {
        return answer.role == answer.next_role || answer.next_role == "Unknown"
                   ? fmt::format("{} on {}, and stays there", answer.role, now)
                   : fmt::format("{} on {}, will be {}", answer.role, now, answer.next_role);
    }
    if (now.empty()) return fmt::format("stopped, will be {} on {}", answer.next_role, answer.next_node);
    return fmt::format("{} on {}, will be {} on {}", answer.role, now, answer.next_role, answer.next_node);
}

void show_node(Output& output, const NodeAnswer& node, bool with_reasons) {
    std::string text = fmt::format("{}: {}", node.node, node.score.empty() ? "not considered" : node.score);
    if (node.chosen) text += "  <- chosen";
    if (!node.obstacle.empty()) text += fmt::format("  ({} is {})", node.node, node.obstacle);
    output.item(text);
    if (!with_reasons || node.reasons.empty()) return;
    output.begin_list("");
    for (const ScoreReason& reason : node.reasons) {
        output.item(fmt::format("{} -> {}: {}", reason.before, reason.after, reason.text));
    }
    output.end_list();
}

void show_text(Output& output, const Explanation& e) {
    constexpr std::size_t kInstancesMax = 6, kNodesMax = 8;  // of a screen; programs get all
    std::size_t shown = 0;
    for (const InstanceAnswer& instance : e.instances) {
        if (++shown > kInstancesMax) {
            output.line(fmt::format("... and {} more instances", e.instances.size() - kInstancesMax));
            break;
        }
        output.line(fmt::format("{} is {}", instance.id, place_of(instance)));
        output.begin_list("Scores");
        std::size_t left_out = 0, listed = 0;
        for (const NodeAnswer& node : instance.nodes) {
            const bool asked = node.node == e.asked_node;
            const bool matters = asked || node.chosen || node.current || e.asked_node.empty();
            if (!matters || (++listed > kNodesMax && !asked && !node.chosen && !node.current)) {
                ++left_out;
                continue;
            }
            show_node(output, node, true);
        }
        if (left_out > 0) output.item(fmt::format("{} other nodes", left_out));
        output.end_list();
        if (instance.actions.empty()) continue;
        output.begin_list("Actions");
        for (const auto& action : instance.actions) {
            std::string text = fmt::format("{} on {}", action.key, action.node);
            if (!action.runnable) text += " can't be done";
            if (!action.cause.empty()) text += fmt::format(": {}", action.cause);
            if (!action.blockers.empty()) text += fmt::format(" (blocked by {})", join(action.blockers, ", "));
            output.item(text);
        }
        output.end_list();
    }
    if (e.asked_node.empty()) return;
    if (e.there) {
        output.line(fmt::format("{} is planned for {}", e.resource, e.asked_node));
        return;
    }
    if (e.remedies.empty()) {
        output.line(fmt::format("No change was found that would bring {} to {} ({} plans tried)", e.resource,
                                e.asked_node, e.plans_tried));
        return;
    }
    output.begin_list(fmt::format("{} would go to {} after", e.resource, e.asked_node));
    for (const Change& change : e.remedies) {
        output.item(change.command.empty() ? change.text : fmt::format("{}: {}", change.text, change.command));
    }
    output.end_list();
}

xml::Builder element_of(const Explanation& e) {
    xml::Builder root("explanation");
    root.set("resource", e.resource);
    for (const InstanceAnswer& instance : e.instances) {
        xml::Builder element("instance");
        element.set("id", instance.id).set("role", instance.role).set("next-role", instance.next_role);
        element.set_unless_empty("next-node", instance.next_node);
        element.set_unless_empty("why-inactive", instance.why_inactive);
        for (const std::string& name : instance.current_nodes) {
            element.add(std::move(xml::Builder("active").set("node", name)));
        }
        for (const NodeAnswer& node : instance.nodes) {
            xml::Builder place("node");
            place.set("name", node.node).set_unless_empty("score", node.score);
            place.set("chosen", node.chosen ? "true" : "false");
            place.set_unless_empty("obstacle", node.obstacle);
            for (const ScoreReason& reason : node.reasons) {
                xml::Builder term("term");
                term.set("cause", reason.cause).set_unless_empty("id", reason.id).set_unless_empty("with", reason.with);
                term.set("before", reason.before).set("after", reason.after).set("text", reason.text);
                place.add(std::move(term));
            }
            element.add(std::move(place));
        }
        for (const auto& action : instance.actions) {
            xml::Builder op("action");
            op.set("key", action.key).set("node", action.node).set("required", action.required ? "true" : "false");
            op.set("runnable", action.runnable ? "true" : "false").set_unless_empty("cause", action.cause);
            for (const std::string& blocker : action.blockers) {
                op.add(std::move(xml::Builder("blocked-by").set("key", blocker)));
            }
            element.add(std::move(op));
        }
        root.add(std::move(element));
    }
    if (e.asked_node.empty()) return root;
    xml::Builder asked("asked");
    asked.set("node", e.asked_node).set("there", e.there ? "true" : "false");
    asked.set("plans-tried", e.plans_tried);
    for (const Change& change : e.remedies) {
        xml::Builder element("change");
        element.set("text", change.text).set_unless_empty("command", change.command);
        element.set_unless_empty("id", change.id);
        asked.add(std::move(element));
    }
    root.add(std::move(asked));
    return root;
}

ExitCode run(const Arguments& arguments, Output& output) {
    if (arguments.positional.empty() || arguments.positional.size() > 2) {
        output.fail("a resource, and perhaps a node, must be named");
        return ExitCode::kUsage;
    }
    const auto snapshot = read_snapshot(arguments, output);
    if (!snapshot) {
        output.fail(snapshot.error().what);
        return snapshot.error().code;
    }
    std::optional<std::string> node;
    if (arguments.positional.size() == 2) node = arguments.positional[1];
    const auto explanation = explain(snapshot->cib, snapshot->now, arguments.positional[0], node);
    if (!explanation) {
        output.fail(explanation.error().what);
        return explanation.error().code == Errc::kNotFound ? ExitCode::kNoSuchObject : ExitCode::kConfig;
    }
    show_text(output, *explanation);
    output.add(element_of(*explanation));
    return ExitCode::kOk;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
