#pragma once
// runtime/linux/uuid.h — identifiers that nobody can guess.
// Source: RFC 4122, section 4.4 (version 4).
#include <string>

namespace systole::runtime {

std::string make_uuid();

}  // namespace systole::runtime
