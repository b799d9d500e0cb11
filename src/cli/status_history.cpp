// What happened: operations, failures, tickets, bans. Parts of cli/status_view.h.
#include <algorithm>

#include <fmt/format.h>

#include "cli/local_time.h"
#include "cli/status_bans.h"
#include "cli/status_filter.h"
#include "cli/status_view.h"
#include "model/failcount.h"
#include "model/operations.h"

namespace systole::cli {
namespace {

using model::Cluster;
using model::Node;
using model::Resource;

// One operation of a resource's history, as it is listed.
struct Listed {
    const xml::Node* xml;
    int call;
    std::string task;
    Duration interval;
    int rc;
};

// Successful and failed entries in the order in which they were done. What a display shows of a resource's history is
// what has a known result; the latest failure is kept apart in the CIB and would be told twice.
std::vector<Listed> listed_operations(const xml::Node& history) {
    std::vector<Listed> list;
    for (const xml::NodePtr& entry : history.children()) {
        if (!entry->is("lrm_rsc_op")) continue;
        const int rc = model::integer_of(*entry, "rc-code", static_cast<int>(ExitCode::kNone));
        std::string task(entry->get("operation"));
        const Duration interval = model::history_interval(*entry);
        const int status = model::integer_of(*entry, "op-status", 0);
        if (status == static_cast<int>(ExecStatus::kPending)) continue;
        if (task == "notify") continue;
        if (model::is_probe(*entry)) {
            if (rc == static_cast<int>(ExitCode::kNotRunning)) continue;  // nothing to tell
            task = "probe";
        }
        list.push_back({entry.get(), model::integer_of(*entry, "call-id", -1), std::move(task), interval, rc});
    }
    std::ranges::stable_sort(list, {}, &Listed::call);
    return list;
}

std::string operation_line(const Listed& operation, bool timing) {
    const xml::Node& xml = *operation.xml;
    std::string text = fmt::format("({}) {}", xml.get("call-id"), operation.task);
    std::string details;
    if (operation.interval.count() > 0) details += fmt::format(" interval=\"{}ms\"", operation.interval.count());
    if (timing) {
        if (const auto when = epoch_text(xml.get("last-rc-change")); !when.empty()) {
            details += fmt::format(" last-rc-change=\"{}\"", when);
        }
        if (xml.has("exec-time")) details += fmt::format(" exec-time=\"{}ms\"", xml.get("exec-time"));
        if (xml.has("queue-time")) details += fmt::format(" queue-time=\"{}ms\"", xml.get("queue-time"));
        details += fmt::format(" rc={} ({})", operation.rc, describe(static_cast<ExitCode>(operation.rc)));
    }
    return details.empty() ? text : text + ":" + details;
}

xml::NodePtr operation_xml(const Listed& operation) {
    const xml::Node& xml = *operation.xml;
    xml::Builder element("operation_history");
    element.set("call", xml.get("call-id"));
    element.set("task", operation.task);
    element.set("rc", operation.rc);
    element.set("rc_text", describe(static_cast<ExitCode>(operation.rc)));
    if (operation.interval.count() > 0) element.set("interval", fmt::format("{}ms", operation.interval.count()));
    if (const auto when = epoch_text(xml.get("last-rc-change")); !when.empty()) element.set("last-rc-change", when);
    if (xml.has("exec-time")) element.set("exec-time", fmt::format("{}ms", xml.get("exec-time")));
    if (xml.has("queue-time")) element.set("queue-time", fmt::format("{}ms", xml.get("queue-time")));
    return std::move(element).build();
}

// Of a group only the member that was asked for, or all if the group was.
bool is_wanted(const Resource& resource, const NameFilter& resources) {
    const Resource& top = resource.top(false);
    if (!top.is_group()) return !is_filtered(resource, resources, true);
    return resources.has(resource.printable_id()) || resources.has(top.printable_id());
}

std::string count_text(int count) { return to_string(Score{count}); }

}  // namespace

bool show_history(Output& output, const Show& show, Cluster& cluster, Spacer& spacer) {
    const xml::Node* status = cluster.cib->child("status");
    if (status == nullptr) return false;
    bool any = false;
    xml::Builder all("node_history");
    for (const xml::NodePtr& state : status->children()) {
        if (!state->is("node_state")) continue;
        const Node* node = cluster.find_node_any(state->id(), state->get("uname"));
        if (node == nullptr || !node->online || !show.nodes.has(node->name)) continue;
        if (!any) {
            spacer.before_section(output);
            output.begin_list(show.operations ? "Operations" : "Migration Summary");
        }
        any = true;
        const xml::Node* lrm = state->child("lrm");
        const xml::Node* histories = lrm == nullptr ? nullptr : lrm->child("lrm_resources");
        if (histories == nullptr) continue;
        bool first = true;
        xml::Builder node_element("node");
        node_element.set("name", node->name);
        for (const xml::NodePtr& history : histories->children()) {
            if (!history->is("lrm_resource")) continue;
            Resource* resource = cluster.find_resource(history->id());
            if (resource == nullptr || !is_wanted(*resource, show.resources)) continue;
            const model::FailCountResult failures =
                model::fail_count(cluster, *node, *resource, model::FailCount::kEffective);
            std::vector<Listed> operations;
            if (show.operations) {
                operations = listed_operations(*history);
                if (operations.empty()) continue;
            } else if (failures.count <= 0) {
                continue;
            }
            if (first) output.begin_list(fmt::format("Node: {}", node_label(*node, show.detail)));
            first = false;

            const std::string_view name = show.operations ? history->id() : resource->printable_id();
            std::string line = fmt::format("{}: migration-threshold={}", name, resource->migration_threshold);
            xml::Builder element("resource_history");
            element.set("id", resource->printable_id());
            element.set("orphan", resource->removed ? "true" : "false");
            element.set("removed", resource->removed ? "true" : "false");
            element.set("migration-threshold", resource->migration_threshold);
            if (failures.count > 0) {
                line += fmt::format(" fail-count={}", count_text(failures.count));
                element.set("fail-count", count_text(failures.count));
            }
            if (failures.last_failure > 0) {
                const std::string when = ctime_text(WallTime{failures.last_failure});
                line += fmt::format(" last-failure='{}'", when);
                element.set("last-failure", when);
            }
            if (show.operations) {
                output.begin_list(line);
                for (const Listed& operation : operations) {
                    output.item(operation_line(operation, show.timing));
                    element.add(operation_xml(operation));
                }
                output.end_list();
            } else {
                output.item(line);
            }
            node_element.add(std::move(element));
        }
        if (!first) {
            output.end_list();
            all.add(std::move(node_element));
        }
    }
    if (any) {
        output.add(std::move(all));
        output.end_list();
    }
    return any;
}

// --- failures ---

namespace {

std::string duration_text(long long ms) { return ms == 0 ? "0ms" : readable_duration(Duration{ms}); }

struct Failure {
    std::string key, node, reason, call;
    std::string resource, task;
    Duration interval{0};
    int rc = 0;
    ExecStatus status = ExecStatus::kUnknown;
    std::string_view changed, exec, queued;
};

Failure failure_of(const xml::Node& xml) {
    Failure failure;
    failure.key = model::history_key(xml);
    failure.node = xml.get("uname");
    failure.reason = xml.get("exit-reason");
    failure.call = xml.get("call-id", "0");
    failure.rc = model::integer_of(xml, "rc-code", 0);
    failure.status = static_cast<ExecStatus>(model::integer_of(xml, "op-status", 0));
    failure.changed = xml.get("last-rc-change");
    failure.exec = xml.get("exec-time");
    failure.queued = xml.get("queue-time");
    failure.task = xml.get("operation");
    failure.interval = model::history_interval(xml);
    if (const auto key = model::parse_operation_key(failure.key)) {
        failure.resource = key->resource;
        failure.task = key->task;
        failure.interval = key->interval;
    }
    return failure;
}

std::string friendly_text(const Failure& failure) {
    std::string text = failure.resource.empty() ? failure.key : failure.resource;
    if (failure.interval.count() > 0) text += fmt::format(" {}-interval", duration_text(failure.interval.count()));
    const bool probe = model::is_probe(failure.task, failure.interval);
    text += fmt::format(" {} on {}", probe ? "probe" : failure.task, failure.node);
    if (failure.status == ExecStatus::kDone) {
        text += fmt::format(" returned '{}'", describe(static_cast<ExitCode>(failure.rc)));
        if (!failure.reason.empty()) text += fmt::format(" ({})", failure.reason);
    } else {
        text += fmt::format(" could not be executed ({}", describe(failure.status));
        if (!failure.reason.empty()) text += fmt::format(": {}", failure.reason);
        text += ")";
    }
    if (const auto when = epoch_text(failure.changed); !when.empty()) text += fmt::format(" at {}", when);
    if (const auto exec = parse_integer(failure.exec); exec && *exec > 0) {
        text += fmt::format(" after {}", duration_text(*exec));
    }
    return text;
}

std::string technical_text(const Failure& failure) {
    std::string text =
        fmt::format("{} on {} '{}' ({}): call={}, status='{}'", failure.key, failure.node,
                    describe(static_cast<ExitCode>(failure.rc)), failure.rc, failure.call, describe(failure.status));
    if (!failure.reason.empty()) text += fmt::format(", exitreason='{}'", failure.reason);
    if (const auto when = epoch_text(failure.changed); !when.empty())
        text += fmt::format(", last-rc-change='{}'", when);
    if (!failure.queued.empty()) text += fmt::format(", queued={}ms", failure.queued);
    if (!failure.exec.empty()) text += fmt::format(", exec={}ms", failure.exec);
    return text;
}

xml::NodePtr failure_xml(const Failure& failure) {
    xml::Builder element("failure");
    element.set(failure.key.find('_') == std::string::npos ? "id" : "op_key", failure.key);
    element.set("node", failure.node);
    element.set("exitstatus", describe(static_cast<ExitCode>(failure.rc)));
    element.set("exitreason", failure.reason);
    element.set("exitcode", failure.rc);
    element.set("call", failure.call);
    element.set("status", describe(failure.status));
    if (const auto changed = parse_integer(failure.changed); changed && *changed > 0) {
        element.set("last-rc-change", offset_text(WallTime{*changed}));
    }
    if (!failure.changed.empty() || !failure.exec.empty()) {
        element.set("queued", failure.queued.empty() ? "0" : failure.queued);
        element.set("exec", failure.exec.empty() ? "0" : failure.exec);
        element.set("interval", static_cast<long long>(failure.interval.count()));
        element.set("task", failure.task);
    }
    return std::move(element).build();
}

}  // namespace

bool show_failures(Output& output, const Show& show, const Cluster& cluster, Spacer& spacer) {
    bool any = false;
    xml::Builder all("failures");
    for (const model::FailedOperation& failed : cluster.failed) {
        if (model::is_masked_probe_failure(*failed.xml)) continue;
        Failure failure = failure_of(*failed.xml);
        if (failed.node != nullptr) failure.node = failed.node->name;
        if (!show.nodes.has(failure.node)) continue;
        if (!show.resources.is_all() && !show.resources.has(failure.resource)) continue;
        if (!any) {
            spacer.before_section(output);
            output.begin_list("Failed Resource Actions");
        }
        any = true;
        output.item(show.detail ? technical_text(failure) : friendly_text(failure));
        all.add(failure_xml(failure));
    }
    if (any) {
        output.add(std::move(all));
        output.end_list();
    }
    return any;
}

// --- tickets and bans ---

bool show_tickets(Output& output, const Cluster& cluster, Spacer& spacer) {
    if (cluster.tickets.empty()) return false;
    xml::Builder all("tickets");
    if (!output.is_structured()) spacer.before_section(output);
    output.begin_list("Tickets");
    for (const auto& [id, ticket] : cluster.tickets) {
        std::string line =
            fmt::format("{}: {}{}", id, ticket.granted ? "granted" : "revoked", ticket.standby ? " [standby]" : "");
        xml::Builder element("ticket");
        element.set("id", id);
        element.set("status", ticket.granted ? "granted" : "revoked");
        element.set("standby", ticket.standby ? "true" : "false");
        if (ticket.last_granted > 0) {
            const std::string when = ctime_text(WallTime{ticket.last_granted});
            line += fmt::format(" last-granted=\"{}\"", when);
            element.set("last-granted", when);
        }
        for (const auto& [name, value] : ticket.state) {
            if (name != "id" && name != "standby" && name != "last-granted") element.set(name, value);
        }
        output.item(line);
        all.add(std::move(element));
    }
    output.end_list();
    output.add(std::move(all));
    return true;
}

bool show_bans(Output& output, const Show& show, const Cluster& cluster, Spacer& spacer) {
    bool any = false;
    xml::Builder all("bans");
    for (const model::Ban& ban : ban_list(cluster, show.ban_prefix)) {
        if (!show.resources.is_all()) {
            const Resource* resource = cluster.find_resource(ban.resource);
            if (resource == nullptr ||
                !(show.resources.has(ban.resource) || show.resources.has(resource->top(false).printable_id()))) {
                continue;
            }
        }
        if (!any) {
            spacer.before_section(output);
            output.begin_list("Negative Location Constraints");
        }
        any = true;
        output.item(fmt::format("{}\tprevents {} from running {}on {}", ban.id, ban.resource,
                                ban.promoted_only ? "in Promoted role " : "", node_label(*ban.node, show.detail)));
        xml::Builder element("ban");
        element.set("id", ban.id).set("resource", ban.resource).set("node", ban.node->name);
        element.set("weight", ban.score.value());
        element.set("promoted-only", ban.promoted_only ? "true" : "false");
        element.set("master_only", ban.promoted_only ? "true" : "false");
        all.add(std::move(element));
    }
    if (any) {
        output.add(std::move(all));
        output.end_list();
    }
    return any;
}

}  // namespace systole::cli
