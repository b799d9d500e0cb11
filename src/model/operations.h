#pragma once
// model/operations.h — how an operation of a resource is configured: its <op>, meta-attributes, parameters, and what
// follows when it fails.
// Source: Pacemaker Explained, "Resource Operations".
#include <memory>

#include "model/cluster.h"

namespace systole::model {

enum class Disabled : std::uint8_t { kInclude, kExclude };

/// The <op> of that name and interval; "migrate" stands in for migrate_to and migrate_from. Null if there is none.
const OperationConfig* find_operation(const Resource& resource, std::string_view task, Duration interval,
                                      Disabled disabled = Disabled::kInclude);
/// Exactly that name and interval.
const OperationConfig* find_exact_operation(const Resource& resource, std::string_view task, Duration interval,
                                            Disabled disabled = Disabled::kInclude);
/// Reads the <op> elements of a resource.
std::vector<OperationConfig> read_operations(const Cluster& cluster, const xml::Node& resource_xml);

/// Everything that the operation's meta-attributes come to: its own, op_defaults, timeout and interval in ms.
std::shared_ptr<const NameValues> operation_meta(Cluster& cluster, Resource& resource, const Node* node,
                                                 std::string_view task, Duration interval, const xml::Node* config);
/// Parameters given in the <op> itself.
NameValues operation_parameters(Cluster& cluster, const xml::Node* config, const Node& node);
/// The resource's parameters (inherited ones too) as rules have them on a node; null: on no node in particular.
const NameValues& resource_parameters(Cluster& cluster, Resource& resource, const Node* node);

OnFail parse_on_fail(Cluster& cluster, const Resource& resource, std::string_view task, Duration interval,
                     const NameValues& meta);
Role role_after_failure(const Resource& resource, std::string_view task, OnFail on_fail);

/// "web_monitor_10000".
std::string operation_key(std::string_view resource, std::string_view task, Duration interval);
struct ParsedKey {
    std::string resource, task;
    Duration interval{0};
};
std::optional<ParsedKey> parse_operation_key(std::string_view key);

inline bool is_probe(std::string_view task, Duration interval) { return interval.count() == 0 && task == "monitor"; }
/// Interval of a history entry, which is written in ms.
Duration history_interval(const xml::Node& operation);
bool is_probe(const xml::Node& operation);
/// A probe that failed because agent or parameters are not there, which tells that nothing can run.
bool is_masked_probe_failure(const xml::Node& operation);
bool is_masked_probe_failure(std::string_view task, Duration interval, int exit, int status);
/// "web_monitor_10000" of a history entry.
std::string_view history_key(const xml::Node& operation);
int integer_of(const xml::Node& node, std::string_view attribute, int fallback);

/// Does the standard's agents take unique instances / fence parameters / have a provider / a promoted role?
bool standard_allows_unique(std::string_view standard);
bool standard_has_provider(std::string_view standard);
bool standard_has_promotion(std::string_view standard);
bool standard_is_fencing(std::string_view standard);

}  // namespace systole::model
