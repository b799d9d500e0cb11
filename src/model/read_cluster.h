#pragma once
// model/read_cluster.h — from a CIB snapshot to the typed model.
#include <memory>

#include "base/result.h"
#include "model/cluster.h"

namespace systole::model {

struct ReadOptions {
    bool locations_only = false;  ///< without the status section
    bool explain = false;         ///< keep Cluster::score_notes
};

/// Reads all of a CIB, in the newest schema, as of `now`. Parts that are not valid are left out and named in
/// `problems` (element id and attribute). Errors: kInvalid if `cib` is no <cib>.
Result<std::unique_ptr<Cluster>> read_cluster(xml::NodePtr cib, rules::DateTime now, const ReadOptions& options = {});

}  // namespace systole::model
