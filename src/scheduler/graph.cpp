// scheduler/graph.cpp — the transition graph: each action that is to be done, with what has to be done before it.
// Source: protocol sheet controller.md (transition graphs).
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "model/digest.h"
#include "model/operations.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

constexpr std::string_view kFeatureSet = "3.20.5";

class GraphWriter {
public:
    explicit GraphWriter(Scheduler& s) : s_(s), graph_("transition_graph") {}
    void write();

private:
    void add_resource(Resource& rsc);
    void add_list(const std::vector<Action*>& list);
    void add(Action& action);
    xml::Builder describe(Action& action, bool details);
    void add_resource_details(const Action& action, xml::Builder& xml) const;
    void add_attributes(Action& action, xml::Builder& xml);
    void add_downed(const Action& action, xml::Builder& xml) const;
    int add_maintenance_nodes(xml::Builder* xml) const;
    void fill_bundle_addresses(Resource& bundle);

    Scheduler& s_;
    xml::Builder graph_;
    int synapses_ = 0;
    std::unordered_map<const Resource*, std::string> addresses_;
};

bool is_up_input(const Relation& input) {
    return (input.flags & ~(rel::kThenImpliesFirstGraphed | rel::kFirstImpliesThenGraphed | rel::kOrdered)) != 0;
}

xml::Builder node_element(std::string_view id) {
    xml::Builder node("node");
    node.set("id", id);
    return node;
}

std::string meta_name(std::string_view name) {
    std::string result = fmt::format("CRM_meta_{}", name);
    std::ranges::replace(result, '-', '_');
    return result;
}

/// Names that the cluster makes up for itself (fail counts and the like) are no business of agents.
bool is_plain(std::string_view name) { return name.find_first_of("#:") == std::string_view::npos; }

std::string_view task_without_end(std::string_view task) { return uncompleted(task); }

}  // namespace

bool belongs_in_graph(const Action& a) {
    if (!a.is(act::kRunnable)) return false;
    if (a.is(act::kOptional) && !a.is(act::kAlwaysInGraph)) return false;
    if (a.rsc != nullptr && !a.rsc->managed && a.task != "monitor") {
        const std::string_view interval = a.meta_value("interval");
        if (interval.empty() || interval == "0") return false;
    }
    if (a.is(act::kPseudo) || a.task == "stonith" || a.task == "do_shutdown") return true;
    if (a.node == nullptr) return false;
    if (a.is(act::kOnDc) || (a.node->is_guest() && !a.node->remote_reset)) return true;
    return a.node->online && !a.node->unclean;
}

bool input_belongs_in_graph(const Action& a, Relation& input) {
    if (input.graphed) return true;
    const Action& first = *input.other;
    if (input.flags == rel::kNone) return false;
    if (!first.is(act::kRunnable)) {
        if (!is_up_input(input) || (input.flags & (rel::kMinRunnable | rel::kUnmigratableThenBlocks)) != 0)
            return false;
    }
    if ((input.flags & rel::kIfFirstUnmigratable) != 0 && first.is(act::kMigratable)) return false;
    const bool is_stop = first.key_task == "stop" && first.interval.count() == 0;
    if (input.flags == rel::kOrdered && first.is(act::kMigratable) && is_stop) return false;
    if (input.flags == rel::kIfOnSameNodeOrTarget) {
        const bool migrating = a.rsc != nullptr && a.task == "migrate_to";
        const Node* place = migrating ? a.rsc->assigned_node : a.node;
        const bool same = first.node != nullptr && first.node == place;
        if (!same || (!migrating && first.is(act::kOptional))) {
            input.flags = rel::kNone;
            return false;
        }
    } else if (input.flags == rel::kIfRequiredOnSameNode) {
        if ((first.node != nullptr && a.node != nullptr && first.node != a.node) || first.is(act::kOptional)) {
            input.flags = rel::kNone;
            return false;
        }
    } else if (first.rsc != nullptr && first.rsc != a.rsc && first.rsc->failed && !first.rsc->managed && is_stop &&
               a.rsc != nullptr && a.rsc->is_clone()) {
        return false;  // an unmanaged failed resource must not hold a clone's shutdown up
    } else if (first.is(act::kOptional) && !first.any(act::kAlwaysInGraph | act::kInGraph) &&
               !belongs_in_graph(first)) {
        return false;
    }
    return true;
}

