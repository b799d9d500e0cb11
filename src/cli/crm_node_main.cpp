// crm_node — who this node is, who is known, who is here, and forgetting a node that is gone for good.
#include <fmt/format.h>

#include "base/text.h"
#include "cib/rc.h"
#include "cli/cib_access.h"
#include "cli/command.h"
#include "cli/daemon_client.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_node";
    s.summary = "crm_node - Tool for displaying low-level node information";
    s.formats = {"text", "xml", "json"};
    s.groups = {{"commands",
                 "Commands:",
                 "Show command help",
                 {{'i', "cluster-id", Value::kNone, "", "Display this node's cluster id"},
                  {'l', "list", Value::kNone, "", "Display all known members (past and present) of this cluster"},
                  {'n', "name", Value::kNone, "", "Display the name used by the cluster for this node"},
                  {'p', "partition", Value::kNone, "", "Display the members of this partition"},
                  {'q', "quorum", Value::kNone, "", "Display a 1 if our partition has quorum, 0 if not"},
                  {'N', "name-for-id", Value::kRequired, "ID",
                   "Display the name used by the cluster for the node with the specified ID"},
                  {'R', "remove", Value::kRequired, "NAME",
                   "(Advanced) Remove the (stopped) node with the specified name from Pacemaker's\n"
                   "configuration and caches (the node must already have been removed from\n"
                   "the underlying cluster stack configuration"}}},
                {"additional",
                 "Additional Options:",
                 "Show additional options",
                 {{'f', "force", Value::kNone, "", "Remove the node even if it is still seen"}}}};
    s.options = {{'Q', "quiet", Value::kNone, "", "Be less descriptive in output."}};
    return s;
}

ExitCode fail_with(Output& output, const Error& error) {
    const ExitCode code = exit_code_of(error);
    output.fail(fmt::format("Could not connect to controller: {}", describe(code)));
    return code;
}

Result<xml::NodePtr> node_info(std::string id) {
    auto client = DaemonClient::connect(wire::Service::kController, "crm_node");
    if (!client) return tl::unexpected(std::move(client.error()));
    Ask ask{.task = "node-info"};
    if (!id.empty()) ask.fields.emplace_back("id", std::move(id));
    auto info = client->ask(ask);
    if (info && !*info) return systole::fail(Errc::kInvalid, "the controller's answer holds nothing");
    return info;
}

ExitCode show_name(const Arguments& arguments, Output& output) {
    if (arguments.has("name-for-id")) {
        const std::string id = *arguments.value("name-for-id");
        const auto number = parse_integer(id);
        if (!number || *number <= 0) {
            output.fail(fmt::format("'{}' is not a node id", id));
            return ExitCode::kInvalidParameter;
        }
        const auto info = node_info(id);
        if (!info) return fail_with(output, info.error());
        const std::string name((*info)->get("uname"));
        if (name.empty()) {
            output.fail(fmt::format("Node is not known to cluster: {}", id));
            return ExitCode::kNoHost;
        }
        output.line(name);
        output.add(xml::Builder("node-info").set("nodeid", id).set("uname", name));
        return ExitCode::kOk;
    }
    const auto name = local_node_name("crm_node");
    if (!name) return fail_with(output, name.error());
    output.line(*name);
    output.add(xml::Builder("node-info").set("uname", *name));
    return ExitCode::kOk;
}

ExitCode show_info(const Arguments& arguments, Output& output) {
    const auto info = node_info({});
    if (!info) return fail_with(output, info.error());
    if (arguments.has("cluster-id")) {
        const std::string id((*info)->get("id"));
        output.line(id);
        output.add(xml::Builder("node-info").set("nodeid", id));
        return ExitCode::kOk;
    }
    const bool quorate = parse_bool((*info)->get("have-quorum")).value_or(false);
    output.line(quorate ? "1" : "0");
    output.add(xml::Builder("cluster-info").set("quorum", quorate ? "true" : "false"));
    return ExitCode::kOk;
}

