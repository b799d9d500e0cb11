#pragma once
// runtime/linux/local_engine.h — the cluster engine of a cluster on one machine: a connection to the hub.
//
// For trying things out and for tests, without root, Corosync or configuration. Honest about what it is: the cluster's
// infrastructure is "local", and one machine's failure is the cluster's.
//
// Invariants: what the cores are told is a membership that the hub formed; messages that did not come back yet are sent
// again after the hub came back, and only those. A hub that stays away, or that gave this node up, ends the engine.
// Source: runtime/hub.h.
#include <memory>
#include <string>

#include "runtime/engine.h"
#include "runtime/linux/loop.h"
#include "runtime/log.h"

namespace systole::runtime {

struct LocalEngineOptions {
    std::string folder;  ///< where the hub listens
    wire::NodeRef self;
    Duration start_timeout{5000};
    Duration hub_timeout{20000};  ///< how long the hub may be away
    LogSink log;
};

/// Name of the hub's socket in its folder.
inline constexpr const char* kHubSocket = "hub.sock";

class LocalEngine final : public Engine {
public:
    LocalEngine(Loop& loop, LocalEngineOptions options);
    ~LocalEngine() override;
    Result<EngineIdentity> start(Handlers handlers) override;
    void join(wire::Group group) override;
    void leave(wire::Group group) override;
    void multicast(const wire::Multicast& message) override;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::runtime
