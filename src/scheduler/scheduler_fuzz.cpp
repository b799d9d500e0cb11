// scheduler/scheduler_fuzz.cpp — whatever stands in a CIB, the scheduler plans or refuses; it never aborts, and the
// same text twice gives the same plan.
#include <cstdint>
#include <string_view>

#include "scheduler/schedule.h"
#include "xml/parse.h"
#include "xml/write.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace systole;
    const auto cib = xml::parse({reinterpret_cast<const char*>(data), size});
    if (!cib) return 0;
    const scheduler::Input input{.cib = *cib,
                                 .now = rules::DateTime{WallTime{1'700'000'000}, 0},
                                 .want_scores = true,
                                 .want_utilization = true,
                                 .want_dot = true,
                                 .dot_all_actions = true,
                                 .want_reasons = true};
    const auto one = scheduler::schedule(input);
    if (!one) return 0;
    const auto two = scheduler::schedule(input);
    SYSTOLE_ASSERT(two && xml::write(*one->graph) == xml::write(*two->graph) && one->dot == two->dot,
                   "the same input gives the same plan");
    return 0;
}
