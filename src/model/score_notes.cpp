#include "model/score_notes.h"

#include "model/cluster.h"

namespace systole::model {

std::string_view text_of(ScoreNote::Cause cause) {
    switch (cause) {
        case ScoreNote::Cause::kHistory: return "history";
        case ScoreNote::Cause::kLocation: return "location";
        case ScoreNote::Cause::kLock: return "shutdown-lock";
        case ScoreNote::Cause::kStickiness: return "stickiness";
        case ScoreNote::Cause::kThreshold: return "migration-threshold";
        case ScoreNote::Cause::kDiscovery: return "resource-discovery";
        case ScoreNote::Cause::kColocation: return "colocation";
        case ScoreNote::Cause::kInfluence: return "colocated-preference";
        case ScoreNote::Cause::kTicket: return "ticket";
        case ScoreNote::Cause::kCapacity: return "utilization";
        case ScoreNote::Cause::kPromotion: return "promotion-score";
        case ScoreNote::Cause::kInstances: return "instances";
        case ScoreNote::Cause::kRole: return "role";
    }
    return "";
}

Noting::Noting(Cluster& cluster, Resource& resource, ScoreNote::Cause cause, std::string_view id,
               std::string_view with) {
    if (cluster.score_notes == nullptr) return;
    cluster_ = &cluster;
    cause_ = cause;
    id_ = id;
    with_ = with;
    remember(resource);
}

void Noting::remember(Resource& resource) {
    tables_.emplace_back(&resource, resource.allowed);
    for (Resource* child : resource.children) remember(*child);
}

Noting::~Noting() {
    if (cluster_ == nullptr) return;
    for (const auto& [resource, before] : tables_) {
        for (const Node* node : cluster_->nodes) {
            const NodeScore* old = before.find(*node);
            const NodeScore* now = std::as_const(resource->allowed).find(*node);
            if (now == nullptr || (old != nullptr && old->score == now->score)) continue;
            cluster_->score_notes->push_back({.resource = resource->index,
                                              .node = node->index,
                                              .cause = cause_,
                                              .id = id_,
                                              .with = with_,
                                              .was_present = old != nullptr,
                                              .before = old == nullptr ? Score{} : old->score,
                                              .after = now->score});
        }
    }
}

}  // namespace systole::model
