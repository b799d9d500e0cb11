#pragma once
// controller/remote_connections.h — connections to the executors of remote and guest nodes, and the operations on them.
//
// A connection is a resource (ocf:pacemaker:remote) that this controller carries out itself: start connects and
// registers as the remote node's provider (tried again each second while the start's timeout lasts), monitor asks for a
// sign of life, stop disconnects, migrate_to and migrate_from hand a connection over from node to node while everything
// on the remote node runs on. Requests of the remote node's resources (resources.h) and of its clients' sessions travel
// over it.
//
// A failed monitor of a remote node's connection has the node fenced, by the scheduler's rules. Before that is reported
// the node is searched for: this node tries to reach it again, and asks its peers whether they can. If anybody can, the
// connection counts as stopped here, nothing is fenced, and a start makes it anew where it is possible; if nobody can
// within the time of the search, its monitors fail with the status "not connected". A lost guest is a failed guest: its
// monitors fail at once, and restarting its container settles everything. A stop with a hand-over announced waits half
// its timeout for the other node to take over.
//
// Invariants (I14): a remote node's monitor fails for a lost connection only after the search; every order but a cancel
// gets one result, a monitor that recurs one for each change; nothing is sent over a connection before the other end
// has accepted our registration; a request without an answer within its time ends the connection. Source: protocol
// sheet executor-remote.md, sections 3, 4 and 8.
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "controller/effects.h"

namespace systole::controller {

/// An operation on a connection; answered by a ConnectionResult with the same number.
struct ConnectionOrder {
    std::uint32_t run{};
    std::string node;    ///< the remote node, which is the connection's resource id
    std::string action;  ///< "start", "monitor", ...; "cancel" ends the recurring monitor of that number
    Duration interval{0};
    Duration timeout{0};
    bool guest{};  ///< the node is a resource of the cluster
    std::map<std::string, std::string> parameters;
    Now begun{};
};

struct ConnectionResult {
    std::uint32_t run{};  ///< 0: of no order: the connection was lost and no monitor was there to fail, or it is to
                          ///< count as stopped (rc 7)
    std::string node;
    ExecStatus status{};
    int rc{};
    std::string reason;
    WallTime begun{};
    Duration took{0};
    bool refused{};  ///< it was not begun: no failure of the connection, and nothing to record
};

// ---- What became of connections, in the order in which it happened
// ---------------------------------------------------

/// The connection is up.
struct RemoteUp {
    std::string node;
    bool taken_over{};  ///< from another cluster node, with everything that runs there
    bool guest{};
};
/// The connection is gone, without our asking.
struct RemoteGone {
    std::string node;
};
/// Which peers can reach the node? Answered by on_reachable.
struct RemoteSearch {
    std::string node, server;
    std::uint16_t port{};
};
/// The search is over. `here`: whether this node may try again; peers reached it if that is false and it was found.
struct RemoteSearched {
    std::string node;
    bool found{}, here{};
    bool ordered{};  ///< a start or stop was ordered before it came to an end
};
/// The answer to reach().
struct RemoteReached {
    std::string asker, node;
    bool reachable{};
};
/// It was ended by a stop: the remote node has no connection any more.
struct RemoteDown {
    std::string node;
};
/// Another cluster node has taken it over.
struct RemoteHandedOver {
    std::string node;
};
/// The answer to send(), or a result or notice of the remote executor.
struct RemoteAnswer {
    std::string node;
    ExecutorReply reply;
};
struct RemoteNotice {
    std::string node;
    xml::NodePtr message;
};

using RemoteEvent = std::variant<ConnectionResult, RemoteUp, RemoteGone, RemoteDown, RemoteHandedOver, RemoteSearch,
                                 RemoteSearched, RemoteReached, RemoteAnswer, RemoteNotice, ControllerEffect>;

/// Timers of connections have names that begin so (after the controller's own prefix).
inline constexpr std::string_view kConnectionTimers = "remote/";

class RemoteConnections {
public:
    using Events = std::vector<RemoteEvent>;  ///< to be dealt with in this order

