#pragma once
// cib/manager.h — the CIB manager of one node: clients, replication, full syncs, notifications.
//
// A modifying request is sent to all nodes in total order and executed by each on its own copy; the node where the
// client waits answers when its own copy of the message comes back. The primary (the DC's manager) compares digests
// some seconds after the last change and sends its whole CIB to a node that differs.
//
// Invariants: the snapshot changes only when a message is delivered by the group (or at load); a notification precedes
// the reply of the request that caused it; every request that expects a response gets exactly one.
// Source: protocol sheets cib.md (all), ipc.md sections 6-9, cpg.md section 4.
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "cib/operations.h"
#include "wire/port.h"

namespace systole::cib {

/// A part of the same process that uses the CIB (controller, attribute manager, fencer).
struct LocalClient {
    std::string name;                ///< cib_clientname, "crmd"; unique among them
    std::string user = "hacluster";  ///< whose rights count
};

// ---- Effects beside those of wire/port.h ----------------------------------------------------------------------------

/// The answer to on_local_request; `reply` is a cib-reply as on the wire.
struct LocalReply {
    std::string client;
    std::uint64_t token{};
    xml::NodePtr reply;
};

/// The snapshot changed. Comes before the reply to the request that caused it.
struct Changed {
    xml::NodePtr before, after;
    xml::NodePtr patchset;  ///< what notifications carry; null if only parts that nobody is told of changed
    std::string op;         ///< cib_op of the request
    std::string origin;     ///< node that the request came from
    std::string client_id, client_name, call_id;
    std::string user;
    bool notify = true;  ///< false: clients were not told (inhibit_notify)
};

/// Answered by on_written with the token. Only the newest waiting one needs to be written.
struct Write {
    std::uint64_t token{};
    xml::NodePtr cib;
};

/// The shutdown handshake is done: the group can be left. `clean` is false after its timeout.
struct Stopped {
    bool clean = true;
};

/// This is the primary, and a member has a newer CIB: it will refuse ours for good.
struct Behind {
    std::string node;
};

using Effect = std::variant<wire::Multicast, wire::Respond, wire::SendEvent, wire::Evict, wire::ArmTimer,
                            wire::CancelTimer, wire::Log, LocalReply, Changed, Write, Stopped, Behind>;
using Effects = std::vector<Effect>;  ///< to be performed in this order

struct ManagerConfig {
    std::string node;         ///< our node name
    std::string feature_set;  ///< ours, "3.20.5"
    Schemas* schemas = nullptr;
    /// Wall time as cib-last-written wants it, "Sun Nov 22 19:14:31 2026"; where it isn't given, UTC.
    std::function<std::string(WallTime)> time_text{};
    /// Unix groups of a user, for acl_group.
    std::function<std::vector<std::string>(std::string_view user)> groups_of{};
    Duration ping_delay{5000};  ///< from the last change to the primary's comparison
    Duration shutdown_timeout{10000};
    Duration write_retry_delay{5000};  ///< from a write that failed to the next try
};

class Manager {
public:
    explicit Manager(ManagerConfig config);

    /// First input. `fault` is why requests must be refused (damaged beyond repair, invalid); empty if sound.
    [[nodiscard]] Effects on_loaded(const Now& now, xml::NodePtr cib, const std::string& fault = {});
    [[nodiscard]] Effects on_client_connected(const wire::Client& client);
    [[nodiscard]] Effects on_client_request(const Now& now, const wire::ClientRequest& request);
    [[nodiscard]] Effects on_client_closed(wire::ClientId client);
    /// `request` is a cib_command (make_request); call id and options are the caller's. Answered by LocalReply, also
    /// where the request asks for no reply.
    [[nodiscard]] Effects on_local_request(const Now& now, const LocalClient& client, std::uint64_t token,
                                           const xml::NodePtr& request);
    [[nodiscard]] Effects on_group_change(const Now& now, const wire::GroupChange& change);
    [[nodiscard]] Effects on_peer_message(const Now& now, const wire::PeerMessage& message);
    /// Timers are named "cib/..."; others are ignored.
    [[nodiscard]] Effects on_timer(const Now& now, const std::string& name);
    [[nodiscard]] Effects on_written(const Now& now, std::uint64_t token, const std::string& fault);
    /// New requests are refused from here on; Stopped follows.
    [[nodiscard]] Effects on_shutdown(const Now& now);

    [[nodiscard]] const xml::NodePtr& cib() const { return cib_; }
    [[nodiscard]] bool is_primary() const { return primary_; }
    [[nodiscard]] std::vector<std::string> check_state() const;  ///< broken invariants, in words

private:
    struct ClientState {
        wire::Client client;
        std::string name{};    ///< first cib_clientname seen, else the process id
        bool proxied = false;  ///< all answers go out as events
        std::set<std::string, std::less<>> subscriptions{};
    };
    /// Somebody here who waits for the answer to a request.
    struct Waiting {
        std::string local{};  ///< an in-process client's name; else `client` counts
        std::uint64_t token{};
        wire::ClientId client{};
        std::uint32_t ipc_request{};
        bool response = false;  ///< by Respond, else as an event
        bool wanted = true;     ///< false: the reply is to be discarded
        std::string host{};     ///< the one node that can answer; empty: our own copy of the message does
    };
    using WaitingKey = std::pair<std::string, std::string>;  // client uuid, call number

    void accept(const Now& now, const Request& request, Waiting waiting, bool privileged, Effects& out);
    void take_request(const Now& now, const Request& request, const std::string& from, Effects& out);
    Outcome execute_here(const Request& request, Effects& out);
    void modify_here(const Now& now, const Request& request, const std::string& from, Effects& out);
    void try_upgrade(const Request& request, const std::string& from, Effects& out);
    void take_upgrade(const Now& now, const Request& request, const std::string& from, Effects& out);
    void forward(const Request& request, Waiting waiting, const std::string& to, Effects& out);
    void answer(const Waiting& waiting, const xml::NodePtr& reply, Effects& out);
    void answer_waiting(const Request& request, const xml::NodePtr& reply, Effects& out);
    void take_ping_reply(const Request& request, const std::string& from, Effects& out);
    void take_shutdown_request(const Request& request, const std::string& from, Effects& out);
    void subscribe(ClientState& client, const wire::ClientRequest& ipc, Effects& out);
    void activate(const Now& now, const Request& request, const Outcome& outcome, Effects& out);
    void notify(const Request& request, int rc, const xml::NodePtr& patchset, Effects& out);
    void send_full_cib(const Request& request, const std::string& to, Effects& out);
    [[nodiscard]] xml::NodePtr make_ping_answer(const Request& request) const;
    [[nodiscard]] World world(const Now& now) const;
    void stop(bool clean, Effects& out);

    ManagerConfig config_;
    xml::NodePtr cib_;
    std::string fault_;  ///< why requests are refused; a sound CIB from a peer ends that
    int fault_rc_ = 0;
    bool primary_ = false;
    bool stopping_ = false;
    bool stopped_ = false;
    std::set<NodeId> peers_;
    std::map<NodeId, std::string> names_;  ///< of peers that were heard
    std::map<wire::ClientId, ClientState> clients_;
    std::multimap<WaitingKey, Waiting> waiting_;
    std::uint64_t ping_sequence_ = 0;
    bool unchanged_since_ping_ = false;
    std::uint64_t write_token_ = 0;
    std::optional<std::uint64_t> write_retried_;  ///< the disk takes nothing; the last try's token
    std::uint64_t local_calls_ = 0;
};

}  // namespace systole::cib
