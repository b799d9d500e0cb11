#pragma once
// wire/cpg_frame.h — the frame around a message between cluster nodes (592 bytes and the text).
//
// Invariants: decode never reads outside the bytes nor allocates more than kCpgTextMax; a frame that breaks one of the
// rules is refused as a whole. encode followed by decode gives the same frame.
// Source: protocol sheet cpg.md, section 3.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/port.h"

namespace systole::wire {

inline constexpr std::size_t kCpgHeaderSize = 592;
inline constexpr std::size_t kCpgCompressFrom = 128 * 1024;  ///< texts (with NUL) from this size on are compressed
inline constexpr std::size_t kCpgTextMax = 64U * 1024U * 1024U;
inline constexpr std::size_t kCpgNameMax = 255;

struct CpgFrame {
    std::uint32_t id{};  ///< the sender's counter, from 1
    NodeRef to;          ///< id 0: any node; name empty: all nodes
    NodeRef from;        ///< id 0 on the wire: the receiver knows it from CPG
    std::uint32_t pid{};
    std::uint32_t type{};  ///< number of the daemon, informational
    std::string text;      ///< XML without the NUL at the end
};

/// The number that Pacemaker 2.1 gives to the daemon behind a group.
std::uint32_t daemon_type(Group group);

/// Errors: kInvalid for an empty or too long text, a text with a NUL, or a name of more than kCpgNameMax bytes.
Result<std::string> encode_cpg(const CpgFrame& frame);

/// `sender` is the node that CPG says it came from; it is filled in as from.id.
/// Errors: kInvalid for whatever breaks the sanity rules (the text says which), kDenied if the frame claims to come
/// from another node.
Result<CpgFrame> decode_cpg(std::string_view bytes, NodeId sender);

/// True unless the frame is directed to another node (by id, or by name without regard to case).
bool is_for(const CpgFrame& frame, const NodeRef& self);

}  // namespace systole::wire
