// The world as the cores see it: their inputs, and what becomes of their effects.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "sim/world.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::sim {
namespace {

template <class... Handlers>
struct Overload : Handlers... {
    using Handlers::operator()...;
};

/// The CIB without the record of a monitor that runs well, for a plan that orders it again.
xml::NodePtr without_a_monitor(const xml::NodePtr& cib, Random& random) {
    const std::string text = xml::write(*cib);
    std::vector<std::pair<std::size_t, std::size_t>> found;
    for (std::size_t at = text.find("<lrm_rsc_op "); at != std::string::npos; at = text.find("<lrm_rsc_op ", at + 1)) {
        const std::size_t end = text.find("/>", at);
        const std::string_view record = std::string_view(text).substr(at, end - at);
        if (record.find(" operation=\"monitor\"") != std::string_view::npos &&
            record.find(" interval=\"0\"") == std::string_view::npos)
            found.emplace_back(at, end + 2 - at);
    }
    if (found.empty()) return cib;
    const auto [at, length] =
        found[static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(found.size()) - 1))];
    auto parsed = xml::parse(std::string(text).erase(at, length));
    return parsed ? *parsed : cib;
}

/// The CIB as if another member had left without a word.
xml::NodePtr with_a_member_lost(const xml::NodePtr& cib, const std::string& self, Random& random) {
    xml::Builder root(*cib);
    for (std::size_t i = 0; i < root.children().size(); ++i) {
        if (!root.children()[i]->is("status")) continue;
        xml::Builder status(*root.children()[i]);
        std::vector<std::size_t> others;
        for (std::size_t n = 0; n < status.children().size(); ++n)
            if (status.children()[n]->get("join") == "member" && status.children()[n]->get("uname") != self)
                others.push_back(n);
        if (others.empty()) return cib;
        const std::size_t which =
            others[static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(others.size()) - 1))];
        xml::Builder state(*status.children()[which]);
        state.set("in_ccm", "false").set("crmd", "offline");
        status.replace(which, std::move(state).build());
        root.replace(i, std::move(status).build());
    }
    return std::move(root).build();
}

}  // namespace

// ---- Inputs --------------------------------------------------------------------------------------------------------

void World::on_delivery(NodeId node, const Delivery& delivery) {
    Machine& machine = machines_.at(node);
    if (const auto* view = std::get_if<wire::QuorumView>(&delivery)) {
        wire::QuorumView told = *view;
        if (options_.sabotage == Sabotage::kQuorumAlways) told.quorate = true;
        // What a stopped process was told it knows only when it goes on.
        const auto tell = [this, node, told](Machine& m) {
            m.quorum = {told.quorate, events_.now()};
            feed_core(node, told);
        };
        if (machine.core) guarded(node, Part::kCore, machine.core_life, tell);
        return;
    }
    if (!machine.core) return;
    if (const auto* message = std::get_if<wire::PeerMessage>(&delivery)) {
        if (options_.sabotage == Sabotage::kLostAttributes && message->group == wire::Group::kAttributes &&
            random_.chance(2))
            return;
        if (options_.sabotage == Sabotage::kUnorderedMessages && random_.chance(2)) {
            core_event(node, Duration{random_.between(1, 50)},
                       [this, node, input = *message](Machine&) { feed_core(node, input); });
            return;
        }
    }
    std::visit(
        [&](const auto& input) {
            guarded(node, Part::kCore, machine.core_life, [this, node, input](Machine&) { feed_core(node, input); });
        },
        delivery);
}

void World::feed_core(NodeId node, const controller::Input& input) {
    Machine& machine = machines_.at(node);
    if (!machine.core) return;
    trace("core", node, std::to_string(input.index()));
    const std::uint64_t life = machine.core_life;
    for (const controller::Effect& effect : machine.core->on(both_clocks(machine), input)) {
        if (machine.core_life != life) return;  // an effect ended this life
        perform(node, effect);
    }
}

void World::feed_executor(NodeId node, const executor::Input& input) {
    Machine& machine = machines_.at(node);
    if (!machine.executor) return;
    trace("executor", node, std::to_string(input.index()));
    const std::uint64_t life = machine.executor_life;
    for (const executor::Effect& effect : machine.executor->on(both_clocks(machine), input)) {
        if (machine.executor_life != life) return;
        perform(node, effect);
    }
}

// ---- Effects -------------------------------------------------------------------------------------------------------

