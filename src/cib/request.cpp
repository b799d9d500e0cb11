#include "cib/request.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace systole::cib {
namespace {

struct OpEntry {
    std::string_view name;
    Op op;
    bool modifies;
    bool privileged;
    bool in_transaction;
};
constexpr std::array kOps{
    OpEntry{"cib_query", Op::kQuery, false, false, false},
    OpEntry{"cib_create", Op::kCreate, true, true, true},
    OpEntry{"cib_modify", Op::kModify, true, true, true},
    OpEntry{"cib_delete", Op::kDelete, true, true, true},
    OpEntry{"cib_replace", Op::kReplace, true, true, true},
    OpEntry{"cib_apply_diff", Op::kApplyDiff, true, true, true},
    OpEntry{"cib_erase", Op::kErase, true, true, true},
    OpEntry{"cib_bump", Op::kBump, true, true, true},
    OpEntry{"cib_upgrade", Op::kUpgrade, true, true, true},
    OpEntry{"cib_commit_transact", Op::kCommitTransaction, true, true, false},
    OpEntry{"cib_sync", Op::kSync, false, true, false},
    OpEntry{"cib_sync_one", Op::kSyncOne, false, true, false},
    OpEntry{"cib_master", Op::kPrimary, false, true, false},
    OpEntry{"cib_slave", Op::kSecondary, false, true, false},
    OpEntry{"cib_slave_all", Op::kSecondary, false, true, false},
    OpEntry{"cib_ismaster", Op::kIsPrimary, false, true, false},
    OpEntry{"cib_delete_alt", Op::kDeleteAlt, false, true, false},
    OpEntry{"noop", Op::kNoop, false, false, false},
    OpEntry{"ping", Op::kPing, false, false, false},
    OpEntry{"cib_shutdown_req", Op::kShutdown, false, true, false},
    OpEntry{"cib_schemas", Op::kSchemas, false, false, false},
};
constexpr OpEntry kNone{"", Op::kUnknown, false, false, false};

const OpEntry& entry(Op op) {
    const auto* found = std::ranges::find(kOps, op, &OpEntry::op);
    return found == kOps.end() ? kNone : *found;
}

}  // namespace

Op parse_op(std::string_view name) {
    const auto* found = std::ranges::find(kOps, name, &OpEntry::name);
    return found == kOps.end() ? Op::kUnknown : found->op;
}

std::string_view op_name(Op op) { return entry(op).name; }
bool modifies(Op op) { return entry(op).modifies; }
bool needs_privilege(Op op) { return entry(op).privileged; }
bool may_be_in_transaction(Op op) { return entry(op).in_transaction; }

Request read_request(const xml::NodePtr& message) {
    Request r;
    r.message = message;
    const xml::Node& m = *message;
    r.op_text = m.get("cib_op");
    r.op = parse_op(r.op_text);
    r.options = static_cast<std::uint32_t>(parse_integer(m.get("cib_callopt")).value_or(0));
    r.section = m.get("cib_section");
    r.user = m.get("cib_user");
    r.client_id = m.get("cib_clientid");
    r.client_name = m.get("cib_clientname");
    r.call_id = m.get("cib_callid");
    r.origin = m.get("src");
    r.host = m.get("cib_host");
    r.full_sync = parse_bool(m.get("cib_update")).value_or(false);
    if (const xml::Node* wrapper = m.child("cib_calldata")) r.input = wrapper->first_element_ptr();
    return r;
}

xml::NodePtr make_request(Op op, std::string_view section, const xml::NodePtr& input, std::uint32_t options) {
    xml::Builder b("cib_command");
    b.set("t", "cib").set("cib_op", op_name(op));
    b.set_unless_empty("cib_section", section);
    b.set("cib_callopt", options);
    if (input) b.add(std::move(xml::Builder("cib_calldata").add(input)));
    return std::move(b).build();
}

xml::NodePtr make_reply(const Request& request, int rc, const xml::NodePtr& output) {
    xml::Builder b("cib-reply");
    b.set("t", "cib").set("cib_op", request.op_text).set("cib_callid", request.call_id);
    b.set("cib_clientid", request.client_id).set("cib_callopt", request.options).set("cib_rc", rc);
    if (output) b.add(std::move(xml::Builder("cib_calldata").add(output)));
    return std::move(b).build();
}

}  // namespace systole::cib
