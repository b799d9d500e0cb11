#include "cli/graph_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <vector>

#include "cli/output.h"
#include "model/operations.h"

namespace systole::cli {
namespace {

constexpr int kWidth = 210, kHeight = 34, kGapX = 60, kGapY = 12, kMargin = 20;

struct Box {
    std::string title, place;
    const char* style = "rsc";
    std::vector<std::size_t> inputs;
    std::vector<int> input_ids;
    int column = 0;
    int x = 0, y = 0;
    int waiting = 0;
    std::vector<std::size_t> followers;
};

std::vector<Box> boxes_of(const xml::Node& graph) {
    std::vector<Box> boxes;
    std::map<int, std::size_t> by_id;
    for (const auto& synapse : graph.children()) {
        const xml::Node* set = synapse->child("action_set");
        const xml::Node* action = set == nullptr ? nullptr : set->first_element();
        if (action == nullptr) continue;
        Box box;
        box.title = action->get("operation_key");
        box.place = action->get("on_node");
        if (action->is("pseudo_event")) box.style = "pseudo";
        if (action->get("operation") == "stonith") box.style = "fence";
        if (const xml::Node* inputs = synapse->child("inputs")) {
            for (const auto& trigger : inputs->children()) {
                const xml::Node* input = trigger->first_element();
                if (input != nullptr) box.input_ids.push_back(model::integer_of(*input, "id", -1));
            }
        }
        by_id.emplace(model::integer_of(*action, "id", -1), boxes.size());
        boxes.push_back(std::move(box));
    }
    for (std::size_t i = 0; i < boxes.size(); ++i) {
        for (const int id : boxes[i].input_ids) {
            const auto found = by_id.find(id);
            if (found == by_id.end()) continue;
            boxes[i].inputs.push_back(found->second);
            boxes[found->second].followers.push_back(i);
            ++boxes[i].waiting;
        }
    }
    return boxes;
}

/// Each box goes right of all that it waits for; what is part of a circle stays in the first column.
void place(std::vector<Box>& boxes) {
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < boxes.size(); ++i) {
        if (boxes[i].waiting == 0) ready.push_back(i);
    }
    for (std::size_t next = 0; next < ready.size(); ++next) {
        const Box& box = boxes[ready[next]];
        for (const std::size_t follower : box.followers) {
            Box& then = boxes[follower];
            then.column = std::max(then.column, box.column + 1);
            if (--then.waiting == 0) ready.push_back(follower);
        }
    }
    std::map<int, int> filled;
    for (Box& box : boxes) {
        box.x = kMargin + box.column * (kWidth + kGapX);
        box.y = kMargin + filled[box.column]++ * (kHeight + kGapY);
    }
}

}  // namespace

std::string graph_svg(const xml::Node& graph) {
    std::vector<Box> boxes = boxes_of(graph);
    place(boxes);
    int width = 2 * kMargin, height = 2 * kMargin;
    for (const Box& box : boxes) {
        width = std::max(width, box.x + kWidth + kMargin);
        height = std::max(height, box.y + kHeight + kMargin);
    }
    std::string out;
    const auto line = std::back_inserter(out);
    fmt::format_to(line,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\">\n",
                   width, height);
    out +=
        "<style>rect{stroke:#345;fill:#eaf2fb}.pseudo rect{fill:#f2f2f2;stroke:#aaa}.fence rect{fill:#fde0dc;"
        "stroke:#b22}path{fill:none;stroke:#789}text{font:12px sans-serif}.place{fill:#567;font-size:10px}</style>\n"
        "<defs><marker id=\"end\" markerWidth=\"8\" markerHeight=\"8\" refX=\"7\" refY=\"4\" orient=\"auto\">"
        "<path d=\"M0,0L8,4L0,8\"/></marker></defs>\n";
    for (const Box& box : boxes) {
        for (const std::size_t input : box.inputs) {
            const Box& from = boxes[input];
            fmt::format_to(line, "<path d=\"M{},{}C{},{} {},{} {},{}\" marker-end=\"url(#end)\"/>\n", from.x + kWidth,
                           from.y + kHeight / 2, from.x + kWidth + kGapX / 2, from.y + kHeight / 2, box.x - kGapX / 2,
                           box.y + kHeight / 2, box.x, box.y + kHeight / 2);
        }
    }
    for (const Box& box : boxes) {
        fmt::format_to(line,
                       "<g class=\"{}\"><title>{}</title><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"5\"/>",
                       box.style, html_text(box.title), box.x, box.y, kWidth, kHeight);
        const std::string shown = box.title.size() > 32 ? box.title.substr(0, 31) + "…" : box.title;
        fmt::format_to(line, "<text x=\"{}\" y=\"{}\">{}</text>", box.x + 8, box.y + 15, html_text(shown));
        if (!box.place.empty()) {
            fmt::format_to(line, "<text class=\"place\" x=\"{}\" y=\"{}\">{}</text>", box.x + 8, box.y + 28,
                           html_text(box.place));
        }
        out += "</g>\n";
    }
    out += "</svg>\n";
    return out;
}

}  // namespace systole::cli
