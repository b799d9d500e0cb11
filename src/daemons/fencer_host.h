#pragma once
// daemons/fencer_host.h — the fencer core alone in the world: a cluster of one node without a configuration.
//
// What pacemaker-fenced --stand-alone runs: clients may register devices and levels and have targets fenced. There is
// no group to send to, so messages come back at once, in order.
#include <memory>
#include <string>

#include "base/result.h"
#include "fencing/fencer.h"
#include "runtime/linux/loop.h"
#include "runtime/log.h"

namespace systole::daemons {

struct FencerHostOptions {
    fencing::FencerConfig config;
    std::string agent_directory = "/usr/sbin";
};

class FencerHost {
public:
    FencerHost(runtime::Loop& loop, FencerHostOptions options, runtime::LogSink log);
    ~FencerHost();
    FencerHost(const FencerHost&) = delete;
    FencerHost& operator=(const FencerHost&) = delete;

    /// Serves local clients from here on. Errors: as IpcServer::open().
    Result<void> open();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::daemons
