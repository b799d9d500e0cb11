#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace systole {
namespace {

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr bool blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

int compare_ignoring_case(std::string_view a, std::string_view b) {
    const std::size_t shorter = std::min(a.size(), b.size());
    for (std::size_t i = 0; i < shorter; ++i) {
        const int difference = static_cast<unsigned char>(lower(a[i])) - static_cast<unsigned char>(lower(b[i]));
        if (difference != 0) return difference;
    }
    if (a.size() == b.size()) return 0;
    return a.size() < b.size() ? -1 : 1;
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() && compare_ignoring_case(a, b) == 0;
}

std::string to_lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), lower);
    return out;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
}

std::optional<bool> parse_bool(std::string_view text) {
    for (const std::string_view yes : {"true", "on", "yes", "y", "1"})
        if (same_ignoring_case(text, yes)) return true;
    for (const std::string_view no : {"false", "off", "no", "n", "0"})
        if (same_ignoring_case(text, no)) return false;
    return std::nullopt;
}

std::optional<long long> parse_integer(std::string_view text) {
    text = trim(text);
    if (text.starts_with('+')) {
        text.remove_prefix(1);
        if (text.starts_with('-')) return std::nullopt;
    }
    long long value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<Duration> parse_interval(std::string_view text) {
    struct Unit {
        std::string_view name;
        long long numerator;
        long long denominator;
    };
    static constexpr std::array kUnits{Unit{"", 1000, 1},      Unit{"s", 1000, 1},     Unit{"sec", 1000, 1},
                                       Unit{"ms", 1, 1},       Unit{"msec", 1, 1},     Unit{"us", 1, 1000},
                                       Unit{"usec", 1, 1000},  Unit{"m", 60'000, 1},   Unit{"min", 60'000, 1},
                                       Unit{"h", 3600'000, 1}, Unit{"hr", 3600'000, 1}};
    text = trim(text);
    if (text.starts_with('+')) text.remove_prefix(1);
    long long number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || number < 0) return std::nullopt;
    const std::string_view unit = trim(text.substr(static_cast<std::size_t>(end - text.data())));
    const auto* found = std::ranges::find_if(kUnits, [&](const Unit& u) { return same_ignoring_case(u.name, unit); });
    if (found == kUnits.end()) return std::nullopt;
    if (number > kLongestInterval.count() / found->numerator) return kLongestInterval;
    return Duration{number * found->numerator / found->denominator};
}

std::string readable_duration(Duration duration) {
    const long long ms = duration.count();
    if (ms == 0) return "0s";
    if (ms < 1000) return fmt::format("{}ms", ms);
    const long long seconds = ms / 1000;
    std::string text;
    if (seconds >= 86'400) text += fmt::format("{}d", seconds / 86'400);
    if (seconds >= 3600 && seconds / 3600 % 24 != 0) text += fmt::format("{}h", seconds / 3600 % 24);
    if (seconds >= 60 && seconds / 60 % 60 != 0) text += fmt::format("{}m", seconds / 60 % 60);
    if (ms % 1000 != 0) {
        text += fmt::format("{}.{:03}s", seconds % 60, ms % 1000);
    } else if (seconds % 60 != 0) {
        text += fmt::format("{}s", seconds % 60);
    }
    return text;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of(separators), text.size());
        if (end > 0) parts.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
    std::string out;
    for (const std::string& part : parts) {
        if (&part != &parts.front()) out += separator;
        out += part;
    }
    return out;
}

std::string xml_id(std::string_view text) {
    std::string out(text);
    std::ranges::replace_if(
        out,
        [](char c) {
            const char l = lower(c);
            return !((l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.');
        },
        '.');
    return out;
}

}  // namespace systole
