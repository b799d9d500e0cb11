#pragma once
// fencing/operation.h — one request to cut a node off (or to bring it back), as every fencer records it, and what its
// owner pursues it with.
//
// Source: protocol sheet fencer.md, sections 3 to 5 and 9.
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fencing/clients.h"
#include "fencing/fencer.h"

namespace systole::fencing {

/// A reboot with several devices in a level is off with each, then on with each.
enum class Phase : std::uint8_t { kRequested = 0, kOff = 1, kOn = 2 };
inline constexpr std::size_t kPhases = 3;

/// One device as one peer offers it.
struct DeviceOffer {
    struct Limits {
        Duration timeout{0};  ///< 0: the device has none of its own
        Duration delay{0};    ///< the longest that it may wait first
        bool disallowed = false;
    };
    bool verified = false;
    bool on_supported = true;
    std::array<Limits, kPhases> limits;
    std::array<bool, kPhases> used{};
};

/// What one peer answered to the query.
struct PeerOffer {
    std::string node;
    std::map<std::string, DeviceOffer> devices;
    bool tried = false;
    /// The device, if it can still be used for `action` in this phase; else null.
    [[nodiscard]] const DeviceOffer* usable(std::string_view device, Phase phase, bool needs_on) const;
};

/// Reads a query reply's list. `required` gets the devices that must be used for "on".
PeerOffer read_offer(std::string_view node, const xml::Node& list, std::string_view requested_action,
                     std::vector<std::string>& required);

/// Carried out by this node for its own client, controller or for a peer that relayed it.
struct Pursuit {
    Duration base_timeout{};
    std::optional<Duration> delay;  ///< empty: no delays at all
    bool with_topology = false;
    int level = 0;
    std::vector<std::string> level_devices;  ///< all of this level
    std::deque<std::string> devices;         ///< left to do, the front one is being used (with topology)
    std::vector<std::string> required;       ///< for "on": automatic unfencing, not done yet
    Phase phase = Phase::kRequested;
    std::vector<PeerOffer> offers;  ///< most devices first
    std::size_t replies = 0, expected = 0;
    bool query_open = true;  ///< more answers may come
    bool stalled = false;    ///< nothing is under way until one of them does
    std::string executor;    ///< the peer asked last
    bool waiting_for_watchdog = false;
    bool total_set = false;
    bool needs_quorum = false;
    bool was_absent = false;   ///< the target, when it was asked for
    std::string relayed_from;  ///< uuid of the placeholder at the node that relayed it
};

/// The controller of this node waits for it.
struct LocalAsker {
    std::uint32_t token{};
};

struct Operation {
    std::string id;
    std::string target, action;  ///< as requested; what is done in this phase is Pursuit's
    std::string origin;          ///< owner
    std::string delegate;
    std::string client, client_name;
    std::string call;         ///< st_callid of the client
    std::string client_node;  ///< where the client is, if that is known
    std::uint32_t options = 0;
    OperationState state = OperationState::kQuery;
    Outcome outcome;
    WallTime completed{};
    std::int64_t completed_order = 0;  ///< among those of the same second (st_date_nsec)
    Instant created;
    Duration total_timeout{0};
    std::vector<std::string> duplicates;  ///< operations that share this one's result
    std::variant<std::monostate, Asker, LocalAsker> asker;
    xml::NodePtr request;              ///< for the reply
    std::unique_ptr<Pursuit> pursuit;  ///< only at the owner
    bool relayed = false;              ///< a placeholder: another node was asked to own it
    bool told = false;                 ///< the result has been announced here
    bool witnessed = true;             ///< this process was there when it was asked for; else it heard of it later

    [[nodiscard]] bool pending() const {
        return state == OperationState::kQuery || state == OperationState::kExecuting ||
               state == OperationState::kDuplicate;
    }
    /// The action of this phase.
    [[nodiscard]] std::string current_action() const;
};

}  // namespace systole::fencing
