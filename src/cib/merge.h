#pragma once
// cib/merge.h — how a request's elements become part of a CIB, and what of that counts as a change.
// Source: protocol sheet cib.md, sections 5 (create, modify) and 6 (what counts).
#include <string>

#include "cib/versions.h"
#include "xml/edit.h"

namespace systole::cib {

/// What an operation changed, as far as the version counters are concerned.
struct Changes {
    bool any = false;     ///< num_updates counts it
    bool config = false;  ///< something at or under /cib/configuration: the epoch counts it
};

/// One operation's rules and its record of changes.
struct Editing {
    Release release{};
    bool expand_scores = false;
    Changes changes{};

    void mark(bool in_config) {
        changes.any = true;
        changes.config = changes.config || in_config;
    }
    /// A subtree was copied in whole.
    void mark_copy(bool in_config) { mark(in_config && !release.copies_uncounted); }
};

/// Where an element stands: what is below the configuration counts more.
struct Place {
    bool root = false;  ///< the element is <cib> itself
    bool config = false;
    [[nodiscard]] Place below(const xml::Node& child) const {
        return {.root = false, .config = config || (root && child.is("configuration"))};
    }
};
Place place_of(const xml::Node& root, xml::PathView path);

/// `update` merged into `target`, which has its name and id. The very same node if nothing differs.
xml::NodePtr merge(const xml::NodePtr& target, const xml::Node& update, Place place, Editing& editing);

/// `object` as a new child of an element at `place` (older releases rebuild it; newer ones copy it).
xml::NodePtr created_object(const xml::NodePtr& object, Place place, Editing& editing);

/// "value++" and "value+=5" for an attribute `name` with an old value. `value` itself if it is no such expression.
std::string expand_score(std::string_view name, std::string_view value, std::string_view old_value);

/// Older releases: what is still an unexpanded expression in the parts of `after` that `before` doesn't share is
/// expanded from 0.
xml::NodePtr expand_leftovers(const xml::NodePtr& before, const xml::NodePtr& after, Place place, Editing& editing);

}  // namespace systole::cib
