#pragma once
// model/failcount.h — how often a resource failed on a node, from the node's fail-count attributes.
// Source: Pacemaker Explained, "Handling Failures".
#include "model/cluster.h"

namespace systole::model {

enum class FailCount : std::uint8_t {
    kRaw,        ///< as recorded
    kEffective,  ///< nothing once failure-timeout has passed since the last one
};

struct FailCountResult {
    int count = 0;
    std::int64_t last_failure = 0;  ///< 0 if never or unknown
};

/// Has anything failed on the node? If not, no count of it is worth asking for.
bool has_fail_counts(const Cluster& cluster, const Node& node);

/// `operation` is the history entry that is being looked at, if any: whether failures may expire depends on it.
/// `with_launched` adds what failed inside this container.
FailCountResult fail_count(Cluster& cluster, const Node& node, Resource& resource, FailCount kind,
                           const xml::Node* operation = nullptr, bool with_launched = false);

/// "web:2" → "web"; names without an instance number stay as they are.
std::string_view without_instance(std::string_view id);

}  // namespace systole::model
