#include "controller/resources.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "cib/request.h"
#include "wire/message.h"

namespace systole::controller {
namespace {

constexpr std::string_view kMeta = "CRM_meta_";
constexpr int kNoDevice = -19;
constexpr int kInProgress = -115;

long long number_of(std::string_view text, long long fallback) { return parse_integer(text).value_or(fallback); }

bool is_meta(std::string_view name) { return name.starts_with(kMeta) || name == "crm_feature_set"; }

/// Results of these are not kept in the history; they are acknowledged directly.
bool is_recorded(std::string_view action) {
    static constexpr std::array kUnrecorded{"notify", "cancel", "delete", "meta-data"};
    return std::ranges::find(kUnrecorded, action) == kUnrecorded.end();
}

/// Actions after which former recurring operations of the resource say nothing any more.
bool ends_recurring(std::string_view action) { return action != "monitor" && action != "notify"; }

ResourceIdentity identity_of(const xml::Node& op) {
    ResourceIdentity identity;
    const xml::Node* primitive = op.child("primitive");
    if (primitive == nullptr) return identity;
    identity.id = primitive->id();
    identity.agent_class = primitive->get("class");
    identity.provider = primitive->get("provider");
    identity.type = primitive->get("type");
    if (const xml::Node* attributes = op.child("attributes"); attributes != nullptr)
        identity.container = attributes->get("CRM_meta_container");
    return identity;
}

/// Key of what nobody ordered: transition -1.
constexpr std::string_view kOutsideKey = "0:-1:0:00000000-0000-0000-0000-000000000000";

/// Likewise, of a probe that wants to find nothing.
constexpr std::string_view kGoneKey = "0:-1:7:00000000-0000-0000-0000-000000000000";

ConnectionOrder cancelled_monitor(const std::string& node, std::uint32_t run) {
    ConnectionOrder order;
    order.run = run;
    order.node = node;
    order.action = "cancel";
    return order;
}

bool is_ordinary_user(std::string_view user) { return !user.empty() && user != "root" && user != "hacluster"; }

/// What an action or a result event says it was given.
std::map<std::string, std::string> parameters_in(const xml::Node& holder) {
    std::map<std::string, std::string> parameters;
    if (const xml::Node* attributes = holder.child("attributes"); attributes != nullptr)
        for (const xml::Attribute& attribute : attributes->attributes())
            parameters.emplace(attribute.name.view(), attribute.value.view());
    return parameters;
}

std::string_view meta_of(const std::map<std::string, std::string>& parameters, std::string_view name) {
    const auto it = parameters.find(std::string(kMeta) + std::string(name));
    return it == parameters.end() ? std::string_view{} : std::string_view(it->second);
}

/// Says the record that the resource is active after it?
std::optional<bool> activity(std::string_view action, ExecStatus status, int rc) {
    if (status != ExecStatus::kDone) return std::nullopt;
    const bool running = rc == 0 || rc == 8 || rc == 190 || rc == 191;
    if (action == "stop" || action == "migrate_to") return rc == 0 ? std::optional(false) : std::nullopt;
    if (action == "monitor") return rc == 7 ? std::optional(false) : running ? std::optional(true) : std::nullopt;
    if (action == "start" || action == "promote" || action == "demote" || action.starts_with("reload") ||
        action == "migrate_from")
        return running ? std::optional(true) : std::nullopt;
    return std::nullopt;
}

}  // namespace

std::string Resources::agent_key(const ResourceIdentity& resource) {
    return fmt::format("{}:{}:{}", resource.agent_class, resource.provider, resource.type);
}

std::uint32_t Resources::ask(std::string_view op, Asked asked, xml::Builder data, Step& step, int options) {
    const std::uint32_t number = ++counter_;
    asked_.emplace(number, std::move(asked));
    data.set("lrmd_origin", "controller");
    xml::Builder calldata("lrmd_calldata");
    calldata.add(std::move(data));
    xml::Builder command("lrmd_command");
    command.set("t", "lrmd").set("lrmd_op", op).set("lrmd_timeout", 0).set("lrmd_callopt", options);
    command.add(std::move(calldata));
    step.effects.emplace_back(ToExecutor{number, std::move(command).build()});
    return number;
}

Resources::Resource& Resources::known(const ResourceIdentity& identity) {
    Resource& resource = resources_[identity.id];
    if (resource.identity.id.empty()) {
        resource.identity = identity;
    } else if (agent_key(resource.identity) != agent_key(identity)) {
        // Redefined with another agent: what was known of the former one says nothing about the new one.
        resource = Resource{};
        resource.identity = identity;
    }
    return resource;
}

void Resources::ensure_registered(Resource& resource, Step& step) {
    if (resource.registered) return;
    resource.registered = true;
    const ResourceIdentity& identity = resource.identity;
    xml::Builder data("lrmd_rsc");
    data.set("lrmd_rsc_id", identity.id).set("lrmd_class", identity.agent_class);
    data.set_unless_empty("lrmd_provider", identity.provider).set("lrmd_type", identity.type);
    // No call option drop_recurring: monitors go on while this process is restarted, and their results come later.
    ask("lrmd_rsc_register", {.kind = Asked::Kind::kPlain, .resource = identity.id, .op = {}, .requester = {}},
        std::move(data), step);
    want_traits(identity, step);
}

const AgentTraits* Resources::traits_of(const ResourceIdentity& resource) const {
    const auto it = agents_.find(agent_key(resource));
    return it == agents_.end() || !it->second.known ? nullptr : &it->second.traits;
}

void Resources::want_traits(const ResourceIdentity& resource, Step& step) {
    AgentInfo& agent = agents_[agent_key(resource)];
    if (agent.asked) return;
    agent.asked = true;
    const std::uint32_t token = ++counter_;
    metadata_tokens_[token] = agent_key(resource);
    step.effects.emplace_back(FetchMetadata{token, resource.agent_class, resource.provider, resource.type});
}

// ---- Orders ---------------------------------------------------------------------------------------------------------

Resources::Step Resources::invoke(const Now& now, const xml::NodePtr& op, const Requester& requester,
                                  Readiness readiness) {
    Step step;
    const std::string_view action = op->get("operation");
    const xml::Node* attributes = op->child("attributes");
    if (action.empty() || op->child("primitive") == nullptr || op->child("primitive")->id().empty()) {
        refuse(*op, requester, ExecStatus::kError, 1, "The order names no operation or no resource", step);
        return step;
    }
    if (action == "cancel") {
        cancel(now, op, requester, step);
        return step;
    }
    if (action == "delete" || action == "lrm_delete") return remove(now, op, requester);

    Operation operation;
    operation.resource = identity_of(*op);
    operation.action = action;
    operation.transition_key = op->get("transition-key");
    operation.requester = requester;
    if (attributes != nullptr) {
        for (const xml::Attribute& attribute : attributes->attributes()) {
            if (attribute.name.view() == "CRM_meta_op_target_rc") continue;
            operation.parameters.emplace(attribute.name.view(), attribute.value.view());
        }
        operation.interval_ms = number_of(attributes->get("CRM_meta_interval"), 0);
    }
    if (readiness == Readiness::kShuttingDown && action == "start") {
        refuse(*op, requester, ExecStatus::kInvalid, 1, "Not attempting start due to shutdown in progress", step);
        return step;
    }
    if (readiness == Readiness::kStopsOnly && action != "stop") {
        refuse(*op, requester, ExecStatus::kInvalid, 1, "Controller cannot attempt actions at this time", step);
        return step;
    }
    execute(now, std::move(operation), step);
    return step;
}

void Resources::execute(const Now& now, Operation operation, Step& step) {
    if (!executor_up_ && !is_connection(operation.resource)) {
        waiting_.push_back(std::move(operation));
        return;
    }
    Resource& resource = known(operation.resource);
    const bool connection = is_connection(operation.resource);
    if (!connection) ensure_registered(resource, step);
    if (operation.action == "start" || operation.action == "migrate_from") forget_migration(resource, step);
    if (operation.action == "start" && !connection) {
        // Agents get upgraded while their resources are stopped.
        agents_[agent_key(operation.resource)].asked = false;
        want_traits(operation.resource, step);
    }
    // The scheduler knows one name; agents from before it was introduced know the other.
    if (const AgentTraits* traits = traits_of(operation.resource);
        operation.action == "reload-agent" && traits != nullptr && traits->reload == AgentTraits::Reload::kLegacy)
        operation.action = "reload";
    if (operation.interval_ms == 0 && ends_recurring(operation.action)) cancel_recurring(resource, step);
    if (operation.action == "stop" && !resource.start_parameters.empty()) {
        // The configuration may have changed since; what runs was started with these.
        std::erase_if(operation.parameters, [](const auto& p) { return !is_meta(p.first); });
        for (const auto& [name, value] : resource.start_parameters) operation.parameters.emplace(name, value);
    }
    if (adopt(now, operation, step)) return;
    const auto meta = [&](std::string_view name) { return meta_of(operation.parameters, name); };
    operation.run = ++counter_;
    operation.sent_key = operation.transition_key;
    record_pending(now, operation, step);
    if (connection) {
        execute_connection(now, std::move(operation), step);
        return;
    }
    xml::Builder data("lrmd_rsc");
    data.set("lrmd_rsc_id", operation.resource.id)
        .set("lrmd_rsc_action", operation.action)
        .set("lrmd_rsc_userdata_str", operation.transition_key)
        .set("lrmd_rsc_interval", static_cast<long long>(operation.interval_ms))
        .set("lrmd_timeout", number_of(meta("timeout"), 20'000))
        .set("lrmd_rsc_start_delay", number_of(meta("start_delay"), 0));
    xml::Builder attributes("attributes");
    for (const auto& [name, value] : operation.parameters) {
        const bool plain = !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
            return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
        }) && (std::isalpha(static_cast<unsigned char>(name.front())) != 0 || name.front() == '_');
        if (plain) {
            attributes.set(name, value);
        } else {
            attributes.add(xml::Builder("param").set("name", name).set("value", value).build());
        }
    }
    data.add(std::move(attributes));
    ask("lrmd_rsc_exec",
        {.kind = Asked::Kind::kExec,
         .run = operation.run,
         .resource = operation.resource.id,
         .op = {},
         .requester = {}},
        std::move(data), step, 4);
    if (operation.interval_ms > 0) {
        const std::pair key{operation.action, operation.interval_ms};
        resource.recurring.insert_or_assign(key, std::move(operation));
    } else {
        running_.emplace(operation.run, std::move(operation));
    }
}

void Resources::execute_connection(const Now& now, Operation operation, Step& step) {
    operation.call_id = connection_calls_++;
    ConnectionOrder order{.run = operation.run,
                          .node = operation.resource.id,
                          .action = operation.action,
                          .interval = Duration(operation.interval_ms),
                          .timeout = Duration(number_of(meta_of(operation.parameters, "timeout"), 20'000)),
                          .guest = !operation.resource.container.empty(),
                          .parameters = operation.parameters,
                          .begun = now};
    step.orders.push_back(std::move(order));
    if (operation.interval_ms > 0) {
        const std::string resource = operation.resource.id;
        resources_[resource].recurring.insert_or_assign(std::pair{operation.action, operation.interval_ms},
                                                        std::move(operation));
    } else {
        running_.emplace(operation.run, std::move(operation));
    }
}

Resources::Step Resources::on_connection_result(const Now& now, const ConnectionResult& outcome) {
    Step step;
    const auto result_of = [&](const Operation& operation) {
        return OperationResult{.action = operation.action,
                               .interval_ms = operation.interval_ms,
                               .call_id = operation.call_id,
                               .status = outcome.status,
                               .rc = outcome.rc,
                               .exit_reason = outcome.reason,
                               .transition_key = operation.transition_key,
                               .run_time = outcome.begun.seconds,
                               .rc_change_time = now.wall.seconds,
                               .exec_time_ms = outcome.took.count(),
                               .parameters = operation.parameters};
    };
    if (const auto run = running_.find(outcome.run); run != running_.end()) {
        Operation operation = std::move(run->second);
        running_.erase(run);
        OperationResult result = result_of(operation);
        if (outcome.refused) {
            erase_record(operation, step);  // the one that says it is under way
            acknowledge(operation, result, operation.requester, step);
            return step;
        }
        finish(now, std::move(operation), std::move(result), step);
        return step;
    }
    const auto resource = resources_.find(outcome.node);
    if (resource == resources_.end()) return step;
    auto& recurring = resource->second.recurring;
    const auto it = std::ranges::find_if(recurring, [&](const auto& entry) { return entry.second.run == outcome.run; });
    if (it != recurring.end()) {
        OperationResult result = result_of(it->second);
        // A connection may be lost in the second in which it was made: only the call id then says which came later.
        if (outcome.status != ExecStatus::kDone) result.call_id = connection_calls_++;
        finish(now, it->second, std::move(result), step);
        return step;
    }
    if (outcome.run != 0 || !resource->second.active) return step;
    // Of no order: lost without a monitor that could have said so, or (rc 7) not here any more without having failed.
    const bool gone = outcome.rc == 7;
    Operation operation;
    operation.resource = resource->second.identity;
    operation.action = gone ? "monitor" : "asyncmon";
    operation.transition_key = gone ? kGoneKey : kOutsideKey;
    operation.call_id = connection_calls_++;
    operation.parameters = resource->second.start_parameters;
    operation.parameters.emplace("crm_feature_set", wire::kFeatureSet);
    OperationResult result = result_of(operation);
    if (gone) {
        resource->second.active = false;
        resource->second.recurring.clear();
    }
    record(now, operation, result, step, "do_update_resource");
    return step;
}

void Resources::record_pending(const Now& now, const Operation& operation, Step& step) {
    if (!is_recorded(operation.action) || !parse_bool(meta_of(operation.parameters, "record_pending")).value_or(true))
        return;
    const OperationResult pending{.action = operation.action,
                                  .interval_ms = operation.interval_ms,
                                  .status = ExecStatus::kPending,
                                  .exit_reason = {},
                                  .transition_key = operation.transition_key,
                                  .run_time = now.wall.seconds,
                                  .rc_change_time = now.wall.seconds,
                                  .parameters = operation.parameters};
    record(now, operation, pending, step, "controld_record_pending_op");
}

/// A new DC doesn't know what its predecessor ordered and orders it again: the run that is under way will do.
bool Resources::adopt(const Now& now, const Operation& operation, Step& step) {
    if (operation.interval_ms != 0 || operation.action == "notify") return false;
    const auto own = [](const Parameters& parameters) {
        Parameters instance;
        for (const auto& parameter : parameters) {
            if (!is_meta(parameter.first)) instance.insert(parameter);
        }
        return instance;
    };
    Operation* last = nullptr;
    for (auto& [run, other] : running_) {
        if (other.resource.id == operation.resource.id) last = &other;
    }
    if (last == nullptr || last->action != operation.action || own(last->parameters) != own(operation.parameters))
        return false;
    last->transition_key = operation.transition_key;
    last->requester = operation.requester;
    record_pending(now, *last, step);
    return true;
}

void Resources::cancel_recurring(Resource& resource, Step& step) {
    for (const auto& [key, operation] : resource.recurring) {
        if (is_connection(resource.identity)) {
            step.orders.push_back(cancelled_monitor(resource.identity.id, operation.run));
            if (operation.cancel_wanted) erase_record(operation, step);
            continue;
        }
        xml::Builder data("lrmd_rsc");
        data.set("lrmd_rsc_id", resource.identity.id)
            .set("lrmd_rsc_action", key.first)
            .set("lrmd_rsc_interval", static_cast<long long>(key.second));
        ask("lrmd_rsc_cancel",
            {.kind = Asked::Kind::kPlain, .resource = resource.identity.id, .op = {}, .requester = {}}, std::move(data),
            step);
        // One that never answered would be taken for one under way as long as its record stays.
        const auto record = resource.records.find(operation_key(resource.identity.id, key.first, key.second));
        const bool pending = record != resource.records.end() && record->second->get("op-status") == "-1";
        if (operation.cancel_wanted || pending) erase_record(operation, step);
    }
    resource.recurring.clear();
}

void Resources::cancel(const Now& now, const xml::NodePtr& op, const Requester& requester, Step& step) {
    const ResourceIdentity identity = identity_of(*op);
    const xml::Node* attributes = op->child("attributes");
    const std::string action(attributes == nullptr ? "" : attributes->get("CRM_meta_operation"));
    const std::int64_t interval = attributes == nullptr ? 0 : number_of(attributes->get("CRM_meta_interval"), 0);
    (void)now;
    const auto found = resources_.find(identity.id);
    Operation* operation = nullptr;
    if (found != resources_.end()) {
        const auto it = found->second.recurring.find({action, interval});
        if (it != found->second.recurring.end()) operation = &it->second;
    }
    if (operation == nullptr) {
        // Nothing runs under that name. A record that is left over would make the DC cancel it again and again.
        Operation gone;
        gone.resource = identity;
        gone.action = action;
        gone.interval_ms = interval;
        const bool recorded =
            found != resources_.end() && found->second.records.contains(operation_key(identity.id, action, interval));
        erase_record(gone, step);
        if (!recorded) refuse(*op, requester, ExecStatus::kDone, 0, "", step);
        return;
    }
    if (is_connection(identity)) {
        const Operation cancelled = *operation;
        step.orders.push_back(cancelled_monitor(identity.id, cancelled.run));
        found->second.recurring.erase({action, interval});
        erase_record(cancelled, step);
        return;
    }
    operation->cancel_wanted = true;
    operation->cancel_key = op->get("transition-key");
    operation->cancel_to = requester;
    xml::Builder data("lrmd_rsc");
    data.set("lrmd_rsc_id", identity.id)
        .set("lrmd_rsc_action", action)
        .set("lrmd_rsc_interval", static_cast<long long>(interval));
    ask("lrmd_rsc_cancel",
        {.kind = Asked::Kind::kCancel,
         .run = operation->run,
         .resource = identity.id,
         .op = op,
         .requester = requester},
        std::move(data), step);
}

Resources::Step Resources::remove(const Now& now, const xml::NodePtr& op, const Requester& requester) {
    Step step;
    const ResourceIdentity identity = identity_of(*op);
    if (identity.id.empty()) {
        refuse(*op, requester, ExecStatus::kError, 1, "The order names no resource", step);
        return step;
    }
    if (is_ordinary_user(requester.user)) {
        // Whether the user may do that is for the CIB's ACLs to say, before anything is forgotten.
        const std::uint64_t token = kTokenBase + ++counter_;
        deleting_.emplace(token, Deleting{op, requester, false});
        const std::string xpath =
            fmt::format("//node_state[@uname='{}']//lrm_resource[@id='{}']", self_.name, identity.id);
        step.effects.emplace_back(
            CibCall{token, cib::make_request(cib::Op::kDelete, xpath, {}, cib::option::kXPath | cib::option::kDryRun),
                    requester.user});
        return step;
    }
    after_forget(now, Deleting{op, requester, false}, 0, step);
    return step;
}

void Resources::after_forget(const Now& now, const Deleting& deleting, int rc, Step& step) {
    const ResourceIdentity identity = identity_of(*deleting.op);
    if (rc != 0) {
        refuse(*deleting.op, deleting.requester, ExecStatus::kError, rc == -13 ? 4 : 1,
               rc == -13 ? "Insufficient privileges" : describe_legacy(rc), step);
        return;
    }
    if (!deleting.checked && is_connection(identity)) {
        const auto known = resources_.find(identity.id);
        if (known != resources_.end()) {
            cancel_recurring(known->second, step);
            resources_.erase(known);
        }
        forget_in_cib(deleting.op, identity.id, deleting.requester, step);
        return;
    }
    if (!deleting.checked) {
        xml::Builder data("lrmd_rsc");
        data.set("lrmd_rsc_id", identity.id);
        ask("lrmd_rsc_unregister",
            {.kind = Asked::Kind::kUnregister,
             .resource = identity.id,
             .op = deleting.op,
             .requester = deleting.requester},
            std::move(data), step);
        return;
    }
    refuse(*deleting.op, deleting.requester, ExecStatus::kDone, 0, "", step);
    if (deleting.requester.is_dc()) return;
    // So that the DC plans anew, with probes of what was forgotten.
    xml::Builder pair("nvpair");
    pair.set("id", "cib-bootstrap-options-last-lrm-refresh")
        .set("name", "last-lrm-refresh")
        .set("value", static_cast<long long>(now.wall.seconds));
    xml::Builder set("cluster_property_set");
    set.set("id", "cib-bootstrap-options").add(std::move(pair));
    xml::Builder config("crm_config");
    config.add(std::move(set));
    step.effects.emplace_back(CibCall{
        0, cib::make_request(cib::Op::kModify, "crm_config", std::move(config).build(), cib::option::kCanCreate)});
}

void Resources::forget_in_cib(const xml::NodePtr& op, std::string_view resource, const Requester& requester,
                              Step& step) {
    const std::uint64_t token = kTokenBase + ++counter_;
    deleting_.emplace(token, Deleting{op, requester, true});
    const std::string xpath = fmt::format("//node_state[@uname='{}']//lrm_resource[@id='{}']", self_.name, resource);
    step.effects.emplace_back(CibCall{token, cib::make_request(cib::Op::kDelete, xpath, {}, cib::option::kXPath)});
}

Resources::Step Resources::remove_all(const Now& now, const Requester& requester) {
    Step step;
    std::vector<ResourceIdentity> identities;
    for (const auto& [id, resource] : resources_) identities.push_back(resource.identity);
    for (const ResourceIdentity& identity : identities) {
        xml::Builder primitive("primitive");
        primitive.set("id", identity.id);
        xml::Builder op("rsc_op");
        op.add(std::move(primitive));
        // The requester is answered once, by the caller, not for each resource.
        Requester silent = requester;
        silent.system.clear();
        Step one = remove(now, std::move(op).build(), silent);
        std::ranges::move(one.effects, std::back_inserter(step.effects));
    }
    return step;
}

Resources::Step Resources::fail(const Now& now, const xml::NodePtr& op, const Requester& requester) {
    Step step;
    const ResourceIdentity identity = identity_of(*op);
    if (is_ordinary_user(requester.user)) {
        refuse(*op, requester, ExecStatus::kError, 4, "Unprivileged user cannot fail resources", step);
        return step;
    }
    if (identity.id.empty() || identity.agent_class.empty() || identity.type.empty()) {
        refuse(*op, requester, ExecStatus::kError, 1, "Cannot fail unknown resource", step);
        return step;
    }
    Operation operation;
    operation.resource = identity;
    operation.action = "asyncmon";
    operation.transition_key = op->get("transition-key");
    operation.parameters = parameters_in(*op);
    OperationResult result{.action = "asyncmon",
                           .call_id = 0,
                           .status = ExecStatus::kDone,
                           .rc = 1,
                           .exit_reason = "Simulated failure",
                           .transition_key = operation.transition_key,
                           .run_time = now.wall.seconds,
                           .rc_change_time = now.wall.seconds,
                           .parameters = operation.parameters};
    (void)known(identity);
    record(now, operation, result, step, "process_lrm_event");
    refuse(*op, requester, ExecStatus::kDone, 0, "", step);
    return step;
}

Resources::Step Resources::refuse_unconnected(const xml::Node& op, const Requester& requester, std::string_view why) {
    Step step;
    refuse(op, requester, ExecStatus::kNotConnected, 1, why, step);
    return step;
}

void Resources::refuse(const xml::Node& op, const Requester& requester, ExecStatus status, int rc, std::string_view why,
                       Step& step) {
    if (requester.system.empty()) return;
    Operation operation;
    operation.resource = identity_of(op);
    operation.action = op.get("operation", wire::task_of(op));
    if (operation.action.empty()) operation.action = "delete";
    operation.transition_key = op.get("transition-key");
    OperationResult result{.action = operation.action,
                           .call_id = 0,
                           .status = status,
                           .rc = rc,
                           .exit_reason = std::string(why),
                           .transition_key = operation.transition_key,
                           .parameters = {}};
    if (const xml::Node* attributes = op.child("attributes"); attributes != nullptr) {
        if (operation.action != "cancel" && operation.action != "delete")
            result.interval_ms = number_of(attributes->get("CRM_meta_interval"), 0);
        result.parameters.emplace("crm_feature_set", attributes->get("crm_feature_set", wire::kFeatureSet));
    }
    acknowledge(operation, result, requester, step);
}

void Resources::acknowledge(const Operation& operation, const OperationResult& result, const Requester& to,
                            Step& step) {
    auto records = history_records(operation.resource, result, self_.name, nullptr, "controld_ack_event_directly");
    // Requesters read the first record; a failed operation's second one repeats it.
    if (records.size() > 1) records.resize(1);
    step.acks.push_back(
        {to, history_update(self_, remote_, operation.resource, std::move(records), "controld_ack_event_directly")});
}

// ---- Results --------------------------------------------------------------------------------------------------------

void Resources::record(const Now&, const Operation& operation, OperationResult result, Step& step,
                       std::string_view origin) {
    const auto it = resources_.find(operation.resource.id);
    if (it == resources_.end()) return;
    // What never reached the executor has no number of its own, and comes after all that is recorded.
    if (result.call_id == 0) result.call_id = it->second.last_call + 1;
    it->second.last_call = std::max(it->second.last_call, result.call_id);
    const AgentTraits* traits =
        is_connection(operation.resource) ? &connection_traits() : traits_of(operation.resource);
    auto records = history_records(operation.resource, result, self_.name, traits, origin);
    for (const xml::NodePtr& one : records) it->second.records.insert_or_assign(std::string(one->id()), one);
    if (const auto recurring = it->second.recurring.find({operation.action, operation.interval_ms});
        recurring != it->second.recurring.end())
        recurring->second.failed =
            std::ranges::any_of(records, [](const auto& one) { return one->id().ends_with("_last_failure_0"); });
    step.effects.emplace_back(
        CibCall{0, cib::make_request(cib::Op::kModify, "status",
                                     history_update(self_, remote_, operation.resource, std::move(records), origin),
                                     cib::option::kCanCreate)});
}

void Resources::erase_record(const Operation& operation, Step& step) {
    const std::string id = operation_key(operation.resource.id, operation.action, operation.interval_ms);
    if (const auto it = resources_.find(operation.resource.id); it != resources_.end()) it->second.records.erase(id);
    const std::string xpath = fmt::format("//node_state[@uname='{}']//lrm_resource[@id='{}']/lrm_rsc_op[@id='{}']",
                                          self_.name, operation.resource.id, id);
    step.effects.emplace_back(CibCall{0, cib::make_request(cib::Op::kDelete, xpath, {}, cib::option::kXPath)});
}

/// Who has a resource started here, or migrated to here, knows that a migration by which it left before is over,
/// however it ended. Its record would have the scheduler go on with it, as it can tell the order of events on two nodes
/// by whole seconds only, and by their clocks. The record of an arrival stays: it says to the node that it came from
/// that it came.
void Resources::forget_migration(Resource& resource, Step& step) {
    if (!resource.records.contains(operation_key(resource.identity.id, "migrate_to", 0))) return;
    Operation over;
    over.resource = resource.identity;
    over.action = "migrate_to";
    erase_record(over, step);
}

void Resources::finish(const Now& now, Operation operation, OperationResult result, Step& step) {
    // A result that the agent gave is a result, however the executor classified it.
    if (result.status == ExecStatus::kError &&
        (result.rc == 7 || result.rc == 8 || result.rc == 190 || result.rc == 191))
        result.status = ExecStatus::kDone;
    step.ended.push_back({operation.resource.id, result});
    const auto it = resources_.find(operation.resource.id);
    if (!is_recorded(operation.action) || it == resources_.end()) {
        // Also where the resource was forgotten while the operation ran: nobody keeps its history, but the requester
        // still waits.
        acknowledge(operation, result, operation.requester, step);
        return;
    }
    Resource& resource = it->second;
    if (const auto active = activity(operation.action, result.status, result.rc)) {
        resource.active = *active;
        if (*active && operation.interval_ms == 0 && operation.action != "promote" && operation.action != "demote") {
            resource.start_parameters.clear();
            for (const auto& parameter : operation.parameters) {
                if (!is_meta(parameter.first)) resource.start_parameters.insert(parameter);
            }
        }
    }
    const auto agent = agents_.find(agent_key(operation.resource));
    if (agent != agents_.end() && agent->second.asked && !agent->second.known) {
        held_.push_back({std::move(operation), std::move(result)});
        return;
    }
    record(now, operation, result, step, "do_update_resource");
}

Resources::Step Resources::on_metadata(const Now& now, const MetadataReady& metadata) {
    Step step;
    const auto token = metadata_tokens_.find(metadata.token);
    if (token == metadata_tokens_.end()) return step;
    const std::string key = token->second;
    metadata_tokens_.erase(token);
    AgentInfo& agent = agents_[key];
    if (metadata.fault.empty()) {
        auto traits = read_traits(metadata.xml);
        if (traits) {
            agent.traits = std::move(*traits);
        } else {
            step.effects.emplace_back(
                wire::Log{.severity = wire::Severity::kWarning,
                          .text = fmt::format("metadata of {}: {}: parameter changes will restart its resources", key,
                                              traits.error().what)});
        }
    } else {
        step.effects.emplace_back(
            wire::Log{.severity = wire::Severity::kInfo,
                      .text = fmt::format("no metadata of {} ({}): parameter changes will restart its resources", key,
                                          metadata.fault)});
    }
    agent.known = true;
    std::vector<Held> held = std::exchange(held_, {});
    for (Held& one : held) {
        if (agent_key(one.operation.resource) == key) {
            record(now, one.operation, one.result, step, "do_update_resource");
        } else {
            held_.push_back(std::move(one));
        }
    }
    return step;
}

Resources::Step Resources::on_event(const Now& now, const xml::Node& event) {
    Step step;
    if (event.get("lrmd_op") != "lrmd_rsc_exec") return step;
    const std::string id(event.get("lrmd_rsc_id"));
    const std::string action(event.get("lrmd_rsc_action"));
    OperationResult result;
    result.action = action;
    result.interval_ms = number_of(event.get("lrmd_rsc_interval"), 0);
    result.call_id = number_of(event.get("lrmd_callid"), -1);
    result.status = static_cast<ExecStatus>(number_of(event.get("lrmd_exec_op_status"), -2));
    result.rc = static_cast<int>(number_of(event.get("lrmd_exec_rc"), 193));
    result.exit_reason = event.get("lrmd_rsc_exit_reason");
    result.transition_key = event.get("lrmd_rsc_userdata_str");
    result.run_time = number_of(event.get("lrmd_run_time"), 0);
    result.rc_change_time = number_of(event.get("lrmd_rcchange_time"), 0);
    result.exec_time_ms = number_of(event.get("lrmd_exec_time"), 0);
    result.queue_time_ms = number_of(event.get("lrmd_queue_time"), 0);

    const auto resource = resources_.find(id);
    if (resource == resources_.end() && !imported_) {
        // The newest of each operation: this may last as long as there is no DC.
        std::erase_if(early_, [&](const xml::NodePtr& other) {
            return other->get("lrmd_rsc_id") == id && other->get("lrmd_rsc_action") == action &&
                   number_of(other->get("lrmd_rsc_interval"), 0) == result.interval_ms;
        });
        early_.push_back(event.share());
        return step;
    }
    if (result.interval_ms > 0) {
        if (resource == resources_.end()) return step;
        if (result.status == ExecStatus::kCancelled) step.ended.push_back({id, result});
        auto& recurring = resource->second.recurring;
        const auto it = recurring.find({action, result.interval_ms});
        if (it == recurring.end() || (it->second.call_id > 0 && it->second.call_id != result.call_id)) return step;
        if (result.status == ExecStatus::kCancelled) {
            const Operation operation = it->second;
            recurring.erase(it);
            if (operation.cancel_wanted) erase_record(operation, step);
            return step;
        }
        // One that ran before this process was started is known by name only; a record without its parameters would
        // look like a changed definition, and the scheduler would forget the failure.
        if (it->second.parameters.empty()) it->second.parameters = parameters_in(event);
        result.parameters = it->second.parameters;
        result.transition_key = it->second.transition_key;
        finish(now, it->second, std::move(result), step);
        return step;
    }
    auto run = std::ranges::find_if(running_, [&](const auto& entry) {
        const Operation& operation = entry.second;
        return operation.resource.id == id && operation.action == action &&
               (operation.call_id > 0 ? operation.call_id == result.call_id
                                      : operation.sent_key == result.transition_key);
    });
    if (run != running_.end()) {
        Operation operation = std::move(run->second);
        running_.erase(run);
        result.parameters = operation.parameters;
        result.transition_key = operation.transition_key;
        finish(now, std::move(operation), std::move(result), step);
        return step;
    }
    if (resource == resources_.end() || result.status == ExecStatus::kCancelled) return step;
    // Begun before this process: what it was given is in the event.
    Operation operation;
    operation.resource = resource->second.identity;
    operation.action = action;
    operation.transition_key = result.transition_key;
    operation.parameters = parameters_in(event);
    result.parameters = operation.parameters;
    finish(now, std::move(operation), std::move(result), step);
    return step;
}

Resources::Step Resources::on_reply(const Now& now, const ExecutorReply& reply) {
    Step step;
    const auto found = asked_.find(reply.request);
    if (found == asked_.end()) return step;
    const Asked asked = std::move(found->second);
    asked_.erase(found);
    const bool answered = static_cast<bool>(reply.message);
    const int rc = answered ? static_cast<int>(number_of(reply.message->get("lrmd_rc"), -1)) : -110;
    switch (asked.kind) {
        case Asked::Kind::kPlain: break;
        case Asked::Kind::kExec: {
            Operation* operation = nullptr;
            if (const auto run = running_.find(asked.run); run != running_.end()) operation = &run->second;
            const auto resource = resources_.find(asked.resource);
            if (operation == nullptr && resource != resources_.end()) {
                for (auto& [key, recurring] : resource->second.recurring) {
                    if (recurring.run == asked.run) operation = &recurring;
                }
            }
            if (operation == nullptr) break;
            if (rc > 0) {
                operation->call_id = rc;
                break;
            }
            if (rc == kNoDevice && resource != resources_.end()) resource->second.registered = false;
            OperationResult result{
                .action = operation->action,
                .interval_ms = operation->interval_ms,
                .call_id = 0,
                .status = ExecStatus::kError,
                .rc = 1,
                .exit_reason = answered ? fmt::format("The executor refused the operation ({})", describe_legacy(rc))
                                        : std::string("The executor did not answer"),
                .transition_key = operation->transition_key,
                .run_time = now.wall.seconds,
                .rc_change_time = now.wall.seconds,
                .parameters = operation->parameters};
            Operation copy = *operation;
            if (copy.interval_ms > 0) {
                resource->second.recurring.erase({copy.action, copy.interval_ms});
            } else {
                running_.erase(asked.run);
            }
            finish(now, std::move(copy), std::move(result), step);
            break;
        }
        case Asked::Kind::kCancel: {
            if (rc >= 0) break;  // its result, "cancelled", follows
            const auto resource = resources_.find(asked.resource);
            if (resource == resources_.end()) break;
            auto& recurring = resource->second.recurring;
            const auto it = std::ranges::find_if(recurring, [&](const auto& e) { return e.second.run == asked.run; });
            if (it == recurring.end()) break;
            const Operation operation = it->second;
            recurring.erase(it);
            erase_record(operation, step);
            break;
        }
        case Asked::Kind::kUnregister: {
            if (rc != 0 && rc != kInProgress && rc != kNoDevice) {
                refuse(*asked.op, asked.requester, ExecStatus::kError, 1, describe_legacy(rc), step);
                break;
            }
            resources_.erase(asked.resource);
            std::erase_if(held_, [&](const Held& held) { return held.operation.resource.id == asked.resource; });
            forget_in_cib(asked.op, asked.resource, asked.requester, step);
            break;
        }
        case Asked::Kind::kInfo: {
            const auto import = importing_.find(asked.resource);
            if (import == importing_.end()) break;
            const auto records = std::move(import->second);
            importing_.erase(import);
            if (rc == 0 && answered && !resources_.contains(asked.resource)) {
                ResourceIdentity identity;
                identity.id = asked.resource;
                identity.agent_class = reply.message->get("lrmd_class");
                identity.provider = reply.message->get("lrmd_provider");
                identity.type = reply.message->get("lrmd_type");
                Resource& resource = known(identity);
                resource.registered = true;
                for (const xml::NodePtr& one : records) {
                    resource.records.insert_or_assign(std::string(one->id()), one);
                    resource.last_call = std::max<std::int64_t>(resource.last_call, number_of(one->get("call-id"), 0));
                    const auto status = static_cast<ExecStatus>(number_of(one->get("op-status"), -2));
                    const auto active =
                        activity(one->get("operation"), status, static_cast<int>(number_of(one->get("rc-code"), 193)));
                    if (active && one->get("interval", "0") == "0") resource.active = *active;
                    const std::int64_t interval = number_of(one->get("interval"), 0);
                    if (interval == 0) continue;
                    Operation operation;
                    operation.resource = identity;
                    operation.action = one->get("operation");
                    operation.interval_ms = interval;
                    operation.transition_key = one->get("transition-key");
                    resource.recurring.emplace(std::pair{operation.action, interval}, std::move(operation));
                }
                want_traits(identity, step);
            }
            end_import_if_done(now, step);
            break;
        }
        case Asked::Kind::kRecurring: {
            // What is recorded as recurring but does not recur any more has to be ordered anew: drop the record.
            std::set<std::tuple<std::string, std::string, std::int64_t>> alive;
            if (answered) {
                for (const auto& child : reply.message->children()) {
                    if (!child->is("lrmd_rsc")) continue;
                    for (const auto& op : child->children())
                        alive.emplace(child->get("lrmd_rsc_id"), op->get("lrmd_rsc_action"),
                                      number_of(op->get("lrmd_rsc_interval"), 0));
                }
            }
            for (auto& [id, resource] : resources_) {
                for (auto it = resource.recurring.begin(); it != resource.recurring.end();) {
                    const Operation& operation = it->second;
                    if (operation.run != 0 || alive.contains({id, operation.action, operation.interval_ms})) {
                        ++it;
                        continue;
                    }
                    resource.records.erase(operation_key(id, operation.action, operation.interval_ms));
                    it = resource.recurring.erase(it);
                }
            }
            importing_.erase("");
            end_import_if_done(now, step);
            break;
        }
    }
    return step;
}

Resources::Step Resources::on_cib_reply(const Now& now, std::uint64_t token, const xml::Node* reply) {
    Step step;
    const auto found = deleting_.find(token);
    if (found == deleting_.end()) return step;
    const Deleting deleting = std::move(found->second);
    deleting_.erase(found);
    const int rc = reply == nullptr ? -1 : static_cast<int>(number_of(reply->get("cib_rc"), -71));
    after_forget(now, deleting, rc == -6 ? 0 : rc, step);
    return step;
}

// An executor tells of a recurring operation what changes. Where a failure was forgotten (it expired before anybody
// could act on it) and is still there, nobody would hear of it again: the DC has to order the operation anew.
Resources::Step Resources::on_record_deleted(std::string_view resource, std::string_view record) {
    Step step;
    const auto it = resources_.find(resource);
    if (it == resources_.end()) return step;
    it->second.records.erase(std::string(record));
    if (!record.ends_with("_last_failure_0")) return step;
    for (auto& [key, operation] : it->second.recurring)
        if (std::exchange(operation.failed, false)) erase_record(operation, step);
    return step;
}

std::vector<std::string> Resources::active() const {
    std::vector<std::string> ids;
    for (const auto& [id, resource] : resources_) {
        if (resource.active) ids.push_back(id);
    }
    return ids;
}

std::vector<std::string> Resources::check_state() const {
    std::vector<std::string> broken;
    for (const auto& [run, operation] : running_) {
        if (!executor_up_ && !is_connection(operation.resource))
            broken.push_back(fmt::format("{} of {} runs without an executor", operation.action, operation.resource.id));
    }
    return broken;
}

}  // namespace systole::controller
