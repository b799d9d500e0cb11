#pragma once
// cli/files.h — whole files in and out, for commands that work on CIBs in files.
#include <string>

#include "base/result.h"
#include "xml/tree.h"

namespace systole::cli {

/// The content of a file; one that ends in .bz2 is unpacked; "-" is standard input. Errors: kNotFound, kIo, kCorrupt.
Result<std::string> read_file(const std::string& path);

/// Replaces a file by another content at once: readers see the old one or the new one. Owner and mode of an existing
/// file stay, a link stays a link; a new file gets mode 0600. Errors: kIo, naming the file.
Result<void> replace_file(const std::string& path, std::string_view content);

/// Gives a file another content and leaves it the same file: who holds it open, as pcs its temporary CIBs, reads the
/// new one. A full disk leaves the old content. A new file gets mode 0600. Errors: kIo, naming the file.
Result<void> overwrite_file(const std::string& path, std::string_view content);

/// An XML document in a file. Errors: as read_file(); kInvalid, naming file, line and column.
Result<xml::NodePtr> read_xml_file(const std::string& path);

}  // namespace systole::cli
