#include "runtime/linux/log_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "base/text.h"

namespace systole::runtime {

namespace {

constexpr std::array<std::string_view, 5> kNames{"error", "warning", "notice", "info", "debug"};
constexpr std::array<int, 5> kSyslogLevels{LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG};

std::string variable(const char* name) {
    for (const char* prefix : {"PCMK_", "HA_"}) {
        if (const char* value = std::getenv((std::string(prefix) + name).c_str())) return value;
    }
    return {};
}

std::string time_text() {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    ::localtime_r(&now, &local);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%b %d %H:%M:%S", &local)};
}

}  // namespace

LogOptions log_options_of_environment(const std::string& program) {
    struct Facility {
        std::string_view name;
        int value;
    };
    static constexpr std::array kFacilities{
        Facility{"daemon", LOG_DAEMON}, Facility{"user", LOG_USER},     Facility{"auth", LOG_AUTH},
        Facility{"cron", LOG_CRON},     Facility{"syslog", LOG_SYSLOG}, Facility{"local0", LOG_LOCAL0},
        Facility{"local1", LOG_LOCAL1}, Facility{"local2", LOG_LOCAL2}, Facility{"local3", LOG_LOCAL3},
        Facility{"local4", LOG_LOCAL4}, Facility{"local5", LOG_LOCAL5}, Facility{"local6", LOG_LOCAL6},
        Facility{"local7", LOG_LOCAL7}};
    LogOptions options;
    options.program = program;
    utsname name{};
    if (::uname(&name) == 0) options.node = name.nodename;
    const std::string facility = variable("logfacility");
    options.syslog = facility != "none" && facility != "/dev/null";
    options.syslog_facility = LOG_DAEMON;
    for (const auto& known : kFacilities) {
        if (same_ignoring_case(known.name, facility)) options.syslog_facility = known.value;
    }
    const std::string priority = variable("logpriority");
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        if (same_ignoring_case(priority, kNames[i])) options.syslog_lowest = static_cast<wire::Severity>(i);
    }
    const std::string debug = variable("debug");
    const auto listed = split(debug, ",");
    if (parse_bool(debug).value_or(false) || std::ranges::find(listed, program) != listed.end())
        options.detail_lowest = wire::Severity::kDebug;
    const std::string file = variable("logfile");
    if (file != "none" && file != "/dev/null") {
        options.files.push_back(file.empty() ? "/var/log/pacemaker/pacemaker.log" : file);
    }
    options.standard_error = parse_bool(variable("stderr")).value_or(false);
    return options;
}

struct LogOutput::Impl {
    LogOptions options;
    struct File {
        int fd = -1;
        bool torn = false;  ///< the last line is there in part only: the disk was full
    };
    std::vector<File> files;
    File standard_error{.fd = STDERR_FILENO};

    explicit Impl(LogOptions o) : options(std::move(o)) {
        if (options.syslog) ::openlog(options.program.c_str(), LOG_NDELAY | LOG_PID, options.syslog_facility);
        open_files();
    }
    ~Impl() {
        close_files();
        if (options.syslog) ::closelog();
    }
    /// A file that cannot be opened is left out: a log must not keep a daemon from running.
    void open_files() {
        for (const auto& path : options.files) {
            const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0660);
            if (fd >= 0) files.push_back({.fd = fd});
        }
    }
    void close_files() {
        for (const File& file : std::exchange(files, {})) ::close(file.fd);
    }
    /// A full disk is no reason to stop either: what it does not take is left out, and the next line begins a line.
    static void put(File& file, const std::string& text) {
        const std::string whole = file.torn ? "\n" + text : text;
        const ssize_t written = ::write(file.fd, whole.data(), whole.size());
        if (written > 0) file.torn = static_cast<std::size_t>(written) < whole.size();
    }
};

LogOutput::LogOutput(LogOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
LogOutput::~LogOutput() = default;

void LogOutput::write(const wire::Log& line) {
    const auto& options = impl_->options;
    const auto level = static_cast<std::size_t>(line.severity);
    if (options.syslog && line.severity <= options.syslog_lowest) {
        ::syslog(kSyslogLevels[level], "%s: %s", kNames[level].data(), line.text.c_str());
    }
    if (line.severity > options.detail_lowest || (impl_->files.empty() && !options.standard_error)) return;
    std::string text = line.text;
    std::ranges::replace(text, '\n', ' ');  // a line stays a line, whatever an agent wrote
    const std::string entry = fmt::format("{} {} {:<20}[{}] {}: {}\n", time_text(), options.node, options.program,
                                          ::getpid(), kNames[level], text);
    for (Impl::File& file : impl_->files) Impl::put(file, entry);
    if (options.standard_error) Impl::put(impl_->standard_error, entry);
}

LogSink LogOutput::sink() {
    return [this](const wire::Log& line) { write(line); };
}

void LogOutput::change_detail(int steps) {
    const int level =
        std::clamp(static_cast<int>(impl_->options.detail_lowest) + steps, 0, static_cast<int>(wire::Severity::kDebug));
    impl_->options.detail_lowest = static_cast<wire::Severity>(level);
}

void LogOutput::reopen() {
    impl_->close_files();
    impl_->open_files();
}

}  // namespace systole::runtime
