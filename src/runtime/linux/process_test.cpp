#include "runtime/linux/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "runtime/linux/bounded_output.h"

namespace systole::runtime {
namespace {

using End = ProcessResult::End;

class Processes : public testing::TestWithParam<bool> {
protected:
    void SetUp() override {
        std::string name = "/tmp/systole-process-test-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        directory_ = name;
        ::chmod(directory_.c_str(), 0755);
        ProcessRunnerOptions options;
        if (GetParam()) {
            options.control_group = own_control_group();
            if (options.control_group.empty()) GTEST_SKIP() << "no control groups (v2) can be made here";
        }
        options.records = directory_ + "/records";
        options.log = [this](const wire::Log& line) { log_ += line.text + "\n"; };
        options_ = options;
        runner_.emplace(loop_, options);
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    static ProcessSpec shell(const std::string& script, Duration timeout = Duration{10000}) {
        ProcessSpec spec;
        spec.name = "test";
        spec.argv = {"/bin/sh", "-c", script};
        spec.timeout = timeout;
        return spec;
    }
    std::string script(const std::string& text, mode_t mode = 0755) {
        const std::string path = directory_ + "/script";
        std::ofstream(path) << text;
        ::chmod(path.c_str(), mode);
        return path;
    }
    bool until(const std::function<bool()>& what, Duration limit = Duration{10000}) {
        const auto end = std::chrono::steady_clock::now() + limit;
        while (!what()) {
            if (std::chrono::steady_clock::now() > end) return false;
            loop_.dispatch(Duration{20});
        }
        return true;
    }
    ProcessResult run(const ProcessSpec& spec) {
        std::optional<ProcessResult> result;
        runner_->start(spec, [&](const ProcessResult& what) {
            EXPECT_FALSE(result.has_value()) << "told twice";
            result = what;
        });
        EXPECT_FALSE(result.has_value()) << "told from within start";
        EXPECT_TRUE(until([&] { return result.has_value(); })) << "no end of " << spec.argv.back();
        return result.value_or(ProcessResult{});
    }
    pid_t pid_in(const std::string& file) {
        pid_t pid = 0;
        until([&] { return (std::ifstream(directory_ + "/" + file) >> pid) && pid != 0; });
        return pid;
    }
    static bool lives(pid_t pid) {
        std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
        std::string text;
        if (!std::getline(stat, text)) return false;
        const char state = text[text.rfind(')') + 2];
        return state != 'Z' && state != 'X';
    }

    Loop loop_;
    ProcessRunnerOptions options_;
    std::string directory_, log_;
    std::optional<ProcessRunner> runner_;
};

TEST_P(Processes, TellStatusOutputAndError) {
    const auto result = run(shell("echo out; echo err >&2; exit 7"));
    EXPECT_EQ(result.end, End::kExited);
    EXPECT_EQ(result.exit_code, 7);
    EXPECT_EQ(result.output, "out\n");
    EXPECT_EQ(result.error, "err\n");
    EXPECT_EQ(runner_->running(), 0U);
}

TEST_P(Processes, GetTheirEnvironmentOverOurs) {
    ::setenv("SYSTOLE_TEST_KEPT", "kept", 1);
    ::setenv("SYSTOLE_TEST_REPLACED", "old", 1);
    auto spec = shell("echo $SYSTOLE_TEST_KEPT $SYSTOLE_TEST_REPLACED $OCF_RESKEY_x");
    spec.environment = {{"SYSTOLE_TEST_REPLACED", "new"}, {"OCF_RESKEY_x", "1 2"}};
    EXPECT_EQ(run(spec).output, "kept new 1 2\n");
}

TEST_P(Processes, GetAllOfTheirInput) {
    auto spec = shell("cat | wc -c; cat");
    spec.input = std::string(3'000'000, 'x');
    EXPECT_EQ(run(spec).output, "3000000\n");
    EXPECT_EQ(run(shell("cat; echo end")).output, "end\n");
}

TEST_P(Processes, AreInASessionOfTheirOwnWithoutOurDescriptors) {
    EXPECT_EQ(run(shell("read -r a b c d e sid rest < /proc/$$/stat; test $sid = $$ && echo own")).output, "own\n");
    const int leak = ::fcntl(STDIN_FILENO, F_DUPFD, 77);
    ASSERT_GE(leak, 77);
    EXPECT_EQ(run(shell("ls /proc/$$/fd | grep -c '^[7-9][0-9]'")).output, "0\n");
    ::close(leak);
    // Read by the shell itself: while it starts a program it blocks signals for a moment, which that program may see.
    EXPECT_EQ(
        run(shell("while read -r key value; do test $key != SigBlk: || echo $value; done < /proc/$$/status")).output,
        "0000000000000000\n");
}

TEST_P(Processes, ThatAreMissingOrForbiddenSaySo) {
    ProcessSpec spec;
    spec.argv = {"/no/such/agent", "start"};
    auto result = run(spec);
    EXPECT_EQ(result.end, End::kNotFound);
    EXPECT_EQ(result.reason, "could not be started: /no/such/agent: No such file or directory");
    spec.argv = {script("#!/bin/sh\nexit 0\n", 0644)};
    EXPECT_EQ(run(spec).end, End::kNotPermitted);
    spec.argv = {directory_};
    EXPECT_EQ(run(spec).end, End::kNotPermitted);
    spec.argv = {script("#!/no/such/interpreter\n")};
    EXPECT_EQ(run(spec).end, End::kNotFound);
    spec.user = "no-such-user";
    result = run(spec);
    EXPECT_EQ(result.end, End::kFailed);
    EXPECT_EQ(result.reason, "could not be started: there is no user 'no-such-user'");
}

TEST_P(Processes, OfScriptsWithoutAnInterpreterLineRunInTheShell) {
    ProcessSpec spec;
    spec.argv = {script("echo \"$1\"; exit 3\n"), "monitor"};
    const auto result = run(spec);
    EXPECT_EQ(result.exit_code, 3);
    EXPECT_EQ(result.output, "monitor\n");
}

TEST_P(Processes, ThatASignalEndsSayWhich) {
    const auto result = run(shell("kill -SEGV $$"));
    EXPECT_EQ(result.end, End::kSignalled);
    EXPECT_EQ(result.signal, SIGSEGV);
    EXPECT_EQ(result.reason, "was interrupted by signal 11 (Segmentation fault)");
}

// I15: a timed-out run is killed with its whole process tree, also with what left its session.
TEST_P(Processes, DieWithEverythingTheyStartedWhenTheirTimeIsUp) {
    const auto result = run(shell("cd " + directory_ +
                                      "; sh -c 'echo $$ > child; exec sleep 300' &\n"
                                      "setsid sh -c 'echo $$ > stranger; exec sleep 300' &\n"
                                      "(setsid sh -c 'echo $$ > orphan; exec sleep 300' &)\n"
                                      "echo started; trap '' TERM HUP INT; sleep 300; sleep 300",
                                  Duration{700}));
    EXPECT_EQ(result.end, End::kTimedOut);
    EXPECT_EQ(result.output, "started\n");
    for (const char* file : {"child", "stranger", "orphan"}) {
        const pid_t pid = pid_in(file);
        ASSERT_GT(pid, 0) << file;
        EXPECT_TRUE(until([&] { return !lives(pid); }, Duration{1000})) << file << " lives on";
    }
}

TEST_P(Processes, CanBeKilledOnDemand) {
    std::optional<ProcessResult> result;
    const auto id = runner_->start(shell("sleep 300"), [&](const ProcessResult& what) { result = what; });
    EXPECT_GT(runner_->pid_of(id), 0);
    runner_->kill(id);
    EXPECT_FALSE(result.has_value());
    ASSERT_TRUE(until([&] { return result.has_value(); }));
    EXPECT_EQ(result->end, End::kSignalled);
    EXPECT_EQ(result->signal, SIGKILL);
    runner_->kill(id);
}

TEST_P(Processes, MayBeKeptWhenTheirTimeIsUp) {
    auto spec = shell("echo $$ > " + directory_ + "/self; exec sleep 300", Duration{300});
    spec.keep_on_timeout = true;
    EXPECT_EQ(run(spec).end, End::kTimedOut);
    const pid_t pid = pid_in("self");
    EXPECT_TRUE(lives(pid));
    EXPECT_EQ(runner_->running(), 1U);
    ::kill(pid, SIGKILL);
    EXPECT_TRUE(until([&] { return runner_->running() == 0; }));
}

TEST_P(Processes, ThatEndThemselvesLeaveTheirServicesRunning) {
    const auto begun = std::chrono::steady_clock::now();
    // The service keeps the agent's output open, as careless ones do.
    const auto result = run(shell("setsid sh -c 'echo $$ > " + directory_ +
                                  "/service; exec sleep 300' & "
                                  "while ! test -s " +
                                  directory_ + "/service; do sleep 0.05; done; echo up"));
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
    EXPECT_EQ(result.end, End::kExited);
    EXPECT_EQ(result.output, "up\n");
    const pid_t pid = pid_in("service");
    EXPECT_TRUE(lives(pid));
    ::kill(pid, SIGKILL);
    EXPECT_TRUE(until([&] { return !lives(pid); }));
}

TEST_P(Processes, FloodsNeitherBlockNorGrow) {
    auto spec = shell("echo first; head -c 30000000 /dev/zero | tr '\\0' x; echo; echo last; echo done >&2");
    spec.output_max = 1000;
    const auto result = run(spec);
    EXPECT_EQ(result.end, End::kExited);
    EXPECT_EQ(result.error, "done\n");
    EXPECT_LT(result.output.size(), 1100U);
    EXPECT_TRUE(result.output.starts_with("first\nxxx"));
    EXPECT_TRUE(result.output.ends_with("xxx\nlast\n"));
    EXPECT_NE(result.output.find("\n[29999012 bytes left out]\n"), std::string::npos) << result.output;
}

TEST_P(Processes, AnEndlessFloodEndsWhenItsTimeIsUp) {
    auto spec = shell("yes; yes", Duration{300});
    const auto result = run(spec);
    EXPECT_EQ(result.end, End::kTimedOut);
    EXPECT_LT(result.output.size(), 33U * 1024);
}

TEST_P(Processes, RunAsSomebodyElse) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    auto spec = shell("id -un; id -gn");
    spec.user = "nobody";
    EXPECT_EQ(run(spec).output, "nobody\nnogroup\n");
}

TEST_P(Processes, RunManyAtOnce) {
    std::size_t ended = 0;
    for (int i = 0; i < 200; ++i) {
        runner_->start(shell("exit " + std::to_string(i)), [&, i](const ProcessResult& what) {
            EXPECT_EQ(what.exit_code, i);
            ++ended;
        });
    }
    EXPECT_TRUE(until([&] { return ended == 200; }, Duration{30000}));
    EXPECT_EQ(log_, "");
}

TEST_P(Processes, TheirOrphansAreReaped) {
    ASSERT_TRUE(runner_->adopt_orphans().has_value());
    run(shell("(sh -c 'echo $$ > " + directory_ + "/orphan; exec sleep 0.3' &)"));
    const pid_t pid = pid_in("orphan");
    EXPECT_TRUE(until([&] { return ::kill(pid, 0) != 0; })) << "a zombie is left";
    ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

// I15: a killed daemon's successor ends what still runs, before it starts anything for the same resource.
TEST_P(Processes, OfAKilledDaemonAreKilledByItsSuccessor) {
    const std::string there = directory_;
    const pid_t daemon = ::fork();
    ASSERT_GE(daemon, 0);
    if (daemon == 0) {
        Loop loop;
        ProcessRunner runner(loop, options_);
        bool started = false;
        runner.start(shell("cd " + there +
                           "; setsid sh -c 'echo $$ > service; exec sleep 300' >/dev/null 2>&1 & "
                           "while ! test -s " +
                           there + "/service; do sleep 0.05; done"),
                     [&](const ProcessResult&) { started = true; });
        while (!started) loop.dispatch(Duration{20});
        runner.start(shell("cd " + there +
                           "; (setsid sh -c 'echo $$ > orphan; exec sleep 300' &) ; "
                           "while ! test -s orphan; do sleep 0.05; done; echo $$ > agent; exec sleep 300"),
                     [](const ProcessResult&) {});
        for (;;) loop.dispatch(Duration{1000});
    }
    ASSERT_TRUE(until([&] { return std::filesystem::exists(there + "/agent") && pid_in("agent") > 0; }));
    ::kill(daemon, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(daemon, &status, 0), daemon);
    EXPECT_TRUE(lives(pid_in("agent"))) << "it outlives the daemon";
    runner_.emplace(loop_, options_);
    EXPECT_FALSE(lives(pid_in("agent")));
    EXPECT_FALSE(lives(pid_in("orphan"))) << "what it had started goes with it";
    EXPECT_TRUE(lives(pid_in("service"))) << "a service whose agent had ended stays";
    EXPECT_EQ(log_, "killed 1 agents that an earlier process of this daemon had left running\n");
    ::kill(pid_in("service"), SIGKILL);
    run(shell("true"));
    EXPECT_TRUE(std::filesystem::is_empty(there + "/records"));
}

TEST_P(Processes, OfALiveDaemonAreLeftAlone) {
    const auto id = runner_->start(shell("exec sleep 300"), [](const ProcessResult&) {});
    {
        ProcessRunner other(loop_, options_);
    }
    EXPECT_TRUE(lives(runner_->pid_of(id)));
    runner_->kill(id);
    EXPECT_TRUE(until([&] { return runner_->running() == 0; }));
    EXPECT_EQ(log_, "");
}

INSTANTIATE_TEST_SUITE_P(Runtime, Processes, testing::Bool(), [](const auto& parameter) {
    return std::string(parameter.param ? "WithControlGroups" : "WithoutControlGroups");
});

TEST(BoundedOutput, KeepsShortTextAsItIs) {
    BoundedOutput output(10);
    output.append("0123");
    output.append("456789");
    EXPECT_EQ(output.text(), "0123456789");
}

TEST(BoundedOutput, KeepsBeginningAndEnd) {
    for (const std::size_t step : {1U, 3U, 7U, 1000U}) {
        BoundedOutput output(10);
        std::string all;
        for (int i = 0; i < 500; ++i) all += static_cast<char>('a' + i % 26);
        for (std::size_t at = 0; at < all.size(); at += step) output.append(std::string_view(all).substr(at, step));
        EXPECT_EQ(output.text(), "abcde\n[490 bytes left out]\n" + all.substr(495)) << step;
    }
}

}  // namespace
}  // namespace systole::runtime
