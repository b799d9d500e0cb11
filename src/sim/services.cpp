#include "sim/services.h"

#include <fmt/format.h>

#include <algorithm>

namespace systole::sim {
namespace {

constexpr std::string_view kResourceMetadata = R"(<?xml version="1.0"?>
<resource-agent name="Simulated" version="1.0"><version>1.1</version><longdesc lang="en">A simulated service.</longdesc>
<shortdesc lang="en">Simulated</shortdesc><parameters><parameter name="state" unique="1"><content type="string"/></parameter>
<parameter name="fake" reloadable="1"><content type="string"/></parameter></parameters><actions>
<action name="start" timeout="20s"/><action name="stop" timeout="20s"/><action name="monitor" timeout="20s" interval="10s"/>
<action name="promote" timeout="20s"/><action name="demote" timeout="20s"/><action name="reload-agent" timeout="20s"/>
<action name="migrate_to" timeout="20s"/><action name="migrate_from" timeout="20s"/>
<action name="meta-data" timeout="5s"/></actions></resource-agent>)";

constexpr std::string_view kFenceMetadata = R"(<?xml version="1.0"?>
<resource-agent name="fence_sim" shortdesc="A simulated power switch"><longdesc>A simulated power switch.</longdesc>
<parameters><parameter name="action" required="1"><content type="string" default="reboot"/></parameter>
<parameter name="plug"><content type="string"/></parameter></parameters>
<actions><action name="on" automatic="0"/><action name="off"/><action name="reboot"/><action name="status"/>
<action name="monitor"/><action name="list"/><action name="metadata"/></actions></resource-agent>)";

}  // namespace

std::string_view simulated_metadata(std::string_view agent_class, std::string_view type) {
    if (agent_class == "stonith") return type.starts_with("fence_") ? kFenceMetadata : std::string_view{};
    return kResourceMetadata;
}

AgentRun Services::begin(const executor::Spawn& spawn, Random& random) {
    AgentRun run;
    run.action = spawn.argv.size() > 1 ? spawn.argv[1] : "";
    run.type = spawn.argv.empty() ? "" : spawn.argv[0].substr(spawn.argv[0].rfind('/') + 1);
    run.result.token = spawn.token;
    run.result.status = ExecStatus::kDone;
    run.takes = random.between(Duration{2}, Duration{60});
    if (run.action == "meta-data" || run.action == "metadata") {
        run.result.output = simulated_metadata("ocf", run.type);
        return run;
    }
    const auto instance =
        std::ranges::find(spawn.environment, "OCF_RESOURCE_INSTANCE", &std::pair<std::string, std::string>::first);
    run.instance = instance == spawn.environment.end() ? spawn.resource : instance->second;
    if (!agents_.insert(run.instance).second)
        violations_.push_back(
            fmt::format("I15: a second agent run ({}) of {} begins while one runs", run.action, run.instance));
    apply_fault(run, random);
    if (!run.effect) return run;
    if (run.action == "start" || run.action == "migrate_from") active_.try_emplace(run.instance, Activity::kStarted);
    if (run.action == "promote" && active_.contains(run.instance)) active_[run.instance] = Activity::kPromoted;
    return run;
}

void Services::apply_fault(AgentRun& run, Random& random) {
    const auto found = faults_.find(run.instance);
    if (found == faults_.end()) return;
    auto& faults = found->second;
    const auto hit = std::ranges::find(faults, run.action, &AgentFault::action);
    if (hit == faults.end()) return;
    using enum AgentFault::Kind;
    switch (hit->kind) {
        case kHang: run.hangs = true; break;
        case kFail:
            run.effect = false;
            run.result.exit_code = 1;
            run.result.error = "ocf-exit-reason:simulated failure\n";
            break;
        case kWrongCode: run.result.exit_code = static_cast<int>(random.between(10, 250)); break;
        case kEffectWithoutSuccess: run.result.exit_code = 1; break;
        case kSuccessWithoutEffect: run.effect = false; break;
        case kFlood: run.result.output.assign(65536, 'x'); break;
        case kSlow: run.takes = random.between(Duration{1000}, Duration{8000}); break;
        case kCannotRun:
            run.effect = false;
            run.result.status = ExecStatus::kError;
            run.result.exit_code = 1;
            run.result.reason = "could not be run: Resource temporarily unavailable";
            break;
    }
    run.forced = run.result.exit_code != 0 || !run.effect;
    if (--hit->times <= 0) faults.erase(hit);
}

void Services::end(AgentRun& run) {
    if (run.instance.empty()) return;
    agents_.erase(run.instance);
    if (!run.effect) return;
    const auto active = active_.find(run.instance);
    const auto result = [&](int code) {
        if (!run.forced) run.result.exit_code = code;
    };
    if (run.action == "stop") {
        active_.erase(run.instance);
    } else if (run.action == "migrate_to") {
        if (active == active_.end())
            result(1);
        else if (!keep_migrated_)
            active_.erase(active);
    } else if (run.action == "demote" && active != active_.end()) {
        active->second = Activity::kStarted;
    } else if ((run.action == "promote" || run.action == "demote") && active == active_.end()) {
        result(7);
    } else if (run.action == "monitor" || run.action == "status") {
        result(active == active_.end() ? 7 : active->second == Activity::kPromoted ? 8 : 0);
    } else if ((run.action == "start" || run.action == "migrate_from") && active == active_.end()) {
        result(1);  // it died while it was started
    }
}

Activity Services::activity(const std::string& instance) const {
    const auto found = active_.find(instance);
    return found == active_.end() ? Activity::kStopped : found->second;
}

void Services::killed(const AgentRun& run) { agents_.erase(run.instance); }

void Services::crash(const std::string& instance) { active_.erase(instance); }

void Services::power_off() {
    active_.clear();
    agents_.clear();
}

std::vector<std::string> Services::violations() { return std::exchange(violations_, {}); }

}  // namespace systole::sim
