#include "model/operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>

#include "base/text.h"

namespace systole::model {
namespace {

constexpr int kDefaultTimeoutMs = 20'000;

rules::Input rule_input(const Cluster& cluster) {
    rules::Input input;
    input.now = cluster.now;
    return input;
}

rules::ResolveRef resolver(const Cluster& cluster) {
    return [&cluster](std::string_view name, std::string_view id) { return cluster.resolve_reference(name, id); };
}

void take(Cluster& cluster, const rules::Unpacked& unpacked) {
    cluster.recheck_for(unpacked);
    for (const std::string& problem : unpacked.problems) cluster.config_error(problem);
}

Duration interval_of(const xml::Node& op) {
    return rules::parse_interval_spec(op.get("interval")).value_or(Duration{0});
}

bool is_promoted_role(std::string_view role) { return parse_role(role) == Role::kPromoted; }

const OperationConfig* most_frequent_monitor(const Resource& resource) {
    const OperationConfig* found = nullptr;
    for (const OperationConfig& op : resource.operations) {
        if (op.name != "monitor" || op.interval.count() == 0 || !op.enabled) continue;
        if (found == nullptr || op.interval < found->interval) found = &op;
    }
    return found;
}

int timeout_ms(std::string_view text) {
    const auto timeout = parse_interval(text);
    if (!timeout || timeout->count() <= 0) return kDefaultTimeoutMs;
    return static_cast<int>(std::min<long long>(timeout->count(), INT_MAX));
}

/// on-fail values that make no sense for an operation fall back to the default.
void validate_on_fail(Cluster& cluster, const Resource& resource, std::string_view task, const xml::Node* config,
                      NameValues& meta) {
    const auto it = meta.find("on-fail");
    const auto is = [&](std::string_view value) { return it != meta.end() && same_ignoring_case(it->second, value); };
    if (task == "stop" && (is("standby") || is("demote") || is("stop"))) {
        cluster.config_error(
            fmt::format("Resetting 'on-fail' for {} stop action to default value because '{}' is not allowed for stop",
                        resource.id, it->second));
        meta.erase(it);
        return;
    }
    if (task == "demote" && it == meta.end()) {
        // A promoted role's monitor says what a failed demote means too, unless it would be "demote" again.
        for (const OperationConfig& op : resource.operations) {
            const auto on_fail = op.xml->attribute("on-fail");
            if (!on_fail || op.name != "monitor" || !is_promoted_role(op.xml->get("role"))) continue;
            if (op.interval.count() == 0 || !op.enabled || same_ignoring_case(*on_fail, "demote")) continue;
            meta["on-fail"] = *on_fail;
        }
        return;
    }
    if (task == "lrm_delete" && !is("ignore")) {
        meta["on-fail"] = "ignore";
        return;
    }
    if (is("demote")) {
        const std::string_view name = config == nullptr ? std::string_view{} : config->get("name");
        const bool promoted_monitor = config != nullptr && name == "monitor" && interval_of(*config).count() != 0 &&
                                      is_promoted_role(config->get("role"));
        if (name != "promote" && !promoted_monitor) {
            cluster.config_error(fmt::format(
                "Resetting 'on-fail' for {} {} action to default value because 'demote' is not allowed for it",
                resource.id, name));
            meta.erase(it);
        }
    }
}

std::optional<long long> delay_from_origin(Cluster& cluster, std::string_view origin_text, const xml::Node* config,
                                           Duration interval) {
    const long long interval_s = interval.count() / 1000;
    if (origin_text.empty() || interval_s <= 0) return std::nullopt;
    const auto origin = rules::parse_date_time(origin_text, cluster.now);
    if (!origin) {
        cluster.config_error(fmt::format("Ignoring 'interval-origin' for operation '{}' because '{}' is not valid",
                                         config == nullptr ? "(missing ID)" : config->id(), origin_text));
        return std::nullopt;
    }
    const long long since = (cluster.epoch() - origin->wall().seconds) % interval_s;
    return (since <= 0 ? -since : interval_s - since) * 1000;
}

NameValues unpack_meta(Cluster& cluster, Resource& resource, const Node* node, std::string_view task, Duration interval,
                       const xml::Node* config) {
    NameValues meta;
    rules::Input input = rule_input(cluster);
    input.resource = rules::Input::Resource{resource.standard(), resource.provider(), resource.agent_type()};
    input.operation = rules::Input::Operation{task, interval};
    if (config != nullptr) {
        take(cluster, rules::unpack_nvpairs(*config, "meta_attributes", input, resolver(cluster), meta));
        for (const auto& attribute : config->attributes()) {
            meta.insert_or_assign(std::string(attribute.name.view()), std::string(attribute.value.view()));
        }
    }
    if (is_probe(task, interval) && !meta.contains("timeout")) {
        if (const OperationConfig* monitor = most_frequent_monitor(resource); monitor != nullptr) {
            if (const auto timeout = monitor->xml->attribute("timeout")) meta.emplace("timeout", *timeout);
        }
    }
    if (cluster.op_defaults != nullptr) {
        take(cluster, rules::unpack_nvpairs(*cluster.op_defaults, "meta_attributes", input, resolver(cluster), meta));
    }
    meta.erase("id");
    if (interval.count() > 0) {
        meta.insert_or_assign("interval", std::to_string(interval.count()));
    } else {
        meta.erase("interval");
    }
    if (standard_is_fencing(resource.standard()) && (task == "start" || is_probe(task, interval))) {
        const NameValues& parameters = resource_parameters(cluster, resource, node);
        if (const auto it = parameters.find("pcmk_monitor_timeout"); it != parameters.end()) {
            meta.insert_or_assign("timeout", it->second);
        }
    }
    const auto timeout = meta.find("timeout");
    meta.insert_or_assign("timeout",
                          std::to_string(timeout_ms(timeout == meta.end() ? std::string_view{} : timeout->second)));
    validate_on_fail(cluster, resource, task, config, meta);

    if (const auto delay = meta.find("start-delay"); delay != meta.end()) {
        const auto ms = parse_interval(delay->second);
        delay->second = std::to_string(ms ? std::min<long long>(ms->count(), INT_MAX) : 0);
    } else if (const auto origin = meta.find("interval-origin"); origin != meta.end()) {
        if (const auto ms = delay_from_origin(cluster, origin->second, config, interval)) {
            meta.insert_or_assign("start-delay", std::to_string(*ms));
        }
    }
    return meta;
}

bool has_rules(const xml::Node& element) {
    if (element.is("rule") || element.has("id-ref")) return true;
    return std::ranges::any_of(element.children(), [](const auto& c) { return c->is_element() && has_rules(*c); });
}

bool parameters_vary(Resource& resource) {
    if (!resource.cache.parameters_vary) {
        bool vary = resource.parent != nullptr && parameters_vary(*resource.parent);
        for (const auto& child : resource.xml->children()) {
            if (child->is("instance_attributes")) vary = vary || has_rules(*child);
        }
        resource.cache.parameters_vary = vary;
    }
    return *resource.cache.parameters_vary;
}

}  // namespace

bool standard_allows_unique(std::string_view standard) { return standard == "ocf" || standard == "stonith"; }
bool standard_has_provider(std::string_view standard) { return standard == "ocf"; }
bool standard_has_promotion(std::string_view standard) { return standard == "ocf"; }
bool standard_is_fencing(std::string_view standard) { return same_ignoring_case(standard, "stonith"); }

const OperationConfig* find_exact_operation(const Resource& resource, std::string_view task, Duration interval,
                                            Disabled disabled) {
    for (const OperationConfig& op : resource.operations) {
        if (op.interval == interval && op.name == task && (disabled == Disabled::kInclude || op.enabled)) return &op;
    }
    return nullptr;
}

const OperationConfig* find_operation(const Resource& resource, std::string_view task, Duration interval,
                                      Disabled disabled) {
    const OperationConfig* op = find_exact_operation(resource, task, interval, disabled);
    if (op == nullptr && (task == "migrate_to" || task == "migrate_from")) {
        op = find_exact_operation(resource, "migrate", Duration{0}, disabled);
    }
    return op;
}

std::vector<OperationConfig> read_operations(const Cluster& cluster, const xml::Node& resource_xml) {
    std::vector<OperationConfig> result;
    const xml::Node* operations = resource_xml.child("operations");
    if (operations != nullptr && operations->has("id-ref")) {
        operations = cluster.resolve_reference("operations", operations->get("id-ref"));
    }
    if (operations == nullptr) return result;
    for (const auto& child : operations->children()) {
        if (!child->is("op")) continue;
        result.push_back({.xml = child.get(),
                          .name = child->get("name"),
                          .interval = interval_of(*child),
                          .enabled = parse_bool(child->get("enabled")).value_or(true)});
    }
    return result;
}

std::shared_ptr<const NameValues> operation_meta(Cluster& cluster, Resource& resource, const Node* node,
                                                 std::string_view task, Duration interval, const xml::Node* config) {
    const bool cacheable = !resource.fence_device;
    if (cacheable) {
        for (const auto& cached : resource.cache.operation_meta) {
            if (cached.config == config && cached.interval == interval && cached.task == task) return cached.values;
        }
    }
    auto values = std::make_shared<const NameValues>(unpack_meta(cluster, resource, node, task, interval, config));
    if (cacheable) resource.cache.operation_meta.push_back({config, std::string(task), interval, values});
    return values;
}

NameValues operation_parameters(Cluster& cluster, const xml::Node* config, const Node& node) {
    NameValues values;
    if (config == nullptr || config->children().empty()) return values;
    rules::Input input = rule_input(cluster);
    input.node_attribute = [&node](std::string_view name) { return node.attribute(name); };
    take(cluster, rules::unpack_nvpairs(*config, "instance_attributes", input, resolver(cluster), values));
    return values;
}

const NameValues& resource_parameters(Cluster& cluster, Resource& resource, const Node* node) {
    if (!parameters_vary(resource)) node = nullptr;
    auto& cached = resource.cache.parameters[node];
    if (!cached) {
        NameValues values;
        rules::Input input = rule_input(cluster);
        if (node != nullptr) {
            input.node_attribute = [node](std::string_view name) { return node->attribute(name); };
        }
        for (Resource* r = &resource; r != nullptr; r = r->parent) {
            take(cluster, rules::unpack_nvpairs(*r->xml, "instance_attributes", input, resolver(cluster), values));
        }
        cached = std::make_shared<const NameValues>(std::move(values));
    }
    return *cached;
}

OnFail parse_on_fail(Cluster& cluster, const Resource& resource, std::string_view task, Duration interval,
                     const NameValues& meta) {
    std::optional<OnFail> chosen;
    if (const auto it = meta.find("on-fail"); it != meta.end()) {
        const auto is = [&](std::string_view value) { return same_ignoring_case(it->second, value); };
        if (is("block")) {
            chosen = OnFail::kBlock;
        } else if (is("fence")) {
            chosen = OnFail::kFenceNode;
            if (!cluster.options.fencing_enabled) {
                cluster.config_error(
                    fmt::format("Resetting 'on-fail' for {} of {} to 'stop' because 'fence' is not "
                                "valid when fencing is disabled",
                                task, resource.id));
                chosen = OnFail::kStop;
            }
        } else if (is("standby")) {
            chosen = OnFail::kStandbyNode;
        } else if (is("ignore") || is("nothing")) {
            chosen = OnFail::kIgnore;
        } else if (is("migrate")) {
            chosen = OnFail::kBan;
        } else if (is("stop")) {
            chosen = OnFail::kStop;
        } else if (is("restart")) {
            chosen = OnFail::kRestart;
        } else if (is("restart-container")) {
            if (resource.launcher != nullptr) chosen = OnFail::kRestartContainer;
        } else if (is("demote")) {
            chosen = OnFail::kDemote;
        } else {
            cluster.config_error(fmt::format("Using default 'on-fail' for {} of {} because '{}' is not valid", task,
                                             resource.id, it->second));
        }
    }
    bool needs_reset = false;
    if (resource.remote_connection && !is_probe(task, interval) && task != "start") {
        const Node* node = cluster.find_node(resource.id);
        needs_reset = node != nullptr && node->is_remote();
        // An unmanaged connection is never restarted, whatever is configured.
        if (needs_reset && !resource.managed) chosen.reset();
    }
    if (chosen) return *chosen;
    if (resource.launcher != nullptr) return OnFail::kRestartContainer;
    if (needs_reset) return resource.managed ? OnFail::kResetRemote : OnFail::kStop;
    if (task == "stop") return cluster.options.fencing_enabled ? OnFail::kFenceNode : OnFail::kBlock;
    return OnFail::kRestart;
}

Role role_after_failure(const Resource& resource, std::string_view task, OnFail on_fail) {
    if (on_fail == OnFail::kStop) return Role::kStopped;
    if (on_fail == OnFail::kResetRemote && resource.remote_reconnect.count() != 0) return Role::kStopped;
    return task == "promote" ? Role::kUnpromoted : Role::kStarted;
}

std::string operation_key(std::string_view resource, std::string_view task, Duration interval) {
    return fmt::format("{}_{}_{}", resource, task, interval.count());
}

std::optional<ParsedKey> parse_operation_key(std::string_view key) {
    const auto last = key.rfind('_');
    if (last == std::string_view::npos || last == 0) return std::nullopt;
    const auto interval = parse_integer(key.substr(last + 1));
    if (!interval || *interval < 0) return std::nullopt;
    std::string_view head = key.substr(0, last);
    ParsedKey parsed;
    parsed.interval = Duration{*interval};
    for (const std::string_view task : {"_migrate_to", "_migrate_from", "_reload-agent", "_last_failure"}) {
        if (head.ends_with(task)) {
            parsed.task = task.substr(1);
            parsed.resource = head.substr(0, head.size() - task.size());
            return parsed;
        }
    }
    if (const auto notify = head.find("_pre_notify_"); notify != std::string_view::npos) {
        parsed.resource = head.substr(0, notify);
        parsed.task = "notify";
        return parsed;
    }
    if (const auto notify = head.find("_post_notify_"); notify != std::string_view::npos) {
        parsed.resource = head.substr(0, notify);
        parsed.task = "notify";
        return parsed;
    }
    const auto middle = head.rfind('_');
    if (middle == std::string_view::npos) return std::nullopt;
    parsed.task = head.substr(middle + 1);
    parsed.resource = head.substr(0, middle);
    return parsed;
}

int integer_of(const xml::Node& node, std::string_view attribute, int fallback) {
    const auto value = node.attribute(attribute);
    if (!value) return fallback;
    const auto number = parse_integer(*value);
    return number && *number >= INT_MIN && *number <= INT_MAX ? static_cast<int>(*number) : fallback;
}

Duration history_interval(const xml::Node& operation) {
    const auto number = parse_integer(operation.get("interval"));
    return Duration{number && *number >= 0 ? *number : 0};
}

bool is_probe(const xml::Node& operation) { return is_probe(operation.get("operation"), history_interval(operation)); }

bool is_masked_probe_failure(const xml::Node& operation) {
    return is_masked_probe_failure(operation.get("operation"), history_interval(operation),
                                   integer_of(operation, "rc-code", 0), integer_of(operation, "op-status", -2));
}

bool is_masked_probe_failure(std::string_view task, Duration interval, int exit, int status) {
    return is_probe(task, interval) && (exit == static_cast<int>(ExitCode::kNotInstalled) ||
                                        exit == static_cast<int>(ExitCode::kInvalidParameter) ||
                                        status == static_cast<int>(ExecStatus::kNotInstalled));
}

std::string_view history_key(const xml::Node& operation) {
    const auto key = operation.attribute("operation_key");
    return key ? *key : operation.id();
}

}  // namespace systole::model
