#include "runtime/linux/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

namespace systole::runtime {
namespace {

TEST(Worker, RunsInOrderAndReplacesWhatWaits) {
    Loop loop;
    std::vector<std::string> reports;
    std::promise<void> begin;
    auto may_begin = begin.get_future().share();
    Worker worker(loop);
    const auto job = [&](const std::string& name) {
        return [&, name, may_begin]() -> Worker::Report {
            may_begin.wait();
            return [&, name] {
                reports.push_back(name);
                if (name == "last") loop.stop();
            };
        };
    };
    std::promise<void> running;
    worker.submit("plan", [&]() -> Worker::Report {
        running.set_value();
        may_begin.wait();
        return [&] { reports.emplace_back("runs already"); };
    });
    running.get_future().wait();
    worker.submit("plan", job("replaced"));
    worker.submit("plan", job("newest"));
    worker.submit("", job("last"));
    begin.set_value();
    loop.run();
    EXPECT_THAT(reports, testing::ElementsAre("runs already", "newest", "last"));
}

TEST(Worker, AJobThatRestsIsReplacedAndBeginsAtOnceWhenTheWorkerFinishes) {
    constexpr Worker::Pace kHour{.times = 1'000'000'000, .longest = Duration{3'600'000}};
    Loop loop;
    Worker worker(loop);
    std::vector<std::string> done;
    const auto job = [&](const std::string& name) {
        return [&done, name]() -> Worker::Report {
            done.push_back(name);
            return {};
        };
    };
    std::promise<void> ran;
    worker.submit(
        "cib",
        [&]() -> Worker::Report {
            ran.set_value();
            return {};
        },
        kHour);
    ran.get_future().wait();
    worker.submit("cib", job("replaced"), kHour);
    std::promise<void> other;
    worker.submit("cib", job("newest"), kHour);
    worker.submit("", [&]() -> Worker::Report {
        done.emplace_back("of another slot");
        other.set_value();
        return {};
    });
    other.get_future().wait();
    worker.finish();
    EXPECT_THAT(done, testing::ElementsAre("of another slot", "newest"));
}

TEST(Worker, ReportsAfterItsEndAreDropped) {
    Loop loop;
    bool called = false;
    {
        Worker worker(loop);
        std::promise<void> ran;
        worker.submit("", [&]() -> Worker::Report {
            ran.set_value();
            return [&] { called = true; };
        });
        ran.get_future().wait();
    }
    while (loop.dispatch(Duration{0})) {
    }
    EXPECT_FALSE(called);
}

}  // namespace
}  // namespace systole::runtime
