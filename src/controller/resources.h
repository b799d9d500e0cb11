#pragma once
// controller/resources.h — resource operations on this node: from the DC's order to the record of its result.
//
// Talks to the executor, remembers each resource's history (to hand it over when this node joins a DC) and writes
// results into the CIB, by which the DC learns them. What is not recorded (notifications, clean-ups, refusals) is
// acknowledged to the requester directly.
//
// After a crash of this process the executor still holds the resources; import() asks it what it knows and takes over
// the CIB's history of exactly those, so that nothing is started twice and nothing is believed that the machine
// forgot.
//
// While the executor is gone, orders wait for it.
//
// There is one of these for this node's executor, and one for each remote node whose connection this node hosts: the
// same orders, another executor, and the remote node's name in the history. A connection itself (ocf:pacemaker:remote)
// is a resource of this node that no executor runs: its operations are handed out as ConnectionOrders.
//
// Invariants: an operation that was accepted leads to exactly one record or one acknowledgement; a stop is given the
// instance parameters of the start before it; recurring operations are cancelled before the state of their resource
// changes.
// Source: protocol sheets controller.md, sections 6 to 8; executor-remote.md, sections 4 and 5.
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controller/effects.h"
#include "controller/history.h"
#include "controller/remote_connections.h"
#include "membership/peers.h"

namespace systole::controller {

/// Who gets a direct acknowledgement: the DC's transition engine, or a tool's connection on some node.
struct Requester {
    std::string host;                ///< empty: the DC
    std::string system = "tengine";  ///< or the id of an IPC client
    std::string user;                ///< on whose behalf (ACLs); empty: the cluster's own
    [[nodiscard]] bool is_dc() const { return system == "tengine"; }
};

/// A direct acknowledgement: the controller builds the envelope and routes it.
struct DirectAck {
    Requester to;
    xml::NodePtr node_state;
};

/// What may be begun at this moment.
enum class Readiness : std::uint8_t {
    kReady,
    kStopsOnly,     ///< not (or not yet) a member of a partition with a DC
    kShuttingDown,  ///< starts are refused
};

class Resources {
public:
    /// An operation that an executor (or a connection) has ended.
    struct Ended {
        std::string resource;
        OperationResult result;
    };
    /// What came of an input: effects, and acknowledgements to route.
    struct Step {
        ControllerEffects effects;
        std::vector<DirectAck> acks;
        std::vector<ConnectionOrder> orders;  ///< for connections to remote nodes; answered by on_connection_result
        std::vector<Ended> ended;             ///< for those who are told of events
        bool imported{};                      ///< import() has ended
    };

    enum class Kind : std::uint8_t { kOwnNode, kRemoteNode };
    explicit Resources(wire::NodeRef self, Kind kind = Kind::kOwnNode)
        : self_(std::move(self)), remote_(kind == Kind::kRemoteNode) {}

    [[nodiscard]] Step on_executor_up(const Now& now);
    [[nodiscard]] Step on_executor_down(const Now& now);
    [[nodiscard]] Step on_reply(const Now& now, const ExecutorReply& reply);
    [[nodiscard]] Step on_event(const Now& now, const xml::Node& event);
    [[nodiscard]] Step on_metadata(const Now& now, const MetadataReady& metadata);
    [[nodiscard]] Step on_connection_result(const Now& now, const ConnectionResult& result);
    [[nodiscard]] Step on_cib_reply(const Now& now, std::uint64_t token, const xml::Node* reply);
    /// Somebody removed a history record of this node from the CIB.
    [[nodiscard]] Step on_record_deleted(std::string_view resource, std::string_view record);

    /// `op` is an rsc_op element as it comes with lrm_invoke.
    [[nodiscard]] Step invoke(const Now& now, const xml::NodePtr& op, const Requester& requester, Readiness readiness);
    /// lrm_delete: forgets a resource and its history.
    [[nodiscard]] Step remove(const Now& now, const xml::NodePtr& op, const Requester& requester);
    /// lrm_fail: records a failure that nobody measured.
    [[nodiscard]] Step fail(const Now& now, const xml::NodePtr& op, const Requester& requester);
    /// The order cannot be carried out: there is no connection to the node.
    [[nodiscard]] Step refuse_unconnected(const xml::Node& op, const Requester& requester, std::string_view why);
    /// probe_again: forgets every resource; the DC will ask for their states anew.
    [[nodiscard]] Step remove_all(const Now& now, const Requester& requester);

    /// Asks the executor about what `history` (this node's <lrm> in the CIB, may be null) says; `imported` is set in
    /// the step that ends it, at once if there is nothing to ask.
    [[nodiscard]] Step import(const Now& now, const xml::Node* history);
    /// <lrm id><lrm_resources>... with everything known, for join_confirm.
    [[nodiscard]] xml::NodePtr history() const;

