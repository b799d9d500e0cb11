// crmadmin — asks the controllers of the cluster how they are, and who coordinates it.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "cli/command.h"
#include "cli/daemon_client.h"
#include "cli/local_time.h"
#include "cli/status_source.h"
#include "wire/message.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "crmadmin";
    s.summary = "query and manage the Pacemaker controller";
    s.formats = {"text", "xml", "json"};
    s.groups = {
        {"command",
         "Commands:",
         "Show command options",
         {{'S', "status", Value::kRequired, "NODE",
           "Display the status of the specified node.\nResult is state of node's internal finite state\n"
           "machine, which can be useful for debugging"},
          {'P', "pacemakerd", Value::kNone, "",
           "Display the status of local pacemakerd.\nResult is the state of the sub-daemons watched\nby pacemakerd."},
          {'D', "dc_lookup", Value::kNone, "",
           "Display the uname of the node co-ordinating the cluster.\nThis is an internal detail rarely useful to\n"
           "administrators except when deciding on which\nnode to examine the logs."},
          {'N', "nodes", Value::kOptional, "TYPE",
           "Display the uname of all member nodes [optionally filtered by type (comma-separated)]\n"
           "Types: all (default), cluster, guest, remote"}}},
        {"additional",
         "Additional Options:",
         "Show additional options",
         {{'t', "timeout", Value::kRequired, "TIMESPEC", "Time to wait before declaring the operation\nfailed"},
          {'B', "bash-export", Value::kNone, "",
           "Display nodes as shell commands of the form 'export uname=uuid'\n(valid with -N/--nodes)"},
          {'i', "ipc-name", Value::kRequired, "NAME",
           "Name to use for ipc instead of 'crmadmin' (with -P/--pacemakerd)."}}}};
    s.options = {{'q', "quiet", Value::kNone, "", "Display only the essential query information"}};
    s.notes =
        "Time Specification:\n\n"
        "The TIMESPEC in any command line option can be specified in many different\n"
        "formats. It can be an integer number of seconds, a number plus units\n"
        "(us/usec/ms/msec/s/sec/m/min/h/hr), or an ISO 8601 duration.";
    return s;
}

ExitCode fail_with(Output& output, const Error& error) {
    output.fail(error.what);
    return exit_code_of(error);
}

ExitCode show_status(const Arguments& arguments, Output& output, Duration timeout) {
    const std::string node = *arguments.value("status");
    auto client = DaemonClient::connect(wire::Service::kController, "crmadmin");
    if (!client) return fail_with(output, client.error());
    const auto reply = client->ask({.task = "ping", .to_host = node, .timeout = timeout});
    if (!reply) return fail_with(output, reply.error());
    const xml::Node* ping = reply->get();
    const std::string state(ping == nullptr ? "" : ping->get("crmd_state"));
    const std::string subsystem(ping == nullptr ? "" : ping->get("crm_subsystem"));
    const std::string result(ping == nullptr ? "" : ping->get("result"));
    if (arguments.has("quiet"))
        output.line(state);
    else
        output.line(fmt::format("Controller on {} in state {}: {}", node, state, result));
    xml::Builder element(subsystem.empty() ? "crmd" : subsystem.c_str());
    output.add(element.set("node_name", node).set("state", state).set("result", result));
    return ExitCode::kOk;
}

ExitCode show_dc(const Arguments& arguments, Output& output, Duration timeout) {
    auto client = DaemonClient::connect(wire::Service::kController, "crmadmin");
    if (!client) return fail_with(output, client.error());
    const auto reply = client->ask_message({.task = "ping", .to_system = "dc", .timeout = timeout});
    if (!reply) return fail_with(output, reply.error());
    // Whoever is DC answers itself. Without one, the local controller answers for want of a better.
    const xml::NodePtr ping = wire::data_of(**reply);
    constexpr std::array<std::string_view, 5> kOfDc{"S_IDLE", "S_POLICY_ENGINE", "S_TRANSITION_ENGINE", "S_INTEGRATION",
                                                    "S_FINALIZE_JOIN"};
    const bool from_dc = ping && std::ranges::find(kOfDc, ping->get("crmd_state")) != kOfDc.end();
    const std::string dc(from_dc ? (*reply)->get("src") : "");
    if (dc.empty()) {
        output.fail("Error occurred: no DC is elected");
        return ExitCode::kNoDc;
    }
    output.line(arguments.has("quiet") ? dc : fmt::format("Designated Controller is: {}", dc));
    output.add(xml::Builder("dc").set("node_name", dc));
    return ExitCode::kOk;
}

