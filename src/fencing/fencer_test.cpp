// The fencer's words on the wire, and what it makes of those of peers that are Pacemaker.
#include "fencing/fencer.h"

#include "xml/parse.h"
#include "xml/write.h"

namespace systole::fencing {
namespace {

constexpr Now kNow{Instant{Duration{5000}}, WallTime{1'700'000'000}};

xml::NodePtr parsed(std::string_view text) {
    auto tree = xml::parse(text);
    EXPECT_TRUE(tree.has_value()) << (tree ? "" : tree.error().what);
    return tree ? *tree : xml::NodePtr{};
}

template <class E>
std::vector<E> all(const Effects& effects) {
    std::vector<E> found;
    for (const auto& effect : effects) {
        if (const auto* e = std::get_if<E>(&effect)) found.push_back(*e);
    }
    return found;
}

/// What was multicast, "to: xml" a line.
std::string sent(const Effects& effects) {
    std::string lines;
    for (const auto& m : all<wire::Multicast>(effects))
        lines += (m.to.empty() ? "all" : m.to) + ": " + xml::write(*m.message) + "\n";
    return lines;
}

/// Operation ids are random: the one of this run becomes UUID.
std::string with_uuid(std::string text, std::string_view uuid) {
    for (auto at = text.find(uuid); at != std::string::npos; at = text.find(uuid))
        text.replace(at, uuid.size(), "UUID");
    return text;
}

constexpr std::string_view kMetadata =
    R"(<resource-agent><parameters><parameter name="plug"/></parameters><actions><action name="on"/><action name="off"/><action name="reboot"/><action name="status"/><action name="list"/></actions></resource-agent>)";

class Wire : public testing::Test {
protected:
    Wire() : fencer({.self = {NodeId{2}, "a2"}, .seed = 7, .pid = 99}) {
        wire::GroupChange change;
        change.group = wire::Group::kFencing;
        for (const std::uint32_t id : {1U, 2U, 3U}) {
            static_cast<void>(fencer.on_node_identified(kNow, {NodeId{id}, "a" + std::to_string(id)}));
            change.members.push_back({NodeId{id}, 1});
        }
        change.joined = change.members;
        static_cast<void>(fencer.on_group_change(kNow, change));
        wire::Client client{{1}, wire::Service::kFencer, 0, 0, 319, "root", true, "C-1"};
        static_cast<void>(fencer.on_client_connected(kNow, client));
        static_cast<void>(request(R"(<x t="stonith-ng" st_op="register" st_clientname="stonith_admin"/>)"));
    }
    Effects request(std::string_view text, std::uint32_t flags = wire::kExpectsResponse) {
        return fencer.on_client_request(kNow, {{1}, 7, flags, parsed(text)});
    }
    Effects from(std::string_view node, std::string_view text) {
        const auto id = static_cast<std::uint32_t>(node[1] - '0');
        return fencer.on_peer_message(kNow, {wire::Group::kFencing, {NodeId{id}, std::string(node)}, parsed(text)});
    }
    void add_device() {
        const auto effects = request(
            R"(<x t="stonith-ng" st_op="st_device_register" st_callid="1" st_callopt="4096"><st_calldata><st_device_id id="F1" namespace="stonith-ng" agent="fence_dummy"><attributes pcmk_host_list="a1 a3"/></st_device_id></st_calldata></x>)");
        ASSERT_EQ(all<FetchMetadata>(effects).size(), 1U);
        EXPECT_TRUE(all<wire::Respond>(effects).empty()) << "not before it is known what the agent can do";
        const auto answered = fencer.on_metadata(kNow, all<FetchMetadata>(effects)[0].token, kMetadata, "");
        ASSERT_EQ(all<wire::Respond>(answered).size(), 1U);
    }
    Fencer fencer;
};

constexpr std::string_view kFence =
    R"(<stonith_command t="stonith-ng" st_op="st_fence" st_callid="2" st_callopt="8194" st_timeout="40" st_delay="0"><st_calldata><st_fence st_target="a3" st_device_action="reboot" st_timeout="40" st_tolerance="0" st_delay="0"/></st_calldata></stonith_command>)";

TEST_F(Wire, TheQueryIsWhatPeersExpect) {
    const auto effects = request(kFence, 0);
    const auto messages = all<wire::Multicast>(effects);
    ASSERT_EQ(messages.size(), 1U);
    const std::string uuid(messages[0].message->get("st_remote_op"));
    EXPECT_EQ(uuid.size(), 36U);
    EXPECT_EQ(
        with_uuid(sent(effects), uuid),
        R"(all: <stonith_command t="stonith-ng" st_op="st_query" st_callid="2" st_callopt="8194" st_remote_op="UUID" st_target="a3" st_device_action="reboot" st_origin="a2" st_clientid="C-1" st_clientname="stonith_admin.319" st_timeout="40"/>)"
        "\n");
}

TEST_F(Wire, AQueryOfA215PeerIsAnswered) {
    add_device();
    const auto effects = from(
        "a1",
        R"(<stonith_command __name__="stonith_command" t="stonith-ng" st_async_id="U-1" st_op="st_query" st_callid="2" st_callopt="2" st_remote_op="U-1" st_target="a3" st_device_action="reboot" st_origin="a1" st_clientid="c" st_clientname="stonith_admin.5" st_timeout="40" src="a1"/>)");
    EXPECT_EQ(
        sent(effects),
        R"(a1: <st-reply st_origin="fencer" t="stonith-ng" op-status="0" rc-code="0" st_rc="0" st_op="st_query" st_callid="2" st_clientid="c" st_clientname="stonith_admin.5" st_remote_op="U-1" st_callopt="2"><st_calldata><st_devices st_target="a3" st-available-devices="1"><st_device_id id="F1" namespace="stonith-ng" agent="fence_dummy" st_monitor_verified="0" st_device_support_flags="111"><st_device_action id="off"/><st_device_action id="on"/></st_device_id></st_devices></st_calldata></st-reply>)"
        "\n");
    ASSERT_EQ(fencer.history().size(), 1U);
    EXPECT_EQ(fencer.history()[0].state, OperationState::kQuery);
}

TEST_F(Wire, AnOperationWithPacemakerPeersGoesItsWay) {
    const std::string uuid(all<wire::Multicast>(request(kFence, 0))[0].message->get("st_remote_op"));
    const auto reply = [&](std::string_view flags, std::string_view verified) {
        return R"(<st-reply st_origin="stonith_construct_reply" t="stonith-ng" st_op="st_query" op-status="0" rc-code="0" st_rc="0" st_callid="2" st_clientid="C-1" st_remote_op=")" +
               uuid +
               R"("><st_calldata><stonith_query_capable_device_cb st_target="a3" st-available-devices="1"><st_device_id id="F9" namespace="stonith-ng" agent="fence_dummy" st_monitor_verified=")" +
               std::string(verified) + R"(" st_device_support_flags=")" + std::string(flags) +
               R"(" st_action_timeout="20" st_delay_max="5"/></stonith_query_capable_device_cb></st_calldata></st-reply>)";
    };
    EXPECT_TRUE(all<wire::Multicast>(from("a1", reply("38", "0"))).empty()) << "unverified: more answers are awaited";
    const auto asked = from("a3", reply("142", "1"));
    EXPECT_TRUE(all<wire::Multicast>(asked).empty()) << "verified, but the target itself";
    const auto none =
        from("a2", R"(<st-reply t="stonith-ng" st_op="st_query" op-status="0" rc-code="0" st_remote_op=")" + uuid +
                       R"("><st_calldata><l st_target="a3" st-available-devices="0"/></st_calldata></st-reply>)");
    EXPECT_EQ(
        with_uuid(sent(none), uuid),
        R"(a1: <stonith_command t="stonith-ng" st_op="st_fence" st_callid="2" st_callopt="8194" st_remote_op="UUID" st_target="a3" st_device_action="reboot" st_origin="a2" st_clientid="C-1" st_clientname="stonith_admin.319" st_timeout="40" st_delay="0"/>)"
        "\n");
    // 20 s of its own plus 5 s of delay, and a fifth.
    ASSERT_EQ(all<wire::SendEvent>(none).size(), 1U);
    EXPECT_EQ(xml::write(*all<wire::SendEvent>(none)[0].message),
              R"(<st-async-timeout-value t="st-async-timeout-value" st_callid="2" st_timeout="30"/>)");
    const auto finished = from(
        "a1",
        R"(<st-reply st_origin="a2" t="stonith-ng" st_op="st_fence" st_device_id="F9" st_remote_op=")" + uuid +
            R"(" st_clientid="C-1" st_clientname="stonith_admin.319" st_target="a3" st_device_action="st_fence" st_callid="2" st_callopt="2" op-status="0" rc-code="0" st_output="ok" st_rc="0" src="a1"/>)");
    EXPECT_EQ(
        with_uuid(sent(finished), uuid),
        R"(all: <st-reply t="st_notify" subt="broadcast" st_op="st_notify" count="1"><st_calldata><st_notify_fence state="2" st_target="a3" st_device_action="reboot" st_delegate="a1" st_remote_op="UUID" st_origin="a2" st_clientid="C-1" st_clientname="stonith_admin.319" op-status="0" rc-code="0" st_output="ok" st_rc="0"/></st_calldata></st-reply>)"
        "\n");
    EXPECT_TRUE(all<FenceNotice>(finished).empty()) << "only when the message comes back, as for everybody";
    static_cast<void>(request(R"(<x t="stonith-ng" st_op="st_notify" st_notify_activate="st_notify_fence"/>)"));
    const auto broadcast = all<wire::Multicast>(finished)[0].message;
    const auto told = fencer.on_peer_message(kNow, {wire::Group::kFencing, {NodeId{2}, "a2"}, broadcast});
    ASSERT_EQ(all<FenceNotice>(told).size(), 1U);
    EXPECT_EQ(all<FenceNotice>(told)[0].delegate, "a1");
    const auto events = all<wire::SendEvent>(told);
    ASSERT_EQ(events.size(), 2U);
    EXPECT_TRUE(
        xml::write(*events[0].message)
            .starts_with(
                R"(<st-reply st_origin="fencer" t="stonith-ng" op-status="0" rc-code="0" st_output="ok" st_rc="0" st_op="st_fence" st_callid="2" st_clientid="C-1")"))
        << xml::write(*events[0].message);
    EXPECT_EQ(
        with_uuid(xml::write(*events[1].message), uuid),
        R"(<notify t="st_notify" subt="st_notify_fence" st_op="st_notify_fence" op-status="0" rc-code="0" st_output="ok" st_rc="0"><st_calldata><st_notify_fence state="2" st_target="a3" st_device_action="reboot" st_delegate="a1" st_remote_op="UUID" st_origin="a2" st_clientid="C-1" st_clientname="stonith_admin.319"/></st_calldata></notify>)");
    EXPECT_TRUE(fencer.on_peer_message(kNow, {wire::Group::kFencing, {NodeId{2}, "a2"}, broadcast}).size() == 1U)
        << "a second time it is only logged";
}

