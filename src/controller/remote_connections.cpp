#include "controller/remote_connections.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "controller/controller.h"

namespace systole::controller {
namespace {

constexpr Duration kAttemptMax = std::chrono::seconds(10);  // one try to connect
constexpr Duration kTryAgain = std::chrono::seconds(1);     // from a failed try to the next
constexpr Duration kLeftForTry = std::chrono::seconds(3);   // less of the start's time is left for no other try
constexpr Duration kAnswerMax = std::chrono::seconds(10);   // for an answer to a request
constexpr Duration kSearchMax = std::chrono::seconds(10);   // for a lost node, before it counts as lost
constexpr Duration kReachMax = std::chrono::seconds(5);     // for one try of a search
constexpr std::string_view kReachPrefix = "?";              // of transport names that only test
constexpr std::uint16_t kDefaultPort = 3121;
constexpr int kProtocolRefused = -71;

wire::ArmTimer timer(std::string_view what, std::string_view node, Instant at) {
    return {fmt::format("{}{}{}/{}", kControllerTimers, kConnectionTimers, what, node), at};
}
wire::CancelTimer no_timer(std::string_view what, std::string_view node) {
    return {fmt::format("{}{}{}/{}", kControllerTimers, kConnectionTimers, what, node)};
}

std::string parameter(const ConnectionOrder& order, const char* name) {
    const auto found = order.parameters.find(name);
    return found == order.parameters.end() ? std::string() : found->second;
}

std::string server_of(const ConnectionOrder& order) {
    for (const char* name : {"addr", "server"})
        if (std::string value = parameter(order, name); !value.empty()) return value;
    return order.node;
}

std::uint16_t port_of(const ConnectionOrder& order) {
    const auto port = parse_integer(parameter(order, "port"));
    return port && *port > 0 && *port < 65536 ? static_cast<std::uint16_t>(*port) : kDefaultPort;
}

wire::Log log(wire::Severity severity, const std::string& node, std::string text) {
    return {.severity = severity, .text = std::move(text), .node = node};
}

void move_into(RemoteConnections::Events& out, ControllerEffect effect) { out.emplace_back(std::move(effect)); }

}  // namespace

void RemoteConnections::result(const Now& now, const ConnectionOrder& order, ExecStatus status, int rc,
                               std::string_view why, Events& out) {
    out.emplace_back(ConnectionResult{.run = order.run,
                                      .node = order.node,
                                      .status = status,
                                      .rc = rc,
                                      .reason = std::string(why),
                                      .begun = order.begun.wall,
                                      .took = now.mono - order.begun.mono});
}

/// A hand-over of a connection that is not there. As a failure it would have the remote node fenced.
void RemoteConnections::refuse(const Now& now, const ConnectionOrder& order, Events& out) {
    ConnectionResult none{.run = order.run, .node = order.node, .status = ExecStatus::kNotConnected, .rc = 1};
    none.reason = "There is no connection to hand over";
    none.begun = order.begun.wall;
    none.took = now.mono - order.begun.mono;
    none.refused = true;
    out.emplace_back(std::move(none));
}

// ---- Orders ---------------------------------------------------------------------------------------------------------

RemoteConnections::Events RemoteConnections::order(const Now& now, const ConnectionOrder& order) {
    Events out;
    Connection& c = at(order.node);
    const bool up = std::holds_alternative<Up>(c.phase);
    const std::string& action = order.action;
    if (action == "start" || action == "migrate_from") {
        c.guest = order.guest;
        c.server = server_of(order);
        c.port = port_of(order);
        if (std::holds_alternative<Searching>(c.phase)) search_over(now, order.node, true, true, out, true);
        if (up) {
            c.active = true;
            c.hands_over = false;
            result(now, order, ExecStatus::kDone, 0, "", out);
            return out;
        }
        give_up_opening(now, order.node, "Another start took its place", out);
        c.phase = Opening{.order = order};
        connect(now, order.node, out);
    } else if (action == "stop") {
        stop(now, order, out);
    } else if (action == "migrate_to") {
        if (auto* searching = std::get_if<Searching>(&c.phase); searching != nullptr) {
            // A failed hand-over would have the node fenced; whoever planned it shall plan anew when more is known.
            searching->refused.push_back(order);
            return out;
        }
        c.hands_over = up;
        if (up) {
            result(now, order, ExecStatus::kDone, 0, "", out);
        } else {
            refuse(now, order, out);
        }
    } else if (action == "monitor") {
        if (auto* searching = std::get_if<Searching>(&c.phase); searching != nullptr) {
            searching->failing.insert_or_assign(order.run, order);
            return out;
        }
        if (!up) {
            result(now, order, ExecStatus::kDone, 7, "", out);
            return out;
        }
        if (order.interval.count() > 0) c.monitors.insert_or_assign(order.run, Monitor{order});
        poke(now, order.node, order, out);
    } else if (action == "cancel") {
        c.monitors.erase(order.run);
        c.poked.erase(order.run);
        if (auto* searching = std::get_if<Searching>(&c.phase); searching != nullptr)
            searching->failing.erase(order.run);
        move_into(out, no_timer(fmt::format("monitor/{}", order.run), order.node));
    } else if (action == "reload" || action == "reload-agent") {
        result(now, order, ExecStatus::kDone, 0, "", out);
    } else {
        result(now, order, ExecStatus::kNotSupported, 3, fmt::format("Connections know no action {}", action), out);
    }
    return out;
}

void RemoteConnections::connect(const Now& now, const std::string& node, Events& out) {
    Opening& opening = std::get<Opening>(at(node).phase);
    opening.waiting = false;
    opening.token = ++tokens_;
    const Duration left = opening.order.begun.mono + opening.order.timeout - now.mono;
    move_into(out, ConnectRemote{.node = node,
                                 .token = opening.token,
                                 .server = server_of(opening.order),
                                 .port = port_of(opening.order),
                                 .timeout = std::clamp(left, Duration(1), kAttemptMax)});
}

void RemoteConnections::stop(const Now& now, const ConnectionOrder& order, Events& out) {
    Connection& c = at(order.node);
    give_up_opening(now, order.node, "Stopped before the connection was made", out);
    if (std::holds_alternative<Searching>(c.phase)) search_over(now, order.node, true, true, out, true);
    if (c.hands_over && std::holds_alternative<Up>(c.phase)) {
        // The node that takes over registers in a moment; only then it is certain that nothing on the remote node has
        // to be looked for again.
        c.stopping = order;
        move_into(out, timer("stop", order.node, now.mono + order.timeout / 2));
        return;
    }
    stopped(now, order, out);
}

void RemoteConnections::stopped(const Now& now, const ConnectionOrder& order, Events& out) {
    Connection& c = at(order.node);
    const bool tell = c.active && !c.handed_over;
    for (const auto& [run, monitor] : c.monitors) move_into(out, no_timer(fmt::format("monitor/{}", run), order.node));
    if (std::holds_alternative<Up>(c.phase)) move_into(out, DisconnectRemote{order.node});
    for (const char* what : {"answer", "poke", "stop"}) move_into(out, no_timer(what, order.node));
    c = Connection{.phase = Down{}, .server = c.server, .port = c.port, .guest = c.guest};
    if (tell) out.emplace_back(RemoteDown{order.node});
    result(now, order, ExecStatus::kDone, 0, "", out);
}

/// An order to open the connection, if one is under way, ends without success.
void RemoteConnections::give_up_opening(const Now& now, const std::string& node, std::string_view why, Events& out) {
    Connection& c = at(node);
    const auto* opening = std::get_if<Opening>(&c.phase);
    if (opening == nullptr) return;
    const ConnectionOrder order = opening->order;
    if (!opening->waiting) move_into(out, DisconnectRemote{node});
    move_into(out, no_timer("try", node));
    move_into(out, no_timer("answer", node));
    c.phase = Down{};
    c.asked.clear();
    result(now, order, ExecStatus::kError, 1, why, out);
}

// ---- Opening --------------------------------------------------------------------------------------------------------

RemoteConnections::Events RemoteConnections::on_connected(const Now& now, const RemoteConnected& input) {
    Events out;
    if (const auto reaching = reaching_.find(input.node);
        reaching != reaching_.end() && reaching->second.second == input.token) {
        const bool reachable = input.fault == RemoteFault::kNone;
        if (reachable) move_into(out, DisconnectRemote{input.node});
        out.emplace_back(RemoteReached{
            .asker = reaching->second.first, .node = input.node.substr(kReachPrefix.size()), .reachable = reachable});
        reaching_.erase(reaching);
        return out;
    }
    const auto found = connections_.find(input.node);
    if (auto* searching = found == connections_.end() ? nullptr : std::get_if<Searching>(&found->second.phase);
        searching != nullptr) {
        if (searching->token != input.token) return out;
        if (input.fault == RemoteFault::kNone) {
            // A start makes it anew, and finds out what became of everything there meanwhile.
            search_over(now, input.node, true, true, out);
            return out;
        }
        searching->tried = true;
        if (searching->elsewhere) {
            search_over(now, input.node, true, false, out);
        } else {
            move_into(out, timer("try", input.node, now.mono + kTryAgain));
        }
        return out;
    }
    auto* opening = found == connections_.end() ? nullptr : std::get_if<Opening>(&found->second.phase);
    if (opening == nullptr || opening->token != input.token || opening->waiting) return out;
    switch (input.fault) {
        case RemoteFault::kNone: {
            xml::Builder command("lrmd_command");
            command.set("t", "lrmd")
                .set("lrmd_op", "register")
                .set("lrmd_clientname",
                     fmt::format("pacemaker-remote-{}:{}", server_of(opening->order), port_of(opening->order)))
                .set("lrmd_protocol_version", "1.1")
                .set("lrmd_is_ipc_provider", "true");
            request(now, input.node, {.kind = Asked::Kind::kRegister, .number = 0, .deadline = {}},
                    std::move(command).build(), out);
            return out;
        }
        case RemoteFault::kNoKey:
        case RemoteFault::kRejected: {
            const ConnectionOrder order = opening->order;
            found->second.phase = Down{};
            move_into(out, log(wire::Severity::kError, input.node,
                               fmt::format("{} cannot be connected to: {}; not trying again until its failure is "
                                           "cleaned up",
                                           input.node, input.why)));
            result(now, order, ExecStatus::kError, 2, input.why, out);
            return out;
        }
        case RemoteFault::kUnresolved:
        case RemoteFault::kUnreachable: break;
    }
    attempt_failed(now, input.node, input.why, out);
    return out;
}

void RemoteConnections::attempt_failed(const Now& now, const std::string& node, std::string_view why, Events& out) {
    Connection& c = at(node);
    Opening& opening = std::get<Opening>(c.phase);
    c.asked.clear();
    move_into(out, no_timer("answer", node));
    const Duration left = opening.order.begun.mono + opening.order.timeout - now.mono;
    if (left > kLeftForTry) {
        opening.waiting = true;
        move_into(out, timer("try", node, now.mono + kTryAgain));
        return;
    }
    const ConnectionOrder order = opening.order;
    c.phase = Down{};
    move_into(out,
              log(wire::Severity::kWarning, node,
                  fmt::format("{} cannot be connected to within {} s: {}", node, order.timeout.count() / 1000, why)));
    result(now, order, ExecStatus::kError, 1, why, out);
}

void RemoteConnections::registered(const Now& now, const std::string& node, int rc, Events& out) {
    Connection& c = at(node);
    Opening* opening = std::get_if<Opening>(&c.phase);
    if (opening == nullptr) return;
    if (rc != 0) {
        move_into(out, DisconnectRemote{node});
        if (rc == kProtocolRefused) {
            const ConnectionOrder order = opening->order;
            c.phase = Down{};
            result(now, order, ExecStatus::kError, 1, "The remote executor speaks another protocol", out);
        } else {
            attempt_failed(now, node, fmt::format("The remote executor refused us: {}", describe_legacy(rc)), out);
        }
        return;
    }
    const ConnectionOrder order = opening->order;
    c.phase = Up{opening->token};
    c.active = true;
    c.hands_over = c.handed_over = false;
    const bool taken_over = order.action == "migrate_from";
    move_into(out, log(wire::Severity::kNotice, node,
                       fmt::format("{} is connected{}", node, taken_over ? ": taken over" : "")));
    out.emplace_back(RemoteUp{.node = node, .taken_over = taken_over, .guest = order.guest});
    result(now, order, ExecStatus::kDone, 0, "", out);
}

// ---- Life -----------------------------------------------------------------------------------------------------------

void RemoteConnections::poke(const Now& now, const std::string& node, const ConnectionOrder& order, Events& out) {
    Connection& c = at(node);
    const bool asked = !c.poked.empty();
    ConnectionOrder waiting = order;
    waiting.begun = now;
    c.poked.insert_or_assign(order.run, std::move(waiting));
    Instant deadline = Instant::max();
    for (const auto& [run, one] : c.poked) deadline = std::min(deadline, one.begun.mono + one.timeout);
    move_into(out, timer("poke", node, deadline));
    if (asked) return;
    xml::Builder command("lrmd_command");
    command.set("t", "lrmd").set("lrmd_op", "lrmd_rsc_poke").set("lrmd_timeout", 0).set("lrmd_callopt", 0);
    xml::Builder data("lrmd_calldata");
    data.add(xml::Builder("lrmd_rsc").set("lrmd_origin", "controller").build());
    command.add(std::move(data));
    request(now, node, {.kind = Asked::Kind::kPoke, .number = 0, .deadline = {}}, std::move(command).build(), out);
}

void RemoteConnections::request(const Now& now, const std::string& node, Asked asked, const xml::NodePtr& message,
                                Events& out) {
    Connection& c = at(node);
    // The monitor's own timeout bounds the wait for a sign of life.
    if (asked.kind != Asked::Kind::kPoke)
        asked.deadline = now.mono + kAnswerMax;
    else
        asked.deadline = Instant::max();
    const std::uint32_t number = ++numbers_;
    c.asked.emplace(number, asked);
    xml::Builder remote(*message);
    remote.set("lrmd_remote_msg_id", number).set("lrmd_remote_msg_type", "request");
    move_into(out, ToRemote{node, std::move(remote).build()});
    watch_answers(node, out);
}

void RemoteConnections::watch_answers(const std::string& node, Events& out) {
    const Connection& c = at(node);
    Instant first = Instant::max();
    for (const auto& [number, asked] : c.asked) first = std::min(first, asked.deadline);
    if (first == Instant::max()) {
        move_into(out, no_timer("answer", node));
    } else {
        move_into(out, timer("answer", node, first));
    }
}

RemoteConnections::Events RemoteConnections::send(const Now& now, const std::string& node, std::uint32_t number,
                                                  const xml::NodePtr& message) {
    Events out;
    if (!is_up(node)) return out;
    request(now, node, {.kind = Asked::Kind::kResource, .number = number, .deadline = {}}, message, out);
    return out;
}

RemoteConnections::Events RemoteConnections::on_message(const Now& now, const RemoteMessage& input) {
    Events out;
    const auto found = connections_.find(input.node);
    if (found == connections_.end() || !input.message) return out;
    Connection& c = found->second;
    const auto* opening = std::get_if<Opening>(&c.phase);
    const auto* up = std::get_if<Up>(&c.phase);
    const std::uint32_t token = opening != nullptr ? opening->token : up != nullptr ? up->token : 0;
    if (token != input.token || token == 0) return out;
    const xml::Node& message = *input.message;
    if (message.is("lrmd_ipc_proxy")) {
        if (up != nullptr) move_into(out, ProxyMessage{input.node, c.guest, input.message});
        return out;
    }
    if (message.get("lrmd_remote_msg_type") == "reply") {
        const auto number = parse_integer(message.get("lrmd_remote_msg_id"));
        const auto asked = number && *number > 0 ? c.asked.find(static_cast<std::uint32_t>(*number)) : c.asked.end();
        if (asked == c.asked.end()) return out;  // of a forwarded session, or too late
        const Asked what = asked->second;
        c.asked.erase(asked);
        watch_answers(input.node, out);
        const int rc = static_cast<int>(parse_integer(message.get("lrmd_rc")).value_or(-1));
        switch (what.kind) {
            case Asked::Kind::kRegister: registered(now, input.node, rc, out); break;
            case Asked::Kind::kPoke: break;  // the notice that follows counts
            case Asked::Kind::kResource:
                out.emplace_back(RemoteAnswer{input.node, ExecutorReply{what.number, input.message}});
                break;
        }
        return out;
    }
    if (up == nullptr) return out;
    const std::string_view op = message.get("lrmd_op");
    if (op == "lrmd_rsc_poke") {
        move_into(out, no_timer("poke", input.node));
        for (const auto& [run, order] : std::exchange(c.poked, {})) {
            const auto monitor = c.monitors.find(run);
            if (monitor == c.monitors.end()) {
                result(now, order, ExecStatus::kDone, 0, "", out);
                continue;
            }
            if (!std::exchange(monitor->second.reported, true)) result(now, order, ExecStatus::kDone, 0, "", out);
            move_into(out, timer(fmt::format("monitor/{}", run), input.node, now.mono + order.interval));
        }
    } else if (op == "lrmd_rsc_new_client") {
        if (c.hands_over) {
            c.handed_over = true;
            move_into(out, DisconnectRemote{input.node});
            for (const char* what : {"answer", "poke"}) move_into(out, no_timer(what, input.node));
            c.phase = Down{};
            c.asked.clear();
            c.poked.clear();
            out.emplace_back(RemoteHandedOver{input.node});
            if (c.stopping) stopped(now, ConnectionOrder(*c.stopping), out);
        } else {
            // Whoever that is has the right to it (it knows the key), and two masters must not be.
            move_into(out, DisconnectRemote{input.node});
            lost(now, input.node, fmt::format("{} was taken over by {}", input.node, message.get("lrmd_clientname")),
                 out);
        }
    } else {
        out.emplace_back(RemoteNotice{input.node, input.message});
    }
    return out;
}

RemoteConnections::Events RemoteConnections::on_lost(const Now& now, const RemoteLost& input) {
    Events out;
    const auto found = connections_.find(input.node);
    if (found == connections_.end()) return out;
    if (const auto* opening = std::get_if<Opening>(&found->second.phase)) {
        if (opening->token == input.token && !opening->waiting) attempt_failed(now, input.node, input.why, out);
    } else if (const auto* up = std::get_if<Up>(&found->second.phase); up != nullptr && up->token == input.token) {
        lost(now, input.node, input.why, out);
    }
    return out;
}

/// The connection is over without our asking; what it was used for ends with it.
void RemoteConnections::lost(const Now& now, const std::string& node, std::string_view why, Events& out,
                             bool searchable, bool told) {
    Connection& c = at(node);
    c.phase = Down{};
    c.asked.clear();
    for (const char* what : {"answer", "poke"}) move_into(out, no_timer(what, node));
    const bool search_for_it = searchable && !c.guest && !c.stopping;
    move_into(out, log(wire::Severity::kWarning, node,
                       fmt::format("the connection to {} is lost: {}{}", node, why,
                                   search_for_it ? "; looking for a node that can reach it" : "")));
    out.emplace_back(RemoteGone{node});
    std::map<std::uint32_t, ConnectionOrder> failing = std::exchange(c.poked, {});
    for (auto& [run, monitor] : std::exchange(c.monitors, {})) {
        move_into(out, no_timer(fmt::format("monitor/{}", run), node));
        monitor.order.begun = now;
        failing.insert_or_assign(run, std::move(monitor.order));
    }
    if (search_for_it) {
        c.phase = Searching{.failing = std::move(failing)};
        move_into(out, timer("search", node, now.mono + kSearchMax));
        out.emplace_back(RemoteSearch{.node = node, .server = c.server, .port = c.port});
        search(now, node, out);
        return;
    }
    if (!failing.empty() || !told) fail_monitors(now, node, failing, out);
    if (c.stopping) stopped(now, ConnectionOrder(*c.stopping), out);
}

void RemoteConnections::fail_monitors(const Now& now, const std::string& node,
                                      const std::map<std::uint32_t, ConnectionOrder>& failing, Events& out) {
    for (const auto& [run, order] : failing)
        result(now, order, ExecStatus::kNotConnected, 1, "Lost connection to remote executor", out);
    if (!failing.empty()) return;
    ConnectionOrder unwatched;
    unwatched.node = node;
    unwatched.begun = now;
    result(now, unwatched, ExecStatus::kNotConnected, 1, "Lost connection to remote executor", out);
}

void RemoteConnections::search(const Now& now, const std::string& node, Events& out) {
    (void)now;
    Connection& c = at(node);
    Searching& searching = std::get<Searching>(c.phase);
    searching.token = ++tokens_;
    move_into(out,
              ConnectRemote{
                  .node = node, .token = searching.token, .server = c.server, .port = c.port, .timeout = kReachMax});
}

void RemoteConnections::search_over(const Now& now, const std::string& node, bool found, bool here, Events& out,
                                    bool ordered) {
    Connection& c = at(node);
    const auto failing = std::get<Searching>(c.phase).failing;
    const auto refused = std::get<Searching>(c.phase).refused;
    c.phase = Down{};
    move_into(out, DisconnectRemote{node});
    for (const char* what : {"try", "search"}) move_into(out, no_timer(what, node));
    if (!found) {
        out.emplace_back(RemoteSearched{.node = node});
        fail_monitors(now, node, failing, out);
        for (const ConnectionOrder& order : refused) refuse(now, order, out);
        return;
    }
    // The end of a search is the end of monitors that recur, and what a probe finds is: nothing here.
    for (const auto& [run, order] : failing)
        if (order.interval.count() == 0) result(now, order, ExecStatus::kDone, 7, "", out);
    out.emplace_back(RemoteSearched{.node = node, .found = true, .here = here, .ordered = ordered});
    ConnectionOrder gone;
    gone.node = node;
    gone.begun = now;
    result(now, gone, ExecStatus::kDone, 7, "", out);
    // Whoever ordered these plans anew, and then knows that.
    for (const ConnectionOrder& order : refused) refuse(now, order, out);
}

RemoteConnections::Events RemoteConnections::reach(const std::string& asker, const std::string& node,
                                                   const std::string& server, std::uint16_t port) {
    Events out;
    if (is_up(node)) return out;
    const std::string name = std::string(kReachPrefix) + node;
    reaching_.insert_or_assign(name, std::pair(asker, ++tokens_));
    move_into(out, ConnectRemote{.node = name, .token = tokens_, .server = server, .port = port, .timeout = kReachMax});
    return out;
}

RemoteConnections::Events RemoteConnections::on_reachable(const Now& now, const std::string& node) {
    Events out;
    const auto found = connections_.find(node);
    auto* searching = found == connections_.end() ? nullptr : std::get_if<Searching>(&found->second.phase);
    if (searching == nullptr) return out;
    searching->elsewhere = true;
    if (searching->tried) search_over(now, node, true, false, out);
    return out;
}

RemoteConnections::Events RemoteConnections::on_timer(const Now& now, std::string_view name) {
    Events out;
    name.remove_prefix(std::min(name.size(), kConnectionTimers.size()));
    const auto slash = name.rfind('/');
    if (slash == std::string_view::npos) return out;
    std::string_view what = name.substr(0, slash);
    const std::string node(name.substr(slash + 1));
    const auto found = connections_.find(node);
    if (found == connections_.end()) return out;
    Connection& c = found->second;
    constexpr std::string_view kMonitor = "monitor/";
    if (what == "try") {
        const auto* opening = std::get_if<Opening>(&c.phase);
        if (opening != nullptr && opening->waiting) connect(now, node, out);
        if (std::holds_alternative<Searching>(c.phase)) search(now, node, out);
    } else if (what == "search") {
        if (std::holds_alternative<Searching>(c.phase)) search_over(now, node, false, false, out);
    } else if (what.starts_with(kMonitor)) {
        const auto run = parse_integer(what.substr(kMonitor.size()));
        const auto monitor = run ? c.monitors.find(static_cast<std::uint32_t>(*run)) : c.monitors.end();
        if (monitor != c.monitors.end() && std::holds_alternative<Up>(c.phase))
            poke(now, node, ConnectionOrder(monitor->second.order), out);
    } else if (what == "poke" || what == "answer") {
        const bool overdue =
            what == "poke"
                ? std::ranges::any_of(c.poked,
                                      [&](const auto& p) { return p.second.begun.mono + p.second.timeout <= now.mono; })
                : std::ranges::any_of(c.asked, [&](const auto& a) { return a.second.deadline <= now.mono; });
        if (!overdue) return out;
        move_into(out, DisconnectRemote{node});
        if (std::holds_alternative<Opening>(c.phase)) {
            attempt_failed(now, node, "The remote executor did not answer", out);
            return out;
        }
        bool told = false;
        if (c.guest) {
            // The ones that asked for it get their own reason; every other monitor fails with the connection.
            for (const auto& [run, order] : std::exchange(c.poked, {})) {
                told = true;
                result(now, order, ExecStatus::kError, 1, "Remote executor did not respond", out);
                if (c.monitors.erase(run) != 0) move_into(out, no_timer(fmt::format("monitor/{}", run), node));
            }
        }
        lost(now, node, "the remote executor does not answer", out, true, told);
    } else if (what == "stop") {
        if (c.stopping) {
            // Nobody took it over; the end of this connection is the end of the node's membership.
            c.hands_over = false;
            stopped(now, ConnectionOrder(*c.stopping), out);
        }
    }
    return out;
}

RemoteConnections::Events RemoteConnections::fail(const Now& now, const std::string& node, std::string_view why) {
    Events out;
    if (is_searched(node)) search_over(now, node, false, false, out);
    if (!is_up(node)) return out;
    move_into(out, DisconnectRemote{node});
    lost(now, node, why, out, false);
    return out;
}

RemoteConnections::Events RemoteConnections::close_all() {
    Events out;
    for (auto& [node, c] : connections_) {
        if (!std::holds_alternative<Down>(c.phase)) move_into(out, DisconnectRemote{node});
        c.phase = Down{};
        c.asked.clear();
    }
    return out;
}

bool RemoteConnections::is_up(std::string_view node) const {
    const auto found = connections_.find(node);
    return found != connections_.end() && std::holds_alternative<Up>(found->second.phase);
}

bool RemoteConnections::is_searched(std::string_view node) const {
    const auto found = connections_.find(node);
    return found != connections_.end() && std::holds_alternative<Searching>(found->second.phase);
}

std::vector<std::string> RemoteConnections::up() const {
    std::vector<std::string> names;
    for (const auto& [node, c] : connections_)
        if (std::holds_alternative<Up>(c.phase)) names.push_back(node);
    return names;
}

std::vector<std::string> RemoteConnections::check_state() const {
    std::vector<std::string> broken;
    for (const auto& [node, c] : connections_) {
        const bool down = std::holds_alternative<Down>(c.phase);
        if (down && !c.asked.empty()) broken.push_back(fmt::format("{} is asked without a connection", node));
        if (!std::holds_alternative<Up>(c.phase) && (!c.poked.empty() || !c.monitors.empty()))
            broken.push_back(fmt::format("{} is watched without a connection", node));
        if (down && c.stopping) broken.push_back(fmt::format("the stop of {} waits for nothing", node));
    }
    return broken;
}

}  // namespace systole::controller
