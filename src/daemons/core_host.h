#pragma once
// daemons/core_host.h — a node's core put into the world: its effects performed, its inputs gathered.
//
// Serves the IPC names of the CIB manager, the attribute manager, the fencer and the controller. The scheduler and disk
// writes run on worker threads with immutable snapshots; agents are the executor's.
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controller/node.h"
#include "runtime/engine.h"
#include "runtime/linux/loop.h"
#include "runtime/log.h"

namespace systole::daemons {

/// The schema of a new cluster's CIB: one that the tools of the distribution read too. An administrator upgrades with
/// cibadmin --upgrade.
inline constexpr std::string_view kSchemaOfNewClusters = "pacemaker-3.9";

struct CoreHostOptions {
    controller::NodeConfig config;  ///< who and where is filled in from the cluster engine
    std::string cib_folder;
    std::string inputs_folder;  ///< of saved scheduler inputs
    std::string ipc_prefix;
    std::optional<uid_t> ipc_owner;  ///< who has root's rights towards a cluster of the local engine
};

class CoreHost {
public:
    /// `exited` is called once, when the core is done or cannot go on.
    CoreHost(runtime::Loop& loop, CoreHostOptions options, std::unique_ptr<runtime::Engine> engine,
             runtime::LogSink log, std::function<void(ExitCode)> exited);
    ~CoreHost();
    CoreHost(const CoreHost&) = delete;
    CoreHost& operator=(const CoreHost&) = delete;

    /// Connects to the cluster engine and reads the CIB. Errors: as Engine::start(), and kIo for a CIB folder that
    /// cannot be used.
    Result<void> start();
    /// Asks to leave in good order.
    void shut_down();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::daemons
