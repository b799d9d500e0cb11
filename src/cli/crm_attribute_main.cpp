// crm_attribute — cluster options, defaults and node attributes.
#include <regex.h>

#include <cstdlib>

#include <fmt/format.h>

#include "cib/rc.h"
#include "cli/cib_attributes.h"
#include "cli/command.h"

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
         {{'D', "delete", Value::kNone, "", "Delete the attribute/option"},
          {'G', "query", Value::kNone, "", "Query the current value of the attribute/option.\nSee also: -n, -P"},
          {'v', "update", Value::kRequired, "VALUE", "Update the value of the attribute/option"}}},
        {"additional",
         "Additional options:",
         "Show additional options",
         {{'d', "default", Value::kRequired, "VALUE",
           "(Advanced) Default value to display if none is found in configuration"},
          {'l', "lifetime", Value::kRequired, "LIFETIME",
           "Lifetime of the node attribute.\nValid values: reboot, forever"},
          {'N', "node", Value::kRequired, "NODE",
           "Set a node attribute for named node (instead of a cluster option).\nSee also: -l"},
          {'t', "type", Value::kRequired, "SECTION",
           "Which part of the configuration to update/delete/query the option in.\n"
           "Valid values: crm_config, rsc_defaults, op_defaults, tickets"},
          {'z', "utilization", Value::kNone, "", "Set an utilization attribute for the node."},
          {0, "score", Value::kNone, "",
           "Treat new attribute values as atomic score updates where possible\n(\"value++\", \"value+=2\")"}}}};
    s.options = {{'q', "quiet", Value::kNone, "", "Print only the value on stdout"},
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

struct Task {
    enum class Kind : std::uint8_t { kQuery, kUpdate, kDelete };
    Kind kind = Kind::kQuery;
    PairQuery query;
    std::string pattern, value, node;
    std::optional<std::string> fallback;
    bool quiet = false;
};

// "web:1" → "web": instances of anonymous clones share one promotion score.
std::string without_instance(std::string id) {
    const auto colon = id.rfind(':');
    if (colon != std::string::npos && id.find_first_not_of("0123456789", colon + 1) == std::string::npos)
        id.resize(colon);
    return id;
}

Result<Task> read_task(const Arguments& arguments) {
    const auto first = [&arguments](std::string_view a, std::string_view b) {
        const auto value = arguments.value(a);
        return (value ? value : arguments.value(b)).value_or("");
    };
    Task task;
    task.query.pair_id = first("id", "attr-id");
    task.query.name = first("name", "attr-name");
    task.query.set_id = arguments.value("set-name").value_or("");
    task.pattern = arguments.value("pattern").value_or("");
    task.node = arguments.value("node").value_or("");
    task.quiet = arguments.has("quiet");
    task.fallback = arguments.value("default");
    if (arguments.has("update") || arguments.has("attr-value")) {
        task.kind = Task::Kind::kUpdate;
        task.value = first("update", "attr-value");
    }
    if (arguments.has("delete") || arguments.has("delete-attr")) task.kind = Task::Kind::kDelete;
    if (arguments.has("query") || arguments.has("get-value")) task.kind = Task::Kind::kQuery;

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
    if (task.kind == Task::Kind::kDelete && task.query.name.empty() && task.pattern.empty() &&
        task.query.pair_id.empty()) {
        return fail(Errc::kInvalid, "Error: must specify attribute name or pattern to delete");
    }
    if (task.kind == Task::Kind::kUpdate && task.query.name.empty() && task.pattern.empty() &&
        task.query.pair_id.empty()) {
        return fail(Errc::kInvalid, "Error: must specify attribute name or pattern to update");
    }
    return task;
}

ExitCode failed(Output& output, int rc) {
    output.fail(fmt::format("Error performing operation: {}", describe_legacy(rc)));
    return exit_code_of_legacy(rc);
}

void show(Output& output, const Task& task, std::string_view name, std::string_view value) {
    if (task.quiet) {
        output.line(value);
    } else {
        output.line(fmt::format("scope={}  name={} value={}", name_of(task.query.scope), name, value));
    }
    output.add(xml::Builder("attribute").set("name", name).set("value", value).set("scope", name_of(task.query.scope)));
}

std::vector<FoundPair> matching(const xml::Node& cib, const Task& task) {
    std::vector<FoundPair> found = find_pairs(cib, task.query);
    if (task.pattern.empty()) return found;
    regex_t pattern{};
    if (regcomp(&pattern, task.pattern.c_str(), REG_EXTENDED | REG_NOSUB) != 0) return {};
    std::erase_if(found, [&pattern](const FoundPair& one) {
        return regexec(&pattern, std::string(one.pair->get("name")).c_str(), 0, nullptr, 0) != 0;
    });
    regfree(&pattern);
    return found;
}

// Several pairs of the name, and nothing that tells which one is meant.
ExitCode ambiguous(Output& output, const Task& task, const std::vector<FoundPair>& found) {
    output.fail("Please choose from one of the matches below and supply the 'id' with --attr-id");
    output.line(fmt::format("Multiple attributes match name={}", task.query.name));
    for (const FoundPair& one : found) {
        output.line(fmt::format("  Value: {} \t(id={})", one.pair->get("value"), one.pair->id()));
    }
    return ExitCode::kMultiple;
}

ExitCode query(Output& output, const Task& task, const xml::Node& cib) {
    const std::vector<FoundPair> found = matching(cib, task);
    if (found.empty()) {
        if (task.fallback) {
            show(output, task, task.query.name, *task.fallback);
            return ExitCode::kOk;
        }
        return failed(output, cib::rc::kNotFound);
    }
    for (const FoundPair& one : found) show(output, task, one.pair->get("name"), one.pair->get("value"));
    return ExitCode::kOk;
}

ExitCode update(Output& output, const Task& task, CibAccess& access, const xml::Node& cib) {
    // Values such as "value++" are calculated whether or not --score is given, as the reference still does.
    const std::uint32_t options = cib::option::kScoreUpdate;
    const std::vector<FoundPair> found = matching(cib, task);
    if (task.pattern.empty() && found.size() > 1) return ambiguous(output, task, found);
    std::vector<CibCall> calls;
    if (task.pattern.empty()) {
        calls.push_back(set_pair(cib, task.query, task.value, found.empty() ? nullptr : &found.front(), options));
    } else {
        for (const FoundPair& one : found) calls.push_back(set_pair(cib, task.query, task.value, &one, options));
        if (calls.empty()) return failed(output, cib::rc::kNotFound);
    }
    for (const CibCall& call : calls) {
        const auto reply = access.call(call);
        const int rc = reply ? reply->rc : legacy_code(reply.error());
        if (rc != 0) return failed(output, rc);
    }
    return ExitCode::kOk;
}

ExitCode remove(Output& output, const Task& task, CibAccess& access, const xml::Node& cib) {
    const std::vector<FoundPair> found = matching(cib, task);
    if (task.pattern.empty() && found.size() > 1) return ambiguous(output, task, found);
    for (const FoundPair& one : found) {
        const std::string id(one.pair->id());
        const std::string name(one.pair->get("name"));
        const auto reply = access.call(delete_pair(task.query, id));
        const int rc = reply ? reply->rc : legacy_code(reply.error());
        if (rc != 0) return failed(output, rc);
        const bool option = task.query.scope != PairScope::kNodes && task.query.scope != PairScope::kStatus;
        // An id that was given is not repeated, as in the reference.
        output.line(fmt::format("Deleted {} {}: id={} name={}", name_of(task.query.scope),
                                option ? "option" : "attribute",
                                task.query.pair_id.empty() ? id : std::string("(null)"), name));
    }
    return ExitCode::kOk;
}

ExitCode run(const Arguments& arguments, Output& output) {
    auto task = read_task(arguments);
    if (!task) {
        output.fail(task.error().what);
        return ExitCode::kUsage;
    }
    auto access = open_cib(cib_source(), log_to(output));
    auto cib = access ? (*access)->query() : Result<xml::NodePtr>(tl::unexpected(access.error()));
    if (!cib) {
        output.fail(fmt::format("Could not connect to the CIB: {}", cib.error().what));
        return exit_code_of_legacy(legacy_code(cib.error()));
    }
    if (task->query.scope == PairScope::kNodes || task->query.scope == PairScope::kStatus) {
        const auto node = find_node(**cib, task->node);
        if (!node) {
            output.fail(task->node.empty() ? "Error: must specify a node with -N/--node"
                                           : fmt::format("Could not map name={} to a UUID", task->node));
            return task->node.empty() ? ExitCode::kUsage : ExitCode::kNoSuchObject;
        }
        task->query.node_id = node->id;
        task->query.node_name = node->name;
        task->query.remote_node = node->remote;
    }
    switch (task->kind) {
        case Task::Kind::kQuery: return query(output, *task, **cib);
        case Task::Kind::kUpdate: return update(output, *task, **access, **cib);
        case Task::Kind::kDelete: return remove(output, *task, **access, **cib);
    }
    return ExitCode::kError;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
