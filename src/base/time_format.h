#pragma once
// base/time_format.h — a moment as text by a format of date(1).
#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace systole {

/// `at` (with `micros` into its second) in the local time that is `offset_seconds` east of UTC, by a format as date(1)
/// and strftime know it, in the C locale; "%N" is nanoseconds in nine digits, and "%3N" or "%03N" the first three of
/// them.
std::string format_time(std::string_view format, WallTime at, std::uint32_t micros = 0, int offset_seconds = 0);

}  // namespace systole
