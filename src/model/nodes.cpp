// model/nodes.cpp — nodes of the configuration, and what the status section says about their membership.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "model/reader.h"

namespace systole::model {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
int lower(char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : static_cast<unsigned char>(c); }

/// Names compare without case, and numbers in them as numbers: node2 before node10, node7 before node007.
bool name_less(std::string_view a, std::string_view b) {
    std::size_t i = 0, j = 0;
    while (i < a.size() && j < b.size()) {
        if (is_digit(a[i]) && is_digit(b[j])) {
            const std::size_t start_a = i, start_b = j;
            unsigned long long na = 0, nb = 0;
            while (i < a.size() && is_digit(a[i])) na = na * 10 + static_cast<unsigned>(a[i++] - '0');
            while (j < b.size() && is_digit(b[j])) nb = nb * 10 + static_cast<unsigned>(b[j++] - '0');
            if (na != nb) return na < nb;
            if (i - start_a != j - start_b) return i - start_a < j - start_b;
        } else {
            if (lower(a[i]) != lower(b[j])) return lower(a[i]) < lower(b[j]);
            ++i;
            ++j;
        }
    }
    return i == a.size() && j < b.size();
}

void read_capacities(const NameValues& values, std::map<std::string, int, std::less<>>& capacities) {
    for (const auto& [name, value] : values) {
        capacities.emplace(name, static_cast<int>(parse_integer(value).value_or(0)));
    }
}

/// A flag that older controllers write as a boolean and newer ones as a time; -1 if it is missing or unreadable.
long long member_since(const xml::Node& state, std::int64_t now) {
    const auto text = state.attribute("in_ccm");
    if (!text) return -1;
    if (const auto flag = parse_bool(*text)) return *flag ? now : 0;
    const auto since = parse_integer(*text);
    return since && *since >= 0 ? *since : -1;
}

long long online_since(const xml::Node& state) {
    const auto text = state.attribute("crmd");
    if (!text || same_ignoring_case(*text, "offline")) return 0;
    if (same_ignoring_case(*text, "online")) return 1;
    const auto since = parse_integer(*text);
    return since && *since >= 0 ? *since : 0;
}

bool termination_requested(const Node& node) {
    const auto value = node.attribute("terminate");
    if (!value) return false;
    if (const auto flag = parse_bool(*value)) return *flag;
    return parse_integer(*value).value_or(0) > 0;
}

bool shutdown_requested(const Node& node) {
    const auto value = node.attribute("shutdown");
    return value && *value != "0";
}

bool attribute_true(const Node& node, std::string_view name) {
    const auto value = node.attribute(name);
    return value && parse_bool(*value).value_or(false);
}

}  // namespace

Node* Reader::create_node(std::string_view id, std::string_view name, std::string_view type, Score score) {
    const bool remote = same_ignoring_case(type, "remote");
    if (!remote && !type.empty() && !same_ignoring_case(type, "member")) {
        c_.config_error(fmt::format("Ignoring node {} with unrecognized type '{}'", name, type));
        return nullptr;
    }
    Node& node = c_.node_store.emplace_back();
    node.index = static_cast<std::uint32_t>(c_.node_store.size() - 1);
    node.id = id;
    node.name = name;
    node.remote_kind = remote;
    node.score = score;
    node.attributes["#kind"] = remote ? "remote" : "cluster";
    c_.have_remote_nodes = c_.have_remote_nodes || remote;
    const auto place = std::ranges::upper_bound(c_.nodes, node.name, name_less, &Node::name);
    c_.nodes.insert(place, &node);
    c_.nodes_by_name.emplace(to_lower(name), &node);
    c_.nodes_by_id.emplace(to_lower(node.id), &node);
    return &node;
}

void Reader::startup_fencing(Node& node) const {
    if (node.remote_kind && node.remote == nullptr) return;
    // Until its state is seen, a node may be running anything.
    node.unclean = c_.options.startup_fencing;
}

