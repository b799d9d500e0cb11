#pragma once
// controller/controller.h — a cluster node's part in the cluster, and the DC's.
//
// Every node: joins the controllers' group, takes part in elections, follows a DC, runs what the DC orders
// (resources.h) and answers requests. The DC besides: lets nodes join, keeps node_state, has the scheduler plan,
// carries plans out (transition/runner.h), counts failures, has nodes fenced.
//
// Nothing waits for a timer that is not somebody's configured delay: an election begins as soon as every known node is
// here (and else after dc-deadtime), a lost DC is replaced at once, a new plan starts while actions of the former one
// still run. Timers otherwise only bound what others owe us.
//
// Invariants: one plan is asked for at a time; a plan is made only from a CIB that shows every write of ours that it
// depends on; actions are begun only by the DC in office.
// Source: protocol sheet controller.md.
#include <memory>
#include <string>
#include <vector>

#include "attributes/manager.h"
#include "cib/manager.h"
#include "controller/effects.h"

namespace systole::controller {

/// Timers of the controller have names that begin so.
inline constexpr std::string_view kControllerTimers = "crmd/";

class Controller {
public:
    explicit Controller(NodeConfig config);
    ~Controller();
    Controller(Controller&&) noexcept;
    Controller& operator=(Controller&&) noexcept;

    /// The CIB is loaded and its group joined.
    [[nodiscard]] ControllerEffects on_cib_ready(const Now& now, const xml::NodePtr& cib);
    [[nodiscard]] ControllerEffects on_cib_changed(const Now& now, const cib::Changed& change);
    /// This node is DC, and that member was found to have a newer CIB.
    [[nodiscard]] ControllerEffects on_cib_behind(const Now& now, const std::string& node);
    [[nodiscard]] ControllerEffects on_cib_reply(const Now& now, std::uint64_t token, const xml::NodePtr& reply);

    [[nodiscard]] ControllerEffects on_client_connected(const Now& now, const wire::Client& client);
    [[nodiscard]] ControllerEffects on_client_request(const Now& now, const wire::ClientRequest& request);
    [[nodiscard]] ControllerEffects on_client_closed(const Now& now, wire::ClientId client);

    [[nodiscard]] ControllerEffects on_group_change(const Now& now, const wire::GroupChange& change);
    [[nodiscard]] ControllerEffects on_quorum(const Now& now, const wire::QuorumView& view);
    [[nodiscard]] ControllerEffects on_identified(const Now& now, const wire::NodeRef& node);
    [[nodiscard]] ControllerEffects on_peer_message(const Now& now, const wire::PeerMessage& message);
    [[nodiscard]] ControllerEffects on_timer(const Now& now, const std::string& name);

    [[nodiscard]] ControllerEffects on_executor_up(const Now& now);
    [[nodiscard]] ControllerEffects on_executor_down(const Now& now);
    [[nodiscard]] ControllerEffects on_executor_reply(const Now& now, const ExecutorReply& reply);
    [[nodiscard]] ControllerEffects on_executor_event(const Now& now, const ExecutorEvent& event);
    [[nodiscard]] ControllerEffects on_remote_connected(const Now& now, const RemoteConnected& input);
    [[nodiscard]] ControllerEffects on_remote_message(const Now& now, const RemoteMessage& input);
    [[nodiscard]] ControllerEffects on_remote_lost(const Now& now, const RemoteLost& input);
    /// A remote node whose connection we host wants its resources moved away.
    [[nodiscard]] ControllerEffects on_remote_shutdown(const Now& now, const std::string& node);
    [[nodiscard]] ControllerEffects on_metadata(const Now& now, const MetadataReady& metadata);
    [[nodiscard]] ControllerEffects on_plan(const Now& now, const PlanReady& plan);
    [[nodiscard]] ControllerEffects on_load(const Now& now, const LoadSampled& load);
    [[nodiscard]] ControllerEffects on_fenced(const Now& now, const fencing::LocalReply& reply);
    [[nodiscard]] ControllerEffects on_fence_notice(const Now& now, const fencing::FenceNotice& notice);
    [[nodiscard]] ControllerEffects on_attribute_changed(const Now& now, const attributes::Changed& change);
    [[nodiscard]] ControllerEffects on_shutdown(const Now& now);

    [[nodiscard]] std::string state() const;
    [[nodiscard]] std::string dc() const;
    [[nodiscard]] bool awaits_plan(std::uint32_t token) const;
    /// Remote and guest nodes whose connection this node hosts.
    [[nodiscard]] std::vector<std::string> connected_remotes() const;
    [[nodiscard]] std::vector<std::string> check_state() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace systole::controller
