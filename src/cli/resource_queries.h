#pragma once
// cli/resource_queries.h — what crm_resource shows of resources: lists, configuration, places, operations.
// Source: crm_resource(8) and its recorded output.
#include <string>
#include <vector>

#include "cli/output.h"
#include "model/cluster.h"

namespace systole::cli {

/// All primitives below a resource (itself, if it is one), those of bundles' replicas included.
void collect_primitives(const model::Resource& resource, std::vector<const model::Resource*>& all);

ExitCode list_resources(Output& output, const model::Cluster& cluster);
ExitCode list_raw(Output& output, const model::Cluster& cluster);
/// `raw`: before templates are merged in.
ExitCode query_xml(Output& output, const model::Cluster& cluster, const model::Resource& resource, bool raw);
/// `asked`: the name as the user wrote it, with or without instance number.
ExitCode locate(Output& output, const model::Resource& resource, const std::string& asked);
/// Entries of the history, all or of one resource, on all nodes or on one.
ExitCode list_operations(Output& output, model::Cluster& cluster, const std::string& resource_id,
                         const std::string& node_name, bool active_only);

}  // namespace systole::cli