void Reader::add_node_attributes(const xml::Node* parent, Node& node, bool overwrite) {
    NameValues& attributes = node.attributes;
    node.fail_exact.reset();
    node.fail_base.reset();
    attributes["#uname"] = node.name;
    attributes["#id"] = node.id;
    if (c_.dc == nullptr && same_ignoring_case(node.id, c_.cib->get("dc-uuid"))) {
        c_.dc = &node;
        node.is_dc = true;
        attributes["#is_dc"] = "true";
    } else if (&node != c_.dc) {
        attributes["#is_dc"] = "false";
    }
    const auto cluster_name = c_.options.value("cluster-name");
    if (!cluster_name.empty()) attributes["#cluster-name"] = cluster_name;
    if (overwrite) {
        NameValues transient;
        unpack(parent, "instance_attributes", input(), transient);
        for (auto& [name, value] : transient) attributes[name] = std::move(value);
    } else {
        unpack(parent, "instance_attributes", input(), attributes);
    }
    NameValues capacities;
    unpack(parent, "utilization", input(), capacities);
    read_capacities(capacities, node.utilization);
    if (!node.attribute("#site-name")) {
        if (const auto site = node.attribute("site-name")) {
            attributes["#site-name"] = std::string(*site);
        } else if (!cluster_name.empty()) {
            attributes["#site-name"] = cluster_name;
        }
    }
}

void Reader::read_nodes() {
    const xml::Node* configuration = c_.cib->child("configuration");
    const xml::Node* nodes = configuration == nullptr ? nullptr : configuration->child("nodes");
    if (nodes == nullptr) return;
    for (const auto& child : nodes->children()) {
        if (!child->is("node")) continue;
        if (!child->has("id")) {
            c_.config_error("Ignoring <node> entry in configuration without id");
            continue;
        }
        const Score score = c_.options.score(child->get("score")).value_or(Score{});
        Node* node = create_node(child->id(), child->get("uname"), child->get("type"), score);
        if (node == nullptr) continue;
        node->config = child.get();
        startup_fencing(*node);
        add_node_attributes(child.get(), *node, false);
    }
}

void Reader::read_node_state(const xml::Node& state) {
    if (!state.has("id")) {
        c_.config_error("Ignoring invalid node_state entry without id");
        return;
    }
    Node* node = c_.find_node_any(state.id(), state.get("uname"));
    if (node == nullptr) return;
    node->state = &state;
    if (node->remote_kind) {
        // The rest depends on its connection resource, whose own history has to be read first.
        node->remote_fenced = parse_integer(state.get("node_fenced")).value_or(0) != 0;
        return;
    }
    add_node_attributes(state.child("transient_attributes"), *node, true);
    if (attribute_true(*node, "standby")) node->standby = true;
    if (attribute_true(*node, "maintenance")) node->maintenance = true;
    node->unclean = false;
    node->seen = true;
    determine_online(state, *node);
    if (!c_.quorate && node->online && c_.options.no_quorum == NoQuorum::kFence) {
        fence_node(c_, *node, "cluster does not have quorum", false);
    }
}

void Reader::determine_online(const xml::Node& state, Node& node) {
    node.shutdown = shutdown_requested(node);
    if (!node.shutdown && same_ignoring_case(state.get("expected"), "member")) node.expected_up = true;
    const bool online =
        c_.options.fencing_enabled ? online_with_fencing(state, node) : online_without_fencing(state, node);
    if (online) node.online = true;
    if (!online || node.shutdown) node.score = Score::minus_infinity();
    if (node.unclean) c_.warning(fmt::format("{} is unclean", node.name));
}

bool Reader::online_without_fencing(const xml::Node& state, Node& node) {
    if (member_since(state, c_.epoch()) <= 0) return false;
    if (online_since(state) > 0) return same_ignoring_case(state.get("join"), "member");
    if (node.expected_up) fence_node(c_, node, "peer is unexpectedly down", false);
    return false;
}

