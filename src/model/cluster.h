#pragma once
// model/cluster.h — a typed reading of a CIB: what is configured, and what the status section says is going on.
//
// read_cluster() (model/read_cluster.h) fills it from a snapshot and a time. Status displays print from it, the
// scheduler plans from its own copy, on which it goes on working (it may mark a node unclean or a resource blocked).
//
// Invariants: nodes and resources never move once made; `index` is their place in the dense arrays, in order of
// creation; a resource comes after its parent. `nodes` is in order of names (numbers in names compare as numbers).
// Source: Pacemaker Explained; behaviour of Pacemaker 3.0.
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/exit_code.h"
#include "base/score.h"
#include "base/time.h"
#include "model/options.h"
#include "model/score_notes.h"
#include "rules/nvpairs.h"
#include "xml/tree.h"

namespace systole::model {

using rules::NameValues;

/// The order is meaningful: a role is "more" than those before it.
enum class Role : std::uint8_t { kUnknown, kStopped, kStarted, kUnpromoted, kPromoted };
/// "Stopped", "Started", "Unpromoted", "Promoted"; "Unknown".
std::string_view text_of(Role role);
/// Any case; the legacy names Slave and Master too; kUnknown if it is no role.
Role parse_role(std::string_view text);

/// resource-discovery of a resource on a node; the later ones win when constraints are put together.
enum class Discovery : std::uint8_t { kAlways, kNever, kExclusive };
enum class Variant : std::uint8_t { kPrimitive, kGroup, kClone, kBundle };
enum class MultiplyActive : std::uint8_t { kRestart, kStop, kBlock, kUnexpected };
/// What follows a failure; a later one is more severe than those before it.
enum class OnFail : std::uint8_t {
    kIgnore,
    kDemote,
    kRestart,
    kResetRemote,
    kRestartContainer,
    kBan,
    kBlock,
    kStop,
    kStandbyNode,
    kFenceNode,
};

struct Resource;
struct Node;

/// What a resource's table says about one node.
struct NodeScore {
    Score score{};
    Discovery discovery = Discovery::kAlways;
    bool present = false;  ///< absent: not even considered (opt-in clusters)
    bool held = false;     ///< scheduler: kept from being cancelled by a colocation's negative score
    int count = 0;         ///< instances assigned there so far (tables of clones and bundles)
};

/// Scores by node. A table of few nodes (all that an opt-in cluster with many nodes needs) is a sorted list, a larger
/// one an array by node index.
class NodeTable {
public:
    [[nodiscard]] inline const NodeScore* find(const Node& node) const;
    [[nodiscard]] inline NodeScore* find(const Node& node);
    /// The node's entry, made from `initial` if it is absent.
    NodeScore& at(const Node& node, const NodeScore& initial);
    void erase(const Node& node);
    void clear();
    [[nodiscard]] bool empty() const;
    /// Calls `visit(node index, entry)` for each entry, in order of indexes. The table must not grow meanwhile.
    template <class Visit>
    void each(Visit&& visit) {
        for (auto& [index, entry] : few_) visit(index, entry);
        for (std::uint32_t i = 0; i < many_.size(); ++i) {
            if (many_[i].present) visit(i, many_[i]);
        }
    }
    template <class Visit>
    void each(Visit&& visit) const {
        for (const auto& [index, entry] : few_) visit(index, entry);
        for (std::uint32_t i = 0; i < many_.size(); ++i) {
            if (many_[i].present) visit(i, many_[i]);
        }
    }

private:
    static constexpr std::size_t kFew = 8;
    [[nodiscard]] const NodeScore* find_index(std::uint32_t index) const {
        if (!many_.empty()) return index < many_.size() && many_[index].present ? &many_[index] : nullptr;
        if (index < few_.size() && few_[index].first == index) return &few_[index].second;
        for (const auto& [known, entry] : few_) {
            if (known == index) return &entry;
        }
        return nullptr;
    }
    std::vector<std::pair<std::uint32_t, NodeScore>> few_;  ///< sorted; empty where `many_` is used
    std::vector<NodeScore> many_;                           ///< by index; absent entries aren't `present`
};

struct Node {
    std::uint32_t index = 0;
    std::string id;            ///< XML id: Corosync's node id; of remote and guest nodes their name
    std::string name;          ///< uname
    bool remote_kind = false;  ///< a remote or guest node, else a cluster node
    Score score{};             ///< what tables start from: configured score, -INFINITY where offline
    Discovery discovery = Discovery::kAlways;

