#pragma once
// base/time.h — clocks without a now(): logic is handed the time, it never asks.
#include <chrono>
#include <cstdint>

namespace systole {

/// Monotonic time: for timers and durations. Never written to the CIB.
struct Monotonic {
    using duration = std::chrono::milliseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<Monotonic>;
    static constexpr bool is_steady = true;
};
using Duration = Monotonic::duration;
using Instant = Monotonic::time_point;

/// Wall-clock time in whole seconds since the Unix epoch: for what people and other nodes read.
struct WallTime {
    std::int64_t seconds{};
    auto operator<=>(const WallTime&) const = default;
};

/// Both clocks at one moment, as the runtime (or the simulation) hands them to a core with each input.
struct Now {
    Instant mono{};
    WallTime wall{};
    std::uint32_t micros{};  ///< into the second of `wall`
};

}  // namespace systole