ExitCode show_pacemakerd(const Arguments& arguments, Output& output, Duration timeout) {
    auto client = DaemonClient::connect(wire::Service::kPacemakerd, arguments.value("ipc-name").value_or("crmadmin"));
    if (!client) return fail_with(output, client.error());
    const auto reply = client->ask({.task = "ping", .to_system = "pacemakerd", .timeout = timeout});
    if (!reply) return fail_with(output, reply.error());
    const std::string state(*reply ? (*reply)->get("pacemakerd_state") : "");
    const std::string stamp(*reply ? (*reply)->get("crm-timestamp") : "");
    std::string when;
    if (const auto at = parse_integer(stamp))
        when = to_string(rules::DateTime(WallTime{*at}, 0), {.with_offset = true});
    output.line(arguments.has("quiet") ? state
                                       : fmt::format("Status of pacemakerd: '{}' (last updated {})",
                                                     state == "running" ? "Pacemaker is running" : state, when));
    output.add(xml::Builder("pacemakerd").set("sys_from", "pacemakerd").set("state", state).set("last_updated", when));
    return ExitCode::kOk;
}

/// Kinds of nodes as -N names them.
struct Wanted {
    bool cluster = false, guest = false, remote = false;
};

std::optional<Wanted> wanted_of(std::string_view types) {
    Wanted wanted;
    if (types.empty()) return Wanted{true, true, true};
    for (const std::string_view type : split(types, ",")) {
        if (type == "all")
            wanted = {true, true, true};
        else if (type == "cluster")
            wanted.cluster = true;
        else if (type == "guest")
            wanted.guest = true;
        else if (type == "remote")
            wanted.remote = true;
        else
            return std::nullopt;
    }
    return wanted;
}

ExitCode show_nodes(const Arguments& arguments, Output& output) {
    const auto wanted = wanted_of(arguments.value("nodes").value_or(""));
    if (!wanted) {
        output.fail(
            fmt::format("Option -N/--nodes: '{}' is none of all, cluster, guest, remote", *arguments.value("nodes")));
        return ExitCode::kUsage;
    }
    auto source = open_source();
    if (!source) {
        output.fail(source.error().what);
        return source.error().code;
    }
    const auto cib = (*source)->query();
    if (!cib) {
        output.fail(cib.error().what);
        return cib.error().code;
    }
    const bool quiet = arguments.has("quiet");
    const bool bash = arguments.has("bash-export");
    std::size_t found = 0;
    xml::Builder list("nodes");
    const auto show = [&](std::string_view type, std::string_view name, std::string_view id) {
        ++found;
        if (bash)
            output.line(fmt::format("export {}={}", name, id));
        else
            output.line(quiet ? std::string(name) : fmt::format("{} node: {} ({})", type, name, id));
        list.add(xml::Builder("node").set("type", type).set("name", name).set("id", id).build());
    };
    const xml::Node* configuration = (*cib)->child("configuration");
    const xml::Node* nodes = configuration == nullptr ? nullptr : configuration->child("nodes");
    if (wanted->cluster && nodes != nullptr)
        for (const xml::NodePtr& node : nodes->children())
            if (node->is("node") && node->get("type", "member") != "remote")
                show("cluster", node->get("uname"), node->id());
    const auto walk = [&](const auto& self, const xml::Node& element, bool guests) -> void {
        for (const xml::NodePtr& child : element.children()) {
            if (child->is("primitive")) {
                const bool remote = child->get("provider") == "pacemaker" && child->get("type") == "remote";
                if (!guests && remote) show("remote", child->id(), child->id());
                for (const xml::NodePtr& meta : child->children()) {
                    if (!guests || !meta->is("meta_attributes")) continue;
                    for (const xml::NodePtr& pair : meta->children())
                        if (pair->get("name") == "remote-node") show("guest", pair->get("value"), pair->get("value"));
                }
            }
            self(self, *child, guests);
        }
    };
    const xml::Node* resources = configuration == nullptr ? nullptr : configuration->child("resources");
    if (resources != nullptr && wanted->guest) walk(walk, *resources, true);
    if (resources != nullptr && wanted->remote) walk(walk, *resources, false);
    output.add(std::move(list));
    if (found == 0) output.line("No nodes configured");
    return ExitCode::kOk;
}

ExitCode run(const Arguments& arguments, Output& output) {
    Duration timeout{30'000};
    if (const auto text = arguments.value("timeout")) {
        const auto parsed = parse_interval(*text);
        if (!parsed) {
            output.fail(fmt::format("'{}' is not a time to wait", *text));
            return ExitCode::kInvalidParameter;
        }
        timeout = *parsed;
    }
    if (arguments.has("status")) return show_status(arguments, output, timeout);
    if (arguments.has("pacemakerd")) return show_pacemakerd(arguments, output, timeout);
    if (arguments.has("dc_lookup")) return show_dc(arguments, output, timeout);
    if (arguments.has("nodes")) return show_nodes(arguments, output);
    output.fail("Must specify a command option");
    return ExitCode::kUsage;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
