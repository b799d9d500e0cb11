// scheduler/scheduler_bench.cpp — what parsing, reading and each pass cost, for clusters of several sizes.
//
// The cluster: nodes with as many resources each, running and monitored, probed on four nodes, every fourth resource
// colocated with and ordered after the one before. Counters are seconds of each pass, from Input::on_pass.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <chrono>
#include <map>
#include <string>

#include "model/read_cluster.h"
#include "scheduler/schedule.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::scheduler {
namespace {

std::string cluster_text(int nodes, int resources) {
    std::string configuration, constraints, members;
    for (int n = 0; n < nodes; ++n) members += fmt::format("<node id='{0}' uname='node{0}'/>", n + 1);
    for (int r = 0; r < resources; ++r) {
        configuration += fmt::format(
            "<primitive id='r{0}' class='ocf' provider='pacemaker' type='Dummy'><operations>"
            "<op id='r{0}-m' name='monitor' interval='10s'/></operations></primitive>",
            r);
        if (r % 4 != 3) continue;
        constraints += fmt::format(
            "<rsc_colocation id='c{0}' rsc='r{0}' with-rsc='r{1}' score='100'/>"
            "<rsc_order id='o{0}' first='r{1}' then='r{0}'/>",
            r, r - 1);
    }
    std::string states;
    for (int n = 0; n < nodes; ++n) {
        states += fmt::format(
            "<node_state id='{0}' uname='node{0}' in_ccm='true' crmd='online' join='member' expected='member'><lrm "
            "id='{0}'><lrm_resources>",
            n + 1);
        for (int r = 0; r < resources; ++r) {
            const bool here = r % nodes == n;
            const std::string_view operation = here ? "start" : "monitor";
            states += fmt::format(
                "<lrm_resource id='r{0}' class='ocf' provider='pacemaker' type='Dummy'><lrm_rsc_op id='r{0}_last_0' "
                "operation='{1}' operation_key='r{0}_{1}_0' call-id='{2}' rc-code='{3}' op-status='0' interval='0' "
                "transition-key='1:1:{3}:x' transition-magic='0:{3};1:1:{3}:x' last-rc-change='1'/></lrm_resource>",
                r, operation, r + 1, here ? 0 : 7);
        }
        states += "</lrm_resources></lrm></node_state>";
    }
    return fmt::format(
        "<cib have-quorum='1'><configuration><crm_config><cluster_property_set id='o'><nvpair id='o-f' "
        "name='fencing-enabled' value='false'/></cluster_property_set></crm_config><nodes>{}</nodes>"
        "<resources>{}</resources><constraints>{}</constraints></configuration><status>{}</status></cib>",
        members, configuration, constraints, states);
}

const rules::DateTime kNow{WallTime{1'700'000'000}, 0};

void parse_text(benchmark::State& state) {
    const std::string text = cluster_text(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
    for (auto _ : state) benchmark::DoNotOptimize(xml::parse(text));
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

void read_model(benchmark::State& state) {
    const auto cib = xml::parse(cluster_text(static_cast<int>(state.range(0)), static_cast<int>(state.range(1))));
    for (auto _ : state) benchmark::DoNotOptimize(model::read_cluster(*cib, kNow));
}

void plan(benchmark::State& state) {
    using Clock = std::chrono::steady_clock;
    const auto cib = xml::parse(cluster_text(static_cast<int>(state.range(0)), static_cast<int>(state.range(1))));
    std::map<std::string, double> seconds;
    std::string pass;
    Clock::time_point begin;
    const auto next = [&](std::string_view name) {
        const auto now = Clock::now();
        if (!pass.empty()) seconds[pass] += std::chrono::duration<double>(now - begin).count();
        pass = name;
        begin = now;
    };
    for (auto _ : state) {
        benchmark::DoNotOptimize(schedule({.cib = *cib, .now = kNow, .on_pass = next}));
        next("");
    }
    for (const auto& [name, time] : seconds) {
        if (!name.empty()) state.counters[name] = benchmark::Counter(time, benchmark::Counter::kAvgIterations);
    }
}

void sizes(benchmark::internal::Benchmark* benchmark) {
    benchmark->Args({16, 250})->Args({16, 1000})->Args({64, 1000})->Unit(benchmark::kMillisecond);
}
BENCHMARK(parse_text)->Apply(sizes);
BENCHMARK(read_model)->Apply(sizes);
BENCHMARK(plan)->Apply(sizes);

}  // namespace
}  // namespace systole::scheduler

BENCHMARK_MAIN();
