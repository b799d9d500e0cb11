#include "runtime/linux/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include "runtime/linux/bounded_output.h"
#include "runtime/linux/process_spawn.h"
#include "runtime/linux/process_tree.h"
#include "runtime/linux/run_records.h"

namespace systole::runtime {

namespace {

class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() { reset(); }
    void reset() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] bool open() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

/// The same above the standard descriptors, which are those that a child's are copied to.
Descriptor above_standard(int fd) {
    if (fd < 0 || fd > 2) return Descriptor(fd);
    const int higher = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    ::close(fd);
    return Descriptor(higher);
}

struct Pipe {
    Descriptor read, write;
};
bool open_pipe(Pipe& pipe) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    pipe.read = above_standard(ends[0]);
    pipe.write = above_standard(ends[1]);
    return pipe.read.open() && pipe.write.open() && ::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) == 0;
}

/// All of the input at once, however large, so that nobody has to wait for its reader.
Descriptor open_input(const std::string& text) {
    if (text.empty()) return above_standard(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    Descriptor file = above_standard(::memfd_create("input", MFD_CLOEXEC));
    for (std::size_t done = 0; file.open() && done < text.size();) {
        const ssize_t count = ::write(file.get(), text.data() + done, text.size() - done);
        if (count < 0 && errno != EINTR) file.reset();
        if (count > 0) done += static_cast<std::size_t>(count);
    }
    if (file.open() && ::lseek(file.get(), 0, SEEK_SET) != 0) file.reset();
    return file;
}

std::vector<std::string> environment_for(const ProcessSpec& spec, const std::string& mark) {
    std::map<std::string, std::string> all;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string text = *entry;
        const auto equals = text.find('=');
        if (equals != std::string::npos && equals != 0) all[text.substr(0, equals)] = text.substr(equals + 1);
    }
    for (const auto& [name, value] : spec.environment) all[name] = value;
    all[kRunMark] = mark;
    std::vector<std::string> entries;
    entries.reserve(all.size());
    for (const auto& [name, value] : all) {
        // A zero byte ends a variable for the system; what follows it would be lost silently anyway.
        std::string entry = name + "=" + value;
        entries.push_back(entry.substr(0, entry.find('\0')));
    }
    return entries;
}

/// Empty on success, else why not.
std::string set_user(const std::string& name, SpawnRequest& request) {
    if (name.empty()) return {};
    std::vector<char> buffer(std::size_t{16} * 1024);
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
        return fmt::format("there is no user '{}'", name);
    }
    if (::geteuid() != 0) return {};  // a cluster without privileges runs everything as its owner
    request.change_user = true;
    request.uid = entry.pw_uid;
    request.gid = entry.pw_gid;
    int count = 64;
    request.groups.resize(static_cast<std::size_t>(count));
    if (::getgrouplist(name.c_str(), entry.pw_gid, request.groups.data(), &count) < 0) {
        request.groups.resize(static_cast<std::size_t>(count));
        if (::getgrouplist(name.c_str(), entry.pw_gid, request.groups.data(), &count) < 0) count = 0;
    }
    request.groups.resize(static_cast<std::size_t>(count));
    return {};
}

std::string signal_text(int signal) {
    const char* const name = ::sigdescr_np(signal);
    return fmt::format("was interrupted by signal {} ({})", signal, name == nullptr ? "unknown" : name);
}

std::string group_name(const std::string& name) {
    std::string text;
    for (const char c : name.substr(0, 64)) text += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    return text;
}

}  // namespace

struct ProcessRunner::Impl {
    struct Run {
        RunId id{};
        ProcessSpec spec;
        Done done;  ///< empty once called
        pid_t pid = -1;
        std::string mark;
        Descriptor output, error;
        BoundedOutput output_text, error_text;
        Source output_source, error_source, timer, child;
        ControlGroup group;
        bool timed_out = false, killed = false;
        Run(RunId number, const ProcessSpec& what, Done tell)
            : id(number), spec(what), done(std::move(tell)), output_text(what.output_max), error_text(what.output_max) {
            spec.input.clear();
            spec.environment.clear();
        }
    };

