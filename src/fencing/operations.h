#pragma once
// fencing/operations.h — all fencing operations of the cluster that this node knows: its own ones are pursued to their
// end, those of its peers are recorded, and what has ended is the history.
//
// An operation lives through query (peers are asked what they can do), execution (a peer does it with one device after
// the other) and its result, which the owner broadcasts and every member takes note of when that message arrives, the
// owner included: so all members finish it at the same place in the order of messages.
//
// Invariants: an operation that is pursued has a query, step or total timer; a duplicate is in the list of exactly one
// operation under way; at most kHistoryMax operations that ended are kept.
// Source: protocol sheet fencer.md, sections 3, 5 and 9.
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fencing/clients.h"
#include "fencing/operation.h"
#include "fencing/topology.h"

namespace systole::fencing {

class Operations {
public:
    Operations(Context& context, Clients& clients, Topology& topology, HasAttribute has_attribute)
        : c_(context), clients_(clients), topology_(topology), has_attribute_(std::move(has_attribute)) {}

    // ---- Requests ----
    /// A client's st_fence.
    void request(const xml::Node& message, const wire::Client& client, const Asker& asker);
    /// The controller's.
    void request(std::uint32_t token, const FenceRequest& request);
    /// A peer can't fence itself and asks us to own the operation.
    void on_relay(const xml::Node& message, std::string_view peer);

    // ---- Messages of peers ----
    /// The query of an operation: recorded here, whoever owns it.
    void on_query(const xml::Node& message, std::string_view peer);
    void on_query_reply(const xml::Node& message, std::string_view peer);
    /// The result of one step, or of the whole operation (broadcast).
    void on_result(const xml::Node& message, std::string_view peer);
    void on_timeout_update(const xml::Node& message);

    // ---- History ----
    void on_history_message(const xml::Node& message, std::string_view peer);
    /// A client's st_fence_history.
    void on_history_request(const xml::Node& message, const Asker& asker);
    void broadcast_history();

    // ---- The world around ----
    void on_timer(std::string_view what);
    void on_peers_left();
    void on_quorum_lost();
    void on_client_closed(wire::ClientId client);

    /// Operations that ended since the last call: local work for them is to be dropped.
    [[nodiscard]] std::vector<std::string> take_ended() {
        if (!ended_.empty()) trim();
        return std::exchange(ended_, {});
    }
    [[nodiscard]] std::vector<HistoryEntry> entries() const;
    [[nodiscard]] std::vector<std::string> check_state() const;

private:
    // operations.cpp
    Operation& create(Operation operation, const xml::Node* request);
    void merge_if_duplicate(Operation& operation);
    void begin(Operation& operation);
    void confirm_by_hand(Operation& operation);
    bool relay_elsewhere(Operation& operation);
    /// Ends it unless an agent may be started for it here and now.
    bool lacks_right(Operation& operation);
    [[nodiscard]] bool tolerated(std::string_view target, std::string_view action, Duration tolerance) const;
    void finish(Operation& operation, Outcome outcome);  ///< tells all; concluded when the message comes back
    void conclude(Operation& operation, bool as_duplicate);
    void cancel_timers(const Operation& operation);
    [[nodiscard]] xml::NodePtr result_element(const Operation& operation, bool with_outcome) const;
    [[nodiscard]] Operation* find(std::string_view id);
    void trim();
    void tell_timeout(const Operation& operation, Duration total);
    void set_completed(Operation& operation);

    // pursuit.cpp: what an owner does
    bool next_level(Operation& operation, bool none_is_fine);
    void advance(Operation& operation, PeerOffer* preferred);
    PeerOffer* choose_peer(Operation& operation);
    PeerOffer* best_offer(Operation& operation, bool target_only, bool skip_target, bool verified_only);
    void ask_peer(Operation& operation, PeerOffer& peer, const std::string& device);
    /// The peer that was asked won't report any more, or not in time.
    void step_lost(Operation& operation, std::string why);
    void no_peer_left(Operation& operation);
    void step_succeeded(Operation& operation, const std::string& device);
    void on_step_result(Operation& operation, const xml::Node& message, std::string_view peer);
    void finish_timed_out(Operation& operation, std::string reason);
    bool wait_for_watchdog(Operation& operation);
    [[nodiscard]] bool is_watchdog_fencing(const Operation& operation, std::string_view device) const;
    [[nodiscard]] bool all_devices_found(const Operation& operation) const;
    [[nodiscard]] Duration device_timeout(const Operation& operation, const PeerOffer* peer, std::string_view device,
                                          bool with_delay) const;
    [[nodiscard]] Duration peer_timeout(const Operation& operation, const PeerOffer& peer) const;
    [[nodiscard]] Duration total_timeout(const Operation& operation, const PeerOffer* chosen) const;

    // history.cpp
    [[nodiscard]] xml::NodePtr history_element(bool with_ids, std::string_view target) const;
    [[nodiscard]] static xml::NodePtr history_entry(const Operation& operation, bool with_id);
    void send_history(xml::NodePtr history, std::uint32_t options, std::string_view target);
    void cleanup(std::string_view target);
    void merge_history(const xml::Node* history, bool answer);

    Context& c_;
    Clients& clients_;
    Topology& topology_;
    HasAttribute has_attribute_;
    std::map<std::string, Operation, std::less<>> operations_;
    std::vector<std::string> ended_;
    std::uint64_t broadcasts_ = 0;
    WallTime last_completed_{};
    std::int64_t completed_in_second_ = 0;
};

}  // namespace systole::fencing
