#pragma once
// scheduler/schedule.h — what the cluster does next: a pure function of a CIB snapshot and a time.
//
// The same input gives the same plan, byte for byte. Nothing is changed but the copy of the model that the plan is made
// in, which comes back with the plan for displays.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/cluster.h"
#include "rules/iso8601.h"
#include "xml/tree.h"

namespace systole::scheduler {

struct Input {
    xml::NodePtr cib;
    rules::DateTime now;
    bool want_scores = false;
    bool want_utilization = false;
    bool want_graph = true;  ///< Plan::graph; who only looks at summary and scores is spared the writing of it
    bool want_dot = false;
    bool dot_all_actions = false;  ///< also what isn't part of the graph
    bool want_reasons = false;     ///< Plan::cluster->score_notes and Plan::actions
    bool sanitized = false;        ///< private parameters may have been taken out of the CIB
    /// Told the name of each pass as it begins; for people who wait. Has no influence on the plan.
    std::function<void(std::string_view)> on_pass{};
};

/// A line of --show-scores or --show-utilization, in the order in which decisions were made.
struct ScoreLine {
    std::string text;
    const char* element = nullptr;  ///< the same for programs: "node_weight", ...; null: a remark, for people only
    std::vector<std::pair<std::string, std::string>> values{};  ///< attributes of that element
};

/// One line of the transition summary: "Start      web ( node1 )" without the bullet.
struct SummaryLine {
    std::string text;
    const char* element;  ///< the same for programs: "node_action" or "rsc_action"
    std::vector<std::pair<std::string, std::string>> values;
};

/// An action that was considered, and why it is (not) done.
struct ActionReason {
    std::uint32_t resource = 0;  ///< Resource::index
    std::string key;             ///< "web_start_0"
    std::string node;            ///< empty: none, or not known yet
    bool required = false;       ///< there is a reason to do it
    bool runnable = false;       ///< nothing forbids it
    std::string cause;  ///< why it is required or can't be run, as the graph's reasons are worded; may be empty
    std::vector<std::string> blockers;  ///< keys of actions that would have to be done first and can't be
};

struct Plan {
    xml::NodePtr graph;  ///< <transition_graph> with transition_id 1 (the caller sets its own); null if not wanted
    std::vector<ScoreLine> scores;
    std::vector<SummaryLine> summary;
    std::vector<ActionReason> actions;        ///< of resources, where wanted
    std::string dot;                          ///< the graph for graphviz
    std::unique_ptr<model::Cluster> cluster;  ///< the model after planning (roles, blocked, unclean)
    std::vector<model::Problem> problems;
    bool config_errors = false;
    bool config_warnings = false;
    bool processing_errors = false;
    bool processing_warnings = false;
    int blocked_resources = 0;
    int disabled_resources = 0;
    int resource_instances = 0;
    std::vector<std::string> messages;   ///< for people who run a simulation ("Unfencing node ...")
    std::optional<WallTime> recheck_by;  ///< when passing time alone may change the plan
};

/// Errors: kInvalid if the input is no CIB.
Result<Plan> schedule(const Input& input);
/// The same from a model that was read already, from the same CIB and for the same time (and is used up).
Plan schedule(const Input& input, std::unique_ptr<model::Cluster> cluster);

}  // namespace systole::scheduler
