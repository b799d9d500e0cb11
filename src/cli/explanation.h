#pragma once
// cli/explanation.h — where a resource goes and why; why it is not on another node, and what would bring it there.
//
// The reasons are those that the scheduler kept while it planned (model/score_notes.h, ActionReason). Remedies are
// tried: each is a change of the snapshot, planned from anew, and told only if the resource then gets that node.
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "rules/iso8601.h"
#include "scheduler/schedule.h"
#include "xml/tree.h"

namespace systole::cli {

struct ScoreReason {
    std::string cause;  ///< text_of(ScoreNote::Cause), or "node"
    std::string id;     ///< constraint, history entry, ticket; may be empty
    std::string with;   ///< the resource at the other end
    std::string before, after;
    std::string text;  ///< in words
};

struct NodeAnswer {
    std::string node;
    std::string score;  ///< "-INFINITY"; empty: not considered there at all
    bool chosen = false;
    bool current = false;
    std::string obstacle;  ///< of the node itself: "offline", "in standby", ...; empty: none
    std::vector<ScoreReason> reasons;
};

/// What would bring the resource to the node: all of these changes together.
struct Change {
    std::string text;     ///< "remove location constraint 'ban-web'"
    std::string command;  ///< that does it; may be empty
    std::string id;       ///< of the configuration element that is changed; may be empty
};

struct InstanceAnswer {
    std::string id;
    std::string role, next_role;
    std::vector<std::string> current_nodes;
    std::string next_node;
    std::string why_inactive;  ///< where next_node is empty
    std::vector<NodeAnswer> nodes;
    std::vector<scheduler::ActionReason> actions;  ///< required ones
};

struct Explanation {
    std::string resource;
    std::vector<InstanceAnswer> instances;
    std::string asked_node;        ///< empty: none was asked for
    bool there = false;            ///< it is planned for the asked node
    std::vector<Change> remedies;  ///< the smallest set that was found; empty: none
    int plans_tried = 0;
};

/// Errors: kInvalid if the input is no CIB, kNotFound if there is no such resource or node.
Result<Explanation> explain(const xml::NodePtr& cib, const rules::DateTime& now, const std::string& resource,
                            const std::optional<std::string>& node);

}  // namespace systole::cli
