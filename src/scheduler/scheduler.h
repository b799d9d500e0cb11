#pragma once
// scheduler/scheduler.h — the state that the passes share; internal to this folder.
//
// schedule.cpp lists the passes in their order. Each has its own file and is a set of functions on this state; what a
// kind of resource does differently is a switch over its variant in the file of the pass.
//
// Work on resources is in dense arrays by Resource::index. Nothing here is seen outside before the last pass.
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/cluster.h"
#include "scheduler/action.h"
#include "scheduler/schedule.h"

namespace systole::scheduler {

using model::Discovery;
using model::NodeScore;
using model::NodeTable;
using model::Noting;
using Cause = model::ScoreNote::Cause;

/// A resource's preference for nodes, from a constraint or node health.
struct Location {
    std::string id;
    Resource* rsc;
    Role role = Role::kUnknown;
    Discovery discovery = Discovery::kAlways;
    std::vector<std::pair<Node*, Score>> nodes;
};

struct Colocation {
    std::string id;
    std::string attribute;  ///< "#uname" for "on the same node"
    Resource* dependent;
    Resource* primary;
    Role dependent_role = Role::kUnknown;
    Role primary_role = Role::kUnknown;
    int score = 0;
    bool influence = false;  ///< the dependent's preferences count for the primary even if that is active
    bool from_config = false;
};

/// One end of an ordering: an action, or all actions of a resource for a task that there will be.
struct OrderEnd {
    Resource* rsc = nullptr;
    std::string task;  ///< key without resource and interval; empty if `action` is given
    Action* action = nullptr;
    OrderEnd(Resource& r, std::string_view t) : rsc(&r), task(t) {}
    explicit OrderEnd(Action* a) : rsc(a->rsc), action(a) {}
    OrderEnd(Resource* r, Action* a) : rsc(r != nullptr ? r : a->rsc), action(a) {}
    OrderEnd(Resource* r, std::string_view t, Action* a) : rsc(r), task(t), action(a) {}
};

struct Ordering {
    OrderEnd first, then;
    Flags flags;
};

struct TicketDependency {
    std::string id;
    const model::Ticket* ticket;
    enum class Loss : std::uint8_t { kStop, kDemote, kFence, kFreeze } loss;
    Role role;
};

struct Notifications;

/// What the scheduler knows about a resource beyond the model.
struct Work {
    bool unassigned = true;
    bool assigning = false;
    int entered = 0;  ///< how often the assignment of a bundle is under way
    bool updating_scores = false;
    bool restarting = false;
    bool stop_unexpected = false;
    bool reload = false;
    bool promotion_scores_added = false;
    bool promotion_constrained = false;  ///< promotable: instances are sorted
    std::vector<Action*> actions;        ///< in order of creation
    std::vector<Colocation*> this_with;  ///< by priority of the primary
    std::vector<Colocation*> with_this;  ///< by priority of the dependent
    std::vector<TicketDependency> tickets;
    Score assigned_score{};  ///< of the assigned node, when it was assigned
    int promotion_priority = 0;
    std::shared_ptr<Notifications> stop_notify, start_notify, demote_notify, promote_notify;
};

class Scheduler {
public:
    Scheduler(Cluster& cluster, const Input& input, Plan& result) : c(cluster), in(input), plan(result) {}

    Cluster& c;
    const Input& in;
    Plan& plan;

    std::deque<Action> actions;
    std::deque<Location> locations;
    std::vector<Location*> location_order;
    std::optional<std::vector<const Location*>> promoted_locations;  ///< of those; known once instances are promoted
    std::deque<Colocation> colocations;
    std::vector<Ordering> orderings;
    std::unordered_map<std::string, Action*> singletons;  ///< actions without resource, by key
    unsigned visit = 0;                                   ///< number of the last walk over actions
    std::vector<int> resources_on_node;                   ///< assigned, by node index
    std::vector<std::vector<Resource*>> assigned_to;      ///< by node index

    Work& of(const Resource& r) {
        if (r.index >= work_.size()) work_.resize(c.resource_store.size());
        return work_[r.index];
    }

