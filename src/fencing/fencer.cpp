#include "fencing/fencer.h"

#include <fmt/format.h>

#include "fencing/local_actions.h"
#include "fencing/operations.h"

namespace systole::fencing {
namespace {

/// After a member joined, its history and ours are made equal once no other has come for so long.
constexpr Duration kQuietBeforeSync{5000};

std::string_view option_of(const xml::Node& section, std::string_view name) {
    for (const auto& set : section.children()) {
        for (const auto& pair : set->children()) {
            if (pair->is("nvpair") && pair->get("name") == name) return pair->get("value");
        }
    }
    return {};
}

}  // namespace

struct Fencer::State {
    explicit State(FencerConfig config)
        : c(std::move(config)),
          clients(c),
          agents(c),
          runner(c),
          searches(c, runner, agents),
          local(c, clients, runner, searches),
          operations(c, clients, topology,
                     [this](std::string_view node, std::string_view name, std::string_view value) {
                         return has_attribute(node, name, value);
                     }) {
        c.peers.learn(c.config.self);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    /// Handles one input and everything that follows from it at once.
    template <class Handle>
    Effects on(const Now& now, Handle handle) {
        c.now = now;
        c.effects.clear();
        handle();
        settle();
        return std::exchange(c.effects, {});
    }
    void settle();

    void on_request(const wire::Client& client, const wire::ClientRequest& request);
    void on_level(const xml::Node& message, bool add, const Asker& asker);
    void on_device(const xml::Node& message, bool add, const wire::Client& client, const Asker& asker);
    void on_peer(const wire::PeerMessage& input);
    void add_device(const DeviceDescription& what, Registration by);
    void remove_device(const std::string& id, Registration by);
    void read_cib(const xml::NodePtr& cib);
    void read_watchdog(const xml::Node* options, std::vector<DeviceDescription>& devices);
    bool has_attribute(std::string_view node, std::string_view name, std::string_view value) const;
    void notify_configuration(std::string_view type, std::string_view what, const Outcome& outcome);

    /// The reply to a registration waits until the agent told its metadata: then the device can be used.
    struct Registering {
        std::string agent, device;
        Asker asker;
        xml::NodePtr request;
    };

    Context c;
    Clients clients;
    Agents agents;
    Runner runner;
    Searches searches;
    LocalActions local;
    Topology topology;
    Operations operations;
    std::vector<Registering> registering;
    xml::NodePtr cib;
    std::map<std::string, DeviceDescription, std::less<>> from_cib;
};

void Fencer::State::settle() {
    for (bool busy = true; busy;) {
        busy = false;
        for (const auto& agent : agents.take_settled()) {
            busy = true;
            searches.on_agent_settled(agent);
            for (auto it = registering.begin(); it != registering.end();) {
                if (it->agent != agent) {
                    ++it;
                    continue;
                }
                const Registering done_now = std::move(*it);
                it = registering.erase(it);
                notify_configuration("st_device_register", done_now.device, done());
                clients.answer(done_now.asker, make_reply(done_now.request.get(), done()));
            }
        }
        for (const auto& finished : runner.take_finished()) {
            busy = true;
            if (!searches.on_job_finished(finished)) local.on_job_finished(finished);
        }
        for (const auto& found : searches.take_found()) {
            busy = true;
            local.on_found(found);
        }
        for (const auto& operation : operations.take_ended()) {
            busy = true;
            local.cancel_operation(operation);
        }
    }
}

// ---- Clients --------------------------------------------------------------------------------------------------------

void Fencer::State::on_request(const wire::Client& client, const wire::ClientRequest& request) {
    const bool due = (request.flags & wire::kExpectsResponse) != 0 && (request.flags & wire::kProxied) == 0;
    const Asker asker{client.id, request.id, due};
    if (!request.message) {
        if (!due) return;
        xml::Builder nack("nack");
        nack.set("function", "fencer").set("line", 0).set("status", static_cast<int>(ExitCode::kProtocol));
        clients.answer(asker, std::move(nack).build());
        return;
    }
    clients.name(client.id, request.message->get("st_clientname"));
    // Replies and peers name the client as we know it, whatever it calls itself.
    xml::Builder edited(*request.message);
    edited.set("st_clientid", client.uuid).set("st_clientname", clients.name_of(client.id));
    edited.set("st_clientnode", c.self());
    const xml::NodePtr shared = std::move(edited).build();
    const xml::Node& message = *shared;
    const std::string operation(message.get("st_op"));

    if (operation == "register") {
        xml::Builder reply("reply");
        reply.set("st_op", "register").set("st_clientid", client.uuid);
        clients.answer(asker, std::move(reply).build());
    } else if (operation == "st_notify") {
        if (const auto type = message.get("st_notify_activate"); !type.empty())
            clients.subscribe(client.id, type, true);
        if (const auto type = message.get("st_notify_deactivate"); !type.empty())
            clients.subscribe(client.id, type, false);
        if (due) {
            xml::Builder ack("ack");
            ack.set("function", "fencer").set("line", 0).set("status", 0);
            clients.answer(asker, std::move(ack).build());
        }
    } else if (operation == "st_query") {
        local.query(message, {}, asker);
    } else if (operation == "st_execute") {
        local.execute(message, asker);
    } else if (operation == "st_fence") {
        operations.request(message, client, asker);
    } else if (operation == "st_fence_history") {
        operations.on_history_request(message, asker);
    } else if (operation == "st_device_register" || operation == "st_device_remove") {
        on_device(message, operation == "st_device_register", client, asker);
    } else if (operation == "st_level_add" || operation == "st_level_remove") {
        if (client.privileged) {
            on_level(message, operation == "st_level_add", asker);
        } else {
            clients.answer(asker, make_reply(&message, refused(ExitCode::kInsufficientPrivileges,
                                                               operation == "st_level_add"
                                                                   ? "Unprivileged users must add level via CIB"
                                                                   : "Unprivileged users must delete level via CIB")));
        }
    } else if (operation == "rm_node_cache") {
        // Nodes are known from the group and the CIB alone: there is nothing to forget.
        if (due) clients.answer(asker, make_reply(&message, done()));
    } else {
        c.log(wire::Severity::kWarning,
              fmt::format("{} sent a request of unknown type '{}': refused", clients.name_of(client.id), operation));
        clients.answer(asker,
                       make_reply(&message, refused(ExitCode::kProtocol,
                                                    fmt::format("Unknown request type '{}' (bug?)", operation))));
    }
}

void Fencer::State::notify_configuration(std::string_view type, std::string_view what, const Outcome& outcome) {
    xml::Builder data(type);
    data.set("st_device_id", what);
    clients.notify(type, outcome, std::move(data).build());
}

void Fencer::State::on_device(const xml::Node& message, bool add, const wire::Client& client, const Asker& asker) {
    const char* type = add ? "st_device_register" : "st_device_remove";
    const auto* element = find_element(message, "st_device_id");
    const std::string id(element == nullptr ? std::string_view{} : element->id());
    const auto answer = [&](const Outcome& outcome) {
        notify_configuration(type, id, outcome);
        clients.answer(asker, make_reply(&message, outcome));
    };
    if (!client.privileged) {
        return answer(
            refused(ExitCode::kInsufficientPrivileges, add ? "Unprivileged users must register device via CIB"
                                                           : "Unprivileged users must delete device via CIB"));
    }
    if (element == nullptr) return answer(refused(ExitCode::kProtocol, "Request names no fence device"));
    if (!add) {
        remove_device(id, Registration::kApi);
        return answer(done());
    }
    const auto what = device_from_request(*element);
    if (!what) return answer(refused(ExitCode::kInvalidParameter, what.error().what));
    const bool watchdog = what->id == kWatchdogDevice || what->agent == kWatchdogAgent;
    if (watchdog && (c.watchdog_timeout <= Duration{0} || what->id != kWatchdogDevice ||
                     (what->agent != kWatchdogAgent && what->agent != kWatchdogAgentInternal))) {
        return answer(failed(ExecStatus::kNoFenceDevice, c.watchdog_timeout <= Duration{0}
                                                             ? "Watchdog fencing is not configured"
                                                             : "The watchdog device is named 'watchdog' and uses "
                                                               "fence_watchdog"));
    }
    add_device(*what, Registration::kApi);
    if (agents.unknown_yet(what->agent)) {
        registering.push_back({what->agent, id, asker, message.share()});
        return;
    }
    answer(done());
}

void Fencer::State::on_level(const xml::Node& message, bool add, const Asker& asker) {
    const auto* level = find_element(message, "fencing-level");
    if (level == nullptr) {
        clients.answer(asker, make_reply(&message, refused(ExitCode::kProtocol, "Request names no fencing level")));
        return;
    }
    const auto result = add ? topology.add(*level, false) : topology.remove(*level);
    const Outcome outcome = result ? done() : refused(ExitCode::kInvalidParameter, result.error().what);
    notify_configuration(add ? "st_level_add" : "st_level_remove", level_label(*level), outcome);
    clients.answer(asker, make_reply(&message, outcome));
}

void Fencer::State::add_device(const DeviceDescription& what, Registration by) {
    if (c.devices.add(what, by)) {
        c.log(wire::Severity::kNotice, fmt::format("fence device {} ({}) can be used here", what.id, what.agent), {},
              what.id);
    }
    agents.need(what.agent);
}

void Fencer::State::remove_device(const std::string& id, Registration by) {
    if (!c.devices.remove(id, by)) return;
    c.log(wire::Severity::kNotice, fmt::format("fence device {} can't be used here any more", id), {}, id);
    runner.on_device_removed(id);
}

// ---- Peers ----------------------------------------------------------------------------------------------------------

void Fencer::State::on_peer(const wire::PeerMessage& input) {
    if (!input.message) return;
    c.peers.learn(input.from);
    const xml::Node& message = *input.message;
    const auto& peer = input.from.name;
    const auto operation = message.get("st_op");
    if (message.is("st-reply") || find_element(message, "st-reply") != nullptr) {
        if (operation == "st_query") {
            operations.on_query_reply(message, peer);
        } else if (operation == "st_notify" || operation == "st_fence") {
            operations.on_result(message, peer);
        } else if (operation != "st_fence_history" && operation != "st_relay") {
            c.log(wire::Severity::kWarning, fmt::format("{} sent a reply of unknown type '{}'", peer, operation));
        }
    } else if (operation == "st_query") {
        const auto* device = find_with_attribute(message, "st_device_id");
        operations.on_query(message, peer);
        if (device == nullptr || device->get("st_device_id") != "manual_ack") local.query(message, peer, std::nullopt);
    } else if (operation == "st_fence") {
        local.fence(message, peer);
    } else if (operation == "st_relay") {
        operations.on_relay(message, peer);
    } else if (operation == "st_timeout_update") {
        operations.on_timeout_update(message);
    } else if (operation == "st_fence_history") {
        operations.on_history_message(message, peer);
    } else if (operation != "poke" && operation != "rm_node_cache") {
        c.log(wire::Severity::kWarning, fmt::format("{} sent a request of unknown type '{}'", peer, operation));
    }
}

// ---- Configuration --------------------------------------------------------------------------------------------------

bool Fencer::State::has_attribute(std::string_view node, std::string_view name, std::string_view value) const {
    const auto* configuration = cib ? cib->child("configuration") : nullptr;
    const auto* nodes = configuration == nullptr ? nullptr : configuration->child("nodes");
    if (nodes == nullptr) return false;
    for (const auto& element : nodes->children()) {
        if (!same_ignoring_case(element->get("uname"), node)) continue;
        for (const auto& set : element->children()) {
            if (!set->is("instance_attributes")) continue;
            for (const auto& pair : set->children()) {
                if (pair->get("name") == name) return pair->get("value") == value;
            }
        }
    }
    return false;
}

void Fencer::State::read_watchdog(const xml::Node* options, std::vector<DeviceDescription>& devices) {
    Duration timeout{0};
    if (options != nullptr && c.config.have_watchdog) {
        std::string_view text = option_of(*options, "fencing-watchdog-timeout");
        if (text.empty()) text = option_of(*options, "stonith-watchdog-timeout");
        if (trim(text).starts_with('-')) {
            timeout = c.config.watchdog_timeout * 2;
        } else if (!text.empty()) {
            timeout = parse_interval(text).value_or(Duration{0});
        }
    }
    c.watchdog_timeout = timeout;
    c.watchdog_targets.clear();
    const auto configured = std::ranges::find_if(
        devices, [](const DeviceDescription& d) { return d.id == kWatchdogDevice || d.agent == kWatchdogAgent; });
    DeviceDescription own{std::string(kWatchdogDevice), std::string(kWatchdogAgentInternal), {}, false};
    if (configured != devices.end()) {
        if (configured->id == kWatchdogDevice && configured->agent == kWatchdogAgent) {
            if (const auto list = configured->parameters.find("pcmk_host_list"); list != configured->parameters.end())
                c.watchdog_targets = parse_host_list(list->second);
            own.agent = kWatchdogAgent;
            own.parameters = configured->parameters;
        } else {
            c.log(wire::Severity::kError,
                  fmt::format("fence device {} ({}) is ignored: a watchdog device is named 'watchdog' and uses "
                              "fence_watchdog",
                              configured->id, configured->agent),
                  {}, configured->id);
        }
        devices.erase(configured);
    }
    if (timeout <= Duration{0} || !c.fences_by_watchdog(c.self())) return;
    // Everybody has one for himself: a node resets only itself by watchdog.
    own.parameters.insert_or_assign("pcmk_host_list", c.self());
    own.parameters.erase("pcmk_host_map");
    own.parameters.insert_or_assign("pcmk_host_check", "static-list");
    devices.push_back(std::move(own));
}

void Fencer::State::read_cib(const xml::NodePtr& changed) {
    const auto section = [](const xml::NodePtr& whole, std::string_view name) {
        const auto* configuration = whole ? whole->child("configuration") : nullptr;
        return configuration == nullptr ? xml::NodePtr{} : configuration->child_ptr(name);
    };
    const bool first = !cib;
    const auto differs = [&](std::string_view name) { return first || section(cib, name) != section(changed, name); };
    const bool devices_differ = differs("resources") || differs("constraints") || differs("crm_config");
    const bool levels_differ = differs("fencing-topology");
    cib = changed;
    if (const auto nodes = section(cib, "nodes")) {
        for (const auto& node : nodes->children()) {
            const auto id = parse_integer(node->id());
            if (id && *id > 0 && *id <= 0xffffffffLL)
                c.peers.learn({NodeId{static_cast<std::uint32_t>(*id)}, std::string(node->get("uname"))});
        }
    }
    if (levels_differ) {
        topology.drop_those_from_cib();
        if (const auto levels = section(cib, "fencing-topology")) {
            for (const auto& level : levels->children()) {
                if (!level->is("fencing-level")) continue;
                if (const auto added = topology.add(*level, true); !added)
                    c.log(wire::Severity::kError, fmt::format("{}: ignored", added.error().what));
            }
        }
    }
    if (!devices_differ) return;
    std::vector<DeviceDescription> devices = devices_from_cib(*cib, c.self(), c.config.allowed_on);
    const auto options = section(cib, "crm_config");
    read_watchdog(options.get(), devices);
    std::map<std::string, DeviceDescription, std::less<>> wanted;
    for (auto& device : devices) wanted.emplace(device.id, device);
    for (const auto& [id, device] : std::exchange(from_cib, {})) {
        if (!wanted.contains(id)) remove_device(id, Registration::kCib);
    }
    for (const auto& [id, device] : wanted) add_device(device, Registration::kCib);
    from_cib = std::move(wanted);
}

// ---- Fencer ---------------------------------------------------------------------------------------------------------

Fencer::Fencer(FencerConfig config) : state_(std::make_unique<State>(std::move(config))) {}
Fencer::~Fencer() = default;
Fencer::Fencer(Fencer&&) noexcept = default;
Fencer& Fencer::operator=(Fencer&&) noexcept = default;

Effects Fencer::on_client_connected(const Now& now, const wire::Client& client) {
    return state_->on(now, [&] { state_->clients.connect(client); });
}

Effects Fencer::on_client_request(const Now& now, const wire::ClientRequest& request) {
    return state_->on(now, [&] {
        if (const auto* client = state_->clients.find(request.client)) {
            state_->on_request(wire::Client(*client), request);
        } else {
            state_->c.log(wire::Severity::kWarning,
                          fmt::format("request of a client that never connected ({}): ignored", request.client.value));
        }
    });
}

Effects Fencer::on_client_closed(const Now& now, wire::ClientId client) {
    return state_->on(now, [&] {
        state_->operations.on_client_closed(client);
        state_->clients.close(client);
    });
}

Effects Fencer::on_local_request(const Now& now, std::uint32_t token, const FenceRequest& request) {
    return state_->on(now, [&] { state_->operations.request(token, request); });
}

Effects Fencer::on_peer_message(const Now& now, const wire::PeerMessage& message) {
    return state_->on(now, [&] { state_->on_peer(message); });
}

Effects Fencer::on_group_change(const Now& now, const wire::GroupChange& change) {
    return state_->on(now, [&] {
        auto& c = state_->c;
        c.peers.set_members(change.members);
        if (!change.left.empty()) state_->operations.on_peers_left();
        const bool others_came =
            std::ranges::any_of(change.joined, [&](const wire::GroupMember& m) { return m.node != c.config.self.id; });
        const bool we_came =
            std::ranges::any_of(change.joined, [&](const wire::GroupMember& m) { return m.node == c.config.self.id; });
        // Whoever joins learns our name from this, and the history once nobody comes any more.
        if (others_came || we_came) c.send({}, make_command("poke").build());
        if (others_came || (we_came && change.members.size() > 1)) c.arm("history-sync", kQuietBeforeSync);
    });
}

Effects Fencer::on_quorum(const Now& now, const wire::QuorumView& view) {
    return state_->on(now, [&] {
        const bool lost = state_->c.quorate && !view.quorate;
        state_->c.quorate = view.quorate;
        if (lost) state_->operations.on_quorum_lost();
    });
}

Effects Fencer::on_node_identified(const Now& now, const wire::NodeRef& node) {
    return state_->on(now, [&] { state_->c.peers.learn(node); });
}

Effects Fencer::on_timer(const Now& now, std::string_view name) {
    return state_->on(now, [&] {
        if (!name.starts_with(kTimerPrefix)) return;
        name.remove_prefix(kTimerPrefix.size());
        if (name == "history-sync") {
            state_->operations.broadcast_history();
        } else if (name.starts_with("job/")) {
            state_->runner.on_timer(name.substr(4));
        } else if (name.starts_with("op/")) {
            state_->operations.on_timer(name.substr(3));
        } else if (name.starts_with("agent/")) {
            state_->agents.on_timer(name.substr(6));
        }
    });
}

Effects Fencer::on_agent_done(const Now& now, std::uint32_t token, ExecStatus status, int exit_code,
                              std::string_view output, std::string_view error) {
    return state_->on(now, [&] { state_->runner.on_agent_done(token, status, exit_code, output, error); });
}

Effects Fencer::on_metadata(const Now& now, std::uint32_t token, std::string_view xml, std::string_view fault) {
    return state_->on(now, [&] { state_->agents.on_metadata(token, xml, fault); });
}

Effects Fencer::on_cib_change(const Now& now, xml::NodePtr cib) {
    return state_->on(now, [&] {
        if (cib) state_->read_cib(cib);
    });
}

std::vector<HistoryEntry> Fencer::history() const { return state_->operations.entries(); }

std::vector<std::string> Fencer::devices() const {
    std::vector<std::string> ids;
    for (const auto& [id, device] : state_->c.devices.all()) ids.push_back(id);
    return ids;
}

std::vector<std::string> Fencer::check_state() const {
    std::vector<std::string> broken = state_->operations.check_state();
    for (auto& line : state_->runner.check_state()) broken.push_back(std::move(line));
    return broken;
}

}  // namespace systole::fencing
