#pragma once
// cib/edits.h — the modifying operations, each from (snapshot, request) to a new snapshot, before counters and checks.
// Source: protocol sheet cib.md, section 5.
#include <string>

#include "cib/merge.h"
#include "cib/request.h"

namespace systole::cib {

struct Edit {
    int rc = 0;
    xml::NodePtr cib;     ///< the result; meaningless where rc != 0
    xml::NodePtr output;  ///< details of a failure for the reply; may be null
    std::string why;      ///< for the log, where rc != 0
    /// The changes weren't recorded while they were made: they have to be told from the two snapshots.
    bool infer_changes = false;
};

Edit create(const xml::NodePtr& cib, const Request& request, Editing& editing);
Edit modify(const xml::NodePtr& cib, const Request& request, Editing& editing);
Edit remove(const xml::NodePtr& cib, const Request& request, Editing& editing);
Edit replace(const xml::NodePtr& cib, const Request& request, Editing& editing);
Edit erase(const xml::NodePtr& cib);
Edit bump(const xml::NodePtr& cib, Editing& editing);

/// Is it the name of a part of the CIB, or of all of it? Empty is none.
bool is_section(std::string_view name);
/// Path of the section's element in `cib`; the root for no or an unknown section; empty if it is missing.
std::optional<xml::Path> find_section(const xml::Node& cib, std::string_view section);

/// The request's input, narrowed to the section if it is a whole <cib>; may be null.
xml::NodePtr narrowed_input(const Request& request);

}  // namespace systole::cib
