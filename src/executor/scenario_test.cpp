// Golden scenarios over a virtual world of processes, a fencer, units and a clock: testdata/*.txt.
//
// A line that begins with "> " is done, the lines below it are what the executor then asked for. SYSTOLE_REWRITE=1 in
// the environment writes the files anew. Times are since the scenario's begin. Commands:
//
//   client C [name=N] [unprivileged] [remote] [version=V] [calls=N]   connects and registers; has seen call numbers up
//   to N connect C [unprivileged]                                  connects only close C resource C R
//   STANDARD[:PROVIDER]:TYPE [drop]              lrmd_rsc_register unregister C R | info C R | recurring C [R] | poke C
//   exec C R ACTION [interval=T] [timeout=T] [delay=T] [key=K] [originator] [changes] [p:NAME=VALUE]...
//   cancel C R ACTION [interval=T]
//   send C XML                                                any request
//   exit P RC [out=TEXT] [err=TEXT]                           a process ends (P: its resource, or its program's name)
//   timeout P | missing P | forbidden P | crash P             a process ends in another way
//   fencer ATTRIBUTES... | fencer unreachable | fencer lost   answers the oldest request to the fencer
//   unit RC [STATUS] [reason=TEXT]                            answers the oldest request to systemd
//   wait T                                                    timers fire meanwhile
//   show environment | shutdown
#include <fmt/format.h>
#include <sys/types.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/text.h"
#include "executor/executor.h"
#include "executor/private_requests.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::executor {
namespace {

/// Words of a command; name=value words by name.
struct Words {
    std::vector<std::string> plain;
    std::vector<std::pair<std::string, std::string>> named;

    explicit Words(const std::string& line) {
        std::istringstream in(line);
        for (std::string word; in >> word;) {
            const auto equals = word.find('=');
            if (equals == std::string::npos || word.front() == '<') {
                plain.push_back(word);
            } else {
                std::string value = word.substr(equals + 1);
                for (std::size_t at = 0; (at = value.find("\\n", at)) != std::string::npos;) value.replace(at, 2, "\n");
                for (char& c : value) c = c == '_' ? ' ' : c;
                named.emplace_back(word.substr(0, equals), value);
            }
        }
    }
    [[nodiscard]] std::string get(std::string_view name, std::string_view fallback = {}) const {
        for (const auto& [key, value] : named) {
            if (key == name) return value;
        }
        return std::string(fallback);
    }
    [[nodiscard]] bool has(std::string_view word) const { return std::ranges::find(plain, word) != plain.end(); }
    [[nodiscard]] std::string at(std::size_t i) const { return i < plain.size() ? plain[i] : std::string{}; }
    [[nodiscard]] Duration time(std::string_view name, Duration fallback = Duration{0}) const {
        return parse_interval(get(name)).value_or(fallback);
    }
};

class World {
public:
    explicit World(ExecutorConfig config) : executor_(std::move(config)) {}

