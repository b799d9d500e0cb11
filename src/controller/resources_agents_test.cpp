// What resources learn from an executor that answers: which names an agent knows, which call numbers were seen.
#include "controller/resources.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "xml/parse.h"

namespace systole::controller {
namespace {

/// A node's resources with an executor that does what it is told.
class ResourcesAgents : public testing::Test {
protected:
    Resources::Step take(Resources::Step step) {
        for (const ControllerEffect& effect : step.effects) {
            if (const auto* asked = std::get_if<ToExecutor>(&effect)) asked_.push_back(*asked);
            if (const auto* wanted = std::get_if<FetchMetadata>(&effect)) metadata_ = wanted->token;
        }
        return step;
    }
    /// The DC's order; returns what the executor was asked to run.
    std::string run(const std::string& action) {
        const auto op = xml::parse(fmt::format(
            R"(<rsc_op operation="{}" operation_key="a_{}_0" transition-key="1:1:0:u"><primitive id="a" class="ocf" )"
            R"(provider="p" type="T"/><attributes CRM_meta_timeout="20000"/></rsc_op>)",
            action, action));
        asked_.clear();
        take(resources_.invoke({}, *op, {}, Readiness::kReady));
        for (const ToExecutor& one : asked_)
            if (one.message->get("lrmd_op") == "lrmd_rsc_exec")
                return std::string(one.message->child("lrmd_calldata")->child("lrmd_rsc")->get("lrmd_rsc_action"));
        return "nothing";
    }
    void learn(const std::string& actions) {
        take(resources_.on_metadata(
            {}, {.token = metadata_,
                 .xml = "<resource-agent name=\"T\"><actions>" + actions + "</actions></resource-agent>",
                 .fault = {}}));
    }
    void end(const std::string& action, int call) {
        const auto event = xml::parse(
            fmt::format(R"(<lrmd_notify lrmd_op="lrmd_rsc_exec" lrmd_rsc_id="a" lrmd_rsc_action="{}" lrmd_callid="{}" )"
                        R"(lrmd_exec_op_status="0" lrmd_exec_rc="0" lrmd_rsc_userdata_str="1:1:0:u"/>)",
                        action, call));
        take(resources_.on_event({}, **event));
    }

    Resources resources_{{NodeId{1}, "n1"}};
    std::vector<ToExecutor> asked_;
    std::uint32_t metadata_{};
};

TEST_F(ResourcesAgents, ANewExecutorHearsOfTheCallNumbersThatWereSeen) {
    take(resources_.on_executor_up({}));
    ASSERT_EQ(asked_.size(), 1U);
    EXPECT_FALSE(asked_[0].message->has("systole_calls_above"));
    run("start");
    learn("<action name=\"start\"/>");
    end("start", 11);
    take(resources_.on_executor_down({}));
    asked_.clear();
    take(resources_.on_executor_up({}));
    ASSERT_FALSE(asked_.empty());
    EXPECT_EQ(asked_[0].message->get("lrmd_op"), "register");
    EXPECT_EQ(asked_[0].message->get("systole_calls_above"), "11");
}

TEST_F(ResourcesAgents, AnAgentIsReloadedByTheNameThatItKnows) {
    for (const auto& [known, used] : {std::pair{"reload-agent", "reload-agent"}, std::pair{"reload", "reload"}}) {
        resources_ = Resources{{NodeId{1}, "n1"}};
        take(resources_.on_executor_up({}));
        EXPECT_EQ(run("start"), "start");
        learn(fmt::format("<action name=\"start\"/><action name=\"{}\"/>", known));
        end("start", 3);
        EXPECT_EQ(run("reload-agent"), used);
    }
}

}  // namespace
}  // namespace systole::controller
