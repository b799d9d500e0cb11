#include "sim/drill.h"

#include <fmt/format.h>

#include <algorithm>

#include "cib/operations.h"
#include "cib/request.h"
#include "xml/parse.h"

namespace systole::sim {
namespace {

constexpr std::string_view kStandby = "standby for a while";

/// One fault: its name in reports, and what it does.
struct Fault {
    std::string_view name;
    void (*strike)(World&, Random&, const Promises&);
};

NodeId any_node(const World& world, Random& random) {
    const std::vector<NodeId> nodes = world.nodes();
    return nodes[static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(nodes.size()) - 1))];
}

/// A node and one of the promised resources that is active there; empty if none is.
std::pair<NodeId, std::string> any_active(const World& world, Random& random, const Promises& promises) {
    std::vector<std::pair<NodeId, std::string>> found;
    for (const NodeId node : world.nodes())
        for (const auto& [resource, activity] : world.services(node).active())
            if (std::ranges::find(promises.exclusive, resource) != promises.exclusive.end() ||
                std::ranges::find(promises.cloned, resource) != promises.cloned.end())
                found.emplace_back(node, resource);
    if (found.empty()) return {NodeId{0}, {}};
    return found[static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(found.size()) - 1))];
}

NodeId dc_of(const World& world) {
    for (const NodeId node : world.nodes())
        if (const controller::Node* core = world.core(node); core != nullptr && core->dc() == world.name(node))
            return node;
    return NodeId{0};
}

void cut_off(World& world, const std::vector<NodeId>& side) {
    for (const NodeId a : side) {
        for (const NodeId b : world.nodes()) {
            if (std::ranges::find(side, b) != side.end()) continue;
            world.network().set_link(a, b, false);
            world.network().set_link(b, a, false);
        }
    }
}

void set_node_attribute(
    World& world, Random& random, NodeId node, std::string_view attribute, std::string_view value,
    World::Answer answer = [](int, const xml::NodePtr&) {}) {
    const std::string id = std::to_string(node.value);
    xml::Builder pair("nvpair");
    pair.set("id", fmt::format("nodes-{}-{}", id, attribute)).set("name", attribute).set("value", value);
    xml::Builder set("instance_attributes");
    set.set("id", fmt::format("nodes-{}", id)).add(std::move(pair));
    xml::Builder element("node");
    element.set("id", id).set("uname", world.name(node)).add(std::move(set));
    world.note("", fmt::format("administrator: {} of {} = {}", attribute, world.name(node), value));
    world.cib_request(any_node(world, random),
                      cib::make_request(cib::Op::kModify, "nodes", std::move(element).build(), cib::option::kCanCreate),
                      std::move(answer));
}

