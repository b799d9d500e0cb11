// controller/joining.cpp — both sides of the join.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cib/request.h"
#include "controller/state.h"
#include "xml/write.h"

namespace systole::controller {
namespace {
using membership::JoinBoard;
using membership::JoinMember;
using membership::JoinPhase;

std::uint32_t join_id_of(const xml::Node& message) {
    return static_cast<std::uint32_t>(parse_integer(message.get("join_id")).value_or(0));
}

/// Every resource with every record of it, but for what only says who wrote the record.
std::set<std::string> records_in(const xml::Node* lrm) {
    std::set<std::string> records;
    const xml::Node* list = lrm == nullptr ? nullptr : lrm->child("lrm_resources");
    if (list == nullptr) return records;
    for (const auto& resource : list->children()) {
        for (const auto& record : resource->children()) {
            xml::Builder bare(*record);
            bare.unset("crm-debug-origin");
            records.insert(fmt::format("{} {}", resource->id(), xml::write(*bare.build())));
        }
    }
    return records;
}
}  // namespace

const xml::Node* lrm_in(const xml::Node* cib, std::string_view node_id) {
    const xml::Node* status = cib == nullptr ? nullptr : cib->child("status");
    const xml::Node* state = status == nullptr ? nullptr : status->child("node_state", node_id);
    return state == nullptr ? nullptr : state->child("lrm");
}

// ---- The DC's side --------------------------------------------------------------------------------------------------

void Controller::State::begin_integration() {
    Office& mine = std::get<Office>(phase);
    mine.step = DcStep::kIntegration;
    mine.settled = false;
    mine.confirming.clear();
    const auto active = peers.active();
    board.begin(active);
    arm("integration", duration_option("join-integration-timeout", std::chrono::minutes(3)));
    for (const NodeId node : active) offer(node);
}

void Controller::State::offer(NodeId node) {
    board.offer(node);
    const std::string name = peers.name_of(node);
    auto offer = message("join_offer", "crmd", "dc", name);
    offer.set("join_id", board.id()).set("dc-leaving", "false").set("crm_feature_set", wire::kFeatureSet);
    if (name.empty()) {
        // Only its greeting will tell the name; until then nothing can be addressed to it.
        board.forget(node);
        return;
    }
    send(name, std::move(offer).build());
}

void Controller::State::on_announce(const wire::NodeRef& from) {
    if (office() == nullptr || from.id == self.id || !peers.is_active(from.id)) return;
    if (board.phase(from.id) == JoinPhase::kOffered || board.phase(from.id) == JoinPhase::kIntegrated) return;
    offer(from.id);
}

void Controller::State::on_join_request(const wire::NodeRef& from, const xml::Node& message) {
    if (office() == nullptr) return;
    const xml::NodePtr generation = wire::data_of(message);
    JoinBoard::Request request{.join_id = join_id_of(message),
                               .active = peers.is_active(from.id),
                               .feature_set = std::string(message.get("crm_feature_set", message.get("version"))),
                               .version = {},
                               .schema = {}};
    if (generation) {
        request.version = membership::cib_version(*generation);
        request.schema = generation->get("validate-with");
    }
    const auto reply = board.on_request(from.id, request, wire::kFeatureSet);
    switch (reply.answer) {
        case JoinBoard::Answer::kStale:
            log(wire::Severity::kDebug, fmt::format("join request of {} ignored: {}", from.name, reply.why), from.name);
            return;
        case JoinBoard::Answer::kRefused: {
            log(wire::Severity::kError, fmt::format("{} may not join: {}", from.name, reply.why), from.name);
            peers.set_expected(from.id, membership::Expected::kNack);
            auto nack = this->message("join_ack_nack", "crmd", "dc", from.name);
            nack.set("join_id", board.id()).set("join_ack_nack", "false");
            send(from.name, std::move(nack).build());
            break;
        }
        case JoinBoard::Answer::kAccepted: break;
    }
    advance_join();
}

/// Moves on as far as what the members have answered allows.
void Controller::State::advance_join() {
    Office* mine = office();
    if (mine == nullptr || mine->syncing) return;
    if (mine->step == DcStep::kIntegration && board.waits_for(JoinPhase::kOffered)) return;
    if (board.waits_for(JoinPhase::kIntegrated)) {
        if (mine->step == DcStep::kIntegration) {
            mine->step = DcStep::kFinalizing;
            disarm("integration");
            arm("finalization", duration_option("join-finalization-timeout", std::chrono::minutes(30)));
        }
        // Everybody gets the newest CIB that any member holds.
        const auto own = cib ? membership::cib_version(*cib) : membership::CibVersion{};
        const NodeId best = board.best(self.id, own);
        const auto joiners = board.in(JoinPhase::kIntegrated);
        if (joiners == std::vector{self.id} && best == self.id) {
            synced(0);
            return;
        }
        mine->syncing = true;
        xml::Builder request(*cib::make_request(cib::Op::kSync, "", {}));
        if (best != self.id) {
            request.set("cib_host", peers.name_of(best));
            log(wire::Severity::kNotice, fmt::format("{} has the newest CIB: taking it over", peers.name_of(best)));
            // It replaces the status section too, and nothing in it says what runs on those who are here already.
            mine->history_replaced = std::ranges::any_of(
                peers.active(), [&](NodeId node) { return std::ranges::find(joiners, node) == joiners.end(); });
        }
        cib_call(std::move(request).build(), CibWait{CibReason::kSynced, {}, {}});
        arm("sync", std::chrono::seconds(60));
        return;
    }
    if (!mine->settled && !board.waits_for(JoinPhase::kOffered) && !board.waits_for(JoinPhase::kFinalized) &&
        mine->confirming.empty())
        all_joined();
}

void Controller::State::synced(int rc) {
    Office* mine = office();
    if (mine == nullptr) return;
    mine->syncing = false;
    disarm("sync");
    if (rc != 0) {
        log(wire::Severity::kError, fmt::format("the CIB could not be synchronized ({}): starting the join again", rc));
        begin_integration();
        return;
    }
    if (std::exchange(mine->history_replaced, false)) {
        log(wire::Severity::kNotice, "the status was replaced with the CIB: everybody joins again");
        begin_integration();
        return;
    }
    const auto joiners = board.finalize();
    // Nodes are known to the configuration from their first join on.
    const xml::Node* configuration = cib ? cib->child("configuration") : nullptr;
    const xml::Node* known = configuration == nullptr ? nullptr : configuration->child("nodes");
    xml::Builder nodes("nodes");
    for (const NodeId node : joiners) {
        const std::string id = std::to_string(node.value);
        const xml::Node* entry = known == nullptr ? nullptr : known->child("node", id);
        if (entry != nullptr && entry->get("uname") == peers.name_of(node)) continue;
        nodes.add(xml::Builder("node").set("id", id).set("uname", peers.name_of(node)).build());
    }
    if (!nodes.children().empty())
        cib_call(cib::make_request(cib::Op::kModify, "nodes", std::move(nodes).build(), cib::option::kCanCreate),
                 CibWait{CibReason::kPlanInput, {}, {}});
    for (const NodeId node : joiners) {
        const std::string name = peers.name_of(node);
        auto ack = message("join_ack_nack", "crmd", "dc", name);
        ack.set("join_id", board.id()).set("join_ack_nack", "true");
        if (!peers.remotes().empty()) {
            xml::Builder remotes("nodes");
            for (const auto& [remote, peer] : peers.remotes()) {
                xml::Builder entry("node");
                entry.set("id", remote).set("node_state", peer.up ? "member" : "lost");
                entry.set_unless_empty("connection_host", peer.host);
                remotes.add(std::move(entry));
            }
            ack.add(std::move(remotes));
        }
        send(name, std::move(ack).build());
    }
    advance_join();
}

void Controller::State::on_join_confirm(const wire::NodeRef& from, const xml::Node& message) {
    Office* mine = office();
    if (mine == nullptr) return;
    if (!board.on_confirm(from.id, join_id_of(message))) {
        log(wire::Severity::kDebug, fmt::format("confirmation of {} ignored: not expected", from.name), from.name);
        return;
    }
    peers.set_expected(from.id, membership::Expected::kMember);
    const xml::NodePtr data = wire::data_of(message);
    const std::string xpath = fmt::format("//node_state[@uname='{}']/lrm", from.name);
    mine->confirming.insert(from.id);
    const xml::Node* known = lrm_in(cib.get(), std::to_string(from.id.value));
    if (data && known != nullptr && records_in(known) == records_in(data->child("lrm"))) {
        // After a change of DC nothing is new but the DC.
        history_stored(from.id);
        return;
    }
    cib_call(cib::make_request(cib::Op::kDelete, xpath, {}, cib::option::kXPath));
    if (data && data->is("node_state")) {
        cib_call(cib::make_request(cib::Op::kModify, "status", data, cib::option::kCanCreate),
                 CibWait{CibReason::kConfirmed, from.id, {}});
    } else {
        history_stored(from.id);
    }
}

void Controller::State::history_stored(NodeId node) {
    Office* mine = office();
    if (mine == nullptr || mine->confirming.erase(node) == 0) return;
    mine->missing.erase(node);
    if (mine->settled) {
        write_node_states({node}, "do_dc_join_ack");
        const std::string name = peers.name_of(node);
        log(wire::Severity::kNotice, fmt::format("{} joined the cluster", name), name);
        const membership::Peer* peer = peers.find(node);
        if (peer != nullptr && peer->expected == membership::Expected::kDown)
            peers.set_expected(node, membership::Expected::kMember);
        abort(fmt::format("{} joined", name));
    }
    advance_join();
}

void Controller::State::all_joined() {
    Office& mine = std::get<Office>(phase);
    mine.settled = true;
    mine.step = DcStep::kIdle;
    disarm("integration");
    disarm("finalization");
    std::set<NodeId> everybody;
    for (const auto& [id, peer] : peers.all()) {
        if (peer.ever_seen) everybody.insert(id);
    }
    write_node_states(everybody, "do_state_transition");
    write_quorum();
    record_former_fencings();
    update_limits();
    log(wire::Severity::kNotice, fmt::format("join-{} is complete: {} of {} known nodes", board.id(),
                                             board.in(JoinPhase::kConfirmed).size(), peers.all().size()));
    if (shutting_down) leaving.insert(self.id);
    // Whoever asked to leave while there was no DC still wants to.
    for (const NodeId id : std::set<NodeId>(leaving)) {
        if (peers.is_active(id)) on_shutdown_request({id, peers.name_of(id)});
    }
    Duration grace{0};
    for (const auto& [id, since] : vanished) {
        const membership::Peer* peer = peers.find(id);
        const Duration left = since + kCoreGrace - now.mono;
        if (peer == nullptr || !peer->member || peer->online || left.count() <= 0) continue;
        mine.missing.insert(id);
        grace = std::max(grace, left);
    }
    if (!mine.missing.empty()) arm("missing", grace);
    want_plan("all nodes joined");
}

// ---- The member's side ----------------------------------------------------------------------------------------------

void Controller::State::on_offer(const wire::NodeRef& from, const xml::Node& message) {
    if (std::holds_alternative<Starting>(phase) || std::holds_alternative<Stopping>(phase)) return;
    if (from.id != self.id && office() != nullptr) {
        call_election(fmt::format("{} believes to be DC as well", from.name));
        return;
    }
    if (message.get("dc-leaving") == "true") {
        peers.set_expected(from.id, membership::Expected::kDown);
        return;
    }
    switch (member.on_offer(from.name, join_id_of(message), message.get("crm_feature_set", message.get("version")))) {
        case JoinMember::Offer::kOtherDc:
            log(wire::Severity::kWarning,
                fmt::format("{} offers to join it, but {} is our DC", from.name, member.dc()));
            dc_lost("two nodes claim to be DC");
            return;
        case JoinMember::Offer::kIncompatible:
            log(wire::Severity::kError, fmt::format("this node's feature set {} does not fit the cluster's {}",
                                                    wire::kFeatureSet, message.get("crm_feature_set")));
            stop(ExitCode::kFatal, "incompatible with the cluster");
            return;
        case JoinMember::Offer::kAccept: break;
    }
    disarm("dc-deadtime");
    disarm("greetings");
    if (from.id != self.id) {
        // An election that is still open here is over for us.
        disarm("election");
        disarm("vote-again");
        if (election.state() == membership::Election::State::kInProgress) election.concede();
        // What a DC has under way is no business of ours any more, and no result will be missed.
        if (holds_office()) leave_office(fmt::format("{} is", from.name));
        if (std::holds_alternative<Electing>(phase)) phase = Pending{};
        arm("dc-deadtime", duration_option("join-finalization-timeout", std::chrono::minutes(30)));
    }
    importing = false;
    xml::Builder generation("generation_tuple");
    if (cib) {
        for (const xml::Attribute& attribute : cib->attributes())
            generation.append_attribute(attribute.name, attribute.value);
    }
    auto request = this->message("join_request", "dc", "crmd", from.name, std::move(generation).build());
    request.set("join_id", member.id()).set("crm_feature_set", wire::kFeatureSet);
    send(from.name, std::move(request).build());
}

void Controller::State::on_join_ack(const wire::NodeRef& from, const xml::Node& message) {
    if (!member.matches(from.name, join_id_of(message))) return;
    if (!parse_bool(message.get("join_ack_nack")).value_or(false)) {
        log(wire::Severity::kError,
            fmt::format("{} refused to let this node join: staying out of the cluster", from.name));
        stop(ExitCode::kFatal, "the DC refused this node");
        return;
    }
    if (const xml::Node* remotes = message.child("nodes"); remotes != nullptr) {
        for (const auto& entry : remotes->children())
            peers.set_remote(entry->id(), entry->get("node_state") == "member", entry->get("connection_host"));
    }
    importing = true;
    // After a crash of this process the executor may hold resources, and the cluster's CIB their history. A node that
    // only changes its DC knows its resources and asks about nothing.
    perform(resources.import(now, ever_joined ? nullptr : lrm_in(cib.get(), std::to_string(self.id.value))));
}

void Controller::State::confirm_join() {
    if (member.dc().empty()) return;
    const std::string id = std::to_string(self.id.value);
    const bool epoch = times_as_epoch();
    const membership::Peer* me = peers.find(self.id);
    xml::Builder state("node_state");
    state.set("id", id).set("uname", self.name);
    if (epoch && me != nullptr) {
        state.set("in_ccm", static_cast<long long>(me->member_since.seconds))
            .set("crmd", static_cast<long long>(me->online_since.seconds));
    } else {
        state.set("in_ccm", "true").set("crmd", "online");
    }
    state.set("crm-debug-origin", "do_lrm_query_internal");
    state.add(resources.history());
    xml::Builder features("update_attr");
    features.set("t", "attrd")
        .set("src", "crmd")
        .set("task", "update")
        .set("attr_name", "#feature-set")
        .set("attr_value", wire::kFeatureSet)
        .set("attr_host", self.name)
        .set("attr_host_id", self.id.value)
        .set("attr_is_remote", "0")
        .set("attr_is_private", "0");
    out.emplace_back(AttributeCall{std::move(features).build()});
    auto confirm = message("join_confirm", "dc", "crmd", member.dc(), std::move(state).build());
    confirm.set("join_id", member.id());
    send(member.dc(), std::move(confirm).build());
    member.joined();
    if (!ever_joined && !config.start_state.empty()) {
        const std::string set = fmt::format("nodes-{}", id);
        xml::Builder node("node");
        node.set("id", id).set("uname", self.name);
        xml::Builder pair("nvpair");
        pair.set("id", set + "-standby")
            .set("name", "standby")
            .set("value", config.start_state == "standby" ? "on" : "off");
        xml::Builder attributes("instance_attributes");
        attributes.set("id", set).add(std::move(pair));
        node.add(std::move(attributes));
        cib_call(cib::make_request(cib::Op::kModify, "nodes", std::move(node).build(), cib::option::kCanCreate));
    }
    ever_joined = true;
    disarm("dc-deadtime");
    if (office() != nullptr) return;
    phase = Following{};
    if (shutting_down) send("", message("req_shutdown", "crmd", "crmd", "").build());
}

}  // namespace systole::controller
