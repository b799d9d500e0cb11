#pragma once
// runtime/linux/log_output.h — where a daemon's log lines go: syslog, the detail log, standard error.
//
// The variables are Pacemaker's (PCMK_logfile, PCMK_logpriority, ...), and so is the form of a line in the detail log,
// so what reads that log today goes on reading it.
// Source: protocol sheet pacemakerd.md, section 4.
#include <memory>
#include <string>
#include <vector>

#include "runtime/log.h"

namespace systole::runtime {

struct LogOptions {
    std::string program;             ///< as lines name it
    std::string node;                ///< likewise
    std::vector<std::string> files;  ///< appended to
    bool syslog = true;
    int syslog_facility{};                                   ///< LOG_DAEMON, ...
    wire::Severity syslog_lowest = wire::Severity::kNotice;  ///< of what goes to syslog
    wire::Severity detail_lowest = wire::Severity::kInfo;    ///< of what goes to files and standard error
    bool standard_error = false;
};

/// From PCMK_logfacility, PCMK_logpriority, PCMK_logfile, PCMK_debug, PCMK_stderr (and their old HA_ names). `program`
/// is looked for in the lists of daemons that PCMK_debug may hold.
LogOptions log_options_of_environment(const std::string& program);

class LogOutput {
public:
    explicit LogOutput(LogOptions options);
    ~LogOutput();
    LogOutput(const LogOutput&) = delete;
    LogOutput& operator=(const LogOutput&) = delete;

    void write(const wire::Log& line);
    /// For those who want a sink; must not outlive this object.
    [[nodiscard]] LogSink sink();
    /// One step more (+1) or less (-1) of detail: SIGUSR1 and SIGUSR2.
    void change_detail(int steps);
    /// Opens the files anew, after they were moved away.
    void reopen();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::runtime
