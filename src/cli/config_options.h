#pragma once
// cli/config_options.h — the options that a cluster's configuration may have, with what there is to say about each.
//
// One table is behind everything that speaks of options: `crm_attribute --list-options`, `crm_resource --list-options`,
// `pacemaker-* metadata` (which pcs and crmsh read) and the manual page pacemaker(7).
// Source: recorded output of Pacemaker 3.0.2; Pacemaker Explained, "Cluster-Wide Configuration", "Resources",
// "Fencing".
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output.h"

namespace systole::cli {

struct ConfigOption {
    /// Whose metadata has it.
    enum class Owner : std::uint8_t { kNobody, kCibManager, kController, kScheduler };

    std::string name;
    std::string type;  ///< "boolean", "duration", "select", ...
    std::optional<std::string> fallback{};
    std::vector<std::string> choices{};
    std::string short_text;
    std::string long_text{};  ///< empty: there is no more to say
    bool advanced = false;
    bool generated = false;  ///< set by the cluster itself
    bool deprecated = false;
    std::string replaced_by{};
    Owner owner = Owner::kNobody;
};

const std::vector<ConfigOption>& cluster_options();
const std::vector<ConfigOption>& primitive_meta_attributes();
/// Of every resource of class stonith, whatever its agent.
const std::vector<ConfigOption>& fencing_parameters();

/// The lists that users can ask for: "cluster", "primitive", "fencing". `all`: advanced and deprecated ones, too.
/// False for any other kind.
bool show_option_list(Output& output, std::string_view kind, bool all);

/// What a daemon answers to the argument "metadata", in the format of resource agents' metadata; empty for a daemon
/// without options. `daemon` is the program's name.
std::optional<std::string> daemon_metadata(std::string_view daemon);

}  // namespace systole::cli