bool has_loop(const Action& start, const Action& action, Relation& input) {
    Action& first = *input.other;
    if (first.is(act::kVisited) || !input_belongs_in_graph(action, input)) return false;
    if (&first == &start) return true;
    first.set(act::kVisited);
    bool found = false;
    for (std::size_t i = first.before.size(); i-- > 0 && !found;) found = has_loop(start, first, first.before[i]);
    first.clear(act::kVisited);
    return found;
}

void deduplicate_inputs(Action& action) {
    // Oldest first from here on, each once.
    std::ranges::reverse(action.before);
    std::ranges::stable_sort(action.before, {}, [](const Relation& r) { return r.other->id; });
    std::vector<Relation> unique;
    for (const Relation& input : action.before) {
        if (!unique.empty() && unique.back().other == input.other) {
            unique.back().flags |= input.flags;
            unique.back().graphed = unique.back().graphed || input.graphed;
        } else {
            unique.push_back(input);
            unique.back().graphed = false;
        }
    }
    action.before = std::move(unique);
}

void GraphWriter::add_resource_details(const Action& a, xml::Builder& xml) const {
    const Resource& rsc = *a.rsc;
    if (a.node != nullptr && a.node == rsc.lock_node && !(a.node->shutdown && a.task != "stop")) {
        xml.set("shutdown-lock", static_cast<long long>(rsc.lock_time));
    }
    xml::Builder element(rsc.xml->name());
    if (rsc.removed && !rsc.history_id.empty()) {
        element.set("id", rsc.history_id).set("long-id", rsc.id);
    } else if (!rsc.unique) {
        const std::string_view id = rsc.xml_id();
        element.set("id", id);
        element.set("long-id", !rsc.history_id.empty() && id != rsc.history_id ? rsc.history_id : rsc.id);
    } else {
        element.set("id", rsc.id);
    }
    for (const std::string_view name : {"class", "provider", "type"}) {
        if (const auto value = rsc.meta_value(name)) element.set(name, *value);
    }
    xml.add(std::move(element).build());
}

void GraphWriter::add_attributes(Action& a, xml::Builder& xml) {
    std::map<std::string, std::string, std::less<>> values;
    std::vector<xml::NodePtr> children;
    values["crm_feature_set"] = kFeatureSet;
    for (const auto& [name, value] : a.parameters) values.emplace(name, value);
    if (a.rsc != nullptr && (a.node != nullptr || a.rsc->is_primitive())) {
        NameValues parameters = model::resource_parameters(s_.c, *a.rsc, a.node);
        if (const auto it = addresses_.find(a.rsc); it != addresses_.end()) {
            const auto address = parameters.find("addr");
            if (a.node == nullptr || (address != parameters.end() && address->second == "#uname")) {
                parameters["addr"] = it->second;
            }
        }
        for (const auto& [name, value] : parameters) {
            if (!name.empty() && name[0] >= '0' && name[0] <= '9') {
                xml::Builder param("param");  // no attribute can be called so
                param.set("name", name).set("value", value);
                children.push_back(std::move(param).build());
            } else {
                values.emplace(name, value);
            }
        }
    }
    for (const auto& [name, value] : a.meta) {
        if (is_plain(name)) values.emplace(meta_name(name), value);
    }
    for (const Resource* r = a.rsc; r != nullptr; r = r->parent) {
        if (r->is_primitive()) {
            if (const auto clone = r->meta_value("clone")) values["CRM_meta_clone"] = *clone;
            if (const auto remote = r->meta_value("remote-node")) values["CRM_meta_remote_node"] = *remote;
            for (const Resource* p = r; p != nullptr; p = p->parent) {
                if (p->launcher != nullptr) values["CRM_meta_container"] = p->launcher->id;
            }
            if (const auto ip = r->meta_value("external-ip")) values["pcmk_external_ip"] = *ip;
        } else if (r->is_clone()) {
            const model::CloneData& clone = *r->clone;
            values["CRM_meta_globally_unique"] = r->unique ? "true" : "false";
            values["CRM_meta_notify"] = r->notify ? "true" : "false";
            values["CRM_meta_clone_max"] = std::to_string(clone.max);
            values["CRM_meta_clone_node_max"] = std::to_string(clone.node_max);
            if (r->promotable) {
                for (const auto name : {"CRM_meta_promoted_max", "CRM_meta_master_max"}) {
                    values[name] = std::to_string(clone.promoted_max);
                }
                for (const auto name : {"CRM_meta_promoted_node_max", "CRM_meta_master_node_max"}) {
                    values[name] = std::to_string(clone.promoted_node_max);
                }
            }
        }
    }
    if (a.rsc != nullptr && a.node != nullptr && a.node->is_guest()) {
        std::string_view task = a.task;
        if (task == "notify" || task == "notified") task = a.meta_value("notify_operation");
        task = task_without_end(task);
        const Resource& launcher = *a.node->remote->launcher;
        const Node* host = nullptr;
        if (task == "stop" || task == "demote") host = model::current_node(launcher);
        if (task == "start" || task == "monitor" || task == "promote") host = launcher.assigned_node;
        if (host != nullptr) {
            if (const auto target = a.rsc->meta_value("container-attribute-target")) {
                values.emplace("CRM_meta_container_attribute_target", *target);
            }
            values.emplace("CRM_meta_physical_host", host->name);
        }
    }
    xml::Builder attributes("attributes");
    for (const auto& [name, value] : values) attributes.append_attribute(xml::Text(name), xml::Text(value));
    for (xml::NodePtr& child : children) attributes.add(std::move(child));
    xml.add(std::move(attributes).build());
}

