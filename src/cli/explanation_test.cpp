#include "cli/explanation.h"

#include <fmt/format.h>

#include "cli/graph_svg.h"
#include "xml/parse.h"

namespace systole::cli {
namespace {

constexpr std::string_view kRunning = R"(<lrm_resource id='web' class='ocf' provider='pacemaker' type='Dummy'>
    <lrm_rsc_op id='web_last_0' operation='start' operation_key='web_start_0' call-id='5' rc-code='0' op-status='0'
      interval='0' transition-magic='0:0;1:1:0:x' transition-key='1:1:0:x' last-rc-change='1'/></lrm_resource>)";

struct World {
    std::string_view meta{}, constraints{}, node2{}, transient2{};
};

xml::NodePtr cib_of(const World& world) {
    const auto cib = xml::parse(fmt::format(
        R"(<cib have-quorum='1'><configuration><crm_config><cluster_property_set id='o'>
        <nvpair id='o-f' name='fencing-enabled' value='false'/></cluster_property_set></crm_config>
        <nodes><node id='1' uname='n1'/><node id='2' uname='n2'>{2}</node></nodes>
        <resources><primitive id='web' class='ocf' provider='pacemaker' type='Dummy'>{0}</primitive>
        <primitive id='db' class='ocf' provider='pacemaker' type='Dummy'/></resources>
        <constraints>{1}</constraints></configuration><status>
        <node_state id='1' uname='n1' in_ccm='true' crmd='online' join='member' expected='member'>
          <lrm id='1'><lrm_resources>{3}</lrm_resources></lrm></node_state>
        <node_state id='2' uname='n2' in_ccm='true' crmd='online' join='member' expected='member'>{4}</node_state>
        </status></cib>)",
        world.meta, world.constraints, world.node2, kRunning, world.transient2));
    EXPECT_TRUE(cib);
    return *cib;
}

Explanation explained(const World& world, const char* node = "n2") {
    auto result = explain(cib_of(world), rules::DateTime{WallTime{1'700'000'000}, 0}, "web", node);
    EXPECT_TRUE(result);
    return *result;
}

std::vector<std::string> remedies(const Explanation& explanation) {
    std::vector<std::string> texts;
    for (const Change& change : explanation.remedies) texts.push_back(change.text);
    return texts;
}

TEST(Explain, NamesTheConstraintThatForbidsANodeAndWhatHelps) {
    const auto e = explained({.constraints = "<rsc_location id='ban' rsc='web' node='n2' score='-INFINITY'/>"});
    EXPECT_FALSE(e.there);
    ASSERT_EQ(e.instances.size(), 1U);
    EXPECT_EQ(e.instances[0].next_node, "n1");
    ASSERT_EQ(e.instances[0].nodes.size(), 2U);
    const NodeAnswer& n2 = e.instances[0].nodes[1];
    EXPECT_EQ(n2.score, "-INFINITY");
    ASSERT_EQ(n2.reasons.size(), 1U);
    EXPECT_EQ(n2.reasons[0].cause, "location");
    EXPECT_EQ(n2.reasons[0].id, "ban");
    // A preference alone is not enough, nor is it enough to take the ban away: it would stay where it is.
    EXPECT_THAT(remedies(e),
                testing::UnorderedElementsAre("prefer n2 for web", "remove location constraint or rule 'ban'"));
}

TEST(Explain, OneChangeIsEnoughWhereItIs) {
    EXPECT_THAT(remedies(explained({})), testing::ElementsAre("prefer n2 for web"));
    EXPECT_TRUE(explained({}, "n1").there);
}

TEST(Explain, AStandbyNodeHasToLeaveIt) {
    const auto e = explained({.node2 = "<instance_attributes id='a'><nvpair id='s' name='standby' value='on'/>"
                                       "</instance_attributes>"});
    EXPECT_EQ(e.instances[0].nodes[1].obstacle, "in standby");
    EXPECT_THAT(remedies(e), testing::UnorderedElementsAre("take n2 out of standby", "prefer n2 for web"));
}

TEST(Explain, TellsWhyNothingRuns) {
    const auto e = explained({.meta = "<meta_attributes id='m'><nvpair id='t' name='target-role' value='Stopped'/>"
                                      "</meta_attributes>"});
    EXPECT_EQ(e.instances[0].why_inactive, "target-role is Stopped");
    EXPECT_THAT(remedies(e), testing::Contains("set target-role of web to Started"));
}

TEST(Explain, FailuresAreNamedWithTheirLimit) {
    const auto e = explained(
        {.meta = "<meta_attributes id='m'><nvpair id='t' name='migration-threshold' value='1'/></meta_attributes>",
         .transient2 =
             "<transient_attributes id='2'><instance_attributes id='t2'><nvpair id='f' "
             "name='fail-count-web#start_0' value='INFINITY'/></instance_attributes></transient_attributes>"});
    ASSERT_FALSE(e.instances[0].nodes[1].reasons.empty());
    EXPECT_EQ(e.instances[0].nodes[1].reasons[0].cause, "migration-threshold");
    EXPECT_THAT(remedies(e), testing::Contains("clean up failures of web on n2"));
}

TEST(Explain, RefusesWhatIsNotThere) {
    const rules::DateTime now{WallTime{1'700'000'000}, 0};
    EXPECT_EQ(explain(cib_of({}), now, "nothing", std::nullopt).error().code, Errc::kNotFound);
    EXPECT_EQ(explain(cib_of({}), now, "web", "nowhere").error().code, Errc::kNotFound);
}

TEST(GraphSvg, DrawsEachActionOnce) {
    const auto plan = scheduler::schedule({.cib = cib_of({}), .now = rules::DateTime{WallTime{1'700'000'000}, 0}});
    ASSERT_TRUE(plan);
    const std::string svg = graph_svg(*plan->graph);
    EXPECT_TRUE(xml::parse(svg, {.text = xml::TextNodes::kKeep}));
    EXPECT_NE(svg.find("<title>db_start_0</title>"), std::string::npos);
    EXPECT_EQ(svg.find("<title>db_start_0</title>"), svg.rfind("<title>db_start_0</title>"));
}

}  // namespace
}  // namespace systole::cli
