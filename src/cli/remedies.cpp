#include "cli/remedies.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace systole::cli {
namespace {

using model::Node;
using model::Resource;
using Cause = model::ScoreNote::Cause;

/// The tree with every element that `change` has something for replaced by that (null: taken out).
using Edit = std::function<std::optional<xml::NodePtr>(const xml::NodePtr&)>;
xml::NodePtr edited(const xml::NodePtr& node, const Edit& edit) {
    xml::Builder builder(*node);
    bool changed = false;
    for (std::size_t i = builder.children().size(); i-- > 0;) {
        const xml::NodePtr child = builder.children()[i];
        if (!child->is_element()) continue;
        if (const auto replacement = edit(child)) {
            changed = true;
            if (*replacement) {
                builder.replace(i, *replacement);
            } else {
                builder.erase(i);
            }
            continue;
        }
        const xml::NodePtr inner = edited(child, edit);
        if (inner == child) continue;
        changed = true;
        builder.replace(i, inner);
    }
    return changed ? std::move(builder).build() : node;
}

xml::NodePtr without_element(const xml::NodePtr& cib, const std::string& id) {
    return edited(cib, [&](const xml::NodePtr& element) -> std::optional<xml::NodePtr> {
        return element->id() == id ? std::optional<xml::NodePtr>(nullptr) : std::nullopt;
    });
}

/// Sets the pair wherever a block under `owner` has it, and in a block of its own else.
xml::NodePtr with_pair(const xml::NodePtr& cib, std::string_view owner, std::string_view owner_id,
                       std::string_view block, std::string_view name, std::string_view value) {
    return edited(cib, [&](const xml::NodePtr& element) -> std::optional<xml::NodePtr> {
        if (!element->is(owner) || element->id() != owner_id) return std::nullopt;
        const xml::NodePtr cleared = edited(element, [&](const xml::NodePtr& pair) -> std::optional<xml::NodePtr> {
            return pair->is("nvpair") && pair->get("name") == name ? std::optional<xml::NodePtr>(nullptr)
                                                                   : std::nullopt;
        });
        xml::Builder set(block), pair("nvpair"), builder(*cleared);
        pair.set("id", fmt::format("{}-explain-{}", owner_id, name)).set("name", name).set("value", value);
        set.set("id", fmt::format("{}-explain", owner_id)).set("score", "INFINITY").add(std::move(pair));
        builder.insert(0, std::move(set).build());
        return std::move(builder).build();
    });
}

xml::NodePtr with_preference(const xml::NodePtr& cib, const std::string& resource, const std::string& node) {
    return edited(cib, [&](const xml::NodePtr& element) -> std::optional<xml::NodePtr> {
        if (!element->is("constraints")) return std::nullopt;
        xml::Builder location("rsc_location"), builder(*element);
        location.set("id", fmt::format("explain-prefer-{}", resource)).set("rsc", resource);
        location.set("node", node).set("score", "INFINITY");
        builder.add(std::move(location));
        return std::move(builder).build();
    });
}

/// Without failures and fail counts of these resources on the node.
xml::NodePtr without_failures(const xml::NodePtr& cib, const std::set<std::string>& names, const Node& node) {
    return edited(cib, [&](const xml::NodePtr& state) -> std::optional<xml::NodePtr> {
        if (!state->is("node_state") || (state->get("uname") != node.name && state->id() != node.id)) {
            return std::nullopt;
        }
        return edited(state, [&](const xml::NodePtr& element) -> std::optional<xml::NodePtr> {
            if (element->is("nvpair")) {
                for (const std::string& name : names) {
                    for (const std::string_view prefix : {"fail-count-", "last-failure-"}) {
                        const std::string start = fmt::format("{}{}#", prefix, name);
                        if (element->get("name").starts_with(start)) return xml::NodePtr{};
                    }
                }
            }
            if (element->is("lrm_rsc_op") && element->get("rc-code") != "0" && element->get("rc-code") != "7" &&
                element->get("rc-code") != "8") {
                return xml::NodePtr{};
            }
            if (element->is("lrm_resource") && !names.contains(std::string(element->id()))) return element;
            return std::nullopt;
        });
    });
}

xml::NodePtr with_node_up(const xml::NodePtr& cib, const Node& node) {
    return edited(cib, [&](const xml::NodePtr& section) -> std::optional<xml::NodePtr> {
        if (!section->is("status")) return std::nullopt;
        xml::Builder status(*section), state("node_state");
        for (std::size_t i = 0; i < status.children().size(); ++i) {
            if (status.children()[i]->is("node_state") && status.children()[i]->id() == node.id) {
                state = xml::Builder(*status.children()[i]);
                status.erase(i);
                break;
            }
        }
        state.set("id", node.id).set("uname", node.name).set("in_ccm", "true").set("crmd", "online");
        state.set("join", "member").set("expected", "member");
        status.add(std::move(state));
        return std::move(status).build();
    });
}

xml::NodePtr with_ticket(const xml::NodePtr& cib, const std::string& ticket) {
    return edited(cib, [&](const xml::NodePtr& section) -> std::optional<xml::NodePtr> {
        if (!section->is("status")) return std::nullopt;
        xml::Builder state("ticket_state");
        state.set("id", ticket).set("granted", "true").set("standby", "false");
        const xml::NodePtr cleared = edited(section, [&](const xml::NodePtr& e) -> std::optional<xml::NodePtr> {
            return e->is("ticket_state") && e->id() == ticket ? std::optional<xml::NodePtr>(nullptr) : std::nullopt;
        });
        xml::Builder status(*cleared), tickets("tickets");
        for (std::size_t i = 0; i < status.children().size(); ++i) {
            if (!status.children()[i]->is("tickets")) continue;
            tickets = xml::Builder(*status.children()[i]);
            status.erase(i);
            break;
        }
        tickets.add(std::move(state));
        status.add(std::move(tickets));
        return std::move(status).build();
    });
}

/// Without a node's attribute, permanent or transient.
xml::NodePtr without_attribute(const xml::NodePtr& cib, std::string_view node_id, std::string_view name) {
    return edited(cib, [&](const xml::NodePtr& e) -> std::optional<xml::NodePtr> {
        if ((!e->is("node") && !e->is("node_state")) || e->id() != node_id) return std::nullopt;
        return edited(e, [&](const xml::NodePtr& pair) -> std::optional<xml::NodePtr> {
            return pair->is("nvpair") && pair->get("name") == name ? std::optional<xml::NodePtr>(nullptr)
                                                                   : std::nullopt;
        });
    });
}

/// What is looked at together: the resource, what it is part of, what is part of it.
std::vector<const Resource*> family_of(const Resource& rsc) {
    std::vector<const Resource*> family;
    for (const Resource* r = rsc.parent; r != nullptr; r = r->parent) family.push_back(r);
    const std::function<void(const Resource&)> add = [&](const Resource& r) {
        family.push_back(&r);
        for (const Resource* child : r.children) add(*child);
    };
    add(rsc);
    return family;
}

class Collector {
public:
    Collector(const scheduler::Plan& plan, const Resource& rsc, const Node& node)
        : c_(*plan.cluster), rsc_(rsc), node_(node), family_(family_of(rsc)) {}

