#include "membership/peers.h"

#include <gtest/gtest.h>

namespace systole::membership {
namespace {
constexpr NodeId k1{1}, k2{2}, k3{3};
constexpr WallTime kNow{1000};

wire::GroupChange group(std::vector<wire::GroupMember> members) {
    return {.group = wire::Group::kController, .members = std::move(members), .joined = {}, .left = {}};
}

TEST(Peers, ANodeIsActiveOnceBothSourcesAgree) {
    Peers peers;
    EXPECT_EQ(peers.on_quorum({.ring = 8, .quorate = true, .members = {k1, k2}}, kNow),
              (PeerEvents{{PeerEventKind::kMemberGained, k1}, {PeerEventKind::kMemberGained, k2}}));
    EXPECT_TRUE(peers.active().empty());
    EXPECT_EQ(peers.on_group(group({{k1, 10}}), kNow), (PeerEvents{{PeerEventKind::kOnline, k1}}));
    EXPECT_EQ(peers.active(), (std::set<NodeId>{k1}));
    EXPECT_EQ(peers.find(k1)->online_since, kNow);
}

TEST(Peers, LossesComeBeforeGains) {
    Peers peers;
    (void)peers.on_quorum({.ring = 8, .quorate = true, .members = {k2, k3}}, kNow);
    EXPECT_EQ(peers.on_quorum({.ring = 12, .quorate = false, .members = {k1, k2}}, kNow),
              (PeerEvents{{PeerEventKind::kMemberLost, k3}, {PeerEventKind::kMemberGained, k1}}));
    EXPECT_FALSE(peers.quorate());
    EXPECT_TRUE(peers.ever_quorate());
    EXPECT_TRUE(peers.check_state().empty());
}

TEST(Peers, AnotherProcessOfTheSameNodeIsALossAndAGain) {
    Peers peers;
    (void)peers.on_group(group({{k1, 10}, {k2, 20}}), kNow);
    EXPECT_EQ(peers.on_group(group({{k1, 10}, {k2, 21}}), kNow),
              (PeerEvents{{PeerEventKind::kOffline, k2}, {PeerEventKind::kOnline, k2}}));
    EXPECT_TRUE(peers.on_group(group({{k1, 10}, {k2, 21}}), kNow).empty());
}

TEST(Peers, ANameMovesToTheNewestId) {
    Peers peers;
    (void)peers.on_identified({k1, "alpha"});
    EXPECT_EQ(peers.on_identified({k2, "Alpha"}), (PeerEvents{{PeerEventKind::kNamed, k2}}));
    EXPECT_EQ(peers.find(k1), nullptr);
    EXPECT_EQ(peers.find("ALPHA")->id, k2);
    EXPECT_TRUE(peers.on_identified({k2, "Alpha"}).empty());
}

TEST(Peers, OnlyLostNodesAreForgotten) {
    Peers peers;
    (void)peers.on_identified({k1, "a"});
    (void)peers.on_identified({k2, "b"});
    (void)peers.on_quorum({.ring = 1, .quorate = true, .members = {k1}}, kNow);
    (void)peers.on_group(group({{k1, 10}}), kNow);
    EXPECT_EQ(peers.forget(k1, ""), 0U);
    EXPECT_EQ(peers.forget(NodeId{}, ""), 0U);
    EXPECT_EQ(peers.forget(NodeId{}, "b"), 1U);
    EXPECT_EQ(peers.all().size(), 1U);
}
}  // namespace
}  // namespace systole::membership
