#include "sim/promises.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/result.h"
#include "base/text.h"
#include "wire/message.h"
#include "xml/parse.h"

namespace systole::sim {
namespace {

std::string_view meta(const xml::Node& resource, std::string_view name) {
    for (const auto& set : resource.children()) {
        if (!set->is("meta_attributes")) continue;
        for (const auto& pair : set->children())
            if (pair->get("name") == name) return pair->get("value");
    }
    return {};
}

bool is_false(std::string_view text) { return !text.empty() && !parse_bool(text).value_or(true); }

struct Reader {
    Promises& promises;
    std::map<std::string, std::vector<std::string>> members{};  ///< primitives of a resource that is no clone

    void read_resource(const xml::Node& resource) {
        if (resource.is("primitive")) {
            if (resource.get("class") == "stonith") return;
            add_exclusive(resource);
            members[std::string(resource.id())] = {std::string(resource.id())};
        } else if (resource.is("group")) {
            std::vector<std::string>& list = members[std::string(resource.id())];
            for (const auto& member : resource.children()) {
                if (!member->is("primitive")) continue;
                add_exclusive(*member);
                if (!list.empty()) promises.orders.push_back({list.back(), std::string(member->id()), true});
                if (!list.empty()) promises.together.emplace_back(member->id(), list.back());
                list.emplace_back(member->id());
            }
        } else if (resource.is("clone") || resource.is("master")) {
            read_clone(resource);
        }
    }
    void add_exclusive(const xml::Node& primitive) {
        promises.exclusive.emplace_back(primitive.id());
        if (is_false(meta(primitive, "is-managed"))) promises.unmanaged.emplace(primitive.id());
    }
    void read_clone(const xml::Node& clone) {
        if (parse_bool(meta(clone, "globally-unique")).value_or(false)) return;
        CloneLimits limits;
        limits.total_max = static_cast<unsigned>(parse_integer(meta(clone, "clone-max")).value_or(0));
        if (clone.is("master") || parse_bool(meta(clone, "promotable")).value_or(false)) {
            const auto newer = parse_integer(meta(clone, "promoted-max"));
            const auto older = parse_integer(meta(clone, "master-max"));
            limits.promoted_max = static_cast<unsigned>(newer.value_or(older.value_or(1)));
        }
        for (const auto& inner : clone.children())
            if (inner->is("primitive")) promises.cloned.emplace(inner->id(), limits);
    }
    void read_constraint(const xml::Node& constraint) {
        if (constraint.first_element_ptr()) return;  // rules and sets
        const auto list = [&](std::string_view attribute) -> const std::vector<std::string>* {
            const auto found = members.find(std::string(constraint.get(attribute)));
            return found == members.end() || found->second.empty() ? nullptr : &found->second;
        };
        const bool mandatory = constraint.get("score") == "INFINITY" || constraint.get("score") == "+INFINITY";
        if (constraint.is("rsc_location") && constraint.get("score") == "-INFINITY" && constraint.has("node")) {
            if (const auto* banned = list("rsc"); banned != nullptr && !constraint.has("role"))
                for (const std::string& resource : *banned) promises.banned.emplace(resource, constraint.get("node"));
        } else if (constraint.is("rsc_colocation") && mandatory && !constraint.has("node-attribute")) {
            const auto* rsc = list("rsc");
            const auto* with = list("with-rsc");
            const bool any_role = !constraint.has("rsc-role") && !constraint.has("with-rsc-role");
            if (rsc != nullptr && with != nullptr && any_role)
                promises.together.emplace_back(rsc->front(), with->back());
        } else if (constraint.is("rsc_order")) {
            const std::string_view kind = constraint.get("kind");
            const bool strict = same_ignoring_case(kind, "mandatory") || (kind.empty() && mandatory) ||
                                (kind.empty() && !constraint.has("score"));
            const bool starts = (!constraint.has("first-action") || constraint.get("first-action") == "start") &&
                                (!constraint.has("then-action") || constraint.get("then-action") == "start");
            const auto* first = list("first");
            const auto* then = list("then");
            if (strict && starts && first != nullptr && then != nullptr &&
                parse_bool(constraint.get("symmetrical", "true")).value_or(true))
                promises.orders.push_back({first->back(), then->front(), false});
        }
    }
};

std::string operations(std::string_view id, std::string_view monitors) {
    return fmt::format(R"(<operations>{1}<op id="{0}-start" name="start" interval="0" timeout="10s"/>)"
                       R"(<op id="{0}-stop" name="stop" interval="0" timeout="10s"/></operations>)",
                       id, monitors);
}

std::string dummy(std::string_view id, std::string_view options = {}) {
    const std::string monitor = fmt::format(R"(<op id="{}-mon" name="monitor" interval="5s" timeout="10s"/>)", id);
    const std::string meta_attributes =
        options.empty() ? std::string{}
                        : fmt::format(R"(<meta_attributes id="{}-meta">{}</meta_attributes>)", id, options);
    return fmt::format(R"(<primitive id="{}" class="ocf" provider="pacemaker" type="Dummy">{}{}</primitive>)", id,
                       meta_attributes, operations(id, monitor));
}

}  // namespace

Promises promises_of(const xml::Node& cib) {
    Promises promises;
    const xml::Node* configuration = cib.child("configuration");
    const xml::Node* resources = configuration == nullptr ? nullptr : configuration->child("resources");
    if (resources == nullptr) return promises;
    Reader reader{promises};
    for (const xml::NodePtr& resource : resources->children()) reader.read_resource(*resource);
    if (const xml::Node* constraints = configuration->child("constraints"); constraints != nullptr)
        for (const xml::NodePtr& constraint : constraints->children()) reader.read_constraint(*constraint);
    if (const xml::Node* options = configuration->child("crm_config"); options != nullptr)
        for (const xml::NodePtr& set : options->children())
            for (const xml::NodePtr& pair : set->children())
                if (pair->get("name") == "stonith-enabled" && is_false(pair->get("value"))) promises.fencing = false;
    return promises;
}

xml::NodePtr drill_cib(unsigned nodes, unsigned resources, Random& random) {
    std::string primitives;
    std::string host_list;
    for (unsigned i = 1; i <= nodes; ++i) host_list += fmt::format("{}n{}", i == 1 ? "" : " ", i);
    primitives +=
        fmt::format(R"(<primitive id="fence" class="stonith" type="fence_sim"><instance_attributes id="fence-ia">)"
                    R"(<nvpair id="fence-hosts" name="pcmk_host_list" value="{}"/></instance_attributes>)"
                    R"(<operations><op id="fence-mon" name="monitor" interval="60s"/></operations></primitive>)",
                    host_list);
    for (unsigned i = 1; i <= resources; ++i) primitives += dummy(fmt::format("d{}", i));
    primitives += R"(<group id="web">)" + dummy("ip") + dummy("http") + "</group>";
    primitives += R"(<clone id="everywhere">)" + dummy("agent") + "</clone>";
    primitives += R"(<clone id="pair"><meta_attributes id="pair-meta">)"
                  R"(<nvpair id="pair-max" name="clone-max" value="2"/></meta_attributes>)" +
                  dummy("two") + "</clone>";
    primitives += R"(<clone id="stateful"><meta_attributes id="stateful-meta">)"
                  R"(<nvpair id="stateful-p" name="promotable" value="true"/></meta_attributes>)"
                  R"(<primitive id="st" class="ocf" provider="pacemaker" type="Stateful">)" +
                  operations("st", R"(<op id="st-mon" name="monitor" interval="6s" timeout="10s"/>)"
                                   R"(<op id="st-monp" name="monitor" interval="5s" timeout="10s" role="Promoted"/>)"
                                   R"(<op id="st-promote" name="promote" interval="0" timeout="10s"/>)"
                                   R"(<op id="st-demote" name="demote" interval="0" timeout="10s"/>)") +
                  "</primitive></clone>";
    primitives += dummy("mig", R"(<nvpair id="mig-allow" name="allow-migrate" value="true"/>)");
    primitives += dummy("byhand", R"(<nvpair id="byhand-managed" name="is-managed" value="false"/>)");
    std::string constraints;
    for (unsigned i = 1; i <= resources; ++i)
        if (random.chance(50))
            constraints += fmt::format(R"(<rsc_location id="l{0}" rsc="d{0}" node="n{1}" score="{2}"/>)", i,
                                       random.between(1, nodes), random.between(1, 200));
    if (resources >= 2 && random.chance(60))
        constraints += R"(<rsc_colocation id="c1" rsc="d2" with-rsc="d1" score="INFINITY"/>)";
    if (random.chance(60)) constraints += R"(<rsc_order id="o1" first="d1" then="web" kind="Mandatory"/>)";
    if (resources >= 3 && random.chance(50))
        constraints +=
            fmt::format(R"(<rsc_location id="ban" rsc="d3" node="n{}" score="-INFINITY"/>)", random.between(1, nodes));
    const std::string text = fmt::format(
        R"(<cib validate-with="pacemaker-3.9" crm_feature_set="{}" admin_epoch="0" epoch="1" num_updates="0">)"
        R"(<configuration><crm_config><cluster_property_set id="cib-bootstrap-options">)"
        R"(<nvpair id="opt-fencing" name="stonith-enabled" value="true"/>)"
        R"(<nvpair id="opt-quorum" name="no-quorum-policy" value="stop"/></cluster_property_set></crm_config>)"
        R"(<nodes/><resources>{}</resources><constraints>{}</constraints>)"
        R"(<rsc_defaults><meta_attributes id="rd"><nvpair id="rd-ft" name="failure-timeout" value="30s"/>)"
        R"(<nvpair id="rd-mt" name="migration-threshold" value="5"/></meta_attributes></rsc_defaults>)"
        R"(</configuration><status/></cib>)",
        wire::kFeatureSet, primitives, constraints);
    auto parsed = xml::parse(text);
    SYSTOLE_ASSERT(parsed.has_value(), "the drill's own configuration is well-formed");
    return *parsed;
}

std::vector<wire::NodeRef> nodes_of(const xml::Node& cib, unsigned otherwise) {
    std::vector<wire::NodeRef> found;
    const xml::Node* configuration = cib.child("configuration");
    const xml::Node* nodes = configuration == nullptr ? nullptr : configuration->child("nodes");
    if (nodes != nullptr) {
        for (const xml::NodePtr& node : nodes->children()) {
            const auto id = parse_integer(node->id());
            const bool member = node->get("type").empty() || node->get("type") == "member";
            if (id && *id > 0 && *id <= 0xffffffffLL && member && !node->get("uname").empty())
                found.push_back({NodeId{static_cast<std::uint32_t>(*id)}, std::string(node->get("uname"))});
        }
    }
    std::ranges::sort(found);
    if (!found.empty()) return found;
    for (unsigned i = 1; i <= otherwise; ++i) found.push_back({NodeId{i}, fmt::format("n{}", i)});
    return found;
}

}  // namespace systole::sim