    bool online = false;
    bool pending = false;  ///< joining
    bool standby = false;
    bool standby_on_fail = false;
    bool maintenance = false;
    bool unclean = false;
    bool shutdown = false;
    bool expected_up = false;
    bool seen = false;
    bool unpacked = false;
    bool is_dc = false;
    bool probes_allowed = true;
    bool remote_reset = false;  ///< connection or container has to be recovered first
    bool remote_fenced = false;
    bool remote_maintenance = false;  ///< was in maintenance in the last transition

    NameValues attributes;  ///< permanent and transient ones, rules resolved, with #uname, #id, #kind, ...
    std::map<std::string, int, std::less<>> utilization;  ///< capacities
    int priority = 0;                                     ///< sum of the priorities of what runs there
    Resource* remote = nullptr;                           ///< the connection of a remote or guest node
    std::vector<Resource*> running;                       ///< active primitives, in order of discovery
    const xml::Node* config = nullptr;
    const xml::Node* state = nullptr;

    /// Fail counts and times from the attributes, by resource as written and without instance number.
    struct FailRecord {
        Score count{};
        std::int64_t last_failure = 0;
    };
    mutable std::optional<std::unordered_map<std::string, FailRecord>> fail_exact, fail_base;
    std::unordered_map<std::string_view, const xml::Node*> history;  ///< lrm_resource by id

    [[nodiscard]] bool is_cluster_node() const { return !remote_kind; }
    /// A guest or bundle node: its connection lives in a container (or virtual machine).
    [[nodiscard]] bool is_guest() const;
    /// A node whose connection isn't in a container.
    [[nodiscard]] bool is_remote() const { return remote_kind && !is_guest(); }
    [[nodiscard]] std::optional<std::string_view> attribute(std::string_view name) const;
};

inline const NodeScore* NodeTable::find(const Node& node) const { return find_index(node.index); }
inline NodeScore* NodeTable::find(const Node& node) { return const_cast<NodeScore*>(find_index(node.index)); }

struct CloneData {
    int max = 0;
    int node_max = 1;
    int promoted_max = 0;
    int promoted_node_max = 0;
    int total = 0;  ///< instances made so far, those beyond max ("orphans") included
    bool ordered = false;
    const xml::Node* child_xml = nullptr;
    [[nodiscard]] std::string_view child_id() const {
        return child_xml == nullptr ? std::string_view{} : child_xml->id();
    }
};

struct GroupData {
    bool ordered = true;
    bool colocated = true;
};

struct BundleReplica {
    int offset = 0;
    std::string ip_address;
    Resource* child = nullptr;
    Resource* container = nullptr;
    Resource* remote = nullptr;
    Resource* ip = nullptr;
    Node* node = nullptr;
};

struct BundleData {
    int promoted_max = 0;
    int replicas_max = 1;
    int replicas_per_host = 1;
    std::string image;
    std::string agent;          ///< "docker" or "podman"
    Resource* child = nullptr;  ///< the implicit clone of the bundled primitive; null if there is none
    std::vector<BundleReplica> replicas;
};

/// One <op> of a resource, its own or its template's.
struct OperationConfig {
    const xml::Node* xml = nullptr;
    std::string_view name;
    Duration interval{0};
    bool enabled = true;
};

struct Resource {
    std::uint32_t index = 0;
    std::string id;          ///< with instance number: "web:0"
    std::string history_id;  ///< as the status section knows it, if that differs
    xml::NodePtr xml;        ///< configuration, merged with the template's; id without instance number
    xml::NodePtr original_xml;
    Variant variant = Variant::kPrimitive;
    Resource* parent = nullptr;
    std::vector<Resource*> children;
    std::optional<int> instance;

