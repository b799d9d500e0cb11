// cibadmin — queries and changes of the CIB as they are.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

#include <fmt/format.h>

#include "base/exit_code.h"
#include "base/text.h"
#include "cib/edits.h"
#include "cib/operations.h"
#include "cib/rc.h"
#include "cli/access_view.h"
#include "cli/cib_access.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/schema_directory.h"
#include "wire/message.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::cli {
namespace {

namespace option = cib::option;

CommandSpec spec() {
    CommandSpec s;
    s.name = "cibadmin";
    s.usage = "<command> [options]";
    s.summary = "query and edit the Pacemaker configuration";
    s.formats = {"text", "xml", "json"};
    s.groups = {
        {"commands",
         "Commands:",
         "Show command help",
         {{'Q', "query", Value::kNone, "", "Query the contents of the CIB"},
          {'u', "upgrade", Value::kNone, "", "Upgrade the configuration to the latest syntax"},
          {'E', "erase", Value::kNone, "", "Erase the contents of the whole CIB"},
          {'B', "bump", Value::kNone, "", "Increase the CIB's epoch value by 1"},
          {'C', "create", Value::kNone, "", "Create an object in the CIB (will fail if object already exists)"},
          {'M', "modify", Value::kNone, "",
           "Find object somewhere in CIB's XML tree and update it (fails if object\n"
           "does not exist unless -c is also specified)"},
          {'P', "patch", Value::kNone, "", "Supply an update in the form of an XML diff (see crm_diff(8))"},
          {'R', "replace", Value::kNone, "", "Recursively replace an object in the CIB"},
          {'D', "delete", Value::kNone, "",
           "Delete first object matching supplied criteria (for example,\n"
           "<op id=\"rsc1_op1\" name=\"monitor\"/>). The XML element name and all\n"
           "attributes must match in order for the element to be deleted."},
          {'d', "delete-all", Value::kNone, "",
           "When used with --xpath, remove all matching objects in the\n"
           "configuration instead of just the first one"},
          {'a', "empty", Value::kOptional, "schema",
           "Output an empty CIB. Accepts an optional schema name argument to use as\n"
           "the validate-with value; if no schema is given, the latest will be used."},
          {'5', "md5-sum", Value::kNone, "", "Calculate the on-disk CIB digest"},
          {'6', "md5-sum-versioned", Value::kNone, "", "Calculate an on-the-wire versioned CIB digest"}}},
        {"data",
         "Data:",
         "Show data help",
         {{'X', "xml-text", Value::kRequired, "value", "Retrieve XML from the supplied string"},
          {'x', "xml-file", Value::kRequired, "value", "Retrieve XML from the named file"},
          {'p', "xml-pipe", Value::kNone, "", "Retrieve XML from stdin"}}},
        {"additional",
         "Additional Options:",
         "Show additional options",
         {{'f', "force", Value::kNone, "", "Force the action to be performed"},
          {'t', "timeout", Value::kRequired, "value",
           "Time (in seconds) to wait before declaring the operation failed"},
          {'U', "user", Value::kRequired, "value",
           "Run the command with permissions of the named user (valid only for the\n"
           "root and hacluster accounts)"},
          {'s', "sync-call", Value::kNone, "", "Wait for call to complete before returning"},
          {'o', "scope", Value::kRequired, "value",
           "Limit scope of operation to specific section of CIB. Valid values:\n"
           "configuration, nodes, resources, constraints, crm_config, rsc_defaults,\n"
           "op_defaults, acls, fencing-topology, tags, alerts, status"},
          {'A', "xpath", Value::kRequired, "value", "A valid XPath to use instead of --scope/-o"},
          {'S', "show-access", Value::kOptional, "value",
           "Whether to use syntax highlighting for ACLs (with -Q/--query and\n"
           "-U/--user): 'color' (default for terminal), 'text' (otherwise),\n"
           "'namespace', or 'auto'"},
          {0, "score", Value::kNone, "",
           "Treat new attribute values as atomic score updates where possible (for\n"
           "example, value=\"value++\")"},
          {'c', "allow-create", Value::kNone, "",
           "(Advanced) Allow target of --modify/-M to be created if it does not exist"},
          {'n', "no-children", Value::kNone, "",
           "(Advanced) When querying an object, do not include its children in the\nresult"},
          {'e', "node-path", Value::kNone, "", "When performing XPath queries, return path of any matches found"},
          {'N', "node", Value::kRequired, "value", "(Advanced) Send command to the specified host"},
          {'l', "local", Value::kNone, "", ""}}}};
    s.notes =
        "Examples:\n\n"
        "Query the configuration:\n\n\t# cibadmin --query\n\n"
        "Query just the cluster options configuration:\n\n\t# cibadmin --query --scope crm_config\n\n"
        "Query all 'target-role' settings:\n\n\t# cibadmin --query --xpath \"//nvpair[@name='target-role']\"\n\n"
        "Remove all 'is-managed' settings:\n\n"
        "\t# cibadmin --delete-all --xpath \"//nvpair[@name='is-managed']\"\n\n"
        "Remove the resource named 'old':\n\n\t# cibadmin --delete --xml-text '<primitive id=\"old\"/>'\n\n"
        "Remove all resources from the configuration:\n\n"
        "\t# cibadmin --replace --scope resources --xml-text '<resources/>'\n\n"
        "Replace complete configuration with contents of $HOME/pacemaker.xml:\n\n"
        "\t# cibadmin --replace --xml-file $HOME/pacemaker.xml\n\n"
        "Increase configuration version to prevent old configurations from being loaded accidentally:\n\n"
        "\t# cibadmin --modify --score --xml-text '<cib admin_epoch=\"admin_epoch++\"/>'";
    return s;
}

enum class Input : std::uint8_t { kNone, kWanted, kUnlessXPath };

struct Command {
    std::string_view name;
    cib::Op op;
    Input input = Input::kNone;
    bool dangerous = false;
};
constexpr std::array kCommands{
    Command{"query", cib::Op::kQuery},
    Command{"upgrade", cib::Op::kUpgrade, Input::kNone, true},
    Command{"erase", cib::Op::kErase, Input::kNone, true},
    Command{"bump", cib::Op::kBump},
    Command{"create", cib::Op::kCreate, Input::kWanted},
    Command{"modify", cib::Op::kModify, Input::kWanted},
    Command{"patch", cib::Op::kApplyDiff, Input::kWanted},
    Command{"replace", cib::Op::kReplace, Input::kWanted},
    Command{"delete", cib::Op::kDelete, Input::kUnlessXPath},
    Command{"delete-all", cib::Op::kDelete, Input::kUnlessXPath, true},
    // The rest does not go to the CIB.
    Command{"empty", cib::Op::kNoop},
    Command{"md5-sum", cib::Op::kNoop, Input::kWanted},
    Command{"md5-sum-versioned", cib::Op::kNoop, Input::kWanted},
};

const Command* chosen_command(const Arguments& arguments) {
    const Command* chosen = nullptr;
    for (const Given& given : arguments.given) {
        for (const Command& command : kCommands) {
            if (command.name == given.name) chosen = &command;
        }
    }
    return chosen;
}

// What the command line gives as input; null if nothing. Errors: kInvalid, saying where it comes from.
Result<xml::NodePtr> given_input(const Arguments& arguments) {
    if (const auto text = arguments.value("xml-text")) {
        auto tree = xml::parse(*text);
        if (!tree)
            return fail(Errc::kInvalid,
                        fmt::format("Couldn't parse input from input string: {} ({})", *text, tree.error().what));
        return tree;
    }
    if (const auto path = arguments.value("xml-file")) {
        auto tree = read_xml_file(*path);
        if (!tree) return fail(Errc::kInvalid, fmt::format("Couldn't parse input from {}", tree.error().what));
        return tree;
    }
    if (arguments.has("xml-pipe")) {
        const auto text = read_file("-");
        if (!text) return fail(Errc::kInvalid, fmt::format("Couldn't parse input from stdin: {}", text.error().what));
        auto tree = xml::parse(*text);
        if (!tree) return fail(Errc::kInvalid, fmt::format("Couldn't parse input from stdin: {}", tree.error().what));
        return tree;
    }
    return xml::NodePtr{};
}

void show(Output& output, const std::string& text) {
    output.text(text);
    output.add(xml::Builder("output").add(xml::Builder::cdata(text)));
}

ExitCode show_digest(const xml::Node& input, bool versioned, Output& output) {
    // A document without a feature set is none that was sent between nodes.
    const std::string digest =
        versioned && input.has("crm_feature_set") ? xml::digest_versioned(input) : xml::digest_on_disk(input);
    output.line(digest);
    output.add(xml::Builder("md5-sum").set("digest", digest));
    return ExitCode::kOk;
}

ExitCode show_empty(const std::string& schema, Output& output) {
    const auto schemas = open_schemas();
    const std::string chosen = schema.empty() ? schemas->newest() : schema;
    if (!schemas->knows(chosen)) {
        output.fail(fmt::format("Schema '{}' is unknown", chosen));
        return ExitCode::kConfig;
    }
    show(output, xml::write(*cib::empty_cib(chosen, wire::kFeatureSet), {.pretty = true}));
    return ExitCode::kOk;
}

std::optional<AccessStyle> access_style(std::string_view name) {
    if (name.empty() || name == "auto") return isatty(STDOUT_FILENO) != 0 ? AccessStyle::kColor : AccessStyle::kText;
    if (name == "color") return AccessStyle::kColor;
    if (name == "text") return AccessStyle::kText;
    if (name == "namespace") return AccessStyle::kNamespace;
    return std::nullopt;
}

void show_answer(const xml::Node& answer, const CibCall& call, Output& output) {
    if ((call.options & option::kXPathAddress) != 0 && answer.is("xpath-query")) {
        std::string text;
        for (const auto& path : answer.children()) text += fmt::format("{}\n", path->id());
        show(output, text);
        return;
    }
    show(output, xml::write(answer, {.pretty = true}));
}

ExitCode refused(const CibReply& reply, Output& output) {
    output.fail(fmt::format("CIB API call failed: {}", describe_legacy(reply.rc)));
    if (!reply.why.empty()) output.log(Severity::kWarning, "cibadmin", reply.why);
    if (reply.output && reply.output->is("failed")) show(output, xml::write(*reply.output, {.pretty = true}));
    return exit_code_of_legacy(reply.rc);
}

CibCall call_of(const Arguments& arguments, const Command& command, xml::NodePtr input) {
    CibCall call;
    call.op = command.op;
    call.input = std::move(input);
    if (const auto xpath = arguments.value("xpath")) {
        call.section = *xpath;
        call.options |= option::kXPath;
    } else {
        call.section = arguments.value("scope").value_or("");
    }
    if (command.name == "delete-all") call.options |= option::kMultiple;
    if (arguments.has("allow-create")) call.options |= option::kCanCreate;
    if (arguments.has("no-children")) call.options |= option::kNoChildren;
    if (arguments.has("node-path")) call.options |= option::kXPathAddress;
    // Values such as "value++" are calculated whether or not --score is given, as the reference still does.
    call.options |= option::kScoreUpdate;
    if (arguments.verbosity > 0) call.options |= option::kVerbose;
    call.user = arguments.value("user").value_or("");
    call.host = arguments.value("node").value_or("");
    if (const auto timeout = arguments.value("timeout")) {
        if (const auto seconds = parse_integer(*timeout); seconds && *seconds > 0)
            call.timeout = Duration{*seconds * 1000};
    }
    return call;
}

ExitCode run(const Arguments& arguments, Output& output) {
    const Command* command = chosen_command(arguments);
    if (command == nullptr) {
        output.fail("Must specify a command option\n\n" + *help_text(spec(), ""));
        return ExitCode::kUsage;
    }
    if (command->dangerous && !arguments.has("force")) {
        output.fail(
            "The supplied command is considered dangerous. To prevent accidental destruction of the cluster, "
            "the --force flag is required in order to proceed.");
        return ExitCode::kUnsafe;
    }
    std::optional<AccessStyle> style;
    if (arguments.has("show-access")) {
        style = access_style(arguments.value("show-access").value_or(""));
        if (!style) {
            output.fail(fmt::format("Invalid value '{}' for --show-access/-S", *arguments.value("show-access")));
            return ExitCode::kUsage;
        }
        if (!arguments.has("user")) {
            output.fail("-U/--user is required with -S/--show-access");
            return ExitCode::kUsage;
        }
        if (command->op != cib::Op::kQuery) {
            output.fail("-S/--show-access is for -Q/--query only");
            return ExitCode::kUsage;
        }
    }
    auto input = given_input(arguments);
    if (!input) {
        output.fail(input.error().what);
        return ExitCode::kData;
    }
    const bool wanted =
        command->input == Input::kWanted || (command->input == Input::kUnlessXPath && !arguments.has("xpath"));
    if (wanted && !*input) {
        output.fail("The supplied command requires input via --xml-file, --xml-text, or --xml-pipe");
        return ExitCode::kUsage;
    }
    if (command->name == "empty") return show_empty(arguments.value("empty").value_or(""), output);
    if (command->op == cib::Op::kNoop) return show_digest(**input, command->name == "md5-sum-versioned", output);

    if (const auto scope = arguments.value("scope"); scope && !cib::is_section(*scope))
        output.error(fmt::format("Invalid value '{}' for '--scope'. Operation will apply to the entire CIB", *scope));
    CibCall call = call_of(arguments, *command, *input);
    if (style) call.user = "root";  // the user may see nothing at all; what he may see is told on the whole
    auto access = open_cib(cib_source(), log_to(output));
    if (!access) {
        const int rc = legacy_code(access.error());
        output.fail(fmt::format("Could not connect to the CIB API: {}", describe_legacy(rc)));
        output.log(Severity::kWarning, "cibadmin", access.error().what);
        return exit_code_of_legacy(rc);
    }
    auto reply = (*access)->call(call);
    if (!reply) {
        output.fail(fmt::format("CIB API call failed: {}", reply.error().what));
        return exit_code_of_legacy(legacy_code(reply.error()));
    }
    if (reply->rc == cib::rc::kSchemaUnchanged && call.op == cib::Op::kUpgrade) {
        output.line(fmt::format("Upgrade unnecessary: {}", describe_legacy(reply->rc)));
        return ExitCode::kOk;
    }
    if (reply->rc != 0) return refused(*reply, output);
    if (call.op != cib::Op::kQuery || !reply->output) return ExitCode::kOk;
    if (style) {
        const std::string user = *arguments.value("user");
        const cib::Rights rights(*reply->output, user, {});
        show(output, fmt::format("<!-- ACLs as evaluated for user {} -->\n{}", user,
                                 access_view(*reply->output, rights, *style)));
        return ExitCode::kOk;
    }
    show_answer(*reply->output, call, output);
    return ExitCode::kOk;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