TEST_F(Wire, WhoWasNotThereWhenAFencingWasAskedForSaysSo) {
    const auto done = [&](const std::string& id) {
        return from("a1", R"(<st-reply t="st_notify" subt="broadcast" st_op="st_notify" count="1"><st_calldata>)"
                          R"(<st_notify_fence state="2" st_target="a2" st_device_action="reboot" st_delegate="a1" )"
                          R"(st_remote_op=")" +
                              id +
                              R"(" st_origin="a1" st_clientid="c" st_clientname="n.1" )"
                              R"(op-status="0" rc-code="0" st_rc="0"/></st_calldata></st-reply>)");
    };
    const auto late = done("U-1");
    ASSERT_EQ(all<FenceNotice>(late).size(), 1U);
    EXPECT_FALSE(all<FenceNotice>(late)[0].witnessed) << "its target may be this node's life before";
    static_cast<void>(from(
        "a1", R"(<stonith_command t="stonith-ng" st_op="st_query" st_callid="2" st_callopt="0" st_remote_op="U-2" )"
              R"(st_target="a2" st_device_action="reboot" st_origin="a1" st_clientid="c" st_clientname="n.1" )"
              R"(st_timeout="40"/>)"));
    const auto lived_through = done("U-2");
    ASSERT_EQ(all<FenceNotice>(lived_through).size(), 1U);
    EXPECT_TRUE(all<FenceNotice>(lived_through)[0].witnessed);
}

