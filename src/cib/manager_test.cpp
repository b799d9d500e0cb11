#include "cib/manager.h"

#include <fmt/format.h>

#include <deque>

#include "cib/patchset.h"
#include "cib/rc.h"
#include "cib/versions.h"
#include "xml/edit.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::cib {
namespace {

xml::NodePtr parsed(std::string_view text) {
    auto result = xml::parse(text);
    EXPECT_TRUE(result.has_value()) << text;
    return result ? *result : xml::NodePtr{};
}

/// Everything is valid but elements named "invalid"; upgrades only change validate-with.
class PermissiveSchemas : public Schemas {
public:
    Result<void> validate(const xml::Node& cib, const xml::Node*) override {
        if (xml::find_element(cib, {}, "invalid", std::nullopt, false))
            return fail(Errc::kInvalid, "<invalid> is invalid");
        return {};
    }
    Upgrade upgrade(const xml::NodePtr& cib, std::string_view) override {
        if (cib->get("validate-with") == newest())
            return {.cib = cib, .schema = newest(), .why = "it is the newest already"};
        xml::Builder b(*cib);
        return {.cib = std::move(b.set("validate-with", newest())).build(), .schema = newest(), .upgraded = true};
    }
    std::string newest() const override { return "pacemaker-4.0"; }
    xml::NodePtr files_after(std::string_view) override { return xml::Builder("schemas").build(); }
};

constexpr std::string_view kCib =
    R"(<cib crm_feature_set="3.20.5" validate-with="pacemaker-3.9" admin_epoch="0" epoch="1" num_updates="0">)"
    R"(<configuration><crm_config/><nodes/><resources><primitive id="A"/></resources><constraints/></configuration><status/></cib>)";

/// Managers of a cluster on a bus with total order; what they tell others is kept in words.
class Cluster : public testing::Test {
protected:
    void start(int count) {
        wire::GroupChange all{.group = wire::Group::kCib};
        for (int i = 1; i <= count; ++i) all.members.push_back({NodeId{static_cast<unsigned>(i)}, 100});
        for (int i = 1; i <= count; ++i) {
            managers.push_back(std::make_unique<Manager>(
                ManagerConfig{.node = fmt::format("n{}", i), .feature_set = "3.20.5", .schemas = &schemas}));
            perform(i, managers.back()->on_loaded(now, parsed(kCib)));
            perform(i, managers.back()->on_group_change(now, all));
            for (unsigned c = 1; c <= 2; ++c) {
                const wire::Client client{.id = {c},
                                          .service = c == 1 ? wire::Service::kCibRw : wire::Service::kCibRo,
                                          .uid = 0,
                                          .pid = 4242,
                                          .user = "root",
                                          .privileged = true,
                                          .uuid = fmt::format("uuid-{}-{}", i, c)};
                perform(i, managers.back()->on_client_connected(client));
            }
        }
        story.clear();
    }
    Manager& at(int node) { return *managers[static_cast<std::size_t>(node - 1)]; }

