#pragma once
// model/reader.h — the steps of read_cluster(); internal to this folder.
#include "model/cluster.h"
#include "rules/evaluate.h"

namespace systole::model {

/// Fills a Cluster part by part; each part has its own file.
class Reader {
public:
    explicit Reader(Cluster& cluster) : c_(cluster) {}

    void read_config();  // read_cluster.cpp
    void read_nodes();   // nodes.cpp
    void read_remote_nodes();
    void read_resources();  // resources.cpp
    void read_tags();
    void read_status();  // history.cpp

    Node* create_node(std::string_view id, std::string_view name, std::string_view type, Score score);
    /// Null (and a config error) if the resource is not valid.
    Resource* create_resource(xml::NodePtr xml, Resource* parent, std::optional<int> instance);
    Resource* create_clone_child(Resource& clone);

private:
    friend class BundleReader;
    friend class HistoryReader;
    // nodes.cpp
    void startup_fencing(Node& node) const;
    void add_node_attributes(const xml::Node* parent, Node& node, bool overwrite);
    void read_node_state(const xml::Node& state);
    void read_ticket_state(const xml::Node& state);
    void determine_online(const xml::Node& state, Node& node);
    bool online_without_fencing(const xml::Node& state, Node& node);
    bool online_with_fencing(const xml::Node& state, Node& node);
    void determine_remote_online(Node& node);
    void read_remote_attributes(const xml::Node& state, Node& node);
    void link_remote_node(Resource& connection);

    // resources.cpp
    xml::NodePtr expand_template(const xml::NodePtr& original, bool& valid);
    void read_meta(Resource& resource);
    void read_flags(Resource& resource);
    void read_requires(Resource& resource, std::optional<std::string_view> value);
    bool unpack_variant(Resource& resource);
    bool unpack_primitive(Resource& resource);
    bool unpack_group(Resource& resource);
    bool unpack_clone(Resource& resource);
    bool unpack_bundle(Resource& resource);  // bundle.cpp
    void discard(Resource& resource);
    void link_launcher(Resource& resource);

    rules::Input input() const {
        rules::Input in;
        in.now = c_.now;
        return in;
    }
    rules::ResolveRef resolver() const {
        return [this](std::string_view name, std::string_view id) { return c_.resolve_reference(name, id); };
    }
    void unpack(const xml::Node* parent, std::string_view set, const rules::Input& in, NameValues& values,
                const rules::UnpackOptions& options = {});
    int meta_integer(const Resource& resource, std::string_view name, std::string_view former, int fallback) const;

    Cluster& c_;
    std::vector<xml::NodePtr> implied_;  ///< connections that guest nodes imply
};

/// Has the resource a target-role that applies to it? Roles that need a promotable clone are refused elsewhere.
std::optional<Role> target_role(Cluster& cluster, const Resource& resource);
/// <primitive class="ocf" provider="pacemaker" type="remote">.
bool is_remote_connection(const xml::Node& xml);
/// Adds a node to where the resource is active, with all that follows (multiply active, unmanaged, ...).
void add_running(Cluster& cluster, Resource& resource, Node& node, bool failed);

/// The connection resource that a guest node's meta-attributes imply.
struct RemoteSpec {
    std::string_view name{}, container{}, allow_migrate{}, is_managed{}, connect_timeout{}, server{}, port{};
};
xml::NodePtr make_remote_xml(const RemoteSpec& spec);
xml::NodePtr make_operation_xml(std::string_view prefix, std::string_view task, std::string_view interval,
                                std::string_view timeout);
xml::NodePtr make_nvpair_xml(std::string_view parent_id, std::string_view name, std::string_view value);

}  // namespace systole::model
