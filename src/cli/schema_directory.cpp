#include "cli/schema_directory.h"

#include <filesystem>
#include <system_error>

#include "cli/files.h"
#include "runtime/linux/paths.h"

namespace systole::cli {

std::string schema_directory() { return runtime::paths_of_environment().schemas; }

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
