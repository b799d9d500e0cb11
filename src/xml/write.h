#pragma once
// xml/write.h — tree to text, in the forms that digests, the wire, files and people need.
// Source: protocol sheet cib.md, section 8.
#include <string>

#include "xml/tree.h"

namespace systole::xml {

/// How attribute values are escaped. Digests are made over this text, so peers must agree on it.
enum class Escaping : std::uint8_t {
    kCurrent,  ///< feature set 3.20.0 and later: < > & " and control characters as character references
    kLegacy,   ///< earlier: also ' as &apos;, blanks for tabs, \n and octal escapes (a 2.1.x peer's digests)
};

struct WriteOptions {
    bool pretty = false;  ///< two blanks a level, a line an element, a newline at the end; else one line without
    Escaping escaping = Escaping::kCurrent;
    bool text_nodes = false;  ///< text nodes are written too (command output); the CIB and messages have none
};

std::string write(const Node& node, const WriteOptions& options = {});
/// Appends to `out` what write() returns; for callers that reuse a buffer.
void write_to(std::string& out, const Node& node, const WriteOptions& options = {}, int depth = 0);

/// The value as it stands between the quotes of an attribute.
std::string escape_attribute(std::string_view value, Escaping escaping = Escaping::kCurrent);

/// v2 digest ("versioned"): MD5 of the one-line text without the attributes that differ from node to node
/// (crm-debug-origin, cib-last-written, update-origin, update-client, update-user).
std::string digest_versioned(const Node& node, Escaping escaping = Escaping::kCurrent);
/// v1 digest (files, operation parameters): MD5 of a blank, the one-line text and a newline.
std::string digest_on_disk(const Node& node, Escaping escaping = Escaping::kCurrent);

}  // namespace systole::xml