void World::arm(NodeId node, Part part, Timers Machine::* timers, const wire::ArmTimer& timer,
                std::function<void(const wire::TimerFired&)> tell) {
    Machine& machine = machines_.at(node);
    disarm(machine.*timers, timer.name);
    const std::uint64_t life = part == Part::kCore ? machine.core_life : machine.executor_life;
    const std::uint64_t number = ++last_timer_;
    const auto fire = [timers, number, timer_name = timer.name, tell = std::move(tell)](Machine& m) {
        // Held back while the process stood still, it may have been cancelled or armed again meanwhile.
        Timers& armed = m.*timers;
        const auto found = armed.find(timer_name);
        if (found == armed.end() || found->second.number != number) return;
        armed.erase(found);
        tell(wire::TimerFired{timer_name});
    };
    (machine.*timers)[timer.name] = {
        events_.at(timer.at, [this, node, part, life, fire] { guarded(node, part, life, fire); }), number};
}

void World::disarm(Timers& timers, const std::string& timer) {
    const auto armed = timers.find(timer);
    if (armed == timers.end()) return;
    events_.cancel(armed->second.handle);
    timers.erase(armed);
}

void World::disarm_all(Timers& timers) {
    for (const auto& [timer, armed] : timers) events_.cancel(armed.handle);
    timers.clear();
}

void World::perform_log(NodeId node, const wire::Log& line) {
    if (line.severity == wire::Severity::kDebug) return;
    constexpr std::array kNames{"error", "warning", "notice", "info", "debug"};
    note(machines_.at(node).ref.name,
         fmt::format("{}: {}", kNames[static_cast<std::size_t>(line.severity)], line.text));
}

void World::run_scheduler(NodeId node, const controller::RunScheduler& run) {
    scheduler::Input input = run.input;
    if (options_.sabotage == Sabotage::kNeedlessActions && random_.chance(33))
        input.cib = without_a_monitor(input.cib, random_);
    if (options_.sabotage == Sabotage::kFencingWithoutCause && random_.chance(1))
        input.cib = with_a_member_lost(input.cib, machines_.at(node).ref.name, random_);
    controller::PlanReady ready{.token = run.token};
    // In large clusters most plans are overtaken before they are made: nobody looks at them.
    if (const controller::Node* core = this->core(node); core != nullptr && !core->awaits_plan(run.token)) {
        ready.fault = "overtaken";
        feed_core(node, ready);
        return;
    }
    auto plan = scheduler::schedule(input);
    if (plan)
        ready.plan = std::make_shared<const scheduler::Plan>(std::move(*plan));
    else
        ready.fault = plan.error().what;
    if (ready.plan && witness != nullptr) witness->on_plan(node, *ready.plan);
    feed_core(node, ready);
}

