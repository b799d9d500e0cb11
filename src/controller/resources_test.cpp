// What a node makes of its executor's answers, one input at a time.
#include "controller/resources.h"

#include "base/text.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::controller {
namespace {

constexpr Now kNow{Instant{Duration{5000}}, WallTime{1'700'000'000}};

class Orders : public testing::Test {
protected:
    Orders() { take(resources.on_executor_up(kNow)); }

    void take(Resources::Step step) {
        last = std::move(step);
        // Results wait for the agent's metadata, which says nothing here.
        const ControllerEffects effects = last.effects;
        for (const ControllerEffect& effect : effects)
            if (const auto* e = std::get_if<FetchMetadata>(&effect))
                static_cast<void>(resources.on_metadata(kNow, {e->token, "<resource-agent/>", ""}));
    }
    void order(std::string_view action, int interval_ms = 0) {
        const std::string text =
            R"(<rsc_op id="5" operation=")" + std::string(action) + R"(" operation_key="db_)" + std::string(action) +
            "_" + std::to_string(interval_ms) +
            R"(" transition-key="5:1:0:12345678-1234-1234-1234-123456789012"><primitive id="db" class="ocf" )"
            R"(provider="pacemaker" type="Dummy"/><attributes CRM_meta_timeout="20000" CRM_meta_interval=")" +
            std::to_string(interval_ms) + R"("/></rsc_op>)";
        auto parsed = xml::parse(text);
        ASSERT_TRUE(parsed.has_value());
        take(resources.invoke(kNow, *parsed, {}, Readiness::kReady));
    }
    /// The executor's actions that were asked for in the last step.
    [[nodiscard]] std::vector<std::string> asked() const {
        std::vector<std::string> found;
        for (const ControllerEffect& effect : last.effects) {
            const auto* e = std::get_if<ToExecutor>(&effect);
            if (e == nullptr || e->message->get("lrmd_op") != "lrmd_rsc_exec") continue;
            found.emplace_back(e->message->child("lrmd_calldata")->child("lrmd_rsc")->get("lrmd_rsc_action"));
        }
        return found;
    }
    /// Takes the order that was given last, under that number, and ends it.
    void accept(int call) {
        for (const ControllerEffect& effect : last.effects) {
            const auto* e = std::get_if<ToExecutor>(&effect);
            if (e == nullptr || e->message->get("lrmd_op") != "lrmd_rsc_exec") continue;
            sent = e->message->child("lrmd_calldata")->child("lrmd_rsc")->share();
            xml::Builder reply("lrmd_reply");
            reply.set("lrmd_rc", call);
            take(resources.on_reply(kNow, {e->request, std::move(reply).build()}));
            return;
        }
        FAIL() << "nothing was ordered";
    }
    void end(int call, int rc) {
        xml::Builder event("lrmd_notify");
        event.set("lrmd_op", "lrmd_rsc_exec").set("lrmd_rsc_id", "db").set("lrmd_callid", call);
        event.set("lrmd_rsc_action", sent->get("lrmd_rsc_action")).set("lrmd_exec_rc", rc);
        event.set("lrmd_rsc_interval", sent->get("lrmd_rsc_interval")).set("lrmd_exec_op_status", 0);
        event.set("lrmd_rsc_userdata_str", sent->get("lrmd_rsc_userdata_str"));
        take(resources.on_event(kNow, *event.build()));
    }
    /// A core that was started again finds db running and monitored.
    void import() {
        const auto history = xml::parse(
            R"(<lrm id="1"><lrm_resources><lrm_resource id="db" class="ocf" provider="pacemaker" type="Dummy">)"
            R"(<lrm_rsc_op id="db_last_0" operation="start" interval="0" call-id="1" op-status="0" rc-code="0"/>)"
            R"(<lrm_rsc_op id="db_monitor_10000" operation="monitor" interval="10000" call-id="2" op-status="0" )"
            R"(rc-code="0"/></lrm_resource></lrm_resources></lrm>)");
        ASSERT_TRUE(history.has_value());
        take(resources.import(kNow, history->get()));
        const auto rsc_info =
            xml::parse(R"(<r lrmd_rc="0" lrmd_class="ocf" lrmd_provider="pacemaker" lrmd_type="Dummy"/>)");
        const auto recurring = xml::parse(
            R"(<r lrmd_rc="0"><lrmd_rsc lrmd_rsc_id="db"><op lrmd_rsc_action="monitor" lrmd_rsc_interval="10000"/>)"
            R"(</lrmd_rsc></r>)");
        const ControllerEffects questions = last.effects;
        for (const ControllerEffect& effect : questions)
            if (const auto* e = std::get_if<ToExecutor>(&effect))
                take(resources.on_reply(
                    kNow, {e->request, e->message->get("lrmd_op") == "lrmd_rsc_info" ? *rsc_info : *recurring}));
    }
    /// call-id of the record with that id in the history, 0 if there is none.
    [[nodiscard]] long long recorded(std::string_view id) const {
        const xml::NodePtr lrm = resources.history();
        const xml::Node* db = lrm->child("lrm_resources")->child("lrm_resource", "db");
        const xml::Node* record = db == nullptr ? nullptr : db->child("lrm_rsc_op", id);
        return record == nullptr ? 0 : parse_integer(record->get("call-id")).value_or(-1);
    }

    Resources resources{{NodeId{1}, "n1"}};
    Resources::Step last;
    xml::NodePtr sent;
};

