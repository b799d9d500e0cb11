#include "runtime/linux/paths.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace systole::runtime {
namespace {

namespace fs = std::filesystem;

TEST(Paths, SchemasAreThoseOfTheInstallationThatTheProgramIsOf) {
    std::string name = (fs::temp_directory_path() / "systole-paths-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    const fs::path tree(name);
    for (const char* folder : {"share/pacemaker", "sbin", "libexec/pacemaker"}) fs::create_directories(tree / folder);
    EXPECT_EQ(installed_schemas(tree / "sbin"), "/usr/share/pacemaker");
    std::ofstream(tree / "share/pacemaker/pacemaker-4.0.rng") << "<grammar/>";
    EXPECT_TRUE(fs::equivalent(installed_schemas(tree / "sbin"), tree / "share/pacemaker"));
    EXPECT_TRUE(fs::equivalent(installed_schemas(tree / "libexec/pacemaker"), tree / "share/pacemaker"));
    fs::remove_all(tree);
}

}  // namespace
}  // namespace systole::runtime
