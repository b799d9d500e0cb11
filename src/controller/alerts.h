#pragma once
// controller/alerts.h — which alert agents are told of an event, and in which words.
//
// Every cluster node tells its own agents of nodes and fencings that it hears of and of operations that it had carried
// out (on a remote node: the host of the connection does); the writer of attributes tells of those. The executor runs
// the agents. Source: Pacemaker Explained, "Alerts"; environment as the reference's nodes give it.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attributes/manager.h"
#include "base/time.h"
#include "controller/history.h"
#include "fencing/fencer.h"

namespace systole::controller {

struct AlertEvent {
    enum class Kind : std::uint8_t { kNode, kFencing, kResource, kAttribute } kind{};
    std::string node;       ///< whom it befell
    std::string attribute;  ///< kAttribute: its name
    /// Further particulars, by their names without the prefix CRM_alert_.
    std::vector<std::pair<std::string, std::string>> particulars;
};

AlertEvent alert_of_node(std::string_view node, std::uint32_t id, bool member);
AlertEvent alert_of_fencing(const fencing::FenceNotice& notice);
AlertEvent alert_of_operation(std::string_view node, std::string_view resource, const OperationResult& result);
AlertEvent alert_of_attribute(const attributes::Changed& change, std::uint32_t node_id);

/// Is it worth telling? A probe that found what was expected is not.
bool is_told(const OperationResult& result);

class Alerts {
public:
    /// `version`: what agents are told as CRM_alert_version.
    explicit Alerts(std::string version) : version_(std::move(version)) {}

    /// One request for the executor (lrmd_command) per recipient of each alert in the CIB that selects the event.
    /// `utc_offset`: seconds that the machine's time is east of UTC.
    std::vector<xml::NodePtr> requests(const Now& now, int utc_offset, const xml::Node* cib, const AlertEvent& event);

private:
    std::string version_;
    std::uint64_t sequence_ = 0;  ///< CRM_alert_node_sequence
};

}  // namespace systole::controller
