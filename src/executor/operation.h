#pragma once
// executor/operation.h — one requested action of a resource, from its request to its last result; and the resource.
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "executor/agents.h"
#include "wire/port.h"
#include "xml/tree.h"

namespace systole::executor {

struct Operation {
    std::uint64_t serial{};  ///< names its timers; never used again

    // As requested.
    std::uint32_t call_id{};
    wire::ClientId client;
    bool from_controller{};  ///< its results are kept if no controller is connected
    std::string action;
    Duration interval{}, timeout{}, start_delay{};
    std::string userdata;
    std::uint32_t options{};  ///< kNotifyOriginatorOnly, kNotifyChangesOnly
    Parameters parameters;
    xml::NodePtr attributes;  ///< the request's element, repeated in results

    // Where it stands.
    bool delayed{};    ///< its start-delay has not passed
    bool cancelled{};  ///< while it runs: was killed because somebody cancelled it
    bool deleted{};    ///< its resource was unregistered (or replaced) meanwhile
    std::uint32_t token{};
    AgentName agent;  ///< that runs or ran it; the resource may have become another one since
    Instant queued_at, started_at;

    // Of the last run.
    Outcome outcome;
    WallTime run_time, change_time;  ///< 0: did not run
    Duration exec_time{}, queue_time{};
    bool told{};  ///< a result of this call id was told to somebody
    ExecStatus told_status{};
    int told_rc{};

    [[nodiscard]] bool recurring() const { return interval > Duration{0}; }
    [[nodiscard]] bool same_operation(std::string_view other_action, Duration other_interval) const {
        return action == other_action && interval == other_interval;
    }
};
using OperationPtr = std::unique_ptr<Operation>;

/// Results remembered for a resource: far more than the actions that agents have.
inline constexpr std::size_t kHistoryMax = 100;

/// What is remembered of a fence device, as there is no process to look at.
enum class DeviceState : std::uint8_t { kStopped, kStarted, kLost };

/// Invariants: an operation is in one place only; pending ones are in the order in which they became due; a recurring
/// operation exists once per action and interval, apart from one that was asked for again while it runs.
struct Resource {
    std::string id;
    AgentName agent;
    std::uint32_t options{};  ///< kDropRecurring
    bool registered = true;   ///< false: only waits for the end of what runs
    std::deque<OperationPtr> pending;
    OperationPtr active;
    std::vector<OperationPtr> sleeping;  ///< recurring ones between two runs, in the order in which they came to rest
    DeviceState device = DeviceState::kStopped;
    /// The last result of each action and interval, as it was told, oldest first; at most kHistoryMax.
    std::vector<std::pair<std::string, xml::NodePtr>> history;
    std::string service_standard;  ///< what class "service" turned out to be: "lsb", "systemd", or not known yet
};

}  // namespace systole::executor
