#pragma once
// xml/edit.h — places in a tree, and changed copies of a tree that share everything off the path to the change.
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "xml/tree.h"

namespace systole::xml {

/// Child indexes from the root element down; empty is the root itself. Compares in document order.
using Path = std::vector<std::uint32_t>;
using PathView = std::span<const std::uint32_t>;

/// Null if the path leads nowhere.
const Node* node_at(const Node& root, PathView path);

/// The tree with another node at `path`. The path must lead to a node (kept promises of the caller, asserted).
NodePtr replace_at(const NodePtr& root, PathView path, NodePtr replacement);
/// The tree without the node at `path`, which is not the root.
NodePtr remove_at(const NodePtr& root, PathView path);
/// The tree with `child` as last child of the node at `path`.
NodePtr append_at(const NodePtr& root, PathView path, NodePtr child);
/// The tree with `child` inserted before the child of that index; an index beyond the end appends.
NodePtr insert_at(const NodePtr& root, PathView path, std::size_t index, NodePtr child);

/// First element in pre-order with that name and, if given, that id (a given empty id wants elements without one),
/// beginning with the node at `start` or, if `strictly_below`, with its children. `start` is part of the result.
std::optional<Path> find_element(const Node& root, PathView start, std::string_view name,
                                 std::optional<std::string_view> id, bool strictly_below);

/// The same with a test of one's own; `sieve` names what the element has for sure.
std::optional<Path> find_element_if(const Node& root, PathView start, const Node::Sieve& sieve, bool strictly_below,
                                    const std::function<bool(const Node&)>& test);

}  // namespace systole::xml