void GraphWriter::add_downed(const Action& a, xml::Builder& xml) const {
    xml::Builder downed("downed");
    if (a.task == "do_shutdown") {
        downed.add(node_element(a.node->id));
    } else if (a.task == "stonith") {
        const std::string_view operation = a.meta_value("stonith_action");
        if (operation != "off" && operation != "reboot" && operation != "poweroff") return;
        downed.add(node_element(a.node->id));
        for (const Resource* rsc : a.node->running) {
            if (!rsc->remote_connection || rsc->launcher == nullptr) continue;
            if (const Node* guest = s_.c.find_node(rsc->id)) downed.add(node_element(guest->id));
        }
    } else if (a.rsc != nullptr && a.rsc->remote_connection && a.task == "stop") {
        // The node is lost with its connection, unless that only moves.
        const bool migrating = std::ranges::any_of(a.before, [&](const Relation& input) {
            return input.other->rsc == a.rsc && input.other->task == "migrate_from";
        });
        if (migrating) return;
        downed.add(node_element(a.rsc->id));
    } else {
        return;
    }
    xml.add(std::move(downed).build());
}

int GraphWriter::add_maintenance_nodes(xml::Builder* xml) const {
    int count = 0;
    xml::Builder list("maintenance");
    for (const Node* node : s_.c.nodes) {
        if (!node->remote_kind || node->maintenance == node->remote_maintenance) continue;
        xml::Builder element = node_element(node->id);
        element.set("node_in_maintenance", node->maintenance ? "1" : "0");
        list.add(std::move(element).build());
        ++count;
    }
    if (xml != nullptr) xml->add(std::move(list).build());
    return count;
}

xml::Builder GraphWriter::describe(Action& a, bool details) {
    const bool pseudo = a.is(act::kPseudo);
    bool with_node = true, with_maintenance = false;
    std::string_view element = "rsc_op";
    if (a.task == "stonith") {
        element = pseudo ? "pseudo_event" : "crm_event";
    } else if (a.task == "do_shutdown" || a.task == "clear_failcount" || a.task == "lrm_delete") {
        element = "crm_event";
    } else if (pseudo) {
        element = "pseudo_event";
        with_maintenance = a.task == "maintenance_nodes";
        with_node = false;
    }
    xml::Builder xml(element);
    if (a.task == "lrm_delete") xml.set("mode", "cib");
    xml.set("id", a.id).set("operation", a.task);
    if (a.rsc != nullptr && !a.rsc->history_id.empty()) {
        const Duration interval{parse_integer(a.meta_value("interval")).value_or(0)};
        std::string key;
        if (a.task == "notify") {
            key = fmt::format("{}_{}_notify_{}_0", a.rsc->history_id, a.meta_value("notify_type"),
                              a.meta_value("notify_operation"));
        } else {
            key = model::operation_key(a.rsc->history_id, a.cancel_task.empty() ? a.task : a.cancel_task, interval);
        }
        xml.set("operation_key", key).set("internal_operation_key", a.key());
    } else {
        xml.set("operation_key", a.key());
    }
    if (with_node && a.node != nullptr) {
        xml.set("on_node", a.node->name).set("on_node_uuid", a.node->id);
        if (const Node* router = connection_host(a)) xml.set("router_node", router->name);
        a.meta["on_node"] = a.node->name;
        a.meta["on_node_uuid"] = a.node->id;
    }
    if (!details) return xml;
    if (a.rsc != nullptr && !pseudo) add_resource_details(a, xml);
    add_attributes(a, xml);
    if (with_node && a.node != nullptr) add_downed(a, xml);
    if (with_maintenance) add_maintenance_nodes(&xml);
    return xml;
}

