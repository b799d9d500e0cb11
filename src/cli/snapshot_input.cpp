#include "cli/snapshot_input.h"

#include "base/text.h"
#include "cli/local_time.h"

namespace systole::cli {

OptionGroup snapshot_options() {
    return {"source",
            "Data Source:",
            "Show data source options",
            {{'x', "cib-file", Value::kRequired, "FILE", "Use the CIB in the named file ('-' for standard input)"},
             {'t', "set-datetime", Value::kRequired, "DATETIME", "Reason as of this date/time (ISO 8601)"}}};
}

tl::expected<Snapshot, SourceError> read_snapshot(const Arguments& arguments, Output& output) {
    auto source = arguments.has("cib-file") ? tl::expected<std::unique_ptr<StatusSource>, SourceError>(
                                                  file_source(arguments.value("cib-file").value_or("-")))
                                            : open_source();
    if (!source) return tl::unexpected(source.error());
    auto original = (*source)->query();
    if (!original) return tl::unexpected(original.error());
    auto newest = upgraded_if_valid(*original, output);
    if (!newest) return tl::unexpected(newest.error());
    Snapshot snapshot{*original, *newest, now()};
    if (const auto text = arguments.value("set-datetime")) {
        const auto at = rules::parse_date_time(*text, snapshot.now);
        if (!at) return tl::unexpected(SourceError{ExitCode::kUsage, at.error().what});
        snapshot.now = *at;
    } else if (const auto made = parse_integer(snapshot.cib->get("execution-date"));
               made && snapshot.cib->has("execution-date")) {
        snapshot.now = rules::DateTime(WallTime{*made}, local_offset_seconds(WallTime{*made}));
    }
    return snapshot;
}

}  // namespace systole::cli
