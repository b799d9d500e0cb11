#pragma once
// runtime/hub.h — what the hub of the local engine decides: one order, who is in which group, who has quorum.
//
// The nodes of a local cluster are processes of one machine, each with one connection to the hub. The hub hands every
// message to all members of its group, its sender included, in the order of arrival. It is no more available than one
// process can be; but it may die and come back: nodes then say what they have seen last, the hub lets those that saw
// more tell the others, and only then the order goes on. A node that does not come in time was left behind, and is
// told.
//
// Frames are a small XML head and, for messages, a body that the hub does not look at:
//   to the hub:   hello(node, name, pid, epoch, seen, ring; group...)  join  leave  mcast(group)+body  pong
//                 replay(seq, group, node)+body  replayed
//   from the hub: welcome(epoch, cluster; node...)  refused(why)  formed(seq)  view(ring, quorate; node...)
//                 group(name; member...)  message(seq, group, node)+body  ping  replay-from(seq)
//
// Invariants: sequence numbers of messages grow by one, over the hub's restarts too; no message is handed out while the
// membership forms; a connection that breaks the protocol is closed.
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/time.h"
#include "wire/port.h"

namespace systole::runtime {

class Hub {
public:
    struct Config {
        std::string cluster_name;
        std::vector<wire::NodeRef> nodes;  ///< all that may come; quorum is a majority of them
        std::string epoch;                 ///< tells one life of the hub from the next
        Duration formation{1000};          ///< how long to wait for all nodes at the start
        Duration heartbeat{1000};
        Duration token{5000};  ///< silence after which a node is lost
    };
    using Connection = std::uint64_t;
    using Body = std::shared_ptr<const std::string>;  ///< null for none

    struct Send {
        Connection to{};
        xml::NodePtr head;
        Body body;
    };
    struct Close {
        Connection connection{};
        std::string why;
    };
    using Effect = std::variant<Send, Close, wire::ArmTimer, wire::Log>;
    using Effects = std::vector<Effect>;

    explicit Hub(Config config);

    [[nodiscard]] Effects start(const Now& now);
    [[nodiscard]] Effects on_frame(const Now& now, Connection from, const xml::Node& head, Body body);
    [[nodiscard]] Effects on_closed(const Now& now, Connection connection);
    [[nodiscard]] Effects on_timer(const Now& now, const std::string& name);

    [[nodiscard]] bool is_formed() const { return phase_ == Phase::kFormed; }
    [[nodiscard]] bool is_quorate() const;
    [[nodiscard]] std::vector<NodeId> members() const;

private:
    enum class Phase : std::uint8_t { kGathering, kReplaying, kFormed };
    struct Peer {
        wire::NodeRef node;
        std::uint32_t pid{};
        std::uint64_t seen{};  ///< sequence number of the last message it got
        std::set<std::string> groups;
        Instant heard{};
    };

    void on_hello(const Now& now, Connection from, const xml::Node& head, Effects& out);
    void on_message(Peer& peer, const xml::Node& head, const Body& body, Effects& out);
    void end_gathering(Effects& out);
    void form(Effects& out);
    void drop(Connection connection, const std::string& why, Effects& out);
    void tell_view(Effects& out);
    void tell_group(const std::string& group, Effects& out) const;
    [[nodiscard]] xml::NodePtr formed_head() const;
    void to_all(const xml::NodePtr& head, Effects& out) const;

    Config config_;
    Phase phase_ = Phase::kGathering;
    std::map<Connection, Peer> peers_;
    std::uint64_t seq_{};
    std::uint64_t ring_{};
    Connection replayer_{};  ///< who saw most, while others are brought up to it
    std::set<NodeId> seen_nodes_;
};

}  // namespace systole::runtime
