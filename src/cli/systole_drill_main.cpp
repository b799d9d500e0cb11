// systole drill — runs the real components in the simulated world, with faults, by seed.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include "base/text.h"
#include "cli/command.h"
#include "sim/campaign.h"
#include "xml/parse.h"
#include "xml/write.h"

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
          {0, "remote-nodes", Value::kRequired, "N", "Remote nodes beside them (0)"},
          {0, "guest-nodes", Value::kRequired, "N", "Guest nodes, each a resource of the cluster (0)"},
          {'r', "resources", Value::kRequired, "N", "Primitives beside a group and a clone (6)"},
          {'x', "xml-file", Value::kRequired, "FILE", "Drill this configuration instead of a drawn one"},
          {'F', "faults", Value::kRequired, "N", "At most this many faults a run (10)"},
          {0, "only", Value::kRequired, "N,N,...", "With --seed: of the drawn faults only those (1 is the first)"},
          {0, "sabotage", Value::kRequired, "NAME", "Break the world deliberately: see below"}}},
        {"how",
         "How it is run:",
         "Show options for the way of running",
         {{'j', "jobs", Value::kRequired, "N", "Runs at once (number of processors)"},
          {'H', "history", Value::kNone, "", "With --seed: print what happened though all went well"},
          {'2', "twice", Value::kNone, "", "Run each seed twice and compare the hash of everything that happened"},
          {0, "save-cib", Value::kRequired, "FILE", "With --seed: write the CIB at the end to that file"},
          {'k', "keep-going", Value::kNone, "", "Do not stop at the first seed that fails"}}}};
    static const std::string kNotes = [] {
        std::string notes =
            "Exit status: 0 no violation, 1 a violation was found (with --sabotage: 0 if one was found, 1 if none "
            "was).\n"
            "A failing seed is printed with the one command that repeats it, with as few faults as are needed.\n\n"
            "Deliberate errors (--sabotage), each of which must be found within 200 seeds:";
        for (const sim::SabotageName& error : sim::sabotage_names())
            notes += fmt::format("\n  {:24}{}", error.name, error.what);
        return notes;
    }();
    s.notes = kNotes;
    return s;
}

