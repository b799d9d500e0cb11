#pragma once
// base/exit_code.h — what commands exit with, what agents return, how an execution ended.
// Source: protocol sheets tools.md 1 and controller.md 8; OCF Resource Agent API 1.1.
#include <cstdint>
#include <string_view>

namespace systole {

/// Exit status of every command and daemon. The first ten are also the results of resource agents.
enum class ExitCode : std::uint8_t {
    kOk = 0,
    kError = 1,
    kInvalidParameter = 2,
    kUnimplemented = 3,
    kInsufficientPrivileges = 4,
    kNotInstalled = 5,
    kNotConfigured = 6,
    kNotRunning = 7,
    kPromoted = 8,
    kFailedPromoted = 9,
    kUsage = 64,
    kData = 65,
    kNoInput = 66,
    kNoUser = 67,
    kNoHost = 68,
    kUnavailable = 69,
    kSoftware = 70,
    kOsError = 71,
    kOsFile = 72,
    kCannotCreate = 73,
    kIo = 74,
    kTemporary = 75,
    kProtocol = 76,
    kNoPermission = 77,
    kConfig = 78,
    kFatal = 100,
    kPanic = 101,
    kDisconnected = 102,
    kOld = 103,
    kDigest = 104,
    kNoSuchObject = 105,
    kQuorum = 106,
    kUnsafe = 107,
    kExists = 108,
    kMultiple = 109,
    kExpired = 110,
    kNotYetInEffect = 111,
    kIndeterminate = 112,
    kUnsatisfied = 113,
    kNoDc = 114,
    kTimeout = 124,
    kDegraded = 190,
    kDegradedPromoted = 191,
    kNone = 193,
};

/// How an operation ended, apart from what the agent returned (op-status of history records).
enum class ExecStatus : std::int8_t {
    kUnknown = -2,
    kPending = -1,
    kDone = 0,
    kCancelled = 1,
    kTimeout = 2,
    kNotSupported = 3,
    kError = 4,
    kErrorHard = 5,
    kErrorFatal = 6,
    kNotInstalled = 7,
    kNotConnected = 8,
    kInvalid = 9,
    kNoFenceDevice = 10,
    kNoSecrets = 11,
};

/// "No such object"-style description of an exit status, as crm_error prints it; "Unknown exit status" for others.
std::string_view describe(ExitCode code);
/// "CRM_EX_NOSUCH"-style name; "CRM_EX_UNKNOWN" for others.
std::string_view name_of(ExitCode code);
/// "Done", "Timed out", ... as crm_mon prints it.
std::string_view describe(ExecStatus status);

/// A daemon's "legacy" return code (0, negative errno, or -2xx) as an exit status.
ExitCode exit_code_of_legacy(int rc);
/// The message of a legacy code: strerror for errno values, the field's texts for -2xx.
std::string_view describe_legacy(int rc);

}  // namespace systole