    // --- actions.cpp ---
    /// The resource's action with that key on that node, made if there is none. `node` may be null: on no node yet.
    Action* action(Resource& rsc, std::string_view key_task, std::string_view task, Duration interval, Node* node,
                   bool optional);
    Action* action(Resource& rsc, std::string_view task, Node* node, bool optional) {
        return action(rsc, task, task, Duration{0}, node, optional);
    }
    Action* global_action(const std::string& key, std::string_view task, Node* node, bool optional);
    Action* pseudo_action(const std::string& name);
    Action* rsc_pseudo_action(Resource& rsc, std::string_view task, bool optional, bool runnable);
    Action* fence_action(Node& node, std::string_view operation, bool optional, const std::string* reason,
                         bool priority_delay);
    Action* stop(Resource& rsc, Node* node, bool optional) { return action(rsc, "stop", node, optional); }
    Action* start(Resource& rsc, Node* node, bool optional) { return action(rsc, "start", node, optional); }
    Action* demote(Resource& rsc, Node* node, bool optional) { return action(rsc, "demote", node, optional); }
    Action* promote(Resource& rsc, Node* node, bool optional) { return action(rsc, "promote", node, optional); }
    Action* clear_fail_count(Resource& rsc, Node& node);
    void delete_history(Resource& rsc, Node& node) { action(rsc, "lrm_delete", &node, false); }
    /// Oldest first. `node` null: any.
    std::vector<Action*> find_actions(Resource& rsc, std::string_view key_task, Duration interval, Node* node,
                                      bool require_node = false);
    /// The newest with that task; `node` null: any.
    Action* find_task(const Resource& rsc, std::string_view task, const Node* node = nullptr);
    Action* find_key(const Resource& rsc, std::string_view key_task);
    /// False if there is such a relation already.
    bool relate(Action* first, Action* then, Flags flags);
    void order(OrderEnd first, OrderEnd then, Flags flags);
    void order(Resource& first, std::string_view first_task, Resource& then, std::string_view then_task, Flags flags) {
        order(OrderEnd(first, first_task), OrderEnd(then, then_task), flags);
    }
    void fence(Node& node, std::string reason, bool priority_delay = false);
    void take_requests();
    void unfence_for(Resource* rsc, Node* node, const std::string& reason);

    // --- nodes.cpp ---
    [[nodiscard]] bool available(const Node* node, bool consider_score = false, const NodeScore* entry = nullptr) const;
    [[nodiscard]] bool any_available(const NodeTable& table) const;
    /// Allowed nodes, best first.
    std::vector<Node*> sorted_nodes(const NodeTable& table, const Node* preferred);
    /// Sorts nodes that are in the cluster's order as table_order.h tells.
    void in_table_order(std::vector<Node*>& nodes) const;
    [[nodiscard]] bool node_before(const NodeTable* table, const Node& a, const Node& b, const Node* preferred) const;
    NodeScore* top_allowed(const Resource& rsc, const Node& node);
    /// Where the resource is (kCurrent) or will be, with all its parts; null if it is not on exactly one node.
    enum class Where : std::uint8_t { kCurrent, kAssigned };
    Node* location_of(const Resource& rsc, Where where);
    void show_scores(const Resource& rsc, std::string_view pass);

