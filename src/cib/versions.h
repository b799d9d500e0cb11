#pragma once
// cib/versions.h — version counters of a CIB, and which release's rules a CIB is kept by.
//
// Every node of a cluster must change the CIB alike. The DC stamps its feature set on the CIB, so the CIB says itself
// which rules count while nodes of older releases are members.
// Source: protocol sheet cib.md, sections 6 and 13.
#include <compare>
#include <string>
#include <string_view>

#include "xml/tree.h"

namespace systole::cib {

struct Version {
    long long admin_epoch = 0;
    long long epoch = 0;
    long long num_updates = 0;
    auto operator<=>(const Version&) const = default;
};
std::string to_string(const Version& version);  ///< "0.7.3"

/// What is absent or no number is 0.
Version version_of(const xml::Node& cib);
/// A copy of the root with these counters; counters that have their value already are left as written.
xml::NodePtr with_version(const xml::Node& cib, const Version& version);

/// Differences between releases that change the bytes of a CIB.
struct Release {
    /// Up to 2.1.8: subtrees that are copied in whole don't count as a change of the configuration, and a new element
    /// without attributes doesn't count at all.
    bool copies_uncounted = false;
    /// 2.1.5: create builds objects attribute by attribute, comments become elements, every comment is like another.
    bool objects_rebuilt = false;
    /// 2.1.6 and before: "value++" is expanded without being asked for, and again over the whole result.
    bool scores_always_expanded = false;
};
/// By the crm_feature_set of the CIB; a CIB without one follows the newest rules.
Release release_of(const xml::Node& cib);

/// A peer or client with an older feature set makes its digests over the older escaping.
bool has_legacy_escaping(std::string_view feature_set);

}  // namespace systole::cib
