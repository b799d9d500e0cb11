#include "cib/manager.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/exit_code.h"
#include "base/text.h"
#include "cib/patchset.h"
#include "cib/rc.h"
#include "cib/versions.h"
#include "wire/message.h"
#include "xml/write.h"

namespace systole::cib {
namespace {

using wire::Severity;
using xml::Builder;
using xml::NodePtr;

constexpr const char* kPingTimer = "cib/ping";
constexpr const char* kWriteTimer = "cib/write";
constexpr const char* kShutdownTimer = "cib/shutdown";
constexpr std::array kNotifications{"cib_diff_notify", "cib_refresh_notify", "cib_pre_notify", "cib_post_notify",
                                    "cib_update_confirmation"};

void log(Effects& out, Severity severity, std::string text) {
    out.emplace_back(wire::Log{.severity = severity, .text = std::move(text)});
}

std::string utc_text(WallTime time) {
    return fmt::format("{:%a %b %e %H:%M:%S %Y}", fmt::gmtime(static_cast<std::time_t>(time.seconds)));
}

void multicast(Effects& out, std::string to, NodePtr message) {
    out.emplace_back(wire::Multicast{.group = wire::Group::kCib, .to = std::move(to), .message = std::move(message)});
}

xml::Escaping escaping_for(std::string_view feature_set) {
    return has_legacy_escaping(feature_set) ? xml::Escaping::kLegacy : xml::Escaping::kCurrent;
}

/// "cib_modify from crm_attribute (call 5)", for the log.
std::string title(const Request& request) {
    return fmt::format("{} from {}{}{} (call {})", request.op_text.empty() ? "request" : request.op_text,
                       request.origin, request.origin.empty() ? "" : "/", request.client_name, request.call_id);
}

bool is_written_always(Op op) { return op == Op::kReplace || op == Op::kUpgrade || op == Op::kCommitTransaction; }

/// The reply, addressed to the node where the requester waits.
NodePtr peer_reply(const Request& request, int rc, const NodePtr& output, std::string_view to) {
    Builder b(*make_reply(request, rc, output));
    b.set("cib_isreplyto", to);
    return std::move(b).build();
}

}  // namespace

Manager::Manager(ManagerConfig config) : config_(std::move(config)) {
    if (!config_.time_text) config_.time_text = utc_text;
    cib_ = empty_cib(config_.schemas == nullptr ? "" : config_.schemas->newest(), config_.feature_set);
}

World Manager::world(const Now& now) const {
    World w;
    w.schemas = config_.schemas;
    w.feature_set = config_.feature_set;
    w.modification_time = config_.time_text(now.wall);
    w.groups_of = config_.groups_of;
    return w;
}

// ---- What comes from the outside ------------------------------------------------------------------------------------

Effects Manager::on_loaded(const Now&, NodePtr cib, const std::string& fault) {
    Effects out;
    fault_ = fault;
    if (cib && cib->is("cib"))
        cib_ = std::move(cib);
    else if (cib && fault_.empty())
        fault_ = fmt::format("its root is <{}>", cib->name());
    fault_rc_ = fault_.empty() ? rc::kOk : rc::kCorrupt;
    if (fault_.empty() && config_.schemas != nullptr) {
        if (const auto valid = config_.schemas->validate(*cib_); !valid) {
            fault_ = valid.error().what;
            fault_rc_ = rc::kSchemaViolated;
        }
    }
    if (!fault_.empty())
        log(out, Severity::kError,
            fmt::format("The stored CIB can't be used, requests are refused until a peer or an administrator brings a "
                        "sound one: {}",
                        fault_));
    else
        log(out, Severity::kInfo, fmt::format("CIB version {} loaded", to_string(version_of(*cib_))));
    return out;
}

Effects Manager::on_client_connected(const wire::Client& client) {
    clients_[client.id] = ClientState{.client = client};
    return {};
}

Effects Manager::on_client_closed(wire::ClientId client) {
    clients_.erase(client);
    std::erase_if(waiting_, [&](const auto& w) { return w.second.local.empty() && w.second.client == client; });
    return {};
}

Effects Manager::on_client_request(const Now& now, const wire::ClientRequest& ipc) {
    Effects out;
    const auto found = clients_.find(ipc.client);
    if (found == clients_.end()) return out;
    ClientState& client = found->second;
    if ((ipc.flags & wire::kProxied) != 0) client.proxied = true;
    const bool due = (ipc.flags & wire::kExpectsResponse) != 0;
    const auto respond = [&](NodePtr message) {
        if (!due) return;
        if (client.proxied)
            out.emplace_back(wire::SendEvent{ipc.client, std::move(message)});
        else
            out.emplace_back(wire::Respond{ipc.client, ipc.id, std::move(message)});
    };
    if (!ipc.message) {
        respond(wire::make_ack("cib", static_cast<int>(ExitCode::kProtocol)));
        return out;
    }
    if (client.name.empty()) {
        client.name = ipc.message->get("cib_clientname");
        if (client.name.empty()) client.name = std::to_string(client.client.pid);
    }
    const std::string_view op = ipc.message->get("cib_op");
    if (op == "register") {
        respond(
            std::move(Builder("cib_result").set("cib_op", "register").set("cib_clientid", client.client.uuid)).build());
        return out;
    }
    if (op == "cib_notify") {
        subscribe(client, ipc, out);
        return out;
    }
    // What only servers say to each other isn't taken from a client.
    Builder b(*ipc.message);
    for (const char* name : {"src", "cib_delegated_from", "cib_isreplyto", "cib_update", "cib_schema_max",
                             "cib_upgrade_rc", "cib_async_id"})
        b.unset(name);
    b.set("src", config_.node).set("cib_clientid", client.client.uuid).set("cib_clientname", client.name);
    const bool may_speak_for_others = client.client.user == "root" || client.client.user == "hacluster";
    if (!may_speak_for_others || b.get("cib_user").empty()) b.set("cib_user", client.client.user);
    const Request request = read_request(std::move(b).build());
    Waiting waiting{.client = ipc.client,
                    .ipc_request = ipc.id,
                    .response = due && !client.proxied,
                    .wanted = !request.has(option::kDiscardReply)};
    accept(now, request, std::move(waiting), client.client.service != wire::Service::kCibRo, out);
    return out;
}

Effects Manager::on_local_request(const Now& now, const LocalClient& client, std::uint64_t token,
                                  const NodePtr& message) {
    Effects out;
    Builder b(*message);
    b.set("src", config_.node).set("cib_clientname", client.name);
    b.set("cib_clientid", fmt::format("{}-{}", config_.node, client.name));
    if (!b.has("cib_user")) b.set("cib_user", client.user);
    b.set("cib_callid", static_cast<long long>(++local_calls_));
    accept(now, read_request(std::move(b).build()), Waiting{.local = client.name, .token = token}, true, out);
    return out;
}

void Manager::subscribe(ClientState& client, const wire::ClientRequest& ipc, Effects& out) {
    const std::string type(ipc.message->get("cib_notify_type"));
    const bool known = std::ranges::find(kNotifications, type) != kNotifications.end();
    if (known && parse_bool(ipc.message->get("cib_notify_activate")).value_or(false))
        client.subscriptions.insert(type);
    else if (known)
        client.subscriptions.erase(type);
    if ((ipc.flags & wire::kExpectsResponse) == 0) return;
    NodePtr ack = wire::make_ack("cib", static_cast<int>(known ? ExitCode::kOk : ExitCode::kInvalidParameter));
    if (client.proxied)
        out.emplace_back(wire::SendEvent{ipc.client, std::move(ack)});
    else
        out.emplace_back(wire::Respond{ipc.client, ipc.id, std::move(ack)});
}

Effects Manager::on_group_change(const Now&, const wire::GroupChange& change) {
    Effects out;
    if (change.group != wire::Group::kCib) return out;
    peers_.clear();
    for (const wire::GroupMember& m : change.members) peers_.insert(m.node);
    for (const wire::GroupMember& gone : change.left) {
        const auto name = names_.find(gone.node);
        if (name == names_.end() || peers_.contains(gone.node)) continue;
        // Who waits for its answer waits in vain.
        for (auto w = waiting_.begin(); w != waiting_.end();) {
            if (w->second.host != name->second) {
                ++w;
                continue;
            }
            Request request;
            request.client_id = w->first.first;
            request.call_id = w->first.second;
            answer(w->second, make_reply(request, rc::kNotConnected, {}), out);
            w = waiting_.erase(w);
        }
        names_.erase(name);
    }
    return out;
}

Effects Manager::on_peer_message(const Now& now, const wire::PeerMessage& peer) {
    Effects out;
    if (peer.group != wire::Group::kCib || !peer.message || stopped_) return out;
    if (!peer.from.name.empty()) names_[peer.from.id] = peer.from.name;
    Builder b(*peer.message);
    b.set("src", peer.from.name);
    const Request request = read_request(std::move(b).build());
    const std::string& from = peer.from.name;
    const std::string_view reply_to = request.message->get("cib_isreplyto");
    const bool is_reply = !reply_to.empty();
    const bool for_us = reply_to == config_.node;
    if (request.op == Op::kUnknown || (is_reply && !for_us && request.op != Op::kReplace)) return out;
    if (request.op == Op::kShutdown) {
        take_shutdown_request(request, from, out);
    } else if (request.op == Op::kUpgrade) {
        take_upgrade(now, request, from, out);
    } else if (request.op == Op::kPing && is_reply) {
        take_ping_reply(request, from, out);
    } else if (request.op == Op::kPing) {
        if (from != config_.node && (request.host.empty() || request.host == config_.node))
            multicast(out, from, peer_reply(request, rc::kOk, make_ping_answer(request), from));
    } else if (is_reply && request.op != Op::kReplace) {  // a full sync is marked as a reply, but it is for all
        answer_waiting(request, request.message, out);
    } else {
        take_request(now, request, from, out);
    }
    return out;
}

/// A peer's request to change the CIB, or one for this node in particular.
void Manager::take_request(const Now& now, const Request& request, const std::string& from, Effects& out) {
    const bool full_sync = !request.message->get("cib_isreplyto").empty();
    if (!full_sync && !request.host.empty() && request.host != config_.node) return;
    // Who is primary is decided by each node's own controller.
    if (request.op == Op::kPrimary || request.op == Op::kSecondary || request.op == Op::kSchemas) return;
    if (modifies(request.op)) {
        modify_here(now, request, from, out);
        return;
    }
    const Outcome outcome = execute_here(request, out);
    if (!request.host.empty() && !request.has(option::kDiscardReply))
        multicast(out, from, peer_reply(request, outcome.rc, outcome.output, from));
}

Effects Manager::on_timer(const Now&, const std::string& name) {
    Effects out;
    if (name == kShutdownTimer && stopping_) stop(false, out);
    if (name == kWriteTimer && !stopped_) {
        write_retried_ = ++write_token_;
        out.emplace_back(Write{write_token_, cib_});
    }
    if (name == kPingTimer && primary_ && !stopping_) {
        ++ping_sequence_;
        unchanged_since_ping_ = true;
        Builder ping("ping");
        ping.set("t", "cib").set("cib_op", "ping").set("cib_ping_id", std::to_string(ping_sequence_));
        ping.set("crm_feature_set", config_.feature_set);
        multicast(out, "", std::move(ping).build());
    }
    return out;
}

Effects Manager::on_written(const Now& now, std::uint64_t token, const std::string& fault) {
    Effects out;
    if (fault.empty()) {
        if (!write_retried_ || token != write_token_) return out;
        write_retried_.reset();
        out.emplace_back(wire::CancelTimer{kWriteTimer});
        log(out, Severity::kNotice, fmt::format("CIB version {} is on disk", to_string(version_of(*cib_))));
        return out;
    }
    // Another try of what is known to be unwritten is not worth a line each time.
    if (write_retried_ != token)
        log(out, Severity::kError,
            fmt::format("CIB version {} could not be written, it would be lost by a restart of the whole cluster: {}",
                        token == write_token_ ? to_string(version_of(*cib_)) : "of an earlier change", fault));
    write_retried_ = token;
    if (!stopped_) out.emplace_back(wire::ArmTimer{kWriteTimer, now.mono + config_.write_retry_delay});
    return out;
}

Effects Manager::on_shutdown(const Now& now) {
    Effects out;
    if (stopping_) return out;
    stopping_ = true;
    if (peers_.size() <= 1) {
        stop(true, out);
        return out;
    }
    multicast(out, "",
              std::move(Builder("exit-notification").set("t", "cib").set("cib_op", "cib_shutdown_req")).build());
    out.emplace_back(wire::ArmTimer{kShutdownTimer, now.mono + config_.shutdown_timeout});
    return out;
}

// ---- Requests -------------------------------------------------------------------------------------------------------

void Manager::accept(const Now& now, const Request& request, Waiting waiting, bool privileged, Effects& out) {
    const auto refuse = [&](int rc, std::string_view why) {
        log(out, Severity::kWarning, fmt::format("{} is refused: {}", title(request), why));
        answer(waiting, make_reply(request, rc, {}), out);
    };
    if (request.op == Op::kUnknown)
        return refuse(rc::kNotSupported, fmt::format("operation '{}' is unknown", request.op_text));
    if (request.has(option::kTransaction))
        return refuse(rc::kNotSupported, "it belongs to a transaction that is only committed as a whole");
    if (needs_privilege(request.op) && !privileged) return refuse(rc::kDenied, "the connection is for reading only");
    if (!fault_.empty()) return refuse(fault_rc_, fault_);
    if (stopping_ && modifies(request.op)) return refuse(rc::kNotConnected, "this node is leaving the cluster");
    if (modifies(request.op)) return forward(request, std::move(waiting), "", out);
    const bool elsewhere = !request.host.empty() && request.host != config_.node;
    if (elsewhere && request.op != Op::kPrimary && request.op != Op::kSecondary && request.op != Op::kSchemas)
        return forward(request, std::move(waiting), std::string(request.host), out);
    if (request.op == Op::kPrimary && !primary_)
        out.emplace_back(wire::ArmTimer{kPingTimer, now.mono + config_.ping_delay});
    const Outcome outcome = execute_here(request, out);
    answer(waiting, make_reply(request, outcome.rc, outcome.output), out);
}

void Manager::forward(const Request& request, Waiting waiting, const std::string& to, Effects& out) {
    Builder b(*request.message);
    b.set("cib_delegated_from", config_.node);
    waiting.host = to;
    waiting_.emplace(WaitingKey{request.client_id, request.call_id}, std::move(waiting));
    multicast(out, to, std::move(b).build());
}

/// What doesn't change the CIB.
Outcome Manager::execute_here(const Request& request, Effects& out) {
    Outcome o;
    o.cib = cib_;
    switch (request.op) {
        case Op::kQuery: return execute(cib_, request, {.groups_of = config_.groups_of});
        case Op::kPrimary: primary_ = true; break;
        case Op::kSecondary:
            primary_ = false;
            out.emplace_back(wire::CancelTimer{kPingTimer});
            break;
        case Op::kIsPrimary: o.rc = primary_ ? rc::kOk : rc::kNotPermitted; break;
        case Op::kPing: o.output = make_ping_answer(request); break;
        case Op::kSync: send_full_cib(request, "", out); break;
        case Op::kSyncOne: send_full_cib(request, std::string(request.origin), out); break;
        case Op::kSchemas:
            if (config_.schemas != nullptr && request.input)
                o.output = config_.schemas->files_after(request.input->get("version"));
            else
                o.rc = rc::kInvalid;
            break;
        case Op::kNoop: break;
        case Op::kUnknown:
        case Op::kCreate:
        case Op::kModify:
        case Op::kDelete:
        case Op::kReplace:
        case Op::kApplyDiff:
        case Op::kErase:
        case Op::kBump:
        case Op::kUpgrade:
        case Op::kCommitTransaction:
        case Op::kDeleteAlt:
        case Op::kShutdown: o.rc = rc::kInvalid; break;
    }
    return o;
}

void Manager::modify_here(const Now& now, const Request& request, const std::string& from, Effects& out) {
    const bool full_sync = request.full_sync && request.op == Op::kReplace;
    if (!fault_.empty() && !full_sync) {
        answer_waiting(request, make_reply(request, fault_rc_, {}), out);
        return;
    }
    Outcome outcome = execute(cib_, request, world(now));
    if (outcome.rc == rc::kOk) {
        if (full_sync && !fault_.empty()) {
            log(out, Severity::kNotice, fmt::format("A sound CIB came from {}", from));
            fault_.clear();
            fault_rc_ = rc::kOk;
        }
        activate(now, request, outcome, out);
    } else if (full_sync && outcome.rc == rc::kOldData) {
        // Older releases count some changes differently (protocol sheet, section 13).
        log(out, from == config_.node ? Severity::kDebug : Severity::kWarning,
            fmt::format("The CIB that {} sent is refused: {}", from, outcome.why));
    } else {
        log(out, Severity::kInfo, fmt::format("{} failed: {}", title(request), outcome.why));
    }
    // A full sync answers whoever asked for it; any other request who is named in it.
    const std::string_view waits_at =
        full_sync ? request.message->get("cib_isreplyto") : request.message->get("cib_delegated_from");
    if (waits_at != config_.node) return;
    answer_waiting(request, make_reply(request, outcome.rc, outcome.output), out);
    // Releases before transactions ignore the operation: they are given the result instead.
    const std::string_view feature_set = cib_->get("crm_feature_set");
    if (request.op == Op::kCommitTransaction && outcome.rc == rc::kOk && !feature_set.empty() &&
        wire::compare_versions(feature_set, "3.19.0") < 0)
        send_full_cib(request, "", out);
}

void Manager::activate(const Now& now, const Request& request, const Outcome& outcome, Effects& out) {
    if (outcome.cib == cib_) return;
    Changed changed;
    changed.before = cib_;
    changed.after = outcome.cib;
    changed.patchset = outcome.patchset;
    changed.op = request.op_text;
    changed.origin = request.origin;
    changed.client_id = request.client_id;
    changed.client_name = request.client_name;
    changed.call_id = request.call_id;
    changed.user = request.user;
    changed.notify = !request.has(option::kInhibitNotify);
    cib_ = outcome.cib;
    unchanged_since_ping_ = false;
    const bool tell = changed.notify;
    out.emplace_back(std::move(changed));
    if (tell) notify(request, outcome.rc, outcome.patchset, out);
    if (outcome.config_changed || is_written_always(request.op)) out.emplace_back(Write{++write_token_, cib_});
    if (primary_) out.emplace_back(wire::ArmTimer{kPingTimer, now.mono + config_.ping_delay});
}

void Manager::notify(const Request& request, int rc, const NodePtr& patchset, Effects& out) {
    if (!patchset) return;
    NodePtr message;  // made once, for the first who wants it
    for (const auto& [id, client] : clients_) {
        if (!client.subscriptions.contains("cib_diff_notify")) continue;
        if (!message) {
            Builder b("notify");
            b.set("t", "cib_notify").set("subt", "cib_diff_notify").set("cib_op", request.op_text);
            b.set("cib_clientid", request.client_id).set("cib_clientname", request.client_name);
            b.set("cib_callid", request.call_id).set("src", request.origin).set("cib_rc", rc);
            message = std::move(b.add(std::move(Builder("cib_update_result").add(patchset)))).build();
        }
        out.emplace_back(wire::SendEvent{id, message});
    }
}

void Manager::answer(const Waiting& waiting, const NodePtr& reply, Effects& out) {
    if (!waiting.local.empty()) {
        out.emplace_back(LocalReply{waiting.local, waiting.token, reply});
        return;
    }
    if (!clients_.contains(waiting.client)) return;
    if (waiting.response)
        out.emplace_back(
            wire::Respond{waiting.client, waiting.ipc_request,
                          waiting.wanted ? reply : wire::make_ack("cib", static_cast<int>(ExitCode::kOk))});
    else if (waiting.wanted)
        out.emplace_back(wire::SendEvent{waiting.client, reply});
}

void Manager::answer_waiting(const Request& request, const NodePtr& reply, Effects& out) {
    const auto found = waiting_.find(WaitingKey{request.client_id, request.call_id});
    if (found == waiting_.end()) return;  // gone, or answered by what came first
    const Waiting waiting = std::move(found->second);
    waiting_.erase(found);
    answer(waiting, reply, out);
}

// ---- Between managers -----------------------------------------------------------------------------------------------

void Manager::send_full_cib(const Request& request, const std::string& to, Effects& out) {
    // A cluster with older members compares over the older escaping.
    const std::string digest = xml::digest_versioned(*cib_, escaping_for(cib_->get("crm_feature_set")));
    Builder b("cib_command");
    b.set("t", "cib").set("cib_op", "cib_replace").set("original_cib_op", request.op_text);
    b.set_unless_empty("cib_clientid", request.client_id).set_unless_empty("cib_callid", request.call_id);
    b.set_unless_empty("cib_clientname", request.client_name).set_unless_empty("cib_user", request.user);
    b.set("cib_callopt", request.options & ~(option::kXPath | option::kDryRun | option::kMixedUpdate));
    b.set("cib_isreplyto", to.empty() ? request.origin : std::string_view(to)).set("cib_update", "true");
    b.set("crm_feature_set", config_.feature_set).set("digest", digest);
    b.add(std::move(Builder("cib_calldata").add(cib_)));
    multicast(out, to, std::move(b).build());
}

NodePtr Manager::make_ping_answer(const Request& request) const {
    const std::string_view asker = request.message->get("crm_feature_set", config_.feature_set);
    Builder b("ping_response");
    b.set("crm_feature_set", config_.feature_set);
    b.set("digest", xml::digest_versioned(*cib_, escaping_for(asker)));
    b.set_unless_empty("cib_ping_id", request.message->get("cib_ping_id"));
    if (request.user.empty() || request.user == "root" || request.user == "hacluster")
        b.add(std::move(Builder("cib_calldata").add(std::move(Builder(*cib_).clear_children()))));
    return std::move(b).build();
}

void Manager::take_ping_reply(const Request& request, const std::string& from, Effects& out) {
    const NodePtr pong = request.input;
    if (!primary_ || !pong || from == config_.node || !unchanged_since_ping_) return;
    if (pong->get("cib_ping_id") != std::to_string(ping_sequence_)) return;
    const std::string_view digest = pong->get("digest");
    if (digest.empty() || fits_digest(*cib_, digest)) return;
    const xml::Node* wrapper = pong->child("cib_calldata");
    const xml::Node* remote = wrapper == nullptr ? nullptr : wrapper->child("cib");
    const std::string theirs = remote == nullptr ? "unknown" : to_string(version_of(*remote));
    // A change that met two copies as they were made equal may have counted on one side only.
    const bool behind = remote != nullptr && version_of(*cib_) < version_of(*remote);
    log(out, Severity::kNotice,
        fmt::format("The CIB of {} (version {}) differs from ours (version {}): {}", from, theirs,
                    to_string(version_of(*cib_)), behind ? "it is the newer one" : "sending it ours"));
    if (behind)
        out.emplace_back(Behind{from});
    else
        send_full_cib(request, from, out);
}

void Manager::take_shutdown_request(const Request& request, const std::string& from, Effects& out) {
    if (request.message->get("cib_isreplyto").empty()) {
        Builder b("cib-reply");
        b.set("t", "cib").set("cib_op", "cib_shutdown_req").set("cib_callopt", "0").set("cib_rc", "0");
        multicast(out, from, std::move(b.set("cib_isreplyto", from)).build());
    } else if (stopping_) {
        stop(true, out);
    }
}

/// The primary decides whether there is anything to gain, on a copy; then all do the same up to the same schema.
void Manager::try_upgrade(const Request& request, const std::string& from, Effects& out) {
    const std::string_view delegated = request.message->get("cib_delegated_from");
    const std::string origin(delegated.empty() ? std::string_view(from) : delegated);
    Builder b("cib_command");
    b.set("t", "cib").set("cib_op", "cib_upgrade").set("cib_clientid", request.client_id);
    b.set("cib_callid", request.call_id).set("cib_callopt", request.options);
    b.set_unless_empty("cib_clientname", request.client_name).set_unless_empty("cib_user", request.user);
    Request trial = request;
    trial.options |= option::kDryRun;
    const Outcome outcome = execute(cib_, trial,
                                    {.schemas = config_.schemas,
                                     .feature_set = config_.feature_set,
                                     .modification_time = {},
                                     .groups_of = config_.groups_of});
    if (outcome.rc == rc::kOk) {
        const Schemas::Upgrade best = config_.schemas->upgrade(cib_);
        b.set("cib_schema_max", best.schema).set("cib_delegated_from", origin);
        multicast(out, "", std::move(b).build());
        return;
    }
    log(out, Severity::kInfo, fmt::format("{} is not carried out: {}", title(request), outcome.why));
    b.set("cib_isreplyto", origin).set("cib_upgrade_rc", outcome.rc);
    multicast(out, origin, std::move(b).build());
}

void Manager::take_upgrade(const Now& now, const Request& request, const std::string& from, Effects& out) {
    if (const auto refusal = request.message->attribute("cib_upgrade_rc")) {
        answer_waiting(request,
                       make_reply(request, static_cast<int>(parse_integer(*refusal).value_or(rc::kGeneric)), {}), out);
    } else if (request.message->has("cib_schema_max")) {
        modify_here(now, request, from, out);
    } else if (primary_) {
        try_upgrade(request, from, out);
    }
}

void Manager::stop(bool clean, Effects& out) {
    if (stopped_) return;
    stopped_ = true;
    out.emplace_back(wire::CancelTimer{kPingTimer});
    out.emplace_back(wire::CancelTimer{kWriteTimer});
    out.emplace_back(wire::CancelTimer{kShutdownTimer});
    if (!clean) log(out, Severity::kWarning, "Nobody confirmed that the CIB manager leaves: leaving anyway");
    for (const auto& [key, waiting] : waiting_) {  // nobody will answer any more
        Request request;
        request.client_id = key.first;
        request.call_id = key.second;
        answer(waiting, make_reply(request, rc::kNotConnected, {}), out);
    }
    waiting_.clear();
    out.emplace_back(Stopped{clean});
}

std::vector<std::string> Manager::check_state() const {
    std::vector<std::string> broken;
    if (!cib_) broken.emplace_back("the CIB manager has no CIB");
    if (cib_ && !cib_->is("cib")) broken.push_back(fmt::format("the CIB's root is <{}>", cib_->name()));
    for (const auto& [key, w] : waiting_)
        if (w.local.empty() && !clients_.contains(w.client))
            broken.push_back(fmt::format("call {} waits for a client that is gone", key.second));
    if (stopped_ && !waiting_.empty()) broken.emplace_back("a stopped CIB manager has requests waiting");
    return broken;
}

}  // namespace systole::cib
