#pragma once
// transition/graph.h — a typed reading of a transition graph.
//
// A synapse fires its actions once all of its inputs are confirmed. Actions refer to each other by dense index, so the
// runner's work on one result is proportional to what depends on it.
//
// Invariants: every input refers to an action of the graph (unknown ones are dropped with the graph's own confirmation,
// as a trigger that is not in the graph was optional); action ids are unique.
// Source: protocol sheet controller.md, section 10.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "xml/tree.h"

namespace systole::transition {

using ActionIndex = std::size_t;
using SynapseIndex = std::size_t;

enum class ActionKind : std::uint8_t {
    kResource,  ///< rsc_op: an executor runs it
    kCluster,   ///< crm_event: the controller or the fencer does it
    kPseudo,    ///< pseudo_event: confirmed at once
};

struct Action {
    int id = 0;
    ActionKind kind{};
    std::string operation;  ///< "start", "monitor", "stonith", ...
    std::string key;        ///< operation_key, "db_start_0"
    std::string node;       ///< on_node; empty for most pseudo events
    std::string node_id;    ///< on_node_uuid
    std::string router;     ///< router_node: hosts the remote connection; empty if none
    std::string resource;   ///< the instance's id in the configuration; empty if none
    Duration timeout{0};
    int target_rc = 0;
    bool can_fail = false;            ///< its failure neither blocks its successors nor aborts
    bool wait = true;                 ///< op_no_wait: sent, and confirmed at once
    std::vector<std::string> downed;  ///< ids of nodes that this action is going to take away
    xml::NodePtr xml;
    SynapseIndex synapse = 0;
    std::vector<SynapseIndex> successors;  ///< synapses that have this action as input

    /// A meta attribute of the action ("CRM_meta_" is put before `name`), or an empty view.
    [[nodiscard]] std::string_view meta(std::string_view name) const;
    /// The node that the action is sent to: the router if there is one.
    [[nodiscard]] const std::string& executed_by() const { return router.empty() ? node : router; }
    /// It runs on a remote or guest node.
    [[nodiscard]] bool is_remote() const { return !router.empty() && router != node; }
    /// It is about a connection to such a node: no process runs for it.
    [[nodiscard]] bool is_connection() const;
};

struct Synapse {
    int id = 0;
    int priority = 0;
    std::vector<ActionIndex> actions;
    std::vector<ActionIndex> inputs;
};

struct Graph {
    int id = -1;
    std::vector<Action> actions;
    std::vector<Synapse> synapses;
    Duration cluster_delay{60'000};
    Duration fencing_timeout{60'000};
    unsigned batch_limit = 0;  ///< 0: no limit of its own
    int migration_limit = -1;  ///< -1: none
    std::string failed_stop_offset = "INFINITY";
    std::string failed_start_offset = "INFINITY";
    std::int64_t recheck_by = 0;  ///< epoch seconds; 0: no need
};

/// Errors: kInvalid naming the element and the attribute.
Result<Graph> parse_graph(const xml::Node& graph);

}  // namespace systole::transition