const std::vector<Fault>& faults() {
    static const std::vector<Fault> kFaults{
        {"power loss", [](World& w, Random& r, const Promises&) { w.power_off(any_node(w, r), "fault"); }},
        {"power loss of the DC",
         [](World& w, Random&, const Promises&) {
             if (const NodeId dc = dc_of(w); dc.value != 0) w.power_off(dc, "fault");
         }},
        {"core killed", [](World& w, Random& r, const Promises&) { w.kill_core(any_node(w, r)); }},
        {"core of the DC killed",
         [](World& w, Random&, const Promises&) {
             if (const NodeId dc = dc_of(w); dc.value != 0) w.kill_core(dc);
         }},
        {"executor killed", [](World& w, Random& r, const Promises&) { w.kill_executor(any_node(w, r)); }},
        {"machine stands still",
         [](World& w, Random& r, const Promises&) {
             w.pause(any_node(w, r), r.between(Duration{1}, Duration{30'000}));
         }},
        {"partition",
         [](World& w, Random& r, const Promises&) {
             std::vector<NodeId> side;
             for (const NodeId node : w.nodes())
                 if (r.chance(40)) side.push_back(node);
             w.note("", fmt::format("the network splits off {} nodes", side.size()));
             cut_off(w, side);
             w.events().in(r.between(Duration{500}, Duration{40'000}), [&w] {
                 w.note("", "the network is whole again");
                 w.network().heal();
             });
         }},
        {"one-way link loss",
         [](World& w, Random& r, const Promises&) {
             const NodeId a = any_node(w, r);
             const NodeId b = any_node(w, r);
             if (a == b) return;
             w.note("", fmt::format("{} is no longer heard by {}", w.name(a), w.name(b)));
             w.network().set_link(a, b, false);
             w.events().in(r.between(Duration{500}, Duration{20'000}), [&w] { w.network().heal(); });
         }},
        {"slow node",
         [](World& w, Random& r, const Promises&) {
             w.network().set_slow(any_node(w, r), r.between(Duration{50}, Duration{900}));
         }},
        {"service dies",
         [](World& w, Random& r, const Promises& p) {
             if (const auto [node, resource] = any_active(w, r, p); node.value != 0) w.crash_service(node, resource);
         }},
        {"agent fails",
         [](World& w, Random& r, const Promises& p) {
             const auto [node, resource] = any_active(w, r, p);
             if (node.value == 0) return;
             const char* action = r.chance(50) ? "monitor" : "start";
             const auto kind = r.chance(50) ? AgentFault::Kind::kFail : AgentFault::Kind::kEffectWithoutSuccess;
             w.add_agent_fault(node, resource, {action, kind, 1});
         }},
        {"agent hangs in stop",
         [](World& w, Random& r, const Promises& p) {
             const auto [node, resource] = any_active(w, r, p);
             if (node.value == 0) return;
             w.add_agent_fault(node, resource, {"stop", AgentFault::Kind::kHang, 1});
             w.crash_service(node, resource);
         }},
        {"agent floods its output",
         [](World& w, Random& r, const Promises& p) {
             if (const auto [node, resource] = any_active(w, r, p); node.value != 0)
                 w.add_agent_fault(node, resource, {"monitor", AgentFault::Kind::kFlood, 3});
         }},
        {"fencing fails",
         [](World& w, Random& r, const Promises&) {
             w.set_fencing_fault(static_cast<int>(r.between(1, 3)));
             w.power_off(any_node(w, r), "fault");
         }},
        {kStandby,
         [](World& w, Random& r, const Promises&) {
             const NodeId node = any_node(w, r);
             set_node_attribute(w, r, node, "standby", "on");
             w.events().in(r.between(Duration{3000}, Duration{25'000}), [&w, node, random = r.fork()]() mutable {
                 set_node_attribute(w, random, node, "standby", "off");
             });
         }},
    };
    return kFaults;
}

}  // namespace

const std::vector<std::pair<std::string, Sabotage>>& sabotage_names() {
    static const std::vector<std::pair<std::string, Sabotage>> kNames{
        {"none", Sabotage::kNone},
        {"fencing-claims-success", Sabotage::kFencingClaimsSuccess},
        {"lost-attributes", Sabotage::kLostAttributes},
        {"member-never-leaves", Sabotage::kMemberNeverLeaves},
        {"unordered-messages", Sabotage::kUnorderedMessages},
        {"twice-delivered", Sabotage::kTwiceDelivered},
    };
    return kNames;
}

xml::NodePtr drill_cib(unsigned nodes, unsigned resources, Random& random) {
    std::string primitives;
    std::string host_list;
    for (unsigned i = 1; i <= nodes; ++i) host_list += fmt::format("{}n{}", i == 1 ? "" : " ", i);
    primitives +=
        fmt::format(R"(<primitive id="fence" class="stonith" type="fence_sim"><instance_attributes id="fence-ia">)"
                    R"(<nvpair id="fence-hosts" name="pcmk_host_list" value="{}"/></instance_attributes>)"
                    R"(<operations><op id="fence-mon" name="monitor" interval="60s"/></operations></primitive>)",
                    host_list);
    const auto dummy = [](const std::string& id) {
        return fmt::format(R"(<primitive id="{0}" class="ocf" provider="pacemaker" type="Dummy"><operations>)"
                           R"(<op id="{0}-mon" name="monitor" interval="5s" timeout="10s"/>)"
                           R"(<op id="{0}-start" name="start" interval="0" timeout="10s"/>)"
                           R"(<op id="{0}-stop" name="stop" interval="0" timeout="10s"/></operations></primitive>)",
                           id);
    };
    for (unsigned i = 1; i <= resources; ++i) primitives += dummy(fmt::format("d{}", i));
    primitives += R"(<group id="web">)" + dummy("ip") + dummy("http") + "</group>";
    primitives += R"(<clone id="everywhere">)" + dummy("agent") + "</clone>";
    std::string constraints;
    for (unsigned i = 1; i <= resources; ++i)
        if (random.chance(50))
            constraints += fmt::format(R"(<rsc_location id="l{0}" rsc="d{0}" node="n{1}" score="{2}"/>)", i,
                                       random.between(1, nodes), random.between(1, 200));
    if (resources >= 2 && random.chance(60))
        constraints += R"(<rsc_colocation id="c1" rsc="d2" with-rsc="d1" score="INFINITY"/>)";
    if (random.chance(60)) constraints += R"(<rsc_order id="o1" first="d1" then="web" kind="Mandatory"/>)";
    const std::string text = fmt::format(
        R"(<cib validate-with="pacemaker-3.9" crm_feature_set="3.20.5" admin_epoch="0" epoch="1" num_updates="0">)"
        R"(<configuration><crm_config><cluster_property_set id="cib-bootstrap-options">)"
        R"(<nvpair id="opt-fencing" name="stonith-enabled" value="true"/>)"
        R"(<nvpair id="opt-quorum" name="no-quorum-policy" value="stop"/></cluster_property_set></crm_config>)"
        R"(<nodes/><resources>{}</resources><constraints>{}</constraints>)"
        R"(<rsc_defaults><meta_attributes id="rd"><nvpair id="rd-ft" name="failure-timeout" value="30s"/>)"
        R"(<nvpair id="rd-mt" name="migration-threshold" value="5"/></meta_attributes></rsc_defaults>)"
        R"(</configuration><status/></cib>)",
        primitives, constraints);
    auto parsed = xml::parse(text);
    SYSTOLE_ASSERT(parsed.has_value(), "the drill's own configuration is well-formed");
    return *parsed;
}

Promises promises_of(const xml::Node& cib) {
    Promises promises;
    const xml::Node* configuration = cib.child("configuration");
    const xml::Node* resources = configuration == nullptr ? nullptr : configuration->child("resources");
    if (resources == nullptr) return promises;
    const auto plain = [](const xml::Node& primitive) { return primitive.get("class") != "stonith"; };
    for (const xml::NodePtr& resource : resources->children()) {
        if (resource->is("primitive") && plain(*resource)) promises.exclusive.emplace_back(resource->id());
        if (resource->is("group"))
            for (const xml::NodePtr& member : resource->children())
                if (member->is("primitive")) promises.exclusive.emplace_back(member->id());
        if (resource->is("clone"))
            for (const xml::NodePtr& inner : resource->children())
                if (inner->is("primitive")) promises.cloned.emplace_back(inner->id());
    }
    return promises;
}

DrillResult run_drill(const DrillOptions& options, std::uint64_t seed) {
    Random random(seed * 0x2545f4914f6cdd1dULL + 1);
    DrillResult result;
    result.seed = seed;
    result.nodes = static_cast<unsigned>(random.between(options.nodes_min, options.nodes_max));
    WorldOptions world_options;
    world_options.nodes = result.nodes;
    world_options.seed = random.next();
    world_options.cib = options.cib ? options.cib : drill_cib(result.nodes, options.resources, random);
    world_options.sabotage = options.sabotage;
    world_options.trace = options.trace;
    const Promises promises = promises_of(*world_options.cib);
    World world(std::move(world_options));
    world.check_step = StepChecker(world, promises);

    world.boot_all();
    world.run_for(Duration{20'000});
    const std::int64_t count = random.between(1, options.faults_max);
    for (std::int64_t i = 0; i < count; ++i) {
        const auto& fault =
            faults()[static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(faults().size()) - 1))];
        ++result.faults[std::string(fault.name)];
        world.events().in(
            random.between(Duration{0}, options.fault_time),
            [&world, &fault, &promises, r = random.fork()]() mutable { fault.strike(world, r, promises); });
    }
    if (world.violations().empty()) world.run_for(options.fault_time);
    if (world.violations().empty()) {
        world.note("", "the faults are over; what is off is switched on");
        world.clear_faults();
        for (const NodeId node : world.nodes()) world.boot(node);
        // Looked at often, so that a run ends when the cluster has settled and not at the bound.
        const Instant bound = world.now() + options.settle_time;
        std::vector<std::string> wrong;
        // The administrator whose command was lost with the node that it went to repeats it until it is answered.
        std::set<NodeId> in_doubt;
        if (result.faults.contains(std::string(kStandby)))
            for (const NodeId node : world.nodes()) in_doubt.insert(node);
        do {
            for (const NodeId node : std::set(in_doubt))
                set_node_attribute(world, random, node, "standby", "off",
                                   [&in_doubt, node](int rc, const xml::NodePtr&) {
                                       if (rc == 0) in_doubt.erase(node);
                                   });
            world.run_for(Duration{5'000});
            wrong = check_settled(world, promises);
        } while (!wrong.empty() && world.violations().empty() && world.now() < bound);
        for (std::string& what : wrong) world.violate(std::move(what));
    }
    result.simulated = world.now().time_since_epoch();
    result.steps = world.steps();
    result.messages = world.network().messages();
    result.fencings = world.fencings();
    result.agent_runs = world.agent_runs();
    result.violations = world.violations();
    result.history = world.history();
    result.trace_hash = world.trace_hash();
    return result;
}

}  // namespace systole::sim
