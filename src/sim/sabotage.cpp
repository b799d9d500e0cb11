#include "sim/sabotage.h"

#include <array>

namespace systole::sim {

std::span<const SabotageName> sabotage_names() {
    using enum Sabotage;
    static constexpr std::array kNames{
        SabotageName{"clients-stay", kClientsStay, "nobody is told that a client is gone"},
        SabotageName{"connections-stay", kConnectionsStay, "a connection to a remote node is given up and stays open"},
        SabotageName{"early-confirmation", kFenceConfirmedEarly, "a fencing is confirmed seconds before it strikes"},
        SabotageName{"fence-loop", kFenceLoop, "a fence device does its work and says that it failed"},
        SabotageName{"fencing-claims-success", kFencingClaimsSuccess, "a fence device says \"off\" and does nothing"},
        SabotageName{"fencing-without-cause", kFencingWithoutCause, "one plan in a hundred takes a member for lost"},
        SabotageName{"hung-stop-believed", kHungStopBelieved, "a stop that had to be killed counts as done"},
        SabotageName{"kept-attributes", kKeptAttributes, "transient attributes are never deleted from the CIB"},
        SabotageName{"late-results", kLateResults, "the record of a result arrives again half a minute later"},
        SabotageName{"lost-attributes", kLostAttributes, "one attribute message in fifty is lost on one node"},
        SabotageName{"lost-writes", kLostWrites, "disks forget what was written and synced when power is lost"},
        SabotageName{"member-never-leaves", kMemberNeverLeaves, "groups are not told that a process died"},
        SabotageName{"migration-two-writers", kMigrationTwoWriters, "a migrated service runs on where it was, too"},
        SabotageName{"needless-actions", kNeedlessActions, "one plan in three does not know of one monitor that runs"},
        SabotageName{"quorum-always", kQuorumAlways, "every partition is told that it has quorum"},
        SabotageName{"results-before-the-end", kResultsBeforeTheEnd, "a start is reported done while it still works"},
        SabotageName{"unordered-messages", kUnorderedMessages, "one message in fifty is delivered at its own time"},
    };
    return kNames;
}

}  // namespace systole::sim
