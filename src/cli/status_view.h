#pragma once
// cli/status_view.h — the state of a cluster as crm_mon, crm_simulate and crm_resource show it, as text and as XML.
//
// Each function writes one section to the Output, in the form its format wants, and tells whether there was anything
// to write. `Spacer` puts a blank line between sections.
// Source: crm_mon(8); protocol sheet tools.md, section 4; recorded output of Pacemaker 3.0.2.
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "cli/output.h"
#include "model/cluster.h"

namespace systole::cli {

struct IgnoringCase {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const { return compare_ignoring_case(a, b) < 0; }
};

/// A choice of names; the default is all.
class NameFilter {
public:
    NameFilter() = default;
    explicit NameFilter(const std::vector<std::string>& names) : all_(false), names_(names.begin(), names.end()) {}
    [[nodiscard]] bool has(std::string_view name) const { return all_ || names_.contains(name); }
    [[nodiscard]] bool is_all() const { return all_; }
    [[nodiscard]] bool is_empty() const { return !all_ && names_.empty(); }

private:
    bool all_ = true;
    std::set<std::string, IgnoringCase> names_;
};
/// A node's name, or a tag's nodes; empty text means all. What is neither chooses nothing.
NameFilter nodes_named(const model::Cluster& cluster, std::string_view name);
/// By id, with or without instance number (then any instance); null if there is none.
const model::Resource* find_any(const model::Cluster& cluster, std::string_view name);
/// A resource's id (with ":0" exactly that instance), or a tag's resources.
NameFilter resources_named(const model::Cluster& cluster, std::string_view name);

struct Show {
    bool inactive = false;
    bool brief = false;
    bool by_node = false;  ///< resources under their nodes
    bool detail = false;   ///< node ids, single clone instances, implicit resources, feature sets, descriptions
    bool descriptions = false;
    bool without_nodes = false;  ///< where a primitive runs is left out, except for several nodes at once
    bool pending = true;         ///< actions in flight: "Starting"
    bool timing = false;         ///< operations with times
    bool operations = false;     ///< history with operations, not only failures
    bool failcounts = false;
    NameFilter nodes;
    NameFilter resources;
    std::string ban_prefix;
};

/// Whether a blank line is due before the next section.
struct Spacer {
    bool due = false;
    void before_section(Output& output) {
        if (due) output.blank_line();
        due = true;
    }
};

enum class Summary : std::uint32_t {
    kStack = 1,
    kDc = 2,
    kTimes = 4,
    kCounts = 8,
    kOptions = 16,
    kAll = 31,
};
constexpr bool has(std::uint32_t set, Summary part) { return (set & static_cast<std::uint32_t>(part)) != 0; }

/// What a live cluster knows beyond its CIB.
struct LiveState {
    std::string pacemakerd_state;  ///< "running", "shutting down", ...; empty if unknown (or not live)
    std::string local_node;
};

bool show_summary(Output& output, const Show& show, const model::Cluster& cluster, std::uint32_t parts,
                  const LiveState& live, Spacer& spacer);
/// The notice that nothing is managed, if so.
bool show_maintenance(Output& output, const model::Cluster& cluster, Spacer& spacer);
bool show_nodes(Output& output, const Show& show, const model::Cluster& cluster, Spacer& spacer);
/// `with_title`: with a heading and, if there are none, a line that says so.
bool show_resources(Output& output, const Show& show, const model::Cluster& cluster, Spacer& spacer,
                    bool with_title = true);
bool show_node_attributes(Output& output, const Show& show, const model::Cluster& cluster, Spacer& spacer);
/// "Operations" or, without operations, "Migration Summary".
bool show_history(Output& output, const Show& show, model::Cluster& cluster, Spacer& spacer);
bool show_failures(Output& output, const Show& show, const model::Cluster& cluster, Spacer& spacer);
bool show_tickets(Output& output, const model::Cluster& cluster, Spacer& spacer);
bool show_bans(Output& output, const Show& show, const model::Cluster& cluster, Spacer& spacer);

/// One resource with all below it, whatever its state (headings of groups and clones included).
void show_resource(Output& output, const Show& show, const model::Cluster& cluster, const model::Resource& resource);
/// The same as an element; null if the filters leave nothing of it.
xml::NodePtr resource_xml(const Show& show, const model::Resource& resource);

/// What was wrong with configuration and history, as log lines.
void log_problems(Output& output, const model::Cluster& cluster);
void log_problems(Output& output, std::span<const model::Problem> problems);
/// Which part of the reference says that, as its log lines begin with it; the model's name for others.
std::string_view origin_of(std::string_view problem);

// --- words and names that several commands share ---

/// "node1", "node1 (1)", "guest0@host1", as `detail` asks.
std::string node_label(const model::Node& node, bool detail);
/// "Started", "Starting" (pending), "Unpromoted", ...
std::string state_text(const model::Resource& resource, bool pending);
/// The line of a primitive without bullet: "db\t(ocf:heartbeat:pgsql):\t Started node1 (disabled)".
std::string primitive_text(const model::Cluster& cluster, const model::Resource& resource, std::string_view name,
                           const model::Node* node, const Show& show);
/// "ocf:heartbeat:pgsql".
std::string agent_text(const model::Resource& resource);

/// Below 0 red, 0 yellow, above green; 1 where health doesn't matter.
int health_of(const model::Cluster& cluster, const model::Node& node);

/// Resource instances that are configured, and of these those that may not run, or are blocked after a failure.
struct InstanceCounts {
    int all = 0;
    int disabled = 0;
    int blocked = 0;
};
InstanceCounts count_instances(const model::Cluster& cluster);

}  // namespace systole::cli
