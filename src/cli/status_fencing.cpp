// The fencer's history: declared in cli/status_fencing.h.
#include "cli/status_fencing.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/local_time.h"
#include "rules/iso8601.h"

namespace systole::cli {
namespace {

std::string verb(const FencingAction& action) {
    if (action.action == "off") return "turning off";
    if (action.action == "on") return "unfencing";
    if (action.action == "reboot") return "reboot";
    return action.action;
}

std::string when(const FencingAction& action) {
    return to_string(rules::DateTime(WallTime{action.completed_s}, local_offset_seconds(WallTime{action.completed_s})),
                     {.with_offset = true});
}

std::string line(const FencingAction& action) {
    switch (action.state) {
        case FencingAction::State::kPending:
            return fmt::format("{} of {} pending: client={}, origin={}", verb(action), action.target, action.client,
                               action.origin);
        case FencingAction::State::kSucceeded:
            return fmt::format("{} of {} successful: delegate={}, client={}, origin={}, completed='{}'", verb(action),
                               action.target, action.delegate, action.client, action.origin, when(action));
        case FencingAction::State::kFailed:
            return fmt::format("{} of {} failed{}: delegate={}, client={}, origin={}, last-failed='{}'", verb(action),
                               action.target,
                               action.exit_reason.empty() ? std::string() : fmt::format(" ({})", action.exit_reason),
                               action.delegate, action.client, action.origin, when(action));
    }
    return {};
}

xml::NodePtr element(const FencingAction& action) {
    xml::Builder event("fence_event");
    event.set("action", action.action).set("target", action.target);
    event.set("client", action.client).set("origin", action.origin);
    event.set("status", action.state == FencingAction::State::kPending
                            ? "pending"
                            : (action.state == FencingAction::State::kSucceeded ? "success" : "failed"));
    event.set_unless_empty("delegate", action.delegate);
    event.set_unless_empty("exit-reason", action.exit_reason);
    if (action.state != FencingAction::State::kPending) event.set("completed", when(action));
    return std::move(event).build();
}

}  // namespace

bool show_fencing(Output& output, const Show& show, const std::vector<FencingAction>& history, FencingKind kinds,
                  std::string_view title, Spacer& spacer) {
    bool any = false;
    for (const FencingAction& action : history) {
        const bool wanted = (action.state == FencingAction::State::kPending && kinds.pending) ||
                            (action.state == FencingAction::State::kSucceeded && kinds.succeeded) ||
                            (action.state == FencingAction::State::kFailed && kinds.failed);
        if (!wanted || !show.nodes.has(action.target)) continue;
        if (!any) {
            spacer.before_section(output);
            output.begin_list(title);
        }
        any = true;
        output.item(line(action));
    }
    if (any) output.end_list();
    return any;
}

void add_fencing(Output& output, const Show& show,
                 const tl::expected<std::vector<FencingAction>, SourceError>& history) {
    xml::Builder all("fence_history");
    all.set("status", history ? 0 : static_cast<int>(history.error().code));
    if (history) {
        for (const FencingAction& action : *history) {
            if (show.nodes.has(action.target)) all.add(element(action));
        }
    }
    output.add(std::move(all));
}

std::vector<FencingAction> latest_of_each(const std::vector<FencingAction>& history) {
    std::vector<FencingAction> kept;
    for (const FencingAction& action : history) {
        const bool known = action.state != FencingAction::State::kPending &&
                           std::ranges::any_of(kept, [&action](const FencingAction& other) {
                               return other.state == action.state && other.target == action.target &&
                                      other.action == action.action && other.origin == action.origin &&
                                      other.client == action.client && other.delegate == action.delegate;
                           });
        if (!known) kept.push_back(action);
    }
    return kept;
}

}  // namespace systole::cli
