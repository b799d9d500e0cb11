#pragma once
// cli/resource_why.h — why a resource runs or doesn't (crm_resource --why), and what its operations' digests are made
// of
// (--digests).
// Source: crm_resource(8) and its recorded output.
#include <string>

#include "cli/output.h"
#include "model/cluster.h"

namespace systole::cli {

/// `resource` null: every resource; `node` null: on any node.
void show_reasons(Output& output, const model::Cluster& cluster, const model::Resource* resource,
                  const model::Node* node);

/// `overrides`: parameters that are put in place of configured ones.
ExitCode show_digests(Output& output, model::Cluster& cluster, model::Resource& resource, model::Node& node,
                      const model::NameValues& overrides);

}  // namespace systole::cli
