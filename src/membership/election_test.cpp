#include "membership/election.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>

namespace systole::membership {
namespace {
constexpr NodeId k1{1}, k2{2}, k3{3};
const std::set<NodeId> kBoth{k1, k2};
const wire::NodeRef kA{k1, "a"}, kB{k2, "b"};
constexpr Instant at(int ms) { return Instant{Duration{ms}}; }

struct Case {
    const char* name;
    std::string version;
    int age_ms;
    Verdict expected;
};

class Rules : public testing::TestWithParam<Case> {};
TEST_P(Rules, BetweenTwoCandidates) {
    Election a(kA, "3.16.1");
    const Vote vote{
        .no_vote = false, .owner = k2, .round = 1, .version = GetParam().version, .age = Duration(GetParam().age_ms)};
    EXPECT_EQ(a.on_vote(at(0), Duration(5), kB, vote, {.active = kBoth}), GetParam().expected);
}
INSTANTIATE_TEST_SUITE_P(All, Rules,
                         testing::Values(Case{"OlderSoftwareWins", "3.16.0", 0, Verdict::kLost},
                                         Case{"NewerSoftwareLoses", "3.20.5", 999, Verdict::kCall},
                                         Case{"GreaterAgeWins", "3.16.1", 6, Verdict::kLost},
                                         Case{"SmallerAgeLoses", "3.16.1", 4, Verdict::kCall},
                                         Case{"FirstNameWins", "3.16.1", 5, Verdict::kCall}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Election, ElectedOnceEveryActiveMemberAnswered) {
    Election a(kA);
    const Vote vote = a.start(at(0), Duration(0), kBoth);
    EXPECT_EQ(a.on_vote(at(1), Duration(1), kA, vote, {.active = kBoth}), Verdict::kNothing);
    Election b(kB);
    EXPECT_EQ(b.on_vote(at(1), Duration(0), kA, vote, {.active = kBoth}), Verdict::kLost);
    EXPECT_EQ(a.on_vote(at(2), Duration(2), kB, b.answer(vote), {.active = kBoth}), Verdict::kElected);
    EXPECT_EQ(a.state(), Election::State::kWon);
    EXPECT_EQ(b.state(), Election::State::kLost);
}

TEST(Election, AnAnswerToAnEarlierRoundDoesNotCount) {
    Election a(kA);
    const Vote old = a.start(at(0), Duration(0), kBoth);
    const Vote now = a.start(at(1), Duration(0), kBoth);
    EXPECT_EQ(a.on_vote(at(2), Duration(0), kA, now, {.active = kBoth}), Verdict::kNothing);
    EXPECT_EQ(a.on_vote(at(2), Duration(0), kB, Election(kB).answer(old), {.active = kBoth}), Verdict::kNothing);
    EXPECT_EQ(a.on_vote(at(2), Duration(0), kB, Election(kB).answer(now), {.active = kBoth}), Verdict::kElected);
}

TEST(Election, ALeavingMemberOwesNoAnswer) {
    Election a(kA);
    const Vote vote = a.start(at(0), Duration(0), kBoth);
    (void)a.on_vote(at(0), Duration(0), kA, vote, {.active = kBoth});
    EXPECT_EQ(a.on_members({k1, k3}), Verdict::kNothing);
    EXPECT_EQ(a.on_members({k1}), Verdict::kElected);
}

TEST(Election, WhoIsNotReadyConcedes) {
    Election a(kA);
    const Vote vote{.no_vote = false, .owner = k2, .round = 1, .version = "9.0.0", .age = {}};
    EXPECT_EQ(a.on_vote(at(0), Duration(5), kB, vote, {.eligible = false, .active = kBoth}), Verdict::kLost);
}

TEST(Election, ALoserLetsTheBetterCandidateGoFirst) {
    const std::set<NodeId> all{k1, k2, k3};
    Election b(kB);
    EXPECT_EQ(b.on_vote(at(0), Duration(0), kA, {.owner = k1, .round = 1, .version = std::string(wire::kFeatureSet)},
                        {.active = all}),
              Verdict::kLost);
    const Vote worse{.no_vote = false, .owner = k3, .round = 1, .version = std::string(wire::kFeatureSet), .age = {}};
    EXPECT_EQ(b.on_vote(at(1999), Duration(0), {k3, "c"}, worse, {.active = all}), Verdict::kNothing);
    EXPECT_EQ(b.on_vote(at(2000), Duration(0), {k3, "c"}, worse, {.active = all}), Verdict::kCall);
}

TEST(Election, MessagesKeepEveryField) {
    const Vote vote{
        .no_vote = false, .owner = k2, .round = 7, .version = "3.16.1", .age = std::chrono::microseconds(2'000'123)};
    const auto back = parse_vote(*vote_message(vote, "crmd", "", "vote-crmd-1-0"));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->owner, k2);
    EXPECT_EQ(back->round, 7U);
    EXPECT_EQ(back->version, "3.16.1");
    EXPECT_EQ(back->age, vote.age);
    EXPECT_FALSE(back->no_vote);
    EXPECT_FALSE(parse_vote(*xml::Builder("message").set("crm_task", "vote").build()));
}

// n nodes of random ages over a totally ordered bus, all voting at once: exactly one is elected, with few messages.
TEST(Election, OneWinnerWithinOneRoundTripWhateverTheAges) {
    for (unsigned seed = 1; seed <= 200; ++seed) {
        std::mt19937 random(seed);
        const auto n = static_cast<unsigned>(1 + random() % 9);
        std::set<NodeId> active;
        std::map<NodeId, wire::NodeRef> refs;
        std::map<NodeId, Election> elections;
        std::map<NodeId, int> born;
        for (unsigned i = 1; i <= n; ++i) {
            const NodeId id{i};
            active.insert(id);
            refs[id] = {id, "n" + std::to_string(i)};
            elections.emplace(id, Election(refs[id]));
            born[id] = static_cast<int>(random() % 4) * 10;
        }
        int clock = 100;
        struct Sent {
            NodeId from, to;
            Vote vote;
        };
        std::deque<Sent> bus;
        for (const NodeId id : active)
            bus.push_back({id, {}, elections.at(id).start(at(clock), Duration(clock - born[id]), active)});
        std::set<NodeId> elected;
        int messages = 0;
        while (!bus.empty()) {
            ASSERT_LT(++messages, 1000) << "seed " << seed;
            const Sent sent = bus.front();
            bus.pop_front();
            clock += static_cast<int>(random() % 5);
            for (const NodeId id : active) {
                if (sent.to.value != 0 && sent.to != id) continue;
                Election& e = elections.at(id);
                switch (
                    e.on_vote(at(clock), Duration(clock - born[id]), refs[sent.from], sent.vote, {.active = active})) {
                    case Verdict::kNothing: break;
                    case Verdict::kLost: bus.push_back({id, sent.from, e.answer(sent.vote)}); break;
                    case Verdict::kCall:
                        bus.push_back({id, {}, e.start(at(clock), Duration(clock - born[id]), active)});
                        break;
                    case Verdict::kElected: elected.insert(id); break;
                }
            }
        }
        EXPECT_EQ(elected.size(), 1U) << "seed " << seed;
    }
}
}  // namespace
}  // namespace systole::membership
