#pragma once
// cli/attribute_client.h — changes of transient node attributes through the attribute manager of this node.
// Source: protocol sheet attrd.md, sections 1 and 2; attrd_updater(8).
#include <optional>
#include <string>

#include "base/result.h"

namespace systole::cli {

struct AttributeChange {
    std::string name;     ///< one attribute,
    std::string pattern;  ///< or all whose names match
    /// Empty: the attribute is deleted, unless only its delay changes.
    std::optional<std::string> value{};
    std::string node{};  ///< empty: the one that this command runs on
    bool remote_node = false;
    std::string set_id{};
    std::optional<std::string> delay{};  ///< an interval; with a value it counts for an attribute that is new
    bool with_delay = false;             ///< the delay counts for an attribute that is there already, too
    bool delay_only = false;             ///< update the delay and leave the value alone
    bool is_private = false;
    bool utilization = false;
    std::string wait_for{};  ///< "local", "cluster"; empty: only until the request has been taken
};

/// Errors: kUnreachable, kStale; kDenied or kInvalid, with the refusal's text, if the manager doesn't want it.
Result<void> change_attribute(const AttributeChange& change);
/// All values are written to the CIB again. Errors: as change_attribute().
Result<void> refresh_attributes();

/// The node that a command's --node means: the given one; for none, "auto" and "localhost" the one that an agent runs
/// for, which its environment tells. Empty: this node, whatever it is called.
std::optional<std::string> attribute_target(const std::string& given);

}  // namespace systole::cli
