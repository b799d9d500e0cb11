#include "wire/cpg_frame.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>

#include "base/text.h"
#include "wire/compress.h"

namespace systole::wire {
namespace {

// Offsets of the frame's fields; packed, native byte order.
constexpr std::size_t kClassAt = 0;
constexpr std::size_t kSizeAt = 8;
constexpr std::size_t kErrorAt = 16;
constexpr std::size_t kIdAt = 24;
constexpr std::size_t kIsCompressedAt = 28;
constexpr std::size_t kHostAt = 32;
constexpr std::size_t kSenderAt = 308;
constexpr std::size_t kTextSizeAt = 584;
constexpr std::size_t kCompressedSizeAt = 588;
// ... and those within the host and sender blocks.
constexpr std::size_t kAddressIdAt = 0;
constexpr std::size_t kAddressPidAt = 4;
constexpr std::size_t kAddressTypeAt = 12;
constexpr std::size_t kAddressSizeAt = 16;
constexpr std::size_t kAddressNameAt = 20;

constexpr std::uint32_t kClusterMessage = 0;
constexpr std::uint32_t kOk = 1;

std::uint32_t read_at(std::string_view bytes, std::size_t offset) {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

void write_at(std::string& bytes, std::size_t offset, std::uint32_t value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
}

void write_address(std::string& bytes, std::size_t offset, const NodeRef& node, std::uint32_t pid, std::uint32_t type) {
    write_at(bytes, offset + kAddressIdAt, node.id.value);
    write_at(bytes, offset + kAddressPidAt, pid);
    write_at(bytes, offset + kAddressTypeAt, type);
    write_at(bytes, offset + kAddressSizeAt, static_cast<std::uint32_t>(node.name.size()));
    bytes.replace(offset + kAddressNameAt, node.name.size(), node.name);
}

Result<NodeRef> read_address(std::string_view bytes, std::size_t offset, std::string_view what) {
    const std::uint32_t size = read_at(bytes, offset + kAddressSizeAt);
    if (size > kCpgNameMax)
        return fail(Errc::kInvalid, fmt::format("name of the {} has {} bytes, more than {}", what, size, kCpgNameMax));
    const std::string_view name = bytes.substr(offset + kAddressNameAt, size);
    if (name.find('\0') != std::string_view::npos)
        return fail(Errc::kInvalid, fmt::format("name of the {} holds a NUL", what));
    return NodeRef{NodeId{read_at(bytes, offset + kAddressIdAt)}, std::string(name)};
}

}  // namespace

std::uint32_t daemon_type(Group group) {
    switch (group) {
        case Group::kCib: return 3;
        case Group::kController: return 4;
        case Group::kAttributes: return 5;
        case Group::kFencing: return 9;
    }
    return 0;
}

Result<std::string> encode_cpg(const CpgFrame& frame) {
    if (frame.text.empty()) return fail(Errc::kInvalid, "an empty text cannot be sent");
    if (frame.text.size() >= kCpgTextMax)
        return fail(Errc::kInvalid, fmt::format("text of {} bytes is longer than {}", frame.text.size(), kCpgTextMax));
    if (frame.text.find('\0') != std::string::npos) return fail(Errc::kInvalid, "text holds a NUL");
    for (const std::string* name : {&frame.to.name, &frame.from.name})
        if (name->size() > kCpgNameMax)
            return fail(Errc::kInvalid, fmt::format("node name '{}' is longer than {} bytes", *name, kCpgNameMax));

    std::string text = frame.text;
    text.push_back('\0');
    std::optional<std::string> packed;
    // What does not get smaller is sent plain.
    if (text.size() >= kCpgCompressFrom) packed = compress(text, text.size() - 1);
    const std::string& payload = packed ? *packed : text;

    std::string bytes;
    bytes.reserve(kCpgHeaderSize + payload.size());
    bytes.assign(kCpgHeaderSize, '\0');
    write_at(bytes, kClassAt, kClusterMessage);
    write_at(bytes, kSizeAt, static_cast<std::uint32_t>(kCpgHeaderSize + payload.size()));
    write_at(bytes, kErrorAt, kOk);
    write_at(bytes, kIdAt, frame.id);
    write_at(bytes, kIsCompressedAt, packed ? 1U : 0U);
    write_address(bytes, kHostAt, frame.to, 0, frame.type);
    write_address(bytes, kSenderAt, frame.from, frame.pid, frame.type);
    write_at(bytes, kTextSizeAt, static_cast<std::uint32_t>(text.size()));
    write_at(bytes, kCompressedSizeAt, packed ? static_cast<std::uint32_t>(packed->size()) : 0U);
    bytes += payload;
    return bytes;
}

Result<CpgFrame> decode_cpg(std::string_view bytes, NodeId sender) {
    if (bytes.size() <= kCpgHeaderSize)
        return fail(Errc::kInvalid, fmt::format("{} bytes are too few for a frame", bytes.size()));
    if (const auto message_class = read_at(bytes, kClassAt); message_class != kClusterMessage)
        return fail(Errc::kInvalid, fmt::format("message class {} is not known", message_class));
    if (const auto size = read_at(bytes, kSizeAt); size != bytes.size())
        return fail(Errc::kInvalid, fmt::format("frame says {} bytes, {} came", size, bytes.size()));
    if (const auto error = read_at(bytes, kErrorAt); error != kOk)
        return fail(Errc::kInvalid, fmt::format("frame carries error {}", error));

    CpgFrame frame;
    frame.id = read_at(bytes, kIdAt);
    frame.pid = read_at(bytes, kSenderAt + kAddressPidAt);
    frame.type = read_at(bytes, kSenderAt + kAddressTypeAt);
    auto to = read_address(bytes, kHostAt, "destination");
    if (!to) return tl::unexpected(to.error());
    auto from = read_address(bytes, kSenderAt, "sender");
    if (!from) return tl::unexpected(from.error());
    frame.to = std::move(*to);
    frame.from = std::move(*from);
    if (frame.from.id.value != 0 && frame.from.id != sender)
        return fail(Errc::kDenied, fmt::format("frame from node {} says that it comes from node {}", sender.value,
                                               frame.from.id.value));
    frame.from.id = sender;

    const bool is_compressed = read_at(bytes, kIsCompressedAt) != 0;
    const auto text_size = read_at(bytes, kTextSizeAt);
    const auto payload_size = is_compressed ? read_at(bytes, kCompressedSizeAt) : text_size;
    std::string_view payload = bytes.substr(kCpgHeaderSize);
    if (payload.size() != payload_size)
        return fail(Errc::kInvalid,
                    fmt::format("payload has {} bytes where the frame says {}", payload.size(), payload_size));
    std::optional<std::string> unpacked;
    if (is_compressed) {
        if (text_size > kCpgTextMax)
            return fail(Errc::kInvalid, fmt::format("text of {} bytes is longer than {}", text_size, kCpgTextMax));
        unpacked = decompress(payload, text_size);
        if (!unpacked)
            return fail(Errc::kInvalid, fmt::format("payload is not {} bytes compressed by bzip2", text_size));
        payload = *unpacked;
    }
    if (payload.size() < 2 || payload.back() != '\0')
        return fail(Errc::kInvalid, "text is empty or does not end with NUL");
    payload.remove_suffix(1);
    if (payload.find('\0') != std::string_view::npos) return fail(Errc::kInvalid, "text holds a NUL");
    frame.text = payload;
    return frame;
}

bool is_for(const CpgFrame& frame, const NodeRef& self) {
    if (frame.to.id.value != 0 && frame.to.id != self.id) return false;
    return frame.to.name.empty() || same_ignoring_case(frame.to.name, self.name);
}

}  // namespace systole::wire
