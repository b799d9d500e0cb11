#include "cli/simulated_cib.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/md5.h"
#include "base/text.h"
#include "model/digest.h"
#include "model/operations.h"

namespace systole::cli {
namespace {

constexpr std::string_view kFeatureSet = "3.20.5";
constexpr std::string_view kNoTransition = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

/// The CIB with the child `name` of `parent` (of <configuration> or <cib> itself) replaced.
template <class Change>
xml::NodePtr with_section(const xml::NodePtr& parent, std::string_view name, Change&& change) {
    xml::Builder builder(*parent);
    for (std::size_t i = 0; i < parent->children().size(); ++i) {
        if (!parent->children()[i]->is(name)) continue;
        builder.replace(i, change(parent->children()[i]));
        return std::move(builder).build();
    }
    builder.add(change(xml::Builder(name).build()));
    return std::move(builder).build();
}

std::string meta(const model::NameValues& parameters, std::string_view name) {
    const auto it = parameters.find(fmt::format("CRM_meta_{}", name));
    return it == parameters.end() ? std::string{} : it->second;
}

}  // namespace

std::string_view StatusElement::get(std::string_view attribute) const {
    if (source_) return source_->get(attribute);
    for (const auto& [name_of, value] : attributes_) {
        if (name_of == attribute) return value;
    }
    return {};
}
bool StatusElement::has(std::string_view attribute) const {
    if (source_) return source_->has(attribute);
    return std::ranges::any_of(attributes_, [&](const auto& a) { return a.first == attribute; });
}
void StatusElement::open() {
    if (!source_) return;
    const xml::NodePtr source = std::exchange(source_, nullptr);
    for (const auto& attribute : source->attributes()) {
        attributes_.emplace_back(attribute.name.view(), attribute.value.view());
    }
    for (const auto& child : source->children()) {
        if (child->is_element()) children_.push_back(std::make_unique<StatusElement>(child));
    }
}
StatusElement& StatusElement::set(std::string_view attribute, std::string_view value) {
    open();
    for (auto& [name_of, old] : attributes_) {
        if (name_of == attribute) {
            old = value;
            return *this;
        }
    }
    attributes_.emplace_back(attribute, value);
    return *this;
}
std::vector<std::unique_ptr<StatusElement>>& StatusElement::children() {
    open();
    return children_;
}
StatusElement* StatusElement::child(std::string_view element) {
    const auto it = std::ranges::find_if(children(), [&](const auto& c) { return c->name() == element; });
    return it == children_.end() ? nullptr : it->get();
}
StatusElement& StatusElement::add(std::string_view element) {
    children().push_back(std::make_unique<StatusElement>(element));
    return *children_.back();
}
StatusElement& StatusElement::child_or_new(std::string_view element) {
    StatusElement* found = child(element);
    return found != nullptr ? *found : add(element);
}
void StatusElement::remove(std::string_view element) {
    std::erase_if(children(), [&](const auto& c) { return c->name() == element; });
}
xml::NodePtr StatusElement::build() const {
    if (source_) return source_;
    xml::Builder builder(name_);
    builder.reserve(attributes_.size(), children_.size());
    for (const auto& [name, value] : attributes_) builder.append_attribute(xml::Text(name), xml::Text(value));
    for (const auto& child : children_) builder.add(child->build());
    return std::move(builder).build();
}

SimulatedCib::SimulatedCib(xml::NodePtr cib, WallTime real_time) : cib_(std::move(cib)), real_time_(real_time) {
    const xml::NodePtr status = cib_->child_ptr("status");
    status_ = status ? std::make_unique<StatusElement>(status) : std::make_unique<StatusElement>("status");
    index_nodes();
}

void SimulatedCib::index_nodes() {
    for (const auto& child : status_->children()) {
        if (child->name() == "node_state" && child->has("uname")) {
            states_.emplace(to_lower(child->get("uname")), child.get());
        }
    }
}

xml::NodePtr SimulatedCib::build() const {
    xml::NodePtr cib = with_section(cib_, "status", [&](const xml::NodePtr&) { return status_->build(); });
    if (config_changes_ == 0 && status_changes_ == 0) return cib;
    // The result may be stored: its version tells what a CIB manager would have counted.
    xml::Builder counted(*cib);
    const auto number = [&cib](const char* name) { return parse_integer(cib->get(name)).value_or(0); };
    if (config_changes_ > 0) counted.set("epoch", number("epoch") + config_changes_);
    counted.set("num_updates", (config_changes_ > 0 ? 0 : number("num_updates")) + status_changes_);
    return std::move(counted).build();
}

void SimulatedCib::set_quorum(std::string_view value) {
    xml::Builder builder(*cib_);
    builder.set("have-quorum", value);
    cib_ = std::move(builder).build();
}

void SimulatedCib::set_option(std::string_view name, std::string_view value) {
    cib_ = with_section(cib_, "configuration", [&](const xml::NodePtr& configuration) {
        return with_section(configuration, "crm_config", [&](const xml::NodePtr& config) {
            return with_section(config, "cluster_property_set", [&](const xml::NodePtr& set) {
                xml::Builder changed(*set);
                if (!changed.has("id")) changed.set("id", "cib-bootstrap-options");
                for (std::size_t i = 0; i < set->children().size(); ++i) {
                    if (set->children()[i]->get("name") != name) continue;
                    xml::Builder pair(*set->children()[i]);
                    pair.set("value", value);
                    changed.replace(i, std::move(pair).build());
                    return std::move(changed).build();
                }
                xml::Builder pair("nvpair");
                pair.set("id", fmt::format("{}-{}", changed.get("id"), name)).set("name", name).set("value", value);
                changed.add(std::move(pair).build());
                return std::move(changed).build();
            });
        });
    });
}

void SimulatedCib::set_ticket(std::string_view ticket, std::string_view attribute, bool value) {
    StatusElement& tickets = status_->child_or_new("tickets");
    StatusElement* state = nullptr;
    for (const auto& child : tickets.children()) {
        if (child->name() == "ticket_state" && child->get("id") == ticket) state = child.get();
    }
    if (state == nullptr) {
        state = &tickets.add("ticket_state").set("id", ticket);
    }
    state->set(attribute, value ? "true" : "false");
}

void SimulatedCib::add_node_entry(std::string_view name) {
    cib_ = with_section(cib_, "configuration", [&](const xml::NodePtr& configuration) {
        return with_section(configuration, "nodes", [&](const xml::NodePtr& nodes) {
            for (const auto& node : nodes->children()) {
                if (node->is("node") && node->get("uname") == name) return nodes;
            }
            ++config_changes_;
            status_changes_ = 0;
            xml::Builder changed(*nodes), node("node");
            node.set("id", name).set("uname", name);
            changed.add(std::move(node).build());
            return std::move(changed).build();
        });
    });
}

StatusElement& SimulatedCib::node_state(std::string_view name, std::string_view id) {
    if (const auto it = states_.find(to_lower(name)); it != states_.end()) return *it->second;
    std::string found(id);
    if (found.empty()) {
        found = name;
        const xml::Node* configuration = cib_->child("configuration");
        const xml::Node* nodes = configuration == nullptr ? nullptr : configuration->child("nodes");
        if (nodes != nullptr) {
            for (const auto& node : nodes->children()) {
                if (node->is("node") && same_ignoring_case(node->get("uname"), name)) found = node->id();
            }
        }
    }
    StatusElement* state = nullptr;
    for (const auto& child : status_->children()) {
        if (child->name() == "node_state" && child->get("id") == found) state = child.get();
    }
    if (state == nullptr) {
        state = &status_->add("node_state").set("id", found);
        ++status_changes_;
    }
    state->set("uname", name);
    states_.emplace(to_lower(name), state);
    return *state;
}

StatusElement& SimulatedCib::set_membership(std::string_view node, bool up) {
    StatusElement& state = node_state(node);
    ++status_changes_;
    state.set("in_ccm", up ? "true" : "false").set("crmd", up ? "online" : "offline");
    state.set("join", up ? "member" : "down").set("expected", up ? "member" : "down");
    state.set("crm-debug-origin", "crm_simulate");
    return state;
}

void SimulatedCib::forget_node(std::string_view node) {
    StatusElement& state = node_state(node);
    state.remove("lrm");
    histories_.erase(&state);
    state.remove("transient_attributes");
}

StatusElement& SimulatedCib::resource_history(StatusElement& node, std::string_view resource, std::string_view lrm_name,
                                              const AgentName& agent) {
    StatusElement& lrm = node.child_or_new("lrm");
    if (!lrm.has("id")) lrm.set("id", node.get("id"));
    StatusElement& list = lrm.child_or_new("lrm_resources");
    const auto [known, fresh] = histories_.try_emplace(&node);
    auto& index = known->second;
    if (fresh) {
        for (const auto& child : list.children()) {
            if (child->name() != "lrm_resource") continue;
            // Of several by one name none is the one: then a result gets an entry of its own.
            const auto [entry, first] = index.try_emplace(std::string(child->get("id")), child.get());
            if (!first) entry->second = nullptr;
        }
    }
    for (const std::string_view name : {resource, lrm_name}) {
        const auto found = index.find(std::string(name));
        if (found != index.end() && found->second != nullptr) return *found->second;
    }
    StatusElement& history = list.add("lrm_resource");
    history.set("id", lrm_name).set("class", agent.standard);
    if (!agent.provider.empty()) history.set("provider", agent.provider);
    history.set("type", agent.type);
    const auto [entry, first] = index.try_emplace(std::string(lrm_name), &history);
    if (!first) entry->second = nullptr;
    return history;
}

void SimulatedCib::add_result(StatusElement& history, std::string_view node, const OperationResult& result) {
    ++status_changes_;
    std::string task = result.task;
    if (task == "reload" || task == "reload-agent") task = "start";
    long long call_id = 0;
    for (const auto& child : history.children()) {
        call_id = std::max(call_id, parse_integer(child->get("call-id")).value_or(0));
    }
    ++call_id;
    int exit = result.exit;
    const std::string key = model::operation_key(result.resource, task, result.interval);
    std::vector<std::string> ids;
    const bool migration = task == "migrate_to" || task == "migrate_from";
    bool failed = false;
    if (task == "notify") {
        ids.push_back(fmt::format("{}_{}_notify_{}_0", result.resource, meta(result.parameters, "notify_type"),
                                  meta(result.parameters, "notify_operation")));
        exit = 0;
    } else if (migration) {
        ids.push_back(key);
    } else if (exit != result.expected) {
        failed = true;
        ids.push_back(model::operation_key(result.resource, "last_failure", Duration{0}));
        if (result.interval.count() == 0) ids.push_back(model::operation_key(result.resource, "last", Duration{0}));
    } else if (result.interval.count() > 0) {
        ids.push_back(key);
    } else {
        ids.push_back(model::operation_key(result.resource, "last", Duration{0}));
    }
    const std::string transition_key = fmt::format("{}:-1:{}:{}", call_id, result.expected, kNoTransition);
    const std::string now = std::to_string(real_time_.seconds);
    for (const std::string& id : ids) {
        const auto known = std::ranges::find_if(
            history.children(), [&](const auto& c) { return c->name() == "lrm_rsc_op" && c->get("id") == id; });
        StatusElement& op = known == history.children().end() ? history.add("lrm_rsc_op") : **known;
        op.set("id", id).set("operation_key", key).set("operation", task).set("crm-debug-origin", "crm_simulate");
        op.set("crm_feature_set", kFeatureSet).set("transition-key", transition_key);
        op.set("transition-magic", fmt::format("0:{};{}", exit, transition_key));
        op.set("exit-reason", failed ? "Simulated action result" : "").set("on_node", node);
        op.set("call-id", std::to_string(call_id)).set("rc-code", std::to_string(exit)).set("op-status", "0");
        op.set("interval", std::to_string(result.interval.count()));
        op.set("last-rc-change", now).set("exec-time", "0").set("queue-time", "0");
        if (migration) {
            op.set("migrate_source", meta(result.parameters, "migrate_source"));
            op.set("migrate_target", meta(result.parameters, "migrate_target"));
        }
        if (result.with_digest) op.set("op-digest", model::digest_of_parameters(result.parameters));
    }
}

std::vector<std::pair<std::string, std::string>> SimulatedCib::add_failure(StatusElement& node,
                                                                           std::string_view resource,
                                                                           std::string_view task, Duration interval,
                                                                           int exit, bool fatal) {
    std::vector<std::pair<std::string, std::string>> added;
    if (exit == 0 || (exit == 7 && interval.count() == 0)) return added;
    StatusElement& transient = node.child_or_new("transient_attributes");
    if (!transient.has("id")) transient.set("id", node.get("id"));
    StatusElement& set = transient.child_or_new("instance_attributes");
    if (!set.has("id")) set.set("id", node.get("id"));
    const std::string suffix = fmt::format("{}#{}_{}", resource, task, interval.count());
    const std::string count_name = fmt::format("fail-count-{}", suffix);
    std::string count = "INFINITY";
    if (!fatal) {
        long long old = 0;
        for (const auto& pair : set.children()) {
            if (pair->get("name") == count_name) old = parse_integer(pair->get("value")).value_or(0);
        }
        count = std::to_string(old + 1);
    }
    added.emplace_back(count_name, count);
    added.emplace_back(fmt::format("last-failure-{}", suffix), std::to_string(real_time_.seconds));
    for (const auto& [name, value] : added) {
        StatusElement* pair = nullptr;
        for (const auto& child : set.children()) {
            if (child->get("name") == name) pair = child.get();
        }
        if (pair == nullptr) {
            pair = &set.add("nvpair");
            pair->set("id", fmt::format("{}-{}", set.get("id"), xml_id(name))).set("name", name);
        }
        pair->set("value", value);
    }
    return added;
}

}  // namespace systole::cli
