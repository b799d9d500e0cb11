#include "cib/versions.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cib/schema.h"
#include "wire/message.h"

namespace systole::cib {

std::string to_string(const Version& v) { return fmt::format("{}.{}.{}", v.admin_epoch, v.epoch, v.num_updates); }

Version version_of(const xml::Node& cib) {
    const auto number = [&](std::string_view name) { return parse_integer(cib.get(name)).value_or(0); };
    return {number("admin_epoch"), number("epoch"), number("num_updates")};
}

xml::NodePtr with_version(const xml::Node& cib, const Version& version) {
    const Version old = version_of(cib);
    if (old == version) return cib.share();
    xml::Builder copy(cib);
    if (old.admin_epoch != version.admin_epoch) copy.set("admin_epoch", version.admin_epoch);
    if (old.epoch != version.epoch) copy.set("epoch", version.epoch);
    if (old.num_updates != version.num_updates) copy.set("num_updates", version.num_updates);
    return std::move(copy).build();
}

Release release_of(const xml::Node& cib) {
    const std::string_view feature_set = cib.get("crm_feature_set");
    if (feature_set.empty()) return {};
    return {
        .copies_uncounted = wire::compare_versions(feature_set, "3.19.6") < 0,
        .objects_rebuilt = wire::compare_versions(feature_set, "3.17.0") < 0,
        .scores_always_expanded = wire::compare_versions(feature_set, "3.19.0") < 0,
    };
}

bool has_legacy_escaping(std::string_view feature_set) {
    return !feature_set.empty() && wire::compare_versions(feature_set, "3.20.0") < 0;
}

int compare_schema_names(std::string_view a, std::string_view b) {
    // (major, minor); "next" is beyond every number, other names are before all.
    const auto rank = [](std::string_view name) -> std::pair<long long, long long> {
        constexpr std::string_view kPrefix = "pacemaker-";
        if (!name.starts_with(kPrefix)) return {-1, 0};
        name.remove_prefix(kPrefix.size());
        if (name == "next") return {1LL << 40, 0};
        const std::size_t dot = name.find('.');
        const auto major = parse_integer(name.substr(0, dot));
        const auto minor =
            dot == std::string_view::npos ? std::optional<long long>(0) : parse_integer(name.substr(dot + 1));
        if (!major || !minor) return {-1, 0};
        return {*major, *minor};
    };
    const auto x = rank(a);
    const auto y = rank(b);
    if (x == y) return 0;
    return x < y ? -1 : 1;
}

}  // namespace systole::cib
