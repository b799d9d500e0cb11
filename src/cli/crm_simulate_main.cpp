// crm_simulate — shows what the cluster would do about a CIB, and what would come of it.
// Source: crm_simulate(8); recorded output of Pacemaker 3.0.
#include <span>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "cli/cib_access.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/graph_svg.h"
#include "cli/local_time.h"
#include "cli/progress.h"
#include "cli/simulated_transition.h"
#include "cli/status_source.h"
#include "cli/status_view.h"
#include "model/operations.h"
#include "model/read_cluster.h"
#include "scheduler/schedule.h"
#include "xml/write.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_simulate";
    s.summary = "crm_simulate - simulate a Pacemaker cluster's response to events";
    s.formats = {"text", "xml", "json", "none"};
    s.groups = {
        {"operations",
         "Operations:",
         "Show operations options",
         {{'R', "run", Value::kNone, "",
           "Process the supplied input and show what actions the cluster will take in response"},
          {'S', "simulate", Value::kNone, "",
           "Like --run, but also simulate taking those actions and show the resulting new status"},
          {'X', "in-place", Value::kNone, "", "Like --simulate, but also store the results back to the input file"},
          {'A', "show-attrs", Value::kNone, "", "Show node attributes"},
          {'c', "show-failcounts", Value::kNone, "", "Show resource fail counts"},
          {'s', "show-scores", Value::kNone, "", "Show allocation scores"},
          {'U', "show-utilization", Value::kNone, "", "Show utilization information"},
          {'P', "profile", Value::kRequired, "DIR",
           "Process all the XML files in the named directory to create profiling data"},
          {'N', "repeat", Value::kRequired, "N", "With --profile, repeat each test N times and print timings"},
          {'j', "pending", Value::kNone, "", ""}}},
        {"synthetic",
         "Synthetic Cluster Events:",
         "Show synthetic cluster event options",
         {{'u', "node-up", Value::kRequired, "NODE", "Simulate bringing a node online"},
          {'d', "node-down", Value::kRequired, "NODE", "Simulate taking a node offline"},
          {'f', "node-fail", Value::kRequired, "NODE", "Simulate a node failing"},
          {'i', "op-inject", Value::kRequired, "OPSPEC",
           "Generate a failure for the cluster to react to in the simulation.\n"
           "See `Operation Specification` help for more information."},
          {'F', "op-fail", Value::kRequired, "OPSPEC",
           "If the specified task occurs during the simulation, have it fail with return code ${rc}.\n"
           "The transition will normally stop at the failed action.\n"
           "Save the result with --save-output and re-run with --xml-file.\n"
           "See `Operation Specification` help for more information."},
          {'t', "set-datetime", Value::kRequired, "DATETIME",
           "Set date/time (ISO 8601 format, see https://en.wikipedia.org/wiki/ISO_8601)"},
          {'q', "quorum", Value::kRequired, "QUORUM", "Set to '1' (or 'true') to indicate cluster has quorum"},
          {'w', "watchdog", Value::kRequired, "DEVICE",
           "Set to '1' (or 'true') to indicate cluster has an active watchdog device"},
          {'g', "ticket-grant", Value::kRequired, "TICKET", "Simulate granting a ticket"},
          {'r', "ticket-revoke", Value::kRequired, "TICKET", "Simulate revoking a ticket"},
          {'b', "ticket-standby", Value::kRequired, "TICKET", "Simulate making a ticket standby"},
          {'e', "ticket-activate", Value::kRequired, "TICKET", "Simulate activating a ticket"}}},
        {"artifact",
         "Artifact Options:",
         "Show artifact options",
         {{'I', "save-input", Value::kRequired, "FILE", "Save the input configuration to the named file"},
          {'O', "save-output", Value::kRequired, "FILE", "Save the output configuration to the named file"},
          {'G', "save-graph", Value::kRequired, "FILE", "Save the transition graph (XML format) to the named file"},
          {'D', "save-dotfile", Value::kRequired, "FILE", "Save the transition graph (DOT format) to the named file"},
          {0, "save-svg", Value::kRequired, "FILE", "Save the transition graph (as a picture) to the named file"},
          {'a', "all-actions", Value::kNone, "",
           "Display all possible actions in DOT graph (even if not part of transition)"}}},
        {"source",
         "Data Source:",
         "Show data source options",
         {{'L', "live-check", Value::kNone, "", "Connect to CIB manager and use the current CIB contents as input"},
          {'x', "xml-file", Value::kRequired, "FILE", "Retrieve XML from the named file"},
          {'p', "xml-pipe", Value::kNone, "", "Retrieve XML from stdin"}}}};
    s.options = {{'Q', "quiet", Value::kNone, "", "Display only essential output"}};
    s.notes =
        "Operation Specification:\n\n"
        "The OPSPEC in any command line option is of the form\n"
        "${resource}_${task}_${interval_in_ms}@${node}=${rc}\n"
        "(memcached_monitor_20000@bart.example.com=7, for example).\n"
        "${rc} is an OCF return code.\n\n"
        "Examples:\n\n"
        "Pretend a recurring monitor action found memcached stopped on node\n"
        "fred.example.com and, during recovery, that the memcached stop\n"
        "action failed:\n\n"
        "\tcrm_simulate -LS --op-inject memcached:0_monitor_20000@bart.example.com=7 "
        "--op-fail memcached:0_stop_0@fred.example.com=1 --save-output /tmp/memcached-test.xml\n\n"
        "Now see what the reaction to the stop failed would be:\n\n"
        "\tcrm_simulate -S --xml-file /tmp/memcached-test.xml\n";
    return s;
}

