#pragma once
// cli/status_source.h — where a command gets the CIB from: a file, a shadow copy, or the running cluster.
//
// A live source is plugged in by whoever links the cluster client; commands only see this. Environment as the
// reference's: CIB_file (a file; "-" is standard input), CIB_shadow with CIB_shadow_dir (a shadow copy).
// Source: cibadmin(8), crm_shadow(8), crm_mon(8).
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/exit_code.h"
#include "base/result.h"
#include "cli/status_view.h"
#include "xml/tree.h"

namespace systole::cli {

/// One action of the fencer's history.
struct FencingAction {
    enum class State : std::uint8_t { kPending, kSucceeded, kFailed };
    std::string target, action, client, origin, delegate;
    State state = State::kPending;
    std::int64_t completed_s = 0;  ///< since the epoch; 0 while pending
    std::int64_t completed_ns = 0;
    std::string exit_reason;
    ExecStatus status = ExecStatus::kDone;
};

/// Why a source can't give what it was asked for, with the exit status that a command should end with.
struct SourceError {
    ExitCode code;
    std::string what;
};

class Output;

class StatusSource {
public:
    enum class Event : std::uint8_t { kChanged, kFencing, kDisconnected, kTimeout };

    StatusSource() = default;
    StatusSource(const StatusSource&) = delete;
    StatusSource& operator=(const StatusSource&) = delete;
    virtual ~StatusSource() = default;

    /// The whole CIB as it is now.
    [[nodiscard]] virtual tl::expected<xml::NodePtr, SourceError> query() = 0;
    [[nodiscard]] virtual bool is_live() const { return false; }
    /// Waits until something changes or the time is over. A file never changes: kTimeout.
    virtual Event wait(Duration at_most);
    [[nodiscard]] virtual LiveState live_state() { return {}; }
    /// Newest first; empty if there is no fencer. Errors: the fencer can't be asked.
    [[nodiscard]] virtual tl::expected<std::vector<FencingAction>, SourceError> fencing_history() {
        return std::vector<FencingAction>{};
    }
};

/// Reads a file ("-": standard input, ".bz2": packed) anew at each query, standard input once.
std::unique_ptr<StatusSource> file_source(std::string path);

/// What the environment asks for: CIB_shadow, then CIB_file, then the running cluster.
/// Errors: kDisconnected where the cluster can't be reached; what can't be read of a file.
tl::expected<std::unique_ptr<StatusSource>, SourceError> open_source();
/// The CIB in the newest schema that it can be brought to, as the model wants it; as it is if no schemas are there.
tl::expected<xml::NodePtr, SourceError> upgraded(xml::NodePtr cib);
/// The same for who takes nothing but a valid configuration, and tells on the output what schemas object to.
/// Errors: kConfig, if the CIB names no known schema or no schema accepts it; what was to say about it has been said.
tl::expected<xml::NodePtr, SourceError> upgraded_if_valid(xml::NodePtr cib, Output& output);

}  // namespace systole::cli
