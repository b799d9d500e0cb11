#include "controller/history.h"

#include "xml/write.h"

namespace systole::controller {
namespace {

constexpr const char* kKey = "3:1:0:fd7b2da7-cdf7-462f-bd4f-31774cdce1e0";
constexpr std::string_view kMetadata = R"(<resource-agent name="Dummy"><parameters>
  <parameter name="state" unique="1"><longdesc>x</longdesc></parameter>
  <parameter name="fake" reloadable="1"/><parameter name="passwd" private="1" reloadable="1"/>
</parameters><actions><action name="start"/><action name="reload-agent"/></actions></resource-agent>)";

OperationResult start_of_dummy() {
    return {.action = "start",
            .call_id = 7,
            .status = ExecStatus::kDone,
            .rc = 0,
            .transition_key = kKey,
            .run_time = 1'700'000'000,
            .exec_time_ms = 12,
            .parameters = {{"fake", "abc"},
                           {"passwd", "sec"},
                           {"CRM_meta_timeout", "20000"},
                           {"CRM_meta_on_node", "n1"},
                           {"crm_feature_set", "3.16.1"}}};
}

const ResourceIdentity kDummy{"D1", "ocf", "pacemaker", "Dummy", ""};

// Digests: controller.md, section 8, verified there with 2.1.5.
TEST(History, DigestsAreThoseOfTheReference) {
    const auto traits = read_traits(kMetadata);
    ASSERT_TRUE(traits.has_value());
    const auto records = history_records(kDummy, start_of_dummy(), "n1", &*traits, "test");
    ASSERT_EQ(records.size(), 1U);
    const xml::Node& record = *records[0];
    EXPECT_EQ(record.get("id"), "D1_last_0");
    EXPECT_EQ(record.get("op-digest"), "be2a8eedb0604abd4ce21d09b12c444d");
    EXPECT_EQ(record.get("op-force-restart"), "  state  ");
    EXPECT_EQ(record.get("op-restart-digest"), "f2317cad3d54cec5d7d7aa7d0bf35cf8");
    EXPECT_EQ(record.get("op-secure-params"), "  passwd  ");
    EXPECT_EQ(record.get("op-secure-digest"), "6379a44c170e955c6bf4d011edba09ba");
    EXPECT_EQ(record.get("transition-magic"), std::string("0:0;") + kKey);
}

TEST(History, ARecurringMonitorsDigestHoldsItsTimeout) {
    OperationResult monitor = start_of_dummy();
    monitor.action = "monitor";
    monitor.interval_ms = 10'000;
    const auto records = history_records(kDummy, monitor, "n1", nullptr, "test");
    EXPECT_EQ(records[0]->get("id"), "D1_monitor_10000");
    EXPECT_EQ(records[0]->get("op-digest"), "61b9861899a27a75f2c460d7973b646a");
}

TEST(History, AFailedStartIsWrittenTwiceAndSaysWhy) {
    OperationResult failed = start_of_dummy();
    failed.rc = 1;
    failed.exit_reason = "no disk";
    const auto records = history_records(kDummy, failed, "n1", nullptr, "test");
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[0]->get("id"), "D1_last_failure_0");
    EXPECT_EQ(records[1]->get("id"), "D1_last_0");
    EXPECT_EQ(records[0]->get("exit-reason"), "no disk");
}

TEST(History, AProbeThatFindsNothingRunningIsExpected) {
    OperationResult probe{.action = "monitor",
                          .status = ExecStatus::kDone,
                          .rc = 7,
                          .transition_key = "3:1:7:fd7b2da7-cdf7-462f-bd4f-31774cdce1e0"};
    EXPECT_FALSE(is_unexpected(probe));
    probe.rc = 0;
    EXPECT_TRUE(is_unexpected(probe));
    probe.status = ExecStatus::kPending;
    EXPECT_FALSE(is_unexpected(probe));
}

TEST(History, TheUpdateNamesNodeAndResource) {
    const auto update = history_update({NodeId{2}, "n2"}, false, kDummy, {}, "test");
    EXPECT_EQ(
        xml::write(*update),
        R"(<node_state id="2" uname="n2" crm-debug-origin="test"><lrm id="2"><lrm_resources>)"
        R"(<lrm_resource id="D1" class="ocf" provider="pacemaker" type="Dummy"/></lrm_resources></lrm></node_state>)");
}

TEST(History, DamagedMetadataIsAnError) { EXPECT_EQ(read_traits("<a").error().code, Errc::kInvalid); }

}  // namespace
}  // namespace systole::controller
