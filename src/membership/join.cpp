#include "membership/join.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "wire/message.h"

namespace systole::membership {

CibVersion cib_version(const xml::Node& root) {
    const auto counter = [&](std::string_view name) { return parse_integer(root.get(name)).value_or(0); };
    return {counter("admin_epoch"), counter("epoch"), counter("num_updates")};
}

std::string_view to_text(JoinPhase phase) {
    switch (phase) {
        case JoinPhase::kOffered: return "offered";
        case JoinPhase::kIntegrated: return "integrated";
        case JoinPhase::kFinalized: return "finalized";
        case JoinPhase::kConfirmed: return "confirmed";
        case JoinPhase::kRefused: return "refused";
    }
    return "unknown";
}

std::uint32_t JoinBoard::begin(const std::set<NodeId>& nodes) {
    phases_.clear();
    versions_.clear();
    for (const NodeId node : nodes) phases_[node] = JoinPhase::kOffered;
    return ++id_;
}

void JoinBoard::offer(NodeId node) {
    phases_[node] = JoinPhase::kOffered;
    versions_.erase(node);
}

void JoinBoard::forget(NodeId node) {
    phases_.erase(node);
    versions_.erase(node);
}

void JoinBoard::clear() {
    phases_.clear();
    versions_.clear();
}

JoinBoard::Reply JoinBoard::on_request(NodeId node, const Request& request, std::string_view dc_feature_set) {
    if (request.join_id != id_)
        return {Answer::kStale, fmt::format("join-{} is not the current join-{}", request.join_id, id_)};
    const auto it = phases_.find(node);
    if (it == phases_.end()) return {Answer::kStale, "it has no offer"};
    const auto refuse = [&](std::string why) -> Reply {
        it->second = JoinPhase::kRefused;
        return {Answer::kRefused, std::move(why)};
    };
    if (!request.active) return refuse("it is not an active member");
    if (!request.version) return refuse("it sent no CIB generation");
    if (!wire::feature_sets_compatible(dc_feature_set, request.feature_set))
        return refuse(
            fmt::format("its feature set {} does not fit the cluster's {}", request.feature_set, dc_feature_set));
    it->second = JoinPhase::kIntegrated;
    versions_[node] = *request.version;
    return {Answer::kAccepted, {}};
}

NodeId JoinBoard::best(NodeId self, const CibVersion& own) const {
    NodeId winner = self;
    CibVersion greatest = own;
    for (const auto& [node, phase] : phases_) {
        if (phase != JoinPhase::kIntegrated || node == self) continue;
        const auto version = versions_.find(node);
        if (version == versions_.end() || version->second <= greatest) continue;
        winner = node;
        greatest = version->second;
    }
    return winner;
}

std::vector<NodeId> JoinBoard::finalize() {
    std::vector<NodeId> nodes = in(JoinPhase::kIntegrated);
    for (const NodeId node : nodes) phases_[node] = JoinPhase::kFinalized;
    return nodes;
}

bool JoinBoard::on_confirm(NodeId node, std::uint32_t join_id) {
    const auto it = phases_.find(node);
    if (it == phases_.end() || it->second != JoinPhase::kFinalized || join_id != id_) return false;
    it->second = JoinPhase::kConfirmed;
    return true;
}

std::optional<JoinPhase> JoinBoard::phase(NodeId node) const {
    const auto it = phases_.find(node);
    return it == phases_.end() ? std::nullopt : std::optional(it->second);
}

std::vector<NodeId> JoinBoard::in(JoinPhase phase) const {
    std::vector<NodeId> nodes;
    for (const auto& [node, at] : phases_) {
        if (at == phase) nodes.push_back(node);
    }
    return nodes;
}

bool JoinBoard::waits_for(JoinPhase phase) const {
    return std::ranges::any_of(phases_, [&](const auto& entry) { return entry.second == phase; });
}

JoinMember::Offer JoinMember::on_offer(std::string_view from, std::uint32_t join_id, std::string_view dc_feature_set) {
    if (!dc_.empty() && !same_ignoring_case(dc_, from)) return Offer::kOtherDc;
    if (!dc_feature_set.empty() && !wire::feature_sets_compatible(dc_feature_set, wire::kFeatureSet))
        return Offer::kIncompatible;
    dc_ = from;
    dc_feature_set_ = dc_feature_set;
    id_ = join_id;
    joined_ = false;
    return Offer::kAccept;
}

bool JoinMember::matches(std::string_view from, std::uint32_t join_id) const {
    return same_ignoring_case(dc_, from) && id_ == join_id;
}

void JoinMember::joined() { joined_ = true; }

void JoinMember::reset() {
    dc_.clear();
    dc_feature_set_.clear();
    joined_ = false;
}

}  // namespace systole::membership
