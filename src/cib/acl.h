#pragma once
// cib/acl.h — what a user may see and change, by the CIB's own <acls>.
//
// Every permission marks the elements that it matches. An element's right is that of the nearest element upwards with a
// mark that decides; deny wins on the same element; writing includes reading. What a change creates is marked as it
// will stand, so that a user who may write every nvpair of a name may also make one. Source: protocol sheet cib.md,
// section 12.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "xml/edit.h"
#include "xml/xpath.h"

namespace systole::cib {

/// Do ACLs bind this user? Not root, hacluster, or nobody in particular; and only where enable-acl is true.
bool acls_bind(const xml::Node& cib, std::string_view user);

/// What ACLs said about one place of a change. The texts are what administrators look for when they trace ACLs.
struct AclNote {
    bool about_creation = false;  ///< else about access to what is there
    std::string text;
};

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
    /// Errors: kDenied, naming the first place that the user may not write. `notes` (may be null) gets what was decided
    /// at each place, as far as it had to be looked at.
    [[nodiscard]] Result<void> check_change(const xml::NodePtr& before, const xml::NodePtr& after,
                                            std::vector<AclNote>* notes = nullptr) const;

private:
    enum Mark : unsigned { kRead = 1, kWrite = 2, kDeny = 4 };
    using Marks = std::map<xml::Path, unsigned>;

    [[nodiscard]] unsigned mark_at(const xml::Path& path) const;
    [[nodiscard]] Marks marks_in(const xml::Node& cib) const;
    [[nodiscard]] xml::NodePtr kept(const xml::NodePtr& node, xml::Path& path) const;
    [[nodiscard]] xml::NodePtr purged(const xml::NodePtr& node, xml::Path& path) const;

    friend class ChangeCheck;
    struct Permission {
        xml::XPath what;
        unsigned mark;
    };

    std::string user_;
    bool any_ = false;  ///< some permission was granted, whether it matches anything or not
    std::vector<Permission> permissions_;
    Marks marks_;  ///< of the CIB that the rights are from
};

}  // namespace systole::cib