    std::vector<Remedy> run() {
        preference();
        of_node();
        of_resource();
        constraints();
        return std::move(found_);
    }

private:
    void add(std::string text, std::string command, std::string id,
             std::function<xml::NodePtr(const xml::NodePtr&)> apply) {
        const bool known = std::ranges::any_of(found_, [&](const Remedy& r) { return r.change.text == text; });
        if (!known) found_.push_back({{std::move(text), std::move(command), std::move(id)}, std::move(apply)});
    }

    void preference() {
        const std::string id(rsc_.top(true).xml_id()), node = node_.name;
        add(fmt::format("prefer {} for {}", node, id), fmt::format("crm_resource --move -r {} -N {}", id, node), "",
            [id, node](const xml::NodePtr& cib) { return with_preference(cib, id, node); });
    }

    void of_node() {
        const std::string name = node_.name, id = node_.id;
        if (node_.standby) {
            add(fmt::format("take {} out of standby", name), fmt::format("crm_standby -N {} -D", name), id,
                [id](const xml::NodePtr& cib) { return without_attribute(cib, id, "standby"); });
        }
        if (node_.maintenance) {
            add(fmt::format("take {} out of maintenance", name),
                fmt::format("crm_attribute -N {} -n maintenance -D", name), id,
                [id](const xml::NodePtr& cib) { return without_attribute(cib, id, "maintenance"); });
        }
        if (!node_.online && node_.is_cluster_node()) {
            add(fmt::format("start the cluster on {}", name), "", id,
                [n = &node_](const xml::NodePtr& cib) { return with_node_up(cib, *n); });
        }
    }

