#include "xml/write.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/md5.h"

namespace systole::xml {
namespace {

constexpr std::array<std::string_view, 5> kVolatile{"crm-debug-origin", "cib-last-written", "update-origin",
                                                    "update-client", "update-user"};

constexpr unsigned byte_of(char c) { return static_cast<unsigned char>(c); }

void escape_current(std::string& out, std::string_view value) {
    for (const char c : value) {
        switch (c) {
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '&': out += "&amp;"; break;
            case '"': out += "&quot;"; break;
            default:
                if (byte_of(c) < 0x20 || c == 0x7f)
                    out += fmt::format("&#x{:02X};", byte_of(c));
                else
                    out += c;
        }
    }
}

void escape_legacy(std::string& out, std::string_view value) {
    for (std::size_t i = 0; i < value.size(); ++i) {
        const char c = value[i];
        switch (c) {
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '&': out += "&amp;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&apos;"; break;
            case '\t': out += "    "; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            default:
                if (byte_of(c) >= 0x80 && i + 1 < value.size() && byte_of(value[i + 1]) >= 0x80) {
                    out += value.substr(i);  // peers of that age stop escaping here; digests must agree with theirs
                    return;
                }
                if (byte_of(c) < 0x20 || byte_of(c) > 0x7e)
                    out += fmt::format("\\{:03o}", byte_of(c));
                else
                    out += c;
        }
    }
}

void escape_to(std::string& out, std::string_view value, Escaping escaping) {
    if (escaping == Escaping::kLegacy)
        escape_legacy(out, value);
    else
        escape_current(out, value);
}

void escape_text(std::string& out, std::string_view text) {
    for (const char c : text) {
        switch (c) {
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '&': out += "&amp;"; break;
            default: out += c;
        }
    }
}

struct Writer {
    std::string& out;
    const WriteOptions& options;
    bool skip_volatile = false;

    void line_start(int depth) const {
        if (options.pretty) out.append(static_cast<std::size_t>(2 * depth), ' ');
    }
    void line_end() const {
        if (options.pretty) out += '\n';
    }
    void write(const Node& node, int depth) const {
        switch (node.kind()) {
            case Kind::kElement: element(node, depth); return;
            case Kind::kComment:
                line_start(depth);
                out += "<!--";
                out += node.text();
                out += "-->";
                line_end();
                return;
            case Kind::kCData:
                line_start(depth);
                out += "<![CDATA[";
                out += node.text();
                out += "]]>";
                line_end();
                return;
            case Kind::kText:
                if (options.text_nodes) escape_text(out, node.text());
                return;
        }
    }
    void element(const Node& node, int depth) const {
        line_start(depth);
        out += '<';
        out += node.name();
        for (const Attribute& a : node.attributes()) {
            if (skip_volatile && std::ranges::find(kVolatile, a.name.view()) != kVolatile.end()) continue;
            out += ' ';
            out += a.name.view();
            out += "=\"";
            escape_to(out, a.value.view(), options.escaping);
            out += '"';
        }
        const auto children = node.children();
        const auto is_text = [](const NodePtr& c) { return c->kind() == Kind::kText; };
        const bool empty = options.text_nodes ? children.empty() : std::ranges::all_of(children, is_text);
        if (empty) {
            out += "/>";
            line_end();
            return;
        }
        out += '>';
        const auto is_content = [](const NodePtr& c) { return c->kind() == Kind::kText || c->kind() == Kind::kCData; };
        const bool mixed = options.text_nodes && std::ranges::any_of(children, is_content);
        if (mixed) {  // blanks would become part of the text
            const WriteOptions flat{.pretty = false, .escaping = options.escaping, .text_nodes = true};
            const Writer inner{out, flat, skip_volatile};
            for (const NodePtr& c : children) inner.write(*c, 0);
        } else {
            line_end();
            for (const NodePtr& c : children) write(*c, depth + 1);
            line_start(depth);
        }
        out += "</";
        out += node.name();
        out += '>';
        line_end();
    }
};

}  // namespace

void write_to(std::string& out, const Node& node, const WriteOptions& options, int depth) {
    Writer{out, options}.write(node, depth);
}

std::string write(const Node& node, const WriteOptions& options) {
    std::string out;
    write_to(out, node, options);
    return out;
}

std::string escape_attribute(std::string_view value, Escaping escaping) {
    std::string out;
    escape_to(out, value, escaping);
    return out;
}

std::string digest_versioned(const Node& node, Escaping escaping) {
    std::string out;
    const WriteOptions options{.escaping = escaping};
    Writer{out, options, true}.write(node, 0);
    return md5_hex(out);
}

std::string digest_on_disk(const Node& node, Escaping escaping) {
    std::string out = " ";
    write_to(out, node, {.escaping = escaping});
    out += '\n';
    return md5_hex(out);
}

}  // namespace systole::xml
