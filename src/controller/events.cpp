// controller/events.cpp — what changes of the CIB and direct acknowledgements mean for the transition that runs.
//
// Results reach the DC as history records in the CIB. A record that answers an action of ours confirms it; any other
// change that the plan depends on makes a new plan necessary.
// Source: protocol sheet controller.md, section 10 (table of changes).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "controller/state.h"

namespace systole::controller {
namespace {

/// The value of the predicate [@id='...'] after `element` in a change's path; empty if the path has no such step.
std::string_view id_in_path(std::string_view path, std::string_view element) {
    const std::string step = fmt::format("/{}[@id='", element);
    const auto at = path.find(step);
    if (at == std::string_view::npos) return {};
    const auto begin = at + step.size();
    const auto end = path.find("']", begin);
    return end == std::string_view::npos ? std::string_view{} : path.substr(begin, end - begin);
}

/// The element that a create or modify change is about.
const xml::Node* changed_element(const xml::Node& change) {
    if (change.get("operation") == "create") return change.first_element();
    const xml::Node* result = change.child("change-result");
    return result == nullptr ? nullptr : result->first_element();
}

/// The last step of a path without its predicate: "lrm_rsc_op".
std::string_view last_step(std::string_view path) {
    const auto slash = path.rfind('/');
    std::string_view step = slash == std::string_view::npos ? path : path.substr(slash + 1);
    return step.substr(0, step.find('['));
}

template <class F>
void each_change(const xml::Node& patchset, F&& f) {
    for (const auto& change : patchset.children()) {
        if (change->is("change") && !f(*change)) return;
    }
}

}  // namespace

void Controller::State::offer_again(NodeId node) {
    if (settled_office() == nullptr || board.phase(node) != membership::JoinPhase::kConfirmed) return;
    if (peers.is_active(node)) offer(node);
}

std::string Controller::State::node_name(std::string_view state_id) const {
    const xml::Node* status = cib ? cib->child("status") : nullptr;
    const xml::Node* state = status == nullptr ? nullptr : status->child("node_state", state_id);
    if (state != nullptr && state->has("uname")) return std::string(state->get("uname"));
    if (const auto id = parse_integer(state_id)) return peers.name_of(NodeId{static_cast<std::uint32_t>(*id)});
    return std::string(state_id);
}

std::string Controller::State::transient_value(std::string_view node, std::string_view attribute) const {
    const xml::Node* status = cib ? cib->child("status") : nullptr;
    if (status == nullptr) return {};
    for (const auto& state : status->children()) {
        if (!same_ignoring_case(state->get("uname"), node)) continue;
        const xml::Node* transient = state->child("transient_attributes");
        if (transient == nullptr) continue;
        for (const auto& set : transient->children()) {
            for (const auto& pair : set->children()) {
                if (pair->get("name") == attribute) return std::string(pair->get("value"));
            }
        }
    }
    return {};
}

void Controller::State::read_own_deletions(const xml::Node& patchset) {
    const std::string own = std::to_string(self.id.value);
    each_change(patchset, [&](const xml::Node& change) {
        const std::string_view path = change.get("path");
        if (change.get("operation") == "delete" && last_step(path) == "lrm_rsc_op" &&
            id_in_path(path, "node_state") == own)
            perform(resources.on_record_deleted(id_in_path(path, "lrm_resource"), id_in_path(path, "lrm_rsc_op")));
        return true;
    });
}

void Controller::State::read_patchset(const xml::Node& patchset) {
    std::set<std::string> seen;  // a failed operation has two records of one event
    const auto record = [&](const xml::Node& op, std::string_view resource, const std::string& node) {
        if (!op.is("lrm_rsc_op")) return;
        const std::string event =
            fmt::format("{} {} {} {}", node, op.get("transition-magic"), op.get("call-id"), op.get("last-rc-change"));
        if (seen.insert(event).second) on_record(op, resource, node);
    };
    const auto resource_entry = [&](const xml::Node& entry, const std::string& node) {
        for (const auto& op : entry.children()) record(*op, entry.id(), node);
    };
    const auto history = [&](const xml::Node& lrm, const std::string& node) {
        const xml::Node* list = lrm.is("lrm_resources") ? &lrm : lrm.child("lrm_resources");
        if (list == nullptr) return;
        for (const auto& entry : list->children()) resource_entry(*entry, node);
    };
    const auto state_entry = [&](const xml::Node& state) {
        const xml::Node* lrm = state.child("lrm");
        if (lrm != nullptr) history(*lrm, node_name(state.id()));
    };

    each_change(patchset, [&](const xml::Node& change) {
        if (!holds_office()) return false;
        const std::string_view operation = change.get("operation");
        const std::string_view path = change.get("path");
        if (operation == "move" && !path.starts_with("/cib/configuration/resources")) return true;
        const xml::Node* element = operation == "delete" ? nullptr : changed_element(change);
        if (operation != "delete" && element == nullptr) return true;
        const std::string_view name = element != nullptr ? element->name() : last_step(path);
        const std::string_view state_id = id_in_path(path, "node_state");

        if (path.starts_with("/cib/configuration") || (operation == "create" && name == "configuration")) {
            abort("configuration change");
            return false;
        }
        if (path.find("/tickets") != std::string_view::npos || name == "tickets") {
            abort("ticket change");
            return false;
        }
        if (path.find("/transient_attributes") != std::string_view::npos || name == "transient_attributes") {
            const std::string node = node_name(state_id);
            if (!awaited_counts.empty()) {
                std::erase_if(awaited_counts, [&](const auto& awaited) {
                    const auto& [where, before] = awaited;
                    return where.first == node && transient_value(node, where.second) != before;
                });
                if (awaited_counts.empty()) disarm("counts");
            }
            if (operation == "delete" && runner.expects_down(state_id)) return true;
            abort(fmt::format("transient attribute change on {}", node));
            return true;
        }
        if (operation == "delete") {
            if (name == "lrm_rsc_op") {
                const std::string node = node_name(state_id);
                const auto cancelled = runner.pending_cancel(id_in_path(path, "lrm_rsc_op"), node);
                if (cancelled) {
                    perform(runner.on_done(now.mono, *cancelled, true));
                } else {
                    abort("resource operation removal");
                }
            } else if (name == "lrm" || name == "node_state") {
                const membership::Peer* peer = peers.find(node_name(state_id));
                const bool joining = peer != nullptr && office() != nullptr && office()->confirming.contains(peer->id);
                if (joining || runner.expects_down(state_id)) return true;
                abort("history removal");
                // Somebody replaced or erased what we know of a member: it shall tell again.
                if (peer != nullptr) offer_again(peer->id);
            } else if (name == "status") {
                abort("status removal");
                for (const NodeId id : peers.active()) offer_again(id);
            } else if (name == "lrm_resource") {
                abort("resource history removal");
                perform(runner.on_history_erased(now.mono, id_in_path(path, "lrm_resource"), node_name(state_id)));
            }
            return true;
        }
        const std::string node = node_name(state_id);
        if (name == "cib") {
            if (operation == "create") abort("new CIB");
        } else if (name == "status") {
            for (const auto& state : element->children()) state_entry(*state);
        } else if (name == "node_state") {
            state_entry(*element);
        } else if (name == "lrm" || name == "lrm_resources") {
            history(*element, node);
        } else if (name == "lrm_resource") {
            const xml::Node* list = change.child("change-list");
            if (list != nullptr) {
                for (const auto& attribute : list->children()) {
                    if (attribute->get("name") == "shutdown-lock") abort("shutdown lock change");
                }
            }
            resource_entry(*element, node);
        } else if (name == "lrm_rsc_op") {
            record(*element, id_in_path(path, "lrm_resource"), node);
        }
        return true;
    });
}

void Controller::State::on_record(const xml::Node& record, std::string_view resource, const std::string& node) {
    if (!holds_office()) return;
    const auto magic = transition::parse_magic(record.get("transition-magic"));
    if (!magic || magic->status == ExecStatus::kPending) return;
    OperationResult result;
    result.action = record.get("operation");
    result.status = magic->status;
    result.rc = magic->rc;
    result.transition_key = record.get("transition-key");
    const bool failed = is_unexpected(result);
    if (magic->status == ExecStatus::kCancelled) return;

    bool ignored = false;
    if (failed) {
        for (const auto& flight : runner.in_flight()) {
            if (flight.key == magic->key) ignored = flight.action.meta("on_fail") == "ignore";
        }
    }
    const bool ran = runner.running();
    // Replayed history was judged when it was new.
    const bool replay = record.get("crm-debug-origin") == "build_active_RAs";
    const transition::Runner::Answer answer = runner.on_result(now.mono, magic->key, node, magic->status, magic->rc);
    // A refusal to begin, and what could not be begun for want of a connection, is no failure of the resource.
    const bool refused = record.get("crm-debug-origin") == "controld_ack_event_directly" &&
                         (magic->status == ExecStatus::kInvalid || magic->status == ExecStatus::kNotConnected);
    if (failed && !replay && !refused && answer.match != transition::Match::kRepeated)
        count_failure(record, resource, node, magic->key, ignored);
    perform(answer.effects);
    using transition::Match;
    switch (answer.match) {
        case Match::kRepeated: break;
        case Match::kConfirmed:
            // The plan that is being made takes this action for one that still runs.
            if (!ran) want_plan("result of a former plan's action");
            break;
        case Match::kFailed:
            if (!ran) want_plan("failure of a former plan's action");
            log(wire::Severity::kWarning,
                fmt::format("{} on {} failed: result {} ({}), wanted {}{}{}", record.get("operation_key"), node,
                            magic->rc, describe(magic->status), magic->key.target_rc,
                            record.get("exit-reason").empty() ? "" : ": ", record.get("exit-reason")),
                node, std::string(resource));
            break;
        case Match::kInFlight: abort("result of a former plan's action"); break;
        case Match::kStale:
            if (!replay || failed) abort(failed ? "changed result of a recurring operation" : "old event");
            break;
        case Match::kForeign: abort("result of an action that another DC ordered"); break;
        case Match::kOutside: abort("operation from outside of the cluster"); break;
    }
}

void Controller::State::on_direct_ack(const xml::Node& message) {
    const xml::NodePtr state = wire::data_of(message);
    const xml::Node* lrm = state ? state->child("lrm") : nullptr;
    const xml::Node* list = lrm == nullptr ? nullptr : lrm->child("lrm_resources");
    if (list == nullptr || !holds_office()) return;
    const std::string node(state->get("uname"));
    for (const auto& entry : list->children()) {
        for (const auto& record : entry->children()) on_record(*record, entry->id(), node);
    }
}

void Controller::State::count_failure(const xml::Node& record, std::string_view resource, const std::string& node,
                                      const transition::Key& key, bool only_time) {
    const std::string_view task = record.get("operation");
    const long long interval = parse_integer(record.get("interval")).value_or(0);
    if (record.get("rc-code") == "99" || task == "notify" || task == "delete" || task == "cancel") return;
    const transition::Graph* graph = runner.graph();
    std::string value = "value++";
    // What nobody measured ("crm_resource --fail") counts like what a monitor found.
    bool count = key.transition == -1 || task == "asyncmon";
    if (interval > 0 || task == "promote" || task == "demote" || task == "migrate_to" || task == "migrate_from") {
        count = true;
    } else if (task == "start") {
        count = true;
        if (graph != nullptr && parse_score(graph->failed_start_offset) == Score::infinity()) value = "INFINITY";
    } else if (task == "stop") {
        count = true;
        if (graph != nullptr && parse_score(graph->failed_stop_offset) == Score::infinity()) value = "INFINITY";
    }
    if (!count) return;
    const bool remote = is_remote(node);
    const auto add = [&](std::string_view name, std::string_view text) {
        const membership::Peer* peer = peers.find(node);
        xml::Builder update("update_attr");
        update.set("t", "attrd")
            .set("src", "crmd")
            .set("task", "update")
            .set("attr_name", name)
            .set("attr_value", text);
        update.set("attr_host", node);
        if (peer != nullptr) update.set("attr_host_id", peer->id.value);
        update.set("attr_is_remote", remote ? "1" : "0").set("attr_is_private", "0");
        out.emplace_back(AttributeCall{std::move(update).build()});
    };
    const std::string suffix = fmt::format("{}#{}_{}", resource, task, interval);
    if (!only_time) {
        add("fail-count-" + suffix, value);
        const std::string before = transient_value(node, "fail-count-" + suffix);
        if (before != "INFINITY") awaited_counts.emplace(std::pair{node, "fail-count-" + suffix}, before);
        arm("counts", std::chrono::seconds(2));
    }
    add("last-failure-" + suffix, std::to_string(now.wall.seconds));
}

}  // namespace systole::controller