    std::vector<std::string> perform(const std::string& line) {
        lines_.clear();
        Words words(line);
        const std::string verb = words.at(0);
        if (verb == "client" || verb == "connect") {
            connect(words);
            if (verb == "client") register_client(words);
        } else if (verb == "close") {
            feed(wire::ClientClosed{id_of(words.at(1))});
        } else if (verb == "resource") {
            register_resource(words);
        } else if (verb == "unregister" || verb == "info" || verb == "recurring") {
            about_resource(verb, words);
        } else if (verb == "poke") {
            ask(words.at(1), request("lrmd_rsc_poke").build());
        } else if (verb == "exec") {
            exec(words);
        } else if (verb == "cancel") {
            xml::Builder data("lrmd_rsc");
            data.set("lrmd_rsc_id", words.at(2)).set("lrmd_rsc_action", words.at(3));
            data.set("lrmd_rsc_interval", words.time("interval").count());
            ask(words.at(1), with_data(request("lrmd_rsc_cancel"), std::move(data)));
        } else if (verb == "send") {
            const auto at = line.find('<');
            const auto message =
                at == std::string::npos ? Result<xml::NodePtr>{xml::NodePtr{}} : xml::parse(line.substr(at));
            if (!message) throw std::runtime_error(message.error().what);
            ask(words.at(1), *message);
        } else if (verb == "exit") {
            const int rc = std::atoi(words.at(2).c_str());
            end(words.at(1),
                {.status = ExecStatus::kDone, .exit_code = rc, .output = words.get("out"), .error = words.get("err")});
        } else if (verb == "timeout") {
            end(words.at(1), {.status = ExecStatus::kTimeout});
        } else if (verb == "missing") {
            end(words.at(1), {.status = ExecStatus::kNotInstalled});
        } else if (verb == "forbidden") {
            end(words.at(1), {.status = ExecStatus::kError, .not_permitted = true, .reason = "may not be executed"});
        } else if (verb == "crash") {
            end(words.at(1),
                {.status = ExecStatus::kError, .reason = "was interrupted by signal 11 (Segmentation fault)"});
        } else if (verb == "fencer") {
            fencer(words);
        } else if (verb == "unit") {
            if (units_.empty()) throw std::runtime_error("no unit is asked about");
            SystemdDone done{.token = units_.front(),
                             .status = ExecStatus::kDone,
                             .exit_code = std::atoi(words.at(1).c_str()),
                             .reason = words.get("reason"),
                             .output = {}};
            if (!words.at(2).empty()) done.status = static_cast<ExecStatus>(std::atoi(words.at(2).c_str()));
            units_.pop_front();
            feed(done);
        } else if (verb == "wait") {
            wait(parse_interval(words.at(1)).value());
        } else if (verb == "show") {
            show_environment_ = true;
        } else if (verb == "shutdown") {
            feed(ShutdownRequested{});
        } else {
            throw std::runtime_error("unknown command: " + line);
        }
        return lines_;
    }

private:
    wire::ClientId id_of(const std::string& name) const {
        const auto found = clients_.find(name);
        if (found == clients_.end()) throw std::runtime_error("no client " + name);
        return found->second;
    }
    std::string name_of(wire::ClientId id) const {
        for (const auto& [name, other] : clients_) {
            if (other == id) return name;
        }
        return "?";
    }
    static xml::Builder request(std::string_view op) {
        xml::Builder message("lrmd_command");
        message.set("t", "lrmd").set("lrmd_op", op);
        return message;
    }
    static xml::NodePtr with_data(xml::Builder message, xml::Builder data) {
        xml::Builder wrapper("lrmd_calldata");
        wrapper.add(std::move(data));
        message.add(std::move(wrapper));
        return std::move(message).build();
    }
    void ask(const std::string& client, xml::NodePtr message) {
        feed(wire::ClientRequest{.client = id_of(client),
                                 .id = ++request_id_,
                                 .flags = wire::kExpectsResponse,
                                 .message = std::move(message)});
    }
    void connect(const Words& words) {
        wire::Client client;
        client.id = wire::ClientId{++last_client_};
        client.service = wire::Service::kExecutor;
        client.privileged = !words.has("unprivileged");
        client.pid = words.has("remote") ? 0 : 4000;
        client.uuid = "uuid-" + words.at(1);
        clients_[words.at(1)] = client.id;
        feed(wire::ClientConnected{client});
    }
    void register_client(const Words& words) {
        auto message = request("register");
        message.set("lrmd_clientname", words.get("name", words.at(1)))
            .set("lrmd_protocol_version", words.get("version", "1.1"));
        message.set_unless_empty(kCallsAbove, words.get("calls"));
        if (words.has("provider")) message.set("lrmd_is_ipc_provider", "true");
        ask(words.at(1), std::move(message).build());
    }
    void register_resource(const Words& words) {
        const std::string agent = words.at(3);
        auto parts = split(agent, ":");
        xml::Builder data("lrmd_rsc");
        data.set("lrmd_rsc_id", words.at(2)).set("lrmd_class", parts.front());
        if (parts.size() > 2) data.set("lrmd_provider", parts[1]);
        if (parts.size() > 1) data.set("lrmd_type", parts.back());
        auto message = request("lrmd_rsc_register");
        if (words.has("drop")) message.set("lrmd_callopt", 3);
        ask(words.at(1), with_data(std::move(message), std::move(data)));
    }
    void about_resource(const std::string& verb, const Words& words) {
        const auto op = verb == "info"        ? "lrmd_rsc_info"
                        : verb == "recurring" ? "lrmd_get_recurring"
                                              : "lrmd_rsc_unregister";
        xml::Builder data("lrmd_rsc");
        data.set_unless_empty("lrmd_rsc_id", words.at(2));
        ask(words.at(1), with_data(request(op), std::move(data)));
    }
    void exec(const Words& words) {
        xml::Builder attributes("attributes");
        for (const auto& [name, value] : words.named) {
            if (name.starts_with("p:")) attributes.set(name.substr(2), value);
        }
        xml::Builder data("lrmd_rsc");
        data.set("lrmd_rsc_id", words.at(2))
            .set("lrmd_rsc_action", words.at(3))
            .set_unless_empty("lrmd_rsc_userdata_str", words.get("key"))
            .set("lrmd_rsc_interval", words.time("interval").count())
            .set("lrmd_timeout", words.time("timeout", Duration{20000}).count())
            .set("lrmd_rsc_start_delay", words.time("delay").count())
            .add(std::move(attributes));
        auto message = request("lrmd_rsc_exec");
        const int options = (words.has("originator") ? 2 : 0) + (words.has("changes") ? 4 : 0);
        message.set("lrmd_callopt", options);
        ask(words.at(1), with_data(std::move(message), std::move(data)));
    }
    void end(const std::string& process, ProcessDone done) {
        const auto at = std::ranges::find(processes_, process, &Process::name);
        if (at == processes_.end()) throw std::runtime_error("no process " + process);
        done.token = at->token;
        processes_.erase(at);
        feed(done);
    }
    void fencer(const Words& words) {
        if (words.has("lost")) return feed(FencerLost{});
        if (asked_.empty()) throw std::runtime_error("the fencer is not asked");
        FencerReply reply{.token = asked_.front(), .message = {}};
        asked_.pop_front();
        if (!words.has("unreachable")) {
            xml::Builder message("st-reply");
            for (const auto& [name, value] : words.named) message.set(name, value);
            reply.message = std::move(message).build();
        }
        feed(reply);
    }
    void wait(Duration time) {
        const Instant until = now_.mono + time;
        while (true) {
            auto next = timers_.end();
            for (auto it = timers_.begin(); it != timers_.end(); ++it) {
                if (it->second <= until && (next == timers_.end() || it->second < next->second)) next = it;
            }
            if (next == timers_.end()) break;
            set_time(next->second);
            const std::string name = next->first;
            timers_.erase(next);
            lines_.push_back(fmt::format("[{}] {} fires", clock(), name));
            feed(wire::TimerFired{name});
        }
        set_time(until);
    }
    void set_time(Instant mono) {
        now_.mono = mono;
        now_.wall.seconds = 1000 + mono.time_since_epoch().count() / 1000;
    }
    [[nodiscard]] std::string clock() const {
        return fmt::format("{}s", static_cast<double>(now_.mono.time_since_epoch().count()) / 1000);
    }

