#pragma once
// remote/proxy.h — local clients of the cluster's services on a node that has none of the cluster's daemons.
//
// Commands and agents connect here as they would on a cluster node. Each client becomes a session of the cluster's
// newest connection that offers to serve them (a provider), which talks to the daemon of that name on its own node.
//
// Invariants: a session belongs to one provider from its begin to its end, and ends with it; a client gets one response
// to a request that expects one, and none to others, whatever the provider sends; nobody but a provider can say
// anything to a client, and only to those of its own sessions.
// Source: protocol sheet executor-remote.md, section 7.
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "wire/port.h"

namespace systole::remote {

inline constexpr std::string_view kProxyElement = "lrmd_ipc_proxy";
inline constexpr std::size_t kSessionsMax = 1000;   ///< local clients at a time; further ones are told to try again
inline constexpr std::size_t kUnansweredMax = 500;  ///< requests of a client that wait for their response

/// One message to a cluster. If it cannot be sent as it is too much, `on_behalf` is disconnected.
struct ToPeer {
    wire::ClientId peer;
    xml::NodePtr message;
    wire::ClientId on_behalf{};  ///< value 0: nobody
};

using ProxyEffect = std::variant<ToPeer, wire::Respond, wire::SendEvent, wire::Evict, wire::Log>;
using ProxyEffects = std::vector<ProxyEffect>;

class Proxy {
public:
    /// What a client is told on connecting: 0, or a negative errno value (-EREMOTEIO: this is a remote node without a
    /// cluster; also for the one service that no remote node has).
    [[nodiscard]] int admit(const wire::Client& client) const;
    [[nodiscard]] bool has_provider() const { return !providers_.empty(); }
    /// Of new sessions. Only where there is one.
    [[nodiscard]] wire::ClientId provider() const { return providers_.back(); }
    [[nodiscard]] bool is_provider(wire::ClientId peer) const;

    void on_provider(wire::ClientId peer);
    [[nodiscard]] ProxyEffects on_provider_gone(wire::ClientId peer);
    /// A message about a session, from any peer.
    [[nodiscard]] ProxyEffects on_message(wire::ClientId peer, const xml::Node& message);

    [[nodiscard]] ProxyEffects on_client(const wire::Client& client);
    [[nodiscard]] ProxyEffects on_request(const wire::ClientRequest& request);
    [[nodiscard]] ProxyEffects on_client_gone(wire::ClientId client);

    [[nodiscard]] std::size_t session_count() const { return sessions_.size(); }

private:
    struct Session {
        wire::Client client;
        wire::ClientId provider;
        std::set<std::uint32_t> unanswered{};
    };
    [[nodiscard]] Session* find(std::string_view uuid);

    std::vector<wire::ClientId> providers_;  ///< in the order in which they offered, newest last
    std::map<wire::ClientId, Session> sessions_;
};

/// A message about a session, to which its particulars can be added. For either end.
xml::Builder make_proxy_message(std::string_view op, std::string_view session);

}  // namespace systole::remote
