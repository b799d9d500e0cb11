#include "transition/runner.h"

#include <fmt/format.h>

#include <deque>

#include "xml/parse.h"

namespace systole::transition {
namespace {

constexpr std::string_view kUuid = "12345678-1234-1234-1234-123456789012";

/// "1 start db n1 after=2,3 priority=5" a line: id, operation, resource, node, then options.
xml::NodePtr graph_of(int id, std::initializer_list<std::string_view> lines) {
    xml::Builder graph("transition_graph");
    graph.set("cluster-delay", "60s").set("transition_id", id);
    int synapse_id = 0;
    for (const std::string_view line : lines) {
        std::vector<std::string> words;
        std::size_t begin = 0;
        while (begin < line.size()) {
            const std::size_t end = std::min(line.find(' ', begin), line.size());
            words.emplace_back(line.substr(begin, end - begin));
            begin = end + 1;
        }
        const bool pseudo = words[3] == "-";
        xml::Builder action(pseudo ? "pseudo_event" : words[1] == "stonith" ? "crm_event" : "rsc_op");
        action.set("id", words[0]).set("operation", words[1]);
        action.set("operation_key", fmt::format("{}_{}_0", words[2], words[1]));
        xml::Builder attributes("attributes");
        xml::Builder inputs("inputs");
        xml::Builder synapse("synapse");
        synapse.set("id", synapse_id++);
        if (!pseudo) {
            action.set("on_node", words[3]).set("on_node_uuid", words[3]);
            xml::Builder primitive("primitive");
            primitive.set("id", words[2]);
            if (words[1] != "stonith") action.add(std::move(primitive));
            attributes.set("CRM_meta_timeout", "20000");
        }
        for (std::size_t i = 4; i < words.size(); ++i) {
            const std::string name = words[i].substr(0, words[i].find('='));
            const std::string value = words[i].substr(name.size() + 1);
            if (name == "after") {
                std::size_t from = 0;
                while (from < value.size()) {
                    const std::size_t to = std::min(value.find(',', from), value.size());
                    xml::Builder trigger("trigger");
                    xml::Builder reference("rsc_op");
                    reference.set("id", value.substr(from, to - from));
                    trigger.add(std::move(reference));
                    inputs.add(std::move(trigger));
                    from = to + 1;
                }
            } else if (name == "priority") {
                synapse.set("priority", value);
            } else {
                attributes.set("CRM_meta_" + name, value);
            }
        }
        action.add(std::move(attributes));
        xml::Builder set("action_set");
        set.add(std::move(action));
        synapse.add(std::move(set)).add(std::move(inputs));
        graph.add(std::move(synapse));
    }
    return std::move(graph).build();
}

/// Effects in a line each, timers left out.
std::string told(const Effects& effects) {
    std::string out;
    for (const Effect& effect : effects) {
        if (const auto* e = std::get_if<Execute>(&effect))
            out += fmt::format("run {}@{} ", e->action.key, e->action.node);
        if (const auto* e = std::get_if<TimedOut>(&effect)) out += fmt::format("timeout {} ", e->action.key);
        if (const auto* e = std::get_if<Finished>(&effect)) {
            constexpr std::array kNames{"complete", "aborted", "stuck"};
            out += fmt::format("{} ", kNames[static_cast<std::size_t>(e->outcome)]);
        }
    }
    return out;
}

struct Bench {
    Runner runner{std::string(kUuid)};
    Instant now{};

