#include "cli/patchset_text.h"

#include <fmt/format.h>

#include "xml/write.h"

namespace systole::cli {
namespace {

std::string version(const xml::Node* part) {
    if (part == nullptr) return "0.0.0";
    return fmt::format("{}.{}.{}", part->get("admin_epoch"), part->get("epoch"), part->get("num_updates"));
}

// The added object: its first line behind the place, the others below with the same depth.
std::string created(const xml::Node& change) {
    const std::string head = fmt::format("++ {}:  ", change.get("path"));
    std::string lines;
    for (const auto& object : change.children()) {
        const std::string text = xml::write(*object, {.pretty = true});
        std::size_t at = 0;
        while (at < text.size()) {
            const std::size_t end = text.find('\n', at);
            const std::string_view line = std::string_view(text).substr(at, end - at);
            lines +=
                at == 0 ? fmt::format("{}{}\n", head, line) : fmt::format("++ {:{}}{}\n", "", head.size() - 3, line);
            if (end == std::string::npos) break;
            at = end + 1;
        }
    }
    return lines;
}

std::string modified(const xml::Node& change) {
    std::string set;
    std::string unset;
    const xml::Node* list = change.child("change-list");
    if (list == nullptr) return {};
    for (const auto& one : list->children()) {
        if (one->get("operation") == "set") {
            set += fmt::format("{}@{}={}", set.empty() ? "" : ", ", one->get("name"), one->get("value"));
        } else {
            unset += fmt::format("{}@{}", unset.empty() ? "" : ", ", one->get("name"));
        }
    }
    std::string lines;
    if (!set.empty()) lines += fmt::format("+  {}:  {}\n", change.get("path"), set);
    if (!unset.empty()) lines += fmt::format("-- {}:  {}\n", change.get("path"), unset);
    return lines;
}

}  // namespace

std::string patchset_text(const xml::Node& patchset) {
    std::string text;
    if (const xml::Node* versions = patchset.child("version")) {
        text += fmt::format("Diff: --- {} {}\n", version(versions->child("source")), patchset.get("format"));
        text +=
            fmt::format("Diff: +++ {} {}\n", version(versions->child("target")), patchset.get("digest", "(no digest)"));
    }
    for (const auto& change : patchset.children()) {
        if (!change->is("change")) continue;
        const std::string_view operation = change->get("operation");
        if (operation == "create") text += created(*change);
        if (operation == "modify") text += modified(*change);
        if (operation == "move") {
            text += fmt::format("+~ {} moved to offset {}\n", change->get("path"), change->get("position"));
        }
        if (operation == "delete") {
            const auto position = change->attribute("position");
            text += position ? fmt::format("-- {} ({})\n", change->get("path"), *position)
                             : fmt::format("-- {}\n", change->get("path"));
        }
    }
    return text;
}

}  // namespace systole::cli
