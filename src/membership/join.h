#pragma once
// membership/join.h — how nodes become full members under a DC.
//
// The DC offers, members answer with their CIB's version, the DC lets the best CIB win, acknowledges, and members
// confirm with their resource history. Two cores: JoinBoard for the DC, JoinMember for everybody (the DC joins its own
// cluster the same way). Messages and the CIB are the caller's; here is who has got how far, and what is refused.
//
// Invariants: a node is in exactly one phase; a request or confirmation with another join id than the current one
// moves nobody.
// Source: protocol sheet controller.md, section 4.
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "xml/tree.h"

namespace systole::membership {

/// The counters of a CIB, most significant first.
struct CibVersion {
    long long admin_epoch{}, epoch{}, num_updates{};
    auto operator<=>(const CibVersion&) const = default;
};
/// From the attributes of <cib> or <generation_tuple>; missing counters are 0.
CibVersion cib_version(const xml::Node& root);

enum class JoinPhase : std::uint8_t {
    kOffered,     ///< has an offer, owes a request
    kIntegrated,  ///< request accepted, waits for the CIB and the acknowledgement
    kFinalized,   ///< acknowledged, owes its confirmation
    kConfirmed,   ///< full member
    kRefused,     ///< nacked: does not take part until it announces itself again
};
std::string_view to_text(JoinPhase phase);

/// The DC's side.
class JoinBoard {
public:
    /// A new round for these nodes: everybody owes a request. Returns the new join id.
    std::uint32_t begin(const std::set<NodeId>& nodes);
    /// One more node in the current round.
    void offer(NodeId node);
    void forget(NodeId node);  ///< it is gone
    void clear();              ///< no longer DC; the join id goes on counting

    struct Request {
        std::uint32_t join_id{};
        bool active{};                        ///< the sender is an active member
        std::string feature_set;              ///< the joiner's
        std::optional<CibVersion> version{};  ///< empty: it sent no generation
        std::string schema{};                 ///< validate-with of its CIB
    };
    enum class Answer : std::uint8_t { kAccepted, kStale, kRefused };
    struct Reply {
        Answer answer{};
        std::string why;  ///< where refused
    };
    /// `dc_feature_set`: what the DC requires of joiners.
    Reply on_request(NodeId node, const Request& request, std::string_view dc_feature_set);
    /// The CIB to be used: the greatest version among the integrated nodes; `self` wins a tie.
    [[nodiscard]] NodeId best(NodeId self, const CibVersion& own) const;
    /// Everybody integrated moves on to kFinalized and gets an acknowledgement. Returns them.
    std::vector<NodeId> finalize();
    /// True if it was expected; the node is confirmed then.
    bool on_confirm(NodeId node, std::uint32_t join_id);

    [[nodiscard]] std::uint32_t id() const { return id_; }
    [[nodiscard]] std::optional<JoinPhase> phase(NodeId node) const;
    [[nodiscard]] std::vector<NodeId> in(JoinPhase phase) const;
    [[nodiscard]] bool waits_for(JoinPhase phase) const;

private:
    std::map<NodeId, JoinPhase> phases_;
    std::map<NodeId, CibVersion> versions_;
    std::uint32_t id_{};
};

/// A member's side.
class JoinMember {
public:
    enum class Offer : std::uint8_t {
        kAccept,        ///< answer it with a request
        kOtherDc,       ///< we have another DC: reset and elect
        kIncompatible,  ///< the DC will never take us: exit for good
    };
    Offer on_offer(std::string_view from, std::uint32_t join_id, std::string_view dc_feature_set);
    /// True if the acknowledgement is for our request.
    [[nodiscard]] bool matches(std::string_view from, std::uint32_t join_id) const;
    void joined();
    void reset();

    [[nodiscard]] const std::string& dc() const { return dc_; }
    [[nodiscard]] const std::string& dc_feature_set() const { return dc_feature_set_; }
    [[nodiscard]] std::uint32_t id() const { return id_; }
    [[nodiscard]] bool is_joined() const { return joined_; }

private:
    std::string dc_, dc_feature_set_;
    std::uint32_t id_{};
    bool joined_{};
};

}  // namespace systole::membership
