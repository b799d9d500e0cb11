#include "fencing/devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace systole::fencing {

bool NoCase::operator()(std::string_view a, std::string_view b) const { return compare_ignoring_case(a, b) < 0; }

long long to_seconds(Duration duration) { return (duration.count() + 999) / 1000; }

std::vector<std::string> parse_host_list(std::string_view text) {
    std::vector<std::string> hosts;
    for (const auto host : split(text, " \t\r\n,;")) hosts.emplace_back(host);
    return hosts;
}

PlugMap parse_host_map(std::string_view text) {
    PlugMap plugs;
    std::string name;
    std::string value;
    bool in_value = false;
    const auto finish = [&] {
        if (in_value && !name.empty() && !value.empty()) plugs.insert_or_assign(name, value);
        name.clear();
        value.clear();
        in_value = false;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '\\' && i + 1 < text.size()) {
            c = text[++i];
        } else if (c == ';' || c == ' ' || c == '\t' || c == '\n') {
            finish();
            continue;
        } else if (!in_value && (c == ':' || c == '=')) {
            in_value = true;
            continue;
        }
        (in_value ? value : name) += c;
    }
    finish();
    return plugs;
}

const std::string* Device::parameter(std::string_view name) const {
    const auto it = what.parameters.find(name);
    return it == what.parameters.end() ? nullptr : &it->second;
}

HostCheck Device::host_check() const {
    struct Name {
        std::string_view text;
        HostCheck check;
    };
    static constexpr std::array kNames{Name{"none", HostCheck::kNone}, Name{"static-list", HostCheck::kStaticList},
                                       Name{"dynamic-list", HostCheck::kDynamicList},
                                       Name{"status", HostCheck::kStatus}};
    if (const auto* configured = parameter("pcmk_host_check")) {
        const auto* it =
            std::ranges::find_if(kNames, [&](const Name& n) { return same_ignoring_case(n.text, *configured); });
        return it == kNames.end() ? HostCheck::kInvalid : it->check;
    }
    if (parameter("pcmk_host_list") != nullptr || parameter("pcmk_host_map") != nullptr) return HostCheck::kStaticList;
    if (traits.list && !list_failed) return HostCheck::kDynamicList;
    if (traits.status || list_failed) return HostCheck::kStatus;
    return HostCheck::kNone;
}

bool Device::lists(std::string_view host) const {
    return std::ranges::any_of(targets, [&](const std::string& t) { return same_ignoring_case(t, host); });
}

bool Device::is_watchdog() const { return what.agent == kWatchdogAgent || what.agent == kWatchdogAgentInternal; }

std::optional<Duration> Device::action_timeout(std::string_view action) const {
    const auto* text = parameter(fmt::format("pcmk_{}_timeout", base_action(action)));
    return text == nullptr ? std::nullopt : parse_interval(*text);
}

Delays Device::delays(std::string_view action, std::string_view target) const {
    Delays delays;
    if (!cuts_off(action)) return delays;
    if (const auto* max = parameter("pcmk_delay_max")) delays.max = parse_interval(*max).value_or(Duration{0});
    if (const auto* base = parameter("pcmk_delay_base")) {
        std::string_view text = trim(*base);
        if (text.find(':') != std::string_view::npos) {
            // node1:5s;node2:10s
            std::string_view mine;
            for (const auto entry : split(text, "; \t")) {
                const auto colon = entry.find(':');
                if (colon == std::string_view::npos || !same_ignoring_case(entry.substr(0, colon), target)) continue;
                mine = entry.substr(colon + 1);
                break;
            }
            text = mine;
        }
        delays.base = parse_interval(text).value_or(Duration{0});
    }
    return delays;
}

int Device::action_limit() const {
    const auto* text = parameter("pcmk_action_limit");
    const auto limit = text == nullptr ? std::nullopt : parse_integer(*text);
    // 0 would mean that the device can never be used.
    return !limit || *limit == 0 ? 1 : static_cast<int>(std::clamp<long long>(*limit, -1, 1'000'000));
}

int Device::tries(std::string_view action) const {
    const auto* text = parameter(fmt::format("pcmk_{}_retries", action));
    const auto tries = text == nullptr ? std::nullopt : parse_integer(*text);
    return tries ? static_cast<int>(std::clamp<long long>(*tries, 1, 1000)) : 2;
}

std::string Device::base_action(std::string_view action) const {
    // Before the metadata is known a reboot is taken as it is.
    if (action == "reboot" && traits_known && !traits.reboot) return "off";
    return std::string(action);
}

std::string Device::agent_action(std::string_view action) const {
    const auto* configured = parameter(fmt::format("pcmk_{}_action", action));
    return configured != nullptr && !configured->empty() ? *configured : std::string(action);
}

