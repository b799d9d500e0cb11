#include "xml/edit.h"

#include "base/result.h"

namespace systole::xml {
namespace {

NodePtr rebuild(const NodePtr& node, PathView path, const std::function<NodePtr(const NodePtr&)>& change) {
    if (path.empty()) return change(node);
    SYSTOLE_ASSERT(path.front() < node->children().size(), "an edit's path was found in this very tree");
    Builder copy(*node);
    copy.replace(path.front(), rebuild(node->children()[path.front()], path.subspan(1), change));
    return std::move(copy).build();
}

bool search(const Node& node, Path& path, const Node::Sieve& sieve, const std::function<bool(const Node&)>& test) {
    for (std::uint32_t i = 0; i < node.children().size(); ++i) {
        const Node& child = *node.children()[i];
        if (!child.sieve().covers(sieve)) continue;
        path.push_back(i);
        if (test(child) || search(child, path, sieve, test)) return true;
        path.pop_back();
    }
    return false;
}

}  // namespace

const Node* node_at(const Node& root, PathView path) {
    const Node* node = &root;
    for (const std::uint32_t index : path) {
        if (index >= node->children().size()) return nullptr;
        node = node->children()[index].get();
    }
    return node;
}

NodePtr replace_at(const NodePtr& root, PathView path, NodePtr replacement) {
    return rebuild(root, path, [&](const NodePtr&) { return std::move(replacement); });
}

NodePtr remove_at(const NodePtr& root, PathView path) {
    SYSTOLE_ASSERT(!path.empty(), "the root can't be removed from its own tree");
    return rebuild(root, path.first(path.size() - 1), [&](const NodePtr& parent) {
        Builder copy(*parent);
        copy.erase(path.back());
        return std::move(copy).build();
    });
}

NodePtr append_at(const NodePtr& root, PathView path, NodePtr child) {
    return insert_at(root, path, ~std::size_t{0}, std::move(child));
}

NodePtr insert_at(const NodePtr& root, PathView path, std::size_t index, NodePtr child) {
    return rebuild(root, path, [&](const NodePtr& parent) {
        Builder copy(*parent);
        copy.insert(index, std::move(child));
        return std::move(copy).build();
    });
}

std::optional<Path> find_element(const Node& root, PathView start, std::string_view name,
                                 std::optional<std::string_view> id, bool strictly_below) {
    return find_element_if(root, start, Node::Sieve::of(name, id.value_or("")), strictly_below,
                           [&](const Node& node) { return node.is(name) && (!id || node.id() == *id); });
}

std::optional<Path> find_element_if(const Node& root, PathView start, const Node::Sieve& sieve, bool strictly_below,
                                    const std::function<bool(const Node&)>& test) {
    const Node* from = node_at(root, start);
    if (from == nullptr || !from->sieve().covers(sieve)) return std::nullopt;
    Path path(start.begin(), start.end());
    if ((!strictly_below && test(*from)) || search(*from, path, sieve, test)) return path;
    return std::nullopt;
}

}  // namespace systole::xml
