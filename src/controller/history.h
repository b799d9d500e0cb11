#pragma once
// controller/history.h — an operation's result as a record in the CIB's status section.
//
// The scheduler of every later moment decides by these records, and by their digests whether a resource's definition
// changed since it was started: a wrong digest restarts every resource, so they must be exact.
// Source: protocol sheet controller.md, section 8; digests verified there.
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/exit_code.h"
#include "base/result.h"
#include "base/time.h"
#include "wire/port.h"
#include "xml/tree.h"

namespace systole::controller {

/// What of an agent's metadata the records depend on.
struct AgentTraits {
    enum class Reload : std::uint8_t {
        kNone,
        kLegacy,  ///< action "reload": parameters with unique="1" need a restart
        kAgent,   ///< action "reload-agent": parameters without reloadable="1" need a restart
    };
    Reload reload = Reload::kNone;
    std::vector<std::string> restart_parameters;  ///< in the order of the metadata
    std::vector<std::string> private_parameters;  ///< likewise
};

/// Errors: kInvalid with the place in the text.
Result<AgentTraits> read_traits(std::string_view metadata);

struct ResourceIdentity {
    std::string id;  ///< as history knows it (an anonymous clone's instance has none of its number)
    std::string agent_class, provider, type;
    std::string container;  ///< bundles
};

/// A connection to a remote or guest node: the controller itself carries its operations out.
inline bool is_connection(const ResourceIdentity& resource) {
    return resource.agent_class == "ocf" && resource.provider == "pacemaker" && resource.type == "remote";
}
/// What the agent ocf:pacemaker:remote says of itself: only reconnect_interval can be changed by a reload.
/// Source: the metadata of that agent, which the project ships.
const AgentTraits& connection_traits();

struct OperationResult {
    std::string action;
    std::int64_t interval_ms = 0;
    std::int64_t call_id = -1;
    ExecStatus status = ExecStatus::kUnknown;
    int rc = 193;
    std::string exit_reason;
    std::string transition_key;
    std::int64_t run_time = 0;        ///< epoch seconds it was started; 0: unknown
    std::int64_t rc_change_time = 0;  ///< epoch seconds; 0: unknown
    std::int64_t exec_time_ms = 0;
    std::int64_t queue_time_ms = 0;
    std::map<std::string, std::string> parameters;  ///< everything that was given to the executor, meta included
};

/// Did it end otherwise than its transition key wanted? Pending and cancelled operations did not fail.
bool is_unexpected(const OperationResult& result);

/// The <lrm_rsc_op> records of a result: one, or two for a failed non-recurring operation (last_failure_0 and last_0).
/// `origin` is informational (crm-debug-origin). `traits` may be null: no digests of reload and secrets then.
std::vector<xml::NodePtr> history_records(const ResourceIdentity& resource, const OperationResult& result,
                                          std::string_view node, const AgentTraits* traits, std::string_view origin);

/// <node_state><lrm><lrm_resources><lrm_resource>RECORDS: the object of the CIB modification that stores them.
xml::NodePtr history_update(const wire::NodeRef& node, bool remote, const ResourceIdentity& resource,
                            std::vector<xml::NodePtr> records, std::string_view origin);

/// "db_monitor_10000"; notifications carry their kind: use notify_key.
std::string operation_key(std::string_view resource, std::string_view action, std::int64_t interval_ms);
std::string notify_key(std::string_view resource, std::string_view type, std::string_view action);

/// The digest over all parameters that make up the definition (op-digest).
std::string operation_digest(const std::map<std::string, std::string>& parameters, std::int64_t interval_ms);

}  // namespace systole::controller
