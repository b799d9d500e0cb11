// Scenarios: several fencers over a bus with total order, virtual time, fence agents that do as they are told.
//
// A file in testdata/ is commands, a line "----", and what they must show; run with --rewrite it is written anew.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <queue>
#include <sstream>

#include "base/text.h"
#include "fencing/fencer.h"
#include "fencing/messages.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::fencing {
namespace {

using Words = std::vector<std::string>;

/// What an agent does with a device and action: how long it takes, how it ends.
struct Behaviour {
    Duration takes{100};
    int exit_code = 0;
    bool hangs = false;
    std::string output;
};

struct Machine {
    std::string name;
    NodeId id;
    std::unique_ptr<Fencer> fencer;
    bool member = false;
    std::map<std::string, Instant> timers;
    std::map<std::uint64_t, std::string> clients;
    std::uint64_t last_client = 0;
    std::map<std::uint32_t, bool> agents;  ///< running: killed?
};

struct Event {
    Instant at;
    std::uint64_t order;
    std::function<void()> happen;
    std::function<bool()> still_wanted;  ///< of timers
    bool operator<(const Event& other) const {
        return std::tie(other.at, other.order) < std::tie(at, order);  // the earliest on top
    }
};

class World {
public:
    std::string run(std::istream& script) {
        std::string line;
        while (std::getline(script, line) && line != "----") {
            if (line.empty() || line.starts_with('#')) continue;
            const Words words = words_of(line);
            if (const auto fault = command(words); !fault.empty()) ADD_FAILURE() << line << ": " << fault;
        }
        return out_;
    }

private:
    static Words words_of(std::string_view line) {
        Words words;
        std::string word;
        bool quoted = false;
        for (const char c : line) {
            if (c == '"') {
                quoted = !quoted;
            } else if (c == ' ' && !quoted) {
                if (!word.empty()) words.push_back(std::exchange(word, {}));
            } else {
                word += c;
            }
        }
        if (!word.empty()) words.push_back(word);
        return words;
    }
    static std::map<std::string, std::string> options_of(const Words& words, std::size_t from) {
        std::map<std::string, std::string> options;
        for (std::size_t i = from; i < words.size(); ++i) {
            const auto equal = words[i].find('=');
            options[words[i].substr(0, equal)] = equal == std::string::npos ? "" : words[i].substr(equal + 1);
        }
        return options;
    }

