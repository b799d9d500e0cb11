// Remote and guest nodes in the toy world, with the project's own scheduler.
#include <gtest/gtest.h>

#include "cib/request.h"
#include "controller/toy_world.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::controller {
namespace {

using std::chrono::seconds;

constexpr const char* kRemote = R"(<primitive id="r1" class="ocf" provider="pacemaker" type="remote">
<instance_attributes id="r1-a"><nvpair id="r1-s" name="server" value="r1.example"/></instance_attributes>
<operations><op id="r1-m" name="monitor" interval="10s" timeout="5s"/>
<op id="r1-b" name="start" interval="0" timeout="20s"/></operations></primitive>)";
/// Runs on the remote node and nowhere else.
constexpr const char* kDb = R"(<primitive id="db" class="ocf" provider="test" type="toy">
<operations><op id="db-m" name="monitor" interval="10s"/></operations></primitive>)";

toy::Options with_remote() {
    toy::Options options;
    options.fencing = true;
    options.real_scheduler = true;
    options.remotes = {"r1"};
    options.resources = std::string(kRemote) + kDb;
    options.constraints = R"(<rsc_location id="l1" rsc="db" node="r1" score="1000"/>
<rsc_location id="l2" rsc="db" node="n1" score="-INFINITY"/><rsc_location id="l3" rsc="db" node="n2" score="-INFINITY"/>
<rsc_location id="l4" rsc="db" node="n3" score="-INFINITY"/>)";
    return options;
}

const xml::Node* state_of(const xml::NodePtr& cib, std::string_view node) {
    return cib->child("status")->child("node_state", node);
}

void set_standby(toy::World& world, const std::string& node) {
    const auto standby = xml::parse("<node id='" + node.substr(1) +
                                    "'><instance_attributes id='sb'><nvpair id='sb-1' name='standby' value='on'/>"
                                    "</instance_attributes></node>");
    ASSERT_TRUE(standby.has_value());
    (void)world.ask(node, wire::Service::kCibRw,
                    {cib::make_request(cib::Op::kModify, "nodes", *standby, cib::option::kCanCreate)});
}

struct RemoteWorld : ::testing::Test {
    explicit RemoteWorld(toy::Options options = with_remote()) : world(std::move(options)) {}
    void start() {
        world.start_all();
        ASSERT_TRUE(world.run(seconds(30), [&] { return world.running("db") == std::vector<std::string>{"r1"}; }))
            << joined();
        ASSERT_TRUE(world.settle());
    }
    void TearDown() override {
        EXPECT_EQ(world.violations, std::vector<std::string>{});
        EXPECT_EQ(world.errors, std::vector<std::string>{});
    }
    std::string joined() const {
        std::string all;
        for (const auto& line : world.history) all += line + "\n";
        return all;
    }
    std::string host() const {
        const auto hosts = world.connected("r1");
        return hosts.size() == 1 ? hosts.front() : std::string();
    }
    /// What runs on the remote node has been started this often.
    int starts() const { return world.count("r1 start db"); }
    toy::World world;
};

TEST_F(RemoteWorld, AResourceRunsOnARemoteNode) {
    start();
    EXPECT_NE(host(), "");
    const xml::NodePtr cib = world.cib("n1");
    const xml::Node* state = state_of(cib, "r1");
    ASSERT_NE(state, nullptr);
    EXPECT_EQ(state->get("remote_node"), "true");
    EXPECT_EQ(state->get("uname"), "r1");
    EXPECT_EQ(state->get("in_ccm"), "true");
    EXPECT_EQ(state->get("node_fenced"), "0");
    const xml::Node* history = state->child("lrm")->child("lrm_resources")->child("lrm_resource", "db");
    ASSERT_NE(history, nullptr);
    EXPECT_NE(history->child("lrm_rsc_op", "db_monitor_10000"), nullptr);
    EXPECT_EQ(history->child("lrm_rsc_op", "db_last_0")->get("on_node"), "r1");
}

TEST_F(RemoteWorld, AnIdleClusterWithARemoteNodePlansNothing) {
    start();
    world.run(seconds(1));
    const int plans = world.plans;
    world.run(seconds(60));
    EXPECT_EQ(world.plans, plans) << joined();
}

