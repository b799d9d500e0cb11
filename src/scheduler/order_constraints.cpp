// scheduler/order_constraints.cpp — rsc_order: what has to be done before what.
// Source: Pacemaker Explained, "Specifying the Order in which Resources Should Start/Stop".
#include <fmt/format.h>

#include "base/text.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

enum class Kind : std::uint8_t { kOptional, kMandatory, kSerialize };
enum class Symmetry : std::uint8_t { kAsymmetric, kSymmetric, kInverse };

std::string_view inverse_of(std::string_view task) {
    static constexpr std::pair<std::string_view, std::string_view> kInverse[] = {
        {"start", "stop"}, {"promote", "demote"}, {"promoted", "demoted"}, {"running", "stopped"}};
    for (const auto& [up, down] : kInverse) {
        if (task == up) return down;
        if (task == down) return up;
    }
    return {};
}

Kind kind_of(Scheduler& s, const xml::Node& element) {
    const auto kind = element.attribute("kind");
    if (!kind) {
        // Before there were kinds, a score of 0 made an ordering optional.
        const auto score = element.attribute("score");
        if (!score) return Kind::kMandatory;
        return s.c.options.score(*score).value_or(Score{}) == Score{} ? Kind::kOptional : Kind::kMandatory;
    }
    if (*kind == "Optional") return Kind::kOptional;
    if (*kind == "Serialize") return Kind::kSerialize;
    if (*kind != "Mandatory") {
        s.c.config_error(fmt::format("Resetting 'kind' for constraint {} to 'Mandatory' because '{}' is not valid",
                                     element.id(), *kind));
    }
    return Kind::kMandatory;
}

Symmetry symmetry_of(Scheduler& s, const xml::Node& element, Kind parent_kind,
                     std::optional<std::string_view> parent_symmetrical) {
    Kind kind = parent_kind;
    if (element.has("kind") || element.has("score")) kind = kind_of(s, element);
    auto symmetrical = parse_bool(element.get("symmetrical"));
    if (!symmetrical && parent_symmetrical) symmetrical = parse_bool(*parent_symmetrical).value_or(false);
    if (!symmetrical) return kind == Kind::kSerialize ? Symmetry::kAsymmetric : Symmetry::kSymmetric;
    // What is serialized has no direction that could be turned round.
    return *symmetrical && kind != Kind::kSerialize ? Symmetry::kSymmetric : Symmetry::kAsymmetric;
}

Flags flags_for(Kind kind, std::string_view first_task, Symmetry symmetry) {
    switch (kind) {
        case Kind::kOptional: return rel::kOrdered;
        case Kind::kSerialize: return rel::kSerialize;
        case Kind::kMandatory: break;
    }
    switch (symmetry) {
        case Symmetry::kAsymmetric: return rel::kOrdered | rel::kAsymmetric;
        case Symmetry::kInverse: return rel::kOrdered | rel::kThenImpliesFirst;
        case Symmetry::kSymmetric: break;
    }
    const bool up = first_task == "start" || first_task == "promote" || first_task == "migrate_from";
    return rel::kOrdered | rel::kFirstImpliesThen | (up ? rel::kUnrunnableFirstBlocks : rel::kNone);
}

int required_instances(const Resource& first, const xml::Node& constraint) {
    if (!first.is_clone()) return 0;
    if (const auto value = first.meta_value("clone-min")) {
        return static_cast<int>(std::max<long long>(0, parse_integer(*value).value_or(0)));
    }
    if (constraint.has("require-all") && !parse_bool(constraint.get("require-all")).value_or(false)) return 1;
    return 0;
}

void unpack_simple(Scheduler& s, const xml::Node& constraint) {
    const auto resource = [&](std::string_view attribute) -> Resource* {
        const auto id = constraint.attribute(attribute);
        if (!id) {
            s.c.config_error(fmt::format("Ignoring constraint '{}' without {}", constraint.id(), attribute));
            return nullptr;
        }
        Resource* rsc = constraint_resource(s, *id);
        if (rsc == nullptr) {
            s.c.config_error(
                fmt::format("Ignoring constraint '{}' because resource '{}' does not exist", constraint.id(), *id));
        }
        return rsc;
    };
    Resource* first = resource("first");
    if (first == nullptr) return;
    Resource* then = resource("then");
    if (then == nullptr) return;
    const std::string_view first_task = constraint.get("first-action", "start");
    const std::string_view then_task = constraint.get("then-action", first_task);
    const Kind kind = kind_of(s, constraint);
    const Symmetry symmetry = symmetry_of(s, constraint, kind, std::nullopt);
    const Flags flags = flags_for(kind, first_task, symmetry);
    const int required = required_instances(*first, constraint);
    if (required > 0) {
        Action* enough = s.pseudo_action(fmt::format("clone-one-or-more:{}", constraint.id()));
        enough->required_runnable_before = required;
        for (Resource* child : first->children) {
            s.order(OrderEnd(*child, first_task), OrderEnd(enough), rel::kMinRunnable | rel::kFirstImpliesThenGraphed);
        }
        s.order(OrderEnd(enough), OrderEnd(*then, then_task), flags | rel::kUnrunnableFirstBlocks);
    } else {
        s.order(*first, first_task, *then, then_task, flags);
    }
    if (symmetry != Symmetry::kSymmetric) return;
    const std::string_view undo_first = inverse_of(first_task), undo_then = inverse_of(then_task);
    for (const auto& [task, undo] : {std::pair(first_task, undo_first), std::pair(then_task, undo_then)})
        if (undo.empty()) s.c.warning(fmt::format("Unknown action '{}' specified in order constraint", task));
    if (undo_first.empty() || undo_then.empty()) return;
    s.order(*then, undo_then, *first, undo_first, flags_for(kind, undo_first, Symmetry::kInverse));
}

