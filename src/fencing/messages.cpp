#include "fencing/messages.h"

#include <fmt/format.h>

#include <cerrno>

#include "base/text.h"

namespace systole::fencing {

const xml::Node* find_with_attribute(const xml::Node& root, std::string_view attribute) {
    if (!root.is_element()) return nullptr;
    if (root.has(attribute)) return &root;
    for (const auto& child : root.children()) {
        if (const auto* found = find_with_attribute(*child, attribute)) return found;
    }
    return nullptr;
}

const xml::Node* find_element(const xml::Node& root, std::string_view name) {
    if (root.is(name)) return &root;
    for (const auto& child : root.children()) {
        if (const auto* found = find_element(*child, name)) return found;
    }
    return nullptr;
}

long long integer(const xml::Node& node, std::string_view attribute, long long fallback) {
    return parse_integer(node.get(attribute)).value_or(fallback);
}

std::uint32_t call_options(const xml::Node& message) {
    return static_cast<std::uint32_t>(integer(message, "st_callopt"));
}

int legacy_code(const Outcome& outcome) {
    switch (outcome.status) {
        case ExecStatus::kDone:
            if (outcome.exit_code == 0) return 0;
            break;
        case ExecStatus::kPending: return -EINPROGRESS;
        case ExecStatus::kCancelled: return -ECANCELED;
        case ExecStatus::kTimeout: return -ETIME;
        case ExecStatus::kNotInstalled: return -ENOENT;
        case ExecStatus::kNotSupported: return -EOPNOTSUPP;
        case ExecStatus::kNotConnected: return -ENOTCONN;
        case ExecStatus::kNoFenceDevice: return -ENODEV;
        case ExecStatus::kNoSecrets: return -EACCES;
        case ExecStatus::kInvalid:
            // Requests that run no agent say in the exit code what was wrong with them.
            switch (outcome.exit_code) {
                case static_cast<int>(ExitCode::kInvalidParameter): return -EINVAL;
                case static_cast<int>(ExitCode::kInsufficientPrivileges): return -EACCES;
                case static_cast<int>(ExitCode::kProtocol): return -EPROTO;
                case static_cast<int>(ExitCode::kExpired): return -EHOSTUNREACH;
                default: break;
            }
            break;
        case ExecStatus::kUnknown:
        case ExecStatus::kError:
        case ExecStatus::kErrorHard:
        case ExecStatus::kErrorFatal: break;
    }
    return -ENODATA;
}

namespace {

ExecStatus status_of_legacy(int rc) {
    if (rc >= 0) return ExecStatus::kDone;
    switch (-rc) {
        case EACCES: return ExecStatus::kNoSecrets;
        case ECANCELED: return ExecStatus::kCancelled;
        case EHOSTUNREACH:
        case EPROTO: return ExecStatus::kInvalid;
        case EINPROGRESS: return ExecStatus::kPending;
        case ENODEV: return ExecStatus::kNoFenceDevice;
        case ENOENT: return ExecStatus::kNotInstalled;
        case ENOTCONN: return ExecStatus::kNotConnected;
        case EOPNOTSUPP:
        case EPROTONOSUPPORT: return ExecStatus::kNotSupported;
        case ETIME:
        case ETIMEDOUT: return ExecStatus::kTimeout;
        default: return ExecStatus::kError;
    }
}

}  // namespace

void set_outcome(xml::Builder& element, const Outcome& outcome) {
    element.set("op-status", static_cast<int>(outcome.status));
    element.set("rc-code", outcome.exit_code);
    element.set_unless_empty("exit-reason", outcome.reason);
    element.set_unless_empty("st_output", outcome.output);
    element.set("st_rc", legacy_code(outcome));
}

Outcome outcome_of(const xml::Node& element) {
    Outcome outcome;
    outcome.reason = element.get("exit-reason");
    outcome.output = element.get("st_output");
    const auto status = parse_integer(element.get("op-status"));
    const auto code = parse_integer(element.get("rc-code"));
    if (status && code && *status >= -2 && *status <= 11) {
        outcome.status = static_cast<ExecStatus>(*status);
        outcome.exit_code = static_cast<int>(*code);
        return outcome;
    }
    if (const auto legacy = parse_integer(element.get("st_rc"))) {
        const int rc = static_cast<int>(*legacy);
        outcome.status = status_of_legacy(rc);
        outcome.exit_code = rc == 0 || rc == -EINPROGRESS ? 0 : 1;
        outcome.reason = rc == 0 ? std::string_view{} : describe_legacy(rc);
        return outcome;
    }
    outcome.status = ExecStatus::kError;
    outcome.exit_code = 1;
    outcome.reason = "The reply of the fencer carries no result";
    return outcome;
}

Outcome done() { return {ExecStatus::kDone, 0, {}, {}}; }
Outcome failed(ExecStatus status, std::string reason, int exit_code) {
    return {status, exit_code, std::move(reason), {}};
}
Outcome refused(ExitCode code, std::string reason) {
    return {ExecStatus::kInvalid, static_cast<int>(code), std::move(reason), {}};
}

xml::NodePtr make_reply(const xml::Node* request, const Outcome& outcome, xml::NodePtr data) {
    xml::Builder reply("st-reply");
    reply.set("st_origin", "fencer").set("t", kService);
    set_outcome(reply, outcome);
    if (request != nullptr) {
        for (const auto* name : {"st_op", "st_callid", "st_clientid", "st_clientname", "st_remote_op", "st_callopt"}) {
            if (request->has(name)) reply.set(name, request->get(name));
        }
    }
    if (data) {
        xml::Builder wrapper("st_calldata");
        wrapper.add(std::move(data));
        reply.add(std::move(wrapper));
    }
    return std::move(reply).build();
}

xml::Builder make_command(std::string_view operation) {
    xml::Builder command("stonith_command");
    command.set("t", kService).set("st_op", operation);
    return command;
}

xml::NodePtr make_notification(std::string_view type, const Outcome& outcome, xml::NodePtr data) {
    xml::Builder notification("notify");
    notification.set("t", "st_notify").set("subt", type).set("st_op", type);
    set_outcome(notification, outcome);
    if (data) {
        xml::Builder wrapper("st_calldata");
        wrapper.add(std::move(data));
        notification.add(std::move(wrapper));
    }
    return std::move(notification).build();
}

bool cuts_off(std::string_view action) { return action == "reboot" || action == "off"; }

namespace {
// Numbering of 3.0.1 and later.
constexpr std::uint32_t kList = 0x1, kOn = 0x2, kReboot = 0x4, kStatus = 0x8, kAutomatic = 0x10, kVerified = 0x20,
                        kFromApi = 0x40, kFromCib = 0x80, kDirty = 0x100;
// Numbering up to 3.0.0, where it is read.
constexpr std::uint32_t kOldOn = 0x20;
}  // namespace

std::uint32_t encode_support(const SupportFlags& flags) {
    std::uint32_t value = 0;
    if (flags.list) value |= kList;
    if (flags.on) value |= kOn | kVerified;
    if (flags.reboot) value |= kReboot;
    if (flags.status) value |= kStatus;
    if (flags.automatic_unfencing) value |= kAutomatic;
    if (flags.from_api) value |= kFromApi;
    if (flags.from_cib) value |= kFromCib;
    return value;
}

bool says_on_is_supported(std::optional<std::string_view> value) {
    const auto number = value ? parse_integer(*value) : std::nullopt;
    if (!number) return true;
    const auto flags = static_cast<std::uint32_t>(*number);
    const bool new_numbering = (flags & (kFromApi | kFromCib | kDirty)) != 0;
    return (flags & (new_numbering ? kOn : kOldOn)) != 0;
}

}  // namespace systole::fencing
