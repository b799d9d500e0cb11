// Whole clusters of Nodes in the toy world: election, join, resources, losses, fencing, shutdown.
#include "controller/node.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cib/request.h"
#include "controller/toy_world.h"
#include "membership/election.h"
#include "wire/message.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using toy::World;

const char* const kOne = R"(<primitive id="db" class="ocf" provider="pacemaker" type="Dummy"/>)";
const char* const kThree = R"(<primitive id="a" class="ocf" provider="pacemaker" type="Dummy"/>
<primitive id="b" class="ocf" provider="pacemaker" type="Dummy"/>
<primitive id="c" class="ocf" provider="pacemaker" type="Dummy"/>)";

bool verbose() { return std::getenv("TOY_VERBOSE") != nullptr; }

std::string dump(const World& world) {
    std::string out;
    for (const auto& line : world.history) out += line + "\n";
    return out;
}

void expect_sound(const World& world) {
    EXPECT_EQ(world.violations, std::vector<std::string>{}) << dump(world);
    EXPECT_EQ(world.errors, std::vector<std::string>{}) << dump(world);
    EXPECT_EQ(world.count("twice"), 0) << dump(world);
}

TEST(Node, ThreeNodesElectOneDcAtOnce) {
    World world({.nodes = 3, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    EXPECT_LT(world.elapsed(), milliseconds(1000)) << dump(world);
    EXPECT_EQ(world.dc(), "n1");
    EXPECT_EQ(world.state("n2"), "S_NOT_DC");
    EXPECT_EQ(world.state("n3"), "S_NOT_DC");
    EXPECT_EQ(world.cib("n1")->get("dc-uuid"), "1");
    EXPECT_EQ(world.cib("n3")->get("have-quorum"), "1");
    const auto* nodes = world.cib("n2")->child("configuration")->child("nodes");
    EXPECT_EQ(nodes->children().size(), 3U);
    EXPECT_EQ(xml::digest_versioned(*world.cib("n1")), xml::digest_versioned(*world.cib("n3")));
    expect_sound(world);
}

TEST(Node, ASingleNodeServesItself) {
    World world({.nodes = 1, .resources = kOne, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.running("db").size() == 1; })) << dump(world);
    EXPECT_LT(world.elapsed(), milliseconds(1000));
    expect_sound(world);
}

TEST(Node, AMissingNodeIsWaitedForUntilDcDeadtime) {
    World world({.nodes = 3, .verbose = verbose()});
    world.start("n1");
    world.start("n2");
    world.run(seconds(19));
    EXPECT_EQ(world.dc(), "");
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.dc() == "n1"; })) << dump(world);
    world.start("n3");
    ASSERT_TRUE(world.run(seconds(1), [&] { return world.state("n3") == "S_NOT_DC"; })) << dump(world);
    EXPECT_EQ(world.dc(), "n1");
    expect_sound(world);
}

TEST(Node, AResourceStartsOnceAndIsMonitored) {
    World world({.nodes = 3, .resources = kOne, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("monitor/10000 db rc=0") == 1; })) << dump(world);
    EXPECT_LT(world.elapsed(), milliseconds(1500)) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5)));
    EXPECT_EQ(world.count("start db"), 1);
    EXPECT_EQ(world.count("monitor db rc=7"), 3);
    const int plans = world.plans;
    world.run(std::chrono::minutes(10));
    EXPECT_EQ(world.plans, plans) << "an idle cluster plans nothing\n" << dump(world);
    expect_sound(world);
}

TEST(Node, AFailedResourceIsRecoveredAndCounted) {
    World world({.nodes = 3, .resources = kOne, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("monitor/10000 db rc=0") == 1; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5)));
    const std::string node = world.running("db").front();
    world.break_service(node, "db");
    ASSERT_TRUE(world.run(seconds(15), [&] { return world.count("monitor/10000 db rc=0") == 2; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5)));
    EXPECT_EQ(world.count("stop db rc=0"), 1);
    const std::string text = xml::write(*world.cib("n2"));
    EXPECT_NE(text.find("name=\"fail-count-db#monitor_10000\" value=\"1\""), std::string::npos) << text;
    EXPECT_NE(text.find("last-failure-db#monitor_10000"), std::string::npos);
    expect_sound(world);
}

