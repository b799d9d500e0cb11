// model/resources.cpp — resources of the configuration: templates, variants, meta-attributes.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "model/operations.h"
#include "model/reader.h"

namespace systole::model {
namespace {

std::optional<Variant> variant_of(std::string_view element) {
    if (element == "primitive") return Variant::kPrimitive;
    if (element == "group") return Variant::kGroup;
    if (element == "clone" || element == "master") return Variant::kClone;
    if (element == "bundle") return Variant::kBundle;
    return std::nullopt;
}

/// Operations of a resource replace those of its template with the same name and role.
std::string template_operation_key(const xml::Node& op) {
    std::string_view role = op.get("role");
    const Role parsed = parse_role(role);
    if (role.empty() || parsed == Role::kStarted || parsed == Role::kUnpromoted) role = "Unknown";
    return fmt::format("{}-{}", op.get("name"), role);
}

/// #default means "as if it were not there".
void add_missing(NameValues& to, const NameValues& from) {
    for (const auto& [name, value] : from) {
        if (!same_ignoring_case(value, "#default")) to.emplace(name, value);
    }
}

int nonnegative(std::optional<std::string_view> text, int fallback, int minimum = 0) {
    if (!text) return fallback;
    const auto number = parse_integer(*text);
    if (!number) return fallback;
    return std::max(minimum, static_cast<int>(std::min<long long>(*number, 1'000'000'000)));
}

void clear_unique(Resource& resource) {
    resource.unique = false;
    resource.meta["globally-unique"] = "false";
    for (Resource* child : resource.children) clear_unique(*child);
}

bool detect_unique(const Resource& resource) {
    if (const auto value = resource.meta_value("globally-unique")) return parse_bool(*value).value_or(false);
    // Several instances on a node can only be told apart if they are unique.
    const auto node_max = resource.meta_value("clone-node-max");
    return node_max && parse_integer(*node_max).value_or(0) > 1;
}

}  // namespace

bool is_remote_connection(const xml::Node& xml) {
    return same_ignoring_case(xml.get("type"), "remote") && same_ignoring_case(xml.get("class"), "ocf") &&
           same_ignoring_case(xml.get("provider"), "pacemaker");
}

std::optional<Role> target_role(Cluster& cluster, const Resource& resource) {
    const auto value = resource.meta_value("target-role");
    if (!value || same_ignoring_case(*value, "Started") || same_ignoring_case(*value, "default")) return std::nullopt;
    const Role role = parse_role(*value);
    if (role == Role::kUnknown) {
        cluster.config_error(
            fmt::format("Ignoring 'target-role' for {} because '{}' is not valid", resource.id, *value));
        return std::nullopt;
    }
    if (role > Role::kStarted) {
        if (!resource.top().promotable) {
            cluster.config_error(
                fmt::format("Ignoring 'target-role' for {} because '{}' only makes sense for promotable clones",
                            resource.id, *value));
            return std::nullopt;
        }
        if (role > Role::kUnpromoted) return std::nullopt;
    }
    return role;
}

xml::NodePtr make_nvpair_xml(std::string_view parent_id, std::string_view name, std::string_view value) {
    xml::Builder pair("nvpair");
    pair.set("id", fmt::format("{}-{}", parent_id, name)).set("name", name).set("value", value);
    return std::move(pair).build();
}

xml::NodePtr make_operation_xml(std::string_view prefix, std::string_view task, std::string_view interval,
                                std::string_view timeout) {
    xml::Builder op("op");
    op.set("id", fmt::format("{}-{}-{}", prefix, task, interval)).set("interval", interval).set("name", task);
    op.set_unless_empty("timeout", timeout);
    return std::move(op).build();
}

xml::NodePtr make_remote_xml(const RemoteSpec& spec) {
    xml::Builder remote("primitive");
    remote.set("id", spec.name).set("class", "ocf").set("provider", "pacemaker").set("type", "remote");
    const std::string meta_id = fmt::format("{}-meta_attributes", spec.name);
    xml::Builder meta("meta_attributes");
    meta.set("id", meta_id).add(make_nvpair_xml(meta_id, "internal_rsc", "true"));
    if (!spec.container.empty()) meta.add(make_nvpair_xml(meta_id, "container", spec.container));
    if (!spec.allow_migrate.empty()) meta.add(make_nvpair_xml(meta_id, "allow-migrate", spec.allow_migrate));
    if (!spec.is_managed.empty()) meta.add(make_nvpair_xml(meta_id, "is-managed", spec.is_managed));
    remote.add(std::move(meta));
    if (!spec.server.empty() || !spec.port.empty()) {
        const std::string id = fmt::format("{}-instance_attributes", spec.name);
        xml::Builder parameters("instance_attributes");
        parameters.set("id", id);
        if (!spec.server.empty()) parameters.add(make_nvpair_xml(id, "addr", spec.server));
        if (!spec.port.empty()) parameters.add(make_nvpair_xml(id, "port", spec.port));
        remote.add(std::move(parameters));
    }
    xml::Builder operations("operations");
    operations.add(make_operation_xml(spec.name, "monitor", "30s", "30s"));
    if (!spec.connect_timeout.empty()) {
        operations.add(make_operation_xml(spec.name, "start", "0", spec.connect_timeout));
    }
    remote.add(std::move(operations));
    return std::move(remote).build();
}

xml::NodePtr Reader::expand_template(const xml::NodePtr& original, bool& valid) {
    const auto reference = original->attribute("template");
    if (!reference) return original;
    valid = false;
    if (*reference == original->id()) {
        c_.config_error(fmt::format("The resource object '{}' should not reference itself", original->id()));
        return original;
    }
    const xml::Node* configuration = c_.cib->child("configuration");
    const xml::Node* resources = configuration == nullptr ? nullptr : configuration->child("resources");
    const xml::Node* base = resources == nullptr ? nullptr : resources->child("template", *reference);
    if (base == nullptr) {
        c_.config_error(fmt::format("No template named '{}'", *reference));
        return original;
    }
    valid = true;
    const xml::Node* own_operations = original->child("operations");
    xml::Builder merged(*base);
    merged.rename(original->name()).set("id", original->id());
    if (own_operations != nullptr) {
        for (std::size_t i = 0; i < merged.children().size(); ++i) {
            if (merged.children()[i]->is("operations")) {
                merged.erase(i);
                break;
            }
        }
    }
    for (const auto& child : original->children()) {
        if (!child->is_element()) continue;
        if (child.get() != own_operations) {
            merged.add(child);
            continue;
        }
        xml::Builder operations(*own_operations);
        std::vector<std::string> keys;
        for (const auto& op : own_operations->children()) {
            if (op->is_element()) keys.push_back(template_operation_key(*op));
        }
        if (const xml::Node* base_operations = base->child("operations")) {
            for (const auto& op : base_operations->children()) {
                if (op->is_element() && std::ranges::find(keys, template_operation_key(*op)) == keys.end()) {
                    operations.add(op);
                }
            }
        }
        merged.add(std::move(operations));
    }
    return std::move(merged).build();
}

void Reader::read_meta(Resource& resource) {
    for (const auto& attribute : resource.xml->attributes()) {
        const std::string_view value = attribute.value.view();
        if (!same_ignoring_case(value, "#default")) {
            resource.meta.emplace(std::string(attribute.name.view()), std::string(value));
        }
    }
    rules::Input in = input();
    in.resource = rules::Input::Resource{resource.standard(), resource.provider(), resource.agent_type()};
    unpack(resource.xml.get(), "meta_attributes", in, resource.meta);
    if (resource.parent != nullptr) {
        NameValues inherited;
        for (const Resource* p = resource.parent; p != nullptr; p = p->parent) {
            unpack(p->xml.get(), "meta_attributes", in, inherited);
        }
        add_missing(resource.meta, inherited);
    }
    unpack(c_.rsc_defaults, "meta_attributes", in, resource.meta);
    if (resource.parent != nullptr) add_missing(resource.meta, resource.parent->meta);
}

void Reader::read_requires(Resource& resource, std::optional<std::string_view> value) {
    const Options& options = c_.options;
    for (;;) {
        if (value && same_ignoring_case(*value, "nothing")) return;
        if (value && same_ignoring_case(*value, "quorum")) {
            resource.needs_quorum = true;
            return;
        }
        if (value && same_ignoring_case(*value, "fencing")) {
            resource.needs_fencing = true;
            return;
        }
        if (value && same_ignoring_case(*value, "unfencing")) {
            if (resource.fence_device || !options.fencing_enabled) {
                c_.config_warning(fmt::format(
                    "Resetting \"requires\" for {} to \"quorum\" because {}", resource.id,
                    resource.fence_device ? "fencing devices cannot require unfencing" : "fencing is disabled"));
                resource.needs_quorum = true;
                return;
            }
            resource.needs_fencing = resource.needs_unfencing = true;
            return;
        }
        std::string_view fallback = "quorum";
        if (resource.fence_device || (resource.is_primitive() && is_remote_connection(*resource.xml))) {
            fallback = "quorum";
        } else if (c_.enable_unfencing) {
            fallback = "unfencing";
        } else if (options.fencing_enabled) {
            fallback = "fencing";
        } else if (options.no_quorum == NoQuorum::kIgnore) {
            fallback = "nothing";
        }
        if (value) {
            c_.config_error(fmt::format("Resetting 'requires' for {} to '{}' because '{}' is not valid", resource.id,
                                        fallback, *value));
        }
        value = fallback;
    }
}

void Reader::read_flags(Resource& r) {
    const Options& options = c_.options;
    const auto is_true = [&](std::string_view name) { return r.meta_true(name); };
    r.managed = !options.maintenance_mode;
    const auto score = [&](std::string_view name, Score fallback) {
        const auto value = r.meta_value(name);
        return value ? options.score(*value).value_or(fallback) : fallback;
    };
    r.priority = score("priority", Score{}).value();
    r.critical = !r.meta_value("critical") || is_true("critical");
    r.notify = is_true("notify");
    bool guest = false, remote = false;
    if (is_remote_connection(*r.xml)) {
        r.remote_connection = true;
        guest = r.meta_value("container").has_value();
        remote = !guest;
    }
    r.migratable = r.meta_value("allow-migrate") ? is_true("allow-migrate") : remote;
    if (const auto value = r.meta_value("is-managed"); value && !same_ignoring_case(*value, "default")) {
        r.managed = parse_bool(*value).value_or(false);
    }
    if (is_true("maintenance") || options.maintenance_mode) {
        r.managed = false;
        r.maintenance = true;
    }
    r.unique = true;
    if (r.top().is_clone()) {
        r.unique = detect_unique(r);
        r.promotable = is_true("promotable");
    }
    if (const auto value = r.meta_value("multiple-active")) {
        if (same_ignoring_case(*value, "stop_only")) {
            r.multiply_active = MultiplyActive::kStop;
        } else if (same_ignoring_case(*value, "block")) {
            r.multiply_active = MultiplyActive::kBlock;
        } else if (same_ignoring_case(*value, "stop_unexpected")) {
            r.multiply_active = MultiplyActive::kUnexpected;
        } else if (!same_ignoring_case(*value, "stop_start")) {
            c_.config_warning(
                fmt::format("{} is not a valid value for multiple-active, using default of \"stop_start\"", *value));
        }
    }
    if (const auto value = r.meta_value("resource-stickiness"); value && !same_ignoring_case(*value, "default")) {
        r.stickiness = options.score(*value).value_or(Score{});
    }
    r.migration_threshold = score("migration-threshold", Score::infinity()).value();
    if (r.migration_threshold < 0) r.migration_threshold = Score::kInfinity;
    if (standard_is_fencing(r.standard())) {
        r.fence_device = true;
        c_.have_fencing = true;
    }
    read_requires(r, r.meta_value("requires"));
    if (const auto value = r.meta_value("failure-timeout")) {
        r.failure_timeout = rules::parse_interval_spec(*value).value_or(Duration{0});
    }
    if (remote) {
        const NameValues& parameters = resource_parameters(c_, r, nullptr);
        if (const auto it = parameters.find("reconnect_interval"); it != parameters.end()) {
            r.remote_reconnect = rules::parse_interval_spec(it->second).value_or(Duration{0});
            r.failure_timeout = r.remote_reconnect;
        }
    }
    if (const auto role = target_role(c_, r)) r.next_role = *role;
}

Resource* Reader::create_resource(xml::NodePtr xml, Resource* parent, std::optional<int> instance) {
    if (!xml->has("id")) {
        c_.config_error(fmt::format("Ignoring <{}> configuration without id", xml->name()));
        return nullptr;
    }
    const auto variant = variant_of(xml->name());
    if (!variant) {
        c_.config_error(fmt::format("Ignoring resource '{}' of unknown type '{}'", xml->id(), xml->name()));
        return nullptr;
    }
    bool valid = true;
    xml::NodePtr expanded = expand_template(xml, valid);
    if (!valid) return nullptr;

    Resource& r = c_.resource_store.emplace_back();
    r.index = static_cast<std::uint32_t>(c_.resource_store.size() - 1);
    r.original_xml = std::move(xml);
    r.xml = std::move(expanded);
    r.variant = *variant;
    r.parent = parent;
    r.instance = instance;
    r.id = instance ? fmt::format("{}:{}", r.xml->id(), *instance) : std::string(r.xml->id());
    r.operations = read_operations(c_, *r.xml);
    if (instance) r.meta["clone"] = std::to_string(*instance);
    c_.resources_by_id.emplace(r.id, &r);
    read_meta(r);
    read_flags(r);
    if (!unpack_variant(r)) {
        discard(r);
        return nullptr;
    }
    if (c_.options.symmetric) {
        for (const Node* node : c_.nodes) {
            // A bundle's own node is for its primitive alone.
            if (!r.exclusive_discovery && node->discovery != Discovery::kNever) {
                NodeScore initial;
                initial.score = node->score;
                r.allowed.at(*node, initial);
            }
        }
    } else if (r.remote_connection && r.meta_value("container")) {
        for (const Node* node : c_.nodes) c_.add_location(r, node, Score{});
    }
    NameValues utilization;
    unpack(r.xml.get(), "utilization", input(), utilization);
    for (const auto& [name, value] : utilization) {
        r.utilization.emplace(name, static_cast<int>(parse_integer(value).value_or(0)));
    }
    if (const auto base = r.original_xml->attribute("template")) {
        auto& refs = c_.templates[std::string(*base)];
        const std::string id(r.original_xml->id());
        if (std::ranges::find(refs, id) == refs.end()) refs.push_back(id);
    }
    return &r;
}

void Reader::discard(Resource& resource) {
    for (Resource* child : resource.children) discard(*child);
    if (const auto it = c_.resources_by_id.find(resource.id);
        it != c_.resources_by_id.end() && it->second == &resource) {
        c_.resources_by_id.erase(it);
    }
}

bool Reader::unpack_variant(Resource& resource) {
    switch (resource.variant) {
        case Variant::kPrimitive: return unpack_primitive(resource);
        case Variant::kGroup: return unpack_group(resource);
        case Variant::kClone: return unpack_clone(resource);
        case Variant::kBundle: return unpack_bundle(resource);
    }
    return false;
}

bool Reader::unpack_primitive(Resource& resource) {
    Resource& parent = resource.uber_parent();
    const std::string_view standard = resource.standard();
    if (!standard_allows_unique(standard) && resource.unique && parent.is_clone()) {
        // One service of that name a node is all that such a standard knows.
        parent.clone->node_max = 1;
        parent.clone->max = std::min(parent.clone->max, static_cast<int>(c_.nodes.size()));
        clear_unique(parent);
        clear_unique(resource);
    }
    if (!standard_has_promotion(standard) && parent.promotable) {
        c_.config_error(
            fmt::format("Resource {} is of type {} and therefore cannot be used as a promotable clone resource",
                        resource.id, standard));
        return false;
    }
    return true;
}

bool Reader::unpack_group(Resource& resource) {
    resource.group = std::make_unique<GroupData>();
    const auto flag = [&](std::string_view name) {
        const auto value = resource.meta_value(name);
        return !value || parse_bool(*value).value_or(true);
    };
    resource.group->ordered = flag("ordered");
    resource.group->colocated = flag("collocated");
    for (const auto& child : resource.xml->children()) {
        if (!child->is("primitive")) continue;
        if (Resource* member = create_resource(child, &resource, resource.instance); member != nullptr) {
            resource.children.push_back(member);
        }
    }
    if (resource.children.empty()) {
        c_.config_error(fmt::format("Group {} has no members", resource.id));
        return false;
    }
    return true;
}

int Reader::meta_integer(const Resource& resource, std::string_view name, std::string_view former, int fallback) const {
    auto value = resource.meta_value(name);
    if (!value && !former.empty()) value = resource.meta_value(former);
    return nonnegative(value, fallback);
}

bool Reader::unpack_clone(Resource& resource) {
    resource.clone = std::make_unique<CloneData>();
    CloneData& clone = *resource.clone;
    if (resource.promotable) {
        clone.promoted_max = meta_integer(resource, "promoted-max", "master-max", 1);
        clone.promoted_node_max = meta_integer(resource, "promoted-node-max", "master-node-max", 1);
    }
    clone.node_max = meta_integer(resource, "clone-node-max", "", 1);
    clone.max = meta_integer(resource, "clone-max", "", std::max(1, static_cast<int>(c_.nodes.size())));
    clone.ordered = resource.meta_true("ordered");
    if (!resource.unique && clone.node_max > 1) {
        c_.config_error(
            fmt::format("Ignoring clone-node-max of {} for {} because anonymous clones support only one "
                        "instance per node",
                        clone.node_max, resource.id));
        clone.node_max = 1;
    }
    for (const auto& child : resource.xml->children()) {
        if (child->is("primitive") || child->is("group")) {
            clone.child_xml = child.get();
            break;
        }
    }
    if (clone.child_xml == nullptr) {
        c_.config_error(fmt::format("{} has nothing to clone", resource.id));
        return false;
    }
    // Instances shall not be shuffled for nothing.
    resource.meta.emplace("resource-stickiness", "1");
    resource.meta["globally-unique"] = resource.unique ? "true" : "false";
    const int instances = std::max(1, clone.max);
    for (int i = 0; i < (clone.max <= 0 ? 1 : clone.max) && i < instances; ++i) {
        if (create_clone_child(resource) == nullptr) return false;
    }
    return true;
}

Resource* Reader::create_clone_child(Resource& resource) {
    CloneData& clone = *resource.clone;
    const bool surplus = clone.total >= clone.max;
    Resource* child = create_resource(clone.child_xml->share(), &resource, clone.total);
    if (child == nullptr) return nullptr;
    ++clone.total;
    resource.children.push_back(child);
    if (surplus) {
        const auto mark = [](auto&& self, Resource& r) -> void {
            r.removed = true;
            for (Resource* c : r.children) self(self, *c);
        };
        mark(mark, *child);
    }
    child->meta["clone-max"] = std::to_string(clone.max);
    return child;
}

void Reader::link_launcher(Resource& resource) {
    if (!resource.children.empty()) {
        for (Resource* child : resource.children) link_launcher(*child);
        return;
    }
    const auto id = resource.meta_value("container");
    if (!id || *id == resource.id) return;
    Resource* launcher = c_.find_resource(*id);
    if (launcher == nullptr) {
        c_.config_error(fmt::format("Resource {}: Unknown container {}", resource.id, *id));
        return;
    }
    resource.launcher = launcher;
    launcher->launched.push_back(&resource);
}

void Reader::read_resources() {
    const xml::Node* configuration = c_.cib->child("configuration");
    const xml::Node* resources = configuration == nullptr ? nullptr : configuration->child("resources");
    if (resources == nullptr) return;
    // Connections that guest nodes imply come after everything that is configured.
    std::vector<xml::NodePtr> all;
    for (const auto& child : resources->children()) {
        if (child->is_element()) all.push_back(child);
    }
    all.insert(all.end(), implied_.begin(), implied_.end());
    for (const xml::NodePtr& child : all) {
        if (child->id().empty()) {
            c_.config_error(fmt::format("Ignoring <{}> resource without ID", child->name()));
            continue;
        }
        if (child->is("template")) {
            c_.templates.try_emplace(std::string(child->id()));
            continue;
        }
        Resource* resource = create_resource(child, nullptr, std::nullopt);
        if (resource == nullptr) {
            c_.config_error(fmt::format("Ignoring <{}> resource '{}' because configuration is invalid", child->name(),
                                        child->id()));
            continue;
        }
        c_.resources.push_back(resource);
    }
    for (Resource* resource : c_.resources) {
        link_launcher(*resource);
        link_remote_node(*resource);
    }
    std::ranges::stable_sort(c_.resources, std::ranges::greater{}, &Resource::priority);
    if (c_.options.fencing_enabled && !c_.have_fencing) {
        c_.config_error(
            "Resource start-up disabled since no fencing resources have been defined. Either configure some or disable "
            "fencing with the fencing-enabled option. NOTE: Clusters with shared data need fencing to ensure data "
            "integrity.");
    }
}

void Reader::read_remote_nodes() {
    const xml::Node* configuration = c_.cib->child("configuration");
    const xml::Node* resources = configuration == nullptr ? nullptr : configuration->child("resources");
    if (resources == nullptr) return;
    const auto add_node = [&](std::string_view name) {
        if (c_.find_node(name) == nullptr) create_node(name, name, "remote", Score{});
    };
    const auto read_guest = [&](const xml::Node& primitive) {
        RemoteSpec spec{.container = primitive.id(), .connect_timeout = "60s"};
        for (const auto& set : primitive.children()) {
            if (!set->is("meta_attributes")) continue;
            for (const auto& pair : set->children()) {
                if (!pair->is_element()) continue;
                const std::string_view name = pair->get("name"), value = pair->get("value");
                if (name == "remote-node") spec.name = value;
                if (name == "remote-addr") spec.server = value;
                if (name == "remote-port") spec.port = value;
                if (name == "remote-connect-timeout") spec.connect_timeout = value;
                if (name == "remote-allow-migrate") spec.allow_migrate = value;
                if (name == "is-managed") spec.is_managed = value;
            }
        }
        if (spec.name.empty()) return;
        implied_.push_back(make_remote_xml(spec));
        add_node(spec.name);
    };
    for (const auto& child : resources->children()) {
        if (!child->is_element()) continue;
        if (is_remote_connection(*child)) {
            if (child->has("id")) add_node(child->id());
        } else if (child->is("primitive")) {
            read_guest(*child);
        } else if (child->is("group")) {
            for (const auto& member : child->children()) {
                if (member->is_element()) read_guest(*member);
            }
        }
    }
}

void Reader::read_tags() {
    const xml::Node* configuration = c_.cib->child("configuration");
    const xml::Node* tags = configuration == nullptr ? nullptr : configuration->child("tags");
    if (tags == nullptr) return;
    for (const auto& tag : tags->children()) {
        if (!tag->is("tag")) continue;
        if (!tag->has("id")) {
            c_.config_error("Ignoring <tag> without id");
            continue;
        }
        const std::string id(tag->id());
        for (const auto& ref : tag->children()) {
            if (!ref->is("obj_ref")) continue;
            if (!ref->has("id")) {
                c_.config_error(fmt::format("Ignoring <obj_ref> for tag '{}' without id", id));
                continue;
            }
            auto& refs = c_.tags[id];
            if (refs.empty()) c_.tag_order.push_back(id);
            if (std::ranges::find(refs, ref->id()) == refs.end()) refs.emplace_back(ref->id());
        }
    }
}

}  // namespace systole::model
