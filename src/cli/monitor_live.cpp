// crm_mon's display that goes on: cli/monitor.h, monitor().
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "cli/local_time.h"
#include "cli/monitor.h"

namespace systole::cli {
namespace {

volatile std::sig_atomic_t g_stop = 0;  // NOLINT: a signal handler can reach nothing else
void on_signal(int) { g_stop = 1; }

// The terminal as it was is given back however the display ends.
class Screen {
public:
    Screen() {
        if (isatty(STDOUT_FILENO) == 0 || isatty(STDIN_FILENO) == 0) return;
        if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
        termios raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0) return;
        active_ = true;
        std::fputs("\033[?1049h\033[?25l", stdout);  // alternate screen, no cursor
    }
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;
    ~Screen() {
        if (!active_) return;
        std::fputs("\033[?25h\033[?1049l", stdout);
        std::fflush(stdout);
        tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
    [[nodiscard]] bool is_active() const { return active_; }
    void clear() const {
        if (active_) std::fputs("\033[H\033[2J", stdout);
    }
    // A key that was pressed, or 0.
    [[nodiscard]] char key() const {
        char c = 0;
        return active_ && read(STDIN_FILENO, &c, 1) == 1 ? c : '\0';
    }

private:
    termios before_{};
    bool active_ = false;
};

struct Key {
    char key;
    const char* what;
    Sections sections;    // toggled
    bool Show::* option;  // toggled
};
constexpr Key kKeys[]{
    {'c', "Display cluster tickets", kTickets, nullptr},
    {'f', "Display resource fail counts", kFailcounts, nullptr},
    {'n', "Group resources by node", 0, &Show::by_node},
    {'o', "Display resource operation history", kOperations, nullptr},
    {'r', "Display inactive resources", 0, &Show::inactive},
    {'t', "Display resource operation history with timing details", 0, &Show::timing},
    {'A', "Display node attributes", kAttributes, nullptr},
    {'D', "Hide all headers", kSummarySections & ~kOptionsSection, nullptr},
    {'L', "Display negative location constraints", kBans, nullptr},
    {'R', "Show more details (node IDs, individual clone instances)", 0, &Show::detail},
    {'b', "Brief output", 0, &Show::brief},
    {'m', "Display fencing history", kFencingSucceeded, nullptr},
};

bool is_on(const MonitorOptions& options, const Key& key) {
    if (key.option != nullptr) return options.show.*key.option;
    const bool shown = (options.sections & key.sections) == key.sections;
    return key.key == 'D' ? !shown : shown;
}

void print_keys(const MonitorOptions& options) {
    std::fputs("Display option change mode\n\n", stdout);
    for (const Key& key : kKeys)
        std::fputs(fmt::format("{} {}: \t{}\n", is_on(options, key) ? '*' : ' ', key.key, key.what).c_str(), stdout);
    std::fputs("\n  q: \tQuit\n\nToggle fields via field letter; any other key refreshes\n", stdout);
    std::fflush(stdout);
}

// False: quit.
bool handle_key(char pressed, MonitorOptions& options, bool& help) {
    if (pressed == 'q') return false;
    if (pressed == '?') {
        help = !help;
        return true;
    }
    const Key* const key = std::ranges::find(kKeys, pressed, &Key::key);
    if (key == std::end(kKeys)) {
        help = false;
    } else if (key->option != nullptr) {
        options.show.*key->option = !(options.show.*key->option);
        if (key->option == &Show::timing && options.show.timing) options.sections |= kOperations;
    } else {
        options.sections ^= key->sections;
    }
    return true;
}

Result<void> go_to_background(const std::string& pid_file) {
    const pid_t child = fork();
    if (child < 0) return systole::fail(Errc::kIo, std::strerror(errno));
    if (child > 0) _exit(0);
    setsid();
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
    }
    if (!pid_file.empty()) {
        if (std::FILE* file = std::fopen(pid_file.c_str(), "we")) {
            std::fputs(fmt::format("{}\n", getpid()).c_str(), file);
            std::fclose(file);
        }
    }
    return {};
}

}  // namespace

ExitCode monitor(StatusSource& source, MonitorOptions options, Output& output, bool daemonize) {
    if (daemonize) {
        if (auto background = go_to_background(options.pid_file); !background) {
            output.fail(background.error().what);
            return ExitCode::kOsError;
        }
    }
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    const Screen screen;
    bool help = false;
    ExitCode last = ExitCode::kOk;
    if (output.format() == Format::kHtml) output.html().refresh_s = static_cast<int>(options.interval.count() / 1000);
    while (g_stop == 0) {
        screen.clear();
        if (help) {
            print_keys(options);
        } else {
            last = monitor_once(source, options, output);
            if (output.format() == Format::kHtml) {
                output.restart();
            } else {
                if (!screen.is_active()) output.blank_line();
                output.flush();
            }
        }
        // Keys are looked at several times a second; the display is made again when something changed.
        Duration waited{0};
        constexpr Duration kSlice{200};
        while (g_stop == 0 && waited < options.interval) {
            const auto event = source.wait(kSlice);
            waited += kSlice;
            if (const char pressed = screen.key(); pressed != 0) {
                if (!handle_key(pressed, options, help)) return ExitCode::kOk;
                break;
            }
            if (event == StatusSource::Event::kChanged || event == StatusSource::Event::kFencing) break;
            if (event == StatusSource::Event::kDisconnected && daemonize) return ExitCode::kDisconnected;
        }
    }
    return last;
}

}  // namespace systole::cli
