#pragma once
// cib/schema.h — what the CIB manager needs to know about schemas: is a CIB valid, and can it be made newer.
//
// The schemas themselves (RELAX NG files, upgrade transformations) are read by an implementation that the caller owns;
// the manager is handed one. Tests use a permissive one.
// Source: protocol sheet cib.md, section 9.
#include <string>
#include <string_view>

#include "base/result.h"
#include "xml/tree.h"

namespace systole::cib {

class Schemas {
public:
    Schemas() = default;
    Schemas(const Schemas&) = delete;
    Schemas& operator=(const Schemas&) = delete;
    virtual ~Schemas() = default;

    /// Is `cib` valid by the schema that its validate-with names? `known_valid`, if given, is a snapshot that was found
    /// valid before; it shares all unchanged subtrees with `cib`, and an implementation may look at the rest only.
    /// Errors: kInvalid with one line per violation, "element 'primitive' (id A): ..."; kNotFound for an unknown schema
    /// or a missing validate-with.
    [[nodiscard]] virtual Result<void> validate(const xml::Node& cib, const xml::Node* known_valid = nullptr) = 0;

    /// Why no newer form could be had; the numbers of the wire are in rc.h.
    enum class Refusal : std::uint8_t { kUnchanged, kInvalid, kTransformFailed };
    struct Upgrade {
        xml::NodePtr cib;       ///< the result; validate-with names `schema`. The input itself where nothing was better
        std::string schema;     ///< best schema reached
        bool upgraded = false;  ///< else `refusal` says why
        Refusal refusal = Refusal::kUnchanged;
        std::string why;  ///< for people, where refused
    };
    /// Step by step to the newest schema that `cib` can be brought to, at most `newest_allowed` (empty: no limit).
    [[nodiscard]] virtual Upgrade upgrade(const xml::NodePtr& cib, std::string_view newest_allowed = {}) = 0;

    /// Name of the schema that new CIBs get, "pacemaker-4.0".
    [[nodiscard]] virtual std::string newest() const = 0;
    /// The answer to cib_schemas: `<schemas>` with the files of each schema newer than `version` ("pacemaker-3.9").
    [[nodiscard]] virtual xml::NodePtr files_after(std::string_view version) = 0;
};

/// <0, 0, >0: "pacemaker-1.2" < "pacemaker-3.10" < "pacemaker-next". Names of another form (none, empty) sort first.
int compare_schema_names(std::string_view a, std::string_view b);

}  // namespace systole::cib
