#pragma once
// sim/sabotage.h — deliberate errors of the world or at the border of a core, to show that the checkers find them.
//
// Each stands for a bug that a cluster manager may have. Source: reliability.md, "Test of the tests".
#include <cstdint>
#include <span>
#include <string_view>

namespace systole::sim {

enum class Sabotage : std::uint8_t {
    kNone,
    kFencingClaimsSuccess,
    kClientsStay,
    kConnectionsStay,
    kFenceConfirmedEarly,
    kFenceLoop,
    kFencingWithoutCause,
    kHungStopBelieved,
    kKeptAttributes,
    kLateResults,
    kLostAttributes,
    kLostWrites,
    kMemberNeverLeaves,
    kMigrationTwoWriters,
    kNeedlessActions,
    kQuorumAlways,
    kResultsBeforeTheEnd,
    kUnorderedMessages,
};

struct SabotageName {
    std::string_view name;
    Sabotage kind;
    std::string_view what;  ///< for people
};

/// All of them, "none" left out, in order of their names.
std::span<const SabotageName> sabotage_names();

}  // namespace systole::sim
