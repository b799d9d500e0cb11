// Resources as text: parts of cli/status_view.h.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "cli/status_filter.h"
#include "cli/status_view.h"
#include "model/operations.h"

namespace systole::cli {
namespace {

using model::Cluster;
using model::Node;
using model::Resource;
using model::Role;
using model::Variant;

bool is_promotable(const Resource& resource) { return resource.top(false).promotable; }

// A role as people should see it: what only starts of a promotable resource is unpromoted.
Role displayed_role(const Resource& resource) {
    if (resource.role == Role::kStarted && is_promotable(resource)) return Role::kUnpromoted;
    return resource.role;
}

// A probe that found agent or parameters missing on that node (any node if it is empty): worth knowing of a stopped
// resource. An instance of a clone is known by what is cloned, without its number.
const xml::Node* failed_probe(const Cluster& cluster, const Resource& resource, std::string_view node) {
    if (!resource.is_primitive()) return nullptr;
    const Resource& top = resource.top(false);
    const std::string_view id = top.is_clone() ? top.clone->child_id() : std::string_view(resource.id);
    for (const model::FailedOperation& failed : cluster.failed) {
        if (!model::is_masked_probe_failure(*failed.xml)) continue;
        if (!node.empty() && (failed.node == nullptr || !same_ignoring_case(failed.node->name, node))) continue;
        const auto key = model::parse_operation_key(model::history_key(*failed.xml));
        if (key && key->resource == id) return failed.xml;
    }
    return nullptr;
}

std::string probe_result(const xml::Node& operation) {
    return std::string(describe(static_cast<ExitCode>(model::integer_of(operation, "rc-code", 1))));
}

// What a state becomes while an action is under way; null if the action doesn't change it.
const char* pending_state(const Resource& resource) {
    static const std::map<std::string_view, const char*> kStates{
        {"start", "Starting"},  {"stop", "Stopping"},        {"promote", "Promoting"},
        {"demote", "Demoting"}, {"migrate_to", "Migrating"}, {"migrate_from", "Migrating"},
    };
    const auto found = kStates.find(resource.pending_action);
    return found == kStates.end() ? nullptr : found->second;
}

bool has_pending_state(const Resource& resource) { return pending_state(resource) != nullptr; }

std::string flags_text(const std::vector<std::string>& flags) {
    return flags.empty() ? std::string() : " (" + join(flags, ", ") + ")";
}

void add_management(std::vector<std::string>& flags, const Resource& resource) {
    if (resource.maintenance) {
        flags.emplace_back("maintenance");
    } else if (!resource.managed) {
        flags.emplace_back("unmanaged");
    }
}

std::string bracketed(const std::vector<std::string>& names) {
    std::string text = "[";
    for (const std::string& name : names) text += " " + name;
    return text + " ]";
}

bool any_below(const Resource& resource, bool (*predicate)(const Resource&)) {
    return predicate(resource) || std::ranges::any_of(resource.children, [predicate](const Resource* child) {
               return any_below(*child, predicate);
           });
}

bool all_below(const Resource& resource, bool (*predicate)(const Resource&)) {
    return predicate(resource) && std::ranges::all_of(resource.children, [predicate](const Resource* child) {
               return all_below(*child, predicate);
           });
}

// The first node that it is active on, or will be once a pending action is through.
const Node* shown_node(const Resource& resource) {
    const Node* node = model::current_node(resource);
    return node != nullptr ? node : resource.pending_node;
}

void collect_locations(const Resource& resource, std::vector<const Node*>& nodes) {
    for (const Resource* child : resource.children) collect_locations(*child, nodes);
    if (!resource.children.empty()) return;
    for (const Node* node : resource.active_nodes) {
        if (std::ranges::find(nodes, node) == nodes.end()) nodes.push_back(node);
    }
}

// The node that all of it runs on; null if there are several.
const Node* only_location(const Resource& resource) {
    std::vector<const Node*> nodes;
    collect_locations(resource, nodes);
    return nodes.size() == 1 ? nodes.front() : nullptr;
}

Role configured_role(const Resource& resource) {
    auto target = resource.meta_value("target-role");
    if (!target && !resource.children.empty()) target = resource.children.front()->meta_value("target-role");
    return target ? model::parse_role(*target) : Role::kUnknown;
}

// One display of resources: what all levels need to know.
class Lister {
public:
    Lister(Output& output, const Cluster& cluster) : out_(output), cluster_(cluster) {}

