// The toy world itself: see toy_world.h.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "cib/store.h"
#include "controller/toy_world.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::controller::toy {
namespace {

constexpr std::string_view kFenceMetadata =
    R"(<resource-agent name="fence_toy"><parameters><parameter name="port"/></parameters><actions>
<action name="on"/><action name="off"/><action name="reboot"/><action name="status"/><action name="list"/>
<action name="monitor"/><action name="metadata"/></actions></resource-agent>)";
constexpr std::string_view kAgentMetadata =
    R"(<resource-agent name="toy"><version>1</version><parameters><parameter name="state" unique="1"/></parameters>
<actions><action name="start"/><action name="stop"/><action name="monitor"/><action name="meta-data"/></actions>
</resource-agent>)";

xml::NodePtr initial_cib(const Options& options, const std::string& devices) {
    const std::string text = fmt::format(
        R"(<cib crm_feature_set="3.20.5" validate-with="none" epoch="1" num_updates="0" admin_epoch="0"><configuration>
<crm_config><cluster_property_set id="cib-bootstrap-options">
<nvpair id="o1" name="stonith-enabled" value="{}"/></cluster_property_set></crm_config><nodes/>
<resources>{}{}</resources><constraints>{}</constraints></configuration><status/></cib>)",
        options.fencing ? "true" : "false", options.resources, devices, options.constraints);
    auto parsed = xml::parse(text);
    SYSTOLE_ASSERT(parsed.has_value(), "the test's CIB is well-formed");
    return *parsed;
}

std::string key_of(const std::string& resource, const std::string& action, long long interval) {
    return fmt::format("{}/{}/{}", resource, action, interval);
}

const xml::Node* find_below(const xml::Node& root, std::string_view name) {
    if (root.is(name)) return &root;
    for (const auto& child : root.children()) {
        if (const auto* found = find_below(*child, name)) return found;
    }
    return nullptr;
}

}  // namespace

World::World(Options options) : options_(std::move(options)) {
    now_.wall = WallTime{1'700'000'000};
    std::string devices;
    if (options_.fencing) {
        devices =
            R"(<primitive id="fence" class="stonith" type="fence_toy"><instance_attributes id="fence-a">
<nvpair id="fence-a-1" name="pcmk_host_check" value="static-list"/><nvpair id="fence-a-2" name="pcmk_host_list" value=")";
        for (int i = 1; i <= options_.nodes; ++i) devices += fmt::format("n{} ", i);
        for (const std::string& remote : options_.remotes) devices += remote + " ";
        devices += R"("/></instance_attributes></primitive>)";
    }
    for (int i = 1; i <= options_.nodes; ++i) {
        Machine machine;
        machine.id = NodeId{static_cast<std::uint32_t>(i)};
        machine.name = fmt::format("n{}", i);
        machine.disk = initial_cib(options_, devices);
        const std::string name = machine.name;
        machines_.emplace(name, std::move(machine));
    }
    std::vector<std::string> names = options_.remotes;
    for (const auto& [resource, guest] : options_.guests) names.push_back(guest);
    for (const std::string& name : names) {
        remotes_[name] = {};
        remote_machines_[name].name = name;
    }
    for (const std::string& name : options_.remotes) power_on_remote(name);
}

void World::note(const std::string& line) {
    history.push_back(fmt::format("{}ms {}", elapsed().count(), line));
    if (options_.verbose) std::fprintf(stderr, "%s\n", history.back().c_str());
}

int World::count(const std::string& text) const {
    return static_cast<int>(
        std::ranges::count_if(history, [&](const auto& l) { return l.find(text) != std::string::npos; }));
}

World::Machine* World::find(NodeId id) {
    for (auto& [name, machine] : machines_) {
        if (machine.id == id) return &machine;
    }
    return nullptr;
}

void World::at(Duration in, std::function<void()> what) {
    timed_.push_back({now_.mono + in, ++order_, std::move(what)});
}
void World::on_bus(std::function<void()> what) { bus_.push_back(std::move(what)); }

