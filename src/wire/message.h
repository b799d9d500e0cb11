#pragma once
// wire/message.h — the common envelope of controller, pacemakerd, scheduler and election messages.
//
// Receivers never look at the root element's name (2.1.5 writes function names there); they look at crm_task, subt and
// the two subsystems. A reply is recognised by the reference of its request.
// Source: protocol sheet ipc.md, section 10; controller.md, sections 3 to 7.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "xml/tree.h"

namespace systole::wire {

/// The feature set that this implementation speaks when nobody older is in the cluster.
inline constexpr std::string_view kFeatureSet = "3.20.5";

/// <0, 0, >0: compares "3.16.1"-style versions number by number; a missing part counts as 0.
int compare_versions(std::string_view a, std::string_view b);
/// Controller rule of the join: majors equal, the joiner's minor not below the DC's.
/// Source: controller.md, section 4.
bool feature_sets_compatible(std::string_view dc, std::string_view joiner);

/// What a sender fills in. Empty fields are left out.
struct Envelope {
    std::string_view origin{};  ///< informational
    std::string_view type = "crmd";
    std::string_view task{};
    std::string_view to_system = "crmd";
    std::string_view from_system = "crmd";
    std::string_view to_host{};
    std::string_view reference{};
    std::string_view user{};
    std::string_view version = kFeatureSet;
    bool response = false;
};

/// "<task>-<system>-<epoch seconds>-<counter>"
std::string make_reference(std::string_view task, std::string_view system, WallTime now, std::uint64_t counter);

/// A message as a builder, so that root attributes (join_id, election-id, ...) can be added. `data` goes into crm_xml.
xml::Builder make_message(const Envelope& envelope, xml::NodePtr data = {});

/// The reply to `request`: systems swapped, host from its src, same task and reference.
xml::Builder make_reply(const xml::Node& request, std::string_view origin, xml::NodePtr data = {});

/// The payload inside crm_xml; null if there is none.
xml::NodePtr data_of(const xml::Node& message);

inline std::string_view task_of(const xml::Node& message) { return message.get("crm_task"); }
inline bool is_response(const xml::Node& message) { return message.get("subt") == "response"; }

/// `<ack function=... line="0" status=... [ipc-protocol-version=...]/>`, the response of services that answer by event.
xml::NodePtr make_ack(std::string_view function, int status);

}  // namespace systole::wire
