#include "sim/people.h"

#include <fmt/format.h>

#include <algorithm>

#include "cib/request.h"
#include "wire/message.h"

namespace systole::sim {
namespace {

const World::Answer kNoMatter = [](int, const xml::NodePtr&) {};

xml::Builder nvpair(std::string_view id, std::string_view name, std::string_view value) {
    xml::Builder pair("nvpair");
    pair.set("id", id).set("name", name).set("value", value);
    return pair;
}

}  // namespace

std::string People::edit_id(unsigned number) { return fmt::format("drill-edit-{}", number); }

/// Who to talk to: somebody with quorum, unless there is none.
NodeId People::somebody() {
    std::vector<NodeId> nodes = world_.nodes();
    const auto unsure = [this](NodeId node) { return !had_quorum(node)(); };
    if (!std::ranges::all_of(nodes, unsure)) std::erase_if(nodes, unsure);
    return nodes[static_cast<std::size_t>(random_.between(0, static_cast<std::int64_t>(nodes.size()) - 1))];
}

// A node whose manager is stopped votes in Corosync, and keeps no copy of what is decided: with two of three stopped,
// the third has quorum and the only copy, and the other two may go on without it once it is lost. People wait until
// most have a copy.
bool People::kept_by_many(NodeId at) const {
    constexpr Duration kJoined{5000};
    const std::set<NodeId> ring = world_.network().ring_members(at);
    const auto copies = std::ranges::count_if(
        ring, [&](NodeId node) { return world_.core_alive(node) && world_.now() - world_.core_since(node) > kJoined; });
    return 2 * static_cast<std::size_t>(copies) > world_.nodes().size();
}

std::function<bool()> People::had_quorum(NodeId at) const {
    const std::set<NodeId> ring = world_.network().ring_members(at);
    return [this, at, ring] {
        return world_.network().quorate(at) && world_.quorum_told(at).quorate &&
               world_.network().ring_members(at) == ring && kept_by_many(at);
    };
}

void People::send(const xml::NodePtr& request, World::Answer answer) {
    const NodeId at = somebody();
    // A configuration that is changed in two parts of a cluster has no right winner (the reference takes the one with
    // more changes, and so do we): nobody does that on purpose.
    if (!had_quorum(at)()) return;
    world_.cib_request(at, request,
                       [answer = std::move(answer), sure = had_quorum(at)](int rc, const xml::NodePtr& data) {
                           if (sure()) answer(rc, data);
                       });
}

void People::promise_to_take_back(const std::string& what, std::function<void()> how) {
    owed_.insert_or_assign(what, std::move(how));
}

void People::take_back() {
    const auto owed = owed_;
    for (const auto& [what, how] : owed) how();
}

std::optional<Instant> People::standby_since(NodeId node) const {
    const auto found = standby_since_.find(node);
    return found == standby_since_.end() ? std::nullopt : std::optional(found->second);
}

void People::standby(NodeId node, bool on) {
    const std::string id = std::to_string(node.value);
    xml::Builder set("instance_attributes");
    set.set("id", fmt::format("nodes-{}", id));
    set.add(nvpair(fmt::format("nodes-{}-standby", id), "standby", on ? "on" : "off"));
    xml::Builder element("node");
    element.set("id", id).set("uname", world_.name(node)).add(std::move(set));
    world_.note("", fmt::format("administrator: standby of {} {}", world_.name(node), on ? "on" : "off"));
    const std::string what = "standby " + id;
    standby_since_.erase(node);
    if (on) promise_to_take_back(what, [this, node] { standby(node, false); });
    send(cib::make_request(cib::Op::kModify, "nodes", std::move(element).build(), cib::option::kCanCreate),
         [this, node, on, what](int rc, const xml::NodePtr&) {
             if (rc != 0) return;
             if (on)
                 standby_since_.insert_or_assign(node, world_.now());
             else
                 owed_.erase(what);
         });
}

void People::set_option(std::string_view name, std::string_view value, World::Answer answer) {
    xml::Builder set("cluster_property_set");
    set.set("id", "cib-bootstrap-options").add(nvpair(fmt::format("opt-{}", name), name, value));
    world_.note("", fmt::format("administrator: {} = {}", name, value));
    send(cib::make_request(cib::Op::kModify, "crm_config", std::move(set).build(), cib::option::kCanCreate),
         std::move(answer));
}

void People::maintenance(bool on) {
    maintenance_since_.reset();
    if (on) promise_to_take_back("maintenance", [this] { maintenance(false); });
    set_option("maintenance-mode", on ? "true" : "false", [this, on](int rc, const xml::NodePtr&) {
        if (rc != 0) return;
        if (on)
            maintenance_since_ = world_.now();
        else
            owed_.erase("maintenance");
    });
}

void People::move(const std::string& resource, NodeId node) {
    xml::Builder ban("rsc_location");
    ban.set("id", fmt::format("cli-ban-{}", resource)).set("rsc", resource).set("role", "Started");
    ban.set("node", world_.name(node)).set("score", "-INFINITY");
    world_.note("", fmt::format("administrator: {} away from {}", resource, world_.name(node)));
    promise_to_take_back("ban " + resource, [this, resource] { clear(resource); });
    send(cib::make_request(cib::Op::kModify, "constraints", std::move(ban).build(), cib::option::kCanCreate),
         kNoMatter);
}

void People::clear(const std::string& resource) {
    xml::Builder ban("rsc_location");
    ban.set("id", fmt::format("cli-ban-{}", resource));
    world_.note("", fmt::format("administrator: {} may go anywhere again", resource));
    send(cib::make_request(cib::Op::kDelete, "constraints", std::move(ban).build()),
         [this, resource](int rc, const xml::NodePtr&) {
             if (rc == 0 || rc == -6) owed_.erase("ban " + resource);  // it may not have been there
         });
}

void People::cleanup(const std::string& resource, NodeId node) {
    const NodeId at = somebody();
    world_.note("", fmt::format("administrator: clean-up of {} on {}", resource, world_.name(node)));
    xml::Builder clear_failure("clear-failure");
    clear_failure.set("t", "attrd").set("src", "crm_resource").set("task", "clear-failure");
    clear_failure.set("attr_host", world_.name(node)).set("attr_resource", resource);
    clear_failure.set("attr_is_remote", "0");
    world_.request(at, wire::Service::kAttributes, std::move(clear_failure).build(), [](const xml::NodePtr&) {});
    xml::Builder primitive("primitive");
    primitive.set("id", resource).set("class", "ocf").set("provider", "pacemaker");
    primitive.set("type", resource == "st" ? "Stateful" : "Dummy");
    xml::Builder op("rsc_op");
    op.set("transition-key", "1:0:0:xxxxxxxx-xrsc-opxx-xcrm-resourcexxxx").set("on_node", world_.name(node));
    op.add(std::move(primitive));
    xml::Builder attributes("attributes");
    attributes.set("crm_feature_set", wire::kFeatureSet).set("CRM_meta_timeout", "60000");
    op.add(std::move(attributes));
    const std::string host = world_.name(node);
    const wire::Envelope envelope{.task = "lrm_delete", .from_system = "crm_resource", .to_host = host};
    world_.request(at, wire::Service::kController, wire::make_message(envelope, std::move(op).build()).build(),
                   [](const xml::NodePtr&) {});
}

void People::cleanup_all() {
    world_.note("", "administrator: clean-up of all failures");
    xml::Builder clear_failure("clear-failure");
    clear_failure.set("t", "attrd").set("src", "crm_resource").set("task", "clear-failure").set("attr_is_remote", "0");
    world_.request(somebody(), wire::Service::kAttributes, std::move(clear_failure).build(),
                   [](const xml::NodePtr&) {});
}

void People::edit() {
    const unsigned number = ++last_edit_;
    xml::Builder set("cluster_property_set");
    set.set("id", "drill-edits").add(nvpair(edit_id(number), edit_id(number), "done"));
    const NodeId at = somebody();
    const auto sure = had_quorum(at);
    if (!sure()) return;
    world_.cib_request(
        at, cib::make_request(cib::Op::kModify, "crm_config", std::move(set).build(), cib::option::kCanCreate),
        [this, number, sure](int rc, const xml::NodePtr&) {
            if (rc == 0 && sure()) edits_.emplace(number, world_.now());
        });
}

void People::edit_nonsense() {
    xml::Builder element("rsc_location");
    element.set("id", "nonsense").set("rsc", "nobody");
    world_.note("", "administrator: a command that cannot be right");
    send(cib::make_request(cib::Op::kReplace, "//no/such[@place='here']", std::move(element).build(),
                           cib::option::kXPath),
         [this](int rc, const xml::NodePtr&) {
             if (rc == 0) wrong_.emplace_back("L6: a command that cannot be right was accepted");
         });
}

void People::set_attribute(NodeId node) {
    const std::string value = std::to_string(++last_value_);
    const std::string name = "drill-value";
    xml::Builder update("update_attr");
    update.set("t", "attrd").set("src", "attrd_updater").set("task", "update").set("attr_name", name);
    update.set("attr_value", value).set("attr_is_remote", "0").set("attr_is_private", "0");
    update.set("attr_sync_point", "local");
    const std::uint64_t life = world_.core_life(node);
    world_.request(node, wire::Service::kAttributes, std::move(update).build(),
                   [this, node, name, value, life](const xml::NodePtr&) {
                       attributes_.insert_or_assign(node, Attribute{name, value, life});
                   });
}

void People::forget_node(NodeId node) {
    if (world_.powered(node)) return;
    const std::string name = world_.name(node);
    world_.note("", fmt::format("administrator: {} is removed from the cluster", name));
    if (world_.witness != nullptr) world_.witness->on_removed(node);
    for (const std::string_view section : {"nodes", "status"}) {
        const std::string_view element = section == "nodes" ? "node" : "node_state";
        send(cib::make_request(cib::Op::kDelete, fmt::format("//{}[@uname='{}']", element, name), {},
                               cib::option::kXPath),
             kNoMatter);
    }
}

}  // namespace systole::sim
