#include "cli/cib_source.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include "xml/parse.h"

namespace systole::cli {
namespace {

LiveSourceFactory& live_factory() {
    static LiveSourceFactory factory;
    return factory;
}

UpgradeCib& upgrade_hook() {
    static UpgradeCib hook;
    return hook;
}

tl::expected<std::string, SourceError> read_all(const std::string& path) {
    std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "re");
    if (file == nullptr) {
        return tl::unexpected(SourceError{exit_code_of_legacy(-errno), std::strerror(errno)});
    }
    std::string text;
    char buffer[65536];
    while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, file)) text.append(buffer, n);
    const bool failed = std::ferror(file) != 0;
    if (file != stdin) std::fclose(file);
    if (failed) return tl::unexpected(SourceError{ExitCode::kIo, fmt::format("{} can't be read", path)});
    return text;
}

class FileSource final : public CibSource {
public:
    explicit FileSource(std::string path) : path_(std::move(path)) {}
    tl::expected<xml::NodePtr, SourceError> query() override {
        if (once_) return once_;
        auto text = read_all(path_);
        if (!text) return tl::unexpected(text.error());
        auto cib = xml::parse(*text);
        if (!cib) return tl::unexpected(SourceError{ExitCode::kConfig, fmt::format("{}: {}", path_, cib.error().what)});
        if (path_ == "-") once_ = *cib;
        return *cib;
    }

private:
    std::string path_;
    xml::NodePtr once_;
};

std::string env(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

CibSource::Event CibSource::wait(Duration at_most) {
    std::this_thread::sleep_for(at_most);
    return Event::kTimeout;
}

std::unique_ptr<CibSource> file_source(std::string path) { return std::make_unique<FileSource>(std::move(path)); }

void set_live_source(LiveSourceFactory factory) { live_factory() = std::move(factory); }

std::optional<std::string> source_file() {
    if (const std::string shadow = env("CIB_shadow"); !shadow.empty()) {
        std::string directory = env("CIB_shadow_dir");
        if (directory.empty()) directory = "/var/lib/pacemaker/cib";
        return fmt::format("{}/shadow.{}", directory, shadow);
    }
    if (const std::string file = env("CIB_file"); !file.empty()) return file;
    return std::nullopt;
}

tl::expected<std::unique_ptr<CibSource>, SourceError> open_source() {
    if (auto file = source_file()) return file_source(*file);
    if (live_factory()) return live_factory()();
    return tl::unexpected(SourceError{ExitCode::kDisconnected, "Not connected"});
}

void set_upgrade(UpgradeCib upgrade) { upgrade_hook() = std::move(upgrade); }

tl::expected<xml::NodePtr, SourceError> upgraded(xml::NodePtr cib) {
    return upgrade_hook() ? upgrade_hook()(std::move(cib)) : tl::expected<xml::NodePtr, SourceError>(std::move(cib));
}

}  // namespace systole::cli
