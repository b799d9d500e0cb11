#pragma once
// cli/status_fencing.h — the fencer's history in status displays. Source: crm_mon(8), stonith_admin(8) --history.
#include <vector>

#include "cli/status_source.h"
#include "cli/status_view.h"

namespace systole::cli {

struct FencingLine {
    bool each = true;                     ///< one of all, not the last of its kind
    std::string later_success_from = {};  ///< of a failed one: the node from which the same succeeded later
};
/// "reboot of db1 successful: delegate=..., client=..., origin=..., completed='...'"
std::string fencing_line(const FencingAction& action, const FencingLine& style);
/// <fence_event action= target= ...>
xml::NodePtr fencing_element(const FencingAction& action);

struct FencingKind {
    bool failed = false;
    bool pending = false;
    bool succeeded = false;
};

/// Actions of those kinds as a list of lines; nothing if there are none.
bool show_fencing(Output& output, const Show& show, const std::vector<FencingAction>& history, FencingKind kinds,
                  std::string_view title, Spacer& spacer);
/// <fence_history status="0"> with all actions.
void add_fencing(Output& output, const Show& show,
                 const tl::expected<std::vector<FencingAction>, SourceError>& history);
/// Of actions that are alike but for their time only the newest is kept; pending ones are all kept.
std::vector<FencingAction> latest_of_each(const std::vector<FencingAction>& history);

}  // namespace systole::cli
