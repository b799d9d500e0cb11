#include "base/score.h"

#include <charconv>

#include "base/text.h"

namespace systole {

std::string to_string(Score score) {
    if (score == Score::infinity()) return "INFINITY";
    if (score == Score::minus_infinity()) return "-INFINITY";
    return std::to_string(score.value());
}

std::optional<Score> parse_score(std::string_view text) {
    const std::string_view trimmed = trim(text);
    if (same_ignoring_case(trimmed, "INFINITY") || same_ignoring_case(trimmed, "+INFINITY")) return Score::infinity();
    if (same_ignoring_case(trimmed, "-INFINITY")) return Score::minus_infinity();
    std::string_view digits = trimmed;
    const bool negative = digits.starts_with('-');
    if (negative || digits.starts_with('+')) digits.remove_prefix(1);
    if (digits.empty()) return std::nullopt;
    long long value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.front() == '-' || end != digits.data() + digits.size()) return std::nullopt;
    if (error == std::errc::result_out_of_range || value > Score::kInfinity) value = Score::kInfinity;
    return Score{static_cast<int>(negative ? -value : value)};
}

}  // namespace systole