    void feed(const Input& input) {
        const auto effects = executor_.on(now_, input);
        std::vector<std::uint32_t> killed;
        for (const auto& effect : effects) {
            std::visit([&](const auto& what) { show(what); }, effect);
            if (const auto* kill = std::get_if<Kill>(&effect)) killed.push_back(kill->token);
        }
        for (const auto& broken : executor_.check_state()) {
            ADD_FAILURE() << broken;
        }
        for (const auto token : killed) {
            const auto at = std::ranges::find(processes_, token, &Process::token);
            if (at == processes_.end()) continue;
            processes_.erase(at);
            feed(ProcessDone{.token = token,
                             .status = ExecStatus::kError,
                             .exit_code = 0,
                             .output = {},
                             .error = {},
                             .not_permitted = false,
                             .reason = "was interrupted by signal 9 (Killed)"});
        }
    }

    static std::string brief(const xml::Node& message) {
        std::string text(message.name());
        for (const auto& attribute : message.attributes()) {
            auto name = attribute.name.view();
            if (name == "lrmd_origin") continue;
            const bool usually =
                name == "lrmd_rsc_start_delay" || name == "lrmd_rsc_deleted" || name == "lrmd_queue_time";
            if (usually && attribute.value.view() == "0") continue;
            if (name.starts_with("lrmd_")) name.remove_prefix(5);
            text += fmt::format(" {}={}", name, xml::escape_attribute(attribute.value.view()));
        }
        for (const auto& child : message.children()) {
            if (!child->attributes().empty() || !child->children().empty()) text += " " + xml::write(*child);
        }
        return text;
    }
    void show(const wire::Respond& effect) {
        lines_.push_back(fmt::format("{} <- {}", name_of(effect.client), brief(*effect.message)));
    }
    void show(const wire::SendEvent& effect) {
        lines_.push_back(fmt::format("{} <= {}", name_of(effect.client), brief(*effect.message)));
    }
    void show(const wire::Evict& effect) {
        lines_.push_back(fmt::format("evict {}: {}", name_of(effect.client), effect.why));
    }
    void show(const wire::ArmTimer& effect) {
        timers_[effect.name] = effect.at;
        lines_.push_back(fmt::format("timer {} in {} ms", effect.name, (effect.at - now_.mono).count()));
    }
    void show(const wire::CancelTimer& effect) {
        timers_.erase(effect.name);
        lines_.push_back(fmt::format("no timer {}", effect.name));
    }
    void show(const wire::Log& effect) {
        static constexpr std::array kNames{"error", "warning", "notice", "info", "debug"};
        if (effect.severity <= wire::Severity::kNotice)
            lines_.push_back(fmt::format("{}: {}", kNames[static_cast<std::size_t>(effect.severity)], effect.text));
    }
    void show(const Spawn& effect) {
        const auto slash = effect.argv.front().rfind('/');
        const std::string name = effect.resource.empty() ? effect.argv.front().substr(slash + 1) : effect.resource;
        EXPECT_EQ(std::ranges::find(processes_, name, &Process::name), processes_.end()) << name << " runs already";
        processes_.push_back({name, effect.token});
        std::string text = fmt::format("run #{}", effect.token);
        for (const auto& word : effect.argv) text += " " + word;
        text += fmt::format(", timeout {} ms", effect.timeout.count());
        if (effect.keep_on_timeout) text += ", left alone then";
        if (effect.as_hacluster) text += ", as hacluster";
        if (!effect.input.empty()) text += ", input " + xml::escape_attribute(effect.input);
        lines_.push_back(text);
        if (!show_environment_) return;
        for (const auto& [key, value] : effect.environment) lines_.push_back(fmt::format("    {}={}", key, value));
    }
    void show(const Kill& effect) { lines_.push_back(fmt::format("kill #{}", effect.token)); }
    void show(const ToFencer& effect) {
        asked_.push_back(effect.token);
        lines_.push_back(fmt::format("fencer #{} {}", effect.token, xml::write(*effect.message)));
    }
    void show(const ToSystemd& effect) {
        units_.push_back(effect.token);
        lines_.push_back(fmt::format("systemd #{} {} {}, timeout {} ms", effect.token, effect.action, effect.unit,
                                     effect.timeout.count()));
    }
    void show(const Exit& effect) { lines_.push_back(fmt::format("exit {}", static_cast<int>(effect.code))); }

