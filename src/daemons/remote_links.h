#pragma once
// daemons/remote_links.h — the core's connections to the executors of remote and guest nodes.
//
// Performs ConnectRemote, DisconnectRemote and ToRemote, and reports as RemoteConnected, RemoteMessage and RemoteLost.
// Nothing here waits: names are looked up in threads, everything else is the loop's.
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "controller/node.h"
#include "runtime/linux/address.h"
#include "runtime/linux/loop.h"
#include "runtime/linux/tcp_connect.h"
#include "runtime/linux/tls_channel.h"
#include "runtime/log.h"

namespace systole::daemons {

class RemoteLinks {
public:
    /// `feed` is never called from within the functions below.
    RemoteLinks(runtime::Loop& loop, runtime::TlsSettings tls, std::function<void(controller::Input)> feed,
                runtime::LogSink log);

    void connect(const controller::ConnectRemote& effect);
    void disconnect(const controller::DisconnectRemote& effect);
    void send(const controller::ToRemote& effect);

private:
    struct Link {
        std::uint32_t token{};
        std::string where;
        Instant deadline;
        std::unique_ptr<runtime::TcpConnect> attempt;
        std::unique_ptr<runtime::TlsChannel> channel;
        bool reported{};  ///< RemoteConnected was told
    };
    void start_tls(const std::string& node, int fd);
    void fail(const std::string& node, controller::RemoteFault fault, std::string why);
    void ended(const std::string& node, const runtime::TlsEnd& end);

    runtime::Loop& loop_;
    runtime::TlsSettings tls_;
    std::function<void(controller::Input)> feed_;
    runtime::LogSink log_;
    runtime::Resolver resolver_;
    std::map<std::string, Link> links_;  ///< by the remote node's name
    std::string remark_;                 ///< about the key, last told
};

}  // namespace systole::daemons
