// crm_attribute — cluster options, defaults and node attributes.
#include <cstdlib>

#include <fmt/format.h>

#include "cli/attribute_command.h"
#include "cli/command.h"
#include "cli/config_options.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_attribute";
    s.summary = "crm_attribute - query and update Pacemaker cluster options and node attributes";
    s.formats = {"text", "xml", "json"};
    s.groups = {
        {"selections",
         "Selecting attributes:",
         "Show selecting options",
         {{'i', "id", Value::kRequired, "XML_ID",
           "(Advanced) Operate on instance of specified attribute with this\nXML ID"},
          {'n', "name", Value::kRequired, "NAME",
           "Operate on attribute or option with this name.  For queries, this\n"
           "is optional, in which case all matching attributes will be\nreturned."},
          {'P', "pattern", Value::kRequired, "PATTERN",
           "Operate on all attributes matching this pattern\n(with -v, -D, or -G)"},
          {'p', "promotion", Value::kOptional, "RESOURCE",
           "Operate on node attribute used as promotion score for specified\n"
           "resource, or resource given in OCF_RESOURCE_INSTANCE environment\n"
           "variable if none is specified; this also defaults -l/--lifetime\n"
           "to reboot (normally invoked from an OCF resource agent)"},
          {'s', "set-name", Value::kRequired, "NAME",
           "(Advanced) Operate on instance of specified attribute that is\nwithin set with this XML ID"}}},
        {"command",
         "Commands:",
         "Show command options",
         {{'L', "list-options", Value::kRequired, "TYPE",
           "List all available options of the given type.\nAllowed values: cluster"},
          {'D', "delete", Value::kNone, "", "Delete the attribute/option"},
          {'G', "query", Value::kNone, "", "Query the current value of the attribute/option.\nSee also: -n, -P"},
          {'v', "update", Value::kRequired, "VALUE", "Update the value of the attribute/option"}}},
        {"additional",
         "Additional options:",
         "Show additional options",
         {{'a', "all", Value::kNone, "", "With -L, also list advanced and deprecated options"},
          {'d', "default", Value::kRequired, "VALUE",
           "(Advanced) Default value to display if none is found in configuration"},
          {'l', "lifetime", Value::kRequired, "LIFETIME",
           "Lifetime of the node attribute.\nValid values: reboot, forever"},
          {'N', "node", Value::kRequired, "NODE",
           "Set a node attribute for named node (instead of a cluster option).\nSee also: -l"},
          {'t', "type", Value::kRequired, "SECTION",
           "Which part of the configuration to update/delete/query the option in.\n"
           "Valid values: crm_config, rsc_defaults, op_defaults, tickets"},
          {'W', "wait", Value::kRequired, "UNTIL",
           "How long to wait after a change of a transient attribute: \"no\" (until the\n"
           "request was taken, the default), \"local\" (until a query here shows it),\n"
           "\"cluster\" (until a query on any node shows it)"},
          {'z', "utilization", Value::kNone, "", "Set an utilization attribute for the node."},
          {0, "score", Value::kNone, "",
           "Treat new attribute values as atomic score updates where possible\n(\"value++\", \"value+=2\")"}}}};
    s.options = {{'q', "quiet", Value::kNone, "", "Print only the value on stdout"},
                 {'Q', "quiet", Value::kNone, "", ""},
                 {'U', "node-uname", Value::kRequired, "", ""},
                 {0, "attr-id", Value::kRequired, "", ""},
                 {0, "attr-name", Value::kRequired, "", ""},
                 {0, "attr-value", Value::kRequired, "", ""},
                 {0, "get-value", Value::kNone, "", ""},
                 {0, "delete-attr", Value::kNone, "", ""}};
    s.notes =
        "Examples:\n\n"
        "Set the node attribute 'location' of the node 'myhost' to 'office':\n\n"
        "\tcrm_attribute --node myhost --name location --update office\n\n"
        "Show it, then delete it:\n\n"
        "\tcrm_attribute --node myhost --name location --query\n"
        "\tcrm_attribute --node myhost --name location --delete\n\n"
        "Show only the value of the cluster option 'cluster-delay':\n\n"
        "\tcrm_attribute --type crm_config --name cluster-delay --query --quiet\n";
    return s;
}

