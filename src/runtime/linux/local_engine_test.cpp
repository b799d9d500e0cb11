// Three nodes on the test's loop and a hub in a thread of its own, over real sockets in a folder of their own.
#include "runtime/linux/local_engine.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <thread>

#include "runtime/linux/hub_server.h"

namespace systole::runtime {
namespace {

using testing::ElementsAre;
using wire::Group;

class LocalCluster : public testing::Test {
protected:
    struct Member {
        std::unique_ptr<LocalEngine> engine;
        std::vector<std::string> events;  ///< messages and membership of the cib group, in order
        std::optional<wire::QuorumView> view;
        std::string lost;
    };

    LocalCluster() {
        // Longer than a socket's address, as state folders may be.
        folder_ =
            std::filesystem::temp_directory_path() / fmt::format("systole-{}-{}", getpid(), std::string(120, 'd'));
        std::filesystem::create_directories(folder_);
    }
    ~LocalCluster() override {
        members_.clear();
        hub_.reset();
        std::filesystem::remove_all(folder_);
    }

    /// The hub's process, so to speak; destroying it is its crash.
    class HubThread {
    public:
        HubThread(const std::string& folder, const Hub::Config& config) {
            std::promise<void> ready;
            thread_ = std::thread([&, config] {
                Loop loop;
                HubServer server(loop, config, {});
                const auto opened = server.open(folder);
                EXPECT_TRUE(opened) << opened.error().what;
                loop_ = &loop;
                server_ = &server;
                ready.set_value();
                loop.run();
            });
            ready.get_future().wait();
        }
        ~HubThread() {
            loop_->post([this] { loop_->stop(); });
            thread_.join();
        }
        bool is_formed() {
            std::promise<bool> answer;
            loop_->post([&] { answer.set_value(server_->hub().is_formed()); });
            return answer.get_future().get();
        }

    private:
        std::thread thread_;
        Loop* loop_ = nullptr;
        HubServer* server_ = nullptr;
    };

    void start_hub(Duration formation = Duration{500}) {
        hub_ = std::make_unique<HubThread>(
            folder_, Hub::Config{.cluster_name = "test",
                                 .nodes = {{NodeId{1}, "n1"}, {NodeId{2}, "n2"}, {NodeId{3}, "n3"}},
                                 .epoch = fmt::format("life{}", ++lives_),
                                 .formation = formation});
    }

    void start_node(unsigned id) {
        Member& member = members_[id];
        const wire::NodeRef self{NodeId{id}, fmt::format("n{}", id)};
        member.engine = std::make_unique<LocalEngine>(
            loop_,
            LocalEngineOptions{
                .folder = folder_, .self = self, .start_timeout = Duration{2000}, .hub_timeout = Duration{2000}});
        const auto who = member.engine->start(
            {.group_change =
                 [&member](const wire::GroupChange& change) {
                     std::string text = "members";
                     for (const auto& m : change.members) text += fmt::format(" {}", m.node.value);
                     member.events.push_back(text);
                 },
             .quorum_view = [&member](const wire::QuorumView& view) { member.view = view; },
             .node_identified = [](const wire::NodeIdentified&) {},
             .message =
                 [&member](const wire::PeerMessage& message) {
                     EXPECT_EQ(message.message->get("src"), message.from.name);
                     member.events.push_back(fmt::format("{} says {}", message.from.name, message.message->get("n")));
                 },
             .lost = [&member](const std::string& why) { member.lost = why; }});
        ASSERT_TRUE(who) << who.error().what;
        EXPECT_EQ(who->infrastructure, "local");
        member.engine->join(Group::kCib);
    }

    void say(unsigned id, int n, const std::string& to = "") {
        members_[id].engine->multicast({Group::kCib, to, xml::Builder("m").set("n", n).build()});
    }

    template <class Condition>
    bool run_until(Condition condition, Duration longest = Duration{5000}) {
        const Instant end = loop_.now().mono + longest;
        while (!condition() && loop_.now().mono < end) loop_.dispatch(Duration{10});
        return condition();
    }
    void settle() {
        run_until([] { return false; }, Duration{100});
    }

