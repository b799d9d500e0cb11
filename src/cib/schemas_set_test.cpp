#include "cib/schemas_set.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "xml/parse.h"
#include "xml/write.h"

namespace systole::cib {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string slurp(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

class SchemaSetTest : public ::testing::Test {
protected:
    static constexpr const char* kDirectory = SYSTOLE_SCHEMA_DIR;

    SchemaFiles files() {
        SchemaFiles files;
        for (const auto& entry : std::filesystem::directory_iterator(kDirectory)) {
            files.names.push_back(entry.path().filename());
        }
        files.read = [this](const std::string& name) -> Result<std::string> {
            reads_.push_back(name);
            return slurp(std::filesystem::path(kDirectory) / name);
        };
        return files;
    }

    static xml::NodePtr parse(const std::string& text) {
        auto tree = xml::parse(text);
        EXPECT_TRUE(tree.has_value());
        return *tree;
    }

    static std::string cib(const std::string& schema, const std::string& resources, const std::string& status = "") {
        return "<cib validate-with=\"" + schema + "\" admin_epoch=\"0\" epoch=\"1\" num_updates=\"0\"><configuration>" +
               "<crm_config/><nodes/><resources>" + resources + "</resources><constraints/></configuration><status>" +
               status + "</status></cib>";
    }

    std::vector<std::string> reads_;
};

TEST_F(SchemaSetTest, KnowsVersionsInOrderAndReadsNothingForThat) {
    const SchemaSet set(files());
    ASSERT_EQ(set.names().size(), 26U);
    EXPECT_EQ(set.names().front(), "pacemaker-1.0");
    EXPECT_EQ(set.newest(), "pacemaker-4.0");
    EXPECT_LT(std::ranges::find(set.names(), "pacemaker-3.9"), std::ranges::find(set.names(), "pacemaker-3.10"));
    EXPECT_THAT(reads_, ElementsAre());
}

TEST_F(SchemaSetTest, ReadsTheOneSchemaThatIsNeededOnce) {
    SchemaSet set(files());
    const auto valid =
        parse(cib("pacemaker-3.9", "<primitive id=\"A\" class=\"ocf\" provider=\"pacemaker\" type=\"Dummy\"/>"));
    EXPECT_TRUE(set.validate(*valid).has_value());
    EXPECT_TRUE(set.validate(*valid).has_value());
    EXPECT_THAT(reads_, ElementsAre("pacemaker-3.9.rng"));
}

TEST_F(SchemaSetTest, TellsTheElementThatIsWrong) {
    SchemaSet set(files());
    const auto verdict = set.validate(*parse(cib(
        "pacemaker-3.9",
        "<primitive id=\"A\" class=\"ocf\" provider=\"x\" type=\"y\"><operations><op id=\"A-start\" name=\"start\"/>"
        "</operations></primitive>")));
    ASSERT_FALSE(verdict.has_value());
    EXPECT_EQ(verdict.error().code, Errc::kInvalid);
    EXPECT_THAT(verdict.error().what, HasSubstr("element 'op' (id A-start) of primitive A"));
    EXPECT_THAT(verdict.error().what, HasSubstr("failed to validate attributes"));
}

TEST_F(SchemaSetTest, RefusesDuplicateAndUnknownIds) {
    SchemaSet set(files());
    EXPECT_FALSE(set.validate(*parse(cib("pacemaker-3.9",
                                         "<primitive id=\"A\" class=\"ocf\" provider=\"x\" type=\"y\"/><primitive "
                                         "id=\"A\" class=\"lsb\" type=\"y\"/>"))));
    const auto verdict = set.validate(*parse(cib("pacemaker-3.9", "<primitive id=\"A\" template=\"none-such\"/>")));
    ASSERT_FALSE(verdict.has_value());
    EXPECT_THAT(verdict.error().what, HasSubstr("none-such"));
}

TEST_F(SchemaSetTest, NamesAnUnknownOrMissingSchema) {
    SchemaSet set(files());
    EXPECT_EQ(set.validate(*parse(cib("pacemaker-9999.0", ""))).error().code, Errc::kNotFound);
    EXPECT_EQ(set.validate(*parse("<cib/>")).error().code, Errc::kNotFound);
    EXPECT_TRUE(set.validate(*parse(cib("none", "<nonsense/>"))).has_value());
}

TEST_F(SchemaSetTest, LooksAtTheRootOnlyWhereTheConfigurationIsShared) {
    SchemaSet set(files());
    const auto before = parse(cib("pacemaker-3.9", "<primitive id=\"A\" class=\"ocf\" provider=\"x\" type=\"y\"/>"));
    const auto same = std::move(xml::Builder(*before).set("epoch", "2")).build();
    EXPECT_TRUE(set.validate(*same, before.get()).has_value());
    const auto worse = std::move(xml::Builder(*before).set("epoch", "many")).build();
    EXPECT_FALSE(set.validate(*worse, before.get()).has_value());
}

TEST_F(SchemaSetTest, NeedsNoSchemaWhereOnlyThePairsValuesDiffer) {
    const auto with = [](const std::string& schema, const std::string& pair, const std::string& more = "") {
        return parse("<cib validate-with=\"" + schema + "\" admin_epoch=\"0\" epoch=\"1\" num_updates=\"0\">" +
                     "<configuration><crm_config><cluster_property_set id=\"o\">" + pair +
                     "</cluster_property_set></crm_config><nodes/><resources/><constraints/></configuration>" + more +
                     "<status/></cib>");
    };
    const std::string before = R"(<nvpair id="p" name="batch-limit" value="1"/>)";
    SchemaSet set(files());
    EXPECT_TRUE(set.validate(*with("pacemaker-3.9", R"(<nvpair id="p" name="batch-limit" value="2"/>)"),
                             with("pacemaker-3.9", before).get()));
    EXPECT_THAT(reads_, ElementsAre());
    // Everything else is looked at: another id, a pair without a name, another section, a value that a schema
    // restricts.
    const auto was = with("pacemaker-3.9", before + R"(<nvpair id="q" name="x" value="1"/>)");
    for (const char* worse : {R"(<nvpair id="q" name="batch-limit" value="1"/><nvpair id="q" name="x" value="1"/>)",
                              R"(<nvpair id="p" value="1"/><nvpair id="q" name="x" value="1"/>)"})
        EXPECT_FALSE(set.validate(*with("pacemaker-3.9", worse), was.get())) << worse;
    EXPECT_FALSE(set.validate(*with("pacemaker-3.9", before, "<more/>"), with("pacemaker-3.9", before).get()));
    const auto restricted = [&](const std::string& schema, const std::string& name, const std::string& value) {
        const auto pair = [&](const std::string& v) {
            return with(schema, "<nvpair id=\"p\" name=\"" + name + "\" value=\"" + v + "\"/>");
        };
        return set.validate(*pair(value), pair("fine").get()).has_value();
    };
    EXPECT_FALSE(restricted("pacemaker-3.9", "cluster-infrastructure", "heartbeat"));
    EXPECT_FALSE(restricted("pacemaker-4.0", "stonith-action", "poweroff"));
}

TEST_F(SchemaSetTest, UpgradesThroughAllSeriesAndKeepsStatusAsItIs) {
    std::vector<std::string> notes;
    SchemaSet set(files(), [&](const SchemaNote& note) { notes.push_back(note.text); });
    const auto old =
        parse(cib("pacemaker-2.10",
                  "<master id=\"M\"><primitive id=\"A\" class=\"ocf\" provider=\"x\" type=\"y\"><operations>"
                  "<op id=\"A-start\" name=\"start\" interval=\"0\" requires=\"quorum\"/></operations>"
                  "</primitive></master>",
                  "<node_state id=\"1\" original=\"mine\"/>"));
    const auto result = set.upgrade(old);
    ASSERT_TRUE(result.upgraded) << result.why;
    EXPECT_EQ(result.schema, "pacemaker-4.0");
    EXPECT_EQ(result.cib->get("validate-with"), "pacemaker-4.0");
    EXPECT_EQ(result.cib->child_ptr("status"), old->child_ptr("status"));
    const std::string text = xml::write(*result.cib);
    EXPECT_THAT(text, HasSubstr("<clone id=\"M\">"));
    EXPECT_THAT(text, HasSubstr("name=\"requires\" value=\"quorum\""));
    EXPECT_EQ(notes.front(), "Schema pacemaker-2.10 validates");
    EXPECT_EQ(notes.back(), "Transformed the configuration schema to pacemaker-4.0");
}

TEST_F(SchemaSetTest, StopsAtTheNewestAllowed) {
    SchemaSet set(files());
    const auto result = set.upgrade(parse(cib("pacemaker-2.5", "")), "pacemaker-3.3");
    EXPECT_EQ(result.schema, "pacemaker-3.3");
    EXPECT_TRUE(result.upgraded);
}

TEST_F(SchemaSetTest, SaysWhyNothingWasUpgraded) {
    SchemaSet set(files());
    const auto newest = set.upgrade(parse(cib("pacemaker-4.0", "")));
    EXPECT_FALSE(newest.upgraded);
    EXPECT_EQ(newest.refusal, Schemas::Refusal::kUnchanged);
    const auto invalid = set.upgrade(parse(cib("pacemaker-3.9", "<nonsense/>")));
    EXPECT_FALSE(invalid.upgraded);
    EXPECT_EQ(invalid.refusal, Schemas::Refusal::kInvalid);
    EXPECT_THAT(invalid.why, HasSubstr("nonsense"));
}

TEST_F(SchemaSetTest, HandsOutFilesOfNewerVersions) {
    SchemaSet set(files());
    const auto newer = set.files_after("pacemaker-3.9");
    ASSERT_EQ(newer->children().size(), 2U);
    EXPECT_EQ(newer->children()[0]->get("version"), "pacemaker-3.10");
    EXPECT_EQ(newer->children()[0]->children()[0]->get("path"), "pacemaker-3.10.rng");
    EXPECT_EQ(newer->children()[1]->get("version"), "pacemaker-4.0");
}

}  // namespace
}  // namespace systole::cib
