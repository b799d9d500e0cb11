#pragma once
// rules/date_expression.h — the conditions of a rule that depend on the time.
// Source: Pacemaker Explained, "Date/Time Expressions".
#include "rules/evaluate.h"

namespace systole::rules {

/// A <date_expression>: gt, lt, in_range (with a <duration> instead of an end) or date_spec.
Evaluation evaluate_date_expression(const xml::Node& expression, const DateTime& now);

/// A <date_spec>, cron-like: every field it names must be in range. kBefore or kAfter tell on which side of the
/// first field that isn't. Fields that aren't numbers or ranges are left out and told.
Evaluation evaluate_date_spec(const xml::Node& spec, const DateTime& now);

/// The fields of a <duration>. Errors: kInvalid names element and attribute.
Result<CalendarDuration> duration_of(const xml::Node& duration);

}  // namespace systole::rules
