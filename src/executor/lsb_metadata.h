#pragma once
// executor/lsb_metadata.h — OCF metadata for an init script, made from the comment block at its top.
// Source: LSB 5.0, chapter 22.3 (comment conventions for init scripts).
#include <string>
#include <string_view>

namespace systole::executor {

/// `script` is the text of the script; without an INIT INFO block the metadata names the script and nothing else.
std::string lsb_metadata_of(std::string_view type, std::string_view script);

}  // namespace systole::executor
