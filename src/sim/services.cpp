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
<action name="meta-data" timeout="5s"/></actions></resource-agent>)";

constexpr std::string_view kFenceMetadata = R"(<?xml version="1.0"?>
<resource-agent name="fence_sim" shortdesc="A simulated power switch"><longdesc>A simulated power switch.</longdesc>
<parameters><parameter name="action" required="1"><content type="string" default="reboot"/></parameter>
<parameter name="plug"><content type="string"/></parameter></parameters>
<actions><action name="on" automatic="0"/><action name="off"/><action name="reboot"/><action name="status"/>
<action name="monitor"/><action name="list"/><action name="metadata"/></actions></resource-agent>)";

}  // namespace

std::string_view simulated_metadata(std::string_view agent_class, std::string_view type) {
    if (agent_class == "stonith") return type == "fence_sim" ? kFenceMetadata : std::string_view{};
    return kResourceMetadata;
}

AgentRun Services::begin(const executor::Spawn& spawn, Random& random) {
    AgentRun run;
    run.action = spawn.argv.size() > 1 ? spawn.argv[1] : "";
    run.result.token = spawn.token;
    run.result.status = ExecStatus::kDone;
    run.takes = random.between(Duration{2}, Duration{60});
    if (run.action == "meta-data" || run.action == "metadata") {
        run.result.output = simulated_metadata("ocf", "Dummy");
        return run;
    }
    const auto instance =
        std::ranges::find(spawn.environment, "OCF_RESOURCE_INSTANCE", &std::pair<std::string, std::string>::first);
    run.instance = instance == spawn.environment.end() ? spawn.resource : instance->second;
    if (!agents_.insert(run.instance).second)
        violations_.push_back(
            fmt::format("I15: a second agent run ({}) of {} begins while one runs", run.action, run.instance));

    if (const auto found = faults_.find(run.instance); found != faults_.end()) {
        auto& faults = found->second;
        const auto hit = std::ranges::find(faults, run.action, &AgentFault::action);
        if (hit != faults.end()) {
            using enum AgentFault::Kind;
            run.hangs = hit->kind == kHang;
            if (hit->kind == kFail || hit->kind == kEffectWithoutSuccess) run.result.exit_code = 1;
            if (hit->kind == kFail) run.result.error = "ocf-exit-reason:simulated failure\n";
            if (hit->kind == kFlood) run.result.output.assign(65536, 'x');
            const bool fails = hit->kind == kFail;
            if (--hit->times <= 0) faults.erase(hit);
            if (fails) return run;
        }
    }
    if (run.action == "start") active_.try_emplace(run.instance, Activity::kStarted);
    if (run.action == "promote" && active_.contains(run.instance)) active_[run.instance] = Activity::kPromoted;
    return run;
}

void Services::end(AgentRun& run) {
    if (run.instance.empty()) return;
    agents_.erase(run.instance);
    const bool did_nothing = run.result.exit_code != 0 && !run.result.error.empty();
    if (did_nothing) return;
    const auto active = active_.find(run.instance);
    if (run.action == "stop") {
        active_.erase(run.instance);
    } else if (run.action == "demote" && active != active_.end()) {
        active->second = Activity::kStarted;
    } else if ((run.action == "promote" || run.action == "demote") && active == active_.end()) {
        run.result.exit_code = 7;
    } else if ((run.action == "monitor" || run.action == "status") && run.result.exit_code == 0) {
        run.result.exit_code = active == active_.end() ? 7 : active->second == Activity::kPromoted ? 8 : 0;
    } else if (run.action == "start" && active == active_.end()) {
        run.result.exit_code = run.result.exit_code == 0 ? 1 : run.result.exit_code;  // it died while it was started
    }
}

void Services::killed(const AgentRun& run) { agents_.erase(run.instance); }

void Services::crash(const std::string& instance) { active_.erase(instance); }

void Services::power_off() {
    active_.clear();
    agents_.clear();
}

std::vector<std::string> Services::violations() { return std::exchange(violations_, {}); }

}  // namespace systole::sim
