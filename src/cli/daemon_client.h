#pragma once
// cli/daemon_client.h — asking the controller, pacemakerd and the attribute manager of this node, as commands do.
//
// The controller and pacemakerd answer a request with an acknowledgement and then, as an event, with the reply that
// carries the request's reference. The attribute manager answers at once.
// Source: protocol sheet ipc.md, sections 6, 9 and 10; controller.md, section 5; pacemakerd.md, section 1; attrd.md, 2.
#include <optional>
#include <string>
#include <string_view>

#include "base/exit_code.h"
#include "base/result.h"
#include "base/time.h"
#include "runtime/linux/ipc_client.h"
#include "wire/port.h"
#include "xml/tree.h"

namespace systole::cli {

/// kDisconnected, kTimeout, ...: what a command exits with after such an error.
ExitCode exit_code_of(const Error& error);

struct Ask {
    std::string_view task;  ///< crm_task
    std::string_view to_system = "crmd";
    std::string_view to_host = {};  ///< empty: this node, or the DC for the system "dc"
    xml::NodePtr data = {};
    /// Attributes of the message's root, as a few tasks want them ("id", "uname").
    std::vector<std::pair<std::string_view, std::string>> fields = {};
    Duration timeout{30'000};
};

class DaemonClient {
public:
    /// `service`: kController (says hello) or kPacemakerd. `client`: the command's name.
    static Result<DaemonClient> connect(wire::Service service, std::string_view client);

    /// Asks and waits for the reply.
    /// Errors: kUnreachable, kStale (no reply in time), kInvalid (the request was refused).
    Result<xml::NodePtr> ask_message(const Ask& ask);
    /// The same; the result is the reply's payload (null if it has none).
    /// Errors: kUnreachable, kStale (no reply in time), kInvalid (the request was refused).
    Result<xml::NodePtr> ask(const Ask& ask);
    /// Sends a request whose only answer is the acknowledgement.
    Result<void> tell(const Ask& ask);
    /// The next reply of `task` that comes as an event (for requests answered more than once).
    Result<xml::NodePtr> next_reply(std::string_view task, Duration timeout);

    /// The next message of the daemon, whatever it is an answer to. Errors: as ask_message().
    Result<xml::NodePtr> next_message(Duration timeout);

    [[nodiscard]] const std::string& uuid() const { return uuid_; }

private:
    DaemonClient(runtime::IpcClient connection, wire::Service service, std::string client);
    Result<std::string> send(const Ask& ask);

    runtime::IpcClient connection_;
    wire::Service service_;
    std::string client_, uuid_;
    unsigned counter_ = 0;
};

/// One request to the attribute manager; the answer is its acknowledgement or the reply to a query.
Result<xml::NodePtr> ask_attributes(const xml::Node& request, Duration timeout = Duration{30'000});

/// The name of the node that this command runs on: OCF_RESKEY_CRM_meta_on_node where an agent runs it, else what the
/// controller answers.
Result<std::string> local_node_name(std::string_view client);

}  // namespace systole::cli
