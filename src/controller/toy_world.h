#pragma once
// controller/toy_world.h — a small world for tests of Node: a totally ordered bus, clocks, executors, fence devices.
//
// Deterministic and single-threaded. One bus message takes a millisecond; nothing else takes time but what is
// configured (operations, fencing, detection of a loss). The planner is a toy as well (toy_planner.h): it knows
// primitives, probes, monitors, failures, node loss, fencing and shutdown, and nothing more.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/node.h"

namespace systole::controller::toy {

struct Options {
    int nodes = 3;
    bool fencing = false;      ///< stonith-enabled, with a device for every node
    std::string resources;     ///< XML inside <resources>
    std::string constraints;   ///< XML inside <constraints>
    Duration detection{1000};  ///< from a node's end to the others' notice
    Duration operation{10};    ///< of agents, unless in World::durations
    Duration fence_time{500};
    std::vector<std::string> remotes;           ///< machines with nothing but a remote executor, on from the start
    std::map<std::string, std::string> guests;  ///< machines that a resource is: guest by resource
    bool real_scheduler = false;                ///< the project's scheduler instead of the toy planner
    bool verbose = false;
};

class World {
public:
    explicit World(Options options);

    /// Power on, or restart of the core; `answers`: its executor does, and does not stand still.
    void start(const std::string& node, bool answers = true);
    void executor_answers(const std::string& node);
    void start_all();
    void power_off(const std::string& node);  ///< everything on it ends at once
    void kill_core(const std::string& node);  ///< its services and its executor go on
    void shut_down(const std::string& node);
    /// Of remote and guest nodes: power (guests are switched by their resources), and standing still.
    void power_on_remote(const std::string& node);
    void power_off_remote(const std::string& node);
    void freeze_remote(const std::string& node, bool frozen);
    void cut_connection(const std::string& node);  ///< the connections end; the machine runs on
    /// That cluster node cannot reach that machine any more.
    void block(const std::string& host, const std::string& node) { blocked_.emplace(host, node); }
    /// A message of the remote node's daemon about its clients (lrmd_ipc_proxy), over its newest connection.
    void from_remote(const std::string& node, const xml::NodePtr& message);
    /// What the cluster told that daemon about its clients, since the last call.
    std::vector<xml::NodePtr> proxied(const std::string& node);
    [[nodiscard]] std::vector<std::string> connected(const std::string& node) const;  ///< who holds a connection
    void isolate(const std::string& node);                                            ///< it runs on but hears nobody
    /// Runs until nothing happens before `until` from now, or `done` holds; false if it does not hold in the end.
    bool run(Duration at_most, const std::function<bool()>& done = {});
    bool settle(Duration at_most = std::chrono::seconds(60));  ///< every live node is idle or follows, no work left

    [[nodiscard]] Duration elapsed() const { return now_.mono.time_since_epoch(); }
    [[nodiscard]] std::string dc() const;  ///< the one node that believes to be DC; "a,b" if there are several
    [[nodiscard]] std::string state(const std::string& node) const;
    [[nodiscard]] std::vector<std::string> running(const std::string& resource) const;  ///< nodes where it really runs
    [[nodiscard]] xml::NodePtr cib(const std::string& node) const;
    [[nodiscard]] bool is_alone(const std::string& node) const { return machines_.at(node).alone; }
    [[nodiscard]] std::optional<int> exit_code(const std::string& node) const;
    [[nodiscard]] Node& node(const std::string& name) { return *machines_.at(name).core; }

    /// A client's request to a service of a node, and what came back (responses and events) within a second.
    std::vector<xml::NodePtr> ask(const std::string& node, wire::Service service,
                                  const std::vector<xml::NodePtr>& requests);
    /// The resource fails: its next monitor says so.
    void break_service(const std::string& node, const std::string& resource);

