#pragma once
// sim/people.h — administrators and their commands: what they change, what they were told, and what they still owe.
//
// A command that changes the cluster for a while is taken back later, and taken back again until somebody confirms it:
// a command may be lost with the node that it went to, or be accepted by a part of the cluster without quorum. What was
// confirmed is remembered for the checkers: it must hold in the end.
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "sim/random.h"
#include "sim/world.h"

namespace systole::sim {

class People {
public:
    People(World& world, Random random) : world_(world), random_(random) {}

    void standby(NodeId node, bool on);
    void maintenance(bool on);
    void move(const std::string& resource, NodeId node);  ///< away from that node, as crm_resource --ban
    void clear(const std::string& resource);
    void cleanup(const std::string& resource, NodeId node);
    void cleanup_all();             ///< every failure, of everything, everywhere
    void forget_node(NodeId node);  ///< crm_node -R of one that is off
    /// One more line in the configuration; many of these, on several nodes, are a busy administrator.
    void edit();
    void edit_nonsense();  ///< must be refused
    void set_attribute(NodeId node);
    /// Takes back what is not taken back yet, once more.
    void take_back();
    [[nodiscard]] bool owes() const { return !owed_.empty(); }

    // ---- What was confirmed
    /// Confirmed where there was quorum, and when.
    [[nodiscard]] const std::map<unsigned, Instant>& edits() const { return edits_; }
    static std::string edit_id(unsigned number);
    struct Attribute {
        std::string name, value;
        std::uint64_t core_life = 0;  ///< of the node: it forgets its attributes when its core ends
    };
    [[nodiscard]] const std::map<NodeId, Attribute>& attributes() const { return attributes_; }
    [[nodiscard]] std::optional<Instant> standby_since(NodeId node) const;
    [[nodiscard]] std::optional<Instant> maintenance_since() const { return maintenance_since_; }
    [[nodiscard]] const std::vector<std::string>& wrong() const { return wrong_; }

private:
    NodeId somebody();
    void send(const xml::NodePtr& request, World::Answer answer);
    /// Only where there is quorum a command may be sure: what the smaller part was told may be undone by the other.
    [[nodiscard]] std::function<bool()> had_quorum(NodeId at) const;
    [[nodiscard]] bool kept_by_many(NodeId at) const;
    void promise_to_take_back(const std::string& what, std::function<void()> how);
    void set_option(std::string_view name, std::string_view value, World::Answer answer);

    World& world_;
    Random random_;
    std::map<std::string, std::function<void()>> owed_;
    unsigned last_edit_ = 0, last_value_ = 0;
    std::map<unsigned, Instant> edits_;
    std::map<NodeId, Attribute> attributes_;
    std::map<NodeId, Instant> standby_since_;
    std::optional<Instant> maintenance_since_;
    std::vector<std::string> wrong_;
};

}  // namespace systole::sim
