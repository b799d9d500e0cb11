#pragma once
// sim/checks.h — the invariants of reliability.md, checked on the simulated world itself.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/world.h"

namespace systole::sim {

/// What a configuration promises, for the checkers.
struct Promises {
    std::vector<std::string>
        exclusive;                    ///< primitives that are active on one node at most, and run somewhere at the end
    std::vector<std::string> cloned;  ///< active once on every node at the end
    std::set<std::string> unmanaged;  ///< must stay as they are
};

/// Checked after every step: I1 (single activation), I15 (by the services), the cores' own invariants.
class StepChecker {
public:
    StepChecker(World& world, Promises promises);
    void operator()();

private:
    World& world_;
    Promises promises_;
    std::size_t steps_ = 0;
};

/// Checked when the faults are over and the cluster had time: what is still wrong (L1 membership, L2 one DC, L3 all
/// runs, I5 one configuration everywhere). Empty if all is well.
std::vector<std::string> check_settled(const World& world, const Promises& promises);

}  // namespace systole::sim
