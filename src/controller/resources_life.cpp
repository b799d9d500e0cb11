// controller/resources_life.cpp — what an executor's coming and going means for resources: import, hand-over of
// history.
#include <algorithm>

#include "base/text.h"
#include "controller/resources.h"

namespace systole::controller {
namespace {

const xml::Node* find_below(const xml::Node& root, std::string_view name) {
    if (root.is(name)) return &root;
    for (const auto& child : root.children()) {
        if (const xml::Node* found = find_below(*child, name); found != nullptr) return found;
    }
    return nullptr;
}

}  // namespace

Resources::Step Resources::on_executor_up(const Now& now) {
    Step step;
    (void)now;
    executor_up_ = true;
    if (remote_) return step;  // who made the connection has introduced us
    const std::uint32_t number = ++counter_;
    asked_.emplace(number, Asked{});
    xml::Builder command("lrmd_command");
    command.set("t", "lrmd")
        .set("lrmd_op", "register")
        .set("lrmd_clientname", "crmd")
        .set("lrmd_protocol_version", "1.1");
    // The scheduler orders a history by call numbers: a new executor must not begin with small ones again
    // (executor/private_requests.h).
    long long last_call = 0;
    for (const auto& [id, resource] : resources_)
        for (const auto& [record_id, record] : resource.records)
            if (!is_connection(resource.identity))
                last_call = std::max(last_call, parse_integer(record->get("call-id")).value_or(0));
    if (last_call > 0) command.set("systole_calls_above", last_call);
    step.effects.emplace_back(ToExecutor{number, std::move(command).build()});
    // Its process was replaced while we lived: it knows no resource, and nothing recurs any more.
    for (auto& [id, resource] : resources_) {
        if (resource.registered || is_connection(resource.identity)) continue;
        const auto recurring = std::exchange(resource.recurring, {});
        for (const auto& [key, operation] : recurring) {
            if (operation.run != 0 || !operation.parameters.empty())
                execute(now, operation, step);
            else
                erase_record(operation, step);  // taken over as it recurred: only the DC knows what to order
        }
    }
    for (Operation& operation : std::exchange(waiting_, {})) execute(now, std::move(operation), step);
    return step;
}

Resources::Step Resources::on_executor_down(const Now& now) {
    Step step;
    executor_up_ = false;
    for (auto& [id, resource] : resources_) resource.registered = false;
    // Orders that wait for an answer will not get one.
    auto asked = std::exchange(asked_, {});
    for (auto& [number, one] : asked) {
        if (one.kind == Asked::Kind::kExec) continue;
        asked_.emplace(number, std::move(one));
        Step answer = on_reply(now, ExecutorReply{number, {}});
        std::ranges::move(answer.effects, std::back_inserter(step.effects));
        std::ranges::move(answer.acks, std::back_inserter(step.acks));
        step.imported = step.imported || answer.imported;
    }
    auto running = std::exchange(running_, {});
    for (auto& [run, operation] : running) {
        if (is_connection(operation.resource)) {
            running_.emplace(run, std::move(operation));
            continue;
        }
        if (operation.action == "stop" || operation.action == "monitor") {
            // Nobody knows how far it came; doing it again is what agents promise to stand. A stop that counted as
            // failed would have this node fenced only because a process was restarted.
            waiting_.push_back(std::move(operation));
            continue;
        }
        OperationResult result{.action = operation.action,
                               .call_id = 0,
                               .status = ExecStatus::kError,
                               .rc = 1,
                               .exit_reason = "The executor ended during the operation",
                               .transition_key = operation.transition_key,
                               .run_time = now.wall.seconds,
                               .rc_change_time = now.wall.seconds,
                               .parameters = operation.parameters};
        finish(now, std::move(operation), std::move(result), step);
    }
    return step;
}

Resources::Step Resources::import(const Now& now, const xml::Node* history) {
    Step step;
    importing_.clear();
    const xml::Node* list = history == nullptr ? nullptr : find_below(*history, "lrm_resources");
    if (list != nullptr && executor_up_) {
        for (const auto& entry : list->children()) {
            if (!entry->is("lrm_resource") || entry->id().empty() || resources_.contains(entry->id())) continue;
            auto& records = importing_[std::string(entry->id())];
            for (const auto& record : entry->children()) {
                if (record->is("lrm_rsc_op")) records.push_back(record);
            }
            xml::Builder data("lrmd_rsc");
            data.set("lrmd_rsc_id", entry->id());
            ask("lrmd_rsc_info",
                {.kind = Asked::Kind::kInfo, .resource = std::string(entry->id()), .op = {}, .requester = {}},
                std::move(data), step);
        }
    }
    if (!importing_.empty()) {
        importing_.emplace("", std::vector<xml::NodePtr>{});  // stands for the question below
        ask("lrmd_get_recurring", {.kind = Asked::Kind::kRecurring, .resource = {}, .op = {}, .requester = {}},
            xml::Builder("lrmd_rsc"), step);
    }
    end_import_if_done(now, step);
    return step;
}

void Resources::end_import_if_done(const Now& now, Step& step) {
    if (!importing_.empty()) return;
    step.imported = true;
    imported_ = true;
    // An executor tells at once what ended while nobody listened, before anybody asked which resources it has.
    for (const xml::NodePtr& event : std::exchange(early_, {})) {
        Step result = on_event(now, *event);
        std::ranges::move(result.effects, std::back_inserter(step.effects));
        std::ranges::move(result.acks, std::back_inserter(step.acks));
    }
}

xml::NodePtr Resources::history() const {
    xml::Builder list("lrm_resources");
    for (const auto& [id, resource] : resources_) {
        if (resource.records.empty()) continue;
        xml::Builder entry("lrm_resource");
        entry.set("id", id)
            .set("class", resource.identity.agent_class)
            .set_unless_empty("provider", resource.identity.provider)
            .set("type", resource.identity.type)
            .set_unless_empty("container", resource.identity.container);
        for (const auto& [record_id, record] : resource.records) {
            xml::Builder replay(*record);
            replay.set("crm-debug-origin", "build_active_RAs");
            entry.add(std::move(replay));
        }
        list.add(std::move(entry));
    }
    xml::Builder lrm("lrm");
    lrm.set("id", remote_ ? self_.name : std::to_string(self_.id.value));
    lrm.add(std::move(list));
    return std::move(lrm).build();
}

}  // namespace systole::controller
