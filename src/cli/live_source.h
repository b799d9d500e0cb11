#pragma once
// cli/live_source.h — the running cluster as a source of status: the CIB and its changes, the fencer's history.
// Source: protocol sheets cib.md, sections 2 to 4; fencer.md, sections 2 and 9; pacemakerd.md, section 1.
namespace systole::cli {

/// Makes open_source() use the running cluster where the environment names no file. To be called first in main.
void use_live_cluster();

}  // namespace systole::cli