SupportFlags Device::support() const {
    return {.list = traits.list,
            .on = traits.on,
            .reboot = traits.reboot,
            .status = traits.status,
            .automatic_unfencing = requires_unfencing(),
            .verified = verified,
            .from_api = from_api,
            .from_cib = from_cib};
}

std::vector<std::pair<std::string, std::string>> Device::agent_input(std::string_view action,
                                                                     std::string_view target) const {
    std::vector<std::pair<std::string, std::string>> input;
    input.emplace_back("action", agent_action(action));
    std::string host_argument;
    if (!target.empty()) {
        input.emplace_back("nodename", target);
        const auto* configured = parameter("pcmk_host_argument");
        host_argument = configured != nullptr ? *configured : traits.host_argument;
        const auto* given = parameter(host_argument);
        const bool wanted = !host_argument.empty() && host_argument != "none" && host_argument != "nodename" &&
                            (given == nullptr || same_ignoring_case(*given, "dynamic"));
        if (wanted) {
            const auto plug = plugs.find(target);
            input.emplace_back(host_argument, plug == plugs.end() ? std::string(target) : plug->second);
        } else {
            host_argument.clear();
        }
    }
    for (const auto& [name, value] : what.parameters) {
        if (name == "action" || name == "nodename" || name == host_argument || name == "provides" ||
            name == "stonith-timeout" || name == "crm_feature_set" || name.starts_with("pcmk_") ||
            name.starts_with("CRM_meta_"))
            continue;
        input.emplace_back(name, value);
    }
    return input;
}

bool Device::eligible(std::string_view action, std::string_view target, std::string_view node, bool allow_self) const {
    const bool self = same_ignoring_case(target, node);
    if (traits.on_target_only.contains(action)) return self;
    return !self || allow_self;
}

bool Device::eligible_somehow(std::string_view action, std::string_view target, std::string_view node,
                              bool allow_self) const {
    if (eligible(action, target, node, allow_self)) return true;
    // On by the target itself is out of the question in the second half of a reboot: the target is off then.
    return action == "reboot" && (eligible("off", target, node, allow_self) || eligible("on", target, node, false));
}

bool DeviceTable::add(const DeviceDescription& what, Registration by) {
    auto [it, added] = devices_.try_emplace(what.id);
    Device& device = it->second;
    const bool changed = added || device.what != what;
    if (changed) {
        Device fresh;
        fresh.what = what;
        fresh.from_api = device.from_api;
        fresh.from_cib = device.from_cib;
        // A list that is not the one to go by must not be taken for a dynamic one.
        const auto* list = fresh.parameter("pcmk_host_list");
        if (list != nullptr && fresh.host_check() == HostCheck::kStaticList) fresh.targets = parse_host_list(*list);
        if (const auto* map = fresh.parameter("pcmk_host_map")) fresh.plugs = parse_host_map(*map);
        if (const auto agent = known_agents_.find(what.agent); agent != known_agents_.end()) {
            fresh.traits = agent->second;
            fresh.traits_known = true;
        }
        device = std::move(fresh);
    }
    (by == Registration::kCib ? device.from_cib : device.from_api) = true;
    return changed;
}

bool DeviceTable::remove(std::string_view id, Registration by) {
    const auto it = devices_.find(id);
    if (it == devices_.end()) return false;
    Device& device = it->second;
    if (by == Registration::kCib) {
        device.from_cib = false;
    } else {
        device.from_api = false;
        device.verified = false;  // the resource that proved the access has stopped here
    }
    if (device.from_cib || device.from_api) return false;
    devices_.erase(it);
    return true;
}

Device* DeviceTable::find(std::string_view id) {
    const auto it = devices_.find(id);
    return it == devices_.end() ? nullptr : &it->second;
}

const Device* DeviceTable::find(std::string_view id) const {
    const auto it = devices_.find(id);
    return it == devices_.end() ? nullptr : &it->second;
}

void DeviceTable::set_traits(std::string_view agent, const AgentTraits& traits) {
    known_agents_.insert_or_assign(std::string(agent), traits);
    for (auto& [id, device] : devices_) {
        if (device.what.agent != agent) continue;
        device.traits = traits;
        device.traits_known = true;
    }
}

Result<DeviceDescription> device_from_request(const xml::Node& element) {
    DeviceDescription what;
    what.id = element.id();
    what.agent = element.get("agent");
    if (what.id.empty()) return fail(Errc::kInvalid, "the fence device has no id");
    if (what.agent.empty()) return fail(Errc::kInvalid, fmt::format("fence device {} names no agent", what.id));
    what.provides_unfencing = same_ignoring_case(element.get("rsc_provides"), "unfencing");
    if (const auto* attributes = element.child("attributes")) {
        for (const auto& attribute : attributes->attributes())
            what.parameters.insert_or_assign(std::string(attribute.name.view()), std::string(attribute.value.view()));
    }
    return what;
}

}  // namespace systole::fencing
