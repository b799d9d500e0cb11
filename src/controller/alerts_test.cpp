#include "controller/alerts.h"

#include <gtest/gtest.h>

#include <map>

#include "xml/parse.h"

namespace systole::controller {
namespace {

using Environment = std::map<std::string, std::string>;

constexpr Now kNow{.mono = {}, .wall = {1795399993}, .micros = 942544};

xml::NodePtr cib_with(std::string_view alerts) {
    return xml::parse(R"(<cib><configuration><alerts>)" + std::string(alerts) + "</alerts></configuration></cib>")
        .value();
}

/// What each agent that is told finds in its environment, with what the executor is asked beside ("path", "timeout").
std::vector<Environment> told(std::string_view config, const AlertEvent& event) {
    Alerts alerts("3.0.2");
    std::vector<Environment> found;
    for (const xml::NodePtr& request : alerts.requests(kNow, 3600, cib_with(config).get(), event)) {
        EXPECT_EQ(request->get("lrmd_op"), "lrmd_alert_exec");
        const xml::Node* alert = request->child("lrmd_calldata")->child("lrmd_alert");
        Environment one{{"path", std::string(alert->get("lrmd_alert_path"))},
                        {"timeout", std::string(alert->get("lrmd_timeout"))}};
        for (const auto& value : alert->child("attributes")->attributes())
            one.emplace(value.name.view(), value.value.view());
        for (const auto& param : alert->child("attributes")->children())
            one.emplace(param->get("name"), param->get("value"));
        found.push_back(std::move(one));
    }
    return found;
}

const AlertEvent kLost = alert_of_node("n3", 3, false);

TEST(Alerts, EachRecipientIsToldWithItsOwnSettings) {
    const auto runs = told(R"(<alert id="a" path="/agent">
        <meta_attributes id="m"><nvpair id="m1" name="timeout" value="5s"/></meta_attributes>
        <instance_attributes id="i"><nvpair id="i1" name="extra" value="x y"/></instance_attributes>
        <recipient id="r1" value="one"/>
        <recipient id="r2" value="two"><meta_attributes id="r2m"><nvpair id="r2t" name="timestamp-format" value="%Y%m%d"/>
            </meta_attributes><instance_attributes id="r2i"><nvpair id="r2e" name="extra" value="z"/></instance_attributes></recipient>
        <recipient id="r3" value="three"><meta_attributes id="r3m"><nvpair id="r3e" name="enabled" value="false"/>
            </meta_attributes></recipient></alert>)",
                           kLost);
    ASSERT_EQ(runs.size(), 2U);
    Environment one = runs[0];
    EXPECT_EQ(one["path"], "/agent");
    EXPECT_EQ(one["timeout"], "5000");
    EXPECT_EQ(one["extra"], "x y");
    EXPECT_EQ(one["CRM_alert_recipient"], "one");
    EXPECT_EQ(one["CRM_alert_kind"], "node");
    EXPECT_EQ(one["CRM_alert_node"], "n3");
    EXPECT_EQ(one["CRM_alert_nodeid"], "3");
    EXPECT_EQ(one["CRM_alert_desc"], "lost");
    EXPECT_EQ(one["CRM_alert_version"], "3.0.2");
    EXPECT_EQ(one["CRM_alert_timestamp"], "03:13:13.942544") << "local time";
    EXPECT_EQ(one["CRM_alert_timestamp_epoch"], "1795399993");
    EXPECT_EQ(one["CRM_alert_timestamp_usec"], "942544");
    EXPECT_EQ(one["CRM_alert_node_sequence"], "1");
    EXPECT_EQ(one["CRM_notify_node"], "n3");
    Environment two = runs[1];
    EXPECT_EQ(two["CRM_alert_timestamp"], "20261123");
    EXPECT_EQ(two["extra"], "z");
    EXPECT_EQ(two["timeout"], "5000");
    EXPECT_EQ(two["CRM_alert_node_sequence"], "2");
}

TEST(Alerts, WithoutRecipientsTheAgentIsToldAllTheSame) {
    const auto runs = told(R"(<alert id="a" path="/agent"/>)", kLost);
    ASSERT_EQ(runs.size(), 1U);
    EXPECT_EQ(runs[0].at("CRM_alert_recipient"), "");
    EXPECT_EQ(runs[0].at("timeout"), "30000");
    EXPECT_TRUE(
        told(R"(<alert id="a" path="/agent"><meta_attributes id="m"><nvpair id="e" name="enabled" value="false"/>
        </meta_attributes></alert>)",
             kLost)
            .empty());
}