    NameValues meta;  ///< XML attributes, meta-attributes, inherited and default ones
    std::map<std::string, int, std::less<>> utilization;
    std::vector<OperationConfig> operations;

    bool managed = true;
    bool blocked = false;
    bool maintenance = false;
    bool removed = false;           ///< active or known in the status, but not configured (any more)
    bool removed_launched = false;  ///< ... and it was in a container
    bool unique = true;
    bool notify = false;
    bool promotable = false;
    bool critical = true;
    bool fence_device = false;
    bool needs_quorum = false;
    bool needs_fencing = false;
    bool needs_unfencing = false;
    bool migratable = false;
    bool exclusive_discovery = false;
    bool remote_connection = false;       ///< ocf:pacemaker:remote
    bool remote_nesting_allowed = false;  ///< a bundle's connection may be on a remote node
    bool replica_container = false;
    bool failed = false;
    bool stop_if_failed = false;
    bool ignore_failure = false;
    bool start_pending = false;

    Role role = Role::kStopped;       ///< what it is now
    Role next_role = Role::kUnknown;  ///< what target-role and failures ask for; the scheduler goes on from there
    int priority = 0;
    Score stickiness{};
    int migration_threshold = Score::kInfinity;
    Duration failure_timeout{0};
    Duration remote_reconnect{0};
    MultiplyActive multiply_active = MultiplyActive::kRestart;

    std::vector<Node*> active_nodes;
    NodeTable allowed;
    std::vector<bool> probed;      ///< by node index: its state there is known
    Resource* launcher = nullptr;  ///< the container or virtual machine that this lives in
    std::vector<Resource*> launched;
    Node* partial_migration_source = nullptr;
    Node* partial_migration_target = nullptr;
    std::vector<Node*> dangling_migration_sources;
    std::string pending_action;
    Node* pending_node = nullptr;
    Node* assigned_node = nullptr;  ///< where the scheduler puts it; null in a mere reading
    Node* lock_node = nullptr;      ///< shutdown-lock
    std::int64_t lock_time = 0;

    /// Answers that are asked for often; filled on the way.
    struct Cache {
        struct Meta {
            const xml::Node* config;
            std::string task;
            Duration interval;
            std::shared_ptr<const NameValues> values;
        };
        std::vector<Meta> operation_meta;
        std::unordered_map<const Node*, std::shared_ptr<const NameValues>> parameters;
        std::optional<bool> parameters_vary;  ///< rules make them differ from node to node
    } cache;

    std::unique_ptr<CloneData> clone;
    std::unique_ptr<GroupData> group;
    std::unique_ptr<BundleData> bundle;