    std::string command(const Words& w) {
        const auto& verb = w.front();
        if (verb == "nodes") {
            for (std::size_t i = 1; i < w.size(); ++i) add_machine(w[i]);
            settle(Duration{100});
        } else if (verb == "join") {
            join(machine(w.at(1)));
        } else if (verb == "leave") {
            leave(machine(w.at(1)));
        } else if (verb == "restart") {
            auto& m = machine(w.at(1));
            leave(m);
            settle(Duration{0});
            create(m);
            join(m);
        } else if (verb == "watchdog") {
            watchdog_ = *parse_interval(w.at(1));
        } else if (verb == "agent") {
            agents_[w.at(1)] = std::set<std::string>(w.begin() + 2, w.end());
        } else if (verb == "device") {
            auto options = options_of(w, 2);
            devices_[w.at(1)] = std::move(options);
            change_cib();
        } else if (verb == "level") {
            levels_.push_back({w.at(1), w.at(2), w.at(3)});
            change_cib();
        } else if (verb == "property") {
            properties_[w.at(1)] = w.at(2);
            change_cib();
        } else if (verb == "behave") {
            // behave DEVICE ACTION [exit=N] [takes=T] [hang] [output="..."] [at=NODE]
            const auto options = options_of(w, 3);
            Behaviour b;
            if (options.contains("exit")) b.exit_code = std::stoi(options.at("exit"));
            if (options.contains("takes")) b.takes = *parse_interval(options.at("takes"));
            b.hangs = options.contains("hang");
            if (options.contains("output")) b.output = options.at("output");
            // One word a line.
            std::ranges::replace(b.output, '|', '\n');
            behaviours_[{w.at(1), w.at(2), options.contains("at") ? options.at("at") : ""}] = b;
        } else if (verb == "monitor" || verb == "execute") {
            // monitor NODE DEVICE: starts the resource there (registers by API) and monitors it
            auto& m = machine(w.at(1));
            const auto client = new_client(m, "pacemaker-execd", {});
            xml::Builder device("st_device_id");
            device.set("id", w.at(2)).set("agent", devices_.at(w.at(2)).at("agent"));
            xml::Builder attributes("attributes");
            for (const auto& [name, value] : parameters_of(w.at(2))) attributes.set(name, value);
            device.add(std::move(attributes));
            ask(m, client, "st_device_register", std::move(device).build(), {});
            settle(Duration{0});
            xml::Builder run("st_execute");
            run.set("st_device_id", w.at(2)).set("st_device_action", "monitor");
            xml::Builder id("st_device_id");
            id.set("st_device_id", w.at(2)).set("st_device_action", "monitor");
            ask(m, client, "st_execute", std::move(id).build(), {{"st_timeout", "20"}});
            settle(Duration{1000});
        } else if (verb == "fence") {
            // fence NODE TARGET ACTION [timeout=] [delay=] [tolerance=] [client=] [local] [confirm]
            fence(machine(w.at(1)), w.at(2), w.at(3), options_of(w, 4));
        } else if (verb == "query") {
            auto& m = machine(w.at(1));
            const auto client = new_client(m, "stonith_admin", {});
            xml::Builder what("st_query");
            what.set("st_target", w.at(2)).set("st_device_action", "off");
            ask(m, client, "st_query", std::move(what).build(), {{"st_timeout", "20"}});
        } else if (verb == "ask") {
            // ask NODE OPERATION XML [unprivileged]
            auto& m = machine(w.at(1));
            const auto options = options_of(w, 4);
            const auto client = new_client(m, "tool", options);
            const auto data = xml::parse(w.at(3));
            if (!data) return data.error().what;
            ask(m, client, w.at(2), *data, options);
        } else if (verb == "cleanup") {
            auto& m = machine(w.at(1));
            const auto client = new_client(m, "stonith_admin", {});
            xml::Builder what("st_fence_history");
            if (w.size() > 2) what.set("st_target", w.at(2));
            ask(m, client, "st_fence_history", std::move(what).build(),
                {{"st_callopt", std::to_string(option::kCleanup | option::kSync)}});
        } else if (verb == "history") {
            show_history(machine(w.at(1)));
        } else if (verb == "run") {
            settle(*parse_interval(w.at(1)));
        } else if (verb == "settle") {
            settle(Duration{3'600'000});
        } else if (verb == "say") {
            print(w.at(1));
        } else {
            return "no such command";
        }
        return {};
    }

    // ---- The cluster ----
    Machine& machine(const std::string& name) {
        const auto it = std::ranges::find_if(machines_, [&](const auto& m) { return m->name == name; });
        if (it == machines_.end()) throw std::runtime_error("no node " + name);
        return **it;
    }
    void add_machine(const std::string& name) {
        auto& m = *machines_.emplace_back(std::make_unique<Machine>());
        m.name = name;
        m.id = NodeId{static_cast<std::uint32_t>(machines_.size())};
        create(m);
        join(m);
    }
    void create(Machine& m) {
        FencerConfig config;
        config.self = {m.id, m.name};
        config.seed = m.id.value;
        config.pid = 100 + m.id.value;
        config.have_watchdog = watchdog_ > Duration{0};
        config.watchdog_timeout = watchdog_;
        m.fencer = std::make_unique<Fencer>(config);
        m.timers.clear();
        m.agents.clear();
        m.clients.clear();
        if (cib_) perform(m, m.fencer->on_cib_change(now(), cib_));
    }
    void join(Machine& m) {
        m.member = true;
        group_change({m.id}, {});
    }
    void leave(Machine& m) {
        m.member = false;
        m.timers.clear();
        group_change({}, {m.id});
        m.fencer.reset();
    }
    void group_change(const std::vector<NodeId>& joined, const std::vector<NodeId>& left) {
        wire::GroupChange change;
        change.group = wire::Group::kFencing;
        for (const auto& m : machines_) {
            if (m->member) change.members.push_back({m->id, 1});
        }
        for (const auto id : joined) change.joined.push_back({id, 1});
        for (const auto id : left) change.left.push_back({id, 1});
        for (const auto& m : machines_) {
            if (!m->member) continue;
            schedule(Duration{0}, [this, change, p = m.get(), f = m->fencer.get()] {
                if (p->fencer.get() == f && p->member) perform(*p, f->on_group_change(now(), change));
            });
        }
    }

