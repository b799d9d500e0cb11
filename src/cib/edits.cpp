#include "cib/edits.h"

#include <fmt/format.h>
#include <span>

#include <algorithm>
#include <array>

#include "base/exit_code.h"
#include "base/text.h"
#include "cib/operations.h"
#include "cib/patchset.h"
#include "cib/rc.h"
#include "wire/message.h"
#include "xml/xpath.h"

namespace systole::cib {
namespace {

using xml::Builder;
using xml::Node;
using xml::NodePtr;
using xml::Path;

struct Section {
    std::string_view name;
    std::string_view path;
};
constexpr std::array kSections{
    Section{"cib", "/cib"},
    Section{"all", "/cib"},
    Section{"status", "/cib/status"},
    Section{"configuration", "/cib/configuration"},
    Section{"crm_config", "/cib/configuration/crm_config"},
    Section{"nodes", "/cib/configuration/nodes"},
    Section{"resources", "/cib/configuration/resources"},
    Section{"constraints", "/cib/configuration/constraints"},
    Section{"fencing-topology", "/cib/configuration/fencing-topology"},
    Section{"alerts", "/cib/configuration/alerts"},
    Section{"acls", "/cib/configuration/acls"},
    Section{"tags", "/cib/configuration/tags"},
    Section{"rsc_defaults", "/cib/configuration/rsc_defaults"},
    Section{"op_defaults", "/cib/configuration/op_defaults"},
};

bool is_all(std::string_view section) {
    return section.empty() || section == "cib" || same_ignoring_case(section, "all");
}

Edit failed(int rc, std::string why, NodePtr output = {}) {
    Edit e;
    e.rc = rc;
    e.why = std::move(why);
    e.output = std::move(output);
    return e;
}
Edit done(NodePtr cib) {
    Edit e;
    e.cib = std::move(cib);
    return e;
}

std::string label(const Node& node) {
    return node.has("id") ? fmt::format("<{} id=\"{}\">", node.name(), node.id()) : fmt::format("<{}>", node.name());
}

std::optional<std::string_view> id_of(const Node& node) {
    // An absent id wants an element without one.
    return node.has("id") ? node.id() : std::string_view{};
}

/// All matches in document order; nothing for a malformed expression, as upstream has it.
std::vector<Path> matches(const Node& cib, std::string_view expression, bool all) {
    const auto xpath = xml::XPath::compile(expression);
    if (!xpath) return {};
    return all ? xpath->find(cib) : xpath->find_first(cib);
}

void drop_nested(std::vector<Path>& paths) {
    std::vector<Path> kept;
    for (Path& p : paths) {
        const bool nested = !kept.empty() && p.size() > kept.back().size() &&
                            std::equal(kept.back().begin(), kept.back().end(), p.begin());
        if (!nested) kept.push_back(std::move(p));
    }
    paths = std::move(kept);
}

NodePtr failed_update(const Node& object, std::string_view operation, int rc, const Release& release) {
    Builder update("failed_update");
    update.set_unless_empty("id", object.id());
    update.set(release.objects_rebuilt ? "object_type" : "object-type", object.name());
    update.set("operation", operation).set("reason", describe_legacy(rc));
    update.add(object.share());
    return std::move(Builder("failed").add(std::move(update))).build();
}

/// The section's element, made where it is missing.
Path section_for_change(NodePtr& cib, std::string_view section, Editing& editing) {
    if (auto path = find_section(*cib, section)) return *path;
    Path parent;
    const std::string_view full = section_path(section);
    if (full.starts_with("/cib/configuration/")) {
        const auto configuration = find_section(*cib, "configuration");
        if (!configuration) {
            const Path root;
            cib = xml::append_at(cib, root, Builder("configuration").build());
            editing.mark_copy(true);
            return section_for_change(cib, section, editing);
        }
        parent = *configuration;
    }
    editing.mark_copy(full.starts_with("/cib/configuration"));
    cib = xml::append_at(cib, parent, Builder(section).build());
    parent.push_back(static_cast<std::uint32_t>(xml::node_at(*cib, parent)->children().size() - 1));
    return parent;
}

/// 2.1.x's mixed updates: whatever is marked with __delete__ goes.
NodePtr without_marked(NodePtr cib, Editing& editing) {
    const auto xpath = xml::XPath::compile("//*[@__delete__]");
    std::vector<Path> marked = xpath->find(*cib);
    drop_nested(marked);
    for (auto p = marked.rbegin(); p != marked.rend(); ++p) {
        if (p->empty()) continue;
        editing.mark(place_of(*cib, *p).config);
        cib = xml::remove_at(cib, *p);
    }
    return cib;
}

/// `input` merged into the first element of its name and id at or below `start`; null if there is none.
NodePtr merge_below(const NodePtr& cib, xml::PathView start, const NodePtr& input, Editing& editing) {
    const auto found = xml::find_element(*cib, start, input->name(), id_of(*input), false);
    if (!found) return nullptr;
    const NodePtr target = xml::node_at(*cib, *found)->share();
    NodePtr merged = merge(target, *input, place_of(*cib, *found), editing);
    return merged == target ? cib : xml::replace_at(cib, *found, std::move(merged));
}

Edit modify_matches(const NodePtr& cib, const Request& request, const NodePtr& input, Editing& editing) {
    const bool multiple = request.has(option::kMultiple);
    const std::vector<Path> found = matches(*cib, request.section, true);
    if (found.empty()) return failed(rc::kNotFound, fmt::format("nothing matches '{}'", request.section));
    NodePtr result = cib;
    for (const Path& path : found) {  // merging moves no element, so the paths stay right
        NodePtr changed = merge_below(result, path, input, editing);
        // A match without a target fails the whole request, even if a later one fits: so it is everywhere.
        if (!changed)
            return failed(rc::kNotFound, fmt::format("no {} below a match of '{}'", label(*input), request.section));
        result = std::move(changed);
        if (!multiple) break;
    }
    return done(std::move(result));
}

bool is_example_of(const Node& example, const Node& node) {
    if (!node.is(example.name())) return false;
    return std::ranges::all_of(example.attributes(), [&](const xml::Attribute& a) {
        const auto value = node.attribute(a.name.view());
        return value && same_ignoring_case(*value, a.value.view());
    });
}

/// Removes the first match of the example below `start`; a missing one is fine.
NodePtr remove_example(NodePtr cib, xml::PathView start, const Node& example, Editing& editing) {
    // Attributes compare without case, so an id is no help in the search.
    const auto sieve = xml::Node::Sieve::of(example.name(), {});
    std::function<bool(const Node&)> test = [&](const Node& n) { return is_example_of(example, n); };
    if (example.kind() == xml::Kind::kComment) {
        if (!editing.release.objects_rebuilt) return cib;
        test = [](const Node& n) { return n.kind() == xml::Kind::kComment; };
    } else if (!example.is_element()) {
        return cib;
    }
    const auto found = xml::find_element_if(*cib, start, sieve, true, test);
    if (!found) return cib;
    editing.mark(place_of(*cib, *found).config);
    return xml::remove_at(cib, *found);
}

Edit remove_matches(const NodePtr& cib, const Request& request, Editing& editing) {
    std::vector<Path> found = matches(*cib, request.section, request.has(option::kMultiple));
    drop_nested(found);
    NodePtr result = cib;
    for (auto path = found.rbegin(); path != found.rend(); ++path) {
        if (path->empty()) return failed(rc::kInvalid, "the root element can't be deleted");
        editing.mark(place_of(*result, *path).config);
        result = xml::remove_at(result, *path);
    }
    return done(std::move(result));
}

Edit replace_whole(const NodePtr& cib, const Request& request, const NodePtr& input, const Release& release) {
    // The sender may be of another release, and so may be whoever the digest is for: either escaping will do.
    const auto digest = request.message->attribute("digest");
    if (digest && !fits_digest(*input, *digest))
        return failed(release.objects_rebuilt ? rc::kOldData : rc::kGeneric,
                      fmt::format("the replacement's digest isn't the announced {}", *digest));
    const Version old = version_of(*cib);
    const Version offered = version_of(*input);
    if (offered < old)
        return failed(rc::kOldData,
                      fmt::format("the replacement's version {} is older than {}", to_string(offered), to_string(old)));
    Edit e = done(input);
    e.infer_changes = true;
    return e;
}

Edit replace_matches(const NodePtr& cib, const Request& request, const NodePtr& input, Editing& editing) {
    std::vector<Path> found = matches(*cib, request.section, request.has(option::kMultiple));
    if (found.empty()) return failed(rc::kNotFound, fmt::format("nothing matches '{}'", request.section));
    drop_nested(found);
    if (found.front().empty()) {
        if (!input->is("cib")) return failed(rc::kInvalid, fmt::format("{} can't replace the root", label(*input)));
        return replace_whole(cib, request, input, editing.release);
    }
    NodePtr result = cib;
    for (auto path = found.rbegin(); path != found.rend(); ++path) {
        const xml::PathView parent = xml::PathView(*path).first(path->size() - 1);
        editing.mark(place_of(*result, *path).config);
        editing.mark_copy(place_of(*result, parent).below(*input).config);
        result = xml::append_at(xml::remove_at(result, *path), parent, input);
    }
    return done(std::move(result));
}

}  // namespace

std::string_view section_path(std::string_view section) {
    const auto* found = std::ranges::find(kSections, section, &Section::name);
    return found == kSections.end() ? std::string_view{} : found->path;
}

bool is_section(std::string_view name) { return std::ranges::find(kSections, name, &Section::name) != kSections.end(); }

std::optional<Path> find_section(const Node& cib, std::string_view section) {
    Path path;
    const Node* node = &cib;
    const std::vector<std::string_view> steps = split(section_path(section), "/");
    for (std::size_t i = 1; i < steps.size(); ++i) {
        const auto children = node->children();
        const auto found = std::ranges::find_if(children, [&](const NodePtr& c) { return c->is(steps[i]); });
        if (found == children.end()) return std::nullopt;
        path.push_back(static_cast<std::uint32_t>(found - children.begin()));
        node = found->get();
    }
    return path;
}

NodePtr narrowed_input(const Request& request) {
    if (!request.input || request.section.empty() || !request.input->is("cib")) return request.input;
    const auto path = find_section(*request.input, request.section);
    return path ? xml::node_at(*request.input, *path)->share() : NodePtr{};
}

Edit modify(const NodePtr& cib, const Request& request, Editing& editing) {
    const NodePtr input = narrowed_input(request);
    if (!input) return failed(rc::kInvalid, "the request has no data");
    NodePtr result = cib;
    if (request.has(option::kXPath)) {
        Edit e = modify_matches(cib, request, input, editing);
        if (e.rc != 0) return e;
        result = e.cib;
    } else {
        const Path section = section_for_change(result, is_all(request.section) ? "" : request.section, editing);
        NodePtr merged = merge_below(result, section, input, editing);
        if (merged) {
            result = std::move(merged);
        } else if (request.has(option::kCanCreate)) {
            editing.mark_copy(place_of(*result, section).below(*input).config);
            result = xml::append_at(result, section, input);
        } else {
            return failed(rc::kNotFound, fmt::format("no {} in section '{}'", label(*input), request.section));
        }
    }
    if (request.has(option::kMixedUpdate)) result = without_marked(std::move(result), editing);
    return done(std::move(result));
}

Edit create(const NodePtr& cib, const Request& request, Editing& editing) {
    if (request.has(option::kXPath)) return failed(rc::kInvalid, "creating by XPath is not supported");
    const NodePtr input = narrowed_input(request);
    if (!input) return failed(rc::kInvalid, "the request has no data");
    if (is_all(request.section) || input->is("cib")) return modify(cib, request, editing);
    NodePtr result = cib;
    const auto section = find_section(*cib, request.section);
    std::vector<NodePtr> objects;
    if (input->name() == request.section)
        objects.assign(input->children().begin(), input->children().end());
    else
        objects.push_back(input);
    for (const NodePtr& object : objects) {
        if (!object->is_element() && !(editing.release.objects_rebuilt && object->kind() == xml::Kind::kComment))
            continue;
        if (!section)
            return failed(rc::kInvalid, fmt::format("there is no section '{}'", request.section),
                          failed_update(*object, request.op_text, rc::kInvalid, editing.release));
        const Node& parent = *xml::node_at(*result, *section);
        const bool exists = std::ranges::any_of(parent.children(), [&](const NodePtr& c) {
            return c->name() == object->name() && (!object->has("id") || c->id() == object->id());
        });
        if (exists)
            return failed(rc::kExists,
                          fmt::format("{} exists already in section '{}'", label(*object), request.section),
                          failed_update(*object, request.op_text, rc::kExists, editing.release));
        NodePtr made = created_object(object, place_of(*result, *section), editing);
        result = xml::append_at(result, *section, std::move(made));
    }
    return done(std::move(result));
}

Edit remove(const NodePtr& cib, const Request& request, Editing& editing) {
    if (request.has(option::kXPath)) return remove_matches(cib, request, editing);
    const NodePtr input = narrowed_input(request);
    if (!input) return failed(rc::kInvalid, "the request has no data");
    const auto section = find_section(*cib, is_all(request.section) ? "" : request.section);
    if (!section) return done(cib);
    NodePtr result = cib;
    if (input->name() == request.section) {
        for (const NodePtr& example : input->children())
            result = remove_example(std::move(result), *section, *example, editing);
    } else {
        result = remove_example(std::move(result), *section, *input, editing);
    }
    return done(std::move(result));
}

Edit replace(const NodePtr& cib, const Request& request, Editing& editing) {
    const NodePtr input = narrowed_input(request);
    if (!input) return failed(rc::kInvalid, "the request has no data");
    if (request.has(option::kXPath)) return replace_matches(cib, request, input, editing);
    if (input->is("cib")) return replace_whole(cib, request, input, editing.release);
    const bool everywhere = is_all(request.section) || input->name() == request.section;
    const auto start = find_section(*cib, everywhere ? "" : request.section);
    std::optional<Path> found;
    if (start) {
        const auto id = input->has("id") ? std::optional(input->id()) : std::nullopt;
        found = xml::find_element(*cib, *start, input->name(), id, true);
    }
    if (!found) return failed(rc::kNotFound, fmt::format("no {} in section '{}'", label(*input), request.section));
    const Node& old = *xml::node_at(*cib, *found);
    // An object that is put in its own place is a change all the same, since it is a copy; older releases compare.
    if (editing.release.copies_uncounted && xml::deep_equal(old, *input)) return done(cib);
    // Older releases compare the two only if their ids are the same, and else see no change.
    if (!editing.release.copies_uncounted || old.id() == input->id()) editing.mark(place_of(*cib, *found).config);
    return done(xml::replace_at(cib, *found, input));
}

namespace {

NodePtr empty_cib_of(std::string_view schema, std::string_view feature_set, std::span<const char* const> counters) {
    Builder configuration("configuration");
    for (const char* section : {"crm_config", "nodes", "resources", "constraints"}) configuration.add(Builder(section));
    Builder root("cib");
    root.set_unless_empty("crm_feature_set", feature_set).set("validate-with", schema);
    for (const char* counter : counters) root.set(counter, 0);
    root.add(std::move(configuration)).add(Builder("status"));
    return std::move(root).build();
}

constexpr std::array kCounters{"admin_epoch", "epoch", "num_updates"};
constexpr std::array kCountersBefore3{"epoch", "num_updates", "admin_epoch"};

}  // namespace

NodePtr empty_cib(std::string_view schema, std::string_view feature_set) {
    return empty_cib_of(schema, feature_set, kCounters);
}

Edit erase(const NodePtr& cib) {
    // The attributes of an empty CIB come first, in their order; those beyond follow as they stood.
    // Releases before 3.0 (feature set 3.20.0) had another one.
    const bool old = cib->has("crm_feature_set") && wire::compare_versions(cib->get("crm_feature_set"), "3.20.0") < 0;
    Builder root(*empty_cib_of("", "-", old ? std::span(kCountersBefore3) : std::span(kCounters)));
    for (const xml::Attribute& a : cib->attributes()) root.set(a.name.view(), a.value);
    for (const char* name : {"crm_feature_set", "validate-with"})
        if (!cib->has(name)) root.unset(name);
    Version version = version_of(*cib);
    ++version.admin_epoch;
    Edit e = done(with_version(*std::move(root).build(), version));
    e.infer_changes = true;
    return e;
}

Edit bump(const NodePtr& cib, Editing& editing) {
    Version version = version_of(*cib);
    ++version.epoch;
    editing.mark(false);
    return done(with_version(*cib, version));
}

}  // namespace systole::cib
