// crm_error — explains result codes.
#include <fmt/format.h>

#include "base/text.h"
#include "cli/command.h"
#include "cli/result_codes.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_error";
    s.usage = "[OPTION?] [-- <rc> [<rc>...]]";
    s.summary = "crm_error - display name or description of a Pacemaker error code";
    s.formats = {"text", "xml", "json"};
    s.options = {
        {'n', "name", Value::kNone, "",
         "Show error's name with its description (useful for looking for sources of the error in source code)"},
        {'l', "list", Value::kNone, "", "Show all known errors (enabled by default if no rc is specified)"},
        {'X', "exit", Value::kNone, "", "Interpret as exit code rather than legacy function return value"},
        {'r', "rc", Value::kNone, "", "Interpret as return code rather than legacy function return value"}};
    return s;
}

xml::NodePtr element(const CodeText& code, bool with_name) {
    xml::Builder result("result-code");
    result.set("code", code.code);
    if (with_name) result.set("name", code.name);
    result.set("description", code.text);
    return std::move(result).build();
}

ExitCode run(const Arguments& arguments, Output& output) {
    const bool with_name = arguments.has("name");
    const CodeFamily family =
        arguments.has("exit") ? CodeFamily::kExit : (arguments.has("rc") ? CodeFamily::kReturn : CodeFamily::kLegacy);
    if (arguments.has("list") || arguments.positional.empty()) {
        for (const CodeText& code : all_codes(family)) {
            output.line(with_name ? fmt::format("{:5}: {:<26}  {}", code.code, code.name, code.text)
                                  : fmt::format("{:5}: {}", code.code, code.text));
            output.add(element(code, with_name));
        }
        return ExitCode::kOk;
    }
    for (const std::string& word : arguments.positional) {
        const auto number = parse_integer(word);
        if (!number || *number < -100'000 || *number > 100'000) {
            output.fail(fmt::format("'{}' is not a result code", word));
            return ExitCode::kUsage;
        }
        const CodeText code = explain(family, static_cast<int>(*number));
        output.line(with_name ? fmt::format("{} - {}", code.name, code.text) : code.text);
        output.add(element(code, with_name));
    }
    return ExitCode::kOk;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