bool write_file(const std::string& path, std::string_view text, Output& output) {
    const auto written = overwrite_file(path, text);
    if (!written) output.fail(fmt::format("Could not write {}", written.error().what));
    return written.has_value();
}

/// One simulation, from the input to the revised status.
/// What the scheduler tells of itself, for programs.
template <class Line>
xml::NodePtr element_of(const Line& line) {
    xml::Builder element(line.element);
    for (const auto& [name, value] : line.values) element.set(name, value);
    return std::move(element).build();
}

class Simulation {
public:
    Simulation(const Arguments& arguments, Output& output)
        : arguments_(arguments),
          output_(output),
          quiet_(arguments.has("quiet")),
          real_now_(now()),
          progress_(!quiet_) {}
    ExitCode run();
    void end() { progress_.end(); }

private:
    ExitCode execute();
    bool read_input();
    ExitCode profile();
    bool set_time(const xml::Node& cib);
    void show_status(model::Cluster& cluster, std::string_view title, std::string_view element, bool pending);
    void show_before(model::Cluster& cluster);
    bool wants_changes() const;
    void change(SimulatedCib& cib, const model::Cluster& cluster);
    void inject(SimulatedCib& cib, const model::Cluster& cluster, const std::string& spec);
    void show_plan_details(const scheduler::Plan& plan);
    void show_summary(const scheduler::Plan& plan);
    void separate() {
        if (printed_ && !quiet_) output_.blank_line();
        printed_ = true;
    }
    [[nodiscard]] bool any(std::initializer_list<std::string_view> names) const {
        return std::ranges::any_of(names, [&](std::string_view name) { return arguments_.has(name); });
    }

    const Arguments& arguments_;
    Output& output_;
    bool quiet_;
    rules::DateTime real_now_, now_;
    xml::NodePtr cib_;
    std::string input_path_;
    ExitCode input_error_ = ExitCode::kOk;
    bool printed_ = false;
    std::unique_ptr<model::Cluster> cluster_;  ///< what status is shown of; the plan takes it over if it can
    std::optional<SimulatedCib> simulated_;    ///< made when something is to be changed
    scheduler::Plan plan_;
    Progress progress_;
};

