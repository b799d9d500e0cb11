// The server on a loop in a thread of its own, clients of both layouts (and damaged ones) in the test's thread.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <qb/qbipcc.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <future>
#include <thread>

#include "runtime/linux/ipc_client.h"
#include "runtime/linux/ipc_server.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::runtime {
namespace {

using testing::HasSubstr;
using wire::HeaderLayout;

xml::NodePtr tree(std::string_view text) { return *xml::parse(text); }

/// Answers: <echo .../> with itself; <events count="N" size="M"/> with an ack and N events; what cannot be read with a
/// protocol error; <leave/> by eviction; nothing to <silence/>.
class Echo {
public:
    explicit Echo(IpcServerOptions options = {}) {
        prefix_ = fmt::format("systole-test-{}-{}-", getpid(), ++count_);
        options.prefix = prefix_;
        std::promise<bool> ready;
        thread_ = std::thread([this, options, &ready]() mutable {
            Loop loop;
            options.log = [this](const wire::Log& line) {
                const std::lock_guard lock(lock_);
                log_ += line.text + "\n";
            };
            IpcServer server(loop, options,
                             {.admit = [this](const wire::Client&) { return refuse_.load() ? -EPERM : 0; },
                              .connected =
                                  [this](const wire::Client& client) {
                                      const std::lock_guard lock(lock_);
                                      last_ = client;
                                  },
                              .request = [&](const wire::ClientRequest& request) { serve(server, request); },
                              .closed = [this](wire::ClientId) { ++closed_; }});
            loop_ = &loop;
            const bool ok = server.open(wire::Service::kCibRw).has_value();
            ready.set_value(ok);
            loop.run();
            loop_ = nullptr;
        });
        EXPECT_TRUE(ready.get_future().get());
    }
    ~Echo() {
        loop_.load()->post([loop = loop_.load()] { loop->stop(); });
        thread_.join();
    }
    Result<IpcClient> connect(HeaderLayout layout = HeaderLayout::kClassic) {
        return IpcClient::connect("cib_rw", {.prefix = prefix_, .layout = layout});
    }
    std::string name() const { return prefix_ + "cib_rw"; }
    std::string log() {
        const std::lock_guard lock(lock_);
        return log_;
    }
    wire::Client last() {
        const std::lock_guard lock(lock_);
        return last_;
    }
    std::atomic<int> closed_{0};
    std::atomic<bool> refuse_{false};

private:
    void serve(IpcServer& server, const wire::ClientRequest& request) {
        const bool due = (request.flags & wire::kExpectsResponse) != 0;
        if (!request.message) {
            if (due) server.respond({request.client, request.id, tree("<ack status='76'/>")});
            return;
        }
        const xml::Node& message = *request.message;
        if (message.is("silence")) return;
        if (message.is("leave")) server.evict({request.client, "it asked for it"});
        if (due)
            server.respond(
                {request.client, request.id, message.is("events") ? tree("<ack status='0'/>") : request.message});
        if (message.is("events")) {
            const std::string filler(std::stoul(std::string(message.get("size"))), 'e');
            for (int i = 0; i < std::stoi(std::string(message.get("count"))); ++i)
                server.send_event({request.client, xml::Builder("event").set("n", i).set("x", filler).build()});
        }
    }
    static inline std::atomic<int> count_{0};
    std::string prefix_;
    std::thread thread_;
    std::atomic<Loop*> loop_{nullptr};
    std::mutex lock_;
    std::string log_;
    wire::Client last_;
};

class Ipc : public testing::TestWithParam<HeaderLayout> {};

TEST_P(Ipc, CallsOfEverySizeAreAnsweredInTheClientsLayout) {
    Echo echo;
    auto client = echo.connect(GetParam());
    ASSERT_TRUE(client) << client.error().what;
    for (const std::size_t size : {1U, 1000U, 131'000U, 131'072U, 400'000U, 2'000'000U}) {
        const auto request = xml::Builder("echo").set("x", std::string(size, 'y')).build();
        const auto answer = client->call(*request);
        ASSERT_TRUE(answer) << size << ": " << answer.error().what;
        EXPECT_TRUE(xml::deep_equal(*request, **answer)) << size;
        EXPECT_EQ(client->layout(), GetParam());
    }
    const auto who = echo.last();
    EXPECT_EQ(who.uid, getuid());
    EXPECT_EQ(who.pid, getpid());
    EXPECT_EQ(who.privileged, getuid() == 0);
    EXPECT_EQ(who.uuid.size(), 36U);
    EXPECT_EQ(client->server_pid(), getpid());
}

TEST_P(Ipc, EventsComeInOrderHoweverManyAndLarge) {
    Echo echo;
    auto client = echo.connect(GetParam());
    ASSERT_TRUE(client);
    for (const auto& [count, size] : {std::pair{450, 1000}, std::pair{5, 300'000}}) {
        ASSERT_TRUE(client->call(*xml::Builder("events").set("count", count).set("size", size).build()));
        for (int i = 0; i < count; ++i) {
            const auto event = client->next_event(Duration{5000});
            ASSERT_TRUE(event && *event) << i;
            EXPECT_EQ((**event)->get("n"), std::to_string(i));
        }
    }
    const auto none = client->next_event();
    ASSERT_TRUE(none);
    EXPECT_FALSE(*none);
}

INSTANTIATE_TEST_SUITE_P(Layouts, Ipc, testing::Values(HeaderLayout::kClassic, HeaderLayout::kMultipart),
                         [](const auto& test) {
                             return test.param == HeaderLayout::kClassic ? "Classic" : "Multipart";
                         });

TEST(IpcServer, ProxiedClientsGetTheirAnswersAsEvents) {
    Echo echo;
    auto client = echo.connect();
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(*tree("<echo a='1'/>"), wire::kProxied | wire::kExpectsResponse));
    const auto event = client->next_event(Duration{5000});
    ASSERT_TRUE(event && *event);
    EXPECT_EQ((**event)->get("a"), "1");
}

TEST(IpcServer, RefusalReachesTheClient) {
    Echo echo;
    echo.refuse_ = true;
    const auto client = echo.connect();
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, Errc::kDenied);
}

TEST(IpcServer, AClientThatTakesNoEventsIsEvicted) {
    Echo echo({.queue_max = 50});
    auto client = echo.connect();
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->call(*tree("<events count='1000' size='5000'/>")));
    for (int i = 0; i < 80 && echo.closed_ == 0; ++i) std::this_thread::sleep_for(Duration{100});
    EXPECT_EQ(echo.closed_, 1);
    EXPECT_THAT(echo.log(), HasSubstr("takes none"));
}

TEST(IpcServer, EvictionClosesOnce) {
    Echo echo;
    auto client = echo.connect();
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(*tree("<leave/>")));
    const auto event = client->next_event(Duration{5000});
    ASSERT_FALSE(event);
    EXPECT_EQ(event.error().code, Errc::kUnreachable);
    EXPECT_FALSE(client->connected());
    for (int i = 0; i < 100 && echo.closed_ == 0; ++i) std::this_thread::sleep_for(Duration{10});
    EXPECT_EQ(echo.closed_, 1);
}

