#pragma once
// runtime/linux/ipc_client.h — a client of Pacemaker's IPC services: ours, or those of a real Pacemaker.
//
// One connection to one service. Requests that expect a response are answered in order; events come when they come and
// are read separately. Both header layouts are understood; requests are sent in the layout of 2.1.x unless told
// otherwise or the server was seen to answer in the newer one. A server of 3.0.1 or later takes a classic request for
// one that expects no response: the first call then ends with kStale, and the caller may connect again with kMultipart.
//
// Invariants: a response is matched by the request's number, a late one of a timed-out request is dropped; the server's
// user is checked before anything is sent.
// Source: protocol sheet ipc.md, sections 2, 5 and 6.
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "wire/ipc_header.h"
#include "xml/tree.h"

namespace systole::runtime {

struct IpcClientOptions {
    std::optional<std::string> prefix;                         ///< of the service's name; default: $SYSTOLE_IPC_PREFIX
    std::uint32_t buffer_size = 128 * 1024;                    ///< bytes; the server may enforce more
    wire::HeaderLayout layout = wire::HeaderLayout::kClassic;  ///< $SYSTOLE_IPC_LAYOUT=multipart changes the default
    Duration connect_timeout{5000};                            ///< for a server that listens but does not answer
    bool check_server = true;  ///< its user must be root, hacluster, or (with a prefix) this process' own
};

class IpcClient {
public:
    /// `service` is a name of wire::service_name(). Errors: kUnreachable if nobody listens there, kDenied if it refuses
    /// this user or runs as somebody it should not, kIo otherwise.
    static Result<IpcClient> connect(std::string_view service, const IpcClientOptions& options = {});
    IpcClient(IpcClient&&) noexcept;
    IpcClient& operator=(IpcClient&&) noexcept;
    ~IpcClient();

    /// Sends and waits for the one response. Errors: kStale if it did not come in time, kUnreachable if the connection
    /// is lost, kInvalid if the message is too large or the response is not XML.
    Result<xml::NodePtr> call(const xml::Node& request, Duration timeout = Duration{5000}, std::uint32_t flags = 0);
    /// Sends without waiting; whatever comes of it comes as an event. Errors as call().
    Result<void> send(const xml::Node& request, std::uint32_t flags = 0);
    /// The next event, waiting for at most `wait` (0: only what is there, negative: for ever). Empty if there is none
    /// in time. Errors: kUnreachable if the connection is lost; kInvalid for an event that is not XML (go on reading).
    Result<std::optional<xml::NodePtr>> next_event(Duration wait = Duration{0});

    /// For clients that wait for nothing: with wire::kProxied the response, too, comes as an event, with this number
    /// and the flag wire::kIpcProxiedResponse (Systole's own servers do so).
    Result<std::int32_t> post(const xml::Node& request, std::uint32_t flags);
    struct Event {
        std::int32_t id{};
        std::uint32_t flags{};
        xml::NodePtr message;
    };
    /// As next_event(), with number and flags.
    Result<std::optional<Event>> next_message(Duration wait = Duration{0});

    /// Readable when an event may be there or the server is gone; then call next_event() until it is empty.
    [[nodiscard]] int fd() const;
    [[nodiscard]] bool connected() const;
    [[nodiscard]] pid_t server_pid() const;
    [[nodiscard]] uid_t server_uid() const;
    [[nodiscard]] wire::HeaderLayout layout() const;

private:
    struct Impl;
    explicit IpcClient(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::runtime
