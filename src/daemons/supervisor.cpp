#include "daemons/supervisor.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "wire/message.h"

namespace systole::daemons {
namespace {

constexpr const char* kCheckTimer = "check";
constexpr const char* kStopTimer = "stop";
constexpr Duration kRespawnDelay{1000};  // for a child that cannot be started, or that the engine's absence ended

std::string respawn_timer(std::size_t child) { return fmt::format("respawn-{}", child); }

}  // namespace

Supervisor::Supervisor(SupervisorConfig config) : config_(std::move(config)), children_(config_.children.size()) {}

std::string_view Supervisor::state() const {
    switch (state_) {
        case State::kInit: return "init";
        case State::kStarting: return "starting_daemons";
        case State::kWaitForPing: return "wait_for_ping";
        case State::kRunning: return "running";
        case State::kStopping: return "shutting_down";
        case State::kStopped: return "shutdown_complete";
    }
    return "init";
}

void Supervisor::log(wire::Severity severity, std::string text) {
    out_.emplace_back(wire::Log{.severity = severity, .text = std::move(text)});
}

SupervisorEffects Supervisor::start(const Now& now) {
    now_ = now;
    last_good_ = now.wall;
    if (config_.wait_for_sbd) {
        state_ = State::kWaitForPing;
        log(wire::Severity::kNotice, "Waiting for startup-trigger from SBD");
    } else {
        start_children();
    }
    return std::exchange(out_, {});
}

SupervisorEffects Supervisor::on(const Now& now, const SupervisorInput& input) {
    now_ = now;
    std::visit([this](const auto& one) { handle(one); }, input);
    return std::exchange(out_, {});
}

// ---- Children -------------------------------------------------------------------------------------------------------

void Supervisor::start_children() {
    state_ = State::kStarting;
    for (std::size_t i = 0; i < children_.size(); ++i) start_child(i);
    state_ = State::kRunning;
    last_good_ = now_.wall;
    out_.emplace_back(wire::ArmTimer{kCheckTimer, now_.mono + config_.check_every});
    log(wire::Severity::kNotice, "Pacemaker daemons successfully started and accepting connections");
}

void Supervisor::start_child(std::size_t index) {
    Child& child = children_[index];
    if (config_.needs_engine[index] && !engine_here_) {
        child.waiting = true;
        return;
    }
    child.waiting = false;
    child.running = true;
    child.missed = 0;
    child.answered = false;
    out_.emplace_back(StartChild{index});
}

void Supervisor::handle(const ChildNotStarted& input) {
    children_[input.child].running = false;
    handle(ChildEnded{.child = input.child, .code = 1, .signal = 0});
    log(wire::Severity::kError, fmt::format("{} cannot be started: {}", config_.children[input.child], input.why));
}

void Supervisor::handle(const ChildEnded& input) {
    Child& child = children_[input.child];
    const std::string& name = config_.children[input.child];
    child.running = false;
    const std::string how = input.code          ? fmt::format("exited with status {}", *input.code)
                            : input.signal != 0 ? fmt::format("was ended by signal {}", input.signal)
                                                : "has ended";
    if (state_ == State::kStopping) {
        log(wire::Severity::kInfo, fmt::format("{} {} after having been asked to stop", name, how));
        out_.emplace_back(wire::CancelTimer{kStopTimer});
        stop_next();
        return;
    }
    if (input.code == static_cast<int>(ExitCode::kFatal)) {
        log(wire::Severity::kError, fmt::format("Shutting cluster down because {} had fatal failure", name));
        child.wanted = false;
        stop(ExitCode::kFatal, "");
        return;
    }
    if (input.code == static_cast<int>(ExitCode::kPanic)) {
        child.wanted = false;
        out_.emplace_back(PanicNode{fmt::format("{} requested it", name)});
        return;
    }
    log(wire::Severity::kWarning, fmt::format("{} {}", name, how));
    if (config_.fail_fast) {
        out_.emplace_back(PanicNode{fmt::format("{} {} and PCMK_fail_fast is set", name, how)});
        return;
    }
    if (++child.failures > config_.respawn_max) {
        child.wanted = false;
        log(wire::Severity::kError,
            fmt::format("{} is not started again after {} failures: this node is of no use until "
                        "somebody looks at it",
                        name, child.failures));
        return;
    }
    // Lost engine: its return starts the child, or the next attempt finds it in place.
    if (input.code == static_cast<int>(ExitCode::kDisconnected) || child.failures % 10 == 0)
        out_.emplace_back(wire::ArmTimer{respawn_timer(input.child), now_.mono + kRespawnDelay});
    else
        start_child(input.child);
}

void Supervisor::handle(const ChildChecked& input) {
    Child& child = children_[input.child];
    if (!child.running || state_ != State::kRunning) return;
    if (input.answered) {
        child.missed = 0;
        child.answered = true;
        last_good_ = now_.wall;
        return;
    }
    if (++child.missed < (child.answered ? config_.missed_max : config_.first_missed_max)) return;
    log(wire::Severity::kError, fmt::format("{} does not answer on its IPC name: it is killed to be started again",
                                            config_.children[input.child]));
    child.missed = 0;
    out_.emplace_back(SignalChild{input.child, SIGKILL});
}

void Supervisor::handle(const wire::TimerFired& input) {
    if (input.name == kCheckTimer) {
        if (state_ != State::kRunning) return;
        out_.emplace_back(wire::ArmTimer{kCheckTimer, now_.mono + config_.check_every});
        for (std::size_t i = 0; i < children_.size(); ++i) {
            const std::size_t child = (next_check_ + i) % children_.size();
            if (!children_[child].running) continue;
            next_check_ = child + 1;
            out_.emplace_back(CheckChild{child});
            break;
        }
        return;
    }
    if (input.name == kStopTimer) {
        for (std::size_t i = children_.size(); i-- > 0;) {
            if (!children_[i].running) continue;
            log(wire::Severity::kError, fmt::format("{} does not stop: it is made to dump core", config_.children[i]));
            out_.emplace_back(SignalChild{i, SIGSEGV});
            return;
        }
        return;
    }
    for (std::size_t i = 0; i < children_.size(); ++i)
        if (input.name == respawn_timer(i) && state_ == State::kRunning && !children_[i].running && children_[i].wanted)
            start_child(i);
}

// ---- The engine -----------------------------------------------------------------------------------------------------

void Supervisor::handle(const EngineGone&) {
    if (!std::exchange(engine_here_, false)) return;
    log(wire::Severity::kError, "The cluster engine is gone: waiting for it to come back");
}

void Supervisor::handle(const EngineBack&) {
    if (std::exchange(engine_here_, true)) return;
    log(wire::Severity::kNotice, "The cluster engine is back");
    for (std::size_t i = 0; i < children_.size(); ++i)
        if (children_[i].waiting && state_ == State::kRunning) start_child(i);
}

// ---- Stopping -------------------------------------------------------------------------------------------------------

void Supervisor::handle(const StopRequested&) { stop(ExitCode::kOk, "it was asked to"); }

void Supervisor::handle(const PanicRequested&) { out_.emplace_back(PanicNode{"a daemon requested it"}); }

void Supervisor::stop(ExitCode code, const std::string& why) {
    if (state_ == State::kStopping || state_ == State::kStopped) return;
    exit_code_ = code;
    log(wire::Severity::kNotice, fmt::format("Shutting down Pacemaker{}{}", why.empty() ? "" : ": ", why));
    state_ = State::kStopping;
    out_.emplace_back(wire::CancelTimer{kCheckTimer});
    for (Child& child : children_) child.wanted = false;
    stop_next();
}

void Supervisor::stop_next() {
    for (std::size_t i = children_.size(); i-- > 0;) {
        if (!children_[i].running) continue;
        log(wire::Severity::kNotice, fmt::format("Stopping {}", config_.children[i]));
        out_.emplace_back(SignalChild{i, SIGTERM});
        if (static_cast<int>(i) != config_.patient_child)
            out_.emplace_back(wire::ArmTimer{kStopTimer, now_.mono + config_.stop_longest});
        return;
    }
    state_ = State::kStopped;
    log(wire::Severity::kNotice, "Shutdown complete");
    // sbd has to see that this was a shutdown in good order; it closes its connection when it has.
    if (config_.wait_for_sbd && sbd_ && exit_code_ == ExitCode::kOk) return;
    finish();
}

void Supervisor::finish() {
    if (exit_code_ == ExitCode::kFatal) {
        log(wire::Severity::kNotice, "Asking the cluster engine to shut down");
        out_.emplace_back(StopEngine{});
    }
    out_.emplace_back(EndSupervisor{exit_code_});
}

// ---- Clients --------------------------------------------------------------------------------------------------------

void Supervisor::handle(const wire::ClientConnected& input) { clients_.push_back(input.client); }

void Supervisor::handle(const wire::ClientClosed& input) {
    std::erase_if(clients_, [&](const wire::Client& client) { return client.id == input.client; });
    if (sbd_ != input.client) return;
    sbd_.reset();
    if (state_ == State::kStopped && config_.wait_for_sbd) finish();
}

void Supervisor::handle(const wire::ClientRequest& input) {
    const auto client = std::ranges::find(clients_, input.client, &wire::Client::id);
    if (client == clients_.end()) return;
    const auto acknowledge = [&](ExitCode status) {
        if ((input.flags & wire::kExpectsResponse) != 0)
            out_.emplace_back(
                wire::Respond{input.client, input.id, wire::make_ack("pacemakerd", static_cast<int>(status))});
    };
    if (!input.message) return acknowledge(ExitCode::kProtocol);
    const xml::Node& request = *input.message;
    const std::string_view task = wire::task_of(request);
    const auto answer = [&](xml::NodePtr data) {
        out_.emplace_back(
            wire::SendEvent{input.client, wire::make_reply(request, "pacemakerd", std::move(data)).build()});
    };
    if (task == "ping") {
        acknowledge(ExitCode::kIndeterminate);
        const std::string_view from = request.get("crm_sys_from");
        const bool is_sbd = from.find("sbd") != std::string_view::npos;
        if (is_sbd) sbd_ = input.client;
        answer(xml::Builder("ping_response")
                   .set("crm_subsystem", "pacemakerd")
                   .set("pacemakerd_state", state())
                   .set("crm-timestamp", last_good_.seconds)
                   .set("result", "ok")
                   .build());
        if (is_sbd && state_ == State::kWaitForPing) start_children();
    } else if (task == "quit") {
        acknowledge(ExitCode::kIndeterminate);
        answer(xml::Builder("shutdown")
                   .set("op-status", client->privileged ? 0 : static_cast<int>(ExitCode::kInsufficientPrivileges))
                   .build());
        if (client->privileged)
            stop(ExitCode::kOk, fmt::format("client {} of user {} asked for it", client->pid, client->user));
        else
            log(wire::Severity::kWarning, fmt::format("user {} may not shut this node down", client->user));
    } else if (task == "rm_node_cache") {
        acknowledge(ExitCode::kOk);
    } else {
        acknowledge(ExitCode::kInvalidParameter);
    }
}

}  // namespace systole::daemons
