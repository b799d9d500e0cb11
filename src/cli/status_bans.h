#pragma once
// cli/status_bans.h — which location constraints keep which resources from which nodes.
#include <string>
#include <string_view>
#include <vector>

#include "model/cluster.h"

namespace systole::cli {

/// Negative location constraints whose id begins with `prefix`, the last configured first, by node as `nodes` has them.
/// Rules are evaluated as of the cluster's time.
std::vector<model::Ban> ban_list(const model::Cluster& cluster, std::string_view prefix);

}  // namespace systole::cli
