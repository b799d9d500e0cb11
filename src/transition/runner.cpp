#include "transition/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <utility>

#include "base/score.h"
#include "base/text.h"

namespace systole::transition {
namespace {

bool is_migration(const Action& action) {
    return action.operation == "migrate_to" || action.operation == "migrate_from";
}

/// Would the run that is in flight do exactly what this action wants?
bool same_work(const Action& wanted, const Action& running) {
    if (wanted.kind != running.kind || wanted.key != running.key || wanted.operation != running.operation ||
        wanted.resource != running.resource || !same_ignoring_case(wanted.node, running.node) ||
        !same_ignoring_case(wanted.router, running.router))
        return false;
    const xml::Node* a = wanted.xml->child("attributes");
    const xml::Node* b = running.xml->child("attributes");
    if (a == nullptr || b == nullptr) return a == b;
    const auto meaningful = [](const xml::Attribute& attribute) {
        // What only tells the agent about the rest of the plan doesn't make it other work.
        return !attribute.name.view().starts_with("CRM_meta_notify") && attribute.name.view() != "crm_feature_set" &&
               attribute.name.view() != "CRM_meta_op_target_rc";
    };
    const auto covers = [&](const xml::Node& x, const xml::Node& y) {
        return std::ranges::all_of(x.attributes(), [&](const xml::Attribute& attribute) {
            return !meaningful(attribute) || y.attribute(attribute.name.view()) == attribute.value.view();
        });
    };
    return covers(*a, *b) && covers(*b, *a);
}

bool succeeded(const Key& key, ExecStatus status, int rc) {
    if (status != ExecStatus::kDone) return false;
    if (rc == static_cast<int>(ExitCode::kDegraded)) rc = static_cast<int>(ExitCode::kOk);
    if (rc == static_cast<int>(ExitCode::kDegradedPromoted)) rc = static_cast<int>(ExitCode::kPromoted);
    return rc == key.target_rc;
}

}  // namespace

Runner::Runner(std::string uuid) : uuid_(std::move(uuid)) {}

std::string Runner::timer_name(const FlightId& id) { return fmt::format("action:{}:{}", id.first, id.second); }

Result<Effects> Runner::start(Instant now, const xml::Node& element) {
    auto graph = parse_graph(element);
    if (!graph) return tl::unexpected(std::move(graph.error()));
    Effects effects;
    for (auto& [id, flight] : flights_) flight.action.reset();
    orphans_ = flights_.size();
    graph_ = std::move(*graph);
    over_ = false;
    abort_priority_.reset();
    abort_reason_.clear();
    states_.assign(graph_->actions.size(), State::kWaiting);
    unconfirmed_ = static_cast<int>(graph_->actions.size());
    missing_.clear();
    lanes_.clear();
    awake_.clear();
    for (SynapseIndex i = 0; i < graph_->synapses.size(); ++i) {
        missing_.push_back(graph_->synapses[i].inputs.size());
        if (missing_.back() == 0) make_ready(i);
    }
    advance(now, effects);
    return effects;
}

const std::string& Runner::lane_of(const Synapse& synapse) const {
    static const std::string kCommon;
    if (synapse.actions.size() != 1) return kCommon;
    const Action& action = graph_->actions[synapse.actions.front()];
    return is_job(action) ? action.node : kCommon;
}

void Runner::make_ready(SynapseIndex index) {
    const Synapse& synapse = graph_->synapses[index];
    const std::string& lane = lane_of(synapse);
    lanes_[lane].emplace(-synapse.priority, index);
    awake_.insert(lane);
}

void Runner::wake_all() {
    for (const auto& [lane, waiting] : lanes_) awake_.insert(lane);
}

bool Runner::adopt(ActionIndex index) {
    if (orphans_ == 0) return false;
    const Action& wanted = graph_->actions[index];
    for (auto& [id, flight] : flights_) {
        if (flight.action || !same_work(wanted, flight.what.action)) continue;
        flight.action = index;
        --orphans_;
        wake_all();  // what waited for it to end may have its turn now
        states_[index] = State::kInFlight;
        return true;
    }
    return false;
}

bool Runner::room_in_batch() const {
    unsigned limit = limits_.batch;
    if (graph_->batch_limit > 0 && (limit == 0 || graph_->batch_limit < limit)) limit = graph_->batch_limit;
    return limit == 0 || flights_.size() < limit;
}

/// Work of the machine on whose node it runs; a connection's operation is none for anybody.
bool Runner::is_job(const Action& action) { return action.kind == ActionKind::kResource && !action.is_connection(); }

bool Runner::has_room(const std::string& node) const {
    const auto named = limits_.jobs.find(node);
    const unsigned limit = named == limits_.jobs.end() ? limits_.remote_jobs : std::max(1U, named->second);
    const auto jobs = jobs_.find(node);
    return limit == 0 || jobs == jobs_.end() || jobs->second < limit;
}

bool Runner::may_begin(const Action& action) const {
    if (action.kind == ActionKind::kPseudo) return true;
    if (!room_in_batch()) return false;
    if (action.kind != ActionKind::kResource) return true;
    if (is_job(action) && !has_room(action.node)) return false;
    if (graph_->migration_limit >= 0 && is_migration(action)) {
        const auto migrating = std::ranges::count_if(flights_, [&](const auto& entry) {
            return is_migration(entry.second.what.action) && entry.second.what.action.node == action.node;
        });
        if (migrating >= graph_->migration_limit) return false;
    }
    if (orphans_ == 0) return true;
    // Instances of a clone on different nodes don't stand in each other's way, but for one more that this graph does
    // not know of: with it there could be too many.
    const bool instance = !action.meta("clone").empty();
    const bool adds = action.operation == "start" || action.operation == "promote";
    return std::ranges::none_of(flights_, [&](const auto& entry) {
        const Flight& flight = entry.second;
        return !flight.action && flight.what.action.resource == action.resource &&
               (!instance || flight.what.action.node == action.node ||
                (adds && flight.what.action.operation == action.operation));
    });
}

void Runner::take_off(ActionIndex index, const Key& key, Instant now, Effects& effects) {
    const Action& action = graph_->actions[index];
    const FlightId id{key.transition, key.action};
    flights_.emplace(id, Flight{InFlight{action, key, now}, index});
    states_[index] = State::kInFlight;
    if (is_job(action)) ++jobs_[action.node];
    // A fencing ends by the fencer's own time limits, which know its devices; everything else is bounded here.
    if (action.operation != "stonith")
        effects.emplace_back(ArmTimer{timer_name(id), now + action.timeout + graph_->cluster_delay});
}

void Runner::begin(Instant now, ActionIndex index, Effects& effects) {
    const Action& action = graph_->actions[index];
    if (action.kind == ActionKind::kPseudo) {
        if (action.operation == "stonith" || action.operation == "maintenance_nodes")
            effects.emplace_back(Happened{action});
        confirm(index, true, {});
        return;
    }
    const Key key{action.id, graph_->id, action.target_rc, uuid_};
    effects.emplace_back(Execute{action, key});
    if (action.wait)
        take_off(index, key, now, effects);
    else
        confirm(index, true, {});
}

void Runner::confirm(ActionIndex index, bool ok, std::string_view why) {
    const Action& action = graph_->actions[index];
    states_[index] = ok || action.can_fail ? State::kConfirmed : State::kFailed;
    --unconfirmed_;
    if (states_[index] == State::kFailed) {
        const int priority = graph_->synapses[action.synapse].priority;
        raise_abort(std::min(priority, Score::kInfinity - 1) + 1, why);
        return;
    }
    for (const SynapseIndex successor : action.successors)
        if (--missing_[successor] == 0) make_ready(successor);
}

void Runner::raise_abort(int priority, std::string_view reason) {
    if (abort_priority_ && *abort_priority_ >= priority) return;
    abort_priority_ = priority;
    abort_reason_ = reason;
}

bool Runner::begin_synapse(Instant now, const Synapse& synapse, Effects& effects) {
    bool all_begun = true;
    for (const ActionIndex index : synapse.actions) {
        if (states_[index] != State::kWaiting) continue;
        const Action& action = graph_->actions[index];
        const bool given_up =
            abort_priority_ && action.kind != ActionKind::kPseudo && synapse.priority < *abort_priority_;
        const bool adopted = !given_up && action.kind != ActionKind::kPseudo && adopt(index);
        if (given_up || (!adopted && !may_begin(action))) {
            all_begun = false;
            continue;
        }
        if (!adopted) begin(now, index, effects);
    }
    return all_begun;
}

bool Runner::is_full(const std::string& lane) const {
    if (lane.empty() || orphans_ > 0) return false;  // an orphan may be adopted whatever the limits
    return !room_in_batch() || !has_room(lane);
}

void Runner::advance(Instant now, Effects& effects) {
    if (over_) return;
    while (!awake_.empty()) {
        // Lanes are looked at side by side, so that what has priority goes first wherever it is executed.
        std::map<std::string_view, std::set<Ready>::iterator> cursors;
        std::set<std::string> still_awake;
        for (const std::string& name : std::exchange(awake_, {}))
            if (const auto lane = lanes_.find(name); lane != lanes_.end())
                cursors.emplace(lane->first, lane->second.begin());
        while (!cursors.empty()) {
            const auto first = std::ranges::min_element(cursors, {}, [&](const auto& cursor) {
                const auto& waiting = lanes_.find(cursor.first)->second;
                return cursor.second == waiting.end() ? Ready{INT_MIN, 0} : *cursor.second;
            });
            const auto lane = lanes_.find(first->first);
            if (first->second == lane->second.end()) {
                cursors.erase(first);
                if (lane->second.empty()) lanes_.erase(lane);
                continue;
            }
            if (is_full(lane->first)) {
                // Its next result makes room on the node; room in the batch may come from anywhere.
                if (!room_in_batch()) still_awake.insert(lane->first);
                cursors.erase(first);
                continue;
            }
            const bool begun = begin_synapse(now, graph_->synapses[first->second->second], effects);
            first->second = begun ? lane->second.erase(first->second) : std::next(first->second);
        }
        if (awake_.empty()) {
            awake_ = std::move(still_awake);
            break;
        }
        awake_.merge(still_awake);
    }
    settle(effects);
}

std::size_t Runner::flights_of_graph() const { return flights_.size() - orphans_; }

void Runner::settle(Effects& effects) {
    if (abort_priority_) {
        const auto matters = [&](const Synapse& synapse) { return synapse.priority >= *abort_priority_; };
        const bool running = std::ranges::any_of(flights_, [&](const auto& entry) {
            return entry.second.action && matters(graph_->synapses[graph_->actions[*entry.second.action].synapse]);
        });
        const bool waiting = std::ranges::any_of(lanes_, [&](const auto& lane) {
            return std::ranges::any_of(lane.second,
                                       [&](const Ready& entry) { return matters(graph_->synapses[entry.second]); });
        });
        if (!running && !waiting) finish(Outcome::kAborted, abort_reason_, effects);
        return;
    }
    if (unconfirmed_ == 0) {
        finish(Outcome::kComplete, {}, effects);
    } else if (lanes_.empty() && flights_of_graph() == 0) {
        finish(Outcome::kStuck, "no action is left that could run", effects);
    }
}

void Runner::finish(Outcome outcome, std::string reason, Effects& effects) {
    over_ = true;
    Finished finished{.outcome = outcome, .transition = graph_->id, .reason = std::move(reason)};
    const auto waiting = static_cast<int>(std::ranges::count(states_, State::kWaiting));
    (outcome == Outcome::kAborted ? finished.skipped : finished.incomplete) = waiting;
    effects.emplace_back(std::move(finished));
}

std::optional<ActionIndex> Runner::land(std::map<FlightId, Flight>::iterator flight, Effects& effects) {
    const std::optional<ActionIndex> index = flight->second.action;
    const Action& action = flight->second.what.action;
    if (is_job(action)) {
        const auto jobs = jobs_.find(action.node);
        if (jobs != jobs_.end() && --jobs->second == 0) jobs_.erase(jobs);
    }
    if (action.operation != "stonith") effects.emplace_back(CancelTimer{timer_name(flight->first)});
    if (index) {
        awake_.insert(action.node);
        awake_.emplace();
    } else {
        // Anything may have waited for a former graph's run to end.
        --orphans_;
        wake_all();
    }
    flights_.erase(flight);
    return index;
}

Runner::Answer Runner::on_result(Instant now, const Key& key, std::string_view node, ExecStatus status, int rc) {
    if (status == ExecStatus::kPending) return {Match::kRepeated, {}};
    if (key.transition < 0) return {Match::kOutside, {}};
    if (key.uuid != uuid_) return {Match::kForeign, {}};
    const bool ok = succeeded(key, status, rc);
    const auto flight = flights_.find({key.transition, key.action});
    if (flight == flights_.end()) {
        if (!graph_ || key.transition != graph_->id) return {Match::kStale, {}};
        // A recurring operation reports under the key of its first run for ever: news is only what differs.
        const auto known = std::ranges::find(graph_->actions, key.action, &Action::id);
        return {known != graph_->actions.end() && ok ? Match::kRepeated : Match::kStale, {}};
    }
    Answer answer;
    const std::string why = fmt::format("{} on {} returned {} (expected {}, {})", flight->second.what.action.key, node,
                                        rc, key.target_rc, describe(status));
    const std::optional<ActionIndex> index = land(flight, answer.effects);
    if (index) {
        const bool can_fail = graph_->actions[*index].can_fail;
        answer.match = ok || can_fail ? Match::kConfirmed : Match::kFailed;
        confirm(*index, ok, why);
    } else {
        // The present graph was made without knowing how this would end, and what it still has for the resource may
        // contradict it (a start elsewhere after this start). Nothing more is begun: the next plan knows.
        answer.match = Match::kInFlight;
        if (!over_) raise_abort(Score::kInfinity + 1, why);
    }
    advance(now, answer.effects);
    return answer;
}

Effects Runner::on_done(Instant now, int action_id, bool ok) {
    Effects effects;
    // The newest transition's action of that id is meant: cluster actions are answered to whoever asked last.
    for (auto it = flights_.begin(); it != flights_.end(); ++it) {
        if (it->first.second != action_id || it->second.what.action.id != action_id) continue;
        if (it->first.first != transition() && !it->second.action) continue;
        const std::string why = fmt::format("{} failed", it->second.what.action.key);
        const std::optional<ActionIndex> index = land(it, effects);
        if (index) confirm(*index, ok, why);
        break;
    }
    advance(now, effects);
    return effects;
}

Effects Runner::on_timer(Instant now, std::string_view name) {
    Effects effects;
    for (auto& [id, flight] : flights_) {
        if (timer_name(id) != name) continue;
        effects.emplace_back(TimedOut{flight.what.action, flight.what.key});
        // Should the record of it get lost, it is made again.
        effects.emplace_back(ArmTimer{std::string(name), now + (graph_ ? graph_->cluster_delay : Duration{60'000})});
        break;
    }
    return effects;
}

Effects Runner::abort(Instant now, int priority, std::string_view reason) {
    Effects effects;
    if (over_) return effects;
    raise_abort(priority, reason);
    advance(now, effects);
    return effects;
}

Effects Runner::on_node_lost(Instant now, std::string_view node) {
    Effects effects;
    bool any = false;
    for (auto it = flights_.begin(); it != flights_.end();) {
        const Action& action = it->second.what.action;
        const bool gone = (same_ignoring_case(action.executed_by(), node) || same_ignoring_case(action.node, node)) &&
                          (action.kind == ActionKind::kResource || action.operation == "do_shutdown");
        const auto current = it++;
        if (!gone) continue;
        any = true;
        const bool leaving = action.operation == "do_shutdown";
        const std::string why = fmt::format("{} can't end: node {} was lost", action.key, node);
        const std::optional<ActionIndex> index = land(current, effects);
        if (index) confirm(*index, leaving, why);
    }
    if (any) advance(now, effects);
    return effects;
}

Effects Runner::on_history_erased(Instant now, std::string_view resource, std::string_view node) {
    Effects effects;
    bool any = false;
    for (auto it = flights_.begin(); it != flights_.end();) {
        const Action& action = it->second.what.action;
        const std::string_view id = action.resource;
        const bool same = id == resource || (id.starts_with(resource) && id.substr(resource.size()).starts_with(':'));
        const bool ended = same && parse_integer(action.meta("interval")).value_or(0) > 0 &&
                           action.operation != "cancel" && same_ignoring_case(action.node, node);
        const auto current = it++;
        if (!ended) continue;
        any = true;
        const std::string why = fmt::format("{} can't answer: its history was erased", action.key);
        const std::optional<ActionIndex> index = land(current, effects);
        if (index) confirm(*index, false, why);
    }
    if (any) advance(now, effects);
    return effects;
}

Effects Runner::reset() {
    Effects effects;
    while (!flights_.empty()) land(flights_.begin(), effects);
    graph_.reset();
    states_.clear();
    lanes_.clear();
    awake_.clear();
    missing_.clear();
    jobs_.clear();
    over_ = true;
    abort_priority_.reset();
    return effects;
}

void Runner::set_limits(Limits limits) {
    limits_ = std::move(limits);
    wake_all();
}

std::vector<InFlight> Runner::in_flight() const {
    std::vector<InFlight> out;
    for (const auto& [id, flight] : flights_) out.push_back(flight.what);
    return out;
}

std::optional<int> Runner::pending_cancel(std::string_view key, std::string_view node) const {
    for (const auto& [id, flight] : flights_) {
        const Action& action = flight.what.action;
        if (action.operation == "cancel" && action.key == key && same_ignoring_case(action.node, node))
            return action.id;
    }
    return std::nullopt;
}

bool Runner::expects_down(std::string_view node_id) const {
    if (!graph_) return false;
    for (ActionIndex i = 0; i < graph_->actions.size(); ++i) {
        if (states_[i] != State::kInFlight && states_[i] != State::kConfirmed) continue;
        if (std::ranges::find(graph_->actions[i].downed, node_id) != graph_->actions[i].downed.end()) return true;
    }
    return false;
}

std::vector<std::string> Runner::check_state() const {
    std::vector<std::string> broken;
    if (!graph_) return broken;
    if (states_.size() != graph_->actions.size()) broken.emplace_back("a state is kept for each action of the graph");
    const auto open =
        std::ranges::count_if(states_, [](State s) { return s == State::kWaiting || s == State::kInFlight; });
    if (open != unconfirmed_)
        broken.push_back(fmt::format("{} actions are open but {} are counted", open, unconfirmed_));
    for (const auto& [id, flight] : flights_)
        if (flight.action && states_[*flight.action] != State::kInFlight)
            broken.push_back(fmt::format("{} is in flight but not marked so", flight.what.action.key));
    for (SynapseIndex i = 0; i < graph_->synapses.size(); ++i) {
        if (missing_[i] == 0) continue;
        for (const ActionIndex index : graph_->synapses[i].actions)
            if (states_[index] == State::kConfirmed &&
                !std::ranges::any_of(graph_->actions[index].successors, [&](SynapseIndex s) { return s == i; }) &&
                graph_->actions[index].kind == ActionKind::kPseudo)
                broken.push_back(fmt::format("{} was confirmed before its inputs", graph_->actions[index].key));
    }
    const auto orphans = std::ranges::count_if(flights_, [](const auto& entry) { return !entry.second.action; });
    if (static_cast<std::size_t>(orphans) != orphans_)
        broken.push_back(fmt::format("{} former actions are in flight but {} are counted", orphans, orphans_));
    std::map<std::string, unsigned, std::less<>> jobs;
    for (const auto& [id, flight] : flights_)
        if (is_job(flight.what.action)) ++jobs[flight.what.action.node];
    if (jobs != jobs_) broken.emplace_back("the jobs counted per node are not those in flight");
    return broken;
}

}  // namespace systole::transition
