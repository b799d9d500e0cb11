// wire/remote_fuzz.cpp — bytes from a TCP peer must never do more than be refused, whatever the pieces they come in.
#include <cstdint>
#include <string_view>
#include <vector>

#include "wire/remote_frame.h"

namespace {

std::vector<std::string> messages(std::string_view bytes, std::size_t piece, bool& broken) {
    systole::wire::RemoteDecoder decoder;
    std::vector<std::string> all;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        decoder.feed(bytes.substr(at, piece));
        for (;;) {
            auto text = decoder.next();
            broken = !text;
            if (!text || !*text) break;
            all.push_back(std::move(**text));
        }
    }
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace systole;
    if (size == 0) return 0;
    const std::size_t piece = std::size_t{data[0]} + 1;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    bool broken = false;
    bool broken_whole = false;
    const auto in_pieces = messages(bytes, piece, broken);
    const auto at_once = messages(bytes, bytes.size() + 1, broken_whole);
    SYSTOLE_ASSERT(in_pieces == at_once && broken == broken_whole, "pieces make no difference");
    for (const auto& text : in_pieces) {
        const auto frame = wire::encode_remote(1, text);
        SYSTOLE_ASSERT(frame, "a read message can be written");
        bool again_broken = false;
        const auto again = messages(*frame, 7, again_broken);
        SYSTOLE_ASSERT(!again_broken && again.size() == 1 && again[0] == text, "and read again");
    }
    return 0;
}
