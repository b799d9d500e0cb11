#include "cib/patchset.h"

#include <fmt/format.h>

#include <random>

#include "cib/rc.h"
#include "xml/edit.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::cib {
namespace {

xml::NodePtr parsed(std::string_view text) {
    auto result = xml::parse(text);
    EXPECT_TRUE(result.has_value()) << text;
    return result ? *result : xml::NodePtr{};
}

xml::NodePtr cib(std::string_view resources, int epoch = 1, std::string_view more = "") {
    return parsed(fmt::format(
        R"(<cib admin_epoch="0" epoch="{}" num_updates="0"{}><configuration><resources>{}</resources></configuration><status/></cib>)",
        epoch, more, resources));
}

/// The changes of the patchset between the two, without its version part and the change of the root.
std::string changes(std::string_view before, std::string_view after) {
    const xml::NodePtr patch = make_patchset(cib(before), cib(after, 2));
    std::string out;
    for (const xml::NodePtr& c : patch->children())
        if (c->is("change") && c->get("path") != "/cib") out += xml::write(*c);
    const Patched back = apply_patchset(cib(before), *patch);
    EXPECT_EQ(back.rc, 0) << back.why;
    if (back.cib) {
        EXPECT_EQ(xml::write(*back.cib), xml::write(*cib(after, 2)));
    }
    return out;
}

TEST(Patchset, HasTheFormThatClientsExpect) {
    const xml::NodePtr patch =
        make_patchset(cib(R"(<p id="A" x="1"/><p id="B"/>)", 7), cib(R"(<p id="A" y="2"/><p id="C"/>)", 8));
    EXPECT_EQ(
        xml::write(*patch),
        R"(<diff format="2"><version><source admin_epoch="0" epoch="7" num_updates="0"/><target admin_epoch="0" epoch="8" num_updates="0"/></version>)"
        R"(<change operation="delete" path="/cib/configuration/resources/p[@id='B']"/>)"
        R"(<change operation="modify" path="/cib"><change-list><change-attr name="epoch" operation="set" value="8"/></change-list><change-result><cib admin_epoch="0" epoch="8" num_updates="0"/></change-result></change>)"
        R"(<change operation="modify" path="/cib/configuration/resources/p[@id='A']"><change-list><change-attr name="y" operation="set" value="2"/><change-attr name="x" operation="unset"/></change-list><change-result><p id="A" y="2"/></change-result></change>)"
        R"(<change operation="create" path="/cib/configuration/resources" position="1"><p id="C"/></change></diff>)");
    EXPECT_TRUE(touches_configuration(*patch));
    EXPECT_EQ(to_string(target_version(*patch)), "0.8.0");
}

TEST(Patchset, MovesWhatTheFieldMoves) {  // as crm_diff 2.1.5: one move would do
    EXPECT_EQ(
        changes(R"(<p id="A"/><p id="B"/><p id="C"/><p id="D"/>)", R"(<p id="D"/><p id="A"/><p id="B"/><p id="C"/>)"),
        R"(<change operation="move" path="/cib/configuration/resources/p[@id='D']" position="0"/>)"
        R"(<change operation="move" path="/cib/configuration/resources/p[@id='A']" position="1"/>)");
}

TEST(Patchset, CommentsAreNamedByTheirPosition) {
    EXPECT_EQ(changes("<!--a--><p id=\"A\"/><!--b--><!--c-->", "<p id=\"A\"/><!--c-->"),
              R"(<change operation="delete" path="/cib/configuration/resources/comment" position="0"/>)"
              R"(<change operation="delete" path="/cib/configuration/resources/comment" position="1"/>)");
}

TEST(Patchset, TwinsWithoutIdsAreReplacedWithTheirParent) {
    EXPECT_EQ(
        changes(R"(<p id="A"><x v="1"/><x v="2"/></p>)", R"(<p id="A"><x v="1"/><x v="3"/></p>)"),
        R"(<change operation="delete" path="/cib/configuration/resources/p[@id='A']"/>)"
        R"(<change operation="create" path="/cib/configuration/resources" position="0"><p id="A"><x v="1"/><x v="3"/></p></change>)");
}

TEST(Patchset, EqualSnapshotsHaveNone) {
    const xml::NodePtr one = cib("<p id=\"A\"/>");
    EXPECT_FALSE(make_patchset(one, one));
    EXPECT_FALSE(make_patchset(one, cib("<p id=\"A\"/>")));
}

TEST(Patchset, VersionsMustFit) {
    const xml::NodePtr patch = make_patchset(cib("", 3), cib("<p id=\"A\"/>", 4));
    EXPECT_EQ(apply_patchset(cib("", 2), *patch).rc, rc::kDiffFailed);
    EXPECT_EQ(apply_patchset(cib("", 4), *patch).rc, rc::kOldData);
    EXPECT_EQ(apply_patchset(cib("", 4), *patch, VersionCheck::kNone).rc, 0);
    const Patched backwards = apply_patchset(cib("", 4), *make_patchset(cib("<p id=\"A\"/>", 4), cib("", 3)));
    EXPECT_EQ(backwards.rc, rc::kOldData);
    EXPECT_EQ(backwards.why, "the patch leads from 0.4.0 back to 0.3.0");
}

TEST(Patchset, WhatDoesNotFitIsRefusedWithItsPlace) {
    const auto apply = [](std::string_view change) {
        const Patched p =
            apply_patchset(cib("<p id=\"A\"/>"), *parsed(fmt::format(R"(<diff format="2">{}</diff>)", change)));
        return fmt::format("{} {}", p.rc, p.why);
    };
    EXPECT_EQ(apply(R"(<change operation="modify" path="/cib/nothing"/>)"),
              "-206 modify of '/cib/nothing': there is no such place");
    EXPECT_EQ(apply(R"(<change operation="delete" path="/cib/nothing"/>)"), "0 ");
    EXPECT_EQ(apply(R"(<change operation="create" path="/cib/status" position="0"/>)"),
              "-206 create of '/cib/status': it brings no object");
    EXPECT_EQ(apply(R"(<change operation="dance" path="/cib/status"/>)"),
              "-206 dance of '/cib/status': this operation is unknown");
    EXPECT_EQ(apply(R"(<change operation="move" path="/cib" position="3"/>)"),
              "-206 move of '/cib': the root can't move");
    EXPECT_EQ(apply(R"(<change operation="move" path="/cib/configuration/resources/p[@id='A']" position="3"/>)"),
              "-206 move of '/cib/configuration/resources/p[@id='A']': there is no position 3");
    EXPECT_EQ(apply_patchset(cib(""), *parsed(R"(<diff format="1"/>)")).why, "patch format '1' is not supported");
    xml::Builder wrong(*make_patchset(cib(""), cib("<p id=\"A\"/>", 2), true));
    EXPECT_EQ(apply_patchset(cib(""), *wrong.build()).rc, 0);
    EXPECT_EQ(apply_patchset(cib(""), *wrong.set("digest", "0").build()).rc, rc::kDiffFailed);
}

// Any two trees: the patchset leads from one to the other.
TEST(Patchset, LeadsFromAnyTreeToAnyOther) {
    std::mt19937 random(7);
    const auto number = [&](int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); };
    const std::function<std::string(int)> element = [&](int depth) {
        if (number(10) == 0) return fmt::format("<!--{}-->", number(2));
        const std::string name(1, static_cast<char>('p' + number(3)));
        std::string out = "<" + name;
        if (number(4) > 0) out += fmt::format(" id=\"{}\"", number(6));
        if (number(3) > 0) out += fmt::format(" x=\"{}\"", number(3));
        out += ">";
        for (int i = depth > 2 ? 0 : number(4); i > 0; --i) out += element(depth + 1);
        return out + "</" + name + ">";
    };
    for (int i = 0; i < 3000; ++i) {
        std::string before, after;
        for (int k = number(5); k > 0; --k) before += element(0);
        for (int k = number(5); k > 0; --k) after += element(0);
        const xml::NodePtr a = cib(before);
        const xml::NodePtr b = cib(after, 2);
        for (const auto order : {AttributeOrder::kTracked, AttributeOrder::kCounts}) {
            const xml::NodePtr patchset = make_patchset(a, b, false, order);
            const Patched p = apply_patchset(a, *patchset);
            ASSERT_EQ(p.rc, 0) << before << "\n" << after << "\n" << p.why;
            ASSERT_EQ(xml::write(*p.cib), xml::write(*b)) << before << "\n" << xml::write(*patchset);
        }
    }
}

}  // namespace
}  // namespace systole::cib
