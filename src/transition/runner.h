#pragma once
// transition/runner.h — carries out a transition graph: which action may go now, what a result means, when it is over.
//
// A graph may be replaced while actions of the former one still run. Those are remembered as in flight: if the new
// graph wants the same operation on the same node, it adopts the run instead of asking for a second one; any other
// action for the same resource waits until the run ended. So a new plan starts at once, a recovery never waits behind
// an unrelated slow action, and nothing runs twice.
//
// Invariants: an action is executed at most once; a synapse fires only when all of its inputs are confirmed and none of
// them failed (unless it can fail); an action waits while a former graph's action for its resource is in flight;
// results of a transition that is neither current nor in flight change nothing. Source: protocol sheet controller.md,
// sections 10 and 11; reliability.md I6, I11, I15.
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/exit_code.h"
#include "transition/graph.h"
#include "transition/key.h"

namespace systole::transition {

/// Carry it out; answered by on_result() with this key, or not at all for actions with wait == false and pseudo events,
/// which the runner confirms itself (pseudo events are not returned as effects).
struct Execute {
    Action action;  ///< a copy: the graph may be replaced before the answer
    Key key;
};

/// A pseudo event that stands for something that happened to nodes (a guest that ended with its container, nodes that
/// are in maintenance): to be recorded. It was confirmed already.
struct Happened {
    Action action;
};

/// Nothing was heard in time: to be recorded as a timeout, which comes back through on_result().
struct TimedOut {
    Action action;
    Key key;
};

struct ArmTimer {
    std::string name;  ///< answered by on_timer(name)
    Instant at;
};
struct CancelTimer {
    std::string name;
};

enum class Outcome : std::uint8_t {
    kComplete,  ///< every action was confirmed
    kAborted,   ///< stopped by an abort or a failure; a new plan is wanted
    kStuck,     ///< nothing runs, nothing can run, yet actions are left: a contradiction in the graph
};

struct Finished {
    Outcome outcome{};
    int transition = -1;
    std::string reason;
    int skipped = 0;     ///< actions given up because of an abort
    int incomplete = 0;  ///< actions that could never run
};

using Effect = std::variant<Execute, Happened, TimedOut, ArmTimer, CancelTimer, Finished>;
using Effects = std::vector<Effect>;

/// What a result turned out to be.
enum class Match : std::uint8_t {
    kConfirmed,  ///< of the current graph, as wanted
    kFailed,     ///< of the current graph, not as wanted: the transition was aborted (unless the action can fail)
    kInFlight,   ///< of a former graph's action that was in flight and not adopted: the transition was aborted
    kStale,      ///< of a former graph of ours, nobody waits for it: a new plan is wanted
    kForeign,    ///< another transition engine's: a new plan is wanted
    kOutside,    ///< asked for by a person or a tool (transition -1): a new plan is wanted
    kRepeated,   ///< already confirmed: ignore
};

struct InFlight {
    Action action;
    Key key;
    Instant since;
};

struct Limits {
    unsigned batch = 0;  ///< actions in flight at once; 0: none. The lower of this and the graph's counts
    std::map<std::string, unsigned> jobs;  ///< per cluster node
    unsigned remote_jobs = 0;              ///< of any other node, which is a remote or guest node; 0: no limit
};

class Runner {
public:
    /// `uuid`: 36 characters that no other engine has.
    explicit Runner(std::string uuid);

    /// Starts a graph; actions still in flight are kept. Errors: kInvalid as parse_graph; the former state stays.
    [[nodiscard]] Result<Effects> start(Instant now, const xml::Node& graph);

