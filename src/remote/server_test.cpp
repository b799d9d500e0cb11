// What pacemaker-remoted decides, over an executor, peers and local clients that are only written down.
#include "remote/server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "xml/parse.h"
#include "xml/write.h"

namespace systole::remote {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr wire::ClientId kOne{kFirstPeer + 1};
constexpr wire::ClientId kTwo{kFirstPeer + 2};

xml::NodePtr tree(const std::string& text) { return *xml::parse(text); }

wire::Client local_client(std::uint64_t id, wire::Service service = wire::Service::kCibRw) {
    return {.id = {id},
            .service = service,
            .uid = 0,
            .gid = 0,
            .pid = 4000,
            .user = "root",
            .privileged = true,
            .uuid = fmt::format("uuid-of-client-{}", id)};
}

class RemoteServer : public testing::Test {
protected:
    /// Effects as lines; log lines are left out.
    std::vector<std::string> on(const Input& input) {
        lines_.clear();
        for (const Effect& effect : server_.on(Now{now_, {}}, input))
            std::visit([this](const auto& e) { say(e); }, effect);
        return lines_;
    }
    std::vector<std::string> from(wire::ClientId peer, const std::string& text) {
        return on(PeerMessage{peer, tree(text)});
    }
    void connect(wire::ClientId peer) {
        on(PeerConnected{.id = peer, .uuid = "uuid", .from = "10.0.0.1:4000"});
        from(
            peer,
            R"(<lrmd_command lrmd_op="register" lrmd_clientname="c" lrmd_is_ipc_provider="true" lrmd_remote_msg_id="1"/>)");
        on(FromExecutor{wire::Respond{peer, 1, tree(R"(<lrmd_reply lrmd_rc="0"/>)")}});
    }

    static std::string name(wire::ClientId id) {
        return id.value >= kFirstPeer ? fmt::format("peer{}", id.value - kFirstPeer)
                                      : fmt::format("client{}", id.value);
    }
    void say(const ToPeer& e) { lines_.push_back(fmt::format("{} <- {}", name(e.peer), xml::write(*e.message))); }
    void say(const ClosePeer& e) { lines_.push_back(fmt::format("close {}", name(e.peer))); }
    void say(const ToExecutor& e) {
        if (const auto* request = std::get_if<wire::ClientRequest>(&e.input))
            lines_.push_back(fmt::format("executor: request {} of {}{}", request->id, name(request->client),
                                         (request->flags & wire::kExpectsResponse) != 0 ? "" : ", no response"));
        else if (const auto* connected = std::get_if<wire::ClientConnected>(&e.input))
            lines_.push_back(fmt::format("executor: {} is there{}", name(connected->client.id),
                                         connected->client.privileged ? "" : ", unprivileged"));
        else if (const auto* closed = std::get_if<wire::ClientClosed>(&e.input))
            lines_.push_back(fmt::format("executor: {} is gone", name(closed->client)));
        else if (std::holds_alternative<executor::ShutdownRequested>(e.input))
            lines_.emplace_back("executor: shut down");
    }
    void say(const StopListening&) { lines_.emplace_back("stop listening"); }
    void say(const wire::Respond& e) {
        lines_.push_back(fmt::format("{} response {}: {}", name(e.client), e.request, xml::write(*e.message)));
    }
    void say(const wire::SendEvent& e) {
        lines_.push_back(fmt::format("{} event: {}", name(e.client), xml::write(*e.message)));
    }
    void say(const wire::Evict& e) { lines_.push_back(fmt::format("evict {}", name(e.client))); }
    void say(const wire::ArmTimer& e) { lines_.push_back(fmt::format("timer in {} ms", (e.at - now_).count())); }
    void say(const wire::CancelTimer&) { lines_.emplace_back("no timer"); }
    void say(const wire::Log&) {}

