// iso8601 — shows and calculates dates, as rules and lifetimes understand them.
#include <ctime>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/local_time.h"
#include "rules/iso8601.h"

namespace systole::cli {
namespace {

using rules::DateFormat;
using rules::DateTime;

CommandSpec spec() {
    CommandSpec s;
    s.name = "iso8601";
    s.summary = "Display and parse ISO 8601 dates and times";
    s.formats = {"text", "xml", "json"};
    s.groups = {{"commands",
                 "Commands:",
                 "Show command options",
                 {{'n', "now", Value::kNone, "", "Display the current date/time"},
                  {'d', "date", Value::kRequired, "DATE",
                   "Parse an ISO 8601 date/time (for example,\n'2019-09-24 00:30:00 +01:00' or '2019-040')"},
                  {'p', "period", Value::kRequired, "PERIOD",
                   "Parse an ISO 8601 period (interval) with start time (for example,\n'2005-040/2005-043')"},
                  {'D', "duration", Value::kRequired, "DURATION", "Parse an ISO 8601 duration (for example, 'P1M')"},
                  {'E', "expected", Value::kRequired, "TEXT",
                   "Exit with error status if result does not match this text.\nRequires: -n or -d"}}},
                {"modifiers",
                 "Output modifiers:",
                 "Show output modifiers",
                 {{'s', "seconds", Value::kNone, "", "Show result as a seconds since 0000-001 00:00:00Z"},
                  {'S', "epoch", Value::kNone, "", "Show result as a seconds since EPOCH (1970-001 00:00:00Z)"},
                  {'L', "local", Value::kNone, "", "Show result as a 'local' date/time"},
                  {'O', "ordinal", Value::kNone, "", "Show result as an 'ordinal' date/time"},
                  {'W', "week", Value::kNone, "", "Show result as an 'calendar week' date/time"}}}};
    s.notes = "For more information on the ISO 8601 standard, see https://en.wikipedia.org/wiki/ISO_8601";
    return s;
}

struct Style {
    DateFormat format;
    bool seconds = false;
    bool epoch = false;
};

constexpr std::int64_t kEpochSinceYearZero = 62'167'219'200;  // 0000-001 to 1970-001

std::string shown(const DateTime& at, const Style& style) {
    if (style.seconds) return fmt::format("{}", at.wall().seconds + kEpochSinceYearZero);
    if (style.epoch) return fmt::format("{}", at.wall().seconds);
    return to_string(at, style.format);
}

// The log names the part of a date that was refused by the reader of that part, as the reference's log does.
std::string_view reader_of(std::string_view problem) {
    if (problem.find("time specification because") != std::string_view::npos &&
        problem.find("date/time") == std::string_view::npos) {
        return "parse_hms";
    }
    if (problem.find("date/time specification") != std::string_view::npos) return "parse_date";
    if (problem.find("time period") != std::string_view::npos) return "parse_period";
    if (problem.find("time duration") != std::string_view::npos) return "crm_time_parse_duration";
    return "parse_duration_element";
}

xml::Builder element(const char* name, const std::string& text) {
    return std::move(xml::Builder(name).add(xml::Builder::text(text)));
}

ExitCode refuse(Output& output, const Error& error, std::string_view what, const std::string& text) {
    output.log(Severity::kError, reader_of(error.what), error.what);
    output.fail(fmt::format("Invalid {} specified: {}", what, text));
    return ExitCode::kInvalidParameter;
}

ExitCode run(const Arguments& arguments, Output& output) {
    const WallTime wall{std::time(nullptr)};
    const DateTime now(wall, local_offset_seconds(wall));
    Style style;
    style.seconds = arguments.has("seconds");
    style.epoch = arguments.has("epoch");
    style.format.with_offset = arguments.has("local");
    if (arguments.has("ordinal")) style.format.date = DateFormat::Date::kOrdinal;
    if (arguments.has("week")) style.format.date = DateFormat::Date::kWeek;

    std::optional<DateTime> date;
    if (arguments.has("now")) {
        date = now;
        output.line("Current date/time: " + shown(*date, style));
        output.add(element("date", shown(*date, style)).set("current", "true"));
    } else if (const auto text = arguments.value("date")) {
        auto parsed = rules::parse_date_time(*text, now);
        if (!parsed) return refuse(output, parsed.error(), "date/time", *text);
        date = *parsed;
        output.line("Date: " + shown(*date, style));
        output.add(element("date", shown(*date, style)));
    }
    std::string result = date ? shown(*date, style) : "";
    if (const auto text = arguments.value("duration")) {
        const auto length = rules::parse_duration(*text);
        if (!length) return refuse(output, length.error(), "duration", *text);
        output.line("Duration: " + to_string(*length));
        output.add(element("duration", to_string(*length)));
        if (date) {
            // What is calculated keeps the offset of what was given.
            Style own = style;
            own.format.with_offset = true;
            const DateTime end = *date + *length;
            result = shown(end, style);
            output.line("Duration ends at: " + shown(end, own));
            output.add(element("duration_ends", shown(end, own)));
        }
    }
    if (const auto text = arguments.value("period")) {
        const auto period = rules::parse_period(*text, now);
        if (!period) return refuse(output, period.error(), "interval", *text);
        output.line(fmt::format("Period: {} to {}", shown(period->start, style), shown(period->end, style)));
        xml::Builder both("period");
        both.add(element("start", shown(period->start, style)));
        both.add(element("end", shown(period->end, style)));
        output.add(std::move(both));
    } else if (!date && !arguments.has("duration")) {
        output.fail(*help_text(spec(), ""));
        return ExitCode::kUsage;
    }
    const auto expected = arguments.value("expected");
    if (expected && date && *expected != result) return ExitCode::kError;
    return ExitCode::kOk;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