bool Simulation::read_input() {
    tl::expected<std::unique_ptr<StatusSource>, SourceError> source;
    const auto file = arguments_.value("xml-file");
    if (arguments_.has("live-check") && !file) {
        source = open_source();
    } else if (arguments_.has("xml-pipe")) {
        source = file_source("-");
    } else if (file) {
        input_path_ = *file;
        source = file_source(*file);
    } else {
        source = open_source();
    }
    // --in-place means the file or shadow copy, too, that the environment names.
    if (input_path_.empty() && !arguments_.has("xml-pipe")) input_path_ = cib_source().path;
    const auto refuse = [&](const SourceError& error) {
        output_.fail(error.what);
        input_error_ = error.code;
        return false;
    };
    if (!source) return refuse(source.error());
    auto cib = (*source)->query();
    if (!cib) return refuse(cib.error());
    if ((*cib)->get("validate-with") == "none") {
        output_.error(
            "Schema validation of configuration is disabled (support for validate-with set to \"none\" is deprecated "
            "and will be removed in a future release)");
    }
    auto newest = upgraded_if_valid(*cib, output_);
    if (!newest) {
        input_error_ = newest.error().code;
        return false;
    }
    cib_ = *newest;
    return true;
}

bool Simulation::set_time(const xml::Node& cib) {
    now_ = real_now_;
    if (const auto text = arguments_.value("set-datetime")) {
        const auto at = rules::parse_date_time(*text, real_now_);
        if (!at) {
            output_.fail(at.error().what);
            return false;
        }
        now_ = *at;
        if (!quiet_) output_.line(fmt::format("Setting effective cluster time: {}", *text));
        return true;
    }
    if (const auto at = parse_integer(cib.get("execution-date")); at && cib.has("execution-date")) {
        now_ = rules::DateTime(WallTime{*at}, local_offset_seconds(WallTime{*at}));
        if (!quiet_) output_.line(fmt::format("Using the original execution date of: {}", to_string(now_)));
    }
    return true;
}

void Simulation::show_status(model::Cluster& cluster, std::string_view title, std::string_view element, bool pending) {
    if (!output_.is_structured()) output_.begin_list(title);
    output_.begin_element(element);
    Show show;
    show.inactive = true;
    show.pending = pending;
    show.failcounts = arguments_.has("show-failcounts");
    Spacer spacer;
    std::vector<xml::NodePtr> sections;
    show_nodes(output_, show, cluster, spacer);
    show_resources(output_, show, cluster, spacer);
    if (arguments_.has("show-attrs")) show_node_attributes(output_, show, cluster, spacer);
    if (show.failcounts) {
        show_history(output_, show, cluster, spacer);
        show_failures(output_, show, cluster, spacer);
    }
    output_.end_element();
    if (!output_.is_structured()) output_.end_list();
}

void Simulation::show_before(model::Cluster& cluster) {
    if (quiet_) return;
    bool said = false;
    if (cluster.options.maintenance_mode) {
        Spacer spacer{.due = true};
        said = show_maintenance(output_, cluster, spacer);
    }
    const InstanceCounts counts = count_instances(cluster);
    if (counts.disabled > 0 || counts.blocked > 0) {
        if (said) output_.blank_line();
        output_.line(
            fmt::format("{} of {} resource instances DISABLED and {} BLOCKED from further action due to failure",
                        counts.disabled, counts.all, counts.blocked));
        said = true;
    }
    if (said) output_.blank_line();
    show_status(cluster, "Current cluster status", "cluster_status", true);
    printed_ = true;
}

bool Simulation::wants_changes() const {
    return any({"node-down", "node-fail", "node-up", "op-inject", "ticket-activate", "ticket-grant", "ticket-revoke",
                "ticket-standby", "watchdog"});
}

