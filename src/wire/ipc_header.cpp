#include "wire/ipc_header.h"

#include <fmt/format.h>

#include <cstring>

#include "wire/compress.h"
#include "wire/port.h"

namespace systole::wire {
namespace {

// Offsets of the header's fields; all are in native byte order.
constexpr std::size_t kIdAt = 0;
constexpr std::size_t kSizeAt = 8;
constexpr std::size_t kClassicUncompressedAt = 24;
constexpr std::size_t kClassicCompressedAt = 28;
constexpr std::size_t kClassicFlagsAt = 32;
constexpr std::size_t kClassicVersionAt = 36;
constexpr std::size_t kPartSizeAt = 24;
constexpr std::size_t kPartFlagsAt = 28;
constexpr std::size_t kPartVersionAt = 32;
constexpr std::size_t kPartNumberAt = 34;
constexpr char kVersion = 1;
constexpr std::uint32_t kTransportFlags = kIpcCompressed | kIpcMultipart | kIpcMultipartEnd;

template <class T>
T read_at(std::string_view bytes, std::size_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

template <class T>
void write_at(std::string& bytes, std::size_t offset, T value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
}

std::string begin_chunk(std::int32_t id, std::size_t payload) {
    std::string chunk;
    chunk.reserve(kIpcHeaderSize + payload);
    chunk.assign(kIpcHeaderSize, '\0');
    write_at<std::int32_t>(chunk, kIdAt, id);
    write_at<std::int32_t>(chunk, kSizeAt, static_cast<std::int32_t>(kIpcHeaderSize + payload));
    return chunk;
}

Result<std::vector<std::string>> encode_classic(std::int32_t id, std::uint32_t flags, std::string_view text,
                                                std::size_t buffer_size) {
    std::string with_nul(text);
    with_nul.push_back('\0');
    std::string_view payload = with_nul;
    std::optional<std::string> packed;
    if (kIpcHeaderSize + with_nul.size() >= buffer_size) {
        packed = compress(with_nul, buffer_size - kIpcHeaderSize);
        if (!packed)
            return fail(Errc::kInvalid, fmt::format("message of {} bytes does not fit into a buffer of {} bytes, "
                                                    "not even compressed",
                                                    text.size(), buffer_size));
        payload = *packed;
        flags |= kIpcCompressed;
    }
    std::string chunk = begin_chunk(id, payload.size());
    write_at<std::uint32_t>(chunk, kClassicUncompressedAt, static_cast<std::uint32_t>(with_nul.size()));
    write_at<std::uint32_t>(chunk, kClassicCompressedAt, packed ? static_cast<std::uint32_t>(packed->size()) : 0U);
    write_at<std::uint32_t>(chunk, kClassicFlagsAt, flags);
    chunk[kClassicVersionAt] = kVersion;
    chunk.append(payload);
    std::vector<std::string> chunks;
    chunks.push_back(std::move(chunk));
    return chunks;
}

Result<std::vector<std::string>> encode_parts(std::int32_t id, std::uint32_t flags, std::string_view text,
                                              std::size_t buffer_size) {
    const std::size_t capacity = buffer_size - kIpcHeaderSize - 1;
    const std::size_t count = text.empty() ? 1 : (text.size() + capacity - 1) / capacity;
    if (count > 0xffff)
        return fail(Errc::kInvalid, fmt::format("message of {} bytes needs more than 65535 parts", text.size()));
    std::vector<std::string> chunks;
    chunks.reserve(count);
    for (std::size_t part = 0; part < count; ++part) {
        const std::string_view piece = text.substr(part * capacity, capacity);
        std::uint32_t part_flags = flags;
        if (count > 1) part_flags |= kIpcMultipart;
        if (count > 1 && part + 1 == count) part_flags |= kIpcMultipartEnd;
        std::string chunk = begin_chunk(id, piece.size() + 1);
        write_at<std::uint32_t>(chunk, kPartSizeAt, static_cast<std::uint32_t>(piece.size() + 1));
        write_at<std::uint32_t>(chunk, kPartFlagsAt, part_flags);
        chunk[kPartVersionAt] = kVersion;
        write_at<std::uint16_t>(chunk, kPartNumberAt, static_cast<std::uint16_t>(part));
        chunk.append(piece);
        chunk.push_back('\0');
        chunks.push_back(std::move(chunk));
    }
    return chunks;
}

/// Text without its NUL, or a reason why it is none.
Result<std::string_view> text_of(std::string_view payload) {
    if (payload.empty() || payload.back() != '\0') return fail(Errc::kInvalid, "text does not end with NUL");
    payload.remove_suffix(1);
    if (payload.find('\0') != std::string_view::npos) return fail(Errc::kInvalid, "text holds a NUL");
    return payload;
}

IpcMessage decode_classic(std::string_view chunk) {
    IpcMessage message{.layout = HeaderLayout::kClassic,
                       .id = read_at<std::int32_t>(chunk, kIdAt),
                       .flags = read_at<std::uint32_t>(chunk, kClassicFlagsAt) & ~kTransportFlags,
                       .text = {},
                       .fault = {}};
    const auto uncompressed = read_at<std::uint32_t>(chunk, kClassicUncompressedAt);
    const auto compressed = read_at<std::uint32_t>(chunk, kClassicCompressedAt);
    std::string_view payload = chunk.substr(kIpcHeaderSize);
    std::optional<std::string> unpacked;
    if (uncompressed > kIpcTextMax) {
        message.fault = fmt::format("text of {} bytes is longer than {} bytes", uncompressed, kIpcTextMax);
        return message;
    }
    if (payload.size() != (compressed != 0 ? compressed : uncompressed)) {
        message.fault = fmt::format("payload has {} bytes where the header says {}", payload.size(),
                                    compressed != 0 ? compressed : uncompressed);
        return message;
    }
    if (compressed != 0) {  // what counts is the size, not the flag
        unpacked = decompress(payload, uncompressed);
        if (!unpacked) {
            message.fault = fmt::format("payload is not {} bytes compressed by bzip2", uncompressed);
            return message;
        }
        payload = *unpacked;
    }
    const auto text = text_of(payload);
    if (text)
        message.text = *text;
    else
        message.fault = text.error().what;
    return message;
}

}  // namespace

Result<std::vector<std::string>> encode_ipc(HeaderLayout layout, std::int32_t id, std::uint32_t flags,
                                            std::string_view text, std::size_t buffer_size) {
    if (text.size() >= kIpcTextMax)
        return fail(Errc::kInvalid,
                    fmt::format("message of {} bytes is longer than {} bytes", text.size(), kIpcTextMax));
    if (text.find('\0') != std::string_view::npos) return fail(Errc::kInvalid, "message holds a NUL");
    SYSTOLE_ASSERT(buffer_size > kIpcHeaderSize + 1, "a buffer must hold more than the header");
    return layout == HeaderLayout::kClassic ? encode_classic(id, flags, text, buffer_size)
                                            : encode_parts(id, flags, text, buffer_size);
}

Result<std::optional<IpcMessage>> IpcDecoder::on_chunk(std::string_view chunk) {
    std::optional<Partial> partial = std::exchange(partial_, std::nullopt);
    if (chunk.size() < kIpcHeaderSize)
        return fail(Errc::kInvalid, fmt::format("{} bytes are less than a header", chunk.size()));
    const auto size = read_at<std::int32_t>(chunk, kSizeAt);
    if (size < 0 || static_cast<std::size_t>(size) != chunk.size())
        return fail(Errc::kInvalid, fmt::format("header says {} bytes, {} came", size, chunk.size()));

    const char classic_version = chunk[kClassicVersionAt];
    if (classic_version == kVersion) {
        if (partial) return fail(Errc::kInvalid, "a classic header amid the parts of a message");
        return decode_classic(chunk);
    }
    const char version = classic_version != 0 ? classic_version : chunk[kPartVersionAt];
    if (version != kVersion)
        return fail(Errc::kInvalid, fmt::format("header version {} is not known", static_cast<unsigned char>(version)));

    const auto id = read_at<std::int32_t>(chunk, kIdAt);
    const auto flags = read_at<std::uint32_t>(chunk, kPartFlagsAt);
    const auto number = read_at<std::uint16_t>(chunk, kPartNumberAt);
    const auto text_size = read_at<std::uint32_t>(chunk, kPartSizeAt);
    const std::string_view payload = chunk.substr(kIpcHeaderSize);
    const bool multipart = (flags & kIpcMultipart) != 0;
    const bool last = !multipart || (flags & kIpcMultipartEnd) != 0;
    if (number != (partial ? partial->part_next : 0) || (partial && (!multipart || partial->message.id != id)))
        return fail(Errc::kInvalid, fmt::format("part {} of message {} is out of order", number, id));

    IpcMessage message{
        .layout = HeaderLayout::kMultipart, .id = id, .flags = flags & ~kTransportFlags, .text = {}, .fault = {}};
    if (partial) message = std::move(partial->message);
    if (message.fault.empty()) {
        const auto text = text_of(payload);
        if (text_size != payload.size())
            message.fault = fmt::format("payload has {} bytes where the header says {}", payload.size(), text_size);
        else if (!text)
            message.fault = text.error().what;
        else if (message.text.size() + text->size() > kIpcTextMax)
            message.fault = fmt::format("text is longer than {} bytes", kIpcTextMax);
        else
            message.text += *text;
    }
    if (!message.fault.empty()) message.text.clear();
    if (last) return message;
    partial_ = Partial{std::move(message), static_cast<std::uint16_t>(number + 1)};
    return std::nullopt;
}

}  // namespace systole::wire
