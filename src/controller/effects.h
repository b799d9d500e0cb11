#pragma once
// controller/effects.h — what the controller asks of the other parts of its node, beside node.h's effects.
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "controller/node.h"
#include "fencing/fencer.h"
#include "wire/port.h"

namespace systole::controller {

/// A request to this node's CIB manager (cib::make_request); answered by on_cib_reply with the token unless it is 0.
struct CibCall {
    std::uint64_t token{};
    xml::NodePtr request;
    std::string user{};  ///< whose rights count; empty: the cluster's own
};

/// An attrd message (task update, clear-failure, peer-remove, ...) for this node's attribute manager; not answered.
struct AttributeCall {
    xml::NodePtr message;
};

/// Answered by on_fenced with the token.
struct FenceCall {
    std::uint32_t token{};
    fencing::FenceRequest request;
};

/// A message of a remote node's clients (lrmd_ipc_proxy), which arrived over the connection that this node hosts.
struct ProxyMessage {
    std::string node;
    bool guest{};
    xml::NodePtr message;
};
/// The connection is over: the sessions of that node's clients are too.
struct ProxyClosed {
    std::string node;
};

/// All parts forget that node.
struct ForgetNode {
    NodeId id;
    std::string name;
};

/// The controller is done: the other parts shut down, then the node exits with that code.
struct StopParts {
    ExitCode code{};
    std::string why;
};

using ControllerEffect =
    std::variant<wire::Multicast, wire::Respond, wire::SendEvent, wire::Evict, wire::ArmTimer, wire::CancelTimer,
                 wire::Log, OpenService, JoinGroup, LeaveGroup, ToExecutor, RunScheduler, FetchMetadata, ConnectRemote,
                 DisconnectRemote, ToRemote, Panic, Exit, CibCall, AttributeCall, FenceCall, ProxyMessage, ProxyClosed,
                 ForgetNode, StopParts>;
using ControllerEffects = std::vector<ControllerEffect>;  ///< to be performed in this order

}  // namespace systole::controller
