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
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/node.h"
#include "executor/executor.h"
#include "remote/server.h"
#include "sim/events.h"
#include "sim/network.h"
#include "sim/random.h"
#include "sim/sabotage.h"
#include "sim/services.h"
#include "sim/witness.h"

namespace systole::sim {

struct WorldOptions {
    std::vector<wire::NodeRef> nodes;
    std::vector<std::string> remotes;           ///< remote nodes, by name, which is their address too
    std::map<std::string, std::string> guests;  ///< name and the resource that it is
    std::uint64_t seed = 1;
    NetworkTimes times;
    xml::NodePtr cib;  ///< on every disk at first
    Duration boot_min{5'000}, boot_max{20'000};
    Sabotage sabotage = Sabotage::kNone;
    bool trace = false;  ///< keep a hash over everything that happens
    std::size_t history_max = 20'000;
};

/// How fence actions that switch power go wrong.
enum class FenceFault : std::uint8_t {
    kFail,          ///< nothing happens, and it says so
    kHang,          ///< nothing happens, and it never ends
    kFalseFailure,  ///< the power is switched, and it says that it was not
    kStaysOff,      ///< a reboot ends with the machine off
};

/// How a disk goes wrong.
enum class DiskFault : std::uint8_t {
    kFull,       ///< writes fail
    kLostFsync,  ///< what was written last is gone once power is lost
    kTorn,       ///< the last write before power is lost is half there: the one before it counts
};

/// One line of what happened, for people.
struct HistoryLine {
    Instant at;
    std::string node;
    std::string text;
};

inline constexpr wire::ClientId kCoreAsClient{1};      ///< systole-core at the executor
inline constexpr wire::ClientId kExecutorAsClient{2};  ///< systole-execd at the fencer
inline constexpr Duration kHop{1};                     ///< from process to process on one machine

/// As disks keep a CIB: what nodes run is not among what a start begins with (cib/store.h).
xml::NodePtr with_empty_status(const xml::NodePtr& cib);

class World {
public:
    explicit World(WorldOptions options);
    ~World();

    void boot(NodeId node);
    void boot_all();
    /// Runs until that virtual time, or until the first violation if asked to.
    void run_for(Duration time, bool stop_at_violation = true);

    // ---- Faults
    void power_off(NodeId node, const std::string& why, Power how = Power::kLost);
    void never_boot(NodeId node) { machines_.at(node).broken = true; }
    void kill_core(NodeId node);
    void kill_executor(NodeId node);
    void lose_engine(NodeId node, Duration time);       ///< Corosync is restarted
    void pause(NodeId node, Duration time);             ///< the whole machine
    void stop_core(NodeId node, Duration time);         ///< SIGSTOP, SIGCONT
    void stop_executor(NodeId node, Duration time);     ///< likewise
    void set_clock(NodeId node, std::int64_t seconds);  ///< the wall clock jumps
    void set_disk_fault(NodeId node, DiskFault fault, Duration time);
    void crash_service(NodeId node, const std::string& instance);
    void start_service_by_hand(NodeId node, const std::string& instance);
    void add_agent_fault(NodeId node, const std::string& instance, AgentFault fault);
    void add_fence_fault(FenceFault fault, int times);       ///< of the next fence actions, whoever does them
    void hide_fence_device(NodeId node, Duration time);      ///< it can't reach the device
    void cut_remote(NodeId from, NodeId to, Duration time);  ///< of a cluster and a remote node, one way
    void set_wrong_key(NodeId remote, Duration time);
    void clear_faults();
    Network& network() { return *network_; }
    [[nodiscard]] const Network& network() const { return *network_; }

    // ---- People: requests as commands send them
    using Reply = std::function<void(const xml::NodePtr& message)>;
    /// False if that service of the node takes no clients. The reply never comes if the node's core ends before.
    bool request(NodeId node, wire::Service service, const xml::NodePtr& message, Reply reply);
    using Answer = std::function<void(int rc, const xml::NodePtr& data)>;
    bool cib_request(NodeId node, const xml::NodePtr& request, Answer answer);
    void shut_down(NodeId node);    ///< systemctl stop
    void start_again(NodeId node);  ///< systemctl start
    /// The machine, its engine and its core are to be up, and nobody asked it to leave.
    [[nodiscard]] bool wanted(NodeId node) const { return machines_.at(node).wanted && !machines_.at(node).broken; }
    /// Requests that have waited so long for the answer of a working core, in words.
    [[nodiscard]] std::vector<std::string> unanswered(Duration so_long) const;

