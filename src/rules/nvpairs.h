#pragma once
// rules/nvpairs.h — which names and values the nvpair sets of an element come to.
//
// An element (a resource, a node, op_defaults, ...) may have several sets of one kind (instance_attributes,
// meta_attributes, utilization, cluster_property_set), each with a score and rules. Sets are taken in order of score,
// highest first (equal scores as written); those whose rules don't hold are left out; a name's first value wins.
// Source: Pacemaker Explained, "Rules: Controlling Resource Options"; "Reusing Sets of Options".
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/evaluate.h"

namespace systole::rules {

/// Ordered, as it is printed and digested in the order of names.
using NameValues = std::map<std::string, std::string, std::less<>>;

struct UnpackOptions {
    std::string_view first_id;  ///< the set of this id goes before all others (cib-bootstrap-options)
    bool overwrite = false;     ///< later sets, and sets as against what is in `values` already, win
};

struct Unpacked {
    std::optional<WallTime> next_change;     ///< as in Evaluation
    std::optional<WallTime> next_date_spec;  ///< as in Evaluation
    std::vector<std::string> problems;
};

/// Adds to `values` what `parent`'s sets named `set_name` come to. The value "#default" takes the name out again.
Unpacked unpack_nvpairs(const xml::Node& parent, std::string_view set_name, const Input& input,
                        const ResolveRef& resolve, NameValues& values, const UnpackOptions& options = {});

/// The sets of `parent` in the order in which they are taken, with id-refs resolved; rules aren't looked at.
std::vector<const xml::Node*> ordered_sets(const xml::Node& parent, std::string_view set_name,
                                           const ResolveRef& resolve, std::string_view first_id = {},
                                           std::vector<std::string>* problems = nullptr);

/// The earlier of two optional times.
std::optional<WallTime> earlier(std::optional<WallTime> a, std::optional<WallTime> b);

}  // namespace systole::rules
