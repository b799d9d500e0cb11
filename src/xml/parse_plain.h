#pragma once
// xml/parse_plain.h — a quick way for the documents that clusters really have; internal to this folder.
//
// CIBs, messages and histories are ASCII with elements, attributes, comments and nothing else. Such a text is read here
// in one pass without a buffer or a callback between it and the tree. At whatever is not that plain (a declared entity,
// another encoding, CDATA, a namespace, any error at all) it gives up, and libxml2 reads the text from its beginning:
// what is accepted, what it means and how it is refused is decided there.
#include <optional>

#include "xml/parse.h"

namespace systole::xml {

/// The tree that libxml2's parser would have given; empty if it has to be asked.
std::optional<NodePtr> parse_plain(std::string_view text, const ParseOptions& options);

}  // namespace systole::xml
