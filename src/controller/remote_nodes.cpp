// controller/remote_nodes.cpp — remote and guest nodes whose connections this node hosts, and what the cluster is told
// of them.
//
// A remote node's state in the CIB is written by the host of its connection: a connection that was newly made finds a
// node of which nothing is known for certain, so its history is erased and probed again; one that was taken over while
// it stood changes nothing. A guest node that ended with its container is cleaned up by the DC, whose plan says when.
// Source: protocol sheets executor-remote.md, section 8; controller.md, sections 9, 10 and 13.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cib/request.h"
#include "controller/state.h"

namespace systole::controller {
namespace {

template <class... F>
struct Overloaded : F... {
    using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace

void Controller::State::perform(RemoteConnections::Events events) {
    for (RemoteEvent& event : events) {
        std::visit(Overloaded{
                       [&](const ConnectionResult& e) { perform(resources.on_connection_result(now, e)); },
                       [&](const RemoteUp& e) { remote_up(e); },
                       [&](const RemoteGone& e) { remote_gone(e.node); },
                       [&](const RemoteDown& e) { remote_down(e.node); },
                       [&](const RemoteHandedOver& e) {
                           log(wire::Severity::kNotice, fmt::format("{} was taken over by another node", e.node), e.node);
                           remote_resources.erase(e.node);
                           early_notices.erase(e.node);
                           out.emplace_back(ProxyClosed{e.node});
                       },
                       [&](const RemoteAnswer& e) {
                           if (Resources* there = resources_of(e.node); there != nullptr)
                               perform(e.node, there->on_reply(now, e.reply));
                       },
                       [&](const RemoteNotice& e) {
                           const Resources* there = resources_of(e.node);
                           if (there != nullptr && there->importing()) {
                               early_notices[e.node].push_back(e.message);
                           } else {
                               remote_notice(e.node, *e.message);
                           }
                       },
                       [&](ControllerEffect& e) { out.push_back(std::move(e)); },
                   },
                   event);
    }
}

bool Controller::State::is_remote(std::string_view node) const {
    if (peers.remotes().contains(node) || connections.is_up(node)) return true;
    const xml::Node* status = cib ? cib->child("status") : nullptr;
    const xml::Node* state = status == nullptr ? nullptr : status->child("node_state", node);
    return state != nullptr && parse_bool(state->get("remote_node")).value_or(false);
}

Resources* Controller::State::resources_of(std::string_view node) {
    if (node.empty()) return &resources;
    const auto found = remote_resources.find(node);
    return found == remote_resources.end() ? nullptr : &found->second;
}

void Controller::State::remote_up(const RemoteUp& up) {
    if (!up.taken_over) write_remote_state(up.node, true, true);
    tell_remote_state(up.node, true);
    const auto [it, fresh] =
        remote_resources.insert_or_assign(up.node, Resources({NodeId{}, up.node}, Resources::Kind::kRemoteNode));
    perform(up.node, it->second.on_executor_up(now));
    if (up.taken_over) perform(up.node, it->second.import(now, lrm_in(cib.get(), up.node)));
}

void Controller::State::remote_imported(const std::string& node) {
    const auto early = early_notices.extract(node);
    if (early.empty()) return;
    for (const xml::NodePtr& message : early.mapped()) remote_notice(node, *message);
}

void Controller::State::remote_notice(const std::string& node, const xml::Node& message) {
    if (Resources* there = resources_of(node); there != nullptr) perform(node, there->on_event(now, message));
}

/// What runs there runs on; results of what was ordered there do not come any more.
void Controller::State::remote_gone(const std::string& node) {
    remote_resources.erase(node);
    early_notices.erase(node);
    out.emplace_back(ProxyClosed{node});
    tell_remote_state(node, false);
}

void Controller::State::remote_down(const std::string& node) {
    remote_gone(node);
    write_remote_state(node, false, false);
}

void Controller::State::write_remote_state(const std::string& node, bool up, bool erase_history) {
    const auto erase = [&](std::string_view what) {
        cib_call(cib::make_request(cib::Op::kDelete, fmt::format("//node_state[@uname='{}']/{}", node, what), {},
                                   cib::option::kXPath));
    };
    if (erase_history) erase("lrm");
    erase("transient_attributes");
    xml::Builder purge("attrd");
    purge.set("t", "attrd").set("src", "crmd").set("task", "peer-remove").set("attr_host", node).set("reap", "false");
    out.emplace_back(AttributeCall{std::move(purge).build()});
    xml::Builder state("node_state");
    state.set("id", node).set("uname", node).set("remote_node", "true").set("in_ccm", up ? "true" : "false");
    if (up) state.set("node_fenced", "0");
    state.set("crm-debug-origin", up ? "remote_node_up" : "remote_node_down");
    cib_call(cib::make_request(cib::Op::kModify, "status", std::move(state).build(), cib::option::kCanCreate));
}

void Controller::State::tell_remote_state(const std::string& node, bool up) {
    peers.set_remote(node, up, self.name);
    auto state = message("remote_state", "crmd", "crmd", "");
    state.set("id", node).set("in_ccm", up ? "true" : "false").set("connection_host", self.name);
    send("", std::move(state).build());
}

void Controller::State::on_remote_state(const wire::NodeRef& from, const xml::Node& message) {
    const std::string node(message.id());
    if (node.empty()) return;
    const bool up = parse_bool(message.get("in_ccm")).value_or(false);
    peers.set_remote(node, up, message.get("connection_host", from.name));
    // What was ordered there is not going to be answered; the plan that runs must not wait for it.
    if (!up && holds_office()) perform(runner.on_node_lost(now.mono, node));
}

void Controller::State::on_pseudo_event(const transition::Action& action) {
    if (action.operation == "stonith") {
        for (const std::string& guest : action.downed) {
            log(wire::Severity::kNotice, fmt::format("{} ended with its container", guest), guest);
            write_remote_state(guest, false, true);
            tell_remote_state(guest, false);
        }
        return;
    }
    const xml::Node* maintenance = action.xml->child("maintenance");
    if (action.operation != "maintenance_nodes" || maintenance == nullptr) return;
    xml::Builder status("status");
    for (const auto& entry : maintenance->children()) {
        if (!entry->is("node") || entry->id().empty()) continue;
        xml::Builder state("node_state");
        state.set("id", entry->id())
            .set("uname", entry->id())
            .set("remote_node", "true")
            .set("node_in_maintenance", entry->get("node_in_maintenance"));
        status.add(std::move(state));
    }
    if (!status.children().empty())
        cib_call(cib::make_request(cib::Op::kModify, "status", std::move(status).build(), cib::option::kCanCreate));
}

ControllerEffects Controller::on_remote_shutdown(const Now& now, const std::string& node) {
    State& s = *state_;
    s.now = now;
    s.log(wire::Severity::kNotice, fmt::format("{} wants to shut down: moving its resources away", node), node);
    xml::Builder update("update_attr");
    update.set("t", "attrd")
        .set("src", "crmd")
        .set("task", "update")
        .set("attr_name", "shutdown")
        .set("attr_value", static_cast<long long>(now.wall.seconds))
        .set("attr_host", node)
        .set("attr_is_remote", "1")
        .set("attr_is_private", "0");
    s.out.emplace_back(AttributeCall{std::move(update).build()});
    return s.finish();
}

}  // namespace systole::controller