TEST(Node, ALostNodesResourcesMoveOnce) {
    World world({.nodes = 3, .resources = kThree, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("monitor/10000") == 3; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5)));
    const std::string moved = world.running("c").front();
    ASSERT_NE(moved, "n1");
    world.power_off(moved);
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.running("c").size() == 1; })) << dump(world);
    EXPECT_EQ(world.count("start c"), 2);
    EXPECT_EQ(world.count("start a"), 1);
    EXPECT_EQ(world.dc(), "n1");
    expect_sound(world);
}

TEST(Node, ALostDcIsReplacedAtOnce) {
    World world({.nodes = 3, .resources = kThree, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("monitor/10000") == 3; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5)));
    world.power_off("n1");
    const auto before = world.elapsed();
    ASSERT_TRUE(world.run(seconds(10), [&] { return world.dc() == "n2"; })) << dump(world);
    ASSERT_TRUE(world.run(seconds(5), [&] {
        return world.running("a").size() == 1 && world.running("b").size() == 1 && world.running("c").size() == 1;
    })) << dump(world);
    EXPECT_LT(world.elapsed() - before, milliseconds(2000)) << "detection takes 1000 of them\n" << dump(world);
    ASSERT_TRUE(world.settle(seconds(5)));
    EXPECT_EQ(world.count("start a") + world.count("start b") + world.count("start c"), 4) << dump(world);
    expect_sound(world);
}

TEST(Node, NothingMovesBeforeTheLostNodeIsFenced) {
    World world({.nodes = 3, .fencing = true, .resources = kThree, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("monitor/10000") >= 3; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    const std::string lost = world.running("c").front();
    ASSERT_NE(lost, "n1");
    world.isolate(lost);  // it goes on running its resources
    ASSERT_TRUE(world.run(seconds(20), [&] { return world.count(lost + " fenced") == 1; })) << dump(world);
    EXPECT_EQ(world.count("start c"), 1) << dump(world);
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.running("c").size() == 1; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5)));
    EXPECT_EQ(world.count("fenced by"), 1);
    expect_sound(world);
}

TEST(Node, ANodeLeavesInGoodOrder) {
    World world({.nodes = 3, .fencing = true, .resources = kThree, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("monitor/10000") >= 3; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    const std::string leaving = world.running("b").front();
    world.shut_down(leaving);
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.exit_code(leaving).has_value(); })) << dump(world);
    EXPECT_EQ(world.exit_code(leaving), 0);
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.running("b").size() == 1; })) << dump(world);
    EXPECT_NE(world.running("b").front(), leaving);
    ASSERT_TRUE(world.settle(seconds(5)));
    EXPECT_EQ(world.count("fenced by"), 0) << dump(world);
    expect_sound(world);
}

TEST(Node, ANodeThatVanishesWhileItLeavesIsFenced) {
    World world({.nodes = 3, .fencing = true, .resources = kThree, .verbose = verbose()});
    for (const auto* node : {"n1", "n2", "n3"}) world.durations[std::string(node) + "/b/stop"] = seconds(5);
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("monitor/10000") >= 3; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    const std::string leaving = world.running("b").front();
    world.shut_down(leaving);
    world.run(milliseconds(500));
    world.isolate(leaving);
    ASSERT_TRUE(world.run(seconds(10), [&] { return world.count(leaving + " fenced") == 1; })) << dump(world);
    ASSERT_TRUE(world.run(seconds(10), [&] { return world.running("b").size() == 1; })) << dump(world);
    expect_sound(world);
}

TEST(Node, TheDcLeavesInGoodOrder) {
    World world({.nodes = 3, .fencing = true, .resources = kThree, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("monitor/10000") >= 3; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    world.shut_down("n1");
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.exit_code("n1").has_value(); })) << dump(world);
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.dc() == "n2"; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    for (const auto* resource : {"a", "b", "c"})
        EXPECT_EQ(world.running(resource).size(), 1U) << resource << dump(world);
    EXPECT_EQ(world.count("fenced by"), 0) << dump(world);
    expect_sound(world);
}

