#pragma once
// cli/options.h — option tables: what a command line may hold, its help text, and reading it.
//
// Command lines are compatibility: short options can be bundled ("-1rf"), a value may be attached ("-ndb", "--name=db")
// or be the next argument, "--" ends options. An optional value is taken from the next argument if that doesn't begin
// with '-'. Usage errors read as the reference's do.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace systole::cli {

enum class Value : std::uint8_t { kNone, kRequired, kOptional };

struct Option {
    char short_name = 0;  ///< 0: none
    std::string_view long_name;
    Value value = Value::kNone;
    std::string_view value_name;              ///< in help; may be empty although a value is taken
    std::string_view help;                    ///< lines after the first are indented; empty: not shown
    std::vector<std::string_view> choices{};  ///< what the value may be; empty: anything
};

struct OptionGroup {
    std::string_view name;   ///< "display": gives --help-display
    std::string_view title;  ///< "Display Options:"
    std::string_view help;   ///< "Show display options"
    std::vector<Option> options;
};

struct CommandSpec {
    std::string_view name;                  ///< "crm_mon"
    std::string_view usage = "[OPTION?]";   ///< after the name in "Usage:"
    std::string_view summary;               ///< first paragraphs of the help
    std::vector<std::string_view> formats;  ///< of --output-as, the default first; empty: the command has none
    std::vector<OptionGroup> groups;
    std::vector<Option> options;  ///< "Application Options", besides version and verbose
    std::string_view notes;       ///< after the options
    char help_short = 'h';
};

struct Given {
    std::string name;  ///< long name
    std::optional<std::string> value;
};

/// A command line as read.
struct Arguments {
    std::vector<Given> given;  ///< in order
    std::vector<std::string> positional;
    std::string request;  ///< the command line as XML output quotes it
    int verbosity = 0;

    [[nodiscard]] bool has(std::string_view long_name) const;
    /// The last value given; empty if the option is absent or has no value.
    [[nodiscard]] std::optional<std::string> value(std::string_view long_name) const;
    [[nodiscard]] std::vector<std::string> values(std::string_view long_name) const;
};

/// `argv` without the program's name. Errors: kInvalid, "Unknown option --foo", "Missing argument for -r", "Error
/// parsing option --foo" for a value that is none of its choices.
Result<Arguments> read_arguments(const CommandSpec& spec, const std::vector<std::string>& argv);

/// `topic`: "" for --help, "all" or a group's name. Empty if there is no such topic.
std::optional<std::string> help_text(const CommandSpec& spec, std::string_view topic);

/// Options that every command has, and those of commands with a choice of output formats.
std::vector<Option> common_options(const CommandSpec& spec);
OptionGroup output_options(const CommandSpec& spec);

}  // namespace systole::cli