    void any(const Resource& resource, const Show& show) {
        switch (resource.variant) {
            case Variant::kPrimitive: return primitive(resource, show);
            case Variant::kGroup: return group(resource, show);
            case Variant::kClone: return clone(resource, show);
            case Variant::kBundle: return bundle(resource, show);
        }
    }

    void primitive(const Resource& resource, const Show& show) {
        if (is_filtered(resource, show.resources, true)) return;
        if (is_internal(resource) && !show.detail) return;
        out_.item(primitive_text(cluster_, resource, resource.printable_id(), shown_node(resource), show),
                  css_of(resource));
    }

    void group(const Resource& resource, const Show& show) {
        if (is_filtered(resource, show.resources, true)) return;
        const bool chosen = is_chosen(resource, show.resources);
        std::vector<const Resource*> members;
        for (const Resource* child : resource.children) {
            const bool filtered = is_filtered(*child, show.resources, false);
            if (show.brief ? !(filtered && !chosen) : !skip_member(*child, filtered, chosen, show))
                members.push_back(child);
        }
        if (members.empty()) return;
        std::vector<std::string> flags;
        if (!resource.is_active(true) && resource.is_active(false) && !show.inactive) {
            const auto inactive =
                std::ranges::count_if(resource.children, [](const Resource* c) { return !c->is_active(true); });
            if (inactive > 0) flags.push_back(fmt::format("{} member{} inactive", inactive, inactive == 1 ? "" : "s"));
        }
        if (resource.is_disabled()) flags.emplace_back("disabled");
        add_management(flags, resource);
        out_.begin_list(
            fmt::format("Resource Group: {}{}{}", resource.id, flags_text(flags), described(resource, show)));
        if (show.brief) {
            Show all = show;
            all.inactive = true;
            brief(members, all, true);
        } else {
            Show inner = show;
            if (chosen) inner.resources = {};
            for (const Resource* child : members) any(*child, inner);
        }
        out_.end_list();
    }

    void clone(const Resource& resource, const Show& show);
    void bundle(const Resource& resource, const Show& show);
    void brief(const std::vector<const Resource*>& resources, const Show& show, bool with_nodes);

private:
    static bool skip_member(const Resource& child, bool filtered, bool parent_chosen, const Show& show) {
        const bool visible = child.is_active(false) || show.inactive;
        if (!show.resources.is_all() && !filtered) return false;  // asked for by name
        return !((!filtered || parent_chosen) && visible);
    }

    static std::string described(const Resource& resource, const Show& show) {
        const std::string_view text = description_of(resource, show);
        return text.empty() ? std::string() : fmt::format(" ({})", text);
    }

    static std::string_view css_of(const Resource& resource) {
        if (!resource.managed) return "rsc-managed";
        if (resource.failed) return resource.ignore_failure ? "rsc-failure-ignored" : "rsc-failed";
        if (resource.is_primitive() && (resource.role == Role::kStopped || resource.active_nodes.empty())) {
            return "rsc-failed";
        }
        if (resource.active_nodes.size() > 1) return "rsc-multiple";
        return "rsc-ok";
    }

    void names(const char* title, std::vector<std::string> list) {
        if (list.empty()) return;
        std::ranges::sort(list, [](const std::string& a, const std::string& b) { return natural_less(a, b); });
        out_.item(fmt::format("{}: {}", title, bracketed(list)));
    }

    // Numbers within names compare as numbers, case is ignored.
    static bool natural_less(std::string_view a, std::string_view b) {
        std::size_t i = 0;
        std::size_t j = 0;
        const auto digit = [](char c) { return c >= '0' && c <= '9'; };
        while (i < a.size() && j < b.size()) {
            if (digit(a[i]) && digit(b[j])) {
                unsigned long long left = 0;
                unsigned long long right = 0;
                while (i < a.size() && digit(a[i])) left = left * 10 + static_cast<unsigned>(a[i++] - '0');
                while (j < b.size() && digit(b[j])) right = right * 10 + static_cast<unsigned>(b[j++] - '0');
                if (left != right) return left < right;
                continue;
            }
            const int order = compare_ignoring_case(a.substr(i, 1), b.substr(j, 1));
            if (order != 0) return order < 0;
            ++i;
            ++j;
        }
        return a.size() - i < b.size() - j;
    }

