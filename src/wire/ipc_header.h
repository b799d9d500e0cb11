#pragma once
// wire/ipc_header.h — the 40-byte header of local messages, in both layouts, with compression and parts.
//
// Pacemaker 3.0.1 changed the layout without changing its version number, so the two are told apart by where the
// version byte stands: at 36 in the classic layout (2.1.x, 3.0.0), at 32 in the multipart one. What does not fit into
// the connection's buffer is compressed in the classic layout and sent in parts in the other.
//
// Invariants: decode never reads outside the chunk, never allocates more than kIpcTextMax for a message, and what it
// accepts has text without NUL bytes. encode followed by decode gives the text back.
// Source: protocol sheet ipc.md, section 5.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace systole::wire {

enum class HeaderLayout : std::uint8_t {
    kClassic,    ///< Pacemaker 2.1.x and 3.0.0: bzip2 for what is large
    kMultipart,  ///< 3.0.1 and later: several chunks
};

inline constexpr std::size_t kIpcHeaderSize = 40;
inline constexpr std::size_t kIpcBufferSize = 128 * 1024;        ///< default and minimum of a connection's buffer
inline constexpr std::size_t kIpcTextMax = 64U * 1024U * 1024U;  ///< longer messages are refused

// Flags besides kProxied and kExpectsResponse (port.h).
inline constexpr std::uint32_t kIpcCompressed = 0x1;
inline constexpr std::uint32_t kIpcEvent = 0x10000;
inline constexpr std::uint32_t kIpcServerFree = 0x20000;  ///< library-internal in Pacemaker; ignored
inline constexpr std::uint32_t kIpcProxiedResponse = 0x40000;
inline constexpr std::uint32_t kIpcMultipart = 0x80000;
inline constexpr std::uint32_t kIpcMultipartEnd = 0x100000;

struct IpcMessage {
    HeaderLayout layout{};
    std::int32_t id{};      ///< number of the request
    std::uint32_t flags{};  ///< without those of compression and parts
    std::string text;       ///< without the NUL at the end; empty if there is a fault
    std::string fault;      ///< the header is sound but the payload is not: why (answer with a protocol error)
};

/// One or more chunks to be sent in this order, each at most `buffer_size` bytes. `text` is without NUL at the end.
/// Errors: kInvalid if it does not fit even compressed, or is longer than kIpcTextMax.
Result<std::vector<std::string>> encode_ipc(HeaderLayout layout, std::int32_t id, std::uint32_t flags,
                                            std::string_view text, std::size_t buffer_size = kIpcBufferSize);

/// Puts chunks of one direction of one connection together.
class IpcDecoder {
public:
    /// The message, or nothing yet if parts are missing. Errors: kInvalid for a header that cannot be (wrong size,
    /// version, part out of order): what was collected is dropped, and the next chunk starts anew.
    Result<std::optional<IpcMessage>> on_chunk(std::string_view chunk);

private:
    struct Partial {
        IpcMessage message;
        std::uint16_t part_next{};
    };
    std::optional<Partial> partial_;
};

}  // namespace systole::wire
