#pragma once
// fencing/local_actions.h — what peers (the owner of an operation) and clients have this node do with its devices.
//
// A fencing action without a device is tried with one capable device after the other until one succeeds; for "on",
// every device with automatic unfencing has to succeed. Exactly one reply goes to whoever asked, unless the operation
// was declared over meanwhile.
// Source: protocol sheet fencer.md, sections 2 (st_query, st_execute), 3 and 4.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fencing/clients.h"
#include "fencing/runner.h"
#include "fencing/search.h"

namespace systole::fencing {

class LocalActions {
public:
    LocalActions(Context& context, Clients& clients, Runner& runner, Searches& searches)
        : c_(context), clients_(clients), runner_(runner), searches_(searches) {}

    /// st_query of a peer (then `asker` is empty) or of a client.
    void query(const xml::Node& request, std::string_view peer, const std::optional<Asker>& asker);
    /// st_fence of a peer.
    void fence(const xml::Node& request, std::string_view peer);
    /// st_execute of a client.
    void execute(const xml::Node& request, const Asker& asker);

    bool on_found(const Found& found);
    bool on_job_finished(const Finished& finished);
    /// The operation ended: nothing more is done for it and nobody waits for a reply.
    void cancel_operation(std::string_view operation);

private:
    struct Query {
        xml::NodePtr request;
        std::string peer;
        std::optional<Asker> asker;
        std::string target, action;
        bool allow_self = false;
    };
    struct Command {
        xml::NodePtr request;
        std::string peer;
        std::optional<Asker> asker;
        std::string target, action, device, operation;
        Duration timeout{};
        std::optional<Duration> delay;
        bool needs_quorum = false;
        std::vector<std::string> next;  ///< devices that are left
    };
    void answer_query(const Query& query, const std::vector<std::string>& devices);
    void submit(Command command);
    void reply(const Command& command, const Outcome& outcome);
    Command command_of(const xml::Node& request, std::string_view peer, const std::optional<Asker>& asker) const;

    Context& c_;
    Clients& clients_;
    Runner& runner_;
    Searches& searches_;
    std::map<SearchId, Query> queries_;
    std::map<SearchId, Command> looking_;  ///< for a device
    std::map<JobId, Command> running_;
};

}  // namespace systole::fencing
