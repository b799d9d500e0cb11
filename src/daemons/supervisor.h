#pragma once
// daemons/supervisor.h — what pacemakerd decides: which of the other processes run, and when the node is given up.
//
// Invariants: children start in the order given and stop in the reverse, one after the other; a child that ends is
// started again unless the stack stops, it asked to stay down (100, 101) or it ended too often; the time that a ping
// answers moves on only while children answer.
// Source: protocol sheet pacemakerd.md, sections 1 to 3; ipc.md, sections 6 and 10.
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/exit_code.h"
#include "wire/port.h"

namespace systole::daemons {

struct SupervisorConfig {
    std::vector<std::string> children;  ///< in starting order
    std::vector<bool> needs_engine;     ///< for each: it is of no use while the cluster engine is away
    bool wait_for_sbd = false;          ///< SBD_SYNC_RESOURCE_STARTUP: start when sbd asks for the first time
    bool fail_fast = false;             ///< PCMK_fail_fast: any child's failure is the node's
    int respawn_max = 100;              ///< a child's failures
    Duration check_every{1000};
    int missed_max = 5;              ///< checks in a row that a living child may fail
    int first_missed_max = 30;       ///< likewise, before it answered for the first time
    Duration stop_longest{180'000};  ///< then a child that does not stop is made to dump core
    int patient_child = 0;           ///< this one may take as long as resources need
};

// ---- Inputs ----
struct ChildEnded {
    std::size_t child{};
    std::optional<int> code;  ///< empty: by a signal
    int signal{};             ///< 0: an earlier pacemakerd's child, of which nothing is known but that it is gone
};
/// Answers CheckChild: whether the child answered on its IPC name.
struct ChildChecked {
    std::size_t child{};
    bool answered{};
};
struct ChildNotStarted {
    std::size_t child{};
    std::string why;
};
struct StopRequested {};   ///< SIGTERM, SIGINT
struct PanicRequested {};  ///< SIGQUIT of a child
struct EngineGone {};
struct EngineBack {};
using SupervisorInput =
    std::variant<wire::ClientConnected, wire::ClientRequest, wire::ClientClosed, wire::TimerFired, ChildEnded,
                 ChildChecked, ChildNotStarted, StopRequested, PanicRequested, EngineGone, EngineBack>;

// ---- Effects ----
struct StartChild {
    std::size_t child{};
};
struct SignalChild {
    std::size_t child{};
    int signal{};
};
struct CheckChild {
    std::size_t child{};
};
/// The cluster engine should go down as well: the node cannot take part any more.
struct StopEngine {};
struct PanicNode {
    std::string why;
};
struct EndSupervisor {
    ExitCode code{};
};
using SupervisorEffect = std::variant<wire::Respond, wire::SendEvent, wire::ArmTimer, wire::CancelTimer, wire::Log,
                                      StartChild, SignalChild, CheckChild, StopEngine, PanicNode, EndSupervisor>;
using SupervisorEffects = std::vector<SupervisorEffect>;

class Supervisor {
public:
    explicit Supervisor(SupervisorConfig config);

    [[nodiscard]] SupervisorEffects start(const Now& now);
    [[nodiscard]] SupervisorEffects on(const Now& now, const SupervisorInput& input);

    [[nodiscard]] std::string_view state() const;  ///< "running", ... as a ping answers

private:
    enum class State : std::uint8_t { kInit, kStarting, kWaitForPing, kRunning, kStopping, kStopped };
    struct Child {
        bool running = false;
        bool wanted = true;    ///< to be started again
        bool waiting = false;  ///< for the engine
        int failures = 0;
        int missed = 0;
        bool answered = false;  ///< since it was started
    };

    void handle(const wire::ClientConnected& input);
    void handle(const wire::ClientRequest& input);
    void handle(const wire::ClientClosed& input);
    void handle(const wire::TimerFired& input);
    void handle(const ChildEnded& input);
    void handle(const ChildChecked& input);
    void handle(const ChildNotStarted& input);
    void handle(const StopRequested& input);
    void handle(const PanicRequested& input);
    void handle(const EngineGone& input);
    void handle(const EngineBack& input);

    void start_children();
    void start_child(std::size_t index);
    void stop(ExitCode code, const std::string& why);
    void stop_next();
    void finish();
    void log(wire::Severity severity, std::string text);

    SupervisorConfig config_;
    State state_ = State::kInit;
    std::vector<Child> children_;
    std::vector<wire::Client> clients_;
    std::optional<wire::ClientId> sbd_;
    bool engine_here_ = true;
    std::size_t next_check_ = 0;
    WallTime last_good_{};
    ExitCode exit_code_ = ExitCode::kOk;
    Now now_{};
    SupervisorEffects out_;
};

}  // namespace systole::daemons
