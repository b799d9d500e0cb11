// crm_standby — whether a node may run resources: its attribute "standby".
#include <fmt/format.h>

#include "cli/attribute_command.h"
#include "cli/command.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_standby";
    s.usage = "<command> [options]";
    s.summary = "query, enable, or disable standby mode for a node\n\nNodes in standby mode may not host resources.";
    s.formats = {"text", "xml", "json"};
    s.groups = {{"command",
                 "Commands:",
                 "Show command options",
                 {{'G', "query", Value::kNone, "", "Show whether standby is set (the default)"},
                  {'v', "update", Value::kRequired, "VALUE", "Set standby: on or off"},
                  {'D', "delete", Value::kNone, "", "Let the node run resources again: delete the attribute"}}},
                {"additional",
                 "Additional options:",
                 "Show additional options",
                 {{'N', "node", Value::kRequired, "NODE", "Operate on the named node instead of the local one"},
                  {'l', "lifetime", Value::kRequired, "LIFETIME",
                   "Until when the setting is in effect: reboot or forever. Without it a\n"
                   "query looks at both, an update is forever, and a deletion deletes both."},
                  {'i', "id", Value::kRequired, "XML_ID", "(Advanced) XML ID of the attribute"},
                  {'U', "uname", Value::kRequired, "", ""},
                  {0, "attr-id", Value::kRequired, "", ""},
                  {0, "attr-value", Value::kRequired, "", ""},
                  {0, "get-value", Value::kNone, "", ""},
                  {0, "delete-attr", Value::kNone, "", ""}}}};
    s.options = {{'q', "quiet", Value::kNone, "", "Print only the value"}, {'Q', "quiet", Value::kNone, "", ""}};
    s.notes =
        "Examples:\n\n"
        "Put the local node in standby:\n\n\tcrm_standby -v on\n\n"
        "Put node node1 in standby until it restarts:\n\n\tcrm_standby --node node1 -v on --lifetime reboot\n";
    return s;
}

ExitCode run(const Arguments& arguments, Output& output) {
    const auto first = [&arguments](std::string_view a, std::string_view b) {
        return arguments.value(a).value_or(arguments.value(b).value_or(""));
    };
    AttributeTask task;
    task.query.name = "standby";
    task.query.pair_id = first("id", "attr-id");
    task.node = first("node", "uname");
    task.quiet = arguments.has("quiet");
    using Kind = AttributeTask::Kind;
    if (arguments.has("delete") || arguments.has("delete-attr")) {
        task.kind = Kind::kDelete;
    } else if (arguments.has("update") || arguments.has("attr-value")) {
        task.kind = Kind::kUpdate;
        task.value = first("update", "attr-value");
    }
    const auto with_lifetime = [&task](bool forever) {
        AttributeTask other = task;
        other.query.scope = forever ? PairScope::kNodes : PairScope::kStatus;
        return other;
    };
    if (const auto lifetime = arguments.value("lifetime")) {
        if (*lifetime != "forever" && *lifetime != "reboot") {
            output.fail(fmt::format("Invalid value '{}' for -l/--lifetime", *lifetime));
            return ExitCode::kUsage;
        }
        return run_attribute_task(output, with_lifetime(*lifetime == "forever"));
    }
    switch (task.kind) {
        case Kind::kUpdate: return run_attribute_task(output, with_lifetime(true));
        case Kind::kDelete: {
            const ExitCode lasting = run_attribute_task(output, with_lifetime(true));
            const ExitCode transient = run_attribute_task(output, with_lifetime(false));
            return lasting == ExitCode::kOk ? transient : lasting;
        }
        case Kind::kQuery: break;
    }
    // The lasting setting if there is one, else the transient one, else what a node without either is.
    AttributeTask lasting = with_lifetime(true);
    lasting.silent_if_absent = true;
    const ExitCode code = run_attribute_task(output, std::move(lasting));
    if (code != ExitCode::kNoSuchObject) return code;
    AttributeTask transient = with_lifetime(false);
    transient.fallback = "off";
    return run_attribute_task(output, std::move(transient));
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
