// scheduler/remote.cpp — what runs on remote and guest nodes waits for their connections.
#include <fmt/format.h>

#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

enum class Connection : std::uint8_t {
    kUnknown,
    kAlive,
    kResting,  ///< will be up again, after it has been moved
    kFailed,
    kStopped,
};

bool shutdown_requested(const Node& node) {
    const auto value = node.attribute("shutdown");
    return value && *value != "0";
}

Connection state_of(const Node& node) {
    const Resource& connection = *node.remote;
    const Node* host = model::current_node(connection);
    if (connection.next_role == Role::kStopped || connection.assigned_node == nullptr) {
        if (host != nullptr && host->unclean) return Connection::kFailed;
        if (!connection.failed) return Connection::kStopped;
        if (connection.next_role == Role::kStopped && connection.remote_reconnect.count() > 0 && node.remote_fenced &&
            !shutdown_requested(node)) {
            return Connection::kUnknown;  // waits for the interval to try again
        }
        return Connection::kFailed;
    }
    if (host == nullptr) return Connection::kUnknown;
    if (host->unclean || !host->online) return Connection::kResting;
    if (connection.active_nodes.size() > 1 && connection.partial_migration_source != nullptr &&
        connection.partial_migration_target != nullptr) {
        return Connection::kResting;
    }
    return Connection::kAlive;
}

void after_start(Scheduler& s, Resource& first, Action& then, Flags extra) {
    s.order(OrderEnd(first, "start"), OrderEnd(then.rsc, &then),
            rel::kGuestAllowed | rel::kUnrunnableFirstBlocks | extra);
}

void before_stop(Scheduler& s, Action& first, Resource& then, Flags extra) {
    s.order(OrderEnd(first.rsc, &first), OrderEnd(then, "stop"), rel::kGuestAllowed | extra);
}

/// Migrating something away from (or to) a node is like stopping it there as far as the connection goes.
std::string_view effective_task(const Action& a) {
    return a.task == "migrate_to" || a.task == "migrate_from" ? std::string_view("stop") : std::string_view(a.task);
}

void order_on_remote(Scheduler& s, Action& a) {
    Resource& connection = *a.node->remote;
    const Connection state = state_of(*a.node);
    const std::string_view task = effective_task(a);
    if (task == "start" || task == "promote") {
        after_start(s, connection, a, state == Connection::kFailed ? rel::kFirstImpliesThen : rel::kNone);
    } else if (task == "stop") {
        if (state == Connection::kAlive) {
            before_stop(s, a, connection, rel::kThenImpliesFirst);
        } else if (state == Connection::kFailed) {
            s.fence(*a.node, "resources are active but connection is unrecoverable");
        } else if (connection.next_role == Role::kStopped) {
            before_stop(s, a, connection, rel::kThenImpliesFirst);
        } else {
            after_start(s, connection, a, rel::kNone);
        }
    } else if (task == "demote") {
        if (state == Connection::kResting || state == Connection::kUnknown) after_start(s, connection, a, rel::kNone);
    } else if (is_recurring(a)) {
        after_start(s, connection, a, rel::kFirstImpliesThen);
    } else {
        const Node* host = model::current_node(connection);
        if (task == "monitor" && state == Connection::kFailed) {
            s.fence(*a.node, "resources are in unknown state and connection is unrecoverable");
        }
        if (host != nullptr && state == Connection::kStopped) {
            before_stop(s, a, connection, rel::kUnrunnableFirstBlocks);
        } else {
            after_start(s, connection, a, rel::kNone);
        }
    }
}

bool has_known_type(std::string_view task) {
    return task == "monitor" || task == "notify" || task == "notified" || task == "stopped" || task == "running" ||
           task == "promoted" || task == "demoted" || task == "do_shutdown" || task == "stonith";
}

void order_in_guest(Scheduler& s, Action& a) {
    Resource& connection = *a.node->remote;
    Resource& launcher = *connection.launcher;
    if (launcher.failed) s.fence(*a.node, "container failed");
    const std::string_view task = effective_task(a);
    if (task == "start" || task == "promote") {
        after_start(s, launcher, a, rel::kFirstImpliesThen);
        after_start(s, connection, a, rel::kNone);
    } else if (task == "stop" || task == "demote") {
        // With a failed container everything inside is stopped already.
        if (!launcher.failed) before_stop(s, a, connection, rel::kNone);
    } else if (is_recurring(a)) {
        if (has_known_type(task)) after_start(s, connection, a, rel::kFirstImpliesThen);
    } else {
        after_start(s, connection, a, rel::kNone);
    }
}

}  // namespace

bool is_failed_remote_node(const Node& node) {
    return node.is_remote() && node.remote != nullptr && state_of(node) == Connection::kFailed;
}

void order_remote_connections(Scheduler& s) {
    if (!s.c.have_remote_nodes) return;
    for (std::size_t i = s.actions.size(); i-- > 0;) {
        Action& a = s.actions[i];
        if (a.rsc == nullptr) continue;
        if (a.rsc->remote_connection && a.task == "clear_failcount") {
            s.order(OrderEnd(a.rsc, &a), OrderEnd(*a.rsc, "start"), rel::kOrdered);
            continue;
        }
        if (a.node == nullptr || !a.node->remote_kind || a.is(act::kPseudo)) continue;
        Resource* connection = a.node->remote;
        if (connection == nullptr) continue;
        if (a.task == "start") {
            // If it is stopped elsewhere for a start here, that has to wait for the connection too.
            const auto& list = s.of(*a.rsc).actions;
            for (std::size_t j = list.size(); j-- > 0;) {
                if (list[j]->node != nullptr && list[j]->node != a.node && list[j]->task == "stop") {
                    s.order(OrderEnd(*connection, "start"), OrderEnd(a.rsc, list[j]), rel::kOrdered);
                }
            }
        }
        if (connection->launcher != nullptr) {
            order_in_guest(s, a);
        } else {
            order_on_remote(s, a);
        }
    }
}

Node* connection_host(const Action& a) {
    if (a.task == "stonith" || a.node == nullptr || !a.node->remote_kind || a.node->remote == nullptr) return nullptr;
    const Resource& connection = *a.node->remote;
    Node* began = model::current_node(connection);
    Node* ended = connection.assigned_node;
    if (began == nullptr) return ended;
    if (ended == nullptr || began == ended) return began;
    const bool partial = connection.launcher == nullptr && connection.partial_migration_target != nullptr;
    const std::string_view task = a.task == "notify" ? a.meta_value("notify_operation") : std::string_view(a.task);
    // What takes something down is done before the connection moves, unless it is moving already.
    const bool down =
        task == "cancel" || task == "stop" || task == "demote" || task == "migrate_from" || task == "migrate_to";
    return down && !partial ? began : ended;
}

}  // namespace systole::scheduler
