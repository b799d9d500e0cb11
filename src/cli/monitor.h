#pragma once
// cli/monitor.h — crm_mon's displays: which sections, once or again and again.
// Source: crm_mon(8).
#include "cli/output.h"
#include "cli/status_source.h"
#include "cli/status_view.h"

namespace systole::cli {

/// Sections of a display, as bits.
using Sections = std::uint32_t;
inline constexpr Sections kStackSection = 1U << 0U;
inline constexpr Sections kDcSection = 1U << 1U;
inline constexpr Sections kTimesSection = 1U << 2U;
inline constexpr Sections kCountsSection = 1U << 3U;
inline constexpr Sections kOptionsSection = 1U << 4U;
inline constexpr Sections kNodes = 1U << 5U;
inline constexpr Sections kResources = 1U << 6U;
inline constexpr Sections kAttributes = 1U << 7U;
inline constexpr Sections kFailcounts = 1U << 8U;
inline constexpr Sections kOperations = 1U << 9U;
inline constexpr Sections kFailures = 1U << 10U;
inline constexpr Sections kFencingFailed = 1U << 11U;
inline constexpr Sections kFencingPending = 1U << 12U;
inline constexpr Sections kFencingSucceeded = 1U << 13U;
inline constexpr Sections kTickets = 1U << 14U;
inline constexpr Sections kBans = 1U << 15U;
inline constexpr Sections kMaintenanceMode = 1U << 16U;
inline constexpr Sections kSummarySections = 31U;
inline constexpr Sections kFencing = kFencingFailed | kFencingPending | kFencingSucceeded;
inline constexpr Sections kAllSections = (1U << 17U) - 1U;

struct MonitorOptions {
    Sections sections = kAllSections;
    Show show;             ///< its filters are made from the names below with each CIB
    std::string node;      ///< --node
    std::string resource;  ///< --resource
    bool full_fencing_history = false;
    Duration interval{5000};
    std::string external_agent, external_recipient;
    bool watch_fencing = false;
    std::string pid_file;
};

Sections default_sections(Format format);
/// Applies --include or --exclude: comma-separated names. Errors: kInvalid with the list of names.
Result<void> apply_sections(MonitorOptions& options, std::string_view names, bool include, Format format);
/// --fence-history: 0 none, 1 failed and pending, 2 successful too, 3 all of each.
void set_fencing_level(MonitorOptions& options, int level);

/// Everything that the options ask for, of one CIB.
void show_status(Output& output, const MonitorOptions& options, model::Cluster& cluster, StatusSource& source);

/// One display. Exit status: that of the source if it can't be read.
ExitCode monitor_once(StatusSource& source, const MonitorOptions& options, Output& output);
/// Shows until interrupted: on a terminal as a full-screen display with keys, else page after page.
ExitCode monitor(StatusSource& source, MonitorOptions options, Output& output, bool daemonize);

}  // namespace systole::cli
