#pragma once
// fencing/messages.h — the fencer's vocabulary: names, options, results as XML, replies, capability flags.
//
// Content of a message is found by its attributes wherever it stands, never by element names: those differ between
// releases of Pacemaker.
// Source: protocol sheet fencer.md, sections 1, 2 and 4.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fencing/fencer.h"
#include "xml/tree.h"

namespace systole::fencing {

/// Values of st_callopt.
namespace option {
inline constexpr std::uint32_t kAllowSelf = 0x2;
inline constexpr std::uint32_t kManualAck = 0x8;
inline constexpr std::uint32_t kDiscardReply = 0x10;
inline constexpr std::uint32_t kTopology = 0x40;
inline constexpr std::uint32_t kNodeId = 0x200;
inline constexpr std::uint32_t kSync = 0x1000;
inline constexpr std::uint32_t kCleanup = 0x80000;
inline constexpr std::uint32_t kBroadcast = 0x100000;
}  // namespace option

inline constexpr std::string_view kService = "stonith-ng";
/// Ours alone, in a peer's st_fence: agents are started only with quorum (FenceRequest::needs_quorum).
inline constexpr std::string_view kNeedsQuorum = "st_needs_quorum";
inline constexpr std::string_view kQuorumLost = "Quorum was lost";
inline constexpr std::string_view kWatchdogDevice = "watchdog";
inline constexpr std::string_view kWatchdogAgent = "fence_watchdog";
inline constexpr std::string_view kWatchdogAgentInternal = "fence_watchdog_internal";

/// First element, the root included, in document order that has the attribute or has the name; null if there is none.
const xml::Node* find_with_attribute(const xml::Node& root, std::string_view attribute);
const xml::Node* find_element(const xml::Node& root, std::string_view name);

/// Decimal attribute; `fallback` if absent or unreadable.
long long integer(const xml::Node& node, std::string_view attribute, long long fallback = 0);
std::uint32_t call_options(const xml::Node& message);

/// op-status, rc-code, exit-reason, st_output and st_rc, as all replies carry them.
void set_outcome(xml::Builder& element, const Outcome& outcome);
/// Reads them. A peer before 2.1.3 gives only st_rc, which is translated; with neither, an error that says so.
Outcome outcome_of(const xml::Node& element);

/// Outcomes that need no more words.
Outcome done();
Outcome failed(ExecStatus status, std::string reason = {}, int exit_code = 1);
Outcome refused(ExitCode code, std::string reason);

/// The skeleton of a reply: what a requester recognises its request by is copied from `request` (which may be null).
xml::NodePtr make_reply(const xml::Node* request, const Outcome& outcome, xml::NodePtr data = {});
/// `<stonith_command t="stonith-ng" st_op=...>`
xml::Builder make_command(std::string_view operation);
/// `<notify t="st_notify" subt=TYPE st_op=TYPE ...><st_calldata>data</st_calldata></notify>`
xml::NodePtr make_notification(std::string_view type, const Outcome& outcome, xml::NodePtr data);

/// reboot or off (actions that may be delayed, and that cut the node off).
bool cuts_off(std::string_view action);

/// What an agent can do and a device is, as st_device_support_flags tells it. Pacemaker renumbered the flags in 3.0.1;
/// every device that a 3.0.1 fencer tells of has one of the bits 0x40, 0x80, 0x100, which no earlier one knows.
struct SupportFlags {
    bool list = false, on = false, reboot = false, status = false, automatic_unfencing = false;
    bool verified = false, from_api = false, from_cib = false;
};
/// In the new numbering; 0x20 (verified there, "on" in the old one) is set if and only if "on" is supported, so that an
/// owner of either kind reads "on" right. Whether a device is verified has its own attribute.
std::uint32_t encode_support(const SupportFlags& flags);
/// Does the attribute's value say that "on" is supported? Absent means yes.
bool says_on_is_supported(std::optional<std::string_view> value);

}  // namespace systole::fencing
