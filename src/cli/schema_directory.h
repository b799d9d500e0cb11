#pragma once
// cli/schema_directory.h — the schemas that commands use.
#include <functional>
#include <memory>

#include "cib/schemas_set.h"

namespace systole::cli {

/// The daemons' one (runtime/linux/paths.h).
std::string schema_directory();

/// The schemas of that directory. Only names are read now; a directory that isn't there has no schemas.
std::unique_ptr<cib::SchemaSet> open_schemas(std::function<void(const cib::SchemaNote&)> note = {},
                                             const std::string& directory = schema_directory());

}  // namespace systole::cli
