#pragma once
// cli/patchset_text.h — a patchset for people to read.
#include "cli/output.h"
#include "xml/tree.h"

namespace systole::cli {

/// Line by line: versions ("Diff: --- 0.1.0 2"), then what goes (--), what changes (+), what comes (++).
std::string patchset_text(const xml::Node& patchset);

}  // namespace systole::cli
