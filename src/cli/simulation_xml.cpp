#include "cli/simulation_xml.h"

#include <optional>
#include <string>
#include <string_view>

#include "base/text.h"

namespace systole::cli {
namespace {

// The parts of `text` before and after a mark, the last one if there are several.
struct Halves {
    std::string_view before, after;
};
std::optional<Halves> halves(std::string_view text, std::string_view mark, bool last = false) {
    const auto at = last ? text.rfind(mark) : text.find(mark);
    if (at == std::string_view::npos) return std::nullopt;
    return Halves{text.substr(0, at), text.substr(at + mark.size())};
}

// " cpu=2 ram=4" as attributes.
void add_amounts(xml::Builder& element, std::string_view text) {
    for (const std::string_view amount : split(text, " "))
        if (const auto pair = halves(amount, "=")) element.set(pair->before, pair->after);
}

// The scheduler says these things in lines of fixed form, with names that may hold colons, but no blanks.
xml::NodePtr element_of(std::string_view line) {
    if (const auto parts = halves(line, " allocation score on ")) {
        const auto who = halves(parts->before, ": ");
        const auto what = halves(parts->after, ": ", true);
        if (!who || !what) return {};
        xml::Builder element("node_weight");
        element.set("function", who->before).set("node", what->before).set("score", what->after);
        return std::move(element.set("id", who->after)).build();
    }
    if (const auto parts = halves(line, " promotion score ")) {
        const auto what = halves(parts->after, ": ", true);
        if (!what) return {};
        xml::Builder element("promotion_score");
        element.set("id", parts->before).set("score", what->after);
        if (what->before.starts_with("on ")) element.set("node", what->before.substr(3));
        return std::move(element).build();
    }
    if (const auto parts = halves(line, " utilization on ")) {
        const auto who = halves(parts->before, ": ");
        const auto what = halves(parts->after, ":");
        if (!who || !what) return {};
        xml::Builder element("utilization");
        element.set("function", who->before).set("resource", who->after).set("node", what->before);
        add_amounts(element, what->after);
        return std::move(element).build();
    }
    if (const auto parts = halves(line, " capacity:")) {
        const auto who = halves(parts->before, ": ");
        if (!who) return {};
        xml::Builder element("capacity");
        element.set("node", who->after).set("comment", who->before);
        add_amounts(element, parts->after);
        return std::move(element).build();
    }
    return {};
}

}  // namespace

xml::NodePtr placement_element(const std::vector<scheduler::ScoreLine>& lines, bool scores, bool utilization) {
    xml::Builder element(scores && utilization ? "allocations_utilizations" : scores ? "allocations" : "utilizations");
    for (const scheduler::ScoreLine& line : lines)
        if (xml::NodePtr child = element_of(line.text)) element.add(std::move(child));
    return std::move(element).build();
}

}  // namespace systole::cli