void Simulation::inject(SimulatedCib& cib, const model::Cluster& cluster, const std::string& text) {
    if (!quiet_) output_.item(fmt::format("Injecting {} into the configuration", text));
    const auto at = text.find('@'), equals = text.find('=', at == std::string::npos ? 0 : at);
    const auto code =
        equals == std::string::npos ? std::nullopt : parse_integer(std::string_view(text).substr(equals + 1));
    if (at == std::string::npos || !code) {
        const int fields = at == std::string::npos ? 1 : 2;
        output_.error(fmt::format("Invalid operation spec: {}.  Only found {} fields", text, fields));
        return;
    }
    const auto key = model::parse_operation_key(text.substr(0, at));
    const std::string node = text.substr(at + 1, equals - at - 1);
    const model::Resource* resource = key ? cluster.find_resource(key->resource) : nullptr;
    if (resource == nullptr) {
        output_.error(fmt::format("Invalid resource name: {}", key ? key->resource : text.substr(0, at)));
        return;
    }
    StatusElement& state = cib.node_state(node);
    const bool fatal = key->task == "stop" || (key->task == "start" && cluster.options.start_failure_is_fatal);
    for (const auto& [name, value] :
         cib.add_failure(state, key->resource, key->task, key->interval, static_cast<int>(*code), fatal)) {
        if (!quiet_) {
            output_.item(fmt::format("Injecting attribute {}={} into /node_state '{}'", name, value, state.get("id")));
        }
    }
    StatusElement& history = cib.resource_history(state, key->resource, key->resource,
                                                  {resource->standard(), resource->provider(), resource->agent_type()});
    OperationResult result;
    result.resource = key->resource;
    result.task = key->task;
    result.interval = key->interval;
    result.exit = static_cast<int>(*code);
    result.with_digest = false;
    cib.add_result(history, node, result);
}

void Simulation::change(SimulatedCib& cib, const model::Cluster& cluster) {
    separate();
    const auto say = [&](std::string text) {
        if (!quiet_) output_.item(text);
    };
    if (!quiet_) output_.begin_list("Performing Requested Modifications");
    xml::Builder modifications("modifications");
    if (const auto quorum = arguments_.value("quorum")) {
        say(fmt::format("Setting quorum: {}", *quorum));
        modifications.set("quorum", *quorum);
        cib.set_quorum(*quorum);
    }
    if (const auto watchdog = arguments_.value("watchdog")) {
        say(fmt::format("Setting watchdog: {}", *watchdog));
        modifications.set("watchdog", *watchdog);
        cib.set_option("have-watchdog", *watchdog);
    }
    const bool up = arguments_.has("node-up");
    const auto each_node = [&](std::string_view option, std::string_view action, auto&& text, auto&& apply) {
        for (const std::string& node : arguments_.values(option)) {
            say(text(node));
            xml::Builder element("modify_node");
            element.set("action", action).set("node", node);
            modifications.add(std::move(element).build());
            if (up) cib.add_node_entry(node);
            apply(node);
        }
    };
    each_node(
        "node-up", "Online", [](const std::string& n) { return fmt::format("Bringing node {} online", n); },
        [&](const std::string& n) { cib.set_membership(n, true); });
    each_node(
        "node-down", "Offline", [](const std::string& n) { return fmt::format("Taking node {} offline", n); },
        [&](const std::string& n) {
            cib.set_membership(n, false);
            cib.forget_node(n);
        });
    each_node(
        "node-fail", "Failing", [](const std::string& n) { return fmt::format("Failing node {}", n); },
        [&](const std::string& n) { cib.set_membership(n, true).set("in_ccm", "false"); });
    const auto each_ticket = [&](std::string_view option, std::string_view action, std::string_view attribute,
                                 bool value) {
        for (const std::string& ticket : arguments_.values(option)) {
            say(option == "ticket-standby" ? fmt::format("Making ticket {} standby", ticket)
                                           : fmt::format("{} ticket {}", action, ticket));
            xml::Builder element("modify_ticket");
            element.set("action", action).set("ticket", ticket);
            modifications.add(std::move(element).build());
            cib.set_ticket(ticket, attribute, value);
        }
    };
    each_ticket("ticket-grant", "Granting", "granted", true);
    each_ticket("ticket-revoke", "Revoking", "granted", false);
    each_ticket("ticket-standby", "Standby", "standby", true);
    each_ticket("ticket-activate", "Activating", "standby", false);
    for (const std::string& text : arguments_.values("op-inject")) inject(cib, cluster, text);
    if (!quiet_) output_.end_list();
    output_.add(std::move(modifications));
}

