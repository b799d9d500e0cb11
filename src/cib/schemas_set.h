#pragma once
// cib/schemas_set.h — the schemas of a directory: which versions there are, validation by one of them, upgrades.
//
// The directory's names are handed in, and its files are read through a function when they are needed for the first
// time: a command that validates by pacemaker-3.9 reads that one file. Schemas and sheets once read are kept.
//
// A name of the form pacemaker-X.Y.rng is a version; upgrade-X.Y-N.xsl are the sheets that lead from X.Y to the next
// version, in the order of N. Source: protocol sheet cib.md, section 9.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cib/schema.h"

namespace systole::cib {

/// The files that schemas come from.
struct SchemaFiles {
    std::vector<std::string> names;  ///< file names in the directory, in any order; other files are ignored
    std::function<Result<std::string>(const std::string& name)> read;
};

/// What happens while a CIB is upgraded, for commands that show it with -V and for the daemons' logs.
struct SchemaNote {
    /// kViolation: what a schema that was tried objects to, a note for each objection.
    enum class Level : std::uint8_t { kError, kWarning, kInfo, kDebug, kViolation };
    Level level;
    std::string origin;  ///< the step; empty for what a sheet says itself
    std::string text;
};

class SchemaSet final : public Schemas {
public:
    explicit SchemaSet(SchemaFiles files, std::function<void(const SchemaNote&)> note = {});
    ~SchemaSet() override;

    [[nodiscard]] Result<void> validate(const xml::Node& cib, const xml::Node* known_valid = nullptr) override;
    /// The same by a schema of one's choice. Errors: also kNotFound.
    [[nodiscard]] Result<void> validate_by(std::string_view schema, const xml::Node& cib);
    [[nodiscard]] Upgrade upgrade(const xml::NodePtr& cib, std::string_view newest_allowed = {}) override;
    [[nodiscard]] std::string newest() const override;
    [[nodiscard]] xml::NodePtr files_after(std::string_view version) override;

    /// "pacemaker-1.0" and so on, oldest first.
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
    [[nodiscard]] bool knows(std::string_view schema) const;

private:
    struct Loaded;
    Result<xml::NodePtr> step(const xml::NodePtr& cib, const std::string& from, const std::string& to);
    void say(SchemaNote::Level level, std::string origin, std::string text) const;

    SchemaFiles files_;
    std::function<void(const SchemaNote&)> note_;
    std::vector<std::string> names_;
    std::map<std::string, std::vector<std::string>, std::less<>> sheets_;  ///< by the version that they lead away from
    std::unique_ptr<Loaded> loaded_;
};

}  // namespace systole::cib
