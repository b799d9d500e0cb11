#pragma once
// cli/output.h — what a command has to say, in the format that was asked for.
//
// A command says everything in two ways: to people in lines and lists (text, html, log), to programs as elements (xml,
// json). Output passes on what the format wants and drops the rest, so commands needn't ask; where making one form is
// costly they may look at is_structured().
//
// XML: <pacemaker-result api-version= request=>, the elements, <status code= message=> with <errors>. Source: protocol
// sheet tools.md, section 4; api-result.rng. JSON is the same tree: an element is an object with its attributes as
// strings; children are arrays by element name; "#order" lists the children's names where they are of several kinds;
// "#text" is text.
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/exit_code.h"
#include "base/result.h"
#include "xml/tree.h"

namespace systole::cli {

/// `text` with what HTML and XML reserve written as entities: for element content and for values in double quotes.
std::string html_text(std::string_view text);

enum class Format : std::uint8_t { kText, kXml, kJson, kHtml, kLog, kNone };
/// "console" is text. Empty if it is no format.
std::optional<Format> parse_format(std::string_view name);

enum class Severity : std::uint8_t { kError, kWarning, kNotice, kInfo, kDebug, kTrace };

struct HtmlOptions {
    bool cgi = false;
    std::string title;
    std::string stylesheet;
    int refresh_s = 0;  ///< the page asks to be loaded again after this many seconds; 0: never
};

class Output {
public:
    struct Config {
        Format format = Format::kText;
        std::string program;
        std::string request;
        std::string destination;  ///< file name; empty or "-": standard output
        int verbosity = 0;
        bool logs_wanted = false;    ///< PCMK_stderr: logs are for standard error, without -V too
        bool trace_origins = false;  ///< log lines say where they come from
        std::string traced;          ///< origins, separated by commas, whose lines are shown at any verbosity
        HtmlOptions html;
    };
    /// Errors: kIo, the destination can't be opened.
    static Result<Output> open(Config config);
    Output(Output&&) noexcept;
    Output& operator=(Output&&) noexcept;
    ~Output();

    [[nodiscard]] Format format() const { return config_.format; }
    [[nodiscard]] bool is_structured() const {
        return config_.format == Format::kXml || config_.format == Format::kJson;
    }
    [[nodiscard]] const Config& config() const { return config_; }
    [[nodiscard]] HtmlOptions& html() { return config_.html; }

    // --- for people ---
    /// One or more lines as they are (within a list: indented, without a bullet). Dropped when structured.
    void line(std::string_view text);
    void text(std::string_view raw);  ///< verbatim, without an added newline
    /// A list with a heading; lists nest. Every begin_list has its end_list.
    /// Without a title only the indentation grows.
    void begin_list(std::string_view title);
    void item(std::string_view text, std::string_view css_class = {});  ///< the class is for html
    void end_list();
    void blank_line();
    [[nodiscard]] int depth() const { return depth_; }
    /// How many lines and items were written so far: whether a part said anything.
    [[nodiscard]] std::size_t lines_written() const { return lines_; }

    // --- for programs ---
    /// Appends an element to the result. Dropped when for people.
    void add(xml::NodePtr element);
    void add(xml::Builder&& element) { add(std::move(element).build()); }
    void add(const xml::Builder& element) { add(element.build()); }

    /// Elements that are added between these two become children of one of that name.
    void begin_element(std::string_view name);
    void end_element();

    // --- for both ---
    /// What went wrong: standard error, or <errors>.
    void error(std::string_view text);
    /// The same, begun by the program's name, as the reason why a command ends.
    void fail(std::string_view text) { error(config_.program + ": " + std::string(text)); }
    /// A log line on standard error if verbosity lets it through (errors always; each -V one level more). `origin` is
    /// shown where PCMK_trace_functions is set.
    void log(Severity severity, std::string_view origin, std::string_view text);

    /// Ends the output; nothing is said afterwards. `message` replaces the exit code's text.
    void finish(ExitCode code, std::string_view message = {});
    /// For output that is made again and again: ends this one, writes it out and starts afresh.
    void restart();
    void flush();

private:
    explicit Output(Config config) : config_(std::move(config)) {}
    void write(std::string_view bytes);
    void write_structured(ExitCode code, std::string_view message);
    void write_html();

    Config config_;
    std::FILE* file_ = nullptr;  ///< owned unless it is stdout
    int depth_ = 0;
    std::size_t lines_ = 0;
    std::vector<xml::NodePtr> elements_;
    std::vector<std::pair<std::string, std::size_t>> open_;  ///< of begun elements: name and where their children begin
    std::vector<std::string> errors_;
    std::string html_;
};

/// The JSON form of an element (see above), without a newline at the end.
std::string to_json(const xml::Node& element, int depth = 0);

}  // namespace systole::cli
