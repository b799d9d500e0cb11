#pragma once
// cli/cib_access.h — "the CIB" as commands see it: the live one, one in a file, or a shadow copy.
//
// Which one is meant is told by the environment: CIB_shadow names a shadow copy, CIB_file a file; else it is the
// cluster's. A command makes a call and gets the answer; whether that took a function or two processes is not its
// business. Calls are answered in order.
//
// Source: protocol sheets cib.md 2, 3 and tools.md; Pacemaker Administration, "Using Pacemaker Tools".
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "cib/request.h"
#include "cli/output.h"

namespace systole::cli {

struct CibCall {
    cib::Op op = cib::Op::kQuery;
    std::string section{};  ///< or an XPath, with option::kXPath
    xml::NodePtr input{};
    std::uint32_t options = 0;
    std::string user{};  ///< whose rights count; empty: who runs the command
    std::string host{};  ///< node that shall answer; empty: any
    Duration timeout{30'000};
};

struct CibReply {
    int rc = 0;  ///< legacy code: 0, -errno or -2xx (cib/rc.h)
    xml::NodePtr output{};
    std::string why{};  ///< more about a failure, where known
};

class CibAccess {
public:
    CibAccess() = default;
    CibAccess(const CibAccess&) = delete;
    CibAccess& operator=(const CibAccess&) = delete;
    virtual ~CibAccess() = default;

    /// Errors are those of the way to the CIB (lost connection, no answer in time, file can't be written); what the CIB
    /// says to the request is in rc.
    [[nodiscard]] virtual Result<CibReply> call(const CibCall& call) = 0;

    // In one line what commands mostly want. The result is an error with the legacy code's text where rc isn't 0.
    [[nodiscard]] Result<xml::NodePtr> query(const std::string& section = {});
};

struct CibSource {
    enum class Kind : std::uint8_t { kLive, kFile, kShadow };
    Kind kind = Kind::kLive;
    std::string path;    ///< of file and shadow copy
    std::string shadow;  ///< the copy's name
};
enum class Shadow : std::uint8_t { kFollow, kIgnore };
/// What the environment tells.
CibSource cib_source(Shadow shadow = Shadow::kFollow);
/// Where the copy of that name is, or would be: in $CIB_shadow_dir, else in the directory for it of this user.
std::string shadow_path(const std::string& name);

/// Of this level and origin; commands hand it to Output::log.
using CibLog = std::function<void(Severity severity, std::string_view origin, std::string_view text)>;
/// Shows on the command's output what happens in the CIB: log lines, and what upgrade sheets say.
CibLog log_to(Output& output);

/// Errors: kNotFound if there is no such file, kInvalid if it holds no CIB, kUnreachable if no cluster runs here.
Result<std::unique_ptr<CibAccess>> open_cib(const CibSource& source, CibLog log = {});
/// The cluster's (cib_access_live.cpp).
Result<std::unique_ptr<CibAccess>> open_live_cib(CibLog log);

/// The legacy code that stands for an error of open_cib() or call(), for messages and exit status.
int legacy_code(const Error& error);

}  // namespace systole::cli