    [[nodiscard]] bool is_primitive() const { return variant == Variant::kPrimitive; }
    [[nodiscard]] bool is_group() const { return variant == Variant::kGroup; }
    [[nodiscard]] bool is_clone() const { return variant == Variant::kClone; }
    [[nodiscard]] bool is_bundle() const { return variant == Variant::kBundle; }
    [[nodiscard]] bool is_anonymous_clone() const { return is_clone() && !unique; }
    /// The implicit clone of a bundle, or anything below it.
    [[nodiscard]] bool is_bundled() const;
    [[nodiscard]] std::string_view xml_id() const { return xml->id(); }
    /// As the status section knows it.
    [[nodiscard]] const std::string& name_in_history() const { return history_id.empty() ? id : history_id; }
    /// What people see: without instance number unless instances are unique.
    [[nodiscard]] std::string_view printable_id() const { return unique ? std::string_view(id) : xml_id(); }
    [[nodiscard]] std::string_view standard() const { return xml->get("class"); }
    [[nodiscard]] std::string_view provider() const { return xml->get("provider"); }
    [[nodiscard]] std::string_view agent_type() const { return xml->get("type"); }
    [[nodiscard]] std::optional<std::string_view> meta_value(std::string_view name) const;
    [[nodiscard]] bool meta_true(std::string_view name) const;
    /// The topmost ancestor; stops below a bundle unless `include_bundle`.
    [[nodiscard]] const Resource& top(bool include_bundle = false) const;
    Resource& top(bool include_bundle = false);
    /// What fails and is banned together: the topmost ancestor below a bundle.
    Resource& uber_parent() { return top(false); }
    /// Is `other` an ancestor of this?
    [[nodiscard]] bool has_ancestor(const Resource& other) const;
    /// target-role says that it shall not run (or, promotable, not be promoted).
    [[nodiscard]] bool is_disabled() const;
    [[nodiscard]] bool runs_on(const Node& node) const;
    /// Active (for `all`: in every part). Managed resources on offline clean nodes don't count.
    [[nodiscard]] bool is_active(bool all) const;
    /// Current (or planned) role; of groups and clones the highest of their members'.
    [[nodiscard]] Role state(bool current) const;
    [[nodiscard]] int max_per_node() const;
    [[nodiscard]] bool is_replica_of_clone() const { return parent != nullptr && parent->is_clone(); }
};

/// Where a resource is active, with the node that matters for what follows first.
struct ActiveNodes {
    Node* current = nullptr;
    unsigned all = 0;
    unsigned clean = 0;
};
ActiveNodes active_nodes_of(const Resource& resource);
inline Node* current_node(const Resource& resource) { return active_nodes_of(resource).current; }
/// How many nodes count for "active on too many nodes", by what the resource requires.
unsigned count_active_for_requirements(const Resource& resource);

struct Ticket {
    std::string id;
    bool granted = false;
    bool standby = false;
    std::int64_t last_granted = -1;
    NameValues state;  ///< everything in ticket_state but its id
};

/// An unexpected result in the status section, as "Failed Resource Actions" shows them.
struct FailedOperation {
    const xml::Node* xml = nullptr;  ///< lrm_rsc_op
    Resource* resource = nullptr;
    Node* node = nullptr;
    std::string key;  ///< "web_monitor_10000"
};

/// What the history asks of the scheduler beyond the state it describes, in the order in which it was found.
struct HistoryRequest {
    enum class Kind : std::uint8_t {
        kRecurring,       ///< a recurring operation is active: `task`, `interval`
        kStop,            ///< stop it there, it has failed
        kDemote,          ///< demote it there, it has failed
        kForgetStops,     ///< it turned out to be stopped there
        kFence,           ///< the node is to be fenced: `reason`
        kClearFailCount,  ///< `reason`; after fencing of its remote node if `after_fencing`
        kDeleteHistory,
    };
    Kind kind;
    Resource* resource = nullptr;
    Node* node = nullptr;
    std::string task{};
    Duration interval{0};
    std::string reason{};
    bool priority_delay = false;
    bool after_fencing = false;
};

/// A history entry whose parameters can be compared only once bundles' hosts are known.
struct ParameterCheck {
    const xml::Node* xml;
    Resource* resource;
    Node* node;
    bool active = false;  ///< an operation in effect, else the last failure
};

struct Problem {
    enum class Kind : std::uint8_t { kConfigError, kConfigWarning, kError, kWarning };
    Kind kind;
    std::string text;
};

struct Cluster {
    xml::NodePtr cib;
    rules::DateTime now;
    Options options;
    bool quorate = false;
    bool have_remote_nodes = false;
    bool have_fencing = false;  ///< a fence device is configured, or a watchdog is in use
    bool enable_unfencing = false;
    const xml::Node* rsc_defaults = nullptr;
    const xml::Node* op_defaults = nullptr;

    std::deque<Node> node_store;
    std::deque<Resource> resource_store;
    std::vector<Node*> nodes;
    std::vector<Resource*> resources;  ///< top level: by priority, then as configured; removed ones last
    Node* dc = nullptr;

