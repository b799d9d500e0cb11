#pragma once
// cib/patchset.h — the difference between two CIBs as a document (format 2), made and applied.
//
// Making one costs what differs: subtrees that both snapshots share are not looked at.
// Source: protocol sheet cib.md, section 7.
#include <string>

#include "cib/versions.h"
#include "xml/tree.h"

namespace systole::cib {

/// What counts as a change of an element's attributes.
enum class AttributeOrder : std::uint8_t {
    kTracked,  ///< another order of the same attributes is a change, a shift by a new or missing one is none
    kIgnored,  ///< the set of attributes and values alone
    kCounts,   ///< an attribute in another place is a changed one
};

/// From `before` to `after`; null if they don't differ. With `digest` the result's v2 digest is included.
xml::NodePtr make_patchset(const xml::NodePtr& before, const xml::NodePtr& after, bool digest = false,
                           AttributeOrder order = AttributeOrder::kTracked);

struct Patched {
    int rc = 0;        ///< 0, rc::kOldData (the patch is older), rc::kDiffFailed
    xml::NodePtr cib;  ///< the result where rc is 0
    std::string why;   ///< for people, where it isn't
};
enum class VersionCheck : std::uint8_t { kStrict, kNone };
Patched apply_patchset(const xml::NodePtr& cib, const xml::Node& patchset, VersionCheck check = VersionCheck::kStrict);

/// Is this the v2 digest of the CIB, over the escaping of any release?
bool fits_digest(const xml::Node& cib, std::string_view digest);

/// What a patchset brings: the target version, and whether anything under /cib/configuration is touched.
Version target_version(const xml::Node& patchset);
bool touches_configuration(const xml::Node& patchset);

}  // namespace systole::cib
