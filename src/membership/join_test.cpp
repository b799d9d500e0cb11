#include "membership/join.h"

#include <gtest/gtest.h>

namespace systole::membership {
namespace {
constexpr NodeId k1{1}, k2{2}, k3{3};

JoinBoard::Request request(std::uint32_t id, CibVersion version, std::string features = "3.20.5") {
    return {.join_id = id, .active = true, .feature_set = std::move(features), .version = version, .schema = {}};
}

TEST(JoinBoard, EverybodyPassesThroughThePhases) {
    JoinBoard board;
    EXPECT_EQ(board.begin({k1, k2}), 1U);
    EXPECT_EQ(board.on_request(k1, request(1, {0, 5, 1}), "3.20.5").answer, JoinBoard::Answer::kAccepted);
    EXPECT_TRUE(board.waits_for(JoinPhase::kOffered));
    EXPECT_EQ(board.on_request(k2, request(1, {0, 5, 1}), "3.20.5").answer, JoinBoard::Answer::kAccepted);
    EXPECT_FALSE(board.waits_for(JoinPhase::kOffered));
    EXPECT_EQ(board.finalize(), (std::vector{k1, k2}));
    EXPECT_FALSE(board.on_confirm(k1, 7));
    EXPECT_TRUE(board.on_confirm(k1, 1));
    EXPECT_FALSE(board.on_confirm(k1, 1));
    EXPECT_EQ(board.phase(k2), JoinPhase::kFinalized);
    board.forget(k2);
    EXPECT_FALSE(board.waits_for(JoinPhase::kFinalized));
}

TEST(JoinBoard, TheGreatestCibWinsAndTheDcWinsATie) {
    JoinBoard board;
    const auto id = board.begin({k1, k2, k3});
    (void)board.on_request(k1, request(id, {0, 5, 1}), "3.20.5");
    (void)board.on_request(k2, request(id, {0, 6, 0}), "3.20.5");
    (void)board.on_request(k3, request(id, {0, 6, 0}), "3.20.5");
    EXPECT_EQ(board.best(k1, {0, 5, 1}), k2);
    EXPECT_EQ(board.best(k3, {0, 6, 0}), k3);
    EXPECT_EQ(board.best(k1, {1, 0, 0}), k1);
}

struct Refusal {
    const char* name;
    JoinBoard::Request request;
    JoinBoard::Answer answer;
};
class Refusals : public testing::TestWithParam<Refusal> {};
TEST_P(Refusals, Are) {
    JoinBoard board;
    (void)board.begin({k1, k2});
    const auto reply = board.on_request(k2, GetParam().request, "3.16.1");
    EXPECT_EQ(reply.answer, GetParam().answer);
    EXPECT_FALSE(reply.why.empty());
}
INSTANTIATE_TEST_SUITE_P(
    All, Refusals,
    testing::Values(
        Refusal{"AnotherJoin", request(9, {}), JoinBoard::Answer::kStale},
        Refusal{"OlderFeatures", request(1, {}, "3.15.9"), JoinBoard::Answer::kRefused},
        Refusal{"OtherMajor", request(1, {}, "4.16.1"), JoinBoard::Answer::kRefused},
        Refusal{"NoGeneration", {.join_id = 1, .active = true, .feature_set = "3.16.1"}, JoinBoard::Answer::kRefused},
        Refusal{"NotActive",
                {.join_id = 1, .active = false, .feature_set = "3.16.1", .version = CibVersion{}},
                JoinBoard::Answer::kRefused}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(JoinMember, FollowsOneDc) {
    JoinMember member;
    EXPECT_EQ(member.on_offer("a", 3, "3.16.1"), JoinMember::Offer::kAccept);
    EXPECT_TRUE(member.matches("A", 3));
    EXPECT_FALSE(member.matches("a", 2));
    EXPECT_EQ(member.on_offer("b", 1, "3.16.1"), JoinMember::Offer::kOtherDc);
    member.reset();
    EXPECT_EQ(member.on_offer("b", 1, "3.99.0"), JoinMember::Offer::kIncompatible);
    EXPECT_EQ(member.on_offer("b", 1, "3.16.1"), JoinMember::Offer::kAccept);
    EXPECT_EQ(member.dc(), "b");
}
}  // namespace
}  // namespace systole::membership