    struct Answer {
        Match match{};
        Effects effects;
    };
    /// A result as a history record or a direct ack carries it. `node`: where it was executed.
    [[nodiscard]] Answer on_result(Instant now, const Key& key, std::string_view node, ExecStatus status, int rc);
    /// Confirms an action whose completion has no key: a cancel seen by its deletion, a fencing, a cluster action.
    [[nodiscard]] Effects on_done(Instant now, int action_id, bool succeeded);
    [[nodiscard]] Effects on_timer(Instant now, std::string_view name);
    /// No action of lower priority is begun any more. With nothing left to begin the graph is over at once, whatever is
    /// in flight: the caller may start a new one.
    [[nodiscard]] Effects abort(Instant now, int priority, std::string_view reason);
    /// The node can't answer any more: what was in flight there, or is carried out by it for a remote node, is
    /// forgotten.
    [[nodiscard]] Effects on_node_lost(Instant now, std::string_view node);
    /// The history of a resource (as history names it: without an anonymous instance's number) on that node was erased:
    /// its recurring operations were ended with that, and one that had not answered yet never will.
    [[nodiscard]] Effects on_history_erased(Instant now, std::string_view resource, std::string_view node);
    /// Forgets everything (this node is no longer DC).
    [[nodiscard]] Effects reset();
    void set_limits(Limits limits);

    [[nodiscard]] bool running() const { return graph_.has_value() && !over_; }
    [[nodiscard]] int transition() const { return graph_ ? graph_->id : -1; }
    [[nodiscard]] const Graph* graph() const { return graph_ ? &*graph_ : nullptr; }
    [[nodiscard]] const std::string& uuid() const { return uuid_; }
    [[nodiscard]] std::vector<InFlight> in_flight() const;
    /// The cancel action in flight for that operation key and node, if any.
    [[nodiscard]] std::optional<int> pending_cancel(std::string_view key, std::string_view node) const;
    /// Does an action of the current graph that was begun take this node (its id) away?
    [[nodiscard]] bool expects_down(std::string_view node_id) const;
    [[nodiscard]] std::vector<std::string> check_state() const;

private:
    enum class State : std::uint8_t { kWaiting, kInFlight, kConfirmed, kFailed, kSkipped };
    struct Flight {
        InFlight what;
        std::optional<ActionIndex> action;  ///< in the current graph; empty for a former graph's that was not adopted
    };
    using FlightId = std::pair<int, int>;  // transition, action: the key that its result carries

    using Ready = std::pair<int, SynapseIndex>;  // ordered by falling priority

    void advance(Instant now, Effects& effects);
    void make_ready(SynapseIndex index);
    bool begin_synapse(Instant now, const Synapse& synapse, Effects& effects);
    [[nodiscard]] const std::string& lane_of(const Synapse& synapse) const;
    [[nodiscard]] bool is_full(const std::string& lane) const;
    void wake_all();
    void begin(Instant now, ActionIndex index, Effects& effects);
    void confirm(ActionIndex index, bool succeeded, std::string_view why);
    void raise_abort(int priority, std::string_view reason);
    [[nodiscard]] bool may_begin(const Action& action) const;
    [[nodiscard]] bool room_in_batch() const;
    [[nodiscard]] static bool is_job(const Action& action);
    [[nodiscard]] bool has_room(const std::string& node) const;
    /// Takes over a former graph's run of the same work. Only when its turn has come: what the new graph wants done
    /// before (a stop of the same resource, say) would else be undone by a run that began earlier.
    bool adopt(ActionIndex index);
    void take_off(ActionIndex index, const Key& key, Instant now, Effects& effects);
    std::optional<ActionIndex> land(std::map<FlightId, Flight>::iterator flight, Effects& effects);
    void settle(Effects& effects);
    void finish(Outcome outcome, std::string reason, Effects& effects);
    [[nodiscard]] std::size_t flights_of_graph() const;
    static std::string timer_name(const FlightId& id);

    std::string uuid_;
    Limits limits_;
    std::optional<Graph> graph_;
    std::vector<State> states_;         // per action of graph_
    std::vector<std::size_t> missing_;  // per synapse: inputs not yet confirmed
    // Synapses whose inputs are confirmed and that are not all begun, in a lane for each node where they run (and a
    // common one). Only lanes where something changed are looked at: with ten thousand actions most wait for room on a
    // node.
    std::map<std::string, std::set<Ready>, std::less<>> lanes_;
    std::set<std::string> awake_;
    std::map<FlightId, Flight> flights_;
    std::size_t orphans_ = 0;                            // flights without an action in the current graph
    std::map<std::string, unsigned, std::less<>> jobs_;  // in flight per node; connections don't count
    bool over_ = true;
    std::optional<int> abort_priority_;
    std::string abort_reason_;
    int unconfirmed_ = 0;
};

}  // namespace systole::transition
