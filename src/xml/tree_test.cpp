#include "xml/tree.h"

#include "xml/parse.h"
#include "xml/write.h"

namespace systole::xml {
namespace {

NodePtr parsed(std::string_view text) {
    auto result = parse(text);
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().what);
    return result ? *result : NodePtr{};
}

TEST(Tree, AChangedCopySharesItsUnchangedChildren) {
    const NodePtr before = parsed(R"(<a x="1"><b/><c/></a>)");
    Builder edit(*before);
    edit.set("x", "2").erase(0);
    const NodePtr after = std::move(edit).build();
    EXPECT_EQ(write(*after), R"(<a x="2"><c/></a>)");
    EXPECT_EQ(after->children()[0], before->children()[1]);
    EXPECT_EQ(write(*before), R"(<a x="1"><b/><c/></a>)");
}

TEST(Tree, SettingAnAttributeKeepsItsPlace) {
    Builder b("e");
    b.set("x", "1").set("y", "2").set("x", "3");
    EXPECT_EQ(write(*std::move(b).build()), R"(<e x="3" y="2"/>)");
}

TEST(Parse, DropsTextButKeepsCommentsAndCData) {
    EXPECT_EQ(write(*parsed("<a> text <!--note--><t>gone</t><![CDATA[<x>]]></a>")),
              "<a><!--note--><t/><![CDATA[<x>]]></a>");
}

TEST(Parse, PredefinedEntitiesStandForTheirCharacters) {
    EXPECT_EQ(parsed(R"(<a v="&amp;&lt;&gt;&quot;&apos;&#65;&amp;amp;"/>)")->get("v"), "&<>\"'A&amp;");
}

TEST(Parse, KeepsTextWhenAsked) {
    const auto kept = parse("<a>\n  <t>two  blanks</t>\n</a>", {.text = TextNodes::kKeep});
    ASSERT_TRUE(kept.has_value());
    EXPECT_EQ((*kept)->child("t")->text(), "two  blanks");
    EXPECT_EQ((*kept)->children().size(), 1U);
}

TEST(Parse, NamesThePlaceOfAnError) {
    const auto bad = parse("<a>\n<b></a>");
    ASSERT_FALSE(bad.has_value());
    EXPECT_EQ(bad.error().code, Errc::kInvalid);
    EXPECT_TRUE(bad.error().what.starts_with("line 2, column ")) << bad.error().what;
}

TEST(Parse, RefusesEntitiesAndDepth) {
    EXPECT_FALSE(parse("<!DOCTYPE a [<!ENTITY e 'x'>]><a b='&e;'/>").has_value());
    std::string deep;
    for (int i = 0; i < 300; ++i) deep += "<a>";
    for (int i = 0; i < 300; ++i) deep += "</a>";
    EXPECT_FALSE(parse(deep).has_value());
    EXPECT_FALSE(parse("").has_value());
}

TEST(Write, EscapesAsTheSheetSays) {
    Builder b("a");
    b.set("v", "<>&\"'\t\n\xc3\xa4").set("e", "");
    const NodePtr node = std::move(b).build();
    EXPECT_EQ(write(*node), "<a v=\"&lt;&gt;&amp;&quot;'&#x09;&#x0A;\xc3\xa4\" e=\"\"/>");
    EXPECT_EQ(escape_attribute("a'\tb\nc", Escaping::kLegacy), "a&apos;    b\\nc");
    EXPECT_EQ(escape_attribute("\xc3\xa4\"", Escaping::kLegacy), "\xc3\xa4\"");
}

TEST(Write, PrettyFormIndentsByTwo) {
    EXPECT_EQ(write(*parsed("<a><b c='1'><d/></b></a>"), {.pretty = true}),
              "<a>\n  <b c=\"1\">\n    <d/>\n  </b>\n</a>\n");
}

// Source: controller.md, section 8, digests verified with 2.1.5.
TEST(Digest, OperationParametersMatchTheRecordedOnes) {
    EXPECT_EQ(digest_on_disk(*parsed(R"(<parameters fake="abc" passwd="sec"/>)")), "be2a8eedb0604abd4ce21d09b12c444d");
    EXPECT_EQ(digest_on_disk(*parsed("<parameters/>")), "f2317cad3d54cec5d7d7aa7d0bf35cf8");
}

TEST(Digest, VolatileAttributesDoNotCount) {
    EXPECT_EQ(digest_versioned(*parsed(R"(<cib epoch="1" update-user="x"><a crm-debug-origin="f"/></cib>)")),
              digest_versioned(*parsed(R"(<cib epoch="1"><a/></cib>)")));
}

TEST(Parse, TheQuickWayReadsWhatLibxmlReads) {
    // A processing instruction sends the rest of a document to libxml2.
    const std::string_view documents[] = {
        "<a/>",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a b='1'   c = \"2\" />",
        "<a b='&lt;&amp;&gt;&quot;&apos;'/>",
        "<a b='x&#65;y'/>",
        "<a b='one\ntwo\tthree'/>",
        "<a b=''/>",
        "<a><!-- comment & ] more --><b/><!----></a>",
        "<a>text<b>inner ]] </b> tail </a>",
        "<a>x ]]&gt; y</a>",
        "<a><![CDATA[raw <&> ]]></a>",
        "<a xmlns='urn:x' b='c'/>",
        "<p:a xmlns:p='urn:x' p:b='c'/>",
        "<a b='\xc3\xa9'>\xc3\xa9</a>",
        "<a>\r\n<b/></a>",
        "<!-- before --><a/><!-- after -->\n",
        "<a.b-c_d e.f='1'/>",
        "<a b='a-text-that-is-rather-longer-than-what-is-worth-keeping-once'/>",
    };
    for (const std::string_view document : documents) {
        for (const auto keep : {TextNodes::kDrop, TextNodes::kKeep, TextNodes::kKeepAll}) {
            std::string slow(document);
            const auto place = document.starts_with("<?xml") ? document.find("?>") + 2 : 0;
            slow.insert(place, "<?slow?>");
            const auto one = parse(document, {.text = keep}), two = parse(slow, {.text = keep});
            ASSERT_TRUE(one && two) << document;
            EXPECT_TRUE(deep_equal(**one, **two)) << document;
        }
    }
}

TEST(Parse, TheQuickWayRefusesNothingItself) {
    for (const char* document :
         {"<a b='1' b='2'/>", "<a><b></a></b>", "<a", "<a b=1/>", "<a/><b/>", "<a b='<'/>", "<a>&unknown;</a>", "<a/>x",
          "<a b='\x01'/>", "<a>\xff</a>", "<a b='1'c='2'/>", "<1a/>", "<a><!-- -- --></a>", "< a/>", "<a>]]></a>"}) {
        const auto result = parse(document);
        ASSERT_FALSE(result) << document;
        EXPECT_TRUE(result.error().what.starts_with("line ")) << result.error().what;
    }
}

}  // namespace
}  // namespace systole::xml
