#pragma once
// cib/acl.h — what a user may see and change, by the CIB's own <acls>.
//
// Every permission marks the elements that it matches. An element's right is that of the nearest element upwards with a
// mark that decides; deny wins on the same element; writing includes reading.
// Source: protocol sheet cib.md, section 12.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "xml/edit.h"

namespace systole::cib {

/// Do ACLs bind this user? Not root, hacluster, or nobody in particular; and only where enable-acl is true.
bool acls_bind(const xml::Node& cib, std::string_view user);

class Rights {
public:
    /// `groups` are the user's Unix groups. A user without any role has no rights.
    Rights(const xml::Node& cib, std::string_view user, const std::vector<std::string>& groups);

    /// What the user may see; null if nothing.
    [[nodiscard]] xml::NodePtr filter(const xml::NodePtr& cib) const;

    enum class Access : std::uint8_t { kUnmarked, kReadable, kWritable, kDenied };
    /// What an element's own mark gives; kUnmarked: what the element above gives.
    [[nodiscard]] Access own_access(const xml::Path& path) const;

    /// May the user turn `before` (the CIB that the rights are from) into `after`?
    /// Errors: kDenied, naming the first place that the user may not write.
    [[nodiscard]] Result<void> check_change(const xml::NodePtr& before, const xml::NodePtr& after) const;

private:
    enum Mark : unsigned { kRead = 1, kWrite = 2, kDeny = 4 };
    using Marks = std::map<xml::Path, unsigned>;

    [[nodiscard]] unsigned mark_at(const xml::Path& path) const;
    [[nodiscard]] bool may_write(const xml::Path& path) const;
    [[nodiscard]] xml::NodePtr kept(const xml::NodePtr& node, xml::Path& path) const;
    [[nodiscard]] xml::NodePtr purged(const xml::NodePtr& node, xml::Path& path) const;
    [[nodiscard]] std::string denied_change(const xml::NodePtr& before, const xml::NodePtr& after, xml::Path& path,
                                            bool in_acls) const;

    std::string user_;
    bool any_ = false;  ///< some permission was granted, whether it matches anything or not
    Marks marks_;
};

}  // namespace systole::cib
