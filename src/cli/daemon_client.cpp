#include "cli/daemon_client.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <ctime>

#include "base/text.h"
#include "wire/message.h"

namespace systole::cli {

ExitCode exit_code_of(const Error& error) {
    switch (error.code) {
        case Errc::kUnreachable: return ExitCode::kDisconnected;
        case Errc::kStale: return ExitCode::kTimeout;
        case Errc::kDenied: return ExitCode::kInsufficientPrivileges;
        case Errc::kInvalid: return ExitCode::kProtocol;
        case Errc::kNotFound: return ExitCode::kNoSuchObject;
        case Errc::kExists: return ExitCode::kExists;
        case Errc::kCorrupt: return ExitCode::kData;
        case Errc::kIo: return ExitCode::kIo;
    }
    return ExitCode::kError;
}

DaemonClient::DaemonClient(runtime::IpcClient connection, wire::Service service, std::string client)
    : connection_(std::move(connection)),
      service_(service),
      client_(std::move(client)),
      // The server only has to tell the connections of one machine apart.
      uuid_(fmt::format("{:08x}-{:04x}-4{:03x}-8000-{:012x}", static_cast<unsigned>(getpid()),
                        service == wire::Service::kController, static_cast<unsigned>(std::time(nullptr)) & 0xfffU,
                        static_cast<unsigned>(std::time(nullptr)))) {}

Result<DaemonClient> DaemonClient::connect(wire::Service service, std::string_view client) {
    auto connection = runtime::IpcClient::connect(wire::service_name(service));
    if (!connection) return tl::unexpected(std::move(connection.error()));
    DaemonClient self(std::move(*connection), service, std::string(client));
    if (service == wire::Service::kController) {
        xml::Builder options("options");
        options.set("major_version", "1")
            .set("minor_version", "0")
            .set("client_name", client)
            .set("client_uuid", self.uuid_);
        const std::string from = fmt::format("{}_{}", getpid(), client);
        const std::string reference =
            wire::make_reference("hello", client, WallTime{std::time(nullptr)}, self.counter_++);
        const auto hello = wire::make_message({.origin = "post_connect",
                                               .task = "hello",
                                               .to_system = {},
                                               .from_system = from,
                                               .reference = reference},
                                              std::move(options).build())
                               .build();
        if (auto sent = self.connection_.send(*hello); !sent) return tl::unexpected(std::move(sent.error()));
    }
    return self;
}

Result<std::string> DaemonClient::send(const Ask& ask) {
    const std::string from = fmt::format("{}_{}", getpid(), client_);
    const std::string reference = wire::make_reference(ask.task, client_, WallTime{std::time(nullptr)}, counter_++);
    xml::Builder message = wire::make_message({.origin = "systole",
                                               .type = service_ == wire::Service::kPacemakerd ? "pacemakerd" : "crmd",
                                               .task = ask.task,
                                               .to_system = ask.to_system,
                                               .from_system = from,
                                               .to_host = ask.to_host,
                                               .reference = reference},
                                              ask.data);
    for (const auto& [name, value] : ask.fields) message.set(name, value);
    const auto answer = connection_.call(*message.build());
    if (!answer) return tl::unexpected(answer.error());
    const auto status = parse_integer((*answer)->get("status")).value_or(0);
    if (status != 0 && status != static_cast<long long>(ExitCode::kIndeterminate))
        return systole::fail(Errc::kInvalid, fmt::format("request '{}' was refused: {}", ask.task,
                                                         describe(static_cast<ExitCode>(status))));
    return reference;
}

Result<void> DaemonClient::tell(const Ask& ask) {
    auto sent = send(ask);
    if (!sent) return tl::unexpected(std::move(sent.error()));
    return {};
}

Result<xml::NodePtr> DaemonClient::ask(const Ask& ask) {
    const auto reply = ask_message(ask);
    if (!reply) return tl::unexpected(reply.error());
    return wire::data_of(**reply);
}

Result<xml::NodePtr> DaemonClient::ask_message(const Ask& ask) {
    const auto reference = send(ask);
    if (!reference) return tl::unexpected(reference.error());
    const auto deadline = std::chrono::steady_clock::now() + ask.timeout;
    for (;;) {
        const auto left = std::chrono::duration_cast<Duration>(deadline - std::chrono::steady_clock::now());
        if (left <= Duration{0}) return systole::fail(Errc::kStale, fmt::format("no reply to '{}' in time", ask.task));
        auto event = connection_.next_event(left);
        if (!event) return tl::unexpected(std::move(event.error()));
        if (*event && (**event)->get("reference") == *reference) return **event;
    }
}

Result<xml::NodePtr> DaemonClient::next_reply(std::string_view task, Duration timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        const auto left = std::chrono::duration_cast<Duration>(deadline - std::chrono::steady_clock::now());
        if (left <= Duration{0}) return systole::fail(Errc::kStale, fmt::format("no reply to '{}' in time", task));
        auto event = connection_.next_event(left);
        if (!event) return tl::unexpected(std::move(event.error()));
        if (*event && wire::task_of(***event) == task) return wire::data_of(***event);
    }
}

Result<xml::NodePtr> DaemonClient::next_message(Duration timeout) {
    auto event = connection_.next_event(timeout);
    if (!event) return tl::unexpected(std::move(event.error()));
    if (!*event) return systole::fail(Errc::kStale, "no answer in time");
    return **event;
}

Result<xml::NodePtr> ask_attributes(const xml::Node& request, Duration timeout) {
    auto connection = runtime::IpcClient::connect(wire::service_name(wire::Service::kAttributes));
    if (!connection) return tl::unexpected(std::move(connection.error()));
    return connection->call(request, timeout);
}

Result<std::string> local_node_name(std::string_view client) {
    if (const char* name = std::getenv("OCF_RESKEY_CRM_meta_on_node"); name != nullptr && *name != '\0')
        return std::string(name);
    auto connection = DaemonClient::connect(wire::Service::kController, client);
    if (!connection) return tl::unexpected(std::move(connection.error()));
    const auto info = connection->ask({.task = "node-info"});
    if (!info) return tl::unexpected(info.error());
    if (!*info || (*info)->get("uname").empty())
        return systole::fail(Errc::kNotFound, "the local node has no name yet");
    return std::string((*info)->get("uname"));
}

}  // namespace systole::cli
