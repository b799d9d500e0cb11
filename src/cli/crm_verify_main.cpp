// crm_verify — checks a CIB: by its schema, and by what the scheduler makes of it.
// Source: crm_verify(8); recorded output of Pacemaker 3.0.
#include <fmt/format.h>

#include "base/exit_code.h"
#include "cli/cib_access.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/local_time.h"
#include "cli/schema_directory.h"
#include "scheduler/schedule.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_verify";
    s.summary =
        "Check a Pacemaker configuration for errors\n\n"
        "Check the well-formedness of a complete Pacemaker XML configuration,\n"
        "its conformance to the configured schema, and the presence of common\n"
        "misconfigurations. Problems reported as errors must be fixed before the\n"
        "cluster will work properly. It is left to the administrator to decide\n"
        "whether to fix problems reported as warnings.";
    s.formats = {"text", "xml", "json"};
    s.groups = {{"data",
                 "Data sources:",
                 "Show data options",
                 {{'L', "live-check", Value::kNone, "", "Check the configuration used by the running cluster"},
                  {'x', "xml-file", Value::kRequired, "FILE", "Check the configuration in the named file"},
                  {'p', "xml-pipe", Value::kNone, "", "Check the configuration piped in via stdin"},
                  {'X', "xml-text", Value::kRequired, "XML", "Check the configuration in the supplied string"}}},
                {"additional",
                 "Additional options:",
                 "Show additional options",
                 {{'S', "save-xml", Value::kRequired, "FILE", "Save verified XML to named file (most useful with -L)"},
                  {'q', "quiet", Value::kNone, "", "Don't print verify information"}}}};
    s.notes =
        "Examples:\n\n"
        "Check the consistency of the configuration in the running cluster:\n\n\t# crm_verify --live-check\n\n"
        "Check the consistency of the configuration in a given file and produce verbose output:\n\n"
        "\t# crm_verify --xml-file file.xml --verbose";
    return s;
}

struct Failure {
    ExitCode code;
    std::string what;
};

tl::expected<xml::NodePtr, Failure> given_cib(const Arguments& arguments, Output& output) {
    const auto unreadable = [](const Error& error) {
        return tl::unexpected(Failure{ExitCode::kData, fmt::format("Couldn't parse input: {}", error.what)});
    };
    if (arguments.has("live-check")) {
        auto access = open_cib(cib_source(), log_to(output));
        if (!access) {
            const int rc = legacy_code(access.error());
            return tl::unexpected(
                Failure{exit_code_of_legacy(rc), fmt::format("Live CIB query failed: {}", describe_legacy(rc))});
        }
        auto cib = (*access)->query();
        if (!cib) {
            return tl::unexpected(Failure{exit_code_of_legacy(legacy_code(cib.error())),
                                          fmt::format("Live CIB query failed: {}", cib.error().what)});
        }
        return *cib;
    }
    if (const auto text = arguments.value("xml-text")) {
        auto cib = xml::parse(*text);
        if (!cib) return unreadable(cib.error());
        return *cib;
    }
    const auto path = arguments.has("xml-pipe") ? std::optional<std::string>("-") : arguments.value("xml-file");
    if (!path) {
        return tl::unexpected(
            Failure{ExitCode::kUsage, "No configuration source specified. Use --help for usage information."});
    }
    auto cib = read_xml_file(*path);
    if (!cib) return unreadable(cib.error());
    return *cib;
}

// A configuration without status is verified as that of a cluster that was never started.
xml::NodePtr with_status(const xml::NodePtr& cib) {
    if (cib->child("status") != nullptr) return cib;
    return std::move(xml::Builder(*cib).add(xml::Builder("status"))).build();
}

class Verification {
public:
    Verification(const Arguments& arguments, Output& output) : arguments_(arguments), output_(output) {}

    ExitCode run() {
        auto given = given_cib(arguments_, output_);
        if (!given) {
            output_.fail(given.error().what);
            return given.error().code;
        }
        if (!(*given)->is("cib")) {
            output_.fail(
                fmt::format("This tool can only check complete configurations (those starting with <cib>), "
                            "not <{}>",
                            (*given)->name()));
            return ExitCode::kData;
        }
        if (const auto path = arguments_.value("save-xml")) {
            if (const auto saved = replace_file(*path, xml::write(**given, {.pretty = true})); !saved) {
                output_.fail(fmt::format("Could not save configuration: {}", saved.error().what));
                return ExitCode::kCannotCreate;
            }
        }
        check(with_status(*given));
        return verdict();
    }

private:
    void check(const xml::NodePtr& cib) {
        const auto schemas = open_schemas();
        const auto valid = schemas->validate(*cib);
        const auto upgraded = schemas->upgrade(cib);
        const auto plan = scheduler::schedule({.cib = upgraded.cib, .now = now()});
        if (plan) {
            for (const model::Problem& problem : plan->problems) note(problem);
        } else {
            error(plan.error().what);
        }
        if (!valid) {
            for (const std::string_view line : split_lines(valid.error().what)) detail_.emplace_back(line);
        } else if (upgraded.schema != schemas->newest()) {
            error("The cluster will NOT be able to use this configuration.");
            error(fmt::format("Please manually update the configuration to conform to the {} syntax.",
                              schemas->newest()));
        }
        if (!valid || errors_) error("CIB did not pass schema validation");
    }

    static std::vector<std::string_view> split_lines(std::string_view text) {
        std::vector<std::string_view> lines;
        while (!text.empty()) {
            const std::size_t end = text.find('\n');
            lines.push_back(text.substr(0, end));
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        }
        return lines;
    }

    void note(const model::Problem& problem) {
        using Kind = model::Problem::Kind;
        switch (problem.kind) {
            case Kind::kConfigError: error(problem.text); return;
            case Kind::kConfigWarning:
                warnings_ = true;
                lines_.push_back("warning: " + problem.text);
                return;
            case Kind::kError: output_.log(Severity::kError, "crm_verify", problem.text); return;
            case Kind::kWarning: output_.log(Severity::kWarning, "unpack_config", problem.text); return;
        }
    }

    void error(const std::string& text) {
        errors_ = true;
        lines_.push_back("error: " + text);
    }

    ExitCode verdict() {
        const bool detailed = output_.is_structured() || arguments_.verbosity > 0;
        const bool quiet = arguments_.has("quiet");
        if (detailed) {
            for (const std::string& line : lines_) output_.error(line);
        }
        if (arguments_.verbosity > 0) {
            for (const std::string& line : detail_) output_.log(Severity::kError, "crm_verify", line);
        }
        if (!errors_ && !warnings_) return ExitCode::kOk;
        if (!quiet) {
            const char* what = errors_ ? "Configuration invalid" : "Configuration has warnings";
            output_.error(detailed ? std::string(what) : fmt::format("{} (-V may provide more detail)", what));
        }
        return ExitCode::kConfig;
    }

    const Arguments& arguments_;
    Output& output_;
    bool errors_ = false;
    bool warnings_ = false;
    std::vector<std::string> lines_;
    std::vector<std::string> detail_;
};

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv,
                                      [](const systole::cli::Arguments& arguments, systole::cli::Output& output) {
                                          return systole::cli::Verification(arguments, output).run();
                                      });
}
