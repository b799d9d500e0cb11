#pragma once
// fencing/topology.h — which devices fence a node together, and in which order groups of them are tried.
//
// Invariants: levels are 1 to 9; the order of devices in a level is that of registration.
// Source: protocol sheet fencer.md, sections 5 and 7; Pacemaker Explained, "Fencing Topology".
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "xml/tree.h"

namespace systole::fencing {

/// POSIX extended regular expression, matched anywhere in the text. False for a pattern that is none.
bool matches_pattern(std::string_view pattern, std::string_view text);

using Levels = std::map<int, std::vector<std::string>>;  ///< index -> devices; no level is empty

/// Has the node that attribute with that value, by the configuration?
using HasAttribute = std::function<bool(std::string_view node, std::string_view name, std::string_view value)>;

class Topology {
public:
    /// `level` is a fencing-level element; devices are added to a level that exists already.
    /// Errors: kInvalid without id, without a target, or with an index outside 1 to 9.
    Result<void> add(const xml::Node& level, bool from_cib);
    /// Index 0 removes all levels of the target. Errors: kInvalid for an index outside 0 to 9. What isn't there is
    /// removed already.
    Result<void> remove(const xml::Node& level);
    void drop_those_from_cib();
    /// Name before pattern before attribute; null if the node has no levels. Valid until the next change.
    [[nodiscard]] const Levels* of(std::string_view node, const HasAttribute& has_attribute) const;

private:
    enum class By : std::uint8_t { kName, kPattern, kAttribute };
    struct Entry {
        By by{};
        std::string target;  ///< name, pattern, or attribute=value
        std::string attribute, value;
        bool from_cib = false;
        Levels levels;
    };
    struct Key {
        By by;
        std::string target, attribute, value;
    };
    static Result<Key> key_of(const xml::Node& level);
    static bool same_target(const Entry& entry, const Key& key);
    std::vector<Entry> entries_;  ///< in order of registration
};

/// "name[index]" as configuration notices name a level.
std::string level_label(const xml::Node& level);

}  // namespace systole::fencing
