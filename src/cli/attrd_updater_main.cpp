// attrd_updater — sets and shows transient node attributes through the attribute manager.
#include <fmt/format.h>

#include "base/text.h"
#include "cli/attribute_client.h"
#include "cli/command.h"
#include "cli/daemon_client.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "attrd_updater";
    s.summary = "query and update Pacemaker node attributes";
    s.formats = {"text", "xml", "json"};
    s.groups = {
        {"required",
         "Required Arguments:",
         "Show required arguments",
         {{'n', "name", Value::kRequired, "NAME", "The attribute's name"},
          {'P', "pattern", Value::kRequired, "PATTERN",
           "Operate on all attributes matching this pattern\n(with -B, -D, -U, or -Y)"}}},
        {"command",
         "Command:",
         "Show command options (mutually exclusive)",
         {{'U', "update", Value::kRequired, "VALUE",
           "Update attribute's value. Required: -n/--name or -P/--pattern.\nNote: If a new value is changed before "
           "the\n"
           "dampening time is over, only the last is written."},
          {'B', "update-both", Value::kRequired, "VALUE",
           "Update attribute's value and time to wait (dampening).\nRequired: -n/--name or -P/--pattern, -d/--delay"},
          {'Y', "update-delay", Value::kNone, "",
           "Update attribute's time to wait (dampening).\nRequired: -n/--name or -P/--pattern, -d/--delay"},
          {'Q', "query", Value::kNone, "", "Query the attribute's value. Required: -n/--name"},
          {'D', "delete", Value::kNone, "", "Unset the attribute's value. Required: -n/--name or -P/--pattern"},
          {'R', "refresh", Value::kNone, "",
           "(Advanced) Force the attribute manager to resend all current\nvalues to the CIB"}}},
        {"additional",
         "Additional Options:",
         "Show additional options",
         {{'d', "delay", Value::kRequired, "SECONDS",
           "The time to wait (dampening) in seconds for further changes\nbefore sending to the CIB"},
          {'s', "set", Value::kRequired, "SET", "(Advanced) The attribute set in which to place the value"},
          {'N', "node", Value::kRequired, "NODE", "Set the attribute for the named node (instead of the local one)"},
          {'A', "all", Value::kNone, "", "Show values of the attribute for all nodes (query only)"},
          {'l', "lifetime", Value::kRequired, "SECTION",
           "(Not yet implemented) Lifetime of the node attribute (silently\nignored by cluster)"},
          {'p', "private", Value::kNone, "", "If this creates a new attribute, never write the attribute to CIB"},
          {'W', "wait", Value::kRequired, "UNTIL",
           "Wait for some event to occur before returning. Values are 'no' (wait\nonly for the attribute daemon to "
           "acknowledge the request),\n"
           "'local' (wait until the change has propagated to where a local\nquery will return the request value, or "
           "the value set by a\n"
           "later request), or 'cluster' (wait until the change has propagated\nto where a query anywhere on the "
           "cluster will return the requested\n"
           "value, or the value set by a later request). Default is 'no'."},
          {'z', "utilization", Value::kNone, "", "Use a utilization attribute"}}}};
    s.options = {{'q', "quiet", Value::kNone, "", ""}, {'v', "value", Value::kRequired, "VALUE", ""}};
    return s;
}

/// The node that is meant; empty: the local one.
std::string target_node(const Arguments& arguments) {
    return attribute_target(arguments.value("node").value_or("")).value_or("");
}

ExitCode fail_with(Output& output, const Error& error) {
    const ExitCode code = exit_code_of(error);
    output.fail(fmt::format("Could not reach the attribute manager: {}", describe(code)));
    return code;
}

ExitCode query(const Arguments& arguments, Output& output, const std::string& name) {
    std::string node = target_node(arguments);
    // The controller knows whose node this is, a remote one too; without it, it is the attribute manager's own.
    if (node.empty() && !arguments.has("all")) node = local_node_name("attrd_updater").value_or("localhost");
    xml::Builder request("attrd_op");
    request.set("t", "attrd").set("src", "attrd_updater").set("task", "query").set("attr_name", name);
    if (!arguments.has("all")) request.set("attr_host", node);
    const auto reply = ask_attributes(*request.build());
    if (!reply) return fail_with(output, reply.error());
    if ((*reply)->get("attr_name").empty()) {
        output.fail(fmt::format("Could not query value of {}: attribute does not exist", name));
        return ExitCode::kConfig;
    }
    bool any = false;
    for (const xml::NodePtr& entry : (*reply)->children()) {
        if (!entry->is("node")) continue;
        any = true;
        const std::string host(entry->get("attr_host"));
        const std::string value(entry->get("attr_value"));
        if (arguments.has("quiet"))
            output.line(value);
        else
            output.line(fmt::format("name=\"{}\" host=\"{}\" value=\"{}\"", name, host, value));
        output.add(xml::Builder("attribute").set("name", name).set("value", value).set("host", host));
    }
    if (!any) {
        output.fail(fmt::format("Could not query value of {}: attribute does not exist", name));
        return ExitCode::kConfig;
    }
    return ExitCode::kOk;
}

ExitCode run(const Arguments& arguments, Output& output) {
    const std::string name = arguments.value("name").value_or("");
    const std::string pattern = arguments.value("pattern").value_or("");
    const bool refresh = arguments.has("refresh");
    if (!refresh && name.empty() && pattern.empty()) {
        output.fail("Command requires --name or --pattern argument");
        return ExitCode::kUsage;
    }
    if (!name.empty() && !pattern.empty()) {
        output.fail("Only one of --name and --pattern may be used");
        return ExitCode::kUsage;
    }
    const bool both = arguments.has("update-both");
    const bool delay_only = arguments.has("update-delay");
    const bool update = arguments.has("update") || arguments.has("value");
    const bool remove = arguments.has("delete");
    if (arguments.has("query") || !(both || delay_only || update || remove || refresh)) {
        if (name.empty()) {
            output.fail("--query requires --name argument");
            return ExitCode::kUsage;
        }
        return query(arguments, output, name);
    }
    const auto delay = arguments.value("delay");
    if ((both || delay_only) && !delay)
        fmt::print(stderr, "Warning: '{}' command given without required --delay\n", both ? 'B' : 'Y');
    if (delay && !parse_interval(*delay)) {
        output.fail(fmt::format("Invalid delay '{}'", *delay));
        return ExitCode::kInvalidParameter;
    }
    AttributeChange change{.name = name, .pattern = pattern, .node = target_node(arguments), .delay = delay};
    if (update || both) {
        change.value = arguments.value("update").value_or(
            arguments.value("update-both").value_or(arguments.value("value").value_or("")));
    }
    change.set_id = arguments.value("set").value_or("");
    change.with_delay = both;
    change.delay_only = delay_only;
    change.is_private = arguments.has("private");
    change.utilization = arguments.has("utilization");
    if (const auto until = arguments.value("wait"); until && *until != "no") {
        if (*until != "local" && *until != "cluster") {
            output.fail(fmt::format("--wait: '{}' is none of no, local, cluster", *until));
            return ExitCode::kUsage;
        }
        change.wait_for = *until;
    }
    const auto done = refresh ? refresh_attributes() : change_attribute(change);
    if (done) return ExitCode::kOk;
    output.fail(fmt::format("Could not change the attribute: {}", done.error().what));
    return exit_code_of(done.error());
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