    // ---- Configuration ----
    std::map<std::string, std::string> parameters_of(const std::string& device) const {
        auto parameters = devices_.at(device);
        for (const auto* name : {"agent", "on", "stopped", "provides"}) parameters.erase(name);
        parameters["device"] = device;  // so that the agent knows which one it is
        return parameters;
    }
    void change_cib() {
        std::string properties, resources, constraints, levels, nodes;
        int n = 0;
        for (const auto& [name, value] : properties_)
            properties += fmt::format(R"(<nvpair id="p{}" name="{}" value="{}"/>)", ++n, name, value);
        for (const auto& m : machines_) {
            nodes += fmt::format(
                R"(<node id="{0}" uname="{1}"><instance_attributes id="n{0}"><nvpair id="r{0}" name="rack" value="{2}"/></instance_attributes></node>)",
                m->id.value, m->name, m->id.value % 2);
        }
        for (const auto& [id, device] : devices_) {
            resources += fmt::format(R"(<primitive id="{}" class="stonith" type="{}">)", id, device.at("agent"));
            resources += fmt::format(R"(<instance_attributes id="{}-params">)", id);
            for (const auto& [name, value] : parameters_of(id))
                resources += fmt::format(R"(<nvpair id="x{}" name="{}" value="{}"/>)", ++n, name, value);
            resources += "</instance_attributes>";
            if (device.contains("stopped"))
                resources += fmt::format(
                    R"(<meta_attributes id="{0}-meta"><nvpair id="{0}-role" name="target-role" value="Stopped"/></meta_attributes>)",
                    id);
            resources += "</primitive>";
            if (!device.contains("on")) continue;
            const auto allowed = parse_list(device.at("on"));
            for (const auto& m : machines_) {
                if (std::ranges::find(allowed, m->name) != allowed.end()) continue;
                constraints +=
                    fmt::format(R"(<rsc_location id="l{}" rsc="{}" node="{}" score="-INFINITY"/>)", ++n, id, m->name);
            }
        }
        for (const auto& [target, index, list] : levels_) {
            const auto by = target.starts_with('~') ? fmt::format(R"(target-pattern="{}")", target.substr(1))
                            : target.find('=') != std::string::npos
                                ? fmt::format(R"(target-attribute="{}" target-value="{}")",
                                              target.substr(0, target.find('=')), target.substr(target.find('=') + 1))
                                : fmt::format(R"(target="{}")", target);
            levels += fmt::format(R"(<fencing-level id="fl{}" {} index="{}" devices="{}"/>)", ++n, by, index, list);
        }
        const auto text = fmt::format(
            R"(<cib><configuration><crm_config><cluster_property_set id="o">{}</cluster_property_set></crm_config><nodes>{}</nodes><resources>{}</resources><constraints>{}</constraints><fencing-topology>{}</fencing-topology></configuration><status/></cib>)",
            properties, nodes, resources, constraints, levels);
        auto parsed = xml::parse(text);
        ASSERT_TRUE(parsed.has_value()) << parsed.error().what;
        cib_ = *parsed;
        for (const auto& m : machines_) {
            if (m->fencer) perform(*m, m->fencer->on_cib_change(now(), cib_));
        }
    }
    static std::vector<std::string> parse_list(std::string_view text) {
        std::vector<std::string> list;
        for (const auto part : split(text, ",")) list.emplace_back(part);
        return list;
    }

