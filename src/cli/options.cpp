#include "cli/options.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/version.h"

namespace systole::cli {
namespace {

const Option* find_long(const std::vector<Option>& options, std::string_view name) {
    const auto found = std::ranges::find(options, name, &Option::long_name);
    return found == options.end() ? nullptr : &*found;
}

const Option* find_short(const std::vector<Option>& options, char name) {
    const auto found = std::ranges::find_if(options, [name](const Option& o) { return o.short_name == name; });
    return found == options.end() || name == 0 ? nullptr : &*found;
}

std::vector<Option> all_options(const CommandSpec& spec) {
    std::vector<Option> all = common_options(spec);
    std::ranges::copy(spec.options, std::back_inserter(all));
    for (const OptionGroup& group : spec.groups) std::ranges::copy(group.options, std::back_inserter(all));
    if (!spec.formats.empty()) std::ranges::copy(output_options(spec).options, std::back_inserter(all));
    all.push_back({spec.help_short, "help", Value::kNone, "", ""});
    all.push_back({0, "help-all", Value::kNone, "", ""});
    if (!spec.formats.empty()) all.push_back({0, "help-output", Value::kNone, "", ""});
    return all;
}

// As a shell would need it, and as the reference quotes its command line in XML.
std::string quoted(const std::string& argument) {
    const bool plain = std::ranges::none_of(argument, [](char c) { return c == ' ' || c == '\t' || c == '\n'; });
    if (plain && !argument.empty()) return argument;
    std::string text = "'";
    for (const char c : argument) {
        if (c == '\'') {
            text += "'\\''";
        } else {
            text += c;
        }
    }
    return text + "'";
}

std::string shown(const Option& option) {
    std::string text;
    if (option.short_name != 0) text += fmt::format("-{}, ", option.short_name);
    text += fmt::format("--{}", option.long_name);
    if (!option.value_name.empty()) text += fmt::format("={}", option.value_name);
    return text;
}

void print_options(std::string& text, const std::vector<Option>& options, std::size_t width) {
    for (const Option& option : options) {
        if (option.help.empty()) continue;
        const auto lines = split(option.help, "\n");
        text += fmt::format("  {:<{}}     {}\n", shown(option), width, lines.front());
        for (std::size_t i = 1; i < lines.size(); ++i) text += fmt::format("{:{}}{}\n", "", width + 7, lines[i]);
    }
}

// Splits bundles ("-1rf", "-ndb") so that each option stands alone, which is also how the request is shown.
std::vector<std::string> split_bundles(const std::vector<Option>& options, const std::vector<std::string>& argv) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < argv.size(); ++i) {
        const std::string& argument = argv[i];
        if (argument == "--") {
            out.insert(out.end(), argv.begin() + static_cast<std::ptrdiff_t>(i), argv.end());
            break;
        }
        if (argument.starts_with("--")) {
            out.push_back(argument);
            const Option* option = find_long(options, std::string_view(argument).substr(2));
            if (option != nullptr && option->value == Value::kRequired && i + 1 < argv.size()) out.push_back(argv[++i]);
            continue;
        }
        if (argument.size() < 2 || argument.front() != '-') {
            out.push_back(argument);
            continue;
        }
        for (std::size_t at = 1; at < argument.size(); ++at) {
            const Option* option = find_short(options, argument[at]);
            out.push_back({'-', argument[at]});
            if (option == nullptr || option->value == Value::kNone) continue;
            if (at + 1 < argument.size()) {
                out.push_back(argument.substr(at + 1 + (argument[at + 1] == '=' ? 1 : 0)));
            } else if (option->value == Value::kRequired && i + 1 < argv.size()) {
                out.push_back(argv[++i]);  // whatever it looks like: "-v -INFINITY"
            }
            break;
        }
    }
    return out;
}

}  // namespace

bool Arguments::has(std::string_view long_name) const {
    return std::ranges::find(given, long_name, &Given::name) != given.end();
}

std::optional<std::string> Arguments::value(std::string_view long_name) const {
    std::optional<std::string> last;
    for (const Given& one : given) {
        if (one.name == long_name && one.value) last = one.value;
    }
    return last;
}

std::vector<std::string> Arguments::values(std::string_view long_name) const {
    std::vector<std::string> all;
    for (const Given& one : given) {
        if (one.name == long_name && one.value) all.push_back(*one.value);
    }
    return all;
}

