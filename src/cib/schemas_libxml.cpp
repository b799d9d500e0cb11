#include "cib/schemas_libxml.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdint>
#include <cstdio>

#include <fmt/format.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlerror.h>
#include <libxslt/security.h>
#include <libxslt/transform.h>
#include <libxslt/xsltutils.h>

#include "base/text.h"

namespace systole::cib {
namespace {

constexpr std::size_t kViolationsShown = 16;

const xmlChar* chars(const std::string& text) { return reinterpret_cast<const xmlChar*>(text.c_str()); }
const xmlChar* chars(std::string_view text) { return reinterpret_cast<const xmlChar*>(text.data()); }
std::string_view view(const xmlChar* text) {
    return text == nullptr ? std::string_view{} : std::string_view(reinterpret_cast<const char*>(text));
}
int length(std::string_view text) { return static_cast<int>(text.size()); }

// Bytes that the values of a subtree's attributes need, each with its end.
std::size_t room_for_values(const xml::Node& node, bool with_children) {
    std::size_t bytes = 0;
    for (const auto& attribute : node.attributes()) bytes += attribute.value.view().size() + 1;
    if (!with_children) return bytes;
    for (const auto& child : node.children()) bytes += room_for_values(*child, true);
    return bytes;
}

// What the document's dictionary owns is not freed piece by piece, which makes a document several times quicker to
// build and to free than by the usual calls. Names are looked up there; but the dictionary's table stops growing at
// some thousand entries, so values are not: all of them lie in one entry that is as long as they are together.
class DocumentWriter {
public:
    DocumentWriter(xmlDoc* document, std::size_t room) : document_(document), room_(room) {
        document_->dict = xmlDictCreate();
        const std::string blank(room, ' ');
        values_ = const_cast<xmlChar*>(xmlDictLookup(document_->dict, chars(blank), length(blank)));
    }

    xmlNode* element(const xml::Node& node, bool with_children) {
        xmlNode* made = xmlNewDocNodeEatName(document_, nullptr, const_cast<xmlChar*>(interned(node.name())), nullptr);
        for (const auto& attribute : node.attributes()) add(made, attribute);
        if (!with_children) return made;
        for (const auto& child : node.children()) append(made, leaf_or_element(*child));
        return made;
    }

    static void append(xmlNode* parent, xmlNode* child) {
        if (child == nullptr) return;
        child->parent = parent;
        child->prev = parent->last;
        if (parent->last != nullptr) {
            parent->last->next = child;
        } else {
            parent->children = child;
        }
        parent->last = child;
    }

private:
    // A parsed tree has one copy of each name, so most look-ups are of an address that was just seen.
    const xmlChar* interned(std::string_view text) {
        Known& known = known_[(reinterpret_cast<std::uintptr_t>(text.data()) >> 4U) % known_.size()];
        if (known.name.data() != text.data() || known.name.size() != text.size())
            known = {text, xmlDictLookup(document_->dict, chars(text), length(text))};
        return known.interned;
    }

    xmlChar* kept(std::string_view value) {
        SYSTOLE_ASSERT(value.size() < room_, "there is room for every value");
        xmlChar* at = values_;
        std::ranges::copy(value, at);
        at[value.size()] = 0;
        values_ += value.size() + 1;
        room_ -= value.size() + 1;
        return at;
    }

    void add(xmlNode* element, const xml::Attribute& attribute) {
        auto* made = static_cast<xmlAttr*>(xmlMalloc(sizeof(xmlAttr)));
        *made = xmlAttr{};
        made->type = XML_ATTRIBUTE_NODE;
        made->doc = document_;
        made->parent = element;
        made->name = interned(attribute.name.view());
        auto* text = static_cast<xmlNode*>(xmlMalloc(sizeof(xmlNode)));
        *text = xmlNode{};
        text->type = XML_TEXT_NODE;
        text->name = xmlStringText;
        text->doc = document_;
        text->parent = reinterpret_cast<xmlNode*>(made);
        text->content = kept(attribute.value.view());
        made->children = made->last = text;
        if (last_ != nullptr && last_->parent == element) {
            last_->next = made;
            made->prev = last_;
        } else {
            element->properties = made;
        }
        last_ = made;
    }

    xmlNode* leaf_or_element(const xml::Node& node) {
        switch (node.kind()) {
            case xml::Kind::kElement: return element(node, true);
            case xml::Kind::kComment: return xmlNewDocComment(document_, chars(node.text()));
            case xml::Kind::kCData: {
                const std::string text = node.text();
                return xmlNewCDataBlock(document_, chars(text), length(text));
            }
            case xml::Kind::kText: return nullptr;
        }
        return nullptr;
    }