    // ---- Clients ----
    std::uint64_t new_client(Machine& m, const std::string& name, const std::map<std::string, std::string>& options) {
        const auto id = ++m.last_client;
        wire::Client client;
        client.id = {id};
        client.service = wire::Service::kFencer;
        client.pid = static_cast<std::int32_t>(1000 + ++last_pid_);
        client.privileged = !options.contains("unprivileged");
        client.uuid = fmt::format("uuid-{}-{}", m.name, id);
        const auto label = options.contains("client") ? options.at("client") : fmt::format("{}#{}", name, id);
        m.clients[id] = label;
        perform(m, m.fencer->on_client_connected(now(), client));
        xml::Builder registration("stonith_command");
        registration.set("t", "stonith-ng").set("st_op", "register").set("st_clientname", name);
        wire::ClientRequest request{{id}, 1, wire::kExpectsResponse, std::move(registration).build()};
        perform(m, m.fencer->on_client_request(now(), request));
        return id;
    }
    void ask(Machine& m, std::uint64_t client, const std::string& operation, xml::NodePtr data,
             const std::map<std::string, std::string>& attributes) {
        xml::Builder message("stonith_command");
        message.set("t", "stonith-ng").set("st_op", operation).set("st_callid", "2").set("st_callopt", "4096");
        for (const auto& [name, value] : attributes) {
            if (name.starts_with("st_")) message.set(name, value);
        }
        xml::Builder wrapper("st_calldata");
        wrapper.add(std::move(data));
        message.add(std::move(wrapper));
        const bool sync = (parse_integer(message.get("st_callopt")).value_or(0) & 4096) != 0;
        wire::ClientRequest request{{client}, 2, sync ? wire::kExpectsResponse : 0, std::move(message).build()};
        perform(m, m.fencer->on_client_request(now(), request));
    }
    void fence(Machine& m, const std::string& target, const std::string& action,
               const std::map<std::string, std::string>& o) {
        const auto option = [&](const char* name, const char* fallback) {
            const auto it = o.find(name);
            return it == o.end() ? std::string(fallback) : it->second;
        };
        if (o.contains("local")) {
            FenceRequest request;
            request.target = target;
            request.action = action;
            request.timeout = *parse_interval(option("timeout", "60"));
            request.delay = *parse_interval(option("delay", "0"));
            request.tolerance = *parse_interval(option("tolerance", "0"));
            perform(m, m.fencer->on_local_request(now(), ++last_token_, request));
            return;
        }
        const auto client = new_client(m, "stonith_admin", o);
        xml::Builder what("st_fence");
        what.set("st_target", target).set("st_device_action", action).set("st_timeout", option("timeout", "60"));
        what.set("st_tolerance", option("tolerance", "0")).set("st_delay", option("delay", "0"));
        ask(m, client, "st_fence", std::move(what).build(),
            {{"st_timeout", option("timeout", "60")},
             {"st_delay", option("delay", "0")},
             {"st_callopt", o.contains("confirm") ? "4104" : "8194"}});
    }

