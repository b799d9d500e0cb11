#pragma once
// attributes/manager.h — the attribute manager of one node.
//
// An update is sent to all nodes in total order and applied by each when it is delivered; one of them, the writer, is
// elected to bring what changed into the CIB. Ours is not limited to one attribute a write: whatever is due at a moment
// goes in one CIB modification (per user), so that a burst of updates costs one.
//
// Invariants: every client request that expects a response gets exactly one; the writer has at most one CIB
// modification under way per attribute; a cluster node's values vanish when it leaves the group, and only it can bring
// them back; what the CIB has for a member and no manager knows is erased when the member, or a new writer, appears.
// Source: protocol sheet attrd.md (whole); ipc.md, section 6.
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "attributes/table.h"
#include "base/exit_code.h"
#include "membership/election.h"
#include "wire/port.h"

namespace systole::attributes {

/// A request to the CIB manager of this process; answered by on_cib_reply with the token.
struct CibCall {
    std::uint64_t token{};
    xml::NodePtr request;
    std::string user;  ///< whose rights count
};

/// A value changed (or was removed: no value). For alerts, and for parts of the same process that watch attributes.
struct Changed {
    std::string attribute, node;
    std::optional<std::string> value;
    bool by_writer = false;  ///< this node writes it into the CIB, so this node tells the alert agents
};

using Effect = std::variant<wire::Multicast, wire::Respond, wire::SendEvent, wire::ArmTimer, wire::CancelTimer,
                            wire::Log, CibCall, Changed>;
using Effects = std::vector<Effect>;  ///< to be performed in this order

class Manager {
public:
    /// `seed`: number that call ids start from.
    explicit Manager(wire::NodeRef self, std::uint64_t seed = 1);

    [[nodiscard]] Effects on_client_request(const Now& now, const wire::Client& client,
                                            const wire::ClientRequest& request);
    [[nodiscard]] Effects on_client_closed(wire::ClientId client);
    /// A message as a client would send it, from a part of this process or for a remote node's client.
    [[nodiscard]] Effects on_local_request(const Now& now, const xml::NodePtr& message,
                                           std::string_view user = "hacluster");
    [[nodiscard]] Effects on_group_change(const Now& now, const wire::GroupChange& change);
    [[nodiscard]] Effects on_node_identified(const Now& now, const wire::NodeRef& node);
    [[nodiscard]] Effects on_peer_message(const Now& now, const wire::PeerMessage& message);
    /// Timers are named "attrd/..."; others are ignored.
    [[nodiscard]] Effects on_timer(const Now& now, const std::string& name);
    [[nodiscard]] Effects on_cib_reply(const Now& now, std::uint64_t token, int rc);
    /// The CIB changed by somebody else's hand: `patchset` as notifications carry it, `client` who did it.
    [[nodiscard]] Effects on_cib_changed(const Now& now, const xml::Node& patchset, std::string_view client);

    [[nodiscard]] const Table& table() const { return table_; }
    [[nodiscard]] std::optional<std::string> value(std::string_view attribute, std::string_view node) const;
    [[nodiscard]] const std::string& writer() const { return writer_; }
    [[nodiscard]] std::vector<std::string> check_state() const;

private:
    struct Peer {
        std::string name;
        int protocol = 0;  ///< 0: not announced yet
    };
    /// A write to the CIB: one modification and maybe deletions, all with the same token.
    struct UnderWay {
        std::vector<std::string> attributes;
        std::size_t calls_left = 0;
        int rc = 0;  ///< of the first call that failed
    };
    /// A client that waits for a sync point.
    struct Waiting {
        wire::ClientId client;
        std::uint32_t request{};
        bool cluster = false;
        std::set<NodeId> missing;  ///< peers that have not confirmed yet
    };

    void accept(const Now& now, const xml::NodePtr& message, std::string_view user, std::optional<std::uint64_t> call,
                bool confirm, Effects& out);
    void send(xml::Builder message, const std::string& to, Effects& out);
    void send_update(const xml::Node& op, const xml::Node& root, std::string_view user,
                     std::optional<std::uint64_t> call, bool confirm, Effects& out);
    [[nodiscard]] xml::NodePtr query(const xml::Node& message) const;
    void announce_protocol(Effects& out);
    void send_all_values(const std::string& to, Effects& out);

    void apply(const Now& now, const xml::Node& op, const xml::Node& root, const wire::NodeRef& from, bool from_sync,
               Effects& out);
    struct ChangeOf {
        std::string_view by;  ///< node that asks
        bool force = false;   ///< also where the value stays the same
    };
    void apply_value(const Now& now, Attribute& attribute, const std::string& node, std::optional<std::string> text,
                     const xml::Node& op, const xml::Node& root, const ChangeOf& change, Effects& out);
    void apply_clear_failure(const Now& now, const xml::Node& message, std::string_view by, Effects& out);
    void apply_removal(const Now& now, const xml::Node& message, const wire::NodeRef& from, Effects& out);
    void apply_sync(const Now& now, const xml::Node& message, const wire::NodeRef& from, Effects& out);
    void confirm(const xml::Node& message, const wire::NodeRef& from, Effects& out);
    void changed(const Now& now, Attribute& attribute, Effects& out);
    void reached(std::map<std::uint64_t, Waiting>::iterator waiting, ExitCode status, Effects& out);

    void call_election(const Now& now, Effects& out);
    void send_vote(const Now& now, Effects& out);
    void on_vote(const Now& now, const xml::Node& message, const wire::NodeRef& from, Effects& out);
    void became_writer(const Now& now, Effects& out);
    void note_writer(const Now& now, const wire::NodeRef& from, const xml::Node& message, Effects& out);
    void take_back_departed(const xml::Node& message, Effects& out);
    void erase_unknown(const std::vector<NodeId>& nodes, Effects& out);
    void erase_all_of(std::string_view node, Effects& out);
    void erase(const std::string& path, std::uint32_t options, Effects& out);
    void write_due(Effects& out);
    [[nodiscard]] bool is_writer() const { return election_.state() == membership::Election::State::kWon; }
    [[nodiscard]] std::set<NodeId> members() const;
    [[nodiscard]] int lowest_protocol() const;
    [[nodiscard]] std::string id_of(std::string_view node) const;

    wire::NodeRef self_;
    std::uint64_t next_call_;
    std::uint64_t next_token_ = 1;
    Table table_;
    membership::Election election_;
    std::string writer_;
    std::map<NodeId, Peer> peers_;                 ///< active members of the group, this node included
    std::map<std::string, std::string> node_ids_;  ///< lower-case cluster node name to XML id
    /// Names of nodes whose attributes were removed and that got none since. A writer that ends may not have
    /// erased them in the CIB yet; the next one does.
    std::set<std::string> removed_;
    std::map<std::uint64_t, UnderWay> writes_;  ///< by token: CIB modifications not yet answered
    std::map<std::uint64_t, Waiting> waiting_;  ///< by call id
    bool started_ = false;
};

}  // namespace systole::attributes
