#include "cib/schema_acceptor.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "cib/schema_judges.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::cib {
namespace {

const SchemaJudges& judges_of(std::string_view schema) {
    static const std::vector<SchemaJudges> all = judges_in(SYSTOLE_SCHEMA_DIR);
    return *std::ranges::find(all, schema, &SchemaJudges::name);
}

// Something of everything, so that changes of it reach every corner of a schema.
constexpr std::string_view kRich = R"(<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="7" num_updates="0">
<configuration>
 <crm_config><cluster_property_set id="o"><rule id="o-r" score="5" boolean-op="or"><date_expression id="o-e" operation="in_range" start="2026-01-01"/>
  <date_expression id="o-f" operation="date_spec"><date_spec id="o-g" hours="9-16" weekdays="1-5"/></date_expression></rule>
  <nvpair id="o-1" name="stonith-enabled" value="true"/><nvpair id="o-2" name="no-quorum-policy" value="stop"/></cluster_property_set></crm_config>
 <nodes><node id="1" uname="a"/><node id="2" uname="b" type="member"><instance_attributes id="n2"><nvpair id="n2-x" name="x" value="1"/></instance_attributes>
  <utilization id="n2-u"><nvpair id="n2-c" name="cpu" value="4"/></utilization></node></nodes>
 <resources>
  <template id="T" class="ocf" provider="pacemaker" type="Dummy"><operations><op id="T-m" name="monitor" interval="10s"/></operations></template>
  <primitive id="A" template="T"><meta_attributes id="A-m"><nvpair id="A-p" name="priority" value="3"/></meta_attributes></primitive>
  <group id="G"><meta_attributes id="G-m"/><primitive id="B" class="ocf" provider="heartbeat" type="IPaddr2"><instance_attributes id="B-i">
   <nvpair id="B-ip" name="ip" value="192.0.2.1"/></instance_attributes><operations><op id="B-s" name="start" interval="0" timeout="20s" on-fail="restart"/>
   <op id="B-n" name="monitor" interval="10s" role="Started" enabled="true"><instance_attributes id="B-x"><nvpair id="B-y" name="z" value=""/></instance_attributes></op></operations></primitive>
   <primitive id="C" class="systemd" type="cron"/></group>
  <clone id="CL"><meta_attributes id="CL-m"><nvpair id="CL-i" name="interleave" value="true"/></meta_attributes><primitive id="D" class="lsb" type="d"/></clone>
  <bundle id="K"><podman image="i" replicas="3" promoted-max="1" run-command="x"/><network ip-range-start="192.0.2.9" control-port="3121"><port-mapping id="K-p" port="80"/></network>
   <storage><storage-mapping id="K-s" source-dir="/a" target-dir="/b"/></storage><primitive id="E" class="ocf" provider="p" type="t"/></bundle>
 </resources>
 <constraints><rsc_location id="l1" rsc="A" node="a" score="INFINITY"/><rsc_location id="l2" rsc-pattern="^B" resource-discovery="never"><rule id="l2-r" score-attribute="s">
   <expression id="l2-e" attribute="#uname" operation="eq" value="a"/></rule></rsc_location>
  <rsc_location id="l3" score="-5" node="b"><resource_set id="l3-s"><resource_ref id="A"/><resource_ref id="G"/></resource_set></rsc_location>
  <rsc_colocation id="c1" rsc="A" with-rsc="G" score="100"/><rsc_colocation id="c2" score="-INFINITY"><resource_set id="c2-s" sequential="false"><resource_ref id="A"/></resource_set></rsc_colocation>
  <rsc_order id="o1" first="A" then="G" kind="Mandatory" first-action="start"/><rsc_ticket id="t1" rsc="A" ticket="T1" loss-policy="stop"/></constraints>
 <rsc_defaults><meta_attributes id="rd"><rule id="rd-r" score="0"><rsc_expression id="rd-e" class="ocf"/></rule><nvpair id="rd-s" name="resource-stickiness" value="1"/></meta_attributes></rsc_defaults>
 <op_defaults><meta_attributes id="od"><nvpair id="od-t" name="timeout" value="60s"/></meta_attributes></op_defaults>
 <fencing-topology><fencing-level id="f1" target="a" index="1" devices="A,B"/><fencing-level id="f2" target-pattern="b.*" index="2" devices="C"/></fencing-topology>
 <acls><acl_role id="R"><acl_permission id="R-1" kind="read" xpath="/cib"/><acl_permission id="R-2" kind="write" reference="A"/></acl_role><acl_target id="u"><role id="R"/></acl_target></acls>
 <tags><tag id="tg"><obj_ref id="A"/><obj_ref id="G"/></tag></tags>
 <alerts><alert id="al" path="/x"><select><select_nodes/></select><recipient id="al-r" value="v"/></alert></alerts>
</configuration><status><node_state id="1" uname="a" x="y"><anything/></node_state></status></cib>)";

