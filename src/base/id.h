#pragma once
// base/id.h — identifiers that mix with no other kind.
#include <compare>
#include <cstdint>

namespace systole {

/// A NodeId and a CallId neither compare nor convert into each other.
template <class Tag, class Rep>
struct Id {
    Rep value{};
    auto operator<=>(const Id&) const = default;
};

/// Corosync's node id; 0 is "no node". Written in decimal it is the node's XML id everywhere in the CIB.
using NodeId = Id<struct NodeIdTag, std::uint32_t>;

}  // namespace systole
