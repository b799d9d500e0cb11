// model/history_migration.cpp — live migrations in the history: migrate_to on the source and migrate_from on the target
// have to be read together to know where the resource is.
#include <fmt/format.h>

#include "base/text.h"
#include "model/history_reader.h"
#include "model/operations.h"

namespace systole::model {

const xml::Node* HistoryReader::history_of(std::string_view resource, std::string_view node) const {
    const Node* where = c_.find_node(node);
    if (where == nullptr) return nullptr;
    const auto it = where->history.find(resource);
    return it == where->history.end() ? nullptr : it->second;
}

const xml::Node* HistoryReader::find_entry(std::string_view resource, std::string_view task, std::string_view node,
                                           std::string_view peer, int target_rc) const {
    const xml::Node* history = history_of(resource, node);
    if (history == nullptr) return nullptr;
    for (const auto& op : history->children()) {
        if (!op->is("lrm_rsc_op") || op->get("operation") != task) continue;
        if (!peer.empty() && task == "migrate_to" && op->get("migrate_target") != peer) continue;
        if (!peer.empty() && task == "migrate_from" && op->get("migrate_source") != peer) continue;
        if (target_rc >= 0 && (integer_of(*op, "rc-code", 1) != target_rc ||
                               integer_of(*op, "op-status", 4) != static_cast<int>(ExecStatus::kDone))) {
            return nullptr;
        }
        return op.get();
    }
    return nullptr;
}

bool HistoryReader::unknown_on(std::string_view resource, std::string_view node) const {
    const xml::Node* history = history_of(resource, node);
    if (history == nullptr) return true;
    for (const auto& op : history->children()) {
        if (op->is("lrm_rsc_op") && op->has("rc-code") &&
            integer_of(*op, "rc-code", 0) != static_cast<int>(ExitCode::kNone)) {
            return false;
        }
    }
    return true;
}

bool HistoryReader::newer_action(std::string_view resource, std::string_view node, const xml::Node& than) {
    const xml::Node* history = history_of(resource, node);
    if (history == nullptr) return false;
    for (const auto& op : history->children()) {
        if (!op->is("lrm_rsc_op") || op.get() == &than) continue;
        const std::string_view task = op->get("operation");
        if ((task == "start" || task == "stop" || task == "migrate_to" || task == "migrate_from") &&
            order_.compare(*op, than) > 0) {
            return true;
        }
    }
    return false;
}

bool HistoryReader::newer_state(std::string_view resource, std::string_view node, const xml::Node* migrate_to,
                                const xml::Node* migrate_from) {
    const xml::Node* compared = migrate_from != nullptr ? migrate_from : migrate_to;
    if (compared == nullptr) return false;
    if (compared != migrate_to && migrate_to != nullptr && same_ignoring_case(node, compared->get("migrate_source"))) {
        compared = migrate_to;
    }
    if (newer_action(resource, node, *compared)) return true;
    const xml::Node* monitor = find_entry(resource, "monitor", node, {}, static_cast<int>(ExitCode::kNotRunning));
    return monitor != nullptr && order_.compare(*monitor, *compared) > 0;
}

bool HistoryReader::migration_names(const Entry& e, const Node* source, const Node* target,
                                    std::string_view& source_name, std::string_view& target_name) {
    source_name = e.xml.get("migrate_source");
    target_name = e.xml.get("migrate_target");
    if (source_name.empty() || target_name.empty()) {
        c_.config_error(
            fmt::format("Ignoring resource history entry {} without migrate_source and migrate_target", e.id));
        return false;
    }
    if (source != nullptr && !same_ignoring_case(source_name, source->name)) {
        c_.config_error(fmt::format("Ignoring resource history entry {} because migrate_source='{}' does not match {}",
                                    e.id, source_name, source->name));
        return false;
    }
    if (target != nullptr && !same_ignoring_case(target_name, target->name)) {
        c_.config_error(fmt::format("Ignoring resource history entry {} because migrate_target='{}' does not match {}",
                                    e.id, target_name, target->name));
        return false;
    }
    return true;
}

void HistoryReader::migrated_to(const Entry& e) {
    Resource& r = e.resource;
    std::string_view source, target;
    if (!migration_names(e, &e.node, nullptr, source, target)) return;
    const bool source_is_newer = newer_action(r.id, source, e.xml);
    const xml::Node* from = find_entry(r.id, "migrate_from", target, source, -1);
    int from_exit = 0;
    int from_status = static_cast<int>(ExecStatus::kPending);
    if (from != nullptr) {
        if (source_is_newer) return;  // the source was asked again since: this is history
        from_exit = integer_of(*from, "rc-code", from_exit);
        from_status = integer_of(*from, "op-status", from_status);
    }
    const bool target_is_newer = newer_state(r.id, target, &e.xml, from);
    if (source_is_newer && target_is_newer) return;
    if (from_exit == 0 && from_status == static_cast<int>(ExecStatus::kDone)) {
        // It got there, but the stop that belongs to the migration is missing here.
        r.role = Role::kStopped;
        r.dangling_migration_sources.insert(r.dangling_migration_sources.begin(), &e.node);
        return;
    }
    r.role = Role::kStarted;
    Node* target_node = c_.find_node(target);
    const bool active_on_target = !target_is_newer && target_node != nullptr && target_node->online;
    const auto failed = [&] {
        r.failed = r.stop_if_failed = true;
        r.migratable = false;
    };
    if (from_status != static_cast<int>(ExecStatus::kPending)) {  // migrate_from failed
        if (active_on_target) {
            add_running(c_, r, *target_node, true);
        } else {
            failed();
        }
        return;
    }
    if (target_node != nullptr && target_node->online && unknown_on(r.id, target)) return;
    if (active_on_target) {
        Node* source_node = c_.find_node(source);
        add_running(c_, r, *target_node, false);
        if (source_node != nullptr && source_node->online) {
            r.partial_migration_target = target_node;
            r.partial_migration_source = source_node;
        }
    } else if (!source_is_newer) {
        failed();
    }
}

void HistoryReader::failed_migrate_to(const Entry& e) {
    Resource& r = e.resource;
    std::string_view source, target;
    if (!migration_names(e, &e.node, nullptr, source, target)) return;
    r.role = Role::kStarted;  // a failed migrate_to leaves it somewhere
    const xml::Node* from = find_entry(r.id, "migrate_from", target, source, 0);
    if (!unknown_on(r.id, target) && !newer_state(r.id, target, &e.xml, from)) {
        Node* target_node = c_.find_node(target);
        if (target_node != nullptr && target_node->online) add_running(c_, r, *target_node, false);
    } else if (!newer_action(r.id, source, e.xml)) {
        r.dangling_migration_sources.insert(r.dangling_migration_sources.begin(), &e.node);
    }
}

void HistoryReader::failed_migrate_from(const Entry& e) {
    Resource& r = e.resource;
    std::string_view source, target;
    if (!migration_names(e, nullptr, &e.node, source, target)) return;
    r.role = Role::kStarted;
    const xml::Node* to = find_entry(r.id, "migrate_to", source, target, 0);
    if (!unknown_on(r.id, source) && !newer_state(r.id, source, to, &e.xml)) {
        Node* source_node = c_.find_node(source);
        if (source_node != nullptr && source_node->online) add_running(c_, r, *source_node, true);
    }
}

}  // namespace systole::model
