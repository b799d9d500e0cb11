#include "base/time_format.h"

#include <gtest/gtest.h>

namespace systole {
namespace {

constexpr WallTime kAt{1795399993};  // 2026-11-23 02:13:13 UTC

TEST(TimeFormat, IsThatOfDate) {
    EXPECT_EQ(format_time("%Y-%m-%d %H:%M:%S", kAt), "2026-11-23 02:13:13");
    EXPECT_EQ(format_time("%H:%M:%S.%06N", kAt, 942544), "02:13:13.942544") << "the default of alerts";
    EXPECT_EQ(format_time("%N %3N %9N", kAt, 42544), "042544000 042 042544000");
    EXPECT_EQ(format_time("%H:%M %z", kAt, 0, 5400), "03:43 +0130");
    EXPECT_EQ(format_time("100%% of %s%", kAt).substr(0, 8), "100% of ");
}

TEST(TimeFormat, NothingComesOfNothing) {
    EXPECT_EQ(format_time("", kAt), "");
    EXPECT_EQ(format_time("%p", kAt), "AM");
    EXPECT_EQ(format_time("%5", kAt).empty(), false);
}

}  // namespace
}  // namespace systole
