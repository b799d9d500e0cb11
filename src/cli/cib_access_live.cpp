#include "cli/cib_access.h"

namespace systole::cli {

Result<std::unique_ptr<CibAccess>> open_live_cib(CibLog /*log*/) {
    return fail(Errc::kUnreachable, "no connection to a running cluster");
}

}  // namespace systole::cli