    Loop& loop;
    ProcessRunnerOptions options;
    std::map<RunId, Run> runs;
    std::list<ControlGroup> populated;  ///< of ended runs: what they started lives on in them
    RunId last = 0;
    std::string mark_base;
    RunRecords records;
    Source orphans;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);

    Impl(Loop& l, ProcessRunnerOptions o) : loop(l), options(std::move(o)) {
        mark_base = fmt::format("{}-{}", ::getpid(), loop.now().mono.time_since_epoch().count());
        end_earlier_runs();
        remove_old_groups();
    }

    void end_earlier_runs() {
        if (options.records.empty()) return;
        auto opened = RunRecords::open(options.records);
        if (!opened) {
            log(wire::Severity::kWarning, opened.error().what);
            return;
        }
        records = std::move(*opened);
        if (const std::size_t killed = kill_unfinished(records.take_unfinished()); killed > 0)
            log(wire::Severity::kWarning,
                fmt::format("killed {} agents that an earlier process of this daemon had left running", killed));
    }

    Result<void> adopt_orphans() {
        if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
            return fail(Errc::kIo, fmt::format("cannot become the reaper of orphans: {}", std::strerror(errno)));
        }
        orphans = loop.on_signal(SIGCHLD, [this] { reap_orphans(); });
        return {};
    }

    /// The runs' own children are waited for one by one; whoever else is a child of ours is an orphan.
    void reap_orphans() const {
        std::set<pid_t> own;
        for (const auto& [id, run] : runs) own.insert(run.pid);
        std::ifstream children(fmt::format("/proc/self/task/{}/children", ::getpid()));
        for (pid_t pid = 0; children >> pid;) {
            int status = 0;
            if (!own.contains(pid)) ::waitpid(pid, &status, WNOHANG);
        }
    }

    void log(wire::Severity severity, std::string text, const std::string& resource = {}) const {
        if (!options.log) return;
        options.log(wire::Log{
            .severity = severity, .text = std::move(text), .node = {}, .resource = resource, .transition = -1});
    }

    /// What an earlier process of ours left: those that are empty by now.
    void remove_old_groups() const {
        if (options.control_group.empty()) return;
        DIR* const directory = ::opendir(options.control_group.c_str());
        if (directory == nullptr) return;
        while (const dirent* entry = ::readdir(directory)) {
            const std::string name = entry->d_name;
            if (name.starts_with("systole-run-")) ::rmdir((options.control_group + "/" + name).c_str());
        }
        ::closedir(directory);
    }

    RunId start(const ProcessSpec& spec, Done done) {
        const RunId id = ++last;
        Run& run = runs.try_emplace(id, id, spec, std::move(done)).first->second;
        run.mark = fmt::format("{}-{}", mark_base, id);
        if (auto failure = launch(run, spec)) {
            loop.defer([this, id, result = std::move(*failure), guard = std::weak_ptr<bool>(alive)] {
                if (guard.expired()) return;
                Done tell = std::move(runs.at(id).done);
                runs.erase(id);
                tell(result);
            });
        }
        return id;
    }

    static ProcessResult failure(ProcessResult::End end, std::string reason) {
        return ProcessResult{
            .end = end, .exit_code = 0, .signal = 0, .output = {}, .error = {}, .reason = std::move(reason)};
    }

    std::optional<ProcessResult> launch(Run& run, const ProcessSpec& spec) {
        using End = ProcessResult::End;
        if (spec.argv.empty()) return failure(End::kNotFound, "has no program");
        Pipe output, error;
        Descriptor input = open_input(spec.input);
        if (!input.open() || !open_pipe(output) || !open_pipe(error)) {
            return failure(End::kFailed, fmt::format("could not be started: {}", std::strerror(errno)));
        }
        SpawnRequest request;
        if (auto why = set_user(spec.user, request); !why.empty()) {
            return failure(End::kFailed, fmt::format("could not be started: {}", why));
        }
        if (!options.control_group.empty()) {
            auto group = ControlGroup::make(options.control_group,
                                            fmt::format("systole-run-{}-{}", run.mark, group_name(spec.name)));
            if (group) {
                run.group = std::move(*group);
            } else {
                log(wire::Severity::kWarning,
                    fmt::format("Running agents without control groups from now on: {}", group.error().what));
                options.control_group.clear();
            }
        }
        request.argv = spec.argv;
        request.environment = environment_for(spec, run.mark);
        request.input = input.get();
        request.output = output.write.get();
        request.error = error.write.get();
        request.group_procs = run.group.procs();
        request.descriptors_max = options.descriptors_max;
        records.write({run.mark, 0, run.group.path()});
        const SpawnReply reply = spawn(request);
        run.group.close_procs();
        if (reply.pid < 0) {
            records.remove(run.mark);
            release(run);
            const std::string why = std::strerror(reply.error_code);
            const bool missing = reply.at_exec && (reply.error_code == ENOENT || reply.error_code == ENOTDIR ||
                                                   reply.error_code == ENAMETOOLONG || reply.error_code == ELOOP);
            const bool forbidden = reply.at_exec && (reply.error_code == EACCES || reply.error_code == EPERM);
            return failure(missing     ? End::kNotFound
                           : forbidden ? End::kNotPermitted
                                       : End::kFailed,
                           fmt::format("could not be started: {}: {}", spec.argv.front(), why));
        }
        run.pid = reply.pid;
        records.write({run.mark, run.pid, run.group.path()});
        const RunId id = run.id;
        auto child = loop.on_child(run.pid, [this, id](const ChildExit& exit) { ended(id, exit); });
        if (!child) {
            // Nobody would hear of its end, so it must not go on.
            kill_all(run);
            int status = 0;
            while (::waitpid(run.pid, &status, 0) < 0 && errno == EINTR) {
            }
            run.pid = -1;
            records.remove(run.mark);
            release(run);
            return failure(End::kFailed, fmt::format("could not be watched: {}", child.error().what));
        }
        run.child = std::move(*child);
        run.output = std::move(output.read);
        run.error = std::move(error.read);
        run.output_source = loop.on_fd(run.output.get(), EPOLLIN, [this, id](std::uint32_t) { readable(id, false); });
        run.error_source = loop.on_fd(run.error.get(), EPOLLIN, [this, id](std::uint32_t) { readable(id, true); });
        if (spec.timeout > Duration{0}) run.timer = loop.after(spec.timeout, [this, id] { time_is_up(id); });
        return {};
    }

    /// Reads what is there, but no more than a share, so that a flood does not keep others waiting.
    static bool drain(const Descriptor& from, BoundedOutput& into, int reads_max) {
        char buffer[std::size_t{64} * 1024];
        while (from.open() && reads_max-- > 0) {
            const ssize_t count = ::read(from.get(), buffer, sizeof buffer);
            if (count > 0) {
                into.append({buffer, static_cast<std::size_t>(count)});
            } else if (count < 0 && errno == EINTR) {
                continue;
            } else {
                return count < 0 && errno == EAGAIN;
            }
        }
        return true;
    }

    void readable(RunId id, bool error) {
        constexpr int kShare = 4;
        Run& run = runs.at(id);
        Descriptor& from = error ? run.error : run.output;
        if (drain(from, error ? run.error_text : run.output_text, kShare)) return;
        (error ? run.error_source : run.output_source).reset();
        from.reset();
    }

    void time_is_up(RunId id) {
        Run& run = runs.at(id);
        run.timer.reset();
        run.timed_out = true;
        if (run.spec.keep_on_timeout) {
            records.remove(run.mark);
            tell(run, ProcessResult::End::kTimedOut);  // it goes on, and is only reaped
            return;
        }
        kill(id);
    }

    void kill(RunId id) {
        const auto found = runs.find(id);
        if (found == runs.end() || found->second.pid < 0 || found->second.killed || !found->second.done) return;
        Run& run = found->second;
        run.killed = true;
        kill_all(run);
        run.timer = loop.after(options.kill_grace, [this, id] { will_not_die(id); });
    }

    static void kill_all(Run& run) {
        if (run.group) {
            run.group.kill();
            ::kill(-run.pid, SIGKILL);
        } else {
            kill_tree(run.pid, run.mark);
        }
    }

    void will_not_die(RunId id) {
        Run& run = runs.at(id);
        log(wire::Severity::kError,
            fmt::format("{} (pid {}) cannot be killed: it hangs in the kernel, and its end is not waited for",
                        run.spec.argv.front(), run.pid),
            run.spec.name);
        tell(run, run.timed_out ? ProcessResult::End::kTimedOut : ProcessResult::End::kSignalled, SIGKILL);
    }

    void ended(RunId id, const ChildExit& exit) {
        Run& run = runs.at(id);
        if (run.killed && !run.group) kill_tree(run.pid, run.mark);  // what was born meanwhile
        records.remove(run.mark);
        constexpr int kRest = 64;
        drain(run.output, run.output_text, kRest);
        drain(run.error, run.error_text, kRest);
        run.child.reset();
        release(run);
        // The run goes before its end is told: whoever hears of it may start the next one.
        auto node = runs.extract(id);
        Run& gone = node.mapped();
        const auto end = gone.timed_out ? ProcessResult::End::kTimedOut
                         : exit.code    ? ProcessResult::End::kExited
                                        : ProcessResult::End::kSignalled;
        tell(gone, end, exit.signal, exit.code.value_or(0));
    }

    static void tell(Run& run, ProcessResult::End end, int signal = 0, int code = 0) {
        if (!run.done) return;
        ProcessResult result;
        result.end = end;
        result.exit_code = code;
        result.signal = signal;
        result.output = run.output_text.text();
        result.error = run.error_text.text();
        if (end == ProcessResult::End::kSignalled) result.reason = signal_text(signal);
        const Done done = std::exchange(run.done, nullptr);
        done(result);
    }

    /// The group is removed now, or when the last process in it has ended.
    void release(Run& run) {
        for (auto it = populated.begin(); it != populated.end();)
            it = it->remove() ? populated.erase(it) : std::next(it);
        if (!run.group.remove()) populated.push_back(std::move(run.group));
    }
};

