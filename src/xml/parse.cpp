#include "xml/parse.h"

#include <fmt/format.h>
#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/xmlerror.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <unordered_set>
#include <vector>

#include "xml/parse_plain.h"

namespace systole::xml {
namespace {

/// Texts that occur again within one document are stored once; the table dies with the parse.
class Pool {
public:
    Text get(std::string_view text) {
        if (text.size() > kLongest) return Text(text);
        const auto found = texts_.find(text);
        if (found != texts_.end()) return *found;
        return *texts_.insert(Text(text)).first;
    }

private:
    static constexpr std::size_t kLongest = 96;
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view t) const { return std::hash<std::string_view>{}(t); }
        std::size_t operator()(const Text& t) const { return (*this)(t.view()); }
    };
    struct Equal {
        using is_transparent = void;
        static std::string_view view(std::string_view t) { return t; }
        static std::string_view view(const Text& t) { return t.view(); }
        bool operator()(const auto& a, const auto& b) const { return view(a) == view(b); }
    };
    std::unordered_set<Text, Hash, Equal> texts_;  // looked up only, never iterated
};

struct Sax {
    explicit Sax(const ParseOptions& wanted) : options(wanted) {}
    const ParseOptions& options;
    Pool pool;
    std::vector<Builder> open;  // the elements from the root to where the parser is
    std::string characters;     // text not yet attached
    NodePtr root;
    std::string error;
    xmlParserCtxtPtr context = nullptr;

    void refuse(std::string why) {
        if (error.empty()) error = std::move(why);
        xmlStopParser(context);
    }
    void flush_text() {
        if (characters.empty()) return;
        const bool blank = characters.find_first_not_of(" \t\r\n") == std::string::npos;
        const bool keep = options.text == TextNodes::kKeepAll || (options.text == TextNodes::kKeep && !blank);
        if (keep && !open.empty()) open.back().add(Builder::text(characters));
        characters.clear();
    }
};

std::string_view view(const xmlChar* text) { return reinterpret_cast<const char*>(text); }

void on_start(void* user, const xmlChar* name, const xmlChar* prefix, const xmlChar*, int namespace_count,
              const xmlChar** namespaces, int attribute_count, int, const xmlChar** attributes) {
    auto& sax = *static_cast<Sax*>(user);
    sax.flush_text();
    if (sax.open.size() >= sax.options.depth_max) {
        sax.refuse(fmt::format("elements are nested deeper than {}", sax.options.depth_max));
        return;
    }
    const auto qualified = [](const xmlChar* space, const xmlChar* local) {
        return space == nullptr ? std::string(view(local)) : fmt::format("{}:{}", view(space), view(local));
    };
    Builder& element = sax.open.emplace_back(sax.pool.get(qualified(prefix, name)));
    element.reserve(static_cast<std::size_t>(attribute_count + namespace_count), 0);
    for (int i = 0; i < namespace_count; ++i) {
        const xmlChar* space = namespaces[2 * i];
        element.append_attribute(sax.pool.get(space == nullptr ? "xmlns" : fmt::format("xmlns:{}", view(space))),
                                 sax.pool.get(view(namespaces[2 * i + 1])));
    }
    for (int i = 0; i < attribute_count; ++i) {
        const xmlChar** a = attributes + 5 * i;  // local name, prefix, URI, value begin, value end
        const std::string_view value(reinterpret_cast<const char*>(a[3]), static_cast<std::size_t>(a[4] - a[3]));
        Text attribute = a[1] == nullptr ? sax.pool.get(view(a[0])) : sax.pool.get(qualified(a[1], a[0]));
        element.append_attribute(std::move(attribute), sax.pool.get(value));
    }
}

void on_end(void* user, const xmlChar*, const xmlChar*, const xmlChar*) {
    auto& sax = *static_cast<Sax*>(user);
    if (sax.open.empty()) return;
    sax.flush_text();
    NodePtr done = std::move(sax.open.back()).build();
    sax.open.pop_back();
    if (sax.open.empty())
        sax.root = std::move(done);
    else
        sax.open.back().add(std::move(done));
}

void on_characters(void* user, const xmlChar* text, int length) {
    auto& sax = *static_cast<Sax*>(user);
    if (sax.options.text != TextNodes::kDrop)
        sax.characters.append(reinterpret_cast<const char*>(text), static_cast<std::size_t>(length));
}

void on_cdata(void* user, const xmlChar* text, int length) {
    auto& sax = *static_cast<Sax*>(user);
    sax.flush_text();
    if (!sax.open.empty())
        sax.open.back().add(Builder::cdata({reinterpret_cast<const char*>(text), static_cast<std::size_t>(length)}));
}

void on_comment(void* user, const xmlChar* text) {
    auto& sax = *static_cast<Sax*>(user);
    sax.flush_text();
    if (!sax.open.empty()) sax.open.back().add(Builder::comment(view(text)));
}

void on_entity(void* user, const xmlChar* name, int, const xmlChar*, const xmlChar*, xmlChar*) {
    static_cast<Sax*>(user)->refuse(fmt::format("entity '{}' is declared; entities are not allowed", view(name)));
}

void on_error(void* user, xmlErrorPtr error) {
    auto& sax = *static_cast<Sax*>(user);
    if (!sax.error.empty() || error->level < XML_ERR_ERROR) return;
    std::string_view words = error->message == nullptr ? "not well-formed" : error->message;
    while (words.ends_with('\n')) words.remove_suffix(1);
    sax.error = fmt::format("line {}, column {}: {}", error->line, error->int2, words);
}

struct FreeContext {
    void operator()(xmlParserCtxtPtr context) const { xmlFreeParserCtxt(context); }
};

}  // namespace

Result<NodePtr> parse(std::string_view text, const ParseOptions& options) {
    if (text.empty()) return fail(Errc::kInvalid, "line 1, column 1: the document is empty");
    if (auto plain = parse_plain(text, options)) return std::move(*plain);
    Sax sax(options);
    xmlSAXHandler handler{};
    handler.initialized = XML_SAX2_MAGIC;
    handler.startElementNs = on_start;
    handler.endElementNs = on_end;
    handler.characters = on_characters;
    handler.ignorableWhitespace = on_characters;
    handler.cdataBlock = on_cdata;
    handler.comment = on_comment;
    handler.entityDecl = on_entity;
    handler.serror = on_error;
    const std::unique_ptr<xmlParserCtxt, FreeContext> context(
        xmlCreatePushParserCtxt(&handler, &sax, nullptr, 0, nullptr));
    if (!context) return fail(Errc::kInvalid, "the XML parser could not be set up");
    sax.context = context.get();
    // NOENT: without it libxml2 hands "&amp;" in an attribute on as "&#38;". No entity beyond the predefined ones can
    // be put in place by it, as declarations are refused.
    xmlCtxtUseOptions(context.get(), XML_PARSE_NONET | XML_PARSE_HUGE | XML_PARSE_NOENT);
    while (!text.empty() && sax.error.empty()) {
        constexpr std::size_t kChunk = 1U << 20;  // bounds libxml2's own buffer, whatever the size of the document
        const std::size_t size = std::min(text.size(), kChunk);
        if (xmlParseChunk(context.get(), text.data(), static_cast<int>(size), 0) != 0) break;
        text.remove_prefix(size);
    }
    if (sax.error.empty()) xmlParseChunk(context.get(), nullptr, 0, 1);
    if (sax.error.empty() && (!context->wellFormed || !sax.root)) sax.error = "the document is not well-formed";
    if (!sax.error.empty()) return fail(Errc::kInvalid, std::move(sax.error));
    return std::move(sax.root);
}

}  // namespace systole::xml
