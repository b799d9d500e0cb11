#pragma once
// cib/schemas_libxml.h — our trees and libxml2's documents; one RELAX NG schema and one upgrade sheet, ready for use.
//
// Everything comes from memory: nothing here opens a file or asks the network, and sheets can't either.
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <libxml/relaxng.h>
#include <libxml/tree.h>
#include <libxslt/xsltInternals.h>

#include "base/result.h"
#include "xml/tree.h"

namespace systole::cib {

template <auto Free>
struct FreeWith {
    void operator()(auto* p) const { Free(p); }
};
using XmlDoc = std::unique_ptr<xmlDoc, FreeWith<&xmlFreeDoc>>;
using RngSchema = std::unique_ptr<xmlRelaxNG, FreeWith<&xmlRelaxNGFree>>;
using XsltSheet = std::unique_ptr<xsltStylesheet, FreeWith<&xsltFreeStylesheet>>;

/// What a document is made without: parts that neither schemas nor sheets look into.
enum class Leave : std::uint8_t {
    kNothing,
    kStatus,  ///< the children of /cib/status: schemas allow anything there, sheets leave it as it is
};

/// A document of this tree. Comments are kept.
XmlDoc to_document(const xml::Node& root, Leave leave = Leave::kNothing);
/// The tree of a document's root element: text is dropped, as the CIB wants it. Null for a document without root.
xml::NodePtr to_tree(const xmlDoc& document);

/// A schema read from its text. Errors: kInvalid, in libxml2's words, begun by `name`.
Result<RngSchema> read_schema(std::string_view text, const std::string& name);

/// Errors: kInvalid with one line per violation, "element 'primitive' (id A) in resources: ...", the innermost first;
/// of many only the first ones.
Result<void> validate_document(xmlDoc& document, const xmlRelaxNG& schema);

/// A sheet read from its text. Errors: kInvalid, begun by `name`.
Result<XsltSheet> read_sheet(std::string_view text, const std::string& name);

/// The document that `sheet` makes of `document`; each xsl:message is handed to `said`. Errors: kInvalid.
Result<XmlDoc> apply_sheet(xmlDoc& document, xsltStylesheet& sheet, const std::function<void(std::string_view)>& said);

}  // namespace systole::cib
