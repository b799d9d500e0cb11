#include "cli/resource_constraints.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/score.h"

namespace systole::cli {
namespace {

using model::Cluster;

const xml::Node* constraints_of(const Cluster& cluster) {
    const xml::Node* configuration = cluster.cib->child("configuration");
    return configuration == nullptr ? nullptr : configuration->child("constraints");
}

enum class Side : std::uint8_t { kDependents, kPrimaries };

struct Link {
    const xml::Node* constraint;
    std::string other;
};

std::vector<Link> links_of(const Cluster& cluster, std::string_view resource, Side side) {
    std::vector<Link> links;
    const xml::Node* constraints = constraints_of(cluster);
    if (constraints == nullptr) return links;
    const char* self = side == Side::kDependents ? "with-rsc" : "rsc";
    const char* other = side == Side::kDependents ? "rsc" : "with-rsc";
    for (const xml::NodePtr& constraint : constraints->children()) {
        if (constraint->is("rsc_colocation") && constraint->get(self) == resource && constraint->has(other)) {
            links.push_back({constraint.get(), std::string(constraint->get(other))});
        }
    }
    std::ranges::stable_sort(links, {}, &Link::other);
    return links;
}

class View {
public:
    View(Output& output, const Cluster& cluster, bool recursive)
        : out_(output), cluster_(cluster), recursive_(recursive) {}

    void show(const std::string& id) {
        locations(id);
        for (const Side side : {Side::kDependents, Side::kPrimaries}) {
            visited_ = {id};
            colocations(id, side, true);
        }
        out_.add(std::move(elements_));
    }

private:
    void locations(const std::string& id) {
        const xml::Node* constraints = constraints_of(cluster_);
        if (constraints == nullptr) return;
        bool open = false;
        for (const xml::NodePtr& constraint : constraints->children()) {
            if (!constraint->is("rsc_location") || constraint->get("rsc") != id || !constraint->has("node")) continue;
            const std::string_view score = constraint->get("score", "0");
            const std::string shown = to_string(cluster_.options.score(score).value_or(Score{0}));
            if (!open) out_.begin_list("Locations");
            open = true;
            out_.item(
                fmt::format("Node {} (score={}, id={}, rsc={})", constraint->get("node"), shown, constraint->id(), id));
            elements_.add(xml::Builder("rsc_location")
                              .set("node", constraint->get("node"))
                              .set("rsc", id)
                              .set("id", constraint->id())
                              .set("score", shown)
                              .build());
        }
        if (open) out_.end_list();
    }

    void colocations(const std::string& id, Side side, bool direct) {
        const std::vector<Link> links = links_of(cluster_, id, side);
        if (links.empty()) return;
        out_.begin_list(side == Side::kDependents ? fmt::format("Resources colocated with {}", id)
                                                  : fmt::format("Resources {} is colocated with", id));
        for (const Link& link : links) {
            const bool loop = visited_.contains(link.other);
            const xml::Node& constraint = *link.constraint;
            const std::string score =
                to_string(cluster_.options.score(constraint.get("score", "INFINITY")).value_or(Score{0}));
            std::string details = loop ? fmt::format("id={} - loop", constraint.id())
                                       : fmt::format("score={}, id={}", score, constraint.id());
            for (const char* role : {"rsc-role", "with-rsc-role"}) {
                if (!loop && constraint.has(role)) details += fmt::format(", {}={}", role, constraint.get(role));
            }
            out_.item(fmt::format("{} ({})", link.other, details));
            xml::Builder element("rsc_colocation");
            element.set("id", constraint.id()).set("rsc", constraint.get("rsc"));
            element.set("with-rsc", constraint.get("with-rsc")).set("score", score);
            element.set("node-attribute", constraint.get("node-attribute", "#uname"));
            element.set_unless_empty("rsc-role", constraint.get("rsc-role"));
            element.set_unless_empty("with-rsc-role", constraint.get("with-rsc-role"));
            elements_.add(std::move(element));
            if (loop) continue;
            visited_.insert(link.other);
            if (recursive_ || direct) {
                out_.begin_list("");
                locations(link.other);
                if (recursive_) colocations(link.other, side, false);
                out_.end_list();
            }
            visited_.erase(link.other);
        }
        out_.end_list();
    }

    Output& out_;
    const Cluster& cluster_;
    bool recursive_;
    std::set<std::string> visited_;
    xml::Builder elements_{"constraints"};
};

void collect(const Cluster& cluster, const std::string& id, std::vector<std::string>& found) {
    for (const Link& link : links_of(cluster, id, Side::kDependents)) {
        const Score score = cluster.options.score(link.constraint->get("score", "INFINITY")).value_or(Score{0});
        if (score < Score::infinity() || std::ranges::find(found, link.other) != found.end()) continue;
        found.push_back(link.other);
        collect(cluster, link.other, found);
    }
}

}  // namespace

void show_constraints(Output& output, const Cluster& cluster, const model::Resource& resource, bool recursive) {
    View(output, cluster, recursive).show(std::string(resource.printable_id()));
}

std::vector<std::string> colocated_with(const Cluster& cluster, std::string_view resource) {
    std::vector<std::string> found{std::string(resource)};
    collect(cluster, found.front(), found);
    found.erase(found.begin());
    return found;
}

}  // namespace systole::cli
