#include "controller/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <utility>

#include "attributes/manager.h"
#include "base/text.h"
#include "cib/manager.h"
#include "controller/controller.h"
#include "fencing/fencer.h"
#include "remote/proxy_cluster.h"
#include "wire/message.h"

namespace systole::controller {
namespace {

constexpr std::string_view kControllerClient = "crmd";
constexpr std::string_view kAttributesClient = "attrd";
/// Metadata is fetched for the fencer and for the controller: tokens of the fencer have this bit.
constexpr std::uint32_t kFencerToken = 0x8000'0000U;

/// Messages for the clients of remote nodes are numbered from here: nobody waits for their receipts, whose numbers
/// must not be those of requests.
constexpr std::uint32_t kFirstForwarded = 0x4000'0000U;

template <class... F>
struct Overloaded : F... {
    using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace

struct Node::Parts {
    explicit Parts(NodeConfig the_config)
        : config(std::move(the_config)),
          cib({.node = config.self.name, .feature_set = std::string(wire::kFeatureSet), .schemas = config.schemas}),
          attributes(config.self, config.seed),
          fencer({.self = config.self,
                  .seed = config.seed ^ 0x5eedf00dU,
                  .pid = config.pid,
                  .have_watchdog = config.have_watchdog,
                  .watchdog_timeout = config.watchdog_timeout}),
          controller(config) {}

    Effects run(const Now& at, const Input& input);

    void dispatch(const Loaded& input);
    void dispatch(const wire::ClientConnected& input);
    void dispatch(const wire::ClientRequest& input);
    void dispatch(const wire::ClientClosed& input);
    void dispatch(const wire::GroupChange& input);
    void dispatch(const wire::QuorumView& input) {
        take(fencer.on_quorum(now, input));
        take(controller.on_quorum(now, input));
    }
    void dispatch(const wire::NodeIdentified& input);
    void dispatch(const wire::PeerMessage& input);
    void dispatch(const wire::TimerFired& input);
    void dispatch(const ExecutorUp&) { take(controller.on_executor_up(now)); }
    void dispatch(const ExecutorDown&) { take(controller.on_executor_down(now)); }
    void dispatch(const ExecutorReply& input) { take(controller.on_executor_reply(now, input)); }
    void dispatch(const ExecutorEvent& input) { take(controller.on_executor_event(now, input)); }
    void dispatch(const PlanReady& input) { take(controller.on_plan(now, input)); }
    void dispatch(const CibWritten& input) { take(cib.on_written(now, input.token, input.fault)); }
    void dispatch(const FenceAgentDone& input) {
        take(fencer.on_agent_done(now, input.token, input.status, input.exit_code, input.output, input.error));
    }
    void dispatch(const MetadataReady& input);
    void dispatch(const RemoteConnected& input) { take(controller.on_remote_connected(now, input)); }
    void dispatch(const RemoteMessage& input) { take(controller.on_remote_message(now, input)); }
    void dispatch(const RemoteLost& input) { take(controller.on_remote_lost(now, input)); }
    void dispatch(const LoadSampled& input) { take(controller.on_load(now, input)); }
    void dispatch(const ShutdownRequested&) { take(controller.on_shutdown(now)); }
    void dispatch(const EngineLost& input) { exit(ExitCode::kDisconnected, input.why); }

    void take(cib::Effects effects);
    void take(attributes::Effects effects);
    void take(fencing::Effects effects);
    void take(ControllerEffects effects);
    void take(remote::ProxyEffects effects);

    // Effects that leave the node as they are; answers to clients on remote nodes go by way of the proxy.
    template <class E>
    void emit(E effect) {
        out.emplace_back(std::move(effect));
    }
    void emit(OpenService effect);
    void emit(wire::Respond effect);
    void emit(wire::SendEvent effect);
    void emit(wire::Evict effect);

    void cib_changed(const cib::Changed& change);
    void cib_replied(const cib::LocalReply& reply);
    void stop_parts(ExitCode code, std::string why);
    void exit(ExitCode code, std::string why);