TEST_F(Orders, WhatTheExecutorRefusedComesAfterWhatItDid) {
    order("start");
    accept(41);
    end(41, 0);
    order("stop");
    accept(-22);
    EXPECT_EQ(recorded("db_last_0"), 42);
}

TEST_F(Orders, WaitWhileTheExecutorIsGone) {
    order("start");
    accept(1);
    end(1, 0);
    take(resources.on_executor_down(kNow));
    order("stop");
    EXPECT_TRUE(asked().empty());
    EXPECT_TRUE(resources.check_state().empty());
    EXPECT_EQ(resources.running(), 1U);
    take(resources.on_executor_up(kNow));
    EXPECT_EQ(asked(), std::vector<std::string>{"stop"});
}

TEST_F(Orders, AStopThatLostItsExecutorIsDoneAgain) {
    order("start");
    accept(1);
    end(1, 0);
    order("stop");
    accept(2);
    take(resources.on_executor_down(kNow));
    EXPECT_EQ(recorded("db_last_failure_0"), 0) << "no failure, which would have this node fenced";
    take(resources.on_executor_up(kNow));
    EXPECT_EQ(asked(), std::vector<std::string>{"stop"});
}

// Found by a drill: the core and then the executor were replaced, and nobody monitored the resource any more.
TEST_F(Orders, AMonitorOfWhichOnlyTheRecordIsKnownIsOrderedAnewAfterTheExecutorsEnd) {
    import();
    ASSERT_EQ(recorded("db_monitor_10000"), 2);
    take(resources.on_executor_down(kNow));
    take(resources.on_executor_up(kNow));
    EXPECT_EQ(recorded("db_monitor_10000"), 0);
    const auto* erased = std::get_if<CibCall>(&last.effects.back());
    ASSERT_NE(erased, nullptr) << "the DC hears of it and orders the monitor again";
    EXPECT_EQ(erased->request->get("cib_op"), "cib_delete");
    EXPECT_NE(erased->request->get("cib_section").find("lrm_rsc_op[@id='db_monitor_10000']"), std::string_view::npos);
}

// Found by a drill: each plan stopped and started an instance for one that seemed to be monitored on a third node.
TEST_F(Orders, AMonitorThatIsEndedBeforeItAnsweredLeavesNoRecord) {
    order("start");
    accept(1);
    end(1, 0);
    order("monitor", 10000);
    ASSERT_EQ(recorded("db_monitor_10000"), -1) << "it is under way";
    order("stop");
    EXPECT_EQ(recorded("db_monitor_10000"), 0);
}

// Found by a drill: a failure expired while its recovery waited for a fencing, and was never heard of again.
TEST_F(Orders, AMonitorWhoseFailureIsForgottenWhileItLastsIsOrderedAnew) {
    order("start");
    accept(1);
    end(1, 0);
    order("monitor", 10000);
    accept(2);
    end(2, 0);
    take(resources.on_record_deleted("db", "db_last_failure_0"));
    EXPECT_EQ(recorded("db_monitor_10000"), 2) << "nothing has failed";
    end(2, 7);
    ASSERT_EQ(recorded("db_last_failure_0"), 2);
    take(resources.on_record_deleted("db", "db_last_failure_0"));
    EXPECT_EQ(recorded("db_monitor_10000"), 0);
    ASSERT_EQ(last.effects.size(), 1U);
    EXPECT_NE(std::get_if<CibCall>(&last.effects.front()), nullptr);
}

// Found by a drill: a service died while the core was away, and the monitor that had found it was not heard.
TEST_F(Orders, ResultsThatComeBeforeTheImportCount) {
    sent = xml::Builder("lrmd_rsc").set("lrmd_rsc_action", "monitor").set("lrmd_rsc_interval", "10000").build();
    end(2, 7);
    EXPECT_TRUE(last.effects.empty());
    import();
    EXPECT_TRUE(last.imported);
    EXPECT_EQ(recorded("db_last_failure_0"), 2);
}

// Found by a drill: moved away and back within a second, then migrated a second time while it ran.
TEST_F(Orders, AStartEndsWhatWasLeftOfAMigration) {
    order("migrate_to");
    accept(1);
    end(1, 0);
    EXPECT_EQ(recorded("db_migrate_to_0"), 1);
    order("start");
    EXPECT_EQ(recorded("db_migrate_to_0"), 0);
}

// Found by a drill: the other node was fenced later and came back with its clock set back; what was left of the first
// migration then seemed to be newer than its probe, and was gone on with while the resource ran here.
TEST_F(Orders, AMigrationBackEndsWhatWasLeftOfTheFirst) {
    order("migrate_to");
    accept(1);
    end(1, 0);
    order("migrate_from");
    EXPECT_EQ(recorded("db_migrate_to_0"), 0);
    accept(2);
    end(2, 0);
    EXPECT_EQ(recorded("db_migrate_from_0"), 2);
}

// Found by a drill: the node that it came from had its clock set forward; without a record of the arrival its own
// seemed to be a migration under way, and each plan stopped and started the resource again.
TEST_F(Orders, AStartKeepsWhatIsKnownOfAnArrival) {
    order("migrate_from");
    accept(1);
    end(1, 0);
    order("start");
    EXPECT_EQ(recorded("db_migrate_from_0"), 1);
}

}  // namespace
}  // namespace systole::controller