    // ---- Effects ----
    void perform(Machine& m, const Effects& effects) {
        for (const auto& effect : effects) std::visit([&](const auto& e) { happen(m, e); }, effect);
        if (m.fencer) {
            for (const auto& line : m.fencer->check_state()) ADD_FAILURE() << m.name << ": " << line;
        }
    }
    void happen(Machine& m, const wire::Multicast& e) {
        for (const auto& receiver : machines_) {
            if (!receiver->member || (!e.to.empty() && !same_ignoring_case(e.to, receiver->name))) continue;
            schedule(Duration{1}, [this, from = wire::NodeRef{m.id, m.name}, message = e.message, p = receiver.get(),
                                   f = receiver->fencer.get()] {
                if (p->fencer.get() != f) return;
                perform(*p, f->on_peer_message(now(), {wire::Group::kFencing, from, message}));
            });
        }
    }
    void happen(Machine& m, const wire::Respond& e) { show_reply(m, e.client.value, *e.message); }
    void happen(Machine& m, const wire::SendEvent& e) {
        if (e.message->get("t") == "st-async-timeout-value") {
            print(fmt::format("{}: {} may have to wait {}s", m.name, m.clients[e.client.value],
                              e.message->get("st_timeout")));
        } else {
            show_reply(m, e.client.value, *e.message);
        }
    }
    void happen(Machine& m, const wire::ArmTimer& e) {
        m.timers[e.name] = e.at;
        const auto wanted = [name = e.name, at = e.at, p = &m, f = m.fencer.get()] {
            const auto it = p->timers.find(name);
            return p->fencer.get() == f && it != p->timers.end() && it->second == at;
        };
        const auto fire = [this, name = e.name, p = &m] {
            p->timers.erase(name);
            perform(*p, p->fencer->on_timer(now(), name));
        };
        events_.push({std::max(e.at, clock_), ++order_, fire, wanted});
    }
    void happen(Machine& m, const wire::CancelTimer& e) { m.timers.erase(e.name); }
    void happen(Machine& m, const wire::Log& e) {
        if (e.severity == wire::Severity::kWarning || e.severity == wire::Severity::kError)
            print(
                fmt::format("{}: {}: {}", m.name, e.severity == wire::Severity::kError ? "ERROR" : "warning", e.text));
    }
    void happen(Machine& m, const RunFenceAgent& e) {
        std::map<std::string, std::string> parameters(e.parameters.begin(), e.parameters.end());
        const auto device = parameters["device"];
        const auto action = parameters["action"];
        print(fmt::format("{}: runs {} with {} as {}, limit {}s{}{}", m.name, action, device, e.agent,
                          static_cast<double>(e.timeout.count()) / 1000.0,
                          parameters.contains("nodename") ? ", for " : "",
                          parameters.contains("plug")   ? parameters["nodename"] + " plug " + parameters["plug"]
                          : parameters.contains("port") ? parameters["nodename"] + " port " + parameters["port"]
                                                        : parameters["nodename"]));
        m.agents[e.token] = false;
        Behaviour b;
        for (const auto& key : {std::tuple{device, action, m.name}, std::tuple{device, action, std::string{}}}) {
            if (behaviours_.contains(key)) {
                b = behaviours_.at(key);
                break;
            }
        }
        const bool late = b.hangs || b.takes > e.timeout;
        schedule(late ? e.timeout : b.takes, [this, b, late, token = e.token, p = &m, f = m.fencer.get()] {
            if (p->fencer.get() != f || !p->agents.contains(token)) return;
            p->agents.erase(token);
            perform(*p, f->on_agent_done(now(), token, late ? ExecStatus::kTimeout : ExecStatus::kDone, b.exit_code,
                                         b.output, b.exit_code == 0 ? "" : "it said no"));
        });
    }
    void happen(Machine& m, const KillFenceAgent& e) {
        print(fmt::format("{}: kills an agent", m.name));
        m.agents.erase(e.token);
        schedule(Duration{0}, [this, token = e.token, p = &m, f = m.fencer.get()] {
            if (p->fencer.get() == f) perform(*p, f->on_agent_done(now(), token, ExecStatus::kError, 0, {}, "killed"));
        });
    }
    void happen(Machine& m, const FetchMetadata& e) {
        std::string xml, fault;
        if (const auto it = agents_.find(e.agent); it == agents_.end()) {
            fault = "no such agent";
        } else {
            const auto& traits = it->second;
            xml = "<resource-agent><parameters>";
            for (const auto* p : {"plug", "port"}) {
                if (traits.contains(p)) xml += fmt::format(R"(<parameter name="{}"/>)", p);
            }
            xml += "</parameters><actions>";
            for (const auto* a : {"off", "reboot", "list", "status", "monitor"}) {
                if (traits.contains(a) || a == std::string("off")) xml += fmt::format(R"(<action name="{}"/>)", a);
            }
            if (traits.contains("on")) {
                xml += fmt::format(R"(<action name="on"{}{}/>)", traits.contains("automatic") ? " automatic=\"1\"" : "",
                                   traits.contains("on-target") ? " on_target=\"1\"" : "");
            }
            xml += "</actions></resource-agent>";
        }
        schedule(Duration{0}, [this, xml, fault, token = e.token, p = &m, f = m.fencer.get()] {
            if (p->fencer.get() == f) perform(*p, f->on_metadata(now(), token, xml, fault));
        });
    }
    void happen(Machine& m, const LocalReply& e) {
        print(fmt::format("{}: controller request {}: {}", m.name, e.token, outcome(e.outcome, e.delegate)));
    }
    void happen(Machine& m, const FenceNotice& e) {
        if (m.name != e.origin) return;
        print(fmt::format("told by {}: {} of {} for {}: {}", m.name, e.action, e.target, e.client_name,
                          outcome(e.outcome, e.delegate)));
    }
    void happen(Machine&, const HistoryNotice&) {}
    void happen(Machine& m, const Panic& e) {
        print(fmt::format("{}: PANIC: {}", m.name, e.why));
        schedule(Duration{0}, [this, p = &m] { leave(*p); });
    }