/// The resources of a set; empty if one does not exist.
std::optional<std::vector<Resource*>> members(Scheduler& s, const xml::Node& set, std::string_view constraint) {
    std::vector<Resource*> list;
    for (const std::string_view id : references(set)) {
        Resource* rsc = constraint_resource(s, id);
        if (rsc == nullptr) {
            s.c.config_error(fmt::format("{}: No resource found for {}", constraint, id));
            return std::nullopt;
        }
        list.push_back(rsc);
    }
    return list;
}

bool order_within(Scheduler& s, const xml::Node& set, Kind parent_kind,
                  std::optional<std::string_view> parent_symmetrical) {
    const auto list = members(s, set, set.id());
    if (!list) return false;
    const std::string_view task = set.get("action", "start");
    const Kind kind = set.has("kind") ? kind_of(s, set) : parent_kind;
    const bool sequential = parse_bool(set.get("sequential", "1")).value_or(false);
    const Symmetry symmetry = symmetry_of(s, set, parent_kind, parent_symmetrical);
    if (list->size() == 1) return true;
    Flags flags = flags_for(kind, task, symmetry);
    for (std::size_t i = 0; i < list->size(); ++i) {
        if (kind == Kind::kSerialize) {
            for (std::size_t j = i + 1; j < list->size(); ++j) s.order(*(*list)[i], task, *(*list)[j], task, flags);
        } else if (sequential && i > 0) {
            s.order(*(*list)[i - 1], task, *(*list)[i], task, flags);
        }
    }
    if (symmetry == Symmetry::kAsymmetric || !sequential) return true;
    const std::string_view undo = inverse_of(task);
    flags = flags_for(kind, undo, Symmetry::kInverse);
    for (std::size_t i = 1; i < list->size(); ++i) s.order(*(*list)[i], undo, *(*list)[i - 1], undo, flags);
    return true;
}

bool order_sets(Scheduler& s, std::string_view id, const xml::Node& set1, const xml::Node& set2, Kind kind,
                Symmetry symmetry) {
    std::string_view task1 = set1.get("action", "start"), task2 = set2.get("action", "start");
    bool require_all = parse_bool(set1.get("require-all")).value_or(true);
    if (symmetry == Symmetry::kInverse) {
        task1 = inverse_of(task1);
        task2 = inverse_of(task2);
    }
    if (task1 == "stop" || task1 == "demote") require_all = true;
    const Flags flags = flags_for(kind, task1, symmetry);
    auto firsts = members(s, set1, id), thens = members(s, set2, id);
    if (!firsts || !thens) return false;
    if (!require_all) {
        Action* any = s.pseudo_action(fmt::format("one-or-more:{}", set1.id()));
        any->required_runnable_before = 1;
        for (Resource* first : *firsts) {
            s.order(OrderEnd(*first, task1), OrderEnd(any), rel::kMinRunnable | rel::kFirstImpliesThenGraphed);
        }
        for (Resource* then : *thens) {
            s.order(OrderEnd(any), OrderEnd(*then, task2), flags | rel::kUnrunnableFirstBlocks);
        }
        return true;
    }
    // Of a set that says sequential="true" itself, only the end that faces the other set matters.
    const auto says_sequential = [](const xml::Node& set) { return parse_bool(set.get("sequential")).value_or(false); };
    const auto keep = [](std::vector<Resource*>& list, bool front) {
        if (!list.empty()) list = {front ? list.front() : list.back()};
    };
    const bool inverse = symmetry == Symmetry::kInverse;
    if (says_sequential(set1)) keep(*firsts, inverse);
    if (says_sequential(set2)) keep(*thens, !inverse);
    for (Resource* first : *firsts) {
        for (Resource* then : *thens) s.order(*first, task1, *then, task2, flags);
    }
    return true;
}

}  // namespace

void unpack_ordering(Scheduler& s, const xml::NodePtr& original) {
    const Kind kind = kind_of(s, *original);
    const Symmetry symmetry = symmetry_of(s, *original, kind, std::nullopt);
    const auto symmetrical = original->attribute("symmetrical");
    const xml::NodePtr constraint = expand_tags(
        s, original,
        {{.attribute = "first", .role_attribute = "first-action", .set_attribute = "action", .convert_resource = true},
         {.attribute = "then", .role_attribute = "then-action", .set_attribute = "action", .convert_resource = true}});
    if (!constraint) return;
    const auto sets = resource_sets(s, *constraint);
    if (!sets) return;
    const xml::Node* last = nullptr;
    for (const xml::Node* set : *sets) {
        if (!order_within(s, *set, kind, symmetrical)) return;
        if (last != nullptr) {
            if (!order_sets(s, constraint->id(), *last, *set, kind, symmetry)) return;
            if (symmetry == Symmetry::kSymmetric &&
                !order_sets(s, constraint->id(), *set, *last, kind, Symmetry::kInverse)) {
                return;
            }
        }
        last = set;
    }
    if (last == nullptr) unpack_simple(s, *constraint);
}

}  // namespace systole::scheduler
