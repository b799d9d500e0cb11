#include "cli/xml_input.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "base/text.h"
#include "xml/parse.h"

namespace systole::cli {
namespace {

std::string read_from(std::FILE* file) {
    std::string text;
    char buffer[65536];
    while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, file)) text.append(buffer, n);
    return text;
}

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

std::string read_stdin() { return read_from(stdin); }

std::optional<xml::NodePtr> parse_given(Output& output, const std::string& text) {
    return parse_text(output, text == "-" ? read_stdin() : text);
}

std::optional<xml::NodePtr> parse_file(Output& output, const std::string& path, std::string* why) {
    std::FILE* file = std::fopen(path.c_str(), "re");
    if (file == nullptr) {
        if (why != nullptr) *why = std::strerror(errno);
        return std::nullopt;
    }
    const std::string text = read_from(file);
    std::fclose(file);
    return parse_text(output, text);
}

}  // namespace systole::cli
