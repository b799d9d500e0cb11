#pragma once
// remote/server.h — what pacemaker-remoted decides beside executing: whom it listens to, and when it leaves.
//
// Stands between the clusters that have proven the key (peers), the executor, which takes each of them for a client,
// and the local clients whom the proxy serves. Several peers may be there at a time: while the connection moves to
// another cluster node, the executor tells the old one of the new (lrmd_rsc_new_client), and the old one leaves.
//
// Invariants: a peer's requests are answered in order, each with the number it came with; a notification has number 0;
// a peer is offered to local clients only after its registration as a provider was accepted.
// Source: protocol sheet executor-remote.md, sections 3, 6 and 7.
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "executor/executor.h"
#include "remote/proxy.h"
#include "wire/port.h"

namespace systole::remote {

/// Ids of peers begin here, beyond those of any local client: the executor has both.
inline constexpr std::uint64_t kFirstPeer = std::uint64_t{1} << 63U;
/// How long a cluster may take to say whether it will move the resources away.
inline constexpr Duration kShutdownAnswer{20'000};

// ---- Inputs ---------------------------------------------------------------------------------------------------------

/// A cluster has proven the key.
struct PeerConnected {
    wire::ClientId id;
    std::string uuid;  ///< what messages call it by
    std::string from;  ///< its address, for the log
};
struct PeerMessage {
    wire::ClientId id;
    xml::NodePtr message;
};
struct PeerClosed {
    wire::ClientId id;
    std::string why;
};
/// What the executor has for a peer.
struct FromExecutor {
    std::variant<wire::Respond, wire::SendEvent, wire::Evict> effect;
};
/// Leave in good order: the cluster first moves the resources away, if there is one.
struct ShutdownRequested {};

/// Clients are those of the proxied services.
using Input = std::variant<PeerConnected, PeerMessage, PeerClosed, FromExecutor, wire::ClientConnected,
                           wire::ClientRequest, wire::ClientClosed, wire::TimerFired, ShutdownRequested>;

// ---- Effects --------------------------------------------------------------------------------------------------------

/// Ends a peer's connection; PeerClosed answers it.
struct ClosePeer {
    wire::ClientId peer;
    std::string why;
};
/// An input for the executor. Its end, after a ShutdownRequested, is this process'.
struct ToExecutor {
    executor::Input input;
};
/// No new peers from here on.
struct StopListening {};

/// Respond, SendEvent and Evict are for clients of the proxied services.
using Effect = std::variant<ToPeer, ClosePeer, ToExecutor, StopListening, wire::Respond, wire::SendEvent, wire::Evict,
                            wire::ArmTimer, wire::CancelTimer, wire::Log>;
using Effects = std::vector<Effect>;

class Server {
public:
    [[nodiscard]] Effects on(const Now& now, const Input& input);
    /// As Proxy::admit().
    [[nodiscard]] int admit(const wire::Client& client) const { return proxy_.admit(client); }

private:
    struct Peer {
        std::string from;
        std::string name;                       ///< as it registered
        std::set<std::uint32_t> registrations;  ///< requests to become a provider that are not answered yet
    };
    enum class Phase : std::uint8_t {
        kServing,
        kAsking,   ///< the cluster was asked to take the resources away
        kLeaving,  ///< and said that it will
        kOver
    };

    void handle(const PeerConnected& input);
    void handle(const PeerMessage& input);
    void handle(const PeerClosed& input);
    void handle(const FromExecutor& input);
    void handle(const wire::ClientConnected& input);
    void handle(const wire::ClientRequest& input);
    void handle(const wire::ClientClosed& input);
    void handle(const wire::TimerFired& input);
    void handle(const ShutdownRequested& input);
    void answer_shutdown(wire::ClientId peer, bool granted);
    void end();
    void perform(ProxyEffects effects);
    void send(wire::ClientId peer, const xml::Node& message, std::string_view type, std::uint32_t id,
              wire::ClientId on_behalf = {});
    void log(wire::Severity severity, std::string text);

    Proxy proxy_;
    std::map<wire::ClientId, Peer> peers_;
    Phase phase_ = Phase::kServing;
    Now now_;          ///< of the input being handled
    Effects effects_;  ///< for it
};

}  // namespace systole::remote
