#pragma once
// sim/random.h — the one source of chance of a simulated run: the same seed gives the same run, on every build.
// (SplitMix64 by Steele, Lea and Flood; the standard library's distributions differ between implementations.)
#include <cstdint>

#include "base/time.h"

namespace systole::sim {

class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    /// A number from `low` to `high`, both included.
    std::int64_t between(std::int64_t low, std::int64_t high) {
        return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1));
    }
    Duration between(Duration low, Duration high) { return Duration{between(low.count(), high.count())}; }
    /// True in `percent` of a hundred cases.
    bool chance(int percent) { return between(1, 100) <= percent; }
    /// An independent source; drawing from it does not disturb this one.
    Random fork() { return Random(next()); }

private:
    std::uint64_t state_;
};

}  // namespace systole::sim
