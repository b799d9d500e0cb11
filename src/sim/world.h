#pragma once
// sim/world.h — machines with power, disks and processes, joined by the virtual network: a whole cluster in one
// process.
//
// Each powered machine runs an engine, a Node core and an Executor core, the very ones of the daemons, and performs
// their effects in virtual time. The world knows the truth (power, services, who fenced whom); the checkers look at
// that and not at what the manager believes. Source: reliability.md (faults, invariants); controller/node.h and
// executor/executor.h (effects).
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/node.h"
#include "executor/executor.h"
#include "sim/events.h"
#include "sim/network.h"
#include "sim/random.h"
#include "sim/services.h"

namespace systole::sim {

/// Deliberate errors, to show that the checkers find them (reliability.md, "Test of the tests").
enum class Sabotage : std::uint8_t {
    kNone,
    kFencingClaimsSuccess,  ///< the device says "off" but the machine runs on: a takeover without proof
    kLostAttributes,        ///< one attribute message in a hundred vanishes on one node only
    kMemberNeverLeaves,     ///< groups are not told that a process died
    kUnorderedMessages,     ///< one message in fifty is delivered at its own time
    kTwiceDelivered,        ///< one message in fifty is delivered twice
};

struct WorldOptions {
    unsigned nodes = 3;
    std::uint64_t seed = 1;
    NetworkTimes times;
    xml::NodePtr cib;  ///< on every disk at first
    Duration boot_min{5'000}, boot_max{20'000};
    Sabotage sabotage = Sabotage::kNone;
    bool trace = false;  ///< keep a hash over everything that happens
    std::size_t history_max = 20'000;
};

/// One line of what happened, for people.
struct HistoryLine {
    Instant at;
    std::string node;
    std::string text;
};

class World {
public:
    explicit World(WorldOptions options);
    ~World();

    void boot(NodeId node);
    void boot_all();
    /// Runs until that virtual time, or until the first violation if asked to.
    void run_for(Duration time, bool stop_at_violation = true);

    // ---- Faults
    void power_off(NodeId node, const std::string& why);
    void kill_core(NodeId node);
    void kill_executor(NodeId node);
    void pause(NodeId node, Duration time);
    void crash_service(NodeId node, const std::string& instance);
    void add_agent_fault(NodeId node, const std::string& instance, AgentFault fault);
    void set_fencing_fault(int failures);  ///< so many fence actions fail (any machine's)
    void clear_faults();
    Network& network() { return *network_; }

    // ---- People: a request to the CIB manager of a node, as an administrator's command sends it
    using Answer = std::function<void(int rc, const xml::NodePtr& data)>;
    /// False if that node has no manager to ask. The answer may never come if it dies.
    bool cib_request(NodeId node, const xml::NodePtr& request, Answer answer);
    void shut_down(NodeId node);  ///< systemctl stop

    // ---- Truth
    [[nodiscard]] Instant now() const { return events_.now(); }
    [[nodiscard]] Events& events() { return events_; }
    [[nodiscard]] std::vector<NodeId> nodes() const;
    [[nodiscard]] bool powered(NodeId node) const { return machines_.at(node).powered; }
    [[nodiscard]] bool core_alive(NodeId node) const { return machines_.at(node).core != nullptr; }
    [[nodiscard]] const controller::Node* core(NodeId node) const { return machines_.at(node).core.get(); }
    [[nodiscard]] const Services& services(NodeId node) const { return machines_.at(node).services; }
    [[nodiscard]] const std::string& name(NodeId node) const { return machines_.at(node).ref.name; }
    [[nodiscard]] std::size_t fencings() const { return fencings_; }
    [[nodiscard]] std::size_t agent_runs() const { return agent_runs_; }
    [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
    [[nodiscard]] const std::vector<HistoryLine>& history() const { return history_; }
    [[nodiscard]] std::uint64_t trace_hash() const { return trace_; }
    [[nodiscard]] std::size_t steps() const { return steps_; }
    /// Marks the run as bad.
    void violate(std::string what);
    void note(const std::string& node, std::string text);
    /// Called after each event; adds violations by violate().
    std::function<void()> check_step;

private:
    struct CibOnDisk {
        xml::NodePtr cib;
    };
    using Timers = std::map<std::string, Events::Handle>;  ///< armed ones, by name
    enum class Part : std::uint8_t { kCore, kExecutor };
    struct Machine {
        wire::NodeRef ref;
        bool powered = false;
        bool paused = false;
        std::uint64_t power_cycle = 0;
        CibOnDisk disk;
        std::unique_ptr<controller::Node> core;
        std::unique_ptr<executor::Executor> executor;
        std::uint64_t core_life = 0, executor_life = 0;
        std::uint32_t pid = 1000;
        bool wanted = true;  ///< false after an orderly shutdown
        Timers core_timers, executor_timers;
        std::set<wire::Service> services_open;
        std::map<std::uint64_t, Answer> answers;  ///< by client id
        std::map<std::uint64_t, std::uint32_t> fencer_clients;
        Services services;
        std::map<std::uint32_t, AgentRun> runs;  ///< by Spawn token of the present executor
        std::map<std::uint32_t, std::vector<Events::Handle>> run_events;
        std::set<std::uint32_t> fence_runs;
        std::vector<std::function<void()>> held;  ///< what happened to it while it was paused
    };

    // An event for a machine's core or executor is dropped if that life of it is over, and waits while it is paused.
    void core_event(NodeId node, Duration delay, std::function<void(Machine&)> what);
    void executor_event(NodeId node, Duration delay, std::function<void(Machine&)> what);
    void machine_event(NodeId node, Duration delay, std::function<void(Machine&)> what);
    void guarded(NodeId node, bool core, std::uint64_t life, const std::function<void(Machine&)>& what);

    void start_core(NodeId node);
    void start_executor(NodeId node);
    void core_gone(NodeId node, bool respawn);
    void executor_gone(NodeId node, bool respawn);
    void feed_core(NodeId node, const controller::Input& input);
    void feed_executor(NodeId node, const executor::Input& input);
    void perform(NodeId node, const controller::Effect& effect);
    void perform(NodeId node, const executor::Effect& effect);
    void on_delivery(NodeId node, const Delivery& delivery);
    void arm(NodeId node, Part part, const wire::ArmTimer& timer);
    void disarm(Timers& timers, const std::string& timer);
    void disarm_all(Timers& timers);
    void run_agent(NodeId node, const executor::Spawn& spawn);
    void run_fence_agent(NodeId node, const controller::RunFenceAgent& run);
    void switch_power(NodeId by, const std::string& target, const std::string& action);
    void trace(std::string_view what, NodeId node, std::string_view text);
    [[nodiscard]] Now both_clocks() const;
    [[nodiscard]] NodeId find(std::string_view name) const;

    WorldOptions options_;
    Events events_;
    Random random_;
    std::map<NodeId, Machine> machines_;
    std::unique_ptr<Network> network_;
    std::vector<std::string> violations_;
    std::vector<HistoryLine> history_;
    std::uint64_t next_client_ = 100;
    int fencing_failures_ = 0;
    std::size_t fencings_ = 0, agent_runs_ = 0, steps_ = 0;
    std::uint64_t trace_ = 0xcbf29ce484222325ULL;
};

}  // namespace systole::sim