ProcessRunner::ProcessRunner(Loop& loop, ProcessRunnerOptions options)
    : impl_(std::make_unique<Impl>(loop, std::move(options))) {}
ProcessRunner::~ProcessRunner() = default;
Result<void> ProcessRunner::adopt_orphans() { return impl_->adopt_orphans(); }
ProcessRunner::RunId ProcessRunner::start(const ProcessSpec& spec, Done done) {
    return impl_->start(spec, std::move(done));
}
void ProcessRunner::kill(RunId run) { impl_->kill(run); }
std::size_t ProcessRunner::running() const { return impl_->runs.size(); }
pid_t ProcessRunner::pid_of(RunId run) const {
    const auto found = impl_->runs.find(run);
    return found == impl_->runs.end() || found->second.pid < 0 ? 0 : found->second.pid;
}

std::string own_control_group() {
    std::ifstream own("/proc/self/cgroup");
    std::string path;
    for (std::string line; std::getline(own, line);) {
        if (line.starts_with("0::")) path = line.substr(3);
    }
    if (path.empty()) return {};
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
        const auto dash = line.find(" - ");
        if (dash == std::string::npos || !line.substr(dash + 3).starts_with("cgroup2 ")) continue;
        std::istringstream fields(line);
        std::string skip, root, where;
        fields >> skip >> skip >> skip >> root >> where;
        std::string directory = where + (path == "/" ? "" : path);
        if (::access((directory + "/cgroup.procs").c_str(), W_OK) != 0) continue;
        const std::string probe = fmt::format("{}/systole-run-{}-probe", directory, ::getpid());
        if (::mkdir(probe.c_str(), 0755) != 0) continue;
        const bool usable = ::access((probe + "/cgroup.procs").c_str(), W_OK) == 0;
        ::rmdir(probe.c_str());
        if (usable) return directory;
    }
    return {};
}

}  // namespace systole::runtime
