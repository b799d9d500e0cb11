#pragma once
// base/text.h — small questions about text that several rooms ask alike.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace systole {

/// ASCII case is ignored; no locale.
bool same_ignoring_case(std::string_view a, std::string_view b);
/// <0, 0, >0 as strcasecmp in the C locale.
int compare_ignoring_case(std::string_view a, std::string_view b);
std::string to_lower(std::string_view text);
std::string_view trim(std::string_view text);

/// true: true, on, yes, y, 1; false: false, off, no, n, 0 (any case). Empty otherwise.
/// Source: Pacemaker Explained, "Boolean".
std::optional<bool> parse_bool(std::string_view text);
/// A decimal integer with optional sign, surrounded by blanks at most.
std::optional<long long> parse_integer(std::string_view text);
/// What longer intervals count as: far beyond any real one, and sums of some are safe from overflow.
inline constexpr Duration kLongestInterval{1LL << 52};
/// A number followed by an optional unit: ms, msec, us, usec, s, sec, m, min, h, hr; no unit means seconds.
/// Blanks may surround number and unit. Negative or unreadable text is empty. Results are whole milliseconds, at most
/// kLongestInterval. (ISO 8601 durations such as PT5M are understood one level up, in rules/.) Source: Pacemaker
/// Explained, "Duration / interval specification".
std::optional<Duration> parse_interval(std::string_view text);

/// For people: "2m59.014s", "142ms", "0s"; units that would be 0 are left out.
std::string readable_duration(Duration duration);

/// Pieces between separators; empty pieces are left out.
std::vector<std::string_view> split(std::string_view text, std::string_view separators);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

/// Characters other than letters, digits, '_', '-' and '.' become '.', so that the text can be (part of) an XML id.
std::string xml_id(std::string_view text);

}  // namespace systole
