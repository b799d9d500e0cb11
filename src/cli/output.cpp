#include "cli/output.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/version.h"
#include "xml/write.h"

namespace systole::cli {

std::string html_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '&': out += "&amp;"; break;
            case '"': out += "&quot;"; break;
            default: out += c;
        }
    }
    return out;
}

namespace {

std::string json_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        switch (c) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\n': out += "\\n"; break;
            case '\t': out += "\\t"; break;
            case '\r': out += "\\r"; break;
            default:
                if (static_cast<unsigned char>(c) < 0x20) {
                    out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
                } else {
                    out += c;
                }
        }
    }
    return out + '"';
}

}  // namespace

std::optional<Format> parse_format(std::string_view name) {
    if (name == "text" || name == "console") return Format::kText;
    if (name == "xml") return Format::kXml;
    if (name == "json") return Format::kJson;
    if (name == "html") return Format::kHtml;
    if (name == "log") return Format::kLog;
    if (name == "none") return Format::kNone;
    return std::nullopt;
}

Result<Output> Output::open(Config config) {
    Output output(std::move(config));
    const std::string& destination = output.config_.destination;
    if (destination.empty() || destination == "-") {
        output.file_ = stdout;
        return output;
    }
    output.file_ = std::fopen(destination.c_str(), "we");
    if (output.file_ == nullptr) {
        return systole::fail(Errc::kIo, fmt::format("{}: {}", destination, std::strerror(errno)));
    }
    return output;
}

Output::Output(Output&& other) noexcept
    : config_(std::move(other.config_)),
      file_(std::exchange(other.file_, nullptr)),
      depth_(other.depth_),
      lines_(other.lines_),
      elements_(std::move(other.elements_)),
      open_(std::move(other.open_)),
      errors_(std::move(other.errors_)),
      html_(std::move(other.html_)) {}

Output& Output::operator=(Output&& other) noexcept {
    std::swap(config_, other.config_);
    std::swap(file_, other.file_);
    std::swap(depth_, other.depth_);
    std::swap(elements_, other.elements_);
    std::swap(open_, other.open_);
    std::swap(errors_, other.errors_);
    std::swap(html_, other.html_);
    return *this;
}

Output::~Output() {
    if (file_ != nullptr && file_ != stdout) std::fclose(file_);
}

void Output::write(std::string_view bytes) {
    if (file_ != nullptr) std::fwrite(bytes.data(), 1, bytes.size(), file_);
}

void Output::flush() {
    if (file_ != nullptr) std::fflush(file_);
}

void Output::line(std::string_view text) {
    ++lines_;
    if (config_.format == Format::kHtml) {
        html_ += fmt::format("<span>{}</span><br/>\n", html_text(text));
        return;
    }
    if (config_.format == Format::kLog) return log(Severity::kNotice, config_.program, text);
    if (config_.format != Format::kText) return;
    write(fmt::format("{:{}}{}\n", "", depth_ * 2, text));
}

void Output::text(std::string_view raw) {
    if (config_.format == Format::kHtml) {
        html_ += fmt::format("<pre>{}</pre>\n", html_text(raw));
    } else if (config_.format == Format::kText) {
        write(raw);
    }
}

void Output::begin_list(std::string_view title) {
    ++lines_;
    if (config_.format == Format::kHtml) {
        html_ += depth_ == 0 ? fmt::format("<h2>{}</h2>\n<ul>\n", html_text(title))
                             : fmt::format("<li>{}\n<ul>\n", html_text(title));
    } else if (title.empty()) {
    } else if (config_.format == Format::kText) {
        write(depth_ == 0 ? fmt::format("{}:\n", title) : fmt::format("{:{}}* {}:\n", "", depth_ * 2, title));
    } else if (config_.format == Format::kLog) {
        log(Severity::kNotice, config_.program, fmt::format("{:{}}{}:", "", depth_ * 2, title));
    }
    ++depth_;
}

void Output::item(std::string_view text, std::string_view css_class) {
    ++lines_;
    if (config_.format == Format::kHtml) {
        html_ += css_class.empty() ? fmt::format("<li>{}</li>\n", html_text(text))
                                   : fmt::format("<li><span class=\"{}\">{}</span></li>\n", css_class, html_text(text));
    } else if (config_.format == Format::kText) {
        write(depth_ == 0 ? fmt::format("{}\n", text) : fmt::format("{:{}}* {}\n", "", depth_ * 2, text));
    } else if (config_.format == Format::kLog) {
        log(Severity::kNotice, config_.program, fmt::format("{:{}}{}", "", depth_ * 2, text));
    }
}

void Output::end_list() {
    --depth_;
    SYSTOLE_ASSERT(depth_ >= 0, "every end_list has its begin_list");
    if (config_.format == Format::kHtml) html_ += depth_ == 0 ? "</ul>\n" : "</ul>\n</li>\n";
}

void Output::blank_line() {
    if (config_.format == Format::kText) write("\n");
}

void Output::add(xml::NodePtr element) {
    if (is_structured()) elements_.push_back(std::move(element));
}

void Output::begin_element(std::string_view name) { open_.emplace_back(name, elements_.size()); }