Result<AttributeTask> read_task(const Arguments& arguments) {
    const auto first = [&arguments](std::string_view a, std::string_view b) {
        const auto value = arguments.value(a);
        return (value ? value : arguments.value(b)).value_or("");
    };
    AttributeTask task;
    task.query.pair_id = first("id", "attr-id");
    task.query.name = first("name", "attr-name");
    task.query.set_id = arguments.value("set-name").value_or("");
    task.pattern = arguments.value("pattern").value_or("");
    task.node = first("node", "node-uname");
    if (const auto until = arguments.value("wait"); until && *until != "no") {
        if (*until != "local" && *until != "cluster")
            return fail(Errc::kInvalid, "--wait= must be one of 'no', 'local', 'cluster'");
        task.wait_for = *until;
    }
    task.quiet = arguments.has("quiet");
    task.fallback = arguments.value("default");
    if (arguments.has("update") || arguments.has("attr-value")) {
        task.kind = AttributeTask::Kind::kUpdate;
        task.value = first("update", "attr-value");
    }
    if (arguments.has("delete") || arguments.has("delete-attr")) task.kind = AttributeTask::Kind::kDelete;
    if (arguments.has("query") || arguments.has("get-value")) task.kind = AttributeTask::Kind::kQuery;

    std::string type = arguments.value("type").value_or("");
    std::string lifetime = arguments.value("lifetime").value_or("");
    if (arguments.has("promotion")) {
        std::string resource = arguments.value("promotion").value_or("");
        if (resource.empty()) {
            const char* instance = std::getenv("OCF_RESOURCE_INSTANCE");
            resource = instance == nullptr ? "" : instance;
        }
        if (resource.empty()) {
            return fail(Errc::kInvalid,
                        "-p/--promotion must be called from an OCF resource agent or with a resource ID specified");
        }
        task.query.name = "master-" + without_instance(resource);
        if (lifetime.empty()) lifetime = "reboot";
    }
    const bool of_node =
        !task.node.empty() || arguments.has("promotion") || arguments.has("utilization") || !lifetime.empty();
    if (type.empty()) type = of_node ? "nodes" : "crm_config";
    if (lifetime == "reboot" && type == "nodes") type = "status";
    if (type == "properties") type = "crm_config";
    if (type == "transient") type = "status";
    const auto scope = parse_pair_scope(type);
    if (!scope) return fail(Errc::kInvalid, fmt::format("Invalid value '{}' for -t/--type", type));
    task.query.scope = *scope;
    if (arguments.has("utilization")) {
        if (*scope != PairScope::kNodes) {
            return fail(Errc::kInvalid, "-z/--utilization requires a node and a lifetime of forever");
        }
        task.query.set_type = "utilization";
    }
    if (!task.pattern.empty() && !task.query.name.empty())
        return fail(Errc::kInvalid, "Error: --name and --pattern cannot be used at the same time");
    if (task.kind == AttributeTask::Kind::kDelete && task.query.name.empty() && task.pattern.empty() &&
        task.query.pair_id.empty()) {
        return fail(Errc::kInvalid, "Error: must specify attribute name or pattern to delete");
    }
    if (task.kind == AttributeTask::Kind::kUpdate && task.query.name.empty() && task.pattern.empty() &&
        task.query.pair_id.empty()) {
        return fail(Errc::kInvalid, "Error: must specify attribute name or pattern to update");
    }
    return task;
}

ExitCode run(const Arguments& arguments, Output& output) {
    if (const auto kind = arguments.value("list-options")) {
        if (*kind != "cluster") {
            output.fail(fmt::format("Invalid --list-options value '{}'. Allowed values: cluster", *kind));
            return ExitCode::kUsage;
        }
        show_option_list(output, *kind, arguments.has("all"));
        return ExitCode::kOk;
    }
    auto task = read_task(arguments);
    if (!task) {
        output.fail(task.error().what);
        return ExitCode::kUsage;
    }
    return run_attribute_task(output, std::move(*task));
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