    std::vector<std::string> history;  ///< "12ms n1 start db rc=0", "n2 fenced", ... in order
    std::vector<std::string> errors;   ///< logged with severity error
    std::vector<std::string> violations;
    std::map<std::string, Duration> durations;  ///< "node/resource/action"
    std::map<std::string, int> results;         ///< "node/resource/action" -> rc
    int plans = 0;
    [[nodiscard]] int count(const std::string& text) const;  ///< history lines with that text

private:
    struct Service {
        bool running{}, broken{};
    };
    struct Run {
        int call{};
        std::string resource, action, userdata;
        long long interval{};
        Duration took{};
        xml::NodePtr attributes;
        Instant begun;
    };
    struct Executor {
        bool up{}, stands{};
        int calls = 0;
        std::map<std::string, xml::NodePtr> known;  ///< lrmd_rsc of the registration
        std::map<std::string, std::deque<Run>> queues;
        std::map<std::string, Run> recurring;  ///< by key "res/action/interval"
        std::deque<xml::NodePtr> missed;       ///< events while nobody listens
        std::map<std::string, int> last_rc;
        std::vector<ToExecutor> unread;  ///< while it stands still
    };
    struct Machine {
        NodeId id;
        std::string name;
        bool power{}, alone{};
        std::unique_ptr<Node> core;
        std::uint32_t pid{};
        std::uint64_t life = 0;  ///< of the core: timers and work of former lives are void
        std::set<wire::Group> groups;
        xml::NodePtr disk;
        std::map<std::string, Service> services;
        Executor executor;
        std::optional<int> exit;
        std::vector<xml::NodePtr> client_mail;
    };
    struct Timed {
        Instant at;
        std::uint64_t order;
        std::function<void()> what;
    };

    struct Remote {
        std::map<std::string, std::uint32_t> connections;  ///< host and token, registered or not
        std::vector<std::string> providers;                ///< hosts that registered, newest last
        std::vector<xml::NodePtr> proxied;
        bool frozen{};
    };

    Machine& machine_of(const std::string& name);
    void connect_remote(const std::string& host, const ConnectRemote& order);
    void disconnect_remote(const std::string& host, const std::string& node);
    void host_lost(const std::string& host);
    void to_remote(const std::string& host, const ToRemote& order);
    void tell_host(const std::string& node, const std::string& host, const xml::NodePtr& message);
    void switch_guest(const Machine& machine, const std::string& resource, bool on);
    [[nodiscard]] bool is_stuck(const Machine& machine) const;

    void feed(Machine& machine, const Input& input);
    void perform(Machine& machine, Effect& effect);
    void at(Duration in, std::function<void()> what);
    void on_bus(std::function<void()> what);
    void change_group(wire::Group group, std::vector<wire::GroupMember> joined, std::vector<wire::GroupMember> left);
    void tell_quorum();
    void gone(const Machine& machine, std::uint32_t pid);
    void execute(Machine& machine, const ToExecutor& order);
    xml::Builder execute(Machine& machine, const xml::Node& message);
    void begin_next(Machine& machine, const std::string& resource);
    void begin_recurring(Machine& machine, const std::string& key);
    int act(Machine& machine, const Run& run);
    void report(Machine& machine, const Run& run, int rc, int status);
    void run_fence_agent(Machine& machine, const RunFenceAgent& agent);
    void check();
    void note(const std::string& line);
    Machine* find(NodeId id);

    Options options_;
    Now now_{};
    std::map<std::string, Machine> machines_;
    std::map<std::string, Machine> remote_machines_;
    std::map<std::string, Remote> remotes_;
    std::set<std::pair<std::string, std::string>> blocked_;
    std::map<std::pair<std::string, std::string>, std::pair<std::uint64_t, Instant>> timers_;
    std::vector<Timed> timed_;
    std::deque<std::function<void()>> bus_;
    std::map<wire::Group, std::set<wire::GroupMember>> members_;
    std::uint64_t order_ = 0;
    std::uint32_t pids_ = 100;
    std::uint64_t ring_ = 0;
    std::uint64_t clients_ = 0;
};

/// The toy planner: <transition_graph> for a CIB.
xml::NodePtr plan(const xml::Node& cib);

}  // namespace systole::controller::toy
