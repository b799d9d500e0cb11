#include "cib/acl.h"

#include <fmt/format.h>

#include "cib/operations.h"
#include "cib/rc.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::cib {
namespace {

xml::NodePtr parsed(std::string_view text) {
    auto result = xml::parse(text);
    EXPECT_TRUE(result.has_value()) << text;
    return result ? *result : xml::NodePtr{};
}

/// alice may do what `permissions` say; carol has an entry without roles; the group "ops" may write resource B.
xml::NodePtr cib_with(std::string_view permissions, std::string_view enabled = "true") {
    return parsed(fmt::format(
        R"(<cib epoch="1" dc-uuid="1"><configuration><crm_config><cluster_property_set id="o"><nvpair id="o-acl" name="enable-acl" value="{}"/></cluster_property_set></crm_config>)"
        R"(<resources><primitive id="A" class="ocf"><meta_attributes id="A-meta"><nvpair id="A-role" name="target-role" value="Started"/></meta_attributes></primitive><primitive id="B" class="ocf"/></resources>)"
        R"(<acls><acl_target id="1" name="alice"><role id="R"/></acl_target><acl_target id="carol"/><acl_group id="ops"><role id="G"/></acl_group>)"
        R"(<acl_role id="R">{}</acl_role><acl_role id="G"><acl_permission id="g" kind="write" reference="B"/></acl_role></acls></configuration><status/></cib>)",
        enabled, permissions));
}

std::string seen_by(std::string_view user, std::string_view permissions, const std::vector<std::string>& groups = {}) {
    const xml::NodePtr cib = cib_with(permissions);
    const xml::NodePtr visible = Rights(*cib, user, groups).filter(cib);
    return visible ? xml::write(*visible) : "nothing";
}

TEST(Acl, BindsOrdinaryUsersWhereEnabled) {
    EXPECT_TRUE(acls_bind(*cib_with(""), "alice"));
    EXPECT_FALSE(acls_bind(*cib_with(""), "root"));
    EXPECT_FALSE(acls_bind(*cib_with(""), "hacluster"));
    EXPECT_FALSE(acls_bind(*cib_with(""), ""));
    EXPECT_FALSE(acls_bind(*cib_with("", "false"), "alice"));
}

TEST(Acl, AReaderSeesWhatIsReadableAndTheWayToIt) {
    constexpr std::string_view kWay = R"(<cib><configuration><resources>{}</resources></configuration></cib>)";
    const auto way = [&](std::string_view inner) { return fmt::format(fmt::runtime(kWay), inner); };
    EXPECT_EQ(seen_by("alice", R"(<acl_permission id="p" kind="read" xpath="//primitive[@id='B']"/>)"),
              way(R"(<primitive id="B" class="ocf"/>)"));
    EXPECT_EQ(
        seen_by("alice", R"(<acl_permission id="p" kind="read" reference="A-role"/>)"),
        way(R"(<primitive id="A"><meta_attributes id="A-meta"><nvpair id="A-role" name="target-role" value="Started"/></meta_attributes></primitive>)"));
    EXPECT_EQ(seen_by("alice", R"(<acl_permission id="p" kind="write" object-type="primitive" attribute="nothing"/>)"),
              "nothing");
    EXPECT_EQ(
        seen_by(
            "alice",
            R"(<acl_permission id="p" kind="read" object-type="primitive"/><acl_permission id="d" kind="deny" reference="A-meta"/>)"),
        way(R"(<primitive id="A" class="ocf"/><primitive id="B" class="ocf"/>)"));
    EXPECT_EQ(
        seen_by(
            "alice",
            R"(<acl_permission id="d" kind="deny" reference="B"/><acl_permission id="p" kind="read" xpath="//@class"/>)"),
        way(R"(<primitive id="A" class="ocf"><meta_attributes id="A-meta"><nvpair id="A-role" name="target-role" value="Started"/></meta_attributes></primitive>)"));
    EXPECT_EQ(seen_by("bob", ""), "nothing");
    EXPECT_EQ(seen_by("carol", ""), "nothing");
    EXPECT_EQ(seen_by("bob", "", {"ops"}), way(R"(<primitive id="B" class="ocf"/>)"));
}

struct WriteCase {
    const char* claim;
    const char* permissions;
    Op op;
    const char* section;
    std::uint32_t options;
    const char* input;
    int rc;
};

TEST(Acl, AWriterChangesWhatIsHis) {
    constexpr const char* kWriteA = R"(<acl_permission id="p" kind="write" reference="A"/>)";
    constexpr const char* kWriteAllButMeta =
        R"(<acl_permission id="p" kind="write" xpath="//resources"/><acl_permission id="d" kind="deny" reference="A-meta"/>)";
    const std::vector<WriteCase> cases{
        {"an attribute of his", kWriteA, Op::kModify, "resources", 0, R"(<primitive id="A" type="x"/>)", 0},
        {"not of another", kWriteA, Op::kModify, "resources", 0, R"(<primitive id="B" type="x"/>)", rc::kDenied},
        {"reading isn't writing", R"(<acl_permission id="p" kind="read" reference="A"/>)", Op::kModify, "resources", 0,
         R"(<primitive id="A" type="x"/>)", rc::kDenied},
        {"something below his", kWriteA, Op::kModify, "resources", 0,
         R"(<primitive id="A"><operations><op id="o" name="monitor"/></operations></primitive>)", 0},
        {"nothing beside it", kWriteA, Op::kCreate, "resources", 0, R"(<primitive id="C" class="ocf"/>)", rc::kDenied},
        {"but bare scaffolding", kWriteA, Op::kCreate, "resources", 0, R"(<group id="g"/>)", 0},
        {"not among the ACLs", kWriteA, Op::kCreate, "acls", 0, R"(<acl_role id="g"/>)", rc::kDenied},
        {"deny wins below", kWriteAllButMeta, Op::kModify, "resources", 0, R"(<nvpair id="A-role" value="Stopped"/>)",
         rc::kDenied},
        {"his can be removed with what is denied in it", kWriteAllButMeta, Op::kDelete, "resources", 0,
         R"(<primitive id="A"/>)", 0},
        {"what is denied can't", kWriteAllButMeta, Op::kDelete, "resources", 0, R"(<meta_attributes id="A-meta"/>)",
         rc::kDenied},
        {"a change of nothing is no violation", kWriteA, Op::kModify, "resources", 0,
         R"(<primitive id="B" class="ocf"/>)", 0},
        {"what he may write by its name may also be made, with the way to it",
         R"(<acl_permission id="p" kind="write" xpath="//nvpair[@name='target-role']"/>)", Op::kModify, "resources", 0,
         R"(<primitive id="B"><meta_attributes id="m"><nvpair id="n" name="target-role" value="x"/></meta_attributes></primitive>)",
         0},
        {"and nothing else beside it", R"(<acl_permission id="p" kind="write" xpath="//nvpair[@name='target-role']"/>)",
         Op::kModify, "resources", 0,
         R"(<primitive id="B"><meta_attributes id="m"><nvpair id="n" name="is-managed" value="x"/></meta_attributes></primitive>)",
         rc::kDenied},
        {"nor does a new name make an old object his",
         R"(<acl_permission id="p" kind="write" xpath="//nvpair[@name='is-managed']"/>)", Op::kModify, "resources", 0,
         R"(<nvpair id="A-role" name="is-managed"/>)", rc::kDenied},
        {"one violation refuses all", kWriteA, Op::kModify, "configuration", 0,
         R"(<resources><primitive id="A" type="x"/><primitive id="B" type="x"/></resources>)", rc::kDenied},
    };
    for (const WriteCase& c : cases) {
        const xml::NodePtr cib = cib_with(c.permissions);
        xml::Builder b(*make_request(c.op, c.section, parsed(c.input), c.options));
        b.set("cib_user", "alice");
        const Outcome o = execute(cib, read_request(std::move(b).build()), {});
        EXPECT_EQ(o.rc, c.rc) << c.claim << ": " << o.why;
        if (c.rc != 0) {
            EXPECT_EQ(o.cib, cib) << c.claim;
        }
    }
}

TEST(Acl, ARefusalNamesThePlace) {
    xml::Builder b(*make_request(Op::kModify, "resources", parsed(R"(<primitive id="B" type="x"/>)")));
    b.set("cib_user", "alice");
    EXPECT_EQ(execute(cib_with(R"(<acl_permission id="p" kind="write" reference="A"/>)"),
                      read_request(std::move(b).build()), {})
                  .why,
              "user 'alice' may not change /cib/configuration/resources/primitive[@id='B']");
}

TEST(Acl, EachDecisionAboutAChangeIsTold) {
    const auto notes = [](const char* permissions, Op op, const char* input) {
        xml::Builder b(*make_request(op, "resources", parsed(input)));
        b.set("cib_user", "alice");
        std::vector<std::string> told;
        World world;
        world.on_acl = [&told](const AclNote& note) { told.push_back((note.about_creation ? "+" : "") + note.text); };
        (void)execute(cib_with(permissions), read_request(std::move(b).build()), world);
        return told;
    };
    constexpr const char* kWriteA = R"(<acl_permission id="p" kind="write" reference="A"/>)";
    EXPECT_THAT(notes(kWriteA, Op::kModify, R"(<primitive id="A"><op id="o" name="x"/></primitive>)"),
                testing::ElementsAre("+ACLs allow creation of <op> with id=\"o\""));
    EXPECT_THAT(notes(kWriteA, Op::kCreate, R"(<group id="g"><primitive id="C" type="x"/></group>)"),
                testing::ElementsAre("+Creation of <group> scaffolding with id=\"g\" is implicitly allowed",
                                     "Default ACL denies user 'alice' read/write access to "
                                     "/cib/configuration/resources/group[@id='g']/primitive[@id='C']",
                                     "+ACLs disallow creation of <primitive> with id=\"C\""));
    EXPECT_THAT(notes(R"(<acl_permission id="p" kind="deny" xpath="//resources"/>)", Op::kModify,
                      R"(<primitive id="B" class="x"/>)"),
                testing::ElementsAre("Parent ACL denies user 'alice' read/write access to "
                                     "/cib/configuration/resources/primitive[@id='B'][@class]"));
}

TEST(Acl, QueriesAnswerFromWhatIsVisible) {
    const xml::NodePtr cib = cib_with(R"(<acl_permission id="p" kind="read" reference="B"/>)");
    const auto ask = [&](const char* xpath, const char* user) {
        xml::Builder b(*make_request(Op::kQuery, xpath, {}, option::kXPath));
        b.set("cib_user", user);
        const Outcome o = execute(cib, read_request(std::move(b).build()), {});
        return o.output ? xml::write(*o.output) : fmt::format("rc {}", o.rc);
    };
    EXPECT_EQ(ask("//primitive", "alice"), R"(<primitive id="B" class="ocf"/>)");
    EXPECT_EQ(ask("//nvpair", "alice"), "rc -6");
    EXPECT_EQ(ask("//primitive", "bob"), "rc -13");
}

}  // namespace
}  // namespace systole::cib
