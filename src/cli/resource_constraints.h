#pragma once
// cli/resource_constraints.h — crm_resource's view of what a resource's place depends on.
// Source: crm_resource(8), --constraints and --stack, and its recorded output.
#include "cli/output.h"
#include "model/cluster.h"

namespace systole::cli {

/// Locations of the resource, what is colocated with it, and what it is colocated with; `recursive`: of these, too.
/// Constraints between sets of resources are not shown.
void show_constraints(Output& output, const model::Cluster& cluster, const model::Resource& resource, bool recursive);

/// Ids of resources that depend on this one by a mandatory colocation, and on these, and so on; itself not.
std::vector<std::string> colocated_with(const model::Cluster& cluster, std::string_view resource);

}  // namespace systole::cli
