// rules/rules_fuzz.cpp — rules, dates, durations, intervals and scores as users write them: understood or refused,
// never more. The first byte says what the rest is.
#include <cstdint>
#include <string_view>

#include "base/score.h"
#include "rules/evaluate.h"
#include "rules/nvpairs.h"
#include "xml/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace systole;
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const rules::DateTime now{WallTime{1'700'000'000}, 3600};
    switch (data[0] % 6) {
        case 0:
            // At an offset the calendar's first and last day reach into years that UTC can't write.
            if (const auto at = rules::parse_date_time(text, now);
                at && at->at_offset(0).calendar().year >= 1 && at->at_offset(0).calendar().year <= 9999) {
                const auto again = rules::parse_date_time(rules::to_string(*at), now);
                SYSTOLE_ASSERT(again && *again == *at, "a written date can be read");
            }
            return 0;
        case 1:
            if (const auto length = rules::parse_duration(text)) {
                static_cast<void>(rules::to_string(*length));
                static_cast<void>(now + *length);
                static_cast<void>(now - *length);
            }
            return 0;
        case 2:
            if (const auto period = rules::parse_period(text, now)) static_cast<void>(rules::to_string(*period));
            return 0;
        case 3: static_cast<void>(rules::parse_interval_spec(text)); return 0;
        case 4:
            if (const auto score = parse_score(text)) {
                SYSTOLE_ASSERT(parse_score(to_string(*score)) == score, "a written score can be read");
            }
            return 0;
        default: break;
    }
    const auto element = xml::parse(text);
    if (!element) return 0;
    rules::Input input;
    input.now = now;
    input.node_attribute = [](std::string_view name) -> std::optional<std::string_view> {
        return name == "#uname" ? std::optional<std::string_view>("node1") : std::nullopt;
    };
    input.resource = rules::Input::Resource{"ocf", "pacemaker", "Dummy"};
    input.operation = rules::Input::Operation{"monitor", Duration{10'000}};
    const auto rule = rules::evaluate_condition(**element, input);
    SYSTOLE_ASSERT(rule.outcome != rules::Outcome::kInvalid || !rule.problems.empty(), "what is invalid is told");
    rules::NameValues values;
    static_cast<void>(rules::unpack_nvpairs(**element, "meta_attributes", input, {}, values));
    return 0;
}
