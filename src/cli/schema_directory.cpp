#include "cli/schema_directory.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "cli/files.h"

namespace systole::cli {

std::string schema_directory() {
    namespace fs = std::filesystem;
    if (const char* chosen = std::getenv("PCMK_schema_directory"); chosen != nullptr && *chosen != '\0') return chosen;
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error);
    if (!error) {
        const fs::path beside = program.parent_path().parent_path() / "schemas";
        if (fs::exists(beside / "pacemaker-4.0.rng", error)) return beside;
    }
    return SYSTOLE_SCHEMA_DIRECTORY;
}

std::unique_ptr<cib::SchemaSet> open_schemas(std::function<void(const cib::SchemaNote&)> note,
                                             const std::string& directory) {
    cib::SchemaFiles files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
        files.names.push_back(entry.path().filename());
    }
    files.read = [directory](const std::string& name) { return read_file(directory + "/" + name); };
    return std::make_unique<cib::SchemaSet>(std::move(files), std::move(note));
}

}  // namespace systole::cli
