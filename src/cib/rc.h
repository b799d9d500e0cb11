#pragma once
// cib/rc.h — results as they stand on the wire in cib_rc: 0, -errno (Linux numbers), or -2xx.
// Source: protocol sheet cib.md, section 3.
namespace systole::cib::rc {

inline constexpr int kOk = 0;
inline constexpr int kNotPermitted = -1;
inline constexpr int kNotFound = -6;
inline constexpr int kDenied = -13;
inline constexpr int kExists = -17;
inline constexpr int kInvalid = -22;
inline constexpr int kNotConnected = -107;
inline constexpr int kFeatureTooNew = -93;
inline constexpr int kNotSupported = -95;
inline constexpr int kGeneric = -201;
inline constexpr int kSchemaViolated = -203;
inline constexpr int kTransformFailed = -204;
inline constexpr int kOldData = -205;
inline constexpr int kDiffFailed = -206;
inline constexpr int kDiffResync = -207;
inline constexpr int kModifiedManually = -208;
inline constexpr int kSchemaUnchanged = -211;
inline constexpr int kCorrupt = -212;

}  // namespace systole::cib::rc