TEST_F(RemoteWorld, TheConnectionsHistoryHasTheAgentsDigests) {
    start();
    const xml::NodePtr cib = world.cib("n1");
    const std::string id = host().substr(1);
    const xml::Node* history = state_of(cib, id)->child("lrm")->child("lrm_resources")->child("lrm_resource", "r1");
    ASSERT_NE(history, nullptr);
    const xml::Node* record = history->child("lrm_rsc_op", "r1_last_0");
    ASSERT_NE(record, nullptr);
    EXPECT_EQ(record->get("operation"), "start");
    EXPECT_EQ(record->get("op-force-restart"), "  server port  ");
    EXPECT_EQ(record->get("rc-code"), "0");
}

TEST_F(RemoteWorld, AFailureOnTheRemoteNodeIsRecoveredThere) {
    start();
    world.break_service("r1", "db");
    ASSERT_TRUE(world.run(seconds(40), [&] { return starts() == 2; })) << joined();
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(world.running("db"), std::vector<std::string>{"r1"});
    EXPECT_EQ(world.count("fenced"), 0);
}

TEST_F(RemoteWorld, ALostConnectionIsMadeAnewAndNothingIsRestarted) {
    start();
    world.cut_connection("r1");
    ASSERT_TRUE(world.run(seconds(40), [&] { return !host().empty() && world.settle(); })) << joined();
    world.run(seconds(20));
    EXPECT_NE(host(), "");
    EXPECT_EQ(world.running("db"), std::vector<std::string>{"r1"});
    EXPECT_EQ(starts(), 1) << joined();
    EXPECT_EQ(world.count("fenced"), 0) << joined();
    EXPECT_EQ(state_of(world.cib("n1"), "r1")->get("in_ccm"), "true");
}

// A hand-over that was ordered while the node was searched for used to fail at once, and had it fenced.
TEST_F(RemoteWorld, AHandOverOrderedDuringTheSearchIsNoFailure) {
    start();
    const std::string former = host();
    world.freeze_remote("r1", true);
    world.cut_connection("r1");
    ASSERT_TRUE(world.run(seconds(5), [&] { return world.count("looking for a node") > 0; })) << joined();
    set_standby(world, former);
    world.run(seconds(2));
    world.freeze_remote("r1", false);
    ASSERT_TRUE(world.run(seconds(60), [&] { return !host().empty() && host() != former; })) << joined();
    world.run(seconds(30));
    EXPECT_EQ(starts(), 1) << joined();
    EXPECT_EQ(world.count("fenced"), 0) << joined();
}

TEST_F(RemoteWorld, AConnectionThatOnlyPeersCanMakeMovesToOne) {
    start();
    const std::string former = host();
    world.block(former, "r1");
    world.cut_connection("r1");
    ASSERT_TRUE(world.run(seconds(60), [&] { return !host().empty() && host() != former; })) << joined();
    world.run(seconds(30));
    EXPECT_EQ(world.running("db"), std::vector<std::string>{"r1"});
    EXPECT_EQ(starts(), 1) << joined();
    EXPECT_EQ(world.count("fenced"), 0) << joined();
}

TEST_F(RemoteWorld, WithItsHostGoneTheConnectionIsMadeByAnother) {
    start();
    const std::string former = host();
    world.power_off(former);
    ASSERT_TRUE(world.run(seconds(60), [&] { return !host().empty() && host() != former; })) << joined();
    world.run(seconds(30));
    EXPECT_EQ(world.running("db"), std::vector<std::string>{"r1"});
    EXPECT_EQ(starts(), 1) << joined();
    EXPECT_EQ(world.count("r1 fenced"), 0) << joined();
}

TEST_F(RemoteWorld, WithItsHostsCoreGoneTheConnectionIsMadeAgain) {
    start();
    const std::string former = host();
    world.kill_core(former);
    world.start(former);
    ASSERT_TRUE(world.run(seconds(60), [&] { return !host().empty(); })) << joined();
    world.run(seconds(30));
    EXPECT_EQ(starts(), 1) << joined();
    EXPECT_EQ(world.count("fenced"), 0) << joined();
}