void World::perform_multicast(NodeId node, const wire::Multicast& e) {
    if (options_.sabotage == Sabotage::kKeptAttributes && e.group == wire::Group::kCib &&
        e.message->get("cib_op") == "cib_delete" &&
        e.message->get("cib_section").find("transient_attributes") != std::string_view::npos) {
        xml::Builder other(*e.message);
        other.set("cib_section", "/cib/status/node_state[@id='nobody']");
        network_->multicast(node, e.group, e.to, std::move(other).build());
        return;
    }
    if (options_.trace) trace("multicast", node, xml::write(*e.message));
    network_->multicast(node, e.group, e.to, e.message);
    if (options_.sabotage != Sabotage::kLateResults || e.group != wire::Group::kCib) return;
    if (xml::write(*e.message).find("<lrm_rsc_op ") == std::string::npos || !random_.chance(10)) return;
    events_.in(Duration{30'000}, [this, node, e] { network_->multicast(node, e.group, e.to, e.message); });
}

void World::perform_respond(NodeId node, const wire::Respond& response) {
    Machine& machine = machines_.at(node);
    if (response.client == kExecutorAsClient) {
        executor_event(node, kHop, [this, node, request = response.request, message = response.message](Machine&) {
            feed_executor(node, executor::FencerReply{request, message});
        });
        return;
    }
    const auto found = machine.waiting.find(response.client.value);
    if (found == machine.waiting.end()) return;
    const Reply reply = std::move(found->second.reply);
    machine.waiting.erase(found);
    if (options_.sabotage != Sabotage::kClientsStay)
        core_event(node, kHop,
                   [this, node, client = response.client](Machine&) { feed_core(node, wire::ClientClosed{client}); });
    reply(response.message);
}

void World::perform(NodeId node, const controller::Effect& effect) {
    Machine& machine = machines_.at(node);
    std::visit(
        Overload{
            [&](const wire::Multicast& e) { perform_multicast(node, e); },
            [&](const wire::Respond& e) { perform_respond(node, e); },
            [&](const wire::SendEvent&) {},
            [&](const wire::Evict& e) { machine.waiting.erase(e.client.value); },
            [&](const wire::ArmTimer& e) {
                arm(node, Part::kCore, &Machine::core_timers, e,
                    [this, node](const wire::TimerFired& fired) { feed_core(node, fired); });
            },
            [&](const wire::CancelTimer& e) { disarm(machine.core_timers, e.name); },
            [&](const wire::Log& e) { perform_log(node, e); },
            [&](const controller::OpenService& e) { machine.services_open.insert(e.service); },
            [&](const controller::JoinGroup& e) { network_->join(node, e.group, machine.pid); },
            [&](const controller::LeaveGroup& e) { network_->leave(node, e.group); },
            [&](const controller::ToExecutor& e) {
                if (!machine.executor) {
                    core_event(node, kHop, [this, node, e](Machine&) {
                        feed_core(node, controller::ExecutorReply{e.request, {}});
                    });
                    return;
                }
                executor_event(node, kHop, [this, node, e](Machine&) {
                    feed_executor(node,
                                  wire::ClientRequest{kCoreAsClient, e.request, wire::kExpectsResponse, e.message});
                });
            },
            [&](const controller::RunScheduler& e) {
                // Computed when it would be done, on the snapshot that it was given.
                core_event(node, random_.between(Duration{1}, Duration{20}),
                           [this, node, e](Machine&) { run_scheduler(node, e); });
            },
            [&](const controller::WriteCib& e) {
                core_event(node, random_.between(Duration{1}, Duration{15}), [this, node, e](Machine& m) {
                    const bool full = m.disk.fault == DiskFault::kFull;
                    if (!full) {
                        if (m.disk.fault != DiskFault::kLostFsync) m.disk.before = m.disk.newest;
                        m.disk.newest = with_empty_status(e.cib);
                    }
                    feed_core(node, controller::CibWritten{e.token, full ? "No space left on device" : ""});
                });
            },
            [&](const controller::RunFenceAgent& e) { run_fence_agent(node, e); },
            [&](const controller::KillFenceAgent& e) {
                if (machine.fence_runs.erase(e.token) == 0) return;
                core_event(node, kHop, [this, node, e](Machine&) {
                    feed_core(node, controller::FenceAgentDone{e.token, ExecStatus::kCancelled, 1, {}, {}});
                });
            },
            [&](const controller::FetchMetadata& e) {
                core_event(node, random_.between(Duration{5}, Duration{80}), [this, node, e](Machine&) {
                    const std::string_view text = simulated_metadata(e.agent_class, e.type);
                    feed_core(node, controller::MetadataReady{e.token, std::string(text),
                                                              text.empty() ? "no such agent" : ""});
                });
            },
            [&](const controller::ConnectRemote& e) { connect_remote(node, e); },
            [&](const controller::DisconnectRemote& e) { disconnect_remote(node, e.node); },
            [&](const controller::ToRemote& e) { to_remote(node, e); },
            [&](const controller::Panic& e) {
                note(machine.ref.name, "panics: " + e.why);
                events_.in(Duration{0}, [this, node, cycle = machine.power_cycle] {
                    if (machines_.at(node).power_cycle != cycle) return;
                    power_off(node, "panic");
                    events_.in(random_.between(options_.boot_min, options_.boot_max), [this, node] { boot(node); });
                });
            },
            [&](const controller::Exit& e) {
                note(machine.ref.name, fmt::format("systole-core exits with {}: {}", static_cast<int>(e.code), e.why));
                const bool respawn = machine.wanted && e.code != ExitCode::kFatal;
                events_.in(Duration{0}, [this, node, respawn, life = machine.core_life] {
                    if (machines_.at(node).core_life == life) core_gone(node, respawn);
                });
            },
        },
        effect);
}

void World::perform(NodeId node, const executor::Effect& effect) {
    if (for_server(node, effect)) return;
    Machine& machine = machines_.at(node);
    std::visit(Overload{
                   [&](const wire::Respond& e) {
                       if (e.client != kCoreAsClient) return;
                       core_event(node, kHop, [this, node, e](Machine&) {
                           feed_core(node, controller::ExecutorReply{e.request, e.message});
                       });
                   },
                   [&](const wire::SendEvent& e) {
                       if (e.client != kCoreAsClient) return;
                       core_event(node, kHop,
                                  [this, node, e](Machine&) { feed_core(node, controller::ExecutorEvent{e.message}); });
                   },
                   [&](const wire::Evict&) {},
                   [&](const wire::ArmTimer& e) {
                       arm(node, Part::kExecutor, &Machine::executor_timers, e,
                           [this, node](const wire::TimerFired& fired) { feed_executor(node, fired); });
                   },
                   [&](const wire::CancelTimer& e) { disarm(machine.executor_timers, e.name); },
                   [&](const wire::Log& e) {
                       if (e.severity != wire::Severity::kDebug) note(machine.ref.name, "execd: " + e.text);
                   },
                   [&](const executor::Spawn& e) { run_agent(node, e); },
                   [&](const executor::Kill& e) {
                       const auto run = machine.runs.find(e.token);
                       if (run == machine.runs.end()) return;
                       for (const Events::Handle& handle : machine.run_events[e.token]) events_.cancel(handle);
                       machine.run_events.erase(e.token);
                       end_agent(node, e.token, true);
                   },
                   [&](const executor::ToFencer& e) { perform_to_fencer(node, e); },
                   [&](const executor::ToSystemd& e) {
                       executor_event(node, kHop, [this, node, e](Machine&) {
                           feed_executor(
                               node, executor::SystemdDone{e.token, ExecStatus::kNotInstalled, 5, "no systemd here"});
                       });
                   },
                   [&](const executor::Exit&) { executor_gone(node, true); },
               },
               effect);
}

void World::perform_to_fencer(NodeId node, const executor::ToFencer& e) {
    const auto unreachable = [this, node, e](Machine&) { feed_executor(node, executor::FencerReply{e.token, {}}); };
    if (!machines_.at(node).core) {
        executor_event(node, kHop, unreachable);
        return;
    }
    core_event(node, kHop, [this, node, e, unreachable](Machine& m) {
        if (!m.services_open.contains(wire::Service::kFencer)) {
            unreachable(m);
            return;
        }
        if (m.fencer_clients[kExecutorAsClient.value] != m.pid) {
            m.fencer_clients[kExecutorAsClient.value] = m.pid;
            feed_core(node, wire::ClientConnected{{.id = kExecutorAsClient,
                                                   .service = wire::Service::kFencer,
                                                   .pid = 2,
                                                   .user = "root",
                                                   .privileged = true,
                                                   .uuid = "execd"}});
        }
        feed_core(node, wire::ClientRequest{kExecutorAsClient, e.token, wire::kExpectsResponse, e.message});
    });
}

// ---- Agents ---------------------------------------------------------------------------------------------------------

void World::run_agent(NodeId node, const executor::Spawn& spawn) {
    Machine& machine = machines_.at(node);
    ++agent_runs_;
    AgentRun run = machine.services.begin(spawn, random_);
    for (std::string& violation : machine.services.violations())
        violate(fmt::format("{} on {}", violation, machine.ref.name));
    if (!run.instance.empty()) {
        trace("agent", node, run.action + run.instance);
        if (run.action != "monitor") {
            note(machine.ref.name, fmt::format("agent: {} {}", run.action, run.instance));
            last_action_ = events_.now();
        }
        if (witness != nullptr) witness->on_agent_begin(node, run);
    }
    if (containers_.contains(run.instance)) sync_guests();
    const std::uint32_t token = spawn.token;
    const bool times_out = run.hangs || (spawn.timeout > Duration{0} && run.takes > spawn.timeout);
    const Duration takes = times_out ? spawn.timeout : run.takes;
    if (options_.sabotage == Sabotage::kResultsBeforeTheEnd && run.action == "start" && !times_out) {
        executor_event(node, kHop, [this, node, result = run.result](Machine&) { feed_executor(node, result); });
        run.takes = Duration{2000};
        events_.in(run.takes, [this, node, run, cycle = machine.power_cycle]() mutable {
            Machine& m = machines_.at(node);
            if (m.power_cycle != cycle) return;
            m.services.end(run);
            if (witness != nullptr) witness->on_agent_end(node, run, false);
        });
        return;
    }
    machine.runs.emplace(token, std::move(run));
    const auto handle = events_.in(takes, [this, node, token, times_out, life = machine.executor_life] {
        guarded(node, Part::kExecutor, life, [this, node, token, times_out](Machine& m) {
            m.run_events.erase(token);
            end_agent(node, token, times_out);
        });
    });
    machine.run_events[token].push_back(handle);
}

void World::end_agent(NodeId node, std::uint32_t token, bool killed) {
    Machine& machine = machines_.at(node);
    const auto found = machine.runs.find(token);
    if (found == machine.runs.end()) return;
    AgentRun run = std::move(found->second);
    machine.runs.erase(found);
    if (killed) {
        machine.services.killed(run);
        if (options_.sabotage != Sabotage::kHungStopBelieved || run.action != "stop")
            run.result = {.token = token, .status = ExecStatus::kTimeout};
    } else {
        machine.services.end(run);
    }
    if (witness != nullptr && !run.instance.empty()) witness->on_agent_end(node, run, killed);
    if (containers_.contains(run.instance)) sync_guests();
    if (run.type == "Stateful" && (run.action == "start" || run.action == "monitor"))
        tell_promotion_score(node, run.instance);
    executor_event(node, Duration{0}, [this, node, result = run.result](Machine&) { feed_executor(node, result); });
}

/// As ocf:pacemaker:Stateful does with crm_master.
void World::tell_promotion_score(NodeId node, const std::string& instance) {
    const Activity activity = machines_.at(node).services.activity(instance);
    if (activity == Activity::kStopped) return;
    xml::Builder update("update_attr");
    update.set("t", "attrd").set("src", "crm_attribute").set("task", "update");
    update.set("attr_name", "master-" + instance).set("attr_value", activity == Activity::kPromoted ? "10" : "5");
    update.set("attr_is_remote", "0").set("attr_is_private", "0");
    if (machines_.at(node).remote) {
        remote_request(node, wire::Service::kAttributes, std::move(update).build());
        return;
    }
    request(node, wire::Service::kAttributes, std::move(update).build(), [](const xml::NodePtr&) {});
}

// ---- Fence devices --------------------------------------------------------------------------------------------------

void World::run_fence_agent(NodeId node, const controller::RunFenceAgent& run) {
    Machine& machine = machines_.at(node);
    machine.fence_runs.insert(run.token);
    std::string target;
    for (const auto& [key, value] : run.parameters)
        if (key == "plug" || key == "port" || key == "nodename") target = value;
    const bool switches = run.action == "off" || run.action == "reboot" || run.action == "on";
    std::optional<FenceFault> fault;
    if (switches && machine.device_hidden) {
        fault = FenceFault::kFail;
    } else if (switches && !fence_faults_.empty()) {
        fault = fence_faults_.front();
        fence_faults_.erase(fence_faults_.begin());
    }
    Duration takes =
        switches ? random_.between(Duration{300}, Duration{2500}) : random_.between(Duration{5}, Duration{50});
    const bool acts = switches && fault != FenceFault::kFail && fault != FenceFault::kHang;
    if (switches) {
        note(machine.ref.name, fmt::format("fence agent: {} {}", run.action, target));
        last_action_ = events_.now();
        if (witness != nullptr) witness->on_switching(node, target, run.action);
    }
    if (acts) {
        // The switch acts somewhere in the middle, whatever happens to the machine that asked for it.
        const bool early = options_.sabotage == Sabotage::kFenceConfirmedEarly;
        events_.in(early ? takes + Duration{4000} : takes / 2,
                   [this, node, target, action = run.action, stays_off = fault == FenceFault::kStaysOff] {
                       switch_power(node, target, action, stays_off);
                   });
    }
    controller::FenceAgentDone done{run.token, ExecStatus::kDone, 0, {}, {}};
    if (fault == FenceFault::kHang) {
        takes = run.timeout;
        done.status = ExecStatus::kTimeout;
        done.exit_code = 1;
    } else if ((fault && fault != FenceFault::kStaysOff) || (acts && options_.sabotage == Sabotage::kFenceLoop)) {
        done.exit_code = 1;
        done.error = "simulated: no answer from the switch\n";
    }
    core_event(node, takes, [this, node, done, action = run.action](Machine& m) mutable {
        if (m.fence_runs.erase(done.token) == 0) return;
        if (action == "metadata") done.output = simulated_metadata("stonith", "fence_sim");
        if (action == "list")
            for (const auto& [id, other] : machines_) done.output += other.ref.name + ",\n";
        feed_core(node, done);
    });
}

void World::switch_power(NodeId by, const std::string& target, const std::string& action, bool stays_off) {
    const NodeId victim = find(target);
    if (victim.value == 0) return;
    ++fencings_;
    last_action_ = events_.now();
    if (options_.sabotage == Sabotage::kFencingClaimsSuccess && random_.chance(50)) return;
    if (action == "on") {
        boot(victim);
        return;
    }
    Machine& machine = machines_.at(victim);
    machine.last_fenced = events_.now();
    if (machine.powered)
        power_off(victim, fmt::format("fenced by {}", name(by)), Power::kFenced);
    else if (witness != nullptr)
        witness->on_power(victim, Power::kFenced);
    if (action == "reboot" && !stays_off)
        events_.in(random_.between(options_.boot_min, options_.boot_max), [this, victim] { boot(victim); });
}

}  // namespace systole::sim
