#include "executor/agents.h"

#include "executor/lsb_metadata.h"
#include "xml/parse.h"

namespace systole::executor {
namespace {

TEST(Agents, OcfResultsOutsideTheStandardAreErrors) {
    for (const int rc : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 190, 191}) EXPECT_EQ(ocf_result(rc), rc);
    for (const int rc : {-1, 10, 124, 189, 192, 193, 255}) EXPECT_EQ(ocf_result(rc), 1);
}

TEST(Agents, LsbStatusHasItsOwnNumbers) {
    const std::pair<int, int> table[] = {{0, 0},   {1, 1},   {2, 2},   {3, 7},  {4, 1},
                                         {150, 5}, {151, 4}, {152, 1}, {199, 1}};
    for (const auto& [exit_code, rc] : table) {
        EXPECT_EQ(lsb_result("status", exit_code), rc) << exit_code;
        EXPECT_EQ(lsb_result("monitor", exit_code), rc) << exit_code;
    }
    for (int code = 0; code <= 7; ++code) EXPECT_EQ(lsb_result("start", code), code);
    EXPECT_EQ(lsb_result("stop", 8), 1);
}

TEST(Agents, TheExitReasonIsTheLastOne) {
    EXPECT_EQ(ocf_exit_reason("ocf-exit-reason:first\nnoise\nocf-exit-reason:disk full\nmore"), "disk full");
    EXPECT_EQ(ocf_exit_reason("no reason"), "");
    EXPECT_EQ(ocf_exit_reason("ocf-exit-reason:"), "");
}

TEST(Agents, IntervalsAreReadable) {
    const std::pair<int, const char*> table[] = {
        {0, "0s"},        {20000, "20s"},  {60000, "1m"},    {90000, "1m30s"},
        {1500, "1.500s"}, {3600000, "1h"}, {86400000, "1d"}, {90061001, "1d1h1m1.001s"}};
    for (const auto& [ms, text] : table) EXPECT_EQ(readable_interval(Duration{ms}), text);
}

TEST(Agents, UnitsGetTheirSuffixOnce) {
    EXPECT_EQ(systemd_unit("httpd"), "httpd.service");
    EXPECT_EQ(systemd_unit("httpd.service"), "httpd.service");
    EXPECT_EQ(systemd_unit("a.socket"), "a.socket");
    EXPECT_EQ(systemd_unit("x@3"), "x@3.service");
    EXPECT_EQ(systemd_unit("version1.2"), "version1.2.service");
}

TEST(Agents, OutputThatXmlCannotHoldIsReplaced) {
    EXPECT_EQ(printable("a\tb\nc"), "a\tb\nc");
    EXPECT_EQ(printable(std::string_view("a\0b\x1b[31m\x7f", 9)), "a?b?[31m\x7f");
    EXPECT_EQ(printable("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"), "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
    EXPECT_EQ(printable("\xff\xc3"), "??");
    EXPECT_EQ(printable("\xc0\xaf"), "??");            // overlong
    EXPECT_EQ(printable("\xed\xa0\x80"), "???");       // surrogate
    EXPECT_EQ(printable("\xef\xbf\xbf"), "???");       // noncharacter
    EXPECT_EQ(printable("\xf5\x80\x80\x80"), "????");  // beyond Unicode
}

TEST(Agents, MetadataOfAnInitScriptComesFromItsHeader) {
    const auto text = lsb_metadata_of("nfs",
                                      "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: nfs\n"
                                      "# Short-Description: shares <files>\n# Description: Shares\n#  files & more\n"
                                      "### END INIT INFO\n# Provides: nothing\n");
    const auto metadata = xml::parse(text.substr(text.find("<resource-agent")), {.text = xml::TextNodes::kKeep});
    ASSERT_TRUE(metadata.has_value()) << metadata.error().what;
    EXPECT_EQ((*metadata)->get("name"), "nfs");
    EXPECT_EQ((*metadata)->child("shortdesc")->text(), "shares <files>");
    EXPECT_EQ((*metadata)->child("longdesc")->text(), "Shares files & more");
    EXPECT_EQ((*metadata)->child("special")->child("Provides")->text(), "nfs");
}

}  // namespace
}  // namespace systole::executor
