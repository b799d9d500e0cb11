#include <fmt/format.h>

#include <cerrno>
#include <limits>

#include "base/text.h"
#include "executor/core.h"
#include "executor/private_requests.h"

namespace systole::executor {

void Core::handle(const wire::ClientRequest& input) {
    const auto found = sessions_.find(input.client);
    if (found == sessions_.end()) return;
    const Session& session = found->second;
    last_call_ = last_call_ >= static_cast<std::uint32_t>(std::numeric_limits<int>::max()) ? 1 : last_call_ + 1;
    Asked asked{.session = session, .input = input, .call_id = last_call_, .data = nullptr};
    if (!input.message) return answer(asked, -EPROTO);
    const xml::Node& message = *input.message;
    if (message.get("t", "lrmd") != "lrmd") return;
    asked.data = find_element(message, "lrmd_rsc");
    const auto op = message.get("lrmd_op");
    if (op == request::kRegister) return register_client(asked);
    // Everything else starts programs, or tells about those that run.
    if (!session.client.privileged) return answer(asked, -EACCES);
    if (op == request::kExec) return execute(asked);
    if (op == request::kCancel) return cancel(asked);
    if (op == request::kResourceInfo) return resource_info(asked);
    if (op == request::kResourceRegister) return register_resource(asked);
    if (op == request::kResourceUnregister) return unregister_resource(asked);
    if (op == request::kPoke) return poke(asked);
    if (op == request::kCheck) return;
    if (op == request::kProxied && session.remote()) return answer(asked, 0);
    if (op == request::kAlert) return run_alert(asked);
    if (op == request::kGetRecurring) return list_recurring(asked);
    if (op == kRunAgent) return run_agent(asked);
    if (op == kGetHistory) return tell_history(asked);
    if (op == kCancelAgent) return cancel_agent(asked);
    log(wire::Severity::kWarning, fmt::format("Refusing request '{}' of {}: unknown", op, session.name));
    answer(asked, -EOPNOTSUPP);
}

void Core::answer(const Asked& asked, xml::NodePtr reply) {
    if ((asked.input.flags & wire::kExpectsResponse) == 0) return;
    effects_.emplace_back(wire::Respond{asked.session.client.id, asked.input.id, std::move(reply)});
}

void Core::answer(const Asked& asked, int rc) { answer(asked, make_reply(rc, asked.call_id).build()); }

void Core::register_client(const Asked& asked) {
    const xml::Node& message = *asked.input.message;
    const auto name = message.get("lrmd_clientname");
    const bool provider = parse_bool(message.get("lrmd_is_ipc_provider")).value_or(false);
    const auto major =
        parse_integer(message.get("lrmd_protocol_version").substr(0, message.get("lrmd_protocol_version").find('.')));
    int rc = 0;
    if (!major || *major < 1) {
        log(wire::Severity::kError, fmt::format("Refusing client '{}': its protocol version '{}' is below 1.0", name,
                                                message.get("lrmd_protocol_version")));
        rc = -EPROTO;
    } else if (provider && !asked.session.remote()) {
        log(wire::Severity::kError, fmt::format("Refusing client '{}': only a cluster may provide IPC", name));
        rc = -EACCES;
    }
    auto reply = make_reply(rc, asked.call_id);
    reply.set("lrmd_op", request::kRegister)
        .set("lrmd_clientid", asked.session.client.uuid)
        .set("lrmd_protocol_version", config_.protocol_version);
    answer(asked, std::move(reply).build());
    if (rc != 0) return;
    Session& session = sessions_.at(asked.session.client.id);
    session.name = name.empty() ? asked.session.client.uuid : std::string(name);
    if (session.client.privileged)
        if (const auto seen = parse_integer(message.get(kCallsAbove)); seen && *seen > last_call_)
            last_call_ = static_cast<std::uint32_t>(std::min<long long>(*seen, std::numeric_limits<int>::max()));
    session.controller = session.client.privileged && (provider || name == "crmd" || name == "pacemaker-controld");
    notify_all(make_notification(request::kNewClient, asked.call_id, 0).set("lrmd_clientname", session.name).build(),
               &session.client.id);
    if (session.controller) hand_over(session);
}

Resource* Core::find_registered(std::string_view id) {
    const auto found = resources_.find(id);
    return found == resources_.end() || !found->second.registered ? nullptr : &found->second;
}

Resource* Core::find_registered(const Asked& asked) {
    return asked.data == nullptr ? nullptr : find_registered(asked.data->get("lrmd_rsc_id"));
}

void Core::register_resource(const Asked& asked) {
    if (asked.data == nullptr) return answer(asked, -EINVAL);
    const std::string id(asked.data->get("lrmd_rsc_id"));
    AgentName agent{.standard = std::string(asked.data->get("lrmd_class")),
                    .provider = std::string(asked.data->get("lrmd_provider")),
                    .type = std::string(asked.data->get("lrmd_type"))};
    const bool provider_missing = agent.standard == "ocf" && agent.provider.empty();
    if (id.empty() || agent.standard.empty() || agent.type.empty() || provider_missing) {
        log(wire::Severity::kError,
            fmt::format("Refusing to register resource '{}' as '{}': incomplete", id, to_string(agent)));
        return answer(asked, -EINVAL);
    }
    const auto options = number_of(*asked.input.message, "lrmd_callopt");
    const auto [at, is_new] = resources_.try_emplace(id);
    Resource& resource = at->second;
    if (is_new) {
        resource.id = id;
    } else if (!resource.registered || resource.agent != agent) {
        // What still runs for the old one ends before anything of the new one begins.
        forget_operations(resource);
        resource.device = DeviceState::kStopped;
        resource.service_standard.clear();
        resource.history.clear();
    }
    resource.registered = true;
    resource.agent = std::move(agent);
    resource.options = options;
    answer(asked, 0);
    notify_all(make_notification(request::kResourceRegister, asked.call_id, 0).set("lrmd_rsc_id", id).build());
}

void Core::unregister_resource(const Asked& asked) {
    if (asked.data == nullptr || asked.data->get("lrmd_rsc_id").empty()) return answer(asked, -ENODEV);
    const std::string id(asked.data->get("lrmd_rsc_id"));
    int rc = 0;
    Resource* resource = find_registered(id);
    if (resource != nullptr) {
        if (resource->active) rc = -EINPROGRESS;
        resource->registered = false;
    }
    answer(asked, rc);
    if (resource != nullptr) {
        forget_operations(*resource);
        remove_if_drained(id);
    }
    notify_all(make_notification(request::kResourceUnregister, asked.call_id, rc).set("lrmd_rsc_id", id).build());
}

void Core::resource_info(const Asked& asked) {
    const Resource* resource = find_registered(asked);
    if (resource == nullptr) return answer(asked, -ENODEV);
    auto reply = make_reply(0, asked.call_id);
    reply.set("lrmd_rsc_id", resource->id)
        .set("lrmd_class", resource->agent.standard)
        .set_unless_empty("lrmd_provider", resource->agent.provider)
        .set("lrmd_type", resource->agent.type);
    answer(asked, std::move(reply).build());
}

void Core::execute(const Asked& asked) {
    if (asked.data == nullptr || asked.data->get("lrmd_rsc_id").empty()) return answer(asked, -EINVAL);
    Resource* resource = find_registered(asked);
    if (resource == nullptr) return answer(asked, -ENODEV);
    const xml::Node& data = *asked.data;
    if (data.get("lrmd_rsc_action").empty()) return answer(asked, -EINVAL);
    if (resource->pending.size() >= kPendingMax || shutting_down_) return answer(asked, -EAGAIN);
    auto operation = std::make_unique<Operation>();
    operation->serial = ++last_serial_;
    operation->call_id = asked.call_id;
    operation->client = asked.session.client.id;
    operation->from_controller = asked.session.controller;
    operation->action = data.get("lrmd_rsc_action");
    operation->interval = duration_of(data, "lrmd_rsc_interval");
    operation->timeout = duration_of(data, "lrmd_timeout", duration_of(*asked.input.message, "lrmd_timeout"));
    operation->start_delay = duration_of(data, "lrmd_rsc_start_delay");
    operation->userdata = data.get("lrmd_rsc_userdata_str");
    operation->options = number_of(*asked.input.message, "lrmd_callopt");
    operation->parameters = parameters_of(data);
    operation->attributes = data.child_ptr("attributes");
    answer(asked, static_cast<int>(asked.call_id));
    enqueue(*resource, std::move(operation));
}

void Core::cancel(const Asked& asked) {
    Resource* resource = find_registered(asked);
    if (resource == nullptr) return answer(asked, asked.data == nullptr ? -EINVAL : -ENODEV);
    const auto action = asked.data->get("lrmd_rsc_action");
    const auto interval = duration_of(*asked.data, "lrmd_rsc_interval");
    // The reply goes first, as clients expect it before the result; so look before doing.
    const std::size_t before = effects_.size();
    const bool found = cancel_operation(*resource, action, interval);
    Effects results(std::make_move_iterator(effects_.begin() + static_cast<std::ptrdiff_t>(before)),
                    std::make_move_iterator(effects_.end()));
    effects_.resize(before);
    answer(asked, found ? 0 : -EOPNOTSUPP);
    effects_.insert(effects_.end(), std::make_move_iterator(results.begin()), std::make_move_iterator(results.end()));
}

void Core::poke(const Asked& asked) {
    answer(asked, 0);
    notify_all(make_notification(request::kPoke, asked.call_id, 0).build());
}

void Core::list_recurring(const Asked& asked) {
    auto reply = make_reply(0, asked.call_id);
    const auto wanted = asked.data == nullptr ? std::string_view{} : asked.data->get("lrmd_rsc_id");
    if (!wanted.empty() && find_registered(wanted) == nullptr) return answer(asked, -ENODEV);
    for (const auto& [id, resource] : resources_) {
        if (!resource.registered || (!wanted.empty() && id != wanted)) continue;
        xml::Builder element("lrmd_rsc");
        element.set("lrmd_rsc_id", id);
        const auto add = [&](const Operation& operation) {
            if (!operation.recurring() || operation.cancelled || operation.deleted) return;
            xml::Builder recurring("lrmd_rsc_op");
            recurring.set("lrmd_rsc_action", operation.action)
                .set("lrmd_rsc_interval", operation.interval.count())
                .set("lrmd_timeout_orig", operation.timeout.count());
            element.add(std::move(recurring));
        };
        if (resource.active) add(*resource.active);
        for (const auto& operation : resource.pending) add(*operation);
        for (const auto& operation : resource.sleeping) add(*operation);
        if (!element.children().empty()) reply.add(std::move(element));
    }
    answer(asked, std::move(reply).build());
}

}  // namespace systole::executor
