#pragma once
// cli/cib_attributes.h — single name/value pairs of a CIB: finding, setting and deleting them.
//
// A pair stands in a set (instance_attributes, utilization, cluster_property_set, ...) of an element. Where there is no
// pair of the name yet, one is made in the set that is asked for, else in the first one, else in a new set whose id is
// derived from the element's. Source: crm_attribute(8), crm_resource(8) and recorded output of Pacemaker 3.0.2.
#include <string>
#include <string_view>
#include <vector>

#include "cli/cib_access.h"
#include "xml/tree.h"

namespace systole::cli {

/// Which part of the configuration a pair is in.
enum class PairScope : std::uint8_t { kCrmConfig, kRscDefaults, kOpDefaults, kNodes, kStatus, kTickets };
/// "crm_config", "nodes", "status", ...; empty if the name is none of them.
std::optional<PairScope> parse_pair_scope(std::string_view name);
std::string_view name_of(PairScope scope);

/// What is looked for. Empty texts don't matter.
struct PairQuery {
    PairScope scope = PairScope::kCrmConfig;
    std::string node_id;       ///< XML id of the node (scopes kNodes and kStatus)
    std::string node_name;     ///< its name, for a node_state that has to be made
    bool remote_node = false;  ///< a node_state made for it says so
    std::string set_type;      ///< "utilization" instead of what the scope usually has
    std::string set_id;
    std::string pair_id;
    std::string name;
};

struct FoundPair {
    const xml::Node* pair;
    const xml::Node* set;
};
/// In document order.
std::vector<FoundPair> find_pairs(const xml::Node& cib, const PairQuery& query);

/// The change that gives the pair a value: input and section of a modify call. `existing` may be null.
CibCall set_pair(const xml::Node& cib, const PairQuery& query, std::string_view value, const FoundPair* existing,
                 std::uint32_t options);
CibCall delete_pair(const PairQuery& query, std::string_view pair_id);

/// The XML id and name of a node, cluster, remote or guest.
struct NodeIdentity {
    std::string id, name;
    bool remote = false;
};
std::optional<NodeIdentity> find_node(const xml::Node& cib, std::string_view name);

}  // namespace systole::cli
