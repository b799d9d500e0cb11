// systole drill — runs the real components in the simulated world, with faults, by seed.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <mutex>
#include <thread>

#include "base/text.h"
#include "cli/command.h"
#include "sim/drill.h"
#include "xml/parse.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "systole drill";
    s.summary =
        "Run the cluster's real components in a simulated world with faults, and check that what must never happen "
        "does\n"
        "not happen. A seed gives a whole run: the same options and seed give the same run on every machine.";
    s.formats = {"text", "xml", "json"};
    s.groups = {
        {"what",
         "What is run:",
         "Show options that choose the runs",
         {{'n', "nodes", Value::kRequired, "N[..M]", "Number of cluster nodes, or a range to draw it from (3..7)"},
          {'S', "seeds", Value::kRequired, "N", "How many seeds to run (100)"},
          {'f', "first-seed", Value::kRequired, "SEED", "The first seed (1)"},
          {'s', "seed", Value::kRequired, "SEED", "Run this seed only, and print its history"},
          {'r', "resources", Value::kRequired, "N", "Primitives beside a group and a clone (6)"},
          {'x', "xml-file", Value::kRequired, "FILE", "Drill this configuration instead of a drawn one"},
          {'F', "faults", Value::kRequired, "N", "At most this many faults a run (6)"},
          {0, "sabotage", Value::kRequired, "NAME",
           "Break the world deliberately, to see that the checks find it (\"list\": the names)"}}},
        {"how",
         "How it is run:",
         "Show options for the way of running",
         {{'j', "jobs", Value::kRequired, "N", "Runs at once (number of processors)"},
          {'2', "twice", Value::kNone, "", "Run each seed twice and compare the hash of everything that happened"},
          {'k', "keep-going", Value::kNone, "", "Do not stop at the first seed that fails"}}}};
    s.notes =
        "Exit status: 0 no violation, 1 a violation was found (with --sabotage: 0 if one was found, 1 if none was).\n"
        "A failing seed is printed with the one command that repeats it.";
    return s;
}

std::string clock_text(Instant at) {
    const auto ms = at.time_since_epoch().count();
    return fmt::format("{:3}:{:02}.{:03}", ms / 60'000, ms / 1000 % 60, ms % 1000);
}

struct Campaign {
    sim::DrillOptions options;
    std::uint64_t first = 1;
    std::uint64_t count = 100;
    unsigned jobs = 1;
    bool twice = false;
    bool keep_going = false;
    bool progress = false;
};

struct Totals {
    std::uint64_t runs = 0;
    double simulated_hours = 0;
    std::size_t steps = 0, fencings = 0, agent_runs = 0, messages = 0;
    std::map<std::string, unsigned> faults;
    std::vector<sim::DrillResult> failed;
};

/// Seeds are independent, so several run at once; the totals are the same in whatever order they end.
Totals run_campaign(const Campaign& campaign) {
    Totals totals;
    std::mutex mutex;
    std::uint64_t next = 0;
    bool stop = false;
    const auto worker = [&] {
        for (;;) {
            std::uint64_t seed = 0;
            {
                const std::lock_guard lock(mutex);
                if (next >= campaign.count || stop) return;
                seed = campaign.first + next++;
            }
            sim::DrillResult result = sim::run_drill(campaign.options, seed);
            if (campaign.twice) {
                const sim::DrillResult again = sim::run_drill(campaign.options, seed);
                if (again.trace_hash != result.trace_hash)
                    result.violations.push_back(fmt::format("I10: two runs of the same seed differ ({:016x}, {:016x})",
                                                            result.trace_hash, again.trace_hash));
            }
            const std::lock_guard lock(mutex);
            ++totals.runs;
            totals.simulated_hours += static_cast<double>(result.simulated.count()) / 3.6e6;
            totals.steps += result.steps;
            totals.fencings += result.fencings;
            totals.agent_runs += result.agent_runs;
            totals.messages += result.messages;
            for (const auto& [name, times] : result.faults) totals.faults[name] += times;
            if (!result.violations.empty()) {
                totals.failed.push_back(std::move(result));
                stop = stop || !campaign.keep_going;
            }
            if (campaign.progress)
                fmt::print(stderr, "\r{}/{} runs, {:.1f} simulated hours, {} failed ", totals.runs, campaign.count,
                           totals.simulated_hours, totals.failed.size());
        }
    };
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < campaign.jobs; ++i) threads.emplace_back(worker);
    worker();
    for (std::thread& thread : threads) thread.join();
    if (campaign.progress) fmt::print(stderr, "\r{:70}\r", "");
    std::ranges::sort(totals.failed, {}, &sim::DrillResult::seed);
    return totals;
}

/// The options that repeat one seed.
std::string replay(const Arguments& arguments, std::uint64_t seed) {
    std::string line = "systole drill";
    for (const Given& given : arguments.given) {
        constexpr std::array<std::string_view, 3> kKept{"nodes", "resources", "xml-file"};
        const bool kept =
            std::ranges::find(kKept, given.name) != kKept.end() || given.name == "faults" || given.name == "sabotage";
        if (kept) line += fmt::format(" --{}={}", given.name, given.value.value_or(""));
    }
    return fmt::format("{} --seed={}", line, seed);
}

