// stonith_admin — what people and scripts ask of the fencer.
//
// Source: stonith_admin(8); protocol sheets fencer.md 2 and tools.md.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "base/text.h"
#include "cli/command.h"
#include "cli/fence_agents.h"
#include "cli/fencing_client.h"
#include "cli/local_time.h"
#include "cli/status_fencing.h"
#include "rules/iso8601.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "stonith_admin";
    s.summary = "stonith_admin - Access the Pacemaker fencing API";
    s.formats = {"text", "html", "xml", "json"};
    s.groups = {
        {"definition",
         "Device Definition Commands:",
         "Show device definition help",
         {{'R', "register", Value::kRequired, "DEVICE",
           "Register the named fencing device. Requires: --agent.\nOptional: --option, --env-option."},
          {'D', "deregister", Value::kRequired, "DEVICE", "De-register the named fencing device."},
          {'r', "register-level", Value::kRequired, "TARGET",
           "Register a fencing level for the named target,\nspecified as one of NAME, @PATTERN, or ATTR=VALUE.\n"
           "Requires: --index and one or more --device entries."},
          {'d', "deregister-level", Value::kRequired, "TARGET",
           "Unregister a fencing level for the named target,\nspecified as for --register-level. Requires: --index"}}},
        {"queries",
         "Queries:",
         "Show query help",
         {{'l', "list", Value::kRequired, "HOST",
           "List devices that can terminate the specified host.\nOptional: --timeout"},
          {'L', "list-registered", Value::kNone, "", "List all registered devices. Optional: --timeout."},
          {'I', "list-installed", Value::kNone, "", "List all installed devices. Optional: --timeout."},
          {'s', "list-targets", Value::kRequired, "DEVICE",
           "List the targets that can be fenced by the\nnamed device. Optional: --timeout."},
          {'M', "metadata", Value::kNone, "", "Show agent metadata. Requires: --agent.\nOptional: --timeout."},
          {'Q', "query", Value::kRequired, "DEVICE", "Check the named device's status. Optional: --timeout."},
          {'H', "history", Value::kRequired, "NODE",
           "Show last successful fencing operation for named node\n(or '*' for all nodes). Optional: --timeout, "
           "--cleanup,\n--quiet (show only the operation's epoch timestamp),\n--verbose (show all recorded and pending "
           "operations),\n--broadcast (update history from all nodes available)."},
          {'h', "last", Value::kRequired, "NODE",
           "Indicate when the named node was last fenced.\nOptional: --as-node-id."},
          {'K', "validate", Value::kNone, "",
           "Validate a fence device configuration.\nRequires: --agent. Optional: --option, --env-option,\n--quiet "
           "(print no output, only return status)."}}},
        {"fence",
         "Fencing Commands:",
         "Show fence help",
         {{'F', "fence", Value::kRequired, "HOST", "Fence named host. Optional: --timeout, --tolerance, --delay."},
          {'U', "unfence", Value::kRequired, "HOST", "Unfence named host. Optional: --timeout, --tolerance, --delay."},
          {'B', "reboot", Value::kRequired, "HOST", "Reboot named host. Optional: --timeout, --tolerance, --delay."},
          {'C', "confirm", Value::kRequired, "HOST", "Tell cluster that named host is now safely down."}}},
        {"additional",
         "Additional Options:",
         "Show additional options",
         {{'c', "cleanup", Value::kNone, "", "Cleanup wherever appropriate. Requires --history."},
          {'b', "broadcast", Value::kNone, "", "Broadcast wherever appropriate."},
          {'a', "agent", Value::kRequired, "AGENT",
           "The agent to use (for example, fence_xvm;\nwith --register, --metadata, --validate)."},
          {'o', "option", Value::kRequired, "PARAM",
           "Specify a device configuration parameter as NAME=VALUE\n(may be specified multiple times; with "
           "--register,\n--validate)."},
          {'e', "env-option", Value::kRequired, "PARAM",
           "Specify a device configuration parameter with the\nspecified name, using the value of the\nenvironment "
           "variable of the same name prefixed with\nOCF_RESKEY_ (may be specified multiple times;\nwith --register, "
           "--validate)."},
          {'T', "tag", Value::kRequired, "TAG",
           "Identify fencing operations in logs with the specified\ntag; useful when multiple entities might "
           "invoke\nstonith_admin (used with most commands)."},
          {'v', "device", Value::kRequired, "DEVICE",
           "Device ID (with --register-level, device to associate with\na given host and level; may be specified "
           "multiple times)."},
          {'i', "index", Value::kRequired, "LEVEL",
           "The fencing level (1-9) (with --register-level,\n--deregister-level)."},
          {'t', "timeout", Value::kRequired, "SECONDS",
           "Operation timeout in seconds (default 120;\nused with most commands)."},
          {'y', "delay", Value::kRequired, "SECONDS",
           "Apply a fencing delay in seconds. Any static/random delays from\npcmk_delay_base/max will be added, "
           "otherwise all\ndisabled with the value -1\n(default 0; with --fence, --reboot, --unfence)."},
          {'n', "as-node-id", Value::kNone, "", "(Advanced) The supplied node is the corosync node ID\n(with --last)."},
          {0, "tolerance", Value::kRequired, "SECONDS",
           "(Advanced) Do nothing if an equivalent --fence request\nsucceeded less than this many seconds "
           "earlier\n(with --fence, --unfence, --reboot)."}}}};
    s.options = {{'q', "quiet", Value::kNone, "", "Be less descriptive in output."}};
    s.help_short = '?';
    return s;
}

