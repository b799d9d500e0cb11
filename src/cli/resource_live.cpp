#include "cli/resource_live.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/attribute_client.h"
#include "cli/daemon_client.h"
#include "cli/local_time.h"
#include "cli/resource_moves.h"
#include "cli/resource_queries.h"
#include "cli/resource_settings.h"
#include "cli/status_source.h"
#include "model/operations.h"
#include "model/read_cluster.h"
#include "scheduler/schedule.h"
#include "wire/message.h"

namespace systole::cli {
namespace {

using model::Cluster;
using model::Node;
using model::Resource;
using Clock = std::chrono::steady_clock;

constexpr Duration kPatience{30'000};  ///< for a controller's answer

ExitCode fail_with(Output& output, std::string_view what, const Error& error) {
    output.fail(fmt::format("{}: {}", what, error.what));
    return exit_code_of(error);
}

// --- what controllers are told ---

class Controllers {
public:
    static Result<Controllers> connect() {
        auto client = DaemonClient::connect(wire::Service::kController, "crm_resource");
        if (!client) return tl::unexpected(std::move(client.error()));
        return Controllers(std::move(*client));
    }

    /// Has the resource's history on the node forgotten, or a failure recorded there, and waits until it is done.
    Result<void> act(std::string_view task, const Resource& resource, std::string_view id, const Node& node) {
        const Node* router = &node;
        if (node.online && node.remote_kind && node.remote != nullptr) {
            router = model::current_node(*node.remote);
            if (router == nullptr)
                return systole::fail(Errc::kUnreachable, fmt::format("no connection to node {}", node.name));
        }
        xml::Builder op("rsc_op");
        op.set("transition-key", fmt::format("{}:0:0:xxxxxxxx-xrsc-opxx-xcrm-resourcexxxx", getpid()));
        op.set("on_node", node.name);
        if (router != &node) op.set("router_node", router->name);
        if (!node.online) op.set("mode", "cib");
        xml::Builder primitive("primitive");
        primitive.set("id", resource.history_id.empty() ? id : std::string_view(resource.history_id));
        if (primitive.get("id") != resource.id) primitive.set("long-id", resource.id);
        primitive.set("class", resource.standard()).set_unless_empty("provider", resource.provider());
        primitive.set("type", resource.agent_type());
        xml::Builder attributes("attributes");
        attributes.set("crm_feature_set", wire::kFeatureSet).set("CRM_meta_timeout", "60000");
        op.add(std::move(primitive).build()).add(std::move(attributes).build());
        return tell(task, node.online ? std::string_view(router->name) : std::string_view(), std::move(op).build());
    }

    /// Has every resource's state on the node asked for anew.
    Result<void> probe_again(std::string_view node) { return tell("probe_again", node, {}); }

private:
    explicit Controllers(DaemonClient client) : client_(std::move(client)) {}

    Result<void> tell(std::string_view task, std::string_view host, xml::NodePtr data) {
        const auto told = client_.tell({.task = task, .to_host = host, .data = std::move(data)});
        if (!told) return told;
        // The answer is a result record as the DC gets it, or a plain reply.
        const auto reply = client_.next_message(kPatience);
        if (!reply) return tl::unexpected(reply.error());
        const xml::NodePtr answer = wire::data_of(**reply);
        const xml::Node* record = answer ? find_record(*answer) : nullptr;
        if (record == nullptr || record->get("rc-code") == "0") return {};
        const auto rc = static_cast<ExitCode>(parse_integer(record->get("rc-code")).value_or(1));
        const std::string why(record->get("exit-reason"));
        return systole::fail(rc == ExitCode::kInsufficientPrivileges ? Errc::kDenied : Errc::kInvalid,
                             why.empty() ? std::string(describe(rc)) : why);
    }

    static const xml::Node* find_record(const xml::Node& node) {
        if (node.is("lrm_rsc_op")) return &node;
        for (const xml::NodePtr& child : node.children())
            if (const xml::Node* found = find_record(*child)) return found;
        return nullptr;
    }

    DaemonClient client_;
};

Result<void> clear_failure_attributes(const CleanupRequest& request, std::string_view resource, std::string_view node) {
    xml::Builder message("attrd_op");
    message.set("t", "attrd").set("src", "crm_resource").set("task", "clear-failure");
    message.set_unless_empty("attr_host", node).set_unless_empty("attr_resource", resource);
    if (!request.operation.empty()) {
        message.set("attr_clear_operation", request.operation);
        message.set("attr_clear_interval", fmt::format("{}", request.interval.count()));
    }
    const auto answer = ask_attributes(*message.build());
    if (!answer) return tl::unexpected(answer.error());
    return {};
}

// Forgets what failed on the node: of one resource, or of all.
Result<void> forget_failed(Controllers& controllers, const Cluster& cluster, const CleanupRequest& request,
                           const Resource* resource, const Node& node) {
    std::set<const Resource*> done;
    for (const model::FailedOperation& failed : cluster.failed) {
        if (failed.node != &node || (resource != nullptr && failed.resource != resource)) continue;
        if (!request.operation.empty() && (!same_ignoring_case(failed.xml->get("operation"), request.operation) ||
                                           model::history_interval(*failed.xml) != request.interval)) {
            continue;
        }
        if (!done.insert(failed.resource).second) continue;
        // All of its history: a part of it could lead to a wrong idea of the resource's state.
        const auto told = controllers.act("lrm_delete", *failed.resource, failed.resource->id, node);
        if (!told) return told;
    }
    return {};
}

std::vector<const Node*> nodes_of(const Cluster& cluster, const Resource& resource, bool force) {
    std::vector<const Node*> nodes;
    for (const Node* node : cluster.nodes) {
        const bool known = node->index < resource.probed.size() && resource.probed[node->index];
        if (node->online && (force || known)) nodes.push_back(node);
    }
    if (!nodes.empty() || force) return nodes;
    std::ranges::copy_if(cluster.nodes, std::back_inserter(nodes), [](const Node* node) { return node->online; });
    return nodes;
}

ExitCode clean_primitive(Output& output, Controllers& controllers, const Cluster& cluster,
                         const CleanupRequest& request, const Resource& resource, const Node& node) {
    if (!node.probes_allowed) {
        output.error(
            fmt::format("Unable to clean up {} because resource discovery disabled on {}", resource.id, node.name));
        return ExitCode::kUnimplemented;
    }
    auto done = clear_failure_attributes(request, resource.printable_id(), node.name);
    if (!done) {
        output.error(
            fmt::format("Unable to clean up {} failures on {}: {}", resource.id, node.name, done.error().what));
        return exit_code_of(done.error());
    }
    done = request.only_failures ? forget_failed(controllers, cluster, request, &resource, node)
                                 : controllers.act("lrm_delete", resource, resource.id, node);
    if (!done) {
        output.error(fmt::format("Cleaned {} failures on {}, but unable to clean history: {}", resource.id, node.name,
                                 done.error().what));
        return exit_code_of(done.error());
    }
    output.line(fmt::format("Cleaned up {} on {}", resource.id, node.name));
    return ExitCode::kOk;
}

ExitCode clean_everything(Output& output, Controllers& controllers, const Cluster& cluster,
                          const CleanupRequest& request) {
    const std::string where = request.node == nullptr ? "all nodes" : request.node->name;
    if (!request.only_failures) {
        for (const Node* node : cluster.nodes) {
            if (request.node != nullptr ? node != request.node : !node->online || node->remote_kind) continue;
            // A connection of its own: what else a node has to say to this request must not be taken for the next
            // answer.
            auto own = Controllers::connect();
            const auto done = own ? own->probe_again(node->name) : Result<void>(tl::unexpected(own.error()));
            if (!done) return fail_with(output, fmt::format("Unable to refresh {}", node->name), done.error());
        }
        output.line(fmt::format("Refreshed all resources on {}", where));
        return ExitCode::kOk;
    }
    auto done = clear_failure_attributes(request, {}, request.node == nullptr ? std::string_view() : where);
    if (!done) {
        output.error(fmt::format("Unable to clean up all failures on {}: {}", where, done.error().what));
        return exit_code_of(done.error());
    }
    for (const Node* node : cluster.nodes) {
        if (request.node != nullptr && node != request.node) continue;
        done = forget_failed(controllers, cluster, request, nullptr, *node);
        if (!done) {
            output.error(fmt::format("Cleaned all resource failures on {}, but unable to clean history: {}", where,
                                     done.error().what));
            return exit_code_of(done.error());
        }
    }
    output.line(fmt::format("Cleaned up all resources on {}", where));
    return ExitCode::kOk;
}

// --- waiting ---

// The cluster as it is from time to time.
class Observer {
public:
    static tl::expected<Observer, SourceError> open() {
        auto source = open_source();
        if (!source) return tl::unexpected(source.error());
        return Observer(std::move(*source));
    }
    /// Null if it can't be read now.
    std::unique_ptr<Cluster> read() {
        const auto cib = source_->query();
        if (!cib) return {};
        const auto newest = upgraded(*cib);
        auto cluster = model::read_cluster(newest ? *newest : *cib, now());
        return cluster ? std::move(*cluster) : std::unique_ptr<Cluster>{};
    }
    /// Returns when something changed, or after the time.
    void wait(Duration at_most) { (void)source_->wait(at_most); }
    [[nodiscard]] bool is_live() const { return source_->is_live(); }

private:
    explicit Observer(std::unique_ptr<StatusSource> source) : source_(std::move(source)) {}
    std::unique_ptr<StatusSource> source_;
};

bool has_pending(const xml::Node& status) {
    for (const xml::NodePtr& child : status.children()) {
        if (child->is("lrm_rsc_op") && child->get("op-status") == "-1") return true;
        if (has_pending(*child)) return true;
    }
    return false;
}

// What the cluster would still do now, "web_stop_0 on node1".
std::vector<std::string> actions_left(const Cluster& cluster) {
    std::vector<std::string> left;
    const auto plan = scheduler::schedule({.cib = cluster.cib, .now = cluster.now});
    if (!plan || !plan->graph) return left;
    for (const xml::NodePtr& synapse : plan->graph->children()) {
        const xml::Node* set = synapse->child("action_set");
        if (set == nullptr) continue;
        for (const xml::NodePtr& action : set->children()) {
            if (action->is("pseudo_event") || action->get("operation") == "notify") continue;
            left.push_back(fmt::format("{} on {}", action->get("operation_key", action->get("operation")),
                                       action->get("on_node", "the cluster")));
        }
    }
    return left;
}

std::set<std::string> active_primitives(const Cluster& cluster) {
    std::set<std::string> active;
    std::vector<const Resource*> all;
    for (const Resource* resource : cluster.resources) collect_primitives(*resource, all);
    for (const Resource* resource : all)
        if (!resource->active_nodes.empty()) active.insert(resource->id);
    return active;
}

// Does anything of the resource run (on the node, if one is given)?
bool is_active(const Cluster& cluster, const std::string& id, const std::string& node) {
    const Resource* resource = cluster.find_resource(id);
    if (resource == nullptr) return false;
    std::vector<const Resource*> parts;
    collect_primitives(*resource, parts);
    return std::ranges::any_of(parts, [&node](const Resource* part) {
        return std::ranges::any_of(part->active_nodes,
                                   [&node](const Node* one) { return node.empty() || one->name == node; });
    });
}

Duration longest(Cluster& cluster, const std::set<std::string>& resources, const char* task) {
    Duration most{20'000};
    for (const std::string& id : resources) {
        Resource* resource = cluster.find_resource(id);
        if (resource == nullptr) continue;
        const model::OperationConfig* config = model::find_operation(*resource, task, Duration{0});
        const auto meta = model::operation_meta(cluster, *resource, nullptr, task, Duration{0},
                                                config == nullptr ? nullptr : config->xml);
        if (const auto it = meta->find("timeout"); it != meta->end())
            most = std::max(most, Duration{parse_integer(it->second).value_or(0)});
    }
    return most + Duration{5000};
}

// Waits until `left` says that nothing is left; each time that it says less, the patience starts again.
template <class Left>
std::size_t wait_until_none(Observer& observer, Duration patience, bool absolute, Left left) {
    auto deadline = Clock::now() + patience;
    std::size_t before = SIZE_MAX;
    for (;;) {
        const auto cluster = observer.read();
        const std::size_t now_left = cluster ? left(*cluster) : before;
        if (now_left == 0) return 0;
        if (now_left < before && !absolute) deadline = Clock::now() + patience;
        before = now_left;
        const auto time = std::chrono::duration_cast<Duration>(deadline - Clock::now());
        if (time <= Duration{0}) return now_left;
        observer.wait(std::min(time, Duration{1000}));
    }
}

}  // namespace

ExitCode clean_up(Output& output, Cluster& cluster, const CleanupRequest& request) {
    if (cib_source().kind != CibSource::Kind::kLive) {
        const std::string what = request.resource == nullptr
                                     ? (request.node == nullptr ? "all nodes" : request.node->name)
                                     : request.resource->id;
        output.line(fmt::format("Dry run: skipping clean-up of {} due to CIB_file", what));
        return ExitCode::kOk;
    }
    auto controllers = Controllers::connect();
    if (!controllers) return fail_with(output, "Could not connect to the controller", controllers.error());
    if (request.resource == nullptr) return clean_everything(output, *controllers, cluster, request);
    // Of a member of a group or clone the whole is cleaned, unless exactly this one is wanted.
    const Resource& whole = request.force ? *request.resource : request.resource->top(false);
    output.add(xml::Builder("check").set("id", whole.id));
    std::vector<const Resource*> parts;
    collect_primitives(whole, parts);
    for (const Resource* part : parts) {
        const auto nodes =
            request.node == nullptr ? nodes_of(cluster, *part, request.force) : std::vector{request.node};
        for (const Node* node : nodes) {
            const ExitCode code = clean_primitive(output, *controllers, cluster, request, *part, *node);
            if (code != ExitCode::kOk) return code;
        }
    }
    return ExitCode::kOk;
}

ExitCode fail_resource(Output& output, const Cluster& cluster, const Resource& resource, const std::string& node) {
    const Node* found = cluster.find_node(node);
    if (found == nullptr) {
        output.fail(fmt::format("Node '{}' not found", node));
        return ExitCode::kNoSuchObject;
    }
    if (!resource.is_primitive()) {
        output.fail(fmt::format("We can only process primitive resources, not {}", resource.id));
        return ExitCode::kInvalidParameter;
    }
    if (!found->online) {
        output.fail(fmt::format("Node {} is not online", found->name));
        return ExitCode::kDisconnected;
    }
    auto controllers = Controllers::connect();
    if (!controllers) return fail_with(output, "Could not connect to the controller", controllers.error());
    const auto done = controllers->act("lrm_fail", resource, resource.id, *found);
    if (!done) return fail_with(output, fmt::format("Could not fail {} on {}", resource.id, found->name), done.error());
    return ExitCode::kOk;
}

ExitCode wait_until_settled(Output& output, Duration timeout) {
    auto observer = Observer::open();
    if (!observer) {
        output.fail(fmt::format("Could not connect to the CIB: {}", observer.error().what));
        return observer.error().code;
    }
    const auto busy = [](const Cluster& cluster) {
        const xml::Node* status = cluster.cib->child("status");
        const std::size_t left = actions_left(cluster).size();
        return left + (status != nullptr && has_pending(*status) ? 1U : 0U);
    };
    const Duration patience = timeout.count() > 0 ? timeout : Duration{3600'000};
    if (wait_until_none(*observer, patience, true, busy) == 0) return ExitCode::kOk;
    if (const auto cluster = observer->read()) {
        output.error("Pending actions:");
        for (const std::string& action : actions_left(*cluster)) output.error("\t" + action);
    }
    output.fail("Error performing operation: Timer expired");
    return ExitCode::kTimeout;
}

ExitCode restart_resource(Output& output, CibAccess& access, Cluster& cluster, const RestartRequest& request) {
    Resource* resource = request.resource;
    const Resource& top = resource->top(true);
    if (top.is_bundle()) resource = const_cast<Resource*>(&top);
    const std::string id(resource->is_primitive() ? std::string(resource->printable_id()) : resource->id);
    const std::string node = request.node == nullptr ? "" : request.node->name;
    const bool cloned = resource->is_clone() || resource->is_bundle() || resource->top(false).is_clone();
    const std::string stopped = cloned && resource->is_primitive() ? resource->top(false).id : resource->id;
    if (!is_active(cluster, stopped, node)) {
        output.error(node.empty() ? fmt::format("{} is not running anywhere and so cannot be restarted", id)
                                  : fmt::format("{} is not running on {} and so cannot be restarted", id, node));
        return ExitCode::kNoSuchObject;
    }
    if (!resource->managed) {
        output.error("Unmanaged resources cannot be restarted.");
        return ExitCode::kTemporary;
    }
    auto observer = Observer::open();
    if (!observer || !observer->is_live()) {
        output.fail("Only resources of a running cluster can be restarted");
        return ExitCode::kDisconnected;
    }
    const std::set<std::string> before = active_primitives(cluster);
    const bool by_ban = cloned && !node.empty();
    const auto old_role = resource->meta_value("target-role");
    const std::string configured_role(old_role.value_or(""));
    const SettingRequest role{.kind = SettingRequest::Kind::kMeta, .name = "target-role", .value = "Stopped"};
    const auto stop = [&]() -> ExitCode {
        if (!by_ban) return set_setting(output, access, cluster, *resource, role);
        return ban_resource(output, access, cluster,
                            {.resource = cluster.find_resource(stopped),
                             .node = node,
                             .promoted = request.promoted,
                             .lifetime = request.lifetime});
    };
    const auto resume = [&]() -> ExitCode {
        const auto current = observer->read();
        if (!current) return ExitCode::kDisconnected;
        Resource* same = current->find_resource(by_ban ? stopped : resource->id);
        if (same == nullptr) return ExitCode::kNoSuchObject;
        if (by_ban) return clear_moves(output, access, *current, {.resource = same, .node = node});
        SettingRequest back = role;
        back.value = configured_role;
        return configured_role.empty() ? delete_setting(output, access, *current, *same, back)
                                       : set_setting(output, access, *current, *same, back);
    };
    ExitCode code = stop();
    if (code != ExitCode::kOk) return code;

    const bool limited = request.timeout.count() > 0;
    std::size_t left =
        wait_until_none(*observer, limited ? request.timeout : longest(cluster, before, "stop"), limited,
                        [&](const Cluster& now) -> std::size_t { return is_active(now, stopped, node) ? 1 : 0; });
    std::set<std::string> gone;
    if (const auto now = observer->read()) {
        const std::set<std::string> after = active_primitives(*now);
        std::ranges::set_difference(before, after, std::inserter(gone, gone.end()));
    }
    code = resume();
    if (left > 0) {
        output.error(fmt::format("Could not complete shutdown of {}, {} resources remaining", id, left));
        return ExitCode::kTimeout;
    }
    if (code != ExitCode::kOk) return code;
    left = wait_until_none(*observer, limited ? request.timeout : longest(cluster, gone, "start"), limited,
                           [&](const Cluster& now) -> std::size_t {
                               const std::set<std::string> active = active_primitives(now);
                               return static_cast<std::size_t>(std::ranges::count_if(
                                   gone, [&active](const std::string& one) { return !active.contains(one); }));
                           });
    if (left == 0) return ExitCode::kOk;
    output.error(fmt::format("Could not complete restart of {}, {} resources remaining", id, left));
    return ExitCode::kTimeout;
}

}  // namespace systole::cli
