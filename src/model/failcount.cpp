#include "model/failcount.h"

#include <algorithm>

#include "base/text.h"
#include "model/operations.h"

namespace systole::model {
namespace {

constexpr std::string_view kCountPrefix = "fail-count-";
constexpr std::string_view kTimePrefix = "last-failure-";

/// The resource named in "fail-count-RESOURCE#OPERATION_INTERVAL"; empty if the name is not of that form.
std::string_view resource_in(std::string_view attribute, std::string_view prefix) {
    if (!attribute.starts_with(prefix)) return {};
    attribute.remove_prefix(prefix.size());
    const auto hash = attribute.rfind('#');
    if (hash == std::string_view::npos || hash == 0) return {};
    const std::string_view operation = attribute.substr(hash + 1);
    const auto underscore = operation.rfind('_');
    if (underscore == std::string_view::npos || underscore == 0 || underscore + 1 == operation.size()) return {};
    const std::string_view digits = operation.substr(underscore + 1);
    if (!std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; })) return {};
    return attribute.substr(0, hash);
}

void index_failures(const Cluster& cluster, const Node& node) {
    node.fail_exact.emplace();
    node.fail_base.emplace();
    const auto each = [&](std::string_view resource, auto&& change) {
        change((*node.fail_exact)[std::string(resource)]);
        change((*node.fail_base)[std::string(without_instance(resource))]);
    };
    for (const auto& [name, value] : node.attributes) {
        if (const auto resource = resource_in(name, kCountPrefix); !resource.empty()) {
            if (const auto score = cluster.options.score(value)) {
                each(resource, [&](Node::FailRecord& record) { record.count += *score; });
            }
        } else if (const auto failed = resource_in(name, kTimePrefix); !failed.empty()) {
            if (const auto time = parse_integer(value)) {
                each(failed, [&](Node::FailRecord& record) {
                    record.last_failure = std::max<std::int64_t>(record.last_failure, *time);
                });
            }
        }
    }
}

int target_rc_of(const xml::Node& operation) {
    // "action:transition:target-rc:uuid"
    const auto parts = split(operation.get("transition-key"), ":");
    if (parts.size() < 3) return -1;
    return static_cast<int>(parse_integer(parts[2]).value_or(-1));
}

bool is_failure_of(std::string_view resource_id, const OperationConfig& config, const xml::Node& operation) {
    if (config.interval != history_interval(operation)) return false;
    if (!same_ignoring_case(config.name, operation.get("operation"))) return false;
    const std::string_view id = operation.id();
    if (same_ignoring_case(id, operation_key(resource_id, "last_failure", Duration{0}))) return true;
    if (!same_ignoring_case(id, operation_key(resource_id, config.name, config.interval))) return false;
    return integer_of(operation, "rc-code", 0) != target_rc_of(operation);
}

/// Failures of operations with on-fail="block" never expire: the block would vanish by itself.
bool blocks(const Node& node, const Resource& resource, const xml::Node* operation) {
    const std::string_view id = without_instance(resource.id);
    for (const OperationConfig& config : resource.operations) {
        if (config.xml->get("on-fail") != "block") continue;
        if (operation != nullptr) {
            if (is_failure_of(id, config, *operation)) return true;
            continue;
        }
        const auto history = node.history.find(id);
        if (history == node.history.end()) continue;
        for (const auto& entry : history->second->children()) {
            if (entry->is("lrm_rsc_op") && is_failure_of(id, config, *entry)) return true;
        }
    }
    return false;
}

}  // namespace

std::string_view without_instance(std::string_view id) {
    if (id.empty()) return id;
    for (std::size_t i = id.size() - 1; i > 0; --i) {
        if (id[i] >= '0' && id[i] <= '9') continue;
        if (id[i] != ':') return id;
        return i + 1 == id.size() ? id : id.substr(0, i);
    }
    return id;
}

bool has_fail_counts(const Cluster& cluster, const Node& node) {
    if (!node.fail_exact) index_failures(cluster, node);
    return !node.fail_exact->empty();
}

FailCountResult fail_count(Cluster& cluster, const Node& node, Resource& resource, FailCount kind,
                           const xml::Node* operation, bool with_launched) {
    if (!node.fail_exact) index_failures(cluster, node);
    FailCountResult result;
    if (!node.fail_exact->empty()) {
        const std::string& name = resource.name_in_history();
        const auto& index = resource.unique ? *node.fail_exact : *node.fail_base;
        const auto it = index.find(resource.unique ? name : std::string(without_instance(name)));
        if (it != index.end()) {
            result.count = it->second.count.value();
            result.last_failure = it->second.last_failure;
        }
    }
    if (result.count > 0 && resource.failure_timeout.count() > 0 && blocks(node, resource, operation)) {
        resource.failure_timeout = Duration{0};
    }
    if (kind == FailCount::kEffective && result.count > 0 && result.last_failure > 0 &&
        resource.failure_timeout.count() > 0 &&
        cluster.epoch() > result.last_failure + resource.failure_timeout.count() / 1000) {
        result.count = 0;
    }
    if (with_launched && !resource.launched.empty() && !resource.is_bundled()) {
        for (Resource* launched : resource.launched) {
            const FailCountResult inner = fail_count(cluster, node, *launched, kind, operation, true);
            result.count += inner.count;
            result.last_failure = std::max(result.last_failure, inner.last_failure);
        }
    }
    if (result.count <= 0) result.last_failure = 0;
    return result;
}

}  // namespace systole::model