    struct Process {
        std::string name;
        std::uint32_t token;
    };
    Executor executor_;
    Now now_{Instant{}, WallTime{1000}};
    std::vector<std::string> lines_;
    std::map<std::string, wire::ClientId> clients_;
    std::map<std::string, Instant> timers_;
    std::vector<Process> processes_;
    std::deque<std::uint32_t> asked_, units_;
    std::uint64_t last_client_ = 0;
    std::uint32_t request_id_ = 0;
    bool show_environment_ = false;
};

std::string performed(const std::string& scenario) {
    World world({.node_name = "node1", .agent_environment = {{"HA_debug", "0"}}});
    std::istringstream in(scenario);
    std::string result;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("#") || line.empty()) {
            result += line + "\n";
        } else if (line.starts_with("> ")) {
            result += line + "\n";
            for (const auto& shown : world.perform(line.substr(2))) result += "  " + shown + "\n";
        }
    }
    return result;
}

std::string text_of(const std::filesystem::path& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

TEST(Executor, OfARemoteNodeAsksNoFencer) {
    World world({.node_name = "remote1", .fence_devices = false});
    world.perform("client one name=pacemaker-remote-r1:3121 remote");
    world.perform("resource one f stonith:fence_x");
    const auto lines = world.perform("exec one f start");
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_NE(lines[1].find("has no fencer"), std::string::npos) << lines[1];
    EXPECT_NE(lines[2].find("exec_rc=3 exec_op_status=4"), std::string::npos) << lines[2];
}

class Scenario : public testing::TestWithParam<std::string> {};

TEST_P(Scenario, GoesAsWritten) {
    const std::filesystem::path path = std::filesystem::path(SYSTOLE_TESTDATA) / (GetParam() + ".txt");
    const std::string wanted = text_of(path);
    const std::string seen = performed(wanted);
    if (std::getenv("SYSTOLE_REWRITE") != nullptr) {
        std::ofstream(path) << seen;
    } else {
        EXPECT_EQ(seen, wanted) << "in " << path;
    }
}

TEST_P(Scenario, IsTheSameASecondTime) {
    const std::string text = text_of(std::filesystem::path(SYSTOLE_TESTDATA) / (GetParam() + ".txt"));
    EXPECT_EQ(performed(text), performed(text));
}

std::vector<std::string> scenario_names() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(SYSTOLE_TESTDATA)) {
        if (entry.path().extension() == ".txt") names.push_back(entry.path().stem().string());
    }
    std::ranges::sort(names);
    return names;
}

INSTANTIATE_TEST_SUITE_P(Executor, Scenario, testing::ValuesIn(scenario_names()),
                         [](const auto& parameter) { return parameter.param; });

}  // namespace
}  // namespace systole::executor
