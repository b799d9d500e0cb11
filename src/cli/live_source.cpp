#include "cli/live_source.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/text.h"
#include "cib/request.h"
#include "cli/daemon_client.h"
#include "cli/fencing_client.h"
#include "cli/status_source.h"
#include "runtime/linux/ipc_client.h"

namespace systole::cli {
namespace {

using runtime::IpcClient;

SourceError source_error(const Error& error) {
    const ExitCode code = exit_code_of(error);
    return {code, std::string(describe(code))};
}

class LiveSource : public StatusSource {
public:
    explicit LiveSource(IpcClient cib) : cib_(std::move(cib)) {}

    tl::expected<xml::NodePtr, SourceError> query() override {
        xml::Builder request(*cib::make_request(cib::Op::kQuery, {}, {}, cib::option::kSyncCall));
        request.set("cib_callid", ++calls_).set("cib_clientname", "crm_mon");
        const auto reply = cib_.call(*request.build(), Duration{30'000});
        if (!reply) return tl::unexpected(source_error(reply.error()));
        const auto rc = parse_integer((*reply)->get("cib_rc")).value_or(-71);
        if (rc != 0) {
            const ExitCode code = exit_code_of_legacy(static_cast<int>(rc));
            return tl::unexpected(SourceError{code, std::string(describe_legacy(static_cast<int>(rc)))});
        }
        const xml::Node* data = (*reply)->child("cib_calldata");
        if (data == nullptr || data->first_element() == nullptr)
            return tl::unexpected(SourceError{ExitCode::kProtocol, "the CIB manager's answer holds no CIB"});
        return data->first_element_ptr();
    }

    [[nodiscard]] bool is_live() const override { return true; }

    Event wait(Duration at_most) override {
        if (!subscribed_) subscribe();
        const auto deadline = std::chrono::steady_clock::now() + at_most;
        for (;;) {
            if (drain(cib_)) return Event::kChanged;
            if (!cib_.connected()) return Event::kDisconnected;
            if (fencer_ && drain(*fencer_)) return Event::kFencing;
            if (fencer_ && !fencer_->connected()) fencer_.reset();
            const auto left = std::chrono::duration_cast<Duration>(deadline - std::chrono::steady_clock::now()).count();
            if (left <= 0) return Event::kTimeout;
            std::array<pollfd, 2> fds{pollfd{cib_.fd(), POLLIN, 0}, pollfd{fencer_ ? fencer_->fd() : -1, POLLIN, 0}};
            // libqb may hold an event without its descriptor being readable: look again after a while.
            poll(fds.data(), fds.size(), static_cast<int>(std::min<std::int64_t>(left, 200)));
        }
    }

    LiveState live_state() override {
        if (state_) return *state_;
        LiveState state;
        if (auto client = DaemonClient::connect(wire::Service::kPacemakerd, "crm_mon")) {
            const auto reply = client->ask({.task = "ping", .to_system = "pacemakerd", .timeout = Duration{2000}});
            if (reply && *reply) state.pacemakerd_state = (*reply)->get("pacemakerd_state");
        }
        if (auto name = local_node_name("crm_mon")) state.local_node = *name;
        state_ = state;
        return state;
    }

    tl::expected<std::vector<FencingAction>, SourceError> fencing_history() override {
        if (!fencer_ && !connect_fencer()) return tl::unexpected(SourceError{ExitCode::kDisconnected, "Not connected"});
        xml::Builder data("st_calldata");
        xml::Builder request("stonith_command");
        request.set("t", "stonith-ng").set("st_op", "st_fence_history").set("st_callid", ++calls_);
        request.set("st_callopt", 0x1000).set("st_timeout", 120);
        request.add(std::move(data));
        const auto reply = fencer_->call(*request.build(), Duration{30'000});
        if (!reply) return tl::unexpected(source_error(reply.error()));
        return read_fencing_history(**reply);
    }

private:
    static bool drain(IpcClient& client) {
        bool any = false;
        for (;;) {
            auto event = client.next_event();
            if (!event || !*event) return any;
            any = true;
        }
    }

    bool connect_fencer() {
        auto client = IpcClient::connect(wire::service_name(wire::Service::kFencer));
        if (!client) return false;
        xml::Builder hello("stonith_command");
        hello.set("t", "stonith-ng").set("st_op", "register").set("st_clientname", "crm_mon");
        if (!client->call(*hello.build())) return false;
        for (const char* type : {"st_notify_fence", "st_notify_history"}) {
            xml::Builder notify("stonith_command");
            notify.set("t", "stonith-ng").set("st_op", "st_notify").set("st_notify_activate", type);
            (void)client->call(*notify.build());
        }
        fencer_ = std::move(*client);
        return true;
    }

    void subscribe() {
        subscribed_ = true;
        xml::Builder request("cib-callback");
        request.set("t", "cib")
            .set("cib_op", "cib_notify")
            .set("cib_notify_type", "cib_diff_notify")
            .set("cib_notify_activate", "1");
        (void)cib_.call(*request.build());
        if (!fencer_) connect_fencer();
    }

    IpcClient cib_;
    std::optional<IpcClient> fencer_;
    std::optional<LiveState> state_;
    int calls_ = 0;
    bool subscribed_ = false;
};

}  // namespace

tl::expected<std::unique_ptr<StatusSource>, SourceError> open_live_source() {
    auto client = IpcClient::connect(wire::service_name(wire::Service::kCibRo));
    if (!client) return tl::unexpected(source_error(client.error()));
    xml::Builder hello("cib_command");
    hello.set("cib_op", "register").set("cib_clientname", "crm_mon");
    if (const auto answer = client->call(*hello.build()); !answer) return tl::unexpected(source_error(answer.error()));
    return std::make_unique<LiveSource>(std::move(*client));
}

}  // namespace systole::cli
