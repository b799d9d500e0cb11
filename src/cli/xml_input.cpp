#include "cli/xml_input.h"

#include <cstdio>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/files.h"
#include "xml/parse.h"

namespace systole::cli {
namespace {

// libxml2's way of showing an error: the message, the line, and a mark under the place.
void log_error(Output& output, std::string_view text, const Error& error) {
    int line = 1;
    int column = 1;
    int used = 0;
    std::string_view message = error.what;
    if (std::sscanf(error.what.c_str(), "line %d, column %d: %n", &line, &column, &used) == 2 && used > 0) {
        message.remove_prefix(static_cast<std::size_t>(used));
    }
    const auto say = [&output](const std::string& words) {
        output.log(Severity::kError, "pcmk__log_xmllib_err", "XML Error: " + words);
    };
    // The SAX interface takes a text without any tag for no text at all.
    if (message == "Document is empty" && !trim(text).empty()) message = "Start tag expected, '<' not found";
    say(fmt::format("Entity: line {}: parser error : {}", line, message));
    std::size_t start = 0;
    for (int i = 1; i < line && start != std::string_view::npos; ++i) {
        start = text.find('\n', start);
        if (start != std::string_view::npos) ++start;
    }
    if (start == std::string_view::npos || start >= text.size()) return;
    say(std::string(text.substr(start, text.find('\n', start) - start)));
    say(fmt::format("{:{}}^", "", std::max(0, column - 1)));
}

std::optional<xml::NodePtr> parse_text(Output& output, const std::string& text) {
    auto parsed = xml::parse(text);
    if (parsed) return *parsed;
    log_error(output, text, parsed.error());
    return std::nullopt;
}

}  // namespace

std::optional<xml::NodePtr> parse_given(Output& output, const std::string& text) {
    if (text != "-") return parse_text(output, text);
    const auto given = read_file("-");
    return given ? parse_text(output, *given) : std::nullopt;
}

std::optional<xml::NodePtr> parse_file(Output& output, const std::string& path, std::string* why) {
    const auto text = read_file(path);
    if (text) return parse_text(output, *text);
    if (why != nullptr) *why = text.error().what;
    return std::nullopt;
}

}  // namespace systole::cli
