#include "cli/command.h"

#include <cstdlib>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/man_page.h"
#include "cli/version.h"

namespace systole::cli {
namespace {

int usage_error(const CommandSpec& spec, std::string_view text) {
    std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(spec.name.size()), spec.name.data(),
                 static_cast<int>(text.size()), text.data());
    return static_cast<int>(ExitCode::kUsage);
}

// The topic of --help, --help-all or --help-GROUP, if any was asked for.
std::optional<std::string> help_topic(const Arguments& arguments) {
    for (const Given& one : arguments.given) {
        if (one.name == "help") return "";
        if (one.name.starts_with("help-")) return one.name.substr(5);
    }
    return std::nullopt;
}

}  // namespace

int command_main(const CommandSpec& spec, int argc, char** argv, const RunCommand& run) {
    if (argc == 2 && std::string_view(argv[1]) == "--man-page") {
        std::fputs(man_page(spec).c_str(), stdout);
        return 0;
    }
    auto arguments = read_arguments(spec, {argv + 1, argv + argc});
    if (!arguments) return usage_error(spec, arguments.error().what);
    if (const auto topic = help_topic(*arguments)) {
        const auto text = help_text(spec, *topic);
        if (!text) return usage_error(spec, fmt::format("Unknown option --help-{}", *topic));
        std::fputs(text->c_str(), stdout);
        return 0;
    }
    Output::Config config;
    config.program = spec.name;
    config.request = arguments->request;
    config.verbosity = arguments->verbosity;
    config.destination = arguments->value("output-to").value_or("");
    if (const char* wanted = std::getenv("PCMK_stderr")) config.logs_wanted = parse_bool(wanted).value_or(false);
    config.trace_origins = std::getenv("PCMK_trace_functions") != nullptr;
    if (const char* traced = std::getenv("PCMK_trace_functions")) config.traced = traced;
    config.html = {.cgi = arguments->has("html-cgi"),
                   .title = arguments->value("html-title").value_or(""),
                   .stylesheet = arguments->value("html-stylesheet").value_or("")};
    if (const auto name = arguments->value("output-as")) {
        const auto format = parse_format(*name);
        if (!format) {
            usage_error(spec, fmt::format("Error creating output format {}: Unknown output format", *name));
            return static_cast<int>(ExitCode::kError);
        }
        config.format = *format;
    }
    auto output = Output::open(config);
    if (!output) {
        usage_error(spec, fmt::format("Error creating output format {}: {}",
                                      arguments->value("output-as").value_or("text"), output.error().what));
        return static_cast<int>(ExitCode::kCannotCreate);
    }
    if (arguments->has("version")) {
        output->line(fmt::format("Pacemaker {} (Systole {})", kPacemakerVersion, kSystoleVersion));
        output->add(xml::Builder("version").set("program", "Pacemaker").set("version", kPacemakerVersion));
        output->finish(ExitCode::kOk);
        return 0;
    }
    const ExitCode code = run(*arguments, *output);
    output->finish(code);
    return static_cast<int>(code);
}

}  // namespace systole::cli
