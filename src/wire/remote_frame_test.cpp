#include "wire/remote_frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "wire/compress.h"

namespace systole::wire {
namespace {

using testing::HasSubstr;

/// A header by its fields, in this machine's byte order or in the other.
std::string header(std::uint32_t total, std::uint32_t packed, std::uint32_t plain, bool swapped = false,
                   std::uint32_t magic = 0xBADADBBD, std::uint32_t version = 1, std::uint32_t offset = 40) {
    std::string bytes(40, '\0');
    const auto put = [&](std::size_t at, std::uint32_t value) {
        if (swapped) value = __builtin_bswap32(value);
        std::memcpy(bytes.data() + at, &value, 4);
    };
    put(0, magic);
    put(4, version);
    put(8, 1);
    put(24, total);
    put(28, offset);
    put(32, packed);
    put(36, plain);
    return bytes;
}

std::string text_of(RemoteDecoder& decoder) {
    const auto text = decoder.next();
    if (!text) return "error: " + text.error().what;
    return *text ? **text : "nothing";
}

std::string decode(const std::string& bytes) {
    RemoteDecoder decoder;
    decoder.feed(bytes);
    return text_of(decoder);
}

TEST(RemoteFrame, IsAsTheReferenceWritesIt) {
    // Captured between 2.1.5 peers, for a payload of 197 bytes.
    const unsigned char expected[] = {0xbd, 0xdb, 0xda, 0xba, 1,    0, 0, 0, 1,    0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0,
                                      0,    0,    0,    0,    0xed, 0, 0, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 0xc5, 0, 0, 0};
    const auto frame = encode_remote(1, std::string(196, 'x'));
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->size(), 237U);
    EXPECT_EQ(frame->substr(0, 40), std::string(reinterpret_cast<const char*>(expected), 40));
    EXPECT_EQ(frame->back(), '\0');
}

TEST(RemoteFrame, ComesBackWhateverThePieces) {
    std::string stream;
    for (const char* text : {"<a/>", "<b attribute=\"value\"/>", "<c/>"}) stream += *encode_remote(7, text);
    for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
        RemoteDecoder decoder;
        std::vector<std::string> texts;
        for (std::size_t at = 0; at < stream.size(); at += piece) {
            decoder.feed(std::string_view(stream).substr(at, piece));
            for (;;) {
                const auto text = decoder.next();
                ASSERT_TRUE(text) << text.error().what;
                if (!*text) break;
                texts.push_back(**text);
            }
        }
        EXPECT_THAT(texts, testing::ElementsAre("<a/>", "<b attribute=\"value\"/>", "<c/>")) << piece;
        EXPECT_EQ(decoder.waiting(), 0U);
    }
}

TEST(RemoteFrame, OfTheOtherByteOrderIsRead) {
    EXPECT_EQ(decode(header(45, 0, 5, true) + std::string("<a/>\0", 5)), "<a/>");
}

TEST(RemoteFrame, CompressedIsRead) {
    const std::string text = "<a b=\"" + std::string(5000, 'x') + "\"/>" + '\0';
    const std::string packed = *compress(text, 4096);
    const auto size = static_cast<std::uint32_t>(packed.size());
    EXPECT_EQ(decode(header(40 + size, size, static_cast<std::uint32_t>(text.size())) + packed),
              text.substr(0, text.size() - 1));
    EXPECT_THAT(decode(header(40 + size, size, static_cast<std::uint32_t>(text.size() + 1)) + packed),
                HasSubstr("do not unpack"));
}

TEST(RemoteFrame, WithAHeaderThatCannotBeIsRefused) {
    const std::string text("<a/>\0", 5);
    EXPECT_THAT(decode(header(45, 0, 5, false, 0xBADADBBC) + text), HasSubstr("0xbadadbbc"));
    EXPECT_THAT(decode(header(45, 0, 5, false, 0xBADADBBD, 2) + text), HasSubstr("version 2"));
    EXPECT_THAT(decode(header(46, 0, 5, false, 0xBADADBBD, 1, 41) + text), HasSubstr("begins at 41"));
    EXPECT_THAT(decode(header(44, 0, 5) + text), HasSubstr("44 bytes around 5"));
    EXPECT_THAT(decode(header(40, 0, 0)), HasSubstr("0 bytes"));
    EXPECT_THAT(decode(header(40, 5, 0)), HasSubstr("0 bytes"));
    EXPECT_THAT(decode(header(0xffffffff, 0, 0xffffffd7) + text), HasSubstr("bytes"));
}

TEST(RemoteFrame, WithATextThatIsNotOneTextIsRefused) {
    EXPECT_THAT(decode(header(44, 0, 4) + "<a/>"), HasSubstr("NUL"));
    EXPECT_THAT(decode(header(46, 0, 6) + std::string("<a/>\0\0", 6)), HasSubstr("NUL"));
}

TEST(RemoteFrame, AfterADamagedOneThereIsNoOther) {
    RemoteDecoder decoder;
    decoder.feed(header(44, 0, 5));
    EXPECT_THAT(text_of(decoder), HasSubstr("error"));
    decoder.feed(*encode_remote(1, "<a/>"));
    EXPECT_THAT(text_of(decoder), HasSubstr("error"));
    EXPECT_EQ(decoder.waiting(), 0U) << "a peer must not be able to fill the memory";
}

TEST(RemoteFrame, TooLongIsNotSent) { EXPECT_FALSE(encode_remote(1, std::string(kRemoteTextMax, 'x'))); }

}  // namespace
}  // namespace systole::wire
