#include "cli/resource_why.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/status_view.h"
#include "model/digest.h"
#include "model/operations.h"

namespace systole::cli {
namespace {

using model::Cluster;
using model::Node;
using model::Resource;

// What keeps a resource from being active, as far as it can be told from configuration and node health.
struct Checks {
    bool remain_stopped = false;
    bool not_promotable = false;
    bool unmanaged = false;
    bool unhealthy = false;
    const Node* locked_to = nullptr;
    [[nodiscard]] bool any() const {
        return remain_stopped || not_promotable || unmanaged || unhealthy || locked_to != nullptr;
    }
};

bool bars_resources(const Cluster& cluster, const Node& node) {
    switch (cluster.options.health_strategy) {
        case model::HealthStrategy::kMigrateOnRed: return health_of(cluster, node) < 0;
        case model::HealthStrategy::kOnlyGreen: return health_of(cluster, node) <= 0;
        case model::HealthStrategy::kNone:
        case model::HealthStrategy::kProgressive:
        case model::HealthStrategy::kCustom: break;
    }
    return false;
}

Checks check(const Cluster& cluster, const Resource& resource, const Node* node) {
    Checks checks;
    if (const auto role = resource.meta_value("target-role")) {
        checks.remain_stopped = same_ignoring_case(*role, "Stopped");
        checks.not_promotable = (same_ignoring_case(*role, "Unpromoted") || same_ignoring_case(*role, "Slave")) &&
                                resource.top(false).promotable;
    }
    if (const auto managed = resource.meta_value("is-managed"))
        checks.unmanaged = !parse_bool(*managed).value_or(false);
    checks.locked_to = resource.lock_node;
    if (node != nullptr) {
        checks.unhealthy = bars_resources(cluster, *node);
    } else {
        checks.unhealthy = !cluster.nodes.empty() && std::ranges::all_of(cluster.nodes, [&](const Node* one) {
            return bars_resources(cluster, *one);
        });
    }
    return checks;
}

xml::NodePtr show_checks(Output& output, const Cluster& cluster, const Resource& resource, const Node* node) {
    const Checks checks = check(cluster, resource, node);
    const std::string& top = resource.top(false).id;
    xml::Builder element("check");
    element.set("id", top);
    if (checks.remain_stopped) element.set("remain_stopped", "true");
    if (checks.not_promotable) element.set("promotable", "false");
    if (checks.unmanaged) element.set("unmanaged", "true");
    if (checks.locked_to != nullptr) element.set("locked-to", checks.locked_to->name);
    if (checks.unhealthy) element.set("unhealthy", "true");
    if (!checks.any()) return std::move(element).build();
    if (checks.remain_stopped) output.line(fmt::format("Configuration specifies '{}' should remain stopped", top));
    if (checks.not_promotable) output.line(fmt::format("Configuration specifies '{}' should not be promoted", top));
    if (checks.unmanaged)
        output.line(fmt::format("Configuration prevents cluster from stopping or starting unmanaged '{}'", top));
    if (checks.locked_to != nullptr)
        output.line(fmt::format("'{}' is locked to node {} due to shutdown", top, checks.locked_to->name));
    if (checks.unhealthy) {
        output.line(fmt::format("'{}' cannot run on unhealthy nodes due to node-health-strategy='{}'", top,
                                cluster.options.health_strategy_text));
    }
    return std::move(element).build();
}

bool runs(const Resource& resource, const Node* node) {
    if (!resource.children.empty() || resource.is_bundle())
        return std::ranges::any_of(resource.children, [node](const Resource* child) { return runs(*child, node); }) ||
               (node == nullptr && resource.is_active(false));
    return node == nullptr ? !resource.active_nodes.empty()
                           : std::ranges::find(resource.active_nodes, node) != resource.active_nodes.end();
}

// --- digests ---

// Of a resource's history on a node the entry that tells best what it was started with.
const xml::Node* best_entry(const Resource& resource, const Node& node) {
    const auto found = node.history.find(resource.name_in_history());
    if (found == node.history.end()) return nullptr;
    const xml::Node* best = nullptr;
    // What comes first counts more: an operation that begins something, success, a restart digest, being newer.
    const auto rank = [](const xml::Node& entry) {
        const std::string_view task = entry.get("operation");
        const bool once = model::history_interval(entry).count() == 0;
        const bool begins =
            once && (task == "monitor" || task == "start" || task == "promote" || task == "migrate_from");
        return std::tuple(begins, !once, !entry.id().ends_with("_last_failure_0"), entry.has("op-restart-digest"),
                          model::integer_of(entry, "call-id", -1));
    };
    for (const xml::NodePtr& entry : found->second->children()) {
        if (entry->is("lrm_rsc_op") && (best == nullptr || rank(*best) <= rank(*entry))) best = entry.get();
    }
    return best;
}

xml::NodePtr digest_xml(const char* type, const std::string& hash, model::NameValues parameters) {
    xml::Builder list("parameters");
    // In the order of recorded output: backwards by name, and what isn't the agent's at the end.
    for (auto it = parameters.rbegin(); it != parameters.rend(); ++it)
        if (!it->first.starts_with("CRM_meta_")) list.set(it->first, it->second);
    for (const auto& [name, value] : parameters)
        if (name.starts_with("CRM_meta_")) list.set(name, value);
    xml::Builder digest("digest");
    digest.set("type", type).set("hash", hash).add(std::move(list));
    return std::move(digest).build();
}

}  // namespace

void show_reasons(Output& output, const Cluster& cluster, const Resource* resource, const Node* node) {
    xml::Builder reason("reason");
    if (resource != nullptr) {
        const bool running = runs(*resource, node);
        if (node != nullptr) {
            output.line(
                fmt::format("Resource {} is {}running on host {}", resource->id, running ? "" : "not ", node->name));
            if (running) reason.set("running_on", node->name);
        } else {
            output.line(fmt::format("Resource {} is {}running", resource->id, running ? "" : "not "));
            reason.set("running", running ? "true" : "false");
        }
        reason.add(show_checks(output, cluster, *resource, node));
    } else {
        xml::Builder list("resources");
        const auto show = [&](const Resource& one, bool running) {
            xml::Builder element("resource");
            element.set("id", one.id).set("running", running ? "true" : "false");
            if (node != nullptr) element.set("host", node->name);
            element.add(show_checks(output, cluster, one, node));
            list.add(std::move(element).build());
        };
        if (node == nullptr) {
            for (const Resource* one : cluster.resources) {
                const bool running = runs(*one, nullptr);
                output.line(fmt::format("Resource {} is {}running", one->id, running ? "" : "not "));
                show(*one, running);
            }
        } else {
            for (const Resource* one : node->running) {
                output.line(fmt::format("Resource {} is running on host {}", one->id, node->name));
                show(*one, true);
            }
        }
        reason.add(std::move(list));
    }
    output.add(std::move(reason));
}

ExitCode show_digests(Output& output, Cluster& cluster, Resource& resource, Node& node,
                      const model::NameValues& overrides) {
    if (!resource.is_primitive()) {
        output.fail("Error performing operation: Operation not supported");
        return ExitCode::kUnimplemented;
    }
    const xml::Node* entry = best_entry(resource, node);
    std::string task = entry == nullptr ? "start" : std::string(entry->get("operation"));
    Duration interval = entry == nullptr ? Duration{0} : model::history_interval(*entry);
    if (const auto given = overrides.find("CRM_meta_interval"); given != overrides.end())
        interval = Duration{parse_integer(given->second).value_or(0)};
    model::DigestSources sources;
    const model::OperationDigests digests =
        model::calculate_digests(cluster, resource, task, interval, node, entry, &overrides, &sources);

    output.line(fmt::format("{} (all parameters)", digests.all));
    output.line(fmt::format("{} (non-private parameters)", digests.secure));
    if (!digests.restart.empty()) output.line(fmt::format("{} (non-reloadable parameters)", digests.restart));

    xml::Builder element("digests");
    element.set("resource", resource.id).set("node", node.name).set("task", task);
    element.set("interval", fmt::format("{}ms", interval.count()));
    element.add(digest_xml("all", digests.all, sources.all));
    element.add(digest_xml("nonprivate", digests.secure, sources.secure));
    if (!digests.restart.empty()) element.add(digest_xml("nonreloadable", digests.restart, sources.restart));
    output.add(std::move(element));
    return ExitCode::kOk;
}

}  // namespace systole::cli
