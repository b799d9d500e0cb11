#include "cli/fencing_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <tuple>

#include "base/text.h"
#include "fencing/messages.h"
#include "runtime/linux/ipc_client.h"

namespace systole::cli {
namespace {

namespace option = fencing::option;
using fencing::find_with_attribute;
using fencing::integer;

constexpr std::uint32_t kUsual = option::kSync | option::kAllowSelf;
/// How much longer than an action may take its answer is waited for.
constexpr Duration kPatience{60'000};

long long seconds_of(Duration duration) { return (duration.count() + 999) / 1000; }

int code_of(const Error& error) {
    switch (error.code) {
        case Errc::kStale: return -ETIME;
        case Errc::kDenied: return -EACCES;
        case Errc::kInvalid: return -EPROTO;
        case Errc::kNotFound:
        case Errc::kExists:
        case Errc::kUnreachable:
        case Errc::kCorrupt:
        case Errc::kIo: return -ENOTCONN;
    }
    return -ENOTCONN;
}

FencerAnswer answer_of(xml::NodePtr reply) {
    FencerAnswer answer;
    const auto outcome = fencing::outcome_of(*reply);
    answer.rc = fencing::legacy_code(outcome);
    answer.reason = outcome.reason;
    answer.reply = std::move(reply);
    return answer;
}

void set_target(xml::Builder& level, LevelTarget target) {
    const auto equal = target.text.find('=');
    if (equal != std::string_view::npos) {
        level.set("target-attribute", target.text.substr(0, equal)).set("target-value", target.text.substr(equal + 1));
    } else if (target.text.starts_with('@')) {
        level.set("target-pattern", target.text.substr(1));
    } else {
        level.set("target", target.text);
    }
}

FencingAction read_action(const xml::Node& element) {
    FencingAction action;
    action.target = element.get("st_target");
    action.action = element.get("st_device_action");
    action.client = element.get("st_clientname");
    action.origin = element.get("st_origin");
    action.delegate = element.get("st_delegate");
    action.completed_s = integer(element, "st_date");
    action.completed_ns = integer(element, "st_date_nsec");
    action.exit_reason = element.get("exit-reason");
    action.status = static_cast<ExecStatus>(std::clamp(integer(element, "op-status"), -2LL, 11LL));
    switch (integer(element, "st_state")) {
        case 2: action.state = FencingAction::State::kSucceeded; break;
        case 4: action.state = FencingAction::State::kFailed; break;
        default: action.state = FencingAction::State::kPending; break;
    }
    return action;
}

}  // namespace

ExitCode FencerAnswer::exit_code() const {
    switch (-rc) {
        case ENODEV:
        case ENOENT:
        case ENXIO: return ExitCode::kNoSuchObject;
        case EACCES: return ExitCode::kInsufficientPrivileges;
        default: return exit_code_of_legacy(rc);
    }
}

std::string_view FencerAnswer::message() const { return describe_legacy(rc); }

std::vector<FencingAction> read_fencing_history(const xml::Node& reply) {
    std::vector<FencingAction> actions;
    if (const auto* history = fencing::find_element(reply, "st_history")) {
        for (const auto& element : history->children()) {
            if (element->is_element()) actions.push_back(read_action(*element));
        }
    }
    // Pending ones first, then the newest first.
    std::ranges::stable_sort(actions, [](const FencingAction& a, const FencingAction& b) {
        const auto key = [](const FencingAction& x) {
            return std::make_tuple(x.state != FencingAction::State::kPending, -x.completed_s, -x.completed_ns);
        };
        return key(a) < key(b);
    });
    return actions;
}

struct FencingClient::Impl {
    runtime::IpcClient ipc;
    int last_call = 0;

