#include "wire/message.h"

#include <fmt/format.h>

#include "base/text.h"

namespace systole::wire {

int compare_versions(std::string_view a, std::string_view b) {
    const auto left = split(a, ".");
    const auto right = split(b, ".");
    for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
        const long long l = i < left.size() ? parse_integer(left[i]).value_or(0) : 0;
        const long long r = i < right.size() ? parse_integer(right[i]).value_or(0) : 0;
        if (l != r) return l < r ? -1 : 1;
    }
    return 0;
}

bool feature_sets_compatible(std::string_view dc, std::string_view joiner) {
    const auto major_minor = [](std::string_view version) {
        const auto parts = split(version, ".");
        const auto part = [&](std::size_t i) { return i < parts.size() ? parse_integer(parts[i]).value_or(-1) : -1; };
        return std::pair{part(0), part(1)};
    };
    const auto [dc_major, dc_minor] = major_minor(dc);
    const auto [joiner_major, joiner_minor] = major_minor(joiner);
    return dc_major >= 0 && dc_major == joiner_major && joiner_minor >= dc_minor;
}

std::string make_reference(std::string_view task, std::string_view system, WallTime now, std::uint64_t counter) {
    return fmt::format("{}-{}-{}-{}", task, system, now.seconds, counter);
}

namespace {
void add_data(xml::Builder& message, xml::NodePtr data) {
    if (!data) return;
    xml::Builder wrapper("crm_xml");
    wrapper.add(std::move(data));
    message.add(std::move(wrapper));
}
}  // namespace

xml::Builder make_message(const Envelope& envelope, xml::NodePtr data) {
    xml::Builder message("message");
    message.set_unless_empty("origin", envelope.origin)
        .set("t", envelope.type)
        .set("subt", envelope.response ? "response" : "request")
        .set_unless_empty("version", envelope.version)
        .set_unless_empty("reference", envelope.reference)
        .set_unless_empty("crm_sys_from", envelope.from_system)
        .set_unless_empty("crm_host_to", envelope.to_host)
        .set_unless_empty("crm_sys_to", envelope.to_system)
        .set_unless_empty("crm_task", envelope.task)
        .set_unless_empty("crm_user", envelope.user);
    add_data(message, std::move(data));
    return message;
}

xml::Builder make_reply(const xml::Node& request, std::string_view origin, xml::NodePtr data) {
    return make_message({.origin = origin,
                         .type = request.get("t", "crmd"),
                         .task = task_of(request),
                         .to_system = request.get("crm_sys_from"),
                         .from_system = request.get("crm_sys_to"),
                         .to_host = request.get("src"),
                         .reference = request.get("reference"),
                         .response = true},
                        std::move(data));
}

xml::NodePtr data_of(const xml::Node& message) {
    const xml::Node* wrapper = message.child("crm_xml");
    return wrapper == nullptr ? xml::NodePtr{} : wrapper->first_element_ptr();
}

xml::NodePtr make_ack(std::string_view function, int status) {
    return xml::Builder("ack").set("function", function).set("line", 0).set("status", status).build();
}

}  // namespace systole::wire
