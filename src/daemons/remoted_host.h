#pragma once
// daemons/remoted_host.h — pacemaker-remoted put together: the executor, the TLS port for clusters, and the names under
// which local clients find the cluster's services.
#include <functional>
#include <memory>
#include <string>

#include "base/exit_code.h"
#include "daemons/executor_host.h"
#include "runtime/linux/loop.h"
#include "runtime/linux/tls_server.h"
#include "runtime/log.h"

namespace systole::daemons {

struct RemotedHostOptions {
    ExecutorHostOptions executor;
    runtime::TlsServerOptions tls;
    std::string ipc_prefix;
};

class RemotedHost {
public:
    /// `exited` is called when everything is done after a shutdown.
    RemotedHost(runtime::Loop& loop, RemotedHostOptions options, runtime::LogSink log,
                std::function<void(ExitCode)> exited);
    ~RemotedHost();
    RemotedHost(const RemotedHost&) = delete;
    RemotedHost& operator=(const RemotedHost&) = delete;

    /// Serves clusters and local clients from here on; returns the TCP port. Errors: as IpcServer::open() and
    /// TlsServer::open().
    Result<std::uint16_t> open();
    /// Leaves in good order: a connected cluster first moves the resources away.
    void shut_down();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::daemons