    std::map<std::string, std::vector<std::string>, std::less<>> templates;  ///< template → resources made from it
    std::map<std::string, std::vector<std::string>, std::less<>> tags;
    std::vector<std::string> tag_order;
    std::map<std::string, Ticket, std::less<>> tickets;

    std::vector<FailedOperation> failed;
    std::vector<HistoryRequest> requests;
    std::vector<ParameterCheck> parameter_checks;
    std::unordered_set<const xml::Node*> expired_recurring;  ///< history whose monitor is to be run anew
    std::vector<Problem> problems;
    std::unique_ptr<std::vector<ScoreNote>> score_notes;  ///< null: not asked for
    std::optional<WallTime> recheck_by;                   ///< when passing time alone may change what follows
    std::optional<WallTime> graph_recheck_by;             ///< the same without date_specs, as transition graphs tell it

    std::unordered_map<std::string, Node*> nodes_by_name;  ///< lower case
    std::unordered_map<std::string, Node*> nodes_by_id;    ///< lower case; of several the first
    /// By text, looked up without making a string.
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    std::unordered_map<std::string, Resource*, TextHash, std::equal_to<>> resources_by_id;
    std::unordered_map<std::string, std::vector<Resource*>, TextHash, std::equal_to<>> resources_by_history_id;
    mutable std::unordered_map<std::string, const xml::Node*> elements_by_id;  ///< filled when an id-ref is met

    [[nodiscard]] Node* find_node(std::string_view name) const;
    [[nodiscard]] Node* find_node_any(std::string_view id, std::string_view name) const;
    /// By id (with instance number where it has one) or the id that the history uses.
    [[nodiscard]] Resource* find_resource(std::string_view id) const;
    [[nodiscard]] const xml::Node* resolve_reference(std::string_view element, std::string_view id) const;
    [[nodiscard]] bool can_fence(const Node* node) const;
    [[nodiscard]] std::int64_t epoch() const { return now.wall().seconds; }
    void recheck(std::int64_t at);
    /// As a rule (rules::Evaluation) or sets of pairs with rules (rules::Unpacked) ask for it.
    template <class Evaluated>
    void recheck_for(const Evaluated& result) {
        if (result.next_change) recheck(result.next_change->seconds);
        if (result.next_date_spec) recheck_by = rules::earlier(recheck_by, result.next_date_spec);
    }
    void problem(Problem::Kind kind, std::string text) { problems.push_back({kind, std::move(text)}); }
    void config_error(std::string text) { problem(Problem::Kind::kConfigError, std::move(text)); }
    void config_warning(std::string text) { problem(Problem::Kind::kConfigWarning, std::move(text)); }
    void warning(std::string text) { problem(Problem::Kind::kWarning, std::move(text)); }
    void error(std::string text) { problem(Problem::Kind::kError, std::move(text)); }

    /// Adds to a score of the resource and all below it; node == nullptr means every node.
    void add_location(Resource& resource, const Node* node, Score score);
    void set_history_id(Resource& resource, std::string id);
};

/// The node's own attribute, or its host's if `target` is "host" and it is a guest node: the host that its container
/// is planned for, or is active on.
enum class Host : std::uint8_t { kCurrent, kAssigned };
std::optional<std::string_view> attribute_of(const Node& node, std::string_view name, std::string_view target = {},
                                             Host host = Host::kCurrent);

/// Makes a node unclean (or its guest's container failed) because `reason`, and asks for fencing.
void fence_node(Cluster& cluster, Node& node, std::string reason, bool priority_delay);

/// A location constraint that forbids a resource a node, as "Negative Location Constraints" shows them.
struct Ban {
    std::string id;
    std::string resource;
    const Node* node;
    Score score;
    bool promoted_only;
};
std::vector<Ban> bans_of(const Cluster& cluster, std::string_view id_prefix);

}  // namespace systole::model
