#pragma once
// base/score.h — preferences from -INFINITY to +INFINITY.
// Source: Pacemaker Explained, "Scores" (infinity maths).
#include <algorithm>
#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace systole {

/// Sums saturate, and -INFINITY wins, even over +INFINITY.
class Score {
public:
    static constexpr int kInfinity = 1'000'000;
    constexpr explicit Score(int v = 0) : v_(std::clamp(v, -kInfinity, kInfinity)) {}
    static constexpr Score infinity() { return Score{kInfinity}; }
    static constexpr Score minus_infinity() { return Score{-kInfinity}; }
    [[nodiscard]] constexpr int value() const { return v_; }
    [[nodiscard]] constexpr bool is_infinite() const { return v_ == kInfinity || v_ == -kInfinity; }
    constexpr Score operator-() const { return Score{-v_}; }
    friend constexpr Score operator+(Score a, Score b) {
        if (std::min(a.v_, b.v_) == -kInfinity) return Score{-kInfinity};
        if (std::max(a.v_, b.v_) == kInfinity) return Score{kInfinity};
        return Score{a.v_ + b.v_};
    }
    constexpr Score& operator+=(Score other) { return *this = *this + other; }
    friend constexpr auto operator<=>(Score, Score) = default;

private:
    int v_;
};
static_assert(Score{Score::kInfinity} + Score{-Score::kInfinity} == Score{-Score::kInfinity});

/// "INFINITY", "-INFINITY" or a decimal number, as the field prints scores.
std::string to_string(Score score);

/// Reads INFINITY, +INFINITY, -INFINITY (any case) or a decimal integer with optional sign; numbers beyond infinity are
/// clamped. Empty if `text` is no score. The names red, yellow and green stand for values of cluster options and are
/// resolved by the model, which knows those.
std::optional<Score> parse_score(std::string_view text);

}  // namespace systole
