#pragma once
// wire/port.h — what every core is told and what every core asks for, where it is the same for all of them.
//
// A core takes inputs (a message, a timer, a membership change, each with the time) and returns effects as data. The
// runtime performs effects in the order in which they were returned and reports back as inputs; the simulation does the
// same over its own clock, network and disks. Nothing here knows which of the two it is.
// Source: protocol sheets ipc.md (services, requests and responses), cpg.md (groups, membership).
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "xml/tree.h"

namespace systole::wire {

/// The IPC services of Pacemaker's daemons.
enum class Service : std::uint8_t {
    kCibRo,
    kCibRw,
    kCibShm,
    kAttributes,
    kFencer,
    kExecutor,
    kController,
    kScheduler,
    kPacemakerd
};
std::string_view service_name(Service service);  ///< "cib_ro", ..., "stonith-ng", "lrmd", "crmd", "pengine", ...

/// The process groups of the cluster's ordered messages.
enum class Group : std::uint8_t { kCib, kController, kAttributes, kFencing };
std::string_view group_name(Group group);  ///< "cib", "crmd", "attrd", "stonith-ng"

/// One connection of a local client, unique within the life of the process that serves it.
using ClientId = Id<struct ClientIdTag, std::uint64_t>;

struct Client {
    ClientId id;
    Service service{};
    std::uint32_t uid{};
    std::uint32_t gid{};
    std::int32_t pid{};
    std::string user;   ///< the uid's name, "#unprivileged" if it has none
    bool privileged{};  ///< root or hacluster (or the owner of a local-engine cluster)
    std::string uuid;   ///< the id that messages call it by
};

/// A cluster node as messages name it. The name may still be empty where only the id is known.
struct NodeRef {
    NodeId id;
    std::string name;
    auto operator<=>(const NodeRef&) const = default;
};

// ---- Inputs that several cores share ------------------------------------------------------------------------------

struct ClientConnected {
    Client client;
};
struct ClientClosed {
    ClientId client;
};

/// Flags of an IPC request.
inline constexpr std::uint32_t kProxied = 0x100;          ///< relayed for a client on a remote node: answer by events
inline constexpr std::uint32_t kExpectsResponse = 0x200;  ///< exactly one response is due

struct ClientRequest {
    ClientId client;
    std::uint32_t id{};  ///< to be repeated in the response
    std::uint32_t flags{};
    xml::NodePtr message;  ///< null if the client's text was not XML: answer with a protocol error if one is due
};

struct GroupMember {
    NodeId node;
    std::uint32_t pid{};
    auto operator<=>(const GroupMember&) const = default;
};

/// A change of a process group, delivered at the same place in the order of messages on every member.
struct GroupChange {
    Group group{};
    std::vector<GroupMember> members, joined, left;
};

/// The quorum service's view of the membership.
struct QuorumView {
    std::uint64_t ring{};  ///< sequence number of the membership
    bool quorate{};
    std::vector<NodeId> members;  ///< in ascending order
};

/// The name of a node became known (from the configuration of the cluster engine).
struct NodeIdentified {
    NodeRef node;
};

/// A message of a group, in the total order that all members see. Own messages come back here too.
struct PeerMessage {
    Group group{};
    NodeRef from;
    xml::NodePtr message;
};

/// Answers ArmTimer. A timer that was cancelled or armed again does not fire for its earlier time.
struct TimerFired {
    std::string name;
};

// ---- Effects that several cores share -----------------------------------------------------------------------------

/// To all members of the group, this node included, in total order; receivers other than `to` ignore it.
struct Multicast {
    Group group{};
    std::string to;  ///< a node's name; empty for all
    xml::NodePtr message;
};

/// The one response to a request that expects it.
struct Respond {
    ClientId client;
    std::uint32_t request{};
    xml::NodePtr message;
};

struct SendEvent {
    ClientId client;
    xml::NodePtr message;
};

struct Evict {
    ClientId client;
    std::string why;
};

/// Replaces the armed timer of the same name.
struct ArmTimer {
    std::string name;
    Instant at;
};
struct CancelTimer {
    std::string name;
};

enum class Severity : std::uint8_t {
    kError,    ///< a person must look; an unexpected one fails a simulation
    kWarning,  ///< degraded
    kNotice,   ///< the cluster changed
    kInfo,
    kDebug,
};

struct Log {
    Severity severity{};
    std::string text;    ///< object, event, cause, consequence
    std::string node{};  ///< structured fields; empty where they do not apply
    std::string resource{};
    int transition{-1};
};

}  // namespace systole::wire
