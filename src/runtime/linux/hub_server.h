#pragma once
// runtime/linux/hub_server.h — the hub on a socket.
#include <memory>
#include <string>

#include "runtime/hub.h"
#include "runtime/linux/loop.h"
#include "runtime/log.h"

namespace systole::runtime {

class HubServer {
public:
    HubServer(Loop& loop, Hub::Config config, LogSink log);
    ~HubServer();
    HubServer(const HubServer&) = delete;
    HubServer& operator=(const HubServer&) = delete;

    /// Errors: kExists if a hub listens there already, kIo.
    Result<void> open(const std::string& folder);
    [[nodiscard]] const Hub& hub() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::runtime
