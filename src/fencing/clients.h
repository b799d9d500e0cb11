#pragma once
// fencing/clients.h — the connected clients: who they are, what they subscribed to, how they are answered.
// Source: protocol sheets ipc.md 6 to 9 and fencer.md 2.
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "fencing/context.h"
#include "fencing/messages.h"

namespace systole::fencing {

/// Where the one answer to a request goes: as its response if one is due, else as an event.
struct Asker {
    wire::ClientId client;
    std::uint32_t request{};
    bool response_due = false;
};

class Clients {
public:
    explicit Clients(Context& context) : c_(context) {}
    void connect(const wire::Client& client);
    void close(wire::ClientId id) { clients_.erase(id); }
    [[nodiscard]] const wire::Client* find(wire::ClientId id) const;
    [[nodiscard]] const wire::Client* find(std::string_view uuid) const;

    /// A name is taken from the first request that gives one: "<given>.<pid>".
    void name(wire::ClientId id, std::string_view given);
    [[nodiscard]] std::string name_of(wire::ClientId id) const;
    void subscribe(wire::ClientId id, std::string_view type, bool wanted);

    void answer(const Asker& asker, xml::NodePtr message);
    void event(wire::ClientId id, xml::NodePtr message);
    void notify(std::string_view type, const Outcome& outcome = done(), xml::NodePtr data = {});
    /// How long the client has to wait for its call at most; it extends its own timer.
    void tell_timeout(std::string_view uuid, std::string_view call, long long seconds);

private:
    struct Entry {
        wire::Client client;
        std::string name;
        std::set<std::string, std::less<>> subscriptions;
    };
    Context& c_;
    std::map<wire::ClientId, Entry> clients_;
};

}  // namespace systole::fencing
