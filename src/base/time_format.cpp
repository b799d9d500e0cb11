#include "base/time_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <ctime>

namespace systole {
namespace {

constexpr std::size_t kNanoDigits = 9;

/// The length of "%N" with its digits at the beginning of `text` (which begins with '%'), and how many are wanted; 0 if
/// it is something else.
std::size_t nanoseconds_at(std::string_view text, std::size_t& digits) {
    std::size_t at = 1;
    std::size_t wanted = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
        wanted = std::min(wanted * 10 + static_cast<std::size_t>(text[at] - '0'), kNanoDigits);
        ++at;
    }
    if (at >= text.size() || text[at] != 'N') return 0;
    digits = wanted == 0 ? kNanoDigits : wanted;
    return at + 1;
}

}  // namespace

std::string format_time(std::string_view format, WallTime at, std::uint32_t micros, int offset_seconds) {
    std::string prepared;  // with %N replaced, for strftime
    while (!format.empty()) {
        const std::size_t percent = std::min(format.find('%'), format.size());
        prepared += format.substr(0, percent);
        format.remove_prefix(percent);
        if (format.empty()) break;
        std::size_t digits = 0;
        std::size_t length = nanoseconds_at(format, digits);
        if (length > 0) {
            prepared += fmt::format("{:09}", std::uint64_t{micros} * 1000).substr(0, digits);
        } else {
            length = std::min<std::size_t>(2, format.size());  // "%%" stays together
            prepared += format.substr(0, length);
        }
        format.remove_prefix(length);
    }
    if (prepared.empty()) return {};
    const std::time_t shifted = at.seconds + offset_seconds;
    std::tm broken_down{};
    gmtime_r(&shifted, &broken_down);
    broken_down.tm_gmtoff = offset_seconds;
    // strftime says "0" for an empty result as well as for one that is too long: a mark in front tells them apart.
    prepared.insert(0, 1, ' ');
    std::string text(std::max<std::size_t>(256, prepared.size() * 8), '\0');
    text.resize(std::strftime(text.data(), text.size(), prepared.c_str(), &broken_down));
    return text.empty() ? text : text.substr(1);
}

}  // namespace systole