TEST_F(Wire, ATargetThatOrderedItsOwnFencingIsSpokenFor) {
    add_device();
    const auto asked = from(
        "a3",
        R"(<stonith_command t="stonith-ng" st_op="st_fence" st_remote_op="U-3" st_target="a3" st_device_action="off" st_origin="a3" st_clientid="c" st_clientname="n.1" st_timeout="10" st_callid="4" st_callopt="0" st_delay="-1"/>)");
    const auto runs = all<RunFenceAgent>(asked);
    ASSERT_EQ(runs.size(), 1U);
    EXPECT_EQ(runs[0].agent, "fence_dummy");
    EXPECT_EQ(runs[0].timeout, Duration{10'000});
    EXPECT_EQ(
        sent(fencer.on_agent_done(kNow, runs[0].token, ExecStatus::kDone, 0, "", "")),
        R"(all: <st-reply st_origin="a3" t="stonith-ng" st_op="st_notify" st_device_id="F1" st_remote_op="U-3" st_clientid="c" st_clientname="n.1" st_target="a3" st_device_action="st_fence" st_callid="4" st_callopt="0" op-status="0" rc-code="0" st_rc="0" subt="broadcast"/>)"
        "\n");
}

TEST_F(Wire, ASyncRequestGetsOneResponseAnAsyncOneAnEvent) {
    const auto sync = request(R"(<x t="stonith-ng" st_op="st_fence_history" st_callid="3" st_callopt="4096"/>)");
    ASSERT_EQ(all<wire::Respond>(sync).size(), 1U);
    EXPECT_EQ(all<wire::Respond>(sync)[0].request, 7U);
    const auto async = request(R"(<x t="stonith-ng" st_op="st_fence_history" st_callid="3" st_callopt="0"/>)", 0);
    EXPECT_TRUE(all<wire::Respond>(async).empty());
    EXPECT_EQ(all<wire::SendEvent>(async).size(), 1U);
    const auto proxied = request(R"(<x t="stonith-ng" st_op="st_fence_history" st_callid="3" st_callopt="4096"/>)",
                                 wire::kExpectsResponse | wire::kProxied);
    EXPECT_TRUE(all<wire::Respond>(proxied).empty());
    EXPECT_EQ(all<wire::SendEvent>(proxied).size(), 1U);
    const auto garbage = fencer.on_client_request(kNow, {{1}, 8, wire::kExpectsResponse, {}});
    ASSERT_EQ(all<wire::Respond>(garbage).size(), 1U);
    EXPECT_EQ(all<wire::Respond>(garbage)[0].message->get("status"), "76");
}

TEST_F(Wire, APeersHistoryIsMergedAndWhatItLacksIsSent) {
    // A result that this node saw before the peer was there.
    static_cast<void>(from(
        "a1",
        R"(<st-reply t="st_notify" subt="broadcast" st_op="st_notify" count="1"><st_calldata><st_notify_fence state="2" st_target="a9" st_device_action="off" st_delegate="a1" st_remote_op="OURS" st_origin="a1" st_clientid="x" st_clientname="x.1" op-status="0" rc-code="0" st_rc="0"/></st_calldata></st-reply>)"));
    const auto effects = from(
        "a3",
        R"(<stonith_command t="stonith-ng" subt="broadcast" st_op="st_fence_history" st_callopt="1048592"><st_calldata><stonith_send_broadcast_history><st_history>)"
        R"(<st_execute st_remote_op="THEIRS" st_target="a8" st_device_action="reboot" st_origin="a3" st_delegate="a3" st_clientname="y.2" st_date="1699999999" st_date_nsec="5" st_state="2" op-status="0" rc-code="0" st_rc="0"/>)"
        R"(<st_execute st_remote_op="LOST" st_target="a7" st_device_action="off" st_origin="a2" st_clientname="z.3" st_date="0" st_state="1" op-status="0" rc-code="0" st_rc="0"/>)"
        R"(</st_history></stonith_send_broadcast_history></st_calldata></stonith_command>)");
    EXPECT_EQ(
        sent(effects),
        R"(all: <st-reply t="st_notify" subt="broadcast" st_op="st_notify" count="1"><st_calldata><st_notify_fence state="4" st_target="a7" st_device_action="off" st_remote_op="LOST" st_origin="a2" st_clientid="" st_clientname="z.3" op-status="9" rc-code="110" exit-reason="Initiated by earlier fencer process and presumed failed" st_rc="-113"/></st_calldata></st-reply>)"
        "\n"
        R"(all: <stonith_command t="stonith-ng" st_op="st_fence_history" subt="broadcast" st_callopt="1048592"><st_calldata><history><st_history st_differential="true"><st_execute st_remote_op="OURS" st_target="a9" st_device_action="off" st_origin="a1" st_delegate="a1" st_clientname="x.1" st_date="1700000000" st_date_nsec="0" st_state="2" op-status="0" rc-code="0" st_rc="0"/></st_history></history></st_calldata></stonith_command>)"
        "\n");
    ASSERT_EQ(fencer.history().size(), 3U);
    EXPECT_EQ(fencer.history()[0].operation, "THEIRS");
    const auto difference = from(
        "a1",
        R"(<stonith_command t="stonith-ng" st_op="st_fence_history" st_callopt="1048592"><c><st_history st_differential="true"><st_execute st_remote_op="MORE" st_target="a6" st_device_action="off" st_origin="a1" st_clientname="x.1" st_date="1699999990" st_state="4" op-status="2" rc-code="1"/></st_history></c></stonith_command>)");
    EXPECT_TRUE(all<wire::Multicast>(difference).empty()) << "a difference is not answered";
    EXPECT_EQ(fencer.history().size(), 4U);
}

TEST_F(Wire, TheHistoryIsBounded) {
    for (std::size_t i = 0; i < kHistoryMax + 20; ++i) {
        static_cast<void>(from(
            "a1",
            R"(<st-reply t="st_notify" subt="broadcast" st_op="st_notify"><st_calldata><st_notify_fence state="2" st_target="a9" st_device_action="off" st_remote_op="OP)" +
                std::to_string(i) +
                R"(" st_origin="a1" st_clientid="x" st_clientname="x.1" op-status="0" rc-code="0" st_rc="0"/></st_calldata></st-reply>)"));
        EXPECT_TRUE(fencer.check_state().empty());
    }
    EXPECT_LE(fencer.history().size(), kHistoryMax + 1);
    EXPECT_EQ(fencer.history().back().operation, "OP" + std::to_string(kHistoryMax + 19));
}

TEST_F(Wire, ATimeoutUpdateReachesTheClient) {
    const auto effects =
        from("a1", R"(<x t="stonith-ng" st_op="st_timeout_update" st_clientid="C-1" st_callid="5" st_timeout="77"/>)");
    ASSERT_EQ(all<wire::SendEvent>(effects).size(), 1U);
    EXPECT_EQ(all<wire::SendEvent>(effects)[0].message->get("st_timeout"), "77");
}

// Drill seeds 45, 241 and others: asked for with quorum, done by a peer that had lost it.
class Quorum : public Wire {
protected:
    Quorum() { a3_leaves(); }
    void a3_leaves() {
        wire::GroupChange change{.group = wire::Group::kFencing, .members = {{NodeId{1}, 1}, {NodeId{2}, 1}}};
        change.left.push_back({NodeId{3}, 1});
        static_cast<void>(fencer.on_group_change(kNow, change));
    }
    void a3_returns() {
        wire::GroupChange change{.group = wire::Group::kFencing,
                                 .members = {{NodeId{1}, 1}, {NodeId{2}, 1}, {NodeId{3}, 1}}};
        change.joined.push_back({NodeId{3}, 1});
        static_cast<void>(fencer.on_group_change(kNow, change));
    }
    void has_quorum(bool yes) { last = fencer.on_quorum(kNow, {.ring = 9, .quorate = yes, .members = {}}); }
    std::string ask_controller() {
        last = fencer.on_local_request(
            kNow, 5, {.target = "a3", .action = "reboot", .timeout = Duration{40'000}, .needs_quorum = true});
        const auto messages = all<wire::Multicast>(last);
        return messages.empty() ? "" : std::string(messages[0].message->get("st_remote_op"));
    }
    void offer(const std::string& node, const std::string& operation) {
        last = from(node, R"(<st-reply t="stonith-ng" st_op="st_query" op-status="0" rc-code="0" st_remote_op=")" +
                              operation +
                              R"("><st_calldata><l st_target="a3" st-available-devices="1"><st_device_id id="F" )"
                              R"(st_monitor_verified="1"/></l></st_calldata></st-reply>)");
    }
    void asked_of_us(std::string_view right) {
        last = from("a1", R"(<stonith_command t="stonith-ng" st_op="st_fence" st_remote_op="U-3" st_target="a3" )"
                          R"(st_device_action="off" st_origin="a1" st_timeout="10" st_callopt="0" st_delay="-1" )" +
                              std::string(right) + "/>");
    }
    Effects last;
};

TEST_F(Quorum, ThePeerThatIsAskedIsToldThatItNeedsOne) {
    has_quorum(true);
    offer("a1", ask_controller());
    EXPECT_NE(sent(last).find(R"(st_op="st_fence")"), std::string::npos) << sent(last);
    EXPECT_NE(sent(last).find(R"(st_needs_quorum="1")"), std::string::npos) << sent(last);
}

TEST_F(Quorum, NobodyIsAskedOnceItIsLost) {
    has_quorum(true);
    const std::string operation = ask_controller();
    has_quorum(false);
    EXPECT_NE(sent(last).find(R"(st_op="st_notify")"), std::string::npos) << "given up, and all are told";
    offer("a1", operation);
    EXPECT_EQ(sent(last).find(R"(st_op="st_fence")"), std::string::npos) << sent(last);
    ask_controller();
    EXPECT_EQ(sent(last).find(R"(st_op="st_query")"), std::string::npos) << sent(last);
}

TEST_F(Quorum, WithoutItAPeerStartsNoAgentForAController) {
    add_device();
    has_quorum(false);
    asked_of_us(R"(st_needs_quorum="1")");
    EXPECT_TRUE(all<RunFenceAgent>(last).empty());
    EXPECT_NE(sent(last).find("Quorum was lost"), std::string::npos) << sent(last);
    asked_of_us("");
    EXPECT_EQ(all<RunFenceAgent>(last).size(), 1U) << "what a person asks for needs none";
}

TEST_F(Quorum, WhoCameBackMeanwhileIsLeftAlone) {
    has_quorum(true);
    const std::string operation = ask_controller();
    a3_returns();
    offer("a1", operation);
    EXPECT_EQ(sent(last).find(R"(st_op="st_fence")"), std::string::npos) << sent(last);
    EXPECT_NE(sent(last).find("Target came back"), std::string::npos) << sent(last);
}

TEST_F(Quorum, AMemberOfTheOwnPartitionIsFencedWithout) {
    add_device();
    a3_returns();
    has_quorum(false);
    asked_of_us(R"(st_needs_quorum="1")");
    EXPECT_EQ(all<RunFenceAgent>(last).size(), 1U);
}

TEST_F(Quorum, AnAgentIsNotTriedAgainWithoutIt) {
    add_device();
    has_quorum(true);
    asked_of_us(R"(st_needs_quorum="1")");
    const auto runs = all<RunFenceAgent>(last);
    ASSERT_EQ(runs.size(), 1U);
    last = fencer.on_agent_done(kNow, runs[0].token, ExecStatus::kDone, 1, "", "");
    ASSERT_EQ(all<wire::ArmTimer>(last).size(), 1U) << "a second attempt is due";
    const std::string timer = all<wire::ArmTimer>(last)[0].name;
    has_quorum(false);
    last = fencer.on_timer(kNow, timer);
    EXPECT_TRUE(all<RunFenceAgent>(last).empty());
    EXPECT_NE(sent(last).find("Quorum was lost"), std::string::npos) << sent(last);
}

TEST_F(Wire, NonsenseOfPeersIsLoggedAndChangesNothing) {
    for (const auto* text :
         {"<x/>", R"(<x st_op="st_query"/>)", R"(<x st_op="st_fence"/>)", R"(<x st_op="st_relay"/>)",
          R"(<st-reply st_op="st_query"/>)", R"(<st-reply st_op="st_query" st_remote_op="no"/>)",
          R"(<st-reply st_op="st_fence" st_remote_op="no"/>)", R"(<st-reply st_op="st_notify"/>)",
          R"(<st-reply st_op="st_notify" subt="broadcast" st_remote_op="no" rc-code="x"/>)",
          R"(<x st_op="st_fence_history" st_callopt="1048592"><st_history><st_execute/></st_history></x>)",
          R"(<x st_op="st_query" st_remote_op=""/>)", R"(<x st_op="poke"/>)"}) {
        SCOPED_TRACE(text);
        static_cast<void>(from("a1", text));
        EXPECT_TRUE(fencer.history().empty());
        EXPECT_TRUE(fencer.check_state().empty());
    }
    EXPECT_FALSE(fencer.on_agent_done(kNow, 999, ExecStatus::kDone, 0, "", "").empty()) << "it is logged";
}

}  // namespace
}  // namespace systole::fencing
