#pragma once
// cib/schema_judges.h — both judges of every schema, for tests that compare them.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/result.h"
#include "cib/schema.h"
#include "cib/schema_acceptor.h"
#include "cib/schemas_libxml.h"

namespace systole::cib {

struct SchemaJudges {
    std::string name;  ///< "pacemaker-3.9"
    std::unique_ptr<SchemaAcceptor> quick;
    RngSchema telling;
};

/// Of the schemas in a folder, the oldest first.
inline std::vector<SchemaJudges> judges_in(const std::filesystem::path& folder) {
    std::vector<SchemaJudges> judges;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".rng") continue;
        const std::string name = entry.path().stem();
        std::ostringstream text;
        text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
        auto telling = read_schema(text.str(), name);
        SYSTOLE_ASSERT(telling, "every schema can be read");
        judges.push_back({name, SchemaAcceptor::read(text.str()), std::move(*telling)});
    }
    std::ranges::sort(
        judges, [](const SchemaJudges& a, const SchemaJudges& b) { return compare_schema_names(a.name, b.name) < 0; });
    return judges;
}

}  // namespace systole::cib
