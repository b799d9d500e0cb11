#include "scheduler/schedule.h"

#include "model/read_cluster.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

void tell_reasons(Scheduler& s) {
    if (!s.in.want_reasons) return;
    for (const Action& a : s.actions) {
        if (a.rsc == nullptr) continue;
        ActionReason reason{.resource = a.rsc->index,
                            .key = a.key(),
                            .node = a.node == nullptr ? std::string{} : a.node->name,
                            .required = !a.is(act::kOptional),
                            .runnable = a.is(act::kRunnable),
                            .cause = a.reason,
                            .blockers = {}};
        for (const Relation& input : a.before) {
            const bool blocks = (input.flags & (rel::kUnrunnableFirstBlocks | rel::kUnmigratableThenBlocks)) != 0;
            if (!reason.runnable && blocks && !input.other->is(act::kRunnable)) {
                reason.blockers.push_back(input.other->key());
            }
        }
        s.plan.actions.push_back(std::move(reason));
    }
}

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
    {"graph",
     [](Scheduler& s) {
         if (s.in.want_graph || s.in.want_dot || s.in.want_reasons) create_graph(s);
     }},
    {"dot",
     [](Scheduler& s) {
         if (s.in.want_dot) write_dot(s);
     }},
    {"reasons", &tell_reasons},
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
    if (input.on_pass) input.on_pass("model");
    auto cluster = model::read_cluster(input.cib, input.now, {.explain = input.want_reasons});
    if (!cluster) return tl::unexpected(cluster.error());
    return schedule(input, std::move(*cluster));
}

Plan schedule(const Input& input, std::unique_ptr<model::Cluster> cluster) {
    Plan plan;
    plan.cluster = std::move(cluster);
    for (const Resource* rsc : plan.cluster->resources) count(*rsc, plan);
    Scheduler scheduler(*plan.cluster, input, plan);
    scheduler.work_.resize(plan.cluster->resource_store.size());
    scheduler.resources_on_node.resize(plan.cluster->node_store.size());
    scheduler.assigned_to.resize(plan.cluster->node_store.size());
    for (const Pass& pass : kPasses) {
        if (input.on_pass) input.on_pass(pass.name);
        pass.run(scheduler);
    }
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
