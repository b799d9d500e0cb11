// crm_rule — tells whether rules of the configuration are in effect.
#include <cstdio>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/local_time.h"
#include "cli/status_source.h"
#include "cli/xml_input.h"
#include "rules/evaluate.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_rule";
    s.summary = "evaluate rules from the Pacemaker configuration";
    s.formats = {"text", "xml", "json"};
    s.groups = {
        {"modes",
         "Modes (mutually exclusive):",
         "Show modes of operation",
         {{'c', "check", Value::kNone, "", "Check whether a rule is in effect"}}},
        {"data",
         "Data:",
         "Show data options",
         {{'X', "xml-text", Value::kRequired, "", "Use argument for XML (or stdin if '-')"}}},
        {"additional",
         "Additional Options:",
         "Show additional options",
         {{'d', "date", Value::kRequired, "", "Whether the rule is in effect on a given date"},
          {'r', "rule", Value::kRequired, "", "The ID of the rule to check (may be specified multiple times)"}}}};
    return s;
}

void find_rules(const xml::Node& node, std::string_view id, std::vector<const xml::Node*>& found) {
    if (node.is("rule") && node.id() == id) found.push_back(&node);
    for (const xml::NodePtr& child : node.children()) find_rules(*child, id, found);
}

void find_dates(const xml::Node& node, std::vector<const xml::Node*>& found) {
    for (const xml::NodePtr& child : node.children()) {
        if (child->is("date_expression")) found.push_back(child.get());
        if (child->is("rule")) find_dates(*child, found);
    }
}

struct Verdict {
    ExitCode code;
    std::string text;
};

Verdict check(const xml::Node& cib, const std::string& id, const rules::DateTime& at) {
    const auto undetermined = [&id](ExitCode code, std::string_view why) {
        return Verdict{code, fmt::format("Could not determine whether rule {} is in effect: {}", id, why)};
    };
    std::vector<const xml::Node*> found;
    find_rules(cib, id, found);
    if (found.empty()) return undetermined(ExitCode::kNoSuchObject, "Rule not found");
    if (found.size() > 1)
        return undetermined(ExitCode::kMultiple, fmt::format("More than one rule with ID '{}' found", id));
    const xml::Node& rule = *found.front();

    // What can be told of a rule without a node, a resource or an operation is whether its one date has come.
    std::vector<const xml::Node*> dates;
    find_dates(rule, dates);
    if (dates.empty()) return undetermined(ExitCode::kUnimplemented, "Rule does not have a date expression");
    if (dates.size() > 1) return undetermined(ExitCode::kUnimplemented, "Rule has more than one date expression");
    if (dates.front()->get("operation") == "date_spec") {
        const xml::Node* spec = dates.front()->child("date_spec");
        if (spec == nullptr || !spec->has("years")) {
            return undetermined(ExitCode::kUnimplemented,
                                "Rule must either not use date_spec, or use date_spec with years=");
        }
    }
    rules::Input input;
    input.now = at;
    switch (rules::evaluate_condition(*dates.front(), input).outcome) {
        case rules::Outcome::kTrue:
            if (dates.front()->get("operation") == "date_spec") {
                return {ExitCode::kOk, fmt::format("Rule {} satisfies conditions", id)};
            }
            return {ExitCode::kOk, fmt::format("Rule {} is still in effect", id)};
        case rules::Outcome::kBefore:
            return {ExitCode::kNotYetInEffect, fmt::format("Rule {} has not yet taken effect", id)};
        case rules::Outcome::kAfter: return {ExitCode::kExpired, fmt::format("Rule {} is expired", id)};
        case rules::Outcome::kFalse:
        case rules::Outcome::kUndetermined:
        case rules::Outcome::kInvalid: break;
    }
    return {ExitCode::kIndeterminate, fmt::format("Could not determine whether rule {} is expired", id)};
}

ExitCode run(const Arguments& arguments, Output& output) {
    if (!arguments.has("check")) {
        output.fail("No mode operation given");
        return ExitCode::kUsage;
    }
    const std::vector<std::string> ids = arguments.values("rule");
    if (ids.empty()) {
        output.fail("--check requires use of --rule=");
        return ExitCode::kUsage;
    }
    rules::DateTime at = now();
    if (const auto text = arguments.value("date")) {
        auto date = rules::parse_date_time(*text, at);
        if (!date) {
            output.fail(fmt::format("Invalid date specified: {}", *text));
            return ExitCode::kUsage;
        }
        at = *date;
    }
    xml::NodePtr cib;
    if (const auto text = arguments.value("xml-text")) {
        auto parsed = parse_given(output, *text);
        if (!parsed) {
            output.fail(*text == "-" ? "Couldn't parse input from STDIN"
                                     : fmt::format("Couldn't parse input string: {}", *text));
            return ExitCode::kData;
        }
        cib = *parsed;
    } else {
        auto source = open_source();
        auto queried =
            source ? (*source)->query() : tl::expected<xml::NodePtr, SourceError>(tl::unexpected(source.error()));
        if (queried) queried = upgraded(*queried);
        if (!queried) {
            output.fail(fmt::format("Could not connect to CIB: {}", queried.error().what));
            return queried.error().code;
        }
        cib = *queried;
    }
    ExitCode last = ExitCode::kOk;
    for (const std::string& id : ids) {
        const Verdict verdict = check(*cib, id, at);
        last = verdict.code;
        output.add(xml::Builder("rule-check").set("rule-id", id).set("rc", static_cast<int>(verdict.code)));
        const bool answered = verdict.code == ExitCode::kOk || verdict.code == ExitCode::kExpired ||
                              verdict.code == ExitCode::kNotYetInEffect;
        if (answered) {
            output.line(verdict.text);
        } else {
            output.error(verdict.text);
        }
    }
    return last;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
