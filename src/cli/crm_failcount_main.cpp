// crm_failcount — how often a resource failed on a node, and forgetting that it did.
#include <fmt/format.h>

#include "base/score.h"
#include "base/text.h"
#include "cli/attribute_client.h"
#include "cli/cib_access.h"
#include "cli/cib_attributes.h"
#include "cli/command.h"
#include "cli/daemon_client.h"
#include "cli/local_time.h"
#include "cli/resource_live.h"
#include "cli/status_source.h"
#include "cli/status_view.h"
#include "model/read_cluster.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_failcount";
    s.usage = "<command> -r RESOURCE [options]";
    s.summary = "query or delete resource fail counts";
    s.formats = {"text", "xml", "json"};
    s.groups = {{"command",
                 "Commands:",
                 "Show command options",
                 {{'G', "query", Value::kNone, "", "Show how often the resource failed on the node"},
                  {'D', "delete", Value::kNone, "", "Forget the failures (as crm_resource --cleanup does)"}}},
                {"additional",
                 "Additional options:",
                 "Show additional options",
                 {{'r', "resource", Value::kRequired, "ID", "Name of the resource to operate on (required)"},
                  {'n', "operation", Value::kRequired, "NAME", "Only failures of this operation"},
                  {'I', "interval", Value::kRequired, "INTERVAL", "Only with this interval (with -n; default 0)"},
                  {'N', "node", Value::kRequired, "NODE", "The node, instead of the local one"},
                  {'U', "uname", Value::kRequired, "", ""},
                  {'v', "attr-value", Value::kRequired, "", ""},
                  {'i', "attr-id", Value::kRequired, "", ""},
                  {'l', "lifetime", Value::kRequired, "", ""},
                  {0, "resource-id", Value::kRequired, "", ""},
                  {0, "get-value", Value::kNone, "", ""},
                  {0, "delete-attr", Value::kNone, "", ""}}}};
    s.options = {{'q', "quiet", Value::kNone, "", "Print only the value"}, {'Q', "quiet", Value::kNone, "", ""}};
    return s;
}

struct Request {
    std::string resource, node, operation;
    Duration interval{0};
    bool quiet = false;
};

// Sum of all counts whose names begin so; infinity stays infinity.
Score sum_of(const std::vector<FoundPair>& pairs, std::string_view prefix, bool whole) {
    Score sum;
    for (const FoundPair& one : pairs) {
        const std::string_view name = one.pair->get("name");
        if (whole ? name != prefix : !name.starts_with(prefix)) continue;
        const std::string_view value = one.pair->get("value");
        sum = sum + (value == "INFINITY" ? Score{Score::kInfinity}
                                         : Score{static_cast<int>(std::clamp(parse_integer(value).value_or(0), 0LL,
                                                                             1LL * Score::kInfinity))});
    }
    return sum;
}

ExitCode query(Output& output, const Request& request, const xml::Node& cib) {
    const auto node = find_node(cib, request.node);
    if (!node) {
        output.fail(fmt::format("Could not map name={} to a UUID", request.node));
        return ExitCode::kNoSuchObject;
    }
    const auto pairs = find_pairs(cib, {.scope = PairScope::kStatus, .node_id = node->id});
    const std::string of_resource = "fail-count-" + request.resource;
    std::string name = of_resource;
    Score count;
    if (!request.operation.empty()) {
        name += fmt::format("#{}_{}", request.operation, request.interval.count());
        count = sum_of(pairs, name, true);
    } else {
        count = sum_of(pairs, of_resource + "#", false);
    }
    // Long ago there was one count a resource.
    if (count == Score{}) {
        count = sum_of(pairs, of_resource, true);
        if (count != Score{}) name = of_resource;
    }
    const std::string value = to_string(count);
    output.line(request.quiet ? value : fmt::format("scope=status  name={} value={}", name, value));
    output.add(xml::Builder("attribute").set("name", name).set("value", value).set("scope", "status"));
    return ExitCode::kOk;
}

ExitCode forget(Output& output, const Request& request, const xml::NodePtr& cib) {
    const auto newest = upgraded(cib);
    auto cluster = model::read_cluster(newest ? *newest : cib, now());
    if (!cluster) {
        output.fail(cluster.error().what);
        return ExitCode::kConfig;
    }
    auto* resource = const_cast<model::Resource*>(find_any(**cluster, request.resource));
    const model::Node* node = (*cluster)->find_node(request.node);
    if (resource == nullptr || node == nullptr) {
        output.fail(resource == nullptr ? fmt::format("Resource '{}' not found", request.resource)
                                        : fmt::format("Node '{}' not found", request.node));
        return ExitCode::kNoSuchObject;
    }
    return clean_up(output, **cluster,
                    {.resource = resource, .node = node, .operation = request.operation, .interval = request.interval});
}

ExitCode run(const Arguments& arguments, Output& output) {
    const auto first = [&arguments](std::string_view a, std::string_view b) {
        return arguments.value(a).value_or(arguments.value(b).value_or(""));
    };
    Request request;
    request.resource = first("resource", "resource-id");
    request.operation = arguments.value("operation").value_or("");
    request.quiet = arguments.has("quiet");
    // To set the count to 0 is the old way to delete it.
    const bool deletes =
        arguments.has("delete") || arguments.has("delete-attr") || arguments.value("attr-value") == "0";
    if (!deletes && !arguments.has("query") && !arguments.has("get-value")) {
        output.fail("must specify a command");
        return ExitCode::kUsage;
    }
    if (request.resource.empty()) {
        output.fail("resource name required");
        return ExitCode::kUsage;
    }
    const auto interval = parse_interval(arguments.value("interval").value_or("0"));
    if (!interval) {
        output.fail(fmt::format("'{}' is not an interval", *arguments.value("interval")));
        return ExitCode::kUsage;
    }
    request.interval = *interval;
    auto target = attribute_target(first("node", "uname"));
    if (!target) {
        auto local = local_node_name("crm_failcount");
        if (local) target = *local;
    }
    if (!target) {
        output.fail("node name required");
        return ExitCode::kUsage;
    }
    request.node = *target;
    auto access = open_cib(cib_source(), log_to(output));
    const auto cib = access ? (*access)->query() : Result<xml::NodePtr>(tl::unexpected(access.error()));
    if (!cib) {
        output.fail(fmt::format("could not query CIB for fail counts: {}", cib.error().what));
        return exit_code_of_legacy(legacy_code(cib.error()));
    }
    return deletes ? forget(output, request, *cib) : query(output, request, **cib);
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