    Server server_;
    Instant now_{};
    std::vector<std::string> lines_;
};

// ---- Requests of clusters ----

TEST_F(RemoteServer, APeerIsAPrivilegedClientOfTheExecutor) {
    EXPECT_THAT(on(PeerConnected{.id = kOne, .uuid = "u", .from = "f"}), ElementsAre("executor: peer1 is there"));
    EXPECT_THAT(on(PeerClosed{kOne, "closed"}), ElementsAre("executor: peer1 is gone"));
    EXPECT_THAT(from(kOne, "<lrmd_command/>"), IsEmpty()) << "it is gone";
}

TEST_F(RemoteServer, ARepliesNumberIsItsRequests) {
    on(PeerConnected{.id = kOne, .uuid = "u", .from = "f"});
    EXPECT_THAT(from(kOne, R"(<lrmd_command lrmd_op="lrmd_rsc_poke" lrmd_remote_msg_id="17"/>)"),
                ElementsAre("executor: request 17 of peer1"));
    EXPECT_THAT(
        on(FromExecutor{wire::Respond{kOne, 17, tree(R"(<lrmd_reply lrmd_rc="0"/>)")}}),
        ElementsAre(R"(peer1 <- <lrmd_reply lrmd_rc="0" lrmd_remote_msg_id="17" lrmd_remote_msg_type="reply"/>)"));
}

TEST_F(RemoteServer, ANotificationHasNumberZero) {
    on(PeerConnected{.id = kOne, .uuid = "u", .from = "f"});
    EXPECT_THAT(on(FromExecutor{wire::SendEvent{kOne, tree("<lrmd_notify/>")}}),
                ElementsAre(R"(peer1 <- <lrmd_notify lrmd_remote_msg_id="0" lrmd_remote_msg_type="notify"/>)"));
}

// ---- Local clients ----

TEST_F(RemoteServer, WithoutAProviderClientsLearnThatThisIsARemoteNode) {
    EXPECT_EQ(server_.admit(local_client(1)), -EREMOTEIO);
    connect(kOne);
    EXPECT_EQ(server_.admit(local_client(1)), 0);
    EXPECT_EQ(server_.admit(local_client(1, wire::Service::kPacemakerd)), -EREMOTEIO);
    on(PeerClosed{kOne, "closed"});
    EXPECT_EQ(server_.admit(local_client(1)), -EREMOTEIO);
}

TEST_F(RemoteServer, APeerWhoseRegistrationIsRefusedProvidesNothing) {
    on(PeerConnected{.id = kOne, .uuid = "u", .from = "f"});
    from(kOne, R"(<lrmd_command lrmd_op="register" lrmd_is_ipc_provider="true" lrmd_remote_msg_id="1"/>)");
    on(FromExecutor{wire::Respond{kOne, 1, tree(R"(<lrmd_reply lrmd_rc="-71"/>)")}});
    EXPECT_EQ(server_.admit(local_client(1)), -EREMOTEIO);
}

TEST_F(RemoteServer, ASessionIsCarriedToTheClusterAndBack) {
    connect(kOne);
    EXPECT_THAT(on(wire::ClientConnected{local_client(1)}),
                ElementsAre(R"(peer1 <- <lrmd_ipc_proxy lrmd_ipc_op="new" lrmd_ipc_session="uuid-of-client-1" )"
                            R"(lrmd_ipc_server="cib_rw" lrmd_remote_msg_id="0" lrmd_remote_msg_type="notify"/>)"));
    EXPECT_THAT(on(wire::ClientRequest{{1}, 5, wire::kExpectsResponse | 0x10, tree("<cib_command/>")}),
                ElementsAre(R"(peer1 <- <lrmd_ipc_proxy lrmd_ipc_op="request" lrmd_ipc_session="uuid-of-client-1" )"
                            R"(lrmd_ipc_client="proxy-cib_rw-4000-uuid-of-" lrmd_ipc_user="root" lrmd_ipc_msg_id="5" )"
                            R"(lrmd_ipc_msg_flags="768" lrmd_remote_msg_id="0" lrmd_remote_msg_type="notify">)"
                            R"(<lrmd_ipc_msg><cib_command/></lrmd_ipc_msg></lrmd_ipc_proxy>)"));
    const std::string response =
        R"(<lrmd_ipc_proxy lrmd_op="ipc_fwd" lrmd_ipc_op="response" lrmd_ipc_session="uuid-of-client-1" )"
        R"(lrmd_ipc_msg_id="5" lrmd_remote_msg_id="9"><lrmd_ipc_msg><cib-reply/></lrmd_ipc_msg></lrmd_ipc_proxy>)";
    EXPECT_THAT(from(kOne, response), ElementsAre("client1 response 5: <cib-reply/>", "executor: request 9 of peer1"));
    EXPECT_THAT(from(kOne, response), ElementsAre("executor: request 9 of peer1"))
        << "a second response would be taken for the next request's";
    EXPECT_THAT(from(kOne, R"(<lrmd_ipc_proxy lrmd_ipc_op="event" lrmd_ipc_session="uuid-of-client-1" )"
                           R"(lrmd_remote_msg_id="10"><lrmd_ipc_msg><notify/></lrmd_ipc_msg></lrmd_ipc_proxy>)"),
                ElementsAre("client1 event: <notify/>", "executor: request 10 of peer1"));
}

TEST_F(RemoteServer, ARequestWithoutResponseGetsNone) {
    connect(kOne);
    on(wire::ClientConnected{local_client(1)});
    EXPECT_THAT(on(wire::ClientRequest{{1}, 6, 0, tree("<cib_command/>")}),
                ElementsAre(HasSubstr(R"(lrmd_ipc_msg_flags="256")")));
    EXPECT_THAT(from(kOne, R"(<lrmd_ipc_proxy lrmd_ipc_op="response" lrmd_ipc_session="uuid-of-client-1" )"
                           R"(lrmd_ipc_msg_id="6"><lrmd_ipc_msg><nack/></lrmd_ipc_msg></lrmd_ipc_proxy>)"),
                ElementsAre("executor: request 0 of peer1"));
}

TEST_F(RemoteServer, WhatIsNoXmlIsRefusedHere) {
    connect(kOne);
    on(wire::ClientConnected{local_client(1)});
    EXPECT_THAT(on(wire::ClientRequest{{1}, 6, wire::kExpectsResponse, {}}),
                ElementsAre(HasSubstr("client1 response 6: <nack")));
}

TEST_F(RemoteServer, EitherSideEndsASession) {
    connect(kOne);
    on(wire::ClientConnected{local_client(1)});
    on(wire::ClientConnected{local_client(2)});
    EXPECT_THAT(on(wire::ClientClosed{{1}}),
                ElementsAre(HasSubstr(R"(lrmd_ipc_op="destroy" lrmd_ipc_session="uuid-of-client-1")")));
    EXPECT_THAT(from(kOne, R"(<lrmd_ipc_proxy lrmd_ipc_op="destroy" lrmd_ipc_session="uuid-of-client-2"/>)"),
                ElementsAre("evict client2", "executor: request 0 of peer1"));
    EXPECT_THAT(on(wire::ClientClosed{{2}}), IsEmpty());
}

TEST_F(RemoteServer, AnUnknownSessionIsAnsweredWithItsEnd) {
    connect(kOne);
    EXPECT_THAT(from(kOne, R"(<lrmd_ipc_proxy lrmd_ipc_op="event" lrmd_ipc_session="x"/>)"),
                ElementsAre(HasSubstr(R"(peer1 <- <lrmd_ipc_proxy lrmd_ipc_op="destroy" lrmd_ipc_session="x")"),
                            "executor: request 0 of peer1"));
    EXPECT_THAT(from(kOne, R"(<lrmd_ipc_proxy lrmd_ipc_op="destroy" lrmd_ipc_session="x"/>)"),
                ElementsAre("executor: request 0 of peer1"))
        << "or the two would go on for ever";
}

TEST_F(RemoteServer, OnlyItsOwnProviderSpeaksToAClient) {
    connect(kOne);
    on(wire::ClientConnected{local_client(1)});
    connect(kTwo);
    EXPECT_THAT(from(kTwo, R"(<lrmd_ipc_proxy lrmd_ipc_op="destroy" lrmd_ipc_session="uuid-of-client-1"/>)"),
                ElementsAre("executor: request 0 of peer2"));
    on(PeerConnected{.id = {kFirstPeer + 3}, .uuid = "u", .from = "f"});
    EXPECT_THAT(from({kFirstPeer + 3}, R"(<lrmd_ipc_proxy lrmd_ipc_op="event" lrmd_ipc_session="uuid-of-client-1"/>)"),
                ElementsAre("executor: request 0 of peer3"))
        << "no provider";
}

TEST_F(RemoteServer, NewSessionsGoToTheNewestProviderAndOldOnesEndWithTheirs) {
    connect(kOne);
    on(wire::ClientConnected{local_client(1)});
    connect(kTwo);
    EXPECT_THAT(on(wire::ClientConnected{local_client(2)}), ElementsAre(HasSubstr("peer2 <- ")));
    EXPECT_THAT(on(PeerClosed{kOne, "closed"}), ElementsAre("evict client1", "executor: peer1 is gone"));
    EXPECT_THAT(on(wire::ClientRequest{{2}, 1, 0, tree("<a/>")}), ElementsAre(HasSubstr("peer2 <- ")));
}

TEST_F(RemoteServer, AClientThatAsksAndAsksIsDisconnected) {
    connect(kOne);
    on(wire::ClientConnected{local_client(1)});
    for (std::uint32_t i = 1; i <= kUnansweredMax; ++i)
        ASSERT_THAT(on(wire::ClientRequest{{1}, i, wire::kExpectsResponse, tree("<a/>")}), SizeIs(1));
    EXPECT_THAT(on(wire::ClientRequest{{1}, kUnansweredMax + 1, wire::kExpectsResponse, tree("<a/>")}),
                ElementsAre(HasSubstr("destroy"), "evict client1"));
}

TEST_F(RemoteServer, MoreClientsThanCanBeAreToldToTryAgain) {
    connect(kOne);
    for (std::uint64_t i = 1; i <= kSessionsMax; ++i) on(wire::ClientConnected{local_client(i)});
    EXPECT_EQ(server_.admit(local_client(kSessionsMax + 1)), -EAGAIN);
}

// ---- Shutdown ----

TEST_F(RemoteServer, LeavesAtOnceWithoutACluster) {
    EXPECT_THAT(on(ShutdownRequested{}), ElementsAre("stop listening", "executor: shut down"));
}

TEST_F(RemoteServer, LeavesAfterTheClusterTookItsResourcesAway) {
    connect(kOne);
    EXPECT_THAT(on(ShutdownRequested{}),
                ElementsAre("stop listening",
                            R"(peer1 <- <lrmd_ipc_proxy lrmd_ipc_op="shutdown_req" lrmd_ipc_session="0" )"
                            R"(lrmd_remote_msg_id="0" lrmd_remote_msg_type="notify"/>)",
                            "timer in 20000 ms"));
    EXPECT_THAT(on(ShutdownRequested{}), IsEmpty()) << "it was asked already";
    EXPECT_THAT(from(kOne, R"(<lrmd_ipc_proxy lrmd_ipc_op="shutdown_ack" lrmd_ipc_session="0"/>)"),
                ElementsAre("no timer", "executor: request 0 of peer1"));
    now_ += Duration{3'600'000};
    EXPECT_THAT(on(wire::TimerFired{"shutdown-answer"}), IsEmpty()) << "the resources may take as long as they need";
    EXPECT_THAT(on(PeerClosed{kOne, "closed"}), ElementsAre("executor: peer1 is gone", "executor: shut down"));
}

TEST_F(RemoteServer, LeavesAtOnceIfTheClusterRefuses) {
    connect(kOne);
    on(ShutdownRequested{});
    EXPECT_THAT(from(kOne, R"(<lrmd_ipc_proxy lrmd_ipc_op="shutdown_nack" lrmd_ipc_session="0"/>)"),
                ElementsAre("no timer", "executor: shut down", "executor: request 0 of peer1"));
}

TEST_F(RemoteServer, LeavesIfTheClusterDoesNotAnswer) {
    connect(kOne);
    on(ShutdownRequested{});
    now_ += kShutdownAnswer;
    EXPECT_THAT(on(wire::TimerFired{"shutdown-answer"}), ElementsAre("no timer", "executor: shut down"));
}

TEST_F(RemoteServer, LeavesIfTheClusterGoesBeforeItAnswers) {
    connect(kOne);
    on(ShutdownRequested{});
    EXPECT_THAT(on(PeerClosed{kOne, "closed"}),
                ElementsAre("executor: peer1 is gone", "no timer", "executor: shut down"));
}

TEST_F(RemoteServer, NobodyButAProviderAnswersForTheCluster) {
    connect(kOne);
    on(PeerConnected{.id = kTwo, .uuid = "u", .from = "f"});
    on(ShutdownRequested{});
    EXPECT_THAT(from(kTwo, R"(<lrmd_ipc_proxy lrmd_ipc_op="shutdown_nack" lrmd_ipc_session="0"/>)"),
                ElementsAre("executor: request 0 of peer2"));
}

}  // namespace
}  // namespace systole::remote
