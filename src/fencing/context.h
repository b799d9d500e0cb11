#pragma once
// fencing/context.h — what the parts of the fencer share while one input is handled.
#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "fencing/devices.h"
#include "fencing/fencer.h"

namespace systole::fencing {

/// A small generator (splitmix64) whose numbers are the same everywhere.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next();
    /// 0 to `bound`, both included.
    std::uint64_t up_to(std::uint64_t bound) { return bound == ~std::uint64_t{0} ? next() : next() % (bound + 1); }
    std::string uuid();

private:
    std::uint64_t state_;
};

/// The members of the fencers' group. Whoever has no name yet can't be asked to do anything, but will answer queries.
class Peers {
public:
    void learn(const wire::NodeRef& node);
    void set_members(const std::vector<wire::GroupMember>& members);
    [[nodiscard]] bool active(std::string_view name) const;
    [[nodiscard]] std::size_t active_count() const;
    [[nodiscard]] std::vector<std::string> active_names() const;  ///< in order of node ids
    /// Name of a node id given as text; empty if not known.
    [[nodiscard]] std::string name_of(std::string_view id) const;

private:
    struct Peer {
        std::string name;
        bool member = false;
    };
    std::map<NodeId, Peer> peers_;
};

struct Context {
    explicit Context(FencerConfig c) : config(std::move(c)), random(config.seed) {}
    FencerConfig config;
    Random random;
    Peers peers;
    DeviceTable devices;
    bool quorate = true;                        ///< as last told; unknown counts as yes
    Duration watchdog_timeout{0};               ///< 0: no watchdog fencing
    std::vector<std::string> watchdog_targets;  ///< empty: all nodes

    // Of the input being handled.
    Now now;
    Effects effects;

    [[nodiscard]] const std::string& self() const { return config.self.name; }
    [[nodiscard]] bool is_self(std::string_view node) const { return same_ignoring_case(node, self()); }
    [[nodiscard]] bool fences_by_watchdog(std::string_view node) const {
        return watchdog_timeout > Duration{0} &&
               (watchdog_targets.empty() || std::ranges::any_of(watchdog_targets, [&](const std::string& t) {
                    return same_ignoring_case(t, node);
                }));
    }
    /// Has this partition the right to? With quorum; and its own members in any case.
    [[nodiscard]] bool may_cut_off(std::string_view node) const { return quorate || peers.active(node); }
    void log(wire::Severity severity, std::string text, std::string_view node = {}, std::string_view resource = {}) {
        effects.emplace_back(wire::Log{severity, std::move(text), std::string(node), std::string(resource)});
    }
    void arm(std::string name, Duration in) {
        effects.emplace_back(wire::ArmTimer{std::string(kTimerPrefix) + name, now.mono + in});
    }
    void cancel(const std::string& name) { effects.emplace_back(wire::CancelTimer{std::string(kTimerPrefix) + name}); }
    /// To `node`, or to all if that is empty.
    void send(std::string_view node, xml::NodePtr message) {
        effects.emplace_back(wire::Multicast{wire::Group::kFencing, std::string(node), std::move(message)});
    }
};

}  // namespace systole::fencing
