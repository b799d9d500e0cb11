#pragma once
// runtime/engine.h — the cluster engine: who is here, who may act, and messages in one order for all.
//
// What the cores are promised: every member of a group sees the same messages and membership changes of this group in
// the same order; own messages come back; a message sent after join() and before the process ends is delivered to all
// members or the membership changes. The order between different groups and the quorum view is not defined.
// Source: protocol sheet cpg.md; cpg_overview(3), quorum_overview(3).
#include <functional>
#include <string>

#include "base/result.h"
#include "wire/port.h"

namespace systole::runtime {

struct EngineIdentity {
    wire::NodeRef self;
    std::string cluster_name;
    std::string infrastructure;  ///< value of the cluster option cluster-infrastructure: "corosync", "local"
};

class Engine {
public:
    struct Handlers {
        std::function<void(const wire::GroupChange&)> group_change;
        std::function<void(const wire::QuorumView&)> quorum_view;
        std::function<void(const wire::NodeIdentified&)> node_identified;
        std::function<void(const wire::PeerMessage&)> message;
        std::function<void(const std::string& why)> lost;  ///< the engine is gone for good; at most once
    };

    Engine() = default;
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    virtual ~Engine() = default;

    /// Connects and tells who this node is. Handlers are called from the loop, from here on. May wait for a short
    /// while (seconds); it is called once, before anything depends on this process.
    /// Errors: kUnreachable if the engine is not there (yet), kInvalid if its configuration does not name this node.
    virtual Result<EngineIdentity> start(Handlers handlers) = 0;
    /// The answer is a GroupChange, or lost().
    virtual void join(wire::Group group) = 0;
    virtual void leave(wire::Group group) = 0;
    /// Queued, and sent again while the engine is busy. Dropped with a log line if this node is not in the group.
    virtual void multicast(const wire::Multicast& message) = 0;
};

}  // namespace systole::runtime
