#pragma once
// wire/remote_frame.h — the 40-byte frame of messages over TCP, between clusters and remote executors.
//
// A frame is written in its sender's byte order, and its first field tells which that is. We write ours, without
// compression, and read both orders, and bzip2, as an old sender may have used it.
//
// Invariants: what is not yet a whole message is bounded (kRemoteTextMax and a header); after an error the stream is
// over, as nothing says where the next frame begins; what is returned has no NUL byte in it. Feeding a stream in other
// pieces gives the same messages.
// Source: protocol sheet executor-remote.md, section 2.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace systole::wire {

inline constexpr std::size_t kRemoteHeaderSize = 40;
inline constexpr std::size_t kRemoteTextMax = 64U * 1024U * 1024U;  ///< longer messages are refused

/// `id` counts the messages of a process from 1. Errors: kInvalid if the text is longer than kRemoteTextMax.
Result<std::string> encode_remote(std::uint64_t id, std::string_view text);

/// Puts the pieces of one direction of a stream together.
class RemoteDecoder {
public:
    void feed(std::string_view bytes);
    /// The next whole message's text, or nothing yet. Errors: kInvalid for what is no frame; then there is no more.
    Result<std::optional<std::string>> next();
    /// Bytes that wait for the rest of their message.
    [[nodiscard]] std::size_t waiting() const { return buffer_.size() - used_; }

private:
    std::string buffer_;
    std::size_t used_{};  // of its beginning
    bool broken_{};
};

}  // namespace systole::wire
