#include "wire/ipc_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "wire/port.h"

namespace systole::wire {
namespace {

using testing::HasSubstr;

template <class T>
T read_at(const std::string& bytes, std::size_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

template <class T>
void write_at(std::string& bytes, std::size_t offset, T value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
}

/// Text that bzip2 cannot make much smaller, by a fixed sequence.
std::string noise(std::size_t size) {
    std::string text(size, ' ');
    std::uint64_t state = 12345;
    for (char& c : text) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        c = static_cast<char>('!' + (state >> 33) % 90);
    }
    return text;
}

TEST(IpcHeader, ClassicPlainMatchesTheSheet) {
    const auto chunks = encode_ipc(HeaderLayout::kClassic, 7, kExpectsResponse, "<x/>");
    ASSERT_TRUE(chunks && chunks->size() == 1);
    const std::string& chunk = chunks->front();
    EXPECT_EQ(chunk.size(), 45U);
    EXPECT_EQ(read_at<std::int32_t>(chunk, 0), 7);
    EXPECT_EQ(read_at<std::int32_t>(chunk, 8), 45);
    EXPECT_EQ(read_at<std::uint32_t>(chunk, 24), 5U);
    EXPECT_EQ(read_at<std::uint32_t>(chunk, 28), 0U);
    EXPECT_EQ(read_at<std::uint32_t>(chunk, 32), 0x200U);
    EXPECT_EQ(chunk[36], 1);
    EXPECT_EQ(chunk.substr(40), std::string("<x/>\0", 5));
}

TEST(IpcHeader, PartsMatchTheCapture) {
    // Sheet ipc.md, section 5: three chunks of 131072, 131072 and 19116 bytes.
    const std::string text = noise(2 * 131031 + 19075);
    const auto chunks = encode_ipc(HeaderLayout::kMultipart, 3, kIpcServerFree, text);
    ASSERT_TRUE(chunks && chunks->size() == 3);
    const std::uint32_t flags[] = {0xa0000, 0xa0000, 0x1a0000};
    const std::size_t sizes[] = {131072, 131072, 19116};
    IpcDecoder decoder;
    for (std::size_t i = 0; i < 3; ++i) {
        const std::string& chunk = (*chunks)[i];
        EXPECT_EQ(chunk.size(), sizes[i]);
        EXPECT_EQ(read_at<std::uint32_t>(chunk, 24), sizes[i] - 40);
        EXPECT_EQ(read_at<std::uint32_t>(chunk, 28), flags[i]);
        EXPECT_EQ(chunk[32], 1);
        EXPECT_EQ(read_at<std::uint16_t>(chunk, 34), i);
        EXPECT_EQ(read_at<std::uint32_t>(chunk, 36), 0U);
        const auto message = decoder.on_chunk(chunk);
        ASSERT_TRUE(message) << message.error().what;
        ASSERT_EQ(message->has_value(), i == 2);
        if (*message) {
            EXPECT_EQ((*message)->text, text);
            EXPECT_EQ((*message)->flags, kIpcServerFree);
            EXPECT_EQ((*message)->layout, HeaderLayout::kMultipart);
        }
    }
}

TEST(IpcHeader, TextsOfEverySizeAroundTheBufferComeBack) {
    for (const auto layout : {HeaderLayout::kClassic, HeaderLayout::kMultipart}) {
        for (const std::size_t size : {0UL, 1UL, 200UL, 214UL, 215UL, 216UL, 217UL, 1000UL}) {
            const std::string text(size, 'a');
            const auto chunks = encode_ipc(layout, 1, 0, text, 256);
            ASSERT_TRUE(chunks) << size;
            IpcDecoder decoder;
            std::string got = "nothing";
            for (const auto& chunk : *chunks) {
                EXPECT_LE(chunk.size(), 256U);
                const auto message = decoder.on_chunk(chunk);
                ASSERT_TRUE(message);
                if (*message) got = (*message)->text;
            }
            EXPECT_EQ(got, text) << size;
        }
    }
}

TEST(IpcHeader, WhatDoesNotFitCompressedIsRefused) {
    const auto chunks = encode_ipc(HeaderLayout::kClassic, 1, 0, noise(100'000), 4096);
    ASSERT_FALSE(chunks);
    EXPECT_THAT(chunks.error().what, HasSubstr("100000 bytes"));
}

struct Damage {
    const char* name;
    void (*apply)(std::string&);
    const char* error;  ///< of the header; else
    const char* fault;  ///< of the payload
};

void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.name; }

class DamagedClassic : public testing::TestWithParam<Damage> {};

TEST_P(DamagedClassic, IsNamed) {
    std::string chunk = encode_ipc(HeaderLayout::kClassic, 1, kExpectsResponse, "<abc/>")->front();
    GetParam().apply(chunk);
    const auto message = IpcDecoder().on_chunk(chunk);
    if (GetParam().error != nullptr) {
        ASSERT_FALSE(message);
        EXPECT_THAT(message.error().what, HasSubstr(GetParam().error));
    } else {
        ASSERT_TRUE(message && *message);
        EXPECT_THAT((*message)->fault, HasSubstr(GetParam().fault));
        EXPECT_EQ((*message)->text, "");
        EXPECT_EQ((*message)->id, 1);
        EXPECT_EQ((*message)->flags, kExpectsResponse);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, DamagedClassic,
    testing::Values(
        Damage{"empty", [](std::string& c) { c.clear(); }, "less than a header", nullptr},
        Damage{"short", [](std::string& c) { c.resize(39); }, "less than a header", nullptr},
        Damage{"size_too_large", [](std::string& c) { write_at<std::int32_t>(c, 8, 1 << 30); }, "came", nullptr},
        Damage{"size_negative", [](std::string& c) { write_at<std::int32_t>(c, 8, -5); }, "came", nullptr},
        Damage{"version", [](std::string& c) { c[36] = 2; }, "version 2", nullptr},
        Damage{"no_version", [](std::string& c) { c[36] = 0; }, "version 0", nullptr},
        Damage{"no_nul", [](std::string& c) { c.back() = 'x'; }, nullptr, "does not end with NUL"},
        Damage{"inner_nul", [](std::string& c) { c[42] = '\0'; }, nullptr, "holds a NUL"},
        Damage{"huge", [](std::string& c) { write_at<std::uint32_t>(c, 24, 0xffffffff); }, nullptr, "longer than"},
        Damage{"wrong_size", [](std::string& c) { write_at<std::uint32_t>(c, 24, 6); }, nullptr, "header says 6"},
        Damage{"not_bzip2", [](std::string& c) { write_at<std::uint32_t>(c, 28, 7); }, nullptr, "bzip2"}),
    [](const auto& test) { return test.param.name; });

TEST(IpcHeader, PartsOutOfOrderAreDroppedAndTheNextMessageIsRead) {
    const std::string text(600, 'b');
    const auto chunks = *encode_ipc(HeaderLayout::kMultipart, 5, 0, text, 256);
    ASSERT_EQ(chunks.size(), 3U);
    IpcDecoder decoder;
    EXPECT_FALSE(decoder.on_chunk(chunks[1]));  // no beginning
    ASSERT_TRUE(decoder.on_chunk(chunks[0]));
    EXPECT_FALSE(decoder.on_chunk(chunks[2]));  // one is missing
    ASSERT_TRUE(decoder.on_chunk(chunks[0]));
    auto other = chunks[1];
    write_at<std::int32_t>(other, 0, 6);
    EXPECT_FALSE(decoder.on_chunk(other));  // of another message
    ASSERT_TRUE(decoder.on_chunk(chunks[0]));
    EXPECT_FALSE(decoder.on_chunk(chunks[0]));  // begins anew
    for (std::size_t i = 0; i < 3; ++i) {
        const auto message = decoder.on_chunk(chunks[i]);
        ASSERT_TRUE(message);
        if (i == 2) {
            ASSERT_TRUE(*message);
            EXPECT_EQ((*message)->text, text);
        }
    }
}

}  // namespace
}  // namespace systole::wire
