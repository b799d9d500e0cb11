#pragma once
// daemons/fencer_link.h — the executor's connection to the local fencer, made when it is first needed.
//
// Requests are sent asynchronously; their replies are events with the same st_callid. When the connection breaks, the
// executor is told once, and the next request tries to connect again.
// Source: protocol sheets fencer.md, section 2, and ipc.md, section 9.
#include <cstdint>
#include <functional>
#include <optional>

#include "runtime/linux/ipc_client.h"
#include "runtime/linux/loop.h"
#include "runtime/log.h"
#include "xml/tree.h"

namespace systole::daemons {

class FencerLink {
public:
    struct Handlers {
        std::function<void(std::uint32_t token, xml::NodePtr reply)> replied;  ///< null: it cannot be reached
        std::function<void()> lost;
    };
    FencerLink(runtime::Loop& loop, Handlers handlers, runtime::LogSink log);

    /// `replied` is called later, never from within this function; or `lost`, for all requests at once.
    void send(std::uint32_t token, const xml::Node& request);

private:
    bool connect();
    void read_events();
    void disconnect();

    runtime::Loop& loop_;
    Handlers handlers_;
    runtime::LogSink log_;
    std::optional<runtime::IpcClient> client_;
    runtime::Source source_;
};

}  // namespace systole::daemons