class Mutator {
public:
    explicit Mutator(std::uint32_t seed) : random_(seed) {}

    // One change somewhere in the tree.
    xml::NodePtr change(const xml::NodePtr& tree) {
        std::size_t size = count(*tree);
        std::size_t at = pick(size);
        return changed(*tree, at, *tree);
    }

private:
    std::size_t pick(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }

    static std::size_t count(const xml::Node& node) {
        std::size_t n = 1;
        for (const auto& child : node.children()) n += count(*child);
        return n;
    }

    const xml::Node* any_of(const xml::Node& tree) {
        std::size_t at = pick(count(tree));
        const xml::Node* found = nullptr;
        const auto walk = [&](const auto& self, const xml::Node& node) -> void {
            if (at-- == 0) found = &node;
            for (const auto& child : node.children())
                if (found == nullptr) self(self, *child);
        };
        walk(walk, tree);
        return found;
    }

    xml::NodePtr changed(const xml::Node& node, std::size_t& at, const xml::Node& tree) {
        if (at == 0) {
            at = static_cast<std::size_t>(-1);
            return mutated(node, tree);
        }
        --at;
        xml::Builder builder(node);
        for (std::size_t i = 0; i < node.children().size(); ++i) {
            const std::size_t size = count(*node.children()[i]);
            if (at < size) {
                builder.replace(i, changed(*node.children()[i], at, tree));
                return std::move(builder).build();
            }
            at -= size;
        }
        return std::move(builder).build();
    }

    xml::NodePtr mutated(const xml::Node& node, const xml::Node& tree) {
        static constexpr std::array kValues{"",  "A",        "a b", " 1 ",       "-3",  "+7",   "true",
                                            "0", "INFINITY", "10s", "none-such", "1,2", "stop", "ping"};
        xml::Builder builder(node);
        const auto attributes = node.attributes();
        const auto children = node.children();
        switch (pick(8)) {
            case 0:
                if (!attributes.empty()) builder.unset(attributes[pick(attributes.size())].name.view());
                break;
            case 1:
                if (!attributes.empty())
                    builder.set(attributes[pick(attributes.size())].name.view(), kValues[pick(kValues.size())]);
                break;
            case 2: {
                const auto others = any_of(tree)->attributes();
                if (!others.empty()) {
                    const auto& other = others[pick(others.size())];
                    builder.set(other.name.view(), other.value);
                }
                break;
            }
            case 3:
                if (!children.empty()) builder.erase(pick(children.size()));
                break;
            case 4: builder.insert(pick(children.size() + 1), any_of(tree)->share()); break;
            case 5:
                if (!children.empty()) builder.add(children[pick(children.size())]);
                break;
            case 6: builder.rename(any_of(tree)->name()); break;
            case 7:
                if (children.size() > 1) {
                    const std::size_t from = pick(children.size());
                    const xml::NodePtr moved = children[from];
                    builder.erase(from);
                    builder.insert(pick(children.size()), moved);
                }
                break;
        }
        return std::move(builder).build();
    }

    std::mt19937 random_;
};

TEST(SchemaAcceptor, ReadsEverySchemaOfTheCib) {
    const auto judges = judges_in(SYSTOLE_SCHEMA_DIR);
    EXPECT_EQ(judges.size(), 26U);
    for (const SchemaJudges& both : judges) EXPECT_NE(both.quick, nullptr) << both.name;
}