TEST(Alerts, ASetMayStandElsewhere) {
    const auto runs = told(R"(<alert id="a" path="/first"><meta_attributes id="shared"><nvpair id="t" name="timeout"
        value="7s"/></meta_attributes></alert><alert id="b" path="/second"><meta_attributes id-ref="shared"/></alert>)",
                           kLost);
    ASSERT_EQ(runs.size(), 2U);
    EXPECT_EQ(runs[1].at("timeout"), "7000");
}

TEST(Alerts, WhatIsSelectedIsTold) {
    const AlertEvent mark = alert_of_attribute({.attribute = "mark", .node = "n2", .value = "5", .by_writer = true}, 2);
    const AlertEvent other =
        alert_of_attribute({.attribute = "other", .node = "n2", .value = {}, .by_writer = true}, 2);
    EXPECT_TRUE(told(R"(<alert id="a" path="/agent"/>)", mark).empty()) << "attributes only where they are asked for";
    constexpr std::string_view kMark = R"(<alert id="a" path="/agent"><select><select_nodes/><select_attributes>
        <attribute id="m" name="mark"/></select_attributes></select></alert>)";
    ASSERT_EQ(told(kMark, mark).size(), 1U);
    EXPECT_EQ(told(kMark, mark)[0].at("CRM_alert_attribute_name"), "mark");
    EXPECT_EQ(told(kMark, mark)[0].at("CRM_alert_attribute_value"), "5");
    EXPECT_TRUE(told(kMark, other).empty());
    EXPECT_EQ(told(kMark, kLost).size(), 1U);
    constexpr std::string_view kAll = R"(<alert id="a" path="/agent"><select><select_attributes/></select></alert>)";
    EXPECT_EQ(told(kAll, other).size(), 1U);
    EXPECT_TRUE(told(kAll, kLost).empty());
}

TEST(Alerts, AnExpectedProbeIsNoNews) {
    OperationResult result{.action = "monitor",
                           .status = ExecStatus::kDone,
                           .rc = 7,
                           .transition_key = "1:2:7:353ce810-aec5-4c65-ae79-15aa1c16a600"};
    EXPECT_FALSE(is_told(result));
    result.rc = 0;
    EXPECT_TRUE(is_told(result)) << "found active";
    result.rc = 7;
    result.interval_ms = 1000;
    result.transition_key = "1:2:0:353ce810-aec5-4c65-ae79-15aa1c16a600";
    EXPECT_TRUE(is_told(result));
    const auto runs = told(R"(<alert id="a" path="/agent"/>)", alert_of_operation("n2", "d", result));
    ASSERT_EQ(runs.size(), 1U);
    Environment one = runs[0];
    EXPECT_EQ(one["CRM_alert_rsc"], "d");
    EXPECT_EQ(one["CRM_alert_task"], "monitor");
    EXPECT_EQ(one["CRM_alert_interval"], "1000");
    EXPECT_EQ(one["CRM_alert_target_rc"], "0");
    EXPECT_EQ(one["CRM_alert_rc"], "7");
    EXPECT_EQ(one["CRM_alert_status"], "0");
    EXPECT_EQ(one["CRM_alert_desc"], "Not running");
}

TEST(Alerts, AFencingIsToldAsASentence) {
    fencing::FenceNotice notice{.state = fencing::OperationState::kDone,
                                .target = "n3",
                                .action = "reboot",
                                .delegate = "n1",
                                .operation = "353ce810",
                                .origin = "n1",
                                .client_name = "stonith_admin.180",
                                .client = "c",
                                .outcome = {.status = ExecStatus::kDone, .exit_code = 0, .reason = {}, .output = {}}};
    auto runs = told(R"(<alert id="a" path="/agent"/>)", alert_of_fencing(notice));
    ASSERT_EQ(runs.size(), 1U);
    EXPECT_EQ(runs[0].at("CRM_alert_desc"), "Operation reboot of n3 by n1 for stonith_admin.180@n1: OK (ref=353ce810)");
    EXPECT_EQ(runs[0].at("CRM_alert_task"), "st_notify_fence");
    EXPECT_EQ(runs[0].at("CRM_alert_rc"), "0");
    notice.outcome = {.status = ExecStatus::kTimeout, .exit_code = 1, .reason = "no answer", .output = {}};
    notice.delegate.clear();
    runs = told(R"(<alert id="a" path="/agent"/>)", alert_of_fencing(notice));
    EXPECT_EQ(runs[0].at("CRM_alert_desc"),
              "Operation reboot of n3 by <no-one> for stonith_admin.180@n1: Timed out (no answer) (ref=353ce810)");
    EXPECT_NE(runs[0].at("CRM_alert_rc"), "0");
}

}  // namespace
}  // namespace systole::controller
