#include "xml/tree.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

namespace systole::xml {

Text::Text(std::string_view text) {
    if (text.empty()) return;
    void* memory = ::operator new(sizeof(Rep) + text.size());
    rep_ = new (memory) Rep{{1}, static_cast<std::uint32_t>(text.size())};
    std::memcpy(rep_->chars(), text.data(), text.size());
}

void Text::release() noexcept {
    if (rep_ == nullptr || rep_->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    rep_->~Rep();
    ::operator delete(rep_);
}

NodePtr::NodePtr(const Node* node) noexcept : node_(node) {
    if (node_ != nullptr) node_->references_.fetch_add(1, std::memory_order_relaxed);
}

NodePtr::NodePtr(const NodePtr& other) noexcept : NodePtr(other.node_) {}

NodePtr::~NodePtr() {
    if (node_ != nullptr && node_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) Node::destroy(node_);
}

const Node* Node::make(Kind kind, Text name_or_text, std::span<Attribute> attributes, std::span<NodePtr> children) {
    static_assert(alignof(Node) >= alignof(Attribute) && alignof(Attribute) >= alignof(NodePtr));
    const std::size_t bytes = sizeof(Node) + attributes.size() * sizeof(Attribute) + children.size() * sizeof(NodePtr);
    Node* node = new (::operator new(bytes)) Node;
    node->kind_ = kind;
    node->name_ = std::move(name_or_text);
    node->attribute_count_ = static_cast<std::uint32_t>(attributes.size());
    node->child_count_ = static_cast<std::uint32_t>(children.size());
    node->sieve_.names = Node::Sieve::bit(node->name());
    for (const Attribute& a : attributes)
        if (a.name.view() == "id") node->sieve_.ids = Node::Sieve::bit(a.value.view());
    for (const NodePtr& c : children) {
        node->sieve_.names |= c->sieve_.names;
        node->sieve_.ids |= c->sieve_.ids;
    }
    auto* attribute_place = reinterpret_cast<Attribute*>(node + 1);
    std::uninitialized_move(attributes.begin(), attributes.end(), attribute_place);
    auto* child_place = reinterpret_cast<NodePtr*>(attribute_place + attributes.size());
    std::uninitialized_move(children.begin(), children.end(), child_place);
    return node;
}

void Node::destroy(const Node* node) noexcept {
    // Depth is bounded by the parser and by what the daemons build, so plain recursion through NodePtr is safe.
    std::destroy_n(node->children_begin(), node->child_count_);
    std::destroy_n(node->attributes_begin(), node->attribute_count_);
    auto* memory = const_cast<Node*>(node);
    memory->~Node();
    ::operator delete(memory);
}

std::uint64_t Node::Sieve::bit(std::string_view text) {
    std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    return std::uint64_t{1} << (hash >> 58U);
}

std::string_view Node::name() const {
    switch (kind_) {
        case Kind::kElement: return name_.view();
        case Kind::kComment: return "comment";
        case Kind::kText:
        case Kind::kCData: break;
    }
    return "text";
}

std::string Node::text() const {
    if (!is_element()) return std::string(name_.view());
    std::string out;
    for (const NodePtr& child : children())
        if (child->kind_ == Kind::kText || child->kind_ == Kind::kCData) out += child->name_.view();
    return out;
}

const Attribute* Node::find(std::string_view attribute) const {
    for (const Attribute& a : attributes())
        if (a.name.view() == attribute) return &a;
    return nullptr;
}

std::string_view Node::get(std::string_view attribute) const { return get(attribute, {}); }

std::string_view Node::get(std::string_view attribute, std::string_view fallback) const {
    const Attribute* found = find(attribute);
    return found == nullptr ? fallback : found->value.view();
}

std::optional<std::string_view> Node::attribute(std::string_view name) const {
    const Attribute* found = find(name);
    if (found == nullptr) return std::nullopt;
    return found->value.view();
}

const Node* Node::child(std::string_view name) const {
    for (const NodePtr& c : children())
        if (c->is(name)) return c.get();
    return nullptr;
}

NodePtr Node::child_ptr(std::string_view name) const { return NodePtr(child(name)); }

const Node* Node::child(std::string_view name, std::string_view id) const {
    const Sieve wanted = Sieve::of(name, id);
    for (const NodePtr& c : children())
        if (c->sieve().covers(wanted) && c->is(name) && c->id() == id) return c.get();
    return nullptr;
}

const Node* Node::first_element() const {
    for (const NodePtr& c : children())
        if (c->is_element()) return c.get();
    return nullptr;
}

NodePtr Node::first_element_ptr() const { return NodePtr(first_element()); }

Builder::Builder(const Node& original)
    : name_(original.name_),
      attributes_(original.attributes().begin(), original.attributes().end()),
      children_(original.children().begin(), original.children().end()) {}

NodePtr Builder::comment(std::string_view text) { return NodePtr(Node::make(Kind::kComment, Text(text), {}, {})); }
NodePtr Builder::text(std::string_view text) { return NodePtr(Node::make(Kind::kText, Text(text), {}, {})); }
NodePtr Builder::cdata(std::string_view text) { return NodePtr(Node::make(Kind::kCData, Text(text), {}, {})); }

Builder& Builder::set(std::string_view name, Text value) {
    const auto found = std::ranges::find(attributes_, name, [](const Attribute& a) { return a.name.view(); });
    if (found != attributes_.end())
        found->value = std::move(value);
    else
        attributes_.push_back({Text(name), std::move(value)});
    return *this;
}

Builder& Builder::set(std::string_view name, long long value) { return set(name, std::to_string(value)); }

Builder& Builder::append_attribute(Text name, Text value) {
    attributes_.push_back({std::move(name), std::move(value)});
    return *this;
}

Builder& Builder::unset(std::string_view name) {
    std::erase_if(attributes_, [&](const Attribute& a) { return a.name.view() == name; });
    return *this;
}

Builder& Builder::clear_attributes() {
    attributes_.clear();
    return *this;
}

Builder& Builder::rename(std::string_view element_name) {
    name_ = Text(element_name);
    return *this;
}

Builder& Builder::add(NodePtr child) {
    if (child) children_.push_back(std::move(child));
    return *this;
}

Builder& Builder::insert(std::size_t index, NodePtr child) {
    children_.insert(children_.begin() + static_cast<std::ptrdiff_t>(std::min(index, children_.size())),
                     std::move(child));
    return *this;
}

Builder& Builder::replace(std::size_t index, NodePtr child) {
    children_.at(index) = std::move(child);
    return *this;
}

Builder& Builder::erase(std::size_t index) {
    children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(index));
    return *this;
}

Builder& Builder::clear_children() {
    children_.clear();
    return *this;
}

Builder& Builder::reserve(std::size_t attributes, std::size_t children) {
    attributes_.reserve(attributes);
    children_.reserve(children);
    return *this;
}

std::string_view Builder::get(std::string_view attribute) const {
    for (const Attribute& a : attributes_)
        if (a.name.view() == attribute) return a.value.view();
    return {};
}

bool Builder::has(std::string_view attribute) const {
    return std::ranges::any_of(attributes_, [&](const Attribute& a) { return a.name.view() == attribute; });
}

NodePtr Builder::assemble(Text element_name, std::span<Attribute> attributes, std::span<NodePtr> children) {
    return NodePtr(Node::make(Kind::kElement, std::move(element_name), attributes, children));
}

NodePtr Builder::build() && { return NodePtr(Node::make(Kind::kElement, std::move(name_), attributes_, children_)); }

NodePtr Builder::build() const& {
    Builder copy(*this);
    return std::move(copy).build();
}

bool deep_equal(const Node& a, const Node& b) {
    if (&a == &b) return true;
    if (a.kind() != b.kind()) return false;
    if (!a.is_element()) return a.text() == b.text();
    if (a.name() != b.name()) return false;
    return std::ranges::equal(
               a.attributes(), b.attributes(),
               [](const Attribute& x, const Attribute& y) { return x.name == y.name && x.value == y.value; }) &&
           std::ranges::equal(a.children(), b.children(),
                              [](const NodePtr& x, const NodePtr& y) { return deep_equal(*x, *y); });
}

}  // namespace systole::xml
