#include "fencing/local_actions.h"

#include <fmt/format.h>

namespace systole::fencing {
namespace {

Duration seconds(long long value) { return std::chrono::seconds(value); }

/// What the owner has to know about an action: its own time limit and delays, whether it must be run with this device.
void describe_action(xml::Builder& element, const Device& device, const std::string& action,
                     const std::string& target) {
    if (device.action_required(action)) element.set("st_required", 1);
    if (const auto timeout = device.action_timeout(action); timeout && *timeout > Duration{0})
        element.set("st_action_timeout", to_seconds(*timeout));
    const auto delays = device.delays(action, target);
    if (delays.max > Duration{0}) element.set("st_delay_max", to_seconds(delays.max));
    if (delays.base > Duration{0}) element.set("st_delay_base", to_seconds(delays.base));
}

}  // namespace

void LocalActions::query(const xml::Node& request, std::string_view peer, const std::optional<Asker>& asker) {
    Query query;
    query.request = request.share();
    query.peer = peer;
    query.asker = asker;
    query.allow_self = (call_options(request) & option::kAllowSelf) != 0;
    if (const auto* what = find_with_attribute(request, "st_device_action")) {
        query.target = what->get("st_target");
        query.action = what->get("st_device_action");
    }
    const SearchId id =
        searches_.start({query.target, query.action, seconds(integer(request, "st_timeout")), query.allow_self, false});
    queries_.emplace(id, std::move(query));
}

void LocalActions::answer_query(const Query& query, const std::vector<std::string>& devices) {
    xml::Builder list("st_devices");
    list.set_unless_empty("st_target", query.target);
    int count = 0;
    for (const auto& id : devices) {
        const Device* device = c_.devices.find(id);
        if (device == nullptr) continue;  // unregistered meanwhile
        ++count;
        xml::Builder element("st_device_id");
        element.set("id", id).set("namespace", kService).set("agent", device->what.agent);
        element.set("st_monitor_verified", device->verified ? 1 : 0);
        element.set("st_device_support_flags", encode_support(device->support()));
        // Of a reboot that becomes off in the agent, the limits of off hold.
        const std::string action = device->base_action(query.action);
        if (!query.target.empty()) describe_action(element, *device, action, query.target);
        if (query.action == "reboot") {
            // With several devices in a level the owner will ask for off and on instead.
            if (!device->eligible(action, query.target, c_.self(), query.allow_self))
                element.set("st_action_disallowed", "true");
            for (const std::string part : {"off", "on"}) {
                xml::Builder child("st_device_action");
                child.set("id", part);
                describe_action(child, *device, part, query.target);
                if (!device->eligible(part, query.target, c_.self(), part == "off" && query.allow_self))
                    child.set("st_action_disallowed", "true");
                element.add(std::move(child));
            }
        }
        if (query.target.empty()) {
            xml::Builder attributes("attributes");
            for (const auto& [name, value] : device->what.parameters) attributes.set(name, value);
            element.add(std::move(attributes));
        }
        list.add(std::move(element));
    }
    list.set("st-available-devices", count);
    auto reply = make_reply(query.request.get(), done(), std::move(list).build());
    if (query.asker) {
        clients_.answer(*query.asker, std::move(reply));
    } else {
        c_.send(query.peer, std::move(reply));
    }
}

LocalActions::Command LocalActions::command_of(const xml::Node& request, std::string_view peer,
                                               const std::optional<Asker>& asker) const {
    Command command;
    command.request = request.share();
    command.peer = peer;
    command.asker = asker;
    if (const auto* what = find_with_attribute(request, "st_device_action")) {
        command.action = what->get("st_device_action");
        command.target = what->get("st_target");
    }
    if (const auto* what = find_with_attribute(request, "st_remote_op")) command.operation = what->get("st_remote_op");
    if (const auto* what = find_with_attribute(request, "st_device_id")) command.device = what->get("st_device_id");
    command.timeout = seconds(integer(request, "st_timeout"));
    command.needs_quorum = integer(request, kNeedsQuorum) != 0;
    if (const auto delay = integer(request, "st_delay"); delay >= 0) command.delay = seconds(delay);
    if ((call_options(request) & option::kNodeId) != 0) {
        if (auto name = c_.peers.name_of(command.target); !name.empty()) command.target = std::move(name);
    }
    return command;
}

void LocalActions::fence(const xml::Node& request, std::string_view peer) {
    Command command = command_of(request, peer, std::nullopt);
    if (command.target.empty() || command.action.empty()) {
        c_.log(wire::Severity::kWarning, fmt::format("{} asked for fencing without target or action: refused", peer));
        reply(command, refused(ExitCode::kProtocol, "Fencing request names no target or action"));
        return;
    }
    if (!command.device.empty()) {
        submit(std::move(command));
        return;
    }
    // Whoever owns the operation has decided that this node may fence itself, if it is the target.
    const SearchId id =
        searches_.start({command.target, command.action, command.timeout, true, command.action == "on"});
    looking_.emplace(id, std::move(command));
}

void LocalActions::execute(const xml::Node& request, const Asker& asker) {
    const auto refuse = [&](const Outcome& outcome) { clients_.answer(asker, make_reply(&request, outcome)); };
    Command command = command_of(request, {}, asker);
    if (command.device.empty() || command.action.empty())
        return refuse(refused(ExitCode::kProtocol, "Request to execute names no device or action"));
    if (command.device == kWatchdogDevice) {
        // Its agent is this fencer.
        if (c_.watchdog_timeout <= Duration{0})
            return refuse(failed(ExecStatus::kNoFenceDevice, "Watchdog fence device not configured"));
        if (command.action == "list" || command.action == "monitor") {
            Outcome outcome = done();
            if (command.action == "list") {
                for (const auto& target : c_.watchdog_targets) outcome.output += target + "\n";
            }
            return refuse(outcome);
        }
    }
    const Device* device = c_.devices.find(command.device);
    if (device == nullptr)
        return refuse(failed(ExecStatus::kNoFenceDevice, fmt::format("'{}' not found", command.device)));
    if (!device->from_api && command.action == "monitor") {
        // Known from the CIB only: its resource isn't started here.
        return refuse(failed(ExecStatus::kNoFenceDevice, fmt::format("'{}' not active", command.device)));
    }
    submit(std::move(command));
}

void LocalActions::submit(Command command) {
    const JobId id = runner_.submit({command.device, command.action, command.target, command.timeout, command.delay,
                                     command.operation, command.needs_quorum});
    running_.emplace(id, std::move(command));
}

bool LocalActions::on_found(const Found& found) {
    if (const auto it = queries_.find(found.id); it != queries_.end()) {
        const Query query = std::move(it->second);
        queries_.erase(it);
        answer_query(query, found.devices);
        return true;
    }
    const auto it = looking_.find(found.id);
    if (it == looking_.end()) return false;
    Command command = std::move(it->second);
    looking_.erase(it);
    if (found.devices.empty()) {
        reply(command,
              failed(ExecStatus::kNoFenceDevice, fmt::format("No device configured for target '{}'", command.target)));
        return true;
    }
    command.device = found.devices.front();
    command.next.assign(found.devices.begin() + 1, found.devices.end());
    submit(std::move(command));
    return true;
}

bool LocalActions::on_job_finished(const Finished& finished) {
    const auto it = running_.find(finished.id);
    if (it == running_.end()) return false;
    Command command = std::move(it->second);
    running_.erase(it);
    const Device* device = c_.devices.find(command.device);
    std::string next;
    if (finished.outcome.ok()) {
        // Unfencing goes on with every device that asks for it.
        while (!command.next.empty() && next.empty()) {
            const Device* candidate = c_.devices.find(command.next.front());
            if (candidate != nullptr && candidate->action_required(command.action)) next = candidate->id();
            command.next.erase(command.next.begin());
        }
    } else if (!command.next.empty() && (device == nullptr || !device->action_required(command.action))) {
        next = command.next.front();
        command.next.erase(command.next.begin());
    }
    if (next.empty()) {
        reply(command, finished.outcome);
        return true;
    }
    if (!finished.outcome.ok()) {
        c_.log(
            wire::Severity::kNotice,
            fmt::format("'{}' of {} with {} failed: trying {}", command.action, command.target, command.device, next),
            command.target, next);
    }
    command.device = next;
    submit(std::move(command));
    return true;
}

void LocalActions::reply(const Command& command, const Outcome& outcome) {
    const auto& request = *command.request;
    const auto operation = request.get("st_op");
    xml::Builder reply("st-reply");
    reply.set("st_origin", command.peer.empty() ? std::string_view("fencer") : std::string_view(command.peer));
    reply.set("t", kService).set("st_op", operation);
    reply.set_unless_empty("st_device_id", command.device).set_unless_empty("st_remote_op", command.operation);
    for (const auto* name : {"st_clientid", "st_clientname"}) {
        if (request.has(name)) reply.set(name, request.get(name));
    }
    reply.set_unless_empty("st_target", command.target).set("st_device_action", operation);
    for (const auto* name : {"st_callid", "st_callopt"}) {
        if (request.has(name)) reply.set(name, request.get(name));
    }
    set_outcome(reply, outcome);
    if (command.asker) {
        clients_.answer(*command.asker, std::move(reply).build());
        return;
    }
    if (cuts_off(command.action) && same_ignoring_case(command.peer, command.target)) {
        // The owner is the target, which can tell nobody any more: all are told in its place.
        reply.set("subt", "broadcast").set("st_op", "st_notify");
        c_.send({}, std::move(reply).build());
        return;
    }
    c_.send(command.peer, std::move(reply).build());
}

void LocalActions::cancel_operation(std::string_view operation) {
    if (operation.empty()) return;
    std::erase_if(looking_, [&](const auto& e) { return e.second.operation == operation; });
    std::erase_if(running_, [&](const auto& e) { return e.second.operation == operation; });
    runner_.cancel_operation(operation);
}

}  // namespace systole::fencing
