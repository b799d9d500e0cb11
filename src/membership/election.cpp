#include "membership/election.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace systole::membership {
namespace {
/// How long an age stays frozen, and how long a loser lets better candidates go first.
constexpr Duration kDampening = std::chrono::seconds(2);

std::optional<std::uint32_t> number(std::string_view text) {
    const auto value = parse_integer(text);
    if (!value || *value < 0 || *value > UINT32_MAX) return std::nullopt;
    return static_cast<std::uint32_t>(*value);
}
}  // namespace

Result<Vote> parse_vote(const xml::Node& message) {
    const auto owner = number(message.get("election-owner"));
    const auto round = number(message.get("election-id"));
    if (!owner || !round)
        return fail(Errc::kInvalid,
                    "vote from " + std::string(message.get("src")) + ": election-owner or election-id is no number");
    Vote vote;
    vote.no_vote = wire::task_of(message) == "no-vote";
    vote.owner = NodeId{*owner};
    vote.round = *round;
    vote.version = message.get("version");
    vote.age = std::chrono::seconds(parse_integer(message.get("election-age-sec")).value_or(0)) +
               std::chrono::microseconds(parse_integer(message.get("election-age-nano-sec")).value_or(0));
    return vote;
}

std::chrono::microseconds Election::frozen_age(Instant now, Duration age) {
    if (!age_used_ || now - *age_used_ > kDampening) age_ = age;
    age_used_ = now;
    return age_;
}

Vote Election::start(Instant now, Duration age, const std::set<NodeId>& active) {
    ++round_;
    asked_ = active;
    state_ = State::kInProgress;
    answered_.clear();
    return {.no_vote = false, .owner = self_.id, .round = round_, .version = version_, .age = frozen_age(now, age)};
}

Vote Election::answer(const Vote& vote) const {
    return {.no_vote = true, .owner = vote.owner, .round = vote.round, .version = version_, .age = {}};
}

Verdict Election::lose(Instant now) {
    lost_at_ = now;
    state_ = State::kLost;
    answered_.clear();
    return Verdict::kLost;
}

Verdict Election::on_vote(Instant now, Duration age, const wire::NodeRef& from, const Vote& vote,
                          const Standing& standing) {
    const bool own = from.id == self_.id;
    if (!own && !vote.no_vote && (!standing.eligible || !standing.active.contains(self_.id))) return lose(now);
    if (vote.owner == self_.id && vote.round != round_) return Verdict::kNothing;
    if (!standing.active.contains(from.id)) return Verdict::kNothing;
    if (vote.no_vote || own) {
        if (vote.owner != self_.id || state_ != State::kInProgress) return Verdict::kNothing;
        answered_.insert(from.id);
        return on_members(standing.active);
    }
    const auto ours = frozen_age(now, age);
    const int version = wire::compare_versions(vote.version, version_);
    bool lost = false;
    if (version != 0) {
        lost = version < 0;
    } else if (vote.age != ours) {
        lost = vote.age > ours;
    } else {
        lost = compare_ignoring_case(self_.name, from.name) > 0;
    }
    if (lost) return lose(now);
    // Our open vote reaches the sender too (or has already), and it will have to concede to it. Calling again for every
    // worse candidate would cost n * n votes when n nodes start together.
    if (state_ == State::kInProgress && asked_.contains(from.id)) return Verdict::kNothing;
    // Whoever beat us a moment ago beats this sender too; a third vote would only prolong the race.
    if (lost_at_ && now - *lost_at_ < kDampening) return Verdict::kNothing;
    return Verdict::kCall;
}

Verdict Election::on_members(const std::set<NodeId>& active) {
    if (state_ != State::kInProgress) return Verdict::kNothing;
    if (!answered_.contains(self_.id) || !std::ranges::includes(answered_, active)) return Verdict::kNothing;
    state_ = State::kWon;
    return Verdict::kElected;
}

Verdict Election::on_timeout() {
    if (state_ != State::kInProgress) return Verdict::kNothing;
    state_ = State::kWon;
    return Verdict::kElected;
}

void Election::reset() {
    state_ = State::kIdle;
    answered_.clear();
}

void Election::concede() {
    state_ = State::kLost;
    answered_.clear();
}

xml::NodePtr vote_message(const Vote& vote, std::string_view system, std::string_view to, std::string_view reference) {
    xml::Builder message = wire::make_message({.origin = "election",
                                               .task = vote.no_vote ? "no-vote" : "vote",
                                               .to_system = system,
                                               .from_system = system,
                                               .to_host = to,
                                               .reference = reference,
                                               .version = vote.version});
    message.set("election-owner", vote.owner.value).set("election-id", vote.round);
    if (!vote.no_vote) {
        message.set("election-age-sec", static_cast<long long>(vote.age.count() / 1'000'000));
        message.set("election-age-nano-sec", static_cast<long long>(vote.age.count() % 1'000'000));
    }
    return std::move(message).build();
}

}  // namespace systole::membership
