#pragma once
// scheduler/table_order.h — which of several equal nodes comes first.
//
// Where capacities decide, the field's comparison of nodes is no order: of three nodes each may be as good as the next
// and yet the last better than the first, and of nodes without enough for anything the first looked at is taken.
// What comes out depends then on the order in which nodes are looked at, which is that of GLib's hash tables by node
// id. For the same decisions it has to be the same order; seen with Pacemaker 3.0.2 and GLib 2.74.
#include <cstddef>
#include <string_view>
#include <vector>

namespace systole::scheduler {

/// The places of `ids`, put into such a table one after the other, in the order of its slots.
std::vector<std::size_t> table_order(const std::vector<std::string_view>& ids);

}  // namespace systole::scheduler
