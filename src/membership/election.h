#pragma once
// membership/election.h — one winner among the active members of a process group.
//
// Used for the DC (group crmd) and for the attribute writer (group attrd). A voter broadcasts a vote; whoever would
// rather win himself votes too, everybody else answers with a no-vote; who has an answer from every active member is
// elected. Older software wins, then the greater age, then the name that sorts first.
//
// The age is the process's (the reference takes its CPU time; any number that grows does). It is frozen until two
// seconds after its last use: two voters that compare ages at different moments would else both believe to be older,
// and vote for ever.
//
// Messages: build with vote_message(), read with parse_vote(). Timers belong to the caller: after start() a timeout of
// kElectionTimeout (or the cluster's election-timeout) leads to on_timeout().
// Source: protocol sheet controller.md, section 3.
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "wire/message.h"
#include "wire/port.h"

namespace systole::membership {

inline constexpr Duration kElectionTimeout = std::chrono::minutes(2);

struct Vote {
    bool no_vote{};
    NodeId owner;  ///< whose election it is: the voter's own id, in a no-vote the id of the one who is answered
    std::uint32_t round{};
    std::string version;              ///< feature set of the sender
    std::chrono::microseconds age{};  ///< of the sender; 0 in a no-vote
};

/// Errors: kInvalid if owner or round is missing or no number.
Result<Vote> parse_vote(const xml::Node& message);

/// What the caller has to do next.
enum class Verdict : std::uint8_t {
    kNothing,  ///< ignored, superseded, or recorded and others still have to answer
    kLost,     ///< send answer() to the sender; a DC gives up
    kCall,     ///< we are the better candidate: start() and broadcast
    kElected,  ///< every active member has answered our vote
};

class Election {
public:
    enum class State : std::uint8_t { kIdle, kInProgress, kWon, kLost };  ///< values as in attrd's attr_writer: 0 to 3

    explicit Election(wire::NodeRef self, std::string_view version = wire::kFeatureSet)
        : self_(std::move(self)), version_(version) {}

    /// Opens a new round of our own: returns the vote to broadcast. `age` is how long the process has lived (or ran),
    /// `active` who will get the vote. A voter should repeat this every second or so until it is elected or has lost:
    /// a member that learns late that we are one ignores the vote.
    Vote start(Instant now, Duration age, const std::set<NodeId>& active);

    struct Standing {
        bool eligible = true;            ///< started far enough to take the role
        const std::set<NodeId>& active;  ///< who takes part, ourselves included
    };
    /// A vote or no-vote as delivered by the group; our own come back here as well.
    Verdict on_vote(Instant now, Duration age, const wire::NodeRef& from, const Vote& vote, const Standing& standing);

    /// The active members changed: a missing answer may not be missing any more. kElected or kNothing.
    Verdict on_members(const std::set<NodeId>& active);
    /// Not everybody answered in time. kElected if a round of ours is open.
    Verdict on_timeout();

    /// The no-vote that answers `vote`; send it to the voter only.
    [[nodiscard]] Vote answer(const Vote& vote) const;
    void reset();    ///< we leave the race
    void concede();  ///< somebody else is known to hold the role

    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] std::uint32_t round() const { return round_; }

private:
    std::chrono::microseconds frozen_age(Instant now, Duration age);
    Verdict lose(Instant now);

    wire::NodeRef self_;
    std::string version_;
    State state_ = State::kIdle;
    std::uint32_t round_{};
    std::set<NodeId> asked_, answered_;
    std::optional<Instant> lost_at_;
    std::optional<Instant> age_used_;
    std::chrono::microseconds age_{};
};

/// The message that carries a vote: `system` is "crmd" (2.1.5's attribute manager uses it too). For a no-vote `to` is
/// the voter's name. The caller multicasts it to its group.
xml::NodePtr vote_message(const Vote& vote, std::string_view system, std::string_view to, std::string_view reference);

}  // namespace systole::membership
