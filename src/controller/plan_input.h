#pragma once
// controller/plan_input.h — the CIB as a plan that begins while actions run has to see it.
//
// The reference plans only when nothing runs any more, so its scheduler may take a pending record lightly. Ours plans
// at once (docs/adr/0003): a stop or demotion under way counts as not done yet, and what runs never counts as expired.
#include "base/time.h"
#include "xml/tree.h"

namespace systole::controller {

xml::NodePtr with_actions_in_flight(const xml::NodePtr& cib, WallTime now);

}  // namespace systole::controller