/// The command line, understood.
struct Wanted {
    char command = 0;
    std::string subject;  ///< device, host, node or level's target
    std::string agent, name = "stonith_admin";
    FencingClient::Parameters parameters;
    std::vector<std::string> devices;
    int index = 0;
    Duration timeout{120'000}, tolerance{0};
    int delay_s = 0;
    bool quiet = false, verbose = false, cleanup = false, broadcast = false, as_node_id = false;
};

Result<int> number(const Arguments& arguments, std::string_view option, int fallback) {
    const auto text = arguments.value(option);
    if (!text) return fallback;
    const auto value = parse_integer(*text);
    if (!value || *value > INT_MAX || *value < INT_MIN)
        return fail(Errc::kInvalid, fmt::format("Cannot parse integer value '{}' for --{}", *text, option));
    return static_cast<int>(*value);
}

Result<Wanted> read_wanted(const Arguments& arguments) {
    Wanted wanted;
    // Of several commands the last one of this list counts, whatever their order.
    struct Command {
        std::string_view option;
        char command;
    };
    for (const auto& [option, command] : {Command{"validate", 'K'},
                                          {"list-installed", 'I'},
                                          {"list-registered", 'L'},
                                          {"register", 'R'},
                                          {"query", 'Q'},
                                          {"deregister", 'D'},
                                          {"list-targets", 's'},
                                          {"list", 'L'},
                                          {"metadata", 'M'},
                                          {"reboot", 'B'},
                                          {"fence", 'F'},
                                          {"unfence", 'U'},
                                          {"confirm", 'C'},
                                          {"last", 'h'},
                                          {"history", 'H'},
                                          {"register-level", 'r'},
                                          {"deregister-level", 'd'}}) {
        if (!arguments.has(option)) continue;
        wanted.command = command;
        wanted.subject = arguments.value(option).value_or("");
    }
    wanted.agent = arguments.value("agent").value_or("");
    if (const auto tag = arguments.value("tag"); tag && !tag->empty())
        wanted.name = fmt::format("stonith_admin.{}", *tag);
    for (const auto& text : arguments.values("option")) {
        const auto equal = text.find('=');
        if (equal == std::string::npos || equal == 0 || equal + 1 == text.size())
            return fail(Errc::kInvalid, fmt::format("Invalid option: -o {}: Bad name/value pair given", text));
        wanted.parameters.emplace_back(text.substr(0, equal), text.substr(equal + 1));
    }
    for (const auto& name : arguments.values("env-option")) {
        const char* value = std::getenv(("OCF_RESKEY_" + name).c_str());
        if (value == nullptr) return fail(Errc::kInvalid, fmt::format("Invalid option: -e {}", name));
        wanted.parameters.emplace_back(name, value);
    }
    wanted.devices = arguments.values("device");
    const auto index = number(arguments, "index", 0);
    const auto timeout = number(arguments, "timeout", 120);
    const auto delay = number(arguments, "delay", 0);
    for (const auto* checked : {&index, &timeout, &delay}) {
        if (!*checked) return tl::unexpected(checked->error());
    }
    if (*timeout < 0 || *timeout > INT_MAX / 1000)
        return fail(Errc::kInvalid, fmt::format("Integer value \"{}\" for -t out of range", *timeout));
    wanted.index = *index;
    wanted.timeout = std::chrono::seconds(*timeout);
    wanted.delay_s = *delay;
    if (const auto text = arguments.value("tolerance")) wanted.tolerance = parse_interval(*text).value_or(Duration{0});
    wanted.quiet = arguments.has("quiet");
    wanted.verbose = arguments.verbosity > 0;
    wanted.cleanup = arguments.has("cleanup");
    wanted.broadcast = arguments.has("broadcast");
    wanted.as_node_id = arguments.has("as-node-id");
    return wanted;
}

// ---- Output ---------------------------------------------------------------------------------------------------------

struct Noun {
    std::string_view one, many;
};

/// A list of words, or of elements where they are given, with its count.
void show_list(Output& output, std::string_view title, Noun noun, const std::vector<std::string>& lines,
               const std::vector<xml::NodePtr>& elements) {
    xml::Builder list("list");
    list.set("name", to_lower(title)).set("count", static_cast<long long>(elements.size()));
    for (const auto& element : elements) list.add(element);
    output.add(std::move(list));
    if (output.format() == Format::kHtml) {
        output.begin_list(title);
        for (const auto& line : lines) output.item(line);
        output.end_list();
        return;
    }
    for (const auto& line : lines) output.line(line);
    output.line(fmt::format("{} {} found", lines.size(), lines.size() == 1 ? noun.one : noun.many));
}

void show_names(Output& output, std::string_view title, Noun noun, const std::vector<std::string>& names,
                std::string_view item_name) {
    std::vector<xml::NodePtr> elements;
    for (const auto& name : names) {
        xml::Builder item("item");
        item.set_unless_empty("name", item_name).add(xml::Builder::text(name));
        elements.push_back(std::move(item).build());
    }
    show_list(output, title, noun, names, elements);
}

/// From which node the same action on the same node succeeded later; empty if it didn't.
std::string later_success(const FencingAction& failed, const std::vector<FencingAction>& history) {
    for (const auto& other : history) {
        if (other.state == FencingAction::State::kSucceeded && same_ignoring_case(other.target, failed.target) &&
            other.action == failed.action &&
            (other.completed_s > failed.completed_s ||
             (other.completed_s == failed.completed_s && other.completed_ns > failed.completed_ns)))
            return other.origin;
    }
    return {};
}

// ---- Commands -------------------------------------------------------------------------------------------------------

ExitCode say_failure(Output& output, std::string_view what, const FencerAnswer& answer) {
    if (answer.rc == 0) return ExitCode::kOk;
    output.error(fmt::format("{}: {}", what, answer.message()));
    return answer.exit_code();
}

ExitCode fence(const Wanted& wanted, Output& output) {
    auto client = FencingClient::connect(wanted.name);
    FencerAnswer answer;
    if (client) {
        const char* action = wanted.command == 'F' ? "off" : wanted.command == 'B' ? "reboot" : "on";
        answer = client->fence({wanted.subject, action, wanted.timeout, wanted.tolerance, wanted.delay_s});
    } else {
        answer.rc = -ENOTCONN;
    }
    if (answer.rc == 0) return ExitCode::kOk;
    const std::string_view message = answer.message();
    output.fail(fmt::format(
        "Couldn't {} {}: {}{}", wanted.command == 'U' ? "unfence" : "fence", wanted.subject, message,
        answer.reason.empty() || answer.reason == message ? std::string() : fmt::format(" ({})", answer.reason)));
    return answer.exit_code();
}

ExitCode history(FencingClient& client, const Wanted& wanted, Output& output) {
    if (wanted.cleanup && !wanted.quiet)
        output.line(
            fmt::format("cleaning up fencing-history{}{}", wanted.subject.empty() ? "" : " for node ", wanted.subject));
    if (wanted.broadcast && !wanted.quiet) output.line("gather fencing-history from all nodes");
    std::vector<FencingAction> actions;
    const auto answer = client.history({.target = wanted.subject == "*" ? std::string_view{} : wanted.subject,
                                        .cleanup = wanted.cleanup,
                                        .broadcast = wanted.broadcast,
                                        .timeout = wanted.timeout},
                                       actions);
    if (wanted.cleanup || answer.rc != 0) return answer.exit_code();
    const auto latest = std::ranges::find(actions, FencingAction::State::kSucceeded, &FencingAction::state);
    if (wanted.quiet && !output.is_structured()) {
        if (latest != actions.end()) output.line(std::to_string(latest->completed_s));
        return ExitCode::kOk;
    }
    std::vector<std::string> lines;
    std::vector<xml::NodePtr> elements;
    if (wanted.verbose) {
        for (const auto& action : actions) {
            lines.push_back(fencing_line(action, {.each = true, .later_success_from = later_success(action, actions)}));
            elements.push_back(fencing_element(action));
        }
    } else if (latest != actions.end()) {
        lines.push_back(fencing_line(*latest, {.each = false}));
        elements.push_back(fencing_element(*latest));
    }
    show_list(output, "Fencing history", {"event", "events"}, lines, elements);
    return ExitCode::kOk;
}

ExitCode last(FencingClient& client, const Wanted& wanted, Output& output) {
    std::vector<FencingAction> actions;
    const auto answer =
        client.history({.target = wanted.subject, .is_node_id = wanted.as_node_id, .timeout = wanted.timeout}, actions);
    if (answer.rc != 0) return say_failure(output, "Can't get fencing history", answer);
    const auto latest = std::ranges::find(actions, FencingAction::State::kSucceeded, &FencingAction::state);
    if (latest == actions.end()) {
        output.line(fmt::format("Node {} has never been fenced", wanted.subject));
        return ExitCode::kOk;
    }
    const WallTime when{latest->completed_s};
    output.line(fmt::format("Node {} last fenced at: {}", wanted.subject, ctime_text(when)));
    xml::Builder element("last-fenced");
    element.set("target", wanted.subject);
    element.set("when", offset_text(when));
    output.add(std::move(element));
    return ExitCode::kOk;
}

/// Tools that configure devices want every agent to have these, and the fencer fills these parameters in itself.
std::string completed_metadata(const std::string& text) {
    const auto parsed = xml::parse(text, {.text = xml::TextNodes::kKeep});
    if (!parsed) return text;
    xml::Builder root(**parsed);
    for (std::size_t i = 0; i < root.children().size(); ++i) {
        const xml::NodePtr child = root.children()[i];
        xml::Builder edited(*child);
        if (child->is("actions")) {
            for (const char* action : {"stop", "start"}) {
                const bool known = std::ranges::any_of(
                    child->children(), [&](const auto& a) { return a->is("action") && a->get("name") == action; });
                if (known) continue;
                xml::Builder added("action");
                added.set("name", action).set("timeout", "20s");
                edited.add(std::move(added));
            }
        } else if (child->is("parameters")) {
            for (std::size_t p = 0; p < child->children().size(); ++p) {
                const auto& parameter = child->children()[p];
                const auto name = parameter->get("name");
                if (name != "action" && name != "plug" && name != "port") continue;
                xml::Builder optional(*parameter);
                optional.set("required", "0");
                edited.replace(p, std::move(optional).build());
            }
        } else {
            continue;
        }
        root.replace(i, std::move(edited).build());
    }
    return xml::write(*std::move(root).build(), {.pretty = true, .text_nodes = true});
}

ExitCode metadata(const Wanted& wanted, Output& output) {
    const AgentRun run = run_fence_agent(wanted.agent, "metadata", {}, wanted.timeout);
    if (run.status != ExecStatus::kDone || run.exit_code != 0) {
        FencerAnswer answer;
        answer.rc = run.status == ExecStatus::kNotInstalled ? -ENODEV
                    : run.status == ExecStatus::kTimeout    ? -ETIME
                                                            : -ENODATA;
        return say_failure(output, "Can't get fence agent meta-data", answer);
    }
    const std::string text = completed_metadata(run.output);
    xml::Builder element("metadata");
    element.add(xml::Builder::cdata(text));
    output.add(std::move(element));
    output.text(text);
    return ExitCode::kOk;
}

ExitCode validate(const Wanted& wanted, Output& output) {
    constexpr std::string_view kTarget = "node1";  // agents may insist on one; which doesn't matter here
    std::string host_argument;
    FencingClient::Parameters parameters{{"nodename", std::string(kTarget)}};
    for (const auto& [name, value] : wanted.parameters) {
        if (name == "pcmk_host_argument") host_argument = value;
    }
    if (host_argument.empty()) {
        const AgentRun told = run_fence_agent(wanted.agent, "metadata", {}, wanted.timeout);
        if (const auto tree = xml::parse(told.output)) {
            if (const auto* all = (*tree)->child("parameters")) {
                for (const auto& parameter : all->children()) {
                    if (parameter->get("name") == "plug") host_argument = "plug";
                    if (parameter->get("name") == "port" && host_argument.empty()) host_argument = "port";
                }
            }
        }
    }
    const bool given = std::ranges::any_of(wanted.parameters, [&](const auto& p) { return p.first == host_argument; });
    if (!host_argument.empty() && host_argument != "none" && !given) parameters.emplace_back(host_argument, kTarget);
    for (const auto& [name, value] : wanted.parameters) {
        if (!name.starts_with("pcmk_")) parameters.emplace_back(name, value);
    }
    const AgentRun run = run_fence_agent(wanted.agent, "validate-all", parameters, wanted.timeout);
    const bool valid = run.status == ExecStatus::kDone && run.exit_code == 0;
    FencerAnswer answer;
    if (!valid) {
        answer.rc = run.status == ExecStatus::kNotInstalled ? -ENOENT
                    : run.status == ExecStatus::kTimeout    ? -ETIME
                                                            : -201;
    }
    if (wanted.quiet) return answer.exit_code();
    const std::string device = wanted.devices.empty() ? std::string() : wanted.devices.front();
    const std::string error =
        run.status == ExecStatus::kNotInstalled ? fmt::format("Agent {} not found", wanted.agent) : run.error;
    output.line(fmt::format("Validation of {}{}{} {}", wanted.agent, device.empty() ? "" : " on ", device,
                            valid ? "succeeded" : "failed"));
    if (!run.output.empty()) output.text(run.output);
    if (!error.empty()) output.text(error);
    xml::Builder element("validate");
    element.set("agent", wanted.agent).set("valid", valid ? "true" : "false").set_unless_empty("device", device);
    xml::Builder command("command");
    command.set("code", answer.rc);
    for (const auto& [source, text] : {std::pair{"stdout", run.output}, {"stderr", error}}) {
        if (text.empty()) continue;
        xml::Builder part("output");
        part.set("source", source).add(xml::Builder::text(text));
        command.add(std::move(part));
    }
    element.add(std::move(command));
    output.add(std::move(element));
    return answer.exit_code();
}

ExitCode ask_fencer(const Wanted& wanted, Output& output) {
    auto connected = FencingClient::connect(wanted.name);
    if (!connected) {
        output.error("Could not connect to fencer: Transport endpoint is not connected");
        return ExitCode::kDisconnected;
    }
    FencingClient& client = *connected;
    switch (wanted.command) {
        case 'L': {
            std::vector<std::string> devices;
            const auto answer = client.query(wanted.subject, wanted.timeout, devices);
            if (answer.rc != 0) return say_failure(output, "Failed to list registered devices", answer);
            show_names(output, "Registered fence devices", {"fence device", "fence devices"}, devices, "device");
            return ExitCode::kOk;
        }
        case 'Q': {
            auto answer = client.execute(wanted.subject, "monitor", wanted.timeout);
            if (answer.rc != 0) answer = client.execute(wanted.subject, "list", wanted.timeout);
            return answer.exit_code();
        }
        case 's': {
            const auto answer = client.execute(wanted.subject, "list", wanted.timeout);
            if (answer.rc != 0) return say_failure(output, "Couldn't list targets", answer);
            std::vector<std::string> targets;
            for (const auto target : split(answer.reply->get("st_output"), " \t\r\n,;")) targets.emplace_back(target);
            show_names(output, "Fence Targets", {"fence target", "fence targets"}, targets, {});
            return ExitCode::kOk;
        }
        case 'R':
            return say_failure(output,
                               fmt::format("Can't register device {} using agent {}", wanted.subject, wanted.agent),
                               client.register_device(wanted.subject, wanted.agent, wanted.parameters));
        case 'D':
            return say_failure(output, fmt::format("Can't unregister device {}", wanted.subject),
                               client.remove_device(wanted.subject));
        case 'r':
            return say_failure(output,
                               fmt::format("Can't register topology level {} for {}", wanted.index, wanted.subject),
                               client.add_level({wanted.subject}, wanted.index, wanted.devices));
        case 'd':
            return say_failure(output,
                               fmt::format("Can't unregister topology level {} for {}", wanted.index, wanted.subject),
                               client.remove_level({wanted.subject}, wanted.index));
        case 'C': return client.confirm(wanted.subject).exit_code();
        case 'h': return last(client, wanted, output);
        case 'H': return history(client, wanted, output);
        default: return ExitCode::kSoftware;
    }
}

ExitCode run(const Arguments& arguments, Output& output) {
    const auto wanted = read_wanted(arguments);
    if (!wanted) {
        output.fail(wanted.error().what);
        return ExitCode::kUsage;
    }
    const bool needs_agent = wanted->command == 'K' || wanted->command == 'R' || wanted->command == 'M';
    if (wanted->command == 0 || (needs_agent && wanted->agent.empty())) {
        if (wanted->command != 0) output.error("Please specify an agent to query using -a,--agent [value]");
        output.error(help_text(spec(), "").value_or(""));
        return ExitCode::kUsage;
    }
    switch (wanted->command) {
        case 'F':
        case 'B':
        case 'U': return fence(*wanted, output);
        case 'M': return metadata(*wanted, output);
        case 'K': return validate(*wanted, output);
        case 'I':
            show_names(output, "Installed fence devices", {"fence device", "fence devices"}, installed_fence_agents(),
                       "device");
            return ExitCode::kOk;
        default: return ask_fencer(*wanted, output);
    }
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
