#pragma once
// executor/messages.h — the lrmd vocabulary: what requests say, and the replies and notifications made for them.
// Source: protocol sheet executor-remote.md, sections 4 and 5.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "executor/agents.h"
#include "executor/operation.h"
#include "wire/port.h"
#include "xml/tree.h"

namespace systole::executor {

namespace request {
inline constexpr std::string_view kRegister = "register";
inline constexpr std::string_view kResourceRegister = "lrmd_rsc_register";
inline constexpr std::string_view kResourceUnregister = "lrmd_rsc_unregister";
inline constexpr std::string_view kResourceInfo = "lrmd_rsc_info";
inline constexpr std::string_view kExec = "lrmd_rsc_exec";
inline constexpr std::string_view kCancel = "lrmd_rsc_cancel";
inline constexpr std::string_view kPoke = "lrmd_rsc_poke";
inline constexpr std::string_view kCheck = "lrmd_check";
inline constexpr std::string_view kAlert = "lrmd_alert_exec";
inline constexpr std::string_view kGetRecurring = "lrmd_get_recurring";
inline constexpr std::string_view kProxied = "ipc_fwd";  ///< root lrmd_ipc_proxy: for remote/, here only answered
inline constexpr std::string_view kNewClient = "lrmd_rsc_new_client";  ///< notification only
}  // namespace request

/// Call options. The first is a bit here; clients of 2.1.x and ours send 3 for it, those of 3.x send 1.
inline constexpr std::uint32_t kDropRecurring = 0x1;
inline constexpr std::uint32_t kNotifyOriginatorOnly = 0x2;
inline constexpr std::uint32_t kNotifyChangesOnly = 0x4;

/// First element of that name below (or at) `root`, in document order; null if there is none.
const xml::Node* find_element(const xml::Node& root, std::string_view name);
/// A non-negative number of milliseconds; `fallback` where it is absent or unreadable.
Duration duration_of(const xml::Node& node, std::string_view attribute, Duration fallback = Duration{0});
/// Call options and other small numbers; 0 where absent or unreadable.
std::uint32_t number_of(const xml::Node& node, std::string_view attribute);
/// The attributes of a child `attributes`, and its children <param name= value=/>.
Parameters parameters_of(const xml::Node& data);

xml::Builder make_reply(int rc, std::uint32_t call_id);
/// Notification of anything but a result.
xml::Builder make_notification(std::string_view op, std::uint32_t call_id, int rc);
/// Notification of a result; `deleted`: the resource is not registered any more.
xml::NodePtr make_result(std::string_view resource, const Operation& operation, bool deleted);

}  // namespace systole::executor
