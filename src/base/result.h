#pragma once
// base/result.h — expected failures are values; broken promises of our own stop the daemon.
#include <cstdint>
#include <string>
#include <tl/expected.hpp>

namespace systole {

/// What a caller can branch on; a new code only if some caller would.
enum class Errc : std::uint8_t {
    kInvalid,      ///< malformed or out of range
    kNotFound,     ///< no such object
    kExists,       ///< already there
    kStale,        ///< older than what is live
    kDenied,       ///< the requester has no right to it
    kUnreachable,  ///< nobody answers there
    kCorrupt,      ///< stored data is damaged
    kIo,           ///< the operating system refused
};

struct Error {
    Errc code;
    std::string what;  ///< what a person reads: names the object and the offending value
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Errc code, std::string what) {
    return tl::unexpected<Error>(Error{code, std::move(what)});
}

/// Prints the broken promise with its place and aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* why, const char* file, int line);

}  // namespace systole

/// Stays in release builds: a daemon that dies is respawned, one that lies is not.
#define SYSTOLE_ASSERT(condition, why) \
    (static_cast<bool>(condition) ? void(0) : ::systole::assertion_failed(#condition, why, __FILE__, __LINE__))
