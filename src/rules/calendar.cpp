// Moments and calendar arithmetic of rules/iso8601.h.
#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "rules/iso8601.h"

namespace systole::rules {
namespace {

constexpr std::int64_t kDay = 86'400;

// Days since 1970-01-01 of a proleptic Gregorian date.
std::int64_t days_of(int year, int month, int day) {
    const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    return std::chrono::sys_days{date}.time_since_epoch().count();
}

int month_length(int year, int month) {
    const std::chrono::year_month_day_last last{
        std::chrono::year{year}, std::chrono::month_day_last{std::chrono::month(static_cast<unsigned>(month))}};
    return static_cast<int>(static_cast<unsigned>(last.day()));
}

int year_length(int year) { return std::chrono::year{year}.is_leap() ? 366 : 365; }

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
    return a / b - ((a % b != 0 && (a % b < 0) != (b < 0)) ? 1 : 0);
}

// 1 is Monday.
int weekday_of(std::int64_t days) { return static_cast<int>(((days + 3) % 7 + 7) % 7) + 1; }

// The Monday of the first ISO week: the week that has January 4.
std::int64_t first_week_of(int year) {
    const std::int64_t fourth = days_of(year, 1, 4);
    return fourth - (weekday_of(fourth) - 1);
}

std::int64_t local_of(const DateTime& at) { return at.wall().seconds + at.offset_seconds(); }

constexpr std::int64_t kFirst = -62'135'596'800;  // 0001-01-01T00:00:00
constexpr std::int64_t kLast = 253'402'300'799;   // 9999-12-31T23:59:59

DateTime from_local(std::int64_t local, int offset) {
    return {WallTime{std::clamp(local, kFirst, kLast) - offset}, offset};
}

}  // namespace

std::int64_t CalendarDuration::nominal_seconds() const {
    return (static_cast<std::int64_t>(years) * 365 + static_cast<std::int64_t>(months) * 30 + days) * kDay + seconds;
}

Result<DateTime> DateTime::from_calendar(CalendarDate date, TimeOfDay time, int offset_seconds) {
    const auto refuse = [](const char* part, int value) {
        return fail(Errc::kInvalid, fmt::format("'{}' is not a valid {}", value, part));
    };
    if (date.month < 1 || date.month > 12) return refuse("month", date.month);
    if (date.year < 1 || date.year > 9999) return refuse("year", date.year);
    if (date.day < 1 || date.day > month_length(date.year, date.month)) return refuse("day of the month", date.day);
    if (time.hour < 0 || time.hour > 23) return refuse("hour", time.hour);
    if (time.minute < 0 || time.minute > 59) return refuse("minute", time.minute);
    if (time.second < 0 || time.second > 59) return refuse("second", time.second);
    const std::int64_t local =
        days_of(date.year, date.month, date.day) * kDay + (time.hour * 60 + time.minute) * 60 + time.second;
    return DateTime{WallTime{local - offset_seconds}, offset_seconds};
}

CalendarDate DateTime::calendar() const {
    const std::chrono::sys_days days{std::chrono::days{floor_div(local_of(*this), kDay)}};
    const std::chrono::year_month_day date{days};
    return {static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month())),
            static_cast<int>(static_cast<unsigned>(date.day()))};
}

OrdinalDate DateTime::ordinal() const {
    const CalendarDate date = calendar();
    return {date.year, static_cast<int>(days_of(date.year, date.month, date.day) - days_of(date.year, 1, 1)) + 1};
}

WeekDate DateTime::week() const {
    const std::int64_t days = floor_div(local_of(*this), kDay);
    int year = calendar().year;
    if (days >= first_week_of(year + 1)) {
        ++year;
    } else if (days < first_week_of(year)) {
        --year;
    }
    return {year, static_cast<int>((days - first_week_of(year)) / 7) + 1, weekday_of(days)};
}

TimeOfDay DateTime::time() const {
    const std::int64_t local = local_of(*this);
    const auto second = static_cast<int>(local - floor_div(local, kDay) * kDay);
    return {second / 3600, second / 60 % 60, second % 60};
}

