#pragma once
// cli/resource_moves.h — constraints that crm_resource makes to move resources: --move, --ban, --clear.
// Source: crm_resource(8) and its recorded output.
#include "cli/cib_access.h"
#include "cli/output.h"
#include "model/cluster.h"

namespace systole::cli {

struct MoveRequest {
    const model::Resource* resource = nullptr;  ///< null with --clear: of any resource
    std::string node;                           ///< --node; empty: none given
    bool promoted = false;
    bool force = false;
    bool expired = false;
    std::string lifetime;  ///< ISO 8601 duration
};

ExitCode move_resource(Output& output, CibAccess& access, const model::Cluster& cluster, const MoveRequest& request);
ExitCode ban_resource(Output& output, CibAccess& access, const model::Cluster& cluster, const MoveRequest& request);
ExitCode clear_moves(Output& output, CibAccess& access, const model::Cluster& cluster, const MoveRequest& request);

}  // namespace systole::cli