    [[nodiscard]] Events order(const Now& now, const ConnectionOrder& order);
    [[nodiscard]] Events on_connected(const Now& now, const RemoteConnected& input);
    [[nodiscard]] Events on_message(const Now& now, const RemoteMessage& input);
    [[nodiscard]] Events on_lost(const Now& now, const RemoteLost& input);
    /// `name` without the controller's prefix.
    [[nodiscard]] Events on_timer(const Now& now, std::string_view name);
    /// A request to the remote executor; answered by RemoteAnswer with the number. Without a connection it is dropped.
    [[nodiscard]] Events send(const Now& now, const std::string& node, std::uint32_t number,
                              const xml::NodePtr& request);
    /// A peer that lost its connection to that node asks whether we can reach it.
    [[nodiscard]] Events reach(const std::string& asker, const std::string& node, const std::string& server,
                               std::uint16_t port);
    [[nodiscard]] Events on_reachable(const Now& now, const std::string& node);
    /// The remote node is proven dead: its connection says nothing any more.
    [[nodiscard]] Events fail(const Now& now, const std::string& node, std::string_view why);
    /// Ends all connections: this node leaves.
    [[nodiscard]] Events close_all();

    [[nodiscard]] bool is_up(std::string_view node) const;
    [[nodiscard]] bool is_searched(std::string_view node) const;
    [[nodiscard]] std::vector<std::string> up() const;  ///< names, in order
    [[nodiscard]] std::vector<std::string> check_state() const;

private:
    struct Down {};
    struct Opening {  ///< connecting, registering, or waiting to try again
        ConnectionOrder order;
        std::uint32_t token{};
        bool waiting{};  ///< for the next try
    };
    struct Up {
        std::uint32_t token{};
    };
    struct Searching {                                     ///< it was lost; who can reach it?
        std::map<std::uint32_t, ConnectionOrder> failing;  ///< monitors that fail if nobody can
        std::vector<ConnectionOrder> refused;              ///< orders that made no sense by the end of it
        std::uint32_t token{};
        bool tried{};      ///< a try of our own has failed
        bool elsewhere{};  ///< a peer can reach it
    };
    struct Asked {
        enum class Kind : std::uint8_t { kRegister, kPoke, kResource } kind{};
        std::uint32_t number{};  ///< kResource: the caller's
        Instant deadline;
    };
    struct Monitor {
        ConnectionOrder order;
        bool reported{};  ///< that all is well
    };
    struct Connection {
        std::variant<Down, Opening, Up, Searching> phase;
        std::string server;
        std::uint16_t port{};
        bool active{};  ///< was started and not stopped since, be it lost meanwhile
        bool guest{};
        bool hands_over{};                               ///< another node is expected to take over
        bool handed_over{};                              ///< it has
        std::map<std::uint32_t, Monitor> monitors;       ///< recurring ones, by run
        std::map<std::uint32_t, ConnectionOrder> poked;  ///< monitors that wait for the sign of life, by run
        std::map<std::uint32_t, Asked> asked;
        std::optional<ConnectionOrder> stopping;  ///< waits for the take-over
    };

    Connection& at(const std::string& node) { return connections_[node]; }
    void connect(const Now& now, const std::string& node, Events& out);
    void attempt_failed(const Now& now, const std::string& node, std::string_view why, Events& out);
    void registered(const Now& now, const std::string& node, int rc, Events& out);
    void poke(const Now& now, const std::string& node, const ConnectionOrder& order, Events& out);
    void lost(const Now& now, const std::string& node, std::string_view why, Events& out, bool searchable = true,
              bool told = false);
    void search(const Now& now, const std::string& node, Events& out);
    void search_over(const Now& now, const std::string& node, bool found, bool here, Events& out, bool ordered = false);
    static void fail_monitors(const Now& now, const std::string& node,
                              const std::map<std::uint32_t, ConnectionOrder>& failing, Events& out);
    void stop(const Now& now, const ConnectionOrder& order, Events& out);
    void stopped(const Now& now, const ConnectionOrder& order, Events& out);
    void give_up_opening(const Now& now, const std::string& node, std::string_view why, Events& out);
    void request(const Now& now, const std::string& node, Asked asked, const xml::NodePtr& message, Events& out);
    void watch_answers(const std::string& node, Events& out);
    static void refuse(const Now& now, const ConnectionOrder& order, Events& out);
    static void result(const Now& now, const ConnectionOrder& order, ExecStatus status, int rc, std::string_view why,
                       Events& out);

    std::map<std::string, Connection, std::less<>> connections_;
    std::map<std::string, std::pair<std::string, std::uint32_t>> reaching_;  ///< asker and token, by transport name
    std::uint32_t tokens_ = 0;
    std::uint32_t numbers_ = 0;  ///< of requests, over all connections
};

}  // namespace systole::controller
