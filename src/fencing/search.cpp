#include "fencing/search.h"

#include <fmt/format.h>

namespace systole::fencing {
namespace {

constexpr Duration kMetadataTimeout{10'000};
constexpr Duration kMetadataRetry{10'000};
constexpr Duration kListAge{60'000};

}  // namespace

// ---- Agents ---------------------------------------------------------------------------------------------------------

void Agents::need(const std::string& agent) {
    if (agent == kWatchdogAgentInternal || agents_.contains(agent)) return;
    agents_.emplace(agent, State::kFirstFetch);
    fetch(agent);
}

void Agents::fetch(const std::string& agent) {
    const auto token = ++last_token_;
    tokens_.emplace(token, agent);
    c_.effects.emplace_back(FetchMetadata{token, agent, kMetadataTimeout});
}

bool Agents::unknown_yet(std::string_view agent) const {
    const auto it = agents_.find(agent);
    return it != agents_.end() && it->second == State::kFirstFetch;
}

void Agents::on_metadata(std::uint32_t token, std::string_view xml, std::string_view fault) {
    const auto it = tokens_.find(token);
    if (it == tokens_.end()) return;
    const std::string agent = it->second;
    tokens_.erase(it);
    State& state = agents_.at(agent);
    const bool first = state == State::kFirstFetch;
    std::string why(fault);
    if (why.empty()) {
        if (const auto traits = read_agent_metadata(xml)) {
            state = State::kKnown;
            c_.devices.set_traits(agent, *traits);
        } else {
            why = traits.error().what;
        }
    }
    if (state != State::kKnown) {
        if (first) {
            c_.log(wire::Severity::kWarning,
                   fmt::format("no metadata of {}: {}; what it can do is not known, asking again every {}s", agent, why,
                               to_seconds(kMetadataRetry)));
        }
        state = State::kFailed;
        c_.arm(fmt::format("agent/{}", agent), kMetadataRetry);
    }
    if (first) settled_.push_back(agent);
}

void Agents::on_timer(std::string_view agent) {
    const auto it = agents_.find(agent);
    if (it == agents_.end() || it->second != State::kFailed) return;
    for (const auto& [id, device] : c_.devices.all()) {
        if (device.what.agent == agent) {
            fetch(it->first);
            return;
        }
    }
    agents_.erase(it);  // nobody needs it any more
}

// ---- Searches -------------------------------------------------------------------------------------------------------

SearchId Searches::start(Question question) {
    const SearchId id = ++last_id_;
    Search& search = searches_[id];
    search.question = std::move(question);
    std::vector<std::string> devices;
    for (const auto& [device, unused] : c_.devices.all()) devices.push_back(device);
    search.waiting.insert(devices.begin(), devices.end());
    if (devices.empty()) {
        found_.push_back({id, {}});
        searches_.erase(id);
        return id;
    }
    for (const auto& name : devices) {
        Device* device = c_.devices.find(name);
        if (device != nullptr && !agents_.unknown_yet(device->what.agent)) ask(id, search, *device);
        if (!searches_.contains(id)) break;
    }
    return id;
}

void Searches::on_agent_settled(std::string_view agent) {
    std::vector<std::pair<SearchId, std::string>> questions;
    for (const auto& [id, search] : searches_) {
        for (const auto& name : search.waiting) {
            const Device* device = c_.devices.find(name);
            if (device == nullptr || device->what.agent == agent) questions.emplace_back(id, name);
        }
    }
    for (const auto& [id, name] : questions) {
        const auto it = searches_.find(id);
        if (it == searches_.end()) continue;
        Device* device = c_.devices.find(name);
        if (device == nullptr) {
            record(id, name, false);
        } else {
            ask(id, it->second, *device);
        }
    }
}

void Searches::ask(SearchId id, Search& search, Device& device) {
    const Question& q = search.question;
    const std::string name = device.id();
    const auto answer = [&](bool can, std::string_view why) {
        if (!q.target.empty()) {
            c_.log(wire::Severity::kInfo,
                   fmt::format("{} can{} do '{}' of {}: {}", name, can ? "" : "not", q.action, q.target, why), q.target,
                   name);
        }
        record(id, name, can);
    };
    if (q.target.empty()) return answer(true, "any");
    if (q.action == "on" && !device.traits.on) return answer(false, "its agent has no 'on'");
    if (device.traits.on_target_only.contains(q.action) && !c_.is_self(q.target))
        return answer(false, "only the target itself may");
    if (!device.eligible_somehow(q.action, q.target, c_.self(), q.allow_self))
        return answer(false, "a node doesn't fence itself");
    switch (device.host_check()) {
        case HostCheck::kNone: return answer(true, "pcmk_host_check is none");
        case HostCheck::kStaticList:
            return answer(device.lists(q.target) || device.plugs.contains(q.target), "static list");
        case HostCheck::kDynamicList:
            if (device.listed_at && c_.now.mono < *device.listed_at + kListAge) {
                const auto plug = device.plugs.find(q.target);
                return answer(device.lists(plug == device.plugs.end() ? q.target : plug->second), "recent list");
            }
            return probe(id, name, "list", {}, q.timeout);
        case HostCheck::kStatus: return probe(id, name, "status", q.target, q.timeout);
        case HostCheck::kInvalid: break;
    }
    c_.log(wire::Severity::kError,
           fmt::format("'{}' is no value for pcmk_host_check of {}: the device is not used",
                       *device.parameter("pcmk_host_check"), name),
           {}, name);
    record(id, name, false);
}

void Searches::probe(SearchId id, const std::string& device, std::string action, std::string target, Duration timeout) {
    for (auto& [job, probe] : probes_) {
        if (probe.device == device && probe.action == action && probe.target == target) {
            probe.searches.insert(id);
            return;
        }
    }
    Probe probe{device, action, target, {id}};
    const JobId job = runner_.submit({device, std::move(action), std::move(target), timeout, Duration{0}, {}});
    probes_.emplace(job, std::move(probe));
}

bool Searches::on_job_finished(const Finished& finished) {
    const auto it = probes_.find(finished.id);
    if (it == probes_.end()) return false;
    const Probe probe = std::move(it->second);
    probes_.erase(it);
    Device* device = c_.devices.find(probe.device);
    if (device != nullptr && probe.action == "list") {
        const bool usable = list_answer(*device, finished.outcome);
        for (const SearchId id : probe.searches) {
            const auto search = searches_.find(id);
            if (search == searches_.end()) continue;
            const auto& target = search->second.question.target;
            const auto plug = device->plugs.find(target);
            record(id, probe.device, usable && device->lists(plug == device->plugs.end() ? target : plug->second));
        }
        return true;
    }
    // Of status: 0 is on, 2 is off, anything else doesn't say that the device knows the target.
    const bool can = device != nullptr && finished.outcome.status == ExecStatus::kDone &&
                     (finished.outcome.exit_code == 0 || finished.outcome.exit_code == 2);
    if (device != nullptr && !can) {
        c_.log(
            wire::Severity::kInfo,
            fmt::format("{} doesn't know {}: status ended with {}", probe.device, probe.target,
                        finished.outcome.status == ExecStatus::kDone ? std::to_string(finished.outcome.exit_code)
                                                                     : std::string(describe(finished.outcome.status))),
            probe.target, probe.device);
    }
    for (const SearchId id : probe.searches) record(id, probe.device, can);
    return true;
}

bool Searches::list_answer(Device& device, const Outcome& outcome) {
    if (outcome.ok()) {
        // Each line is a target, with its alias after a comma at most: all words count.
        device.targets = parse_host_list(outcome.output);
        device.listed_at = c_.now.mono;
        return true;
    }
    const std::string how = outcome.status == ExecStatus::kDone ? fmt::format("exit status {}", outcome.exit_code)
                                                                : std::string(describe(outcome.status));
    if (device.listed_at) {
        c_.log(wire::Severity::kInfo,
               fmt::format("list of {} failed ({}): keeping the targets that it last told", device.id(), how), {},
               device.id());
        return true;
    }
    const bool configured = device.parameter("pcmk_host_check") != nullptr;
    c_.log(wire::Severity::kWarning,
           fmt::format("list of {} failed ({}): it can fence nobody for now{}", device.id(), how,
                       configured ? "" : "; from now on status is asked instead"),
           {}, device.id());
    if (!configured) device.list_failed = true;
    return false;
}

void Searches::record(SearchId id, const std::string& device, bool can) {
    const auto it = searches_.find(id);
    if (it == searches_.end()) return;
    Search& search = it->second;
    if (search.waiting.erase(device) == 0) return;
    const Device* known = c_.devices.find(device);
    if (can && search.question.needs_on && known != nullptr && !known->traits.on) can = false;
    search.can[device] = can;
    if (!search.waiting.empty()) return;
    Found found{id, {}};
    for (const auto& [name, yes] : search.can) {
        if (yes) found.devices.push_back(name);
    }
    searches_.erase(it);
    found_.push_back(std::move(found));
}

}  // namespace systole::fencing
