#include "model/read_cluster.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "model/reader.h"

namespace systole::model {
namespace {

const xml::Node* section(const xml::Node& cib, std::string_view name) {
    const xml::Node* configuration = cib.child("configuration");
    return configuration == nullptr ? nullptr : configuration->child(name);
}

/// Some resource or default asks for unfencing, so that nodes have to be unfenced when they join.
bool asks_for_unfencing(const xml::Node& node, bool in_meta) {
    const bool meta = in_meta || node.is("meta_attributes");
    if (meta && node.is("nvpair") && node.get("value") == "unfencing" &&
        (node.get("name") == "provides" || node.get("name") == "requires")) {
        return true;
    }
    return std::ranges::any_of(
        node.children(), [&](const auto& child) { return child->is_element() && asks_for_unfencing(*child, meta); });
}

void settle_no_quorum(Cluster& c) {
    if (c.options.no_quorum != NoQuorum::kFence) return;
    if (!c.options.fencing_enabled) {
        c.config_error("Resetting no-quorum-policy to 'stop' because fencing is disabled");
        c.options.no_quorum = NoQuorum::kStop;
        return;
    }
    // Nodes that never had quorum since they started must not fence themselves for lack of it.
    const bool panic = parse_integer(c.cib->get("no-quorum-panic")).value_or(0) != 0;
    if (!panic && !c.quorate) c.options.no_quorum = NoQuorum::kStop;
}

}  // namespace

void Reader::unpack(const xml::Node* parent, std::string_view set, const rules::Input& in, NameValues& values,
                    const rules::UnpackOptions& options) {
    if (parent == nullptr) return;
    const rules::Unpacked unpacked = rules::unpack_nvpairs(*parent, set, in, resolver(), values, options);
    c_.recheck_for(unpacked);
    for (const std::string& problem : unpacked.problems) c_.config_error(problem);
}

void Reader::read_config() {
    c_.quorate = parse_bool(c_.cib->get("have-quorum")).value_or(false);
    NameValues values;
    unpack(section(*c_.cib, "crm_config"), "cluster_property_set", input(), values,
           {.first_id = "cib-bootstrap-options"});
    std::vector<std::string> problems;
    c_.options = read_options(std::move(values), problems);
    if (!c_.options.fencing_enabled || !c_.options.startup_fencing) {
        c_.warning("Blind faith: not fencing unseen nodes");
    }
    for (std::string& problem : problems) c_.config_error(std::move(problem));
    c_.have_fencing = c_.options.have_watchdog;
    for (const std::string_view name : {"resources", "rsc_defaults"}) {
        const xml::Node* node = section(*c_.cib, name);
        c_.enable_unfencing = c_.enable_unfencing || (node != nullptr && asks_for_unfencing(*node, false));
    }
    settle_no_quorum(c_);
    c_.rsc_defaults = section(*c_.cib, "rsc_defaults");
    c_.op_defaults = section(*c_.cib, "op_defaults");
}

Result<std::unique_ptr<Cluster>> read_cluster(xml::NodePtr cib, rules::DateTime now, const ReadOptions& options) {
    if (!cib || !cib->is("cib")) {
        return fail(Errc::kInvalid, fmt::format("expected a <cib>, got <{}>", cib ? cib->name() : "nothing"));
    }
    auto cluster = std::make_unique<Cluster>();
    cluster->cib = std::move(cib);
    cluster->now = now;
    if (options.explain) cluster->score_notes = std::make_unique<std::vector<ScoreNote>>();
    Reader reader(*cluster);
    reader.read_config();
    if (!cluster->quorate && !options.locations_only && cluster->options.no_quorum != NoQuorum::kIgnore) {
        cluster->warning("Fencing and resource management disabled due to lack of quorum");
    }
    reader.read_nodes();
    if (!options.locations_only) reader.read_remote_nodes();
    reader.read_resources();
    reader.read_tags();
    if (!options.locations_only) reader.read_status();
    return cluster;
}

}  // namespace systole::model
