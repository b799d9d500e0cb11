#pragma once
// runtime/linux/corosync_engine.h — Corosync as the cluster engine.
//
// One CPG connection a group, the quorum service for the membership, cmap for names. Everything is driven by their
// descriptors; what Corosync does not take at the moment (flow control) is queued and tried again.
//
// Invariant: any of the connections failing is the end of the engine, told once; nothing is delivered after that.
// Source: protocol sheet cpg.md, sections 1 to 6; cpg_overview(3), quorum_overview(3), cmap_overview(3).
#include <memory>

#include "runtime/engine.h"
#include "runtime/linux/loop.h"
#include "runtime/log.h"

namespace systole::runtime {

class CorosyncEngine final : public Engine {
public:
    CorosyncEngine(Loop& loop, LogSink log);
    ~CorosyncEngine() override;
    Result<EngineIdentity> start(Handlers handlers) override;
    void join(wire::Group group) override;
    void leave(wire::Group group) override;
    void multicast(const wire::Multicast& message) override;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::runtime