// A year is added to year and day of the year, as the reference does: 2019-06-15 and a year are 2020-06-14. Peers that
// evaluate the same rule have to come to the same moment.
DateTime operator+(DateTime at, const CalendarDuration& length) {
    const TimeOfDay clock = at.time();
    OrdinalDate ordinal = at.ordinal();
    ordinal.year = std::clamp(ordinal.year + length.years, 1, 9999);
    ordinal.day = std::min(ordinal.day, year_length(ordinal.year));
    if (length.years != 0) {
        at = from_local((days_of(ordinal.year, 1, 1) + ordinal.day - 1) * kDay + (clock.hour * 60 + clock.minute) * 60 +
                            clock.second,
                        at.offset_seconds());
    }
    if (length.months != 0) {
        CalendarDate date = at.calendar();
        const std::int64_t months = static_cast<std::int64_t>(date.year) * 12 + date.month - 1 + length.months;
        date.year = static_cast<int>(std::clamp<std::int64_t>(floor_div(months, 12), 1, 9999));
        date.month = static_cast<int>(months - floor_div(months, 12) * 12) + 1;
        date.day = std::min(date.day, month_length(date.year, date.month));
        at = from_local(
            days_of(date.year, date.month, date.day) * kDay + (clock.hour * 60 + clock.minute) * 60 + clock.second,
            at.offset_seconds());
    }
    // Both summands are far from the ends of the type: days fit an int, seconds are bounded by the parser.
    return from_local(
        local_of(at) + length.days * kDay + std::clamp<std::int64_t>(length.seconds, -kLast * 4, kLast * 4),
        at.offset_seconds());
}

DateTime operator-(DateTime at, const CalendarDuration& length) {
    return at + CalendarDuration{-length.years, -length.months, -length.days, -length.seconds};
}

namespace {

std::string clock_text(const DateTime& at, bool with_offset) {
    const TimeOfDay clock = at.time();
    std::string text = fmt::format("{:02}:{:02}:{:02}", clock.hour, clock.minute, clock.second);
    const int offset = at.offset_seconds();
    if (!with_offset || offset == 0) return text + "Z";
    const int minutes = std::abs(offset) / 60;
    return text + fmt::format(" {}{:02}:{:02}", offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

std::string plural(std::int64_t count, const char* unit) {
    return fmt::format("{} {}{}", count, unit, count == 1 ? "" : "s");
}

}  // namespace

std::string to_string(const DateTime& at, const DateFormat& format) {
    const DateTime shown = format.with_offset ? at : at.at_offset(0);
    std::string text;
    switch (format.date) {
        case DateFormat::Date::kNone: break;
        case DateFormat::Date::kCalendar: {
            const CalendarDate date = shown.calendar();
            text = fmt::format("{:04}-{:02}-{:02}", date.year, date.month, date.day);
            break;
        }
        case DateFormat::Date::kOrdinal: {
            const OrdinalDate date = shown.ordinal();
            text = fmt::format("{:04}-{:03}", date.year, date.day);
            break;
        }
        case DateFormat::Date::kWeek: {
            const WeekDate date = shown.week();
            text = fmt::format("{:04}-W{:02}-{}", date.year, date.week, date.day);
            break;
        }
    }
    if (format.time) {
        if (!text.empty()) text += ' ';
        text += clock_text(shown, format.with_offset);
    }
    return text;
}

std::string to_string(const CalendarDuration& length) {
    std::string text;
    if (length.years != 0) text += fmt::format("{:4} year{} ", length.years, length.years == 1 ? "" : "s");
    if (length.months != 0) text += fmt::format("{:2} month{} ", length.months, length.months == 1 ? "" : "s");
    if (length.days != 0) text += fmt::format("{:2} day{} ", length.days, length.days == 1 ? "" : "s");
    if (length.seconds == 0) return text.empty() ? "0 seconds" : text;

    text += plural(length.seconds, "second");
    const std::int64_t size = std::abs(length.seconds);
    if (size < 60) return text;
    std::string parts;
    const auto part = [&parts](std::int64_t count, const char* unit) {
        if (count != 0) parts += (parts.empty() ? "" : " ") + plural(count, unit);
    };
    part(size / 3600, "hour");
    part(size / 60 % 60, "minute");
    part(size % 60, "second");
    return text + " (" + parts + ")";
}

std::string to_string(const TimePeriod& period, const DateFormat& format) {
    return to_string(period.start, format) + " to " + to_string(period.end, format);
}

}  // namespace systole::rules
