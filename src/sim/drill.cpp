#include "sim/drill.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "sim/faults.h"

namespace systole::sim {
namespace {

constexpr Duration kStartTime{20'000};
constexpr Duration kStartBound{90'000};
constexpr Duration kAftermath{61'000};  ///< what a fault does later still belongs to it (a power loss after a bad disk)
constexpr Duration kRest{20'000};       ///< so long nothing must happen
constexpr Duration kForgets{45'000};    ///< failures expire after 30 s: what they kept elsewhere may move back then
constexpr Duration kLook{5000};
constexpr Duration kLeaveBound{90'000};
constexpr Duration kWithoutOneBound{180'000};
constexpr int kBusyness = 12;  ///< edits and attribute updates while faults happen

class Drill {
public:
    Drill(const DrillOptions& options, std::uint64_t seed)
        : options_(options),
          random_(seed * 0x2545f4914f6cdd1dULL + 1),
          world_(world_options()),
          people_(world_, random_.fork()) {
        promises_ = promises_of(*cib_);
        promises_.runs_fully = !options_.cib;
        checker_.emplace(world_, promises_, people_);
        world_.witness = &*checker_;
        world_.check_step = [this] { checker_->on_step(); };
        result_.seed = seed;
        result_.nodes = world_.nodes().size();
    }

    DrillResult run() {
        come_up();
        if (fine()) suffer();
        if (fine()) recover();
        if (fine()) farewell();
        result_.simulated = world_.now().time_since_epoch();
        result_.steps = world_.steps();
        result_.messages = world_.network().messages();
        result_.fencings = world_.fencings();
        result_.agent_runs = world_.agent_runs();
        result_.violations = world_.violations();
        result_.history = world_.history();
        result_.trace_hash = world_.trace_hash();
        result_.cib = last_cib(world_);
        return std::move(result_);
    }

private:
    WorldOptions world_options() {
        const auto drawn = static_cast<unsigned>(random_.between(options_.nodes_min, options_.nodes_max));
        WorldOptions out;
        out.seed = random_.next();
        cib_ = options_.cib ? with_empty_status(options_.cib)
                            : drill_cib({drawn, options_.resources, options_.remotes, options_.guests}, random_);
        out.nodes = nodes_of(*cib_, drawn);
        out.cib = cib_;
        out.remotes = remotes_of(*cib_);
        out.guests = guests_of(*cib_);
        out.sabotage = options_.sabotage;
        out.trace = options_.trace;
        return out;
    }
    [[nodiscard]] bool fine() const { return world_.violations().empty(); }

    void come_up() {
        world_.boot_all();
        for (const std::string& resource : promises_.unmanaged)
            world_.start_service_by_hand(world_.nodes().front(), resource);
        world_.run_for(kStartTime);
        if (!promises_.runs_fully) {
            for (const std::string& resource : promises_.exclusive) remember_if_running(resource);
            return;
        }
        std::vector<std::string> wrong = check_settled(world_, promises_, {});
        while (fine() && !wrong.empty() && world_.now().time_since_epoch() < kStartBound) {
            world_.run_for(kLook);
            wrong = check_settled(world_, promises_, {});
        }
        for (std::string& what : wrong) world_.violate("at the start: " + what);
    }

    void remember_if_running(const std::string& resource) {
        const auto nodes = world_.machines();
        if (std::ranges::any_of(nodes, [&](NodeId n) { return world_.services(n).active().contains(resource); }))
            ran_.push_back(resource);
    }

    void suffer() {
        world_.note("", "the faults begin");
        const auto moment = [&] { return random_.between(Duration{0}, options_.fault_time); };
        const std::int64_t count = random_.between(1, options_.faults_max);
        for (std::int64_t i = 0; i < count; ++i) {
            // Where there are remote nodes, every other fault is of theirs.
            const bool of_remotes = world_.machines().size() > world_.nodes().size() && random_.chance(50);
            const auto kinds = of_remotes ? remote_fault_kinds() : fault_kinds();
            const Fault& fault =
                kinds[static_cast<std::size_t>(random_.between(0, static_cast<std::int64_t>(kinds.size()) - 1))];
            const Duration at = moment();
            Random random = random_.fork();
            const auto number = static_cast<std::size_t>(i);
            result_.faults.push_back({at, std::string(fault.name), std::string(fault.where)});
            if (options_.only && std::ranges::find(*options_.only, number) == options_.only->end()) continue;
            world_.events().in(
                at, [this, &fault, random]() mutable { fault.strike({world_, people_, promises_}, random); });
        }
        for (int i = 0; i < kBusyness; ++i) {
            world_.events().in(moment(), [this] { people_.edit(); });
            const auto nodes = world_.nodes();
            const NodeId node =
                nodes[static_cast<std::size_t>(random_.between(0, static_cast<std::int64_t>(nodes.size()) - 1))];
            world_.events().in(moment(), [this, node] { people_.set_attribute(node); });
        }
        world_.run_for(options_.fault_time);
        if (fine()) world_.run_for(kAftermath);
    }

    /// Until nothing is wrong and nothing happens any more. Looked at often, so that a run ends when the cluster has
    /// settled and not at the bound.
    void settle(Duration bound_time, Duration at_least, const std::set<NodeId>& absent) {
        const Instant begin = world_.now();
        const Instant bound = begin + bound_time;
        std::vector<std::string> wrong;
        bool rests = false;
        do {
            if (people_.owes()) people_.take_back();
            world_.run_for(kLook);
            wrong = check_settled(world_, promises_, absent);
            for (const std::string& resource : ran_) look_for(resource, wrong);
            if (people_.owes()) wrong.emplace_back("L6: a command of an administrator is never confirmed");
            rests = world_.now() - world_.last_action() >= kRest && world_.now() - begin >= at_least;
        } while (fine() && (!wrong.empty() || !rests) && world_.now() < bound);
        if (!fine()) return;
        for (std::string& what : wrong) world_.violate(std::move(what));
        if (wrong.empty() && !rests)
            world_.violate(fmt::format("L5: {} s after the last fault there still are actions",
                                       std::chrono::duration_cast<std::chrono::seconds>(bound_time).count()));
    }

    void look_for(const std::string& resource, std::vector<std::string>& wrong) const {
        const auto nodes = world_.machines();
        if (std::ranges::none_of(nodes, [&](NodeId n) { return world_.services(n).active().contains(resource); }))
            wrong.push_back(fmt::format("L3: {} ran before the faults and does not any more", resource));
    }

    void recover() {
        world_.note("", "the faults are over; what is off is switched on");
        world_.clear_faults();
        for (const NodeId node : world_.machines()) world_.start_again(node);
        // A failure that was recorded in the future does not expire before that: somebody has to clean up.
        if (world_.clocks_jumped())
            for (const Duration at : {Duration{15'000}, Duration{30'000}})
                world_.events().in(at, [this] { people_.cleanup_all(); });
        settle(options_.settle_time, kForgets, {});
        if (!fine()) return;
        std::vector<std::string> wrong = check_commands(world_, people_);
        check_attributes(world_, people_, wrong);
        world_.run_for(Duration{1000});
        std::ranges::move(checker_->unexplained_failures(), std::back_inserter(wrong));
        for (std::string& what : wrong) world_.violate(std::move(what));
        if (fine()) stay_at_rest();
    }

    /// Changes that matter to no resource, after which nothing is to be done (I9).
    void stay_at_rest() {
        checker_->begin_rest();
        people_.edit();
        world_.run_for(Duration{2000});
        if (fine()) people_.set_attribute(world_.nodes().front());
        if (fine()) world_.run_for(Duration{2000});
        if (!checker_->end_rest() && fine()) world_.violate("I9: nobody looked at a change of the configuration");
    }

    /// One node leaves in good order (L8), or breaks down for good (L4).
    void farewell() {
        const std::vector<NodeId> nodes = world_.nodes();
        const NodeId node =
            nodes[static_cast<std::size_t>(random_.between(0, static_cast<std::int64_t>(nodes.size()) - 1))];
        const bool leaves = random_.chance(50);
        if (nodes.size() < 3 || !promises_.runs_fully) return;
        const Instant begin = world_.now();
        if (leaves) {
            world_.shut_down(node);
            while (fine() && world_.core_alive(node) && world_.now() - begin < kLeaveBound)
                world_.run_for(Duration{1000});
            if (fine() && world_.core_alive(node))
                world_.violate(fmt::format("L8: {} was asked to leave and is still there", world_.name(node)));
            if (fine() && !world_.services(node).active().empty() && !only_unmanaged(node))
                world_.violate(fmt::format("L8: {} left and services still run there", world_.name(node)));
        } else {
            world_.never_boot(node);
            world_.power_off(node, "for good");
        }
        if (fine()) settle(kWithoutOneBound, Duration{0}, {node});
        if (!fine()) return;
        const bool fenced = world_.last_fenced(node) > begin;
        if (leaves && fenced)
            world_.violate(fmt::format("L8: {} left in good order and was fenced", world_.name(node)));
        if (!leaves && !fenced) world_.violate(fmt::format("L4: {} is lost and was not fenced", world_.name(node)));
    }

    [[nodiscard]] bool only_unmanaged(NodeId node) const {
        return std::ranges::all_of(world_.services(node).active(),
                                   [&](const auto& entry) { return promises_.unmanaged.contains(entry.first); });
    }

    DrillOptions options_;
    Random random_;
    xml::NodePtr cib_;
    World world_;
    People people_;
    Promises promises_;
    std::optional<TruthChecker> checker_;
    std::vector<std::string> ran_;
    DrillResult result_;
};

/// "I1", "L3", ...: what a violation is about.
std::string subject(const DrillResult& result) {
    return result.violations.empty() ? std::string{}
                                     : result.violations.front().substr(0, result.violations.front().find(':'));
}

}  // namespace

DrillResult run_drill(const DrillOptions& options, std::uint64_t seed) { return Drill(options, seed).run(); }

std::vector<std::size_t> shorten(DrillOptions options, const DrillResult& failed) {
    std::vector<std::size_t> kept;
    for (std::size_t i = 0; i < failed.faults.size(); ++i)
        if (!options.only || std::ranges::find(*options.only, i) != options.only->end()) kept.push_back(i);
    const std::string wanted = subject(failed);
    for (std::size_t i = kept.size(); i-- > 0;) {
        std::vector<std::size_t> fewer = kept;
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
        options.only = fewer;
        if (subject(run_drill(options, failed.seed)) == wanted) kept = std::move(fewer);
    }
    return kept;
}

}  // namespace systole::sim
