#include "base/exit_code.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace systole {
namespace {

struct Row {
    ExitCode code;
    std::string_view name;
    std::string_view text;
};

using enum ExitCode;
constexpr std::array kRows{
    Row{kOk, "CRM_EX_OK", "OK"},
    Row{kError, "CRM_EX_ERROR", "Error occurred"},
    Row{kInvalidParameter, "CRM_EX_INVALID_PARAM", "Invalid parameter"},
    Row{kUnimplemented, "CRM_EX_UNIMPLEMENT_FEATURE", "Unimplemented"},
    Row{kInsufficientPrivileges, "CRM_EX_INSUFFICIENT_PRIV", "Insufficient privileges"},
    Row{kNotInstalled, "CRM_EX_NOT_INSTALLED", "Not installed"},
    Row{kNotConfigured, "CRM_EX_NOT_CONFIGURED", "Not configured"},
    Row{kNotRunning, "CRM_EX_NOT_RUNNING", "Not running"},
    Row{kPromoted, "CRM_EX_PROMOTED", "Promoted"},
    Row{kFailedPromoted, "CRM_EX_FAILED_PROMOTED", "Failed in promoted role"},
    Row{kUsage, "CRM_EX_USAGE", "Incorrect usage"},
    Row{kData, "CRM_EX_DATAERR", "Invalid data given"},
    Row{kNoInput, "CRM_EX_NOINPUT", "Input file not available"},
    Row{kNoUser, "CRM_EX_NOUSER", "User does not exist"},
    Row{kNoHost, "CRM_EX_NOHOST", "Host does not exist"},
    Row{kUnavailable, "CRM_EX_UNAVAILABLE", "Necessary service unavailable"},
    Row{kSoftware, "CRM_EX_SOFTWARE", "Internal software bug"},
    Row{kOsError, "CRM_EX_OSERR", "Operating system error occurred"},
    Row{kOsFile, "CRM_EX_OSFILE", "System file not available"},
    Row{kCannotCreate, "CRM_EX_CANTCREAT", "Cannot create output file"},
    Row{kIo, "CRM_EX_IOERR", "I/O error occurred"},
    Row{kTemporary, "CRM_EX_TEMPFAIL", "Temporary failure, try again"},
    Row{kProtocol, "CRM_EX_PROTOCOL", "Protocol violated"},
    Row{kNoPermission, "CRM_EX_NOPERM", "Insufficient privileges"},
    Row{kConfig, "CRM_EX_CONFIG", "Invalid configuration"},
    Row{kFatal, "CRM_EX_FATAL", "Fatal error occurred, will not respawn"},
    Row{kPanic, "CRM_EX_PANIC", "System panic required"},
    Row{kDisconnected, "CRM_EX_DISCONNECT", "Not connected"},
    Row{kOld, "CRM_EX_OLD", "Update was older than existing configuration"},
    Row{kDigest, "CRM_EX_DIGEST", "Digest mismatch"},
    Row{kNoSuchObject, "CRM_EX_NOSUCH", "No such object"},
    Row{kQuorum, "CRM_EX_QUORUM", "Quorum required"},
    Row{kUnsafe, "CRM_EX_UNSAFE", "Operation not safe"},
    Row{kExists, "CRM_EX_EXISTS", "Requested item already exists"},
    Row{kMultiple, "CRM_EX_MULTIPLE", "Multiple items match request"},
    Row{kExpired, "CRM_EX_EXPIRED", "Requested item has expired"},
    Row{kNotYetInEffect, "CRM_EX_NOT_YET_IN_EFFECT", "Requested item is not yet in effect"},
    Row{kIndeterminate, "CRM_EX_INDETERMINATE", "Could not determine status"},
    Row{kUnsatisfied, "CRM_EX_UNSATISFIED", "Not applicable under current conditions"},
    Row{kNoDc, "CRM_EX_NO_DC", "DC is not yet elected"},
    Row{kTimeout, "CRM_EX_TIMEOUT", "Timeout occurred"},
    Row{kDegraded, "CRM_EX_DEGRADED", "Service is active but might fail soon"},
    Row{kDegradedPromoted, "CRM_EX_DEGRADED_PROMOTED", "Service is promoted but might fail soon"},
    Row{kNone, "CRM_EX_NONE", "No exit status available"},
};

const Row* row_of(ExitCode code) {
    const auto* found = std::ranges::find(kRows, code, &Row::code);
    return found == kRows.end() ? nullptr : found;
}

struct LegacyRow {
    int rc;
    ExitCode code;
    std::string_view text;
};

// Texts as the commands of 3.x show them. Source: protocol sheet cib.md, section 3 ("Codes").
constexpr std::array kLegacyRows{
    LegacyRow{201, kError, "Other"},
    LegacyRow{203, kConfig, "Update does not conform to the configured schema"},
    LegacyRow{204, kConfig, "Schema transform failed"},
    LegacyRow{205, kOld, "Update was older than existing configuration"},
    LegacyRow{206, kError, "Application of update diff failed"},
    LegacyRow{207, kError, "Application of update diff failed, requesting full refresh"},
    LegacyRow{208, kDigest, "On-disk configuration was manually modified"},
    LegacyRow{209, kCannotCreate, "Could not archive previous configuration"},
    LegacyRow{210, kCannotCreate, "Could not save new configuration to disk"},
    LegacyRow{211, kConfig, "Schema is already the latest available"},
    LegacyRow{212, kConfig, "Could not parse on-disk configuration"},
};

}  // namespace

