#pragma once
// cli/local_time.h — this machine's clock and zone, for the edges that may ask.
#include <string>
#include <string_view>

#include "base/time.h"
#include "rules/iso8601.h"

namespace systole::cli {

/// The zone's offset from UTC at that time.
int local_offset_seconds(WallTime at);
rules::DateTime now();
/// "Sun Nov 22 19:15:03 2026" (local), as asctime shows times.
std::string ctime_text(WallTime at);
/// "2026-11-22 19:15:03 +01:00" (local).
std::string offset_text(WallTime at);
/// As ctime_text(), of a count of seconds as histories hold it; empty where it is no time.
std::string epoch_text(std::string_view seconds);

}  // namespace systole::cli
