#pragma once
// fencing/search.h — which devices of this node can carry out an action against a target.
//
// Some devices know it (static list), some have to be asked (list, status), and of some the agent has not told its
// metadata yet. A search ends when all devices that were registered at its beginning have an answer. Searches that need
// the same answer of an agent share one run of it.
// Source: protocol sheet fencer.md, section 6.
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fencing/context.h"
#include "fencing/runner.h"

namespace systole::fencing {

/// The metadata of the agents in use: asked for once, and again while that fails.
class Agents {
public:
    explicit Agents(Context& context) : c_(context) {}
    void need(const std::string& agent);
    /// Still waiting for the first answer?
    [[nodiscard]] bool unknown_yet(std::string_view agent) const;
    void on_metadata(std::uint32_t token, std::string_view xml, std::string_view fault);
    void on_timer(std::string_view agent);
    /// Agents that have their first answer (known or not) since the last call.
    [[nodiscard]] std::vector<std::string> take_settled() { return std::exchange(settled_, {}); }

private:
    enum class State : std::uint8_t { kFirstFetch, kKnown, kFailed };
    void fetch(const std::string& agent);
    Context& c_;
    std::map<std::string, State, std::less<>> agents_;
    std::map<std::uint32_t, std::string> tokens_;
    std::vector<std::string> settled_;
    std::uint32_t last_token_ = 0;
};

using SearchId = std::uint64_t;

struct Question {
    std::string target;  ///< empty: all devices
    std::string action;
    Duration timeout{};       ///< for list and status, where the device has none of its own
    bool allow_self = false;  ///< devices that would have this node fence itself count too
    bool needs_on = false;    ///< only devices whose agent has "on"
};

struct Found {
    SearchId id{};
    std::vector<std::string> devices;  ///< in order of their ids
};

class Searches {
public:
    Searches(Context& context, Runner& runner, Agents& agents) : c_(context), runner_(runner), agents_(agents) {}
    SearchId start(Question question);
    /// True if the job was one of a search.
    bool on_job_finished(const Finished& finished);
    void on_agent_settled(std::string_view agent);
    [[nodiscard]] std::vector<Found> take_found() { return std::exchange(found_, {}); }

private:
    struct Search {
        Question question;
        std::map<std::string, bool> can;
        std::set<std::string, std::less<>> waiting;  ///< devices without an answer yet
    };
    struct Probe {
        std::string device;
        std::string action;  ///< list or status
        std::string target;  ///< of status
        std::set<SearchId> searches;
    };
    void ask(SearchId id, Search& search, Device& device);
    void probe(SearchId id, const std::string& device, std::string action, std::string target, Duration timeout);
    void record(SearchId id, const std::string& device, bool can);
    [[nodiscard]] bool list_answer(Device& device, const Outcome& outcome);

    Context& c_;
    Runner& runner_;
    Agents& agents_;
    std::map<SearchId, Search> searches_;
    std::map<JobId, Probe> probes_;
    std::vector<Found> found_;
    SearchId last_id_ = 0;
};

}  // namespace systole::fencing
