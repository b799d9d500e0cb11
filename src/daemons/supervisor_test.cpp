#include "daemons/supervisor.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "wire/message.h"
#include "xml/write.h"

namespace systole::daemons {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string text_of(const SupervisorEffect& effect) {
    struct Printer {
        std::string operator()(const wire::Respond& e) const { return "ack " + std::string(e.message->get("status")); }
        std::string operator()(const wire::SendEvent& e) const {
            return "event " + xml::write(*wire::data_of(*e.message));
        }
        std::string operator()(const wire::ArmTimer& e) const { return "arm " + e.name; }
        std::string operator()(const wire::CancelTimer& e) const { return "cancel " + e.name; }
        std::string operator()(const wire::Log&) const { return ""; }
        std::string operator()(const StartChild& e) const { return fmt::format("start {}", e.child); }
        std::string operator()(const SignalChild& e) const { return fmt::format("signal {} {}", e.child, e.signal); }
        std::string operator()(const CheckChild& e) const { return fmt::format("check {}", e.child); }
        std::string operator()(const StopEngine&) const { return "stop engine"; }
        std::string operator()(const PanicNode&) const { return "panic"; }
        std::string operator()(const EndSupervisor& e) const { return fmt::format("end {}", static_cast<int>(e.code)); }
    };
    return std::visit(Printer{}, effect);
}

std::vector<std::string> texts(const SupervisorEffects& effects) {
    std::vector<std::string> out;
    for (const auto& effect : effects)
        if (const std::string text = text_of(effect); !text.empty()) out.push_back(text);
    return out;
}

class SupervisorTest : public testing::Test {
protected:
    SupervisorConfig config_{.children = {"core", "execd"}, .needs_engine = {true, false}};
    Now now_{Instant{Duration{1000}}, WallTime{1700000000}};

