// The first part of the recorded reports of crm_simulate: what the cluster looks like before anything is done.
#include "cli/status_view.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <unistd.h>

#include "cli/status_source.h"
#include "model/read_cluster.h"
#include "xml/parse.h"

namespace systole::cli {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

fs::path corpus() {
    const char* shared = std::getenv("SYSTOLE_SHARED");
    return fs::path(shared != nullptr ? shared : "../shared") / "conformance" / "scheduler";
}

// SYSTOLE_INPUTS: the same inputs in another directory, brought to a newer schema by other means.
fs::path inputs() {
    const char* other = std::getenv("SYSTOLE_INPUTS");
    return other != nullptr ? fs::path(other) : corpus() / "xml";
}

// "Current cluster status:" up to the next part of the report.
std::string recorded_status(const std::string& report) {
    const auto from = report.find("Current cluster status:");
    if (from == std::string::npos) return {};
    const auto to = report.find("\nTransition Summary:", from);
    std::string text = report.substr(from, to == std::string::npos ? to : to - from);
    while (text.ends_with("\n\n")) text.pop_back();
    return text;
}

std::string shown_status(const fs::path& input, std::int64_t at) {
    auto cib = xml::parse(read_file(input));
    if (!cib) return cib.error().what;
    auto newest = upgraded(*cib);
    if (!newest) return newest.error().what;
    std::int64_t when = at;
    if (const auto date = parse_integer((*cib)->get("execution-date"))) when = *date;
    auto cluster = model::read_cluster(*newest, rules::DateTime(WallTime{when}, 0));
    if (!cluster) return cluster.error().what;
    const fs::path file = fs::temp_directory_path() / ("systole_status_" + std::to_string(getpid()));
    {
        auto output = Output::open({.program = "crm_simulate", .destination = file.string()});
        Show show;
        show.inactive = true;
        Spacer spacer;
        output->begin_list("Current cluster status");
        show_nodes(*output, show, **cluster, spacer);
        show_resources(*output, show, **cluster, spacer);
        output->end_list();
        output->finish(ExitCode::kOk);
    }
    std::string text = read_file(file);
    fs::remove(file);
    return text;
}

TEST(StatusView, MatchesTheRecordedReports) {
    if (!fs::exists(corpus() / "summary")) GTEST_SKIP() << "no corpus at " << corpus();
    const char* only = std::getenv("SYSTOLE_ONLY");
    int passed = 0;
    int failed = 0;
    std::set<fs::path> reports;
    for (const auto& entry : fs::directory_iterator(corpus() / "summary")) reports.insert(entry.path());
    for (const fs::path& report : reports) {
        if (only != nullptr && report.stem() != only) continue;
        const fs::path input = inputs() / (report.stem().string() + ".xml");
        if (!fs::exists(input)) continue;
        const std::string expected = recorded_status(read_file(report));
        const std::string actual = shown_status(input, 1'790'000'000);
        if (actual == expected) {
            ++passed;
        } else {
            ++failed;
            if (only != nullptr) {
                EXPECT_EQ(actual, expected);
            } else {
                std::printf("differs: %s\n", report.stem().c_str());
            }
        }
    }
    std::printf("%d passed, %d differ\n", passed, failed);
    // Without a schema upgrade inputs in old schemas are read as they are, and many differ for that.
    EXPECT_GT(passed, 0);
}

}  // namespace
}  // namespace systole::cli