bool Reader::online_with_fencing(const xml::Node& state, Node& node) {
    const long long member = member_since(state, c_.epoch());
    const long long online = online_since(state);
    const std::string_view join = state.get("join");
    const auto expected = state.attribute("expected");
    if (node.shutdown) return online > 0;
    if (member < 0) {
        fence_node(c_, node, "peer has not been seen by the cluster", false);
        return false;
    }
    if (join == "banned") {
        fence_node(c_, node, "peer failed Pacemaker membership criteria", false);
    } else if (termination_requested(node)) {
        if (member <= 0 && online <= 0 && join == "down") return false;
        fence_node(c_, node, "fencing was requested", false);
    } else if (!expected || *expected == "down") {
        const long long timeout_s = c_.options.node_pending_timeout.count() / 1000;
        bool too_long = false;
        if (timeout_s > 0 && member > 0 && online <= 0) {
            too_long = c_.epoch() >= member + timeout_s;
            if (!too_long) c_.recheck(member + timeout_s);
        }
        if (too_long) {
            fence_node(c_, node, "peer pending timed out on joining the process group", false);
        } else if (member > 0 || online > 0) {
            node.standby = true;
            node.pending = true;
        }
    } else if (member <= 0) {
        fence_node(c_, node, "peer is no longer part of the cluster", true);
    } else if (online <= 0) {
        fence_node(c_, node, "peer process is no longer available", false);
    } else if (join == "member") {
        // Everything is as it should be.
    } else if (join == "pending" || join == "down") {
        node.standby = true;
        node.pending = true;
    } else {
        fence_node(c_, node, "peer was in an unknown state", false);
    }
    return member > 0;
}

void Reader::determine_remote_online(Node& node) {
    const Resource* connection = node.remote;
    if (connection == nullptr) {
        node.online = false;
        return;
    }
    const Resource* container = connection->launcher;
    const Node* host = nullptr;
    if (container != nullptr && connection->active_nodes.size() == 1) host = connection->active_nodes.front();
    if (connection->role == Role::kStarted) {
        node.online = true;
        if (connection->next_role == Role::kStopped) node.shutdown = true;
    }
    if (container != nullptr && container->failed) {
        node.online = false;
        node.remote_reset = true;
    } else if (connection->failed) {
        node.online = false;
    } else if (connection->role == Role::kStopped || (container != nullptr && container->role == Role::kStopped)) {
        node.online = false;
        node.remote_reset = false;
    } else if (host != nullptr && !host->online && host->unclean) {
        node.online = false;
        node.remote_reset = true;
    }
}

void Reader::read_remote_attributes(const xml::Node& state, Node& node) {
    node.remote_maintenance = parse_integer(state.get("node_in_maintenance")).value_or(0) != 0;
    if (!node.remote_reset) {
        node.unclean = false;
        node.seen = true;
    }
    add_node_attributes(state.child("transient_attributes"), node, true);
    if (shutdown_requested(node)) node.shutdown = true;
    if (attribute_true(node, "standby")) node.standby = true;
    if (attribute_true(node, "maintenance") || (node.remote != nullptr && !node.remote->managed)) {
        node.maintenance = true;
    }
    const auto discovery = node.attribute("resource-discovery-enabled");
    if (discovery && !parse_bool(*discovery).value_or(false)) {
        // A remote node that can't be fenced must be probed, or its resources might be started twice.
        if (!node.is_remote() || c_.options.fencing_enabled) node.probes_allowed = false;
    }
}

void Reader::link_remote_node(Resource& connection) {
    if (!connection.remote_connection) return;
    Node* node = c_.find_node(connection.id);
    if (node == nullptr) return;
    node->remote = &connection;
    if (connection.launcher == nullptr) {
        startup_fencing(*node);
    } else {
        node->attributes["#kind"] = "container";
    }
}

void Reader::read_ticket_state(const xml::Node& state) {
    if (state.id().empty()) return;
    Ticket& ticket = c_.tickets[std::string(state.id())];
    ticket.id = state.id();
    for (const auto& attribute : state.attributes()) {
        if (attribute.name.view() != "id") ticket.state[std::string(attribute.name.view())] = attribute.value.view();
    }
    ticket.granted = parse_bool(state.get("granted")).value_or(false);
    ticket.standby = parse_bool(state.get("standby")).value_or(false);
    if (const auto last = state.attribute("last-granted")) ticket.last_granted = parse_integer(*last).value_or(0);
}

}  // namespace systole::model
