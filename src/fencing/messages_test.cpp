#include "fencing/messages.h"

#include <array>

#include "xml/parse.h"
#include "xml/write.h"

namespace systole::fencing {
namespace {

xml::NodePtr parsed(std::string_view text) {
    auto tree = xml::parse(text);
    EXPECT_TRUE(tree.has_value()) << (tree ? "" : tree.error().what);
    return tree ? *tree : xml::NodePtr{};
}

TEST(Messages, BothNumberingsOfTheFlagsAreRead) {
    // As captured of one agent that has list, on, reboot and status: 2.1.5, then 3.0.2.
    EXPECT_TRUE(says_on_is_supported("38"));
    EXPECT_TRUE(says_on_is_supported("142"));
    EXPECT_FALSE(says_on_is_supported("6"));          // 2.1.5: status and reboot
    EXPECT_FALSE(says_on_is_supported("172"));        // 3.0.2: reboot, status, verified, from the CIB: no "on"
    EXPECT_TRUE(says_on_is_supported(std::nullopt));  // before 2.1.5
    EXPECT_TRUE(says_on_is_supported("junk"));
}

TEST(Messages, OurFlagsSayOnToOwnersOfEitherNumbering) {
    const auto with_on = encode_support({.list = true, .on = true, .reboot = true, .status = true, .from_cib = true});
    EXPECT_TRUE((with_on & 0x2U) != 0 && (with_on & 0x20U) != 0 && (with_on & 0x80U) != 0);
    const auto without = encode_support({.reboot = true, .verified = true, .from_api = true});
    EXPECT_EQ(without & 0x22U, 0U) << "a verified device without 'on' must not look like one with it to a 2.1.5 owner";
    EXPECT_FALSE(says_on_is_supported(std::to_string(without)));
}

TEST(Messages, LegacyCodesFollowStatusAndExitCode) {
    struct Row {
        ExecStatus status;
        int exit_code;
        int legacy;
    };
    static constexpr std::array kRows{
        Row{ExecStatus::kDone, 0, 0},         Row{ExecStatus::kDone, 1, -61},
        Row{ExecStatus::kTimeout, 1, -62},    Row{ExecStatus::kNoFenceDevice, 1, -19},
        Row{ExecStatus::kInvalid, 4, -13},    Row{ExecStatus::kInvalid, 76, -71},
        Row{ExecStatus::kInvalid, 2, -22},    Row{ExecStatus::kPending, 0, -115},
        Row{ExecStatus::kInvalid, 110, -113}, Row{ExecStatus::kNotInstalled, 5, -2},
    };
    for (const auto& row : kRows) {
        EXPECT_EQ(legacy_code({row.status, row.exit_code, {}, {}}), row.legacy)
            << static_cast<int>(row.status) << "/" << row.exit_code;
    }
}

TEST(Messages, AnOutcomeComesBackAsItWasSent) {
    const Outcome sent{ExecStatus::kTimeout, 1, "too slow", "port 3\nport 4"};
    xml::Builder element("x");
    set_outcome(element, sent);
    const auto got = outcome_of(*element.build());
    EXPECT_EQ(got.status, sent.status);
    EXPECT_EQ(got.exit_code, sent.exit_code);
    EXPECT_EQ(got.reason, sent.reason);
    EXPECT_EQ(got.output, sent.output);
}

TEST(Messages, ALegacyReplyIsTranslated) {
    const auto timeout = outcome_of(*parsed(R"(<st-reply st_rc="-62"/>)"));
    EXPECT_EQ(timeout.status, ExecStatus::kTimeout);
    EXPECT_EQ(timeout.exit_code, 1);
    EXPECT_TRUE(outcome_of(*parsed(R"(<st-reply st_rc="0"/>)")).ok());
    const auto nothing = outcome_of(*parsed("<st-reply/>"));
    EXPECT_EQ(nothing.status, ExecStatus::kError);
    EXPECT_FALSE(nothing.reason.empty());
}

TEST(Messages, ContentIsFoundWhereverItStands) {
    const auto message = parsed(
        R"(<m><st_calldata><create_op><any st_target="n1" st_device_action="off"/></create_op></st_calldata></m>)");
    ASSERT_NE(find_with_attribute(*message, "st_target"), nullptr);
    EXPECT_EQ(find_with_attribute(*message, "st_target")->get("st_target"), "n1");
    EXPECT_EQ(find_with_attribute(*message, "st_delegate"), nullptr);
}

}  // namespace
}  // namespace systole::fencing
