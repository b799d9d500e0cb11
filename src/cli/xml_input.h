#pragma once
// cli/xml_input.h — XML that a user gives to a command: as an argument, in a file, or on standard input.
#include <optional>
#include <string>

#include "cli/output.h"
#include "xml/tree.h"

namespace systole::cli {

/// Parses `text` ("-": standard input). Where that fails, log lines on standard error show where and why.
std::optional<xml::NodePtr> parse_given(Output& output, const std::string& text);
/// Parses what a file holds. Errors are told like above; a file that can't be read gives its reason in `why`.
std::optional<xml::NodePtr> parse_file(Output& output, const std::string& path, std::string* why = nullptr);

}  // namespace systole::cli
