#include "sim/checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "xml/write.h"

namespace systole::sim {

StepChecker::StepChecker(World& world, Promises promises) : world_(world), promises_(std::move(promises)) {}

void StepChecker::operator()() {
    ++steps_;
    for (const std::string& resource : promises_.exclusive) {
        std::string where;
        int active = 0;
        for (const NodeId node : world_.nodes()) {
            if (!world_.powered(node) || !world_.services(node).active().contains(resource)) continue;
            ++active;
            where += (where.empty() ? "" : " and ") + world_.name(node);
        }
        if (active > 1) {
            world_.violate(fmt::format("I1: {} is active on {} at once", resource, where));
            return;
        }
    }
    // A core's own invariants cost as much as it has state: one node a step keeps long runs quick and misses nothing
    // that stays wrong.
    const std::vector<NodeId> nodes = world_.nodes();
    const NodeId node = nodes[steps_ % nodes.size()];
    if (const controller::Node* core = world_.core(node); core != nullptr)
        for (const std::string& broken : core->check_state())
            world_.violate(fmt::format("{}: broken invariant: {}", world_.name(node), broken));
}

std::vector<std::string> check_settled(const World& world, const Promises& promises) {
    std::vector<std::string> wrong;
    std::set<std::string> dcs;
    std::map<std::string, std::string> digests;
    for (const NodeId node : world.nodes()) {
        const std::string& name = world.name(node);
        if (!world.powered(node)) {
            wrong.push_back(fmt::format("{} is off", name));
            continue;
        }
        const controller::Node* core = world.core(node);
        if (core == nullptr) {
            wrong.push_back(fmt::format("L1: systole-core does not run on {}", name));
            continue;
        }
        const std::string dc = core->dc();
        if (dc.empty()) wrong.push_back(fmt::format("L2: {} knows no DC (state {})", name, core->state()));
        dcs.insert(dc);
        if (dc == name && core->state() != "S_IDLE")
            wrong.push_back(fmt::format("L3: the DC {} is not idle but in {}", name, core->state()));
        if (core->cib()) digests[xml::digest_versioned(*core->cib())] += " " + name;
    }
    if (dcs.size() > 1) {
        std::string list;
        for (const std::string& dc : dcs) list += " " + (dc.empty() ? std::string("(none)") : dc);
        wrong.push_back(fmt::format("L2: nodes follow different DCs:{}", list));
    }
    if (digests.size() > 1) {
        std::string list;
        for (const auto& [digest, nodes] : digests)
            list += fmt::format(" {} ({})", digest.substr(0, 8), nodes.substr(1));
        wrong.push_back(fmt::format("I5: the configurations differ:{}", list));
    }
    for (const std::string& resource : promises.exclusive) {
        int active = 0;
        for (const NodeId node : world.nodes())
            if (world.powered(node) && world.services(node).active().contains(resource)) ++active;
        if (active != 1) wrong.push_back(fmt::format("L3: {} is active on {} nodes", resource, active));
    }
    for (const std::string& resource : promises.cloned)
        for (const NodeId node : world.nodes())
            if (world.powered(node) && !world.services(node).active().contains(resource))
                wrong.push_back(fmt::format("L3: {} does not run on {}", resource, world.name(node)));
    return wrong;
}

}  // namespace systole::sim
