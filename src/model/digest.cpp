#include "model/digest.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "model/operations.h"
#include "rules/evaluate.h"
#include "xml/write.h"

namespace systole::model {
namespace {

constexpr std::string_view kMetaPrefix = "CRM_meta_";

bool is_left_out(std::string_view name) {
    return name.starts_with(kMetaPrefix) || name == "id" || name == "crm_feature_set" || name == "op-digest" ||
           name == "on_node" || name == "on_node_uuid" || name == "pcmk_external_ip";
}

/// Names that only the fencer looks at; older peers left them out of private digests.
bool is_fencer_parameter(std::string_view name) {
    static constexpr std::string_view kNames[] = {"provides", "stonith-timeout"};
    return name.starts_with("pcmk_") || std::ranges::find(kNames, name) != std::end(kNames);
}

std::string digest_of(const NameValues& parameters) {
    if (parameters.empty()) {  // most operations of most resources
        static const std::string kNothing = xml::digest_on_disk(*xml::Builder("parameters").build());
        return kNothing;
    }
    xml::Builder builder("parameters");
    for (const auto& [name, value] : parameters) builder.set(name, value);
    return xml::digest_on_disk(*std::move(builder).build());
}

void filter(NameValues& parameters) {
    std::erase_if(parameters, [](const auto& item) { return is_left_out(item.first); });
}

void remove_listed(NameValues& parameters, std::string_view list, bool listed) {
    const auto names = split(list, " ");
    std::erase_if(parameters,
                  [&](const auto& item) { return (std::ranges::find(names, item.first) != names.end()) == listed; });
}

const BundleReplica* replica_of(const Resource& connection) {
    const Resource& top = connection.top(true);
    if (!top.is_bundle()) return nullptr;
    for (const BundleReplica& replica : top.bundle->replicas) {
        if (replica.remote == &connection) return &replica;
    }
    return nullptr;
}

}  // namespace

bool needs_host_name(Cluster& cluster, Resource& resource) {
    if (!resource.remote_connection) return false;
    const NameValues& parameters = resource_parameters(cluster, resource, nullptr);
    const auto it = parameters.find("addr");
    return it != parameters.end() && same_ignoring_case(it->second, "#uname");
}

std::optional<std::string_view> bundle_host_name(Cluster& cluster, Resource& resource) {
    if (!needs_host_name(cluster, resource)) return std::nullopt;
    const BundleReplica* replica = replica_of(resource);
    if (replica == nullptr) return std::nullopt;
    const Node* node = replica->container->assigned_node;
    if (node == nullptr) node = current_node(*replica->container);
    if (node == nullptr) return std::nullopt;
    return node->name;
}

OperationDigests calculate_digests(Cluster& cluster, Resource& resource, std::string_view task, Duration interval,
                                   Node& node, const xml::Node* history, const NameValues* overrides,
                                   DigestSources* sources, bool want_secure) {
    OperationDigests digests;
    NameValues all;
    if (overrides != nullptr) all = *overrides;
    if (const auto host = bundle_host_name(cluster, resource)) all.emplace("addr", *host);
    const NameValues& parameters = resource_parameters(cluster, resource, &node);
    all.insert(parameters.begin(), parameters.end());
    const OperationConfig* config = find_operation(resource, task, interval);
    const xml::Node* config_xml = config == nullptr ? nullptr : config->xml;
    const NameValues own = operation_parameters(cluster, config_xml, node);
    digests.has_operation_parameters = !own.empty();
    all.insert(own.begin(), own.end());
    const auto meta = operation_meta(cluster, resource, &node, task, interval, config_xml);
    const std::string timeout_name = fmt::format("{}timeout", kMetaPrefix);
    const auto overridden_timeout =
        all.find(timeout_name) == all.end() ? std::string() : all.find(timeout_name)->second;
    filter(all);
    if (interval.count() != 0 && !overridden_timeout.empty()) {
        all.emplace(timeout_name, overridden_timeout);
    } else if (interval.count() != 0) {
        if (const auto it = meta->find("timeout"); it != meta->end()) all.emplace(timeout_name, it->second);
    }
    digests.all = digest_of(all);

    if (want_secure) {
        const std::string_view version = history != nullptr && history->has("crm_feature_set")
                                             ? history->get("crm_feature_set")
                                             : cluster.cib->get("crm_feature_set", "3.20.0");
        NameValues secure = all;
        const bool old_version = rules::compare_versions(version, "3.16.0") < 0;
        if (old_version) secure = parameters;
        remove_listed(secure, history == nullptr ? " passwd password user " : history->get("op-secure-params"), true);
        if (old_version && standard_is_fencing(resource.standard())) {
            std::erase_if(secure, [](const auto& item) { return is_fencer_parameter(item.first); });
        }
        if (old_version) {
            filter(secure);
            secure.erase(timeout_name);
        }
        digests.secure = digest_of(secure);
        if (sources != nullptr) *sources = {.all = all, .secure = std::move(secure), .restart = {}};
    }

    if (history != nullptr && (history->has("op-restart-digest") || cluster.expired_recurring.contains(history))) {
        NameValues restart = all;
        if (const auto list = history->attribute("op-force-restart")) remove_listed(restart, *list, false);
        digests.restart = digest_of(restart);
        if (sources != nullptr) sources->restart = std::move(restart);
    }
    return digests;
}

std::string digest_of_parameters(NameValues parameters) {
    std::optional<std::string> timeout;
    const auto interval = parameters.find("CRM_meta_interval");
    if (interval != parameters.end() && parse_integer(interval->second).value_or(0) != 0) {
        if (const auto it = parameters.find("CRM_meta_timeout"); it != parameters.end()) timeout = it->second;
    }
    filter(parameters);
    if (timeout) parameters.emplace("CRM_meta_timeout", *timeout);
    return digest_of(parameters);
}

DigestResult compare_digests(Cluster& cluster, Resource& resource, const xml::Node& history, Node& node, bool sanitized,
                             bool* only_private_changed) {
    const Duration interval = history_interval(history);
    const OperationDigests digests = calculate_digests(cluster, resource, history.get("operation"), interval, node,
                                                       &history, nullptr, nullptr, false);
    const auto result = [&] {
        if (cluster.expired_recurring.contains(&history)) return DigestResult::kRestart;
        if (digests.restart != history.get("op-restart-digest")) return DigestResult::kRestart;
        const auto recorded = history.attribute("op-digest");
        if (!recorded) return DigestResult::kUnknown;
        if (*recorded == digests.all) return DigestResult::kMatch;
        if (interval.count() == 0 && digests.has_operation_parameters) return DigestResult::kRestart;
        return DigestResult::kMismatch;
    }();
    if (result == DigestResult::kMatch || !sanitized || !history.has("op-secure-digest")) return result;
    const OperationDigests whole =
        calculate_digests(cluster, resource, history.get("operation"), interval, node, &history);
    if (history.get("op-secure-digest") != whole.secure) return result;
    if (only_private_changed != nullptr) *only_private_changed = true;
    return DigestResult::kMatch;
}

FencingDigest compare_fencing_digests(Cluster& cluster, Resource& device, Node& node) {
    FencingDigest result;
    result.digests = calculate_digests(cluster, device, "stonith-on", Duration{0}, node, nullptr);
    const auto all = node.attribute("#digests-all");
    if (!all) return result;
    const std::string_view agent = device.agent_type();
    if (all->find(fmt::format("{}:{}:{}", device.id, agent, result.digests.all)) != std::string_view::npos) {
        result.result = DigestResult::kMatch;
        return result;
    }
    const auto secure = node.attribute("#digests-secure");
    if (secure &&
        secure->find(fmt::format("{}:{}:{}", device.id, agent, result.digests.secure)) != std::string_view::npos) {
        result.result = DigestResult::kMatch;
        result.only_private_changed = true;
        return result;
    }
    result.result = DigestResult::kMismatch;
    return result;
}

}  // namespace systole::model