TEST_F(RemoteWorld, ADeadRemoteNodeIsFencedOnceAndItsResourceStartedAgain) {
    start();
    world.power_off_remote("r1");
    ASSERT_TRUE(world.run(seconds(120), [&] { return starts() == 2; })) << joined();
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(world.count("r1 fenced"), 1) << joined();
    EXPECT_EQ(world.running("db"), std::vector<std::string>{"r1"});
    // Everybody was asked before (I14).
    const auto fenced = std::ranges::find_if(
        world.history, [](const auto& line) { return line.find("r1 fenced") != std::string::npos; });
    EXPECT_TRUE(std::any_of(world.history.begin(), fenced, [](const auto& line) {
        return line.find("no node can reach r1") != std::string::npos;
    })) << joined();
}

TEST_F(RemoteWorld, AFrozenRemoteNodeFailsItsMonitor) {
    start();
    world.freeze_remote("r1", true);
    ASSERT_TRUE(world.run(seconds(30), [&] { return world.count("does not answer") > 0; })) << joined();
    world.freeze_remote("r1", false);
    ASSERT_TRUE(world.run(seconds(60), [&] { return !host().empty() && world.settle(); })) << joined();
    world.run(seconds(30));
    EXPECT_EQ(world.running("db"), std::vector<std::string>{"r1"});
    EXPECT_EQ(starts(), 1) << joined();
}

TEST_F(RemoteWorld, AStandbyHostHandsTheConnectionOver) {
    start();
    const std::string former = host();
    set_standby(world, former);
    ASSERT_TRUE(world.run(seconds(30), [&] { return !host().empty() && host() != former; })) << joined();
    ASSERT_TRUE(world.settle());
    world.run(seconds(20));
    EXPECT_EQ(starts(), 1) << joined();
    EXPECT_EQ(world.count("taken over"), 2) << joined();     // both sides say so
    EXPECT_EQ(world.count("r1 monitor db"), 1) << joined();  // nothing is probed again
    EXPECT_EQ(world.count("fenced"), 0) << joined();
}

TEST_F(RemoteWorld, TheHostsOrderlyShutdownMovesTheConnectionAway) {
    start();
    const std::string former = host();
    world.shut_down(former);
    ASSERT_TRUE(world.run(seconds(60), [&] { return world.exit_code(former).has_value(); })) << joined();
    world.run(seconds(30));
    EXPECT_NE(host(), "");
    EXPECT_NE(host(), former);
    EXPECT_EQ(starts(), 1) << joined();
    EXPECT_EQ(world.count("fenced"), 0) << joined();
}

TEST_F(RemoteWorld, AttributesSetOnTheRemoteNodeAreItsOwn) {
    start();
    world.from_remote("r1", *xml::parse("<lrmd_ipc_proxy lrmd_ipc_op='new' lrmd_ipc_server='attrd' "
                                        "lrmd_ipc_session='s1' lrmd_remote_msg_type='notify'/>"));
    world.from_remote("r1", *xml::parse("<lrmd_ipc_proxy lrmd_ipc_op='request' lrmd_ipc_session='s1' "
                                        "lrmd_ipc_msg_id='5' lrmd_ipc_msg_flags='768'><lrmd_ipc_msg>"
                                        "<x t='attrd' task='update' attr_name='load' attr_value='7'/>"
                                        "</lrmd_ipc_msg></lrmd_ipc_proxy>"));
    world.run(seconds(5));
    const auto answers = world.proxied("r1");
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_EQ(answers[0]->get("lrmd_ipc_op"), "response");
    EXPECT_EQ(answers[0]->get("lrmd_ipc_msg_id"), "5");
    const xml::Node* state = state_of(world.cib("n2"), "r1");
    ASSERT_NE(state->child("transient_attributes"), nullptr) << joined();
    EXPECT_NE(xml::write(*state->child("transient_attributes")).find(R"(name="load" value="7")"), std::string::npos);
}

TEST_F(RemoteWorld, ARemoteNodesShutdownMovesItsResourcesFirst) {
    start();
    world.from_remote("r1", *xml::parse("<lrmd_ipc_proxy lrmd_ipc_op='shutdown_req' lrmd_ipc_session='0'/>"));
    ASSERT_TRUE(world.run(seconds(30), [&] { return host().empty(); })) << joined();
    const auto answers = world.proxied("r1");
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_EQ(answers[0]->get("lrmd_ipc_op"), "shutdown_ack");
    EXPECT_EQ(world.count("r1 stop db"), 1) << joined();
    EXPECT_EQ(world.count("fenced"), 0) << joined();
}

