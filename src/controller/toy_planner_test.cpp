// The toy planner of the toy world. It plans for primitives on cluster nodes only; the real scheduler has its own
// tests.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "controller/toy_world.h"

namespace systole::controller::toy {
namespace {

struct NodeView {
    std::string id, name;
    bool known{}, online{}, unclean{}, leaving{};
};
enum class State { kUnknown, kStopped, kStarted, kFailed };

struct Synapses {
    xml::Builder graph{"transition_graph"};
    int next = 0;
    struct Made {
        int id;
        std::string kind;
    };

    int add(std::string_view element, std::string_view operation, const std::string& key, const NodeView* node,
            const xml::Node* primitive, const std::map<std::string, std::string>& meta, const std::vector<int>& after,
            int priority = 0, const std::string& downed = {}) {
        const int id = next++;
        xml::Builder action(element);
        action.set("id", id).set("operation", operation).set("operation_key", key);
        if (node != nullptr) action.set("on_node", node->name).set("on_node_uuid", node->id);
        if (primitive != nullptr) {
            xml::Builder p("primitive");
            for (const auto* name : {"id", "class", "provider", "type"}) p.set_unless_empty(name, primitive->get(name));
            action.add(std::move(p));
        }
        xml::Builder attributes("attributes");
        for (const auto& [name, value] : meta) attributes.set(name, value);
        attributes.set("crm_feature_set", "3.20.5");
        action.add(std::move(attributes));
        if (!downed.empty()) {
            xml::Builder down("downed");
            down.add(xml::Builder("node").set("id", downed).build());
            action.add(std::move(down));
        }
        xml::Builder set("action_set");
        set.add(std::move(action));
        xml::Builder inputs("inputs");
        for (const int other : after) {
            xml::Builder trigger("trigger");
            trigger.add(xml::Builder("rsc_op").set("id", other).build());
            inputs.add(std::move(trigger));
        }
        xml::Builder synapse("synapse");
        synapse.set("id", id);
        if (priority != 0) synapse.set("priority", priority);
        synapse.add(std::move(set)).add(std::move(inputs));
        graph.add(std::move(synapse));
        return id;
    }
};

State state_on(const xml::Node* node_state, const std::string& resource, bool& recurring) {
    const xml::Node* lrm = node_state == nullptr ? nullptr : node_state->child("lrm");
    const xml::Node* list = lrm == nullptr ? nullptr : lrm->child("lrm_resources");
    const xml::Node* entry = list == nullptr ? nullptr : list->child("lrm_resource", resource);
    if (entry == nullptr) return State::kUnknown;
    State state = State::kUnknown;
    std::vector<const xml::Node*> ops;
    for (const auto& op : entry->children()) ops.push_back(op.get());
    const auto call = [](const xml::Node* op) { return parse_integer(op->get("call-id")).value_or(0); };
    std::ranges::stable_sort(ops, {}, [&](const xml::Node* op) { return call(op) < 0 ? 1'000'000 : call(op); });
    for (const xml::Node* op : ops) {
        const auto rc = parse_integer(op->get("rc-code")).value_or(193);
        const auto task = op->get("operation");
        if (op->get("op-status") == "-1") continue;  // pending: as before
        if (task == "stop" && rc == 0) {
            state = State::kStopped;
            recurring = false;
        } else if (task == "start" || task == "asyncmon") {
            state = rc == 0 ? State::kStarted : State::kFailed;
        } else if (task == "monitor") {
            const bool probe = op->get("interval", "0") == "0";
            if (!probe) recurring = rc == 0;
            if (rc == 7 && probe) state = State::kStopped;
            if (rc == 0) state = State::kStarted;
            if (rc != 0 && !(rc == 7 && probe)) state = State::kFailed;
        }
    }
    return state;
}

bool pending_on(const xml::Node* node_state, const std::string& resource, std::string_view task) {
    const xml::Node* lrm = node_state == nullptr ? nullptr : node_state->child("lrm");
    const xml::Node* list = lrm == nullptr ? nullptr : lrm->child("lrm_resources");
    const xml::Node* entry = list == nullptr ? nullptr : list->child("lrm_resource", resource);
    if (entry == nullptr) return false;
    return std::ranges::any_of(entry->children(), [&](const auto& op) {
        return op->get("operation") == task && op->get("op-status") == "-1";
    });
}

}  // namespace

xml::NodePtr plan(const xml::Node& cib) {
    const xml::Node* configuration = cib.child("configuration");
    const xml::Node* status = cib.child("status");
    bool fencing = false;
    for (const auto& set : configuration->child("crm_config")->children()) {
        for (const auto& pair : set->children()) {
            if (pair->get("name") == "stonith-enabled") fencing = pair->get("value") == "true";
        }
    }
    std::map<std::string, const xml::Node*> states;
    for (const auto& state : status->children()) states[std::string(state->id())] = state.get();
    std::vector<NodeView> nodes;
    for (const auto& node : configuration->child("nodes")->children()) {
        NodeView view{std::string(node->id()), std::string(node->get("uname"))};
        const auto it = states.find(view.id);
        if (it != states.end()) {
            const xml::Node& state = *it->second;
            const auto on = [&](std::string_view value) {
                return value != "0" && value != "false" && value != "offline" && !value.empty();
            };
            const bool here = on(state.get("in_ccm")) && on(state.get("crmd"));
            view.known = true;
            view.online = here && state.get("join") == "member";
            view.unclean = !here && state.get("expected") != "down";
            if (const xml::Node* transient = state.child("transient_attributes"); transient != nullptr) {
                for (const auto& set : transient->children()) {
                    for (const auto& pair : set->children())
                        view.leaving = view.leaving || (pair->get("name") == "shutdown" && pair->get("value") != "0");
                }
            }
        }
        nodes.push_back(view);
    }
    const bool quorate = cib.get("have-quorum") == "1";
    Synapses out;
    out.graph.set("cluster-delay", "60s").set("stonith-timeout", "60s");
    out.graph.set("failed-stop-offset", "INFINITY").set("failed-start-offset", "INFINITY").set("batch-limit", "0");
    out.graph.set("transition_id", 1);
    std::map<std::string, int> fenced;
    for (const NodeView& node : nodes) {
        if (!fencing || !node.unclean || !quorate) continue;
        fenced[node.name] =
            out.add("crm_event", "stonith", "stonith-" + node.name + "-reboot", &node, nullptr,
                    {{"CRM_meta_on_node", node.name}, {"CRM_meta_stonith_action", "reboot"}}, {}, 1'000'000, node.id);
    }
    std::map<std::string, std::vector<int>> stops;
    const auto meta = [](std::string_view name, int interval, int target) {
        return std::map<std::string, std::string>{{"CRM_meta_name", std::string(name)},
                                                  {"CRM_meta_timeout", "20000"},
                                                  {"CRM_meta_interval", std::to_string(interval)},
                                                  {"CRM_meta_op_target_rc", std::to_string(target)}};
    };
    std::size_t round = 0;
    for (const auto& resource : configuration->child("resources")->children()) {
        if (!resource->is("primitive")) continue;
        const std::string id(resource->id());
        std::vector<int> probes;
        std::vector<const NodeView*> active;
        std::vector<int> before_start;
        bool blocked = false;
        bool monitored = false;
        for (const NodeView& node : nodes) {
            const xml::Node* state = states.contains(node.id) ? states[node.id] : nullptr;
            bool recurring = false;
            const State there = state_on(state, id, recurring);
            if (node.online && !node.leaving && there == State::kUnknown && !pending_on(state, id, "start"))
                probes.push_back(
                    out.add("rsc_op", "monitor", id + "_monitor_0", &node, resource.get(), meta("monitor", 0, 7), {}));
            const bool may_run = there == State::kStarted || there == State::kFailed ||
                                 (there != State::kStopped && pending_on(state, id, "start"));
            if (!may_run) continue;
            if (node.online && there == State::kFailed) {
                const int stop =
                    out.add("rsc_op", "stop", id + "_stop_0", &node, resource.get(), meta("stop", 0, 0), {});
                stops[node.name].push_back(stop);
                before_start.push_back(stop);
            } else if (node.online && node.leaving) {
                const int stop =
                    out.add("rsc_op", "stop", id + "_stop_0", &node, resource.get(), meta("stop", 0, 0), {});
                stops[node.name].push_back(stop);
                before_start.push_back(stop);
            } else if (node.online) {
                active.push_back(&node);
                monitored = recurring;
            } else if (node.unclean && fencing) {
                if (fenced.contains(node.name))
                    before_start.push_back(fenced[node.name]);
                else
                    blocked = true;
            }
        }
        if (!quorate || blocked) continue;
        const NodeView* target = nullptr;
        std::vector<int> after = probes;
        after.insert(after.end(), before_start.begin(), before_start.end());
        if (active.empty()) {
            std::vector<const NodeView*> usable;
            for (const NodeView& node : nodes) {
                if (node.online && !node.leaving) usable.push_back(&node);
            }
            if (usable.empty()) continue;
            target = usable[round++ % usable.size()];
            const int start =
                out.add("rsc_op", "start", id + "_start_0", target, resource.get(), meta("start", 0, 0), after);
            after = {start};
        } else {
            ++round;
            target = active.front();
            if (monitored) continue;
            if (pending_on(states[target->id], id, "start")) {
                const int start =
                    out.add("rsc_op", "start", id + "_start_0", target, resource.get(), meta("start", 0, 0), after);
                after = {start};
            }
        }
        (void)out.add("rsc_op", "monitor", id + "_monitor_10000", target, resource.get(), meta("monitor", 10'000, 0),
                      after);
    }
    for (const NodeView& node : nodes) {
        if (!node.online || !node.leaving) continue;
        (void)out.add("crm_event", "do_shutdown", "do_shutdown-" + node.name, &node, nullptr,
                      {{"CRM_meta_op_no_wait", "true"}}, stops[node.name], 0, node.id);
    }
    return std::move(out.graph).build();
}

}  // namespace systole::controller::toy
