#include "cib/operations.h"

#include <fmt/format.h>

#include <ctime>

#include "cib/patchset.h"
#include "cib/rc.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::cib {
namespace {

xml::NodePtr parsed(std::string_view text) {
    auto result = xml::parse(text);
    EXPECT_TRUE(result.has_value()) << text << ": " << (result ? "" : result.error().what);
    return result ? *result : xml::NodePtr{};
}

/// One operation: what is in the configuration before, the request, and what is expected.
struct Case {
    const char* claim;
    const char* before;  ///< content of <resources>
    Op op;
    const char* section;
    std::uint32_t options;
    const char* input;
    int rc;
    const char* version;  ///< afterwards; 0.1.5 before
    const char* after;    ///< content of <resources>; null: as before
    const char* feature_set = "3.20.5";
};

std::string wrap(const Case& c, std::string_view content) {
    return fmt::format(R"(<cib crm_feature_set="{}" validate-with="none" admin_epoch="0" epoch="1" num_updates="5">)"
                       "<configuration><crm_config/><nodes/><resources>{}</resources><constraints/></configuration>"
                       "<status/></cib>",
                       c.feature_set, content);
}

constexpr std::uint32_t kX = option::kXPath;
constexpr std::uint32_t kXM = option::kXPath | option::kMultiple;

const std::vector<Case> kCases{
    {"a new object is appended", R"(<primitive id="A"/>)", Op::kCreate, "resources", 0,
     R"(<primitive id="B"><op id="o"/></primitive>)", 0, "0.2.0",
     R"(<primitive id="A"/><primitive id="B"><op id="o"/></primitive>)"},
    {"what exists isn't created again", R"(<primitive id="A"/>)", Op::kCreate, "resources", 0,
     R"(<primitive id="A" x="1"/>)", rc::kExists, "0.1.5", nullptr},
    {"an object in its own place is a change", R"(<primitive id="A"/>)", Op::kReplace, "resources", 0,
     R"(<primitive id="A"/>)", 0, "0.2.0", nullptr},
    {"older releases compared the two", R"(<primitive id="A"/>)", Op::kReplace, "resources", 0,
     R"(<primitive id="A"/>)", 0, "0.1.5", nullptr, "3.16.1"},
    {"all children of a section are created, or none", R"(<primitive id="A"/>)", Op::kCreate, "resources", 0,
     R"(<resources><primitive id="B"/><primitive id="A"/></resources>)", rc::kExists, "0.1.5", nullptr},
    {"a whole CIB is narrowed to the section", "", Op::kCreate, "resources", 0,
     R"(<cib><configuration><resources><primitive id="B"/></resources></configuration></cib>)", 0, "0.2.0",
     R"(<primitive id="B"/>)"},
    {"comments inside an object are kept", "", Op::kCreate, "resources", 0, R"(<primitive id="B"><!--c--></primitive>)",
     0, "0.2.0", R"(<primitive id="B"><!--c--></primitive>)"},
    {"2.1.5 made elements of comments", "", Op::kCreate, "resources", 0, R"(<primitive id="B"><!--c--></primitive>)", 0,
     "0.2.0", R"(<primitive id="B"><comment/></primitive>)", "3.16.1"},
    {"creating in a missing section is invalid", "", Op::kCreate, "tags", 0, R"(<tag id="t"/>)", rc::kInvalid, "0.1.5",
     nullptr},
    {"creating by XPath is not offered", "", Op::kCreate, "//resources", kX, R"(<primitive id="B"/>)", rc::kInvalid,
     "0.1.5", nullptr},

    {"attributes are merged in place", R"(<primitive id="A" a="1" b="2"/>)", Op::kModify, "resources", 0,
     R"(<primitive id="A" c="3" a="9"/>)", 0, "0.2.0", R"(<primitive id="A" a="9" b="2" c="3"/>)"},
    {"an equal object changes nothing", R"(<primitive id="A" a="1"/>)", Op::kModify, "resources", 0,
     R"(<primitive id="A" a="1"/>)", 0, "0.1.5", nullptr},
    {"children merge by id, then id-ref, then name", R"(<p id="A"><n id="1"/><m id-ref="r"/><k z="0"/></p>)",
     Op::kModify, "resources", 0, R"(<p id="A"><n id="1" x="1"/><n id="2"/><m id-ref="r" y="1"/><k w="1"/></p>)", 0,
     "0.2.0", R"(<p id="A"><n id="1" x="1"/><m id-ref="r" y="1"/><k z="0" w="1"/><n id="2"/></p>)"},
    {"the target may be deep below the section", R"(<group id="g"><primitive id="A"/></group>)", Op::kModify,
     "resources", 0, R"(<primitive id="A" x="1"/>)", 0, "0.2.0", R"(<group id="g"><primitive id="A" x="1"/></group>)"},
    {"modify doesn't create by itself", R"(<primitive id="A"/>)", Op::kModify, "resources", 0, R"(<primitive id="B"/>)",
     rc::kNotFound, "0.1.5", nullptr},
    {"modify creates if it may", R"(<primitive id="A"/>)", Op::kModify, "resources", option::kCanCreate,
     R"(<primitive id="B"/>)", 0, "0.2.0", R"(<primitive id="A"/><primitive id="B"/>)"},
    {"up to 2.1.8 such a copy didn't count as configuration", "", Op::kModify, "resources", option::kCanCreate,
     R"(<primitive id="B"/>)", 0, "0.1.6", R"(<primitive id="B"/>)", "3.19.5"},
    {"since 2.1.9 it does", "", Op::kModify, "resources", option::kCanCreate, R"(<primitive id="B"/>)", 0, "0.2.0",
     R"(<primitive id="B"/>)", "3.19.6"},
    {"up to 2.1.8 a new element without attributes wasn't even noticed", R"(<primitive id="A"/>)", Op::kModify,
     "resources", 0, R"(<primitive id="A"><operations/></primitive>)", 0, "0.1.5",
     R"(<primitive id="A"><operations/></primitive>)", "3.16.1"},
    {"a comment that is there already isn't added", R"(<p id="A"><!--Note--></p>)", Op::kModify, "resources", 0,
     R"(<p id="A"><!--NOTE--><!--new--></p>)", 0, "0.2.0", R"(<p id="A"><!--Note--><!--new--></p>)"},
    {"scores are expanded when asked for", R"(<n id="A" value="3"/>)", Op::kModify, "resources", option::kScoreUpdate,
     R"(<n id="A" value="value++"/>)", 0, "0.2.0", R"(<n id="A" value="4"/>)"},
    {"infinity plus something is infinity", R"(<n id="A" value="INFINITY"/>)", Op::kModify, "resources",
     option::kScoreUpdate, R"(<n id="A" value="value+=7"/>)", 0, "0.2.0", R"(<n id="A" value="1000000"/>)"},
    {"and else stand as they are", R"(<n id="A" value="3"/>)", Op::kModify, "resources", 0,
     R"(<n id="A" value="value++"/>)", 0, "0.2.0", R"(<n id="A" value="value++"/>)"},
    {"2.1.5 expanded always, a missing value from 0", R"(<n id="A"/>)", Op::kModify, "resources", 0,
     R"(<n id="A" value="value+=7"/>)", 0, "0.2.0", R"(<n id="A" value="7"/>)", "3.16.1"},
    {"mixed updates remove what is marked", R"(<p id="A"><n id="1"/><n id="2"/></p>)", Op::kModify, "resources",
     option::kMixedUpdate, R"(<p id="A" x="1"><n id="2" __delete__="true"/></p>)", 0, "0.2.0",
     R"(<p id="A" x="1"><n id="1"/></p>)"},
    {"modify by XPath searches inside the match", R"(<g id="g"><p id="A"/></g><p id="A"/>)", Op::kModify, "//g", kX,
     R"(<p id="A" x="1"/>)", 0, "0.2.0", R"(<g id="g"><p id="A" x="1"/></g><p id="A"/>)"},
    {"modify by XPath without a target changes nothing", R"(<g id="g"/><g id="h"><p id="A"/></g>)", Op::kModify, "//g",
     kXM, R"(<p id="A" x="1"/>)", rc::kNotFound, "0.1.5", nullptr},

    {"the first element like the example is deleted", R"(<p id="A" t="x"/><p id="B" t="X"/>)", Op::kDelete, "resources",
     0, R"(<p t="X"/>)", 0, "0.2.0", R"(<p id="B" t="X"/>)"},
    {"nothing to delete is fine", R"(<p id="A"/>)", Op::kDelete, "resources", 0, R"(<p id="C"/>)", 0, "0.1.5", nullptr},
    {"a section's children are examples", R"(<p id="A"/><p id="B"/><p id="C"/>)", Op::kDelete, "resources", 0,
     R"(<resources><p id="A"/><p id="C"/></resources>)", 0, "0.2.0", R"(<p id="B"/>)"},
    {"by XPath the first match goes", R"(<p id="A"/><p id="B"/>)", Op::kDelete, "//p", kX, "", 0, "0.2.0",
     R"(<p id="B"/>)"},
    {"or all of them, nested ones too", R"(<p id="A"><p id="C"/></p><q/><p id="B"/>)", Op::kDelete, "//p", kXM, "", 0,
     "0.2.0", "<q/>"},
    {"the root can't be deleted", R"(<p id="A"/>)", Op::kDelete, "/cib", kX, "", rc::kInvalid, "0.1.5", nullptr},
    {"a malformed XPath matches nothing", R"(<p id="A"/>)", Op::kDelete, "//p[", kX, "", 0, "0.1.5", nullptr},

    {"an element is replaced in place", R"(<p id="A" x="1"><o/></p><p id="B"/>)", Op::kReplace, "resources", 0,
     R"(<p id="A" y="2"/>)", 0, "0.2.0", R"(<p id="A" y="2"/><p id="B"/>)"},
    {"a missing one can't be", "", Op::kReplace, "resources", 0, R"(<p id="A"/>)", rc::kNotFound, "0.1.5", nullptr},
    {"a section is replaced as a whole", R"(<p id="A"/>)", Op::kReplace, "resources", 0,
     R"(<resources><p id="Z"/></resources>)", 0, "0.2.0", R"(<p id="Z"/>)"},
    {"by XPath the new element comes last", R"(<p id="A"/><p id="B"/>)", Op::kReplace, "//p[@id='A']", kX,
     R"(<p id="Z"/>)", 0, "0.2.0", R"(<p id="B"/><p id="Z"/>)"},
    {"only a CIB replaces the root", R"(<p id="A"/>)", Op::kReplace, "/cib", kX, R"(<p id="Z"/>)", rc::kInvalid,
     "0.1.5", nullptr},
    {"an older CIB is refused", R"(<p id="A"/>)", Op::kReplace, "", 0,
     R"(<cib admin_epoch="0" epoch="1" num_updates="4"/>)", rc::kOldData, "0.1.5", nullptr},
    {"a bump counts as an update", R"(<p id="A"/>)", Op::kBump, "", 0, "", 0, "0.2.6", nullptr},
    {"erasing empties the sections", R"(<p id="A"/>)", Op::kErase, "", 0, "", 0, "1.2.0", ""},
    {"an unknown feature set is refused", "", Op::kModify, "", 0, R"(<cib crm_feature_set="9.0"/>)", rc::kFeatureTooNew,
     "0.1.5", nullptr},
    {"a request without data is invalid", "", Op::kModify, "resources", 0, "", rc::kInvalid, "0.1.5", nullptr},
    {"a dry run changes nothing", R"(<p id="A"/>)", Op::kModify, "resources", option::kDryRun, R"(<p id="A" x="1"/>)",
     0, "0.1.5", nullptr},
};

TEST(Operations, DoWhatTheTableSays) {
    for (const Case& c : kCases) {
        const xml::NodePtr before = parsed(wrap(c, c.before));
        const xml::NodePtr input = *c.input == '\0' ? xml::NodePtr{} : parsed(c.input);
        const xml::NodePtr message = make_request(c.op, c.section, input, c.options);
        const Outcome o = execute(before, read_request(message), {.feature_set = "3.20.5"});
        EXPECT_EQ(o.rc, c.rc) << c.claim << ": " << o.why;
        EXPECT_EQ(to_string(version_of(*o.cib)), c.version) << c.claim;
        const xml::Node* resources = o.cib->child("configuration")->child("resources");
        EXPECT_EQ(
            xml::write(*resources),
            xml::write(*parsed(fmt::format("<resources>{}</resources>", c.after == nullptr ? c.before : c.after))))
            << c.claim;
        if (c.rc != 0) {
            EXPECT_EQ(o.cib, before) << c.claim;
        }
        if (o.patchset && (c.options & option::kDryRun) == 0) {
            const Patched p = apply_patchset(before, *o.patchset);
            ASSERT_EQ(p.rc, 0) << c.claim << ": " << p.why;
            EXPECT_EQ(xml::write(*p.cib), xml::write(*o.cib)) << c.claim;
        }
    }
}

TEST(Operations, AFailedCreateSaysWhatFailed) {
    const Case c{"", R"(<primitive id="A"/>)", Op::kCreate, "resources", 0, "", 0, "", nullptr};
    const xml::NodePtr message = make_request(Op::kCreate, "resources", parsed(R"(<primitive id="A"/>)"));
    const Outcome o = execute(parsed(wrap(c, c.before)), read_request(message), {});
    ASSERT_TRUE(o.output);
    EXPECT_EQ(xml::write(*o.output),
              R"(<failed><failed_update id="A" object-type="primitive" operation="cib_create" reason="File exists">)"
              R"(<primitive id="A"/></failed_update></failed>)");
}

TEST(Operations, AConfigurationChangeIsSigned) {
    const xml::NodePtr before = parsed(
        R"(<cib validate-with="pacemaker-3.9" epoch="1" update-user="old"><configuration><resources/></configuration></cib>)");
    xml::Builder b(*make_request(Op::kModify, "resources", parsed(R"(<p id="A"/>)"), option::kCanCreate));
    b.set("src", "node1").set("cib_clientname", "crm_resource");
    const World world{.modification_time = "Sun Nov 22 19:14:31 2026"};
    const Outcome o = execute(before, read_request(std::move(b).build()), world);
    EXPECT_EQ(o.cib->get("cib-last-written"), "Sun Nov 22 19:14:31 2026");
    EXPECT_EQ(o.cib->get("update-origin"), "node1");
    EXPECT_EQ(o.cib->get("update-client"), "crm_resource");
    EXPECT_FALSE(o.cib->has("update-user"));
    EXPECT_TRUE(o.config_changed);
}

TEST(Operations, ATransactionIsAllOrNothing) {
    const Case c{"", R"(<p id="A"/>)", Op::kModify, "", 0, "", 0, "", nullptr};
    const xml::NodePtr before = parsed(wrap(c, c.before));
    xml::Builder transaction("cib_transaction");
    transaction.add(make_request(Op::kModify, "resources", parsed(R"(<p id="A" x="1"/>)")));
    transaction.add(make_request(Op::kCreate, "resources", parsed(R"(<p id="B"/>)")));
    Outcome o = execute(before, read_request(make_request(Op::kCommitTransaction, "", transaction.build())), {});
    EXPECT_EQ(o.rc, 0) << o.why;
    EXPECT_EQ(to_string(version_of(*o.cib)), "0.2.0");  // one bump for both
    transaction.add(make_request(Op::kCreate, "resources", parsed(R"(<p id="B"/>)")));
    o = execute(before, read_request(make_request(Op::kCommitTransaction, "", transaction.build())), {});
    EXPECT_EQ(o.rc, rc::kExists);
    EXPECT_EQ(o.cib, before);
    transaction = xml::Builder("cib_transaction");
    transaction.add(make_request(Op::kQuery, "", {}));
    o = execute(before, read_request(make_request(Op::kCommitTransaction, "", transaction.build())), {});
    EXPECT_EQ(o.rc, rc::kNotSupported);
}

TEST(Operations, QueriesAnswerInTheirForms) {
    const Case c{"", R"(<p id="A"><o id="x"/></p><p id="B"/>)", Op::kQuery, "", 0, "", 0, "", nullptr};
    const xml::NodePtr cib = parsed(wrap(c, c.before));
    const auto ask = [&](const char* section, std::uint32_t options) {
        const Outcome o = execute(cib, read_request(make_request(Op::kQuery, section, {}, options)), {});
        return o.output ? xml::write(*o.output) : fmt::format("rc {}", o.rc);
    };
    EXPECT_EQ(ask("resources", option::kNoChildren), "<resources/>");
    EXPECT_EQ(ask("ALL", 0), xml::write(*cib));
    EXPECT_EQ(ask("tags", 0), "rc -6");
    EXPECT_EQ(ask("//p[@id='A']", kX), R"(<p id="A"><o id="x"/></p>)");
    EXPECT_EQ(ask("//p", kX | option::kNoChildren), R"(<xpath-query><p id="A"/><p id="B"/></xpath-query>)");
    EXPECT_EQ(
        ask("//o", kX | option::kXPathAddress),
        R"(<xpath-query><xpath-query-path id="/cib/configuration/resources/p[@id='A']/o[@id='x']"/></xpath-query>)");
    EXPECT_EQ(ask("//nothing", kX), "rc -6");
}

TEST(Operations, TheCostFollowsTheChange) {
    // 1000 resources with history on 3 nodes: a result recorded by its path must not walk the document.
    std::string status, resources;
    for (int i = 0; i < 1000; ++i)
        resources += fmt::format(
            R"(<primitive id="r{0}" class="ocf" type="Dummy"><operations><op id="r{0}-m" name="monitor"/></operations></primitive>)",
            i);
    for (int n = 1; n <= 3; ++n) {
        status += fmt::format(R"(<node_state id="{0}" uname="n{0}"><lrm id="{0}"><lrm_resources>)", n);
        for (int i = 0; i < 1000; ++i)
            status +=
                fmt::format(R"(<lrm_resource id="r{0}"><lrm_rsc_op id="r{0}_last_0" rc-code="0"/></lrm_resource>)", i);
        status += "</lrm_resources></lrm></node_state>";
    }
    xml::NodePtr cib = parsed(fmt::format(
        R"(<cib epoch="1"><configuration><resources>{}</resources></configuration><status>{}</status></cib>)",
        resources, status));
    const std::clock_t started = std::clock();
    constexpr int kWrites = 2000;
    for (int i = 0; i < kWrites; ++i) {
        const std::string input = fmt::format(
            R"(<node_state id="2"><lrm id="2"><lrm_resources><lrm_resource id="r{0}"><lrm_rsc_op id="r{0}_last_0" rc-code="{1}"/></lrm_resource></lrm_resources></lrm></node_state>)",
            i % 1000, i + 1);
        const Outcome o = execute(cib, read_request(make_request(Op::kModify, "status", parsed(input))), {});
        ASSERT_EQ(o.rc, 0) << o.why;
        ASSERT_TRUE(o.patchset);
        cib = o.cib;
    }
    const double spent = static_cast<double>(std::clock() - started) / CLOCKS_PER_SEC;
    EXPECT_EQ(to_string(version_of(*cib)), fmt::format("0.1.{}", kWrites));
    const double micros = spent * 1e6 / kWrites;
    fmt::print("{:.1f} us of processor time a write, parsing of the request and patchset included\n", micros);
    EXPECT_LT(micros, 2000) << "far slower than any machine of ours";
}

}  // namespace
}  // namespace systole::cib