    // ---- Output ----
    static std::string outcome(const Outcome& o, std::string_view delegate) {
        const auto how = o.ok()                          ? std::string("done")
                         : o.status == ExecStatus::kDone ? fmt::format("failed with {}", o.exit_code)
                                                         : fmt::format("failed: {}", describe(o.status));
        return fmt::format("{}{}{}{}", how, delegate.empty() ? "" : fmt::format(" by {}", delegate),
                           o.reason.empty() ? "" : " (", o.reason.empty() ? "" : o.reason + ")");
    }
    void show_reply(Machine& m, std::uint64_t client, const xml::Node& message) {
        const auto operation = message.get("st_op");
        if (operation == "register") return;
        auto text = fmt::format("{}: {} gets {} {}", m.name, m.clients[client], operation, legacy(message));
        if (const auto* list = find_with_attribute(message, "st-available-devices")) {
            text += ":";
            for (const auto& device : list->children()) text += fmt::format(" {}", device->id());
        }
        print(text);
    }
    static std::string legacy(const xml::Node& message) {
        const auto o = outcome_of(message);
        return outcome(o, message.get("st_delegate"));
    }
    void show_history(Machine& m) {
        print(fmt::format("{} remembers:", m.name));
        for (const auto& e : m.fencer->history()) {
            static constexpr std::array kNames{"query", "executing", "done", "duplicate", "failed"};
            out_ +=
                fmt::format("    {} of {} for {}@{}: {}{}{}\n", e.action, e.target, e.client_name, e.origin,
                            kNames.at(static_cast<std::size_t>(e.state)), e.delegate.empty() ? "" : " by " + e.delegate,
                            e.outcome.reason.empty() ? "" : " (" + e.outcome.reason + ")");
        }
    }
    void print(std::string_view text) {
        out_ += fmt::format("{:7.3f} {}\n", static_cast<double>(clock_.time_since_epoch().count()) / 1000.0, text);
    }

    // ---- Time ----
    Now now() const { return {clock_, WallTime{1'700'000'000 + clock_.time_since_epoch().count() / 1000}}; }
    void schedule(Duration in, std::function<void()> what) {
        events_.push({clock_ + std::max(in, Duration{0}), ++order_, std::move(what), {}});
    }
    /// Until nothing is left to do, or for so long. Timers that come to nothing don't move the clock.
    void settle(Duration at_most) {
        const Instant until = clock_ + at_most;
        while (!events_.empty() && events_.top().at <= until) {
            const Event event = events_.top();
            events_.pop();
            if (event.still_wanted && !event.still_wanted()) continue;
            clock_ = event.at;
            event.happen();
        }
        clock_ = at_most < Duration{3'600'000} ? until : clock_;
    }

    std::vector<std::unique_ptr<Machine>> machines_;
    std::map<std::string, std::set<std::string>> agents_;
    std::map<std::string, std::map<std::string, std::string>> devices_;
    std::vector<std::tuple<std::string, std::string, std::string>> levels_;
    std::map<std::string, std::string> properties_;
    std::map<std::tuple<std::string, std::string, std::string>, Behaviour> behaviours_;
    xml::NodePtr cib_;
    Duration watchdog_{0};
    Instant clock_{};
    std::uint64_t order_ = 0;
    std::priority_queue<Event> events_;
    std::uint32_t last_pid_ = 0;
    std::uint32_t last_token_ = 0;
    std::string out_;
};

class Scenario : public testing::TestWithParam<std::string> {};

bool rewriting() {
    const auto arguments = testing::internal::GetArgvs();
    return std::ranges::find(arguments, "--rewrite") != arguments.end();
}

TEST_P(Scenario, ShowsWhatItMust) {
    const std::string path = std::string(SYSTOLE_TESTDATA) + "/" + GetParam();
    std::ifstream file(path);
    ASSERT_TRUE(file) << path;
    std::stringstream text;
    text << file.rdbuf();
    const std::string whole = text.str();
    const auto cut = whole.find("----\n");
    ASSERT_NE(cut, std::string::npos) << path << ": no line ----";
    std::istringstream script(whole.substr(0, cut));
    const std::string shown = World().run(script);
    if (rewriting()) {
        std::ofstream(path) << whole.substr(0, cut) << "----\n" << shown;
        return;
    }
    EXPECT_EQ(shown, whole.substr(cut + 5));
    std::istringstream again(whole.substr(0, cut));
    EXPECT_EQ(World().run(again), shown) << "the same input must give the same output";
}

std::vector<std::string> scenario_files() {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(SYSTOLE_TESTDATA)) {
        if (entry.path().extension() == ".scenario") files.push_back(entry.path().filename());
    }
    std::ranges::sort(files);
    return files;
}

INSTANTIATE_TEST_SUITE_P(Fencing, Scenario, testing::ValuesIn(scenario_files()), [](const auto& file) {
    std::string name = file.param.substr(0, file.param.find('.'));
    std::ranges::replace(name, '-', '_');
    return name;
});

}  // namespace
}  // namespace systole::fencing