xml::NodePtr node_element(const xml::Node& node) {
    return xml::Builder("node")
        .set("id", node.id())
        .set("name", node.get("uname"))
        .set("state", node.get("in_ccm"))
        .build();
}

ExitCode list_nodes(const Arguments& arguments, Output& output) {
    auto client = DaemonClient::connect(wire::Service::kController, "crm_node");
    if (!client) return fail_with(output, client.error());
    const auto nodes = client->ask({.task = "list-nodes"});
    if (!nodes) return fail_with(output, nodes.error());
    std::vector<const xml::Node*> sorted;
    if (*nodes)
        for (const xml::NodePtr& node : (*nodes)->children())
            if (node->is("node")) sorted.push_back(node.get());
    std::ranges::sort(sorted, [](const xml::Node* a, const xml::Node* b) {
        return compare_ignoring_case(a->get("uname"), b->get("uname")) < 0;
    });
    if (arguments.has("partition")) {
        std::string line;
        xml::Builder list("nodes");
        for (const xml::Node* node : sorted) {
            if (node->get("in_ccm") != "member") continue;
            line += (line.empty() ? "" : " ") + std::string(node->get("uname"));
            list.add(node_element(*node));
        }
        output.line(line);
        output.add(std::move(list));
        return ExitCode::kOk;
    }
    xml::Builder list("nodes");
    for (const xml::Node* node : sorted) {
        output.line(fmt::format("{} {} {}", node->id(), node->get("uname"), node->get("in_ccm")));
        list.add(node_element(*node));
    }
    output.add(std::move(list));
    return ExitCode::kOk;
}

/// Deletes a node from the CIB: its definition, then its state.
Result<int> delete_from_cib(const std::string& name) {
    auto cib = open_live_cib({});
    if (!cib) return tl::unexpected(std::move(cib.error()));
    for (const std::string& path : {fmt::format("//cib/configuration/nodes/node[@uname='{}']", name),
                                    fmt::format("//cib/status/node_state[@uname='{}']", name)}) {
        const auto reply = (*cib)->call({.op = cib::Op::kDelete, .section = path, .options = cib::option::kXPath});
        if (!reply) return tl::unexpected(reply.error());
        if (reply->rc != 0 && reply->rc != cib::rc::kNotFound) return reply->rc;
    }
    return 0;
}

ExitCode remove_node(const Arguments& arguments, Output& output) {
    const std::string name = *arguments.value("remove");
    if (name.find_first_of("'\"<>&") != std::string::npos) {
        output.fail(fmt::format("'{}' is not a node name", name));
        return ExitCode::kInvalidParameter;
    }
    if (!arguments.has("force")) {
        output.fail(
            "The supplied command is considered dangerous.  To prevent accidental destruction of the cluster, the "
            "--force flag is required in order to proceed.");
        return ExitCode::kUsage;
    }
    auto client = DaemonClient::connect(wire::Service::kController, "crm_node");
    if (!client) return fail_with(output, client.error());
    const auto rc = delete_from_cib(name);
    if (!rc) return fail_with(output, rc.error());
    if (*rc != 0) {
        output.fail(fmt::format("Could not remove {} from the CIB: {}", name, describe_legacy(*rc)));
        return exit_code_of_legacy(*rc);
    }
    xml::Builder forget("attrd_op");
    forget.set("t", "attrd").set("src", "crm_node").set("task", "peer-remove").set("attr_host", name);
    (void)ask_attributes(*forget.build());
    if (const auto told = client->tell({.task = "rm_node_cache", .fields = {{"uname", name}}}); !told)
        return fail_with(output, told.error());
    return ExitCode::kOk;
}

ExitCode run(const Arguments& arguments, Output& output) {
    if (arguments.has("remove")) return remove_node(arguments, output);
    if (arguments.has("name") || arguments.has("name-for-id")) return show_name(arguments, output);
    if (arguments.has("cluster-id") || arguments.has("quorum")) return show_info(arguments, output);
    if (arguments.has("list") || arguments.has("partition")) return list_nodes(arguments, output);
    output.fail("Must specify a command option");
    return ExitCode::kUsage;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
