#include "runtime/linux/process_spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>

namespace systole::runtime {

namespace {

constexpr std::size_t kStackSize = std::size_t{64} * 1024;

/// What parent and child share while the parent is suspended.
struct Shared {
    const SpawnRequest* request;
    char** argv;
    char** shell_argv;  ///< for scripts without an interpreter line
    char** environment;
    sigset_t mask;
    volatile int error_code;
    volatile bool at_exec;
};

/// Runs on the parent's memory (CLONE_VM): only system calls, no allocation, no locks. User ids are changed by raw
/// calls, as those of the C library would change every thread of the parent.
__attribute__((no_sanitize("address", "undefined", "thread"))) int child(void* argument) {
    auto* shared = static_cast<Shared*>(argument);
    const SpawnRequest& request = *shared->request;
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal) {
        if (signal != SIGKILL && signal != SIGSTOP) ::sigaction(signal, &standard, nullptr);
    }
    const auto give_up = [&] {
        shared->error_code = errno;
        ::_exit(127);
        return 127;
    };
    if (::setsid() < 0) return give_up();
    if (::sched_getscheduler(0) != SCHED_OTHER) {
        const struct sched_param parameter = {};
        ::sched_setscheduler(0, SCHED_OTHER, &parameter);
    }
    ::setpriority(PRIO_PROCESS, 0, 0);
    // Descriptors 0 to 2 of a daemon are open, so none of ours is among them.
    if (::dup2(request.input, 0) < 0 || ::dup2(request.output, 1) < 0 || ::dup2(request.error, 2) < 0) return give_up();
    // Without its control group a program still runs; it is then found by other means.
    if (request.group_procs >= 0 && ::write(request.group_procs, "0", 1) < 0) shared->error_code = 0;
    if (::syscall(SYS_close_range, 3U, UINT_MAX, 0U) < 0) {
        for (int fd = 3; fd < 1024; ++fd) ::close(fd);
    }
    if (request.descriptors_max != 0) {
        struct rlimit limit = {};
        if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && request.descriptors_max <= limit.rlim_max) {
            limit.rlim_cur = request.descriptors_max;
            ::setrlimit(RLIMIT_NOFILE, &limit);
        }
    }
    if (request.change_user) {
        if (::syscall(SYS_setgroups, request.groups.size(), request.groups.data()) < 0 ||
            ::syscall(SYS_setresgid, request.gid, request.gid, request.gid) < 0 ||
            ::syscall(SYS_setresuid, request.uid, request.uid, request.uid) < 0)
            return give_up();
    }
    ::sigprocmask(SIG_SETMASK, &shared->mask, nullptr);
    ::execve(shared->argv[0], shared->argv, shared->environment);
    if (errno == ENOEXEC) ::execve(shared->shell_argv[0], shared->shell_argv, shared->environment);
    shared->at_exec = true;
    return give_up();
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (const auto& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

}  // namespace

SpawnReply spawn(const SpawnRequest& request) {
    void* const stack =
        ::mmap(nullptr, kStackSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return {.pid = -1, .error_code = errno, .at_exec = false};
    std::vector<char*> argv = pointers_to(request.argv);
    std::vector<std::string> shell_words = request.argv;
    shell_words.insert(shell_words.begin(), "/bin/sh");
    std::vector<char*> shell_argv = pointers_to(shell_words);
    std::vector<char*> environment = pointers_to(request.environment);
    Shared shared{.request = &request,
                  .argv = argv.data(),
                  .shell_argv = shell_argv.data(),
                  .environment = environment.data(),
                  .mask = {},
                  .error_code = 0,
                  .at_exec = false};
    // No handler may run in the child while it shares our memory.
    sigset_t all, before;
    ::sigfillset(&all);
    ::sigemptyset(&shared.mask);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid =
        ::clone(child, static_cast<std::byte*>(stack) + kStackSize, CLONE_VM | CLONE_VFORK | SIGCHLD, &shared);
    const int clone_error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::munmap(stack, kStackSize);
    if (pid < 0) return {.pid = -1, .error_code = clone_error, .at_exec = false};
    if (shared.error_code != 0) {
        int status = 0;
        while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        return {.pid = -1, .error_code = shared.error_code, .at_exec = shared.at_exec};
    }
    return {.pid = pid, .error_code = 0, .at_exec = false};
}

}  // namespace systole::runtime
