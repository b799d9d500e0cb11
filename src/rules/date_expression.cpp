#include "rules/date_expression.h"

#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>

#include "base/text.h"

namespace systole::rules {
namespace {

std::string place_of(const xml::Node& node) { return fmt::format("{} {}", node.name(), node.get("id", "without ID")); }

struct Range {
    long long low = std::numeric_limits<long long>::min();
    long long high = std::numeric_limits<long long>::max();
};

// "5", "5-7", "5-", "-7".
std::optional<Range> parse_range(std::string_view text) {
    const auto dash = text.find('-');
    Range range;
    if (dash == std::string_view::npos) {
        const auto value = parse_integer(text);
        if (!value) return std::nullopt;
        return Range{*value, *value};
    }
    const std::string_view low = text.substr(0, dash);
    const std::string_view high = text.substr(dash + 1);
    if (low.empty() && high.empty()) return std::nullopt;
    if (!low.empty()) {
        const auto value = parse_integer(low);
        if (!value) return std::nullopt;
        range.low = *value;
    }
    if (!high.empty()) {
        const auto value = parse_integer(high);
        if (!value) return std::nullopt;
        range.high = *value;
    }
    return range;
}

// The fields, from coarse to fine; the first that is out of range decides between "before" and "after".
// `step` is the time after which the field's value can be another one.
enum class Step : std::uint8_t { kDay, kHour, kMinute, kSecond };
struct Field {
    const char* name;
    int (*value)(const DateTime&);
    Step step;
};
constexpr std::array kFields{
    Field{"years", [](const DateTime& t) { return t.calendar().year; }, Step::kDay},
    Field{"months", [](const DateTime& t) { return t.calendar().month; }, Step::kDay},
    Field{"monthdays", [](const DateTime& t) { return t.calendar().day; }, Step::kDay},
    Field{"hours", [](const DateTime& t) { return t.time().hour; }, Step::kHour},
    Field{"minutes", [](const DateTime& t) { return t.time().minute; }, Step::kMinute},
    Field{"seconds", [](const DateTime& t) { return t.time().second; }, Step::kSecond},
    Field{"yeardays", [](const DateTime& t) { return t.ordinal().day; }, Step::kDay},
    Field{"weekyears", [](const DateTime& t) { return t.week().year; }, Step::kDay},
    Field{"weeks", [](const DateTime& t) { return t.week().week; }, Step::kDay},
    Field{"weekdays", [](const DateTime& t) { return t.week().day; }, Step::kDay},
};

struct Limit {
    const Field* field;
    Range range;
};

Outcome check(const std::vector<Limit>& limits, const DateTime& at) {
    for (const Limit& limit : limits) {
        const int value = limit.field->value(at);
        if (value < limit.range.low) return Outcome::kBefore;
        if (value > limit.range.high) return Outcome::kAfter;
    }
    return Outcome::kTrue;
}

DateTime next_boundary(const DateTime& at, Step step) {
    const TimeOfDay clock = at.time();
    switch (step) {
        case Step::kSecond: return at.plus_seconds(1);
        case Step::kMinute: return at.plus_seconds(60 - clock.second);
        case Step::kHour: return at.plus_seconds(3600 - clock.minute * 60 - clock.second);
        case Step::kDay: return at.plus_seconds(86'400 - (clock.hour * 60 + clock.minute) * 60 - clock.second);
    }
    return at;
}

// When the date_spec holds or no longer holds. The search goes from boundary to boundary of the finest field and is
// bounded: where it ends without a change, the caller is told to look again then.
WallTime next_change_of(const std::vector<Limit>& limits, const DateTime& now, bool holds) {
    Step finest = Step::kDay;
    for (const Limit& limit : limits) finest = std::max(finest, limit.field->step);
    DateTime at = now;
    for (int i = 0; i < 400; ++i) {
        at = next_boundary(at, finest);
        if ((check(limits, at) == Outcome::kTrue) != holds) break;
    }
    return at.wall();
}

// An attribute that should be a date: absent and unreadable ones are both empty, the latter is told.
std::optional<DateTime> date_of(const xml::Node& node, const char* attribute, const DateTime& now,
                                std::vector<std::string>& problems) {
    const auto text = node.attribute(attribute);
    if (!text) return std::nullopt;
    auto date = parse_date_time(*text, now);
    if (date) return *date;
    problems.push_back(fmt::format("{}: {}: {}", place_of(node), attribute, date.error().what));
    return std::nullopt;
}

}  // namespace

Result<CalendarDuration> duration_of(const xml::Node& duration) {
    CalendarDuration length;
    const auto field = [&duration](const char* name) -> Result<long long> {
        const auto text = duration.attribute(name);
        if (!text) return 0;
        const auto value = parse_integer(*text);
        if (!value || *value > 1'000'000'000 || *value < -1'000'000'000) {
            return fail(Errc::kInvalid,
                        fmt::format("{}: {}='{}' is not a number of {}", place_of(duration), name, *text, name));
        }
        return *value;
    };
    struct Unit {
        const char* name;
        int CalendarDuration::* part;
        int factor;
    };
    for (const Unit& unit : {Unit{"years", &CalendarDuration::years, 1}, Unit{"months", &CalendarDuration::months, 1},
                             Unit{"weeks", &CalendarDuration::days, 7}, Unit{"days", &CalendarDuration::days, 1}}) {
        const auto value = field(unit.name);
        if (!value) return tl::unexpected(value.error());
        const long long sum = length.*unit.part + *value * unit.factor;
        length.*unit.part = static_cast<int>(std::clamp(sum, -1'000'000'000LL, 1'000'000'000LL));
    }
    struct ClockUnit {
        const char* name;
        int factor;
    };
    for (const ClockUnit& unit : {ClockUnit{"hours", 3600}, ClockUnit{"minutes", 60}, ClockUnit{"seconds", 1}}) {
        const auto value = field(unit.name);
        if (!value) return tl::unexpected(value.error());
        length.seconds += *value * unit.factor;
    }
    return length;
}

Evaluation evaluate_date_spec(const xml::Node& spec, const DateTime& now) {
    Evaluation result;
    std::vector<Limit> limits;
    for (const Field& field : kFields) {
        const auto text = spec.attribute(field.name);
        if (!text) continue;
        if (const auto range = parse_range(*text)) {
            limits.push_back({&field, *range});
        } else {
            result.problems.push_back(fmt::format("{}: {}='{}' is neither a number nor a range: left out",
                                                  place_of(spec), field.name, *text));
        }
    }
    result.outcome = check(limits, now);
    if (!limits.empty()) result.next_date_spec = next_change_of(limits, now, result.holds());
    return result;
}

Evaluation evaluate_date_expression(const xml::Node& expression, const DateTime& now) {
    Evaluation result{Outcome::kUndetermined, std::nullopt, std::nullopt, {}};
    const std::string operation = to_lower(expression.get("operation", "in_range"));
    const auto lacks = [&](const char* attribute) {
        if (!expression.has(attribute)) {
            result.problems.push_back(
                fmt::format("{}: operation '{}' requires '{}'", place_of(expression), operation, attribute));
        }
        return result;
    };
    const auto changes_at = [&result](const DateTime& at) { result.next_change = at.wall(); };

    if (operation == "date_spec") {
        const xml::Node* spec = expression.child("date_spec");
        if (spec == nullptr) {
            result.problems.push_back(
                fmt::format("{}: operation 'date_spec' requires a date_spec", place_of(expression)));
            return result;
        }
        return evaluate_date_spec(*spec, now);
    }
    if (operation == "gt") {
        const auto start = date_of(expression, "start", now, result.problems);
        if (!start) return lacks("start");
        result.outcome = now > *start ? Outcome::kTrue : Outcome::kBefore;
        if (!result.holds()) changes_at(start->plus_seconds(1));  // "after" holds from the next second on
        return result;
    }
    if (operation == "lt") {
        const auto end = date_of(expression, "end", now, result.problems);
        if (!end) return lacks("end");
        result.outcome = now < *end ? Outcome::kTrue : Outcome::kAfter;
        if (result.holds()) changes_at(*end);
        return result;
    }
    if (operation != "in_range") {
        result.problems.push_back(fmt::format("{}: operation '{}' is not one of gt, lt, in_range, date_spec",
                                              place_of(expression), operation));
        return result;
    }

    const auto start = date_of(expression, "start", now, result.problems);
    auto end = date_of(expression, "end", now, result.problems);
    if (const xml::Node* duration = expression.child("duration");
        duration != nullptr && start && !expression.has("end")) {
        const auto length = duration_of(*duration);
        if (length) {
            end = *start + *length;
        } else {
            result.problems.push_back(length.error().what);
        }
    }
    if (!start && !end) {
        result.problems.push_back(fmt::format("{}: in_range requires a valid 'start' or 'end'", place_of(expression)));
        return result;
    }
    if (start && now < *start) {
        result.outcome = Outcome::kBefore;
        changes_at(*start);
    } else if (end && now > *end) {
        result.outcome = Outcome::kAfter;
    } else {
        result.outcome = Outcome::kTrue;
        if (end) changes_at(end->plus_seconds(1));  // the end itself is still within the range
    }
    return result;
}

}  // namespace systole::rules
