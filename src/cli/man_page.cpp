#include "cli/man_page.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cli/version.h"

namespace systole::cli {
namespace {

// As text that troff shows as it is.
std::string escaped(std::string_view text) {
    std::string out;
    bool line_start = true;
    for (const char c : text) {
        if (line_start && (c == '.' || c == '\'')) out += "\\&";
        if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else {
            out += c;
        }
        line_start = c == '\n';
    }
    return out;
}

void add_options(std::string& page, const std::vector<Option>& options) {
    for (const Option& option : options) {
        if (option.help.empty()) continue;
        page += ".TP\n";
        if (option.short_name != 0) page += fmt::format("\\fB\\-{}\\fR, ", escaped(std::string(1, option.short_name)));
        page += fmt::format("\\fB{}\\fR", escaped(fmt::format("--{}", option.long_name)));
        if (!option.value_name.empty()) page += fmt::format("=\\fI{}\\fR", escaped(option.value_name));
        page += fmt::format("\n{}\n", escaped(option.help));
        if (!option.choices.empty()) {
            std::vector<std::string> choices(option.choices.begin(), option.choices.end());
            page += fmt::format("One of: {}.\n", escaped(join(choices, ", ")));
        }
    }
}

// What is indented, as examples are, keeps its lines.
void add_text(std::string& page, std::string_view text) {
    bool verbatim = false;
    const auto set = [&](bool wanted) {
        if (verbatim != wanted) page += wanted ? ".RS\n.nf\n" : ".fi\n.RE\n";
        verbatim = wanted;
    };
    std::size_t at = 0;
    while (at < text.size()) {
        const auto end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        at = end + 1;
        if (line.empty()) {
            set(false);
            page += ".PP\n";
            continue;
        }
        set(line.front() == '\t' || line.front() == ' ');
        page += escaped(trim(line)) + "\n";
    }
    set(false);
}

}  // namespace

std::string man_page(const CommandSpec& spec) {
    const std::string name(spec.name);
    std::string summary(spec.summary.substr(0, spec.summary.find('\n')));
    // Summaries of some commands begin by the name.
    if (const std::string begin = name + " - "; summary.starts_with(begin)) summary.erase(0, begin.size());

    std::string page =
        fmt::format(".TH {} 8 \"\" \"Systole {}\" \"Cluster administration\"\n", escaped(name), kSystoleVersion);
    page += fmt::format(".SH NAME\n{} \\- {}\n", escaped(name), escaped(summary));
    page += fmt::format(".SH SYNOPSIS\n\\fB{}\\fR {}\n", escaped(name), escaped(spec.usage));
    page += ".SH DESCRIPTION\n";
    add_text(page, spec.summary);
    for (const OptionGroup& group : spec.groups) {
        std::string title(group.title);
        if (title.ends_with(':')) title.pop_back();
        page += fmt::format(".SH \"{}\"\n", escaped(title));
        add_options(page, group.options);
    }
    page += ".SH OPTIONS\n";
    add_options(page, common_options(spec));
    add_options(page, spec.options);
    if (!spec.formats.empty()) add_options(page, output_options(spec).options);
    add_options(page, {{spec.help_short, "help", Value::kNone, "", "Show help and exit"}});
    if (!spec.groups.empty())
        add_options(page, {{0, "help-all", Value::kNone, "", "Show help of all options and exit"}});
    if (!spec.notes.empty()) {
        page += ".SH NOTES\n";
        add_text(page, spec.notes);
    }
    page += ".SH \"EXIT STATUS\"\n0 if all went well; else a number that\n.BR crm_error (8)\nexplains with --exit.\n";
    page += ".SH \"SEE ALSO\"\n.BR crm_error (8),\n.BR crm_mon (8),\n.BR cibadmin (8),\n.BR crm_resource (8)\n";
    return page;
}

}  // namespace systole::cli