void Output::end_element() {
    SYSTOLE_ASSERT(!open_.empty(), "every end_element has its begin_element");
    const auto [name, first] = std::move(open_.back());
    open_.pop_back();
    if (!is_structured()) return;
    xml::Builder element(name);
    for (std::size_t i = first; i < elements_.size(); ++i) element.add(elements_[i]);
    elements_.resize(first);
    elements_.push_back(std::move(element).build());
}

void Output::error(std::string_view text) {
    if (is_structured()) {
        errors_.emplace_back(text);
    } else if (config_.format != Format::kNone) {
        flush();
        std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
    }
}

void Output::log(Severity severity, std::string_view origin, std::string_view text) {
    const auto traced = split(config_.traced, ", ");
    const bool wanted = std::ranges::find(traced, origin) != traced.end();
    if (!wanted && static_cast<int>(severity) > config_.verbosity && config_.format != Format::kLog) return;
    static constexpr const char* kNames[]{"error", "warning", "notice", "info", "debug", "trace"};
    flush();
    const std::string place = config_.trace_origins ? std::string(origin) + " \t" : std::string();
    std::fprintf(stderr, "%s%s: %.*s\n", place.c_str(), kNames[static_cast<std::size_t>(severity)],
                 static_cast<int>(text.size()), text.data());
}

void Output::write_structured(ExitCode code, std::string_view message) {
    xml::Builder root("pacemaker-result");
    root.set("api-version", kApiVersion);
    root.set("request", config_.request);
    for (const xml::NodePtr& element : elements_) root.add(element);
    xml::Builder status("status");
    status.set("code", static_cast<int>(code));
    status.set("message", message);
    if (!errors_.empty()) {
        xml::Builder errors("errors");
        for (const std::string& error : errors_)
            errors.add(xml::Builder("error").add(xml::Builder::text(error)).build());
        status.add(std::move(errors));
    }
    root.add(std::move(status));
    const xml::NodePtr tree = std::move(root).build();
    if (config_.format == Format::kJson) {
        write(fmt::format("{{\n  {}: {}\n}}\n", json_text(tree->name()), to_json(*tree, 1)));
    } else {
        write(xml::write(*tree, {.pretty = true, .text_nodes = true}));
    }
}

void Output::write_html() {
    const HtmlOptions& html = config_.html;
    std::string page;
    if (html.cgi) page += "Content-Type: text/html\n\n";
    page += "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n";
    if (html.refresh_s > 0) page += fmt::format("<meta http-equiv=\"refresh\" content=\"{}\"/>\n", html.refresh_s);
    page += fmt::format("<title>{}</title>\n", html_text(html.title.empty() ? config_.program : html.title));
    if (!html.stylesheet.empty()) {
        page += fmt::format("<link rel=\"stylesheet\" href=\"{}\"/>\n", html_text(html.stylesheet));
    }
    page += "</head>\n<body>\n" + html_;
    for (const std::string& error : errors_) page += fmt::format("<p class=\"error\">{}</p>\n", html_text(error));
    write(page + "</body>\n</html>\n");
}

void Output::finish(ExitCode code, std::string_view message) {
    if (is_structured()) {
        write_structured(code, message.empty() ? describe(code) : message);
    } else if (config_.format == Format::kHtml) {
        write_html();
    }
    flush();
    if (file_ != nullptr && file_ != stdout) std::fclose(file_);
    file_ = nullptr;
}

void Output::restart() {
    const Config config = config_;
    finish(ExitCode::kOk);
    elements_.clear();
    errors_.clear();
    html_.clear();
    depth_ = 0;
    if (auto again = open(config)) *this = std::move(*again);
}

std::string to_json(const xml::Node& element, int depth) {
    std::vector<std::string> members;
    const std::string indent(static_cast<std::size_t>(depth + 1) * 2, ' ');
    for (const xml::Attribute& attribute : element.attributes()) {
        members.push_back(fmt::format("{}: {}", json_text(attribute.name.view()), json_text(attribute.value.view())));
    }
    std::vector<std::string_view> names;
    std::vector<std::string> order;
    for (const xml::NodePtr& child : element.children()) {
        if (!child->is_element()) continue;
        order.push_back(json_text(child->name()));
        if (std::find(names.begin(), names.end(), child->name()) == names.end()) names.push_back(child->name());
    }
    for (const std::string_view name : names) {
        std::vector<std::string> entries;
        for (const xml::NodePtr& child : element.children()) {
            if (child->is(name)) entries.push_back(indent + "  " + to_json(*child, depth + 2));
        }
        members.push_back(fmt::format("{}: [\n{}\n{}]", json_text(name), join(entries, ",\n"), indent));
    }
    if (names.size() > 1) members.push_back(fmt::format("\"#order\": [{}]", join(order, ", ")));
    if (const std::string text = element.text(); !text.empty()) {
        members.push_back(fmt::format("\"#text\": {}", json_text(text)));
    }
    if (members.empty()) return "{}";
    for (std::string& member : members) member.insert(0, indent);
    return fmt::format("{{\n{}\n{:{}}}}", join(members, ",\n"), "", depth * 2);
}

}  // namespace systole::cli
