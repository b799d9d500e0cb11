// What the owner of an operation does: levels, choice of peers and devices, time limits.
#include <fmt/format.h>

#include <algorithm>

#include "fencing/operations.h"

namespace systole::fencing {
namespace {

/// Peers and agents get a fifth more than they were promised, for the ways in between.
Duration with_margin(Duration duration) { return duration * 12 / 10; }

long long whole_seconds(Duration duration) {
    return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

}  // namespace

// ---- Topology -------------------------------------------------------------------------------------------------------

bool Operations::next_level(Operation& operation, bool none_is_fine) {
    Pursuit& p = *operation.pursuit;
    const Levels* levels = topology_.of(operation.target, has_attribute_);
    if (levels == nullptr) return none_is_fine;
    p.with_topology = true;
    operation.options |= option::kTopology;
    p.phase = Phase::kRequested;
    const auto level = levels->upper_bound(p.level);
    if (level == levels->end()) {
        c_.log(wire::Severity::kInfo, fmt::format("no level of fencing is left for {}", operation.target),
               operation.target);
        return false;
    }
    if (p.level > 0 && p.delay) p.delay = Duration{0};  // it has been waited for
    p.level = level->first;
    p.level_devices = level->second;
    p.devices.assign(level->second.begin(), level->second.end());
    if (p.devices.size() > 1 && operation.action == "reboot") {
        // Two power supplies: one after the other off and on would never take the node's power away.
        c_.log(wire::Severity::kInfo,
               fmt::format("level {} of {} has {} devices: 'reboot' is 'off' with each, then 'on' with each", p.level,
                           operation.target, p.devices.size()),
               operation.target);
        p.phase = Phase::kOff;
    }
    return true;
}

bool Operations::all_devices_found(const Operation& operation) const {
    const Levels* levels = topology_.of(operation.target, has_attribute_);
    if (levels == nullptr) return false;
    const Pursuit& p = *operation.pursuit;
    for (const auto& [index, devices] : *levels) {
        for (const auto& device : devices) {
            const bool found = std::ranges::any_of(p.offers, [&](const PeerOffer& peer) {
                if (cuts_off(operation.action) && same_ignoring_case(peer.node, operation.target)) return false;
                return peer.usable(device, p.phase, false) != nullptr;
            });
            if (!found) return false;
        }
    }
    return true;
}

// ---- Watchdog -------------------------------------------------------------------------------------------------------

bool Operations::is_watchdog_fencing(const Operation& operation, std::string_view device) const {
    return c_.watchdog_timeout > Duration{0} && (device.empty() || device == kWatchdogDevice) &&
           cuts_off(operation.current_action()) && c_.fences_by_watchdog(operation.target);
}

bool Operations::wait_for_watchdog(Operation& operation) {
    if (!c_.fences_by_watchdog(operation.target)) return false;
    c_.log(wire::Severity::kNotice,
           fmt::format("waiting {}s for {} to reset itself by watchdog", to_seconds(c_.watchdog_timeout),
                       operation.target),
           operation.target);
    operation.pursuit->waiting_for_watchdog = true;
    c_.arm(fmt::format("op/{}/step", operation.id), c_.watchdog_timeout);
    return true;
}

// ---- Time limits ----------------------------------------------------------------------------------------------------

Duration Operations::device_timeout(const Operation& operation, const PeerOffer* peer, std::string_view device,
                                    bool with_delay) const {
    const Pursuit& p = *operation.pursuit;
    const auto at_least = [&](Duration timeout) {
        return is_watchdog_fencing(operation, device) ? std::max(timeout, c_.watchdog_timeout) : timeout;
    };
    Duration timeout = at_least(p.base_timeout);
    if (peer == nullptr) return timeout;
    const auto offer = peer->devices.find(std::string(device));
    if (offer == peer->devices.end()) return timeout;
    const auto& limits = offer->second.limits[static_cast<std::size_t>(p.phase)];
    if (limits.timeout > Duration{0}) timeout = at_least(limits.timeout);
    if (with_delay && p.delay) timeout += limits.delay;
    return timeout;
}

Duration Operations::peer_timeout(const Operation& operation, const PeerOffer& peer) const {
    const Pursuit& p = *operation.pursuit;
    Duration sum{0};
    for (const auto& [id, offer] : peer.devices) {
        if (peer.usable(id, p.phase, false) != nullptr) sum += device_timeout(operation, &peer, id, true);
    }
    return sum > Duration{0} ? sum : p.base_timeout;
}

Duration Operations::total_timeout(const Operation& operation, const PeerOffer* chosen) const {
    const Pursuit& p = *operation.pursuit;
    const Levels* levels = p.with_topology ? topology_.of(operation.target, has_attribute_) : nullptr;
    const bool needs_on = operation.current_action() == "on";
    Duration total{0};
    if (levels != nullptr) {
        std::vector<std::string> rest = operation.action == "on" ? p.required : std::vector<std::string>{};
        const auto add = [&](const std::string& device) {
            for (const auto& peer : p.offers) {
                if (peer.usable(device, p.phase, needs_on) == nullptr) continue;
                total += device_timeout(operation, &peer, device, true);
                return;
            }
            if (is_watchdog_fencing(operation, device)) total += c_.watchdog_timeout;
        };
        for (const auto& [index, devices] : *levels) {
            for (const auto& device : devices) {
                add(device);
                std::erase(rest, device);
            }
        }
        for (const auto& device : rest) add(device);
    } else if (chosen != nullptr) {
        total = peer_timeout(operation, *chosen);
    } else {
        total = device_timeout(operation, nullptr, {}, false);
    }
    if (total <= Duration{0}) total = p.base_timeout;
    return total + p.delay.value_or(Duration{0});
}

// ---- Peers ----------------------------------------------------------------------------------------------------------

void Operations::on_query_reply(const xml::Node& message, std::string_view peer) {
    const auto* what = find_with_attribute(message, "st_remote_op");
    const auto* list = find_with_attribute(message, "st-available-devices");
    if (what == nullptr || list == nullptr) {
        c_.log(wire::Severity::kWarning, fmt::format("query reply of {} without list or operation: ignored", peer));
        return;
    }
    Operation* operation = find(what->get("st_remote_op"));
    if (operation == nullptr || operation->pursuit == nullptr || !operation->pending()) return;
    Pursuit& p = *operation->pursuit;
    ++p.replies;
    const bool complete = p.replies >= std::min(p.expected, c_.peers.active_count());
    PeerOffer offer = read_offer(peer, *list, operation->action, p.required);
    c_.log(
        wire::Severity::kInfo,
        fmt::format("{} offers {} device{} for '{}' of {} (answer {} of {})", peer, offer.devices.size(),
                    offer.devices.size() == 1 ? "" : "s", operation->action, operation->target, p.replies, p.expected),
        operation->target);
    PeerOffer* fresh = nullptr;
    if (!offer.devices.empty()) {
        // Most devices first; among equals, whoever answered first.
        const auto at =
            std::ranges::find_if(p.offers, [&](const PeerOffer& o) { return o.devices.size() < offer.devices.size(); });
        fresh = &*p.offers.insert(at, std::move(offer));
    }
    if (operation->state == OperationState::kExecuting) {
        if (p.stalled) advance(*operation, nullptr);
        return;
    }
    if (p.with_topology) {
        // Begun too early, levels would be skipped only because an answer is still on its way.
        if (all_devices_found(*operation) || complete) advance(*operation, nullptr);
        return;
    }
    const bool verified = fresh != nullptr && std::ranges::any_of(fresh->devices, [&](const auto& d) {
                              return d.second.verified && fresh->usable(d.first, p.phase, operation->action == "on");
                          });
    if (verified && !same_ignoring_case(fresh->node, operation->target)) {
        advance(*operation, fresh);
    } else if (complete) {
        advance(*operation, nullptr);
    }
}

PeerOffer* Operations::best_offer(Operation& operation, bool target_only, bool skip_target, bool verified_only) {
    Pursuit& p = *operation.pursuit;
    const bool needs_on = operation.current_action() == "on";
    const std::string device = p.devices.empty() ? std::string{} : p.devices.front();
    if (p.with_topology && device.empty()) return nullptr;
    for (auto& peer : p.offers) {
        const bool is_target = same_ignoring_case(peer.node, operation.target);
        if ((skip_target && is_target) || (target_only && !is_target)) continue;
        if (p.with_topology) {
            const auto* offer = peer.usable(device, p.phase, needs_on);
            if (offer == nullptr || (verified_only && !offer->verified)) continue;
            peer.devices.at(device).used[static_cast<std::size_t>(p.phase)] = true;
            return &peer;
        }
        const bool can = !peer.tried && std::ranges::any_of(peer.devices, [&](const auto& d) {
            return peer.usable(d.first, p.phase, needs_on) && (!verified_only || d.second.verified);
        });
        if (can) return &peer;
    }
    return nullptr;
}

PeerOffer* Operations::choose_peer(Operation& operation) {
    Pursuit& p = *operation.pursuit;
    do {
        if (auto* peer = best_offer(operation, false, true, true)) return peer;
        if (p.query_open && p.replies < std::min(p.expected, c_.peers.active_count())) return nullptr;
        if (auto* peer = best_offer(operation, false, true, false)) return peer;
        // Last resort: the target itself, which can't switch itself on again.
        if (p.phase != Phase::kOn) {
            if (auto* peer = best_offer(operation, true, false, false)) return peer;
        }
    } while (p.phase != Phase::kOn && p.with_topology && next_level(operation, false));
    return nullptr;
}

void Operations::advance(Operation& operation, PeerOffer* preferred) {
    Pursuit& p = *operation.pursuit;
    p.stalled = false;
    if (lacks_right(operation)) return;
    if (p.phase == Phase::kOn && !p.devices.empty()) {
        const std::string device = p.devices.front();
        const Device* known = c_.devices.find(device);
        const bool stays_off = known != nullptr && known->agent_action("reboot") == "off";
        const bool has_on =
            known != nullptr ? known->traits.on : std::ranges::any_of(p.offers, [&](const PeerOffer& peer) {
                const auto it = peer.devices.find(device);
                return it != peer.devices.end() && it->second.on_supported;
            });
        if (stays_off || !has_on) {
            c_.log(
                wire::Severity::kInfo,
                fmt::format("not switching {} on again with {}: {}", operation.target, device,
                            stays_off ? "it is configured to stay off (pcmk_reboot_action)" : "its agent has no 'on'"),
                operation.target, device);
            step_succeeded(operation, device);
            return;
        }
    }
    if (preferred == nullptr && !p.with_topology) preferred = choose_peer(operation);
    if (!p.total_set) {
        p.total_set = true;
        operation.total_timeout = with_margin(total_timeout(operation, preferred));
        c_.arm(fmt::format("op/{}/total", operation.id), operation.total_timeout);
        c_.log(wire::Severity::kInfo,
               fmt::format("'{}' of {} for {} has {}s in all", operation.action, operation.target,
                           operation.client_name, whole_seconds(operation.total_timeout)),
               operation.target);
        tell_timeout(operation, operation.total_timeout);
    }
    PeerOffer* peer = preferred;
    if (p.with_topology && !p.devices.empty()) peer = choose_peer(operation);
    const std::string device = p.with_topology && !p.devices.empty() ? p.devices.front() : std::string{};
    if (peer != nullptr) {
        ask_peer(operation, *peer, device);
        return;
    }
    if (p.phase == Phase::kOn) {
        // The node is off already, so this failure can't make the fencing fail.
        c_.log(wire::Severity::kWarning,
               fmt::format("nobody can switch {} on again with {}: left off", operation.target, device),
               operation.target, device);
        step_succeeded(operation, device);
        return;
    }
    if (!p.query_open) {
        finish_timed_out(operation, "All nodes failed, or are unable, to fence target");
        return;
    }
    if (p.replies >= std::min(p.expected, c_.peers.active_count())) {
        no_peer_left(operation);
        return;
    }
    p.stalled = true;
    c_.log(wire::Severity::kInfo,
           fmt::format("nobody yet can do '{}' of {}: waiting for more answers", operation.current_action(),
                       operation.target),
           operation.target, device);
}

void Operations::ask_peer(Operation& operation, PeerOffer& peer, const std::string& device) {
    Pursuit& p = *operation.pursuit;
    const std::string action = operation.current_action();
    // What is sent doesn't contain delays: who executes adds its own.
    const Duration limit = device.empty() ? p.base_timeout : device_timeout(operation, &peer, device, false);
    const Duration step =
        with_margin(p.delay.value_or(Duration{0})) +
        with_margin(device.empty() ? peer_timeout(operation, peer) : device_timeout(operation, &peer, device, true));
    auto message = make_command("st_fence");
    message.set_unless_empty("st_callid", operation.call).set("st_callopt", operation.options);
    message.set("st_remote_op", operation.id).set("st_target", operation.target);
    message.set("st_device_action", action).set("st_origin", operation.origin);
    message.set("st_clientid", operation.client).set("st_clientname", operation.client_name);
    message.set("st_timeout", to_seconds(limit));
    message.set("st_delay", p.delay ? to_seconds(*p.delay) : -1);
    message.set_unless_empty("st_device_id", device);
    if (p.needs_quorum && p.phase != Phase::kOn) message.set(kNeedsQuorum, 1);
    c_.log(wire::Severity::kNotice,
           fmt::format("asking {} for '{}' of {}{}{} ({}s)", peer.node, action, operation.target,
                       device.empty() ? "" : " with ", device, whole_seconds(step)),
           operation.target, device);
    operation.state = OperationState::kExecuting;
    peer.tried = true;
    p.executor = peer.node;
    p.waiting_for_watchdog = false;
    if (!is_watchdog_fencing(operation, device) || !wait_for_watchdog(operation))
        c_.arm(fmt::format("op/{}/step", operation.id), step);
    c_.send(peer.node, std::move(message).build());
}

void Operations::step_lost(Operation& operation, std::string why) {
    Pursuit& p = *operation.pursuit;
    c_.log(wire::Severity::kWarning,
           fmt::format("'{}' of {} by {}: {}; trying something else", operation.current_action(), operation.target,
                       p.executor, why),
           operation.target);
    c_.cancel(fmt::format("op/{}/step", operation.id));
    operation.outcome = failed(ExecStatus::kTimeout, std::move(why));
    if (p.delay) p.delay = Duration{0};  // it has been waited for
    p.executor.clear();
    advance(operation, nullptr);
}

void Operations::no_peer_left(Operation& operation) {
    Pursuit& p = *operation.pursuit;
    const std::string device = p.with_topology && !p.devices.empty() ? p.devices.front() : std::string{};
    if (is_watchdog_fencing(operation, device) && wait_for_watchdog(operation)) {
        operation.state = OperationState::kExecuting;
        return;
    }
    // Without topology, how the last peer failed says more than that nobody is left.
    const bool nobody_tried = operation.state == OperationState::kQuery || p.with_topology;
    if (nobody_tried) operation.delegate.clear();
    finish(operation, nobody_tried ? failed(ExecStatus::kNoFenceDevice) : operation.outcome);
}

void Operations::finish_timed_out(Operation& operation, std::string reason) {
    // Switched off with every device: that it could not be switched on again in time doesn't matter.
    const bool is_off = operation.pursuit && operation.pursuit->phase == Phase::kOn;
    finish(operation, is_off ? done() : failed(ExecStatus::kTimeout, std::move(reason)));
}

void Operations::step_succeeded(Operation& operation, const std::string& device) {
    Pursuit& p = *operation.pursuit;
    if (!p.devices.empty()) p.devices.pop_front();
    if (p.phase == Phase::kRequested && operation.action == "on") {
        std::erase(p.required, device);
        // Every device with automatic unfencing counts, whatever the levels say.
        if (p.devices.empty()) p.devices.assign(p.required.begin(), p.required.end());
    }
    if (p.devices.empty() && p.phase == Phase::kOff) {
        p.phase = Phase::kOn;
        for (const auto& id : p.level_devices) {
            // Nodes are unfenced with these when they join.
            if (std::ranges::find(p.required, id) == p.required.end()) p.devices.push_back(id);
        }
        c_.log(wire::Severity::kInfo,
               fmt::format("{} is off with every device of level {}, switching it on again", operation.target, p.level),
               operation.target);
    }
    operation.outcome = done();
    if (p.devices.empty()) {
        finish(operation, done());
        return;
    }
    if (p.delay) p.delay = Duration{0};
    advance(operation, nullptr);
}

void Operations::on_step_result(Operation& operation, const xml::Node& message, std::string_view peer) {
    if (!operation.pending()) return;
    Pursuit& p = *operation.pursuit;
    const auto* result = find_with_attribute(message, "rc-code");
    if (result == nullptr) result = find_with_attribute(message, "st_rc");
    const Outcome outcome = outcome_of(result == nullptr ? message : *result);
    const std::string device(message.get("st_device_id"));
    if (p.with_topology && (p.devices.empty() || (!device.empty() && device != p.devices.front()))) {
        c_.log(wire::Severity::kInfo,
               fmt::format("result of {} with {} comes too late: it is another device's turn", peer, device),
               operation.target, device);
        return;
    }
    if (!outcome.ok() && !same_ignoring_case(peer, p.executor)) {
        c_.log(wire::Severity::kInfo, fmt::format("{} failed after its time: {} is at work now", peer, p.executor),
               operation.target, device);
        return;
    }
    operation.outcome = outcome;
    c_.log(wire::Severity::kNotice,
           fmt::format("{} did '{}' of {}{}{}: {}{}{}", peer, operation.current_action(), operation.target,
                       device.empty() ? "" : " with ", device,
                       outcome.ok()                          ? "done"
                       : outcome.status == ExecStatus::kDone ? "failed"
                                                             : describe(outcome.status),
                       outcome.reason.empty() ? "" : ": ", outcome.reason),
           operation.target, device);
    const auto finish_by = [&](Outcome how) {
        operation.delegate = peer;
        finish(operation, std::move(how));
    };
    c_.cancel(fmt::format("op/{}/step", operation.id));
    p.waiting_for_watchdog = false;
    if (p.with_topology) {
        if (outcome.ok() || p.phase == Phase::kOn) {
            if (!outcome.ok()) {
                c_.log(wire::Severity::kWarning,
                       fmt::format("{} was not switched on again with {}: the fencing itself is done", operation.target,
                                   device),
                       operation.target, device);
            }
            operation.delegate = peer;
            step_succeeded(operation, p.devices.front());
        } else if (next_level(operation, false)) {
            advance(operation, nullptr);
        } else {
            finish_by(outcome);
        }
        return;
    }
    if (outcome.ok() || outcome.status == ExecStatus::kTimeout) {
        // After a time limit of the agent nobody knows what it did: another peer could undo it.
        finish_by(outcome);
        return;
    }
    operation.delegate = peer;
    if (p.delay) p.delay = Duration{0};
    advance(operation, nullptr);
}

}  // namespace systole::fencing
