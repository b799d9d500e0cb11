#include "controller/plan_input.h"

#include <fmt/format.h>

#include "xml/parse.h"
#include "xml/write.h"

namespace systole::controller {
namespace {

constexpr WallTime kNow{1'700'000'000};

/// The records of a resource as the plan sees them.
std::string seen(std::string_view records) {
    const auto cib = xml::parse(fmt::format(
        R"(<cib><status><node_state id="1"><lrm id="1"><lrm_resources><lrm_resource id="db">{}</lrm_resource>)"
        R"(</lrm_resources></lrm></node_state></status></cib>)",
        records));
    EXPECT_TRUE(cib.has_value());
    const xml::NodePtr input = with_actions_in_flight(*cib, kNow);
    std::string text;
    for (const auto& record : input->child("status")
                                  ->child("node_state")
                                  ->child("lrm")
                                  ->child("lrm_resources")
                                  ->child("lrm_resource")
                                  ->children())
        text += xml::write(*record);
    return text;
}

// Found by a drill: the clock of the node was an hour behind, its start under way counted as expired, and what depends
// on it was started before it had ended.
TEST(PlanInput, WhatRunsBeganJustNow) {
    EXPECT_EQ(seen(R"(<lrm_rsc_op id="db_last_0" operation="start" op-status="-1" last-rc-change="1699990000"/>)"),
              R"(<lrm_rsc_op id="db_last_0" operation="start" op-status="-1" last-rc-change="1700000000"/>)");
}

TEST(PlanInput, AFailureRecordedForItStaysItsOutcome) {
    const std::string_view records =
        R"(<lrm_rsc_op id="db_last_failure_0" operation="start" op-status="2" last-rc-change="1699990020"/>)"
        R"(<lrm_rsc_op id="db_last_0" operation="start" op-status="-1" last-rc-change="1699990000"/>)";
    EXPECT_EQ(seen(records), records);
}

TEST(PlanInput, AStopUnderWayIsNotDoneYet) {
    EXPECT_EQ(seen(R"(<lrm_rsc_op id="db_last_0" operation="stop" operation_key="db_stop_0" op-status="-1" )"
                   R"(call-id="-1" rc-code="193" transition-key="K" transition-magic="-1:193;K"/>)"),
              R"(<lrm_rsc_op id="db_last_0" operation="start" operation_key="db_start_0" op-status="0" )"
              R"(call-id="1" rc-code="0" transition-key="K" transition-magic="0:0;K"/>)");
}

TEST(PlanInput, WhatHasEndedIsAsItIs) {
    const std::string_view records =
        R"(<lrm_rsc_op id="db_last_0" operation="stop" op-status="0" rc-code="0" last-rc-change="1699990000"/>)";
    EXPECT_EQ(seen(records), records);
}

}  // namespace
}  // namespace systole::controller
