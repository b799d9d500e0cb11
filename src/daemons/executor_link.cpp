#include "daemons/executor_link.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/text.h"
#include "executor/private_requests.h"
#include "wire/ipc_header.h"

namespace systole::daemons {
namespace {

constexpr Duration kRetryFirst{50};
constexpr Duration kRetryLongest{1000};
constexpr Duration kMetadataTimeout{30'000};

xml::NodePtr command(std::string_view op, xml::NodePtr data) {
    return xml::Builder("lrmd_command")
        .set("t", "lrmd")
        .set("lrmd_op", op)
        .add(xml::Builder("lrmd_calldata").add(std::move(data)).build())
        .build();
}

}  // namespace

ExecutorLink::ExecutorLink(runtime::Loop& loop, std::function<void(controller::Input)> feed, runtime::LogSink log)
    : loop_(loop), feed_(std::move(feed)), log_(std::move(log)), delay_(kRetryFirst) {}

void ExecutorLink::start() { connect(); }

void ExecutorLink::later(controller::Input input) {
    loop_.defer([this, input = std::move(input)]() mutable { feed_(std::move(input)); });
}

void ExecutorLink::connect() {
    auto client =
        runtime::IpcClient::connect(wire::service_name(wire::Service::kExecutor), {.connect_timeout = Duration{2000}});
    if (client) {
        const auto hello = xml::Builder("lrmd_command")
                               .set("t", "lrmd")
                               .set("lrmd_op", "register")
                               .set("lrmd_clientname", "crmd")
                               .set("lrmd_protocol_version", "1.1")
                               .build();
        const auto welcome = client->call(*hello);
        if (welcome && parse_integer((*welcome)->get("lrmd_rc")).value_or(0) == 0) {
            client_.emplace(std::move(*client));
            watch_ = loop_.on_fd(client_->fd(), EPOLLIN, [this](std::uint32_t) { read(); });
            delay_ = kRetryFirst;
            later(controller::ExecutorUp{});
            return;
        }
        log_({.severity = wire::Severity::kWarning,
              .text = fmt::format("the executor does not register this node's core: {}",
                                  welcome ? std::string((*welcome)->get("lrmd_rc")) : welcome.error().what)});
    }
    retry_ = loop_.after(delay_, [this] { connect(); });
    delay_ = std::min(delay_ * 2, kRetryLongest);
}

void ExecutorLink::lose(const std::string& why) {
    watch_.reset();
    client_.reset();
    log_({.severity = wire::Severity::kWarning, .text = fmt::format("connection to the executor is lost: {}", why)});
    for (const auto& [id, request] : std::exchange(requests_, {}))
        later(controller::ExecutorReply{.request = request, .message = nullptr});
    agent_requests_.clear();
    for (const auto& [serial, agent] : std::exchange(agents_, {}))
        end_agent(agent, ExecStatus::kError, 1, "", "the executor is gone");
    later(controller::ExecutorDown{});
    retry_ = loop_.after(kRetryFirst, [this] { connect(); });
}

void ExecutorLink::read() {
    while (client_) {
        auto event = client_->next_message();
        if (!event) {
            if (event.error().code == Errc::kUnreachable) {
                lose(event.error().what);
                return;
            }
            log_({.severity = wire::Severity::kWarning, .text = event.error().what});
            continue;
        }
        if (!*event) return;
        if (((*event)->flags & wire::kIpcProxiedResponse) != 0)
            on_response((*event)->id, (*event)->message);
        else if ((*event)->message->get("lrmd_op") == executor::kRunAgent)
            on_agent_result(*(*event)->message);
        else
            feed_(controller::ExecutorEvent{(*event)->message});
    }
}

void ExecutorLink::on_response(std::int32_t id, const xml::NodePtr& message) {
    if (const auto found = requests_.find(id); found != requests_.end()) {
        const std::uint32_t request = found->second;
        requests_.erase(found);
        feed_(controller::ExecutorReply{.request = request, .message = message});
        return;
    }
    const auto found = agent_requests_.find(id);
    if (found == agent_requests_.end()) return;
    const auto agent = agents_.find(found->second);
    agent_requests_.erase(found);
    if (agent == agents_.end()) return;
    const long long rc = parse_integer(message->get("lrmd_rc")).value_or(-1);
    if (rc < 0) {
        const Agent refused = agent->second;
        agents_.erase(agent);
        end_agent(refused, ExecStatus::kError, 1, "",
                  fmt::format("the executor refuses it: {}", describe_legacy(static_cast<int>(rc))));
        return;
    }
    agent->second.call = message->get("lrmd_callid");
    if (agent->second.cancelled) kill({agent->second.token});
}

void ExecutorLink::on_agent_result(const xml::Node& result) {
    const auto serial = parse_integer(result.get("lrmd_rsc_userdata_str"));
    const auto found = agents_.find(static_cast<std::uint64_t>(serial.value_or(0)));
    if (found == agents_.end()) return;
    const Agent agent = found->second;
    agents_.erase(found);
    const auto number = [&](const char* name) {
        return static_cast<int>(parse_integer(result.get(name)).value_or(static_cast<int>(ExecStatus::kError)));
    };
    std::string error(result.get(executor::kAgentError));
    if (error.empty()) error = result.get("lrmd_rsc_exit_reason");
    end_agent(agent, static_cast<ExecStatus>(number("lrmd_exec_op_status")), number("lrmd_exec_rc"),
              std::string(result.get("lrmd_rsc_output")), std::move(error));
}

void ExecutorLink::end_agent(const Agent& agent, ExecStatus status, int rc, std::string output, std::string error) {
    if (agent.kind == AgentKind::kFence) {
        later(controller::FenceAgentDone{.token = agent.token,
                                         .status = status,
                                         .exit_code = rc,
                                         .output = std::move(output),
                                         .error = std::move(error)});
        return;
    }
    const bool good = status == ExecStatus::kDone && rc == 0 && !output.empty();
    if (!good && error.empty())
        error = status == ExecStatus::kDone ? fmt::format("exit status {}", rc) : std::string(describe(status));
    later(controller::MetadataReady{
        .token = agent.token, .xml = good ? std::move(output) : std::string(), .fault = good ? "" : std::move(error)});
}

void ExecutorLink::send(const controller::ToExecutor& effect) {
    if (client_) {
        const auto sent = client_->post(*effect.message, wire::kProxied | wire::kExpectsResponse);
        if (sent) {
            requests_[*sent] = effect.request;
            return;
        }
        log_({.severity = wire::Severity::kWarning,
              .text = fmt::format("request to the executor is lost: {}", sent.error().what)});
    }
    later(controller::ExecutorReply{.request = effect.request, .message = nullptr});
}

void ExecutorLink::run_agent(AgentKind kind, std::uint32_t token, xml::NodePtr agent) {
    const std::uint64_t serial = ++serial_;
    const Agent entry{.kind = kind, .token = token, .call = {}, .cancelled = false};
    if (!client_) {
        end_agent(entry, ExecStatus::kError, 1, "", "the executor is not there");
        return;
    }
    const auto data = xml::Builder(*agent).set("lrmd_rsc_userdata_str", static_cast<long long>(serial)).build();
    const auto sent = client_->post(*command(executor::kRunAgent, data), wire::kProxied | wire::kExpectsResponse);
    if (!sent) {
        end_agent(entry, ExecStatus::kError, 1, "", sent.error().what);
        return;
    }
    agent_requests_[*sent] = serial;
    agents_[serial] = entry;
}

void ExecutorLink::run(const controller::RunFenceAgent& effect) {
    xml::Builder agent(executor::kAgentElement);
    agent.set("lrmd_class", "stonith")
        .set("lrmd_type", effect.agent)
        .set("lrmd_rsc_action", effect.action)
        .set("lrmd_timeout", static_cast<long long>(effect.timeout.count()));
    for (const auto& [name, value] : effect.parameters)
        agent.add(xml::Builder("param").set("name", name).set("value", value).build());
    run_agent(AgentKind::kFence, effect.token, std::move(agent).build());
}

void ExecutorLink::fetch(const controller::FetchMetadata& effect) {
    xml::Builder agent(executor::kAgentElement);
    agent.set("lrmd_class", effect.agent_class)
        .set("lrmd_provider", effect.provider)
        .set("lrmd_type", effect.type)
        .set("lrmd_rsc_action", effect.agent_class == "stonith" ? "metadata" : "meta-data")
        .set("lrmd_timeout", static_cast<long long>(kMetadataTimeout.count()));
    run_agent(AgentKind::kMetadata, effect.token, std::move(agent).build());
}

void ExecutorLink::kill(const controller::KillFenceAgent& effect) {
    const auto found = std::ranges::find_if(agents_, [&](const auto& entry) {
        return entry.second.kind == AgentKind::kFence && entry.second.token == effect.token;
    });
    if (found == agents_.end() || !client_) return;
    found->second.cancelled = true;
    if (found->second.call.empty()) return;  // cancelled when its number is known
    const auto data = xml::Builder(executor::kAgentElement).set("lrmd_callid", found->second.call).build();
    [[maybe_unused]] const auto sent = client_->post(*command("systole_cancel_agent", data), wire::kProxied);
}

}  // namespace systole::daemons