    std::vector<std::string> feed(Supervisor& s, const SupervisorInput& input) { return texts(s.on(now_, input)); }
    static wire::ClientRequest request(const char* task, const char* from = "42_crmadmin") {
        return {.client = {1},
                .id = 5,
                .flags = wire::kExpectsResponse,
                .message = xml::Builder("m").set("crm_task", task).set("crm_sys_from", from).build()};
    }
    static wire::ClientConnected client(bool privileged) {
        return {{.id = {1}, .service = wire::Service::kPacemakerd, .privileged = privileged}};
    }
};

TEST_F(SupervisorTest, StartsInOrderAndStopsInReverse) {
    Supervisor s(config_);
    EXPECT_THAT(texts(s.start(now_)), ElementsAre("start 0", "start 1", "arm check"));
    EXPECT_EQ(s.state(), "running");
    EXPECT_THAT(feed(s, StopRequested{}), ElementsAre("cancel check", "signal 1 15", "arm stop"));
    EXPECT_EQ(s.state(), "shutting_down");
    EXPECT_THAT(feed(s, StopRequested{}), ElementsAre());
    EXPECT_THAT(feed(s, ChildEnded{.child = 1, .code = 0}), ElementsAre("cancel stop", "signal 0 15"));
    EXPECT_THAT(feed(s, ChildEnded{.child = 0, .code = 0}), ElementsAre("cancel stop", "end 0"));
}

TEST_F(SupervisorTest, AChildThatDoesNotStopDumpsCore) {
    Supervisor s(config_);
    (void)s.start(now_);
    (void)feed(s, StopRequested{});
    EXPECT_THAT(feed(s, wire::TimerFired{"stop"}), ElementsAre(fmt::format("signal 1 {}", SIGSEGV)));
}

TEST_F(SupervisorTest, EndedChildrenAreStartedAgain) {
    Supervisor s(config_);
    (void)s.start(now_);
    EXPECT_THAT(feed(s, ChildEnded{.child = 1, .code = 0}), ElementsAre("start 1"));
    EXPECT_THAT(feed(s, ChildEnded{.child = 1, .signal = SIGKILL}), ElementsAre("start 1"));
    EXPECT_THAT(feed(s, ChildEnded{.child = 0, .code = 102}), ElementsAre("arm respawn-0"));
    EXPECT_THAT(feed(s, wire::TimerFired{"respawn-0"}), ElementsAre("start 0"));
}

TEST_F(SupervisorTest, TooManyFailuresAreTheEndOfAChild) {
    config_.respawn_max = 2;
    Supervisor s(config_);
    (void)s.start(now_);
    EXPECT_THAT(feed(s, ChildEnded{.child = 1, .code = 1}), ElementsAre("start 1"));
    EXPECT_THAT(feed(s, ChildEnded{.child = 1, .code = 1}), ElementsAre("start 1"));
    EXPECT_THAT(feed(s, ChildEnded{.child = 1, .code = 1}), ElementsAre());
    EXPECT_THAT(feed(s, wire::TimerFired{"check"}), ElementsAre("arm check", "check 0"));
}

TEST_F(SupervisorTest, FatalStopsTheStackAndPanicTheNode) {
    Supervisor s(config_);
    (void)s.start(now_);
    EXPECT_THAT(feed(s, ChildEnded{.child = 0, .code = 100}), ElementsAre("cancel check", "signal 1 15", "arm stop"));
    EXPECT_THAT(feed(s, ChildEnded{.child = 1, .code = 0}), ElementsAre("cancel stop", "stop engine", "end 100"));
    Supervisor t(config_);
    (void)t.start(now_);
    EXPECT_THAT(feed(t, ChildEnded{.child = 0, .code = 101}), ElementsAre("panic"));
    EXPECT_THAT(feed(t, PanicRequested{}), ElementsAre("panic"));
    config_.fail_fast = true;
    Supervisor u(config_);
    (void)u.start(now_);
    EXPECT_THAT(feed(u, ChildEnded{.child = 1, .code = 0}), ElementsAre("panic"));
}

TEST_F(SupervisorTest, WhatNeedsTheEngineWaitsForIt) {
    Supervisor s(config_);
    (void)s.start(now_);
    (void)feed(s, EngineGone{});
    EXPECT_THAT(feed(s, ChildEnded{.child = 0, .code = 102}), ElementsAre("arm respawn-0"));
    EXPECT_THAT(feed(s, wire::TimerFired{"respawn-0"}), ElementsAre());
    EXPECT_THAT(feed(s, ChildEnded{.child = 1, .code = 1}), ElementsAre("start 1"));
    EXPECT_THAT(feed(s, EngineBack{}), ElementsAre("start 0"));
}

TEST_F(SupervisorTest, TheTimeOfAPingMovesWithAnswersOnly) {
    Supervisor s(config_);
    (void)s.start(now_);
    (void)feed(s, client(false));
    now_.wall.seconds += 10;
    EXPECT_THAT(feed(s, request("ping")),
                ElementsAre("ack 112",
                            "event <ping_response crm_subsystem=\"pacemakerd\" pacemakerd_state=\"running\" "
                            "crm-timestamp=\"1700000000\" result=\"ok\"/>"));
    EXPECT_THAT(feed(s, wire::TimerFired{"check"}), ElementsAre("arm check", "check 0"));
    EXPECT_THAT(feed(s, wire::TimerFired{"check"}), ElementsAre("arm check", "check 1"));
    (void)feed(s, ChildChecked{.child = 1, .answered = true});
    EXPECT_THAT(feed(s, request("ping"))[1], HasSubstr("1700000010"));
    (void)feed(s, ChildChecked{.child = 0, .answered = true});
    for (int i = 0; i < 4; ++i) EXPECT_THAT(feed(s, ChildChecked{.child = 0, .answered = false}), ElementsAre());
    EXPECT_THAT(feed(s, ChildChecked{.child = 0, .answered = false}), ElementsAre("signal 0 9"));
}

TEST_F(SupervisorTest, OnlyThePrivilegedMayQuit) {
    Supervisor s(config_);
    (void)s.start(now_);
    (void)feed(s, client(false));
    EXPECT_THAT(feed(s, request("quit")), ElementsAre("ack 112", "event <shutdown op-status=\"4\"/>"));
    (void)feed(s, wire::ClientClosed{{1}});
    (void)feed(s, client(true));
    EXPECT_THAT(feed(s, request("quit")),
                ElementsAre("ack 112", "event <shutdown op-status=\"0\"/>", "cancel check", "signal 1 15", "arm stop"));
    EXPECT_THAT(feed(s, request("nonsense")), ElementsAre("ack 2"));
    EXPECT_THAT(feed(s, {wire::ClientRequest{.client = {1}, .id = 1, .flags = wire::kExpectsResponse}}),
                ElementsAre("ack 76"));
}

TEST_F(SupervisorTest, SbdTriggersTheStartAndSeesTheEnd) {
    config_.wait_for_sbd = true;
    Supervisor s(config_);
    EXPECT_THAT(texts(s.start(now_)), ElementsAre());
    (void)feed(s, client(true));
    EXPECT_THAT(feed(s, request("ping", "77_crmadmin"))[1], HasSubstr("wait_for_ping"));
    EXPECT_THAT(feed(s, request("ping", "77_sbd:pcmk")),
                ElementsAre("ack 112", HasSubstr("wait_for_ping"), "start 0", "start 1", "arm check"));
    (void)feed(s, StopRequested{});
    (void)feed(s, ChildEnded{.child = 1, .code = 0});
    EXPECT_THAT(feed(s, ChildEnded{.child = 0, .code = 0}), ElementsAre("cancel stop"));
    EXPECT_THAT(feed(s, request("ping", "77_sbd:pcmk"))[1], HasSubstr("shutdown_complete"));
    EXPECT_THAT(feed(s, wire::ClientClosed{{1}}), ElementsAre("end 0"));
}

}  // namespace
}  // namespace systole::daemons
