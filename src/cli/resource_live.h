#pragma once
// cli/resource_live.h — what crm_resource asks of a running cluster: forgetting failures and history (--cleanup,
// --refresh), pretending a failure (--fail), and waiting for what the cluster does (--wait, --restart).
// Source: crm_resource(8); protocol sheets controller.md, section 7, and attrd.md, section 2.
#include <string>

#include "cli/cib_access.h"
#include "cli/output.h"
#include "model/cluster.h"

namespace systole::cli {

struct CleanupRequest {
    model::Resource* resource = nullptr;  ///< null: all
    const model::Node* node = nullptr;    ///< null: all
    std::string operation;                ///< only failures of this operation ...
    Duration interval{0};                 ///< ... with this interval
    bool only_failures = true;            ///< else the whole history is forgotten, and the state asked for anew
    bool force = false;                   ///< on all nodes, not only where the resource's state is known
};
ExitCode clean_up(Output& output, model::Cluster& cluster, const CleanupRequest& request);

/// Records a failure of the resource on the node.
ExitCode fail_resource(Output& output, const model::Cluster& cluster, const model::Resource& resource,
                       const std::string& node);

/// Waits until the cluster has nothing more to do. `timeout` 0: an hour.
ExitCode wait_until_settled(Output& output, Duration timeout);

struct RestartRequest {
    model::Resource* resource = nullptr;
    const model::Node* node = nullptr;  ///< of a clone only the instance there
    bool promoted = false;
    std::string lifetime;
    Duration timeout{0};  ///< 0: as long as the resources' own timeouts allow
};
ExitCode restart_resource(Output& output, CibAccess& access, model::Cluster& cluster, const RestartRequest& request);

}  // namespace systole::cli