TEST(Node, EverybodyLeaves) {
    World world({.nodes = 3, .fencing = true, .resources = kThree, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("monitor/10000") >= 3; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    for (const auto* node : {"n1", "n2", "n3"}) world.shut_down(node);
    ASSERT_TRUE(world.run(seconds(10), [&] {
        return world.exit_code("n1") && world.exit_code("n2") && world.exit_code("n3");
    })) << dump(world);
    for (const auto* node : {"n1", "n2", "n3"}) EXPECT_EQ(world.exit_code(node), 0);
    EXPECT_EQ(world.count("fenced by"), 0) << dump(world);
    for (const auto* resource : {"a", "b", "c"}) EXPECT_TRUE(world.running(resource).empty()) << resource;
    expect_sound(world);
}

TEST(Node, ACoreThatCrashedTakesItsResourcesOverAgain) {
    World world({.nodes = 3, .resources = kThree, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("monitor/10000") >= 3; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    const std::string node = world.running("c").front();
    ASSERT_NE(node, "n1");
    const int starts = world.count(" start ");
    world.kill_core(node);
    world.start(node);
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.state(node) == "S_NOT_DC"; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    EXPECT_EQ(world.running("c"), std::vector{node}) << dump(world);
    EXPECT_EQ(world.count(" start "), starts) << dump(world);
    expect_sound(world);
}

TEST(Node, ACoreThatCrashedIsNotFencedIfItComesBack) {
    for (const bool dc : {false, true}) {
        World world({.nodes = 3, .fencing = true, .resources = kThree, .verbose = verbose()});
        world.start_all();
        ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("monitor/10000") >= 3; })) << dump(world);
        ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
        const std::string node = dc ? "n1" : "n2";
        const int starts = world.count(" start ");
        world.kill_core(node);
        world.run(milliseconds(500));
        world.start(node);
        world.run(seconds(5));
        ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
        EXPECT_EQ(world.count("fenced by"), 0) << dump(world);
        EXPECT_EQ(world.count(" start "), starts) << dump(world);
        for (const auto* resource : {"a", "b", "c"}) EXPECT_EQ(world.running(resource).size(), 1U) << resource;
        expect_sound(world);
    }
}

// Drill seed 2124: its promoted instance could not be demoted, and another was promoted.
TEST(Node, ACoreThatIsBackAndHasNotJoinedYetIsWaitedFor) {
    World world({.nodes = 3, .fencing = true, .resources = kThree, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("monitor/10000") >= 3; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    const int starts = world.count(" start "), plans = world.count("planning");
    world.kill_core("n2");
    world.run(milliseconds(500));
    world.start("n2", false);
    world.run(seconds(20));
    EXPECT_EQ(world.count("planning"), plans) << dump(world);
    world.executor_answers("n2");
    world.run(seconds(5));
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    EXPECT_GT(world.count("planning"), plans);
    EXPECT_EQ(world.count("fenced by"), 0) << dump(world);
    EXPECT_EQ(world.count(" start "), starts) << dump(world);
    expect_sound(world);
}

TEST(Node, ACoreThatStaysAwayIsFenced) {
    World world({.nodes = 3, .fencing = true, .resources = kThree, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("monitor/10000") >= 3; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    world.kill_core("n2");
    ASSERT_TRUE(world.run(seconds(10), [&] { return world.count("n2 fenced") == 1; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(20))) << dump(world);
    for (const auto* resource : {"a", "b", "c"}) EXPECT_EQ(world.running(resource).size(), 1U) << resource;
    expect_sound(world);
}

TEST(Node, ARecoveryDoesNotWaitForAnUnrelatedSlowAction) {
    World world({.nodes = 3, .resources = kThree, .verbose = verbose()});
    for (const auto* node : {"n1", "n2", "n3"}) world.durations[std::string(node) + "/a/start"] = seconds(15);
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.running("c").size() == 1 && world.running("b").size() == 1; }))
        << dump(world);
    const std::string lost = world.running("c").front();
    world.power_off(lost);
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.running("c").size() == 1; })) << dump(world);
    EXPECT_LT(world.elapsed(), milliseconds(5000)) << dump(world);
    ASSERT_TRUE(world.run(seconds(30), [&] { return world.running("a").size() == 1; }));
    ASSERT_TRUE(world.settle(seconds(30))) << dump(world);
    EXPECT_EQ(world.count(" start a "), 1) << dump(world);
    expect_sound(world);
}

