#pragma once
// runtime/linux/peer_messages.h — cluster messages to bytes and back, the same for every engine.
// Source: protocol sheet cpg.md, sections 3 and 4.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/log.h"
#include "wire/port.h"

namespace systole::runtime {

class PeerMessages {
public:
    PeerMessages(wire::NodeRef self, LogSink log) : self_(std::move(self)), log_(std::move(log)) {}

    /// Errors: kInvalid if it cannot be framed (the text says why).
    Result<std::string> encode(const wire::Multicast& message);
    /// Empty for a message that is for somebody else, or damaged (which is logged).
    std::optional<wire::PeerMessage> decode(wire::Group group, std::string_view bytes, NodeId sender) const;
    [[nodiscard]] const wire::NodeRef& self() const { return self_; }

private:
    wire::NodeRef self_;
    LogSink log_;
    std::uint32_t count_{};
};

}  // namespace systole::runtime
