#include "fencing/operations.h"

#include <fmt/format.h>

#include <algorithm>

namespace systole::fencing {
namespace {

Duration seconds(long long value) { return std::chrono::seconds(value); }

std::string describe_outcome(const Outcome& outcome) {
    if (outcome.ok()) return "done";
    if (outcome.status == ExecStatus::kDone) return fmt::format("failed with exit status {}", outcome.exit_code);
    return std::string(describe(outcome.status));
}

std::string_view short_id(std::string_view id) { return id.substr(0, 8); }

}  // namespace

Operation* Operations::find(std::string_view id) {
    const auto it = operations_.find(id);
    return it == operations_.end() ? nullptr : &it->second;
}

// ---- Requests -------------------------------------------------------------------------------------------------------

void Operations::request(const xml::Node& message, const wire::Client& client, const Asker& asker) {
    const auto refuse = [&](const Outcome& outcome) { clients_.answer(asker, make_reply(&message, outcome)); };
    const auto* what = find_with_attribute(message, "st_target");
    if (what == nullptr || what->get("st_target").empty())
        return refuse(refused(ExitCode::kProtocol, "Fencing request names no target"));
    Operation operation;
    operation.id = c_.random.uuid();
    operation.target = what->get("st_target");
    operation.action = what->get("st_device_action");
    operation.origin = c_.self();
    operation.client = client.uuid;
    operation.client_name = clients_.name_of(client.id);
    operation.client_node = c_.self();
    operation.call = message.get("st_callid");
    operation.options = call_options(message);
    operation.asker = asker;
    operation.request = message.share();
    if ((operation.options & option::kNodeId) != 0) {
        if (auto name = c_.peers.name_of(operation.target); !name.empty()) {
            operation.target = std::move(name);
        } else {
            c_.log(wire::Severity::kWarning,
                   fmt::format("no node has the id {}: taking it for a name", operation.target));
        }
        operation.options &= ~option::kNodeId;
    }
    if ((operation.options & option::kManualAck) != 0) {
        confirm_by_hand(create(std::move(operation), nullptr));
        return;
    }
    if (operation.action.empty())
        return refuse(
            refused(ExitCode::kProtocol, fmt::format("Fencing request for {} names no action", operation.target)));
    const auto tolerance = integer(*what, "st_tolerance");
    if (tolerated(operation.target, operation.action, seconds(tolerance))) return refuse(done());
    operation.pursuit = std::make_unique<Pursuit>();
    operation.pursuit->base_timeout = seconds(integer(message, "st_timeout", integer(*what, "st_timeout")));
    if (const auto delay = integer(message, "st_delay", integer(*what, "st_delay")); delay >= 0)
        operation.pursuit->delay = seconds(delay);
    c_.log(wire::Severity::kNotice,
           fmt::format("{} asks for '{}' of {}", operation.client_name, operation.action, operation.target),
           operation.target);
    if (relay_elsewhere(operation)) return;
    begin(create(std::move(operation), nullptr));
}

void Operations::request(std::uint32_t token, const FenceRequest& request) {
    if (tolerated(request.target, request.action, request.tolerance)) {
        c_.effects.emplace_back(LocalReply{token, done(), {}, {}});
        return;
    }
    Operation operation;
    operation.id = c_.random.uuid();
    operation.target = request.target;
    operation.action = request.action;
    operation.origin = c_.self();
    operation.client = fmt::format("local-{}", token);
    operation.client_name = fmt::format("{}.{}", request.client_name, c_.config.pid);
    operation.client_node = c_.self();
    operation.asker = LocalAsker{token};
    operation.pursuit = std::make_unique<Pursuit>();
    operation.pursuit->base_timeout = request.timeout;
    if (!request.no_delay) operation.pursuit->delay = request.delay;
    operation.pursuit->needs_quorum = request.needs_quorum;
    operation.pursuit->was_absent = !c_.peers.active(request.target);
    if (relay_elsewhere(operation)) return;
    begin(create(std::move(operation), nullptr));
}

bool Operations::tolerated(std::string_view target, std::string_view action, Duration tolerance) const {
    if (tolerance <= Duration{0}) return false;
    for (const auto& [id, operation] : operations_) {
        if (operation.state == OperationState::kDone && same_ignoring_case(operation.target, target) &&
            operation.action == action && operation.completed.seconds + to_seconds(tolerance) >= c_.now.wall.seconds) {
            c_.log(wire::Severity::kNotice,
                   fmt::format("'{}' of {} succeeded less than {}s ago: not done again", action, target,
                               to_seconds(tolerance)),
                   target);
            return true;
        }
    }
    return false;
}

bool Operations::relay_elsewhere(Operation& operation) {
    if (!c_.is_self(operation.target)) return false;
    std::string other;
    for (const auto& name : c_.peers.active_names()) {
        if (!c_.is_self(name)) {
            other = name;
            break;
        }
    }
    if (other.empty()) {
        c_.log(wire::Severity::kWarning, "nobody else can fence this node: doing it ourselves", operation.target);
        return false;
    }
    const Pursuit& pursuit = *operation.pursuit;
    auto message = make_command("st_relay");
    message.set_unless_empty("st_callid", operation.call).set("st_callopt", operation.options);
    message.set("st_timeout", to_seconds(pursuit.base_timeout));
    message.set("st_delay", pursuit.delay ? to_seconds(*pursuit.delay) : -1);
    message.set("st_clientid", operation.client).set("st_clientname", operation.client_name);
    message.set("st_clientnode", c_.self()).set("st_remote_op", operation.id);
    xml::Builder what("st_fence");
    what.set("st_target", operation.target).set("st_device_action", operation.action);
    what.set("st_timeout", to_seconds(pursuit.base_timeout));
    xml::Builder data("st_calldata");
    data.add(std::move(what));
    message.add(std::move(data));
    c_.log(wire::Severity::kNotice, fmt::format("asking {} to have this node fenced ({})", other, operation.action),
           operation.target);
    // The placeholder goes when the query of the operation that replaces it arrives; it ends by itself if none does.
    const auto patience = pursuit.base_timeout * 12 / 10;
    const std::string id = operation.id;
    operation.relayed = true;
    operation.pursuit.reset();
    Operation& placeholder = create(std::move(operation), nullptr);
    if (placeholder.state == OperationState::kDuplicate) return true;
    c_.send(other, std::move(message).build());
    c_.arm(fmt::format("op/{}/total", id), patience);
    return true;
}

void Operations::on_relay(const xml::Node& message, std::string_view peer) {
    const auto* what = find_with_attribute(message, "st_target");
    const auto* action = find_with_attribute(message, "st_device_action");
    if (what == nullptr || action == nullptr) {
        c_.send(peer, make_reply(&message, refused(ExitCode::kProtocol, "Relayed request names no target or action")));
        return;
    }
    Operation operation;
    operation.id = c_.random.uuid();
    operation.target = what->get("st_target");
    operation.action = action->get("st_device_action");
    operation.origin = c_.self();
    operation.client = message.get("st_clientid");
    operation.client_name = fmt::format("pacemaker-fenced.{}", c_.config.pid);
    operation.client_node = message.get("st_clientnode", peer);
    operation.call = message.get("st_callid");
    operation.options = call_options(message);
    operation.pursuit = std::make_unique<Pursuit>();
    operation.pursuit->base_timeout = seconds(integer(message, "st_timeout"));
    if (const auto delay = integer(message, "st_delay"); delay >= 0) operation.pursuit->delay = seconds(delay);
    operation.pursuit->relayed_from = message.get("st_remote_op");
    c_.log(wire::Severity::kNotice, fmt::format("{} asks to be fenced ({})", peer, operation.action), operation.target);
    begin(create(std::move(operation), nullptr));
}

void Operations::confirm_by_hand(Operation& operation) {
    c_.log(wire::Severity::kNotice, fmt::format("a human confirms that {} is off", operation.target), operation.target);
    if (operation.action.empty()) operation.action = "off";
    operation.delegate = "a human";
    finish(operation, done());
}

// ---- Records --------------------------------------------------------------------------------------------------------

Operation& Operations::create(Operation operation, const xml::Node* request) {
    if (request != nullptr) operation.request = request->share();
    operation.created = c_.now.mono;
    operation.state = OperationState::kQuery;
    if (operation.pursuit) operation.pursuit->expected = c_.peers.active_count();
    const std::string id = operation.id;
    Operation& record = operations_.insert_or_assign(id, std::move(operation)).first->second;
    const bool by_hand = (record.options & option::kManualAck) != 0;
    if (!by_hand) merge_if_duplicate(record);
    if (record.state != OperationState::kDuplicate) {
        clients_.notify("st_notify_history");
        c_.effects.emplace_back(HistoryNotice{});
    }
    trim();
    return record;
}

void Operations::merge_if_duplicate(Operation& operation) {
    Operation* other = nullptr;
    for (auto& [id, candidate] : operations_) {
        const bool same_work =
            id != operation.id && same_ignoring_case(candidate.target, operation.target) &&
            candidate.action == operation.action &&
            (candidate.state == OperationState::kQuery || candidate.state == OperationState::kExecuting);
        // A client that asks again wants it done again; who fences itself can't tell the result.
        if (!same_work || same_ignoring_case(candidate.client_name, operation.client_name) ||
            same_ignoring_case(candidate.target, candidate.origin))
            continue;
        if (!c_.is_self(candidate.origin) && !c_.peers.active(candidate.origin)) continue;
        if (candidate.total_timeout > Duration{0} && c_.now.mono > candidate.created + candidate.total_timeout)
            continue;
        if (other == nullptr || candidate.created < other->created) other = &candidate;
    }
    if (other == nullptr) return;
    other->duplicates.push_back(operation.id);
    if (other->total_timeout == Duration{0} && operation.pursuit)
        other->total_timeout = total_timeout(operation, nullptr) * 12 / 10;
    operation.total_timeout = other->total_timeout;
    operation.state = OperationState::kDuplicate;
    operation.pursuit.reset();
    c_.log(wire::Severity::kNotice,
           fmt::format("'{}' of {} for {} is under way already for {}@{}: sharing its result ({} in {})",
                       operation.action, operation.target, operation.client_name, other->client_name, other->origin,
                       short_id(operation.id), short_id(other->id)),
           operation.target);
    tell_timeout(operation, operation.total_timeout);
}

void Operations::begin(Operation& operation) {
    if (operation.state == OperationState::kDuplicate || lacks_right(operation)) return;
    if (!next_level(operation, true)) {
        finish(operation, failed(ExecStatus::kError, "All topology levels failed"));
        return;
    }
    const Pursuit& pursuit = *operation.pursuit;
    auto query = make_command("st_query");
    query.set_unless_empty("st_callid", operation.call).set("st_callopt", operation.options);
    query.set("st_remote_op", operation.id).set("st_target", operation.target);
    query.set("st_device_action", operation.action).set("st_origin", operation.origin);
    query.set("st_clientid", operation.client).set("st_clientname", operation.client_name);
    query.set("st_timeout", to_seconds(pursuit.base_timeout));
    query.set_unless_empty("st_remote_op_relay", pursuit.relayed_from);
    c_.log(wire::Severity::kInfo,
           fmt::format("asking {} peer{} what they can do for '{}' of {} ({})", pursuit.expected,
                       pursuit.expected == 1 ? "" : "s", operation.action, operation.target, short_id(operation.id)),
           operation.target);
    c_.send({}, std::move(query).build());
    c_.arm(fmt::format("op/{}/query", operation.id), pursuit.base_timeout * 12 / 10);
}

bool Operations::lacks_right(Operation& operation) {
    const Pursuit& pursuit = *operation.pursuit;
    if (pursuit.needs_quorum && pursuit.was_absent && pursuit.phase != Phase::kOn &&
        c_.peers.active(operation.target)) {
        // Partitions have merged, or it was reset already. Whoever is DC now decides anew what to do with it.
        c_.log(wire::Severity::kNotice,
               fmt::format("'{}' of {} is given up: it is back in the cluster", operation.action, operation.target),
               operation.target);
        finish(operation, failed(ExecStatus::kError, "Target came back"));
        return true;
    }
    // What is off may be switched on again without a quorum.
    if (!pursuit.needs_quorum || c_.may_cut_off(operation.target) || pursuit.phase == Phase::kOn) return false;
    c_.log(wire::Severity::kWarning,
           fmt::format("'{}' of {} is given up: the quorum that it was asked for with is lost", operation.action,
                       operation.target),
           operation.target);
    finish(operation, failed(ExecStatus::kError, std::string(kQuorumLost)));
    return true;
}

void Operations::on_query(const xml::Node& message, std::string_view peer) {
    const auto* what = find_with_attribute(message, "st_remote_op");
    const auto* target = find_with_attribute(message, "st_target");
    if (what == nullptr || target == nullptr || what->get("st_remote_op").empty()) return;
    const std::string id(what->get("st_remote_op"));
    if (find(id) == nullptr) {
        Operation operation;
        operation.id = id;
        operation.target = target->get("st_target");
        if (const auto* action = find_with_attribute(message, "st_device_action"))
            operation.action = action->get("st_device_action");
        operation.origin = message.get("st_origin", peer);
        operation.client = message.get("st_clientid");
        operation.client_name = message.get("st_clientname");
        operation.options = call_options(message);
        operation.call = message.get("st_callid");
        create(std::move(operation), &message);
    }
    const std::string replaced(message.get("st_remote_op_relay"));
    Operation* placeholder = find(replaced);
    Operation* operation = find(id);
    if (placeholder == nullptr || operation == nullptr || !placeholder->relayed) return;
    // Whoever waited for the placeholder waits for what replaced it.
    operation->asker = placeholder->asker;
    operation->client_node = placeholder->client_node;
    if (placeholder->request) operation->request = placeholder->request;
    for (auto& [other_id, other] : operations_) std::erase(other.duplicates, replaced);
    for (const auto& duplicate : placeholder->duplicates) operation->duplicates.push_back(duplicate);
    cancel_timers(*placeholder);
    operations_.erase(replaced);
}

// ---- Results --------------------------------------------------------------------------------------------------------

xml::NodePtr Operations::result_element(const Operation& operation, bool with_outcome) const {
    xml::Builder element("st_notify_fence");
    element.set("state", static_cast<int>(operation.state)).set("st_target", operation.target);
    element.set("st_device_action", operation.action).set_unless_empty("st_delegate", operation.delegate);
    element.set("st_remote_op", operation.id).set("st_origin", operation.origin);
    element.set("st_clientid", operation.client).set("st_clientname", operation.client_name);
    if (with_outcome) set_outcome(element, operation.outcome);
    return std::move(element).build();
}

void Operations::set_completed(Operation& operation) {
    if (c_.now.wall != last_completed_) {
        last_completed_ = c_.now.wall;
        completed_in_second_ = 0;
    }
    operation.completed = c_.now.wall;
    operation.completed_order = completed_in_second_++;
}

void Operations::cancel_timers(const Operation& operation) {
    for (const auto* timer : {"query", "step", "total"}) c_.cancel(fmt::format("op/{}/{}", operation.id, timer));
}

void Operations::finish(Operation& operation, Outcome outcome) {
    cancel_timers(operation);
    operation.outcome = std::move(outcome);
    operation.state = operation.outcome.ok() ? OperationState::kDone : OperationState::kFailed;
    set_completed(operation);
    xml::Builder message("st-reply");
    message.set("t", "st_notify").set("subt", "broadcast").set("st_op", "st_notify");
    message.set("count", static_cast<long long>(++broadcasts_));
    xml::Builder data("st_calldata");
    data.add(result_element(operation, true));
    message.add(std::move(data));
    c_.send({}, std::move(message).build());
}

void Operations::on_result(const xml::Node& message, std::string_view peer) {
    const auto* what = find_with_attribute(message, "st_remote_op");
    if (what == nullptr) return;
    const std::string id(what->get("st_remote_op"));
    const auto* result = find_with_attribute(message, "rc-code");
    if (result == nullptr) result = find_with_attribute(message, "st_rc");
    if (result == nullptr) result = what;
    const Outcome outcome = outcome_of(*result);
    Operation* operation = find(id);
    if (message.get("subt") != "broadcast") {
        if (operation == nullptr) {
            c_.log(wire::Severity::kInfo,
                   fmt::format("result of {} for an operation that is not known ({}): ignored", peer, short_id(id)));
        } else if (operation->pursuit == nullptr) {
            c_.log(operation->pending() ? wire::Severity::kWarning : wire::Severity::kInfo,
                   fmt::format("late or misdirected result of {} for '{}' of {}: ignored", peer, operation->action,
                               operation->target),
                   operation->target);
        } else {
            on_step_result(*operation, message, peer);
        }
        return;
    }
    if (operation == nullptr) {
        // It began before we did; worth a record if the node is really off.
        if (!outcome.ok() || !what->has("st_target")) return;
        Operation record;
        record.id = id;
        record.target = what->get("st_target");
        record.action = what->get("st_device_action");
        record.origin = what->get("st_origin", peer);
        record.client = what->get("st_clientid");
        record.client_name = what->get("st_clientname");
        record.witnessed = false;
        operation = &create(std::move(record), nullptr);
    }
    if (operation->told) {
        c_.log(wire::Severity::kInfo,
               fmt::format("result of '{}' of {} arrives after its end ({}): ignored", operation->action,
                           operation->target, short_id(id)),
               operation->target);
        return;
    }
    cancel_timers(*operation);
    operation->outcome = outcome;
    operation->state = outcome.ok() ? OperationState::kDone : OperationState::kFailed;
    if (operation->delegate.empty()) {
        const auto* delegate = find_with_attribute(message, "st_delegate");
        const bool nobody =
            outcome.status == ExecStatus::kNoFenceDevice ||
            (outcome.status == ExecStatus::kInvalid && outcome.exit_code == static_cast<int>(ExitCode::kExpired));
        if (delegate != nullptr) {
            operation->delegate = delegate->get("st_delegate");
        } else if (!nobody) {
            operation->delegate = peer;
        }
    }
    set_completed(*operation);
    conclude(*operation, false);
}

void Operations::conclude(Operation& operation, bool as_duplicate) {
    if (operation.told) return;
    operation.told = true;
    operation.pursuit.reset();
    const bool ours = c_.is_self(operation.origin) && !as_duplicate;
    c_.log(operation.outcome.ok() || !ours ? wire::Severity::kNotice : wire::Severity::kWarning,
           fmt::format("'{}' of {} by {} for {}@{}{}: {}{}{}", operation.action, operation.target,
                       operation.delegate.empty() ? "nobody" : operation.delegate, operation.client_name,
                       operation.origin, as_duplicate ? " (shared)" : "", describe_outcome(operation.outcome),
                       operation.outcome.reason.empty() ? "" : ": ", operation.outcome.reason),
           operation.target);
    if (const auto* asker = std::get_if<Asker>(&operation.asker)) {
        xml::Builder data("st-reply");
        data.set("t", "st_notify").set("subt", "broadcast").set("st_op", operation.action);
        data.set("state", static_cast<int>(operation.state)).set("st_target", operation.target);
        if (as_duplicate) data.set("st_op_merged", "true");
        xml::Builder wrapper("st_calldata");
        wrapper.add(result_element(operation, true));
        data.add(std::move(wrapper));
        xml::Builder reply(*make_reply(operation.request.get(), operation.outcome, std::move(data).build()));
        reply.set_unless_empty("st_delegate", operation.delegate);
        clients_.answer(*asker, std::move(reply).build());
    } else if (const auto* local = std::get_if<LocalAsker>(&operation.asker)) {
        c_.effects.emplace_back(LocalReply{local->token, operation.outcome, operation.delegate, operation.id});
    }
    operation.asker = std::monostate{};
    operation.request = nullptr;
    clients_.notify("st_notify_fence", operation.outcome, result_element(operation, false));
    clients_.notify("st_notify_history");
    c_.effects.emplace_back(FenceNotice{operation.state, operation.target, operation.action, operation.delegate,
                                        operation.id, operation.origin, operation.client_name, operation.client,
                                        operation.outcome, operation.witnessed, operation.created});
    ended_.push_back(operation.id);
    for (const auto& id : std::exchange(operation.duplicates, {})) {
        Operation* duplicate = find(id);
        if (duplicate == nullptr || duplicate->state != OperationState::kDuplicate) continue;
        duplicate->state = operation.state;
        duplicate->outcome = operation.outcome;
        duplicate->delegate = operation.delegate;
        set_completed(*duplicate);
        conclude(*duplicate, true);
    }
}

// ---- Time limits ----------------------------------------------------------------------------------------------------

void Operations::tell_timeout(const Operation& operation, Duration total) {
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(total).count();
    const auto tell = [&](const Operation& o) {
        // Who blocks for the reply can't do anything with it.
        if ((o.options & option::kSync) != 0 || o.call.empty() || o.client_node.empty()) return;
        if (c_.is_self(o.client_node)) {
            clients_.tell_timeout(o.client, o.call, whole);
            return;
        }
        auto update = make_command("st_timeout_update");
        update.set("st_callid", o.call).set("st_remote_op", o.id).set("st_clientid", o.client);
        update.set("st_timeout", whole);
        c_.send(o.client_node, std::move(update).build());
    };
    tell(operation);
    for (const auto& id : operation.duplicates) {
        if (const auto* duplicate = find(id)) tell(*duplicate);
    }
}

void Operations::on_timeout_update(const xml::Node& message) {
    clients_.tell_timeout(message.get("st_clientid"), message.get("st_callid"), integer(message, "st_timeout"));
}

void Operations::on_timer(std::string_view what) {
    const auto slash = what.rfind('/');
    if (slash == std::string_view::npos) return;
    const auto kind = what.substr(slash + 1);
    Operation* operation = find(what.substr(0, slash));
    if (operation == nullptr || !operation->pending()) return;
    if (operation->relayed) {
        finish(*operation, failed(ExecStatus::kTimeout, "No peer took over the fencing of this node"));
        return;
    }
    if (operation->pursuit == nullptr) return;
    Pursuit& pursuit = *operation->pursuit;
    if (kind == "query") {
        pursuit.query_open = false;
        if (operation->state == OperationState::kExecuting) {
            if (pursuit.stalled) advance(*operation, nullptr);
        } else if (!pursuit.offers.empty()) {
            advance(*operation, nullptr);
        } else {
            finish_timed_out(*operation, "No capable peers replied to device query within timeout");
        }
    } else if (kind == "step") {
        if (pursuit.waiting_for_watchdog) {
            c_.log(wire::Severity::kNotice,
                   fmt::format("{} had {}s to reset itself by watchdog: taking it as done", operation->target,
                               to_seconds(c_.watchdog_timeout)),
                   operation->target);
            finish(*operation, done());
            return;
        }
        step_lost(*operation, "Peer did not return fence result within timeout");
    } else if (kind == "total") {
        finish_timed_out(*operation,
                         "Fencing did not complete within a total timeout based on the configured timeout and retries "
                         "for any devices attempted");
    }
}

void Operations::on_peers_left() {
    std::vector<std::string> orphans;
    std::vector<std::string> waiting;
    std::vector<std::string> deserted;
    for (const auto& [id, operation] : operations_) {
        if (!operation.pending()) continue;
        if (operation.pursuit) {
            const auto& p = *operation.pursuit;
            // An executor that is gone won't report any more; but the target is expected to go.
            if (operation.state == OperationState::kExecuting && !p.executor.empty() && !p.waiting_for_watchdog &&
                !same_ignoring_case(p.executor, operation.target) && !c_.peers.active(p.executor))
                deserted.push_back(id);
            const bool open = operation.state == OperationState::kQuery || p.stalled;
            if (open && p.query_open && p.replies >= std::min(p.expected, c_.peers.active_count()) && p.replies > 0)
                waiting.push_back(id);
            continue;
        }
        // Who fences itself leaves before the result comes, from whoever did it.
        if (operation.state == OperationState::kDuplicate || c_.is_self(operation.origin) ||
            same_ignoring_case(operation.origin, operation.target) || c_.peers.active(operation.origin))
            continue;
        orphans.push_back(id);
    }
    for (const auto& id : orphans) {
        Operation& operation = operations_.at(id);
        operation.state = OperationState::kFailed;
        operation.outcome = failed(ExecStatus::kError,
                                   fmt::format("{}, which owned the operation, left the cluster", operation.origin));
        set_completed(operation);
        conclude(operation, false);
    }
    for (const auto& id : deserted) {
        Operation& operation = operations_.at(id);
        step_lost(operation, fmt::format("{} left the cluster while it did '{}' of {}", operation.pursuit->executor,
                                         operation.current_action(), operation.target));
    }
    for (const auto& id : waiting) {
        if (Operation* operation = find(id); operation != nullptr && operation->pursuit) advance(*operation, nullptr);
    }
}

void Operations::on_quorum_lost() {
    std::vector<std::string> waiting;
    for (const auto& [id, operation] : operations_) {
        // While an agent runs its result is worth waiting for: it was started with the right to.
        if (operation.pending() && operation.pursuit &&
            (operation.state == OperationState::kQuery || operation.pursuit->stalled))
            waiting.push_back(id);
    }
    for (const auto& id : waiting) lacks_right(operations_.at(id));
}

void Operations::on_client_closed(wire::ClientId client) {
    for (auto& [id, operation] : operations_) {
        const auto* asker = std::get_if<Asker>(&operation.asker);
        if (asker != nullptr && asker->client == client) operation.asker = std::monostate{};
    }
}

std::vector<std::string> Operations::check_state() const {
    std::vector<std::string> broken;
    std::map<std::string, int> shared;
    std::size_t ended = 0;
    for (const auto& [id, operation] : operations_) {
        if (!operation.pending()) ++ended;
        if (operation.pending() && operation.told)
            broken.push_back(fmt::format("operation {} is told before its end", id));
        for (const auto& duplicate : operation.duplicates) ++shared[duplicate];
    }
    for (const auto& [id, operation] : operations_) {
        const int times = shared.contains(id) ? shared.at(id) : 0;
        if (operation.state == OperationState::kDuplicate && times != 1)
            broken.push_back(fmt::format("duplicate {} belongs to {} operations", id, times));
    }
    if (ended > kHistoryMax) broken.push_back(fmt::format("{} operations that ended are kept", ended));
    return broken;
}

}  // namespace systole::fencing
