#include "transition/key.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>

namespace systole::transition {
namespace {

constexpr std::size_t kUuidLength = 36;

/// Takes the number before `separator` off the front of `text`.
std::optional<int> take_number(std::string_view& text, char separator) {
    const std::size_t end = text.find(separator);
    if (end == std::string_view::npos) return std::nullopt;
    int value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + end, value);
    if (error != std::errc{} || stop != text.data() + end) return std::nullopt;
    text.remove_prefix(end + 1);
    return value;
}

}  // namespace

std::string to_string(const Key& key) {
    return fmt::format("{}:{}:{}:{}", key.action, key.transition, key.target_rc, key.uuid);
}

Result<Key> parse_key(std::string_view text) {
    std::string_view rest = text;
    const auto action = take_number(rest, ':');
    const auto transition = action ? take_number(rest, ':') : std::nullopt;
    const auto target = transition ? take_number(rest, ':') : std::nullopt;
    if (!target || rest.size() != kUuidLength)
        return fail(Errc::kInvalid, fmt::format("'{}' is not a transition key", text));
    return Key{*action, *transition, *target, std::string(rest)};
}

std::string to_string(const Magic& magic) {
    return fmt::format("{}:{};{}", static_cast<int>(magic.status), magic.rc, to_string(magic.key));
}

Result<Magic> parse_magic(std::string_view text) {
    std::string_view rest = text;
    const auto status = take_number(rest, ':');
    const auto rc = status ? take_number(rest, ';') : std::nullopt;
    if (!rc || *status < static_cast<int>(ExecStatus::kUnknown) || *status > static_cast<int>(ExecStatus::kNoSecrets))
        return fail(Errc::kInvalid, fmt::format("'{}' is not a transition magic", text));
    auto key = parse_key(rest);
    if (!key) return tl::unexpected(std::move(key.error()));
    return Magic{static_cast<ExecStatus>(*status), *rc, std::move(*key)};
}

}  // namespace systole::transition
