#pragma once
// xml/tree.h — the immutable XML tree that every document, message and CIB snapshot is made of.
//
// A node never changes after it was built. A change makes a new node that shares all unchanged children and texts with
// the old one, so a new CIB costs the path to the change, a snapshot is one pointer, and readers on other threads need
// no lock. Equal pointers mean equal subtrees; comparing two versions of a document can stop there.
//
// Invariants: attribute names are unique within an element; children are never null; order is kept as written.
// A node and its attribute and child arrays are one allocation.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace systole::xml {

/// An immutable, shared text. Empty costs nothing; copying is a reference count.
class Text {
public:
    Text() = default;
    explicit Text(std::string_view text);
    Text(const Text& other) noexcept : rep_(other.rep_) { acquire(); }
    Text(Text&& other) noexcept : rep_(std::exchange(other.rep_, nullptr)) {}
    Text& operator=(Text other) noexcept {
        std::swap(rep_, other.rep_);
        return *this;
    }
    ~Text() { release(); }
    [[nodiscard]] std::string_view view() const {
        return rep_ == nullptr ? std::string_view{} : std::string_view{rep_->chars(), rep_->size};
    }
    [[nodiscard]] bool shares_with(const Text& other) const { return rep_ == other.rep_; }
    friend bool operator==(const Text& a, const Text& b) { return a.rep_ == b.rep_ || a.view() == b.view(); }

private:
    struct Rep {
        std::atomic<std::uint32_t> references;
        std::uint32_t size;
        [[nodiscard]] const char* chars() const { return reinterpret_cast<const char*>(this + 1); }
        char* chars() { return reinterpret_cast<char*>(this + 1); }
    };
    void acquire() const noexcept {
        if (rep_ != nullptr) rep_->references.fetch_add(1, std::memory_order_relaxed);
    }
    void release() noexcept;
    Rep* rep_ = nullptr;
};

struct Attribute {
    Text name;
    Text value;
};

enum class Kind : std::uint8_t { kElement, kComment, kText, kCData };

class Node;

/// Shared ownership of an immutable node; may be null ("no such node").
class NodePtr {
public:
    NodePtr() = default;
    NodePtr(std::nullptr_t) {}
    explicit NodePtr(const Node* node) noexcept;
    NodePtr(const NodePtr& other) noexcept;
    NodePtr(NodePtr&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
    NodePtr& operator=(NodePtr other) noexcept {
        std::swap(node_, other.node_);
        return *this;
    }
    ~NodePtr();
    const Node& operator*() const { return *node_; }
    const Node* operator->() const { return node_; }
    [[nodiscard]] const Node* get() const { return node_; }
    explicit operator bool() const { return node_ != nullptr; }
    friend bool operator==(const NodePtr& a, const NodePtr& b) { return a.node_ == b.node_; }

private:
    const Node* node_ = nullptr;
};

class Node {
public:
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    [[nodiscard]] Kind kind() const { return kind_; }
    [[nodiscard]] bool is_element() const { return kind_ == Kind::kElement; }
    [[nodiscard]] bool is(std::string_view element_name) const { return is_element() && name_.view() == element_name; }
    /// Element name; "comment" for comments, "text" for text and CDATA.
    [[nodiscard]] std::string_view name() const;
    /// Content of a comment, text or CDATA node; of an element the concatenated text of its direct text children.
    [[nodiscard]] std::string text() const;

    [[nodiscard]] std::span<const Attribute> attributes() const { return {attributes_begin(), attribute_count_}; }
    [[nodiscard]] std::span<const NodePtr> children() const { return {children_begin(), child_count_}; }

    [[nodiscard]] const Attribute* find(std::string_view attribute) const;
    [[nodiscard]] bool has(std::string_view attribute) const { return find(attribute) != nullptr; }
    /// The attribute's value, or an empty view that compares equal to "" where it is absent.
    [[nodiscard]] std::string_view get(std::string_view attribute) const;
    [[nodiscard]] std::string_view get(std::string_view attribute, std::string_view fallback) const;
    [[nodiscard]] std::optional<std::string_view> attribute(std::string_view name) const;
    [[nodiscard]] std::string_view id() const { return get("id"); }

