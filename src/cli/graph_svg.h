#pragma once
// cli/graph_svg.h — a transition graph as a picture for people.
#include <string>

#include "xml/tree.h"

namespace systole::cli {

/// An SVG document: actions in columns, each right of all that it waits for; pseudo-events small and grey, fencing red.
/// The same graph gives the same bytes.
std::string graph_svg(const xml::Node& graph);

}  // namespace systole::cli
