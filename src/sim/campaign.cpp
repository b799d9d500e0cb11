#include "sim/campaign.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <thread>

namespace systole::sim {

// Seeds are independent, so several run at once; the totals are the same in whatever order they end.
Totals run_campaign(const Campaign& campaign, const std::function<void(const Totals&)>& progress) {
    Totals totals;
    std::mutex mutex;
    std::uint64_t next = 0;
    bool stop = false;
    const auto worker = [&] {
        for (;;) {
            std::uint64_t seed = 0;
            {
                const std::lock_guard lock(mutex);
                if (next >= campaign.count || stop) return;
                seed = campaign.first + next++;
            }
            DrillResult result = run_drill(campaign.options, seed);
            if (campaign.twice) {
                const DrillResult again = run_drill(campaign.options, seed);
                if (again.trace_hash != result.trace_hash)
                    result.violations.push_back(fmt::format("I10: two runs of the same seed differ ({:016x}, {:016x})",
                                                            result.trace_hash, again.trace_hash));
            }
            const std::lock_guard lock(mutex);
            ++totals.runs;
            totals.simulated_hours += static_cast<double>(result.simulated.count()) / 3.6e6;
            totals.steps += result.steps;
            totals.fencings += result.fencings;
            totals.agent_runs += result.agent_runs;
            totals.messages += result.messages;
            for (const DrawnFault& fault : result.faults) ++totals.faults[{fault.where, fault.name}];
            if (!result.violations.empty()) {
                totals.failed.push_back(std::move(result));
                stop = stop || !campaign.keep_going;
            }
            if (progress) progress(totals);
        }
    };
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < campaign.jobs; ++i) threads.emplace_back(worker);
    worker();
    for (std::thread& thread : threads) thread.join();
    std::ranges::sort(totals.failed, {}, &DrillResult::seed);
    return totals;
}

}  // namespace systole::sim
