#include "rules/iso8601.h"
#include "base/text.h"

namespace systole::rules {
namespace {

const DateTime kNow = *parse_date_time("2026-11-22 19:17:49Z", {});

std::string shown(std::string_view text, DateFormat format = {}) {
    const auto date = parse_date_time(text, kNow);
    return date ? to_string(*date, format) : date.error().what;
}

TEST(Iso8601, ReadsEveryFormOfDate) {
    const std::pair<const char*, const char*> table[]{
        {"2019-04-25T21:42:54+0200", "2019-04-25 19:42:54Z"},
        {"2019-04-25 21:42:54 -02", "2019-04-25 23:42:54Z"},
        {"20191201T131211 -05:00", "2019-12-01 18:12:11Z"},
        {"2005-040", "2005-02-09 00:00:00Z"},
        {"2020-366", "2020-12-31 00:00:00Z"},
        {"2006-W01-7 00Z", "2006-01-08 00:00:00Z"},
        {"2009-W53-7 00:00:00Z", "2010-01-03 00:00:00Z"},
        {"2008-W01-1 00Z", "2007-12-31 00:00:00Z"},
        {"2019-12-31 24:00:00Z", "2020-01-01 00:00:00Z"},
        {"T12:00", "2026-11-22 12:00:00Z"},
        {"12:00:01", "2026-11-22 12:00:01Z"},
        {"epoch", "1970-01-01 00:00:00Z"},
        {"20180101", "2018-01-01 00:00:00Z"},
        {"9999-12-31 23:59:59Z", "9999-12-31 23:59:59Z"},
    };
    for (const auto& [text, expected] : table) EXPECT_EQ(shown(text), expected) << text;
}

TEST(Iso8601, RefusalsNameThePart) {
    const std::pair<const char*, const char*> table[]{
        {"", "No ISO 8601 date/time specification given"},
        {"2019-13-01",
         "'2019-13-01' is not a valid ISO 8601 date/time specification because '13' is not a valid month"},
        {"2019-02-29 00:00:00Z",
         "'2019-02-29 00:00:00Z' is not a valid ISO 8601 date/time specification because '29' is not a valid day of "
         "the month"},
        {"2019-10-01T25:00:00Z", "25:00:00Z is not a valid ISO 8601 time specification because 25 is not a valid hour"},
        {"2019-10-01T24:00:01Z", "24:00:01Z is not a valid ISO 8601 time specification because 24 is not a valid hour"},
        {"2019-W53-1", "'2019-W53-1' is not a valid ISO 8601 date/time specification because '53' is not a valid week"},
    };
    for (const auto& [text, expected] : table) EXPECT_EQ(shown(text), expected) << text;
    EXPECT_FALSE(parse_date_time("10000-01-01", kNow));
    EXPECT_FALSE(parse_date_time("foo", kNow));
}

TEST(Iso8601, TimesWithoutZoneAreLocalAndDatesAlwaysUtc) {
    const DateTime new_york = kNow.at_offset(-5 * 3600);
    EXPECT_EQ(to_string(*parse_date_time("2005-02-09 05", new_york)), "2005-02-09 10:00:00Z");
    EXPECT_EQ(to_string(*parse_date_time("2005-02-09", new_york)), "2005-02-09 00:00:00Z");
    EXPECT_EQ(to_string(*parse_date_time("2005-02-09 05", new_york), {.with_offset = true}),
              "2005-02-09 05:00:00 -05:00");
}

TEST(Iso8601, PrintsOrdinalAndWeekDates) {
    EXPECT_EQ(shown("epoch", {.date = DateFormat::Date::kOrdinal}), "1970-001 00:00:00Z");
    EXPECT_EQ(shown("2010-01-03", {.date = DateFormat::Date::kWeek}), "2009-W53-7 00:00:00Z");
    EXPECT_EQ(shown("2009-12-28", {.date = DateFormat::Date::kWeek}), "2009-W53-1 00:00:00Z");
}

// Ends as the reference's iso8601 -D shows them, those of leap years included.
TEST(Iso8601, DurationsAreAddedByTheCalendar) {
    struct Row {
        const char *start, *length, *end, *text;
    };
    const Row table[]{
        {"2009-01-31", "P1M", "2009-02-28 00:00:00Z", " 1 month "},
        {"2009-03-31 01:00:00 +01:00", "P-1M", "2009-02-28 00:00:00Z", "-1 months "},
        {"2019-12-31", "P2M", "2020-02-29 00:00:00Z", " 2 months "},
        {"2019-12-31", "P-10M", "2019-02-28 00:00:00Z", "-10 months "},
        {"2019-06-15", "P1Y", "2020-06-14 00:00:00Z", "   1 year "},
        {"2020-12-31", "P1Y", "2021-12-31 00:00:00Z", "   1 year "},
        {"2020-02-29", "P1Y", "2021-03-01 00:00:00Z", "   1 year "},
        {"2019-03-31", "P1M1D", "2019-05-01 00:00:00Z", " 1 month  1 day "},
        {"2019-01-30", "P-1Y-1M", "2017-12-30 00:00:00Z", "  -1 years -1 months "},
        {"2019-01-30", "P1Y2M1W1DT1H1M1S", "2020-04-07 01:01:01Z",
         "   1 year  2 months  8 days 3661 seconds (1 hour 1 minute 1 second)"},
        {"epoch", "P2Y5MT6M", "1972-06-01 00:06:00Z", "   2 years  5 months 360 seconds (6 minutes)"},
        {"2014-01-01 00:30:00Z", "P-1H", "2013-12-31 23:30:00Z", "-3600 seconds (1 hour)"},
        {"2019-03-01", "P0D", "2019-03-01 00:00:00Z", "0 seconds"},
    };
    for (const Row& row : table) {
        const auto length = parse_duration(row.length);
        ASSERT_TRUE(length) << row.length;
        EXPECT_EQ(to_string(*parse_date_time(row.start, kNow) + *length), row.end) << row.start << " + " << row.length;
        EXPECT_EQ(to_string(*length), row.text);
    }
    EXPECT_EQ(to_string(*parse_date_time("9999-01-01", kNow) + CalendarDuration{.years = 5, .months = 14}),
              "9999-03-01 00:00:00Z");
}

TEST(Iso8601, PeriodsHaveTwoOfThree) {
    EXPECT_EQ(to_string(*parse_period("P1M/2019-01-31", kNow)), "2018-12-31 00:00:00Z to 2019-01-31 00:00:00Z");
    EXPECT_EQ(to_string(*parse_period("2019-01-01 05:00:00 +02:00/PT1H", kNow)),
              "2019-01-01 03:00:00Z to 2019-01-01 04:00:00Z");
    EXPECT_EQ(parse_period("PT2S/P1M", kNow).error().what,
              "'PT2S/P1M' is not a valid ISO 8601 time period because it has two durations");
    EXPECT_EQ(parse_period("P1YM/2019-02-20", kNow).error().what,
              "'P1YM/2019-02-20' is not a valid ISO 8601 duration because no valid integer at 'M/2019-02-20'");
}

TEST(Iso8601, IntervalSpecificationsMayBeDurations) {
    EXPECT_EQ(parse_interval_spec("PT1M30S"), Duration{90'000});
    EXPECT_EQ(parse_interval_spec("P1D"), Duration{86'400'000});
    EXPECT_EQ(parse_interval_spec("10s"), Duration{10'000});
    EXPECT_EQ(parse_interval_spec("P-1D"), std::nullopt);
    EXPECT_EQ(parse_interval_spec("PX"), std::nullopt);
    EXPECT_EQ(parse_interval_spec("P422240440Y"), kLongestInterval);  // found by rules_fuzz
}

}  // namespace
}  // namespace systole::rules
