#include "cib/schemas_set.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "base/text.h"
#include "cib/schema_acceptor.h"
#include "cib/schemas_libxml.h"

namespace systole::cib {
namespace {

using Level = SchemaNote::Level;

constexpr std::string_view kPrefix = "pacemaker-";
constexpr std::string_view kUpgradePrefix = "upgrade-";

// "3.10" of "3.10" or "3.10-99"; empty for what is no version.
struct VersionParts {
    int major = 0;
    int minor = 0;
    auto operator<=>(const VersionParts&) const = default;
};

std::optional<VersionParts> parse_version(std::string_view text) {
    const auto dot = text.find('.');
    if (dot == std::string_view::npos) return std::nullopt;
    const auto major = parse_integer(text.substr(0, dot));
    const auto minor = parse_integer(text.substr(dot + 1));
    if (!major || !minor || *major < 0 || *minor < 0 || *major > 1000 || *minor > 1000) return std::nullopt;
    return VersionParts{static_cast<int>(*major), static_cast<int>(*minor)};
}

std::optional<VersionParts> version_of_name(std::string_view schema) {
    if (!schema.starts_with(kPrefix)) return std::nullopt;
    return parse_version(schema.substr(kPrefix.size()));
}

bool same_series(std::string_view a, std::string_view b) {
    const auto one = version_of_name(a), two = version_of_name(b);
    return one && two && one->major == two->major;
}

// The root without what has been validated before: sections that are shared with the snapshot that was found valid are
// replaced by nothing but themselves where the schema wants them.
xml::NodePtr without_configuration(const xml::Node& cib) {
    xml::Builder root(cib);
    root.clear_children();
    xml::Builder configuration("configuration");
    for (const char* section : {"crm_config", "nodes", "resources", "constraints"}) {
        configuration.add(xml::Builder(section));
    }
    for (const auto& child : cib.children()) {
        root.add(child->is("configuration") ? configuration.build() : child);
    }
    return std::move(root).build();
}

// ---- What cannot make a valid CIB invalid ----
//
// Most changes of a running cluster are of one nvpair's value. By every schema that is text, whatever the pair is for,
// but for the pairs below; so such a change needs no look at the rest, which would cost time with the CIB's size.

bool is_restricted(std::string_view pair) { return pair == "cluster-infrastructure" || pair == "stonith-action"; }

bool same_shape(const xml::Node& a, const xml::Node& b) {
    return a.kind() == b.kind() && a.name() == b.name() && a.text() == b.text() &&
           std::ranges::equal(a.attributes(), b.attributes(), {}, &xml::Attribute::name, &xml::Attribute::name);
}

template <class MayDiffer>
bool attributes_differ_only(const xml::Node& a, const xml::Node& b, MayDiffer may_differ) {
    for (std::size_t i = 0; i < a.attributes().size(); ++i) {
        const xml::Attribute& now = b.attributes()[i];
        if (a.attributes()[i].value != now.value && !may_differ(now.name.view(), now.value.view())) return false;
    }
    return true;
}

bool only_pair_values_differ(const xml::NodePtr& before, const xml::NodePtr& now) {
    if (before == now) return true;
    if (!same_shape(*before, *now) || before->children().size() != now->children().size()) return false;
    const bool is_pair = now->is("nvpair") && !is_restricted(now->get("name"));
    if (!attributes_differ_only(*before, *now,
                                [&](std::string_view name, std::string_view) { return is_pair && name == "value"; }))
        return false;
    return std::ranges::equal(before->children(), now->children(), only_pair_values_differ);
}

// The root's counters and what it says about the last change; its children are the same sections.
bool only_versions_differ(const xml::Node& before, const xml::Node& now) {
    const auto name_of = [](const xml::NodePtr& child) { return child->name(); };
    return same_shape(before, now) && std::ranges::equal(before.children(), now.children(), {}, name_of, name_of) &&
           attributes_differ_only(before, now, [](std::string_view name, std::string_view value) {
               constexpr std::array kCounters{"admin_epoch", "epoch", "num_updates"};
               constexpr std::array kTexts{"cib-last-written", "update-origin", "update-client", "update-user",
                                           "dc-uuid"};
               const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
               if (std::ranges::find(kCounters, name) != kCounters.end())
                   return !value.empty() && std::ranges::all_of(value, is_digit);
               return std::ranges::find(kTexts, name) != kTexts.end();
           });
}

xml::NodePtr with_schema(const xml::NodePtr& cib, std::string_view schema) {
    if (cib->get("validate-with") == schema) return cib;
    return std::move(xml::Builder(*cib).set("validate-with", schema)).build();
}

}  // namespace

struct SchemaSet::Loaded {
    /// One schema: for a quick look, and for what that doesn't accept.
    struct Schema {
        std::unique_ptr<SchemaAcceptor> quick;
        RngSchema telling;
    };
    std::map<std::string, Schema, std::less<>> schemas;
    std::map<std::string, XsltSheet, std::less<>> sheets;
};

SchemaSet::SchemaSet(SchemaFiles files, std::function<void(const SchemaNote&)> note)
    : files_(std::move(files)), note_(std::move(note)), loaded_(std::make_unique<Loaded>()) {
    std::vector<std::pair<VersionParts, std::string>> versions;
    std::vector<std::pair<std::pair<VersionParts, long long>, std::string>> sheets;
    for (const std::string_view name : files_.names) {
        if (name.ends_with(".rng") && name.starts_with(kPrefix)) {
            const auto schema = name.substr(0, name.size() - 4);
            if (const auto version = version_of_name(schema)) versions.emplace_back(*version, schema);
        } else if (name.ends_with(".xsl") && name.starts_with(kUpgradePrefix)) {
            const auto step = name.substr(kUpgradePrefix.size(), name.size() - kUpgradePrefix.size() - 4);
            const auto dash = step.find('-');
            if (dash == std::string_view::npos) continue;
            const auto version = parse_version(step.substr(0, dash));
            const auto order = parse_integer(step.substr(dash + 1));
            if (version && order) sheets.emplace_back(std::pair{*version, *order}, name);
        }
    }
    std::ranges::sort(versions);
    std::ranges::sort(sheets);
    for (const auto& [version, name] : versions) names_.push_back(name);
    for (const auto& [key, name] : sheets) {
        sheets_[fmt::format("{}{}.{}", kPrefix, key.first.major, key.first.minor)].push_back(name);
    }
}

SchemaSet::~SchemaSet() = default;

bool SchemaSet::knows(std::string_view schema) const { return std::ranges::find(names_, schema) != names_.end(); }

std::string SchemaSet::newest() const { return names_.empty() ? std::string{} : names_.back(); }

void SchemaSet::say(SchemaNote::Level level, std::string origin, std::string text) const {
    if (note_) note_(SchemaNote{level, std::move(origin), std::move(text)});
}

Result<void> SchemaSet::validate(const xml::Node& cib, const xml::Node* known_valid) {
    const auto schema = cib.attribute("validate-with");
    if (!schema || schema->empty()) {
        return fail(Errc::kNotFound, fmt::format("element '{}': attribute 'validate-with' is missing", cib.name()));
    }
    if (known_valid != nullptr && *schema != "none" && known_valid->get("validate-with") == *schema) {
        const auto before = known_valid->child_ptr("configuration");
        const auto now = cib.child_ptr("configuration");
        // Ids are unique and referred to across sections, so the configuration is looked at as a whole or not at all.
        if (before && now && only_pair_values_differ(before, now)) {
            if (only_versions_differ(*known_valid, cib)) return {};
            return validate_by(*schema, *without_configuration(cib));
        }
    }
    return validate_by(*schema, cib);
}

Result<void> SchemaSet::validate_by(std::string_view schema, const xml::Node& cib) {
    if (schema == "none") return {};
    if (!knows(schema)) {
        return fail(Errc::kNotFound, fmt::format("element '{}': validate-with names the schema '{}', which is unknown",
                                                 cib.name(), schema));
    }
    const std::string file = fmt::format("{}.rng", schema);
    auto found = loaded_->schemas.find(schema);
    std::optional<std::string> text;
    const auto read = [&]() -> Result<void> {
        auto made = files_.read(file);
        if (!made) return tl::unexpected(made.error());
        text = std::move(*made);
        return {};
    };
    if (found == loaded_->schemas.end()) {
        if (const auto done = read(); !done) return done;
        found = loaded_->schemas.emplace(std::string(schema), Loaded::Schema{SchemaAcceptor::read(*text), {}}).first;
    }
    if (found->second.quick && found->second.quick->accepts(cib)) return {};
    if (!found->second.telling) {
        if (!text) {
            if (const auto done = read(); !done) return done;
        }
        auto made = read_schema(*text, file);
        if (!made) return tl::unexpected(made.error());
        found->second.telling = std::move(*made);
    }
    return validate_document(*to_document(cib, Leave::kStatus), *found->second.telling);
}

// Applies the sheets that lead from one version to the next. Status is put aside for that time.
Result<xml::NodePtr> SchemaSet::step(const xml::NodePtr& cib, const std::string& from, const std::string& to) {
    XmlDoc document = to_document(*cib, Leave::kStatus);
    const auto said = [this](std::string_view text) {
        auto level = Level::kDebug;
        if (text.starts_with("ERROR:")) level = Level::kError;
        if (text.starts_with("WARNING:")) level = Level::kWarning;
        if (text.starts_with("INFO:")) level = Level::kInfo;
        say(level, "", std::string(text));
    };
    for (const std::string& name : sheets_.at(from)) {
        say(Level::kDebug, "apply_upgrade",
            fmt::format("Upgrading schema from {} to {}: applying XSL transform {}", from, to, name));
        auto& sheet = loaded_->sheets[name];
        if (!sheet) {
            const auto text = files_.read(name);
            if (!text) return tl::unexpected(text.error());
            auto read = read_sheet(*text, name);
            if (!read) return tl::unexpected(read.error());
            sheet = std::move(*read);
        }
        auto result = apply_sheet(*document, *sheet, said);
        if (!result) return fail(result.error().code, fmt::format("{}: {}", name, result.error().what));
        document = std::move(*result);
    }
    xml::Builder made(*to_tree(*document));
    if (const auto status = cib->child_ptr("status")) {
        const auto& children = made.children();
        const auto place = std::ranges::find_if(children, [](const auto& child) { return child->is("status"); });
        if (place != children.end()) made.replace(static_cast<std::size_t>(place - children.begin()), status);
    }
    return std::move(made).build();
}

Schemas::Upgrade SchemaSet::upgrade(const xml::NodePtr& cib, std::string_view newest_allowed) {
    const std::string original(cib->get("validate-with"));
    Upgrade result{.cib = cib, .schema = original, .upgraded = false, .refusal = Refusal::kUnchanged, .why = {}};
    if (original == "none") {
        result.why = "schema validation is disabled";
        return result;
    }
    auto at = names_.begin();  // without a name any schema may be its own
    if (!original.empty()) {
        at = std::ranges::find(names_, original);
        if (at == names_.end()) {
            result.refusal = Refusal::kInvalid;
            result.why = fmt::format("the schema '{}' is unknown", original);
            return result;
        }
    }
    xml::NodePtr now = cib;
    std::string best;
    std::optional<bool> valid;  // by the schema at hand, where known from the round before
    for (; at != names_.end(); ++at) {
        const std::string& name = *at;
        if (!newest_allowed.empty() && compare_schema_names(name, newest_allowed) > 0) break;
        if (!valid) {
            const auto verdict = validate_by(name, *now);
            valid = verdict.has_value();
            if (!verdict && result.why.empty()) result.why = verdict.error().what;
            if (!verdict) {
                for (const std::string_view line : split(verdict.error().what, "\n"))
                    say(Level::kViolation, "", std::string(line));
            }
        }
        if (!*valid) {
            say(Level::kDebug, "pcmk__update_schema", fmt::format("Schema {} does not validate", name));
            if (!best.empty()) break;
            valid.reset();  // what is invalid by its own schema may be valid by a later one
            continue;
        }
        say(Level::kDebug, "pcmk__update_schema", fmt::format("Schema {} validates", name));
        best = name;
        result.cib = with_schema(now, name);
        valid.reset();
        const auto next = std::next(at);
        if (next == names_.end() || (!newest_allowed.empty() && compare_schema_names(*next, newest_allowed) > 0)) break;
        if (!sheets_.contains(name)) {
            if (same_series(name, *next)) valid = true;  // within a series what is valid stays so
            continue;
        }
        valid = validate_by(*next, *now).has_value();
        if (*valid) continue;  // a configuration that fits the next series as it is stays as it is
        valid.reset();
        auto made = step(now, name, *next);
        if (made) {
            if (const auto verdict = validate_by(*next, **made); !verdict) {
                made =
                    fail(Errc::kInvalid, fmt::format("the result is not valid by {}: {}", *next, verdict.error().what));
            }
        }
        if (!made) {
            say(Level::kError, "apply_upgrade",
                fmt::format("Schema upgrade from {} to {} failed: {}", name, *next, made.error().what));
            result.refusal = Refusal::kTransformFailed;
            result.why = made.error().what;
            break;
        }
        say(Level::kInfo, "apply_upgrade", fmt::format("Schema upgrade from {} to {} succeeded", name, *next));
        now = *made;
        valid = true;
    }
    if (best.empty()) {
        result.refusal = Refusal::kInvalid;
        return result;
    }
    result.schema = best;
    if (best != original) {
        result.upgraded = true;
        say(Level::kInfo, "pcmk__update_schema", fmt::format("Transformed the configuration schema to {}", best));
    } else {
        result.cib = cib;
        if (result.why.empty()) result.why = fmt::format("{} is the newest schema already", best);
    }
    return result;
}

xml::NodePtr SchemaSet::files_after(std::string_view version) {
    xml::Builder schemas("schemas");
    for (const std::string& name : names_) {
        if (compare_schema_names(name, version) <= 0) continue;
        std::vector<std::string> files{name + ".rng"};
        if (const auto sheets = sheets_.find(name); sheets != sheets_.end()) {
            files.insert(files.end(), sheets->second.begin(), sheets->second.end());
        }
        xml::Builder schema("schema");
        schema.set("version", name);
        for (const std::string& file : files) {
            const auto text = files_.read(file);
            if (!text) continue;
            schema.add(std::move(xml::Builder("file").set("path", file).add(xml::Builder::cdata(*text))));
        }
        schemas.add(std::move(schema));
    }
    return std::move(schemas).build();
}

}  // namespace systole::cib
