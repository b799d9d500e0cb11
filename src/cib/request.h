#pragma once
// cib/request.h — requests to the CIB manager and its replies, as messages and as values.
// Source: protocol sheet cib.md, sections 2 and 3.
#include <cstdint>
#include <string>
#include <string_view>

#include "xml/tree.h"

namespace systole::cib {

/// Bits of cib_callopt. Those that are not listed are accepted and mean nothing.
namespace option {
inline constexpr std::uint32_t kVerbose = 0x1;
inline constexpr std::uint32_t kXPath = 0x2;
inline constexpr std::uint32_t kMultiple = 0x4;
inline constexpr std::uint32_t kCanCreate = 0x8;
inline constexpr std::uint32_t kDiscardReply = 0x10;
inline constexpr std::uint32_t kNoChildren = 0x20;
inline constexpr std::uint32_t kXPathAddress = 0x40;
inline constexpr std::uint32_t kMixedUpdate = 0x80;  ///< 2.1.x: elements with __delete__ are removed afterwards
inline constexpr std::uint32_t kDryRun = 0x200;
inline constexpr std::uint32_t kTransaction = 0x400;
inline constexpr std::uint32_t kScoreUpdate = 0x800;
inline constexpr std::uint32_t kSyncCall = 0x1000;
inline constexpr std::uint32_t kNoModificationTime = 0x2000;
inline constexpr std::uint32_t kInhibitNotify = 0x10000;
inline constexpr std::uint32_t kInhibitBroadcast = 0x1000000;  ///< 2.1.5: no version bump either
}  // namespace option

enum class Op : std::uint8_t {
    kUnknown,
    kQuery,
    kCreate,
    kModify,
    kDelete,
    kReplace,
    kApplyDiff,
    kErase,
    kBump,
    kUpgrade,
    kCommitTransaction,
    kSync,
    kSyncOne,
    kPrimary,
    kSecondary,
    kIsPrimary,
    kDeleteAlt,
    kNoop,
    kPing,
    kShutdown,
    kSchemas,
};
Op parse_op(std::string_view name);
std::string_view op_name(Op op);
bool modifies(Op op);         ///< sent to all nodes, which all execute it
bool needs_privilege(Op op);  ///< refused on cib_ro
bool may_be_in_transaction(Op op);

/// A request read once. The views live as long as `message`.
struct Request {
    xml::NodePtr message;
    xml::NodePtr input;  ///< the first element inside cib_calldata; null where there is none
    Op op = Op::kUnknown;
    std::string_view op_text;  ///< cib_op as written
    std::uint32_t options = 0;
    std::string_view section;  ///< section name, or an XPath if the option says so
    std::string_view user, client_id, client_name, call_id;
    std::string_view origin;  ///< src: the node that the request comes from
    std::string_view host;    ///< cib_host: the node that shall execute it
    bool full_sync = false;   ///< cib_update: the input keeps its versions

    [[nodiscard]] bool has(std::uint32_t option) const { return (options & option) != 0; }
};
/// Never fails: what is missing is empty, an unreadable number of options is 0.
Request read_request(const xml::NodePtr& message);

/// A `cib_command` with calldata, for in-process clients and tests.
xml::NodePtr make_request(Op op, std::string_view section, const xml::NodePtr& input, std::uint32_t options = 0);

/// The `cib-reply` to a request.
xml::NodePtr make_reply(const Request& request, int rc, const xml::NodePtr& output);

}  // namespace systole::cib
