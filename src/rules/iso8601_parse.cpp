// Text to moments, durations and periods: rules/iso8601.h.
#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "base/text.h"
#include "rules/iso8601.h"

namespace systole::rules {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Reads along a text; a failed read leaves it where it was.
class Cursor {
public:
    explicit Cursor(std::string_view text) : rest_(text) {}
    [[nodiscard]] std::string_view rest() const { return rest_; }
    [[nodiscard]] bool at_end() const { return rest_.empty(); }
    [[nodiscard]] char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
    bool skip(char c) {
        if (peek() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    void skip_blanks() {
        while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
    }
    // An integer of at most `digits_max` characters, sign included, as scanf counts.
    std::optional<int> integer(std::size_t digits_max = 20) {
        std::size_t at = 0;
        bool negative = false;
        if (at < rest_.size() && (rest_[at] == '-' || rest_[at] == '+')) negative = rest_[at++] == '-';
        const std::size_t first = at;
        std::int64_t value = 0;
        while (at < rest_.size() && at < digits_max && is_digit(rest_[at])) {
            value = std::min<std::int64_t>(value * 10 + (rest_[at++] - '0'), std::numeric_limits<int>::max());
        }
        if (at == first) return std::nullopt;
        rest_.remove_prefix(at);
        return static_cast<int>(negative ? -value : value);
    }

private:
    std::string_view rest_;
};

tl::unexpected<Error> refuse_date(std::string_view text, std::string_view why) {
    return fail(Errc::kInvalid, fmt::format("'{}' is not a valid ISO 8601 date/time specification{}", text, why));
}

tl::unexpected<Error> refuse_part(std::string_view text, long long value, const char* part) {
    return refuse_date(text, fmt::format(" because '{}' is not a valid {}", value, part));
}

// Hours, minutes, seconds, with or without colons; seconds of the day. 24:00:00 is allowed: it ends the day.
Result<int> read_clock(Cursor& in) {
    const std::string_view whole = in.rest();
    int hour = 0;
    int minute = 0;
    int second = 0;
    Cursor spaced = in;
    const auto first = spaced.integer();
    if (!first) return fail(Errc::kInvalid, fmt::format("{} is not a valid ISO 8601 time specification", whole));
    if (spaced.peek() == ':') {
        hour = *first;
        spaced.skip(':');
        minute = spaced.integer().value_or(0);
        if (spaced.skip(':')) second = spaced.integer().value_or(0);
        in = spaced;
    } else {
        hour = in.integer(2).value_or(0);
        minute = in.integer(2).value_or(0);
        second = in.integer(2).value_or(0);
    }
    const auto refuse = [&whole](int value, const char* part) {
        return fail(Errc::kInvalid,
                    fmt::format("{} is not a valid ISO 8601 time specification because {} is not a valid {}", whole,
                                static_cast<unsigned>(value), part));
    };
    if (hour < 0 || hour > 24 || (hour == 24 && (minute != 0 || second != 0))) return refuse(hour, "hour");
    if (minute < 0 || minute > 59) return refuse(minute, "minute");
    if (second < 0 || second > 59) return refuse(second, "second");
    return (hour * 60 + minute) * 60 + second;
}

struct Clock {
    int seconds = 0;
    int offset = 0;
};

// A time with its offset; `text` ends before any '/', `whole` doesn't and is what messages show.
Result<Clock> read_time(Cursor in, int local_offset) {
    Clock clock;
    if (in.at_end() || in.peek() == '/') return Clock{0, local_offset};
    auto seconds = read_clock(in);
    if (!seconds) return tl::unexpected(seconds.error());
    clock.seconds = *seconds;
    while (!in.at_end() && in.peek() != '/' && in.peek() != 'Z' && in.peek() != '+' && in.peek() != '-')
        in.skip(in.peek());
    if (in.skip('Z')) return clock;
    if (in.peek() == '+' || in.peek() == '-') {
        const int sign = in.peek() == '-' ? -1 : 1;
        in.skip(in.peek());
        auto offset = read_clock(in);
        if (!offset) return tl::unexpected(offset.error());
        clock.offset = sign * *offset;
        return clock;
    }
    clock.offset = local_offset;
    return clock;
}

bool in_years(int year) { return year >= 1 && year <= 9999; }

DateTime midnight(int year, int month, int day) {
    auto date = DateTime::from_calendar({year, month, day}, {0, 0, 0}, 0);
    SYSTOLE_ASSERT(date.has_value(), "callers pass dates that exist");
    return *date;
}

int days_in_month(int year, int month) {
    return month == 12
               ? 31
               : static_cast<int>(
                     (midnight(year, month + 1, 1).wall().seconds - midnight(year, month, 1).wall().seconds) / 86'400);
}

int days_in_year(int year) { return midnight(year, 12, 31).ordinal().day; }

// What a text denotes before its range is looked at: whether the year is within 1..9999 is for the caller to tell,
// as a date and the start of a period are refused in different words.
struct Parsed {
    DateTime at;
    bool in_range = true;
};

struct Date {
    DateTime midnight;
    bool in_range = true;
};

Result<Date> read_date(std::string_view text) {
    // Forms are told apart by what can be read of them, longest first: 2019-04-25, 20190425, 2019-115, 2019-W17-4.
    Cursor in(text);
    const auto year = in.integer();
    if (!year) return refuse_date(text, "");
    Cursor compact(text);
    std::optional<CalendarDate> date;
    if (Cursor dashed = in; dashed.skip('-')) {
        if (const auto month = dashed.integer(); month && dashed.skip('-')) {
            if (const auto day = dashed.integer()) date = CalendarDate{*year, *month, *day};
        }
    } else {
        const auto y = compact.integer(4);
        const auto m = compact.integer(2);
        const auto d = compact.integer(2);
        if (y && m && d) date = CalendarDate{*y, *m, *d};
    }
    if (date) {
        if (date->month < 1 || date->month > 12) return refuse_part(text, date->month, "month");
        if (date->year > 9999) return Date{DateTime{}, false};
        if (!in_years(date->year)) return refuse_part(text, static_cast<unsigned>(date->year), "year");
        if (date->day < 1 || date->day > days_in_month(date->year, date->month)) {
            return refuse_part(text, date->day, "day of the month");
        }
        return Date{midnight(date->year, date->month, date->day)};
    }
    if (!in.skip('-')) return refuse_date(text, "");
    if (in.skip('W')) {
        const auto week = in.integer();
        if (!week || !in.skip('-')) return refuse_date(text, "");
        const auto day = in.integer();
        if (!day) return refuse_date(text, "");
        if (*year > 9999) return Date{DateTime{}, false};
        if (!in_years(*year)) return refuse_part(text, static_cast<unsigned>(*year), "year");
        const int weeks = midnight(*year, 12, 28).week().week;  // December 28 is in the last week of its year
        if (*week < 1 || *week > weeks) return refuse_part(text, *week, "week");
        if (*day < 1 || *day > 7) return refuse_part(text, *day, "day of the week");
        const DateTime fourth = midnight(*year, 1, 4);
        const int offset = 1 - fourth.week().day + (*week - 1) * 7 + *day - 1;
        return Date{fourth + CalendarDuration{.days = offset}};
    }
    const auto day = in.integer();
    if (!day) return refuse_date(text, "");
    if (*year > 9999) return Date{DateTime{}, false};
    if (!in_years(*year)) return refuse_part(text, static_cast<unsigned>(*year), "year");
    if (*day < 1 || *day > days_in_year(*year)) {
        return refuse_date(text, fmt::format(" because '{}' is not a valid day of the year {} (1-{})", *day, *year,
                                             days_in_year(*year)));
    }
    return Date{midnight(*year, 1, 1) + CalendarDuration{.days = *day - 1}};
}

Result<Parsed> read_moment(std::string_view text, const DateTime& now) {
    if (text.empty()) return fail(Errc::kInvalid, "No ISO 8601 date/time specification given");
    const std::string_view one = text.substr(0, text.find('/'));
    if (same_ignoring_case(one.substr(0, 5), "epoch") && (one.size() == 5 || is_blank(one[5]))) {
        return Parsed{DateTime{}};
    }
    Date date;
    std::optional<std::string_view> time;
    if (text.front() == 'T' || (text.size() > 2 && text[2] == ':')) {
        const CalendarDate today = now.calendar();
        date.midnight = midnight(today.year, today.month, today.day);
        time = text.substr(text.front() == 'T' ? 1 : 0);
    } else {
        auto read = read_date(text);
        if (!read) return tl::unexpected(read.error());
        date = *read;
        if (const auto at = one.find_first_of("T "); at != std::string_view::npos) {
            Cursor in(text.substr(at + 1));
            in.skip_blanks();
            time = in.rest();
        }
    }
    Clock clock;  // a date without a time is midnight UTC, whatever the machine's zone
    if (time) {
        auto read = read_time(Cursor(*time), now.offset_seconds());
        if (!read) return tl::unexpected(read.error());
        clock = *read;
    }
    if (!date.in_range) return Parsed{DateTime{}, false};
    const DateTime at{WallTime{date.midnight.wall().seconds + clock.seconds - clock.offset}, clock.offset};
    return Parsed{at, in_years(at.calendar().year)};
}

constexpr const char* kRange = "(must be between 0001-01-01T00:00:00 and 9999-12-31T23:59:59)";

}  // namespace

Result<DateTime> parse_date_time(std::string_view text, const DateTime& now) {
    auto read = read_moment(text, now);
    if (!read) return tl::unexpected(read.error());
    if (!read->in_range) return refuse_date(text, fmt::format(" because the time is out of range {}", kRange));
    return read->at;
}

Result<CalendarDuration> parse_duration(std::string_view text) {
    const auto refuse = [&text](std::string_view why) {
        return fail(Errc::kInvalid, fmt::format("'{}' is not a valid ISO 8601 {}", text, why));
    };
    if (text.empty()) return fail(Errc::kInvalid, "No ISO 8601 time duration given");
    Cursor in(text);
    if (!in.skip('P')) return refuse("time duration because it does not start with a 'P'");
    if (in.at_end() || in.peek() == '/') return refuse("time duration because nothing follows 'P'");
    CalendarDuration length;
    bool time = false;
    const auto add = [](int& part, std::int64_t more) {
        const std::int64_t sum = part + more;
        if (sum > 1'000'000'000 || sum < -1'000'000'000) return false;  // beyond any calendar: years end at 9999
        part = static_cast<int>(sum);
        return true;
    };
    while (!in.at_end() && in.peek() != '/' && !is_blank(in.peek())) {
        if (in.skip('T')) {
            time = true;
            continue;
        }
        const auto count = in.integer();
        if (!count) return refuse(fmt::format("duration because no valid integer at '{}'", in.rest()));
        const char unit = in.peek();
        bool fits = true;
        switch (unit) {
            case 'Y': fits = add(length.years, *count); break;
            case 'M':
                if (time) {
                    length.seconds += std::int64_t{*count} * 60;
                } else {
                    fits = add(length.months, *count);
                }
                break;
            case 'W': fits = add(length.days, std::int64_t{*count} * 7); break;
            case 'D': fits = add(length.days, *count); break;
            case 'H': length.seconds += std::int64_t{*count} * 3600; break;
            case 'S': length.seconds += *count; break;
            case '\0':
            case '/': return refuse(fmt::format("duration because no units after {}", *count));
            default: return refuse(fmt::format("duration because '{}' is not a valid time unit", unit));
        }
        if (!fits) return refuse(fmt::format("duration because {} is too large", *count));
        in.skip(unit);
    }
    return length;
}

Result<TimePeriod> parse_period(std::string_view text, const DateTime& now) {
    if (text.empty()) return fail(Errc::kInvalid, "No ISO 8601 time period given");
    const auto refuse = [](std::string_view what, std::string_view why) {
        return fail(Errc::kInvalid, fmt::format("'{}' is not a valid ISO 8601 time period because {}", what, why));
    };
    std::optional<CalendarDuration> length;
    Parsed start;
    Parsed end;
    if (text.front() == 'P') {
        auto read = parse_duration(text);
        if (!read) return tl::unexpected(read.error());
        length = *read;
    } else {
        auto read = read_moment(text, now);
        if (!read) return tl::unexpected(read.error());
        start = *read;
    }
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return refuse(text, "it has no duration or ending time");
    const std::string_view rest = text.substr(slash + 1);
    if (rest.starts_with('P')) {
        if (length) return refuse(text, "it has two durations");
        auto read = parse_duration(rest);
        if (!read) return tl::unexpected(read.error());
        end = Parsed{start.at + *read, start.in_range};
    } else {
        auto read = read_moment(rest, now);
        if (!read) return tl::unexpected(read.error());
        end = *read;
        if (length) start = Parsed{end.at - *length, end.in_range};
    }
    if (!start.in_range) return refuse(rest, fmt::format("the start is invalid {}", kRange));
    if (!end.in_range) return refuse(rest, fmt::format("the end is invalid {}", kRange));
    return TimePeriod{start.at, end.at};
}

std::optional<Duration> parse_interval_spec(std::string_view text) {
    const std::string_view trimmed = trim(text);
    if (!trimmed.starts_with('P')) return parse_interval(text);
    const auto length = parse_duration(trimmed);
    if (!length || length->nominal_seconds() < 0) return std::nullopt;
    if (length->nominal_seconds() > kLongestInterval.count() / 1000) return kLongestInterval;
    return Duration{length->nominal_seconds() * 1000};
}

}  // namespace systole::rules
