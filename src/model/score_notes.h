#pragma once
// model/score_notes.h — why a resource's score for a node is what it is, as data, for whoever asks.
//
// Reading the status and planning change scores in many places. A Noting around such a place compares the tables of
// the resource and of all below it before and after, and notes what changed under the cause that it was given. Without
// Cluster::score_notes (nobody asked) it does nothing.
//
// Invariants: notes are in the order in which they were made; the last note of a resource and node has its score.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/score.h"

namespace systole::model {

struct Cluster;
struct Resource;
class NodeTable;

struct ScoreNote {
    enum class Cause : std::uint8_t {
        kHistory,     ///< a failed operation, or an unmanaged resource that is active: `id` is the history entry
        kLocation,    ///< `id` is the constraint or rule, or the health strategy
        kLock,        ///< shutdown-lock
        kStickiness,  ///< resource-stickiness
        kThreshold,   ///< migration-threshold was reached
        kDiscovery,   ///< resource-discovery="exclusive" elsewhere
        kColocation,  ///< `id` is the constraint, `with` the resource at its other end
        kInfluence,   ///< the preferences of what goes along: `id` and `with` as for kColocation
        kTicket,      ///< `id` is the ticket
        kCapacity,    ///< placement-strategy and utilization
        kPromotion,   ///< promotion scores
        kInstances,   ///< there may be no (further) instance of the clone
        kRole,        ///< target-role, a failure or a lost ticket: it is to be stopped
    };
    std::uint32_t resource = 0;  ///< Resource::index
    std::uint32_t node = 0;      ///< Node::index
    Cause cause{};
    std::string id, with;
    bool was_present = false;
    Score before{}, after{};
};
/// "location", "stickiness", "colocation", ...
std::string_view text_of(ScoreNote::Cause cause);

/// Notes what changes while it lives.
class Noting {
public:
    Noting(Cluster& cluster, Resource& resource, ScoreNote::Cause cause, std::string_view id = {},
           std::string_view with = {});
    Noting(const Noting&) = delete;
    Noting& operator=(const Noting&) = delete;
    ~Noting();

private:
    void remember(Resource& resource);

    Cluster* cluster_ = nullptr;  ///< null: nobody asked
    ScoreNote::Cause cause_{};
    std::string id_, with_;
    std::vector<std::pair<Resource*, NodeTable>> tables_;
};

}  // namespace systole::model