Result<Arguments> read_arguments(const CommandSpec& spec, const std::vector<std::string>& argv) {
    const std::vector<Option> options = all_options(spec);
    const std::vector<std::string> words = split_bundles(options, argv);
    Arguments result;
    result.request = spec.name;
    for (const std::string& word : words) result.request += " " + quoted(word);

    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (word == "--") {
            for (++i; i < words.size(); ++i) result.positional.push_back(words[i]);
            break;
        }
        if (word.size() < 2 || word.front() != '-') {
            result.positional.emplace_back(word);
            continue;
        }
        const Option* option = nullptr;
        std::optional<std::string> value;
        std::string_view name = word;
        if (word.starts_with("--")) {
            const auto equals = word.find('=');
            name = word.substr(0, equals);
            option = find_long(options, name.substr(2));
            if (equals != std::string_view::npos) value = word.substr(equals + 1);
            for (const OptionGroup& group : spec.groups) {
                if (option == nullptr && name == fmt::format("--help-{}", group.name)) {
                    result.given.push_back({std::string(name.substr(2)), {}});
                    name = {};
                }
            }
            if (name.empty()) continue;
        } else {
            option = find_short(options, word[1]);
        }
        if (option == nullptr || (value && option->value == Value::kNone)) {
            return systole::fail(Errc::kInvalid, fmt::format("Unknown option {}", word));
        }
        if (option->value != Value::kNone && !value) {
            const bool more = i + 1 < words.size();
            if (option->value == Value::kRequired) {
                if (!more) return systole::fail(Errc::kInvalid, fmt::format("Missing argument for {}", name));
                value = words[++i];
            } else if (more && !words[i + 1].starts_with('-')) {
                value = words[++i];
            }
        }
        if (value && !option->choices.empty() && std::ranges::find(option->choices, *value) == option->choices.end())
            return systole::fail(Errc::kInvalid, fmt::format("Error parsing option {}", name));
        if (option->long_name == "verbose") ++result.verbosity;
        result.given.push_back({std::string(option->long_name), std::move(value)});
    }
    return result;
}

std::vector<Option> common_options(const CommandSpec&) {
    return {{'$', "version", Value::kNone, "", "Display software version and exit"},
            {'V', "verbose", Value::kNone, "", "Increase debug output (may be specified multiple times)"}};
}

OptionGroup output_options(const CommandSpec& spec) {
    static constexpr std::array kHelp{
        "Specify output format as one of: console (default), html, text, xml, json",
        "Specify output format as one of: text (default), xml, json",
    };
    const bool console = !spec.formats.empty() && spec.formats.front() == "console";
    const bool html = std::ranges::find(spec.formats, "html") != spec.formats.end();
    OptionGroup group{"output", "Output Options:", "Show output help", {}};
    group.options.push_back({0, "output-as", Value::kRequired, "FORMAT", console ? kHelp[0] : kHelp[1]});
    group.options.push_back(
        {0, "output-to", Value::kRequired, "DEST", "Specify file name for output (or \"-\" for stdout)"});
    if (html) {
        group.options.push_back({0, "html-cgi", Value::kNone, "", "Add CGI headers (requires --output-as=html)"});
        group.options.push_back({0, "html-stylesheet", Value::kRequired, "URI",
                                 "Link to an external stylesheet (requires --output-as=html)"});
        group.options.push_back(
            {0, "html-title", Value::kRequired, "TITLE", "Specify a page title (requires --output-as=html)"});
    }
    group.options.push_back(
        {0, "text-fancy", Value::kNone, "", "Use more highly formatted output (requires --output-as=text)"});
    return group;
}

std::optional<std::string> help_text(const CommandSpec& spec, std::string_view topic) {
    std::vector<OptionGroup> groups;
    if (!spec.formats.empty()) groups.push_back(output_options(spec));
    std::ranges::copy(spec.groups, std::back_inserter(groups));
    const bool all = topic == "all";

    std::vector<Option> help{{spec.help_short, "help", Value::kNone, "", "Show help options"},
                             {0, "help-all", Value::kNone, "", "Show all help options"}};
    std::vector<std::string> names;  // keeps the texts that the options point into
    names.reserve(groups.size());
    for (const OptionGroup& group : groups) {
        names.push_back(fmt::format("help-{}", group.name));
        help.push_back({0, names.back(), Value::kNone, "", group.help});
    }
    std::vector<Option> application = common_options(spec);
    std::ranges::copy(spec.options, std::back_inserter(application));

    std::size_t width = 10;
    for (const OptionGroup& group : groups) {
        width = std::max(width, group.name.size() + 9);
        for (const Option& option : group.options) width = std::max(width, shown(option).size());
    }
    for (const Option& option : application) width = std::max(width, shown(option).size());

    std::string text = fmt::format("Usage:\n  {} {}\n\n{}\n\n", spec.name, spec.usage, spec.summary);
    if (topic.empty() || all) {
        text += "Help Options:\n";
        print_options(text, help, width);
        text += "\n";
    }
    bool found = topic.empty() || all;
    for (const OptionGroup& group : groups) {
        if (!all && topic != group.name) continue;
        found = true;
        text += fmt::format("{}\n", group.title);
        print_options(text, group.options, width);
        text += "\n";
    }
    if (!found) return std::nullopt;
    if (topic.empty() || all) {
        text += "Application Options:\n";
        print_options(text, application, width);
        text += "\n";
    }
    if (!spec.notes.empty()) text += fmt::format("{}\n", spec.notes);
    return text;
}

}  // namespace systole::cli
