#include "runtime/linux/peer_messages.h"

#include <fmt/format.h>
#include <unistd.h>

#include "wire/cpg_frame.h"
#include "xml/parse.h"
#include "xml/tree.h"
#include "xml/write.h"

namespace systole::runtime {

Result<std::string> PeerMessages::encode(const wire::Multicast& message) {
    wire::CpgFrame frame;
    frame.id = ++count_;
    frame.to.name = message.to;
    frame.from.name = self_.name;
    frame.pid = static_cast<std::uint32_t>(getpid());
    frame.type = wire::daemon_type(message.group);
    frame.text = xml::write(*message.message);
    return wire::encode_cpg(frame);
}

std::optional<wire::PeerMessage> PeerMessages::decode(wire::Group group, std::string_view bytes, NodeId sender) const {
    const auto damaged = [&](const std::string& why) {
        if (log_)
            log_(wire::Log{.severity = wire::Severity::kWarning,
                           .text = fmt::format("message of group {} from node {} dropped: {}", group_name(group),
                                               sender.value, why)});
        return std::nullopt;
    };
    auto frame = wire::decode_cpg(bytes, sender);
    if (!frame) return damaged(frame.error().what);
    if (!wire::is_for(*frame, self_)) return std::nullopt;
    auto tree = xml::parse(frame->text);
    if (!tree) return damaged(tree.error().what);
    // Who sent it is what the engine says, whatever the text claims.
    auto message = xml::Builder(**tree).set("src", frame->from.name).build();
    return wire::PeerMessage{.group = group, .from = std::move(frame->from), .message = std::move(message)};
}

}  // namespace systole::runtime
