#include "fencing/operation.h"

#include "fencing/messages.h"

namespace systole::fencing {
namespace {

Duration seconds(long long value) { return std::chrono::seconds(value < 0 ? 0 : value); }

void read_limits(const xml::Node& element, DeviceOffer::Limits& limits) {
    limits.timeout = seconds(integer(element, "st_action_timeout"));
    const auto base = seconds(integer(element, "st_delay_base"));
    const auto max = seconds(integer(element, "st_delay_max"));
    limits.delay = max > Duration{0} ? max : base;  // the base is cut to the maximum by whoever executes
    limits.disallowed = parse_bool(element.get("st_action_disallowed")).value_or(false);
}

}  // namespace

const DeviceOffer* PeerOffer::usable(std::string_view device, Phase phase, bool needs_on) const {
    const auto it = devices.find(std::string(device));
    if (it == devices.end()) return nullptr;
    const auto index = static_cast<std::size_t>(phase);
    const DeviceOffer& offer = it->second;
    if (offer.used[index] || offer.limits[index].disallowed || (needs_on && !offer.on_supported)) return nullptr;
    return &offer;
}

PeerOffer read_offer(std::string_view node, const xml::Node& list, std::string_view requested_action,
                     std::vector<std::string>& required) {
    PeerOffer peer;
    peer.node = node;
    for (const auto& element : list.children()) {
        if (!element->is_element() || element->id().empty()) continue;
        const std::string id(element->id());
        DeviceOffer offer;
        offer.verified = integer(*element, "st_monitor_verified") != 0;
        offer.on_supported = says_on_is_supported(element->attribute("st_device_support_flags"));
        read_limits(*element, offer.limits[static_cast<std::size_t>(Phase::kRequested)]);
        for (const auto& part : element->children()) {
            if (part->id() == "off") read_limits(*part, offer.limits[static_cast<std::size_t>(Phase::kOff)]);
            if (part->id() == "on") read_limits(*part, offer.limits[static_cast<std::size_t>(Phase::kOn)]);
        }
        const auto* on = requested_action == "on" ? element.get() : element->child("st_device_action", "on");
        if (on != nullptr && integer(*on, "st_required") != 0 && std::ranges::find(required, id) == required.end())
            required.push_back(id);
        peer.devices.insert_or_assign(id, offer);
    }
    return peer;
}

std::string Operation::current_action() const {
    if (pursuit == nullptr || pursuit->phase == Phase::kRequested) return action;
    return pursuit->phase == Phase::kOff ? "off" : "on";
}

}  // namespace systole::fencing
