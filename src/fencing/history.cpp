// The history of fencing: what is kept, told, cleaned up, and made equal between members.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "fencing/operations.h"

namespace systole::fencing {
namespace {

/// Pending ones last, then by the time of their end.
bool ended_before(const Operation& a, const Operation& b) {
    return std::make_tuple(a.pending(), a.completed, a.completed_order, a.created, std::string_view(a.id)) <
           std::make_tuple(b.pending(), b.completed, b.completed_order, b.created, std::string_view(b.id));
}

std::vector<const Operation*> in_order(const std::map<std::string, Operation, std::less<>>& operations) {
    std::vector<const Operation*> sorted;
    for (const auto& [id, operation] : operations) sorted.push_back(&operation);
    std::ranges::sort(sorted, [](const Operation* a, const Operation* b) { return ended_before(*a, *b); });
    return sorted;
}

OperationState state_of(long long number) {
    switch (number) {
        case 1: return OperationState::kExecuting;
        case 2: return OperationState::kDone;
        case 3: return OperationState::kDuplicate;
        case 4: return OperationState::kFailed;
        default: return OperationState::kQuery;
    }
}

/// A peer's entry. Before 2.1.3 entries have no result.
Operation read_entry(const xml::Node& element) {
    Operation operation;
    operation.id = element.get("st_remote_op");
    operation.target = element.get("st_target");
    operation.action = element.get("st_device_action");
    operation.origin = element.get("st_origin");
    operation.delegate = element.get("st_delegate");
    operation.client_name = element.get("st_clientname");
    operation.completed.seconds = integer(element, "st_date");
    operation.completed_order = integer(element, "st_date_nsec");
    operation.state = state_of(integer(element, "st_state"));
    if (element.has("rc-code") && element.has("op-status")) {
        operation.outcome = outcome_of(element);
    } else {
        operation.outcome = {ExecStatus::kUnknown, static_cast<int>(ExitCode::kIndeterminate), {}, {}};
    }
    return operation;
}

}  // namespace

std::vector<HistoryEntry> Operations::entries() const {
    std::vector<HistoryEntry> entries;
    for (const auto* o : in_order(operations_)) {
        entries.push_back(
            {o->id, o->target, o->action, o->origin, o->delegate, o->client_name, o->state, o->completed, o->outcome});
    }
    return entries;
}

xml::NodePtr Operations::history_entry(const Operation& operation, bool with_id) {
    xml::Builder entry("st_execute");
    if (with_id) entry.set("st_remote_op", operation.id);
    entry.set("st_target", operation.target).set("st_device_action", operation.action);
    entry.set("st_origin", operation.origin).set_unless_empty("st_delegate", operation.delegate);
    entry.set("st_clientname", operation.client_name);
    entry.set("st_date", static_cast<long long>(operation.completed.seconds));
    entry.set("st_date_nsec", static_cast<long long>(operation.completed_order));
    entry.set("st_state", static_cast<int>(operation.state));
    set_outcome(entry, operation.outcome);
    return std::move(entry).build();
}

xml::NodePtr Operations::history_element(bool with_ids, std::string_view target) const {
    xml::Builder history("st_history");
    bool any = false;
    for (const auto* operation : in_order(operations_)) {
        if (!target.empty() && !same_ignoring_case(operation->target, target)) continue;
        history.add(history_entry(*operation, with_ids));
        any = true;
    }
    return any ? std::move(history).build() : xml::NodePtr{};
}

void Operations::send_history(xml::NodePtr history, std::uint32_t options, std::string_view target) {
    auto message = make_command("st_fence_history");
    message.set("subt", "broadcast").set("st_callopt", options);
    xml::Builder content("history");
    content.set_unless_empty("st_target", target);
    content.add(std::move(history));
    xml::Builder data("st_calldata");
    data.add(std::move(content));
    message.add(std::move(data));
    c_.send({}, std::move(message).build());
}

void Operations::broadcast_history() {
    send_history(history_element(true, {}), option::kBroadcast | option::kDiscardReply, {});
}

void Operations::on_history_request(const xml::Node& message, const Asker& asker) {
    const auto options = call_options(message);
    std::string target;
    if (const auto* what = find_with_attribute(message, "st_target")) target = what->get("st_target");
    if ((options & option::kNodeId) != 0) {
        if (auto name = c_.peers.name_of(target); !name.empty()) target = std::move(name);
    }
    xml::NodePtr history;
    if ((options & option::kCleanup) != 0) {
        // Cleaned up here too when the message comes back.
        send_history({}, option::kCleanup | option::kDiscardReply, target);
    } else if ((options & option::kBroadcast) != 0) {
        clients_.notify("st_notify_history_synced");
        broadcast_history();
    } else {
        history = history_element(false, target);
    }
    if ((options & option::kDiscardReply) == 0 || asker.response_due)
        clients_.answer(asker, make_reply(&message, done(), std::move(history)));
}

void Operations::on_history_message(const xml::Node& message, std::string_view peer) {
    const auto options = call_options(message);
    if ((options & option::kCleanup) != 0) {
        const auto* what = find_with_attribute(message, "st_target");
        cleanup(what == nullptr ? std::string_view{} : what->get("st_target"));
        return;
    }
    if ((options & option::kBroadcast) == 0) {
        c_.send(peer, make_reply(&message, done(), history_element(false, {})));
        return;
    }
    clients_.notify("st_notify_history_synced");
    if (c_.is_self(peer)) return;
    const auto* history = find_element(message, "st_history");
    const bool only_the_difference = history != nullptr && parse_bool(history->get("st_differential")).value_or(false);
    merge_history(history, !only_the_difference);
}

void Operations::cleanup(std::string_view target) {
    std::erase_if(operations_, [&](const auto& entry) {
        const Operation& operation = entry.second;
        return !operation.pending() && operation.told &&
               (target.empty() || same_ignoring_case(operation.target, target));
    });
    clients_.notify("st_notify_history");
    c_.effects.emplace_back(HistoryNotice{});
}

void Operations::merge_history(const xml::Node* history, bool answer) {
    std::map<std::string, Operation> theirs;
    if (history != nullptr) {
        for (const auto& element : history->children()) {
            if (!element->is_element()) continue;
            Operation operation = read_entry(*element);
            if (operation.id.empty() || operation.target.empty()) {
                c_.log(wire::Severity::kWarning, "an entry of a peer's fencing history has no id or target: ignored");
                continue;
            }
            theirs.insert_or_assign(operation.id, std::move(operation));
        }
    }
    bool changed = false;
    xml::Builder missing("st_history");
    bool any_missing = false;
    for (const auto* ours : in_order(operations_)) {
        const auto it = theirs.find(ours->id);
        const bool they_wait = it != theirs.end() && it->second.pending() && !ours->pending();
        if (it == theirs.end() || they_wait) {
            missing.add(history_entry(*ours, true));
            any_missing = true;
        }
    }
    for (auto& [id, entry] : theirs) {
        Operation* ours = find(id);
        if (ours != nullptr) {
            // Our own are pursued to their end here, and the end of the others' may have been missed.
            if (!ours->pending() || entry.pending() || ours->pursuit) continue;
            ours->state = entry.state;
            ours->outcome = entry.outcome;
            ours->delegate = entry.delegate;
            ours->completed = entry.completed;
            ours->completed_order = entry.completed_order;
            cancel_timers(*ours);
            conclude(*ours, false);
            changed = true;
            continue;
        }
        entry.created = c_.now.mono;
        entry.told = !entry.pending();
        entry.witnessed = false;
        const bool lost = entry.pending() && c_.is_self(entry.origin);
        Operation& record = operations_.insert_or_assign(id, std::move(entry)).first->second;
        changed = true;
        if (lost) {
            c_.log(wire::Severity::kWarning,
                   fmt::format("'{}' of {} was begun by a fencer that ran here before: taking it as failed",
                               record.action, record.target),
                   record.target);
            finish(record, {ExecStatus::kInvalid,
                            static_cast<int>(ExitCode::kExpired),
                            "Initiated by earlier fencer process and presumed failed",
                            {}});
        } else if (record.state == OperationState::kDuplicate) {
            // Whose duplicate it is was not told; it will be known by its own entry or its owner's end.
            record.state = OperationState::kQuery;
        }
    }
    if (changed) {
        trim();
        clients_.notify("st_notify_history");
        c_.effects.emplace_back(HistoryNotice{});
    }
    if (answer && any_missing) {
        missing.set("st_differential", "true");
        send_history(std::move(missing).build(), option::kBroadcast | option::kDiscardReply, {});
    }
}

void Operations::trim() {
    std::vector<const Operation*> ended;
    for (const auto* operation : in_order(operations_)) {
        if (!operation->pending() && operation->told) ended.push_back(operation);
    }
    if (ended.size() <= kHistoryMax) return;
    ended.resize(ended.size() - kHistoryMax);  // the oldest
    std::vector<std::string> ids;
    for (const auto* operation : ended) ids.push_back(operation->id);
    for (const auto& id : ids) operations_.erase(id);
}

}  // namespace systole::fencing
