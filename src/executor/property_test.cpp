// Random worlds by seed: whatever clients ask, agents do and timers bring, the executor keeps its promises.
//
// At every step: check_state() finds nothing; at most one agent runs for a resource (I15). When the world has come to
// rest: every accepted operation that runs once had exactly one result, every request exactly one reply.
#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "base/text.h"
#include "executor/executor.h"
#include "xml/tree.h"
#include "xml/write.h"

namespace systole::executor {
namespace {

class RandomWorld {
public:
    explicit RandomWorld(std::uint64_t seed) : random_(seed) {}

    void run(int steps) {
        for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) step();
        // Rest: agents end, timers fire, nobody asks any more. Recurring operations go on for ever, so they are ended.
        connect();
        for (const auto& id : kIds) ask("lrmd_rsc_unregister", data(id), 0);
        for (int i = 0; i < 10'000 && (!processes_.empty() || !other_.empty()); ++i) end_something();
        check_rest();
    }

private:
    static constexpr std::array<const char*, 4> kIds{"a", "b", "c", "d"};
    static constexpr std::array<const char*, 4> kStandards{"ocf", "lsb", "service", "stonith"};

    std::uint64_t below(std::uint64_t n) { return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(random_); }
    template <class Range>
    const auto& any(const Range& range) {
        return *std::next(range.begin(), static_cast<std::ptrdiff_t>(below(range.size())));
    }
    static xml::Builder data(std::string_view id) {
        xml::Builder element("lrmd_rsc");
        element.set("lrmd_rsc_id", id);
        return element;
    }

    void step() {
        switch (below(12)) {
            case 0: return clients_.size() < 3 ? connect() : void();
            case 1: return below(6) == 0 && !clients_.empty() ? close(any(clients_)) : void();
            case 2: {
                auto element = data(any(kIds));
                element.set("lrmd_class", any(kStandards))
                    .set("lrmd_provider", "p")
                    .set("lrmd_type", fmt::format("T{}", below(2)));
                return ask("lrmd_rsc_register", std::move(element), below(2) == 0 ? 3 : 0);
            }
            case 3: return below(8) == 0 ? ask("lrmd_rsc_unregister", data(any(kIds)), 0) : void();
            case 4:
            case 5:
            case 6: return execute();
            case 7: {
                auto element = data(any(kIds));
                element.set("lrmd_rsc_action", action()).set("lrmd_rsc_interval", static_cast<long>(1000 * below(3)));
                return ask("lrmd_rsc_cancel", std::move(element), 0);
            }
            case 8: return wait(Duration{static_cast<long>(below(3000))});
            case 9: return below(30) == 0 ? feed(FencerLost{}) : void();
            default: return end_something();
        }
    }
    const char* action() {
        static constexpr std::array kActions{"monitor", "monitor", "start", "stop", "promote"};
        return any(kActions);
    }
    void execute() {
        auto element = data(any(kIds));
        const char* const what = action();
        const auto interval = std::string_view(what) == "monitor" ? 1000 * below(3) : 0;
        element.set("lrmd_rsc_action", what)
            .set("lrmd_rsc_interval", static_cast<long>(interval))
            .set("lrmd_timeout", 5000)
            .set("lrmd_rsc_start_delay", below(5) == 0 ? 1500 : 0);
        xml::Builder parameters("attributes");
        parameters.set("x", fmt::format("{}", below(2)));
        element.add(std::move(parameters));
        ask("lrmd_rsc_exec", std::move(element), static_cast<int>(below(2)) * 4);
    }
    void connect() {
        wire::Client client;
        client.id = wire::ClientId{++last_client_};
        client.privileged = true;
        client.pid = 7;
        clients_.push_back(client.id);
        feed(wire::ClientConnected{client});
        xml::Builder message("lrmd_command");
        message.set("t", "lrmd").set("lrmd_op", "register").set("lrmd_protocol_version", "1.1");
        message.set("lrmd_clientname", below(2) == 0 ? "crmd" : "tool");
        send(client.id, std::move(message).build());
        controllers_.erase(client.id);
        if (message.get("lrmd_clientname") == "crmd") controllers_.insert(client.id);
    }
    void close(wire::ClientId id) {
        std::erase(clients_, id);
        controllers_.erase(id);
        feed(wire::ClientClosed{id});
    }
    void ask(std::string_view op, xml::Builder element, int options) {
        if (clients_.empty()) return;
        xml::Builder wrapper("lrmd_calldata");
        wrapper.add(std::move(element));
        xml::Builder message("lrmd_command");
        message.set("t", "lrmd").set("lrmd_op", op).set("lrmd_callopt", options).add(std::move(wrapper));
        send(any(clients_), std::move(message).build());
    }
    void send(wire::ClientId client, xml::NodePtr message) {
        const std::uint32_t id = ++last_request_;
        asking_ = message;
        replies_ = 0;
        feed(wire::ClientRequest{client, id, wire::kExpectsResponse, message});
        EXPECT_EQ(replies_, 1) << xml::write(*message);
        asking_ = {};
    }
    void wait(Duration time) {
        const Instant until = now_.mono + time;
        while (true) {
            auto next = timers_.end();
            for (auto it = timers_.begin(); it != timers_.end(); ++it) {
                if (it->second <= until && (next == timers_.end() || it->second < next->second)) next = it;
            }
            if (next == timers_.end()) break;
            now_.mono = next->second;
            const std::string name = next->first;
            timers_.erase(next);
            feed(wire::TimerFired{name});
        }
        now_.mono = until;
        now_.wall.seconds = until.time_since_epoch().count() / 1000;
    }
    void end_something() {
        wait(Duration{10});
        const auto total = processes_.size() + other_.size();
        if (total == 0) return;
        auto pick = below(total);
        if (pick < processes_.size()) {
            auto at = std::next(processes_.begin(), static_cast<std::ptrdiff_t>(pick));
            ProcessDone done{.token = at->first, .status = ExecStatus::kDone, .exit_code = static_cast<int>(below(9))};
            switch (below(10)) {
                case 0: done.status = ExecStatus::kTimeout; break;
                case 1: done.status = ExecStatus::kNotInstalled; break;
                case 2: done.status = ExecStatus::kError; break;
                default: break;
            }
            processes_.erase(at);
            return feed(done);
        }
        auto at = std::next(other_.begin(), static_cast<std::ptrdiff_t>(pick - processes_.size()));
        const auto [token, fencer] = *at;
        other_.erase(at);
        if (!fencer) return feed(SystemdDone{.token = token, .status = ExecStatus::kDone, .exit_code = 0});
        FencerReply reply{.token = token, .message = {}};
        if (below(5) != 0) {
            xml::Builder message("st-reply");
            message.set("rc-code", below(2) == 0 ? 1 : 0).set("op-status", below(2) == 0 ? 4 : 0);
            reply.message = std::move(message).build();
        }
        feed(reply);
    }

