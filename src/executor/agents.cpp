#include "executor/agents.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace systole::executor {

std::string to_string(const AgentName& agent) {
    return agent.provider.empty() ? fmt::format("{}:{}", agent.standard, agent.type)
                                  : fmt::format("{}:{}:{}", agent.standard, agent.provider, agent.type);
}

std::string ocf_path(std::string_view ocf_root, const AgentName& agent) {
    return fmt::format("{}/resource.d/{}/{}", ocf_root, agent.provider, agent.type);
}

Parameters ocf_environment(std::string_view ocf_root, const AgentName& agent, std::string_view resource,
                           const Parameters& parameters) {
    Parameters environment{{"OCF_RA_VERSION_MAJOR", "1"},
                           {"OCF_RA_VERSION_MINOR", "1"},
                           {"OCF_ROOT", std::string(ocf_root)},
                           {"OCF_EXIT_REASON_PREFIX", "ocf-exit-reason:"},
                           {"OCF_RESOURCE_INSTANCE", std::string(resource)},
                           {"OCF_RESOURCE_TYPE", agent.type},
                           {"OCF_RESOURCE_PROVIDER", agent.provider}};
    environment.reserve(environment.size() + parameters.size());
    for (const auto& [name, value] : parameters) environment.emplace_back("OCF_RESKEY_" + name, value);
    return environment;
}

int ocf_result(int exit_code) {
    const bool known = (exit_code >= 0 && exit_code <= 9) || exit_code == 190 || exit_code == 191;
    return known ? exit_code : 1;
}

std::string ocf_exit_reason(std::string_view error_output) {
    constexpr std::string_view kPrefix = "ocf-exit-reason:";
    const auto at = error_output.rfind(kPrefix);
    if (at == std::string_view::npos) return {};
    const auto rest = error_output.substr(at + kPrefix.size());
    return std::string(rest.substr(0, rest.find('\n')));
}

std::string lsb_path(std::string_view lsb_root, std::string_view type) {
    return type.starts_with('/') ? std::string(type) : fmt::format("{}/{}", lsb_root, type);
}

std::string_view lsb_action(std::string_view action) { return action == "monitor" ? "status" : action; }

int lsb_result(std::string_view action, int exit_code) {
    if (lsb_action(action) == "status") {
        switch (exit_code) {
            case 0: return 0;
            case 1: return 1;
            case 2: return 2;
            case 3: return 7;    // stopped
            case 150: return 5;  // reserved for applications: not installed
            case 151: return 4;  // likewise: not permitted
            default: return 1;
        }
    }
    return exit_code >= 0 && exit_code <= 7 ? exit_code : 1;
}

std::string systemd_unit(std::string_view type) {
    constexpr std::array<std::string_view, 5> kSuffixes{".service", ".socket", ".mount", ".timer", ".path"};
    const bool complete = std::ranges::any_of(kSuffixes, [&](auto suffix) { return type.ends_with(suffix); });
    return complete ? std::string(type) : std::string(type) + ".service";
}

std::string_view agent_kind(std::string_view standard) {
    if (standard == "stonith") return "Fence agent";
    if (standard == "alert") return "Alert agent";
    return "Resource agent";
}

std::string readable_interval(Duration interval) {
    const auto ms = interval.count();
    if (ms <= 0) return "0s";
    constexpr std::int64_t kSecond = 1000, kMinute = 60 * kSecond, kHour = 60 * kMinute, kDay = 24 * kHour;
    std::string text;
    if (ms >= kDay) text += fmt::format("{}d", ms / kDay);
    if (ms % kDay >= kHour) text += fmt::format("{}h", ms % kDay / kHour);
    if (ms % kHour >= kMinute) text += fmt::format("{}m", ms % kHour / kMinute);
    const auto rest = ms % kMinute;
    if (rest % kSecond != 0) {
        text += fmt::format("{}.{:03}s", rest / kSecond, rest % kSecond);
    } else if (rest != 0) {
        text += fmt::format("{}s", rest / kSecond);
    }
    return text;
}

std::string timeout_reason(std::string_view standard, Duration timeout) {
    return fmt::format("{} did not complete within {}", agent_kind(standard), readable_interval(timeout));
}

namespace {

/// Length of the valid UTF-8 sequence at the front of `bytes` that XML 1.0 allows; 0 if there is none.
std::size_t xml_character(std::string_view bytes) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return first >= 0x20 || first == '\t' || first == '\n' || first == '\r' ? 1 : 0;
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || bytes.size() < length) return 0;
    std::uint32_t code = first & (0xffU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0U) != 0x80U) return 0;
        code = code << 6U | (byte(i) & 0x3fU);
    }
    constexpr std::array<std::uint32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < kSmallest[length] || code > 0x10ffff || surrogate || code == 0xfffe || code == 0xffff ? 0 : length;
}

}  // namespace

std::string printable(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size());
    while (!bytes.empty()) {
        const auto length = xml_character(bytes);
        if (length == 0) {
            text += '?';
            bytes.remove_prefix(1);
        } else {
            text += bytes.substr(0, length);
            bytes.remove_prefix(length);
        }
    }
    return text;
}

}  // namespace systole::executor
