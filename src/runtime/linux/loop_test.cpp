#include "runtime/linux/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <thread>

namespace systole::runtime {
namespace {

using testing::ElementsAre;

TEST(Loop, TimersFireInOrderAndNeverEarly) {
    Loop loop;
    std::vector<std::string> fired;
    const Instant start = loop.now().mono;
    Instant last_at{};
    Timers timers(loop, [&](const std::string& name) {
        fired.push_back(name);
        if (name == "again" && fired.size() == 2) timers.arm("again", loop.now().mono);
        if (name == "last") {
            last_at = loop.now().mono;
            loop.stop(3);
        }
    });
    timers.arm("last", start + Duration{20});
    timers.arm("first", start + Duration{2});
    timers.arm("again", start + Duration{8});
    timers.arm("moved", start + Duration{1});
    timers.arm("moved", start + Duration{15});
    timers.arm("cancelled", start + Duration{1});
    timers.cancel("cancelled");
    EXPECT_EQ(loop.run(), 3);
    EXPECT_THAT(fired, ElementsAre("first", "again", "again", "moved", "last"));
    EXPECT_GE(last_at - start, Duration{20});
    EXPECT_EQ(timers.size(), 0U);
}

TEST(Loop, AResetSourceIsNotCalledInTheSameRound) {
    Loop loop;
    int a[2];
    int b[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
    int calls = 0;
    Source one;
    Source two;
    // Whichever comes first ends both.
    const auto handler = [&](std::uint32_t) {
        ++calls;
        one.reset();
        two.reset();
    };
    one = loop.on_fd(a[0], EPOLLIN, handler);
    two = loop.on_fd(b[0], EPOLLIN, handler);
    ASSERT_EQ(::write(a[1], "x", 1), 1);
    ASSERT_EQ(::write(b[1], "x", 1), 1);
    while (loop.dispatch(Duration{0})) {
    }
    EXPECT_EQ(calls, 1);
    for (const int fd : {a[0], a[1], b[0], b[1]}) ::close(fd);
}

TEST(Loop, DeferredWorkRunsByClassAndMayDeferItself) {
    Loop loop;
    std::vector<int> order;
    loop.defer([&] { order.push_back(3); }, Priority::kLow);
    loop.defer([&] {
        order.push_back(1);
        loop.defer([&] { order.push_back(2); });
    });
    while (loop.dispatch(Duration{0})) {
    }
    EXPECT_THAT(order, ElementsAre(1, 2, 3));
}

TEST(Loop, AnotherThreadCanPost) {
    Loop loop;
    int got = 0;
    std::thread worker([&] {
        for (int i = 0; i < 100; ++i)
            loop.post([&, i] {
                ++got;
                if (i == 99) loop.stop();
            });
    });
    loop.run();
    worker.join();
    EXPECT_EQ(got, 100);
}

TEST(Loop, ChildrenAreReapedWithTheirFate) {
    Loop loop;
    std::vector<std::string> fates;
    const auto watch = [&](pid_t pid) {
        auto source = loop.on_child(pid, [&](const ChildExit& how) {
            fates.push_back(how.code ? "code " + std::to_string(*how.code) : "signal " + std::to_string(how.signal));
            if (fates.size() == 2) loop.stop();
        });
        EXPECT_TRUE(source);
        return std::move(*source);
    };
    const pid_t exits = fork();
    if (exits == 0) _exit(7);
    const pid_t dies = fork();
    if (dies == 0)
        for (;;) pause();
    const Source one = watch(exits);
    const Source two = watch(dies);
    kill(dies, SIGKILL);
    loop.run();
    EXPECT_THAT(fates, testing::UnorderedElementsAre("code 7", "signal 9"));
    EXPECT_FALSE(loop.on_child(exits, [](const ChildExit&) {}));
}

TEST(Loop, SignalsComeThroughTheLoop) {
    Loop loop;
    int calls = 0;
    const Source source = loop.on_signal(SIGUSR1, [&] {
        ++calls;
        loop.stop();
    });
    kill(getpid(), SIGUSR1);
    loop.run();
    EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace systole::runtime