    void feed(const Input& input) {
        const Effects effects = executor_.on(now_, input);
        for (const auto& broken : executor_.check_state()) ADD_FAILURE() << broken;
        std::vector<std::uint32_t> killed;
        for (const auto& effect : effects) {
            if (const auto* spawn = std::get_if<Spawn>(&effect)) {
                for (const auto& [token, resource] : processes_) EXPECT_NE(resource, spawn->resource) << "two at once";
                processes_[spawn->token] = spawn->resource;
            } else if (const auto* kill = std::get_if<Kill>(&effect)) {
                killed.push_back(kill->token);
            } else if (const auto* ask_fencer = std::get_if<ToFencer>(&effect)) {
                other_[ask_fencer->token] = true;
            } else if (const auto* unit = std::get_if<ToSystemd>(&effect)) {
                other_[unit->token] = false;
            } else if (const auto* arm = std::get_if<wire::ArmTimer>(&effect)) {
                timers_[arm->name] = arm->at;
            } else if (const auto* cancel = std::get_if<wire::CancelTimer>(&effect)) {
                timers_.erase(cancel->name);
            } else if (const auto* reply = std::get_if<wire::Respond>(&effect)) {
                ++replies_;
                note_call(*reply);
            } else if (const auto* event = std::get_if<wire::SendEvent>(&effect)) {
                note_event(*event);
            }
        }
        for (const auto token : killed) {
            if (processes_.erase(token) != 0) feed(ProcessDone{.token = token, .status = ExecStatus::kError});
        }
    }
    void note_call(const wire::Respond& reply) {
        if (!asking_ || asking_->get("lrmd_op") != "lrmd_rsc_exec") return;
        const auto rc = parse_integer(reply.message->get("lrmd_rc")).value();
        const auto* element = asking_->child("lrmd_calldata")->child("lrmd_rsc");
        if (rc > 0 && element->get("lrmd_rsc_interval") == "0") once_[rc] = {};
    }
    void note_event(const wire::SendEvent& event) {
        EXPECT_NE(std::ranges::find(clients_, event.client), clients_.end()) << "an event for somebody who is gone";
        if (event.message->get("lrmd_op") != "lrmd_rsc_exec") return;
        const auto call = parse_integer(event.message->get("lrmd_callid")).value();
        if (const auto found = once_.find(call); found != once_.end()) ++found->second[event.client];
    }
    void check_rest() {
        EXPECT_TRUE(processes_.empty() && other_.empty()) << "something runs for ever";
        for (const auto& [name, at] : timers_) ADD_FAILURE() << name << " is still armed";
        for (const auto& [call, told] : once_) {
            for (const auto& [client, times] : told) EXPECT_EQ(times, 1) << "call " << call << " was told again";
        }
    }

    std::mt19937_64 random_;
    Executor executor_{ExecutorConfig{.node_name = "n1"}};
    Now now_{Instant{}, WallTime{0}};
    std::vector<wire::ClientId> clients_;
    std::set<wire::ClientId> controllers_;
    std::map<std::string, Instant> timers_;
    std::map<std::uint32_t, std::string> processes_;
    std::map<std::uint32_t, bool> other_;  ///< true: the fencer is asked, false: systemd
    std::map<long long, std::map<wire::ClientId, int>> once_;
    xml::NodePtr asking_;
    int replies_ = 0;
    std::uint64_t last_client_ = 0;
    std::uint32_t last_request_ = 0;
};

TEST(Executor, KeepsItsPromisesInRandomWorlds) {
    const char* const given = std::getenv("SYSTOLE_SEED");
    const std::uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
    const std::uint64_t count = given != nullptr ? 1 : 300;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        RandomWorld(seed).run(400);
        ASSERT_FALSE(HasFailure()) << "repeat with SYSTOLE_SEED=" << seed;
    }
}

}  // namespace
}  // namespace systole::executor