TEST(IpcClient, NobodyThereIsUnreachable) {
    const auto client = IpcClient::connect("cib_rw", {.prefix = "systole-test-nobody-"});
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, Errc::kUnreachable);
}

TEST(IpcClient, ALateAnswerIsNotTakenForTheNext) {
    Echo echo;
    auto client = echo.connect();
    ASSERT_TRUE(client);
    const auto none = client->call(*tree("<silence/>"), Duration{50});
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Errc::kStale);
    const auto answer = client->call(*tree("<echo b='2'/>"));
    ASSERT_TRUE(answer);
    EXPECT_EQ((*answer)->get("b"), "2");
}

/// A client that writes what it likes.
class Raw {
public:
    explicit Raw(const std::string& name) : qb_(qb_ipcc_connect(name.c_str(), 131072)) {}
    ~Raw() {
        if (qb_ != nullptr) qb_ipcc_disconnect(qb_);
    }
    Raw(const Raw&) = delete;
    Raw& operator=(const Raw&) = delete;
    ssize_t send(const std::string& bytes) { return qb_ipcc_send(qb_, bytes.data(), bytes.size()); }
    std::string answer(int wait_ms) {
        std::string buffer(131072, '\0');
        const ssize_t n = qb_ipcc_recv(qb_, buffer.data(), buffer.size(), wait_ms);
        buffer.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        return buffer;
    }

private:
    qb_ipcc_connection_t* qb_;
};

TEST(IpcServer, DamagedHeadersAreDroppedAndTheConnectionLives) {
    Echo echo;
    Raw raw(echo.name());
    const std::string good = wire::encode_ipc(HeaderLayout::kClassic, 1, wire::kExpectsResponse, "<echo/>")->front();
    const auto put = [](std::string bytes, std::size_t at, std::int32_t value) {
        std::memcpy(bytes.data() + at, &value, sizeof value);
        return bytes;
    };
    std::string version = good;
    version[36] = 9;
    for (const std::string& bad : {put(good, 8, 0x7fffffff), put(good, 8, 200'000), put(good, 8, -1), put(good, 8, 20),
                                   version, good.substr(0, 30)})
        EXPECT_GT(raw.send(bad), 0);
    EXPECT_EQ(raw.answer(200), "");
    EXPECT_GT(raw.send(good), 0);
    EXPECT_THAT(raw.answer(2000), HasSubstr("<echo/>"));
    EXPECT_THAT(echo.log(), HasSubstr("version 9"));
}

TEST(IpcServer, DamagedPayloadsGetAProtocolError) {
    Echo echo;
    Raw raw(echo.name());
    for (const std::string_view text : {"<echo", "", "no xml"}) {
        raw.send(wire::encode_ipc(HeaderLayout::kClassic, 1, wire::kExpectsResponse, text)->front());
        EXPECT_THAT(raw.answer(2000), HasSubstr("status=\"76\"")) << text;
    }
    std::string bad = wire::encode_ipc(HeaderLayout::kClassic, 4, wire::kExpectsResponse, "<echo/>")->front();
    bad.back() = 'x';
    raw.send(bad);
    EXPECT_THAT(raw.answer(2000), HasSubstr("status=\"76\""));
    bad = wire::encode_ipc(HeaderLayout::kClassic, 5, wire::kExpectsResponse, "<echo/>")->front();
    const std::int32_t more_than_sent = 100'000;
    std::memcpy(bad.data() + 8, &more_than_sent, sizeof more_than_sent);
    raw.send(bad);
    EXPECT_THAT(raw.answer(2000), HasSubstr("status=\"76\""));
}

TEST(IpcServer, ManyClientsComeAndGo) {
    Echo echo;
    for (int round = 0; round < 20; ++round) {
        std::vector<IpcClient> clients;
        for (int i = 0; i < 10; ++i) {
            auto client = echo.connect(i % 2 == 0 ? HeaderLayout::kClassic : HeaderLayout::kMultipart);
            ASSERT_TRUE(client) << client.error().what;
            clients.push_back(std::move(*client));
        }
        for (auto& client : clients) ASSERT_TRUE(client.call(*tree("<echo/>")));
    }
    for (int i = 0; i < 50 && echo.closed_ < 200; ++i) std::this_thread::sleep_for(Duration{20});
    EXPECT_EQ(echo.closed_, 200);
}

}  // namespace
}  // namespace systole::runtime