void Simulation::show_plan_details(const scheduler::Plan& plan) {
    const bool scores = arguments_.has("show-scores"), utilization = arguments_.has("show-utilization");
    if (!scores && !utilization) return;
    if (quiet_) {
        for (const auto& line : plan.scores) {
            if (line.element != nullptr) output_.line(line.text);
        }
        output_.blank_line();
        return;
    }
    separate();
    output_.begin_list(scores && utilization ? "Assignment Scores and Utilization Information"
                       : scores              ? "Assignment Scores"
                                             : "Utilization Information");
    xml::Builder element(scores && utilization ? "allocations_utilizations" : scores ? "allocations" : "utilizations");
    for (const auto& line : plan.scores) {
        if (line.element == nullptr) {
            output_.text(line.text + "\n");
            continue;
        }
        output_.item(line.text);
        if (output_.is_structured()) element.add(element_of(line));
    }
    output_.end_list();
    output_.add(std::move(element));
}

void Simulation::show_summary(const scheduler::Plan& plan) {
    if (quiet_) return;
    separate();
    output_.begin_list("Transition Summary");
    xml::Builder element("actions");
    for (const auto& line : plan.summary) {
        output_.item(line.text);
        if (output_.is_structured()) element.add(element_of(line));
    }
    output_.end_list();
    output_.add(std::move(element));
}

ExitCode Simulation::profile() {
    const std::string directory = arguments_.value("profile").value_or("");
    const auto repeat = std::max<long long>(1, parse_integer(arguments_.value("repeat").value_or("1")).value_or(1));
    std::error_code error;
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
        if (entry.is_regular_file() && entry.path().extension() == ".xml" &&
            !entry.path().filename().string().starts_with('.')) {
            names.push_back(entry.path().string());
        }
    }
    if (error) {
        output_.fail(fmt::format("{}: {}", directory, error.message()));
        return ExitCode::kNoInput;
    }
    std::ranges::sort(names);
    output_.begin_list("Timings");
    for (const std::string& name : names) {
        auto cib = file_source(name)->query();
        if (!cib) continue;
        auto newest = upgraded(*cib);
        if (!newest) continue;
        const std::clock_t begin = std::clock();
        for (long long i = 0; i < repeat; ++i) {
            static_cast<void>(scheduler::schedule({.cib = *newest, .now = real_now_}));
        }
        const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
        output_.item(fmt::format("Testing {} ... {:.2f} secs", name, seconds));
    }
    output_.end_list();
    return ExitCode::kOk;
}

