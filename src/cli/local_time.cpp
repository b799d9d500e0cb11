#include "cli/local_time.h"

#include <array>
#include <ctime>

#include "base/text.h"

namespace systole::cli {

int local_offset_seconds(WallTime at) {
    const std::time_t seconds = at.seconds;
    std::tm local{};
    if (localtime_r(&seconds, &local) == nullptr) return 0;
    return static_cast<int>(local.tm_gmtoff);
}

rules::DateTime now() {
    const WallTime wall{std::time(nullptr)};
    return {wall, local_offset_seconds(wall)};
}

std::string ctime_text(WallTime at) {
    const std::time_t seconds = at.seconds;
    std::tm local{};
    std::array<char, 64> text{};
    if (localtime_r(&seconds, &local) == nullptr) return {};
    std::strftime(text.data(), text.size(), "%a %b %e %H:%M:%S %Y", &local);
    return text.data();
}

std::string offset_text(WallTime at) {
    return to_string(rules::DateTime(at, local_offset_seconds(at)), {.with_offset = true});
}

std::string epoch_text(std::string_view seconds) {
    const auto value = parse_integer(seconds);
    return value && *value > 0 ? ctime_text(WallTime{*value}) : std::string();
}

}  // namespace systole::cli
