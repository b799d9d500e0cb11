#include "sim/promises.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

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

const xml::Node* resources_of(const xml::Node& cib) {
    const xml::Node* configuration = cib.child("configuration");
    return configuration == nullptr ? nullptr : configuration->child("resources");
}

/// To a remote node: carried out by the controller, without an agent.
bool is_connection(const xml::Node& primitive) {
    return primitive.get("provider") == "pacemaker" && primitive.get("type") == "remote";
}

bool is_false(std::string_view text) { return !text.empty() && !parse_bool(text).value_or(true); }

struct Reader {
    Promises& promises;
    std::map<std::string, std::vector<std::string>> members{};  ///< primitives of a resource that is no clone

    void read_resource(const xml::Node& resource) {
        if (resource.is("primitive")) {
            if (resource.get("class") == "stonith" || is_connection(resource)) return;
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

void add_remotes(const DrillShape& shape, std::string& primitives, std::string& constraints) {
    std::vector<std::string> places;
    for (unsigned i = 1; i <= std::max(shape.remotes, shape.guests); ++i) {
        if (i <= shape.remotes) {
            primitives += fmt::format(
                R"(<primitive id="r{0}" class="ocf" provider="pacemaker" type="remote">)"
                R"(<instance_attributes id="r{0}-ia"><nvpair id="r{0}-server" name="server" value="r{0}"/>)"
                R"(</instance_attributes><operations><op id="r{0}-mon" name="monitor" interval="10s" timeout="15s"/>)"
                R"(<op id="r{0}-start" name="start" interval="0" timeout="30s"/></operations></primitive>)",
                i);
            places.push_back(fmt::format("r{}", i));
        }
        if (i <= shape.guests) {
            primitives += dummy(fmt::format("vm{}", i),
                                fmt::format(R"(<nvpair id="vm{0}-remote" name="remote-node" value="g{0}"/>)", i));
            places.push_back(fmt::format("g{}", i));
        }
    }
    constexpr std::string_view kOnClusterNodes =
        "^(fence|d[0-9]+|web|everywhere|pair|stateful|mig|byhand|vm[0-9]+|r[0-9]+)$";
    for (unsigned i = 1; i <= shape.nodes; ++i)
        constraints += fmt::format(
            R"(<rsc_location id="only-n{0}" rsc-pattern="{1}" node="n{0}" score="0" resource-discovery="exclusive"/>)",
            i, kOnClusterNodes);
    const std::size_t count = std::max<std::size_t>(3, places.size() / 10);
    for (std::size_t k = 0; k < count; ++k) {
        primitives += dummy(fmt::format("rd{}", k + 1));
        const std::array homes{places[k * places.size() / count],
                               places[(k * places.size() / count + 1) % places.size()],
                               fmt::format("n{}", 1 + k % shape.nodes)};
        for (std::size_t h = 0; h < homes.size(); ++h)
            if (std::find(homes.begin(), homes.begin() + static_cast<std::ptrdiff_t>(h), homes[h]) ==
                homes.begin() + static_cast<std::ptrdiff_t>(h))
                constraints += fmt::format(R"(<rsc_location id="rd{0}-{1}" rsc="rd{0}" node="{1}" score="{2}" )"
                                           R"(resource-discovery="exclusive"/>)",
                                           k + 1, homes[h], 200 - 100 * h);
    }
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

xml::NodePtr drill_cib(const DrillShape& shape, Random& random) {
    const auto [nodes, resources, remotes, guests] = shape;
    std::string primitives;
    std::string host_list;
    for (unsigned i = 1; i <= remotes; ++i) host_list += fmt::format("r{} ", i);
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
    if (remotes + guests > 0) add_remotes(shape, primitives, constraints);
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

std::map<std::string, std::string> guests_of(const xml::Node& cib) {
    std::map<std::string, std::string> guests;
    const auto visit = [&](const auto& self, const xml::Node& resource) -> void {
        if (const std::string_view guest = meta(resource, "remote-node"); resource.is("primitive") && !guest.empty())
            guests.emplace(guest, resource.id());
        for (const xml::NodePtr& child : resource.children())
            if (child->is("primitive") || child->is("group")) self(self, *child);
    };
    if (const xml::Node* resources = resources_of(cib); resources != nullptr) visit(visit, *resources);
    return guests;
}

std::vector<std::string> remotes_of(const xml::Node& cib) {
    std::vector<std::string> remotes;
    const xml::Node* resources = resources_of(cib);
    if (resources == nullptr) return remotes;
    for (const xml::NodePtr& resource : resources->children())
        if (resource->is("primitive") && is_connection(*resource)) remotes.emplace_back(resource->id());
    return remotes;
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
