// crm_master — promotion scores, for agents that call it by its old name (crm_attribute --promotion is the newer one).
#include <cstdlib>

#include <fmt/format.h>

#include "cli/attribute_command.h"
#include "cli/command.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_master";
    s.usage = "<command> [options]";
    s.summary =
        "query, update, or delete a resource's promotion score\n\n"
        "Meant to be called by a resource agent; crm_attribute --promotion does the same.";
    s.formats = {"text", "xml", "json"};
    s.groups = {{"command",
                 "Commands:",
                 "Show command options",
                 {{'G', "query", Value::kNone, "", "Display the current value of the promotion score"},
                  {'v', "update", Value::kRequired, "VALUE", "Update the value of the promotion score"},
                  {'D', "delete", Value::kNone, "", "Delete the promotion score"}}},
                {"additional",
                 "Additional options:",
                 "Show additional options",
                 {{'N', "node", Value::kRequired, "NODE", "Use promotion score on named node (instead of local node)"},
                  {'l', "lifetime", Value::kRequired, "VALUE",
                   "Until when the score should take effect: reboot or forever (the default)"},
                  {'i', "id", Value::kRequired, "XML_ID", "(Advanced) XML ID of the attribute"},
                  {'r', "resource", Value::kRequired, "ID",
                   "Resource to use, instead of the one that OCF_RESOURCE_INSTANCE names"},
                  {'U', "uname", Value::kRequired, "", ""},
                  {0, "attr-id", Value::kRequired, "", ""},
                  {0, "attr-value", Value::kRequired, "", ""},
                  {0, "get-value", Value::kNone, "", ""},
                  {0, "delete-attr", Value::kNone, "", ""}}}};
    s.options = {{'q', "quiet", Value::kNone, "", "Print only the value"}, {'Q', "quiet", Value::kNone, "", ""}};
    return s;
}

ExitCode run(const Arguments& arguments, Output& output) {
    const auto first = [&arguments](std::string_view a, std::string_view b) {
        return arguments.value(a).value_or(arguments.value(b).value_or(""));
    };
    std::string resource = arguments.value("resource").value_or("");
    if (resource.empty()) {
        const char* instance = std::getenv("OCF_RESOURCE_INSTANCE");
        resource = instance == nullptr ? "" : instance;
    }
    if (resource.empty()) {
        output.fail("No resource specified");
        return ExitCode::kUsage;
    }
    AttributeTask task;
    task.query.name = "master-" + without_instance(resource);
    task.query.pair_id = first("id", "attr-id");
    const bool transient = arguments.value("lifetime").value_or("forever") == "reboot";
    task.query.scope = transient ? PairScope::kStatus : PairScope::kNodes;
    task.node = first("node", "uname");
    task.quiet = arguments.has("quiet");
    using Kind = AttributeTask::Kind;
    if (arguments.has("update") || arguments.has("attr-value")) {
        task.kind = Kind::kUpdate;
        task.value = first("update", "attr-value");
    } else if (arguments.has("delete") || arguments.has("delete-attr")) {
        task.kind = Kind::kDelete;
    } else if (!arguments.has("query") && !arguments.has("get-value") && !arguments.has("quiet")) {
        output.fail("must specify a command");
        return ExitCode::kUsage;
    }
    return run_attribute_task(output, std::move(task));
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
