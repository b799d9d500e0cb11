#include "wire/cpg_frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace systole::wire {
namespace {

using testing::HasSubstr;

void write_at(std::string& bytes, std::size_t offset, std::uint32_t value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
}

CpgFrame frame_of(std::string text) {
    return {.id = 1,
            .to = {},
            .from = {{}, "node1"},
            .pid = 77,
            .type = daemon_type(Group::kFencing),
            .text = std::move(text)};
}

TEST(CpgFrame, BytesMatchTheSheet) {
    // Sheet cpg.md, section 3: the first bytes of a fencer broadcast of 74 bytes.
    const auto bytes = *encode_cpg(frame_of(std::string(73, 'a')));
    EXPECT_EQ(bytes.size(), 592U + 74U);
    const unsigned char expected[] = {0, 0, 0, 0, 0, 0, 0, 0, 0x9a, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
                                      1, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0};
    EXPECT_EQ(std::memcmp(bytes.data(), expected, sizeof expected), 0);
}

TEST(CpgFrame, ComesBackAndKnowsItsSender) {
    auto frame = frame_of("<a b='c'/>");
    frame.to = {NodeId{2}, "node2"};
    const auto back = decode_cpg(*encode_cpg(frame), NodeId{9});
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(back->text, frame.text);
    EXPECT_EQ(back->to, frame.to);
    EXPECT_EQ(back->from, (NodeRef{NodeId{9}, "node1"}));
    EXPECT_EQ(back->pid, 77U);
    EXPECT_TRUE(is_for(*back, {NodeId{2}, "NODE2"}));
    EXPECT_FALSE(is_for(*back, {NodeId{3}, "node2"}));
    EXPECT_FALSE(is_for(*back, {NodeId{2}, "node3"}));
}

TEST(CpgFrame, LargeTextsAreCompressed) {
    const auto frame = frame_of(std::string(128 * 1024 - 1, 'x'));
    const auto bytes = *encode_cpg(frame);
    EXPECT_LT(bytes.size(), 2000U);
    const auto back = decode_cpg(bytes, NodeId{1});
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(back->text, frame.text);
    EXPECT_GT(encode_cpg(frame_of(std::string(128 * 1024 - 2, 'x')))->size(), 100'000U);
}

TEST(CpgFrame, WhatCannotBeSentIsRefused) {
    EXPECT_FALSE(encode_cpg(frame_of("")));
    EXPECT_FALSE(encode_cpg(frame_of(std::string("a\0b", 3))));
    auto frame = frame_of("<a/>");
    frame.to.name.assign(256, 'n');
    EXPECT_FALSE(encode_cpg(frame));
}

struct Damage {
    const char* name;
    void (*apply)(std::string&);
    const char* error;
};

void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.name; }

class DamagedFrame : public testing::TestWithParam<Damage> {};

TEST_P(DamagedFrame, IsRefusedWithItsReason) {
    auto bytes = *encode_cpg(frame_of("<a/>"));
    GetParam().apply(bytes);
    const auto frame = decode_cpg(bytes, NodeId{1});
    ASSERT_FALSE(frame);
    EXPECT_THAT(frame.error().what, HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, DamagedFrame,
    testing::Values(Damage{"short", [](std::string& b) { b.resize(592); }, "too few"},
                    Damage{"class", [](std::string& b) { write_at(b, 0, 3); }, "class 3"},
                    Damage{"size", [](std::string& b) { write_at(b, 8, 9999); }, "9999"},
                    Damage{"error", [](std::string& b) { write_at(b, 16, 6); }, "error 6"},
                    Damage{"sender", [](std::string& b) { write_at(b, 308, 4); }, "comes from node 4"},
                    Damage{"name", [](std::string& b) { write_at(b, 308 + 16, 300); }, "300 bytes"},
                    Damage{"text_size", [](std::string& b) { write_at(b, 584, 4); }, "says 4"},
                    Damage{"not_compressed",
                           [](std::string& b) {
                               write_at(b, 28, 1);
                               write_at(b, 588, 5);
                           },
                           "bzip2"},
                    Damage{"bomb",
                           [](std::string& b) {
                               write_at(b, 28, 1);
                               write_at(b, 584, 0xfffffff0);
                               write_at(b, 588, 5);
                           },
                           "longer than"},
                    Damage{"no_nul", [](std::string& b) { b.back() = 'x'; }, "end with NUL"},
                    Damage{"double_nul", [](std::string& b) { b[b.size() - 2] = '\0'; }, "holds a NUL"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace systole::wire
