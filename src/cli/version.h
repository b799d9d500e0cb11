#pragma once
// cli/version.h — what commands say about themselves.
#include <string_view>

namespace systole::cli {

/// The release whose commands these take the place of: scripts compare it.
inline constexpr std::string_view kPacemakerVersion = "3.0.2";
/// Of the XML output's schema.
inline constexpr std::string_view kApiVersion = "2.42";
inline constexpr std::string_view kSystoleVersion = "0.1.0";

}  // namespace systole::cli
