#pragma once
// scheduler/action.h — what may have to be done, and how doing it relates to doing something else.
//
// An action exists as soon as some pass asks for it; whether it is done is said by its flags, which relations change
// until nothing changes any more. Ids count up in order of creation.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/cluster.h"

namespace systole::scheduler {

using model::Cluster;
using model::NameValues;
using model::Node;
using model::OnFail;
using model::Resource;
using model::Role;

using Flags = std::uint32_t;

namespace act {
inline constexpr Flags kPseudo = 1U << 0;  ///< nothing to run: a point in the order
inline constexpr Flags kRunnable = 1U << 1;
inline constexpr Flags kOptional = 1U << 2;       ///< needn't be done
inline constexpr Flags kAlwaysInGraph = 1U << 3;  ///< in the graph even if optional
inline constexpr Flags kMigratable = 1U << 4;     ///< may be part of a live migration
inline constexpr Flags kInGraph = 1U << 5;
inline constexpr Flags kMigrationAbort = 1U << 6;  ///< stops what a migration left behind
inline constexpr Flags kReschedule = 1U << 7;      ///< recurring: to be run anew though it is active
inline constexpr Flags kVisited = 1U << 8;
inline constexpr Flags kDeduplicated = 1U << 9;
inline constexpr Flags kOnDc = 1U << 10;
inline constexpr Flags kParametersRead = 1U << 11;
}  // namespace act

namespace rel {
inline constexpr Flags kNone = 0;
inline constexpr Flags kOrdered = 1U << 0;              ///< if both are done, then in this order
inline constexpr Flags kIfFirstUnmigratable = 1U << 1;  ///< only if first isn't part of a migration
inline constexpr Flags kThenImpliesFirst = 1U << 4;
inline constexpr Flags kFirstImpliesThen = 1U << 5;
inline constexpr Flags kPromotedThenImpliesFirst = 1U << 6;
inline constexpr Flags kUnmigratableThenBlocks = 1U << 7;
inline constexpr Flags kUnrunnableFirstBlocks = 1U << 8;
inline constexpr Flags kFirstElseThen = 1U << 9;  ///< if first can't be done, then is a real action
inline constexpr Flags kFirstImpliesSameNodeThen = 1U << 10;
inline constexpr Flags kNestedRemoteProbe = 1U << 11;
inline constexpr Flags kIntermediateStop = 1U << 12;  ///< a stop between: then needs it if it is done anew
inline constexpr Flags kSerialize = 1U << 14;
inline constexpr Flags kIfOnSameNode = 1U << 15;
inline constexpr Flags kThenImpliesFirstGraphed = 1U << 16;
inline constexpr Flags kFirstImpliesThenGraphed = 1U << 17;
inline constexpr Flags kAsymmetric = 1U << 20;
inline constexpr Flags kIfOnSameNodeOrTarget = 1U << 21;
inline constexpr Flags kMinRunnable = 1U << 22;
inline constexpr Flags kIfRequiredOnSameNode = 1U << 23;
inline constexpr Flags kGuestAllowed = 1U << 24;
inline constexpr Flags kThenCancelsFirst = 1U << 25;
}  // namespace rel

enum class Needs : std::uint8_t { kNothing, kQuorum, kFencing };

struct Action;

struct Relation {
    Action* other;
    Flags flags;     ///< may be cleared once it turns out not to apply
    Flags declared;  ///< as it was made
    bool graphed = false;
};

struct Action {
    int id = 0;
    Resource* rsc = nullptr;
    Node* node = nullptr;
    std::string task;      ///< "start", "stop", "stonith", ...
    std::string key_task;  ///< as in the key; differs for cancellations and notifications
    Duration interval{0};
    std::string name;  ///< key of an action without resource
    std::string reason;
    bool has_reason = false;
    std::string cancel_task;
    Flags flags = act::kRunnable | act::kOptional;
    Needs needs = Needs::kNothing;
    OnFail on_fail = OnFail::kIgnore;
    Role fail_role = Role::kUnknown;
    NameValues meta;
    NameValues parameters;  ///< of the operation itself
    const xml::Node* config = nullptr;
    int priority = 0;
    unsigned visit = 0;  ///< walk in which it was last seen
    int runnable_before = 0;
    int required_runnable_before = 0;
    std::vector<Relation> before;  ///< in order of creation; the newest is looked at first
    std::vector<Relation> after;

    [[nodiscard]] bool is(Flags flag) const { return (flags & flag) == flag; }
    [[nodiscard]] bool any(Flags flag) const { return (flags & flag) != 0; }
    void set(Flags flag) { flags |= flag; }
    void clear(Flags flag) { flags &= ~flag; }
    /// "web_start_0", or the name of an action without resource.
    [[nodiscard]] std::string key() const;
    [[nodiscard]] std::string_view meta_value(std::string_view name_of) const;
    /// Gives a reason if there is none yet, or replaces it.
    void set_reason(std::string text, bool overwrite);
    /// Clears a flag and says why, if it was set and the cause is another resource's action.
    void clear_because(Flags flag, const Action& cause);
};

/// "stop" ↔ "stopped", "start" ↔ "running" and so on.
std::string_view completed(std::string_view task);
/// The task that "running", "stopped", "promoted", "demoted" complete; other tasks as they are.
std::string_view uncompleted(std::string_view task);

}  // namespace systole::scheduler