// ---- Machines -------------------------------------------------------------------------------------------------------

void World::start(const std::string& name, bool answers) {
    Machine& machine = machines_.at(name);
    machine.power = true;
    machine.alone = false;
    machine.exit.reset();
    machine.pid = ++pids_;
    ++machine.life;
    machine.executor.up = true;
    machine.executor.stands = !answers;
    machine.executor.unread.clear();
    NodeConfig config;
    config.self = {machine.id, machine.name};
    config.cluster_name = "toy";
    config.infrastructure = "simulated";
    config.version = "toy-1";
    config.seed = machine.id.value * 1000 + machine.life;
    config.pid = machine.pid;
    machine.core = std::make_unique<Node>(config);
    note(name + " core starts");
    feed(machine, Loaded{machine.disk, {}});
    for (const auto& [other, peer] : machines_) feed(machine, wire::NodeIdentified{{peer.id, peer.name}});
    tell_quorum();
    feed(machine, ExecutorUp{});
    for (const auto& event : std::exchange(machine.executor.missed, {})) feed(machine, ExecutorEvent{event});
}

void World::start_all() {
    for (auto& [name, machine] : machines_) start(name);
}

void World::tell_quorum() {
    ++ring_;
    wire::QuorumView view;
    view.ring = ring_;
    std::size_t votes = 0;
    for (const auto& [name, machine] : machines_) {
        if (!machine.power || machine.alone) continue;
        view.members.push_back(machine.id);
        ++votes;
    }
    view.quorate = votes * 2 > machines_.size() || (machines_.size() <= 2 && votes > 0);
    for (auto& [name, machine] : machines_) {
        if (!machine.core || !machine.power) continue;
        if (machine.alone) {
            feed(machine, wire::QuorumView{.ring = ring_, .quorate = false, .members = {machine.id}});
        } else {
            feed(machine, view);
        }
    }
}

void World::change_group(wire::Group group, std::vector<wire::GroupMember> joined,
                         std::vector<wire::GroupMember> left) {
    auto& members = members_[group];
    for (const auto& member : left) members.erase(member);
    members.insert(joined.begin(), joined.end());
    const wire::GroupChange change{group, {members.begin(), members.end()}, joined, left};
    for (const auto& member : std::vector<wire::GroupMember>(members.begin(), members.end())) {
        Machine* machine = find(member.node);
        if (machine != nullptr && machine->core && machine->pid == member.pid) feed(*machine, change);
    }
}

void World::gone(const Machine& machine, std::uint32_t pid) {
    for (const auto group :
         {wire::Group::kController, wire::Group::kAttributes, wire::Group::kFencing, wire::Group::kCib}) {
        const wire::GroupMember member{machine.id, pid};
        if (members_[group].contains(member)) change_group(group, {}, {member});
    }
}

void World::power_off(const std::string& name) {
    Machine& machine = machines_.at(name);
    for (const auto& [resource, guest] : options_.guests) switch_guest(machine, resource, false);
    machine.services.clear();  // also of a node whose core has ended while its services run on
    machine.executor = {};
    if (!machine.power) return;
    note(name + " power off");
    host_lost(name);
    machine.power = false;
    machine.core.reset();
    ++machine.life;
    machine.groups.clear();
    at(options_.detection, [this, name, pid = machine.pid] {
        on_bus([this, name, pid] {
            gone(machines_.at(name), pid);
            tell_quorum();
        });
    });
}

void World::kill_core(const std::string& name) {
    Machine& machine = machines_.at(name);
    note(name + " core killed");
    host_lost(name);
    machine.core.reset();
    ++machine.life;
    machine.groups.clear();
    on_bus([this, name, pid = machine.pid] { gone(machines_.at(name), pid); });
}