wire::PeerMessage news_of_fencing(std::string_view target) {
    const auto news = xml::parse(fmt::format(
        R"(<st-reply t="st_notify" subt="broadcast" st_op="st_notify" count="1"><st_calldata><st_notify_fence state="2" )"
        R"(st_target="{}" st_device_action="reboot" st_delegate="n1" st_remote_op="U-1" st_origin="n1" st_clientid="c" )"
        R"(st_clientname="n.1" op-status="0" rc-code="0" st_rc="0"/></st_calldata></st-reply>)",
        target));
    return {wire::Group::kFencing, {NodeId{1}, "n1"}, news.value()};
}

// Found with pcs: "stonith confirm" of a name that was mistyped made a node of it.
TEST(Node, AFencingOfANameThatIsNoNodeIsNotRecorded) {
    World world({.nodes = 2, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    (void)world.node("n2").on({}, news_of_fencing("n9"));
    (void)world.node("n2").on({}, news_of_fencing("n1"));
    world.power_off("n1");
    ASSERT_TRUE(world.settle(seconds(10))) << dump(world);
    ASSERT_EQ(world.dc(), "n2");
    const xml::Node& status = *world.cib("n2")->child("status");
    const auto of = [&](std::string_view name) {
        return std::ranges::count(status.children(), name, [](const auto& state) { return state->get("uname"); });
    };
    EXPECT_EQ(of("n1"), 1);
    EXPECT_EQ(of("n9"), 0) << xml::write(status, {.pretty = true});
}

// Found in the lab: a node that boots faster than the engine forms its ring is back before the news of its death.
TEST(Node, TheLateNewsOfANodesDeathDoesNotOutliveTheDc) {
    World world({.nodes = 3, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    ASSERT_EQ(world.dc(), "n1");
    (void)world.node("n2").on({}, news_of_fencing("n3"));
    world.run(seconds(30));
    world.power_off("n1");
    ASSERT_TRUE(world.settle(seconds(10))) << dump(world);
    ASSERT_EQ(world.dc(), "n2") << "who heard it";
    const xml::Node* state = world.cib("n2")->child("status")->child("node_state", "3");
    ASSERT_NE(state, nullptr);
    EXPECT_EQ(state->get("join"), "member");
    EXPECT_EQ(state->get("crmd"), "online");
    expect_sound(world);
}

// Drill seed 3471: minutes after a fencing another node became DC, and took it for one that nobody had recorded.
TEST(Node, AFencingOfAnEarlierLifeDoesNotOutliveTheDc) {
    World world({.nodes = 4, .fencing = true, .resources = kThree, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("monitor/10000") >= 3; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    ASSERT_EQ(world.dc(), "n1");
    world.isolate("n3");
    ASSERT_TRUE(world.run(seconds(20), [&] { return world.count("n3 fenced") == 1; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(20))) << dump(world);
    world.start("n3");
    ASSERT_TRUE(world.settle(seconds(20))) << dump(world);
    world.run(seconds(30));
    const auto history = [&] {
        const xml::Node* state = world.cib("n2")->child("status")->child("node_state", "3");
        return state == nullptr || state->child("lrm") == nullptr ? std::string("none")
                                                                  : xml::write(*state->child("lrm"));
    };
    const std::string before = history();
    ASSERT_NE(before, "none") << dump(world);
    world.power_off("n1");
    ASSERT_TRUE(world.run(seconds(20), [&] { return world.count("n1 fenced") == 1; })) << dump(world);
    ASSERT_TRUE(world.settle(seconds(10))) << dump(world);
    ASSERT_EQ(world.dc(), "n2") << "who heard it";
    EXPECT_NE(history().find("monitor"), std::string::npos) << history() << dump(world);
    const xml::Node* state = world.cib("n2")->child("status")->child("node_state", "3");
    EXPECT_EQ(state->get("join"), "member");
    expect_sound(world);
}

// Drill seed 2964: a minute later the former DC recorded that actions of its time had not ended, and its node was
// fenced.
TEST(Node, ADcThatIsOfferedToJoinDuringAnElectionLeavesItsOffice) {
    World world({.nodes = 3, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    ASSERT_EQ(world.dc(), "n1");
    const auto hear = [&](const xml::NodePtr& message) {
        const wire::NodeRef n2{NodeId{2}, "n2"};
        int left = 0;
        for (const Effect& effect : world.node("n1").on({}, wire::PeerMessage{wire::Group::kController, n2, message}))
            if (const auto* line = std::get_if<wire::Log>(&effect))
                left += line->text.find("no longer DC") != std::string::npos ? 1 : 0;
        return left;
    };
    const membership::Vote vote{.owner = NodeId{2}, .round = 7, .version = std::string(wire::kFeatureSet), .age = {}};
    EXPECT_EQ(hear(membership::vote_message(vote, "crmd", "", "vote-crmd-0-7")), 0);
    ASSERT_EQ(world.state("n1"), "S_ELECTION") << dump(world);
    auto offer = wire::make_message({.origin = "toy", .task = "join_offer", .from_system = "dc", .to_host = "n1"});
    offer.set("join_id", 1).set("dc-leaving", "false").set("crm_feature_set", wire::kFeatureSet);
    const xml::NodePtr message = std::move(offer).build();
    // The first one may say only that our own office is in doubt.
    EXPECT_EQ(hear(message) + hear(message), 1) << world.state("n1");
}

TEST(Node, AMemberWithANewerCibMakesEverybodyTakeIt) {
    World world({.nodes = 3, .resources = kOne, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.settle(seconds(5))) << dump(world);
    // A change that counted on one node only, as a merge of two parts of the cluster may leave behind.
    xml::Builder set("cluster_property_set");
    set.set("id", "late").add(xml::Builder("nvpair").set("id", "late-x").set("name", "x").set("value", "1").build());
    const auto change =
        cib::make_request(cib::Op::kModify, "crm_config", std::move(set).build(), cib::option::kCanCreate);
    (void)world.node("n3").on({}, wire::PeerMessage{wire::Group::kCib, {NodeId{2}, "n2"}, change});
    ASSERT_NE(xml::digest_versioned(*world.cib("n1")), xml::digest_versioned(*world.cib("n3")));
    ASSERT_TRUE(world.run(seconds(20), [&] {
        return xml::digest_versioned(*world.cib("n1")) == xml::digest_versioned(*world.cib("n3")) &&
               world.state(world.dc()) == "S_IDLE";
    })) << dump(world);
    EXPECT_NE(xml::write(*world.cib("n2")).find("late-x"), std::string::npos) << dump(world);
    EXPECT_EQ(world.count("start db"), 1) << dump(world);
    expect_sound(world);
}

TEST(Node, ClientsAreAnswered) {
    World world({.nodes = 3, .verbose = verbose()});
    world.start_all();
    ASSERT_TRUE(world.settle(seconds(5)));
    const auto hello = wire::make_message({.origin = "test", .task = "hello", .to_system = "", .from_system = "t"},
                                          xml::Builder("options")
                                              .set("major_version", "1")
                                              .set("minor_version", "0")
                                              .set("client_name", "crm_node")
                                              .set("client_uuid", "u")
                                              .build())
                           .build();
    const auto request = [](std::string_view task, std::string_view system, std::string_view host = {}) {
        return wire::make_message({.origin = "test",
                                   .task = task,
                                   .to_system = system,
                                   .from_system = "t",
                                   .to_host = host,
                                   .reference = "ref"})
            .build();
    };
    auto mail = world.ask("n2", wire::Service::kController,
                          {hello, request("ping", "dc"), request("ping", "crmd", "n3"), request("node-info", "crmd"),
                           request("list-nodes", "crmd")});
    ASSERT_EQ(mail.size(), 4U);
    std::vector<std::string> states;
    for (const auto& one : mail) {
        EXPECT_EQ(one->get("subt"), "response");
        EXPECT_EQ(one->get("reference"), "ref");
        const auto data = wire::data_of(*one);
        if (data->is("ping_response")) states.emplace_back(data->get("crmd_state"));
        if (data->is("node")) {
            EXPECT_EQ(data->get("uname"), "n2");
        } else if (data->is("nodes")) {
            EXPECT_EQ(data->children().size(), 3U);
        }
    }
    EXPECT_EQ(states, (std::vector<std::string>{"S_IDLE", "S_NOT_DC"}));
}

TEST(Node, TheSameInputsGiveTheSameHistory) {
    const auto run = [] {
        World world({.nodes = 3, .fencing = true, .resources = kThree});
        world.start_all();
        world.run(seconds(5));
        world.power_off("n1");
        world.run(seconds(20));
        return dump(world);
    };
    EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace systole::controller
