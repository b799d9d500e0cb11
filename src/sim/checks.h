#pragma once
// sim/checks.h — the invariants of reliability.md, checked on the simulated world itself.
//
// TruthChecker watches what happens and judges it at that moment (I1 to I4, I6 to I8, I15); check_settled() judges what
// is left when the faults are over (L1 to L5, I5, I11, and that what runs is what the records say); check_commands()
// judges what people were promised (I5, I12, L6). Rest (L5, I9) and orderly leaving (L8) are judged by the drill, which
// knows the time that each has.
//
// What a manager could not know in time is no violation: a service that died a moment ago, an order given before the
// configuration changed. Such cases have a grace of kGrace.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/people.h"
#include "sim/promises.h"
#include "sim/world.h"

namespace systole::sim {

inline constexpr Duration kGrace{5000};

class TruthChecker : public Witness {
public:
    TruthChecker(World& world, const Promises& promises, const People& people);

    void on_agent_begin(NodeId node, const AgentRun& run) override;
    void on_agent_end(NodeId node, const AgentRun& run, bool killed) override;
    void on_service_died(NodeId node, const std::string& instance) override;
    void on_power(NodeId node, Power power) override;
    void on_plan(NodeId by, const scheduler::Plan& plan) override;
    void on_switching(NodeId by, const std::string& target, const std::string& action) override;
    void on_removed(NodeId node) override;
    /// After every event: the cores' own invariants, one node at a time.
    void on_step();
    /// From now on nothing is to be done: a plan with an action in it is a violation (I9).
    void begin_rest() { resting_ = true; }
    /// Ends it; false if nobody made a plan meanwhile.
    bool end_rest();
    /// Failure counts that no failure of the node's present life explains (I12).
    [[nodiscard]] std::vector<std::string> unexplained_failures() const;

private:
    /// What agents told of a resource on a node, as the manager may know it.
    struct Told {
        bool active = false;
        bool surprise = false;  ///< it ended without having been stopped
        Instant since{};
    };
    using Place = std::pair<std::string, NodeId>;  ///< resource, node

    void check_single(const std::string& resource);                       // I1
    void check_takeover(NodeId node, const std::string& resource);        // I2
    void check_order_of_start(NodeId node, const std::string& resource);  // I6
    void check_order_of_stop(NodeId node, const std::string& resource);   // I6
    void check_allowed(NodeId node, const AgentRun& run);                 // I7
    void check_unmanaged(NodeId node, const AgentRun& run);               // I8
    void note_blemishes();
    void tell(NodeId node, const std::string& resource, bool active, bool surprise);
    void check_connections();  // I14
    [[nodiscard]] bool settled_ring(NodeId node) const {
        return !world_.is_remote(node) && world_.network().ring_age(node) > kGrace;
    }
    [[nodiscard]] bool watched(const std::string& resource) const {
        return exclusive_.contains(resource) || promises_.cloned.contains(resource);
    }

    World& world_;
    const Promises& promises_;
    const People& people_;
    std::set<std::string> exclusive_;
    std::map<Place, Told> told_;
    std::map<Place, std::uint64_t> may_run_;   ///< and in which power cycle: nothing has proven yet that it ended
    std::map<Place, Instant> died_;            ///< the truth, for the grace
    std::map<NodeId, std::uint64_t> removed_;  ///< an administrator has seen that it is off, after that power cycle
    std::set<Place> starting_;
    std::set<NodeId> on_;                        ///< machines with power
    std::set<NodeId> broken_;                    ///< a stop failed there, which nothing but its end mends
    std::map<NodeId, Instant> blemished_;        ///< when something was last seen that may be a cause to fence it
    std::map<NodeId, std::set<NodeId>> rings_;   ///< as of the last step
    std::map<Place, std::uint64_t> failed_;      ///< and in which power cycle, last
    std::map<std::string, Instant> held_twice_;  ///< remote nodes with more than one connection, and since when
    std::map<NodeId, Instant> reached_since_;    ///< remote nodes to which a connection can be made, and since when
    bool resting_ = false;
    std::size_t plans_at_rest_ = 0;
    std::size_t steps_ = 0;
};

/// What is wrong with a cluster that had time to recover; empty if all is well. `absent`: nodes that are to be out.
std::vector<std::string> check_settled(const World& world, const Promises& promises, const std::set<NodeId>& absent);

/// The configuration and status as the DC has it; as anybody has it if there is none.
xml::NodePtr last_cib(const World& world);

/// What people were promised and the cluster's configuration does not hold.
std::vector<std::string> check_commands(const World& world, const People& people);

/// Asks every node's attribute manager for what people were promised; run the world for a second, then look at what was
/// added to `wrong`.
void check_attributes(World& world, const People& people, std::vector<std::string>& wrong);

}  // namespace systole::sim
