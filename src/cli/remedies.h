#pragma once
// cli/remedies.h — changes of a CIB that may bring a resource to a node.
#include <functional>
#include <vector>

#include "cli/explanation.h"
#include "model/cluster.h"

namespace systole::cli {

struct Remedy {
    Change change;
    std::function<xml::NodePtr(const xml::NodePtr& cib)> apply;
};

/// Those that what was planned gives a reason to try, the mildest first. None has been tried yet.
std::vector<Remedy> remedies_for(const scheduler::Plan& plan, const model::Resource& resource, const model::Node& node);

}  // namespace systole::cli
