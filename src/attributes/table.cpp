#include "attributes/table.h"

#include <fmt/format.h>
#include <regex.h>

#include <algorithm>

#include "base/score.h"
#include "base/text.h"

namespace systole::attributes {
namespace {

/// Takes `prefix` off the front; false if it isn't there.
bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
}

std::string set_element(const Attribute& attribute) {
    return attribute.utilization ? "utilization" : "instance_attributes";
}

std::string set_id(const Attribute& attribute, const std::string& node_id) {
    if (!attribute.set_id.empty()) return attribute.set_id;
    return attribute.utilization ? fmt::format("status-{}-utilization", node_id) : fmt::format("status-{}", node_id);
}

/// The tree under one node_state, built up value by value.
struct NodeUpdate {
    std::map<std::pair<std::string, std::string>, xml::Builder> sets;  // by element name and id
};

}  // namespace

bool Attribute::has_unwritten() const {
    return !is_private && std::ranges::any_of(values, [](const auto& entry) { return entry.second.unwritten; });
}

Attribute* Table::find(std::string_view name) {
    const auto found = attributes_.find(name);
    return found == attributes_.end() ? nullptr : &found->second;
}

const Attribute* Table::find(std::string_view name) const {
    const auto found = attributes_.find(name);
    return found == attributes_.end() ? nullptr : &found->second;
}

Attribute& Table::get_or_create(std::string_view name) {
    Attribute& attribute = attributes_[std::string(name)];
    attribute.name = name;
    return attribute;
}

const Value* Table::value(std::string_view attribute, std::string_view node) const {
    const Attribute* found = find(attribute);
    if (found == nullptr) return nullptr;
    const auto value = found->values.find(to_lower(node));
    return value == found->values.end() ? nullptr : &value->second;
}

std::vector<std::string> Table::matching(const std::string& expression) const {
    std::vector<std::string> names;
    regex_t compiled;
    if (regcomp(&compiled, expression.c_str(), REG_EXTENDED | REG_NOSUB) != 0) return names;
    for (const auto& [name, attribute] : attributes_)
        if (regexec(&compiled, name.c_str(), 0, nullptr, 0) == 0) names.push_back(name);
    regfree(&compiled);
    return names;
}

void Table::drop_node(std::string_view node) {
    const std::string key = to_lower(node);
    for (auto& [name, attribute] : attributes_) attribute.values.erase(key);
}

void Table::learn_id(std::string_view node, std::string_view id) {
    const std::string key = to_lower(node);
    for (auto& [name, attribute] : attributes_) {
        const auto value = attribute.values.find(key);
        if (value != attribute.values.end() && !value->second.remote) value->second.node_id = id;
    }
}

void Table::mark_all_unwritten() {
    for (auto& [name, attribute] : attributes_) {
        if (attribute.is_private) continue;
        for (auto& [key, value] : attribute.values)
            if (value.text) value.unwritten = true;
    }
}

std::vector<Write> collect_writes(Table& table, const std::vector<std::string>& due) {
    struct Pending {
        std::map<std::string, NodeUpdate> nodes;  // by XML id
        Write write;
    };
    std::map<std::string, Pending> by_user;
    for (const std::string& name : due) {
        Attribute* attribute = table.find(name);
        if (attribute == nullptr || attribute->is_private || attribute->writing) continue;
        bool any = false;
        for (auto& [key, value] : attribute->values) {
            if (!value.unwritten || value.node_id.empty()) continue;
            value.unwritten = false;
            any = true;
            Pending& pending = by_user[attribute->user];
            const std::string set = set_id(*attribute, value.node_id);
            const std::string id = fmt::format("{}-{}", set, xml_id(name));
            if (!value.text) {
                pending.write.deletions.push_back(
                    fmt::format("/cib/status/node_state[@id='{}']/transient_attributes/{}[@id='{}']/nvpair[@id='{}']",
                                value.node_id, set_element(*attribute), set, id));
                continue;
            }
            auto& sets = pending.nodes[value.node_id].sets;
            auto found = sets.find({set_element(*attribute), set});
            if (found == sets.end()) {
                xml::Builder element(set_element(*attribute));
                element.set("id", set);
                found = sets.emplace(std::pair{set_element(*attribute), set}, std::move(element)).first;
            }
            xml::Builder pair("nvpair");
            pair.set("id", id).set("name", name).set("value", *value.text);
            found->second.add(std::move(pair));
        }
        if (!any) continue;
        attribute->writing = true;
        by_user[attribute->user].write.attributes.push_back(name);
    }
    std::vector<Write> writes;
    for (auto& [user, pending] : by_user) {
        if (!pending.nodes.empty()) {
            xml::Builder status("status");
            for (auto& [node_id, update] : pending.nodes) {
                xml::Builder transient("transient_attributes");
                transient.set("id", node_id);
                for (auto& [key, set] : update.sets) transient.add(std::move(set));
                xml::Builder state("node_state");
                state.set("id", node_id).add(std::move(transient));
                status.add(std::move(state));
            }
            pending.write.update = std::move(status).build();
        }
        pending.write.user = user;
        writes.push_back(std::move(pending.write));
    }
    return writes;
}

std::string unknown_values_path(const Table& table, const std::vector<std::string>& node_ids) {
    std::vector<std::string> nodes, known;
    for (const std::string& id : node_ids) nodes.push_back(fmt::format("@id='{}'", id));
    for (const auto& [name, attribute] : table.all()) {
        if (attribute.is_private) continue;
        for (const auto& [key, value] : attribute.values)
            if (value.text && std::ranges::find(node_ids, value.node_id) != node_ids.end())
                known.push_back(fmt::format("@id='{}-{}'", set_id(attribute, value.node_id), xml_id(name)));
    }
    return fmt::format("/cib/status/node_state[{}]/transient_attributes/*/nvpair{}", join(nodes, " or "),
                       known.empty() ? std::string{} : fmt::format("[not({})]", join(known, " or ")));
}

std::string expand(std::string_view new_text, std::optional<std::string_view> old_text) {
    std::string_view rest = new_text;
    if (!take(rest, "value")) return std::string(new_text);
    int change = 0;
    if (rest == "++") {
        change = 1;
    } else if (rest == "--") {
        change = -1;
    } else if (rest.starts_with("+=") || rest.starts_with("-=")) {
        const auto amount = parse_score(rest.substr(2));
        if (!amount) return std::string(new_text);
        change = rest.front() == '+' ? amount->value() : -amount->value();
    } else {
        return std::string(new_text);
    }
    const Score old = parse_score(old_text.value_or("0")).value_or(Score{0});
    return to_string(old + Score{change});
}

bool is_failure_of(std::string_view attribute, std::string_view resource, std::string_view operation,
                   std::string_view interval_ms) {
    if (!take(attribute, "fail-count-") && !take(attribute, "last-failure-")) return false;
    if (resource.empty()) return true;
    if (!take(attribute, resource)) return false;
    if (attribute.empty()) return true;  // the form without an operation
    if (!take(attribute, "#")) return false;
    if (!operation.empty()) {
        const std::string_view interval = interval_ms.empty() ? "0" : interval_ms;
        return take(attribute, operation) && take(attribute, "_") && attribute == interval;
    }
    const std::size_t underscore = attribute.rfind('_');
    return underscore != std::string_view::npos && underscore > 0 && underscore + 1 < attribute.size() &&
           std::ranges::all_of(attribute.substr(underscore + 1), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace systole::attributes
