#include "runtime/linux/init_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/text.h"

namespace systole::runtime {
namespace {

constexpr std::size_t kFileMax = 1024UL * 1024UL;
/// What init is told and the daemon is meant by.
constexpr std::array kPassedOn{SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};

bool is_name(std::string_view name) {
    const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; };
    return !name.empty() && letter(name.front()) && std::ranges::all_of(name, [&](char c) {
        return letter(c) || std::isdigit(static_cast<unsigned char>(c)) != 0;
    });
}

}  // namespace

std::vector<std::pair<std::string, std::string>> parse_environment(std::string_view text) {
    std::vector<std::pair<std::string, std::string>> variables;
    for (std::string_view line : split(text, "\n")) {
        line = trim(line);
        const auto equals = line.find('=');
        if (equals == std::string_view::npos || !is_name(line.substr(0, equals))) continue;
        std::string_view value = line.substr(equals + 1);
        if (!value.empty() && (value.front() == '"' || value.front() == '\'')) {
            const auto close = value.find(value.front(), 1);
            if (close == std::string_view::npos) continue;  // no end: no value
            value = value.substr(1, close - 1);
        } else {
            value = value.substr(0, std::min(value.find(" #"), value.find("\t#")));
            value = trim(value);
        }
        variables.emplace_back(line.substr(0, equals), value);
    }
    return variables;
}

void load_environment(const std::string& file) {
    std::ifstream in(file);
    std::string text(kFileMax, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    for (const auto& [name, value] : parse_environment(text)) ::setenv(name.c_str(), value.c_str(), 1);
}

std::optional<int> become_init() {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    const pid_t daemon = ::fork();
    if (daemon <= 0) {
        sigprocmask(SIG_SETMASK, &before, nullptr);
        if (daemon == 0) ::setsid();
        return std::nullopt;  // without a second process, the daemon is the first: better than none
    }
    for (;;) {
        const int signal = ::sigwaitinfo(&all, nullptr);
        if (signal < 0 && errno == EINTR) continue;
        if (std::ranges::find(kPassedOn, signal) != kPassedOn.end()) {
            ::kill(daemon, signal);
            continue;
        }
        if (signal == SIGPWR || signal == SIGRTMIN + 3) ::kill(daemon, SIGTERM);  // as container managers halt
        int status = 0;
        for (pid_t ended = 0; (ended = ::waitpid(-1, &status, WNOHANG)) > 0;) {
            if (ended != daemon) continue;
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        }
    }
}

}  // namespace systole::runtime
