#pragma once
// base/md5.h — the digest of the CIB, its files and operation parameters. Not for security: peers compare it.
#include <string>
#include <string_view>

namespace systole {

/// 32 lower-case hexadecimal digits.
std::string md5_hex(std::string_view bytes);

}  // namespace systole
