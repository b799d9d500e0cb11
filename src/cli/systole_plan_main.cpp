// systole plan — what a change of the CIB would make the cluster do, before it is made.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "cib/operations.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/result_codes.h"
#include "cli/schema_directory.h"
#include "cli/snapshot_input.h"
#include "scheduler/schedule.h"
#include "xml/parse.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "systole plan";
    s.usage = "[OPTION?]";
    s.summary = "systole plan - show what the cluster would do if the CIB were changed; nothing is changed";
    s.formats = {"text", "xml", "json"};
    s.groups = {
        {"change",
         "Change (in the order given; XML is text, or @FILE):",
         "Show options for changes",
         {{0, "new", Value::kRequired, "FILE", "The configuration of the named CIB in place of the present one"},
          {'C', "create", Value::kRequired, "XML", "Add what is not there yet (as cibadmin --create)"},
          {'M', "modify", Value::kRequired, "XML", "Change or add (as cibadmin --modify --allow-create)"},
          {'D', "delete", Value::kRequired, "XML", "Take out (as cibadmin --delete)"},
          {'o', "scope", Value::kRequired, "SECTION", "Section that these are about, until the next --scope"}}},
        snapshot_options()};
    return s;
}

std::optional<xml::NodePtr> given_xml(const std::string& text, Output& output) {
    std::string content = text;
    if (text.starts_with('@')) {
        const auto file = read_file(text.substr(1));
        if (!file) {
            output.fail(file.error().what);
            return std::nullopt;
        }
        content = *file;
    }
    auto parsed = xml::parse(content);
    if (parsed) return *parsed;
    output.fail(parsed.error().what);
    return std::nullopt;
}

/// The CIB after the changes that the command line asks for.
tl::expected<xml::NodePtr, ExitCode> changed(const xml::NodePtr& original, const Arguments& arguments, Output& output) {
    xml::NodePtr cib = original;
    std::string scope;
    const auto schemas = open_schemas();
    for (const Given& given : arguments.given) {
        if (given.name == "scope") {
            scope = given.value.value_or("");
        } else if (given.name == "new") {
            const auto text = read_file(given.value.value_or(""));
            auto wanted = text ? xml::parse(*text) : tl::unexpected(text.error());
            if (!wanted || !(*wanted)->is("cib") || (*wanted)->child("configuration") == nullptr) {
                output.fail(!wanted ? wanted.error().what : "the file given with --new holds no configuration");
                return tl::unexpected(ExitCode::kConfig);
            }
            xml::Builder builder(*cib);
            if ((*wanted)->has("validate-with")) builder.set("validate-with", (*wanted)->get("validate-with"));
            for (std::size_t i = 0; i < builder.children().size(); ++i) {
                if (builder.children()[i]->is("configuration")) {
                    builder.replace(i, (*wanted)->child_ptr("configuration"));
                }
            }
            cib = std::move(builder).build();
        } else if (given.name == "create" || given.name == "modify" || given.name == "delete") {
            const auto input = given_xml(given.value.value_or(""), output);
            if (!input) return tl::unexpected(ExitCode::kData);
            const cib::Op op = given.name == "create"   ? cib::Op::kCreate
                               : given.name == "modify" ? cib::Op::kModify
                                                        : cib::Op::kDelete;
            const cib::Request request = cib::read_request(
                cib::make_request(op, scope, *input, given.name == "modify" ? cib::option::kCanCreate : 0));
            cib::World world;
            world.schemas = schemas.get();
            const cib::Outcome outcome = cib::execute(cib, request, world);
            if (outcome.rc != 0) {
                output.fail(fmt::format("--{} is refused: {}{}{}", given.name,
                                        explain(CodeFamily::kLegacy, std::abs(outcome.rc)).text,
                                        outcome.why.empty() ? "" : ": ", outcome.why));
                return tl::unexpected(ExitCode::kConfig);
            }
            cib = outcome.cib;
        }
    }
    return cib;
}

std::vector<std::string> lines_of(const scheduler::Plan& plan) {
    std::vector<std::string> lines;
    for (const auto& line : plan.summary) lines.push_back(line.text);
    return lines;
}

void report(Output& output, const scheduler::Plan& before, const scheduler::Plan& after) {
    const auto old_lines = lines_of(before), new_lines = lines_of(after);
    const auto absent_in = [](const std::vector<std::string>& list, const std::string& line) {
        return std::ranges::find(list, line) == list.end();
    };
    std::vector<std::string> added, dropped, kept;
    for (const std::string& line : new_lines) (absent_in(old_lines, line) ? added : kept).push_back(line);
    for (const std::string& line : old_lines) {
        if (absent_in(new_lines, line)) dropped.push_back(line);
    }
    xml::Builder element("plan");
    const auto tell = [&](std::string_view title, std::string_view name, const std::vector<std::string>& lines) {
        if (!lines.empty()) {
            output.begin_list(title);
            for (const std::string& line : lines) output.item(line);
            output.end_list();
        }
        for (const std::string& line : lines) {
            xml::Builder action("action");
            action.set("change", name).set("text", line);
            element.add(std::move(action));
        }
    };
    tell("Because of the change, the cluster would", "added", added);
    tell("Because of the change, the cluster would no longer", "dropped", dropped);
    tell("As without the change, the cluster would", "kept", kept);
    if (added.empty() && dropped.empty()) output.line("The change makes the cluster do nothing else than now.");
    std::set<std::string> known;
    for (const auto& problem : before.problems) known.insert(problem.text);
    std::vector<std::string> problems;
    for (const auto& problem : after.problems) {
        if (known.insert(problem.text).second) problems.push_back(problem.text);
    }
    if (!problems.empty()) {
        output.begin_list("New problems");
        for (const std::string& text : problems) output.item(text);
        output.end_list();
    }
    for (const std::string& text : problems) element.add(std::move(xml::Builder("problem").set("text", text)));
    output.add(std::move(element));
}

ExitCode run(const Arguments& arguments, Output& output) {
    const auto snapshot = read_snapshot(arguments, output);
    if (!snapshot) {
        output.fail(snapshot.error().what);
        return snapshot.error().code;
    }
    const auto cib = changed(snapshot->original, arguments, output);
    if (!cib) return cib.error();
    const auto newest = upgraded_if_valid(*cib, output);
    if (!newest) {
        output.fail(newest.error().what);
        return newest.error().code;
    }
    const auto before = scheduler::schedule({.cib = snapshot->cib, .now = snapshot->now, .sanitized = true});
    const auto after = scheduler::schedule({.cib = *newest, .now = snapshot->now, .sanitized = true});
    if (!before || !after) {
        output.fail((before ? after : before).error().what);
        return ExitCode::kConfig;
    }
    report(output, *before, *after);
    return ExitCode::kOk;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
