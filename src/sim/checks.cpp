#include "sim/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "attributes/table.h"
#include "base/text.h"
#include "xml/write.h"

namespace systole::sim {
namespace {

/// By the DC's copy; null if nobody is DC.
const controller::Node* any_dc(const World& world) {
    for (const NodeId node : world.nodes())
        if (const controller::Node* core = world.core(node); core != nullptr && core->dc() == world.name(node))
            return core;
    return nullptr;
}

const xml::Node* node_state(const xml::Node& cib, const std::string& name) {
    const xml::Node* status = cib.child("status");
    if (status == nullptr) return nullptr;
    for (const auto& state : status->children())
        if (state->get("uname") == name) return state.get();
    return nullptr;
}

/// Is the resource active there, by the last of the records? Nothing if there is none.
std::optional<bool> recorded_active(const xml::Node& cib, const std::string& node, const std::string& resource) {
    const xml::Node* state = node_state(cib, node);
    const xml::Node* lrm = state == nullptr ? nullptr : state->child("lrm");
    const xml::Node* list = lrm == nullptr ? nullptr : lrm->child("lrm_resources");
    if (list == nullptr) return std::nullopt;
    std::optional<bool> active;
    long long newest = -1;
    for (const auto& entry : list->children()) {
        const std::string_view id = entry->id();
        if (id.substr(0, id.find(':')) != resource) continue;
        for (const auto& record : entry->children()) {
            // A recurring operation that failed and is fine again leaves both records with one number.
            const bool remembered = record->id().ends_with("_last_failure_0");
            const long long call = 2 * parse_integer(record->get("call-id")).value_or(-1) + (remembered ? 0 : 1);
            const long long rc = parse_integer(record->get("rc-code")).value_or(-1);
            if (call < newest || rc == 193 || parse_integer(record->get("op-status")).value_or(0) == -1) continue;
            const std::string_view action = record->get("operation");
            const bool fine = rc == 0 || rc == 8 || rc == 9;
            if (action == "monitor") {
                active = fine;
            } else if (action == "stop" || action == "migrate_to") {
                if (rc == 0) active = false;
            } else if (action == "start" || action == "migrate_from" || action == "promote" || action == "demote") {
                if (rc == 0) active = true;
            } else {
                continue;
            }
            newest = call;
        }
    }
    return active;
}

std::string join_names(const World& world, const std::vector<NodeId>& nodes) {
    std::string text;
    for (const NodeId node : nodes) text += (text.empty() ? "" : ", ") + world.name(node);
    return text.empty() ? "nowhere" : text;
}

std::vector<NodeId> active_on(const World& world, const std::string& resource, Activity at_least) {
    std::vector<NodeId> found;
    for (const NodeId node : world.machines())
        if (world.powered(node) && world.services(node).activity(resource) >= at_least) found.push_back(node);
    return found;
}

constexpr Duration kHandOver{20'000};          ///< a stop waits half its time for the other node to take over
constexpr Duration kReachable{60'000};         ///< whoever could be reached for so long is fenced for no good reason
constexpr std::size_t kConnectionsEvery = 50;  ///< steps between two looks

}  // namespace

TruthChecker::TruthChecker(World& world, const Promises& promises, const People& people)
    : world_(world),
      promises_(promises),
      people_(people),
      exclusive_(promises.exclusive.begin(), promises.exclusive.end()) {}

// ---- As it happens --------------------------------------------------------------------------------------------------

void TruthChecker::on_agent_begin(NodeId node, const AgentRun& run) {
    if (!watched(run.instance)) return;
    const bool starts = run.action == "start" || run.action == "migrate_from";
    if (run.action != "monitor" && run.action != "notify") check_unmanaged(node, run);
    if (starts) {
        check_allowed(node, run);
        check_takeover(node, run.instance);
        check_order_of_start(node, run.instance);
        starting_.emplace(run.instance, node);
        may_run_.insert_or_assign(Place{run.instance, node}, world_.power_cycle(node));
    }
    if (run.action == "stop") check_order_of_stop(node, run.instance);
    if (starts || run.action == "promote") check_single(run.instance);
}

void TruthChecker::on_agent_end(NodeId node, const AgentRun& run, bool killed) {
    const bool fine = !killed && run.result.status == ExecStatus::kDone && run.result.exit_code == 0;
    if (!fine) failed_.insert_or_assign(Place{run.instance, node}, world_.power_cycle(node));
    if (!fine && (run.action == "stop" || !promises_.runs_fully)) broken_.insert(node);
    if (!watched(run.instance)) return;
    const Place place{run.instance, node};
    const bool starts = run.action == "start" || run.action == "migrate_from";
    if (starts) starting_.erase(place);
    if (killed || run.result.status != ExecStatus::kDone) return;
    const int rc = run.result.exit_code;
    if (starts && rc == 0) tell(node, run.instance, true, false);
    if ((run.action == "stop" || run.action == "migrate_to") && rc == 0) {
        tell(node, run.instance, false, false);
        may_run_.erase(place);
    }
    if (run.action == "monitor") {
        if (rc == 0 || rc == 8) {
            tell(node, run.instance, true, false);
            may_run_.insert_or_assign(place, world_.power_cycle(node));
        } else if (rc == 7) {
            tell(node, run.instance, false, true);
            may_run_.erase(place);
        }
    }
}

void TruthChecker::tell(NodeId node, const std::string& resource, bool active, bool surprise) {
    Told& told = told_[{resource, node}];
    if (told.active == active) return;
    told = {active, surprise, world_.now()};
}

void TruthChecker::on_service_died(NodeId node, const std::string& instance) {
    died_.insert_or_assign(Place{instance, node}, world_.now());
}

void TruthChecker::on_power(NodeId node, Power power) {
    if (power == Power::kOn) {
        on_.insert(node);
        return;
    }
    const bool was_on = on_.erase(node) > 0;
    broken_.erase(node);
    blemished_.insert_or_assign(node, world_.now());
    for (auto& [place, told] : told_)
        if (place.second == node && told.active) told = {false, true, world_.now()};
    std::erase_if(starting_, [&](const Place& place) { return place.second == node; });
    if (power != Power::kFenced) return;
    std::erase_if(may_run_, [&](const auto& entry) { return entry.first.second == node; });
    // I4: a fencing is done by somebody who lives on.
    if (was_on && on_.empty())
        world_.violate(fmt::format("I4: the fencing of {} leaves no machine on", world_.name(node)));
}

void TruthChecker::check_single(const std::string& resource) {
    const std::vector<NodeId> active = active_on(world_, resource, Activity::kStarted);
    const auto clone = promises_.cloned.find(resource);
    if (clone == promises_.cloned.end()) {
        if (active.size() > 1)
            world_.violate(fmt::format("I1: {} is active on {} at once", resource, join_names(world_, active)));
        return;
    }
    const CloneLimits& limits = clone->second;
    if (limits.total_max > 0 && active.size() > limits.total_max)
        world_.violate(fmt::format("I1: {} is active on {}, {} are allowed", resource, join_names(world_, active),
                                   limits.total_max));
    const std::vector<NodeId> promoted = active_on(world_, resource, Activity::kPromoted);
    if (promoted.size() > limits.promoted_max)
        world_.violate(fmt::format("I1: {} is promoted on {}, {} are allowed", resource, join_names(world_, promoted),
                                   limits.promoted_max));
}

void TruthChecker::check_takeover(NodeId node, const std::string& resource) {
    if (!exclusive_.contains(resource) || !promises_.fencing) return;
    for (auto entry = may_run_.begin(); entry != may_run_.end();) {
        const auto& [place, cycle] = *entry;
        const NodeId other = place.second;
        if (place.first != resource || other == node) {
            ++entry;
            continue;
        }
        // Whoever is back as a member in a later life proves that the earlier one is over; a guest ends with the
        // resource that it is, whose own end is judged for itself.
        const bool here =
            world_.is_remote(other) || world_.is_remote(node) || world_.network().ring_members(node).contains(other);
        const std::string& container = world_.container(other);
        const bool ended = !container.empty() &&
                           std::ranges::none_of(may_run_, [&](const auto& e) { return e.first.first == container; });
        // Who removes a node from the cluster says that it is off, as with a manual confirmation, and has looked here:
        // people remove none that is on. The removal has to have arrived where the plan is made.
        const auto removed = removed_.find(other);
        const controller::Node* dc = any_dc(world_);
        const bool dismissed = removed != removed_.end() && cycle < removed->second && dc != nullptr && dc->cib() &&
                               !recorded_active(*dc->cib(), world_.name(other), resource).value_or(false);
        if (dismissed || (world_.power_cycle(other) != cycle && ((world_.powered(other) && here) || ended))) {
            entry = may_run_.erase(entry);
            continue;
        }
        world_.violate(fmt::format("I2: {} starts on {}, and nothing has proven that it ended on {}", resource,
                                   world_.name(node), world_.name(other)));
        return;
    }
}

void TruthChecker::check_order_of_start(NodeId node, const std::string& resource) {
    for (const Order& order : promises_.orders) {
        if (order.then != resource || promises_.unmanaged.contains(order.first)) continue;
        bool fine = false;
        for (const NodeId other : world_.machines()) {
            if (order.same_node && other != node) continue;
            const Place place{order.first, other};
            const auto told = told_.find(place);
            if (told == told_.end()) continue;
            fine = fine || (told->second.active && !starting_.contains(place)) ||
                   (told->second.surprise && world_.now() - told->second.since < kGrace);
        }
        if (!fine)
            world_.violate(fmt::format("I6: {} starts on {} before {} has", resource, world_.name(node), order.first));
    }
}

void TruthChecker::check_order_of_stop(NodeId node, const std::string& resource) {
    const auto own = told_.find({resource, node});
    if (own == told_.end() || !own->second.active || !settled_ring(node)) return;
    const auto ring = world_.network().ring_members(node);
    for (const Order& order : promises_.orders) {
        if (order.first != resource) continue;
        for (const NodeId other : ring) {
            if ((order.same_node && other != node) || !settled_ring(other)) continue;
            const auto told = told_.find({order.then, other});
            // A restart of our own core or executor makes a node forget for a moment what it runs.
            if (told == told_.end() || !told->second.active || world_.now() - world_.core_since(other) < kGrace)
                continue;
            world_.violate(fmt::format("I6: {} stops on {} while {} runs on {}", resource, world_.name(node),
                                       order.then, world_.name(other)));
        }
    }
}

void TruthChecker::check_allowed(NodeId node, const AgentRun& run) {
    if (promises_.banned.contains({run.instance, world_.name(node)}))
        world_.violate(fmt::format("I7: {} starts on {}, where it is banned", run.instance, world_.name(node)));
    const auto since = people_.standby_since(node);
    if (since && world_.now() - *since > kGrace && settled_ring(node) && world_.core_alive(node) &&
        world_.now() - world_.core_since(node) > kGrace && !world_.standing_still(node))
        world_.violate(fmt::format("I7: {} starts on {}, which is in standby", run.instance, world_.name(node)));
}

void TruthChecker::check_unmanaged(NodeId node, const AgentRun& run) {
    if (promises_.unmanaged.contains(run.instance))
        world_.violate(
            fmt::format("I8: {} of {} on {}, which is not managed", run.action, run.instance, world_.name(node)));
    const auto since = people_.maintenance_since();
    if (since && world_.now() - *since > kGrace && settled_ring(node) && world_.network().quorate(node) &&
        world_.core_alive(node) && world_.now() - world_.core_since(node) > kGrace && !world_.standing_still(node))
        world_.violate(fmt::format("I8: {} of {} on {} while the cluster is in maintenance", run.action, run.instance,
                                   world_.name(node)));
}

// ---- Causes of fencing

void TruthChecker::note_blemishes() {
    for (const NodeId node : world_.nodes()) {
        if (!world_.powered(node) || !world_.core_alive(node) || world_.standing_still(node))
            blemished_.insert_or_assign(node, world_.now());
        // Who left or came back, in the eyes of a part with quorum; the others have nothing to say.
        std::set<NodeId> ring = world_.network().ring_members(node);
        std::set<NodeId>& before = rings_[node];
        if (ring == before) continue;
        if (world_.network().quorate(node) || 2 * ring.size() > world_.nodes().size()) {
            std::vector<NodeId> changed;
            std::ranges::set_symmetric_difference(ring, before, std::back_inserter(changed));
            for (const NodeId other : changed) blemished_.insert_or_assign(other, world_.now());
        }
        before = std::move(ring);
    }
}

void TruthChecker::on_plan(NodeId by, const scheduler::Plan& plan) {
    if (!resting_ || !plan.graph) return;
    ++plans_at_rest_;
    for (const xml::NodePtr& synapse : plan.graph->children()) {
        const xml::Node* set = synapse->child("action_set");
        const xml::Node* action = set == nullptr ? nullptr : set->first_element();
        // Nothing is needless about a failure that expires just now.
        if (action == nullptr || action->is("pseudo_event") || action->get("operation") == "clear_failcount") continue;
        world_.violate(fmt::format("I9: all is well, and {} plans {} on {}", world_.name(by),
                                   action->get("operation_key"), action->get("on_node")));
        return;
    }
}

bool TruthChecker::end_rest() {
    resting_ = false;
    return std::exchange(plans_at_rest_, 0) > 0;
}

void TruthChecker::on_switching(NodeId by, const std::string& target, const std::string& action) {
    if (action == "on" || world_.nodes().size() <= 2) return;
    const World::QuorumTold told = world_.quorum_told(by);
    const std::set<NodeId> ring = world_.network().ring_members(by);
    if (const NodeId remote = world_.find(target); remote.value != 0 && world_.is_remote(remote)) {
        const auto reached = reached_since_.find(remote);
        if (!broken_.contains(remote) && reached != reached_since_.end() && world_.now() - reached->second > kReachable)
            world_.violate(fmt::format(
                "I14: {} fences {}, to which a connection can be made from every node since {} s", world_.name(by),
                target, std::chrono::duration_cast<std::chrono::seconds>(world_.now() - reached->second).count()));
    }
    constexpr Duration kRemembered{60'000};  // of one that is back: attempts are given up then
    const NodeId victim = world_.find(target);
    const auto cause = blemished_.find(victim);
    if (ring.contains(victim) && !broken_.contains(victim) &&
        (cause == blemished_.end() || world_.now() - cause->second > kRemembered))
        world_.violate(fmt::format("I3: {} fences {}, and there is no cause", world_.name(by), target));
    if (ring.contains(world_.find(target))) return;  // a member of the own partition may be fenced without
    if (!told.quorate)
        world_.violate(fmt::format("I3: {} fences {}, and knows that it has no quorum", world_.name(by), target));
    else if (!world_.network().quorate(by) && 2 * ring.size() <= world_.nodes().size() && settled_ring(by))
        world_.violate(fmt::format("I3: {} fences {} without quorum, long after it was lost", world_.name(by), target));
}

void TruthChecker::on_removed(NodeId node) { removed_.insert_or_assign(node, world_.power_cycle(node)); }

void TruthChecker::check_connections() {
    std::map<std::string, unsigned> held;
    const std::vector<NodeId> nodes = world_.nodes();
    for (const NodeId node : nodes) {
        const controller::Node* core = world_.core(node);
        if (core == nullptr || world_.standing_still(node) || !world_.network().quorate(node)) continue;
        std::set<std::string> connections = world_.connections(node);
        for (const std::string& remote : core->connected_remotes()) connections.insert(remote);
        for (const std::string& remote : connections) ++held[remote];
    }
    for (const auto& [remote, count] : held) {
        if (count < 2) {
            held_twice_.erase(remote);
            continue;
        }
        // While it is handed over the old connection ends only when the new one is there.
        const auto [since, first] = held_twice_.emplace(remote, world_.now());
        if (!first && world_.now() - since->second > kHandOver) {
            world_.violate(fmt::format("I14: {} nodes hold the connection to {}", count, remote));
            since->second = world_.now();
        }
    }
    for (const NodeId remote : world_.machines()) {
        if (!world_.is_remote(remote)) continue;
        const bool reached = std::ranges::all_of(
            nodes, [&](NodeId node) { return world_.core_alive(node) && world_.reaches(node, remote); });
        if (reached)
            reached_since_.try_emplace(remote, world_.now());
        else
            reached_since_.erase(remote);
    }
}

void TruthChecker::on_step() {
    ++steps_;
    note_blemishes();
    if (steps_ % kConnectionsEvery == 0 && world_.machines().size() > world_.nodes().size()) check_connections();
    // A core's own invariants cost as much as it has state: one node a step keeps long runs quick and misses nothing
    // that stays wrong.
    const std::vector<NodeId> nodes = world_.nodes();
    const NodeId node = nodes[steps_ % nodes.size()];
    if (const controller::Node* core = world_.core(node); core != nullptr)
        for (const std::string& broken : core->check_state())
            world_.violate(fmt::format("{}: broken invariant: {}", world_.name(node), broken));
}

std::vector<std::string> TruthChecker::unexplained_failures() const {
    std::vector<std::string> wrong;
    constexpr std::string_view kPrefix = "fail-count-";
    for (const NodeId node : world_.nodes()) {
        const controller::Node* core = world_.core(node);
        if (core == nullptr) continue;
        for (const auto& [name, attribute] : core->attributes().all()) {
            if (!name.starts_with(kPrefix)) continue;
            const std::string resource = name.substr(kPrefix.size(), name.find('#') - kPrefix.size());
            const attributes::Value* value = core->attributes().value(name, world_.name(node));
            if (value == nullptr || !value->text || !watched(resource)) continue;
            const auto failed = failed_.find({resource, node});
            if (failed == failed_.end() || failed->second != world_.power_cycle(node))
                wrong.push_back(
                    fmt::format("I12: {} is {} for {}, where it has not failed since the machine was "
                                "switched on",
                                name, *value->text, world_.name(node)));
        }
    }
    return wrong;
}

// ---- When it had time -----------------------------------------------------------------------------------------------

namespace {

constexpr std::size_t kOwnClients = 2;   ///< the executor, and one whose leaving is on its way
constexpr std::size_t kRecordsMax = 12;  ///< of a resource on a node: each action once, monitors, the last failure

void check_cores(const World& world, const std::set<NodeId>& absent, std::vector<std::string>& wrong) {
    std::set<std::string> dcs;
    std::map<std::string, std::string> digests;
    for (const NodeId node : world.nodes()) {
        const std::string& name = world.name(node);
        if (absent.contains(node)) continue;
        const controller::Node* core = world.core(node);
        if (!world.powered(node) || core == nullptr) {
            wrong.push_back(fmt::format("L1: {} is not there", name));
            continue;
        }
        const std::string dc = core->dc();
        if (dc.empty()) wrong.push_back(fmt::format("L2: {} knows no DC (state {})", name, core->state()));
        dcs.insert(dc);
        if (dc == name && core->state() != "S_IDLE")
            wrong.push_back(fmt::format("L3: the DC {} is not idle but in {}", name, core->state()));
        if (core->cib()) digests[xml::digest_versioned(*core->cib())] += " " + name;
        // L7: nothing grows without end.
        if (world.timers_armed(node) > 300)
            wrong.push_back(fmt::format("L7: {} has armed {} timers", name, world.timers_armed(node)));
        if (core->clients() > world.clients(node) + kOwnClients)
            wrong.push_back(
                fmt::format("L7: {} believes in {} clients, {} are there", name, core->clients(), world.clients(node)));
    }
    if (world.network().held_back() > 0)
        wrong.push_back(fmt::format("L7: {} messages wait to be sent", world.network().held_back()));
    if (dcs.size() > 1) {
        std::string list;
        for (const std::string& dc : dcs) list += " " + (dc.empty() ? std::string("(none)") : dc);
        wrong.push_back(fmt::format("L2: nodes follow different DCs:{}", list));
    }
    if (digests.size() > 1) {
        std::string list;
        for (const auto& [digest, nodes] : digests)
            list += fmt::format(" {} ({})", digest.substr(0, 8), nodes.substr(1));
        wrong.push_back(fmt::format("I5: the configurations differ:{}", list));
    }
}

/// Every attribute manager and the CIB tell the same of every node that is here (I12), and histories are bounded (L7).
void check_attributes_alike(const World& world, const xml::Node& cib, const std::set<NodeId>& absent,
                            std::vector<std::string>& wrong) {
    for (const NodeId about : world.nodes()) {
        if (absent.contains(about)) continue;
        const std::string& name = world.name(about);
        const xml::Node* state = node_state(cib, name);
        const xml::Node* transient = state == nullptr ? nullptr : state->child("transient_attributes");
        std::map<std::string, std::string> recorded;
        if (transient != nullptr)
            for (const auto& set : transient->children())
                for (const auto& pair : set->children()) recorded[std::string(pair->get("name"))] = pair->get("value");
        for (const NodeId node : world.nodes()) {
            const controller::Node* core = world.core(node);
            if (core == nullptr || absent.contains(node)) continue;
            std::map<std::string, std::string> known;
            for (const auto& [attribute, entry] : core->attributes().all()) {
                const attributes::Value* value = core->attributes().value(attribute, name);
                if (!entry.is_private && value != nullptr && value->text) known[attribute] = *value->text;
            }
            for (const auto& [attribute, value] : recorded)
                if (const auto found = known.find(attribute); found == known.end() || found->second != value)
                    wrong.push_back(fmt::format("I12: {} of {} is {} in the CIB and {} for {}", attribute, name, value,
                                                found == known.end() ? "unset" : found->second, world.name(node)));
            for (const auto& [attribute, value] : known)
                if (!recorded.contains(attribute))
                    wrong.push_back(fmt::format("I12: {} of {} is {} for {} and not in the CIB", attribute, name, value,
                                                world.name(node)));
        }
        const xml::Node* lrm = state == nullptr ? nullptr : state->child("lrm");
        const xml::Node* list = lrm == nullptr ? nullptr : lrm->child("lrm_resources");
        if (list == nullptr) continue;
        for (const auto& resource : list->children())
            if (resource->children().size() > kRecordsMax)
                wrong.push_back(
                    fmt::format("L7: {} has {} records of {}", name, resource->children().size(), resource->id()));
    }
}

/// Every remote node has one connection.
void check_remotes(const World& world, std::vector<std::string>& wrong) {
    std::map<std::string, unsigned> held;
    for (const NodeId node : world.nodes())
        if (const controller::Node* core = world.core(node); core != nullptr)
            for (const std::string& remote : core->connected_remotes()) ++held[remote];
    for (const NodeId node : world.machines()) {
        if (!world.is_remote(node)) continue;
        if (!world.powered(node)) wrong.push_back(fmt::format("L1: {} is off", world.name(node)));
        if (held[world.name(node)] != 1)
            wrong.push_back(fmt::format("I14: {} connections to {}", held[world.name(node)], world.name(node)));
    }
}

void check_records(const World& world, const xml::Node& cib, const Promises& promises, const std::set<NodeId>& absent,
                   std::vector<std::string>& wrong) {
    for (const NodeId node : world.machines()) {
        const std::string& name = world.name(node);
        const xml::Node* state = node_state(cib, name);
        const bool joined = state != nullptr && state->get("join") == "member";
        if (absent.contains(node)) {
            if (joined) wrong.push_back(fmt::format("L1: {} counts as a member", name));
            continue;
        }
        if (!joined && !world.is_remote(node)) wrong.push_back(fmt::format("L1: {} does not count as a member", name));
        if (!world.powered(node)) continue;
        const auto compare = [&](const std::string& resource) {
            const bool runs = world.services(node).active().contains(resource);
            const std::optional<bool> recorded = recorded_active(cib, name, resource);
            if (recorded.value_or(false) != runs)
                wrong.push_back(fmt::format("I11: {} {} on {}, and the records say {}", resource,
                                            runs ? "runs" : "does not run", name,
                                            !recorded   ? "nothing"
                                            : *recorded ? "it does"
                                                        : "it does not"));
        };
        for (const std::string& resource : promises.exclusive) compare(resource);
        for (const auto& [resource, limits] : promises.cloned) compare(resource);
    }
}

void check_resources(const World& world, const Promises& promises, std::size_t here, std::vector<std::string>& wrong) {
    for (const std::string& resource : promises.exclusive) {
        const auto active = active_on(world, resource, Activity::kStarted);
        const bool must = promises.runs_fully && !promises.unmanaged.contains(resource);
        if (active.size() > 1 || (must && active.empty()))
            wrong.push_back(fmt::format("L3: {} is active on {}", resource, join_names(world, active)));
    }
    for (const auto& [resource, limits] : promises.cloned) {
        const auto active = active_on(world, resource, Activity::kStarted);
        const std::size_t most = limits.total_max == 0 ? here : std::min<std::size_t>(here, limits.total_max);
        if (active.size() > most || (promises.runs_fully && active.size() < most))
            wrong.push_back(
                fmt::format("L3: {} is active on {} and not on {} nodes", resource, join_names(world, active), most));
        const auto promoted = active_on(world, resource, Activity::kPromoted);
        if (promoted.size() > limits.promoted_max ||
            (promises.runs_fully && promoted.size() < std::min<std::size_t>(limits.promoted_max, here)))
            wrong.push_back(fmt::format("L3: {} is promoted on {}", resource, join_names(world, promoted)));
    }
    for (const auto& [resource, with] : promises.together) {
        const auto a = active_on(world, resource, Activity::kStarted);
        const auto b = active_on(world, with, Activity::kStarted);
        if (!a.empty() && a != b && !promises.unmanaged.contains(resource) && !promises.unmanaged.contains(with))
            wrong.push_back(fmt::format("I7: {} runs on {} but {} on {}", resource, join_names(world, a), with,
                                        join_names(world, b)));
    }
}

}  // namespace

std::vector<std::string> check_settled(const World& world, const Promises& promises, const std::set<NodeId>& absent) {
    std::vector<std::string> wrong;
    check_cores(world, absent, wrong);
    check_remotes(world, wrong);
    check_resources(world, promises, world.nodes().size() - absent.size(), wrong);
    if (const controller::Node* dc = any_dc(world); dc != nullptr && dc->cib())
        check_records(world, *dc->cib(), promises, absent, wrong);
    if (const controller::Node* dc = any_dc(world); dc != nullptr && dc->cib())
        check_attributes_alike(world, *dc->cib(), absent, wrong);
    for (const std::string& what : world.unanswered(Duration{120'000}))
        wrong.push_back("L6: a command has no answer: " + what);
    return wrong;
}

xml::NodePtr last_cib(const World& world) {
    if (const controller::Node* dc = any_dc(world); dc != nullptr) return dc->cib();
    for (const NodeId node : world.nodes())
        if (const controller::Node* core = world.core(node); core != nullptr) return core->cib();
    return {};
}

std::vector<std::string> check_commands(const World& world, const People& people) {
    std::vector<std::string> wrong = people.wrong();
    for (const NodeId node : world.nodes()) {
        const controller::Node* core = world.core(node);
        const xml::Node* configuration = core != nullptr && core->cib() ? core->cib()->child("configuration") : nullptr;
        const xml::Node* options = configuration == nullptr ? nullptr : configuration->child("crm_config");
        const xml::Node* edits = options == nullptr ? nullptr : options->child("cluster_property_set", "drill-edits");
        for (const auto& [number, when] : people.edits()) {
            if (world.disk_lied(when)) continue;  // it may have been the copy that a majority needed
            if (edits != nullptr && edits->child("nvpair", People::edit_id(number)) != nullptr) continue;
            wrong.push_back(
                fmt::format("I5: edit {} was confirmed and is not in the CIB of {}", number, world.name(node)));
            break;
        }
        // The CIB shows what its node was told.
        const auto wanted = people.attributes().find(node);
        if (wanted == people.attributes().end() || wanted->second.core_life != world.core_life(node) || core == nullptr)
            continue;
        const xml::Node* state = core->cib() ? node_state(*core->cib(), world.name(node)) : nullptr;
        const xml::Node* transient = state == nullptr ? nullptr : state->child("transient_attributes");
        bool found = false;
        if (transient != nullptr)
            for (const auto& set : transient->children())
                for (const auto& pair : set->children())
                    found = found ||
                            (pair->get("name") == wanted->second.name && pair->get("value") == wanted->second.value);
        if (!found)
            wrong.push_back(fmt::format("I12: {} = {} of {} was confirmed and is not in the CIB", wanted->second.name,
                                        wanted->second.value, world.name(node)));
    }
    return wrong;
}

void check_attributes(World& world, const People& people, std::vector<std::string>& wrong) {
    for (const auto& [owner, wanted] : people.attributes()) {
        if (wanted.core_life != world.core_life(owner)) continue;
        for (const NodeId node : world.nodes()) {
            xml::Builder query("query");
            query.set("t", "attrd").set("src", "drill").set("task", "query").set("attr_name", wanted.name);
            query.set("attr_host", world.name(owner));
            world.request(node, wire::Service::kAttributes, std::move(query).build(),
                          [&world, &wrong, node, owner, wanted](const xml::NodePtr& reply) {
                              const xml::Node* entry = reply->child("node");
                              const std::string value(entry == nullptr ? "" : entry->get("attr_value"));
                              if (value != wanted.value)
                                  wrong.push_back(fmt::format(
                                      "I12: {} of {} was confirmed as {}, but for {} it is '{}'", wanted.name,
                                      world.name(owner), wanted.value, world.name(node), value));
                          });
        }
    }
}

}  // namespace systole::sim
