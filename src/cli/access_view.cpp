#include "cli/access_view.h"

#include <fmt/format.h>

#include "xml/write.h"

namespace systole::cli {
namespace {

using Access = cib::Rights::Access;

struct Look {
    const char* color;
    const char* title;
    const char* prefix;
};

Look look_of(Access access) {
    switch (access) {
        case Access::kWritable: return {"\x1b[32m", "WRITABLE", "pcmk-access-writable"};
        case Access::kReadable: return {"\x1b[34m", "READABLE", "pcmk-access-readable"};
        case Access::kDenied:
        case Access::kUnmarked: break;
    }
    return {"\x1b[31m", "~DENIED~", "pcmk-access-denied"};
}

constexpr const char* kReset = "\x1b[0m";
constexpr const char* kNamespaces =
    " xmlns:pcmk-access-writable=\"http://clusterlabs.org/ns/pacemaker/access/writable\""
    " xmlns:pcmk-access-readable=\"http://clusterlabs.org/ns/pacemaker/access/readable\""
    " xmlns:pcmk-access-denied=\"http://clusterlabs.org/ns/pacemaker/access/denied\"";

class Painter {
public:
    Painter(const cib::Rights& rights, AccessStyle style) : rights_(rights), style_(style) {}

    std::string paint(const xml::Node& cib) {
        element(cib, Access::kUnmarked);
        return std::move(out_);
    }

private:
    void element(const xml::Node& node, Access above) {
        const std::string indent(path_.size() * 2, ' ');
        if (!node.is_element()) {
            out_ += indent + xml::write(node) + "\n";
            return;
        }
        const Access own = rights_.own_access(path_);
        // Nobody may do anything where nothing is said at all.
        const Access access = own != Access::kUnmarked ? own : above != Access::kUnmarked ? above : Access::kDenied;
        const bool differs = access != above;
        const Look look = look_of(access);
        if (style_ == AccessStyle::kText && differs) {
            if (!path_.empty()) out_ += indent + "\n";
            out_ += fmt::format("{}vvv---[ {} ]---vvv\n", indent, look.title);
        }
        const std::string color = style_ == AccessStyle::kColor ? look.color : "";
        const std::string reset = style_ == AccessStyle::kColor ? kReset : "";
        std::string name(node.name());
        if (style_ == AccessStyle::kNamespace && differs) name = fmt::format("{}:{}", look.prefix, name);
        out_ += fmt::format("{}{}<{}", indent, color, name);
        for (const auto& attribute : node.attributes()) {
            out_ += fmt::format(" {}=\"{}\"", attribute.name.view(), xml::escape_attribute(attribute.value.view()));
        }
        if (style_ == AccessStyle::kNamespace && path_.empty()) out_ += kNamespaces;
        if (node.children().empty()) {
            out_ += fmt::format("/>{}\n", reset);
            return;
        }
        out_ += ">\n";
        path_.push_back(0);
        for (const auto& child : node.children()) {
            element(*child, access);
            ++path_.back();
        }
        path_.pop_back();
        out_ += fmt::format("{}{}</{}>{}\n", indent, color, name, reset);
    }

    const cib::Rights& rights_;
    AccessStyle style_;
    xml::Path path_;
    std::string out_;
};

}  // namespace

std::string access_view(const xml::Node& cib, const cib::Rights& rights, AccessStyle style) {
    return Painter(rights, style).paint(cib);
}

}  // namespace systole::cli
