#include "cli/simulated_transition.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/text.h"
#include "model/operations.h"

namespace systole::cli {
namespace {

struct Synapse {
    int priority = 0;
    const xml::Node* action = nullptr;
    int id = -1;
    int waiting = 0;  ///< inputs that are not done yet
    bool blocked = false;
    std::vector<int> inputs;
};

class Executor {
public:
    Executor(const SimulatedRun& run, SimulatedCib& cib, Output& output) : run_(run), cib_(cib), output_(output) {}
    bool execute();

private:
    void read();
    void fire(std::size_t index);
    bool run_resource_action(const xml::Node& action);
    void run_fencing(const xml::Node& action);
    void say(const std::string& text, xml::Builder&& element);
    void done(const Synapse& synapse, bool failed);

    const SimulatedRun& run_;
    SimulatedCib& cib_;
    Output& output_;
    std::vector<Synapse> synapses_;
    std::unordered_map<int, std::vector<std::size_t>> waiting_for_;
    std::set<std::size_t> ready_;
    int abort_priority_ = 0;
};

std::string_view action_meta(const xml::Node& action, std::string_view name) {
    const xml::Node* attributes = action.child("attributes");
    return attributes == nullptr ? std::string_view{} : attributes->get(fmt::format("CRM_meta_{}", name));
}

void Executor::say(const std::string& text, xml::Builder&& element) {
    if (run_.quiet) return;
    output_.item(text);
    output_.add(std::move(element));
}

void Executor::read() {
    for (const auto& child : run_.graph->children()) {
        if (!child->is("synapse")) continue;
        const xml::Node* set = child->child("action_set");
        const xml::Node* action = set == nullptr ? nullptr : set->first_element();
        if (action == nullptr) continue;
        Synapse synapse;
        synapse.priority = model::integer_of(*child, "priority", 0);
        synapse.action = action;
        synapse.id = model::integer_of(*action, "id", -1);
        if (const xml::Node* inputs = child->child("inputs")) {
            for (const auto& trigger : inputs->children()) {
                const xml::Node* input = trigger->first_element();
                if (input != nullptr) synapse.inputs.push_back(model::integer_of(*input, "id", -1));
            }
        }
        synapse.waiting = static_cast<int>(synapse.inputs.size());
        for (const int input : synapse.inputs) waiting_for_[input].push_back(synapses_.size());
        if (synapse.waiting == 0) ready_.insert(synapses_.size());
        synapses_.push_back(std::move(synapse));
    }
}

void Executor::done(const Synapse& synapse, bool failed) {
    const auto it = waiting_for_.find(synapse.id);
    if (it == waiting_for_.end()) return;
    for (const std::size_t index : it->second) {
        Synapse& then = synapses_[index];
        // What has to follow even a failure follows; the rest waits for ever.
        if (failed && then.priority != Score::kInfinity) {
            then.blocked = true;
            continue;
        }
        if (--then.waiting == 0) ready_.insert(index);
    }
}

void Executor::run_fencing(const xml::Node& action) {
    const std::string target(action.get("on_node"));
    const std::string_view operation = action_meta(action, "stonith_action");
    xml::Builder element("fencing_action");
    element.set("target", target).set("op", operation);
    say(fmt::format("Fencing {} ({})", target, operation), std::move(element));
    if (same_ignoring_case(operation, "on")) return;
    cib_.set_membership(target, false);
    cib_.forget_node(target);
}

bool Executor::run_resource_action(const xml::Node& action) {
    const std::string_view task = action.get("operation");
    const xml::Node* primitive = action.child("primitive");
    if (primitive == nullptr) return true;
    const std::string_view config_name = primitive->id();
    std::string_view resource = config_name;
    if (run_.cluster->find_resource(resource) == nullptr) {
        const std::string_view long_name = primitive->get("long-id");
        if (!long_name.empty() && run_.cluster->find_resource(long_name) != nullptr) resource = long_name;
    }
    const std::string node(action.get("on_node"));
    const Duration interval{parse_integer(action_meta(action, "interval")).value_or(0)};
    const auto announce = [&](Duration shown) {
        xml::Builder element("rsc_action");
        element.set("resource", resource).set("op", task).set("node", node);
        if (shown.count() > 0) element.set("interval", std::to_string(shown.count()));
        const std::string what = shown.count() > 0 ? fmt::format("{}={}", task, shown.count()) : std::string(task);
        say(fmt::format("Resource action: {:<15} {} on {}", resource, what, node), std::move(element));
    };
    if (task == "delete" || task == "meta-data") {
        announce(Duration{0});
        return true;
    }
    const bool routed = action.has("router_node");
    StatusElement& state = cib_.node_state(node, routed ? std::string_view(node) : action.get("on_node_uuid"));
    StatusElement& history = cib_.resource_history(
        state, resource, config_name, {primitive->get("class"), primitive->get("provider"), primitive->get("type")});
    OperationResult result;
    result.resource = config_name;
    result.task = task;
    result.interval = interval;
    result.expected = static_cast<int>(parse_integer(action_meta(action, "op_target_rc")).value_or(0));
    result.exit = result.expected;
    if (const xml::Node* attributes = action.child("attributes")) {
        for (const auto& attribute : attributes->attributes()) {
            result.parameters.emplace(attribute.name.view(), attribute.value.view());
        }
        for (const auto& param : attributes->children()) {
            if (param->is("param")) result.parameters.emplace(param->get("name"), param->get("value"));
        }
    }
    announce(interval);
    bool failed = false;
    for (const std::string& spec : run_.failures) {
        std::string_view match;
        for (const std::string_view name : {resource, config_name}) {
            const std::string key = fmt::format("{}@{}=", model::operation_key(name, task, interval), node);
            if (same_ignoring_case(std::string_view(spec).substr(0, key.size()), key)) match = name;
            if (!match.empty()) break;
        }
        if (match.empty()) continue;
        const auto code = parse_integer(std::string_view(spec).substr(spec.find('=') + 1));
        if (!code) {
            output_.error(fmt::format("Invalid failed operation '{}' (result code must be integer)", spec));
            continue;
        }
        result.exit = static_cast<int>(*code);
        if (!run_.quiet) {
            output_.line(fmt::format("Pretending action {} failed with rc={}", action.id(), result.exit));
        }
        failed = true;
        abort_priority_ = Score::kInfinity;
        std::string_view offset;
        if (task == "start") offset = run_.graph->get("failed-start-offset", "INFINITY");
        if (task == "stop") offset = run_.graph->get("failed-stop-offset", "INFINITY");
        const auto added =
            cib_.add_failure(state, match, task, interval, result.exit, same_ignoring_case(offset, "INFINITY"));
        for (const auto& [name, value] : added) {
            xml::Builder element("inject_attr");
            element.set("name", name)
                .set("value", value)
                .set("node_path", "/node_state")
                .set("cib_node", state.get("id"));
            say(fmt::format("Injecting attribute {}={} into /node_state '{}'", name, value, state.get("id")),
                std::move(element));
        }
        break;
    }
    cib_.add_result(history, node, result);
    return !failed;
}

void Executor::fire(std::size_t index) {
    const Synapse& synapse = synapses_[index];
    const xml::Node& action = *synapse.action;
    bool ok = true;
    if (action.is("pseudo_event")) {
        const std::string_view key = action.get("operation_key");
        xml::Builder element("pseudo_action");
        element.set("task", key);
        if (action.has("on_node")) element.set("node", action.get("on_node"));
        const std::string where = action.has("on_node") ? fmt::format(" on {}", action.get("on_node")) : std::string{};
        say(fmt::format("Pseudo action:   {}{}", key, where), std::move(element));
    } else if (action.is("crm_event") && action.get("operation") == "stonith") {
        run_fencing(action);
    } else if (action.is("crm_event")) {
        const xml::Node* primitive = action.child("primitive");
        xml::Builder element("cluster_action");
        element.set("task", action.get("operation")).set("node", action.get("on_node"));
        if (primitive != nullptr) element.set("id", primitive->id());
        const std::string what = primitive == nullptr ? std::string{} : fmt::format(" for {}", primitive->id());
        say(fmt::format("Cluster action:  {}{} on {}", action.get("operation"), what, action.get("on_node")),
            std::move(element));
    } else {
        ok = run_resource_action(action);
    }
    done(synapse, !ok);
}

bool Executor::execute() {
    read();
    std::size_t left = synapses_.size();
    bool skipped = false;
    // Round after round in the graph's order; what gets ready behind the one that made it so still belongs to the
    // round.
    for (auto next = ready_.begin(); !ready_.empty(); next = ready_.begin()) {
        while (next != ready_.end()) {
            const std::size_t index = *next;
            ready_.erase(next);
            if (!synapses_[index].action->is("pseudo_event") && synapses_[index].priority < abort_priority_) {
                skipped = true;
            } else {
                --left;
                fire(index);
            }
            next = ready_.upper_bound(index);
        }
    }
    return left == 0 || skipped || abort_priority_ > 0;
}

}  // namespace

bool simulate_transition(const SimulatedRun& run, SimulatedCib& cib, Output& output) {
    return Executor(run, cib, output).execute();
}

}  // namespace systole::cli
