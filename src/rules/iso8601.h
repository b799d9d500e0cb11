#pragma once
// rules/iso8601.h — dates, durations and periods in the dialect of ISO 8601 that the CIB and the commands use.
//
// A moment keeps the offset it was written with, as people expect to read it back so, but compares by what it denotes.
// The zone of this machine is an argument ("local offset"): nothing here asks the environment or a clock.
//
// Invariant: the year of a DateTime, in its own offset, is between 1 and 9999.
// Source: Pacemaker Explained, "Date/Time Expressions"; iso8601(8); ISO 8601:2004 4.1 to 4.4.
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace systole::rules {

/// A length of time by the calendar: what a month comes to depends on where it starts. Parts may be negative.
struct CalendarDuration {
    int years = 0;
    int months = 0;
    int days = 0;  ///< weeks are seven of these
    std::int64_t seconds = 0;
    bool operator==(const CalendarDuration&) const = default;
    /// The length in seconds with a year of 365 days and a month of 30, as interval specifications count.
    [[nodiscard]] std::int64_t nominal_seconds() const;
};

struct CalendarDate {
    int year, month, day;
};
struct OrdinalDate {
    int year, day;  ///< 1..366
};
struct WeekDate {
    int year, week, day;  ///< the year of the week; 1..53; 1 is Monday
};
struct TimeOfDay {
    int hour, minute, second;
};

class DateTime {
public:
    DateTime() = default;
    DateTime(WallTime at, int offset_seconds) : at_(at), offset_(offset_seconds) {}
    /// Errors: kInvalid names the part that is out of range.
    static Result<DateTime> from_calendar(CalendarDate date, TimeOfDay time, int offset_seconds);

    [[nodiscard]] WallTime wall() const { return at_; }
    [[nodiscard]] int offset_seconds() const { return offset_; }
    [[nodiscard]] DateTime at_offset(int offset_seconds) const { return {at_, offset_seconds}; }

    // What clock and calendar at the moment's own offset show.
    [[nodiscard]] CalendarDate calendar() const;
    [[nodiscard]] OrdinalDate ordinal() const;
    [[nodiscard]] WeekDate week() const;
    [[nodiscard]] TimeOfDay time() const;

    /// Years first, then months, days and seconds; a day that the month doesn't have becomes its last one. Results
    /// beyond year 1 or 9999 stop there.
    friend DateTime operator+(DateTime at, const CalendarDuration& length);
    [[nodiscard]] DateTime plus_seconds(std::int64_t seconds) const {
        return {WallTime{at_.seconds + seconds}, offset_};
    }
    friend bool operator==(const DateTime& a, const DateTime& b) { return a.at_ == b.at_; }
    friend auto operator<=>(const DateTime& a, const DateTime& b) { return a.at_ <=> b.at_; }

private:
    WallTime at_{};
    int offset_ = 0;
};

DateTime operator-(DateTime at, const CalendarDuration& length);

struct TimePeriod {
    DateTime start, end;
};

/// Reads calendar (2019-04-25, 20190425), ordinal (2019-115) and week dates (2019-W17-4), each with an optional time
/// after 'T' or a blank (21, 21:42, 21:42:54, 214254; 24:00:00 is the next midnight), with 'Z' or an offset
/// (+02:00, +0200, +02) or none, which means `local_offset_seconds`; a time alone is that of `now`'s day; "epoch".
/// What follows a '/' is not looked at. Errors: kInvalid names text and part.
Result<DateTime> parse_date_time(std::string_view text, const DateTime& now);

/// "P1Y2M3W4DT5H6M7S" and the like; each number may have a sign. What follows a '/' is not looked at.
/// Errors: kInvalid names text and place.
Result<CalendarDuration> parse_duration(std::string_view text);

/// "start/end", "start/duration", "duration/end". Errors: kInvalid names text and what is missing or wrong.
Result<TimePeriod> parse_period(std::string_view text, const DateTime& now);

/// An interval specification in full: number with optional unit, or ISO 8601 duration. Empty if it is neither or
/// negative. Source: Pacemaker Explained, "Duration / interval specification".
std::optional<Duration> parse_interval_spec(std::string_view text);

/// How a moment is written.
struct DateFormat {
    enum class Date : std::uint8_t { kNone, kCalendar, kOrdinal, kWeek };
    Date date = Date::kCalendar;
    bool time = true;
    bool with_offset = false;  ///< in its own offset ("... +02:00"); else in UTC, marked by 'Z'
};
/// "2019-04-25 19:42:54Z".
std::string to_string(const DateTime& at, const DateFormat& format = {});
/// " 2 years  5 months 360 seconds (6 minutes)", as iso8601(8) shows durations.
std::string to_string(const CalendarDuration& length);
/// "2019-01-01 00:00:00Z to 2019-02-01 00:00:00Z".
std::string to_string(const TimePeriod& period, const DateFormat& format = {});

}  // namespace systole::rules