toy::Options with_guest() {
    toy::Options options;
    options.fencing = true;
    options.real_scheduler = true;
    options.guests = {{"vm", "g1"}};
    options.resources = std::string(R"(<primitive id="vm" class="ocf" provider="test" type="toy">
<meta_attributes id="vm-m"><nvpair id="vm-r" name="remote-node" value="g1"/>
<nvpair id="vm-g" name="allow-migrate" value="true"/>
<nvpair id="vm-c" name="remote-connect-timeout" value="20s"/></meta_attributes>
<operations><op id="vm-o" name="monitor" interval="10s"/></operations></primitive>)") +
                        kDb;
    options.constraints = R"(<rsc_location id="l1" rsc="db" node="g1" score="1000"/>
<rsc_location id="l2" rsc="db" node="n1" score="-INFINITY"/><rsc_location id="l3" rsc="db" node="n2" score="-INFINITY"/>
<rsc_location id="l4" rsc="db" node="n3" score="-INFINITY"/>)";
    return options;
}

struct GuestWorld : ::testing::Test {
    void start() {
        world.start_all();
        ASSERT_TRUE(world.run(seconds(30), [&] { return world.running("db") == std::vector<std::string>{"g1"}; }))
            << joined();
        ASSERT_TRUE(world.settle());
    }
    void TearDown() override {
        EXPECT_EQ(world.violations, std::vector<std::string>{});
        EXPECT_EQ(world.errors, std::vector<std::string>{});
    }
    std::string joined() const {
        std::string all;
        for (const auto& line : world.history) all += line + "\n";
        return all;
    }
    toy::World world{with_guest()};
};

TEST_F(GuestWorld, AResourceRunsInAGuest) {
    start();
    EXPECT_EQ(world.connected("g1"), world.running("vm"));
    EXPECT_EQ(state_of(world.cib("n1"), "g1")->get("remote_node"), "true");
}

TEST_F(GuestWorld, ADeadGuestIsRestartedAndNeverFenced) {
    start();
    const std::string carrier = world.running("vm").front();
    world.break_service(carrier, "vm");
    world.power_off_remote("g1");
    ASSERT_TRUE(world.run(seconds(120), [&] { return world.count("g1 start db") == 2; })) << joined();
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(world.count("fenced"), 0) << joined();
    EXPECT_EQ(world.running("db"), std::vector<std::string>{"g1"});
}

TEST_F(GuestWorld, WithItsCarrierGoneTheGuestIsStartedElsewhere) {
    start();
    const std::string carrier = world.running("vm").front();
    world.power_off(carrier);
    ASSERT_TRUE(world.run(seconds(120), [&] { return world.count("g1 start db") == 2; })) << joined();
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(world.count("g1 fenced"), 0) << joined();
    EXPECT_EQ(world.count(carrier + " fenced"), 1) << joined();
}

// The connection's stop erases the guest's attributes; written back by their writer they made the cluster plan anew in
// the middle of it, and the guest was started again.
TEST_F(GuestWorld, AGuestThatHasAFailCountMigratesAndRunsOn) {
    start();
    world.break_service("g1", "db");
    ASSERT_TRUE(world.run(seconds(40), [&] { return world.count("g1 start db") == 2; })) << joined();
    ASSERT_TRUE(world.settle());
    const std::string carrier = world.running("vm").front();
    world.durations[carrier + "/vm/migrate_to"] = seconds(3);
    set_standby(world, carrier);
    ASSERT_TRUE(world.run(seconds(60), [&] { return world.count("migrate_from vm") == 1; })) << joined();
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(world.count("g1 power off"), 0) << joined();
    EXPECT_EQ(world.count("stop db"), 1) << joined();
    EXPECT_EQ(world.running("db"), std::vector<std::string>{"g1"});
    EXPECT_EQ(world.connected("g1"), world.running("vm"));
    EXPECT_NE(world.running("vm").front(), carrier);
    const xml::Node* transient = state_of(world.cib("n1"), "g1")->child("transient_attributes");
    EXPECT_EQ(transient == nullptr ? "" : xml::write(*transient), "");
}

}  // namespace
}  // namespace systole::controller
