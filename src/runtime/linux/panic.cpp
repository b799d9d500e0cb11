#include "runtime/linux/panic.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "base/text.h"

namespace systole::runtime {
namespace {

std::string read_line(const std::string& path) {
    std::array<char, 256> buffer{};
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    ::close(fd);
    if (n <= 0) return {};
    const std::string text(buffer.data(), static_cast<std::size_t>(n));
    return text.substr(0, text.find('\n'));
}

bool is_sbd(pid_t pid) { return read_line(fmt::format("/proc/{}/comm", pid)) == "sbd"; }

/// The magic key stops the whole machine, also from within a container; that is not ours to stop.
bool in_container() {
    constexpr ino_t kInitialPidNamespace = 0xEFFFFFFCU;
    struct stat info{};
    return ::stat("/proc/self/ns/pid", &info) != 0 || info.st_ino != kInitialPidNamespace;
}

void press_key(char key) {
    const int fd = ::open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    [[maybe_unused]] const ssize_t n = ::write(fd, &key, 1);
    ::close(fd);
}

}  // namespace

std::optional<pid_t> find_sbd() {
    for (const char* file : {"/run/sbd.pid", "/var/run/sbd.pid"}) {
        const auto pid = parse_integer(read_line(file));
        if (pid && *pid > 1 && is_sbd(static_cast<pid_t>(*pid))) return static_cast<pid_t>(*pid);
    }
    DIR* const proc = ::opendir("/proc");
    if (proc == nullptr) return std::nullopt;
    std::optional<pid_t> found;  // the lowest: the main process starts the others
    while (const dirent* const entry = ::readdir(proc)) {
        const auto pid = parse_integer(entry->d_name);
        if (pid && *pid > 1 && (!found || *pid < *found) && is_sbd(static_cast<pid_t>(*pid)))
            found = static_cast<pid_t>(*pid);
    }
    ::closedir(proc);
    return found;
}

void panic_machine(const std::string& action, const LogSink& log) {
    if (const auto sbd = find_sbd()) {
        log({.severity = wire::Severity::kError,
             .text = "Panic: ending sbd, so that the watchdog resets this machine"});
        if (::kill(*sbd, SIGKILL) == 0) return;
    }
    std::string_view what = action;
    if (what.starts_with("sync-")) {
        what.remove_prefix(5);
        ::sync();
    }
    const char key = what == "off" ? 'o' : what == "crash" ? 'c' : 'b';
    log({.severity = wire::Severity::kError,
         .text = fmt::format("Panic: {} this machine", key == 'o'   ? "switching off"
                                                       : key == 'c' ? "crashing"
                                                                    : "rebooting")});
    if (!in_container()) press_key(key);
    ::reboot(key == 'o' ? RB_POWER_OFF : RB_AUTOBOOT);
}

}  // namespace systole::runtime
