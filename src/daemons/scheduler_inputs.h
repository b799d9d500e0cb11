#pragma once
// daemons/scheduler_inputs.h — the series of saved scheduler inputs (pe-input-N.bz2, pe-warn-N.bz2, pe-error-N.bz2).
//
// What was decided can be looked at later by crm_simulate. The number of the next file is in NAME.last; it starts again
// at 0 when the series' limit is reached.
// Source: protocol sheets pacemakerd.md section 5, controller.md (pe-*-series-max).
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "xml/tree.h"

namespace systole::daemons {

enum class InputSeries : std::uint8_t { kInput, kWarning, kError };

/// The path of the next file of the series, which is taken by that; empty if the cluster's options say that none is to
/// be kept. Errors: kIo.
Result<std::string> next_scheduler_input(const std::string& folder, InputSeries series, const xml::Node& cib);

/// Writes that file. `now` goes into it, as rules depend on it. Errors: kIo.
Result<void> save_scheduler_input(const std::string& path, const xml::Node& cib, WallTime now);

}  // namespace systole::daemons
