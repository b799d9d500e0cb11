// Random faults in the toy world: nothing bad at any step, everything well once the faults stop.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "base/text.h"
#include "controller/toy_world.h"
#include "xml/write.h"

namespace systole::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using toy::World;

std::string resources() {
    std::string text;
    for (const auto* id : {"a", "b", "c", "d"}) {
        text += fmt::format(R"(<primitive id="{0}" class="ocf" provider="pacemaker" type="Dummy"><operations>
<op id="{0}-monitor" name="monitor" interval="10s" timeout="20s"/></operations></primitive>)",
                            id);
    }
    return text;
}

struct Drawn {
    std::string text;
    bool ok = true;
};

/// One run: a seed gives everything. Returns what went wrong, in words, with the history.
Drawn run_seed(unsigned seed, bool verbose) {
    std::mt19937 random(seed);
    const auto draw = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    const int nodes = 3 + static_cast<int>(draw(3));
    World world({.nodes = nodes,
                 .fencing = true,
                 .resources = resources(),
                 .detection = milliseconds(200 + draw(1500)),
                 .operation = milliseconds(1 + draw(40)),
                 .fence_time = milliseconds(50 + draw(3000)),
                 .real_scheduler = std::getenv("CAMPAIGN_TOY_PLANNER") == nullptr,
                 .verbose = verbose});
    const auto name = [&](unsigned i) { return "n" + std::to_string(i + 1); };
    for (int i = 0; i < nodes; ++i) {
        for (const auto* resource : {"a", "b", "c", "d"}) {
            if (draw(6) != 0) continue;
            world.durations[name(static_cast<unsigned>(i)) + "/" + resource + "/" + (draw(2) == 0 ? "start" : "stop")] =
                milliseconds(draw(4000));
        }
    }
    world.start_all();
    world.run(milliseconds(draw(2000)));
    const unsigned faults = 1 + draw(8);
    for (unsigned i = 0; i < faults; ++i) {
        const std::string node = name(draw(static_cast<unsigned>(nodes)));
        const bool up = world.state(node) != "down";
        switch (draw(6)) {
            case 0:
                if (up) world.power_off(node);
                break;
            case 1:
                if (up) {
                    world.kill_core(node);
                    if (draw(3) != 0) world.run(milliseconds(draw(20)));
                    world.start(node);
                }
                break;
            case 2:
                if (up) world.isolate(node);
                break;
            case 3:
                if (up) world.shut_down(node);
                break;
            case 4:
                if (up) world.break_service(node, std::string(1, static_cast<char>('a' + draw(4))));
                break;
            default:
                if (!up) world.start(node);
                break;
        }
        world.run(milliseconds(draw(3) == 0 ? draw(20) : draw(6000)));
    }
    // The faults stop: whoever is cut off is switched off, and everybody is brought back.
    world.run(seconds(5));
    for (int i = 0; i < nodes; ++i) {
        const std::string node = name(static_cast<unsigned>(i));
        if (world.is_alone(node)) world.power_off(node);
    }
    world.run(seconds(30));
    for (int i = 0; i < nodes; ++i) {
        const std::string node = name(static_cast<unsigned>(i));
        if (world.state(node) == "down") world.start(node);
    }
    Drawn drawn;
    const auto wrong = [&](const std::string& what) {
        drawn.ok = false;
        drawn.text += what + "\n";
    };
    const auto well = [&] {
        for (const auto* resource : {"a", "b", "c", "d"}) {
            if (world.running(resource).size() != 1) return false;
        }
        return world.dc().find(',') == std::string::npos && !world.dc().empty();
    };
    if (!world.run(std::chrono::minutes(3), well)) wrong("not everything runs in the end");
    if (!world.settle(std::chrono::minutes(2))) wrong("the cluster does not settle");
    for (const auto& violation : world.violations) wrong("violation: " + violation);
    for (const auto& error : world.errors) {
        if (error.find("cannot be fenced") == std::string::npos && error.find("yet it runs") == std::string::npos)
            wrong("error: " + error);
    }
    world.run(seconds(10));  // a fencing that was asked for before may still strike a node that is back
    const int plans = world.plans;
    world.run(std::chrono::minutes(10));
    if (world.plans > plans + 2) wrong("it plans on and on");
    std::string digest;
    for (int i = 0; i < nodes; ++i) {
        const auto cib = world.cib(name(static_cast<unsigned>(i)));
        if (!cib) continue;
        const std::string mine = xml::digest_versioned(*cib);
        if (digest.empty()) digest = mine;
        if (mine != digest) wrong("the CIBs differ");
    }
    if (!drawn.ok) {
        for (const auto& line : world.history) drawn.text += line + "\n";
    }
    return drawn;
}

TEST(Campaign, RandomFaults) {
    const char* one = std::getenv("CAMPAIGN_SEED");
    const char* many = std::getenv("CAMPAIGN_RUNS");
    if (one != nullptr) {
        const Drawn drawn = run_seed(static_cast<unsigned>(parse_integer(one).value_or(1)), true);
        EXPECT_TRUE(drawn.ok) << drawn.text;
        return;
    }
    const auto runs = static_cast<unsigned>(many == nullptr ? 60 : parse_integer(many).value_or(60));
    int bad = 0;
    for (unsigned seed = 1; seed <= runs; ++seed) {
        const Drawn drawn = run_seed(seed, false);
        EXPECT_TRUE(drawn.ok) << "CAMPAIGN_SEED=" << seed << "\n"
                              << (bad == 0 ? drawn.text : drawn.text.substr(0, drawn.text.find("0ms")));
        if (!drawn.ok && ++bad >= 20) break;
    }
}

}  // namespace
}  // namespace systole::controller
