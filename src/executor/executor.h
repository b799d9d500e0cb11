#pragma once
// executor/executor.h — the bookkeeping of resource operations: queues, recurring monitors, timeouts, results.
//
// Serves the lrmd vocabulary to the controller (and, behind TLS, to remote clusters). It starts nothing itself: agents
// are processes that the runtime runs (Spawn), the simulation pretends (its services answer). It outlives the core:
// what it ran and what came of it meanwhile is told to the next client that registers.
//
// Invariants: at most one run per resource at a time, first come first served; a timed-out run is killed with its whole
// process tree before its result is reported; every request gets exactly one reply.
// Source: protocol sheet executor-remote.md, sections 4 to 6; OCF Resource Agent API 1.1; LSB 5.0 chapter 22.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/exit_code.h"
#include "wire/port.h"

namespace systole::executor {

struct ExecutorConfig {
    std::string node_name;
    std::string ocf_root = "/usr/lib/ocf";
    std::vector<std::pair<std::string, std::string>> agent_environment;  ///< added for every agent
    std::string lsb_root = "/etc/init.d";
    std::string fence_root = "/usr/sbin";
    std::string protocol_version = "1.1";
    bool fence_devices = true;  ///< false on remote nodes, which have no fencer
};

// ---- Inputs ---------------------------------------------------------------------------------------------------------

/// Answers Spawn.
struct ProcessDone {
    std::uint32_t token{};
    ExecStatus status{};  ///< kDone (exit_code valid), kTimeout (killed), kNotInstalled (no such program), kError
    int exit_code{};
    std::string output{};  ///< standard output, bounded by the runtime; what was cut is said in its place
    std::string error{};   ///< standard error, likewise
    bool not_permitted{};  ///< the program exists but may not be run
    std::string reason{};  ///< kError: how it ended, as in "was interrupted by signal 9 (Killed)"; else empty
};

/// Answers ToFencer: the fencer's reply to a stonith-class operation; null if the fencer cannot be reached.
struct FencerReply {
    std::uint32_t token{};
    xml::NodePtr message;
};

/// The connection to the fencer broke: what it knew of devices that were started here is not certain any more.
struct FencerLost {};

/// Answers ToSystemd: the unit's job ended, or its state was read.
struct SystemdDone {
    std::uint32_t token{};
    ExecStatus status{};
    int exit_code{};  ///< as an OCF result code
    std::string reason{};
    std::string output{};  ///< metadata
};

struct ShutdownRequested {};

using Input = std::variant<wire::ClientConnected, wire::ClientRequest, wire::ClientClosed, wire::TimerFired,
                           ProcessDone, FencerReply, FencerLost, SystemdDone, ShutdownRequested>;

/// What an operation's agent may write to each of its output streams, in bytes; metadata may be longer.
inline constexpr std::size_t kOutputMax = std::size_t{32} * 1024;
inline constexpr std::size_t kMetadataMax = std::size_t{1024} * 1024;

// ---- Effects --------------------------------------------------------------------------------------------------------

/// Runs a program in a process group (and control group, where the system has them) of its own.
struct Spawn {
    std::uint32_t token{};
    std::string resource;  ///< for the control group and the log; empty for agents run for the fencer
    std::vector<std::string> argv;
    std::vector<std::pair<std::string, std::string>> environment;  ///< added to the daemon's own
    std::string input;                                             ///< written to standard input
    Duration timeout{};                                            ///< then the whole process tree is killed; 0: none
    bool keep_on_timeout{};               ///< a stop with on-fail=block leaves the processes running
    bool as_hacluster{};                  ///< alert agents
    std::size_t output_max = kOutputMax;  ///< of each output stream, in bytes; the middle is cut out of longer ones
};
struct Kill {
    std::uint32_t token{};
};

/// A request to the local fencer (IPC service stonith-ng) whose st_callid is the token. It is sent asynchronously: the
/// reply comes as an event with the same st_callid.
struct ToFencer {
    std::uint32_t token{};
    xml::NodePtr message;
};

struct ToSystemd {
    std::uint32_t token{};
    std::string resource;
    std::string unit, action;  ///< start, stop, monitor, ... ; metadata
    Duration timeout{};
};

struct Exit {
    ExitCode code{};
};

using Effect = std::variant<wire::Respond, wire::SendEvent, wire::Evict, wire::ArmTimer, wire::CancelTimer, wire::Log,
                            Spawn, Kill, ToFencer, ToSystemd, Exit>;
using Effects = std::vector<Effect>;

class Executor {
public:
    explicit Executor(ExecutorConfig config);
    ~Executor();
    Executor(Executor&&) noexcept;
    Executor& operator=(Executor&&) noexcept;

    [[nodiscard]] Effects on(const Now& now, const Input& input);
    [[nodiscard]] std::vector<std::string> check_state() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace systole::executor
