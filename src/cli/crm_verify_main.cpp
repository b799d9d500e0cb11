// crm_verify — looks for errors in a configuration.
#include <fmt/format.h>

#include "cli/cib_access.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/local_time.h"
#include "cli/schema_directory.h"
#include "cli/status_source.h"
#include "cli/status_view.h"
#include "cli/xml_input.h"
#include "scheduler/schedule.h"
#include "xml/write.h"

namespace systole::cli {
namespace {

using model::Problem;

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_verify";
    s.summary =
        "Check a Pacemaker configuration for errors\n\n"
        "Checks that a complete configuration is well-formed, that it conforms to the\n"
        "schema that it names, and that it has none of the common mistakes. What is\n"
        "reported as an error must be corrected before the cluster works properly;\n"
        "whether a warning matters is for the administrator to decide.";
    s.formats = {"text", "xml", "json"};
    s.groups = {
        {"data",
         "Data sources:",
         "Show data options",
         {{'L', "live-check", Value::kNone, "", "Check the configuration used by the running cluster"},
          {'x', "xml-file", Value::kRequired, "FILE", "Check the configuration in the named file"},
          {'p', "xml-pipe", Value::kNone, "", "Check the configuration piped in via stdin"},
          {'X', "xml-text", Value::kRequired, "XML", "Check the configuration in the supplied string"}}},
        {"additional",
         "Additional options:",
         "Show additional options",
         {{'S', "save-xml", Value::kRequired, "FILE", "Save verified XML to named file (most useful with -L)"}}}};
    s.options = {{'q', "quiet", Value::kNone, "", "Don't print verify information"}};
    s.notes =
        "Examples:\n\n"
        "Check the configuration of the running cluster:\n\n"
        "\tcrm_verify --live-check\n\n"
        "Check the configuration in a file, with details:\n\n"
        "\tcrm_verify --xml-file file.xml --verbose\n";
    return s;
}

// The CIB that is to be checked, or the exit status if there is none.
tl::expected<xml::NodePtr, ExitCode> given_cib(const Arguments& arguments, Output& output) {
    if (const auto text = arguments.value("xml-text")) {
        if (auto cib = parse_given(output, *text)) return *cib;
        output.fail(fmt::format("Couldn't parse input string: {}", *text));
        return tl::unexpected(ExitCode::kData);
    }
    if (arguments.has("xml-pipe")) {
        if (auto cib = parse_given(output, "-")) return *cib;
        output.fail("Couldn't parse input from STDIN.");
        return tl::unexpected(ExitCode::kData);
    }
    if (const auto file = arguments.value("xml-file")) {
        std::string why;
        if (auto cib = parse_file(output, *file, &why)) return *cib;
        output.fail(fmt::format("Couldn't parse input file: {}{}{}", *file, why.empty() ? "" : ": ", why));
        return tl::unexpected(ExitCode::kData);
    }
    if (!arguments.has("live-check")) {
        output.fail("No configuration source specified. Use --help for usage information.");
        return tl::unexpected(ExitCode::kUsage);
    }
    auto access = open_cib(cib_source(), log_to(output));
    auto cib = access ? (*access)->query() : Result<xml::NodePtr>(tl::unexpected(access.error()));
    if (cib) return *cib;
    output.fail(fmt::format("Live CIB query failed: {}", cib.error().what));
    return tl::unexpected(exit_code_of_legacy(legacy_code(cib.error())));
}

// What is wrong is said to programs always, to people if they want details.
class Findings {
public:
    Findings(Output& output, bool shown) : out_(output), shown_(shown || output.is_structured()) {}
    void error(std::string_view text) { say("error", text, errors_); }
    void warning(std::string_view text) { say("warning", text, warnings_); }
    [[nodiscard]] bool any_errors() const { return errors_ > 0; }
    [[nodiscard]] bool any_warnings() const { return warnings_ > 0; }

private:
    void say(const char* kind, std::string_view text, int& count) {
        ++count;
        if (shown_) out_.error(fmt::format("{}: {}", kind, text));
    }
    Output& out_;
    bool shown_;
    int errors_ = 0;
    int warnings_ = 0;
};

ExitCode run(const Arguments& arguments, Output& output) {
    auto cib = given_cib(arguments, output);
    if (!cib) return cib.error();
    if (!(*cib)->is("cib")) {
        output.fail("This tool can only check complete configurations (i.e. those starting with <cib>).");
        return ExitCode::kData;
    }
    if (const auto file = arguments.value("save-xml")) {
        const auto written = overwrite_file(*file, xml::write(**cib, {.pretty = true}));
        if (!written) {
            output.fail(fmt::format("Could not save verified XML: {}", written.error().what));
            return ExitCode::kCannotCreate;
        }
    }
    const bool quiet = arguments.has("quiet");
    Findings findings(output, arguments.verbosity > 0 && !quiet);
    const auto schemas = open_schemas();
    const auto valid = schemas->validate(**cib);

    const auto newest = upgraded(*cib);
    const auto plan = scheduler::schedule({.cib = newest ? *newest : *cib, .now = now()});
    if (!plan) {
        findings.error(plan.error().what);
    } else {
        for (const Problem& problem : plan->problems) {
            switch (problem.kind) {
                case Problem::Kind::kConfigError: findings.error(problem.text); break;
                case Problem::Kind::kConfigWarning: findings.warning(problem.text); break;
                case Problem::Kind::kError: output.log(Severity::kError, origin_of(problem.text), problem.text); break;
                case Problem::Kind::kWarning:
                    output.log(Severity::kWarning, origin_of(problem.text), problem.text);
                    break;
            }
        }
    }
    if (!valid) {
        for (const std::string_view line : split(valid.error().what, "\n"))
            output.log(Severity::kNotice, "crm_verify", line);
    }
    // The reference says so of every error, whether it was the schema or the scheduler that found it.
    if (!valid || findings.any_errors()) findings.error("CIB did not pass schema validation");
    if (!findings.any_errors() && !findings.any_warnings()) return ExitCode::kOk;
    if (!quiet) {
        const std::string hint =
            arguments.verbosity > 0 || output.is_structured() ? "" : " (-V may provide more detail)";
        output.error("Configuration invalid" + hint);
    }
    return ExitCode::kConfig;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
