#pragma once
// cli/access_view.h — a CIB with what a user may do where.
#include <string>

#include "cib/acl.h"
#include "xml/tree.h"

namespace systole::cli {

enum class AccessStyle : std::uint8_t {
    kText,       ///< a line in front of what begins to be different
    kColor,      ///< green: writable, blue: readable, red: denied
    kNamespace,  ///< the prefix of an element tells
};

std::string access_view(const xml::Node& cib, const cib::Rights& rights, AccessStyle style);

}  // namespace systole::cli