    Output& out_;
    const Cluster& cluster_;
};

void Lister::clone(const Resource& resource, const Show& show) {
    if (is_filtered(resource, show.resources, true)) return;
    const bool chosen = is_chosen(resource, show.resources);
    const Role target = configured_role(resource);
    std::vector<std::string> promoted;
    std::vector<std::string> started;
    std::map<std::string, std::vector<std::string>> stopped;
    bool open = false;
    const auto header = [&] {
        if (open) return;
        open = true;
        std::vector<std::string> flags;
        if (resource.promotable) flags.emplace_back("promotable");
        if (resource.unique) flags.emplace_back("unique");
        if (resource.is_disabled()) flags.emplace_back("disabled");
        add_management(flags, resource);
        out_.begin_list(fmt::format("Clone Set: {} [{}]{}{}", resource.id, resource.clone->child_id(),
                                    flags_text(flags), described(resource, show)));
    };

    for (const Resource* child : resource.children) {
        if (is_elsewhere(*child, show.nodes)) continue;
        if (is_filtered(*child, show.resources, chosen) && !chosen) continue;
        bool full = show.detail;
        const bool partially = child->is_active(false);
        if (resource.unique) {
            full = true;  // also an instance too many, as long as the clone itself is configured
        } else if (show.pending && !child->pending_action.empty()) {
            full = true;
        } else if (!partially) {
            // A stopped instance of an anonymous clone is told by its node below.
        } else if (any_below(*child, [](const Resource& r) { return r.removed; }) ||
                   !all_below(*child, [](const Resource& r) { return r.managed; }) ||
                   any_below(*child, [](const Resource& r) { return r.failed; })) {
            full = true;
        } else if (child->is_active(true)) {
            const Node* node = only_location(*child);
            if (node == nullptr || (!node->online && node->unclean)) {
                full = true;
            } else if (!full) {
                const Role role = child->state(true);
                (role > Role::kUnpromoted ? promoted : started).push_back(node->name);
            }
        } else {
            full = true;
        }
        if (full) {
            header();
            Show inner = show;
            inner.resources = {};
            // A unique clone shows what it could run, too.
            const bool show_stopped = resource.unique && child->is_group();
            if (show_stopped) inner.inactive = show.inactive;
            any(*child, inner);
        }
    }
    if (show.detail) {
        if (open) out_.end_list();
        return;
    }
    const auto chosen_nodes = [&show](std::vector<std::string>& list) {
        std::erase_if(list, [&show](const std::string& name) { return !show.nodes.has(name); });
    };
    chosen_nodes(promoted);
    chosen_nodes(started);
    if (!promoted.empty()) header();
    names("Promoted", promoted);
    if (!started.empty()) {
        header();
        const bool unpromoted = resource.promotable;
        names(!unpromoted ? "Started" : (target == Role::kUnpromoted ? "Unpromoted (target-role)" : "Unpromoted"),
              started);
    }
    const auto active_instances = static_cast<int>(promoted.size() + started.size());
    if (show.inactive && !resource.unique && resource.clone->max > active_instances) {
        std::vector<const Node*> running;
        for (const Resource* child : resource.children) collect_locations(*child, running);
        for (const Node* node : cluster_.nodes) {
            // In an opt-in cluster no node may be known to be allowed (yet): then those are told that were probed.
            const bool probed = node->index < resource.probed.size() && resource.probed[node->index];
            const bool present = resource.allowed.empty() ? probed : resource.allowed.find(*node) != nullptr;
            if (!present || !show.nodes.has(node->name)) continue;
            if (std::ranges::find(running, node) != running.end()) continue;
            std::string state = target == Role::kStopped ? "Stopped (disabled)" : "Stopped";
            if (!resource.children.empty()) {
                if (const xml::Node* probe = failed_probe(cluster_, *resource.children.front(), node->name)) {
                    state = fmt::format("Stopped ({})", probe_result(*probe));
                }
            }
            stopped[state].push_back(node->name);
        }
        for (const auto& [state, list] : stopped) {
            header();
            names(state.c_str(), list);
        }
    }
    if (show.inactive && stopped.empty() && active_instances == 0) header();
    if (open) out_.end_list();
}

void Lister::bundle(const Resource& resource, const Show& show) {
    if (is_filtered(resource, show.resources, true)) return;
    const bool everything = show.resources.has(resource.id);
    const auto& replicas = resource.bundle->replicas;
    bool open = false;
    const auto header = [&] {
        if (open) return;
        open = true;
        std::string flags;
        if (resource.unique) flags += " (unique)";
        std::vector<std::string> management;
        add_management(management, resource);
        out_.begin_list(fmt::format("Container bundle{}: {} [{}]{}{}{}", replicas.size() > 1 ? " set" : "", resource.id,
                                    resource.bundle->image, flags, flags_text(management), described(resource, show)));
    };
    for (const model::BundleReplica& replica : replicas) {
        if (replica.container != nullptr && is_elsewhere(*replica.container, show.nodes)) continue;
        const auto wanted = [&](const Resource* part) {
            return part != nullptr && (everything || !is_filtered(*part, show.resources, false));
        };
        const bool any_part =
            wanted(replica.ip) || wanted(replica.child) || wanted(replica.container) || wanted(replica.remote);
        if (!everything && !any_part) continue;
        header();
        if (show.detail || !everything) {
            Show inner = show;
            inner.detail = true;  // else the connection, which is internal, would not be shown
            inner.resources = {};
            if (!show.detail) inner.by_node = false;
            if (replicas.size() > 1) out_.item(fmt::format("Replica[{}]", replica.offset));
            out_.begin_list("");
            for (const Resource* part : {replica.ip, replica.child, replica.container, replica.remote}) {
                if (wanted(part)) any(*part, inner);
            }
            out_.end_list();
            continue;
        }
        const Resource* shown = replica.child != nullptr ? replica.child : replica.container;
        if (shown == nullptr) continue;
        const Resource* named = replica.remote != nullptr ? replica.remote : replica.container;
        std::string name(named->printable_id());
        if (!replica.ip_address.empty()) name += fmt::format(" ({})", replica.ip_address);
        const Node* node = replica.container != nullptr ? model::current_node(*replica.container) : nullptr;
        out_.item(primitive_text(cluster_, *shown, name, node, show), css_of(*shown));
    }
    if (open) out_.end_list();
}

void Lister::brief(const std::vector<const Resource*>& resources, const Show& show, bool with_nodes) {
    std::map<std::string, int> configured;
    std::map<std::string, std::map<std::string, int>> active;  // agent → node → count
    for (const Resource* resource : resources) {
        if (!resource->is_primitive()) continue;
        const std::string agent = agent_text(*resource);
        if (!resource->removed) ++configured[agent];
        for (const Node* node : resource->active_nodes) {
            if (!node->online && !node->unclean && resource->managed) continue;
            ++active[agent][node->name];
            configured.try_emplace(agent, 0);
        }
    }
    for (const auto& [agent, total] : configured) {
        const auto& where = active[agent];
        if (!with_nodes) {
            int count = 0;
            for (const auto& [node, number] : where) count = std::max(count, number);
            if (count > 0) out_.item(fmt::format("{}\t({}):\tActive ", count, agent));
            continue;
        }
        for (const auto& [node, number] : where) {
            if (!show.nodes.has(node)) continue;
            out_.item(show.inactive ? fmt::format("{}/{}\t({}):\tActive {}", number, total, agent, node)
                                    : fmt::format("{}\t({}):\tActive {}", number, agent, node));
        }
        if (where.empty() && show.inactive) out_.item(fmt::format("0/{}\t({}):\tActive", total, agent));
    }
}

}  // namespace

std::string agent_text(const Resource& resource) {
    std::string text(resource.standard());
    if (!resource.provider().empty()) text += fmt::format(":{}", resource.provider());
    return text + fmt::format(":{}", resource.agent_type());
}

std::string state_text(const Resource& resource, bool pending) {
    if (pending && has_pending_state(resource)) return pending_state(resource);
    return std::string(text_of(displayed_role(resource)));
}

std::string primitive_text(const Cluster& cluster, const Resource& resource, std::string_view name, const Node* node,
                           const Show& show) {
    if (node == nullptr) node = resource.lock_node;
    const bool several = resource.active_nodes.size() > 1;
    if (several) node = nullptr;
    std::string text = fmt::format("{}\t({}):\t", name, agent_text(resource));
    if (resource.removed) text += " ORPHANED";
    if (resource.failed) {
        text += " FAILED";
        if (displayed_role(resource) > Role::kUnpromoted) text += fmt::format(" {}", text_of(displayed_role(resource)));
    } else {
        text += " " + state_text(resource, show.pending);
    }
    if (node != nullptr && !show.without_nodes) text += " " + node->name;
    if (displayed_role(resource) == Role::kStopped) {
        if (const xml::Node* probe = failed_probe(cluster, resource, node != nullptr ? node->name : "")) {
            text += fmt::format(" ({}) ", probe_result(*probe));
        }
    }

    std::vector<std::string> flags;
    if (node != nullptr && !node->online && node->unclean) flags.emplace_back("UNCLEAN");
    if (node != nullptr && node == resource.lock_node) flags.emplace_back("LOCKED");
    if (show.pending && !resource.pending_action.empty()) {
        // A state says what else is pending.
        if (resource.pending_action == "monitor") flags.emplace_back("Monitoring");
    }
    if (const auto target = resource.meta_value("target-role")) {
        const Role role = model::parse_role(*target);
        if (role == Role::kStopped) {
            flags.emplace_back("disabled");
        } else if (role == Role::kUnpromoted && is_promotable(resource)) {
            flags.push_back(fmt::format("target-role:{}", *target));
        }
    }
    if (resource.blocked) {
        flags.emplace_back("blocked");
    } else {
        add_management(flags, resource);
    }
    if (resource.ignore_failure) flags.emplace_back("failure ignored");
    text += flags_text(flags);
    if (const std::string_view description = description_of(resource, show); !description.empty()) {
        text += fmt::format(" ({})", description);
    }
    if (several && !show.by_node) {
        std::vector<std::string> names;
        for (const Node* one : resource.active_nodes) names.push_back(one->name);
        text += " " + bracketed(names);
    }
    return text;
}

void show_brief(Output& output, const std::vector<const Resource*>& resources, const Show& show, const Cluster& cluster,
                bool with_nodes) {
    Lister(output, cluster).brief(resources, show, with_nodes);
}

void show_resource(Output& output, const Show& show, const Cluster& cluster, const Resource& resource) {
    Lister(output, cluster).any(resource, show);
}

bool show_resources(Output& output, const Show& show, const Cluster& cluster, Spacer& spacer, bool with_title) {
    if (output.is_structured()) {
        xml::Builder list("resources");
        bool any = false;
        for (const Resource* resource : cluster.resources) {
            if (resource->removed && !resource->is_active(true)) continue;
            if (show.by_node && resource->is_active(true)) continue;
            if (!resource->is_active(false) && !show.inactive) continue;
            if (is_elsewhere(*resource, show.nodes)) continue;
            any = true;
            list.add(resource_xml(show, *resource));
        }
        if (any) output.add(std::move(list));
        return any;
    }
    if (show.by_node && !show.inactive) return false;
    const char* title =
        !show.inactive ? "Active Resources" : (show.by_node ? "Inactive Resources" : "Full List of Resources");
    if (with_title) {
        spacer.before_section(output);
        output.begin_list(title);
    }
    const std::size_t before = output.lines_written();
    Lister lister(output, cluster);
    if (show.brief && !show.by_node) {
        std::vector<const Resource*> primitives;
        for (const Resource* resource : cluster.resources) {
            if (resource->is_primitive() && !is_filtered(*resource, show.resources, true))
                primitives.push_back(resource);
        }
        lister.brief(primitives, show, true);
    }
    for (const Resource* resource : cluster.resources) {
        const bool active = resource->is_active(true);
        const bool partially = resource->is_active(false);
        if (resource->removed && !active) continue;
        if (show.by_node) {
            if (active) continue;
        } else if (show.brief && resource->is_primitive()) {
            continue;
        }
        if (!partially && !show.inactive) continue;
        if (partially && !runs_on_any(*resource, show.nodes)) continue;
        lister.any(*resource, show);
    }
    const bool any = output.lines_written() != before;
    if (!any && with_title) {
        output.item(!show.inactive ? "No active resources" : (show.by_node ? "No inactive resources" : "No resources"));
    }
    if (with_title) output.end_list();
    return any || with_title;
}

}  // namespace systole::cli