    // ---- Truth
    [[nodiscard]] Instant now() const { return events_.now(); }
    [[nodiscard]] Events& events() { return events_; }
    [[nodiscard]] std::vector<NodeId> nodes() const;     ///< cluster nodes
    [[nodiscard]] std::vector<NodeId> machines() const;  ///< and remote and guest nodes
    [[nodiscard]] bool is_remote(NodeId node) const { return machines_.at(node).remote; }  ///< or a guest
    /// The resource that a guest is; empty if it is none.
    [[nodiscard]] const std::string& container(NodeId node) const { return machines_.at(node).container; }
    /// Can a connection be made, in truth?
    [[nodiscard]] bool reaches(NodeId host, NodeId remote) const;
    /// Remote nodes to which a connection of that node is open, in truth.
    [[nodiscard]] std::set<std::string> connections(NodeId host) const;
    [[nodiscard]] bool powered(NodeId node) const { return machines_.at(node).powered; }
    [[nodiscard]] bool standing_still(NodeId node) const;  ///< the machine, or its core
    [[nodiscard]] std::uint64_t power_cycle(NodeId node) const { return machines_.at(node).power_cycle; }
    /// Counts the lives of its core: the same number, the same process.
    [[nodiscard]] std::uint64_t core_life(NodeId node) const { return machines_.at(node).core_life; }
    [[nodiscard]] Instant core_since(NodeId node) const { return machines_.at(node).core_since; }
    /// What the node was told last about quorum, and when.
    struct QuorumTold {
        bool quorate = false;
        Instant at{};
    };
    [[nodiscard]] QuorumTold quorum_told(NodeId node) const { return machines_.at(node).quorum; }
    [[nodiscard]] Sabotage sabotage() const { return options_.sabotage; }
    /// Was anything written at that moment lost with a disk that had confirmed it, or was about to?
    [[nodiscard]] bool disk_lied(Instant at) const;
    /// Did any clock jump so far? Times in records of then may lie in the future.
    [[nodiscard]] bool clocks_jumped() const { return clocks_jumped_; }
    [[nodiscard]] std::size_t timers_armed(NodeId node) const {
        return machines_.at(node).core_timers.size() + machines_.at(node).executor_timers.size();
    }
    [[nodiscard]] bool core_alive(NodeId node) const { return machines_.at(node).core != nullptr; }
    [[nodiscard]] std::size_t clients(NodeId node) const { return machines_.at(node).waiting.size(); }  ///< truly there
    [[nodiscard]] const controller::Node* core(NodeId node) const { return machines_.at(node).core.get(); }
    [[nodiscard]] const Services& services(NodeId node) const { return machines_.at(node).services; }
    [[nodiscard]] const std::string& name(NodeId node) const { return machines_.at(node).ref.name; }
    [[nodiscard]] NodeId find(std::string_view name) const;  ///< 0: no such node
    [[nodiscard]] std::size_t fencings() const { return fencings_; }
    /// The last moment at which an agent other than a monitor began, or power was switched.
    [[nodiscard]] Instant last_action() const { return last_action_; }
    [[nodiscard]] Instant last_fenced(NodeId node) const { return machines_.at(node).last_fenced; }
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
    Witness* witness = nullptr;

private:
    struct Disk {
        xml::NodePtr newest, before, first;
        std::optional<DiskFault> fault;
        Instant fault_since{};
    };
    struct Waiting {
        Reply reply;
        Instant since;
        std::string what;
    };
    struct Armed {
        Events::Handle handle;
        std::uint64_t number = 0;
    };
    using Timers = std::map<std::string, Armed>;  ///< by name
    /// A connection to a remote node, at its host; `peer` is 0 while it is made.
    struct Link {
        std::uint32_t token = 0;
        NodeId target{0};
        wire::ClientId peer{};
        std::vector<xml::NodePtr> outgoing{};
    };
    /// And at the remote node.
    struct Place {
        NodeId host{0};
        std::string node;
        std::uint32_t token = 0;
        std::vector<xml::NodePtr> outgoing{};
    };
    enum class Part : std::uint8_t { kCore, kExecutor };
    struct Machine {
        wire::NodeRef ref;
        bool powered = false;
        bool paused = false, core_stopped = false, executor_stopped = false;
        bool broken = false;  ///< does not boot any more
        bool device_hidden = false;
        bool remote = false;    ///< nothing but pacemaker-remoted, which counts as its executor
        std::string container;  ///< of a guest
        bool wrong_key = false;
        std::unique_ptr<remote::Server> server;
        std::deque<remote::Input> server_inputs;
        bool server_busy = false;
        Timers server_timers;
        std::map<std::string, Link> links;      ///< of a cluster node, by connection
        std::map<wire::ClientId, Place> peers;  ///< of a remote node
        std::int64_t clock_offset = 0;
        std::uint64_t power_cycle = 0;
        Instant last_fenced{}, core_since{};
        QuorumTold quorum;
        Disk disk;
        std::unique_ptr<controller::Node> core;
        std::unique_ptr<executor::Executor> executor;
        std::uint64_t core_life = 0, executor_life = 0;
        std::uint32_t pid = 1000;
        bool wanted = true;  ///< false after an orderly shutdown
        Timers core_timers, executor_timers;
        std::set<wire::Service> services_open;
        std::map<std::uint64_t, Waiting> waiting;  ///< by client id
        std::map<std::uint64_t, std::uint32_t> fencer_clients;
        Services services;
        std::map<std::uint32_t, AgentRun> runs;  ///< by Spawn token of the present executor
        std::map<std::uint32_t, std::vector<Events::Handle>> run_events;
        std::set<std::uint32_t> fence_runs;
        std::vector<std::function<void()>> held;                      ///< what happened to it while it stood still
        std::vector<std::function<void()>> core_held, executor_held;  ///< likewise, to the process
    };

