#pragma once
// remote/proxy_cluster.h — the cluster's side of the IPC proxy: clients on remote nodes as clients of our own services.
//
// A program on a remote node (crm_mon, attrd_updater, an agent's crm_attribute) talks to its own daemon, which relays
// every session over the connection to the cluster. Here each session becomes a client like a local one, with an id of
// our making, whose requests carry the rights of the remote node and not those that it claims.
//
// Invariants: a session belongs to one remote node and ends with its connection; ids made here are never those of local
// clients; a message that names no known session changes nothing.
// Source: protocol sheet executor-remote.md, section 7.
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "wire/port.h"

namespace systole::remote {

/// An lrmd_ipc_proxy message for the remote node's daemon, without its remote message number.
struct ToRemoteDaemon {
    std::string node;
    xml::NodePtr message;
};
/// The remote daemon wants its resources moved away before it ends; it is acknowledged already.
struct RemoteWantsShutdown {
    std::string node;
};

using ProxyEffect = std::variant<wire::ClientConnected, wire::ClientRequest, wire::ClientClosed, ToRemoteDaemon,
                                 RemoteWantsShutdown, wire::Log>;
using ProxyEffects = std::vector<ProxyEffect>;  ///< to be performed in this order

class ClusterProxy {
public:
    /// An lrmd_ipc_proxy message of that node's daemon.
    [[nodiscard]] ProxyEffects on_message(const std::string& node, const xml::Node& message);
    /// The connection to the node is over.
    [[nodiscard]] ProxyEffects on_closed(const std::string& node);

    /// What the services answer to a client that was made here.
    [[nodiscard]] ProxyEffects on_response(const wire::Respond& response);
    [[nodiscard]] ProxyEffects on_event(const wire::SendEvent& event);
    [[nodiscard]] ProxyEffects on_evicted(const wire::Evict& evict);

    [[nodiscard]] static bool made_here(wire::ClientId client) { return client.value >= kFirstClient; }
    [[nodiscard]] std::size_t sessions(const std::string& node) const;
    [[nodiscard]] std::vector<std::string> check_state() const;

    static constexpr std::uint64_t kFirstClient = std::uint64_t{1} << 62;
    static constexpr std::size_t kSessionsMax = 1000;  ///< of one node; more are refused

private:
    struct Session {
        wire::ClientId client;
        wire::Service service{};
    };
    struct Place {
        std::string node, session;
    };
    void request(const std::string& node, const std::string& session, const xml::Node& message, ProxyEffects& out);

    std::map<std::string, std::map<std::string, Session>> nodes_;  ///< by node, by session
    std::map<wire::ClientId, Place> clients_;
    std::uint64_t next_client_ = kFirstClient;
};

}  // namespace systole::remote
