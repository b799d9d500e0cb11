#include "runtime/linux/log_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "base/text.h"

namespace systole::runtime {
namespace {

/// Files of this process grow to that size at most, like on a disk that is full then.
class Full {
public:
    explicit Full(rlim_t size) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{size, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    Full(const Full&) = delete;
    Full& operator=(const Full&) = delete;
    ~Full() { ::setrlimit(RLIMIT_FSIZE, &before_); }

private:
    rlimit before_{};
};

TEST(LogOutput, ALineThatTheDiskTookInPartDoesNotSwallowTheNext) {
    std::signal(SIGXFSZ, SIG_IGN);
    const auto path = std::filesystem::temp_directory_path() / ("systole-log-" + std::to_string(::getpid()));
    {
        LogOutput log({.program = "test", .node = "n1", .files = {path.string()}, .syslog = false});
        log.write({.severity = wire::Severity::kNotice, .text = "first"});
        const auto whole = std::filesystem::file_size(path);
        {
            const Full full(whole + 10);
            log.write({.severity = wire::Severity::kNotice, .text = "torn"});
            log.write({.severity = wire::Severity::kNotice, .text = "left out"});
        }
        log.write({.severity = wire::Severity::kNotice, .text = "last"});
    }
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    std::filesystem::remove(path);
    const std::string shown = text.str();
    const auto lines = split(shown, "\n");
    ASSERT_GE(lines.size(), 3U) << shown;
    EXPECT_THAT(lines[0], testing::EndsWith("first"));
    EXPECT_EQ(lines[1].size(), 10U);
    EXPECT_THAT(lines[2], testing::EndsWith("notice: last"));
}

}  // namespace
}  // namespace systole::runtime
