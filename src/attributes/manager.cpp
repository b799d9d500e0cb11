#include "attributes/manager.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/exit_code.h"
#include "base/text.h"
#include "cib/request.h"
#include "wire/message.h"

namespace systole::attributes {
namespace {

constexpr int kProtocol = 7;          // 3.0.0; what the minimum over all active nodes allows is used
constexpr int kProtocolMultiple = 4;  // several updates in one message
constexpr int kProtocolConfirm = 5;   // confirmations for sync points
constexpr Duration kRetryDelay{2000};
constexpr Duration kSyncPointTimeout{15'000};
constexpr Duration kVoteRepeat{1000};
constexpr std::string_view kProtocolAttribute = "#attrd-protocol";
constexpr std::string_view kElectionTimer = "attrd/election";
constexpr std::string_view kElectionTimeoutTimer = "attrd/election-timeout";
constexpr std::string_view kRetryTimer = "attrd/retry";
constexpr std::string_view kDampeningTimer = "attrd/delay/";
constexpr std::string_view kSyncPointTimer = "attrd/sync-point/";
constexpr std::string_view kClientName = "pacemaker-attrd";

bool flag(const xml::Node& op, const xml::Node& root, std::string_view name) {
    return parse_bool(op.get(name, root.get(name))).value_or(false);
}

/// An attribute of one update: missing ones are inherited from the message's root.
std::string_view field(const xml::Node& op, const xml::Node& root, std::string_view name) {
    return op.get(name, root.get(name));
}

bool is_update(std::string_view task) { return task == "update" || task == "update-both" || task == "update-delay"; }

xml::NodePtr ack(std::string_view function, ExitCode status) {
    xml::Builder b("ack");
    b.set("function", function).set("line", 0).set("status", static_cast<int>(status));
    b.set("ipc-protocol-version", kProtocol);
    return std::move(b).build();
}

template <class... Args>
wire::Log log(wire::Severity severity, fmt::format_string<Args...> format, Args&&... args) {
    return {severity, fmt::format(format, std::forward<Args>(args)...)};
}

std::string in_seconds(Duration delay) { return fmt::format("{:g} s", static_cast<double>(delay.count()) / 1000); }

/// What administrators look for in a log: which value became what, and who asked for it.
std::string describe(const Attribute& attribute, const Value& before, const std::optional<std::string>& after,
                     std::string_view by) {
    const auto shown = [](const std::optional<std::string>& text) { return text ? "'" + *text + "'" : "unset"; };
    const std::string_view kind = attribute.is_private    ? "private"
                                  : attribute.utilization ? "utilization"
                                                          : "transient";
    std::string text =
        fmt::format("{} attribute {}{} of node {}: {} -> {}, as {} asks", kind, attribute.name,
                    attribute.set_id.empty() ? std::string() : fmt::format(" (set {})", attribute.set_id), before.node,
                    shown(before.text), shown(after), by);
    if (!attribute.is_private && attribute.dampening > Duration{0})
        text += fmt::format(", written after {}", in_seconds(attribute.dampening));
    return text;
}

/// Call ids are read as signed numbers, by us and by peers: they begin below this.
constexpr std::uint64_t kCallsBelow = 1'000'000'000;

}  // namespace

Manager::Manager(wire::NodeRef self, std::uint64_t seed)
    : self_(self), next_call_(seed % kCallsBelow), election_(self) {
    node_ids_[to_lower(self_.name)] = std::to_string(self_.id.value);
}

std::optional<std::string> Manager::value(std::string_view attribute, std::string_view node) const {
    const Value* found = table_.value(attribute, node);
    return found == nullptr ? std::nullopt : found->text;
}

std::set<NodeId> Manager::members() const {
    std::set<NodeId> out;
    for (const auto& [id, peer] : peers_) out.insert(id);
    return out;
}

int Manager::lowest_protocol() const {
    int lowest = kProtocol;
    for (const auto& [id, peer] : peers_)
        if (peer.protocol > 0) lowest = std::min(lowest, peer.protocol);
    return lowest;
}

std::string Manager::id_of(std::string_view node) const {
    const auto found = node_ids_.find(to_lower(node));
    return found == node_ids_.end() ? std::string() : found->second;
}

// ---- Clients
// ---------------------------------------------------------------------------------------------------------

Effects Manager::on_client_request(const Now& now, const wire::Client& client, const wire::ClientRequest& request) {
    Effects out;
    const bool wants_response = (request.flags & wire::kExpectsResponse) != 0;
    const auto respond = [&](xml::NodePtr message) {
        if (!wants_response) return;
        if ((request.flags & wire::kProxied) != 0)
            out.emplace_back(wire::SendEvent{request.client, std::move(message)});
        else
            out.emplace_back(wire::Respond{request.client, request.id, std::move(message)});
    };
    if (!request.message) {
        respond(ack("attrd", ExitCode::kProtocol));
        return out;
    }
    const xml::Node& message = *request.message;
    const std::string_view task = message.get("task");
    if (task == "query") {
        if (wants_response) respond(query(message));
        return out;
    }
    const bool several = message.child("op") != nullptr;
    const bool known =
        several || is_update(task) || task == "refresh" || task == "clear-failure" || task == "peer-remove";
    if (!known) {
        out.emplace_back(log(wire::Severity::kWarning,
                             "attribute request '{}' of client {} (pid {}) is unknown: ignored", task, client.user,
                             client.pid));
        respond(ack("attrd", ExitCode::kInvalidParameter));
        return out;
    }
    // A client that is not an administrator acts under its own name, whatever it says.
    const std::string_view claimed = message.get("attr_user");
    const std::string user(client.privileged && !claimed.empty() ? claimed : std::string_view(client.user));
    std::string_view sync_point = message.get("attr_sync_point");
    const xml::Node* first = message.child("op");
    if (sync_point.empty() && first != nullptr) sync_point = first->get("attr_sync_point");
    const bool cluster = sync_point == "cluster" && lowest_protocol() >= kProtocolConfirm;
    const bool waits = wants_response && (several || is_update(task)) && (cluster || sync_point == "local");
    if (!waits) {
        respond(ack("attrd", ExitCode::kIndeterminate));
        accept(now, request.message, user, std::nullopt, false, out);
        return out;
    }
    const std::uint64_t call = next_call_++;
    Waiting& waiting = waiting_[call] = Waiting{request.client, request.id, cluster, {}};
    if (cluster) waiting.missing = members();
    out.emplace_back(wire::ArmTimer{fmt::format("{}{}", kSyncPointTimer, call), now.mono + kSyncPointTimeout});
    accept(now, request.message, user, call, cluster, out);
    return out;
}

Effects Manager::on_client_closed(wire::ClientId client) {
    Effects out;
    std::erase_if(waiting_, [&](const auto& entry) {
        if (entry.second.client != client) return false;
        out.emplace_back(wire::CancelTimer{fmt::format("{}{}", kSyncPointTimer, entry.first)});
        return true;
    });
    return out;
}

Effects Manager::on_local_request(const Now& now, const xml::NodePtr& message, std::string_view user) {
    Effects out;
    accept(now, message, user, std::nullopt, false, out);
    return out;
}

void Manager::accept(const Now& now, const xml::NodePtr& message, std::string_view user,
                     std::optional<std::uint64_t> call, bool confirm_wanted, Effects& out) {
    const std::string_view task = message->get("task");
    const bool several = message->child("op") != nullptr;
    if (several && lowest_protocol() >= kProtocolMultiple) {
        // One message, so that all of it is applied at one moment everywhere.
        xml::Builder combined(*message);
        combined.clear_children();
        if (message->get("task").empty()) combined.set("task", "update");
        combined.set_unless_empty("attr_user", user);
        for (const xml::NodePtr& op : message->children()) {
            if (!op->is("op")) continue;
            Effects single;
            send_update(*op, *message, user, std::nullopt, false, single);
            for (const Effect& effect : single) {
                const auto* sent = std::get_if<wire::Multicast>(&effect);
                if (sent == nullptr) continue;
                xml::Builder child(*sent->message);
                child.rename("op");
                combined.add(std::move(child));
            }
        }
        if (combined.children().empty()) return;
        if (call) combined.set("call-id", static_cast<long long>(*call));
        if (confirm_wanted) combined.set("confirm", "true");
        send(std::move(combined), {}, out);
        return;
    }
    if (several) {
        for (const xml::NodePtr& op : message->children())
            if (op->is("op")) send_update(*op, *message, user, call, confirm_wanted, out);
        return;
    }
    if (is_update(task)) {
        send_update(*message, *message, user, call, confirm_wanted, out);
    } else if (task == "clear-failure" || task == "peer-remove") {
        xml::Builder copy(*message);
        copy.set_unless_empty("attr_user", user);
        if (same_ignoring_case(copy.get("attr_host"), "localhost")) copy.set("attr_host", self_.name);
        send(std::move(copy), {}, out);
    } else if (task == "refresh") {
        table_.mark_all_unwritten();
        if (is_writer())
            write_due(out);
        else
            call_election(now, out);
    }
}

void Manager::send_update(const xml::Node& op, const xml::Node& root, std::string_view user,
                          std::optional<std::uint64_t> call, bool confirm_wanted, Effects& out) {
    std::vector<std::string> names;
    if (const std::string_view expression = field(op, root, "attr_regex"); !expression.empty()) {
        names = table_.matching(std::string(expression));
        if (names.empty())
            out.emplace_back(
                log(wire::Severity::kWarning, "no attribute matches '{}': nothing is updated", expression));
    } else if (const std::string_view name = field(op, root, "attr_name"); !name.empty()) {
        names.emplace_back(name);
    } else {
        out.emplace_back(
            log(wire::Severity::kError, "an attribute update names neither attribute nor expression: ignored"));
    }
    std::string host(field(op, root, "attr_host"));
    if (host.empty() || same_ignoring_case(host, "localhost")) host = self_.name;
    for (const std::string& name : names) {
        xml::Builder update(op);
        update.rename(op.is("op") ? "attrd_update" : op.name());
        update.clear_children();
        for (const xml::Attribute& inherited : root.attributes())
            if (!update.has(inherited.name.view())) update.set(inherited.name.view(), inherited.value);
        update.unset("attr_regex").unset("attr_sync_point");
        update.set("t", "attrd").set("attr_name", name).set("attr_host", host);
        if (update.get("task").empty()) update.set("task", "update");
        if (const std::string id = id_of(host); !id.empty()) update.set("attr_host_id", id);
        if (update.has("attr_value")) {
            const Value* known = table_.value(name, host);
            std::optional<std::string_view> old;
            if (known != nullptr && known->text) old = *known->text;
            update.set("attr_value", expand(update.get("attr_value"), old));
        }
        update.set_unless_empty("acl_target", user).set_unless_empty("attr_user", user);
        if (call) update.set("call-id", static_cast<long long>(*call));
        if (confirm_wanted) update.set("confirm", "true");
        send(std::move(update), {}, out);
    }
}

void Manager::send(xml::Builder message, const std::string& to, Effects& out) {
    message.set("t", "attrd");
    if (message.get("src").empty()) message.set("src", kClientName);
    message.set("attr_version", kProtocol).set("attr_writer", static_cast<int>(election_.state()));
    out.emplace_back(wire::Multicast{wire::Group::kAttributes, to, std::move(message).build()});
}

xml::NodePtr Manager::query(const xml::Node& message) const {
    const std::string_view name = message.get("attr_name");
    xml::Builder reply("attrd_reply");
    reply.set("t", "attrd").set("subt", "query").set("attr_version", kProtocol);
    const Attribute* attribute = table_.find(name);
    if (attribute == nullptr) return std::move(reply).build();
    reply.set("attr_name", name);
    std::string host(message.get("attr_host"));
    if (same_ignoring_case(host, "localhost")) host = self_.name;
    const auto add = [&](const std::string& node, const Value* value) {
        xml::Builder entry("node");
        entry.set("attr_host", node);
        if (value != nullptr && value->text) entry.set("attr_value", *value->text);
        reply.add(std::move(entry));
    };
    if (!host.empty()) {
        add(host, table_.value(name, host));
    } else {
        for (const auto& [key, value] : attribute->values) add(value.node, &value);
    }
    return std::move(reply).build();
}

// ---- Peers
// -----------------------------------------------------------------------------------------------------------

void Manager::announce_protocol(Effects& out) {
    xml::Builder update("attrd_update");
    update.set("task", "update")
        .set("attr_name", kProtocolAttribute)
        .set("attr_value", kProtocol)
        .set("attr_is_private", "1")
        .set("attr_host", self_.name)
        .set("attr_host_id", std::to_string(self_.id.value));
    send(std::move(update), {}, out);
}

void Manager::send_all_values(const std::string& to, Effects& out) {
    xml::Builder sync("attrd_sync");
    sync.set("task", "sync-response");
    for (const auto& [name, attribute] : table_.all()) {
        for (const auto& [key, value] : attribute.values) {
            xml::Builder entry("op");
            entry.set("attr_name", name).set("attr_host", value.node).set_unless_empty("attr_host_id", value.node_id);
            if (value.text) entry.set("attr_value", *value.text);
            entry.set_unless_empty("attr_set", attribute.set_id);
            if (attribute.utilization) entry.set("attr_set_type", "utilization");
            entry.set_unless_empty("attr_user", attribute.user);
            entry.set("attr_dampening", static_cast<long long>(attribute.dampening.count() / 1000))
                .set("attr_is_remote", value.remote ? 1 : 0)
                .set("attr_is_private", attribute.is_private ? 1 : 0);
            sync.add(std::move(entry));
        }
    }
    send(std::move(sync), to, out);
}

Effects Manager::on_group_change(const Now& now, const wire::GroupChange& change) {
    Effects out;
    if (change.group != wire::Group::kAttributes) return out;
    std::set<NodeId> present;
    for (const wire::GroupMember& member : change.members) present.insert(member.node);
    bool writer_left = false;
    for (auto it = peers_.begin(); it != peers_.end();) {
        if (present.contains(it->first)) {
            ++it;
            continue;
        }
        const std::string name = it->second.name;
        if (!name.empty()) {
            writer_left = writer_left || same_ignoring_case(name, writer_);
            table_.drop_node(name);
        }
        for (auto& [call, waiting] : waiting_) waiting.missing.erase(it->first);
        it = peers_.erase(it);
    }
    std::vector<NodeId> appeared;
    for (const NodeId node : present) {
        if (peers_.contains(node)) continue;
        appeared.push_back(node);
        Peer& peer = peers_[node];
        for (const auto& [name, id] : node_ids_)
            if (id == std::to_string(node.value)) peer.name = name;
        if (node == self_.id) peer.name = self_.name;
    }
    // A sync point that waited only for nodes that left is reached.
    for (auto it = waiting_.begin(); it != waiting_.end();) {
        const auto current = it++;
        if (current->second.cluster && current->second.missing.empty()) reached(current, ExitCode::kIndeterminate, out);
    }
    if (!present.contains(self_.id)) return out;
    if (!started_) {
        started_ = true;
        // What an earlier life of this node left in the CIB is not true any more.
        const std::string path = fmt::format("//node_state[@uname='{}']/transient_attributes", self_.name);
        const std::uint64_t token = next_token_++;
        writes_[token] = UnderWay{{}, 1, 0};
        out.emplace_back(
            CibCall{token, cib::make_request(cib::Op::kDelete, path, {}, cib::option::kXPath), "hacluster"});
    }
    if (!appeared.empty()) announce_protocol(out);
    if (!appeared.empty() && is_writer()) {
        send_all_values({}, out);
        erase_unknown(appeared, out);
    }
    if (writer_left) {
        writer_.clear();
        call_election(now, out);
    } else if (election_.on_members(members()) == membership::Verdict::kElected) {
        became_writer(now, out);
    }
    return out;
}

Effects Manager::on_node_identified(const Now& now, const wire::NodeRef& node) {
    Effects out;
    const std::string id = std::to_string(node.id.value);
    std::string& known = node_ids_[to_lower(node.name)];
    if (known == id) return out;
    known = id;
    if (const auto peer = peers_.find(node.id); peer != peers_.end()) peer->second.name = node.name;
    table_.learn_id(node.name, id);
    if (is_writer()) write_due(out);
    (void)now;
    return out;
}

Effects Manager::on_peer_message(const Now& now, const wire::PeerMessage& message) {
    Effects out;
    if (message.group != wire::Group::kAttributes || !message.message) return out;
    const xml::Node& root = *message.message;
    if (!message.from.name.empty()) {
        for (Effect& effect : on_node_identified(now, message.from)) out.push_back(std::move(effect));
        if (const auto peer = peers_.find(message.from.id); peer != peers_.end()) peer->second.name = message.from.name;
    }
    if (const std::string_view task = root.get("crm_task"); task == "vote" || task == "no-vote") {
        on_vote(now, root, message.from, out);
        return out;
    }
    const std::string_view task = root.get("task");
    note_writer(now, message.from, root, out);
    if (root.child("op") != nullptr && task != "sync-response") {
        for (const xml::NodePtr& op : root.children())
            if (op->is("op")) apply(now, *op, root, message.from, false, out);
        confirm(root, message.from, out);
    } else if (is_update(task)) {
        apply(now, root, root, message.from, false, out);
        confirm(root, message.from, out);
    } else if (task == "sync-response") {
        apply_sync(now, root, message.from, out);
    } else if (task == "clear-failure") {
        apply_clear_failure(now, root, message.from.name, out);
    } else if (task == "peer-remove") {
        apply_removal(now, root, message.from, out);
    } else if (task == "confirm") {
        const auto call = parse_integer(root.get("call-id"));
        const auto waiting = call && *call >= 0 ? waiting_.find(static_cast<std::uint64_t>(*call)) : waiting_.end();
        if (waiting != waiting_.end() && waiting->second.cluster) {
            waiting->second.missing.erase(message.from.id);
            if (waiting->second.missing.empty()) reached(waiting, ExitCode::kIndeterminate, out);
        }
    }
    return out;
}

void Manager::confirm(const xml::Node& message, const wire::NodeRef& from, Effects& out) {
    const auto call = parse_integer(message.get("call-id"));
    if (!call || *call < 0) return;
    if (parse_bool(message.get("confirm")).value_or(false)) {
        xml::Builder reply("attrd_confirm");
        reply.set("task", "confirm").set("call-id", *call);
        send(std::move(reply), from.name, out);
        return;
    }
    const auto waiting = waiting_.find(static_cast<std::uint64_t>(*call));
    if (from.id != self_.id || waiting == waiting_.end() || waiting->second.cluster) return;
    reached(waiting, ExitCode::kIndeterminate, out);
}

void Manager::reached(std::map<std::uint64_t, Waiting>::iterator waiting, ExitCode status, Effects& out) {
    out.emplace_back(wire::CancelTimer{fmt::format("{}{}", kSyncPointTimer, waiting->first)});
    if (status != ExitCode::kTimeout)
        out.emplace_back(log(wire::Severity::kInfo, "client {} is told that {} knows its update",
                             waiting->second.client.value,
                             waiting->second.cluster ? "every node of the cluster" : "this node"));
    out.emplace_back(wire::Respond{waiting->second.client, waiting->second.request, ack("attrd", status)});
    waiting_.erase(waiting);
}

void Manager::apply(const Now& now, const xml::Node& op, const xml::Node& root, const wire::NodeRef& from,
                    bool from_sync, Effects& out) {
    const std::string_view name = field(op, root, "attr_name");
    if (name.empty()) return;
    const std::string_view task = from_sync ? "update" : field(op, root, "task");
    const std::string host(field(op, root, "attr_host"));
    if (name == kProtocolAttribute) {
        const auto protocol = parse_integer(field(op, root, "attr_value"));
        if (const auto peer = peers_.find(from.id); !from_sync && protocol && peer != peers_.end())
            peer->second.protocol = static_cast<int>(std::clamp(*protocol, 0LL, 1000LL));
    }
    Attribute* attribute = table_.find(name);
    if (attribute == nullptr) {
        if (task == "update-delay") {
            out.emplace_back(log(wire::Severity::kWarning,
                                 "the delay of attribute {} is not set, as {} asks: there is no such attribute", name,
                                 from.name));
            return;
        }
        attribute = &table_.get_or_create(name);
        attribute->set_id = field(op, root, "attr_set");
        attribute->utilization = field(op, root, "attr_set_type") == "utilization";
        attribute->is_private = flag(op, root, "attr_is_private");
        if (const auto delay = parse_interval(field(op, root, "attr_dampening"))) attribute->dampening = *delay;
    }
    if (const std::string_view user = field(op, root, "attr_user"); !user.empty()) attribute->user = user;
    if (task == "update-both" || task == "update-delay") {
        const auto delay = parse_interval(field(op, root, "attr_dampening"));
        if (!delay) {
            out.emplace_back(log(wire::Severity::kWarning, "dampening '{}' of attribute {} is no interval: ignored",
                                 field(op, root, "attr_dampening"), name));
        } else if (*delay != attribute->dampening) {
            attribute->dampening = *delay;
            out.emplace_back(log(wire::Severity::kInfo, "changes of attribute {} are written after {} from now on",
                                 name, in_seconds(*delay)));
            // Written at once: repeated changes of the delay could else put the write off for ever.
            attribute->delayed = false;
            out.emplace_back(wire::CancelTimer{fmt::format("{}{}", kDampeningTimer, name)});
            if (is_writer()) write_due(out);
        }
        if (task == "update-delay") return;
    }
    std::optional<std::string> text;
    if (const auto value = op.attribute("attr_value"); value) {
        text = std::string(*value);
    } else if (&op != &root && root.has("attr_value") && !from_sync) {
        text = std::string(root.get("attr_value"));
    }
    const bool force = flag(op, root, "attrd_is_force_write");
    if (host.empty()) {
        std::vector<std::string> nodes;
        for (const auto& [key, value] : attribute->values) nodes.push_back(value.node);
        for (const std::string& node : nodes)
            apply_value(now, *attribute, node, text, op, root, {.by = from.name, .force = force}, out);
        return;
    }
    if (from_sync && from.id != self_.id && same_ignoring_case(host, self_.name)) {
        // Nobody knows our values better than we do.
        const Value* ours = table_.value(name, host);
        if (ours != nullptr && ours->text != text && !attribute->is_private) {
            xml::Builder update("attrd_update");
            update.set("task", "update").set("attr_name", name).set("attr_host", self_.name);
            update.set("attr_host_id", std::to_string(self_.id.value));
            if (ours->text) update.set("attr_value", *ours->text);
            update.set("attr_is_remote", 0).set("attr_is_private", 0);
            send(std::move(update), {}, out);
            return;
        }
        if (ours != nullptr) return;
    }
    apply_value(now, *attribute, host, std::move(text), op, root, {.by = from.name, .force = force}, out);
}

void Manager::apply_value(const Now& now, Attribute& attribute, const std::string& node,
                          std::optional<std::string> text, const xml::Node& op, const xml::Node& root,
                          const ChangeOf& change, Effects& out) {
    Value& value = attribute.values[to_lower(node)];
    if (value.node.empty()) {
        value.node = node;
        value.remote = flag(op, root, "attr_is_remote");
        value.node_id = value.remote ? node : id_of(node);
        if (const std::string_view id = field(op, root, "attr_host_id"); value.node_id.empty() && !id.empty()) {
            value.node_id = id;
            node_ids_[to_lower(node)] = id;
        }
    }
    if (!value.remote && value.node_id.empty() && flag(op, root, "attr_is_remote")) {
        // Somebody set it before without knowing what kind of node it is.
        value.remote = true;
        value.node_id = value.node;
    }
    const bool same = value.text == text;
    if (same && !change.force) return;
    if (!same)
        out.emplace_back(log(attribute.is_private ? wire::Severity::kInfo : wire::Severity::kNotice, "{}",
                             describe(attribute, value, text, change.by)));
    value.text = std::move(text);
    if (value.text) removed_.erase(value.node);
    if (!same) out.emplace_back(Changed{attribute.name, value.node, value.text, is_writer() && !attribute.is_private});
    if (attribute.is_private) return;
    value.unwritten = true;
    changed(now, attribute, out);
}

void Manager::changed(const Now& now, Attribute& attribute, Effects& out) {
    if (attribute.dampening > Duration{0}) {
        attribute.delayed = true;  // each change starts the delay again
        out.emplace_back(
            wire::ArmTimer{fmt::format("{}{}", kDampeningTimer, attribute.name), now.mono + attribute.dampening});
        return;
    }
    if (is_writer())
        write_due(out);
    else if (writer_.empty())
        call_election(now, out);
}

void Manager::apply_clear_failure(const Now& now, const xml::Node& message, std::string_view by, Effects& out) {
    const std::string_view host = message.get("attr_host");
    const auto interval = parse_interval(message.get("attr_clear_interval"));
    const std::string interval_ms = interval ? std::to_string(interval->count()) : std::string("0");
    for (auto& [name, attribute] : table_.all()) {
        if (!is_failure_of(name, message.get("attr_resource"), message.get("attr_clear_operation"), interval_ms))
            continue;
        std::vector<std::string> nodes;
        for (const auto& [key, value] : attribute.values)
            if (value.text && (host.empty() || same_ignoring_case(host, value.node))) nodes.push_back(value.node);
        for (const std::string& node : nodes)
            apply_value(now, attribute, node, std::nullopt, message, message, {.by = by}, out);
    }
}

void Manager::apply_removal(const Now& now, const xml::Node& message, const wire::NodeRef& from, Effects& out) {
    std::string node(message.get("attr_host"));
    if (node.empty()) {
        const std::string_view id = message.get("attr_host_id");
        for (const auto& [name, known] : node_ids_)
            if (known == id) node = name;
    }
    if (node.empty()) return;
    out.emplace_back(log(wire::Severity::kNotice, "attributes of node {} are removed, as {} asks", node, from.name));
    table_.drop_node(node);
    removed_.insert(node);
    if (is_writer()) {
        erase_all_of(node, out);
    } else if (writer_.empty()) {
        call_election(now, out);
    }
    if (parse_bool(message.get("reap", "true")).value_or(true) && !same_ignoring_case(node, self_.name))
        node_ids_.erase(to_lower(node));
}

// Who left between the moment at which we told what we know and the one at which everybody hears it would be there
// again, for all but us. Those of the nodes that are back meanwhile answer with their values, as to any that are told
// of them.
void Manager::take_back_departed(const xml::Node& message, Effects& out) {
    xml::Builder correction("attrd_sync");
    correction.set("task", "sync-response");
    for (const xml::NodePtr& entry : message.children()) {
        if (!entry->is_element() || !entry->has("attr_value")) continue;
        if (table_.value(entry->get("attr_name"), entry->get("attr_host")) != nullptr) continue;
        xml::Builder gone(*entry);
        gone.unset("attr_value");
        correction.add(std::move(gone));
    }
    if (!correction.children().empty()) send(std::move(correction), {}, out);
}

void Manager::apply_sync(const Now& now, const xml::Node& message, const wire::NodeRef& from, Effects& out) {
    if (from.id == self_.id) return take_back_departed(message, out);
    std::set<std::pair<std::string, std::string>> told;
    for (const xml::NodePtr& entry : message.children()) {
        if (!entry->is_element()) continue;
        told.emplace(entry->get("attr_name"), to_lower(entry->get("attr_host")));
        apply(now, *entry, message, from, true, out);
    }
    if (message.get("attr_writer") != "2") return;
    // What the writer does not know of us, it learns now.
    xml::Builder sync("attrd_sync");
    sync.set("task", "sync-response");
    for (const auto& [name, attribute] : table_.all()) {
        const auto ours = attribute.values.find(to_lower(self_.name));
        if (ours == attribute.values.end() || !ours->second.text || attribute.is_private) continue;
        if (told.contains({name, to_lower(self_.name)})) continue;
        xml::Builder entry("op");
        entry.set("attr_name", name).set("attr_host", self_.name).set("attr_host_id", std::to_string(self_.id.value));
        entry.set("attr_value", *ours->second.text);
        entry.set_unless_empty("attr_set", attribute.set_id);
        entry.set("attr_dampening", static_cast<long long>(attribute.dampening.count() / 1000))
            .set("attr_is_remote", 0);
        entry.set("attr_is_private", 0);
        sync.add(std::move(entry));
    }
    if (!sync.children().empty()) send(std::move(sync), {}, out);
}

// ---- Writer
// ----------------------------------------------------------------------------------------------------------

void Manager::call_election(const Now& now, Effects& out) {
    if (peers_.empty() || election_.state() == membership::Election::State::kInProgress) return;
    send_vote(now, out);
    out.emplace_back(wire::ArmTimer{std::string(kElectionTimeoutTimer), now.mono + membership::kElectionTimeout});
}

void Manager::send_vote(const Now& now, Effects& out) {
    const membership::Vote vote = election_.start(now.mono, now.mono.time_since_epoch(), members());
    const std::string reference = wire::make_reference("vote", "attrd", now.wall, next_call_++);
    out.emplace_back(
        wire::Multicast{wire::Group::kAttributes, {}, membership::vote_message(vote, "attrd", {}, reference)});
    out.emplace_back(wire::ArmTimer{std::string(kElectionTimer), now.mono + kVoteRepeat});
}

void Manager::on_vote(const Now& now, const xml::Node& message, const wire::NodeRef& from, Effects& out) {
    const auto vote = membership::parse_vote(message);
    if (!vote) {
        out.emplace_back(log(wire::Severity::kWarning, "vote of {}: {}", from.name, vote.error().what));
        return;
    }
    const std::set<NodeId> active = members();
    switch (
        election_.on_vote(now.mono, now.mono.time_since_epoch(), from, *vote, {.eligible = true, .active = active})) {
        case membership::Verdict::kNothing: return;
        case membership::Verdict::kElected: became_writer(now, out); return;
        case membership::Verdict::kCall: {
            // Our own vote: an open round is superseded.
            election_.reset();
            writer_.clear();
            call_election(now, out);
            return;
        }
        case membership::Verdict::kLost: {
            writer_.clear();
            out.emplace_back(wire::CancelTimer{std::string(kElectionTimer)});
            out.emplace_back(wire::CancelTimer{std::string(kElectionTimeoutTimer)});
            const std::string reference = wire::make_reference("no-vote", "attrd", now.wall, next_call_++);
            out.emplace_back(
                wire::Multicast{wire::Group::kAttributes, from.name,
                                membership::vote_message(election_.answer(*vote), "attrd", from.name, reference)});
            return;
        }
    }
}

void Manager::became_writer(const Now& now, Effects& out) {
    out.emplace_back(wire::CancelTimer{std::string(kElectionTimer)});
    out.emplace_back(wire::CancelTimer{std::string(kElectionTimeoutTimer)});
    out.emplace_back(log(wire::Severity::kInfo, "this node now writes node attributes to the CIB"));
    writer_ = self_.name;
    (void)now;
    send_all_values({}, out);
    const std::set<NodeId> everybody = members();
    erase_unknown({everybody.begin(), everybody.end()}, out);
    for (const std::string& node : removed_) erase_all_of(node, out);
    table_.mark_all_unwritten();
    write_due(out);
}

// A node erases what an earlier life of it left in the CIB, but it may do so before it has met the others, and their
// CIB then replaces its own. And a writer that ends, or a part of the cluster that goes on with another CIB, may leave
// behind what was unset meanwhile. A node that has values the writer doesn't know tells them when it hears the writer.
void Manager::erase_unknown(const std::vector<NodeId>& nodes, Effects& out) {
    std::vector<std::string> ids;
    for (const NodeId node : nodes) ids.push_back(std::to_string(node.value));
    erase(unknown_values_path(table_, ids), cib::option::kMultiple, out);
}

void Manager::erase_all_of(std::string_view node, Effects& out) {
    erase(fmt::format("//node_state[@uname='{}']/transient_attributes", node), 0, out);
}

void Manager::erase(const std::string& path, std::uint32_t options, Effects& out) {
    const std::uint64_t token = next_token_++;
    writes_[token] = UnderWay{{}, 1, 0};
    out.emplace_back(
        CibCall{token, cib::make_request(cib::Op::kDelete, path, {}, cib::option::kXPath | options), "hacluster"});
}

void Manager::note_writer(const Now& now, const wire::NodeRef& from, const xml::Node& message, Effects& out) {
    if (message.get("attr_writer") != "2" || from.id == self_.id) return;
    if (is_writer()) {
        out.emplace_back(log(wire::Severity::kNotice, "{} writes node attributes too: electing one writer", from.name));
        election_.reset();
        writer_.clear();
        call_election(now, out);
        return;
    }
    if (election_.state() == membership::Election::State::kInProgress) return;
    writer_ = from.name;
    election_.concede();
}

void Manager::write_due(Effects& out) {
    std::vector<std::string> due;
    for (const auto& [name, attribute] : table_.all())
        if (!attribute.delayed && !attribute.writing && attribute.has_unwritten()) due.push_back(name);
    if (due.empty()) return;
    for (Write& write : collect_writes(table_, due)) {
        const std::uint64_t token = next_token_++;
        UnderWay& under_way = writes_[token] = UnderWay{std::move(write.attributes), 0, 0};
        const std::string user = write.user.empty() ? "hacluster" : write.user;
        if (write.update) {
            ++under_way.calls_left;
            out.emplace_back(CibCall{
                token, cib::make_request(cib::Op::kModify, "status", write.update, cib::option::kCanCreate), user});
        }
        for (const std::string& path : write.deletions) {
            ++under_way.calls_left;
            out.emplace_back(CibCall{token, cib::make_request(cib::Op::kDelete, path, {}, cib::option::kXPath), user});
        }
    }
}

Effects Manager::on_cib_reply(const Now& now, std::uint64_t token, int rc) {
    Effects out;
    const auto found = writes_.find(token);
    if (found == writes_.end()) return out;
    UnderWay& under_way = found->second;
    if (rc != 0 && under_way.rc == 0) under_way.rc = rc;
    if (--under_way.calls_left > 0) return out;
    const UnderWay done = std::move(under_way);
    writes_.erase(found);
    bool retry = false;
    for (const std::string& name : done.attributes) {
        Attribute* attribute = table_.find(name);
        if (attribute == nullptr) continue;
        attribute->writing = false;
        if (done.rc == 0) continue;
        for (auto& [key, value] : attribute->values) value.unwritten = true;
        retry = true;
    }
    if (retry) {
        out.emplace_back(log(wire::Severity::kWarning,
                             "attributes {} can't be written to the CIB ({}): trying again in 2 s",
                             join(done.attributes, ", "), describe_legacy(done.rc)));
        out.emplace_back(wire::ArmTimer{std::string(kRetryTimer), now.mono + kRetryDelay});
        return out;
    }
    if (is_writer()) write_due(out);
    return out;
}

Effects Manager::on_cib_changed(const Now& now, const xml::Node& patchset, std::string_view client) {
    Effects out;
    (void)now;
    if (!is_writer() || client == kClientName) return out;
    // Somebody else touched what only we write (or replaced the whole): make it true again. Writing what is there
    // already changes nothing, so this ends.
    const bool touched = std::ranges::any_of(patchset.children(), [](const xml::NodePtr& change) {
        if (!change->is("change")) return false;
        const std::string_view path = change->get("path");
        if (path.find("/transient_attributes") != std::string_view::npos) return true;
        const std::string_view operation = change->get("operation");
        if (operation != "create") return false;
        const xml::Node* created = change->first_element();
        return created != nullptr &&
               (created->is("transient_attributes") || created->is("status") || created->is("cib") ||
                (created->is("node_state") && created->child("transient_attributes") != nullptr));
    });
    if (!touched) return out;
    table_.mark_all_unwritten();
    write_due(out);
    return out;
}

Effects Manager::on_timer(const Now& now, const std::string& name) {
    Effects out;
    const std::string_view view(name);
    if (view == kElectionTimer) {
        // A member that learned late that we are one ignored the first vote.
        if (election_.state() == membership::Election::State::kInProgress) send_vote(now, out);
    } else if (view == kElectionTimeoutTimer) {
        if (election_.on_timeout() == membership::Verdict::kElected) became_writer(now, out);
    } else if (view == kRetryTimer) {
        if (is_writer()) write_due(out);
    } else if (view.starts_with(kDampeningTimer)) {
        Attribute* attribute = table_.find(view.substr(kDampeningTimer.size()));
        if (attribute == nullptr) return out;
        attribute->delayed = false;
        if (is_writer())
            write_due(out);
        else if (writer_.empty())
            call_election(now, out);
    } else if (view.starts_with(kSyncPointTimer)) {
        const auto call = parse_integer(view.substr(kSyncPointTimer.size()));
        const auto waiting = call ? waiting_.find(static_cast<std::uint64_t>(*call)) : waiting_.end();
        if (waiting != waiting_.end()) reached(waiting, ExitCode::kTimeout, out);
    }
    return out;
}

std::vector<std::string> Manager::check_state() const {
    std::vector<std::string> broken;
    std::set<std::string> written;
    for (const auto& [token, under_way] : writes_) {
        for (const std::string& name : under_way.attributes)
            if (!written.insert(name).second)
                broken.push_back(fmt::format("attribute {} is written twice at once", name));
    }
    for (const auto& [name, attribute] : table_.all()) {
        if (attribute.writing != written.contains(name))
            broken.push_back(fmt::format("attribute {} does not know whether it is being written", name));
        for (const auto& [key, value] : attribute.values)
            if (attribute.is_private && value.unwritten)
                broken.push_back(fmt::format("private attribute {} waits to be written", name));
    }
    return broken;
}

}  // namespace systole::attributes
