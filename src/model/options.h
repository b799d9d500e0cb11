#pragma once
// model/options.h — cluster options (crm_config), with defaults and former names.
// Source: Pacemaker Explained, "Cluster Options".
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/score.h"
#include "base/time.h"
#include "rules/nvpairs.h"

namespace systole::model {

enum class NoQuorum : std::uint8_t { kFreeze, kStop, kIgnore, kFence, kDemote };
enum class HealthStrategy : std::uint8_t { kNone, kMigrateOnRed, kOnlyGreen, kProgressive, kCustom };
enum class Placement : std::uint8_t { kDefault, kUtilization, kMinimal, kBalanced };

struct Options {
    rules::NameValues values;  ///< as configured

    bool enable_startup_probes = true;
    bool fencing_enabled = true;
    bool have_watchdog = false;
    bool concurrent_fencing = true;
    bool startup_fencing = false;  ///< fence nodes that were never seen
    bool stop_all_resources = false;
    bool symmetric = true;
    bool stop_removed_resources = true;
    bool cancel_removed_actions = true;
    bool maintenance_mode = false;
    bool start_failure_is_fatal = true;
    bool shutdown_lock = false;
    bool fence_remote_without_quorum = false;
    NoQuorum no_quorum = NoQuorum::kStop;
    std::string fencing_action = "reboot";
    Duration fencing_timeout{60'000};
    Duration priority_fencing_delay{0};
    Duration shutdown_lock_limit{0};
    Duration node_pending_timeout{0};
    HealthStrategy health_strategy = HealthStrategy::kNone;
    std::string health_strategy_text = "none";
    Score health_red{}, health_yellow{}, health_green{}, health_base{};
    Placement placement = Placement::kDefault;
    std::string placement_text = "default";

    /// The effective value of an option: configured (under its name or a former one) and valid, or its default.
    [[nodiscard]] std::string_view value(std::string_view name) const;
    /// A score; red, yellow and green stand for what node health makes of them.
    [[nodiscard]] std::optional<Score> score(std::string_view text) const;
};

/// `values` as configured; problems are added for values that are not valid.
Options read_options(rules::NameValues values, std::vector<std::string>& problems);

}  // namespace systole::model
