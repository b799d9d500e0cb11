// crm_mon — shows the state of the cluster, once or as it changes.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/local_time.h"
#include "cli/monitor.h"
#include "cli/status_source.h"
#include "cli/status_view.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_mon";
    s.summary =
        "Provides a summary of cluster's current state.\n\n"
        "Outputs varying levels of detail in a number of different formats.";
    s.formats = {"console", "html", "text", "xml", "json", "none"};
    s.groups = {
        {"display",
         "Display Options:",
         "Show display options",
         {{'I', "include", Value::kRequired, "SECTION(s)",
           "A list of sections to include in the output.\nSee `Output Control` help for more information."},
          {'U', "exclude", Value::kRequired, "SECTION(s)",
           "A list of sections to exclude from the output.\nSee `Output Control` help for more information."},
          {0, "node", Value::kRequired, "NODE",
           "When displaying information about nodes, show only what's related to the given\n"
           "node, or to all nodes tagged with the given tag"},
          {0, "resource", Value::kRequired, "RSC",
           "When displaying information about resources, show only what's related to the given\n"
           "resource, or to all resources tagged with the given tag"},
          {'n', "group-by-node", Value::kNone, "", "Group resources by node"},
          {'r', "inactive", Value::kNone, "", "Display inactive resources"},
          {'f', "failcounts", Value::kNone, "", "Display resource fail counts"},
          {'o', "operations", Value::kNone, "", "Display resource operation history"},
          {'t', "timing-details", Value::kNone, "", "Display resource operation history with timing details"},
          {'c', "tickets", Value::kNone, "", "Display cluster tickets"},
          {'m', "fence-history", Value::kOptional, "LEVEL",
           "Show fence history:\n0=off, 1=failures and pending (default without option),\n"
           "2=add successes (default without value for option),\n"
           "3=show full history without reduction to most recent of each flavor"},
          {'L', "neg-locations", Value::kOptional, "",
           "Display negative location constraints [optionally filtered by id prefix]"},
          {'A', "show-node-attributes", Value::kNone, "", "Display node attributes"},
          {'D', "hide-headers", Value::kNone, "", "Hide all headers"},
          {'R', "show-detail", Value::kNone, "", "Show more details (node IDs, individual clone instances)"},
          {'b', "brief", Value::kNone, "", "Brief output"}}},
        {"additional",
         "Additional Options:",
         "Show additional options",
         {{'i', "interval", Value::kRequired, "TIMESPEC", "Update frequency (default is 5 seconds)"},
          {'1', "one-shot", Value::kNone, "", "Display the cluster status once and exit"},
          {'d', "daemonize", Value::kNone, "",
           "Run in the background as a daemon.\nRequires at least one of --output-to and --external-agent."},
          {'p', "pid-file", Value::kRequired, "FILE", "(Advanced) Daemon pid file location"},
          {'E', "external-agent", Value::kRequired, "FILE", "A program to run when resource operations take place"},
          {'e', "external-recipient", Value::kRequired, "RCPT",
           "A recipient for your program (assuming you want the program to send something to someone)."},
          {'W', "watch-fencing", Value::kNone, "", "Listen for fencing events. For use with --external-agent."},
          {'x', "xml-file", Value::kRequired, "FILE", "Show the state that this file describes (\"-\": stdin)"}}},
        {"deprecated",
         "Deprecated Options:",
         "Show deprecated options",
         {{0, "as-html", Value::kRequired, "FILE",
           "Write cluster status to the named HTML file.\nUse --output-as=html --output-to=FILE instead."},
          {'X', "as-xml", Value::kNone, "",
           "Write cluster status as XML to stdout. This will enable one-shot mode.\nUse --output-as=xml instead."},
          {'N', "disable-ncurses", Value::kNone, "",
           "Disable the use of the full-screen display.\nUse --output-as=text instead."},
          {'w', "web-cgi", Value::kNone, "",
           "Web mode with output suitable for CGI.\nUse --output-as=html --html-cgi instead."}}}};
    s.options = {{'Q', "quiet", Value::kNone, "", "Be less descriptive in output."}};
    s.notes =
        "Time Specification:\n\n"
        "The TIMESPEC in any command line option can be a number of seconds, a number\n"
        "with a unit (ms/msec/us/usec/s/sec/m/min/h/hr), or an ISO 8601 duration.\n\n"
        "Output Control:\n\n"
        "Each output format has a default list of sections: XML and JSON have all, other\n"
        "formats fewer. --include and --exclude change the list, from left to right; each\n"
        "can be given several times and takes a comma-separated list of sections, which\n"
        "--include=list shows.\n\n"
        "Interactive Use:\n\n"
        "On a terminal the display can be changed while it runs; press '?' for the keys.\n\n"
        "Examples:\n\n"
        "Display the cluster status on the console with updates as they occur:\n\n"
        "\tcrm_mon\n\n"
        "Display the cluster status just once then exit, with inactive resources:\n\n"
        "\tcrm_mon -1 --inactive\n\n"
        "Keep an HTML page up to date in the background:\n\n"
        "\tcrm_mon --daemonize --output-as html --output-to /path/to/docroot/filename.html\n\n"
        "Export the current cluster status as XML to stdout, then exit:\n\n"
        "\tcrm_mon --output-as xml\n";
    return s;
}

