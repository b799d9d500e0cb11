#pragma once
// cli/live_source.h — the running cluster as a source of status: the CIB and its changes, the fencer's history.
// Source: protocol sheets cib.md, sections 2 to 4; fencer.md, sections 2 and 9; pacemakerd.md, section 1.
#include "cli/status_source.h"

namespace systole::cli {

/// Errors: the cluster does not run here or does not let us in.
tl::expected<std::unique_ptr<StatusSource>, SourceError> open_live_source();

}  // namespace systole::cli