    [[nodiscard]] bool executor_up() const { return executor_up_; }
    [[nodiscard]] bool importing() const { return !importing_.empty(); }
    [[nodiscard]] std::size_t running() const { return running_.size() + waiting_.size(); }
    /// Resources that are started as far as their last record says, in order of their ids.
    [[nodiscard]] std::vector<std::string> active() const;
    [[nodiscard]] std::vector<std::string> check_state() const;

    static constexpr std::uint64_t kTokenBase = std::uint64_t{1} << 32;  ///< CIB tokens from here on are ours
    /// Call ids of connections' operations begin here, clear of those that executors give.
    static constexpr std::int64_t kFirstConnectionCall = 1'000'000;

private:
    using Parameters = std::map<std::string, std::string>;
    struct Operation {
        ResourceIdentity resource;
        std::string action;
        std::int64_t interval_ms{};
        std::string transition_key;
        std::string sent_key;  ///< the key that the executor was given; an adopted run answers under a newer one
        Parameters parameters;
        Requester requester;
        std::int64_t call_id = -1;
        std::uint32_t run{};     ///< our number for this run
        bool cancel_wanted{};    ///< an explicit cancel: its record goes once the executor confirms
        bool failed{};           ///< a recurring one: so it was recorded last
        std::string cancel_key;  ///< transition key of that cancel
        Requester cancel_to;
    };
    struct Resource {
        ResourceIdentity identity;
        bool registered{};
        bool active{};
        std::int64_t last_call = 0;                   ///< highest number of a call that was recorded
        Parameters start_parameters;                  ///< instance parameters of the last successful start or probe
        std::map<std::string, xml::NodePtr> records;  ///< by record id
        std::map<std::pair<std::string, std::int64_t>, Operation> recurring;
    };
    /// A request to the executor that is not answered yet.
    struct Asked {
        enum class Kind : std::uint8_t { kPlain, kExec, kCancel, kUnregister, kInfo, kRecurring } kind{};
        std::uint32_t run{};   ///< kExec, kCancel: key of running_ (or 0)
        std::string resource;  ///< kUnregister, kInfo
        xml::NodePtr op;       ///< kUnregister, kCancel: the order
        Requester requester;
    };
    struct Deleting {
        xml::NodePtr op;
        Requester requester;
        bool checked{};  ///< the ACLs allow it; false: that is what is being found out
    };
    struct AgentInfo {
        bool asked{}, known{};
        AgentTraits traits;
    };
    struct Held {
        Operation operation;
        OperationResult result;
    };

    std::uint32_t ask(std::string_view op, Asked asked, xml::Builder data, Step& step, int options = 0);
    Resource& known(const ResourceIdentity& identity);
    void ensure_registered(Resource& resource, Step& step);
    void cancel_recurring(Resource& resource, Step& step);
    void cancel(const Now& now, const xml::NodePtr& op, const Requester& requester, Step& step);
    void execute(const Now& now, Operation operation, Step& step);
    bool adopt(const Now& now, const Operation& operation, Step& step);
    void execute_connection(const Now& now, Operation operation, Step& step);
    void record_pending(const Now& now, const Operation& operation, Step& step);
    void finish(const Now& now, Operation operation, OperationResult result, Step& step);
    void record(const Now& now, const Operation& operation, OperationResult result, Step& step,
                std::string_view origin);
    void forget_migration(Resource& resource, Step& step);
    void erase_record(const Operation& operation, Step& step);
    void acknowledge(const Operation& operation, const OperationResult& result, const Requester& to, Step& step);
    void refuse(const xml::Node& op, const Requester& requester, ExecStatus status, int rc, std::string_view why,
                Step& step);
    void forget_in_cib(const xml::NodePtr& op, std::string_view resource, const Requester& requester, Step& step);
    void after_forget(const Now& now, const Deleting& deleting, int rc, Step& step);
    const AgentTraits* traits_of(const ResourceIdentity& resource) const;
    void want_traits(const ResourceIdentity& resource, Step& step);
    void end_import_if_done(const Now& now, Step& step);
    static std::string agent_key(const ResourceIdentity& resource);

    wire::NodeRef self_;
    bool remote_;
    bool executor_up_{};
    std::map<std::string, Resource, std::less<>> resources_;
    std::vector<Operation> waiting_;              ///< for the executor to be back
    std::map<std::uint32_t, Operation> running_;  ///< by our number; non-recurring and first runs of recurring ones
    std::map<std::uint32_t, Asked> asked_;
    std::map<std::uint64_t, Deleting> deleting_;
    std::map<std::string, AgentInfo> agents_;
    std::map<std::uint32_t, std::string> metadata_tokens_;
    std::vector<Held> held_;                                      ///< results that wait for their agent's metadata
    std::map<std::string, std::vector<xml::NodePtr>> importing_;  ///< CIB records of resources that are asked about
    bool imported_{};                                             ///< once, at least
    std::vector<xml::NodePtr> early_;  ///< results of resources that only the import will make known
    std::uint32_t counter_{};
    std::int64_t connection_calls_ = kFirstConnectionCall;
};

}  // namespace systole::controller
