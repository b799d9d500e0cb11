#include "attributes/manager.h"

#include <fmt/format.h>

#include <deque>

#include "xml/parse.h"
#include "xml/write.h"

namespace systole::attributes {
namespace {

/// Several managers on one bus with total order; CIB calls are answered at once and remembered.
class Cluster {
public:
    explicit Cluster(unsigned count) {
        for (unsigned i = 1; i <= count; ++i) {
            const wire::NodeRef node{NodeId{i}, fmt::format("n{}", i)};
            nodes_.emplace_back(node, Manager(node, ~std::uint64_t{0} - i * 1000));
        }
        for (unsigned i = 1; i <= count; ++i) up_.insert(NodeId{i});
        members_changed();
    }
    Manager& at(unsigned id) { return nodes_.at(id - 1).second; }
    void client(unsigned id, std::string_view text, std::uint32_t flags = wire::kExpectsResponse) {
        const wire::Client who{
            .id = {7}, .service = wire::Service::kAttributes, .user = "root", .privileged = true, .uuid = "c"};
        perform(id, at(id).on_client_request(now, who, {{7}, 42, flags, *xml::parse(text)}));
        run();
    }
    void kill(unsigned id) {
        up_.erase(NodeId{id});
        members_changed();
    }
    /// A new life of a node that was killed.
    void start_again(unsigned id) {
        auto& [node, manager] = nodes_.at(id - 1);
        manager = Manager(node, id * 1000);
        up_.insert(NodeId{id});
        members_changed();
    }
    /// One appears, and before anybody heard what it is told another is gone.
    void swap(unsigned appears, unsigned leaves) {
        nodes_.at(appears - 1).second = Manager(nodes_.at(appears - 1).first, appears * 1000);
        up_.insert(NodeId{appears});
        tell_members();
        up_.erase(NodeId{leaves});
        members_changed();
    }
    void fire(unsigned id, const std::string& name) {
        perform(id, at(id).on_timer(now, name));
        run();
    }
    /// CIB requests since the last call, "op section-or-xpath input" a line.
    std::string cib() { return std::exchange(cib_, {}); }
    /// What node 1 logged since the last call.
    std::string log() { return std::exchange(log_, {}); }
    std::string answers() { return std::exchange(answers_, {}); }
    Now now{};
    int cib_rc = 0;
    std::set<std::string> timers;

private:
    void tell_members() {
        wire::GroupChange change{.group = wire::Group::kAttributes};
        for (const NodeId id : up_) change.members.push_back({id, 1});
        for (const NodeId id : up_) perform(id.value, at(id.value).on_group_change(now, change));
    }
    void members_changed() {
        tell_members();
        run();
    }
    void perform(unsigned id, const Effects& effects) {
        for (const Effect& effect : effects) {
            if (const auto* m = std::get_if<wire::Multicast>(&effect))
                bus_.push_back([this, id, m = *m] {
                    for (const NodeId to : up_) {
                        const std::string name = nodes_[to.value - 1].first.name;
                        if (!m.to.empty() && m.to != name) continue;
                        perform(to.value, at(to.value).on_peer_message(
                                              now, {wire::Group::kAttributes, nodes_[id - 1].first, m.message}));
                    }
                });
            if (const auto* c = std::get_if<CibCall>(&effect)) {
                const xml::Node& r = *c->request;
                const xml::Node* data = r.child("cib_calldata");
                cib_ +=
                    fmt::format("{} {}{}\n", r.get("cib_op"), r.get("cib_section"),
                                data == nullptr || data->children().empty() ? std::string()
                                                                            : " " + xml::write(*data->children()[0]));
                bus_.push_back([this, id, token = c->token] { perform(id, at(id).on_cib_reply(now, token, cib_rc)); });
            }
            if (const auto* l = std::get_if<wire::Log>(&effect); l != nullptr && id == 1) log_ += l->text + "\n";
            if (const auto* r = std::get_if<wire::Respond>(&effect)) answers_ += xml::write(*r->message) + "\n";
            if (const auto* t = std::get_if<wire::ArmTimer>(&effect)) timers.insert(fmt::format("{}:{}", id, t->name));
            if (const auto* t = std::get_if<wire::CancelTimer>(&effect))
                timers.erase(fmt::format("{}:{}", id, t->name));
        }
    }
    void run() {
        for (int steps = 0; !bus_.empty(); ++steps) {
            ASSERT_LT(steps, 10'000) << "messages never end";
            const auto next = std::move(bus_.front());
            bus_.pop_front();
            next();
        }
        for (const NodeId id : up_) EXPECT_THAT(at(id.value).check_state(), testing::IsEmpty());
    }
    std::vector<std::pair<wire::NodeRef, Manager>> nodes_;
    std::set<NodeId> up_;
    std::deque<std::function<void()>> bus_;
    std::string cib_, answers_;
    std::string log_;
};

TEST(Manager, TheLogTellsWhatBecameWhatAndWhoAsked) {
    Cluster cluster(2);
    cluster.log();
    cluster.client(2, R"(<attrs task="update" attr_name="load" attr_value="1" attr_host="n2" attr_dampening="5s"/>)");
    EXPECT_EQ(cluster.log(), "transient attribute load of node n2: unset -> '1', as n2 asks, written after 5 s\n");
    cluster.client(2, R"(<attrs task="update" attr_name="load" attr_value="1" attr_host="n2"/>)");
    EXPECT_EQ(cluster.log(), "");
    cluster.client(2, R"(<attrs task="update-delay" attr_name="load" attr_host="n2" attr_dampening="1500ms"/>)");
    EXPECT_EQ(cluster.log(), "changes of attribute load are written after 1.5 s from now on\n");
    cluster.client(1, R"(<attrs task="update-delay" attr_name="none" attr_dampening="1s"/>)");
    EXPECT_EQ(cluster.log(), "the delay of attribute none is not set, as n1 asks: there is no such attribute\n");
    cluster.client(1, R"(<attrs task="update" attr_name="p" attr_set="s" attr_value="x" attr_is_private="1" )"
                      R"(attr_sync_point="local"/>)");
    EXPECT_EQ(cluster.log(),
              "private attribute p (set s) of node n1: unset -> 'x', as n1 asks\n"
              "client 7 is told that this node knows its update\n");
}

TEST(Table, ScoresAreExpanded) {
    EXPECT_EQ(expand("value++", "4"), "5");
    EXPECT_EQ(expand("value+=10", std::nullopt), "10");
    EXPECT_EQ(expand("value-=1", "INFINITY"), "INFINITY");
    EXPECT_EQ(expand("value++x", "4"), "value++x");
    EXPECT_EQ(expand("plain", "4"), "plain");
}

TEST(Table, ClearFailureFindsItsAttributes) {
    EXPECT_TRUE(is_failure_of("fail-count-db#monitor_10000", "", "", ""));
    EXPECT_TRUE(is_failure_of("fail-count-db#monitor_10000", "db", "", ""));
    EXPECT_TRUE(is_failure_of("last-failure-db", "db", "", ""));
    EXPECT_TRUE(is_failure_of("fail-count-db#start_0", "db", "start", "0"));
    EXPECT_FALSE(is_failure_of("fail-count-db#start_0", "db", "monitor", "0"));
    EXPECT_FALSE(is_failure_of("fail-count-db2#start_0", "db", "", ""));
    EXPECT_FALSE(is_failure_of("standby", "", "", ""));
}

TEST(Manager, AnUpdateReachesAllAndTheWriterWritesIt) {
    Cluster c(3);
    c.client(1, R"(<x t="attrd" task="update" attr_name="warm-up" attr_value="1"/>)");
    c.answers();
    c.cib();
    c.client(2, R"(<x t="attrd" task="update" attr_name="foo" attr_value="7"/>)");
    for (unsigned i = 1; i <= 3; ++i) EXPECT_EQ(c.at(i).value("foo", "n2"), "7");
    EXPECT_EQ(c.answers(), "<ack function=\"attrd\" line=\"0\" status=\"112\" ipc-protocol-version=\"7\"/>\n");
    EXPECT_EQ(c.cib(),
              "cib_modify status <status><node_state id=\"2\"><transient_attributes id=\"2\"><instance_attributes "
              "id=\"status-2\"><nvpair id=\"status-2-foo\" name=\"foo\" value=\"7\"/></instance_attributes>"
              "</transient_attributes></node_state></status>\n");
    c.client(2, R"(<x t="attrd" task="update" attr_name="foo" attr_value="7"/>)");
    EXPECT_EQ(c.cib(), "") << "the same value again";
    c.client(1, R"(<x t="attrd" task="update" attr_name="foo" attr_host="n2"/>)");
    EXPECT_EQ(c.cib(),
              "cib_delete /cib/status/node_state[@id='2']/transient_attributes/instance_attributes"
              "[@id='status-2']/nvpair[@id='status-2-foo']\n");
}

TEST(Manager, SeveralUpdatesInOneMessageAreOneWrite) {
    Cluster c(2);
    c.client(1, R"(<x t="attrd" task="update" attr_name="warm-up" attr_value="1"/>)");
    c.cib();
    c.client(1,
             R"(<x t="attrd" task="update" attr_host="n2"><op attr_name="fail-count-db#start_0" attr_value="value++"/>)"
             R"(<op attr_name="last-failure-db#start_0" attr_value="1700000000"/></x>)");
    EXPECT_EQ(c.at(2).value("fail-count-db#start_0", "n2"), "1");
    const std::string written = c.cib();
    EXPECT_EQ(std::ranges::count(written, '\n'), 2) << written;  // the first value goes at once, the second follows it
    EXPECT_THAT(written, testing::HasSubstr("status-2-last-failure-db.start_0"));
}

TEST(Manager, ALostNodesValuesVanishAndAnotherWriterTakesOver) {
    Cluster c(3);
    c.client(1, R"(<x t="attrd" task="update" attr_name="foo" attr_value="1"/>)");
    const std::string writer = c.at(1).writer();
    ASSERT_FALSE(writer.empty());
    c.cib();
    const unsigned gone = static_cast<unsigned>(writer[1] - '0');
    const unsigned left = gone == 3 ? 2 : 3;
    c.client(left, R"(<x t="attrd" task="update" attr_name="bar" attr_value="2"/>)");
    c.cib();
    c.kill(gone);
    EXPECT_NE(c.at(left).writer(), writer);
    EXPECT_FALSE(c.at(left).writer().empty());
    EXPECT_EQ(c.at(left).value("foo", writer), std::nullopt);
    EXPECT_THAT(c.cib(), testing::HasSubstr("name=\"bar\" value=\"2\""));
}

TEST(Manager, WhatNoManagerKnowsOfAReturnedNodeIsErased) {
    Cluster c(2);
    c.client(1, R"(<x t="attrd" task="update" attr_name="fail-count-db#start_0" attr_value="3" attr_host="n2"/>)");
    if (c.at(1).writer() != "n1") {
        c.kill(2);
        c.start_again(2);
    }
    ASSERT_EQ(c.at(1).writer(), "n1");
    c.client(1, R"(<x t="attrd" task="update" attr_name="kept" attr_value="1" attr_host="n2"/>)");
    c.kill(2);
    c.client(1, R"(<x t="attrd" task="update" attr_name="early" attr_value="1" attr_host="n2" attr_host_id="2"/>)");
    c.cib();
    c.start_again(2);
    EXPECT_THAT(c.cib(), testing::HasSubstr("cib_delete /cib/status/node_state[@id='2']/transient_attributes/*/nvpair"
                                            "[not(@id='status-2-early')]\n"));
}

TEST(Manager, WhoLeavesWhileTheWriterTellsOfItIsForgotten) {
    Cluster c(4);
    c.client(1, R"(<x t="attrd" task="update" attr_name="foo" attr_value="7" attr_host="n3"/>)");
    const auto writer = static_cast<unsigned>(c.at(1).writer()[1] - '0');
    ASSERT_EQ(writer, 1U);
    c.kill(4);
    ASSERT_EQ(c.at(1).value("foo", "n3"), "7");
    c.swap(4, 3);
    for (const unsigned node : {1U, 2U, 4U}) EXPECT_EQ(c.at(node).value("foo", "n3"), std::nullopt) << "n" << node;
}

TEST(Manager, ANewWriterErasesWhatNoManagerKnows) {
    Cluster c(3);
    c.client(1, R"(<x t="attrd" task="update" attr_name="foo" attr_value="1"/>)");
    c.client(2, R"(<x t="attrd" task="update" attr_name="foo" attr_value="1"/>)");
    c.client(3, R"(<x t="attrd" task="update" attr_name="foo" attr_value="1"/>)");
    const unsigned gone = static_cast<unsigned>(c.at(1).writer()[1] - '0');
    const unsigned left = gone == 3 ? 2 : 3;
    c.cib();
    c.kill(gone);
    const std::string written = c.cib();
    EXPECT_THAT(written, testing::HasSubstr(fmt::format("@id='status-{}-foo'", left))) << written;
    EXPECT_THAT(written, testing::HasSubstr("cib_delete /cib/status/node_state[@id='")) << written;
    EXPECT_THAT(written, testing::HasSubstr("/transient_attributes/*/nvpair[not(")) << written;
    EXPECT_THAT(written, testing::Not(testing::HasSubstr(fmt::format("@id='{}'", gone)))) << written;
}

TEST(Manager, ARemovedNodesValuesAreErasedByTheWriterAndByTheNext) {
    Cluster c(3);
    c.client(1, R"(<x t="attrd" task="update" attr_name="foo" attr_value="1" attr_host="g1" attr_is_remote="1"/>)");
    c.client(1, R"(<x t="attrd" task="update" attr_name="foo" attr_value="1" attr_host="g2" attr_is_remote="1"/>)");
    c.cib();
    const std::string erased = "cib_delete //node_state[@uname='g1']/transient_attributes";
    c.client(1, R"(<x t="attrd" task="peer-remove" attr_host="g1" reap="false"/>)");
    EXPECT_EQ(c.at(2).value("foo", "g1"), std::nullopt);
    EXPECT_EQ(c.cib(), erased + "\n");
    // The writer may have ended before it did that.
    c.kill(static_cast<unsigned>(c.at(1).writer()[1] - '0'));
    const std::string written = c.cib();
    EXPECT_THAT(written, testing::HasSubstr(erased));
    EXPECT_THAT(written, testing::Not(testing::HasSubstr("@uname='g2'")));
}

TEST(Manager, DampeningWaitsForTheLastChange) {
    Cluster c(1);
    c.client(1, R"(<x t="attrd" task="update-both" attr_name="pingd" attr_value="100" attr_dampening="5s"/>)");
    c.cib();
    c.client(1, R"(<x t="attrd" task="update" attr_name="pingd" attr_value="200"/>)");
    EXPECT_EQ(c.cib(), "");
    EXPECT_TRUE(c.timers.contains("1:attrd/delay/pingd"));
    c.fire(1, "attrd/delay/pingd");
    EXPECT_THAT(c.cib(), testing::HasSubstr("value=\"200\""));
}

TEST(Manager, PrivateValuesAreSharedButNeverWritten) {
    Cluster c(2);
    c.cib();
    c.client(1, R"(<x t="attrd" task="update" attr_name="secret" attr_value="1" attr_is_private="1"/>)");
    EXPECT_EQ(c.at(2).value("secret", "n1"), "1");
    EXPECT_EQ(c.cib(), "");
}

TEST(Manager, AFailedWriteIsTriedAgain) {
    Cluster c(1);
    c.cib_rc = -13;
    c.client(1, R"(<x t="attrd" task="update" attr_name="foo" attr_value="7"/>)");
    c.cib();
    ASSERT_TRUE(c.timers.contains("1:attrd/retry"));
    c.cib_rc = 0;
    c.fire(1, "attrd/retry");
    EXPECT_THAT(c.cib(), testing::HasSubstr("value=\"7\""));
}

TEST(Manager, QueriesAnswerWithoutSideEffects) {
    Cluster c(2);
    c.client(1, R"(<x t="attrd" task="update" attr_name="foo" attr_value="7"/>)");
    c.answers();
    c.client(2, R"(<x t="attrd" task="query" attr_name="foo"/>)");
    EXPECT_EQ(c.answers(),
              "<attrd_reply t=\"attrd\" subt=\"query\" attr_version=\"7\" attr_name=\"foo\">"
              "<node attr_host=\"n1\" attr_value=\"7\"/></attrd_reply>\n");
    c.client(2, R"(<x t="attrd" task="query" attr_name="none"/>)");
    EXPECT_EQ(c.answers(), "<attrd_reply t=\"attrd\" subt=\"query\" attr_version=\"7\"/>\n");
    c.client(2, R"(<x t="attrd" task="dance"/>)");
    EXPECT_THAT(c.answers(), testing::HasSubstr("status=\"2\""));
}

TEST(Manager, ASyncPointAnswersWhenAllPeersHaveTheValue) {
    Cluster c(3);
    c.answers();
    c.client(1, R"(<x t="attrd" task="update" attr_name="foo" attr_value="7" attr_sync_point="cluster"/>)");
    EXPECT_EQ(std::ranges::count(c.answers(), '\n'), 1);
    c.client(1, R"(<x t="attrd" task="update" attr_name="foo" attr_value="8" attr_sync_point="local"/>)");
    EXPECT_EQ(std::ranges::count(c.answers(), '\n'), 1);
}

TEST(Manager, ClearFailureUnsetsEverywhere) {
    Cluster c(2);
    c.client(1, R"(<x t="attrd" task="update" attr_name="fail-count-db#start_0" attr_value="3"/>)");
    c.client(2, R"(<x t="attrd" task="clear-failure" attr_resource="db"/>)");
    EXPECT_EQ(c.at(2).value("fail-count-db#start_0", "n1"), std::nullopt);
    EXPECT_THAT(c.cib(), testing::HasSubstr("cib_delete /cib/status/node_state[@id='1']"));
}

}  // namespace
}  // namespace systole::attributes
