#include "runtime/linux/init_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace systole::runtime {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(InitEnvironment, IsReadAsNamesAndValues) {
    EXPECT_THAT(parse_environment("# settings of a bundle\n"
                                  "PCMK_remote_port=3122\n"
                                  "  PCMK_logfile=\"/var/log/my log\"  # said in a comment\n"
                                  "SINGLE='a \"b\" $c'\n"
                                  "PLAIN=one two # and not three\n"
                                  "EMPTY=\n"
                                  "\n"
                                  "no variable\n"
                                  "2WRONG=x\n"
                                  "=x\n"
                                  "OPEN=\"never closed\n"),
                ElementsAre(Pair("PCMK_remote_port", "3122"), Pair("PCMK_logfile", "/var/log/my log"),
                            Pair("SINGLE", "a \"b\" $c"), Pair("PLAIN", "one two"), Pair("EMPTY", "")));
}

/// Runs as an init of its own, below which everything stays.
int status_of_init(const std::function<void(int report)>& daemon,
                   const std::function<void(pid_t init, int from)>& act) {
    std::array<int, 2> pipe_ends{};
    EXPECT_EQ(::pipe(pipe_ends.data()), 0);
    const pid_t init = ::fork();
    if (init == 0) {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        const auto status = become_init();
        if (!status) {
            daemon(pipe_ends[1]);
            ::_exit(1);
        }
        ::_exit(*status);
    }
    ::close(pipe_ends[1]);
    act(init, pipe_ends[0]);
    int status = 0;
    EXPECT_EQ(::waitpid(init, &status, 0), init);
    ::close(pipe_ends[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Init, HasTheStatusOfItsDaemon) {
    EXPECT_EQ(status_of_init([](int) { ::_exit(42); }, [](pid_t, int) {}), 42);
    EXPECT_EQ(status_of_init([](int) { ::raise(SIGKILL); }, [](pid_t, int) {}), 128 + SIGKILL);
}

TEST(Init, PassesARequestToStopOn) {
    const auto wait_for_term = [](int report) {
        sigset_t term;
        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        sigprocmask(SIG_BLOCK, &term, nullptr);
        [[maybe_unused]] const auto n = ::write(report, "r", 1);
        int signal = 0;
        sigwait(&term, &signal);
        ::_exit(7);
    };
    EXPECT_EQ(status_of_init(wait_for_term,
                             [](pid_t init, int from) {
                                 char ready = 0;
                                 EXPECT_EQ(::read(from, &ready, 1), 1);
                                 ::kill(init, SIGTERM);
                             }),
              7);
}

TEST(Init, ReapsOrphans) {
    // The daemon's child leaves a process behind, whose end only init can take; the daemon sees that it is gone.
    const auto leave_an_orphan = [](int) {
        std::array<int, 2> told{};
        if (::pipe(told.data()) != 0) ::_exit(1);
        const pid_t child = ::fork();
        if (child == 0) {
            const pid_t orphan = ::fork();
            if (orphan == 0) ::_exit(0);
            [[maybe_unused]] const auto n = ::write(told[1], &orphan, sizeof orphan);
            ::_exit(0);
        }
        pid_t orphan = 0;
        if (::read(told[0], &orphan, sizeof orphan) != sizeof orphan) ::_exit(2);
        ::waitpid(child, nullptr, 0);
        while (::kill(orphan, 0) == 0) ::sched_yield();
        ::_exit(9);
    };
    EXPECT_EQ(status_of_init(leave_an_orphan, [](pid_t, int) {}), 9);
}

}  // namespace
}  // namespace systole::runtime