Result<MonitorOptions> read_options(const Arguments& arguments, Format format) {
    const bool structured = format == Format::kXml || format == Format::kJson;
    MonitorOptions options;
    options.sections = default_sections(format);
    for (const Given& one : arguments.given) {
        const std::string value = one.value.value_or("");
        if (one.name == "include" || one.name == "exclude") {
            auto changed = apply_sections(options, value, one.name == "include", format);
            if (!changed) return tl::unexpected(changed.error());
        } else if (one.name == "failcounts") {
            options.sections |= kFailcounts;
        } else if (one.name == "operations") {
            options.sections |= kOperations;
        } else if (one.name == "timing-details") {
            options.sections |= kOperations;
            options.show.timing = true;
        } else if (one.name == "tickets") {
            options.sections |= kTickets;
        } else if (one.name == "neg-locations") {
            options.sections |= kBans;
            options.show.ban_prefix = value;
        } else if (one.name == "show-node-attributes") {
            options.sections |= kAttributes;
        } else if (one.name == "hide-headers") {
            options.sections &= ~kSummarySections | (structured ? kOptionsSection : 0);  // those are no header there
        } else if (one.name == "fence-history") {
            const auto level = one.value ? parse_integer(value) : std::optional<long long>(2);
            if (!level || *level < 0 || *level > 3) {
                return systole::fail(Errc::kInvalid, "Fence history must be 0-3");
            }
            set_fencing_level(options, static_cast<int>(*level));
        } else if (one.name == "group-by-node") {
            options.show.by_node = true;
        } else if (one.name == "inactive") {
            options.show.inactive = true;
        } else if (one.name == "show-detail") {
            options.show.detail = true;
        } else if (one.name == "brief") {
            options.show.brief = true;
        } else if (one.name == "node") {
            options.node = value;
        } else if (one.name == "resource") {
            options.resource = value;
        } else if (one.name == "interval") {
            const auto interval = rules::parse_interval_spec(value);
            if (!interval) return systole::fail(Errc::kInvalid, fmt::format("Invalid value for -i: {}", value));
            options.interval = *interval;
        } else if (one.name == "external-agent") {
            options.external_agent = value;
        } else if (one.name == "external-recipient") {
            options.external_recipient = value;
        } else if (one.name == "watch-fencing") {
            options.watch_fencing = true;
        } else if (one.name == "pid-file") {
            options.pid_file = value;
        }
    }
    if (structured) options.show.inactive = true;
    return options;
}

ExitCode run(const Arguments& arguments, Output& output) {
    auto options = read_options(arguments, output.format());
    if (!options) {
        output.fail(options.error().what);
        return ExitCode::kUsage;
    }
    if (!arguments.positional.empty()) {
        output.fail(fmt::format("non-option ARGV-elements: {}", join(arguments.positional, " ")));
        return ExitCode::kUsage;
    }
    const bool daemonize = arguments.has("daemonize");
    if (daemonize && output.config().destination.empty() && options->external_agent.empty()) {
        output.fail(
            "--daemonize requires at least one of --output-to (with value not set to '-') and --external-agent");
        return ExitCode::kUsage;
    }
    const auto file = arguments.value("xml-file");
    auto source = file ? tl::expected<std::unique_ptr<StatusSource>, SourceError>(file_source(*file)) : open_source();
    if (!source) {
        output.fail(fmt::format("Connection to cluster failed: {}", source.error().what));
        return source.error().code;
    }
    // XML, JSON and a web server's page are made once; so is everything about a file.
    const bool once = arguments.has("one-shot") || output.is_structured() || output.config().html.cgi ||
                      output.format() == Format::kNone;
    if (once || (!(*source)->is_live() && !daemonize)) return monitor_once(**source, *options, output);
    return monitor(**source, std::move(*options), output, daemonize);
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    // Old spellings of output formats.
    std::vector<std::string> words(argv, argv + argc);
    const std::string_view program = words.front();
    const bool cgi = program.ends_with("crm_mon.cgi");
    for (std::size_t i = 1; i < words.size(); ++i) {
        if (words[i] == "--as-xml" || words[i] == "-X") words[i] = "--output-as=xml";
        if (words[i] == "--disable-ncurses" || words[i] == "-N") words[i] = "--output-as=text";
        if (words[i] == "--web-cgi" || words[i] == "-w") words[i] = "--html-cgi";
        if (words[i] == "--as-html" && i + 1 < words.size()) words[i] = "--output-to";
        if (words[i].starts_with("--as-html=")) words[i] = "--output-to=" + words[i].substr(10);
    }
    const auto given = [&](std::string_view prefix) {
        return std::any_of(argv + 1, argv + argc, [prefix](std::string_view a) { return a.starts_with(prefix); });
    };
    if (cgi) words.emplace_back("--html-cgi");
    if ((cgi || given("--web-cgi") || given("--as-html") || given("--html-cgi") ||
         std::any_of(argv + 1, argv + argc, [](std::string_view a) { return a == "-w"; })) &&
        !given("--output-as")) {
        words.emplace_back("--output-as=html");
    }
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    return systole::cli::command_main(systole::cli::spec(), static_cast<int>(pointers.size()), pointers.data(),
                                      systole::cli::run);
}
