#pragma once
// cib/schema_acceptor.h — says quickly of nearly every valid CIB that it is valid.
//
// A schema is compiled to patterns; what is left of a pattern after an attribute or a child is its derivative (J.
// Clark, "An algorithm for RELAX NG validation", 2002). Derivatives are remembered by pattern and name, so soon each
// attribute and child costs one look-up, whatever the schema's size and the number of siblings are. libxml2 stays the
// judge of all that is not accepted here, and says what is wrong (docs/adr/0019-acceptor-beside-libxml2.md).
#include <memory>
#include <string_view>

#include "xml/tree.h"

namespace systole::cib {

class SchemaAcceptor {
public:
    /// Of a RELAX NG schema in XML syntax. Null for a grammar that uses more of the language than the CIB's schemas do
    /// (schemas/README.md), and for what is no grammar.
    static std::unique_ptr<SchemaAcceptor> read(std::string_view schema);
    ~SchemaAcceptor();

    /// True: `cib` is valid, ids and references included; what is below /cib/status is left out, as everywhere. False:
    /// it is invalid, or valid in a way that nobody writes, such as a number with blanks around it.
    [[nodiscard]] bool accepts(const xml::Node& cib);

private:
    class Grammar;
    class Run;
    explicit SchemaAcceptor(std::unique_ptr<Grammar> grammar);
    std::unique_ptr<Grammar> grammar_;
};

}  // namespace systole::cib