    NodeConfig config;
    cib::Manager cib;
    attributes::Manager attributes;
    fencing::Fencer fencer;
    Controller controller;
    remote::ClusterProxy proxy;

    Now now{};
    Effects out;
    std::deque<std::function<void()>> work;  ///< messages between the parts, first come first served
    std::map<wire::ClientId, wire::Client> clients;
    std::set<wire::Group> joined;
    std::set<wire::Service> open;               ///< that accept clients
    std::uint32_t forwarded = kFirstForwarded;  ///< numbers of messages to remote daemons' clients
    bool loaded{}, exited{};
    std::optional<std::pair<ExitCode, std::string>> stopping;
};

// ---- Inputs ---------------------------------------------------------------------------------------------------------

Effects Node::Parts::run(const Now& at, const Input& input) {
    now = at;
    if (exited) return {};
    std::visit([&](const auto& one) { dispatch(one); }, input);
    // Bounded by what one input can set off; parts answer each other, they don't play ping-pong.
    for (std::size_t steps = 0; !work.empty() && !exited; ++steps) {
        SYSTOLE_ASSERT(steps < 1'000'000, "the parts of a node must come to rest after an input");
        const auto next = std::move(work.front());
        work.pop_front();
        next();
    }
    work.clear();
    return std::exchange(out, {});
}

void Node::Parts::dispatch(const Loaded& input) {
    loaded = true;
    take(cib.on_loaded(now, input.cib, input.fault));
    out.emplace_back(JoinGroup{wire::Group::kCib});
}

void Node::Parts::dispatch(const wire::ClientConnected& input) {
    const wire::Client& client = input.client;
    clients[client.id] = client;
    switch (client.service) {
        case wire::Service::kCibRo:
        case wire::Service::kCibRw:
        case wire::Service::kCibShm: take(cib.on_client_connected(client)); break;
        case wire::Service::kFencer: take(fencer.on_client_connected(now, client)); break;
        case wire::Service::kController: take(controller.on_client_connected(now, client)); break;
        case wire::Service::kAttributes:
        case wire::Service::kExecutor:
        case wire::Service::kScheduler:
        case wire::Service::kPacemakerd: break;
    }
}

void Node::Parts::dispatch(const wire::ClientRequest& input) {
    const auto found = clients.find(input.client);
    if (found == clients.end()) return;
    switch (found->second.service) {
        case wire::Service::kCibRo:
        case wire::Service::kCibRw:
        case wire::Service::kCibShm: take(cib.on_client_request(now, input)); break;
        case wire::Service::kFencer: take(fencer.on_client_request(now, input)); break;
        case wire::Service::kController: take(controller.on_client_request(now, input)); break;
        case wire::Service::kAttributes: take(attributes.on_client_request(now, found->second, input)); break;
        case wire::Service::kExecutor:
        case wire::Service::kScheduler:
        case wire::Service::kPacemakerd:
            // Not served by this process; whoever waits for an answer must not wait for ever.
            if ((input.flags & wire::kExpectsResponse) != 0)
                out.emplace_back(wire::Respond{input.client, input.id,
                                               wire::make_ack("node", static_cast<int>(ExitCode::kInvalidParameter))});
            break;
    }
}

void Node::Parts::dispatch(const wire::ClientClosed& input) {
    const auto found = clients.find(input.client);
    if (found == clients.end()) return;
    const wire::Service service = found->second.service;
    clients.erase(found);
    switch (service) {
        case wire::Service::kCibRo:
        case wire::Service::kCibRw:
        case wire::Service::kCibShm: take(cib.on_client_closed(input.client)); break;
        case wire::Service::kFencer: take(fencer.on_client_closed(now, input.client)); break;
        case wire::Service::kController: take(controller.on_client_closed(now, input.client)); break;
        case wire::Service::kAttributes: take(attributes.on_client_closed(input.client)); break;
        case wire::Service::kExecutor:
        case wire::Service::kScheduler:
        case wire::Service::kPacemakerd: break;
    }
}

void Node::Parts::dispatch(const wire::GroupChange& input) {
    const bool here = std::ranges::any_of(input.members, [&](const auto& m) { return m.node == config.self.id; });
    const bool first = here && joined.insert(input.group).second;
    switch (input.group) {
        case wire::Group::kCib:
            take(cib.on_group_change(now, input));
            if (!first) break;
            for (const auto service : {wire::Service::kCibRo, wire::Service::kCibRw, wire::Service::kCibShm})
                emit(OpenService{service});
            out.emplace_back(JoinGroup{wire::Group::kFencing});
            out.emplace_back(JoinGroup{wire::Group::kAttributes});
            take(fencer.on_cib_change(now, cib.cib()));
            take(controller.on_cib_ready(now, cib.cib()));
            break;
        case wire::Group::kFencing:
            if (first) emit(OpenService{wire::Service::kFencer});
            take(fencer.on_group_change(now, input));
            break;
        case wire::Group::kAttributes:
            if (first) emit(OpenService{wire::Service::kAttributes});
            take(attributes.on_group_change(now, input));
            break;
        case wire::Group::kController: take(controller.on_group_change(now, input)); break;
    }
    if (!here && joined.contains(input.group) && input.group != wire::Group::kController && !stopping)
        exit(ExitCode::kDisconnected,
             fmt::format("the cluster engine took this node out of group {}", wire::group_name(input.group)));
}

void Node::Parts::dispatch(const wire::NodeIdentified& input) {
    take(fencer.on_node_identified(now, input.node));
    take(attributes.on_node_identified(now, input.node));
    take(controller.on_identified(now, input.node));
}

void Node::Parts::dispatch(const wire::PeerMessage& input) {
    switch (input.group) {
        case wire::Group::kCib: take(cib.on_peer_message(now, input)); break;
        case wire::Group::kFencing: take(fencer.on_peer_message(now, input)); break;
        case wire::Group::kAttributes: take(attributes.on_peer_message(now, input)); break;
        case wire::Group::kController: take(controller.on_peer_message(now, input)); break;
    }
}

void Node::Parts::dispatch(const wire::TimerFired& input) {
    if (input.name.starts_with(kControllerTimers)) {
        take(controller.on_timer(now, input.name));
    } else if (input.name.starts_with(fencing::kTimerPrefix)) {
        take(fencer.on_timer(now, input.name));
    } else if (input.name.starts_with("cib/")) {
        take(cib.on_timer(now, input.name));
    } else {
        take(attributes.on_timer(now, input.name));
    }
}

void Node::Parts::dispatch(const MetadataReady& input) {
    if ((input.token & kFencerToken) != 0) {
        take(fencer.on_metadata(now, input.token & ~kFencerToken, input.xml, input.fault));
    } else {
        take(controller.on_metadata(now, input));
    }
}

// ---- Effects of the parts -------------------------------------------------------------------------------------------

void Node::Parts::take(cib::Effects effects) {
    for (cib::Effect& effect : effects) {
        std::visit(
            Overloaded{
                [&](cib::LocalReply& e) { work.emplace_back([this, e] { cib_replied(e); }); },
                [&](cib::Changed& e) { work.emplace_back([this, e] { cib_changed(e); }); },
                [&](cib::Behind& e) { work.emplace_back([this, e] { take(controller.on_cib_behind(now, e.node)); }); },
                [&](cib::Write& e) { out.emplace_back(WriteCib{e.token, e.cib}); },
                [&](cib::Stopped&) {
                    if (stopping) exit(stopping->first, stopping->second);
                },
                [&](auto& e) { emit(std::move(e)); },
            },
            effect);
    }
}

void Node::Parts::take(attributes::Effects effects) {
    for (attributes::Effect& effect : effects) {
        std::visit(Overloaded{
                       [&](attributes::CibCall& e) {
                           work.emplace_back([this, e] {
                               cib::LocalClient client{.name = std::string(kAttributesClient)};
                               if (!e.user.empty()) client.user = e.user;
                               take(cib.on_local_request(now, client, e.token, e.request));
                           });
                       },
                       [&](attributes::Changed& e) {
                           work.emplace_back([this, e] { take(controller.on_attribute_changed(now, e)); });
                       },
                       [&](auto& e) { emit(std::move(e)); },
                   },
                   effect);
    }
}

void Node::Parts::take(fencing::Effects effects) {
    for (fencing::Effect& effect : effects) {
        std::visit(
            Overloaded{
                [&](fencing::LocalReply& e) { work.emplace_back([this, e] { take(controller.on_fenced(now, e)); }); },
                [&](fencing::FenceNotice& e) {
                    work.emplace_back([this, e] { take(controller.on_fence_notice(now, e)); });
                },
                [&](fencing::HistoryNotice&) {},
                [&](fencing::RunFenceAgent& e) {
                    out.emplace_back(RunFenceAgent{.token = e.token,
                                                   .agent = std::move(e.agent),
                                                   .action = std::move(e.action),
                                                   .parameters = std::move(e.parameters),
                                                   .timeout = e.timeout});
                },
                [&](fencing::KillFenceAgent& e) { out.emplace_back(KillFenceAgent{e.token}); },
                [&](fencing::FetchMetadata& e) {
                    out.emplace_back(FetchMetadata{.token = e.token | kFencerToken,
                                                   .agent_class = "stonith",
                                                   .provider = {},
                                                   .type = std::move(e.agent)});
                },
                [&](fencing::Panic& e) { out.emplace_back(Panic{std::move(e.why)}); },
                [&](auto& e) { emit(std::move(e)); },
            },
            effect);
    }
}

void Node::Parts::take(ControllerEffects effects) {
    for (ControllerEffect& effect : effects) {
        std::visit(
            Overloaded{
                [&](CibCall& e) {
                    work.emplace_back([this, e] {
                        cib::LocalClient client{.name = std::string(kControllerClient)};
                        if (!e.user.empty()) client.user = e.user;
                        take(cib.on_local_request(now, client, e.token, e.request));
                    });
                },
                [&](AttributeCall& e) {
                    work.emplace_back([this, e] { take(attributes.on_local_request(now, e.message)); });
                },
                [&](FenceCall& e) {
                    work.emplace_back([this, e] { take(fencer.on_local_request(now, e.token, e.request)); });
                },
                [&](ForgetNode&) {},  // tools tell the attribute manager and the fencer themselves
                [&](ProxyMessage& e) { work.emplace_back([this, e] { take(proxy.on_message(e.node, *e.message)); }); },
                [&](ProxyClosed& e) { work.emplace_back([this, e] { take(proxy.on_closed(e.node)); }); },
                [&](StopParts& e) { work.emplace_back([this, e] { stop_parts(e.code, e.why); }); },
                [&](auto& e) { emit(std::move(e)); },
            },
            effect);
    }
}

void Node::Parts::take(remote::ProxyEffects effects) {
    for (remote::ProxyEffect& effect : effects) {
        std::visit(Overloaded{
                       [&](remote::ToRemoteDaemon& e) {
                           xml::Builder numbered(*e.message);
                           numbered.set("lrmd_remote_msg_id", forwarded++).set("lrmd_remote_msg_type", "request");
                           out.emplace_back(ToRemote{std::move(e.node), std::move(numbered).build()});
                       },
                       [&](remote::RemoteWantsShutdown& e) {
                           work.emplace_back([this, e] { take(controller.on_remote_shutdown(now, e.node)); });
                       },
                       [&](wire::Log& e) { out.emplace_back(std::move(e)); },
                       [&](wire::ClientConnected& e) {
                           work.emplace_back([this, e] {
                               if (open.contains(e.client.service)) {
                                   dispatch(e);
                               } else {
                                   emit(wire::Evict{e.client.id, "the service is not open yet"});
                               }
                           });
                       },
                       [&](auto& e) { work.emplace_back([this, e] { dispatch(e); }); },
                   },
                   effect);
    }
}

void Node::Parts::emit(OpenService effect) {
    open.insert(effect.service);
    out.emplace_back(effect);
}

void Node::Parts::emit(wire::Respond effect) {
    if (remote::ClusterProxy::made_here(effect.client)) {
        take(proxy.on_response(effect));
    } else {
        out.emplace_back(std::move(effect));
    }
}

void Node::Parts::emit(wire::SendEvent effect) {
    if (remote::ClusterProxy::made_here(effect.client)) {
        take(proxy.on_event(effect));
    } else {
        out.emplace_back(std::move(effect));
    }
}

void Node::Parts::emit(wire::Evict effect) {
    if (remote::ClusterProxy::made_here(effect.client)) {
        take(proxy.on_evicted(effect));
    } else {
        out.emplace_back(std::move(effect));
    }
}

void Node::Parts::cib_changed(const cib::Changed& change) {
    take(fencer.on_cib_change(now, change.after));
    if (change.patchset) take(attributes.on_cib_changed(now, *change.patchset, change.client_name));
    take(controller.on_cib_changed(now, change));
}

void Node::Parts::cib_replied(const cib::LocalReply& reply) {
    const int rc = reply.reply ? static_cast<int>(parse_integer(reply.reply->get("cib_rc")).value_or(-71)) : -110;
    if (reply.client == kAttributesClient) {
        take(attributes.on_cib_reply(now, reply.token, rc));
        return;
    }
    // Writes of history that nobody waits for; nothing to delete is no error.
    if (reply.token == 0 && rc != 0 && rc != -6)
        out.emplace_back(
            wire::Log{.severity = wire::Severity::kWarning,
                      .text = fmt::format("a write of the controller failed: {} ({})", describe_legacy(rc), rc)});
    take(controller.on_cib_reply(now, reply.token, reply.reply));
}

void Node::Parts::stop_parts(ExitCode code, std::string why) {
    if (stopping) return;
    stopping.emplace(code, std::move(why));
    if (!loaded || !joined.contains(wire::Group::kCib) || code == ExitCode::kDisconnected) {
        exit(code, stopping->second);
        return;
    }
    take(cib.on_shutdown(now));
}

void Node::Parts::exit(ExitCode code, std::string why) {
    if (exited) return;
    if (code != ExitCode::kDisconnected) {
        for (const wire::Group group : {wire::Group::kAttributes, wire::Group::kFencing, wire::Group::kCib}) {
            if (joined.contains(group)) out.emplace_back(LeaveGroup{group});
        }
    }
    exited = true;
    out.emplace_back(Exit{code, std::move(why)});
}

// ---- The node -------------------------------------------------------------------------------------------------------

Node::Node(NodeConfig config) : parts_(std::make_unique<Parts>(std::move(config))) {}
Node::~Node() = default;
Node::Node(Node&&) noexcept = default;
Node& Node::operator=(Node&&) noexcept = default;

Effects Node::on(const Now& now, const Input& input) { return parts_->run(now, input); }

xml::NodePtr Node::cib() const { return parts_->cib.cib(); }
std::string Node::state() const { return parts_->controller.state(); }
std::string Node::dc() const { return parts_->controller.dc(); }
bool Node::awaits_plan(std::uint32_t token) const { return parts_->controller.awaits_plan(token); }

const attributes::Table& Node::attributes() const { return parts_->attributes.table(); }
std::size_t Node::clients() const { return parts_->clients.size(); }

std::vector<std::string> Node::connected_remotes() const { return parts_->controller.connected_remotes(); }

std::vector<std::string> Node::check_state() const {
    std::vector<std::string> broken;
    const auto add = [&](std::string_view part, const std::vector<std::string>& found) {
        for (const std::string& one : found) broken.push_back(fmt::format("{}: {}", part, one));
    };
    add("cib", parts_->cib.check_state());
    add("attributes", parts_->attributes.check_state());
    add("fencer", parts_->fencer.check_state());
    add("controller", parts_->controller.check_state());
    add("proxy", parts_->proxy.check_state());
    return broken;
}

}  // namespace systole::controller