    struct Known {
        std::string_view name;  ///< of a tree that outlives this writer
        const xmlChar* interned = nullptr;
    };

    xmlDoc* document_;
    std::array<Known, 256> known_{};
    xmlChar* values_;   ///< where the next one goes
    std::size_t room_;  ///< from there on
    xmlAttr* last_ = nullptr;
};

xml::NodePtr tree_of(const xmlNode& node) {
    if (node.type == XML_COMMENT_NODE) return xml::Builder::comment(view(node.content));
    if (node.type == XML_CDATA_SECTION_NODE) return xml::Builder::cdata(view(node.content));
    if (node.type != XML_ELEMENT_NODE) return nullptr;
    xml::Builder made(view(node.name));
    for (const xmlAttr* attribute = node.properties; attribute != nullptr; attribute = attribute->next) {
        std::string value;
        for (const xmlNode* part = attribute->children; part != nullptr; part = part->next)
            value += view(part->content);
        made.set(view(attribute->name), value);
    }
    for (const xmlNode* child = node.children; child != nullptr; child = child->next) made.add(tree_of(*child));
    return std::move(made).build();
}

std::string attribute_of(const xmlNode& node, std::string_view name) {
    for (const xmlAttr* attribute = node.properties; attribute != nullptr; attribute = attribute->next) {
        if (view(attribute->name) == name && attribute->children != nullptr) {
            return std::string(view(attribute->children->content));
        }
    }
    return {};
}

// "element 'op' (id db-start) of primitive db"
std::string place_of(const xmlNode* node) {
    while (node != nullptr && node->type != XML_ELEMENT_NODE) node = node->parent;
    if (node == nullptr) return "document";
    const std::string id = attribute_of(*node, "id");
    std::string place = fmt::format("element '{}'", view(node->name));
    if (!id.empty()) place += fmt::format(" (id {})", id);
    const xmlNode* parent = node->parent;
    while (parent != nullptr && parent->type == XML_ELEMENT_NODE && attribute_of(*parent, "id").empty()) {
        parent = parent->parent;
    }
    if (parent != nullptr && parent->type == XML_ELEMENT_NODE && view(parent->name) != "cib") {
        place += fmt::format(" of {} {}", view(parent->name), attribute_of(*parent, "id"));
    }
    return place;
}

struct Violations {
    std::vector<std::string> lines;
};

void collect_violation(void* data, xmlErrorPtr error) {
    auto& violations = *static_cast<Violations*>(data);
    if (violations.lines.size() >= kViolationsShown) return;
    const std::string_view message = trim(error->message == nullptr ? "" : error->message);
    std::string line = fmt::format("{}: {}", place_of(static_cast<const xmlNode*>(error->node)), message);
    if (std::ranges::find(violations.lines, line) == violations.lines.end())
        violations.lines.push_back(std::move(line));
}

void collect_text(void* data, xmlErrorPtr error) {
    auto& text = *static_cast<std::string*>(data);
    if (!text.empty()) text += "; ";
    text += trim(error->message == nullptr ? "" : error->message);
    if (error->line > 0) text += fmt::format(" (line {})", error->line);
}

// What libxml2 and libxslt have to say while this lives goes to `sink`, on this thread.
class StructuredErrors {
public:
    StructuredErrors(xmlStructuredErrorFunc sink, void* data)
        : old_(xmlStructuredError), old_data_(xmlStructuredErrorContext) {
        xmlSetStructuredErrorFunc(data, sink);
    }
    StructuredErrors(const StructuredErrors&) = delete;
    StructuredErrors& operator=(const StructuredErrors&) = delete;
    ~StructuredErrors() { xmlSetStructuredErrorFunc(old_data_, old_); }

private:
    xmlStructuredErrorFunc old_;
    void* old_data_;
};

struct Told {
    const std::function<void(std::string_view)>* said;
};

// xsl:message and libxslt's own complaints, one call each.
__attribute__((format(printf, 2, 3))) void tell(void* data, const char* format, ...) {
    std::va_list arguments;
    va_start(arguments, format);
    std::va_list again;
    va_copy(again, arguments);
    const int size = std::vsnprintf(nullptr, 0, format, arguments);
    va_end(arguments);
    std::string text(static_cast<std::size_t>(std::max(size, 0)), '\0');
    std::vsnprintf(text.data(), text.size() + 1, format, again);
    va_end(again);
    for (const std::string_view line : split(text, "\n")) (*static_cast<Told*>(data)->said)(line);
}

}  // namespace

XmlDoc to_document(const xml::Node& root, Leave leave) {
    XmlDoc document(xmlNewDoc(chars(std::string_view("1.0"))));
    std::size_t room = room_for_values(root, leave == Leave::kNothing);
    if (leave == Leave::kStatus) {
        for (const auto& child : root.children()) room += room_for_values(*child, !child->is("status"));
    }
    DocumentWriter writer(document.get(), std::max<std::size_t>(room, 1));
    xmlNode* top = writer.element(root, leave == Leave::kNothing);
    if (leave == Leave::kStatus) {
        for (const auto& child : root.children()) {
            if (!child->is_element()) continue;
            DocumentWriter::append(top, writer.element(*child, !child->is("status")));
        }
    }
    xmlDocSetRootElement(document.get(), top);
    return document;
}

xml::NodePtr to_tree(const xmlDoc& document) {
    const xmlNode* root = xmlDocGetRootElement(const_cast<xmlDoc*>(&document));
    return root == nullptr ? xml::NodePtr{} : tree_of(*root);
}

Result<RngSchema> read_schema(std::string_view text, const std::string& name) {
    using Context = std::unique_ptr<xmlRelaxNGParserCtxt, FreeWith<&xmlRelaxNGFreeParserCtxt>>;
    std::string problem;
    const StructuredErrors errors(collect_text, &problem);
    const Context context(xmlRelaxNGNewMemParserCtxt(text.data(), length(text)));
    RngSchema schema(context ? xmlRelaxNGParse(context.get()) : nullptr);
    if (!schema) return fail(Errc::kInvalid, fmt::format("schema {} can't be read: {}", name, problem));
    return schema;
}

Result<void> validate_document(xmlDoc& document, const xmlRelaxNG& schema) {
    using Context = std::unique_ptr<xmlRelaxNGValidCtxt, FreeWith<&xmlRelaxNGFreeValidCtxt>>;
    const Context context(xmlRelaxNGNewValidCtxt(const_cast<xmlRelaxNG*>(&schema)));
    if (!context) return fail(Errc::kIo, "no memory to validate");
    Violations violations;
    // References to ids that don't exist are told to the thread's handler, not to the context's.
    const StructuredErrors errors(collect_violation, &violations);
    xmlRelaxNGSetValidStructuredErrors(context.get(), collect_violation, &violations);
    if (xmlRelaxNGValidateDoc(context.get(), &document) == 0) return {};
    if (violations.lines.empty()) violations.lines.emplace_back("document is not valid");
    return fail(Errc::kInvalid, join(violations.lines, "\n"));
}

Result<XsltSheet> read_sheet(std::string_view text, const std::string& name) {
    std::string problem;
    const StructuredErrors errors(collect_text, &problem);
    XmlDoc document(xmlReadMemory(text.data(), length(text), name.c_str(), nullptr, XML_PARSE_NONET));
    if (!document) return fail(Errc::kInvalid, fmt::format("upgrade sheet {} can't be read: {}", name, problem));
    XsltSheet sheet(xsltParseStylesheetDoc(document.get()));
    if (!sheet) return fail(Errc::kInvalid, fmt::format("upgrade sheet {} can't be used: {}", name, problem));
    static_cast<void>(document.release());  // the sheet owns it now
    return sheet;
}

Result<XmlDoc> apply_sheet(xmlDoc& document, xsltStylesheet& sheet, const std::function<void(std::string_view)>& said) {
    using Context = std::unique_ptr<xsltTransformContext, FreeWith<&xsltFreeTransformContext>>;
    using Preferences = std::unique_ptr<xsltSecurityPrefs, FreeWith<&xsltFreeSecurityPrefs>>;
    const Preferences preferences(xsltNewSecurityPrefs());
    const Context context(xsltNewTransformContext(&sheet, &document));
    if (!preferences || !context) return fail(Errc::kIo, "no memory to upgrade");
    for (const auto what : {XSLT_SECPREF_READ_FILE, XSLT_SECPREF_WRITE_FILE, XSLT_SECPREF_CREATE_DIRECTORY,
                            XSLT_SECPREF_READ_NETWORK, XSLT_SECPREF_WRITE_NETWORK}) {
        xsltSetSecurityPrefs(preferences.get(), what, xsltSecurityForbid);
    }
    xsltSetCtxtSecurityPrefs(preferences.get(), context.get());
    Told told{&said};
    xsltSetTransformErrorFunc(context.get(), &told, tell);
    XmlDoc result(xsltApplyStylesheetUser(&sheet, &document, nullptr, nullptr, nullptr, context.get()));
    if (!result || context->state == XSLT_STATE_ERROR || xmlDocGetRootElement(result.get()) == nullptr) {
        return fail(Errc::kInvalid, "the upgrade sheet made no document");
    }
    return result;
}

}  // namespace systole::cib
