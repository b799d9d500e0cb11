#include "base/text.h"

#include "base/md5.h"
#include "base/score.h"

namespace systole {
namespace {

TEST(Text, IntervalsUnderstandEveryUnit) {
    EXPECT_EQ(parse_interval("10"), Duration{10'000});
    EXPECT_EQ(parse_interval(" 250 ms "), Duration{250});
    EXPECT_EQ(parse_interval("2min"), Duration{120'000});
    EXPECT_EQ(parse_interval("1hr"), Duration{3'600'000});
    EXPECT_EQ(parse_interval("1500us"), Duration{1});
    EXPECT_EQ(parse_interval("-1s"), std::nullopt);
    EXPECT_EQ(parse_interval("5 parsecs"), std::nullopt);
    EXPECT_EQ(parse_interval(""), std::nullopt);
}

TEST(Text, BooleansAreTheFieldsTen) {
    EXPECT_EQ(parse_bool("Yes"), true);
    EXPECT_EQ(parse_bool("0"), false);
    EXPECT_EQ(parse_bool("maybe"), std::nullopt);
}

TEST(Text, IdsReplaceWhatXmlForbids) { EXPECT_EQ(xml_id("fail-count-D1#asyncmon_0"), "fail-count-D1.asyncmon_0"); }

TEST(Score, ReadsAndPrintsInfinity) {
    EXPECT_EQ(parse_score("-infinity"), Score::minus_infinity());
    EXPECT_EQ(parse_score("2000000"), Score::infinity());
    EXPECT_EQ(parse_score("99999999999999999999"), Score::infinity());
    EXPECT_EQ(parse_score("+5"), Score{5});
    EXPECT_EQ(parse_score("5x"), std::nullopt);
    EXPECT_EQ(to_string(Score{-1'000'000}), "-INFINITY");
}

TEST(Md5, MatchesTheStandardsTestSuite) { EXPECT_EQ(md5_hex("abc"), "900150983cd24fb0d6963f7d28e17f72"); }

}  // namespace
}  // namespace systole
