#include "runtime/linux/run_records.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/text.h"
#include "runtime/linux/process_tree.h"

namespace systole::runtime {

Result<RunRecords> RunRecords::open(const std::string& directory) {
    const auto broken = [&](Errc code, std::string_view why) {
        return fail(code, fmt::format("Agents are not recorded in {}: {}", directory, why));
    };
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return broken(Errc::kIo, std::strerror(errno));
    struct stat found{};
    if (::lstat(directory.c_str(), &found) != 0) return broken(Errc::kIo, std::strerror(errno));
    if (!S_ISDIR(found.st_mode) || found.st_uid != ::geteuid() || (found.st_mode & 022) != 0)
        return broken(Errc::kDenied, "it is not a directory of this user alone");
    RunRecords records;
    records.directory_ = directory;
    records.owner_ = process_identity(::getpid());
    return records;
}

void RunRecords::write(const Run& run) const {
    if (directory_.empty()) return;
    const std::string path = fmt::format("{}/{}", directory_, run.mark);
    const std::string text = fmt::format("{}\n{}\n{}\n", owner_, run.leader, run.group);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return;
    // The second text is never shorter than the first, so it may replace it in place.
    [[maybe_unused]] const ssize_t written = ::write(fd, text.data(), text.size());
    ::close(fd);
}

void RunRecords::remove(const std::string& mark) const {
    if (!directory_.empty()) ::unlink(fmt::format("{}/{}", directory_, mark).c_str());
}

std::vector<RunRecords::Run> RunRecords::take_unfinished() const {
    std::vector<Run> runs;
    DIR* const directory = directory_.empty() ? nullptr : ::opendir(directory_.c_str());
    if (directory == nullptr) return runs;
    while (const dirent* entry = ::readdir(directory)) {
        const std::string mark = entry->d_name;
        if (mark.starts_with(".")) continue;
        const std::string path = fmt::format("{}/{}", directory_, mark);
        std::ifstream file(path);
        std::string owner, leader;
        Run run{.mark = mark, .leader = 0, .group = {}};
        std::getline(file, owner);
        std::getline(file, leader);
        std::getline(file, run.group);
        const std::string_view pid = std::string_view(owner).substr(0, owner.find(' '));
        const auto number = parse_integer(pid);
        if (number && process_identity(static_cast<pid_t>(*number)) == owner) continue;
        run.leader = static_cast<pid_t>(parse_integer(leader).value_or(0));
        ::unlink(path.c_str());
        runs.push_back(std::move(run));
    }
    ::closedir(directory);
    std::ranges::sort(runs, {}, &Run::mark);
    return runs;
}

std::size_t kill_unfinished(const std::vector<RunRecords::Run>& runs) {
    constexpr int kPassesMax = 400, kPassMs = 5;
    std::size_t killed = 0;
    for (const RunRecords::Run& run : runs) {
        if (run.mark.empty() || (run.leader > 0 && !is_run_of(run.leader, run.mark))) continue;
        ControlGroup::kill_at(run.group);
        bool hit = run.leader > 0;  // its group's death may be quicker than the look that follows
        for (int pass = 0; pass < kPassesMax && kill_tree(run.leader, run.mark) > 0; ++pass) {
            hit = true;
            ::poll(nullptr, 0, kPassMs);
        }
        killed += hit ? 1U : 0U;
    }
    return killed;
}

}  // namespace systole::runtime