    xml::Builder request(std::string_view operation, std::uint32_t options) {
        auto message = fencing::make_command(operation);
        message.set("st_callid", ++last_call).set("st_callopt", options);
        return message;
    }
    static void set_data(xml::Builder& message, xml::Builder&& data) {
        xml::Builder wrapper("st_calldata");
        wrapper.add(std::move(data));
        message.add(std::move(wrapper));
    }
    FencerAnswer call(xml::Builder&& message, Duration timeout = Duration{0}) {
        auto reply = ipc.call(*std::move(message).build(), timeout + kPatience);
        if (reply) return answer_of(std::move(*reply));
        return {code_of(reply.error()), reply.error().what, {}};
    }
    FencerAnswer call(std::string_view operation, xml::Builder&& data, Duration timeout = Duration{0}) {
        auto message = request(operation, kUsual);
        if (timeout > Duration{0}) message.set("st_timeout", seconds_of(timeout));
        set_data(message, std::move(data));
        return call(std::move(message), timeout);
    }
};

FencingClient::FencingClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FencingClient::FencingClient(FencingClient&&) noexcept = default;
FencingClient& FencingClient::operator=(FencingClient&&) noexcept = default;
FencingClient::~FencingClient() = default;

Result<FencingClient> FencingClient::connect(const std::string& name) {
    runtime::IpcClientOptions options;
    auto ipc = runtime::IpcClient::connect(fencing::kService, options);
    if (!ipc) return tl::unexpected(ipc.error());
    auto registration = fencing::make_command("register");
    registration.set("st_clientname", name);
    const auto message = std::move(registration).build();
    auto reply = ipc->call(*message);
    if (!reply && reply.error().code == Errc::kStale && ipc->layout() == wire::HeaderLayout::kClassic) {
        // A server of 3.0.1 or later took it for a request without an answer.
        options.layout = wire::HeaderLayout::kMultipart;
        ipc = runtime::IpcClient::connect(fencing::kService, options);
        if (!ipc) return tl::unexpected(ipc.error());
        reply = ipc->call(*message);
    }
    if (!reply) return tl::unexpected(reply.error());
    if ((*reply)->get("st_op") != "register" || !(*reply)->has("st_clientid"))
        return fail(Errc::kInvalid, "the fencer did not accept the registration");
    return FencingClient(std::make_unique<Impl>(Impl{std::move(*ipc)}));
}

FencerAnswer FencingClient::register_device(std::string_view device, std::string_view agent,
                                            const Parameters& parameters) {
    xml::Builder element("st_device_id");
    element.set("id", device).set("st_origin", "stonith_admin").set("agent", agent);
    xml::Builder attributes("attributes");
    for (const auto& [name, value] : parameters) attributes.set(name, value);
    element.add(std::move(attributes));
    return impl_->call("st_device_register", std::move(element));
}

FencerAnswer FencingClient::remove_device(std::string_view device) {
    xml::Builder element("st_device_id");
    element.set("id", device).set("st_origin", "stonith_admin");
    return impl_->call("st_device_remove", std::move(element));
}

FencerAnswer FencingClient::add_level(LevelTarget target, int index, const std::vector<std::string>& devices) {
    xml::Builder level("fencing-level");
    level.set("st_origin", "stonith_admin").set("id", index).set("index", index);
    set_target(level, target);
    level.set("devices", join(devices, ","));
    return impl_->call("st_level_add", std::move(level));
}

FencerAnswer FencingClient::remove_level(LevelTarget target, int index) {
    xml::Builder level("fencing-level");
    level.set("st_origin", "stonith_admin").set("index", index);
    set_target(level, target);
    return impl_->call("st_level_remove", std::move(level));
}

FencerAnswer FencingClient::execute(std::string_view device, std::string_view action, Duration timeout) {
    xml::Builder element("st_device_id");
    element.set("st_origin", "stonith_admin").set("st_device_id", device).set("st_device_action", action);
    return impl_->call("st_execute", std::move(element), timeout);
}

FencerAnswer FencingClient::query(std::string_view target, Duration timeout, std::vector<std::string>& devices) {
    xml::Builder element("st_query");
    element.set("st_origin", "stonith_admin").set_unless_empty("st_target", target);
    element.set("st_device_action", "off");
    auto answer = impl_->call("st_query", std::move(element), timeout);
    if (answer.rc != 0 || !answer.reply) return answer;
    if (const auto* list = find_with_attribute(*answer.reply, "st-available-devices")) {
        for (const auto& device : list->children()) {
            if (device->is("st_device_id")) devices.emplace_back(device->id());
        }
    }
    return answer;
}

FencerAnswer FencingClient::confirm(std::string_view target) {
    xml::Builder element("st_fence");
    element.set("st_origin", "stonith_admin").set("st_target", target);
    auto message = impl_->request("st_fence", kUsual | option::kManualAck);
    Impl::set_data(message, std::move(element));
    return impl_->call(std::move(message));
}

FencerAnswer FencingClient::history(const HistoryWanted& wanted, std::vector<FencingAction>& actions) {
    std::uint32_t options = kUsual;
    if (wanted.is_node_id) options |= option::kNodeId;
    if (wanted.cleanup) options |= option::kCleanup;
    if (wanted.broadcast) options |= option::kBroadcast;
    auto message = impl_->request("st_fence_history", options);
    if (!wanted.target.empty()) {
        xml::Builder element("st_fence_history");
        element.set("st_origin", "stonith_admin").set("st_target", wanted.target);
        Impl::set_data(message, std::move(element));
    }
    auto answer = impl_->call(std::move(message), wanted.timeout);
    if (answer.rc != 0 || !answer.reply) return answer;
    actions = read_fencing_history(*answer.reply);
    return answer;
}

FencerAnswer FencingClient::fence(const FenceWanted& wanted) {
    using Clock = std::chrono::steady_clock;
    auto subscription = fencing::make_command("st_notify");
    subscription.set("st_notify_activate", "st_notify_fence");
    if (const auto subscribed = impl_->ipc.call(*std::move(subscription).build()); !subscribed)
        return {code_of(subscribed.error()), subscribed.error().what, {}};

    auto message = impl_->request("st_fence", option::kAllowSelf);
    message.set("st_timeout", seconds_of(wanted.timeout)).set("st_delay", wanted.delay_s);
    xml::Builder element("st_fence");
    element.set("st_origin", "stonith_admin").set("st_target", wanted.target);
    element.set("st_device_action", wanted.action).set("st_timeout", seconds_of(wanted.timeout));
    element.set("st_tolerance", seconds_of(wanted.tolerance)).set("st_delay", wanted.delay_s);
    Impl::set_data(message, std::move(element));
    const int call = impl_->last_call;
    if (const auto sent = impl_->ipc.send(*std::move(message).build()); !sent)
        return {code_of(sent.error()), sent.error().what, {}};

    auto deadline = Clock::now() + wanted.timeout + std::chrono::seconds(std::max(0, wanted.delay_s)) + kPatience;
    while (true) {
        const auto left = std::chrono::duration_cast<Duration>(deadline - Clock::now());
        if (left <= Duration{0}) return {-ETIME, "the fencer gave no answer in time", {}};
        auto event = impl_->ipc.next_event(left);
        if (!event) {
            if (event.error().code == Errc::kInvalid) continue;
            return {code_of(event.error()), event.error().what, {}};
        }
        if (!*event) continue;
        const xml::Node& received = ***event;
        const bool ours = integer(received, "st_callid") == call;
        if (received.get("t") == "st-async-timeout-value") {
            if (ours) deadline = Clock::now() + std::chrono::seconds(integer(received, "st_timeout")) + kPatience;
        } else if (received.get("t") == "st_notify") {
            // Somebody else may have had it done, too.
            const auto* what = find_with_attribute(received, "st_target");
            if (what != nullptr && same_ignoring_case(what->get("st_target"), wanted.target) &&
                what->get("st_device_action") == wanted.action)
                return answer_of(**event);
        } else if (ours) {
            return answer_of(**event);
        }
    }
}

}  // namespace systole::cli
