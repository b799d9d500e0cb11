#include "cli/status_source.h"

#include <thread>

#include <fmt/format.h>

#include "cli/cib_access.h"
#include "cli/files.h"
#include "cli/live_source.h"
#include "cli/schema_directory.h"

namespace systole::cli {
namespace {

ExitCode exit_code_for(const Error& error) {
    switch (error.code) {
        case Errc::kNotFound: return ExitCode::kNoInput;
        case Errc::kDenied: return ExitCode::kInsufficientPrivileges;
        case Errc::kIo: return ExitCode::kIo;
        case Errc::kInvalid:
        case Errc::kCorrupt: return ExitCode::kConfig;
        case Errc::kUnreachable: return ExitCode::kDisconnected;
        case Errc::kExists:
        case Errc::kStale: break;
    }
    return ExitCode::kError;
}

class FileSource final : public StatusSource {
public:
    explicit FileSource(std::string path) : path_(std::move(path)) {}
    tl::expected<xml::NodePtr, SourceError> query() override {
        if (once_) return once_;
        auto cib = read_xml_file(path_);
        if (!cib) return tl::unexpected(SourceError{exit_code_for(cib.error()), cib.error().what});
        if (path_ == "-") once_ = *cib;
        return *cib;
    }

private:
    std::string path_;
    xml::NodePtr once_;
};

}  // namespace

StatusSource::Event StatusSource::wait(Duration at_most) {
    std::this_thread::sleep_for(at_most);
    return Event::kTimeout;
}

std::unique_ptr<StatusSource> file_source(std::string path) { return std::make_unique<FileSource>(std::move(path)); }

tl::expected<std::unique_ptr<StatusSource>, SourceError> open_source() {
    const CibSource source = cib_source();
    if (source.kind != CibSource::Kind::kLive) return file_source(source.path);
    return open_live_source();
}

tl::expected<xml::NodePtr, SourceError> upgraded(xml::NodePtr cib) {
    const auto schemas = open_schemas();
    if (schemas->names().empty()) return cib;  // none installed: the CIB is read as it is
    auto result = schemas->upgrade(cib);
    return result.cib ? result.cib : cib;
}

tl::expected<xml::NodePtr, SourceError> upgraded_if_valid(xml::NodePtr cib, Output& output) {
    const CibLog log = log_to(output);
    const auto schemas = open_schemas([&](const cib::SchemaNote& note) {
        using Level = cib::SchemaNote::Level;
        switch (note.level) {
            case Level::kError: return log(Severity::kError, note.origin, note.text);
            case Level::kWarning: return log(Severity::kWarning, note.origin, note.text);
            case Level::kInfo: return log(Severity::kInfo, note.origin, note.text);
            case Level::kDebug: return log(Severity::kDebug, note.origin, note.text);
            case Level::kViolation: break;
        }
        // In the form that the parser's library gives them, which is what users look for.
        const auto colon = note.text.find(": ");
        output.error(colon == std::string::npos ? note.text
                                                : fmt::format("{}: Relax-NG validity error : {}",
                                                              note.text.substr(0, colon), note.text.substr(colon + 2)));
    });
    if (schemas->names().empty()) return cib;  // none installed: the CIB is read as it is
    const std::string claimed(cib->get("validate-with"));
    if (claimed == "none") return cib;
    const SourceError invalid{ExitCode::kConfig, "the configuration is not valid"};
    if (!schemas->knows(claimed)) return tl::unexpected(invalid);
    auto result = schemas->upgrade(cib);
    if (result.upgraded || result.refusal == cib::Schemas::Refusal::kUnchanged) return result.cib;
    output.error(
        fmt::format("Cannot upgrade configuration (claiming {} schema) to at least {} because it does not validate "
                    "with any schema from {} to the latest",
                    claimed, schemas->newest(), claimed));
    return tl::unexpected(invalid);
}

}  // namespace systole::cli