    std::string folder_;
    Loop loop_;
    std::unique_ptr<HubThread> hub_;
    std::map<unsigned, Member> members_;
    int lives_ = 0;
};

TEST_F(LocalCluster, EveryMemberSeesOneOrder) {
    start_hub();
    for (const unsigned id : {1U, 2U, 3U}) start_node(id);
    ASSERT_TRUE(run_until([&] { return !members_[1].events.empty() && members_[1].events.back() == "members 1 2 3"; }));
    ASSERT_TRUE(run_until([&] { return members_[3].view && members_[3].view->quorate; }));
    settle();
    for (auto& [id, member] : members_) member.events.clear();
    for (int round = 0; round < 50; ++round)
        for (const unsigned id : {1U, 2U, 3U}) say(id, round);
    ASSERT_TRUE(run_until(
        [&] { return std::ranges::all_of(members_, [](const auto& m) { return m.second.events.size() == 150; }); }));
    EXPECT_EQ(members_[1].events, members_[2].events);
    EXPECT_EQ(members_[1].events, members_[3].events);
}

TEST_F(LocalCluster, DirectedMessagesReachOneNode) {
    start_hub();
    for (const unsigned id : {1U, 2U, 3U}) start_node(id);
    run_until([&] { return hub_->is_formed(); });
    settle();
    for (auto& [id, member] : members_) member.events.clear();
    say(1, 7, "N2");
    settle();
    EXPECT_THAT(members_[2].events, ElementsAre("n1 says 7"));
    EXPECT_TRUE(members_[1].events.empty());
    EXPECT_TRUE(members_[3].events.empty());
}

TEST_F(LocalCluster, ADeadNodeLeavesTheGroupAndQuorumFollows) {
    start_hub();
    for (const unsigned id : {1U, 2U, 3U}) start_node(id);
    run_until([&] { return hub_->is_formed(); });
    settle();
    members_[3].engine.reset();
    ASSERT_TRUE(run_until([&] { return members_[1].events.back() == "members 1 2"; }));
    run_until([&] { return members_[1].view->members.size() == 2; });
    EXPECT_TRUE(members_[1].view->quorate);
    members_[2].engine.reset();
    ASSERT_TRUE(run_until([&] { return members_[1].view->members.size() == 1; }));
    EXPECT_FALSE(members_[1].view->quorate);
    start_node(3);
    ASSERT_TRUE(run_until([&] { return members_[1].view->quorate; }));
}

TEST_F(LocalCluster, AHubThatComesBackChangesNothingAndLosesNothing) {
    start_hub();
    for (const unsigned id : {1U, 2U, 3U}) start_node(id);
    run_until([&] { return hub_->is_formed(); });
    settle();
    for (auto& [id, member] : members_) member.events.clear();
    for (int n = 0; n < 20; ++n) say(1, n);
    loop_.dispatch(Duration{0});  // some have gone through, others have not
    hub_.reset();
    for (int n = 20; n < 40; ++n) say(1, n);
    settle();
    start_hub(Duration{1500});
    ASSERT_TRUE(run_until([&] {
        return std::ranges::all_of(members_, [](const auto& m) { return m.second.events.size() >= 40; });
    })) << members_[1].events.size()
        << members_[2].events.size() << members_[3].events.size();
    settle();
    for (const unsigned id : {1U, 2U, 3U}) {
        ASSERT_EQ(members_[id].events.size(), 40U) << id;
        for (std::size_t n = 0; n < 40; ++n) EXPECT_EQ(members_[id].events[n], fmt::format("n1 says {}", n));
        EXPECT_EQ(members_[id].lost, "");
    }
}

TEST_F(LocalCluster, AHubThatStaysAwayIsTheEnd) {
    start_hub();
    start_node(1);
    run_until([&] { return hub_->is_formed(); });
    hub_.reset();
    ASSERT_TRUE(run_until([&] { return !members_[1].lost.empty(); }));
    EXPECT_THAT(members_[1].lost, testing::HasSubstr("stayed away"));
}

TEST_F(LocalCluster, ANodeThatCameTooLateIsToldSo) {
    start_hub();
    for (const unsigned id : {1U, 2U, 3U}) start_node(id);
    run_until([&] { return hub_->is_formed(); });
    settle();
    hub_.reset();
    settle();
    start_hub(Duration{0});  // forms before anybody could come
    ASSERT_TRUE(run_until([&] { return !members_[2].lost.empty(); }));
    EXPECT_THAT(members_[2].lost, testing::HasSubstr("given up"));
}

TEST_F(LocalCluster, StrangersAndDoublesAreRefused) {
    start_hub();
    start_node(1);
    LocalEngine twin(loop_, {.folder = folder_, .self = {NodeId{1}, "n1"}, .start_timeout = Duration{200}});
    EXPECT_FALSE(twin.start({}));
    LocalEngine stranger(loop_, {.folder = folder_, .self = {NodeId{9}, "n9"}, .start_timeout = Duration{200}});
    EXPECT_FALSE(stranger.start({}));
    HubServer second(loop_, {}, {});
    const auto opened = second.open(folder_);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::kExists);
}

}  // namespace
}  // namespace systole::runtime