    void perform(int node, const Effects& effects) {
        for (const Effect& e : effects) {
            if (const auto* m = std::get_if<wire::Multicast>(&e)) {
                bus.push_back({node, *m});
            } else if (const auto* r = std::get_if<wire::Respond>(&e)) {
                tell(node, fmt::format("response {} {}", r->request, shown(*r->message)));
            } else if (const auto* s = std::get_if<wire::SendEvent>(&e)) {
                tell(node, fmt::format("event to {}: {}", s->client.value, shown(*s->message)));
            } else if (const auto* l = std::get_if<LocalReply>(&e)) {
                tell(node, fmt::format("reply to {} {}: {}", l->client, l->token, shown(*l->reply)));
            } else if (const auto* c = std::get_if<Changed>(&e)) {
                tell(node, fmt::format("changed by {} of {}", c->op, c->origin));
            } else if (std::holds_alternative<Write>(e)) {
                tell(node, "write");
            } else if (const auto* behind = std::get_if<Behind>(&e)) {
                tell(node, fmt::format("behind {}", behind->node));
            } else if (const auto* stopped = std::get_if<Stopped>(&e)) {
                tell(node, stopped->clean ? "stopped" : "stopped after timeout");
            } else if (const auto* timer = std::get_if<wire::ArmTimer>(&e)) {
                timers[{node, timer->name}] = timer->at;
            } else if (const auto* cancelled = std::get_if<wire::CancelTimer>(&e)) {
                timers.erase({node, cancelled->name});
            }
        }
        for (const std::string& broken : at(node).check_state()) ADD_FAILURE() << broken;
    }
    static std::string shown(const xml::Node& m) {
        if (m.is("ack")) return fmt::format("ack {}", m.get("status"));
        if (m.get("subt") == "cib_diff_notify") return "diff";
        const xml::Node* data = m.child("cib_calldata");
        return fmt::format("{} rc={}{}", m.get("cib_op"), m.get("cib_rc", "-"),
                           data == nullptr ? "" : " " + std::string(data->first_element()->name()));
    }
    void tell(int node, const std::string& what) { story += fmt::format("n{}: {}\n", node, what); }
    /// Delivers what is on the bus, in order, to all.
    void settle() {
        for (int messages = 0; !bus.empty(); ++messages) {
            ASSERT_LT(messages, 1000) << "the managers never stop talking";
            const auto [from, m] = bus.front();
            bus.pop_front();
            const NodeId id{static_cast<unsigned>(from)};
            for (int i = 1; i <= static_cast<int>(managers.size()); ++i) {
                if (down.contains(i) || (!m.to.empty() && m.to != fmt::format("n{}", i))) continue;
                perform(i, at(i).on_peer_message(now, {m.group, {id, fmt::format("n{}", from)}, m.message}));
            }
        }
    }
    void fire(int node, const std::string& timer) {
        ASSERT_TRUE(timers.contains({node, timer})) << timer;
        timers.erase({node, timer});
        perform(node, at(node).on_timer(now, timer));
        settle();
    }
    /// A synchronous request of a client (1: read and write, 2: read only); returns what happened.
    std::string ask(int node, unsigned client, Op op, const char* section, std::string_view input,
                    std::uint32_t options = 0) {
        xml::Builder b(
            *make_request(op, section, input.empty() ? xml::NodePtr{} : parsed(input), options | option::kSyncCall));
        b.set("cib_callid", static_cast<long long>(++calls)).set("cib_clientname", "tool");
        return ask_message(node, client, std::move(b).build());
    }
    std::string ask_message(int node, unsigned client, xml::NodePtr message) {
        story.clear();
        perform(node,
                at(node).on_client_request(now, {{client}, ++requests, wire::kExpectsResponse, std::move(message)}));
        settle();
        return story;
    }
    std::string version(int node) { return to_string(version_of(*at(node).cib())); }

