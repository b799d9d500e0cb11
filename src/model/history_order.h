#pragma once
// model/history_order.h — which of two lrm_rsc_op entries is the newer one; internal to this folder.
//
// On one node call ids tell. Entries of different nodes carry those nodes' own clocks, to the second; clocks jump, and
// much happens in a second. What the entries tell beside that is certain: an engine numbers its transitions one after
// the other, and a node's executor its calls. So an action of transition 5 came before one of transition 8 of the same
// engine; and an action of engine A's transition 5 came before one of engine B's transition 2 if some node ran an
// action of A's transition 5 (or later) before one of B's transition 2 (or earlier). Clocks decide what this leaves
// open. Source: Pacemaker Explained, "Status — Here be dragons" (call-id, transition-key, last-rc-change).
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/cluster.h"

namespace systole::model {

/// Its last-rc-change.
std::optional<std::int64_t> time_of(const xml::Node& operation);
/// <0, 0, >0: is `a` an older or a newer entry than `b`? Of different nodes their clocks decide.
int compare_age(const xml::Node& a, const xml::Node& b);
/// Oldest first; entries of the same age keep their order.
void sort_by_age(std::vector<const xml::Node*>& operations);

/// What the histories of all nodes prove about the order of actions on different nodes.
class HistoryOrder {
public:
    explicit HistoryOrder(const Cluster& cluster) : c_(cluster) {}
    /// As compare_age(), with proof before clocks. Both are to be no recurring operations for that: those keep the
    /// transition that began them.
    [[nodiscard]] int compare(const xml::Node& a, const xml::Node& b);

private:
    /// A node's calls for one engine, by transition.
    struct Call {
        int transition = 0;
        int first = 0;  ///< the earliest call of this transition or a later one
        int last = 0;   ///< the latest call of this transition or an earlier one
    };
    using Engines = std::unordered_map<std::string_view, std::vector<Call>>;  ///< by uuid

    void read();
    [[nodiscard]] bool proven_before(std::string_view engine, int transition, std::string_view later_engine,
                                     int later_transition);

    const Cluster& c_;
    bool was_read_ = false;
    std::vector<Engines> nodes_;
};

}  // namespace systole::model
