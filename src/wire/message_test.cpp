#include "wire/message.h"

#include <gtest/gtest.h>

#include "xml/write.h"

namespace systole::wire {
namespace {
TEST(Message, ARequestAsItStandsOnTheWire) {
    const auto message = make_message({.origin = "join_offer",
                                       .task = "join_offer",
                                       .from_system = "dc",
                                       .to_host = "n2",
                                       .reference = "join_offer-dc-1700000000-4"})
                             .set("join_id", 1)
                             .build();
    EXPECT_EQ(xml::write(*message),
              "<message origin=\"join_offer\" t=\"crmd\" subt=\"request\" version=\"3.20.5\" "
              "reference=\"join_offer-dc-1700000000-4\" crm_sys_from=\"dc\" crm_host_to=\"n2\" crm_sys_to=\"crmd\" "
              "crm_task=\"join_offer\" join_id=\"1\"/>");
}

TEST(Message, AReplySwapsTheEnds) {
    auto request = make_message({.task = "ping", .to_system = "dc", .from_system = "c-1", .reference = "ping-x-1-0"});
    request.set("src", "n1");
    const auto reply = make_reply(*request.build(), "ping", xml::Builder("ping_response").build()).build();
    EXPECT_EQ(reply->get("crm_sys_to"), "c-1");
    EXPECT_EQ(reply->get("crm_sys_from"), "dc");
    EXPECT_EQ(reply->get("crm_host_to"), "n1");
    EXPECT_EQ(reply->get("reference"), "ping-x-1-0");
    EXPECT_TRUE(is_response(*reply));
    EXPECT_TRUE(data_of(*reply)->is("ping_response"));
}

TEST(Message, VersionsCompareByNumber) {
    EXPECT_LT(compare_versions("3.16.1", "3.16.10"), 0);
    EXPECT_GT(compare_versions("3.20", "3.19.9"), 0);
    EXPECT_EQ(compare_versions("3.20", "3.20.0"), 0);
    EXPECT_TRUE(feature_sets_compatible("3.16.1", "3.20.5"));
    EXPECT_FALSE(feature_sets_compatible("3.20.5", "3.16.1"));
    EXPECT_FALSE(feature_sets_compatible("", "3.16.1"));
}
}  // namespace
}  // namespace systole::wire
