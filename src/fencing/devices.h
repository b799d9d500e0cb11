#pragma once
// fencing/devices.h — the fence devices that this node may use, and what their parameters mean.
//
// A device is registered from the CIB (this node may run its resource), by API (the resource is started here, or an
// administrator registered it), or both; it is gone when neither holds any more.
//
// Invariants: ids are unique; a device has at least one of the two registrations.
// Source: protocol sheet fencer.md, sections 4 to 8; Pacemaker Explained, "Special Options for Fencing Resources".
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "fencing/agent.h"
#include "fencing/messages.h"

namespace systole::fencing {

struct NoCase {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const;
};

using Parameters = std::map<std::string, std::string, std::less<>>;
using PlugMap = std::map<std::string, std::string, NoCase>;  ///< node -> plug(s)

enum class HostCheck : std::uint8_t { kNone, kStaticList, kDynamicList, kStatus, kInvalid };

/// What makes a device what it is; registering the same description again changes nothing.
struct DeviceDescription {
    std::string id;
    std::string agent;
    Parameters parameters;
    bool provides_unfencing = false;
    bool operator==(const DeviceDescription&) const = default;
};

struct Delays {
    Duration base{0}, max{0};  ///< as configured; max 0 if not configured
};

struct Device {
    DeviceDescription what;
    bool from_cib = false, from_api = false;
    bool verified = false;      ///< list, status or monitor has worked from here
    bool traits_known = false;  ///< the agent told its metadata
    AgentTraits traits;

    std::vector<std::string> targets;  ///< static list, or the last dynamic one
    PlugMap plugs;
    std::optional<Instant> listed_at;  ///< of the dynamic list
    bool list_failed = false;          ///< never had a list and failed to get one: status is asked instead

    [[nodiscard]] const std::string& id() const { return what.id; }
    /// Value of a parameter; null if it is not given.
    [[nodiscard]] const std::string* parameter(std::string_view name) const;
    [[nodiscard]] HostCheck host_check() const;
    [[nodiscard]] bool lists(std::string_view host) const;
    [[nodiscard]] bool requires_unfencing() const { return what.provides_unfencing || traits.automatic_unfencing; }
    [[nodiscard]] bool is_watchdog() const;
    /// Is `action` one that the cluster must run with this device (automatic unfencing)?
    [[nodiscard]] bool action_required(std::string_view action) const { return action == "on" && requires_unfencing(); }
    /// pcmk_<action>_timeout; empty if not configured. Of a reboot that the agent doesn't have, that of off.
    [[nodiscard]] std::optional<Duration> action_timeout(std::string_view action) const;
    [[nodiscard]] Delays delays(std::string_view action, std::string_view target) const;
    [[nodiscard]] int action_limit() const;  ///< agents at the same time; negative: no limit
    [[nodiscard]] int tries(std::string_view action) const;
    /// The action as the agent is to be called: off for a reboot that it doesn't have, then pcmk_<action>_action.
    [[nodiscard]] std::string base_action(std::string_view action) const;
    [[nodiscard]] std::string agent_action(std::string_view action) const;
    [[nodiscard]] SupportFlags support() const;
    /// What the agent reads on standard input, for an action of base_action().
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> agent_input(std::string_view action,
                                                                               std::string_view target) const;
    /// May `node` carry the action out against `target`? It may not fence itself unless that is allowed, and some
    /// actions are only for the target.
    [[nodiscard]] bool eligible(std::string_view action, std::string_view target, std::string_view node,
                                bool allow_self) const;
    /// The same, where a reboot may become off and on.
    [[nodiscard]] bool eligible_somehow(std::string_view action, std::string_view target, std::string_view node,
                                        bool allow_self) const;
};

/// pcmk_host_map: "node1:plug1;node2:plug2,plug3", entries separated by ';', blanks or tabs, '=' may stand for ':', a
/// backslash takes the next character literally.
PlugMap parse_host_map(std::string_view text);
/// First words of lists: separators are newline, blank, tab, comma and semicolon; a trailing carriage return is
/// dropped.
std::vector<std::string> parse_host_list(std::string_view text);
/// Whole seconds as timeouts travel; fractions are rounded up so that a limit is never cut to nothing.
long long to_seconds(Duration duration);

enum class Registration : std::uint8_t { kCib, kApi };

class DeviceTable {
public:
    /// True if the device is new or changed; its earlier state (verified, dynamic list) is then forgotten.
    bool add(const DeviceDescription& what, Registration by);
    /// True if the device is gone now.
    bool remove(std::string_view id, Registration by);
    [[nodiscard]] Device* find(std::string_view id);
    [[nodiscard]] const Device* find(std::string_view id) const;
    [[nodiscard]] const std::map<std::string, Device, std::less<>>& all() const { return devices_; }
    void set_traits(std::string_view agent, const AgentTraits& traits);

private:
    std::map<std::string, Device, std::less<>> devices_;
    std::map<std::string, AgentTraits, std::less<>> known_agents_;
};

/// The fence resources that `node` may use by this CIB, with their parameters; those of a disabled resource
/// (target-role Stopped) and those that `allowed_on` refuses are left out. Parameter sets are taken in order of their
/// score; rules in them are not evaluated: sets with a rule are left out.
std::vector<DeviceDescription> devices_from_cib(const xml::Node& cib, std::string_view node,
                                                const AllowedOn& allowed_on);
/// `<st_device_id id agent rsc_provides><attributes .../></st_device_id>`. Errors: kInvalid without id or agent.
Result<DeviceDescription> device_from_request(const xml::Node& element);

}  // namespace systole::fencing
