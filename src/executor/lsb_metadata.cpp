#include "executor/lsb_metadata.h"

#include <map>
#include <vector>

#include "base/text.h"
#include "executor/agents.h"
#include "xml/tree.h"
#include "xml/write.h"

namespace systole::executor {

namespace {

/// Keys and values of the block; a Description may go on in lines that begin with a tab or two blanks.
std::map<std::string, std::string, std::less<>> header_of(std::string_view script) {
    std::map<std::string, std::string, std::less<>> header;
    bool inside = false;
    std::string last;
    for (const auto line : split(script, "\n")) {
        if (line.starts_with("### BEGIN INIT INFO")) {
            inside = true;
        } else if (line.starts_with("### END INIT INFO")) {
            break;
        } else if (inside && line.starts_with('#')) {
            const auto text = line.substr(1);
            const auto colon = text.find(':');
            const bool goes_on = text.starts_with('\t') || text.starts_with("  ");
            if (goes_on && last == "Description") {
                header[last] += " " + std::string(trim(text));
            } else if (colon != std::string_view::npos) {
                last = trim(text.substr(0, colon));
                header[last] = trim(text.substr(colon + 1));
            }
        }
    }
    return header;
}

xml::NodePtr text_element(std::string_view name, std::string_view text) {
    xml::Builder element(name);
    element.set("lang", "en").add(xml::Builder::text(text));
    return std::move(element).build();
}

}  // namespace

std::string lsb_metadata_of(std::string_view type, std::string_view script) {
    const auto header = header_of(script);
    const auto value = [&](std::string_view key) {
        const auto found = header.find(key);
        return found == header.end() ? std::string{} : printable(found->second);
    };
    const std::string brief = value("Short-Description").empty() ? std::string(type) : value("Short-Description");
    xml::Builder actions("actions");
    for (const std::string_view name : {"meta-data", "start", "stop", "status", "restart", "force-reload", "monitor"}) {
        xml::Builder action("action");
        action.set("name", name).set("timeout", name == "meta-data" ? "5" : "15");
        if (name == "status" || name == "monitor") action.set("interval", "15");
        actions.add(std::move(action));
    }
    xml::Builder special("special");
    special.set("tag", "LSB");
    for (const std::string_view key : {"Provides", "Required-Start", "Required-Stop", "Should-Start", "Should-Stop",
                                       "Default-Start", "Default-Stop"}) {
        if (value(key).empty()) continue;
        xml::Builder element(key);
        element.add(xml::Builder::text(value(key)));
        special.add(std::move(element));
    }
    xml::Builder agent("resource-agent");
    agent.set("name", type)
        .set("version", "1")
        .add(xml::Builder("version").add(xml::Builder::text("1.1")).build())
        .add(text_element("longdesc", value("Description").empty() ? brief : value("Description")))
        .add(text_element("shortdesc", brief))
        .add(xml::Builder("parameters"))
        .add(std::move(actions))
        .add(std::move(special));
    return "<?xml version=\"1.0\"?>\n<!DOCTYPE resource-agent SYSTEM \"ra-api-1.dtd\">\n" +
           xml::write(*std::move(agent).build(), {.pretty = true, .text_nodes = true});
}

}  // namespace systole::executor
