#pragma once
// cli/fencing_client.h — a command's connection to the fencer of this node.
//
// Source: protocol sheets fencer.md, sections 1 and 2, and ipc.md, sections 6 and 9.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/exit_code.h"
#include "base/result.h"
#include "base/time.h"
#include "cli/status_source.h"
#include "xml/tree.h"

namespace systole::cli {

/// What the fencer answered: how the action ended, and what came with it.
struct FencerAnswer {
    int rc = 0;          ///< 0 or a negative errno, as Pacemaker's client interface tells it
    std::string reason;  ///< why it failed; may be empty
    xml::NodePtr reply;
    [[nodiscard]] ExitCode exit_code() const;
    [[nodiscard]] std::string_view message() const;  ///< of rc
};

/// The actions of a reply to st_fence_history: pending ones first, then the newest first.
std::vector<FencingAction> read_fencing_history(const xml::Node& reply);

/// Whom a fencing level is for: "NAME", "@PATTERN" or "ATTRIBUTE=VALUE".
struct LevelTarget {
    std::string_view text;
};

class FencingClient {
public:
    using Parameters = std::vector<std::pair<std::string, std::string>>;

    /// `name`: what the fencer knows this client by in its history. Errors: kUnreachable, kDenied.
    static Result<FencingClient> connect(const std::string& name);
    FencingClient(FencingClient&&) noexcept;
    FencingClient& operator=(FencingClient&&) noexcept;
    ~FencingClient();

    // Every call answers; a lost connection is the answer -ENOTCONN, one that takes too long -ETIME.
    FencerAnswer register_device(std::string_view device, std::string_view agent, const Parameters& parameters);
    FencerAnswer remove_device(std::string_view device);
    FencerAnswer add_level(LevelTarget target, int index, const std::vector<std::string>& devices);
    FencerAnswer remove_level(LevelTarget target, int index);
    /// `device` does `action` ("monitor", "list", "status"); output: attribute st_output of the reply.
    FencerAnswer execute(std::string_view device, std::string_view action, Duration timeout);
    /// Ids of the devices that can fence `target`, or of all if it is empty.
    FencerAnswer query(std::string_view target, Duration timeout, std::vector<std::string>& devices);
    FencerAnswer confirm(std::string_view target);

    struct HistoryWanted {
        std::string_view target;  ///< empty: of all nodes
        bool is_node_id = false, cleanup = false, broadcast = false;
        Duration timeout{};
    };
    /// Newest first.
    FencerAnswer history(const HistoryWanted& wanted, std::vector<FencingAction>& actions);

    struct FenceWanted {
        std::string_view target, action;
        Duration timeout{}, tolerance{};
        int delay_s = 0;  ///< negative: no delays at all
    };
    /// Waits for the end, as long as the fencer says that it may take.
    FencerAnswer fence(const FenceWanted& wanted);

private:
    struct Impl;
    explicit FencingClient(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::cli
