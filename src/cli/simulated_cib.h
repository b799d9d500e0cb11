#pragma once
// cli/simulated_cib.h — a CIB whose status section a simulation writes: what nodes would report if they did as told.
//
// Entries are written as the controller writes operation history, so that a simulation's result can be planned from
// again. Source: protocol sheet controller.md, section 8 (lrm_rsc_op).
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "model/cluster.h"
#include "xml/tree.h"

namespace systole::cli {

/// A part of the status section that can be changed. What nobody asks to change stays the element that it came from.
class StatusElement {
public:
    explicit StatusElement(std::string_view name) : name_(name) {}
    explicit StatusElement(xml::NodePtr source) : name_(source->name()), source_(std::move(source)) {}

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] std::string_view get(std::string_view attribute) const;
    [[nodiscard]] bool has(std::string_view attribute) const;
    StatusElement& set(std::string_view attribute, std::string_view value);
    /// All child elements.
    std::vector<std::unique_ptr<StatusElement>>& children();
    StatusElement* child(std::string_view element);
    StatusElement& child_or_new(std::string_view element);
    StatusElement& add(std::string_view element);
    void remove(std::string_view element);
    [[nodiscard]] xml::NodePtr build() const;

private:
    void open();  ///< makes a copy of the source, one level deep

    std::string name_;
    xml::NodePtr source_;  ///< null once it was opened
    std::vector<std::pair<std::string, std::string>> attributes_;
    std::vector<std::unique_ptr<StatusElement>> children_;
};

struct OperationResult {
    std::string resource;  ///< as the history calls it
    std::string task;
    Duration interval{0};
    int exit = 0;
    int expected = 0;
    model::NameValues parameters;  ///< of the graph's action, with CRM_meta_* names
    bool with_digest = true;
};

/// Class, provider and type of a resource.
struct AgentName {
    std::string_view standard, provider, type;
};

class SimulatedCib {
public:
    explicit SimulatedCib(xml::NodePtr cib, WallTime real_time);

    /// The CIB as it is now.
    [[nodiscard]] xml::NodePtr build() const;

    void set_quorum(std::string_view value);
    void set_option(std::string_view name, std::string_view value);
    void set_ticket(std::string_view ticket, std::string_view attribute, bool value);
    void add_node_entry(std::string_view name);  ///< to <nodes>, unless it is there

    /// The node's state, made if it has none; `id` empty: looked up in <nodes>.
    StatusElement& node_state(std::string_view name, std::string_view id = {});
    StatusElement& set_membership(std::string_view node, bool up);
    void forget_node(std::string_view node);  ///< history and transient attributes
    /// The resource's history on the node, made if there is none. `lrm_name`: what a new one is called.
    StatusElement& resource_history(StatusElement& node, std::string_view resource, std::string_view lrm_name,
                                    const AgentName& agent);
    void add_result(StatusElement& history, std::string_view node, const OperationResult& result);
    /// Names and values of the attributes that were set.
    std::vector<std::pair<std::string, std::string>> add_failure(StatusElement& node, std::string_view resource,
                                                                 std::string_view task, Duration interval, int exit,
                                                                 bool fatal);

private:
    void index_nodes();

    xml::NodePtr cib_;
    std::unique_ptr<StatusElement> status_;
    std::unordered_map<std::string, StatusElement*> states_;  ///< by name, lower case
    /// By node state: its lrm_resource elements by id; null where there are several of that id.
    std::unordered_map<const StatusElement*, std::unordered_map<std::string, StatusElement*>> histories_;
    WallTime real_time_;
    int config_changes_ = 0;  ///< what epoch grows by
    int status_changes_ = 0;  ///< since the last of these: what num_updates grows to
};

}  // namespace systole::cli