    struct OnBus {
        int from;
        wire::Multicast message;
    };
    PermissiveSchemas schemas;
    Now now{.mono = Instant{Duration{1000}}, .wall = {1'795'374'871}};
    std::vector<std::unique_ptr<Manager>> managers;
    std::deque<OnBus> bus;
    std::map<std::pair<int, std::string>, Instant> timers;
    std::set<int> down;
    std::string story;
    std::uint32_t requests = 0;
    int calls = 0;
};

TEST_F(Cluster, AChangeIsMadeOnAllNodesAndAnsweredWhereItWasAsked) {
    start(3);
    EXPECT_EQ(ask(2, 1, Op::kModify, "resources", R"(<primitive id="A" x="1"/>)"),
              "n1: changed by cib_modify of n2\nn1: write\n"
              "n2: changed by cib_modify of n2\nn2: write\nn2: response 1 cib_modify rc=0\n"
              "n3: changed by cib_modify of n2\nn3: write\n");
    for (int i = 1; i <= 3; ++i) EXPECT_EQ(xml::digest_versioned(*at(i).cib()), xml::digest_versioned(*at(1).cib()));
    EXPECT_EQ(version(3), "0.2.0");
    EXPECT_EQ(at(3).cib()->get("update-origin"), "n2");
    EXPECT_EQ(at(3).cib()->get("cib-last-written"), "Sun Nov 22 19:14:31 2026");
}

TEST_F(Cluster, TheNotificationComesBeforeTheReply) {
    start(2);
    EXPECT_EQ(
        ask_message(
            1, 1,
            parsed(R"(<x t="cib" cib_op="cib_notify" cib_notify_type="cib_diff_notify" cib_notify_activate="1"/>)")),
        "n1: response 1 ack 0\n");
    EXPECT_EQ(
        ask_message(1, 1,
                    parsed(R"(<x t="cib" cib_op="cib_notify" cib_notify_type="nonsense" cib_notify_activate="1"/>)")),
        "n1: response 2 ack 2\n");
    EXPECT_EQ(ask(1, 1, Op::kModify, "status", R"(<node_state id="1"/>)", option::kCanCreate),
              "n1: changed by cib_modify of n1\nn1: event to 1: diff\nn1: response 3 cib_modify rc=0\n"
              "n2: changed by cib_modify of n1\n");
    EXPECT_EQ(ask(1, 1, Op::kModify, "status", R"(<node_state id="1" x="1"/>)", option::kInhibitNotify),
              "n1: changed by cib_modify of n1\nn1: response 4 cib_modify rc=0\nn2: changed by cib_modify of n1\n");
}

TEST_F(Cluster, EveryRequestGetsItsOneResponse) {
    start(2);
    EXPECT_EQ(ask(1, 1, Op::kQuery, "resources", ""), "n1: response 1 cib_query rc=0 resources\n");
    EXPECT_EQ(ask(1, 2, Op::kModify, "resources", R"(<primitive id="A" x="1"/>)"),
              "n1: response 2 cib_modify rc=-13\n");
    EXPECT_EQ(ask(1, 2, Op::kQuery, "//primitive", "", option::kXPath), "n1: response 3 cib_query rc=0 primitive\n");
    EXPECT_EQ(ask(1, 1, Op::kIsPrimary, "", ""), "n1: response 4 cib_ismaster rc=-1\n");
    EXPECT_EQ(ask(1, 1, Op::kPrimary, "", ""), "n1: response 5 cib_master rc=0\n");
    EXPECT_EQ(ask(1, 1, Op::kIsPrimary, "", ""), "n1: response 6 cib_ismaster rc=0\n");
    EXPECT_EQ(ask(1, 1, Op::kPing, "", ""), "n1: response 7 ping rc=0 ping_response\n");
    EXPECT_EQ(ask(1, 1, Op::kNoop, "", "", option::kDiscardReply), "n1: response 8 ack 0\n");
    EXPECT_EQ(ask_message(1, 1, nullptr), "n1: response 9 ack 76\n");
    EXPECT_EQ(ask_message(1, 1, parsed(R"(<cib_command cib_op="cib_nonsense"/>)")),
              "n1: response 10 cib_nonsense rc=-95\n");
    EXPECT_EQ(ask(1, 1, Op::kModify, "resources", R"(<invalid/>)", option::kCanCreate),
              "n1: response 11 cib_modify rc=-203 cib\n");
    EXPECT_EQ(ask_message(1, 1, parsed(R"(<x cib_op="register" cib_clientname="t"/>)")),
              "n1: response 12 register rc=-\n");
}

TEST_F(Cluster, AQueryForAnotherNodeIsAnsweredByIt) {
    start(2);
    xml::Builder b(*make_request(Op::kQuery, "nodes", {}, option::kSyncCall));
    b.set("cib_callid", "7").set("cib_host", "n2");
    EXPECT_EQ(ask_message(1, 1, std::move(b).build()), "n1: response 1 cib_query rc=0 nodes\n");
}

TEST_F(Cluster, AQueryForANodeThatLeavesIsAnsweredToo) {
    start(2);
    ask(2, 1, Op::kModify, "status", R"(<node_state id="2"/>)", option::kCanCreate);  // n2 is heard
    down.insert(2);
    xml::Builder b(*make_request(Op::kQuery, "nodes", {}, option::kSyncCall));
    b.set("cib_callid", "7").set("cib_host", "n2");
    EXPECT_EQ(ask_message(1, 1, std::move(b).build()), "");
    const wire::GroupMember n1{NodeId{1}, 100};
    const wire::GroupMember n2{NodeId{2}, 100};
    perform(1, at(1).on_group_change(now, {wire::Group::kCib, {n1}, {}, {n2}}));
    EXPECT_EQ(story, "n1: response 2  rc=-107\n");
}

TEST_F(Cluster, AClientCanNotPassItselfOffAsAServer) {
    start(2);
    const std::string before = version(1);
    xml::Builder b(*make_request(Op::kReplace, "", parsed(R"(<cib epoch="99"/>)"), option::kSyncCall));
    b.set("cib_callid", "1").set("cib_update", "true").set("cib_isreplyto", "n2");
    ask_message(1, 1, std::move(b).build());
    EXPECT_EQ(version(2), "0.100.0") << "an ordinary replacement, with the ordinary bump";
    EXPECT_EQ(before, "0.1.0");
}

TEST_F(Cluster, PartsOfTheProcessAskLikeClients) {
    start(2);
    perform(1, at(1).on_local_request(now, {.name = "crmd"}, 5, make_request(Op::kQuery, "nodes", {})));
    perform(1, at(1).on_local_request(now, {.name = "crmd"}, 6,
                                      make_request(Op::kDelete, "//primitive", {}, option::kXPath)));
    settle();
    EXPECT_EQ(story,
              "n1: reply to crmd 5: cib_query rc=0 nodes\n"
              "n1: changed by cib_delete of n1\nn1: write\nn1: reply to crmd 6: cib_delete rc=0\n"
              "n2: changed by cib_delete of n1\nn2: write\n");
}

TEST_F(Cluster, ThePrimaryFindsANodeThatDiffersAndSendsItItsCib) {
    start(3);
    ask(1, 1, Op::kPrimary, "", "");
    down.insert(3);  // it misses one change
    ask(2, 1, Op::kModify, "resources", R"(<primitive id="A" x="1"/>)");
    down.clear();
    EXPECT_EQ(version(3), "0.1.0");
    story.clear();
    EXPECT_EQ((timers[{1, "cib/ping"}] - now.mono).count(), 5000);
    fire(1, "cib/ping");
    EXPECT_EQ(story, "n3: changed by cib_replace of n1\nn3: write\n");
    EXPECT_EQ(version(3), "0.2.0");
    EXPECT_EQ(xml::digest_versioned(*at(3).cib()), xml::digest_versioned(*at(1).cib()));
}

TEST_F(Cluster, ThePrimaryFindsANodeWithANewerCib) {
    start(3);
    ask(1, 1, Op::kPrimary, "", "");
    down.insert({1, 3});  // they miss one change
    ask(2, 1, Op::kModify, "resources", R"(<primitive id="A" x="1"/>)");
    down.clear();
    story.clear();
    fire(1, "cib/ping");
    EXPECT_EQ(story, "n1: behind n2\n") << "it would refuse an older one";
}

TEST_F(Cluster, AnOlderFullCibIsRefused) {
    start(2);
    down.insert(1);
    ask(2, 1, Op::kModify, "resources", R"(<primitive id="A" x="1"/>)");
    down.clear();
    ask(1, 1, Op::kSync, "", "");
    EXPECT_EQ(version(2), "0.2.0");
    EXPECT_EQ(version(1), "0.1.0");
    EXPECT_EQ(ask(2, 1, Op::kSync, "", ""),
              "n2: response 3 cib_sync rc=0\nn1: changed by cib_replace of n2\nn1: write\n");
    EXPECT_EQ(version(1), "0.2.0");
}

TEST_F(Cluster, TheControllersSyncIsAnsweredWhenTheBestCibArrives) {
    start(3);
    down.insert(1);
    down.insert(2);
    ask(3, 1, Op::kModify, "resources", R"(<primitive id="A" x="1"/>)");
    down.clear();
    story.clear();
    xml::Builder b(*make_request(Op::kSync, "", {}));
    b.set("cib_host", "n3");
    perform(1, at(1).on_local_request(now, {.name = "crmd"}, 9, std::move(b).build()));
    settle();
    EXPECT_EQ(story,
              "n1: changed by cib_replace of n3\nn1: write\nn1: reply to crmd 9: cib_replace rc=0\n"
              "n2: changed by cib_replace of n3\nn2: write\n");
    for (int i = 1; i <= 3; ++i) EXPECT_EQ(version(i), "0.2.0");
}

TEST_F(Cluster, AnUpgradeIsDecidedByThePrimary) {
    start(2);
    ask(1, 1, Op::kPrimary, "", "");
    EXPECT_EQ(ask(2, 1, Op::kUpgrade, "", ""),
              "n1: changed by cib_upgrade of n1\nn1: write\n"
              "n2: changed by cib_upgrade of n1\nn2: write\nn2: response 2 cib_upgrade rc=0\n");
    EXPECT_EQ(at(2).cib()->get("validate-with"), "pacemaker-4.0");
    EXPECT_EQ(version(1), "1.1.2");  // seen in 2.1.5, where only validate-with changes
    EXPECT_EQ(version(2), version(1));
    EXPECT_EQ(ask(2, 1, Op::kUpgrade, "", ""), "n2: response 3 cib_upgrade rc=-211\n");
}

TEST_F(Cluster, LeavingIsConfirmedByAPeer) {
    start(2);
    perform(1, at(1).on_shutdown(now));
    settle();
    EXPECT_EQ(story, "n1: stopped\n");
}

TEST_F(Cluster, LeavingWithoutAnAnswerTakesItsTimeout) {
    start(2);
    perform(1, at(1).on_client_request(now, {{1},
                                             1,
                                             wire::kExpectsResponse,
                                             make_request(Op::kModify, "resources",
                                                          parsed(R"(<primitive id="A" x="1"/>)"), option::kSyncCall)}));
    perform(1, at(1).on_shutdown(now));
    bus.clear();  // nothing gets through
    fire(1, "cib/shutdown");
    EXPECT_EQ(story, "n1: response 1  rc=-107\nn1: stopped after timeout\n");
}

TEST_F(Cluster, AWriteThatFailedIsTriedAgainUntilItSucceeds) {
    start(1);
    std::vector<std::uint64_t> written;
    const auto told = [&](const Effects& effects) {
        std::string out;
        for (const Effect& e : effects) {
            if (const auto* w = std::get_if<Write>(&e)) written.push_back(w->token);
            if (const auto* line = std::get_if<wire::Log>(&e)) out += line->text + "\n";
            if (std::holds_alternative<wire::ArmTimer>(e)) out += "again later\n";
            if (std::holds_alternative<wire::CancelTimer>(e)) out += "enough\n";
        }
        return out;
    };
    EXPECT_EQ(told(at(1).on_written(now, 0, "No space left on device")),
              "CIB version 0.1.0 could not be written, it would be lost by a restart of the whole cluster: No space "
              "left on device\nagain later\n");
    told(at(1).on_timer(now, "cib/write"));
    ASSERT_EQ(written.size(), 1U);
    EXPECT_EQ(told(at(1).on_written(now, written.back(), "No space left on device")), "again later\n");
    told(at(1).on_timer(now, "cib/write"));
    ASSERT_EQ(written.size(), 2U);
    EXPECT_EQ(told(at(1).on_written(now, written.back(), "")), "enough\nCIB version 0.1.0 is on disk\n");
    EXPECT_EQ(told(at(1).on_written(now, written.back(), "")), "");
}

TEST_F(Cluster, AnInvalidStoredCibIsHealedByAPeer) {
    start(2);
    perform(2, at(2).on_loaded(now, parsed(R"(<cib><invalid/></cib>)")));
    EXPECT_EQ(ask(2, 1, Op::kQuery, "", ""), "n2: response 1 cib_query rc=-203\n");
    ask(1, 1, Op::kSync, "", "");
    EXPECT_EQ(ask(2, 1, Op::kQuery, "nodes", ""), "n2: response 3 cib_query rc=0 nodes\n");
}

}  // namespace
}  // namespace systole::cib
