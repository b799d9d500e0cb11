#pragma once
// daemons/fence_agents.h — runs fence agents for the fencer: programs fence_* that read their parameters on standard
// input.
//
// Source: Fence Agent API (ClusterLabs); protocol sheet fencer.md, section 8.
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "fencing/fencer.h"
#include "runtime/linux/loop.h"
#include "runtime/linux/process.h"
#include "runtime/log.h"

namespace systole::daemons {

class FenceAgents {
public:
    struct Handlers {
        std::function<void(std::uint32_t token, ExecStatus, int exit_code, const std::string& output,
                           const std::string& error)>
            done;
        std::function<void(std::uint32_t token, const std::string& xml, const std::string& fault)> metadata;
    };
    /// `directory`: where agents are, usually /usr/sbin.
    FenceAgents(runtime::Loop& loop, std::string directory, runtime::LogSink log, Handlers handlers);

    // Handlers are called later, never from within these; a killed run ends like any other.
    void run(const fencing::RunFenceAgent& what);
    void kill(const fencing::KillFenceAgent& what);
    void fetch(const fencing::FetchMetadata& what);

private:
    [[nodiscard]] runtime::ProcessSpec spec(const std::string& agent, Duration timeout) const;

    std::string directory_;
    Handlers handlers_;
    runtime::ProcessRunner processes_;
    std::map<std::uint32_t, runtime::ProcessRunner::RunId> runs_;
};

}  // namespace systole::daemons
