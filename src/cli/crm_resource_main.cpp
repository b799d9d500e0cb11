// crm_resource — questions about resources, and changes to their configuration.
#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/cib_access.h"
#include "cli/command.h"
#include "cli/config_options.h"
#include "cli/local_agents.h"
#include "cli/local_time.h"
#include "cli/resource_constraints.h"
#include "cli/resource_live.h"
#include "cli/resource_moves.h"
#include "cli/resource_queries.h"
#include "cli/resource_settings.h"
#include "cli/resource_why.h"
#include "cli/status_source.h"
#include "cli/status_view.h"
#include "model/operations.h"
#include "model/read_cluster.h"
#include "wire/message.h"
#include "xml/write.h"

namespace systole::cli {
namespace {

using model::Cluster;
using model::Node;
using model::Resource;

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_resource";
    s.summary = "crm_resource - perform tasks related to Pacemaker cluster resources";
    s.formats = {"text", "xml", "json"};
    s.groups = {
        {"queries",
         "Queries:",
         "Show query help",
         {{'L', "list", Value::kNone, "", "List all cluster resources with status"},
          {'l', "list-raw", Value::kNone, "",
           "List IDs of all instantiated resources (individual members\nrather than groups etc.)"},
          {'O', "list-operations", Value::kNone, "",
           "List active resource operations, optionally filtered by\n--resource and/or --node"},
          {'o', "list-all-operations", Value::kNone, "",
           "List all resource operations, optionally filtered by\n--resource and/or --node"},
          {'q', "query-xml", Value::kNone, "", "Show XML configuration of resource (after any template expansion)"},
          {'w', "query-xml-raw", Value::kNone, "",
           "Show XML configuration of resource (before any template expansion)"},
          {'g', "get-parameter", Value::kRequired, "PARAM",
           "Display named parameter for resource (use instance attribute\nunless --element, --meta, or --utilization "
           "is specified)"},
          {0, "list-standards", Value::kNone, "", "List supported standards"},
          {0, "list-ocf-providers", Value::kNone, "", "List all available OCF providers"},
          {0, "list-agents", Value::kRequired, "STD:PROV",
           "List all agents available for the named standard and/or provider"},
          {0, "list-ocf-alternatives", Value::kRequired, "AGENT",
           "List all available providers for the named OCF agent"},
          {0, "show-metadata", Value::kRequired, "SPEC", "Show the metadata for the named class:provider:agent"},
          {0,
           "list-options",
           Value::kRequired,
           "TYPE",
           "List all available options of the given type.\nAllowed values: primitive, fencing",
           {"primitive", "fencing"}},
          {'Y', "why", Value::kNone, "",
           "Show why resources are not running, optionally filtered by\n--resource and/or --node"},
          {0, "digests", Value::kNone, "",
           "Show parameter hashes that Pacemaker uses to detect configuration\n"
           "changes. Required: --resource, --node. Optional: any NAME=VALUE\nparameters will override the "
           "configured values"},
          {'W', "locate", Value::kNone, "", "Show node(s) currently running resource"},
          {'a', "constraints", Value::kNone, "",
           "Display the location and colocation constraints that apply to a\n"
           "resource; with --recursive also to the resources involved in those\n"
           "colocations. For a member of a group, clone or bundle they are those\n"
           "of the whole, unless --force is given."},
          {'A', "stack", Value::kNone, "", "Equivalent to --constraints --recursive"}}},
        {"commands",
         "Commands:",
         "Show command help",
         {{0, "validate", Value::kNone, "",
           "Validate resource configuration by calling agent's validate-all\n"
           "action. The configuration may be specified either by giving an\n"
           "existing resource name with -r, or by specifying --class, --agent,\n"
           "and --provider arguments, along with any number of --option\narguments."},
          {'C', "cleanup", Value::kNone, "",
           "If resource has any past failures, clear its history and fail count.\n"
           "Optionally filtered by --resource, --node, --operation and --interval\n"
           "(otherwise all). --operation and --interval apply to fail counts,\n"
           "but entire history is always clear, to allow current state to be\n"
           "rechecked. If the named resource is part of a group, or one numbered\n"
           "instance of a clone or bundled resource, the clean-up applies to the\n"
           "whole collective resource unless --force is given."},
          {'R', "refresh", Value::kNone, "",
           "Delete resource's history (including failures) so its current state\n"
           "is rechecked. Optionally filtered by --resource and --node (otherwise\n"
           "all). If the named resource is part of a group, or one numbered\n"
           "instance of a clone or bundled resource, the refresh applies to the\n"
           "whole collective resource unless --force is given."},
          {'p', "set-parameter", Value::kRequired, "PARAM",
           "Set named parameter for resource (requires -v). Use instance\nattribute unless --element, --meta, or "
           "--utilization is specified."},
          {'d', "delete-parameter", Value::kRequired, "PARAM",
           "Delete named parameter for resource. Use instance attribute\nunless --element, --meta, or --utilization is "
           "specified."}}},
        {"locations",
         "Locations:",
         "Show location help",
         {{'M', "move", Value::kNone, "",
           "Create a constraint to move resource: to the node given by --node,\n"
           "else away from where it is now. Optional: --lifetime, --promoted,\n--force (ban the current node in any "
           "case)"},
          {'B', "ban", Value::kNone, "",
           "Create a constraint to keep resource off a node (--node, else the\none that it is active on). Optional: "
           "--lifetime, --promoted"},
          {'U', "clear", Value::kNone, "",
           "Remove constraints created by --ban and --move. Optional: --resource,\n--node, --promoted, --expired"},
          {'e', "expired", Value::kNone, "", "With --clear: only constraints with expired lifetimes"},
          {'u', "lifetime", Value::kRequired, "TIMESPEC", "Lifespan (as ISO 8601 duration) of created constraints"},
          {0, "promoted", Value::kNone, "", "Limit scope of command to promoted role"},
          {0, "master", Value::kNone, "", ""}}},
        {"advanced",
         "Advanced:",
         "Show advanced option help",
         {{'D', "delete", Value::kNone, "", "(Advanced) Delete a resource from the CIB. Required: -t"},
          {'F', "fail", Value::kNone, "", "(Advanced) Tell the cluster this resource has failed. Required: -r, -N"},
          {0, "restart", Value::kNone, "",
           "(Advanced) Tell the cluster to restart this resource and anything\nthat depends on it. This temporarily "
           "modifies the CIB, and other CIB\nmodifications should be avoided while this is in progress. Optional:\n"
           "--node (of a clone only the instance there), --timeout"},
          {0, "wait", Value::kNone, "",
           "(Advanced) Wait until the cluster settles into a stable state.\nOptional: --timeout"},
          {0, "force-demote", Value::kNone, "",
           "(Advanced) Bypass the cluster and demote a resource on the local\nnode. Unless --force is specified, this "
           "will refuse to do so if the\ncluster believes the resource is a clone instance already running on\nthe "
           "local node."},
          {0, "force-stop", Value::kNone, "", "(Advanced) Bypass the cluster and stop a resource on the local node"},
          {0, "force-start", Value::kNone, "",
           "(Advanced) Bypass the cluster and start a resource on the local\nnode. As for --force-demote, --force may "
           "be needed for clones."},
          {0, "force-promote", Value::kNone, "",
           "(Advanced) Bypass the cluster and promote a resource on the local\nnode. As for --force-demote, --force "
           "may "
           "be needed for clones."},
          {0, "force-check", Value::kNone, "",
           "(Advanced) Bypass the cluster and check the state of a resource on\nthe local node"}}},
        {"additional",
         "Additional Options:",
         "Show additional options",
         {{'N', "node", Value::kRequired, "NAME", "Node name"},
          {0, "recursive", Value::kNone, "", "Follow colocation chains when using --set-parameter or --constraints"},
          {'t', "resource-type", Value::kRequired, "ELEMENT",
           "Resource XML element (primitive, group, etc.) (with -D)"},
          {'v', "parameter-value", Value::kRequired, "PARAM", "Value to use with -p"},
          {'m', "meta", Value::kNone, "",
           "Use resource meta-attribute instead of instance attribute\n(with -p, -g, -d)"},
          {'z', "utilization", Value::kNone, "",
           "Use resource utilization attribute instead of instance attribute\n(with -p, -g, -d)"},
          {0, "element", Value::kNone, "",
           "Use resource element attribute instead of instance attribute\n(with -p, -g, -d)"},
          {'s', "set-name", Value::kRequired, "ID", "(Advanced) XML ID of attributes element to use (with -p, -d)"},
          {'i', "nvpair", Value::kRequired, "ID", "(Advanced) XML ID of nvpair element to use (with -p, -d)"},
          {'n', "operation", Value::kRequired, "OPERATION", "Operation to clear instead of all (with -C -r)"},
          {'I', "interval", Value::kRequired, "INTERVAL",
           "Interval of operation to clear (default 0s) (with -C -r -n)"},
          {0, "class", Value::kRequired, "CLASS",
           "The standard the resource agent conforms to (with --validate, --force-*)"},
          {0, "agent", Value::kRequired, "AGENT", "The agent to use (with --validate, --force-*)"},
          {0, "provider", Value::kRequired, "PROVIDER",
           "The vendor that supplies the agent (with --validate, --force-*)"},
          {'o', "option", Value::kRequired, "NAME=VALUE",
           "Specify a device configuration parameter as NAME=VALUE (may be\nspecified multiple times) (with "
           "--validate, --force-*)"},
          {'T', "timeout", Value::kRequired, "TIMEOUT",
           "(Advanced) How long to wait (with --restart, --wait, --force-*)"},
          {0, "all", Value::kNone, "", "With --list-options, also list advanced and deprecated options"},
          {'f', "force", Value::kNone, "", "See help for individual commands"}}}};
    s.options = {{'Q', "quiet", Value::kNone, "", "Be less descriptive in output."},
                 {'r', "resource", Value::kRequired, "ID", "Resource ID"}};
    return s;
}

ExitCode not_found(Output& output, const std::string& id) {
    output.fail(fmt::format("Resource '{}' not found\nError performing operation: No such object", id));
    return ExitCode::kNoSuchObject;
}

ExitCode remove(Output& output, CibAccess& access, const std::string& type, const std::string& id) {
    if (type.empty()) {
        output.fail("You need to specify a resource type with -t");
        return ExitCode::kUsage;
    }
    const auto reply = access.call({.op = cib::Op::kDelete,
                                    .section = "resources",
                                    .input = xml::Builder(type).set("id", id).build(),
                                    .options = cib::option::kSyncCall});
    const int rc = reply ? reply->rc : legacy_code(reply.error());
    if (rc == 0) return ExitCode::kOk;
    output.fail(fmt::format("Error performing operation: {}", describe_legacy(rc)));
    return exit_code_of_legacy(rc);
}

std::optional<SettingRequest> setting(const Arguments& arguments, const char* option) {
    const auto name = arguments.value(option);
    if (!name) return std::nullopt;
    SettingRequest request;
    request.name = *name;
    request.value = arguments.value("parameter-value").value_or("");
    request.set_id = arguments.value("set-name").value_or("");
    request.pair_id = arguments.value("nvpair").value_or("");
    request.force = arguments.has("force");
    request.recursive = arguments.has("recursive");
    if (arguments.has("meta")) request.kind = SettingRequest::Kind::kMeta;
    if (arguments.has("utilization")) request.kind = SettingRequest::Kind::kUtilization;
    if (arguments.has("element")) request.kind = SettingRequest::Kind::kElement;
    return request;
}

constexpr const char* kForced[]{"validate",   "force-check",   "force-start",
                                "force-stop", "force-promote", "force-demote"};

// Which agent action an option asks for; empty if none.
std::string forced_action(const Arguments& arguments) {
    for (const char* one : kForced)
        if (arguments.has(one)) return one;
    return {};
}

AgentParameters given_options(const Arguments& arguments) {
    AgentParameters parameters;
    for (const std::string& text : arguments.values("option")) {
        const auto equals = text.find('=');
        if (equals != std::string::npos) parameters[text.substr(0, equals)] = text.substr(equals + 1);
    }
    for (const std::string& text : arguments.positional) {
        const auto equals = text.find('=');
        if (equals != std::string::npos) parameters[text.substr(0, equals)] = text.substr(equals + 1);
    }
    return parameters;
}

Duration given_timeout(const Arguments& arguments) {
    return parse_interval(arguments.value("timeout").value_or("0")).value_or(Duration{0});
}

ExitCode operation_failed(Output& output, ExitCode code) {
    output.fail(fmt::format("Error performing operation: {}", describe(code)));
    return code;
}

constexpr Duration kActionTimeout{20'000};  ///< the cluster's default

ExitCode force(Output& output, const AgentSpec& agent, const std::string& resource, const std::string& option,
               AgentParameters parameters, const AgentParameters& overrides, Duration timeout) {
    if (agent.standard == "stonith" && option != "validate") {
        output.error(fmt::format("Manual execution of the {} standard is unsupported", agent.standard));
        return operation_failed(output, ExitCode::kUnimplemented);
    }
    const std::string action = option == "validate"      ? "validate-all"
                               : option == "force-check" ? "monitor"
                                                         : option.substr(6);
    for (const auto& [name, value] : overrides) parameters[name] = value;
    parameters["CRM_meta_timeout"] = fmt::format("{}", timeout.count());
    parameters["crm_feature_set"] = wire::kFeatureSet;
    AgentParameters environment{{"HA_debug", output.config().verbosity > 0 ? "1" : "0"}};
    if (output.config().verbosity > 1) environment["OCF_TRACE_RA"] = "1";
    // Agents say what they have to say to whoever runs them.
    if (std::getenv("OCF_TRACE_FILE") == nullptr) environment["OCF_TRACE_FILE"] = "/dev/stderr";
    const AgentResult result =
        run_agent(agent, resource.empty() ? "test" : resource, action, parameters, timeout, environment);
    show_agent_action(output, agent, resource, option, overrides, result);
    const auto code = static_cast<ExitCode>(result.rc);
    return code == ExitCode::kOk ? code : operation_failed(output, code);
}

// --validate and --force-* with a configuration given on the command line.
ExitCode force_given(const Arguments& arguments, Output& output, const std::string& option) {
    const AgentSpec agent{arguments.value("class").value_or(""), arguments.value("provider").value_or(""),
                          arguments.value("agent").value_or("")};
    const bool is_ocf = agent.standard == "ocf";
    const char* problem = nullptr;
    if (agent.standard.empty())
        problem = "--class is required with --agent";
    else if (is_ocf && (agent.provider.empty() || agent.type.empty()))
        problem = "--provider and --agent are required with --class=ocf";
    else if (!is_ocf && !agent.provider.empty())
        problem = "--provider is supported only with --class=ocf";
    else if (agent.type.empty())
        problem = "--agent is required with --class";
    if (problem != nullptr) {
        output.fail(problem);
        return ExitCode::kUsage;
    }
    const std::vector<std::string> known = installed_agents(agent.standard, agent.provider);
    if (std::ranges::find(known, agent.type) == known.end()) {
        output.fail(fmt::format("{}{}{}:{} is not a known resource agent", agent.standard, is_ocf ? ":" : "",
                                agent.provider, agent.type));
        return ExitCode::kUsage;
    }
    const auto timeout = given_timeout(arguments);
    return force(output, agent, "", option, {}, given_options(arguments),
                 timeout.count() > 0 ? timeout : kActionTimeout);
}

ExitCode force_configured(const Arguments& arguments, Output& output, Cluster& cluster, Resource& named,
                          const std::string& asked, const std::string& option) {
    Resource* resource = &named;
    if (resource->is_clone()) {
        const bool claims = option == "force-start" || option == "force-demote" || option == "force-promote";
        if (claims && resource->is_active(false) && !arguments.has("force")) {
            output.error(fmt::format("It is not safe to {} {} here: the cluster claims it is already active", option,
                                     resource->id));
            output.error("Try setting target-role=Stopped first or specifying the force option");
            return ExitCode::kUnsafe;
        }
        if (!resource->children.empty()) resource = resource->children.front();
    }
    if (!resource->is_primitive() || resource->is_bundled()) {
        output.error(fmt::format("Sorry, the {} option doesn't support {} resources", option,
                                 resource->is_group() ? "group" : "bundled"));
        return operation_failed(output, ExitCode::kUnimplemented);
    }
    const AgentSpec agent{std::string(resource->standard()), std::string(resource->provider()),
                          std::string(resource->agent_type())};
    const std::string action = option == "validate"      ? "validate-all"
                               : option == "force-check" ? "monitor"
                                                         : option.substr(6);
    Duration timeout = given_timeout(arguments);
    if (timeout.count() <= 0) {
        const model::OperationConfig* config = model::find_operation(*resource, action, Duration{0});
        const auto meta = model::operation_meta(cluster, *resource, nullptr, action, Duration{0},
                                                config == nullptr ? nullptr : config->xml);
        const auto it = meta->find("timeout");
        timeout = Duration{it == meta->end() ? 0 : parse_integer(it->second).value_or(0)};
        if (timeout.count() <= 0) timeout = kActionTimeout;
    }
    AgentParameters parameters;
    for (const auto& [name, value] : model::resource_parameters(cluster, *resource, nullptr)) parameters[name] = value;
    for (const auto& [name, value] : resource->meta) parameters["CRM_meta_" + xml_id(name)] = value;
    const bool numbered = resource->parent == nullptr || !resource->parent->is_anonymous_clone();
    return force(output, agent, numbered ? resource->id : asked, option, std::move(parameters),
                 given_options(arguments), timeout);
}

// --- questions that no cluster is needed for ---

ExitCode show_list(Output& output, const std::vector<std::string>& names, xml::Builder element, const char* item) {
    for (const std::string& name : names) {
        output.line(name);
        element.add(xml::Builder(item).add(xml::Builder::text(name)).build());
    }
    output.add(std::move(element));
    return ExitCode::kOk;
}

std::optional<ExitCode> answer_without_cluster(const Arguments& arguments, Output& output) {
    if (const auto kind = arguments.value("list-options")) {
        show_option_list(output, *kind, arguments.has("all"));
        return ExitCode::kOk;
    }
    if (arguments.has("list-standards")) {
        const auto names = installed_standards();
        xml::Builder element("list");
        element.set("name", "standards").set("count", static_cast<int>(names.size()));
        return show_list(output, names, std::move(element), "item");
    }
    if (arguments.has("list-ocf-providers")) {
        xml::Builder element("providers");
        element.set("standard", "ocf");
        return show_list(output, installed_providers(), std::move(element), "provider");
    }
    if (const auto type = arguments.value("list-ocf-alternatives")) {
        const auto names = installed_providers(*type);
        if (names.empty()) {
            output.error(fmt::format("No OCF providers found for {}", *type));
            return operation_failed(output, ExitCode::kNoSuchObject);
        }
        xml::Builder element("providers");
        element.set("for", *type);
        return show_list(output, names, std::move(element), "provider");
    }
    if (const auto spec = arguments.value("list-agents")) {
        const auto colon = spec->find(':');
        const std::string standard = spec->substr(0, colon);
        const std::string provider = colon == std::string::npos ? "" : spec->substr(colon + 1);
        const auto names = installed_agents(standard, provider);
        if (names.empty()) {
            output.error(provider.empty()
                             ? fmt::format("No agents found for standard '{}'", standard)
                             : fmt::format("No agents found for standard '{}' and provider '{}'", standard, provider));
            return operation_failed(output, ExitCode::kError);
        }
        xml::Builder element("agents");
        element.set("standard", standard).set_unless_empty("provider", provider);
        return show_list(output, names, std::move(element), "agent");
    }
    if (const auto spec = arguments.value("show-metadata")) {
        const auto agent = parse_agent_spec(*spec);
        if (!agent) {
            output.fail(fmt::format("'{}' is not a valid agent specification", *spec));
            return ExitCode::kNoSuchObject;
        }
        const auto metadata = agent_metadata(*agent);
        if (!metadata) {
            const bool absent = metadata.error().code == Errc::kNotFound;
            const ExitCode code = absent ? ExitCode::kNoSuchObject : ExitCode::kError;
            output.fail(fmt::format("Metadata query for {} failed: {}\nError performing operation: {}", *spec,
                                    metadata.error().what, describe(code)));
            return code;
        }
        output.text(metadata->ends_with('\n') ? *metadata : *metadata + "\n");
        output.add(xml::Builder("metadata").add(xml::Builder::cdata(*metadata)));
        return ExitCode::kOk;
    }
    if (arguments.has("wait")) return wait_until_settled(output, given_timeout(arguments));
    const std::string forced = forced_action(arguments);
    if (!forced.empty() && arguments.has("class")) return force_given(arguments, output, forced);
    return std::nullopt;
}

std::optional<ExitCode> usage_problem(const Arguments& arguments, Output& output) {
    const std::string forced = forced_action(arguments);
    // Names with values stand in for parameters where those matter.
    const bool overrides = (arguments.has("digests") || !forced.empty()) &&
                           std::ranges::all_of(arguments.positional, [](const std::string& text) {
                               return text.find('=') != std::string::npos;
                           });
    if (!arguments.positional.empty() && !overrides) {
        std::string text = "non-option ARGV-elements:";
        for (std::size_t i = 0; i < arguments.positional.size(); ++i) {
            text += fmt::format("\n[{} of {}] {}", i + 1, arguments.positional.size(), arguments.positional[i]);
        }
        output.fail(text);
        return ExitCode::kUsage;
    }
    const bool given_agent = arguments.has("class") || arguments.has("agent") || arguments.has("provider");
    if (given_agent && (arguments.has("resource") || forced.empty())) {
        output.fail(arguments.has("resource")
                        ? "--class, --agent, and --provider cannot be used with -r/--resource"
                        : "--class, --agent, and --provider can only be used with --validate and --force-*");
        return ExitCode::kUsage;
    }
    if (arguments.has("set-parameter") && !arguments.has("parameter-value")) {
        output.fail("You need to supply a value with the -v option");
        return ExitCode::kUsage;
    }
    return std::nullopt;
}

ExitCode run(const Arguments& arguments, Output& output) {
    if (const auto problem = usage_problem(arguments, output)) return *problem;
    if (const auto answer = answer_without_cluster(arguments, output)) return *answer;
    auto access = open_cib(cib_source(), log_to(output));
    if (!access) {
        output.fail(fmt::format("Could not connect to the CIB: {}", access.error().what));
        return exit_code_of_legacy(legacy_code(access.error()));
    }
    const auto cib = (*access)->query();
    if (!cib) {
        output.error(fmt::format("Could not obtain the current CIB: {}", cib.error().what));
        return operation_failed(output, exit_code_of_legacy(legacy_code(cib.error())));
    }
    auto newest = upgraded(*cib);
    auto read = model::read_cluster(newest ? *newest : *cib, now());
    if (!read) {
        output.fail(read.error().what);
        return ExitCode::kConfig;
    }
    Cluster& cluster = **read;
    log_problems(output, cluster);

    const std::string id = arguments.value("resource").value_or("");
    Resource* resource = id.empty() ? nullptr : const_cast<Resource*>(find_any(cluster, id));
    const std::string node = arguments.value("node").value_or("");
    if (arguments.has("list-raw")) return list_raw(output, cluster);
    if (arguments.has("list-operations") || arguments.has("list-all-operations")) {
        if (!id.empty() && resource == nullptr) return not_found(output, id);
        return list_operations(output, cluster, id, node, arguments.has("list-operations"));
    }
    if (arguments.has("clear") || arguments.has("move") || arguments.has("ban")) {
        if ((!id.empty() || !arguments.has("clear")) && resource == nullptr) return not_found(output, id);
        if (resource != nullptr && id.find(':') != std::string::npos && resource->is_replica_of_clone()) {
            output.fail(
                fmt::format("Cannot operate on clone resource instance '{}'\n"
                            "Error performing operation: Invalid parameter",
                            id));
            return ExitCode::kInvalidParameter;
        }
        const MoveRequest request{.resource = resource,
                                  .node = node,
                                  .promoted = arguments.has("promoted") || arguments.has("master"),
                                  .force = arguments.has("force"),
                                  .expired = arguments.has("expired"),
                                  .lifetime = arguments.value("lifetime").value_or("")};
        if (arguments.has("clear")) return clear_moves(output, **access, cluster, request);
        return arguments.has("move") ? move_resource(output, **access, cluster, request)
                                     : ban_resource(output, **access, cluster, request);
    }
    const Node* on_node = node.empty() ? nullptr : cluster.find_node(node);
    const auto with_node = [&](auto&& act) -> ExitCode {
        if (!id.empty() && resource == nullptr) return not_found(output, id);
        if (!node.empty() && on_node == nullptr) {
            output.fail(fmt::format("Node '{}' not found\nError performing operation: No such object", node));
            return ExitCode::kNoSuchObject;
        }
        return act();
    };
    if (arguments.has("cleanup") || arguments.has("refresh")) {
        const auto interval = parse_interval(arguments.value("interval").value_or("0"));
        if (!interval) {
            output.fail(fmt::format("'{}' is not an interval", *arguments.value("interval")));
            return ExitCode::kInvalidParameter;
        }
        if (arguments.has("interval") && !arguments.has("operation")) {
            output.fail("--interval needs --operation");
            return ExitCode::kUsage;
        }
        return with_node([&] {
            return clean_up(output, cluster,
                            {.resource = resource,
                             .node = on_node,
                             .operation = arguments.value("operation").value_or(""),
                             .interval = *interval,
                             .only_failures = arguments.has("cleanup"),
                             .force = arguments.has("force")});
        });
    }
    if (arguments.has("why")) {
        return with_node([&] {
            show_reasons(output, cluster, resource, on_node);
            return ExitCode::kOk;
        });
    }
    const bool of_one = arguments.has("fail") || arguments.has("restart") || arguments.has("digests") ||
                        !forced_action(arguments).empty();
    if (of_one && id.empty()) {
        output.fail("Must supply a resource ID with -r/--resource");
        return ExitCode::kUsage;
    }
    if (of_one && node.empty() && (arguments.has("fail") || arguments.has("digests"))) {
        output.fail("Must supply a node name with -N/--node");
        return ExitCode::kUsage;
    }
    if (arguments.has("fail")) return with_node([&] { return fail_resource(output, cluster, *resource, node); });
    if (arguments.has("digests")) {
        const AgentParameters given = given_options(arguments);
        const model::NameValues overrides(given.begin(), given.end());
        return with_node([&] { return show_digests(output, cluster, *resource, *cluster.find_node(node), overrides); });
    }
    if (arguments.has("restart")) {
        return with_node([&] {
            return restart_resource(output, **access, cluster,
                                    {.resource = resource,
                                     .node = on_node,
                                     .promoted = arguments.has("promoted") || arguments.has("master"),
                                     .lifetime = arguments.value("lifetime").value_or(""),
                                     .timeout = given_timeout(arguments)});
        });
    }
    if (const std::string forced = forced_action(arguments); !forced.empty()) {
        return with_node([&] { return force_configured(arguments, output, cluster, *resource, id, forced); });
    }
    if (arguments.has("delete")) return remove(output, **access, arguments.value("resource-type").value_or(""), id);
    if (id.empty() || arguments.has("list")) return list_resources(output, cluster);
    if (resource == nullptr) return not_found(output, id);
    if (arguments.has("query-xml")) return query_xml(output, cluster, *resource, false);
    if (arguments.has("query-xml-raw")) return query_xml(output, cluster, *resource, true);
    if (arguments.has("locate")) return locate(output, *resource, id);
    if (arguments.has("constraints") || arguments.has("stack")) {
        const Resource& whole = arguments.has("force") ? *resource : resource->top(false);
        show_constraints(output, cluster, whole, arguments.has("stack") || arguments.has("recursive"));
        return ExitCode::kOk;
    }
    if (const auto request = setting(arguments, "get-parameter"))
        return get_setting(output, cluster, *resource, *request);
    if (const auto request = setting(arguments, "set-parameter")) {
        return set_setting(output, **access, cluster, *resource, *request);
    }
    if (const auto request = setting(arguments, "delete-parameter")) {
        return delete_setting(output, **access, cluster, *resource, *request);
    }
    return list_resources(output, cluster);
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
