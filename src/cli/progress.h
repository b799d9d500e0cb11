#pragma once
// cli/progress.h — tells people who wait at a terminal what a command is doing.
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace systole::cli {

/// One line on standard error, rewritten while work goes on: nothing in the first second, nothing where standard error
/// is no terminal, and nothing left of it at the end.
class Progress {
public:
    explicit Progress(bool wanted);
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress() { end(); }
    /// Empty: wipes the line, and says nothing until the next phase, as output follows that may share the terminal.
    void phase(std::string_view what);
    /// Wipes the line; nothing is said afterwards.
    void end();

private:
    void show();
    void wipe();

    std::mutex mutex_;
    std::condition_variable ended_;
    std::string phase_;
    bool over_ = true;
    bool shown_ = false;
    std::thread thread_;
};

}  // namespace systole::cli
