#include "runtime/linux/uuid.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>

namespace systole::runtime {

std::string make_uuid() {
    std::array<unsigned char, 16> b{};
    [[maybe_unused]] const auto n = getrandom(b.data(), b.size(), 0);
    b[6] = static_cast<unsigned char>((b[6] & 0x0fU) | 0x40U);
    b[8] = static_cast<unsigned char>((b[8] & 0x3fU) | 0x80U);
    std::string text;
    for (std::size_t i = 0; i < b.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += fmt::format("{:02x}", b[i]);
    }
    return text;
}

}  // namespace systole::runtime
