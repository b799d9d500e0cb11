#include "cli/resource_settings.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/resource_constraints.h"
#include "model/operations.h"

namespace systole::cli {
namespace {

using model::Cluster;
using model::Resource;
using Kind = SettingRequest::Kind;

const char* set_type(Kind kind) {
    switch (kind) {
        case Kind::kMeta: return "meta_attributes";
        case Kind::kUtilization: return "utilization";
        case Kind::kInstance:
        case Kind::kElement: break;
    }
    return "instance_attributes";
}

ExitCode finish(Output& output, const Result<CibReply>& reply) {
    const int rc = reply ? reply->rc : legacy_code(reply.error());
    if (rc == 0) return ExitCode::kOk;
    output.fail(fmt::format("Error performing operation: {}", describe_legacy(rc)));
    return exit_code_of_legacy(rc);
}

const xml::Node* find_element(const xml::Node& node, std::string_view id) {
    if (node.id() == id && (node.is("primitive") || node.is("group") || node.is("clone") || node.is("bundle") ||
                            node.is("master") || node.is("template"))) {
        return &node;
    }
    for (const xml::NodePtr& child : node.children()) {
        if (const xml::Node* found = find_element(*child, id)) return found;
    }
    return nullptr;
}

// The resource's element as it is configured now.
const xml::Node* element_of(const Cluster& cluster, const Resource& resource) {
    const xml::Node* configuration = cluster.cib->child("configuration");
    const xml::Node* resources = configuration == nullptr ? nullptr : configuration->child("resources");
    return resources == nullptr ? nullptr : find_element(*resources, resource.xml_id());
}

struct Found {
    std::string resource;  ///< whose pair it is
    const xml::Node* set;
    const xml::Node* pair;
};

// All pairs of the name in an element's sets and, in document order, in those of resources inside it.
void collect(const xml::Node& element, const SettingRequest& request, std::vector<Found>& found) {
    for (const xml::NodePtr& child : element.children()) {
        if (child->is(set_type(request.kind))) {
            if (!request.set_id.empty() && child->id() != request.set_id) continue;
            for (const xml::NodePtr& pair : child->children()) {
                if (!pair->is("nvpair") || pair->get("name") != request.name) continue;
                if (!request.pair_id.empty() && pair->id() != request.pair_id) continue;
                found.push_back({std::string(element.id()), child.get(), pair.get()});
            }
        } else if (child->is("primitive") || child->is("group")) {
            collect(*child, request, found);
        }
    }
}

// Which resource a change is for, and the pair that it has already.
struct Target {
    const Resource* resource;
    std::optional<Found> existing;
};

Target choose(Output& output, const Cluster& cluster, const Resource& named, const SettingRequest& request,
              const char* verb) {
    Target target{&named, std::nullopt};
    const auto own = [&](const Resource& resource) -> std::optional<Found> {
        std::vector<Found> found;
        const xml::Node* element = element_of(cluster, resource);
        if (element != nullptr) collect(*element, request, found);
        std::erase_if(found, [&resource](const Found& one) { return one.resource != resource.xml_id(); });
        return found.empty() ? std::nullopt : std::optional<Found>(found.front());
    };
    target.existing = own(named);
    if (request.force || request.kind != Kind::kMeta) return target;

    std::vector<Found> all;
    if (const xml::Node* top = element_of(cluster, named.top(false))) collect(*top, request, all);
    if (all.size() > 1 && named.top(false).is_clone()) {
        output.line(fmt::format("Multiple attributes match name={}", request.name));
        for (const Found& one : all) {
            output.line(fmt::format("  Value: {} \t(id={})", one.pair->get("value"), one.pair->id()));
        }
        output.blank_line();
    }
    if (named.is_clone() && !named.children.empty()) {
        const Resource& child = *named.children.front();
        if (auto existing = own(child)) {
            output.line(
                fmt::format("A value for '{}' already exists in child '{}', performing {} on that instead of '{}'",
                            request.name, child.xml_id(), verb, named.xml_id()));
            return {&child, std::move(existing)};
        }
    } else if (!target.existing && named.parent != nullptr && named.parent->is_clone() && !named.is_bundled()) {
        output.line(fmt::format("Performing {} of '{}' on '{}', the parent of '{}'", verb, request.name,
                                named.parent->xml_id(), named.xml_id()));
        return {named.parent, own(*named.parent)};
    }
    return target;
}

// Replaces the resource's element by a changed copy.
template <class Change>
Result<CibReply> with_element(CibAccess& access, const Cluster& cluster, const Resource& resource, Change change) {
    const xml::Node* element = element_of(cluster, resource);
    if (element == nullptr) return systole::fail(Errc::kNotFound, "the resource is not in the configuration");
    xml::Builder changed(*element);
    change(changed);
    return access.call({.op = cib::Op::kReplace,
                        .section = "resources",
                        .input = std::move(changed).build(),
                        .options = cib::option::kSyncCall});
}

// A change that reaches the element wherever it stands.
CibCall modify(xml::Builder&& element) {
    return {.op = cib::Op::kModify,
            .section = "resources",
            .input = std::move(element).build(),
            .options = cib::option::kSyncCall};
}

}  // namespace

ExitCode get_setting(Output& output, Cluster& cluster, Resource& resource, const SettingRequest& request) {
    std::optional<std::string> value;
    switch (request.kind) {
        case Kind::kInstance: {
            const auto& parameters = model::resource_parameters(cluster, resource, model::current_node(resource));
            if (const auto found = parameters.find(request.name); found != parameters.end()) value = found->second;
            break;
        }
        case Kind::kMeta:
            if (const auto found = resource.meta_value(request.name)) value = std::string(*found);
            break;
        case Kind::kUtilization:
            if (const auto found = resource.utilization.find(request.name); found != resource.utilization.end()) {
                value = fmt::format("{}", found->second);
            }
            break;
        case Kind::kElement:
            if (const auto found = resource.xml->attribute(request.name)) value = std::string(*found);
            break;
    }
    if (!value) {
        output.error(fmt::format("Attribute '{}' not found for '{}'", request.name, resource.printable_id()));
        return ExitCode::kOk;  // as the reference: scripts rely on the empty output
    }
    output.line(*value);
    xml::Builder list("list");
    list.set("name", "attributes").set("count", 1);
    xml::Builder item("item");
    item.set("name", request.name).add(xml::Builder::text(*value));
    list.add(std::move(item).build());
    output.add(std::move(list));
    return ExitCode::kOk;
}

ExitCode set_setting(Output& output, CibAccess& access, const Cluster& cluster, const Resource& resource,
                     const SettingRequest& request) {
    if (request.kind == Kind::kElement) {
        // The whole element is put in place of the old one, even where that changes nothing: so does the reference.
        const auto changed = with_element(access, cluster, resource,
                                          [&](xml::Builder& element) { element.set(request.name, request.value); });
        const ExitCode code = finish(output, changed);
        if (code == ExitCode::kOk)
            output.line(fmt::format("Set attribute: name={} value={}", request.name, request.value));
        return code;
    }
    std::vector<Target> targets;
    if (resource.is_group() && request.kind == Kind::kMeta && !request.force) {
        // What a member has set for itself would go on standing against the group's.
        SettingRequest exact = request;
        exact.force = true;
        for (const Resource* member : resource.children) {
            Target target = choose(output, cluster, *member, exact, "update");
            if (target.existing) targets.push_back(std::move(target));
        }
    }
    targets.push_back(choose(output, cluster, resource, request, "update"));
    if (request.recursive) {
        SettingRequest exact = request;
        exact.force = true;
        for (const std::string& id : colocated_with(cluster, resource.xml_id())) {
            if (const Resource* other = cluster.find_resource(id)) {
                targets.push_back(choose(output, cluster, *other, exact, "update"));
            }
        }
    }
    xml::Builder settings("resource-settings");
    for (const Target& target : targets) {
        const std::string id(target.resource->xml_id());
        std::string set_id = request.set_id.empty() ? fmt::format("{}-{}", id, set_type(request.kind)) : request.set_id;
        std::string pair_id =
            request.pair_id.empty() ? xml_id(fmt::format("{}-{}", set_id, request.name)) : request.pair_id;
        if (target.existing) {
            set_id = target.existing->set->id();
            pair_id = target.existing->pair->id();
        }
        const auto change = [&](bool id_first) {
            xml::Builder pair("nvpair");
            pair.set("id", pair_id);
            if (id_first) {
                pair.set("name", request.name).set("value", request.value);
            } else {
                pair.set("value", request.value).set("name", request.name);
            }
            xml::Builder set(set_type(request.kind));
            set.set("id", set_id).add(std::move(pair));
            xml::Builder element(target.resource->xml->name());
            element.set("id", id).add(std::move(set));
            return element;
        };
        const ExitCode code = finish(output, access.call(modify(change(true))));
        if (code != ExitCode::kOk) return code;
        settings.add(change(false).build());
        output.line(fmt::format("Set '{}' option: id={}{} name={} value={}", id, pair_id,
                                target.existing ? std::string() : fmt::format(" set={}", set_id), request.name,
                                request.value));
    }
    output.add(std::move(settings));
    return ExitCode::kOk;
}

ExitCode delete_setting(Output& output, CibAccess& access, const Cluster& cluster, const Resource& resource,
                        const SettingRequest& request) {
    if (request.kind == Kind::kElement) {
        const ExitCode code = finish(output, with_element(access, cluster, resource,
                                                          [&](xml::Builder& element) { element.unset(request.name); }));
        if (code == ExitCode::kOk) output.line(fmt::format("Deleted attribute: {}", request.name));
        return code;
    }
    const Target target = choose(output, cluster, resource, request, "delete");
    if (!target.existing) return ExitCode::kOk;
    const std::string id(target.existing->pair->id());
    const ExitCode code =
        finish(output, access.call({.op = cib::Op::kDelete,
                                    .section = "resources",
                                    .input = xml::Builder("nvpair").set("id", id).set("name", request.name).build(),
                                    .options = cib::option::kSyncCall}));
    if (code == ExitCode::kOk) {
        output.line(fmt::format("Deleted '{}' option: id={} name={}", target.resource->xml_id(), id, request.name));
    }
    return code;
}

}  // namespace systole::cli