    void of_resource() {
        for (const std::string option : {"stop-all-resources", "maintenance-mode"}) {
            const bool set = option == "maintenance-mode" ? c_.options.maintenance_mode : c_.options.stop_all_resources;
            if (!set) continue;
            add(fmt::format("set the cluster option {} to false", option),
                fmt::format("crm_attribute -n {} -v false", option), option, [option](const xml::NodePtr& cib) {
                    return edited(cib, [&](const xml::NodePtr& e) -> std::optional<xml::NodePtr> {
                        if (!e->is("crm_config")) return std::nullopt;
                        return edited(e, [&](const xml::NodePtr& pair) -> std::optional<xml::NodePtr> {
                            if (!pair->is("nvpair") || pair->get("name") != option) return std::nullopt;
                            xml::Builder changed(*pair);
                            changed.set("value", "false");
                            return std::move(changed).build();
                        });
                    });
                });
        }
        for (const Resource* r : family_) {
            const std::string id(r->xml_id()), element(r->original_xml->name());
            const auto meta = [&](std::string_view name, std::string_view value) {
                add(fmt::format("set {} of {} to {}", name, id, value),
                    fmt::format("crm_resource -r {} --meta -p {} -v {}", id, name, value), id,
                    [id, element, name = std::string(name), value = std::string(value)](const xml::NodePtr& cib) {
                        return with_pair(cib, element, id, "meta_attributes", name, value);
                    });
            };
            if (r->is_disabled()) meta("target-role", "Started");
            if (!r->managed && !r->maintenance && r->meta_value("is-managed")) meta("is-managed", "true");
            if (r->meta_true("maintenance")) meta("maintenance", "false");
        }
        const bool failed = std::ranges::any_of(*c_.score_notes, [&](const model::ScoreNote& note) {
            return concerns(note) && (note.cause == Cause::kHistory || note.cause == Cause::kThreshold);
        });
        if (!failed) return;
        std::set<std::string> names;
        for (const Resource* r : family_) names.insert({r->id, std::string(r->xml_id())});
        add(fmt::format("clean up failures of {} on {}", rsc_.id, node_.name),
            fmt::format("crm_resource --cleanup -r {} -N {}", rsc_.xml_id(), node_.name), "",
            [names, n = &node_](const xml::NodePtr& cib) { return without_failures(cib, names, *n); });
    }

    [[nodiscard]] bool concerns(const model::ScoreNote& note) const {
        return note.node == node_.index &&
               std::ranges::any_of(family_, [&](const Resource* r) { return r->index == note.resource; });
    }

    void constraints() {
        for (const model::ScoreNote& note : *c_.score_notes) {
            const bool ours =
                std::ranges::any_of(family_, [&](const Resource* r) { return r->index == note.resource; });
            if (!ours || note.id.empty() || note.id.starts_with('#') || note.after >= note.before) continue;
            const std::string id = note.id;
            if (note.cause == Cause::kTicket) {
                add(fmt::format("grant ticket '{}'", id), fmt::format("crm_ticket -t {} --grant", id), id,
                    [id](const xml::NodePtr& cib) { return with_ticket(cib, id); });
            } else if (note.cause == Cause::kLocation && note.node == node_.index) {
                remove("location constraint or rule", id);
            } else if (note.cause == Cause::kColocation || note.cause == Cause::kInfluence) {
                remove("colocation constraint", id);
            }
        }
    }

    void remove(std::string_view what, const std::string& id) {
        if (c_.cib->child("configuration") == nullptr) return;
        add(fmt::format("remove {} '{}'", what, id), fmt::format("cibadmin --delete --xpath \"//*[@id='{}']\"", id), id,
            [id](const xml::NodePtr& cib) { return without_element(cib, id); });
    }

    const model::Cluster& c_;
    const Resource& rsc_;
    const Node& node_;
    std::vector<const Resource*> family_;
    std::vector<Remedy> found_;
};

}  // namespace

std::vector<Remedy> remedies_for(const scheduler::Plan& plan, const Resource& resource, const Node& node) {
    // The functions refer to the node of the plan: they are to be used while that lives.
    return Collector(plan, resource, node).run();
}

}  // namespace systole::cli
