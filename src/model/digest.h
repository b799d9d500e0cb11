#pragma once
// model/digest.h — whether an operation's parameters are still those that it was run with.
// Source: protocol sheet controller.md (op-digest, op-restart-digest, op-secure-digest).
#include <string>

#include "model/cluster.h"

namespace systole::model {

enum class DigestResult : std::uint8_t {
    kUnknown,  ///< the history has no digest
    kMatch,
    kMismatch,  ///< changed in a way that a reload may take up
    kRestart,   ///< changed in a way that needs a restart
};

struct OperationDigests {
    std::string all, secure, restart;
    bool has_operation_parameters = false;
};

/// What digests were made of, for people.
struct DigestSources {
    NameValues all, secure, restart;
};

/// Digests of what the operation would be run with on the node. `history` gives the list of private and of reloadable
/// parameters; null: usual names of private ones. `overrides` are set instead of what is configured; `sources` is
/// filled. Both may be null. Without `want_secure` the private digest is left out: it costs as much as the others.
OperationDigests calculate_digests(Cluster& cluster, Resource& resource, std::string_view task, Duration interval,
                                   Node& node, const xml::Node* history, const NameValues* overrides = nullptr,
                                   DigestSources* sources = nullptr, bool want_secure = true);
/// Digest of parameters as the executor got them: without meta-attributes, but with the timeout if it recurs.
std::string digest_of_parameters(NameValues parameters);
/// `sanitized`: private parameters may have been taken out of the configuration, so a change of only these is none
/// (and `only_private_changed`, unless null, becomes true).
DigestResult compare_digests(Cluster& cluster, Resource& resource, const xml::Node& history, Node& node,
                             bool sanitized = false, bool* only_private_changed = nullptr);

/// An ocf:pacemaker:remote of a bundle that is reached by its host's name, which has to be filled in.
bool needs_host_name(Cluster& cluster, Resource& resource);
/// The host's name for such a connection: where its container is planned or runs.
std::optional<std::string_view> bundle_host_name(Cluster& cluster, Resource& resource);

/// For unfencing: "resource:agent:digest" pieces are looked for in the node's #digests-all and #digests-secure.
struct FencingDigest {
    DigestResult result = DigestResult::kUnknown;
    OperationDigests digests;
    bool only_private_changed = false;
};
FencingDigest compare_fencing_digests(Cluster& cluster, Resource& device, Node& node);

}  // namespace systole::model
