#pragma once
// sim/promises.h — what a configuration promises, for the checkers; and a drill's own configuration.
//
// Read on purpose without the scheduler's model: what is checked must not be believed. So only what a configuration
// says plainly is taken for a promise; rules, sets, templates and roles in constraints promise nothing here.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/random.h"
#include "wire/port.h"
#include "xml/tree.h"

namespace systole::sim {

struct CloneLimits {
    unsigned total_max = 0;     ///< 0: as many as nodes
    unsigned promoted_max = 0;  ///< 0: none is promoted
};

/// `then` starts only while `first` runs, and `first` stops only when `then` has stopped.
struct Order {
    std::string first, then;
    bool same_node = false;
};

struct Promises {
    std::vector<std::string> exclusive;                         ///< primitives that are active on one node at most
    std::map<std::string, CloneLimits> cloned;                  ///< primitives of clones, active once on a node at most
    std::set<std::string> unmanaged;                            ///< must stay as they are
    std::set<std::pair<std::string, std::string>> banned;       ///< (primitive, node): may never start there
    std::vector<std::pair<std::string, std::string>> together;  ///< (primitive, with): on the same node at rest
    std::vector<Order> orders;
    bool fencing = true;      ///< nothing may be taken over without it
    bool runs_fully = false;  ///< a drill's own: with all nodes there, everything that is managed must run
};

Promises promises_of(const xml::Node& cib);

/// The configuration of a drill without a user's own: fencing by fence_sim, dummies with monitors and constraints, a
/// group, clones (one promotable, one with fewer instances than nodes), a resource that can migrate, one that is not
/// managed.
///
/// With remote nodes (r1, ...) and guest nodes (g1, ..., which are the resources vm1, ...) some resources prefer to run
/// on those, and may run on one cluster node else; all others keep to the cluster nodes, so that a large cluster is not
/// drowned in probes.
struct DrillShape {
    unsigned nodes = 3, resources = 6, remotes = 0, guests = 0;
};
xml::NodePtr drill_cib(const DrillShape& shape, Random& random);

/// Guest nodes that a configuration names, with the resource that each is.
std::map<std::string, std::string> guests_of(const xml::Node& cib);
/// Remote nodes that it names.
std::vector<std::string> remotes_of(const xml::Node& cib);

/// The cluster nodes that a configuration names; n1 to n`otherwise` if it names none.
std::vector<wire::NodeRef> nodes_of(const xml::Node& cib, unsigned otherwise);

}  // namespace systole::sim