void report(const Arguments& arguments, Output& output, const Totals& totals, bool with_history, double seconds) {
    for (const sim::DrillResult& run : totals.failed) {
        xml::Builder element("failed-run");
        element.set("seed", static_cast<long long>(run.seed)).set("nodes", static_cast<long long>(run.nodes));
        element.set("replay", replay(arguments, run.seed));
        output.line(fmt::format("Seed {} ({} nodes) failed:", run.seed, run.nodes));
        for (const std::string& violation : run.violations) {
            output.line("  " + violation);
            xml::Builder child("violation");
            child.set("text", violation);
            element.add(std::move(child));
        }
        if (with_history)
            for (const sim::HistoryLine& line : run.history)
                output.line(fmt::format("  {} {:4} {}", clock_text(line.at), line.node, line.text));
        output.line("  Replay: " + replay(arguments, run.seed));
        output.add(std::move(element));
    }
    xml::Builder summary("drill");
    summary.set("runs", static_cast<long long>(totals.runs))
        .set("simulated-hours", fmt::format("{:.2f}", totals.simulated_hours))
        .set("steps", static_cast<long long>(totals.steps))
        .set("messages", static_cast<long long>(totals.messages))
        .set("agent-runs", static_cast<long long>(totals.agent_runs))
        .set("fencings", static_cast<long long>(totals.fencings))
        .set("failed", static_cast<long long>(totals.failed.size()));
    for (const auto& [name, times] : totals.faults) {
        xml::Builder fault("fault");
        fault.set("kind", name).set("count", static_cast<long long>(times));
        summary.add(std::move(fault));
    }
    output.add(std::move(summary));
    output.line(fmt::format(
        "{} runs, {:.1f} simulated hours in {:.0f} s: {} events, {} messages, {} agent runs, {} fencings", totals.runs,
        totals.simulated_hours, seconds, totals.steps, totals.messages, totals.agent_runs, totals.fencings));
    std::string faults;
    for (const auto& [name, times] : totals.faults)
        faults += fmt::format("{}{} {}", faults.empty() ? "" : ", ", times, name);
    if (!faults.empty()) output.line("Faults: " + faults);
    output.line(totals.failed.empty() ? "No violation."
                                      : fmt::format("{} runs with violations.", totals.failed.size()));
}

Result<std::pair<unsigned, unsigned>> node_range(std::string_view text) {
    const std::size_t dots = text.find("..");
    const auto low = parse_integer(text.substr(0, dots));
    const auto high = dots == std::string_view::npos ? low : parse_integer(text.substr(dots + 2));
    if (!low || !high || *low < 1 || *high < *low || *high > 1000)
        return systole::fail(Errc::kInvalid, fmt::format("'{}' is no number of nodes and no range like 3..7", text));
    return std::pair{static_cast<unsigned>(*low), static_cast<unsigned>(*high)};
}

ExitCode run(const Arguments& arguments, Output& output) {
    Campaign campaign;
    campaign.jobs = std::max(1U, std::thread::hardware_concurrency());
    const auto number = [&](const char* name, auto& target) {
        const auto text = arguments.value(name);
        if (!text) return true;
        const auto value = parse_integer(*text);
        if (!value || *value < 0) {
            output.fail(fmt::format("'{}' of --{} is not a number", *text, name));
            return false;
        }
        target = static_cast<std::decay_t<decltype(target)>>(*value);
        return true;
    };
    if (!number("seeds", campaign.count) || !number("first-seed", campaign.first) || !number("jobs", campaign.jobs) ||
        !number("resources", campaign.options.resources) || !number("faults", campaign.options.faults_max))
        return ExitCode::kUsage;
    campaign.options.faults_max = std::max(1U, campaign.options.faults_max);
    if (const auto text = arguments.value("nodes")) {
        const auto range = node_range(*text);
        if (!range) {
            output.fail(range.error().what);
            return ExitCode::kUsage;
        }
        std::tie(campaign.options.nodes_min, campaign.options.nodes_max) = *range;
    }
    if (const auto text = arguments.value("sabotage")) {
        const auto& names = sim::sabotage_names();
        const auto found = std::ranges::find(names, *text, &std::pair<std::string, sim::Sabotage>::first);
        if (found == names.end()) {
            for (const auto& [name, kind] : names) output.line(name);
            return *text == "list" ? ExitCode::kOk : ExitCode::kUsage;
        }
        campaign.options.sabotage = found->second;
    }
    if (const auto path = arguments.value("xml-file")) {
        std::ifstream file(*path, std::ios::binary);
        if (!file) {
            output.fail(fmt::format("{} can't be read", *path));
            return ExitCode::kNoInput;
        }
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        auto cib = xml::parse(text);
        if (!cib || !(*cib)->is("cib")) {
            output.fail(fmt::format("{}: {}", *path, cib ? "the root element is not <cib>" : cib.error().what));
            return ExitCode::kData;
        }
        campaign.options.cib = *cib;
    }
    campaign.twice = arguments.has("twice");
    campaign.options.trace = campaign.twice;
    campaign.keep_going = arguments.has("keep-going");
    campaign.progress = isatty(STDERR_FILENO) != 0 && !output.is_structured();
    const bool single = arguments.has("seed");
    if (single) {
        if (!number("seed", campaign.first)) return ExitCode::kUsage;
        campaign.count = 1;
    }
    const auto begin = std::chrono::steady_clock::now();
    const Totals totals = run_campaign(campaign);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    report(arguments, output, totals, single, took.count());
    if (campaign.options.sabotage != sim::Sabotage::kNone)
        return totals.failed.empty() ? ExitCode::kError : ExitCode::kOk;
    return totals.failed.empty() ? ExitCode::kOk : ExitCode::kError;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