    // An event for a machine's core or executor is dropped if that life of it is over, and waits while it is paused.
    void core_event(NodeId node, Duration delay, std::function<void(Machine&)> what);
    void executor_event(NodeId node, Duration delay, std::function<void(Machine&)> what);
    void machine_event(NodeId node, Duration delay, std::function<void(Machine&)> what);
    void guarded(NodeId node, Part part, std::uint64_t life, const std::function<void(Machine&)>& what);
    void stop_process(NodeId node, Part part, Duration time);
    static void release(std::vector<std::function<void()>>& held);

    void start_core(NodeId node);
    void start_executor(NodeId node);
    void core_gone(NodeId node, bool respawn);
    void executor_gone(NodeId node, bool respawn);
    void feed_core(NodeId node, const controller::Input& input);
    void feed_executor(NodeId node, const executor::Input& input);
    void perform(NodeId node, const controller::Effect& effect);
    void perform(NodeId node, const executor::Effect& effect);
    void on_delivery(NodeId node, const Delivery& delivery);
    /// `timers` are those of one of the part's cores, which `tell` gives the timer when it fires.
    void arm(NodeId node, Part part, Timers Machine::* timers, const wire::ArmTimer& timer,
             std::function<void(const wire::TimerFired&)> tell);
    void disarm(Timers& timers, const std::string& timer);
    void disarm_all(Timers& timers);
    void run_agent(NodeId node, const executor::Spawn& spawn);
    void end_agent(NodeId node, std::uint32_t token, bool killed);
    [[nodiscard]] bool connected(NodeId from, NodeId to) const;
    void sync_guests();
    void connect_remote(NodeId host, const controller::ConnectRemote& order);
    void disconnect_remote(NodeId host, const std::string& node);
    void tell_closed(NodeId target, wire::ClientId peer, Duration in, const std::string& why);
    void drop_links(NodeId host);
    void drop_peers(NodeId target);
    void lose_link(Machine& machine, NodeId host, const std::string& node, std::uint32_t token);
    void to_remote(NodeId host, const controller::ToRemote& order);
    void pump_out(NodeId host, const std::string& node, std::uint32_t token, Duration in);
    void pump_in(NodeId target, wire::ClientId peer, Duration in);
    void feed_server(NodeId node, remote::Input input);
    void perform_server(NodeId node, const remote::Effect& effect);
    bool for_server(NodeId node, const executor::Effect& effect);
    void remote_request(NodeId node, wire::Service service, const xml::NodePtr& message);
    void tell_promotion_score(NodeId node, const std::string& instance);
    void run_fence_agent(NodeId node, const controller::RunFenceAgent& run);
    void switch_power(NodeId by, const std::string& target, const std::string& action, bool stays_off);
    void perform_respond(NodeId node, const wire::Respond& response);
    void perform_log(NodeId node, const wire::Log& line);
    void perform_to_fencer(NodeId node, const executor::ToFencer& request);
    void run_scheduler(NodeId node, const controller::RunScheduler& run);
    void perform_multicast(NodeId node, const wire::Multicast& e);
    void trace(std::string_view what, NodeId node, std::string_view text);
    [[nodiscard]] Now both_clocks(const Machine& machine) const;

    WorldOptions options_;
    Events events_;
    Random random_;
    std::map<NodeId, Machine> machines_;
    std::unique_ptr<Network> network_;
    std::vector<std::string> violations_;
    std::vector<HistoryLine> history_;
    std::uint64_t next_client_ = 100, last_timer_ = 0;
    std::uint64_t last_peer_ = 0;
    std::set<std::string> containers_;                 ///< resources that are guests
    std::set<std::pair<NodeId, NodeId>> cut_remotes_;  ///< from, to
    std::vector<FenceFault> fence_faults_;             ///< of the next fence actions
    Instant last_action_{};
    bool clocks_jumped_ = false;
    std::vector<std::pair<Instant, Instant>> lies_;  ///< of disks, from and to
    std::size_t fencings_ = 0, agent_runs_ = 0, steps_ = 0;
    std::uint64_t trace_ = 0xcbf29ce484222325ULL;
};

}  // namespace systole::sim
