// wire/wire_fuzz.cpp — bytes from local clients (first byte even) and from peers (odd) must never do more than be
// refused.
#include <cstdint>
#include <string_view>

#include "wire/cpg_frame.h"
#include "wire/ipc_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace systole;
    if (size == 0) return 0;
    const bool peer = (data[0] & 1U) != 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (peer) {
        const auto frame = wire::decode_cpg(bytes, NodeId{1});
        if (!frame) return 0;
        const auto again = wire::encode_cpg(*frame);
        SYSTOLE_ASSERT(again && wire::decode_cpg(*again, NodeId{1})->text == frame->text,
                       "a read frame can be written");
        return 0;
    }
    wire::IpcDecoder decoder;
    for (int round = 0; round < 3; ++round) {  // the state that a chunk leaves must not make the next one dangerous
        const auto message = decoder.on_chunk(bytes);
        if (message && *message) {
            const auto again =
                wire::encode_ipc((*message)->layout, (*message)->id, (*message)->flags, (*message)->text);
            SYSTOLE_ASSERT(again, "a read message can be written");
        }
    }
    return 0;
}