void World::isolate(const std::string& name) {
    Machine& machine = machines_.at(name);
    note(name + " isolated");
    machine.alone = true;
    at(options_.detection, [this, name] {
        on_bus([this, name] {
            Machine& lost = machines_.at(name);
            for (const auto group :
                 {wire::Group::kCib, wire::Group::kController, wire::Group::kAttributes, wire::Group::kFencing}) {
                const wire::GroupMember member{lost.id, lost.pid};
                change_group(group, {}, {member});
            }
            tell_quorum();
        });
    });
}

void World::shut_down(const std::string& name) {
    note(name + " shutdown requested");
    feed(machines_.at(name), ShutdownRequested{});
}

void World::break_service(const std::string& name, const std::string& resource) {
    note(fmt::format("{} breaks {}", name, resource));
    machine_of(name).services[resource].broken = true;
}

// ---- Time -----------------------------------------------------------------------------------------------------------

bool World::run(Duration at_most, const std::function<bool()>& done) {
    const Instant end = now_.mono + at_most;
    const auto advance = [&](Instant to) {
        now_.mono = std::max(now_.mono, to);
        now_.wall = WallTime{1'700'000'000 + now_.mono.time_since_epoch().count() / 1000};
    };
    while (true) {
        check();
        if (done && done()) return true;
        if (!bus_.empty()) {
            advance(now_.mono + Duration(1));
            const auto next = std::move(bus_.front());
            bus_.pop_front();
            next();
            continue;
        }
        const auto next_timed =
            std::ranges::min_element(timed_, {}, [](const Timed& t) { return std::pair{t.at, t.order}; });
        const auto next_timer = std::ranges::min_element(timers_, {}, [](const auto& t) { return t.second.second; });
        const bool timed_first =
            next_timed != timed_.end() && (next_timer == timers_.end() || next_timed->at <= next_timer->second.second);
        if (timed_first) {
            if (next_timed->at > end) break;
            advance(next_timed->at);
            const auto what = std::move(next_timed->what);
            timed_.erase(next_timed);
            what();
        } else if (next_timer != timers_.end()) {
            if (next_timer->second.second > end) break;
            const auto [key, value] = *next_timer;
            timers_.erase(next_timer);
            advance(value.second);
            Machine& machine = machines_.at(key.first);
            if (machine.core && machine.life == value.first) feed(machine, wire::TimerFired{key.second});
        } else {
            break;
        }
    }
    advance(end);
    return !done || done();
}

bool World::settle(Duration at_most) {
    return run(at_most, [this] {
        if (!bus_.empty()) return false;
        int leaders = 0;
        for (const auto& [name, machine] : machines_) {
            if (!machine.core) continue;
            const std::string s = machine.core->state();
            if (s == "S_IDLE") ++leaders;
            if (s != "S_IDLE" && s != "S_NOT_DC") return false;
            for (const auto& [resource, queue] : machine.executor.queues) {
                if (!queue.empty()) return false;
            }
        }
        return leaders >= 1 && timed_.end() == std::ranges::find_if(timed_, [&](const Timed& t) {
                                   return t.at <= now_.mono + Duration(5);
                               });
    });
}

void World::check() {
    for (auto& [name, machine] : machines_) {
        if (!machine.core) continue;
        for (const auto& broken : machine.core->check_state()) {
            violations.push_back(fmt::format("{}ms {}: {}", elapsed().count(), name, broken));
        }
    }
}

std::string World::dc() const {
    std::string out;
    for (const auto& [name, machine] : machines_) {
        if (machine.core && machine.core->dc() == name) out += (out.empty() ? "" : ",") + name;
    }
    return out;
}

std::string World::state(const std::string& name) const {
    const Machine& machine = machines_.at(name);
    return machine.core ? machine.core->state() : "down";
}

std::vector<std::string> World::running(const std::string& resource) const {
    std::vector<std::string> out;
    for (const auto& [name, machine] : machines_) {
        const auto it = machine.services.find(resource);
        if (machine.power && it != machine.services.end() && it->second.running) out.push_back(name);
    }
    for (const auto& [name, machine] : remote_machines_) {
        const auto it = machine.services.find(resource);
        if (machine.power && it != machine.services.end() && it->second.running) out.push_back(name);
    }
    return out;
}

xml::NodePtr World::cib(const std::string& name) const {
    return machines_.at(name).core ? machines_.at(name).core->cib() : xml::NodePtr{};
}
std::optional<int> World::exit_code(const std::string& name) const { return machines_.at(name).exit; }

// ---- A node's effects -----------------------------------------------------------------------------------------------

void World::feed(Machine& machine, const Input& input) {
    if (!machine.core) return;
    Effects effects = machine.core->on(now_, input);
    for (Effect& effect : effects) perform(machine, effect);
}

void World::perform(Machine& machine, Effect& effect) {
    const std::string name = machine.name;
    const std::uint64_t life = machine.life;
    const auto later = [this, name, life](Duration in, Input input) {
        at(in, [this, name, life, input] {
            Machine& m = machines_.at(name);
            if (m.life == life) feed(m, input);
        });
    };
    if (auto* cast = std::get_if<wire::Multicast>(&effect)) {
        on_bus([this, name, life, cast = *cast] {
            Machine& sender = machines_.at(name);
            if (sender.life != life) return;  // what a dead process had not sent yet is lost
            xml::Builder message(*cast.message);
            message.set("src", name);
            const wire::PeerMessage delivered{cast.group, {sender.id, name}, message.build()};
            for (const auto& member : std::set<wire::GroupMember>(members_[cast.group])) {
                Machine* to = find(member.node);
                if (to == nullptr || !to->core || to->pid != member.pid || to->alone != sender.alone) continue;
                if (to->alone && to->name != name) continue;
                if (!cast.to.empty() && !same_ignoring_case(cast.to, to->name)) continue;
                feed(*to, delivered);
            }
        });
    } else if (auto* timer = std::get_if<wire::ArmTimer>(&effect)) {
        timers_[{name, timer->name}] = {life, timer->at};
    } else if (auto* cancel = std::get_if<wire::CancelTimer>(&effect)) {
        timers_.erase({name, cancel->name});
    } else if (auto* line = std::get_if<wire::Log>(&effect)) {
        if (line->severity == wire::Severity::kError) errors.push_back(name + ": " + line->text);
        if (line->severity < wire::Severity::kDebug) note(fmt::format("{}: {}", name, line->text));
    } else if (auto* join = std::get_if<JoinGroup>(&effect)) {
        on_bus([this, name, life, group = join->group] {
            Machine& m = machines_.at(name);
            if (m.life != life) return;
            m.groups.insert(group);
            change_group(group, {{m.id, m.pid}}, {});
        });
    } else if (auto* leave = std::get_if<LeaveGroup>(&effect)) {
        on_bus(
            [this, id = machine.id, pid = machine.pid, group = leave->group] { change_group(group, {}, {{id, pid}}); });
    } else if (auto* order = std::get_if<ToExecutor>(&effect)) {
        execute(machine, *order);
    } else if (auto* run = std::get_if<RunScheduler>(&effect)) {
        ++plans;
        std::shared_ptr<scheduler::Plan> made;
        std::string fault;
        if (options_.real_scheduler) {
            auto planned = scheduler::schedule(run->input);
            if (planned) made = std::make_shared<scheduler::Plan>(std::move(*planned));
            if (!planned) fault = planned.error().what;
        } else {
            made = std::make_shared<scheduler::Plan>();
            made->graph = plan(*run->input.cib);
        }
        later(Duration(5), PlanReady{run->token, made, fault, {}});
    } else if (auto* write = std::get_if<WriteCib>(&effect)) {
        machine.disk = cib::cib_for_disk(*write->cib);
        later(Duration(2), CibWritten{write->token, {}});
    } else if (auto* agent = std::get_if<RunFenceAgent>(&effect)) {
        run_fence_agent(machine, *agent);
    } else if (auto* metadata = std::get_if<FetchMetadata>(&effect)) {
        later(Duration(3),
              MetadataReady{metadata->token,
                            std::string(metadata->agent_class == "stonith" ? kFenceMetadata : kAgentMetadata),
                            {}});
    } else if (auto* panic = std::get_if<Panic>(&effect)) {
        note(fmt::format("{} panics: {}", name, panic->why));
        at(Duration(0), [this, name] { power_off(name); });
    } else if (auto* exit = std::get_if<Exit>(&effect)) {
        note(fmt::format("{} exits {}: {}", name, static_cast<int>(exit->code), exit->why));
        machine.exit = static_cast<int>(exit->code);
        at(Duration(0), [this, name, life] {
            Machine& m = machines_.at(name);
            if (m.life != life) return;
            m.core.reset();
            host_lost(name);
            m.executor.recurring.clear();
            on_bus([this, name, pid = m.pid] { gone(machines_.at(name), pid); });
            on_bus([this, name, life] {
                Machine& again = machines_.at(name);
                if (again.life != life) return;
                again.power = false;
                tell_quorum();
            });
        });
    } else if (auto* connect = std::get_if<ConnectRemote>(&effect)) {
        connect_remote(name, *connect);
    } else if (auto* disconnect = std::get_if<DisconnectRemote>(&effect)) {
        disconnect_remote(name, disconnect->node);
    } else if (auto* to_remote_node = std::get_if<ToRemote>(&effect)) {
        to_remote(name, *to_remote_node);
    } else if (auto* response = std::get_if<wire::Respond>(&effect)) {
        machine.client_mail.push_back(response->message);
    } else if (auto* event = std::get_if<wire::SendEvent>(&effect)) {
        machine.client_mail.push_back(event->message);
    }
}

// ---- Executors ------------------------------------------------------------------------------------------------------

void World::executor_answers(const std::string& name) {
    Machine& machine = machines_.at(name);
    machine.executor.stands = false;
    for (const ToExecutor& order : std::exchange(machine.executor.unread, {})) execute(machine, order);
}

void World::execute(Machine& machine, const ToExecutor& order) {
    if (machine.executor.stands) {
        machine.executor.unread.push_back(order);
        return;
    }
    const xml::NodePtr built = execute(machine, *order.message).build();
    at(Duration(0), [this, name = machine.name, life = machine.life, request = order.request, built] {
        Machine& m = machine_of(name);
        if (m.life == life) feed(m, ExecutorReply{request, built});
    });
}

xml::Builder World::execute(Machine& machine, const xml::Node& message) {
    Executor& executor = machine.executor;
    const std::string op(message.get("lrmd_op"));
    const xml::Node* data = find_below(message, "lrmd_rsc");
    const std::string resource(data == nullptr ? "" : data->get("lrmd_rsc_id"));
    xml::Builder reply("lrmd_reply");
    int rc = 0;
    const int call = ++executor.calls;
    if (op == "lrmd_rsc_register") {
        executor.known[resource] = data->share();
    } else if (op == "lrmd_rsc_info") {
        const auto it = executor.known.find(resource);
        rc = it == executor.known.end() ? -19 : 0;
        if (rc == 0) {
            for (const auto* name : {"lrmd_rsc_id", "lrmd_class", "lrmd_provider", "lrmd_type"})
                reply.set_unless_empty(name, it->second->get(name));
        }
    } else if (op == "lrmd_rsc_unregister") {
        executor.known.erase(resource);
        std::erase_if(executor.recurring, [&](const auto& e) { return e.second.resource == resource; });
    } else if (op == "lrmd_get_recurring") {
        for (const auto& [key, run] : executor.recurring) {
            xml::Builder entry("lrmd_rsc");
            entry.set("lrmd_rsc_id", run.resource);
            entry.add(xml::Builder("lrmd_rsc_op")
                          .set("lrmd_rsc_action", run.action)
                          .set("lrmd_rsc_interval", run.interval)
                          .build());
            reply.add(std::move(entry));
        }
    } else if (op == "lrmd_rsc_exec" || op == "lrmd_rsc_cancel") {
        Run run;
        run.call = call;
        run.resource = resource;
        run.action = data->get("lrmd_rsc_action");
        run.userdata = data->get("lrmd_rsc_userdata_str");
        run.interval = parse_integer(data->get("lrmd_rsc_interval")).value_or(0);
        run.attributes = data->child_ptr("attributes");
        const std::string key = key_of(resource, run.action, run.interval);
        if (!executor.known.contains(resource)) {
            rc = -19;
        } else if (op == "lrmd_rsc_cancel") {
            const auto it = executor.recurring.find(key);
            rc = it == executor.recurring.end() ? -95 : 0;
            if (rc == 0) {
                const Run cancelled = it->second;
                executor.recurring.erase(it);
                at(Duration(0), [this, name = machine.name, cancelled] { report(machine_of(name), cancelled, 0, 1); });
            }
        } else {
            rc = call;
            if (run.action == "stop")
                std::erase_if(executor.recurring, [&](const auto& e) { return e.second.resource == resource; });
            if (run.interval > 0) {
                executor.recurring[key] = run;
                executor.last_rc.erase(key);
                begin_recurring(machine, key);
            } else {
                executor.queues[resource].push_back(run);
                if (executor.queues[resource].size() == 1) begin_next(machine, resource);
            }
        }
    }
    reply.set("lrmd_rc", rc).set("lrmd_callid", call);
    return reply;
}

void World::begin_next(Machine& machine, const std::string& resource) {
    auto& queue = machine.executor.queues[resource];
    if (queue.empty()) return;
    Run& run = queue.front();
    run.begun = now_.mono;
    const auto slow = durations.find(fmt::format("{}/{}/{}", machine.name, resource, run.action));
    const Duration took = slow != durations.end() ? slow->second : options_.operation;
    if (run.action == "start" && machine.services[resource].running)
        note(fmt::format("{} started {} twice", machine.name, resource));
    at(took, [this, name = machine.name, resource, call = run.call] {
        Machine& m = machine_of(name);
        auto& q = m.executor.queues[resource];
        if (q.empty() || q.front().call != call || is_stuck(m)) return;
        const Run done = q.front();
        q.pop_front();
        const int rc = act(m, done);
        note(fmt::format("{} {} {} rc={}", name, done.action, resource, rc));
        report(m, done, rc, 0);
        begin_next(m, resource);
    });
}

void World::begin_recurring(Machine& machine, const std::string& key) {
    at(options_.operation, [this, name = machine.name, key, call = machine.executor.recurring[key].call] {
        Machine& m = machine_of(name);
        const auto it = m.executor.recurring.find(key);
        if (!m.power || it == m.executor.recurring.end() || it->second.call != call) return;
        const Run run = it->second;
        const int rc = act(m, run);
        const auto last = m.executor.last_rc.find(key);
        const bool changed = last == m.executor.last_rc.end() || last->second != rc;
        m.executor.last_rc[key] = rc;
        if (changed) {
            note(fmt::format("{} {}/{} {} rc={}", name, run.action, run.interval, run.resource, rc));
            report(m, run, rc, 0);
        }
        at(Duration(run.interval), [this, name, key, call] {
            Machine& again = machine_of(name);
            const auto still = again.executor.recurring.find(key);
            if (still != again.executor.recurring.end() && still->second.call == call) begin_recurring(again, key);
        });
    });
}

int World::act(Machine& machine, const Run& run) {
    const auto forced = results.find(fmt::format("{}/{}/{}", machine.name, run.resource, run.action));
    if (forced != results.end()) return forced->second;
    Service& service = machine.services[run.resource];
    if (run.action == "start" || run.action == "stop") switch_guest(machine, run.resource, run.action == "start");
    if (run.action == "start") {
        service = {.running = true, .broken = false};
        const auto where = running(run.resource);
        // A fence device may be taken over before its node is proven off: it is what proves it.
        const bool device = machine.executor.known.contains(run.resource) &&
                            machine.executor.known[run.resource]->get("lrmd_class") == "stonith";
        if (where.size() > 1 && !device)
            violations.push_back(fmt::format("{}ms {} runs on {}", elapsed().count(), run.resource, join(where, ",")));
        return 0;
    }
    // A live migration: gone here, then there; a guest's machine runs on.
    if (run.action == "stop" || run.action == "migrate_to") {
        service = {};
        return 0;
    }
    if (run.action == "migrate_from") {
        service = {.running = true, .broken = false};
        return 0;
    }
    return service.broken ? 1 : service.running ? 0 : 7;
}

void World::report(Machine& machine, const Run& run, int rc, int status) {
    xml::Builder event("lrmd_notify");
    event.set("lrmd_op", "lrmd_rsc_exec")
        .set("lrmd_rsc_id", run.resource)
        .set("lrmd_rsc_action", run.action)
        .set("lrmd_rsc_userdata_str", run.userdata)
        .set("lrmd_rsc_interval", run.interval)
        .set("lrmd_callid", run.call)
        .set("lrmd_exec_rc", rc)
        .set("lrmd_exec_op_status", status)
        .set("lrmd_run_time", static_cast<long long>(now_.wall.seconds))
        .set("lrmd_rcchange_time", static_cast<long long>(now_.wall.seconds))
        .set("lrmd_exec_time", 10)
        .set("lrmd_queue_time", 0);
    if (run.attributes) event.add(run.attributes);
    const xml::NodePtr built = std::move(event).build();
    if (const auto remote = remotes_.find(machine.name); remote != remotes_.end()) {
        for (const std::string& host : remote->second.providers) tell_host(machine.name, host, built);
    } else if (machine.core) {
        feed(machine, ExecutorEvent{built});
    } else {
        machine.executor.missed.push_back(built);
    }
}

void World::run_fence_agent(Machine& machine, const RunFenceAgent& agent) {
    std::string target;
    for (const auto& [name, value] : agent.parameters) {
        if (name == "port" || name == "plug" || name == "nodename") target = value;
    }
    const bool cut = agent.action == "reboot" || agent.action == "off";
    at(cut ? options_.fence_time : Duration(5), [this, name = machine.name, life = machine.life, token = agent.token,
                                                 target, cut, action = agent.action] {
        Machine& m = machines_.at(name);
        if (m.life != life) return;
        if (cut) {
            note(fmt::format("{} fenced by {}", target, name));
            if (machines_.contains(target)) power_off(target);
            if (remotes_.contains(target)) {
                power_off_remote(target);
                at(Duration(1000), [this, target] { power_on_remote(target); });
            }
        }
        feed(m, FenceAgentDone{.token = token, .status = ExecStatus::kDone, .exit_code = 0, .output = {}, .error = {}});
    });
}

// ---- Clients --------------------------------------------------------------------------------------------------------

std::vector<xml::NodePtr> World::ask(const std::string& name, wire::Service service,
                                     const std::vector<xml::NodePtr>& requests) {
    Machine& machine = machines_.at(name);
    machine.client_mail.clear();
    wire::Client client{
        .id = {++clients_}, .service = service, .pid = 4242, .user = "root", .privileged = true, .uuid = {}};
    client.uuid = fmt::format("client-{}", clients_);
    feed(machine, wire::ClientConnected{client});
    std::uint32_t number = 0;
    for (const auto& request : requests) feed(machine, wire::ClientRequest{client.id, ++number, 0, request});
    run(std::chrono::seconds(1));
    feed(machine, wire::ClientClosed{client.id});
    return std::exchange(machine.client_mail, {});
}

}  // namespace systole::controller::toy
