#include "model/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.h"
#include "rules/iso8601.h"

namespace systole::model {
namespace {

bool valid_bool(std::string_view text) { return parse_bool(text).has_value(); }
bool valid_interval(std::string_view text) { return rules::parse_interval_spec(text).has_value(); }
bool valid_integer(std::string_view text) { return parse_score(text).has_value(); }
bool valid_any(std::string_view) { return true; }

bool any_of(std::string_view text, std::initializer_list<std::string_view> names) {
    return std::ranges::any_of(names, [&](std::string_view name) { return same_ignoring_case(name, text); });
}
bool valid_no_quorum(std::string_view text) {
    return any_of(text, {"stop", "freeze", "ignore", "demote", "fence", "suicide"});
}
bool valid_fencing_action(std::string_view text) { return any_of(text, {"reboot", "off", "poweroff"}); }
bool valid_placement(std::string_view text) { return any_of(text, {"default", "utilization", "minimal", "balanced"}); }
bool valid_health(std::string_view text) {
    return any_of(text, {"none", "migrate-on-red", "only-green", "progressive", "custom"});
}

struct OptionRow {
    std::string_view name, former, fallback;
    bool (*valid)(std::string_view);
};
constexpr std::array kRows{
    OptionRow{"batch-limit", "", "0", valid_integer},
    OptionRow{"cluster-delay", "", "60s", valid_interval},
    OptionRow{"cluster-infrastructure", "", "", valid_any},
    OptionRow{"cluster-name", "", "", valid_any},
    OptionRow{"cancel-removed-actions", "stop-orphan-actions", "true", valid_bool},
    OptionRow{"concurrent-fencing", "", "true", valid_bool},
    OptionRow{"dc-version", "", "", valid_any},
    OptionRow{"enable-startup-probes", "", "true", valid_bool},
    OptionRow{"fence-remote-without-quorum", "", "false", valid_bool},
    OptionRow{"fencing-action", "stonith-action", "reboot", valid_fencing_action},
    OptionRow{"fencing-enabled", "stonith-enabled", "true", valid_bool},
    OptionRow{"fencing-timeout", "stonith-timeout", "60s", valid_interval},
    OptionRow{"have-watchdog", "", "false", valid_bool},
    OptionRow{"maintenance-mode", "", "false", valid_bool},
    OptionRow{"migration-limit", "", "-1", valid_integer},
    OptionRow{"no-quorum-policy", "", "stop", valid_no_quorum},
    OptionRow{"node-health-base", "", "0", valid_integer},
    OptionRow{"node-health-green", "", "0", valid_integer},
    OptionRow{"node-health-red", "", "-INFINITY", valid_integer},
    OptionRow{"node-health-strategy", "", "none", valid_health},
    OptionRow{"node-health-yellow", "", "0", valid_integer},
    OptionRow{"node-pending-timeout", "", "0", valid_interval},
    OptionRow{"placement-strategy", "", "default", valid_placement},
    OptionRow{"priority-fencing-delay", "", "0", valid_interval},
    OptionRow{"shutdown-lock", "", "false", valid_bool},
    OptionRow{"shutdown-lock-limit", "", "0", valid_interval},
    OptionRow{"start-failure-is-fatal", "", "true", valid_bool},
    OptionRow{"startup-fencing", "", "true", valid_bool},
    OptionRow{"stop-all-resources", "", "false", valid_bool},
    OptionRow{"stop-removed-resources", "stop-orphan-resources", "true", valid_bool},
    OptionRow{"symmetric-cluster", "", "true", valid_bool},
};

const OptionRow* row_of(std::string_view name) {
    const auto* row = std::ranges::find(kRows, name, &OptionRow::name);
    return row == kRows.end() ? nullptr : row;
}

NoQuorum parse_no_quorum(std::string_view text) {
    if (same_ignoring_case(text, "ignore")) return NoQuorum::kIgnore;
    if (same_ignoring_case(text, "freeze")) return NoQuorum::kFreeze;
    if (same_ignoring_case(text, "demote")) return NoQuorum::kDemote;
    if (any_of(text, {"fence", "suicide"})) return NoQuorum::kFence;
    return NoQuorum::kStop;
}

HealthStrategy parse_health(std::string_view text) {
    if (same_ignoring_case(text, "migrate-on-red")) return HealthStrategy::kMigrateOnRed;
    if (same_ignoring_case(text, "only-green")) return HealthStrategy::kOnlyGreen;
    if (same_ignoring_case(text, "progressive")) return HealthStrategy::kProgressive;
    if (same_ignoring_case(text, "custom")) return HealthStrategy::kCustom;
    return HealthStrategy::kNone;
}

Placement parse_placement(std::string_view text) {
    if (same_ignoring_case(text, "utilization")) return Placement::kUtilization;
    if (same_ignoring_case(text, "minimal")) return Placement::kMinimal;
    if (same_ignoring_case(text, "balanced")) return Placement::kBalanced;
    return Placement::kDefault;
}

}  // namespace

std::string_view Options::value(std::string_view name) const {
    const OptionRow* row = row_of(name);
    if (row == nullptr) {
        const auto it = values.find(name);
        return it == values.end() ? std::string_view{} : std::string_view(it->second);
    }
    auto it = values.find(row->name);
    if (it == values.end() && !row->former.empty()) it = values.find(row->former);
    if (it == values.end() || !row->valid(it->second)) return row->fallback;
    return it->second;
}

std::optional<Score> Options::score(std::string_view text) const {
    if (same_ignoring_case(text, "red")) return health_red;
    if (same_ignoring_case(text, "yellow")) return health_yellow;
    if (same_ignoring_case(text, "green")) return health_green;
    if (const auto score = parse_score(text)) return score;
    // What follows a number is ignored ("2.0" is 2).
    const std::string_view number = trim(text);
    const std::size_t sign = number.starts_with('-') || number.starts_with('+') ? 1 : 0;
    const std::size_t end = number.find_first_not_of("0123456789", sign);
    return parse_score(number.substr(0, end));
}

Options read_options(rules::NameValues values, std::vector<std::string>& problems) {
    Options o;
    o.values = std::move(values);
    for (const OptionRow& row : kRows) {
        for (const std::string_view name : {row.name, row.former}) {
            const auto it = name.empty() ? o.values.end() : o.values.find(name);
            if (it != o.values.end() && !row.valid(it->second)) {
                problems.push_back(fmt::format("Using default '{}' for cluster option '{}' because '{}' is not valid",
                                               row.fallback, row.name, it->second));
            }
        }
    }
    const auto flag = [&](std::string_view name) { return parse_bool(o.value(name)).value_or(false); };
    const auto interval = [&](std::string_view name) {
        return rules::parse_interval_spec(o.value(name)).value_or(Duration{0});
    };
    o.enable_startup_probes = flag("enable-startup-probes");
    o.have_watchdog = flag("have-watchdog");
    o.fencing_timeout = interval("fencing-timeout");
    o.fencing_enabled = flag("fencing-enabled");
    o.fencing_action = o.value("fencing-action");
    if (o.fencing_action == "poweroff") o.fencing_action = "off";
    o.concurrent_fencing = flag("concurrent-fencing");
    o.priority_fencing_delay = interval("priority-fencing-delay");
    o.stop_all_resources = flag("stop-all-resources");
    o.symmetric = flag("symmetric-cluster");
    o.no_quorum = parse_no_quorum(o.value("no-quorum-policy"));
    o.stop_removed_resources = flag("stop-removed-resources");
    o.cancel_removed_actions = flag("cancel-removed-actions");
    o.maintenance_mode = flag("maintenance-mode");
    o.start_failure_is_fatal = flag("start-failure-is-fatal");
    if (o.fencing_enabled) o.startup_fencing = flag("startup-fencing");
    o.shutdown_lock = flag("shutdown-lock");
    if (o.shutdown_lock) o.shutdown_lock_limit = interval("shutdown-lock-limit");
    o.node_pending_timeout = interval("node-pending-timeout");
    o.fence_remote_without_quorum = flag("fence-remote-without-quorum");
    o.placement_text = o.value("placement-strategy");
    o.placement = parse_placement(o.placement_text);

    o.health_strategy_text = o.value("node-health-strategy");
    o.health_strategy = parse_health(o.health_strategy_text);
    const auto health = [&](std::string_view name) { return parse_score(o.value(name)).value_or(Score{}); };
    switch (o.health_strategy) {
        case HealthStrategy::kNone: break;
        case HealthStrategy::kMigrateOnRed: o.health_red = Score::minus_infinity(); break;
        case HealthStrategy::kOnlyGreen: o.health_red = o.health_yellow = Score::minus_infinity(); break;
        case HealthStrategy::kProgressive:
        case HealthStrategy::kCustom:
            o.health_red = health("node-health-red");
            o.health_yellow = health("node-health-yellow");
            o.health_green = health("node-health-green");
            o.health_base = health("node-health-base");
            break;
    }
    return o;
}

}  // namespace systole::model
