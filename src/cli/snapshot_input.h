#pragma once
// cli/snapshot_input.h — the CIB that a command shall reason about: the cluster's, a file, standard input; and when.
#include "base/result.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/status_source.h"
#include "rules/iso8601.h"

namespace systole::cli {

/// --cib-file FILE ("-": standard input; .bz2 too), --set-datetime TIME.
OptionGroup snapshot_options();

struct Snapshot {
    xml::NodePtr original;  ///< as it was read
    xml::NodePtr cib;       ///< in the newest schema
    rules::DateTime now;    ///< given, or when a saved input was made, or the clock's
};
/// Errors have been told on the output only where a schema refuses the CIB.
tl::expected<Snapshot, SourceError> read_snapshot(const Arguments& arguments, Output& output);

}  // namespace systole::cli
