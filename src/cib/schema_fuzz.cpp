// cib/schema_fuzz.cpp — what the acceptor accepts is valid for libxml2 too.
//
// The input is the number of a schema as one letter ('a' is the oldest) and a CIB.
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "cib/schema_judges.h"
#include "xml/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace systole;
    static const std::vector<cib::SchemaJudges> judges = cib::judges_in(SYSTOLE_SCHEMA_DIR);
    if (size < 2) return 0;
    const auto cib = xml::parse({reinterpret_cast<const char*>(data + 1), size - 1});
    if (!cib) return 0;
    const cib::SchemaJudges& both = judges[(*data - static_cast<unsigned>('a')) % judges.size()];
    if (!both.quick->accepts(**cib)) return 0;
    const auto verdict = cib::validate_document(*cib::to_document(**cib, cib::Leave::kStatus), *both.telling);
    SYSTOLE_ASSERT(verdict, "what is accepted is valid");
    return 0;
}
