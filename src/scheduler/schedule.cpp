#include "scheduler/schedule.h"

#include "model/read_cluster.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

struct Pass {
    const char* name;
    void (*run)(Scheduler&);
};

/// The plan is made in this order; each pass works on what those before it left.
constexpr Pass kPasses[] = {
    {"history", [](Scheduler& s) { s.take_requests(); }},  // what failures and found operations ask for
    {"node health", &apply_node_health},
    {"constraints", &unpack_constraints},
    {"node criteria", &apply_node_criteria},
    {"internal constraints", &add_internal_constraints},
    {"configuration changes", &handle_config_changes},
    {"assignment", &assign_resources},
    {"actions", &schedule_resource_actions},
    {"remote connections", &order_remote_connections},
    {"fencing and shutdown", &schedule_fencing_and_shutdowns},
    {"orderings", &apply_orderings},
    {"summary", &write_summary},
    {"graph", &create_graph},
    {"dot",
     [](Scheduler& s) {
         if (s.in.want_dot) write_dot(s);
     }},
};

void count(const Resource& rsc, Plan& plan) {
    if (rsc.is_bundle()) {
        for (const auto& replica : rsc.bundle->replicas) {
            for (const Resource* part : {replica.ip, replica.child, replica.container, replica.remote}) {
                if (part != nullptr) count(*part, plan);
            }
        }
        return;
    }
    for (const Resource* child : rsc.children) count(*child, plan);
    if (!rsc.children.empty() || (rsc.removed && rsc.role <= Role::kStopped)) return;
    ++plan.resource_instances;
    if (rsc.is_disabled()) ++plan.disabled_resources;
    if (rsc.blocked) ++plan.blocked_resources;
}

}  // namespace

Result<Plan> schedule(const Input& input) {
    auto cluster = model::read_cluster(input.cib, input.now);
    if (!cluster) return tl::unexpected(cluster.error());
    Plan plan;
    plan.cluster = std::move(*cluster);
    for (const Resource* rsc : plan.cluster->resources) count(*rsc, plan);
    Scheduler scheduler(*plan.cluster, input, plan);
    scheduler.work_.resize(plan.cluster->resource_store.size());
    scheduler.resources_on_node.resize(plan.cluster->node_store.size());
    scheduler.assigned_to.resize(plan.cluster->node_store.size());
    for (const Pass& pass : kPasses) pass.run(scheduler);
    plan.recheck_by = plan.cluster->recheck_by;
    plan.problems = plan.cluster->problems;
    for (const model::Problem& problem : plan.problems) {
        using Kind = model::Problem::Kind;
        plan.config_errors = plan.config_errors || problem.kind == Kind::kConfigError;
        plan.config_warnings = plan.config_warnings || problem.kind == Kind::kConfigWarning;
        plan.processing_errors = plan.processing_errors || problem.kind == Kind::kError;
        plan.processing_warnings = plan.processing_warnings || problem.kind == Kind::kWarning;
    }
    return plan;
}

}  // namespace systole::scheduler
