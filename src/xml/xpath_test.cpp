#include "xml/xpath.h"

#include "xml/parse.h"

namespace systole::xml {
namespace {

constexpr std::string_view kDocument = R"(<cib epoch="1"><configuration><!--one--><resources>
<group id="g"><primitive id="A" class="ocf" type="Dummy"><operations><op id="A-m" name="monitor" interval="10"/></operations></primitive>
<primitive id="B" class="systemd"/></group><primitive id="C" class="ocf" type="IPaddr2"><meta id="C-meta"/></primitive></resources>
<constraints/></configuration><status><node_state id="1" uname="n1"><lrm id="1"/></node_state><node_state id="2" uname="n2"/></status></cib>)";

/// Element names with ids, comma separated.
std::string found(const std::string& expression, bool first = false) {
    const auto root = parse(kDocument);
    const auto xpath = XPath::compile(expression);
    if (!xpath) return "error: " + xpath.error().what;
    std::string out;
    for (const Path& path : first ? xpath->find_first(**root) : xpath->find(**root)) {
        const Node* node = node_at(**root, path);
        if (!out.empty()) out += ", ";
        out += node->name();
        if (node->has("id")) out += "#" + std::string(node->id());
    }
    return out;
}

struct Case {
    const char* expression;
    const char* matches;
    bool native = true;
};

TEST(XPath, FindsWhatTheStandardSays) {
    const std::vector<Case> cases{
        {"/", "cib"},
        {"/cib", "cib"},
        {"/cib/configuration/resources/primitive", "primitive#C"},
        {"//primitive", "primitive#A, primitive#B, primitive#C"},
        {"//primitive[@id='B']", "primitive#B"},
        {"//primitive[@class = \"ocf\" and @type='Dummy']", "primitive#A"},
        {"//primitive[@class='systemd' or @type='IPaddr2']", "primitive#B, primitive#C"},
        {"//primitive[not(@type)]", "primitive#B"},
        {"//primitive[@type!='Dummy']", "primitive#C"},
        {"//*[@id='A-m']", "op#A-m"},
        {"//op/@interval", "op#A-m"},
        {"//@uname", "node_state#1, node_state#2"},
        {"//primitive[1]", "primitive#A, primitive#C"},
        {"//primitive[last()]", "primitive#B, primitive#C"},
        {"//primitive[position()=2]", "primitive#B"},
        {"//group/primitive[2]/@id", "primitive#B"},
        {"//op/..", "operations"},
        {"//op/../..", "primitive#A"},
        {"//op/ancestor::group", "group#g"},
        {"//op/ancestor-or-self::*[@id]", "group#g, primitive#A, op#A-m"},
        {"//primitive[operations/op[@name='monitor']]", "primitive#A"},
        {"//primitive[operations/op/@interval='10']", "primitive#A"},
        {"//primitive[operations/op/@interval>5]", "primitive#A"},
        {"//node_state[@uname='n2']|//constraints | //nothing", "constraints, node_state#2"},
        {"//primitive[contains(@type,'IP')]", "primitive#C"},
        {"//primitive[starts-with(@type,'Dum')]", "primitive#A"},
        {"//*[local-name()='meta']", "meta#C-meta"},
        {"//comment()", "configuration"},
        {"//configuration/node()", "configuration, resources, constraints"},
        {"/cib[@epoch='1']/status/node_state[lrm]", "node_state#1"},
        {"/cib/status//*", "node_state#1, lrm#1, node_state#2"},
        {"//lrm/parent::node_state", "node_state#1"},
        {"//node_state[@id=/cib/@epoch]", "node_state#1"},
        {"//primitive[string-length(@type)=5]", "primitive#A"},
        {"//nothing", ""},
        {"cib", ""},
        {"1 < 2", ""},
        {"count(//primitive)", "", false},
        {"//primitive[@class='systemd']/following::primitive", "primitive#C", false},
        {"//primitive[position() mod 2 = 0]", "primitive#B", false},
        {"(//primitive)[2]", "primitive#B", false},
        {"//primitive[count(operations/op)=1]/@type", "primitive#A", false},
        {"id('x')", "", false},
    };
    for (const Case& c : cases) {
        EXPECT_EQ(found(c.expression), c.matches) << c.expression;
        const auto compiled = XPath::compile(c.expression);
        ASSERT_TRUE(compiled.has_value()) << c.expression;
        EXPECT_EQ(compiled->is_native(), c.native) << c.expression;
    }
}

TEST(XPath, FirstMatchIsTheFirstInTheDocument) {
    EXPECT_EQ(found("//primitive", true), "primitive#A");
    EXPECT_EQ(found("//primitive[2]|//group", true), "group#g");
    EXPECT_EQ(found("(//primitive)[2]", true), "primitive#B");
}

TEST(XPath, MalformedExpressionsAreRefusedWithTheirText) {
    for (const std::string text : {"//primitive[", "//primitive[@id='A", "", "//", "/cib/", "//a[@b=]", "a b", "@"})
        EXPECT_THAT(found(text), testing::StartsWith("error: XPath '" + text + "': ")) << text;
}

}  // namespace
}  // namespace systole::xml