ExitCode Simulation::run() {
    if (arguments_.has("profile")) return profile();
    progress_.phase("Reading the configuration and status");
    if (!read_input()) return input_error_;
    if (!set_time(*cib_)) return ExitCode::kUsage;
    auto read = model::read_cluster(cib_, now_);
    if (!read) {
        output_.fail(read.error().what);
        return ExitCode::kConfig;
    }
    cluster_ = std::move(*read);
    progress_.phase("");
    log_problems(output_, *cluster_);
    show_before(*cluster_);

    const auto quorum = arguments_.value("quorum");
    if (wants_changes()) {
        simulated_.emplace(cib_, real_now_.wall());
        change(*simulated_, *cluster_);
        cib_ = simulated_->build();
        if (!set_time(*cib_)) return ExitCode::kUsage;
        // What is wrong with the configuration is said once for each reading of it.
        auto changed = model::read_cluster(cib_, now_);
        if (changed) log_problems(output_, **changed);
        cluster_ = changed ? std::move(*changed) : nullptr;
    } else if (quorum) {
        simulated_.emplace(cib_, real_now_.wall());
        simulated_->set_quorum(*quorum);
        cib_ = simulated_->build();
        cluster_.reset();  // it isn't what is planned from
    }
    if (const auto path = arguments_.value("save-input")) {
        if (!write_file(*path, xml::write(*cib_, {.pretty = true}), output_)) return ExitCode::kCannotCreate;
    }
    const bool simulate = any({"simulate", "in-place", "op-fail"});
    const bool process =
        simulate || any({"run", "show-scores", "show-utilization", "save-graph", "save-dotfile", "save-svg"});
    if (!process) return ExitCode::kOk;

    const scheduler::Input input{
        .cib = cib_,
        .now = now_,
        .want_scores = arguments_.has("show-scores"),
        .want_utilization = arguments_.has("show-utilization"),
        .want_graph = simulate || any({"save-graph", "save-svg"}),
        .want_dot = arguments_.has("save-dotfile"),
        .dot_all_actions = arguments_.has("all-actions"),
        .sanitized = !arguments_.has("live-check"),
        .on_pass = [this](std::string_view pass) { progress_.phase(fmt::format("Planning: {}", pass)); }};
    if (cluster_ != nullptr) {
        plan_ = scheduler::schedule(input, std::move(cluster_));
    } else {
        auto plan = scheduler::schedule(input);
        if (!plan) {
            output_.fail(plan.error().what);
            return ExitCode::kConfig;
        }
        plan_ = std::move(*plan);
    }
    progress_.phase("");
    // What reading found was said when it was read. What planning adds are mostly repetitions; warnings are for who
    // asks.
    std::vector<model::Problem> warnings;
    std::ranges::copy_if(plan_.problems, std::back_inserter(warnings),
                         [](const model::Problem& problem) { return problem.kind == model::Problem::Kind::kWarning; });
    log_problems(output_, warnings);
    show_plan_details(plan_);
    if (const auto path = arguments_.value("save-graph")) {
        if (!write_file(*path, xml::write(*plan_.graph, {.pretty = true}), output_)) return ExitCode::kCannotCreate;
    }
    if (const auto path = arguments_.value("save-dotfile")) {
        if (!write_file(*path, plan_.dot, output_)) return ExitCode::kCannotCreate;
    }
    if (const auto path = arguments_.value("save-svg")) {
        if (!write_file(*path, graph_svg(*plan_.graph), output_)) return ExitCode::kCannotCreate;
    }
    show_summary(plan_);
    if (!simulate) return ExitCode::kOk;
    return execute();
}

/// Carries the plan out on the CIB and shows what comes of it.
ExitCode Simulation::execute() {
    if (!simulated_) simulated_.emplace(cib_, real_now_.wall());
    separate();
    if (!quiet_) output_.begin_list("Executing Cluster Transition");
    const SimulatedRun what{.graph = plan_.graph.get(),
                            .cluster = plan_.cluster.get(),
                            .failures = arguments_.values("op-fail"),
                            .quiet = quiet_};
    output_.begin_element("transition");
    const bool complete = simulate_transition(what, *simulated_, output_);
    output_.end_element();
    if (!complete) {
        output_.error("Transition failed: terminated");
        output_.error("An invalid transition was produced");
    }
    if (!quiet_) output_.end_list();
    cib_ = simulated_->build();
    if (!quiet_) {
        progress_.phase("Reading the revised status");
        if (!set_time(*cib_)) return ExitCode::kUsage;
        auto revised = model::read_cluster(cib_, now_);
        if (revised) {
            cluster_ = std::move(*revised);
            progress_.phase("");
            log_problems(output_, *cluster_);
            output_.blank_line();
            show_status(*cluster_, "Revised Cluster Status", "revised_cluster_status", false);
        }
    }
    const auto save = arguments_.has("in-place") && !input_path_.empty() ? std::optional<std::string>(input_path_)
                                                                         : arguments_.value("save-output");
    if (save && !write_file(*save, xml::write(*cib_, {.pretty = true}), output_)) return ExitCode::kCannotCreate;
    return complete ? ExitCode::kOk : ExitCode::kError;
}

ExitCode run(const Arguments& arguments, Output& output) {
    if (!arguments.positional.empty()) {
        output.fail(fmt::format("non-option ARGV-elements: {}", join(arguments.positional, " ")));
        return ExitCode::kUsage;
    }
    // Never destroyed: to take a large model apart piece by piece right before the process ends would be a good part of
    // its time.
    static auto* const simulation = new Simulation(arguments, output);
    const ExitCode result = simulation->run();
    simulation->end();
    return result;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
