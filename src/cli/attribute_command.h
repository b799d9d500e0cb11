#pragma once
// cli/attribute_command.h — what crm_attribute does, and through it crm_standby, crm_master and crm_failcount: one
// query, update or deletion of an option or of a node's attribute.
//
// Lasting attributes and options are pairs in the CIB. Those of a node's lifetime are changed through the attribute
// manager where a cluster runs, else in the status section of the CIB in the file.
// Source: crm_attribute(8); recorded output of Pacemaker 3.0.2.
#include <optional>
#include <string>

#include "cli/cib_attributes.h"
#include "cli/output.h"

namespace systole::cli {

struct AttributeTask {
    enum class Kind : std::uint8_t { kQuery, kUpdate, kDelete };
    Kind kind = Kind::kQuery;
    PairQuery query;  ///< scope and names; the node's identity is filled in
    std::string pattern, value;
    std::string node;                     ///< "", "auto" and "localhost": the one that an agent runs for, else this one
    std::optional<std::string> fallback;  ///< what a query shows where there is nothing
    bool quiet = false;
    bool silent_if_absent = false;  ///< a query of nothing ends with kNoSuchObject without a word
    std::string wait_for;           ///< of changes through the attribute manager; see AttributeChange
};

ExitCode run_attribute_task(Output& output, AttributeTask task);

/// "web:1" → "web": instances of anonymous clones share one promotion score.
std::string without_instance(std::string id);

}  // namespace systole::cli
