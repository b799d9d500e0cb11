#include <fmt/format.h>

#include <algorithm>

#include "executor/core.h"

namespace systole::executor {

namespace {

/// The newer request takes over the operation that is there, and its first result is told in any case.
void take_over(Operation& there, const Operation& again) {
    there.call_id = again.call_id;
    there.client = again.client;
    there.from_controller = again.from_controller;
    there.userdata = again.userdata;
    there.options = again.options;
    there.timeout = again.timeout;
    there.parameters = again.parameters;
    there.attributes = again.attributes;
    there.told = false;
}

}  // namespace

/// True if an operation of this action and interval is there already and took the request over. It runs at once; if it
/// runs at this moment with the same parameters, that run's result is the answer. With others it must run again, so
/// the request is queued and takes the place of the one that runs when that ends.
bool Core::merge(Resource& resource, const Operation& again) {
    const auto same = [&](const OperationPtr& operation) {
        return operation->same_operation(again.action, again.interval);
    };
    if (const auto at = std::ranges::find_if(resource.pending, same); at != resource.pending.end()) {
        take_over(**at, again);
        return true;
    }
    if (const auto at = std::ranges::find_if(resource.sleeping, same); at != resource.sleeping.end()) {
        OperationPtr operation = std::move(*at);
        resource.sleeping.erase(at);
        effects_.emplace_back(wire::CancelTimer{fmt::format("interval/{}", operation->serial)});
        take_over(*operation, again);
        operation->queued_at = now_.mono;
        resource.pending.push_back(std::move(operation));
        return true;
    }
    Operation* active = resource.active.get();
    if (active != nullptr && same(resource.active) && !active->cancelled && !active->deleted &&
        active->parameters == again.parameters && active->timeout == again.timeout) {
        take_over(*active, again);
        return true;
    }
    return false;
}

void Core::sleep(Resource& resource, OperationPtr operation) {
    const bool asked_again = std::ranges::any_of(resource.pending, [&](const OperationPtr& other) {
        return other->same_operation(operation->action, operation->interval);
    });
    if (asked_again || shutting_down_) return;
    effects_.emplace_back(
        wire::ArmTimer{fmt::format("interval/{}", operation->serial), now_.mono + operation->interval});
    resource.sleeping.push_back(std::move(operation));
}

void Core::wake(std::uint64_t serial) {
    for (auto& [id, resource] : resources_) {
        const auto at = std::ranges::find(resource.sleeping, serial, &Operation::serial);
        if (at == resource.sleeping.end()) continue;
        OperationPtr operation = std::move(*at);
        resource.sleeping.erase(at);
        operation->queued_at = now_.mono;
        resource.pending.push_back(std::move(operation));
        return run_next(resource);
    }
}

void Core::end_start_delay(std::uint64_t serial) {
    for (auto& [id, resource] : resources_) {
        const auto at = std::ranges::find(resource.pending, serial, &Operation::serial);
        if (at == resource.pending.end()) continue;
        (*at)->delayed = false;
        return run_next(resource);
    }
}

void Core::cancel_recurring(Resource& resource, const wire::ClientId* client) {
    std::vector<std::pair<std::string, Duration>> all;
    const auto note = [&](const Operation& operation) {
        if (operation.recurring() && (client == nullptr || operation.client == *client))
            all.emplace_back(operation.action, operation.interval);
    };
    for (const auto& operation : resource.sleeping) note(*operation);
    for (const auto& operation : resource.pending) note(*operation);
    if (resource.active) note(*resource.active);
    // They are told of as cancelled, and as gone if their resource is.
    for (const auto& [action, interval] : all) cancel_operation(resource, action, interval);
}

}  // namespace systole::executor
