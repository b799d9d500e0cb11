#pragma once
// cib/operations.h — every operation on a CIB as a function: (snapshot, request) -> snapshot, answer, result code.
//
// All nodes execute the same requests in the same order and must reach the same bytes, so everything here follows the
// field's rules to the letter, those of older releases included (release.h). Snapshots share what did not change, so
// the cost of an operation follows its change.
// Source: protocol sheet cib.md, sections 5 and 6; differential tests against cibadmin in tests/interop.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cib/acl.h"
#include "cib/request.h"
#include "cib/schema.h"
#include "xml/tree.h"

namespace systole::cib {

/// What operations may know of the world around the CIB.
struct World {
    Schemas* schemas = nullptr;     ///< null: nothing is validated and nothing can be upgraded
    std::string feature_set;        ///< ours; a result with a newer one is refused (empty: never)
    std::string modification_time;  ///< value for cib-last-written; empty: cib-last-written and update-* stay untouched
    /// Unix groups of a user, for acl_group; none where it isn't given.
    std::function<std::vector<std::string>(std::string_view user)> groups_of{};
    /// Told what ACLs decided about a change; may be empty.
    std::function<void(const AclNote&)> on_acl{};
    std::uint64_t* validated = nullptr;  ///< counts schema validations, for tests and metrics; may be null
};

struct Outcome {
    int rc = 0;
    xml::NodePtr cib;       ///< the new snapshot; the old one where rc != 0, for a dry run, or where nothing changed
    xml::NodePtr output;    ///< content of the reply's cib_calldata; may be null
    xml::NodePtr patchset;  ///< from the old to the new snapshot; null where nothing that counts was changed
    bool config_changed = false;
    std::string why;  ///< for the log, where rc != 0
};

/// Executes a query or a modifying request (not: sync, ping, ... which are the manager's). Never throws.
Outcome execute(const xml::NodePtr& cib, const Request& request, const World& world);

/// The empty CIB of a new cluster: epoch 0, newest schema, sections without content.
xml::NodePtr empty_cib(std::string_view schema, std::string_view feature_set);

/// Absolute path of a section ("/cib/configuration/resources"); empty if there is no such section.
std::string_view section_path(std::string_view section);

}  // namespace systole::cib