    std::string start(const xml::NodePtr& graph) {
        auto effects = runner.start(now, *graph);
        EXPECT_TRUE(effects.has_value());
        EXPECT_THAT(runner.check_state(), testing::IsEmpty());
        return effects ? told(*effects) : effects.error().what;
    }
    std::string result(int transition, int action, int rc = 0, Match expected = Match::kConfirmed) {
        const Key key{action, transition, 0, std::string(kUuid)};
        const auto answer = runner.on_result(now, key, "n1", ExecStatus::kDone, rc);
        EXPECT_EQ(answer.match, expected);
        EXPECT_THAT(runner.check_state(), testing::IsEmpty());
        return told(answer.effects);
    }
};

TEST(Key, SurvivesBeingWrittenAndRead) {
    const Key key{3, 1, 7, std::string(kUuid)};
    EXPECT_EQ(to_string(key), fmt::format("3:1:7:{}", kUuid));
    EXPECT_EQ(*parse_key(to_string(key)), key);
    const auto magic = parse_magic(fmt::format("0:7;{}", to_string(key)));
    ASSERT_TRUE(magic.has_value());
    EXPECT_EQ(magic->rc, 7);
    EXPECT_EQ(parse_key("3:1:7:short").error().code, Errc::kInvalid);
    EXPECT_EQ(parse_magic("0:x;3:1:7:").error().code, Errc::kInvalid);
}

TEST(Runner, AnActionWaitsForItsInputs) {
    Bench b;
    EXPECT_EQ(b.start(graph_of(1, {"1 start a n1", "2 start b n1 after=1", "3 running g - after=2"})),
              "run a_start_0@n1 ");
    EXPECT_EQ(b.result(1, 1), "run b_start_0@n1 ");
    EXPECT_EQ(b.result(1, 2), "complete ");
    EXPECT_FALSE(b.runner.running());
}

TEST(Runner, AFailureStopsWhatDependsOnItAndAsksForANewPlan) {
    Bench b;
    EXPECT_EQ(b.start(graph_of(1, {"1 start a n1", "2 start b n1 after=1"})), "run a_start_0@n1 ");
    EXPECT_EQ(b.result(1, 1, 1, Match::kFailed), "aborted ");
}

TEST(Runner, AnActionThatCanFailDoesNotStopItsSuccessors) {
    Bench b;
    b.start(graph_of(1, {"1 notify a n1 can_fail=true", "2 start b n1 after=1"}));
    EXPECT_EQ(b.result(1, 1, 1), "run b_start_0@n1 ");
}

TEST(Runner, AnAbortedTransitionDoesNotWaitForWhatIsInFlight) {
    Bench b;
    b.start(graph_of(1, {"1 start slow n1", "2 start b n1 after=1"}));
    EXPECT_EQ(told(b.runner.abort(b.now, 1'000'000, "configuration change")), "aborted ");
    EXPECT_EQ(b.runner.in_flight().size(), 1U);
}

TEST(Runner, ANewGraphAdoptsTheSameActionInFlightAndRunsTheUnrelatedAtOnce) {
    Bench b;
    b.start(graph_of(1, {"1 start slow n1"}));
    (void)b.runner.abort(b.now, 1'000'000, "db failed");
    EXPECT_EQ(b.start(graph_of(2, {"1 stop db n2", "7 start slow n1", "8 start after n1 after=7"})),
              "run db_stop_0@n2 ");
    EXPECT_EQ(b.result(1, 1), "run after_start_0@n1 ");
    EXPECT_EQ(b.result(2, 1), "");
    EXPECT_EQ(b.result(2, 8), "complete ");
}

// Seen in a cluster: the old start would have confirmed the new one, then the stop ran, and nothing was left to start
// it.
TEST(Runner, AStartInFlightDoesNotStandForAStartThatComesAfterAStop) {
    Bench b;
    b.start(graph_of(1, {"1 start db n2"}));
    (void)b.runner.abort(b.now, 1'000'000, "n1 is back");
    EXPECT_EQ(b.start(graph_of(2, {"1 stop db n1", "2 stop db n2", "3 start db n2 after=1,2"})), "");
    EXPECT_EQ(b.result(1, 1, 0, Match::kInFlight), "aborted ");
}

// Drill seed 363 with 7 nodes: the start on n2 ended, and the start on n3 that had waited for it began.
TEST(Runner, WhatWasPlannedWithoutKnowingAResultIsNotBegunAfterIt) {
    Bench b;
    b.start(graph_of(1, {"1 start db n2"}));
    (void)b.runner.abort(b.now, 1'000'000, "n7 left");
    EXPECT_EQ(b.start(graph_of(2, {"1 start db n3", "2 start other n3"})), "run other_start_0@n3 ");
    EXPECT_EQ(b.result(1, 1, 0, Match::kInFlight), "aborted ");
    EXPECT_FALSE(b.runner.running());
}

TEST(Runner, WhatHasHigherPriorityThanAnAbortStillRuns) {
    Bench b;
    EXPECT_EQ(
        b.start(graph_of(1, {"1 start a n1", "2 stonith x n2 priority=100", "3 start c n1 after=2 priority=100"})),
        "run x_stonith_0@n2 run a_start_0@n1 ");
    EXPECT_EQ(b.result(1, 1, 1, Match::kFailed), "");
    EXPECT_EQ(told(b.runner.on_done(b.now, 2, true)), "run c_start_0@n1 ");
    EXPECT_EQ(b.result(1, 3), "aborted ");
}

TEST(Runner, ALostNodeReleasesWhatItOwesButNotItsFencing) {
    Bench b;
    b.start(graph_of(1, {"1 start a n2", "2 stonith n2 n2"}));
    EXPECT_EQ(told(b.runner.on_node_lost(b.now, "n2")), "aborted ");
    ASSERT_EQ(b.runner.in_flight().size(), 1U);
    EXPECT_EQ(b.runner.in_flight()[0].action.operation, "stonith");
}

TEST(Runner, LimitsHoldBackUntilAPlaceIsFree) {
    Bench b;
    b.runner.set_limits({.batch = 0, .jobs = {{"n1", 1}}});
    EXPECT_EQ(b.start(graph_of(1, {"1 start a n1", "2 start b n1", "3 start c n2"})),
              "run a_start_0@n1 run c_start_0@n2 ");
    EXPECT_EQ(b.result(1, 1), "run b_start_0@n1 ");
}

TEST(Runner, ASilentActionTimesOutAndItsRecordEndsIt) {
    Bench b;
    b.start(graph_of(1, {"1 start a n1"}));
    EXPECT_EQ(told(b.runner.on_timer(b.now + Duration{80'000}, "action:1:1")), "timeout a_start_0 ");
    const Key key{1, 1, 0, std::string(kUuid)};
    const auto answer = b.runner.on_result(b.now, key, "n1", ExecStatus::kTimeout, 1);
    EXPECT_EQ(answer.match, Match::kFailed);
    EXPECT_EQ(told(answer.effects), "aborted ");
}

// Found on a loaded machine: a refresh while a first monitor ran, and nothing was begun for its timeout and a minute
// more.
TEST(Runner, ARecurringOperationWhoseHistoryWasErasedIsNotWaitedFor) {
    Bench b;
    b.start(graph_of(1, {"1 monitor a:1 n1 interval=1000", "2 start a:1 n2", "3 monitor ab n1 interval=1000"}));
    ASSERT_EQ(b.runner.in_flight().size(), 3U);
    EXPECT_EQ(told(b.runner.on_history_erased(b.now, "a", "n2")), "") << "a start will be told of all the same";
    EXPECT_EQ(b.runner.in_flight().size(), 3U);
    static_cast<void>(b.runner.on_history_erased(b.now, "a", "n1"));
    ASSERT_EQ(b.runner.in_flight().size(), 2U);
    EXPECT_EQ(b.runner.in_flight()[1].action.resource, "ab");
}

TEST(Runner, ResultsOfOthersChangeNothing) {
    Bench b;
    b.start(graph_of(1, {"1 start a n1"}));
    const auto match = [&](int transition, std::string uuid) {
        return b.runner.on_result(b.now, Key{1, transition, 0, std::move(uuid)}, "n1", ExecStatus::kDone, 0).match;
    };
    EXPECT_EQ(match(1, "00000000-0000-0000-0000-000000000000"), Match::kForeign);
    EXPECT_EQ(match(-1, std::string(kUuid)), Match::kOutside);
    EXPECT_EQ(match(0, std::string(kUuid)), Match::kStale);
    EXPECT_EQ(match(1, std::string(kUuid)), Match::kConfirmed);
    EXPECT_EQ(match(1, std::string(kUuid)), Match::kRepeated);
}

TEST(Runner, ACycleIsSaidNotWaitedFor) {
    Bench b;
    EXPECT_EQ(b.start(graph_of(1, {"1 start a n1 after=2", "2 start b n1 after=1"})), "stuck ");
}

TEST(Graph, WhatIsWrongIsNamed) {
    EXPECT_EQ(parse_graph(**xml::parse("<transition_graph/>")).error().code, Errc::kInvalid);
    EXPECT_EQ(parse_graph(**xml::parse("<x transition_id='1'/>")).error().code, Errc::kInvalid);
    const auto twice = parse_graph(*graph_of(1, {"1 start a n1", "1 start b n1"}));
    ASSERT_FALSE(twice.has_value());
    EXPECT_THAT(twice.error().what, testing::HasSubstr("used twice"));
}

// Found by a drill: a node whose core stood still got an order; the next plan, which did not know of it, started one
// instance more than allowed.
TEST(Runner, OneInstanceMoreWaitsForAnInstanceThatThePlanDoesNotKnow) {
    Bench b;
    b.start(graph_of(1, {"1 start two n1 clone=1"}));
    EXPECT_EQ(b.start(graph_of(2, {"1 start two n2 clone=1", "2 stop two n3 clone=1", "3 start one n2 clone=0"})),
              "run two_stop_0@n3 run one_start_0@n2 ");
}

TEST(Runner, TenThousandActionsTakeTurnsOnTheirNodes) {
    constexpr int kActions = 10'000;
    constexpr int kNodes = 20;
    constexpr unsigned kJobs = 3;
    std::vector<std::string> lines;
    for (int i = 0; i < kActions; ++i) lines.push_back(fmt::format("{} start r{} n{}", i + 1, i, i % kNodes));
    xml::Builder graph("transition_graph");
    graph.set("cluster-delay", "60s").set("transition_id", 1);
    for (const std::string& line : lines) {
        const xml::NodePtr one = graph_of(1, {line});
        graph.add(one->first_element_ptr());
    }
    Runner runner{std::string(kUuid)};
    Limits limits;
    for (int n = 0; n < kNodes; ++n) limits.jobs[fmt::format("n{}", n)] = kJobs;
    runner.set_limits(limits);
    auto started = runner.start(Instant{}, *graph.build());
    ASSERT_TRUE(started.has_value());
    std::deque<Execute> running;
    bool complete = false;
    const auto take = [&](const Effects& effects) {
        for (const Effect& effect : effects) {
            if (const auto* e = std::get_if<Execute>(&effect)) running.push_back(*e);
            if (const auto* e = std::get_if<Finished>(&effect)) complete = e->outcome == Outcome::kComplete;
        }
        EXPECT_LE(running.size(), kNodes * kJobs);
    };
    take(*started);
    int done = 0;
    while (!running.empty()) {
        const Execute next = running.front();
        running.pop_front();
        ++done;
        take(runner.on_result(Instant{}, next.key, next.action.node, ExecStatus::kDone, 0).effects);
    }
    EXPECT_EQ(done, kActions);
    EXPECT_TRUE(complete);
}

}  // namespace
}  // namespace systole::transition
