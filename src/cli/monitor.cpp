#include "cli/monitor.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "cli/local_time.h"
#include "cli/status_fencing.h"
#include "model/read_cluster.h"

namespace systole::cli {
namespace {

struct SectionName {
    const char* name;
    Sections bits;
};
constexpr std::array kSectionNames{
    SectionName{"attributes", kAttributes},
    SectionName{"bans", kBans},
    SectionName{"counts", kCountsSection},
    SectionName{"dc", kDcSection},
    SectionName{"failcounts", kFailcounts},
    SectionName{"failures", kFailures},
    SectionName{"fencing", kFencing},
    SectionName{"fencing-failed", kFencingFailed},
    SectionName{"fencing-pending", kFencingPending},
    SectionName{"fencing-succeeded", kFencingSucceeded},
    SectionName{"maint-mode", kMaintenanceMode},
    SectionName{"nodes", kNodes},
    SectionName{"operations", kOperations},
    SectionName{"options", kOptionsSection},
    SectionName{"resources", kResources},
    SectionName{"stack", kStackSection},
    SectionName{"summary", kSummarySections},
    SectionName{"tickets", kTickets},
    SectionName{"times", kTimesSection},
};

Sections all_sections(Format format) {
    const bool lists_options = format != Format::kText && format != Format::kLog;
    return lists_options ? kAllSections : kAllSections & ~kOptionsSection;
}

}  // namespace

Sections default_sections(Format format) {
    switch (format) {
        case Format::kXml:
        case Format::kJson: return kAllSections;
        case Format::kHtml:
            return kSummarySections | kNodes | kResources | kFailures | kFencingFailed | kFencingPending;
        case Format::kText:
        case Format::kLog:
        case Format::kNone: break;
    }
    return (kSummarySections & ~kOptionsSection) | kNodes | kResources | kFailures | kFencingFailed | kFencingPending |
           kMaintenanceMode;
}

void set_fencing_level(MonitorOptions& options, int level) {
    options.sections &= ~kFencing;
    options.full_fencing_history = level == 3;
    if (level >= 1) options.sections |= kFencingFailed | kFencingPending;
    if (level >= 2) options.sections |= kFencingSucceeded;
}

Result<void> apply_sections(MonitorOptions& options, std::string_view names, bool include, Format format) {
    for (const std::string_view name : split(names, ",")) {
        if (name == "all" || name == "none") {
            options.sections = (name == "all") == include ? all_sections(format) : 0;
            continue;
        }
        if (include && (name == "default" || name == "defaults")) {
            options.sections |= default_sections(format);
            continue;
        }
        Sections bits = 0;
        if (name.starts_with("bans:") && include) {
            options.show.ban_prefix = name.substr(5);
            bits = kBans;
        }
        for (const SectionName& section : kSectionNames) {
            if (name == section.name) bits = section.bits;
        }
        if (bits == 0) {
            return systole::fail(
                Errc::kInvalid,
                fmt::format("--{} options: all, attributes, {}, counts, dc, {}failcounts, failures, fencing, "
                            "fencing-failed, fencing-pending, fencing-succeeded, maint-mode, nodes, none, operations, "
                            "options, resources, stack, summary, tickets, times",
                            include ? "include" : "exclude", include ? "bans[:PREFIX]" : "bans",
                            include ? "default, " : ""));
        }
        options.sections = include ? options.sections | bits : options.sections & ~bits;
    }
    return {};
}

void show_status(Output& output, const MonitorOptions& options, model::Cluster& cluster, StatusSource& source) {
    Show show = options.show;
    show.nodes = nodes_named(cluster, options.node);
    show.resources = resources_named(cluster, options.resource);
    show.operations = (options.sections & kOperations) != 0;
    show.failcounts = (options.sections & kFailcounts) != 0;
    const auto wanted = [&options](Sections bits) { return (options.sections & bits) != 0; };

    Spacer spacer;
    if (wanted(kSummarySections)) {
        show_summary(output, show, cluster, options.sections & kSummarySections, source.live_state(), spacer);
    }
    if (wanted(kMaintenanceMode)) show_maintenance(output, cluster, spacer);
    if (wanted(kNodes)) show_nodes(output, show, cluster, spacer);
    if (wanted(kResources)) show_resources(output, show, cluster, spacer);
    if (wanted(kAttributes)) show_node_attributes(output, show, cluster, spacer);
    if (wanted(kOperations | kFailcounts)) show_history(output, show, cluster, spacer);
    if (wanted(kFailures)) show_failures(output, show, cluster, spacer);

    if (!wanted(kFencing) || !source.is_live()) {
        if (wanted(kTickets)) show_tickets(output, cluster, spacer);
        if (wanted(kBans)) show_bans(output, show, cluster, spacer);
        return;
    }
    auto fencing = source.fencing_history();
    if (fencing && !options.full_fencing_history) fencing = latest_of_each(*fencing);
    if (output.is_structured()) {
        add_fencing(output, show, fencing);
    } else if (fencing) {
        show_fencing(output, show, *fencing, {.failed = wanted(kFencingFailed)}, "Failed Fencing Actions", spacer);
    } else {
        spacer.before_section(output);
        output.begin_list("Failed Fencing Actions");
        output.item(fmt::format("Failed to get fencing history: {}", fencing.error().what));
        output.end_list();
    }
    if (wanted(kTickets)) show_tickets(output, cluster, spacer);
    if (wanted(kBans)) show_bans(output, show, cluster, spacer);
    if (!output.is_structured() && fencing) {
        if (wanted(kFencingSucceeded)) {
            show_fencing(output, show, *fencing, {.pending = wanted(kFencingPending), .succeeded = true},
                         "Fencing History", spacer);
        } else if (wanted(kFencingPending)) {
            show_fencing(output, show, *fencing, {.pending = true}, "Pending Fencing Actions", spacer);
        }
    }
}

ExitCode monitor_once(StatusSource& source, const MonitorOptions& options, Output& output) {
    auto cib = source.query();
    if (!cib) {
        output.fail(fmt::format("Could not retrieve the CIB: {}", cib.error().what));
        return cib.error().code;
    }
    auto newest = upgraded(*cib);
    if (!newest) {
        output.fail(newest.error().what);
        return newest.error().code;
    }
    auto cluster = model::read_cluster(*newest, now());
    if (!cluster) {
        output.fail(cluster.error().what);
        return ExitCode::kConfig;
    }
    log_problems(output, **cluster);
    if (output.format() == Format::kHtml && output.config().html.title.empty()) output.html().title = "Cluster Status";
    show_status(output, options, **cluster, source);
    return ExitCode::kOk;
}

}  // namespace systole::cli
