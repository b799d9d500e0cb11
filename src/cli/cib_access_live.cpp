// The cluster's CIB, through the CIB manager of this node.
// Source: protocol sheets cib.md, sections 2 and 3; ipc.md, section 6.
#include <errno.h>

#include "base/text.h"
#include "cli/cib_access.h"
#include "runtime/linux/ipc_client.h"
#include "wire/port.h"

namespace systole::cli {
namespace {

class LiveCib : public CibAccess {
public:
    LiveCib(runtime::IpcClient connection, std::string name)
        : connection_(std::move(connection)), name_(std::move(name)) {}

    Result<CibReply> call(const CibCall& call) override {
        const std::uint32_t options = call.options | cib::option::kSyncCall;
        xml::Builder request(*cib::make_request(call.op, call.section, call.input, options));
        request.set("cib_callid", ++calls_).set("cib_clientname", name_);
        request.set_unless_empty("cib_user", call.user).set_unless_empty("cib_host", call.host);
        const auto reply = connection_.call(*std::move(request).build(), call.timeout);
        if (!reply) return tl::unexpected(reply.error());
        CibReply result;
        result.rc = static_cast<int>(parse_integer((*reply)->get("cib_rc")).value_or(-EPROTO));
        if (const xml::Node* data = (*reply)->child("cib_calldata")) result.output = data->first_element_ptr();
        return result;
    }

private:
    runtime::IpcClient connection_;
    std::string name_;  ///< becomes update-client in the CIB
    int calls_ = 0;
};

}  // namespace

Result<std::unique_ptr<CibAccess>> open_live_cib(CibLog /*log*/) {
    auto connection = runtime::IpcClient::connect(wire::service_name(wire::Service::kCibRw));
    if (!connection) return tl::unexpected(std::move(connection.error()));
    const std::string name = program_invocation_short_name;
    xml::Builder hello("cib_command");
    hello.set("cib_op", "register").set("cib_clientname", name);
    if (auto answer = connection->call(*std::move(hello).build()); !answer)
        return tl::unexpected(std::move(answer.error()));
    return std::make_unique<LiveCib>(std::move(*connection), name);
}

}  // namespace systole::cli
