#pragma once
// sim/witness.h — who watches what truly happens in the simulated world, as it happens.
#include <string>

#include "base/id.h"
#include "scheduler/schedule.h"
#include "sim/services.h"
#include "wire/port.h"

namespace systole::sim {

enum class Power : std::uint8_t {
    kOn,
    kLost,    ///< for whatever reason but a fence device
    kFenced,  ///< switched off, or off and on again, by a fence device
};

class Witness {
public:
    Witness() = default;
    Witness(const Witness&) = delete;
    Witness& operator=(const Witness&) = delete;
    virtual ~Witness() = default;
    /// The services are as they are after what counts at the beginning, or at the end.
    virtual void on_agent_begin(NodeId, const AgentRun&) {}
    /// `killed`: at its time limit, or with the executor that ran it. Else its result is told to that executor.
    virtual void on_agent_end(NodeId, const AgentRun&, bool /*killed*/) {}
    virtual void on_service_died(NodeId, const std::string& /*instance*/) {}
    virtual void on_power(NodeId, Power) {}
    /// The DC's scheduler has made a plan.
    virtual void on_plan(NodeId /*by*/, const scheduler::Plan&) {}
    /// A fence agent begins to switch.
    virtual void on_switching(NodeId /*by*/, const std::string& /*target*/, const std::string& /*action*/) {}
    /// An administrator removes a node that is off.
    virtual void on_removed(NodeId) {}
};

}  // namespace systole::sim
