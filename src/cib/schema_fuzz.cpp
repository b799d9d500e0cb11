// cib/schema_fuzz.cpp — what the acceptor accepts is valid for libxml2 too.
//
// The input is the number of a schema as one letter ('a' is the oldest) and a CIB.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cib/schema.h"
#include "cib/schema_acceptor.h"
#include "cib/schemas_libxml.h"
#include "xml/parse.h"

namespace {

struct Judges {
    std::string name;
    std::unique_ptr<systole::cib::SchemaAcceptor> quick;
    systole::cib::RngSchema telling;
};

std::vector<Judges> all_judges() {
    std::vector<Judges> judges;
    for (const auto& entry : std::filesystem::directory_iterator(SYSTOLE_SCHEMA_DIR)) {
        const std::string name = entry.path().filename();
        if (!name.ends_with(".rng")) continue;
        std::ostringstream text;
        text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
        auto telling = systole::cib::read_schema(text.str(), name);
        SYSTOLE_ASSERT(telling, "every schema can be read");
        judges.push_back({entry.path().stem(), systole::cib::SchemaAcceptor::read(text.str()), std::move(*telling)});
    }
    std::ranges::sort(judges, [](const Judges& a, const Judges& b) {
        return systole::cib::compare_schema_names(a.name, b.name) < 0;
    });
    return judges;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace systole;
    static const std::vector<Judges> judges = all_judges();
    if (size < 2) return 0;
    const auto cib = xml::parse({reinterpret_cast<const char*>(data + 1), size - 1});
    if (!cib) return 0;
    const Judges& both = judges[(*data - static_cast<unsigned>('a')) % judges.size()];
    if (!both.quick->accepts(**cib)) return 0;
    const auto verdict = cib::validate_document(*cib::to_document(**cib, cib::Leave::kStatus), *both.telling);
    SYSTOLE_ASSERT(verdict, "what is accepted is valid");
    return 0;
}