std::string clock_text(Instant at) {
    const auto ms = at.time_since_epoch().count();
    return fmt::format("{:3}:{:02}.{:03}", ms / 60'000, ms / 1000 % 60, ms % 1000);
}

std::string numbers(const std::vector<std::size_t>& faults) {
    std::string text;
    for (const std::size_t fault : faults) text += fmt::format("{}{}", text.empty() ? "" : ",", fault + 1);
    return text;
}

/// The options that repeat one seed.
std::string replay(const Arguments& arguments, std::uint64_t seed, const std::vector<std::size_t>& faults) {
    std::string line = "systole drill";
    constexpr std::array<std::string_view, 7> kKept{"nodes",    "remote-nodes", "guest-nodes", "resources",
                                                    "xml-file", "faults",       "sabotage"};
    for (const Given& given : arguments.given)
        if (std::ranges::find(kKept, given.name) != kKept.end())
            line += fmt::format(" --{}={}", given.name, given.value.value_or(""));
    return fmt::format("{} --seed={} --only={}", line, seed, numbers(faults));
}

void print_history(const sim::DrillResult& run, Output& output) {
    for (const sim::HistoryLine& line : run.history)
        output.line(fmt::format("  {} {:4} {}", clock_text(line.at), line.node, line.text));
}

/// Shortening takes many runs: the first few failures get one.
constexpr std::size_t kShortened = 3;

void report_failures(const Arguments& arguments, Output& output, const sim::Campaign& campaign,
                     const sim::Totals& totals) {
    for (std::size_t i = 0; i < totals.failed.size(); ++i) {
        const sim::DrillResult& run = totals.failed[i];
        std::vector<std::size_t> faults;
        if (i < kShortened) {
            faults = sim::shorten(campaign.options, run);
        } else {
            for (std::size_t n = 0; n < run.faults.size(); ++n) faults.push_back(n);
        }
        const std::string command = replay(arguments, run.seed, faults);
        xml::Builder element("failed-run");
        element.set("seed", static_cast<long long>(run.seed)).set("nodes", static_cast<long long>(run.nodes));
        element.set("replay", command);
        output.line(fmt::format("Seed {} ({} nodes) failed:", run.seed, run.nodes));
        for (const std::string& violation : run.violations) {
            output.line("  " + violation);
            xml::Builder child("violation");
            child.set("text", violation);
            element.add(std::move(child));
        }
        output.line(i < kShortened ? "  Faults that are needed for it:" : "  Faults:");
        for (const std::size_t number : faults) {
            const sim::DrawnFault& fault = run.faults[number];
            output.line(fmt::format("  {:3} {} {}", number + 1, clock_text(Instant{fault.at}), fault.name));
            xml::Builder child("fault");
            child.set("number", static_cast<long long>(number + 1)).set("kind", fault.name);
            child.set("at", static_cast<long long>(fault.at.count()));
            element.add(std::move(child));
        }
        if (campaign.count == 1) print_history(run, output);
        output.line("  Replay: " + command);
        output.add(std::move(element));
    }
}

void report_totals(Output& output, const sim::Totals& totals, double seconds) {
    xml::Builder summary("drill");
    summary.set("runs", static_cast<long long>(totals.runs))
        .set("simulated-hours", fmt::format("{:.2f}", totals.simulated_hours))
        .set("steps", static_cast<long long>(totals.steps))
        .set("messages", static_cast<long long>(totals.messages))
        .set("agent-runs", static_cast<long long>(totals.agent_runs))
        .set("fencings", static_cast<long long>(totals.fencings))
        .set("failed", static_cast<long long>(totals.failed.size()));
    for (const auto& [kind, times] : totals.faults) {
        xml::Builder fault("fault");
        fault.set("where", kind.first).set("kind", kind.second).set("count", static_cast<long long>(times));
        summary.add(std::move(fault));
    }
    output.add(std::move(summary));
    output.line(fmt::format(
        "{} runs, {:.1f} simulated hours in {:.0f} s: {} events, {} messages, {} agent runs, {} fencings", totals.runs,
        totals.simulated_hours, seconds, totals.steps, totals.messages, totals.agent_runs, totals.fencings));
    std::map<std::string, std::string> by_place;
    for (const auto& [kind, times] : totals.faults) {
        std::string& list = by_place[kind.first];
        list += fmt::format("{}{} {}", list.empty() ? "" : ", ", times, kind.second);
    }
    if (!by_place.empty()) {
        output.begin_list("Faults:");
        for (const auto& [place, list] : by_place) output.item(fmt::format("{}: {}", place, list));
        output.end_list();
    }
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

bool read_number(const Arguments& arguments, Output& output, const char* name, auto& target) {
    const auto text = arguments.value(name);
    if (!text) return true;
    const auto value = parse_integer(*text);
    if (!value || *value < 0) {
        output.fail(fmt::format("'{}' of --{} is not a number", *text, name));
        return false;
    }
    target = static_cast<std::decay_t<decltype(target)>>(*value);
    return true;
}

ExitCode read_sabotage(const Arguments& arguments, Output& output, sim::DrillOptions& options) {
    const auto text = arguments.value("sabotage");
    if (!text) return ExitCode::kOk;
    const auto errors = sim::sabotage_names();
    const auto found = std::ranges::find(errors, *text, &sim::SabotageName::name);
    if (found == errors.end()) {
        output.fail(fmt::format("'{}' is no deliberate error; --help lists them", *text));
        return ExitCode::kUsage;
    }
    options.sabotage = found->kind;
    return ExitCode::kOk;
}

ExitCode read_configuration(const Arguments& arguments, Output& output, sim::DrillOptions& options) {
    const auto path = arguments.value("xml-file");
    if (!path) return ExitCode::kOk;
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
    options.cib = *cib;
    return ExitCode::kOk;
}

ExitCode read_only(const Arguments& arguments, Output& output, sim::DrillOptions& options) {
    const auto text = arguments.value("only");
    if (!text) return ExitCode::kOk;
    options.only.emplace();
    for (const std::string_view part : split(*text, ",")) {
        const auto number = parse_integer(part);
        if (!number || *number < 1) {
            output.fail(fmt::format("'{}' of --only is not the number of a fault", part));
            return ExitCode::kUsage;
        }
        options.only->push_back(static_cast<std::size_t>(*number - 1));
    }
    return ExitCode::kOk;
}

ExitCode run(const Arguments& arguments, Output& output) {
    sim::Campaign campaign;
    campaign.jobs = std::max(1U, std::thread::hardware_concurrency());
    const auto number = [&](const char* name, auto& target) { return read_number(arguments, output, name, target); };
    if (!number("seeds", campaign.count) || !number("first-seed", campaign.first) || !number("jobs", campaign.jobs) ||
        !number("resources", campaign.options.resources) || !number("remote-nodes", campaign.options.remotes) ||
        !number("guest-nodes", campaign.options.guests) || !number("faults", campaign.options.faults_max))
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
    for (const auto read : {read_sabotage, read_configuration, read_only})
        if (const ExitCode code = read(arguments, output, campaign.options); code != ExitCode::kOk) return code;
    campaign.twice = arguments.has("twice");
    campaign.options.trace = campaign.twice;
    campaign.keep_going = arguments.has("keep-going");
    if (arguments.has("seed")) {
        if (!number("seed", campaign.first)) return ExitCode::kUsage;
        campaign.count = 1;
    }
    const bool sabotaged = campaign.options.sabotage != sim::Sabotage::kNone;
    if (campaign.count == 1 && arguments.has("history")) {
        const sim::DrillResult result = sim::run_drill(campaign.options, campaign.first);
        print_history(result, output);
    }
    const bool show = isatty(STDERR_FILENO) != 0 && !output.is_structured();
    const auto progress = [&](const sim::Totals& totals) {
        if (show)
            fmt::print(stderr, "\r{}/{} runs, {:.1f} simulated hours, {} failed ", totals.runs, campaign.count,
                       totals.simulated_hours, totals.failed.size());
    };
    const auto begin = std::chrono::steady_clock::now();
    const sim::Totals totals = sim::run_campaign(campaign, progress);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (show) fmt::print(stderr, "\r{:70}\r", "");
    if (const auto path = arguments.value("save-cib"); path && campaign.count == 1) {
        const sim::DrillResult result = sim::run_drill(campaign.options, campaign.first);
        std::ofstream file(*path, std::ios::binary);
        if (result.cib) file << xml::write(*result.cib, {.pretty = true});
        if (!file.flush()) {
            output.fail(fmt::format("{} can't be written", *path));
            return ExitCode::kCannotCreate;
        }
    }
    report_failures(arguments, output, campaign, totals);
    report_totals(output, totals, took.count());
    return totals.failed.empty() != sabotaged ? ExitCode::kOk : ExitCode::kError;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