TEST(SchemaAcceptor, RefusesGrammarsThatItDoesNotUnderstand) {
    const auto grammar = [](const std::string& start) {
        return SchemaAcceptor::read("<grammar><start>" + start + "</start></grammar>");
    };
    EXPECT_NE(grammar("<element name=\"a\"><text/></element>"), nullptr);
    for (const char* beyond :
         {"<element name=\"a\"><list><text/></list></element>", "<ref name=\"nowhere\"/>",
          "<element ns=\"urn:x\" name=\"a\"/>",
          "<element name=\"a\"><attribute name=\"b\"><data type=\"dateTime\"/></attribute></element>",
          "<element name=\"a\"><attribute name=\"b\"><data type=\"integer\"><param "
          "name=\"minInclusive\">1</param></data></attribute></element>"})
        EXPECT_EQ(grammar(beyond), nullptr) << beyond;
    EXPECT_EQ(SchemaAcceptor::read("<grammar>"), nullptr);
    EXPECT_EQ(SchemaAcceptor::read("<schema/>"), nullptr);
}

TEST(SchemaAcceptor, KnowsTheValidCib) {
    const auto rich = *xml::parse(kRich);
    EXPECT_TRUE(judges_of("pacemaker-3.9").quick->accepts(*rich));
    EXPECT_FALSE(judges_of("pacemaker-1.0").quick->accepts(*rich));
}

TEST(SchemaAcceptor, AcceptsNoNumberThatLibxml2Refuses) {
    const auto& [schema, quick, telling] = judges_of("pacemaker-3.9");
    const auto rich = *xml::parse(kRich);
    const std::string text = xml::write(*rich);
    const auto verdicts = [&](const std::string& was, const std::string& value) {
        std::string changed = text;
        const auto at = changed.find(was);
        changed.replace(at, was.size(), was.substr(0, was.find('"') + 1) + value + '"');
        const auto cib = *xml::parse(changed);
        return std::pair(quick->accepts(*cib),
                         validate_document(*to_document(*cib, Leave::kStatus), *telling).has_value());
    };
    int accepted = 0;
    for (const char* value : {"+-5", "-+5", "++5", "--5", "+", "-", "", "-0", "+0", "007", "-7", "1.5", "5 ", "1e3",
                              "99999999999999999999"}) {
        for (const char* was : {R"(epoch="7")", R"(score="100")", R"(index="1")"}) {
            const auto [ours, theirs] = verdicts(was, value);
            EXPECT_TRUE(theirs || !ours) << was << " as '" << value << "'";
            accepted += ours ? 1 : 0;
        }
    }
    EXPECT_GT(accepted, 5);
}

// What is accepted is valid for libxml2 too, and what is valid is accepted, but for blanks in values.
TEST(SchemaAcceptor, AgreesWithLibxml2OnRandomChanges) {
    const auto rich = *xml::parse(kRich);
    int valid = 0, invalid = 0, unsure = 0;
    for (std::uint32_t seed = 0; seed < 1500; ++seed) {
        Mutator mutator(seed);
        xml::NodePtr cib = rich;
        for (std::uint32_t i = 0; i <= seed % 3; ++i) cib = mutator.change(cib);
        for (const char* name : {"pacemaker-2.10", "pacemaker-3.9", "pacemaker-4.0"}) {
            const auto& [schema, quick, telling] = judges_of(name);
            const bool accepted = quick->accepts(*cib);
            const auto verdict = validate_document(*to_document(*cib, Leave::kStatus), *telling);
            ASSERT_TRUE(!accepted || verdict) << name << " " << verdict.error().what << "\n" << xml::write(*cib);
            ++(verdict ? valid : invalid);
            if (verdict && !accepted) {
                ++unsure;
                EXPECT_NE(xml::write(*cib).find("=\" 1 \""), std::string::npos) << name << "\n" << xml::write(*cib);
            }
        }
    }
    EXPECT_GT(valid, 300);
    EXPECT_GT(invalid, 1000);
    EXPECT_LT(unsure, 20);
}

}  // namespace
}  // namespace systole::cib
