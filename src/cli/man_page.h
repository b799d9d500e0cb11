#pragma once
// cli/man_page.h — a command's manual page, made from the very tables that its command line is read by.
//
// The build asks each command for its page (--man-page, which is in no help), so pages and programs cannot differ.
// Source: man-pages(7), groff_man(7).
#include <string>

#include "cli/options.h"

namespace systole::cli {

/// The page as troff source, section 8.
std::string man_page(const CommandSpec& spec);

}  // namespace systole::cli
