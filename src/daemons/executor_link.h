#pragma once
// daemons/executor_link.h — the core's connection to the executor: resource operations, fence agents, metadata.
//
// Nothing here waits: requests go out flagged so that their replies come back as events. While the executor is away
// (it is being restarted) everything asked of it is answered with "no answer", and a connection is tried again.
// Source: executor/private_requests.h; protocol sheets executor-remote.md section 4, ipc.md section 6.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "controller/node.h"
#include "runtime/linux/ipc_client.h"
#include "runtime/linux/loop.h"
#include "runtime/log.h"

namespace systole::daemons {

class ExecutorLink {
public:
    /// `feed` is never called from within the functions below.
    ExecutorLink(runtime::Loop& loop, std::function<void(controller::Input)> feed, runtime::LogSink log);

    void start();
    void send(const controller::ToExecutor& effect);
    void run(const controller::RunFenceAgent& effect);
    void kill(const controller::KillFenceAgent& effect);
    void fetch(const controller::FetchMetadata& effect);

private:
    enum class AgentKind : std::uint8_t { kFence, kMetadata };
    struct Agent {
        AgentKind kind{};
        std::uint32_t token{};
        std::string call;  ///< the executor's number; empty until its reply
        bool cancelled{};
    };

    void connect();
    void lose(const std::string& why);
    void read();
    void on_response(std::int32_t id, const xml::NodePtr& message);
    void on_agent_result(const xml::Node& result);
    void run_agent(AgentKind kind, std::uint32_t token, xml::NodePtr agent);
    void end_agent(const Agent& agent, ExecStatus status, int rc, std::string output, std::string error);
    void later(controller::Input input);

    runtime::Loop& loop_;
    std::function<void(controller::Input)> feed_;
    runtime::LogSink log_;
    std::optional<runtime::IpcClient> client_;
    runtime::Source watch_, retry_;
    Duration delay_;
    std::map<std::int32_t, std::uint32_t> requests_;        ///< message number -> the core's number
    std::map<std::int32_t, std::uint64_t> agent_requests_;  ///< message number -> serial
    std::map<std::uint64_t, Agent> agents_;                 ///< by serial, which results carry back
    std::uint64_t serial_{};
};

}  // namespace systole::daemons