    std::vector<Work> work_;
};

// Passes, by file. Their order is in schedule.cpp.
// constraints.cpp, location_constraints.cpp, colocation_constraints.cpp, order_constraints.cpp, ticket_constraints.cpp
void apply_node_health(Scheduler& s);
void unpack_constraints(Scheduler& s);
Resource* constraint_resource(Scheduler& s, std::string_view id);
/// One end of a constraint as written: attribute that names the resource, its role (or action), and how a set says it.
struct ConstraintEnd {
    std::string_view attribute, role_attribute, set_attribute;
    bool convert_resource;  ///< a plain resource becomes a set too if the other end is one
};
/// The constraint with tags and templates spelled out as resource sets; null if it names what doesn't exist.
xml::NodePtr expand_tags(Scheduler& s, const xml::NodePtr& constraint, const std::vector<ConstraintEnd>& ends);
/// The resource sets of a constraint with references resolved; empty optional if one can't be.
std::optional<std::vector<const xml::Node*>> resource_sets(Scheduler& s, const xml::Node& constraint);
/// Ids in a resource set.
std::vector<std::string_view> references(const xml::Node& set);
std::optional<Role> constraint_role(Scheduler& s, std::string_view id, std::optional<std::string_view> text);
void unpack_location(Scheduler& s, const xml::NodePtr& constraint);
Location* add_location(Scheduler& s, std::string id, Resource& rsc, std::optional<std::string_view> discovery);
void unpack_colocation(Scheduler& s, const xml::NodePtr& constraint);
void add_colocation(Scheduler& s, std::string id, std::string_view attribute, int score, Resource* dependent,
                    Resource* primary, std::optional<std::string_view> dependent_role,
                    std::optional<std::string_view> primary_role, bool influence, bool from_config);
void unpack_ordering(Scheduler& s, const xml::NodePtr& constraint);
void unpack_ticket(Scheduler& s, const xml::NodePtr& constraint);

// node_criteria.cpp
void apply_node_criteria(Scheduler& s);
void apply_location(Scheduler& s, Resource& rsc, const Location& location);

// internal_constraints.cpp
void add_internal_constraints(Scheduler& s);
void internal_constraints_of(Scheduler& s, Resource& rsc);

// config_changes.cpp
void handle_config_changes(Scheduler& s);
void check_parameters_of_bundles(Scheduler& s);
void schedule_cleanup(Scheduler& s, Resource& rsc, Node& node, bool optional);

// assign*.cpp
void assign_resources(Scheduler& s);
Node* assign(Scheduler& s, Resource& rsc, Node* prefer, bool stop_if_fail);
bool assign_to(Scheduler& s, Resource& rsc, Node* node, const NodeScore* entry, bool force, bool stop_if_fail);
void unassign(Scheduler& s, Resource& rsc);
void assign_instances(Scheduler& s, Resource& collective, const std::vector<Resource*>& instances, int max_total,
                      int max_per_node);
int compare_instances(Scheduler& s, const Resource& a, const Resource& b);
int compare_instance_numbers(const Resource& a, const Resource& b);
std::vector<Resource*> instances_of(const Resource& collective);
Resource* compatible_instance(Scheduler& s, const Resource& match, const Resource& collective, Role role, bool current);
/// compatible_instance() for many instances of one clone with the same other one.
class CompatibleInstances {
public:
    CompatibleInstances(Scheduler& s, const Resource& collective, bool current);
    [[nodiscard]] Resource* find(const Resource& match) const;

private:
    Scheduler& s_;
    const Resource& collective_;
    bool current_;
    std::vector<Resource*> on_node_;  ///< by node index: the first that was there
};
bool instance_matches(Scheduler& s, const Resource& instance, const Node* node, Role role, bool current);
/// g_list_sort's merge order, for comparisons that are no strict order.
template <class T, class Compare>
void merge_sort(std::vector<T>& list, Compare&& compare) {
    if (list.size() < 2) return;
    const auto half = static_cast<std::ptrdiff_t>(list.size() / 2);
    std::vector<T> left(list.begin(), list.begin() + half), right(list.begin() + half, list.end());
    merge_sort(left, compare);
    merge_sort(right, compare);
    std::size_t i = 0, j = 0, k = 0;
    while (i < left.size() && j < right.size()) {
        list[k++] = compare(left[i], right[j]) <= 0 ? left[i++] : right[j++];
    }
    while (i < left.size()) list[k++] = left[i++];
    while (j < right.size()) list[k++] = right[j++];
}

// utilization.cpp
Node* ban_insufficient_capacity(Scheduler& s, Resource& rsc);
int compare_capacities(const Node& a, const Node& b);
void consume_capacity(Node& node, const Resource& rsc);
void release_capacity(Node& node, const Resource& rsc);
void show_capacities(Scheduler& s, std::string_view when);
void order_load_stopped(Scheduler& s, Resource& rsc, const std::vector<Node*>& allowed);

// colocation_scores.cpp
std::vector<Colocation*> this_with(Scheduler& s, const Resource& rsc);
std::vector<Colocation*> with_this(Scheduler& s, const Resource& rsc);
bool has_influence(const Colocation& colocation, const Resource* rsc);
struct ColocatedScores {
    bool select_this_with = false;
    bool select_nonnegative = false;
    bool select_active = false;
};
/// Adds to `nodes` what a colocated resource (and those colocated with it) prefers; `nodes` null: starts from the
/// source's own table and returns that.
void add_colocated_scores(Scheduler& s, Resource& source, const Resource* target, std::optional<NodeTable>& nodes,
                          const Colocation* colocation, float factor, ColocatedScores options);
void add_dependent_scores(Scheduler& s, const Colocation& colocation, Resource& primary);
int apply_colocation(Scheduler& s, Resource& dependent, const Resource& primary, const Colocation& colocation,
                     bool for_dependent);
std::optional<std::string_view> colocation_attribute(const Node* node, std::string_view attribute, const Resource* rsc);
enum class Affects : std::uint8_t { kNothing, kLocation, kRole };
Affects colocation_affects(Scheduler& s, const Resource& dependent, const Resource& primary,
                           const Colocation& colocation, bool preview);
void intersect_nodes(Scheduler& s, Resource& dependent, const std::vector<std::pair<Node*, Score>>& nodes, bool merge);
const Resource& role_resource(const Resource& rsc);
const Resource* contained(const Resource& container);
std::vector<Resource*> colocated_resources(Scheduler& s, Resource& rsc, Resource* original,
                                           std::vector<Resource*> found);
bool is_blocked_anywhere(const Resource& rsc);

// promotable.cpp
void add_promotion_scores(Scheduler& s, Resource& clone);
void set_instance_roles(Scheduler& s, Resource& clone);
void create_promotable_actions(Scheduler& s, Resource& clone);
void order_promotable_instances(Scheduler& s, Resource& clone);
void require_promotion_tickets(Scheduler& s, Resource& rsc);
void update_dependent_with_promotable(Scheduler& s, const Resource& primary, Resource& dependent,
                                      const Colocation& colocation);
int update_promotable_dependent_priority(Scheduler& s, const Resource& primary, Resource& dependent,
                                         const Colocation& colocation);
void promotable_restart_ordering(Scheduler& s, Resource& rsc);

// bundles.cpp
Node* assign_bundle(Scheduler& s, Resource& bundle, Node* prefer, bool stop_if_fail);
void create_bundle_actions(Scheduler& s, Resource& bundle);
void bundle_internal_constraints(Scheduler& s, Resource& bundle);
int apply_bundle_colocation(Scheduler& s, Resource& dependent, const Resource& primary, const Colocation& colocation,
                            bool for_dependent);
bool probe_bundle(Scheduler& s, Resource& bundle, Node& node);
Flags bundle_action_flags(Scheduler& s, Action& action, const Node* node);
const model::BundleReplica* replica_with(const Resource& part);

// create_actions.cpp, recurring.cpp, migration.cpp
void schedule_resource_actions(Scheduler& s);
void create_actions(Scheduler& s, Resource& rsc);
void create_instance_actions(Scheduler& s, Resource& collective, const std::vector<Resource*>& instances);
void create_recurring_actions(Scheduler& s, Resource& rsc);
Action* cancel_action(Scheduler& s, Resource& rsc, std::string_view task, Duration interval, Node* node);
void schedule_cancel(Scheduler& s, Resource& rsc, std::string_view call_id, std::string_view task, Duration interval,
                     Node* node);
bool is_recurring(const Action& action);
void create_migration_actions(Scheduler& s, Resource& rsc, Node* current);
bool can_migrate(const Resource& rsc, const Node* current);
void order_migration_equivalents(Scheduler& s, const Ordering& ordering);

// probes.cpp
void schedule_probes(Scheduler& s);
bool probe(Scheduler& s, Resource& rsc, Node& node);
bool probe_list(Scheduler& s, const std::vector<Resource*>& list, Node& node);
void order_probes(Scheduler& s);
Resource* guest_connection_in(const Resource& rsc);

// remote.cpp
void order_remote_connections(Scheduler& s);
bool is_failed_remote_node(const Node& node);
Node* connection_host(const Action& action);

// fencing.cpp
void schedule_fencing_and_shutdowns(Scheduler& s);
void order_vs_fencing(Scheduler& s, Action& fencing);
void order_vs_unfencing(Scheduler& s, const Resource& rsc, Node& node, Action& action, Flags flags);
bool is_unfenced(const Node& node);

// apply_orderings.cpp
void apply_orderings(Scheduler& s);
void update_action(Scheduler& s, Action& then);
Flags action_flags(Scheduler& s, Action& action, const Node* node);
Flags collective_action_flags(Scheduler& s, Action& action, const std::vector<Resource*>& instances, const Node* node);
void block_colocation_dependents(Scheduler& s, Action& action);

// notifications.cpp
void create_notification_pseudo_actions(Scheduler& s, Resource& clone, Action* start, Action* started, Action* stop,
                                        Action* stopped);
void create_promotable_notification_pseudo_actions(Scheduler& s, Resource& clone, Action* promote, Action* promoted,
                                                   Action* demote, Action* demoted);
void create_clone_notifications(Scheduler& s, Resource& clone);
void order_notifications_after_fencing(Scheduler& s, Action& stop, Resource& rsc, Action& fencing);

// graph.cpp, dot.cpp, summary.cpp
void create_graph(Scheduler& s);
bool belongs_in_graph(const Action& action);
bool input_belongs_in_graph(const Action& action, Relation& input);
bool has_loop(const Action& start, const Action& action, Relation& input);
void deduplicate_inputs(Action& action);
void write_dot(Scheduler& s);
void write_summary(Scheduler& s);

}  // namespace systole::scheduler
