#pragma once
// cli/status_filter.h — which resources a display leaves out; shared by its text and its XML.
#include "cli/status_view.h"

namespace systole::cli {

/// Is active, but on none of the chosen nodes.
bool is_elsewhere(const model::Resource& resource, const NameFilter& nodes);
/// Runs on one of the chosen nodes.
bool runs_on_any(const model::Resource& resource, const NameFilter& nodes);
/// Neither it nor (if `check_parent`) what it is part of nor anything below it is among the chosen resources.
bool is_filtered(const model::Resource& resource, const NameFilter& resources, bool check_parent);
/// It was itself chosen by name, so that everything below it is shown.
bool is_chosen(const model::Resource& resource, const NameFilter& resources);
/// The connection to a guest or bundle node, which nobody configured: shown in detailed displays only.
bool is_internal(const model::Resource& resource);
/// What the `-R` display shows of an element's description.
std::string_view description_of(const model::Resource& resource, const Show& show);

}  // namespace systole::cli
