#include "fencing/devices.h"

#include "fencing/topology.h"
#include "xml/parse.h"

namespace systole::fencing {
namespace {

xml::NodePtr parsed(std::string_view text) {
    auto tree = xml::parse(text);
    EXPECT_TRUE(tree.has_value()) << (tree ? "" : tree.error().what);
    return tree ? *tree : xml::NodePtr{};
}

Device device(Parameters parameters, AgentTraits traits = {}) {
    DeviceTable table;
    table.set_traits("fence_x", traits);
    table.add({"D", "fence_x", std::move(parameters), false}, Registration::kCib);
    return *table.find("D");
}

TEST(HostMap, UnderstandsItsSeparatorsAndEscapes) {
    const auto map = parse_host_map("node1:1;node2=2,3\tnode3:a\\;b node4:c\\:d ;broken;:x;y:");
    const PlugMap expected{{"node1", "1"}, {"node2", "2,3"}, {"node3", "a;b"}, {"node4", "c:d"}};
    EXPECT_EQ(map, expected);
    EXPECT_TRUE(map.contains("NODE2")) << "node names are compared without case";
}

TEST(HostList, UnderstandsItsSeparators) {
    const std::vector<std::string> expected{"a", "b", "c", "d"};
    EXPECT_EQ(parse_host_list("a,b;c\r\n d\t"), expected);
}

TEST(Device, HowTargetsAreFoundFollowsFromParametersAndAgent) {
    AgentTraits lists;
    lists.list = lists.status = true;
    AgentTraits tells_status;
    tells_status.status = true;
    EXPECT_EQ(device({}).host_check(), HostCheck::kNone);
    EXPECT_EQ(device({}, tells_status).host_check(), HostCheck::kStatus);
    EXPECT_EQ(device({}, lists).host_check(), HostCheck::kDynamicList);
    EXPECT_EQ(device({{"pcmk_host_map", "a:1"}}, lists).host_check(), HostCheck::kStaticList);
    EXPECT_EQ(device({{"pcmk_host_list", "a"}, {"pcmk_host_check", "NONE"}}, lists).host_check(), HostCheck::kNone);
    EXPECT_EQ(device({{"pcmk_host_check", "perhaps"}}).host_check(), HostCheck::kInvalid);
}

TEST(Device, AListThatIsNotToBeGoneByIsNoDynamicList) {
    EXPECT_FALSE(device({{"pcmk_host_list", "a"}, {"pcmk_host_check", "dynamic-list"}}).lists("a"));
    EXPECT_TRUE(device({{"pcmk_host_list", "a"}}).lists("A"));
}

TEST(Device, TheAgentReadsWhatIsForItAndNothingElse) {
    AgentTraits traits;
    traits.host_argument = "plug";
    const auto d = device({{"ipaddr", "10.0.0.1"},
                           {"action", "ignored"},
                           {"pcmk_host_map", "node1:7"},
                           {"pcmk_off_action", "poweroff"},
                           {"CRM_meta_timeout", "20000"},
                           {"crm_feature_set", "3.16.1"},
                           {"provides", "unfencing"},
                           {"stonith-timeout", "5"}},
                          traits);
    const std::vector<std::pair<std::string, std::string>> expected{
        {"action", "poweroff"}, {"nodename", "node1"}, {"plug", "7"}, {"ipaddr", "10.0.0.1"}};
    EXPECT_EQ(d.agent_input("off", "NODE1").size(), expected.size());
    EXPECT_EQ(d.agent_input("off", "node1"), expected);
    const std::vector<std::pair<std::string, std::string>> monitor{{"action", "monitor"}, {"ipaddr", "10.0.0.1"}};
    EXPECT_EQ(d.agent_input("monitor", ""), monitor);
}

TEST(Device, AGivenPlugIsNotOverwrittenUnlessDynamic) {
    AgentTraits traits;
    traits.host_argument = "port";
    const auto value = [](const std::vector<std::pair<std::string, std::string>>& input, std::string_view name) {
        std::string found;
        for (const auto& [n, v] : input) {
            if (n == name) found += (found.empty() ? "" : "|") + v;
        }
        return found;
    };
    EXPECT_EQ(value(device({{"port", "9"}}, traits).agent_input("off", "n"), "port"), "9");
    EXPECT_EQ(value(device({{"port", "dynamic"}}, traits).agent_input("off", "n"), "port"), "n");
    EXPECT_EQ(value(device({{"pcmk_host_argument", "outlet"}}, traits).agent_input("off", "n"), "outlet"), "n");
    EXPECT_EQ(value(device({{"pcmk_host_argument", "none"}}, traits).agent_input("off", "n"), "port"), "");
}

TEST(Device, DelaysAreForCuttingOffOnlyAndMayDependOnTheTarget) {
    const auto d = device({{"pcmk_delay_base", "node1:5s;node2:10s"}, {"pcmk_delay_max", "1min"}});
    EXPECT_EQ(d.delays("off", "node2").base, Duration{10'000});
    EXPECT_EQ(d.delays("reboot", "node3").base, Duration{0});
    EXPECT_EQ(d.delays("off", "node1").max, Duration{60'000});
    EXPECT_EQ(d.delays("on", "node1").max, Duration{0});
    EXPECT_EQ(device({{"pcmk_delay_base", " 7 "}}).delays("off", "x").base, Duration{7'000});
}

TEST(Device, AnAgentWithoutRebootHasTheLimitOfOff) {
    AgentTraits none;
    EXPECT_EQ(device({{"pcmk_off_timeout", "7"}, {"pcmk_reboot_timeout", "9"}}, none).action_timeout("reboot"),
              Duration{7'000});
    AgentTraits has;
    has.reboot = true;
    EXPECT_EQ(device({{"pcmk_off_timeout", "7"}, {"pcmk_reboot_timeout", "9"}}, has).action_timeout("reboot"),
              Duration{9'000});
    EXPECT_EQ(device({}, has).action_timeout("reboot"), std::nullopt);
}

TEST(DeviceTable, ADeviceIsGoneWhenBothRegistrationsAre) {
    DeviceTable table;
    const DeviceDescription what{"D", "fence_x", {}, false};
    EXPECT_TRUE(table.add(what, Registration::kCib));
    EXPECT_FALSE(table.add(what, Registration::kApi));
    table.find("D")->verified = true;
    EXPECT_FALSE(table.remove("D", Registration::kApi));
    EXPECT_FALSE(table.find("D")->verified) << "the resource that proved the access has stopped";
    EXPECT_TRUE(table.remove("D", Registration::kCib));
    EXPECT_EQ(table.find("D"), nullptr);
}

TEST(Agent, MetadataTellsWhatItCan) {
    const auto traits = read_agent_metadata(R"(<?xml version="1.0"?>
<resource-agent name="fence_x"><parameters><parameter name="port"/><parameter name="plug"/></parameters>
<actions><action name="on" required="1" on_target="1"/><action name="off"/><action name="list"/></actions></resource-agent>)");
    ASSERT_TRUE(traits.has_value());
    EXPECT_TRUE(traits->on && traits->automatic_unfencing && traits->list && !traits->reboot && !traits->status);
    EXPECT_TRUE(traits->on_target_only.contains("on"));
    EXPECT_EQ(traits->host_argument, "plug");
    EXPECT_FALSE(read_agent_metadata("no XML").has_value());
}

constexpr std::string_view kCib = R"(<cib><configuration><crm_config/>
<resources>
 <template id="ipmi" class="stonith" type="fence_ipmi"><instance_attributes id="t-p"><nvpair id="t1" name="lanplus" value="1"/><nvpair id="t2" name="user" value="root"/></instance_attributes></template>
 <primitive id="F1" template="ipmi"><instance_attributes id="f1-p"><nvpair id="p1" name="user" value="admin"/></instance_attributes></primitive>
 <clone id="C"><primitive id="F2" class="stonith" type="fence_x"><meta_attributes id="m2"><nvpair id="m21" name="provides" value="unfencing"/></meta_attributes></primitive></clone>
 <group id="G"><meta_attributes id="gm"><nvpair id="gm1" name="target-role" value="stopped"/></meta_attributes><primitive id="F3" class="stonith" type="fence_x"/></group>
 <primitive id="D" class="ocf" provider="pacemaker" type="Dummy"/>
</resources>
<constraints>
 <rsc_location id="l1" rsc="F1" node="node2" score="-INFINITY"/>
 <rsc_location id="l2" rsc="C"><rule id="r" score="-INFINITY"><expression id="e" attribute="#uname" operation="eq" value="node3"/></rule></rsc_location>
 <rsc_location id="l3" rsc-pattern="^F[2]$" node="node4" score="-1"/>
</constraints></configuration></cib>)";

TEST(CibDevices, AreThoseThatTheNodeMayUse) {
    const auto cib = parsed(kCib);
    const auto ids = [&](std::string_view node) {
        std::string all;
        for (const auto& d : devices_from_cib(*cib, node, allowed_by_location)) all += d.id + " ";
        return all;
    };
    EXPECT_EQ(ids("node1"), "F1 F2 ");
    EXPECT_EQ(ids("node2"), "F2 ");
    EXPECT_EQ(ids("node3"), "F1 ");
    EXPECT_EQ(ids("node4"), "F1 ");
}

TEST(CibDevices, TakeParametersOfTheirTemplate) {
    const auto devices = devices_from_cib(*parsed(kCib), "node1", allowed_by_location);
    ASSERT_EQ(devices.size(), 2U);
    EXPECT_EQ(devices[0].agent, "fence_ipmi");
    const Parameters expected{{"lanplus", "1"}, {"user", "admin"}};
    EXPECT_EQ(devices[0].parameters, expected);
    EXPECT_TRUE(devices[1].provides_unfencing);
}

TEST(CibDevices, AnOptInClusterLetsInByScoreOnly) {
    const auto cib = parsed(
        R"(<cib><configuration><crm_config><cluster_property_set id="o"><nvpair id="s" name="symmetric-cluster" value="false"/></cluster_property_set></crm_config>
<resources><primitive id="F" class="stonith" type="fence_x"/></resources>
<constraints><rsc_location id="l" rsc="F" node="node1" score="100"/></constraints></configuration></cib>)");
    EXPECT_TRUE(allowed_by_location(*cib, "F", "node1"));
    EXPECT_FALSE(allowed_by_location(*cib, "F", "node2"));
}

TEST(Topology, NamesGoBeforePatternsBeforeAttributes) {
    Topology topology;
    const auto add = [&](std::string_view text) { return topology.add(*parsed(text), true); };
    ASSERT_TRUE(add(R"(<fencing-level id="1" target-attribute="rack" target-value="1" index="1" devices="R"/>)"));
    ASSERT_TRUE(add(R"(<fencing-level id="2" target-pattern="^db" index="1" devices="P"/>)"));
    ASSERT_TRUE(add(R"(<fencing-level id="3" target="db1" index="2" devices="N, M"/>)"));
    ASSERT_TRUE(add(R"(<fencing-level id="4" target="DB1" index="2" devices="O"/>)"));
    const HasAttribute rack = [](auto, auto name, auto value) { return name == "rack" && value == "1"; };
    const auto devices = [&](std::string_view node) {
        const auto* levels = topology.of(node, rack);
        std::string all;
        if (levels == nullptr) return all;
        for (const auto& [index, list] : *levels) {
            all += std::to_string(index) + ":";
            for (const auto& d : list) all += d + " ";
        }
        return all;
    };
    EXPECT_EQ(devices("db1"), "2:N M O ");
    EXPECT_EQ(devices("db2"), "1:P ");
    EXPECT_EQ(devices("web1"), "1:R ");
    EXPECT_EQ(add(R"(<fencing-level id="5" target="x" index="10" devices="A"/>)").error().what,
              "Invalid level number '10' for topology level '5'");
    EXPECT_FALSE(add(R"(<fencing-level id="6" index="1" devices="A"/>)"));
    EXPECT_FALSE(add(R"(<fencing-level target="x" index="1" devices="A"/>)"));
    ASSERT_TRUE(topology.remove(*parsed(R"(<fencing-level target="db1" index="0"/>)")));
    EXPECT_EQ(devices("db1"), "1:P ");
    topology.drop_those_from_cib();
    EXPECT_EQ(topology.of("db2", rack), nullptr);
}

}  // namespace
}  // namespace systole::fencing
