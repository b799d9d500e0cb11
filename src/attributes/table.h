#pragma once
// attributes/table.h — every transient node attribute that this node knows, and what of it the CIB has yet to learn.
//
// All nodes keep all values; only the writer turns what is unwritten into CIB modifications. An attribute's values are
// written together, as soon as none of its changes is younger than its delay (dampening) and no earlier write of it is
// under way.
//
// Invariants: node names are compared without case and kept as first spelled; a private attribute is never unwritten.
// Source: protocol sheet attrd.md, sections 3 and 5.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "xml/tree.h"

namespace systole::attributes {

struct Value {
    std::string node;                 ///< as spelled by whoever set it first
    std::optional<std::string> text;  ///< empty: unset
    bool remote = false;              ///< a remote or guest node's: its XML id is its name
    std::string node_id;              ///< XML id; empty while not known
    bool unwritten = false;           ///< the CIB has something else, or nothing
};

struct Attribute {
    std::string name;
    std::string set_id;        ///< empty: the node's usual set
    bool utilization = false;  ///< attr_set_type
    bool is_private = false;   ///< never written to the CIB
    std::string user;          ///< ACL user of the last change
    Duration dampening{0};
    bool writing = false;                 ///< a CIB modification is under way
    bool delayed = false;                 ///< the dampening timer is armed
    std::map<std::string, Value> values;  ///< by lower-case node name

    [[nodiscard]] bool has_unwritten() const;
};

class Table {
public:
    [[nodiscard]] Attribute* find(std::string_view name);
    [[nodiscard]] const Attribute* find(std::string_view name) const;
    Attribute& get_or_create(std::string_view name);
    [[nodiscard]] const std::map<std::string, Attribute, std::less<>>& all() const { return attributes_; }
    [[nodiscard]] std::map<std::string, Attribute, std::less<>>& all() { return attributes_; }

    [[nodiscard]] const Value* value(std::string_view attribute, std::string_view node) const;
    /// Names of attributes that the extended regular expression matches. Empty if it is not one.
    [[nodiscard]] std::vector<std::string> matching(const std::string& expression) const;
    /// Drops every value of the node, without a trace for the CIB (who removes a node, cleans up after it).
    void drop_node(std::string_view node);
    /// The XML id of a node became known: values that waited for it can be written.
    void learn_id(std::string_view node, std::string_view id);
    /// Everything that is set counts as unwritten again (a new writer; the CIB was changed by somebody else).
    void mark_all_unwritten();

private:
    std::map<std::string, Attribute, std::less<>> attributes_;  // ordered: writes and answers come out alike everywhere
};

/// What one write consists of: one modification of the status section, and the deletions.
struct Write {
    xml::NodePtr update;                  ///< <status> with what is set; null if nothing is
    std::vector<std::string> deletions;   ///< XPaths of what is unset
    std::vector<std::string> attributes;  ///< whose values these are
    std::string user;
};

/// Collects the unwritten values of the attributes that `due` names (each with at least one value whose node id is
/// known) into as few writes as their users allow, marks them written and the attributes as being written.
std::vector<Write> collect_writes(Table& table, const std::vector<std::string>& due);

/// An XPath of every attribute that the CIB may have for these cluster nodes (by XML id) and that the table does not.
std::string unknown_values_path(const Table& table, const std::vector<std::string>& node_ids);

/// `new_text` may be value++, value--, value+=N or value-=N: computed from `old_text` in score arithmetic (what is no
/// score counts as 0). Anything else is returned as it is.
/// Source: protocol sheet attrd.md, section 1, attr_value.
std::string expand(std::string_view new_text, std::optional<std::string_view> old_text);

/// Does a clear-failure request mean this attribute? Empty resource: all; empty operation: all of the resource.
/// Source: protocol sheet attrd.md, section 2 (the forms of 2.1.x, which include those of 3.x).
bool is_failure_of(std::string_view attribute, std::string_view resource, std::string_view operation,
                   std::string_view interval_ms);

}  // namespace systole::attributes
