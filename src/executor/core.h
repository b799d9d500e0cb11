#pragma once
// executor/core.h — the executor's state and its steps, split by subject over the .cpp files named below.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "executor/executor.h"
#include "executor/messages.h"
#include "executor/operation.h"

namespace systole::executor {

/// Pending operations a resource may have; a request beyond that is refused with -EAGAIN.
inline constexpr std::size_t kPendingMax = 1000;

struct Session {
    wire::Client client;
    std::string name;   ///< empty until it registered
    bool controller{};  ///< registered as the local controller, or as a cluster's connection to a remote node
    /// A cluster's connection over TLS: no process of this machine.
    [[nodiscard]] bool remote() const { return client.pid == 0; }
};

/// What an outstanding Spawn, ToFencer or ToSystemd is for.
struct ResourceRun {
    enum class Step : std::uint8_t { kWhole, kFenceRegister, kFenceMonitor, kFenceRemove, kServiceScript };
    std::string resource;
    std::uint64_t serial{};  ///< of the operation that is active there
    Step step = Step::kWhole;
};
struct AgentRun {  ///< systole_run_agent
    wire::ClientId client;
    std::uint32_t call_id{};
    AgentName agent;
    std::string action, userdata;
    std::string target;  ///< standard that is tried: class service tries lsb, then systemd
    Instant started;
    Duration timeout{};
    Parameters parameters;
    std::string resource;
    bool cancelled{};
};
struct AlertRun {
    std::string id, path;
    Duration timeout{};
};
using Run = std::variant<ResourceRun, AgentRun, AlertRun>;

class Core {
public:
    explicit Core(ExecutorConfig config) : config_(std::move(config)) {}
    Effects on(const Now& now, const Input& input);
    [[nodiscard]] std::vector<std::string> check_state() const;

private:
    // executor.cpp: inputs
    void handle(const wire::ClientConnected& input);
    void handle(const wire::ClientRequest& input);
    void handle(const wire::ClientClosed& input);
    void handle(const wire::TimerFired& input);
    void handle(const ProcessDone& input);
    void handle(const FencerReply& input);
    void handle(const FencerLost& input);
    void handle(const SystemdDone& input);
    void handle(const ShutdownRequested& input);
    void exit_when_idle();

    // requests.cpp: one function a request; they return the reply's code
    struct Asked {  ///< a request on its way
        const Session& session;
        const wire::ClientRequest& input;
        std::uint32_t call_id;
        const xml::Node* data;  ///< the lrmd_rsc element, or null
    };
    void answer(const Asked& asked, xml::NodePtr reply);
    void answer(const Asked& asked, int rc);
    void register_client(const Asked& asked);
    void register_resource(const Asked& asked);
    void unregister_resource(const Asked& asked);
    void resource_info(const Asked& asked);
    void execute(const Asked& asked);
    void cancel(const Asked& asked);
    void poke(const Asked& asked);
    void list_recurring(const Asked& asked);
    Resource* find_registered(std::string_view id);
    Resource* find_registered(const Asked& asked);

    // queue.cpp: a resource's operations, one at a time
    void enqueue(Resource& resource, OperationPtr operation);
    void run_next(Resource& resource);
    std::optional<Outcome> start(Resource& resource, Operation& operation);
    void finish(Resource& resource, Outcome outcome);
    void forget_operations(Resource& resource);
    void cancel_unstarted(Resource& resource, OperationPtr operation);
    bool cancel_operation(Resource& resource, std::string_view action, Duration interval);
    void remove_if_drained(const std::string& id);
    std::uint32_t spawn(Spawn spawn, Run run);

    // recurring.cpp: operations that come again
    bool merge(Resource& resource, const Operation& again);
    void sleep(Resource& resource, OperationPtr operation);
    void wake(std::uint64_t serial);
    void end_start_delay(std::uint64_t serial);
    /// All recurring operations of the resource; only those of one client if `client` is not null.
    void cancel_recurring(Resource& resource, const wire::ClientId* client);

    // agents of classes (class_*.cpp): start one, or say at once how it ended
    std::optional<Outcome> start_ocf(Resource& resource, Operation& operation);
    std::optional<Outcome> start_lsb(Resource& resource, Operation& operation, ResourceRun::Step step);
    std::optional<Outcome> start_service(Resource& resource, Operation& operation);
    std::optional<Outcome> start_systemd(Resource& resource, Operation& operation);
    std::optional<Outcome> start_stonith(Resource& resource, Operation& operation);
    void fencer_answered(Resource& resource, ResourceRun run, const xml::Node* reply);
    void ask_fencer(Resource& resource, Operation& operation, ResourceRun::Step step);
    void fencer_timed_out(std::uint32_t token);
    [[nodiscard]] static Outcome outcome_of(const Operation& operation, const ProcessDone& done);

    // results.cpp: who is told what
    void tell(Resource& resource, Operation& operation);
    void notify_all(const xml::NodePtr& message, const wire::ClientId* except = nullptr);
    [[nodiscard]] bool controller_connected() const;
    void hand_over(const Session& session);

    // private_requests.cpp, alerts.cpp
    void run_agent(const Asked& asked);
    void cancel_agent(const Asked& asked);
    void tell_history(const Asked& asked);
    void start_agent(AgentRun run);
    void agent_done(AgentRun run, ProcessDone done);
    void run_alert(const Asked& asked);
    void alert_done(const AlertRun& run, const ProcessDone& done);

    void log(wire::Severity severity, std::string text, std::string_view resource = {});

    /// A result that nobody could be told.
    struct Kept {
        std::string resource, action;
        Duration interval{};
        xml::NodePtr message;
    };

    ExecutorConfig config_;
    std::map<wire::ClientId, Session> sessions_;
    std::map<std::string, Resource, std::less<>> resources_;
    std::map<std::uint32_t, Run> runs_;  ///< by token
    std::vector<Kept> kept_;             ///< in order; one per recurring operation
    std::uint32_t last_call_{}, last_token_{};
    std::uint64_t last_serial_{};
    bool shutting_down_{}, exited_{};
    Now now_;          ///< of the input being handled
    Effects effects_;  ///< for it
};

}  // namespace systole::executor