std::string_view describe(ExitCode code) {
    const Row* row = row_of(code);
    return row == nullptr ? "Unknown exit status" : row->text;
}

std::string_view name_of(ExitCode code) {
    const Row* row = row_of(code);
    return row == nullptr ? "CRM_EX_UNKNOWN" : row->name;
}

std::string_view describe(ExecStatus status) {
    switch (status) {
        case ExecStatus::kUnknown: return "Unrecognized status";
        case ExecStatus::kPending: return "Pending";
        case ExecStatus::kDone: return "Done";
        case ExecStatus::kCancelled: return "Cancelled";
        case ExecStatus::kTimeout: return "Timed out";
        case ExecStatus::kNotSupported: return "Unsupported";
        case ExecStatus::kError: return "Error";
        case ExecStatus::kErrorHard: return "Hard error";
        case ExecStatus::kErrorFatal: return "Fatal error";
        case ExecStatus::kNotInstalled: return "Not installed";
        case ExecStatus::kNotConnected: return "Internal communication failure";
        case ExecStatus::kInvalid: return "Cannot execute now";
        case ExecStatus::kNoFenceDevice: return "No fence device";
        case ExecStatus::kNoSecrets: return "CIB secrets unavailable";
    }
    return "Unrecognized status";
}

ExitCode exit_code_of_legacy(int rc) {
    if (rc == 0) return kOk;
    const int positive = rc < 0 ? -rc : rc;
    const auto* found = std::ranges::find(kLegacyRows, positive, &LegacyRow::rc);
    if (found != kLegacyRows.end()) return found->code;
    switch (positive) {
        case EACCES:
        case EPERM: return kInsufficientPrivileges;
        case EIO: return kIo;
        case ENOTUNIQ: return kMultiple;
        case ENXIO: return kNoSuchObject;
        case EEXIST: return kExists;
        case EINVAL: return kSoftware;  // as cibadmin exits
        case ENOTCONN:
        case ECONNREFUSED:
        case EREMOTEIO: return kDisconnected;
        case ETIME:
        case ETIMEDOUT: return kTimeout;
        case EAGAIN:
        case EBUSY: return kUnsatisfied;
        case EOPNOTSUPP: return kUnimplemented;
        case EPROTO:
        case EPROTONOSUPPORT: return kProtocol;
        case ENOMEM: return kOsError;
        case ENODEV: return kNoSuchObject;
        case ENOTDIR:
        case ENOENT: return kNoInput;
        default: return kError;
    }
}

std::string_view describe_legacy(int rc) {
    if (rc == 0) return "OK";
    const int positive = rc < 0 ? -rc : rc;
    const auto* found = std::ranges::find(kLegacyRows, positive, &LegacyRow::rc);
    return found != kLegacyRows.end() ? found->text : std::string_view(strerror(positive));
}

}  // namespace systole
