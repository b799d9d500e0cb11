#include "controller/plan_input.h"

#include <fmt/format.h>

#include <optional>

#include "base/text.h"

namespace systole::controller {
namespace {

/// A stop or demotion under way has taken the place of the record that says what it undoes. Until it is done, what
/// depends on its end must not be planned as if it had ended: for the scheduler the resource is still what it was. The
/// record is made the oldest one, so that a failure that led to the stop still counts.
xml::NodePtr undone(const xml::Node& record, std::string_view resource) {
    const bool stop = record.get("operation") == "stop";
    if (!stop && record.get("operation") != "demote") return {};
    const std::string_view action = stop ? "start" : "promote";
    xml::Builder before(record);
    before.set("operation", action)
        .set("operation_key", fmt::format("{}_{}_0", resource, action))
        .set("call-id", 1)
        .set("op-status", "0")
        .set("rc-code", "0")
        .set("transition-magic", fmt::format("0:0;{}", record.get("transition-key")));
    return std::move(before).build();
}

/// What runs at this moment began a moment ago, whatever the clock of its node says: the scheduler lets a pending
/// record expire like a failure, and would take what runs for something that never was.
xml::NodePtr begun_now(const xml::Node& record, const xml::Node& resource, WallTime now) {
    for (const auto& other : resource.children()) {
        const bool its_failure = other->id().ends_with("_last_failure_0") &&
                                 other->get("operation") == record.get("operation") &&
                                 parse_integer(other->get("last-rc-change")).value_or(0) >=
                                     parse_integer(record.get("last-rc-change")).value_or(0);
        if (its_failure) return {};
    }
    xml::Builder fresh(record);
    fresh.set("last-rc-change", static_cast<long long>(now.seconds));
    return std::move(fresh).build();
}

/// `node` with every child replaced by what `change` makes of it; the same node if that is nothing for all of them.
template <class F>
xml::NodePtr with_children(const xml::NodePtr& node, F&& change) {
    std::optional<xml::Builder> changed;
    for (std::size_t i = 0; i < node->children().size(); ++i) {
        const xml::NodePtr& child = node->children()[i];
        xml::NodePtr other = child->is_element() ? change(child) : child;
        if (!other || other == child) continue;
        if (!changed) changed.emplace(*node);
        changed->replace(i, std::move(other));
    }
    return changed ? std::move(*changed).build() : node;
}

}  // namespace

xml::NodePtr with_actions_in_flight(const xml::NodePtr& cib, WallTime now) {
    return with_children(cib, [now](const xml::NodePtr& section) {
        if (!section->is("status")) return section;
        return with_children(section, [now](const xml::NodePtr& state) {
            return with_children(state, [now](const xml::NodePtr& lrm) {
                if (!lrm->is("lrm")) return lrm;
                return with_children(lrm, [now](const xml::NodePtr& list) {
                    return with_children(list, [now](const xml::NodePtr& resource) {
                        return with_children(resource, [&](const xml::NodePtr& record) {
                            if (!record->is("lrm_rsc_op") || record->get("op-status") != "-1") return record;
                            xml::NodePtr before = undone(*record, resource->id());
                            return before ? before : begun_now(*record, *resource, now);
                        });
                    });
                });
            });
        });
    });
}

}  // namespace systole::controller
