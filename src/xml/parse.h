#pragma once
// xml/parse.h — text to tree.
//
// libxml2's SAX interface fills our tree directly. Nothing is fetched, no entity but the five predefined ones and
// character references is expanded, and depth and size are bounded, so text from a peer or a user can do no more than
// be refused.
#include <cstddef>
#include <string_view>

#include "base/result.h"
#include "xml/tree.h"

namespace systole::xml {

enum class TextNodes : std::uint8_t {
    kDrop,     ///< as CIB and messages want it: text is dropped, comments and CDATA are kept
    kKeep,     ///< metadata and command output: text with more than blanks is kept
    kKeepAll,  ///< every text node, blank ones too
};

struct ParseOptions {
    TextNodes text = TextNodes::kDrop;
    std::size_t depth_max = 256;
};

/// Errors: kInvalid with line, column and the parser's own words, "line 3, column 7: ..." (empty input included).
Result<NodePtr> parse(std::string_view text, const ParseOptions& options = {});

}  // namespace systole::xml
