#include "fencing/agent.h"

#include "base/text.h"
#include "xml/parse.h"
#include "xml/tree.h"

namespace systole::fencing {
namespace {

bool is_true(const xml::Node& node, std::string_view attribute) {
    return parse_bool(node.get(attribute)).value_or(false);
}

void read_action(const xml::Node& action, AgentTraits& traits) {
    const auto name = action.get("name");
    if (name == "list") traits.list = true;
    if (name == "status") traits.status = true;
    if (name == "reboot") traits.reboot = true;
    if (name == "on") {
        traits.on = true;
        // "required" is the older spelling.
        if (is_true(action, "automatic") || is_true(action, "required")) traits.automatic_unfencing = true;
    }
    if (!name.empty() && is_true(action, "on_target")) traits.on_target_only.emplace(name);
}

void visit(const xml::Node& node, AgentTraits& traits, bool& has_plug, bool& has_port) {
    for (const auto& child : node.children()) {
        if (!child->is_element()) continue;
        if (child->is("action")) read_action(*child, traits);
        if (child->is("parameter")) {
            has_plug |= child->get("name") == "plug";
            has_port |= child->get("name") == "port";
        }
        visit(*child, traits, has_plug, has_port);
    }
}

}  // namespace

Result<AgentTraits> read_agent_metadata(std::string_view metadata) {
    auto tree = xml::parse(metadata);
    if (!tree) return tl::unexpected(tree.error());
    AgentTraits traits;
    bool has_plug = false;
    bool has_port = false;
    visit(**tree, traits, has_plug, has_port);
    traits.host_argument = has_plug ? "plug" : has_port ? "port" : "";
    return traits;
}

}  // namespace systole::fencing
