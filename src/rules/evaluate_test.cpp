#include "rules/evaluate.h"

#include "rules/nvpairs.h"
#include "xml/parse.h"

namespace systole::rules {
namespace {

xml::NodePtr read(std::string_view text) {
    auto node = xml::parse(text);
    SYSTOLE_ASSERT(node.has_value(), "the tests' XML is well-formed");
    return *node;
}

DateTime at(std::string_view text) { return *parse_date_time(text, {}); }

Lookup lookup_in(std::map<std::string, std::string, std::less<>> values) {
    return [values = std::move(values)](std::string_view name) -> std::optional<std::string_view> {
        const auto found = values.find(name);
        if (found == values.end()) return std::nullopt;
        return found->second;
    };
}

const std::array<std::string, 2> kMatches{"server-north", "north"};

Input sample() {
    Input input;
    input.now = at("2024-02-01 12:00:00Z");
    // The lambdas own their tables, so that the views live as long as the Input.
    input.node_attribute = lookup_in({{"foo", "bar"}, {"num", "10"}, {"ver", "3.5.0"}, {"prefer-north", "100"}});
    input.resource_param = lookup_in({{"foo-param", "bar"}});
    input.resource_meta = lookup_in({{"foo-meta", "bar"}});
    input.pattern_matches = kMatches;
    input.resource = Input::Resource{"ocf", "heartbeat", "IPaddr2"};
    input.operation = Input::Operation{"monitor", Duration{10'000}};
    return input;
}

Outcome outcome_of(const std::string& condition) { return evaluate_condition(*read(condition), sample()).outcome; }

TEST(Rules, AttributeExpressions) {
    using enum Outcome;
    const std::pair<const char*, Outcome> table[]{
        {"attribute='foo' operation='eq' value='BAR'", kTrue},
        {"attribute='foo' operation='ne' value='bar'", kFalse},
        {"attribute='none' operation='eq' value='bar'", kFalse},
        {"attribute='none' operation='ne' value='bar'", kTrue},
        {"attribute='none' operation='lt' value='5'", kFalse},
        {"attribute='none' operation='not_defined'", kTrue},
        {"attribute='foo' operation='defined'", kTrue},
        {"attribute='prefer-%1' operation='defined'", kTrue},
        {"attribute='prefer-%2' operation='defined'", kFalse},
        {"attribute='foo' operation='eq' value='foo-param' value-source='param'", kTrue},
        {"attribute='foo' operation='eq' value='foo-meta' value-source='meta'", kTrue},
        {"attribute='foo' operation='eq' value='foo-meta' value-source='param'", kFalse},
        {"attribute='num' operation='gt' value='2.5'", kTrue},
        {"attribute='num' operation='gt' value='2'", kTrue},
        {"attribute='num' operation='lt' value='2' type='string'", kTrue},
        {"attribute='num' operation='eq' value='10.5' type='integer'", kTrue},
        {"attribute='num' operation='eq' value='10.1' type='number'", kFalse},
        {"attribute='ver' operation='eq' value='3.5' type='version'", kTrue},
        {"attribute='ver' operation='gte' value='4.0' type='version'", kBefore},
        {"attribute='ver' operation='lte' value='3.10' type='version'", kTrue},
        {"operation='eq' value='bar'", kInvalid},
        {"attribute='foo' value='bar'", kInvalid},
        {"attribute='foo' operation='near' value='bar'", kInvalid},
    };
    for (const auto& [attributes, expected] : table) {
        EXPECT_EQ(outcome_of("<expression id='e' " + std::string(attributes) + "/>"), expected) << attributes;
    }
}

TEST(Rules, ResourceAndOperationExpressions) {
    EXPECT_EQ(outcome_of("<rsc_expression id='e' class='ocf' type='IPaddr2'/>"), Outcome::kTrue);
    EXPECT_EQ(outcome_of("<rsc_expression id='e' provider='pacemaker'/>"), Outcome::kFalse);
    EXPECT_EQ(outcome_of("<op_expression id='e' name='monitor' interval='PT10S'/>"), Outcome::kTrue);
    EXPECT_EQ(outcome_of("<op_expression id='e' name='monitor' interval='9s'/>"), Outcome::kFalse);
    EXPECT_EQ(outcome_of("<op_expression id='e' name='monitor'/>"), Outcome::kTrue);
}

struct DateRow {
    const char *attributes, *now;
    Outcome outcome;
    const char* next;
};

TEST(Rules, DatesTellOutcomeAndNextChange) {
    using enum Outcome;
    const DateRow table[]{
        {"operation='lt' end='2024-02-01 15:00:00'", "2024-02-01 14:59:59", kTrue, "2024-02-01 15:00:00Z"},
        {"operation='lt' end='2024-02-01 15:00:00'", "2024-02-01 15:00:00", kAfter, nullptr},
        {"operation='gt' start='2024-02-01 12:00:00'", "2024-02-01 12:00:00", kBefore, "2024-02-01 12:00:01Z"},
        {"operation='gt' start='2024-02-01 12:00:00'", "2024-02-01 12:00:01", kTrue, nullptr},
        {"start='2024-02-01 12:00:00'", "2024-02-01 12:00:00", kTrue, nullptr},
        {"start='2024-02-01 12:00:00'", "2024-02-01 11:00:00", kBefore, "2024-02-01 12:00:00Z"},
        {"end='2024-02-01 15:00:00'", "2024-02-01 15:00:00", kTrue, "2024-02-01 15:00:01Z"},
        {"end='2024-02-01 15:00:00'", "2024-02-01 15:00:01", kAfter, nullptr},
        {"start='bogus' end='bogus'", "2024-02-01", kUndetermined, nullptr},
        {"operation='lt'", "2024-02-01", kUndetermined, nullptr},
        {"operation='around' start='2024-02-01'", "2024-02-01", kUndetermined, nullptr},
    };
    for (const DateRow& row : table) {
        Input input;
        input.now = at(row.now);
        const auto result =
            evaluate_condition(*read("<date_expression id='d' " + std::string(row.attributes) + "/>"), input);
        EXPECT_EQ(result.outcome, row.outcome) << row.attributes << " at " << row.now;
        EXPECT_EQ(result.next_change.has_value(), row.next != nullptr) << row.attributes;
        if (result.next_change && row.next != nullptr) {
            EXPECT_EQ(to_string(DateTime{*result.next_change, 0}), row.next) << row.attributes;
        }
    }
}

TEST(Rules, DateSpecsAreCronLike) {
    using enum Outcome;
    const DateRow table[]{
        {"years='2010-2030'", "2000-01-01", kBefore, nullptr},
        {"years='2010-2015'", "2020-01-01", kAfter, nullptr},
        {"years='-2020'", "2010-01-01", kTrue, nullptr},
        {"years='2001' months='6' monthdays='11-15'", "2001-06-10", kBefore, "2001-06-11 00:00:00Z"},
        {"yeardays='60'", "2016-02-29", kTrue, "2016-03-01 00:00:00Z"},
        {"weekdays='1-5' hours='9-16'", "2024-02-02 16:30:00Z", kTrue, "2024-02-02 17:00:00Z"},
        {"weekdays='1-5' hours='9-16'", "2024-02-02 17:30:00Z", kAfter, "2024-02-05 09:00:00Z"},
        {"years='not-a-year' months='1'", "2020-01-01", kTrue, "2020-02-01 00:00:00Z"},
    };
    for (const DateRow& row : table) {
        Input input;
        input.now = at(row.now);
        const auto result =
            evaluate_condition(*read("<date_expression id='d' operation='date_spec'><date_spec id='s' " +
                                     std::string(row.attributes) + "/></date_expression>"),
                               input);
        EXPECT_EQ(result.outcome, row.outcome) << row.attributes << " at " << row.now;
        EXPECT_FALSE(result.next_change) << row.attributes;
        if (row.next != nullptr) {
            ASSERT_TRUE(result.next_date_spec) << row.attributes;
            EXPECT_EQ(to_string(DateTime{*result.next_date_spec, 0}), row.next) << row.attributes;
        }
    }
}

TEST(Rules, DateSpecsMeanLocalTime) {
    Input input;
    input.now = at("2024-02-02 16:30:00Z").at_offset(9 * 3600);
    const auto spec =
        read("<date_expression id='d' operation='date_spec'><date_spec id='s' hours='1'/></date_expression>");
    EXPECT_TRUE(evaluate_condition(*spec, input).holds());
}

TEST(Rules, ADurationCountsFromTheStart) {
    Input input;
    const auto range =
        read("<date_expression id='d' start='2024-01-31'><duration id='l' months='1'/></date_expression>");
    input.now = at("2024-02-29");
    EXPECT_TRUE(evaluate_condition(*range, input).holds());
    input.now = at("2024-02-29 00:00:01Z");
    EXPECT_EQ(evaluate_condition(*range, input).outcome, Outcome::kAfter);
}

TEST(Rules, BooleanOpNegateAndNesting) {
    const std::string yes = "<expression id='y' attribute='foo' operation='defined'/>";
    const std::string no = "<expression id='n' attribute='foo' operation='not_defined'/>";
    const std::pair<std::string, Outcome> table[]{
        {"<rule id='r'>" + yes + yes + "</rule>", Outcome::kTrue},
        {"<rule id='r'>" + yes + no + "</rule>", Outcome::kFalse},
        {"<rule id='r' boolean-op='or'>" + no + yes + "</rule>", Outcome::kTrue},
        {"<rule id='r' boolean-op='or'>" + no + no + "</rule>", Outcome::kFalse},
        {"<rule id='r' boolean-op='or'><rule id='r2'>" + yes + no + "</rule><rule id='r3'>" + yes + "</rule></rule>",
         Outcome::kTrue},
        {"<rule id='r' negate='true'>" + yes + "</rule>", Outcome::kFalse},
        {"<rule id='r' negate='true'>" + no + "</rule>", Outcome::kTrue},
        {"<rule id='r'/>", Outcome::kTrue},
        {"<rule id='r' boolean-op='or'/>", Outcome::kTrue},
        {"<rule id='r' boolean-op='xor'>" + yes + "</rule>", Outcome::kInvalid},
        {"<rule>" + yes + "</rule>", Outcome::kInvalid},
    };
    for (const auto& [text, expected] : table)
        EXPECT_EQ(evaluate_rule(*read(text), sample()).outcome, expected) << text;
}

TEST(Rules, ProblemsNameElementAndAttribute) {
    const auto result =
        evaluate_rule(*read("<rule id='r'><expression id='e1' attribute='a' operation='near'/></rule>"), sample());
    ASSERT_EQ(result.problems.size(), 1U);
    EXPECT_EQ(result.problems.front(),
              "expression e1: operation 'near' is not one of lt, gt, lte, gte, eq, ne, defined, not_defined");
}

TEST(NvPairs, HighestScoreWinsAndRulesDecide) {
    const auto cib = read(R"(<primitive id='p'>
        <instance_attributes id='low'><nvpair id='1' name='a' value='low'/><nvpair id='2' name='b' value='low'/></instance_attributes>
        <instance_attributes id='high' score='10'><rule id='r'><expression id='e' attribute='foo' operation='defined'/></rule>
          <nvpair id='3' name='a' value='high'/></instance_attributes>
        <instance_attributes id='higher' score='20'><rule id='r2'><date_expression id='d' operation='gt' start='2025-01-01'/></rule>
          <nvpair id='4' name='a' value='higher'/></instance_attributes>
        <instance_attributes id-ref='shared'/>
      </primitive>)");
    const auto shared =
        read("<instance_attributes id='shared'><nvpair id='5' name='c' value='shared'/></instance_attributes>");
    const ResolveRef resolve = [&](std::string_view, std::string_view id) -> const xml::Node* {
        return id == "shared" ? shared.get() : nullptr;
    };
    NameValues values;
    const auto result = unpack_nvpairs(*cib, "instance_attributes", sample(), resolve, values);
    EXPECT_THAT(values, testing::ElementsAre(testing::Pair("a", "high"), testing::Pair("b", "low"),
                                             testing::Pair("c", "shared")));
    EXPECT_EQ(to_string(DateTime{result.next_change.value_or(WallTime{}), 0}), "2025-01-01 00:00:01Z");
    EXPECT_TRUE(result.problems.empty());
}

TEST(NvPairs, TheBootstrapSetGoesFirst) {
    const auto config = read(R"(<crm_config>
        <cluster_property_set id='mine' score='100'><nvpair id='1' name='a' value='mine'/></cluster_property_set>
        <cluster_property_set id='cib-bootstrap-options'><nvpair id='2' name='a' value='boot'/></cluster_property_set>
      </crm_config>)");
    NameValues values;
    unpack_nvpairs(*config, "cluster_property_set", sample(), {}, values, {.first_id = "cib-bootstrap-options"});
    EXPECT_THAT(values, testing::ElementsAre(testing::Pair("a", "boot")));
}

}  // namespace
}  // namespace systole::rules
