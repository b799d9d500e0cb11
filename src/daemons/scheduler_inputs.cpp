#include "daemons/scheduler_inputs.h"

#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "runtime/linux/disk.h"
#include "wire/compress.h"
#include "xml/write.h"

namespace systole::daemons {
namespace {

struct Series {
    std::string_view name;
    std::string_view option;
    long long limit;
};
constexpr std::array kSeries{Series{"pe-input", "pe-input-series-max", 4000},
                             Series{"pe-warn", "pe-warn-series-max", 5000},
                             Series{"pe-error", "pe-error-series-max", -1}};

long long limit_of(const Series& series, const xml::Node& cib) {
    const xml::Node* configuration = cib.child("configuration");
    const xml::Node* options = configuration != nullptr ? configuration->child("crm_config") : nullptr;
    if (options == nullptr) return series.limit;
    for (const auto& set : options->children())
        for (const auto& pair : set->children())
            if (pair->get("name") == series.option) return parse_integer(pair->get("value")).value_or(series.limit);
    return series.limit;
}

}  // namespace

Result<std::string> next_scheduler_input(const std::string& folder, InputSeries which, const xml::Node& cib) {
    const Series& series = kSeries[static_cast<std::size_t>(which)];
    const long long limit = limit_of(series, cib);
    if (limit == 0) return std::string();
    runtime::Disk disk(folder);
    const std::string last = fmt::format("{}.last", series.name);
    long long number = 0;
    if (const auto text = disk.read(last)) number = parse_integer(*text).value_or(0);
    if (number < 0 || (limit > 0 && number >= limit)) number = 0;
    if (const auto written = disk.write(last, fmt::format("{}\n", number + 1)); !written)
        return tl::unexpected(written.error());
    return fmt::format("{}/{}-{}.bz2", folder, series.name, number);
}

Result<void> save_scheduler_input(const std::string& path, const xml::Node& cib, WallTime now) {
    const auto dated = xml::Builder(cib).set("execution-date", now.seconds).build();
    const std::string text = xml::write(*dated, {.pretty = true});
    const auto packed = wire::compress(text, text.size() + 1024);
    if (!packed) return fail(Errc::kIo, fmt::format("{} bytes cannot be compressed", text.size()));
    const std::size_t slash = path.rfind('/');
    runtime::Disk disk(path.substr(0, slash));
    return disk.write(path.substr(slash + 1), *packed);
}

}  // namespace systole::daemons