void GraphWriter::add(Action& a) {
    if (!a.is(act::kDeduplicated)) {
        deduplicate_inputs(a);
        a.set(act::kDeduplicated);
    }
    if (a.is(act::kInGraph) || !belongs_in_graph(a)) return;
    a.set(act::kInGraph);
    xml::Builder synapse("synapse");
    synapse.set("id", synapses_++);
    const int priority = std::max(a.rsc == nullptr ? 0 : a.rsc->priority, a.priority);
    if (priority > 0) synapse.set("priority", priority);
    xml::Builder set("action_set"), inputs("inputs");
    set.add(describe(a, true));
    for (Relation& input : a.before) {
        if (!input_belongs_in_graph(a, input)) continue;
        input.graphed = true;
        xml::Builder trigger("trigger");
        trigger.add(describe(*input.other, false));
        inputs.add(std::move(trigger));
    }
    synapse.add(std::move(set));
    synapse.add(std::move(inputs));
    graph_.add(std::move(synapse));
}

void GraphWriter::add_list(const std::vector<Action*>& list) {
    for (std::size_t i = list.size(); i-- > 0;) add(*list[i]);
}

void GraphWriter::fill_bundle_addresses(Resource& bundle) {
    for (auto& replica : bundle.bundle->replicas) {
        if (replica.remote == nullptr) continue;
        if (const auto host = model::bundle_host_name(s_.c, *replica.remote)) {
            addresses_.emplace(replica.remote, std::string(*host));
        }
    }
}

void GraphWriter::add_resource(Resource& rsc) {
    if (rsc.is_bundle()) {
        if (rsc.bundle->child != nullptr) add_resource(*rsc.bundle->child);
        fill_bundle_addresses(rsc);
        for (auto& replica : rsc.bundle->replicas) {
            for (Resource* part : {replica.ip, replica.container, replica.remote}) {
                if (part != nullptr) add_resource(*part);
            }
        }
        return;
    }
    if (rsc.is_clone()) {
        const auto list = s_.of(rsc).actions;
        for (std::size_t i = list.size(); i-- > 0;) action_flags(s_, *list[i], nullptr);
        create_clone_notifications(s_, rsc);
        for (Resource* child : rsc.children) add_resource(*child);
    }
    add_list(s_.of(rsc).actions);
    for (Resource* child : rsc.children) add_resource(*child);
}

void GraphWriter::write() {
    const auto& options = s_.c.options;
    graph_.set("cluster-delay", options.value("cluster-delay"));
    graph_.set("fencing-timeout", options.value("fencing-timeout"));
    graph_.set("failed-stop-offset", "INFINITY");
    graph_.set("failed-start-offset", options.start_failure_is_fatal ? "INFINITY" : "1");
    graph_.set("batch-limit", options.value("batch-limit"));
    graph_.set("transition_id", 1);
    if (parse_integer(options.value("migration-limit")).value_or(-1) > 0) {
        graph_.set("migration-limit", options.value("migration-limit"));
    }
    if (s_.c.graph_recheck_by) {
        graph_.set("recheck-by", static_cast<long long>(s_.c.graph_recheck_by->seconds));
    }
    for (Resource* rsc : s_.c.resources) add_resource(*rsc);
    if (add_maintenance_nodes(nullptr) != 0) s_.pseudo_action("maintenance_nodes")->set(act::kAlwaysInGraph);
    for (std::size_t i = s_.actions.size(); i-- > 0;) add(s_.actions[i]);
    s_.plan.graph = std::move(graph_).build();
}

void create_graph(Scheduler& s) { GraphWriter(s).write(); }

}  // namespace systole::scheduler
