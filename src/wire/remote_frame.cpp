#include "wire/remote_frame.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "wire/compress.h"

namespace systole::wire {
namespace {

constexpr std::uint32_t kMagic = 0xBADADBBD;
constexpr std::uint32_t kVersion = 1;
/// Where the fields stand.
enum Offset : std::size_t {
    kEndian = 0,
    kVersionAt = 4,
    kId = 8,
    kTotal = 24,
    kPayload = 28,
    kPacked = 32,
    kPlain = 36
};

template <class T>
void put(std::string& out, std::size_t at, T value) {
    std::memcpy(out.data() + at, &value, sizeof value);
}

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

struct Header {
    std::uint32_t version, total, payload, packed, plain;
};

Result<Header> read_header(std::string_view bytes) {
    const std::uint32_t endian = number_at(bytes, kEndian);
    const bool swapped = endian == __builtin_bswap32(kMagic);
    if (!swapped && endian != kMagic)
        return fail(Errc::kInvalid, fmt::format("it begins with 0x{:08x}, which is no frame", endian));
    const auto field = [&](std::size_t at) {
        const std::uint32_t value = number_at(bytes, at);
        return swapped ? __builtin_bswap32(value) : value;
    };
    const Header header{.version = field(kVersionAt),
                        .total = field(kTotal),
                        .payload = field(kPayload),
                        .packed = field(kPacked),
                        .plain = field(kPlain)};
    if (header.version != kVersion)
        return fail(Errc::kInvalid, fmt::format("a frame of version {}, not {}", header.version, kVersion));
    if (header.payload != kRemoteHeaderSize)
        return fail(Errc::kInvalid,
                    fmt::format("a frame whose payload begins at {}, not {}", header.payload, kRemoteHeaderSize));
    const std::uint32_t sent = header.packed != 0 ? header.packed : header.plain;
    if (sent == 0 || header.plain == 0 || header.plain > kRemoteTextMax || sent > kRemoteTextMax)
        return fail(Errc::kInvalid, fmt::format("a message of {} bytes ({} as sent)", header.plain, sent));
    if (header.total != kRemoteHeaderSize + sent)
        return fail(Errc::kInvalid, fmt::format("a frame of {} bytes around {}", header.total, sent));
    return header;
}

}  // namespace

Result<std::string> encode_remote(std::uint64_t id, std::string_view text) {
    if (text.size() >= kRemoteTextMax)
        return fail(Errc::kInvalid, fmt::format("a message of {} bytes is too long", text.size()));
    const auto size = static_cast<std::uint32_t>(text.size() + 1);
    std::string frame(kRemoteHeaderSize, '\0');
    put(frame, kEndian, kMagic);
    put(frame, kVersionAt, kVersion);
    put(frame, kId, id);
    put(frame, kTotal, static_cast<std::uint32_t>(kRemoteHeaderSize + size));
    put(frame, kPayload, static_cast<std::uint32_t>(kRemoteHeaderSize));
    put(frame, kPlain, size);
    frame.reserve(kRemoteHeaderSize + size);
    frame += text;
    frame += '\0';
    return frame;
}

void RemoteDecoder::feed(std::string_view bytes) {
    if (!broken_) buffer_ += bytes;
}

Result<std::optional<std::string>> RemoteDecoder::next() {
    const auto broken = [this](std::string why) {
        broken_ = true;
        std::string().swap(buffer_);
        used_ = 0;
        return fail(Errc::kInvalid, std::move(why));
    };
    if (broken_) return fail(Errc::kInvalid, "the stream is over: a frame in it could not be read");
    const std::string_view rest = std::string_view(buffer_).substr(used_);
    if (rest.size() < kRemoteHeaderSize) return std::nullopt;
    const auto header = read_header(rest);
    if (!header) return broken(header.error().what);
    if (rest.size() < header->total) return std::nullopt;
    const std::string_view payload = rest.substr(kRemoteHeaderSize, header->total - kRemoteHeaderSize);
    std::string text;
    if (header->packed != 0) {
        auto plain = decompress(payload, header->plain);
        if (!plain) return broken(fmt::format("{} bytes do not unpack to {}", payload.size(), header->plain));
        text = std::move(*plain);
    } else {
        text = payload;
    }
    if (text.find('\0') != text.size() - 1) return broken("a text that does not end with its only NUL byte");
    text.pop_back();
    used_ += header->total;
    // The memory of a long message is given back, and what is left is moved only when that is little.
    if (used_ == buffer_.size()) {
        std::string().swap(buffer_);
        used_ = 0;
    } else if (used_ > buffer_.size() / 2) {
        buffer_ = buffer_.substr(used_);
        used_ = 0;
    }
    return text;
}

}  // namespace systole::wire
