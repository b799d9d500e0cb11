#include "cli/attribute_client.h"

#include <cerrno>
#include <cstdlib>

#include <fmt/format.h>

#include "base/exit_code.h"
#include "base/text.h"
#include "cli/daemon_client.h"

namespace systole::cli {
namespace {

Result<void> send(xml::Builder&& request) {
    request.set("t", "attrd").set("src", program_invocation_short_name);
    const auto answer = ask_attributes(*std::move(request).build());
    if (!answer) return tl::unexpected(answer.error());
    const auto status = parse_integer((*answer)->get("status")).value_or(0);
    if (status == 0 || status == static_cast<long long>(ExitCode::kIndeterminate)) return {};
    const auto code = static_cast<ExitCode>(status);
    const bool denied = code == ExitCode::kInsufficientPrivileges || code == ExitCode::kNoPermission;
    return systole::fail(denied ? Errc::kDenied : Errc::kInvalid,
                         fmt::format("the attribute manager refused: {}", describe(code)));
}

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

Result<void> change_attribute(const AttributeChange& change) {
    xml::Builder request("attrd_op");
    request.set_unless_empty("attr_name", change.name).set_unless_empty("attr_regex", change.pattern);
    const bool with_value = change.value && !change.delay_only;
    request.set("task", change.delay_only ? "update-delay" : change.with_delay ? "update-both" : "update");
    if (with_value) request.set("attr_value", *change.value);
    if (change.delay) request.set("attr_dampening", *change.delay);
    request.set_unless_empty("attr_host", change.node).set_unless_empty("attr_set", change.set_id);
    request.set("attr_is_remote", change.remote_node ? 1 : 0).set("attr_is_private", change.is_private ? 1 : 0);
    request.set("attr_set_type", change.utilization ? "utilization" : "instance_attributes");
    request.set_unless_empty("attr_sync_point", change.wait_for);
    return send(std::move(request));
}

Result<void> refresh_attributes() {
    xml::Builder request("attrd_op");
    request.set("task", "refresh");
    return send(std::move(request));
}

std::optional<std::string> attribute_target(const std::string& given) {
    if (!given.empty() && given != "auto" && given != "localhost") return given;
    // An agent in a container may want the attributes of the host that the container runs on.
    const std::string host = variable("OCF_RESKEY_CRM_meta_physical_host");
    if (variable("OCF_RESKEY_CRM_meta_container_attribute_target") == "host" && !host.empty()) return host;
    const std::string node = variable("OCF_RESKEY_CRM_meta_on_node");
    return node.empty() ? std::nullopt : std::optional(node);
}

}  // namespace systole::cli
