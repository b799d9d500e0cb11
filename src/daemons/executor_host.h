#pragma once
// daemons/executor_host.h — the executor core put into the world: its effects performed, its inputs gathered.
//
// Serves the IPC name lrmd, runs agents, asks the fencer and systemd. Used by systole-execd and pacemaker-remoted.
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "executor/executor.h"
#include "runtime/linux/loop.h"
#include "runtime/log.h"

namespace systole::daemons {

struct ExecutorHostOptions {
    executor::ExecutorConfig config;
    std::string control_group;             ///< where those of agents are made; empty: none
    unsigned long descriptors_max = 0;     ///< for agents, if this process has raised its own limit
    std::string records;                   ///< where running agents are recorded; empty: nowhere
    std::string alert_user = "hacluster";  ///< alert agents run as this user; empty: as our own
};

class ExecutorHost {
public:
    /// `exited` is called when the executor is done after a shutdown.
    ExecutorHost(runtime::Loop& loop, ExecutorHostOptions options, runtime::LogSink log,
                 std::function<void(ExitCode)> exited);
    ~ExecutorHost();
    ExecutorHost(const ExecutorHost&) = delete;
    ExecutorHost& operator=(const ExecutorHost&) = delete;

    /// Serves local clients from here on. Errors: as IpcServer::open().
    Result<void> open();
    /// An input from outside of it, such as a remote client's request.
    void feed(const executor::Input& input);
    /// Effects for clients that the local IPC server does not have (those of TLS) go here; true if it took one.
    void set_remote(std::function<bool(const executor::Effect&)> take);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::daemons
