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

std::string when(const FencingAction& action) { return offset_text(WallTime{action.completed_s}); }

}  // namespace

std::string fencing_line(const FencingAction& action, const FencingLine& style) {
    std::string text = fmt::format("{} of {}", verb(action), action.target);
    const bool ended = action.state != FencingAction::State::kPending;
    switch (action.state) {
        case FencingAction::State::kPending: text += " pending"; break;
        case FencingAction::State::kSucceeded: text += " successful"; break;
        case FencingAction::State::kFailed:
            text += " failed";
            if (!action.exit_reason.empty()) text += fmt::format(" ({})", action.exit_reason);
            break;
    }
    text += ": ";
    if (ended && !action.delegate.empty()) text += fmt::format("delegate={}, ", action.delegate);
    text += fmt::format("client={}, origin={}", action.client, action.origin);
    if (!ended) return text;
    const auto* label = style.each                                      ? "completed"
                        : action.state == FencingAction::State::kFailed ? "last-failed"
                                                                        : "last-successful";
    text += fmt::format(", {}='{}'", label, when(action));
    if (action.state == FencingAction::State::kFailed && !style.later_success_from.empty())
        text += fmt::format(" (a later attempt from {} succeeded)", style.later_success_from);
    return text;
}

xml::NodePtr fencing_element(const FencingAction& action) {
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
        output.item(fencing_line(action, {.each = action.state == FencingAction::State::kSucceeded}));
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
            if (show.nodes.has(action.target)) all.add(fencing_element(action));
        }
    }
    if (!history || !all.children().empty()) output.add(std::move(all));
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
