#include "fencing/topology.h"

#include <fmt/format.h>
#include <regex.h>

#include <algorithm>

#include "base/text.h"

namespace systole::fencing {

bool matches_pattern(std::string_view pattern, std::string_view text) {
    regex_t compiled;
    if (regcomp(&compiled, std::string(pattern).c_str(), REG_EXTENDED | REG_NOSUB) != 0) return false;
    const bool matches = regexec(&compiled, std::string(text).c_str(), 0, nullptr, 0) == 0;
    regfree(&compiled);
    return matches;
}

Result<Topology::Key> Topology::key_of(const xml::Node& level) {
    if (const auto name = level.get("target"); !name.empty()) return Key{By::kName, std::string(name), {}, {}};
    if (const auto pattern = level.get("target-pattern"); !pattern.empty())
        return Key{By::kPattern, std::string(pattern), {}, {}};
    const auto attribute = level.get("target-attribute");
    if (!attribute.empty() && level.has("target-value")) {
        return Key{By::kAttribute, fmt::format("{}={}", attribute, level.get("target-value")), std::string(attribute),
                   std::string(level.get("target-value"))};
    }
    return fail(Errc::kInvalid, fmt::format("Invalid target for topology level '{}'", level.id()));
}

bool Topology::same_target(const Entry& entry, const Key& key) {
    if (entry.by != key.by) return false;
    return key.by == By::kName ? same_ignoring_case(entry.target, key.target) : entry.target == key.target;
}

Result<void> Topology::add(const xml::Node& level, bool from_cib) {
    if (level.id().empty()) return fail(Errc::kInvalid, "Topology level is invalid without ID");
    auto key = key_of(level);
    if (!key) return tl::unexpected(key.error());
    const auto index = parse_integer(level.get("index"));
    if (!index || *index < 1 || *index > 9) {
        return fail(Errc::kInvalid,
                    fmt::format("Invalid level number '{}' for topology level '{}'", level.get("index"), level.id()));
    }
    auto it =
        std::ranges::find_if(entries_, [&](const Entry& e) { return same_target(e, *key) && e.from_cib == from_cib; });
    if (it == entries_.end()) {
        entries_.push_back({key->by, key->target, key->attribute, key->value, from_cib, {}});
        it = std::prev(entries_.end());
    }
    for (const auto device : split(level.get("devices"), ",")) {
        it->levels[static_cast<int>(*index)].emplace_back(trim(device));
    }
    return {};
}

Result<void> Topology::remove(const xml::Node& level) {
    auto key = key_of(level);
    if (!key) return tl::unexpected(key.error());
    const auto index = parse_integer(level.get("index"));
    if (!index || *index < 0 || *index > 9) {
        return fail(Errc::kInvalid,
                    fmt::format("Invalid level number '{}' for topology level {}", level.get("index"), level.id()));
    }
    for (auto& entry : entries_) {
        if (!same_target(entry, *key)) continue;
        if (*index == 0) {
            entry.levels.clear();
        } else {
            entry.levels.erase(static_cast<int>(*index));
        }
    }
    std::erase_if(entries_, [](const Entry& e) { return e.levels.empty(); });
    return {};
}

void Topology::drop_those_from_cib() {
    std::erase_if(entries_, [](const Entry& e) { return e.from_cib; });
}

const Levels* Topology::of(std::string_view node, const HasAttribute& has_attribute) const {
    const auto applies = [&](const Entry& e) {
        switch (e.by) {
            case By::kName: return same_ignoring_case(e.target, node);
            case By::kPattern: return matches_pattern(e.target, node);
            case By::kAttribute: return has_attribute(node, e.attribute, e.value);
        }
        return false;
    };
    for (const auto by : {By::kName, By::kPattern, By::kAttribute}) {
        for (const auto& entry : entries_) {
            if (entry.by == by && !entry.levels.empty() && applies(entry)) return &entry.levels;
        }
    }
    return nullptr;
}

std::string level_label(const xml::Node& level) {
    std::string_view target = level.get("target");
    if (target.empty()) target = level.get("target-pattern");
    if (!target.empty()) return fmt::format("{}[{}]", target, level.get("index"));
    return fmt::format("{}={}[{}]", level.get("target-attribute"), level.get("target-value"), level.get("index"));
}

}  // namespace systole::fencing
