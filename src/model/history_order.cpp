// model/history_order.cpp — the age of history entries.
#include "model/history_order.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/text.h"
#include "model/operations.h"

namespace systole::model {
namespace {

struct TransitionMagic {
    std::string_view uuid;
    int transition = -1;
};

/// "status:rc;action:transition:target-rc:uuid"
std::optional<TransitionMagic> parse_magic(std::string_view magic) {
    const auto semicolon = magic.find(';');
    if (semicolon == std::string_view::npos) return std::nullopt;
    const auto parts = split(magic.substr(semicolon + 1), ":");
    if (parts.size() < 4) return std::nullopt;
    return TransitionMagic{parts[3], static_cast<int>(parse_integer(parts[1]).value_or(-1))};
}

}  // namespace

std::optional<std::int64_t> time_of(const xml::Node& operation) {
    const auto value = operation.attribute("last-rc-change");
    if (!value) return std::nullopt;
    return parse_integer(*value);
}

int compare_age(const xml::Node& a, const xml::Node& b) {
    const bool same_node = same_ignoring_case(a.get("on_node"), b.get("on_node"));
    if (same_node && a.id() == b.id()) return 0;
    const int call_a = integer_of(a, "call-id", -1), call_b = integer_of(b, "call-id", -1);
    if (call_a == -1 && call_b == -1) return 0;
    if (same_node && call_a >= 0 && call_a < call_b) return -1;
    if (same_node && call_b >= 0 && call_a > call_b) return 1;
    if (call_a >= 0 && call_b >= 0 && (!same_node || call_a == call_b)) {
        const std::int64_t time_a = time_of(a).value_or(-1), time_b = time_of(b).value_or(-1);
        if (time_a >= 0 && time_a < time_b) return -1;
        if (time_b >= 0 && time_a > time_b) return 1;
        return 0;
    }
    // One is pending: it is newer than what the same transition has finished, but not than a later transition.
    const auto magic_a = parse_magic(a.get("transition-magic")), magic_b = parse_magic(b.get("transition-magic"));
    if (!magic_a || !magic_b) return 0;
    if (!same_ignoring_case(magic_a->uuid, magic_b->uuid) || magic_a->transition == magic_b->transition) {
        if (call_b == -1) return -1;
        if (call_a == -1) return 1;
    } else if ((magic_a->transition >= 0 && magic_a->transition < magic_b->transition) || magic_b->transition == -1) {
        return -1;
    } else if ((magic_b->transition >= 0 && magic_a->transition > magic_b->transition) || magic_a->transition == -1) {
        return 1;
    }
    return 0;
}

void sort_by_age(std::vector<const xml::Node*>& operations) {
    // Ages don't form a strict order (pending entries compare equal to many), so the sort has to be one that gives the
    // same result as the field's: a merge sort that halves lists, the first half being the shorter one.
    const auto merge = [](auto&& self, std::vector<const xml::Node*>& list) -> void {
        if (list.size() < 2) return;
        const auto half = static_cast<std::ptrdiff_t>(list.size() / 2);
        std::vector<const xml::Node*> left(list.begin(), list.begin() + half), right(list.begin() + half, list.end());
        self(self, left);
        self(self, right);
        std::size_t i = 0, j = 0, k = 0;
        while (i < left.size() && j < right.size()) {
            list[k++] = compare_age(*left[i], *right[j]) <= 0 ? left[i++] : right[j++];
        }
        while (i < left.size()) list[k++] = left[i++];
        while (j < right.size()) list[k++] = right[j++];
    };
    merge(merge, operations);
}

int HistoryOrder::compare(const xml::Node& a, const xml::Node& b) {
    const bool same_node = same_ignoring_case(a.get("on_node"), b.get("on_node"));
    const auto settled = [](const xml::Node& op) {
        return integer_of(op, "call-id", -1) >= 0 && history_interval(op).count() == 0;
    };
    if (same_node || !settled(a) || !settled(b)) return compare_age(a, b);
    const auto of_a = parse_magic(a.get("transition-magic")), of_b = parse_magic(b.get("transition-magic"));
    if (!of_a || !of_b || of_a->transition < 0 || of_b->transition < 0) return compare_age(a, b);
    if (same_ignoring_case(of_a->uuid, of_b->uuid)) {
        if (of_a->transition != of_b->transition) return of_a->transition < of_b->transition ? -1 : 1;
        return compare_age(a, b);
    }
    const bool a_first = proven_before(of_a->uuid, of_a->transition, of_b->uuid, of_b->transition);
    const bool b_first = proven_before(of_b->uuid, of_b->transition, of_a->uuid, of_a->transition);
    return a_first == b_first ? compare_age(a, b) : a_first ? -1 : 1;
}

void HistoryOrder::read() {
    for (const Node* node : c_.nodes) {
        Engines& engines = nodes_.emplace_back();
        for (const auto& [resource, entry] : node->history) {
            for (const auto& op : entry->children()) {
                const int call = integer_of(*op, "call-id", -1);
                const auto magic = parse_magic(op->get("transition-magic"));
                if (op->is("lrm_rsc_op") && call > 0 && magic && magic->transition >= 0)
                    engines[magic->uuid].push_back({magic->transition, call, call});
            }
        }
        for (auto& [uuid, calls] : engines) {
            std::ranges::sort(calls, {}, &Call::transition);
            for (std::size_t i = calls.size() - 1; i-- > 0;)
                calls[i].first = std::min(calls[i].first, calls[i + 1].first);
            for (std::size_t i = 1; i < calls.size(); ++i) calls[i].last = std::max(calls[i].last, calls[i - 1].last);
        }
    }
    was_read_ = true;
}

bool HistoryOrder::proven_before(std::string_view engine, int transition, std::string_view later_engine,
                                 int later_transition) {
    if (!was_read_) read();
    return std::ranges::any_of(nodes_, [&](const Engines& engines) {
        const auto before = engines.find(engine), after = engines.find(later_engine);
        if (before == engines.end() || after == engines.end()) return false;
        const auto from = std::ranges::lower_bound(before->second, transition, {}, &Call::transition);
        const auto to = std::ranges::upper_bound(after->second, later_transition, {}, &Call::transition);
        return from != before->second.end() && to != after->second.begin() && from->first < std::prev(to)->last;
    });
}

}  // namespace systole::model
