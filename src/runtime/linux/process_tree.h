#pragma once
// runtime/linux/process_tree.h — finding and killing everything that a program started.
#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace systole::runtime {

/// A control group for one run. It is removed when it is found empty; a service that was started in it may live on.
class ControlGroup {
public:
    /// Errors: kIo with the system's reason.
    static Result<ControlGroup> make(const std::string& parent, const std::string& name);
    ControlGroup() = default;
    ControlGroup(ControlGroup&& other) noexcept;
    ControlGroup& operator=(ControlGroup&& other) noexcept;
    ~ControlGroup();

    explicit operator bool() const { return !path_.empty(); }
    /// Descriptor of cgroup.procs, open for writing as long as this object does not close it.
    [[nodiscard]] int procs() const { return procs_; }
    void close_procs();
    void kill() const;
    /// Kills all in the group of that path, if there is one that was made by make().
    static void kill_at(const std::string& path);
    [[nodiscard]] const std::string& path() const { return path_; }
    /// True if it is gone now; false if something still runs in it.
    [[nodiscard]] bool remove();

private:
    std::string path_;
    int procs_ = -1;
};

/// Set in a program's environment to a value of its own, so that what it starts can be known by it.
inline constexpr const char* kRunMark = "SYSTOLE_RUN";

/// Tells a process from all others, also from a later one with its number: "PID STARTED". Empty if there is none.
std::string process_identity(pid_t pid);
/// Does that process run, and was it started with kRunMark=`mark`?
bool is_run_of(pid_t pid, const std::string& mark);

/// SIGKILL to all processes of the session and group `leader`, to all descendants of it, and to those whose environment
/// holds kRunMark=`mark`; until /proc shows no more. This process is never among them. Returns how many were hit.
std::size_t kill_tree(pid_t leader, const std::string& mark);

}  // namespace systole::runtime