    /// First direct child element of that name, or null.
    [[nodiscard]] const Node* child(std::string_view name) const;
    [[nodiscard]] NodePtr child_ptr(std::string_view name) const;
    /// First direct child element of that name with that id, or null.
    [[nodiscard]] const Node* child(std::string_view name, std::string_view id) const;
    /// First direct child element of any name, or null.
    [[nodiscard]] const Node* first_element() const;
    [[nodiscard]] NodePtr first_element_ptr() const;
    /// What a subtree may hold, as a sieve: bits of the names and ids in it, the root's own included. A search leaves
    /// out every subtree whose sieve lacks a wanted bit; a set bit promises nothing.
    struct Sieve {
        std::uint64_t names = 0;
        std::uint64_t ids = 0;
        /// The bit of a name or id.
        static std::uint64_t bit(std::string_view text);
        /// What an element of that name, and of that id unless it is empty, has for sure.
        static Sieve of(std::string_view name, std::string_view id) { return {bit(name), id.empty() ? 0 : bit(id)}; }
        [[nodiscard]] bool covers(const Sieve& wanted) const {
            return (wanted.names & ~names) == 0 && (wanted.ids & ~ids) == 0;
        }
    };
    [[nodiscard]] const Sieve& sieve() const { return sieve_; }
    /// This node as shared ownership.
    [[nodiscard]] NodePtr share() const { return NodePtr(this); }

private:
    friend class NodePtr;
    friend class Builder;
    Node() = default;
    ~Node() = default;
    /// Attributes and children are moved out of the spans.
    static const Node* make(Kind kind, Text name_or_text, std::span<Attribute> attributes, std::span<NodePtr> children);
    static void destroy(const Node* node) noexcept;
    [[nodiscard]] const Attribute* attributes_begin() const { return reinterpret_cast<const Attribute*>(this + 1); }
    [[nodiscard]] const NodePtr* children_begin() const {
        return reinterpret_cast<const NodePtr*>(attributes_begin() + attribute_count_);
    }

    mutable std::atomic<std::uint32_t> references_{0};
    Kind kind_{Kind::kElement};
    std::uint32_t attribute_count_{0};
    std::uint32_t child_count_{0};
    Sieve sieve_;
    Text name_;  // element name, or the text of the other kinds
};

/// Makes nodes: from nothing, or as a changed copy of an existing node (children and texts stay shared).
class Builder {
public:
    explicit Builder(std::string_view element_name) : name_(element_name) {}
    explicit Builder(Text element_name) : name_(std::move(element_name)) {}
    explicit Builder(const Node& original);
    static NodePtr comment(std::string_view text);
    static NodePtr text(std::string_view text);
    static NodePtr cdata(std::string_view text);
    /// An element from parts that are moved out of the spans; the caller knows that attribute names are unique.
    static NodePtr assemble(Text element_name, std::span<Attribute> attributes, std::span<NodePtr> children);

    /// Sets an attribute; an existing one keeps its place, a new one is appended.
    Builder& set(std::string_view name, std::string_view value) { return set(name, Text(value)); }
    Builder& set(std::string_view name, const char* value) { return set(name, std::string_view(value)); }
    Builder& set(std::string_view name, const std::string& value) { return set(name, std::string_view(value)); }
    Builder& set(std::string_view name, Text value);
    /// Decimal text. Booleans are spelled by the caller ("true", "1", ...), as formats differ.
    Builder& set(std::string_view name, long long value);
    Builder& set(std::string_view name, int value) { return set(name, static_cast<long long>(value)); }
    Builder& set(std::string_view name, unsigned value) { return set(name, static_cast<long long>(value)); }
    Builder& set(std::string_view name, long value) { return set(name, static_cast<long long>(value)); }
    Builder& set(std::string_view name, bool value) = delete;
    Builder& set_unless_empty(std::string_view name, std::string_view value) {
        return value.empty() ? *this : set(name, value);
    }
    Builder& append_attribute(Text name, Text value);  ///< the caller knows that the name is new
    Builder& unset(std::string_view name);
    Builder& clear_attributes();
    Builder& rename(std::string_view element_name);

    Builder& add(NodePtr child);  ///< null is ignored
    Builder& add(Builder&& child) { return add(std::move(child).build()); }
    Builder& insert(std::size_t index, NodePtr child);
    Builder& replace(std::size_t index, NodePtr child);
    Builder& erase(std::size_t index);
    Builder& clear_children();
    Builder& reserve(std::size_t attributes, std::size_t children);

    [[nodiscard]] std::string_view name() const { return name_.view(); }
    [[nodiscard]] std::string_view get(std::string_view attribute) const;
    [[nodiscard]] bool has(std::string_view attribute) const;
    [[nodiscard]] const std::vector<Attribute>& attributes() const { return attributes_; }
    [[nodiscard]] const std::vector<NodePtr>& children() const { return children_; }

    [[nodiscard]] NodePtr build() &&;
    [[nodiscard]] NodePtr build() const&;

private:
    Text name_;
    std::vector<Attribute> attributes_;
    std::vector<NodePtr> children_;
};

/// Same kind, name, attributes in the same order, and children, all the way down.
bool deep_equal(const Node& a, const Node& b);

}  // namespace systole::xml
