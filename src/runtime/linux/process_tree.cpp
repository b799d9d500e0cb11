#include "runtime/linux/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace systole::runtime {

namespace {

std::optional<std::string> contents(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    std::string text;
    char buffer[8192];
    ssize_t count = 0;
    while ((count = ::read(fd, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<std::size_t>(count));
    ::close(fd);
    return count < 0 ? std::nullopt : std::optional(std::move(text));
}

struct Seen {
    pid_t parent{}, session{}, group{};
    char state{};
    unsigned long long started{};  ///< tells a process from a later one of the same number
};

/// Fields of /proc/PID/stat; the name in parentheses may hold anything, so what follows the last one counts.
std::optional<Seen> look_at(pid_t pid) {
    const auto text = contents(fmt::format("/proc/{}/stat", pid));
    if (!text) return {};
    const auto end = text->rfind(')');
    if (end == std::string::npos) return {};
    Seen seen;
    const int read = std::sscanf(text->c_str() + end + 1,
                                 " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                                 &seen.state, &seen.parent, &seen.group, &seen.session, &seen.started);
    return read == 5 ? std::optional(seen) : std::nullopt;
}

std::map<pid_t, Seen> all_processes() {
    std::map<pid_t, Seen> all;
    DIR* const directory = ::opendir("/proc");
    if (directory == nullptr) return all;
    while (const dirent* entry = ::readdir(directory)) {
        char* end = nullptr;
        const long pid = std::strtol(entry->d_name, &end, 10);
        if (pid <= 0 || *end != '\0') continue;
        if (const auto seen = look_at(static_cast<pid_t>(pid))) all.emplace(static_cast<pid_t>(pid), *seen);
    }
    ::closedir(directory);
    return all;
}

bool is_marked(pid_t pid, const std::string& mark) {
    const auto environment = contents(fmt::format("/proc/{}/environ", pid));
    if (!environment) return false;
    const std::string wanted = fmt::format("{}={}", kRunMark, mark);
    for (std::size_t at = 0; at < environment->size();) {
        const std::string_view entry = environment->c_str() + at;
        if (entry == wanted) return true;
        at += entry.size() + 1;
    }
    return false;
}

/// Kills the very process that was seen, not one that got its number meanwhile.
bool kill_seen(pid_t pid, const Seen& seen) {
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (fd < 0) return false;
    const auto now = look_at(pid);
    const bool same = now && now->started == seen.started;
    const bool hit = same && ::syscall(SYS_pidfd_send_signal, fd, SIGKILL, nullptr, 0) == 0;
    ::close(fd);
    return hit;
}

}  // namespace

std::string process_identity(pid_t pid) {
    const auto seen = look_at(pid);
    return seen && seen->state != 'Z' && seen->state != 'X' ? fmt::format("{} {}", pid, seen->started) : std::string{};
}

bool is_run_of(pid_t pid, const std::string& mark) { return !process_identity(pid).empty() && is_marked(pid, mark); }

std::size_t kill_tree(pid_t leader, const std::string& mark) {
    constexpr int kPassesMax = 10;  // each pass may meet children born during the one before
    const pid_t self = ::getpid();
    std::set<std::pair<pid_t, unsigned long long>> hit;
    if (leader > 0) ::kill(-leader, SIGKILL);
    for (int pass = 0; pass < kPassesMax; ++pass) {
        const auto all = all_processes();
        const auto descends = [&](pid_t pid) {
            for (int depth = 0; pid > 1 && pid != self && depth < 1000; ++depth) {
                if (pid == leader) return true;
                const auto at = all.find(pid);
                if (at == all.end()) return false;
                pid = at->second.parent;
            }
            return false;
        };
        bool found = false;
        for (const auto& [pid, seen] : all) {
            if (pid == self || pid == 1 || seen.state == 'Z' || seen.state == 'X') continue;
            if (hit.contains({pid, seen.started})) continue;
            const bool ours = (leader > 0 && (seen.session == leader || seen.group == leader || descends(pid))) ||
                              (!mark.empty() && is_marked(pid, mark));
            if (!ours || !kill_seen(pid, seen)) continue;
            hit.emplace(pid, seen.started);
            found = true;
        }
        if (!found) break;
    }
    return hit.size();
}

Result<ControlGroup> ControlGroup::make(const std::string& parent, const std::string& name) {
    ControlGroup group;
    group.path_ = parent + "/" + name;
    if (::mkdir(group.path_.c_str(), 0755) != 0) {
        const int error = errno;
        std::string path = std::exchange(group.path_, {});
        return fail(Errc::kIo, fmt::format("control group {}: {}", path, std::strerror(error)));
    }
    group.procs_ = ::open((group.path_ + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
    if (group.procs_ < 0) {
        return fail(Errc::kIo, fmt::format("control group {}: {}", group.path_, std::strerror(errno)));
    }
    return group;
}

ControlGroup::ControlGroup(ControlGroup&& other) noexcept
    : path_(std::exchange(other.path_, {})), procs_(std::exchange(other.procs_, -1)) {}

ControlGroup& ControlGroup::operator=(ControlGroup&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(procs_, other.procs_);
    return *this;
}

ControlGroup::~ControlGroup() {
    close_procs();
    if (!path_.empty()) ::rmdir(path_.c_str());
}

void ControlGroup::close_procs() {
    if (procs_ >= 0) ::close(std::exchange(procs_, -1));
}

void ControlGroup::kill() const {
    if (path_.empty()) return;
    const int fd = ::open((path_ + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC);
    const bool done = fd >= 0 && ::write(fd, "1", 1) == 1;
    if (fd >= 0) ::close(fd);
    if (done) return;
    constexpr int kPassesMax = 10;  // kernels before 5.14: one by one, until no new ones are born
    for (int pass = 0; pass < kPassesMax; ++pass) {
        const auto text = contents(path_ + "/cgroup.procs");
        if (!text || text->empty()) return;
        for (std::size_t at = 0; at < text->size(); at = text->find('\n', at) + 1) {
            const long pid = std::strtol(text->c_str() + at, nullptr, 10);
            if (pid > 0) ::kill(static_cast<pid_t>(pid), SIGKILL);
            if (text->find('\n', at) == std::string::npos) break;
        }
    }
}

void ControlGroup::kill_at(const std::string& path) {
    if (path.find("/systole-run-") == std::string::npos) return;
    ControlGroup group;
    group.path_ = path;
    group.kill();
    if (!group.remove()) group.path_.clear();  // who dies in it is still there
}

bool ControlGroup::remove() {
    if (path_.empty()) return true;
    close_procs();
    if (::rmdir(path_.c_str()) != 0 && errno != ENOENT) return false;
    path_.clear();
    return true;
}

}  // namespace systole::runtime
