// model/bundle.cpp — what a <bundle> stands for: for each replica a container, an address, a connection to the executor
// inside, and an instance of the bundled primitive; the instances form an implicit clone.
// Source: Pacemaker Explained, "Bundles".
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "model/operations.h"
#include "model/reader.h"

namespace systole::model {
namespace {

constexpr std::string_view kRemotePort = "3121";
constexpr std::string_view kKeyFile = "/etc/pacemaker/authkey";
constexpr std::string_view kLogDirectory = "/var/log/pacemaker/bundles";
constexpr std::string_view kRemoteServer = "/usr/sbin/pacemaker-remoted";
constexpr int kReplicaScore = 500;

struct Mount {
    std::string source, target, options;
    bool own_directory = false;  ///< each replica has a subdirectory of its own
};
struct Port {
    std::string outside, inside;
};

std::string next_address(const std::string& last) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (std::sscanf(last.c_str(), "%u.%u.%u.%u", &a, &b, &c, &d) != 4 || c > 253) return {};
    if (d > 253) return fmt::format("{}.{}.{}.1", a, b, c + 1);
    return fmt::format("{}.{}.{}.{}", a, b, c, d + 1);
}

int at_least(std::string_view text, int minimum) {
    return static_cast<int>(std::max<long long>(minimum, parse_integer(text).value_or(minimum)));
}

xml::Builder make_primitive(std::string_view id, std::string_view provider, std::string_view type) {
    xml::Builder b("primitive");
    b.set("id", id).set("class", "ocf").set("provider", provider).set("type", type);
    return b;
}

}  // namespace

/// The configuration of one bundle while its parts are made.
class BundleReader {
public:
    BundleReader(Reader& reader, Resource& bundle)
        : reader_(reader), c_(reader.c_), bundle_(bundle), data_(*bundle.bundle) {}

    bool read();

private:
    bool read_container();
    void read_network();
    void read_storage();
    bool valid_network();
    bool make_clone(const xml::NodePtr& primitive);
    void give_address(BundleReplica& replica);
    bool make_replica(BundleReplica& replica);
    bool make_container(BundleReplica& replica);
    bool make_address(BundleReplica& replica);
    bool make_connection(BundleReplica& replica);
    [[nodiscard]] std::string run_options(const BundleReplica& replica, std::string& mount_points) const;

    Reader& reader_;
    Cluster& c_;
    Resource& bundle_;
    BundleData& data_;
    std::string run_command_, launcher_options_, container_network_, host_options_;
    std::string range_start_, netmask_, interface_, control_port_, last_address_;
    bool add_host_ = true;
    bool need_log_mount_ = true;
    std::vector<Mount> mounts_;
    std::vector<Port> ports_;
};

bool BundleReader::read_container() {
    const xml::Node* container = bundle_.xml->child("docker");
    data_.agent = "docker";
    if (container == nullptr) {
        container = bundle_.xml->child("podman");
        data_.agent = "podman";
    }
    if (container == nullptr) {
        c_.config_error(fmt::format("Bundle {} has neither <docker> nor <podman>", bundle_.id));
        return false;
    }
    data_.promoted_max = at_least(container->get("promoted-max", container->get("masters")), 0);
    if (!container->has("replicas") && data_.promoted_max > 0) {
        data_.replicas_max = data_.promoted_max;
    } else {
        data_.replicas_max = at_least(container->get("replicas"), 1);
    }
    data_.replicas_per_host = at_least(container->get("replicas-per-host"), 1);
    if (data_.replicas_per_host == 1) bundle_.unique = false;
    run_command_ = container->get("run-command");
    launcher_options_ = container->get("options");
    data_.image = container->get("image");
    container_network_ = container->get("network");
    return true;
}

void BundleReader::read_network() {
    const xml::Node* network = bundle_.xml->child("network");
    add_host_ = network != nullptr;
    if (network == nullptr) return;
    range_start_ = network->get("ip-range-start");
    netmask_ = network->get("host-netmask");
    interface_ = network->get("host-interface");
    control_port_ = network->get("control-port");
    add_host_ = parse_bool(network->get("add-host")).value_or(true);
    for (const auto& child : network->children()) {
        if (!child->is("port-mapping")) continue;
        Port port;
        port.outside = child->get("port");
        if (port.outside.empty()) {
            port.outside = child->get("range");
        } else {
            port.inside = child->get("internal-port");
        }
        if (port.outside.empty()) {
            c_.config_error(fmt::format("Invalid port directive {}", child->id()));
            continue;
        }
        if (port.inside.empty()) port.inside = port.outside;
        ports_.push_back(std::move(port));
    }
}

void BundleReader::read_storage() {
    const xml::Node* storage = bundle_.xml->child("storage");
    if (storage == nullptr) return;
    for (const auto& child : storage->children()) {
        if (!child->is("storage-mapping")) continue;
        Mount mount;
        mount.own_directory = !child->has("source-dir");
        mount.source = child->get(mount.own_directory ? "source-dir-root" : "source-dir");
        mount.target = child->get("target-dir");
        mount.options = child->get("options");
        if (mount.source.empty() || mount.target.empty()) {
            c_.config_error(fmt::format("Invalid mount directive {}", child->id()));
            continue;
        }
        if (mount.target == "/var/log") need_log_mount_ = false;
        mounts_.push_back(std::move(mount));
    }
}

bool BundleReader::valid_network() {
    if (!range_start_.empty()) return true;
    if (control_port_.empty()) return false;
    if (data_.replicas_per_host > 1) {
        c_.config_error(fmt::format("Specifying the 'control-port' for {} requires 'replicas-per-host=1'", bundle_.id));
        data_.replicas_per_host = 1;
    }
    return true;
}

bool BundleReader::make_clone(const xml::NodePtr& primitive) {
    xml::Builder clone("clone");
    clone.set("id", fmt::format("{}-{}", bundle_.id, data_.promoted_max > 0 ? "master" : "clone"));
    const std::string meta_id = fmt::format("{}-clone-meta", bundle_.id);
    xml::Builder meta("meta_attributes");
    meta.set("id", meta_id);
    meta.add(make_nvpair_xml(meta_id, "ordered", "true"));
    meta.add(make_nvpair_xml(meta_id, "clone-max", std::to_string(data_.replicas_max)));
    meta.add(make_nvpair_xml(meta_id, "clone-node-max", std::to_string(data_.replicas_per_host)));
    meta.add(make_nvpair_xml(meta_id, "globally-unique", data_.replicas_per_host > 1 ? "true" : "false"));
    if (data_.promoted_max > 0) {
        meta.add(make_nvpair_xml(meta_id, "promotable", "true"));
        meta.add(make_nvpair_xml(meta_id, "promoted-max", std::to_string(data_.promoted_max)));
    }
    clone.add(std::move(meta));
    clone.add(primitive);
    data_.child = reader_.create_resource(std::move(clone).build(), &bundle_, std::nullopt);
    return data_.child != nullptr;
}

void BundleReader::give_address(BundleReplica& replica) {
    if (range_start_.empty()) return;
    replica.ip_address = last_address_.empty() ? range_start_ : next_address(last_address_);
    last_address_ = replica.ip_address;
    if (add_host_) {
        host_options_ += fmt::format(" --add-host={}-{}:{}", bundle_.id, replica.offset, replica.ip_address);
    } else {
        host_options_ += fmt::format(" --hosts-entry={}={}-{}", replica.ip_address, bundle_.id, replica.offset);
    }
}

std::string BundleReader::run_options(const BundleReplica& replica, std::string& mount_points) const {
    std::string text;
    if (data_.agent == "docker") text += " --restart=no";
    if (!range_start_.empty()) text += fmt::format(" -h {}-{}", bundle_.id, replica.offset);
    text += " -e PCMK_stderr=1";
    if (!container_network_.empty()) text += fmt::format(" --net={}", container_network_);
    text += fmt::format(" -e PCMK_remote_port={}", control_port_.empty() ? kRemotePort : control_port_);
    for (const Mount& mount : mounts_) {
        std::string source = mount.source;
        if (mount.own_directory) {
            source = fmt::format("{}/{}-{}", mount.source, bundle_.id, replica.offset);
            mount_points += fmt::format("{}{}", mount_points.empty() ? "" : ",", source);
        }
        text += fmt::format(" -v {}:{}", source, mount.target);
        if (!mount.options.empty()) text += fmt::format(":{}", mount.options);
    }
    for (const Port& port : ports_) {
        if (!replica.ip_address.empty()) {
            text += fmt::format(" -p {}:{}:{}", replica.ip_address, port.outside, port.inside);
        } else if (container_network_ != "host") {
            text += fmt::format(" -p {}:{}", port.outside, port.inside);
        }
    }
    if (!launcher_options_.empty()) text += fmt::format(" {}", launcher_options_);
    // Written even where it is empty, so that digests agree with other versions.
    text += fmt::format(" {}", host_options_);
    return text;
}

bool BundleReader::make_container(BundleReplica& replica) {
    const std::string id = xml_id(fmt::format("{}-{}-{}", bundle_.id, data_.agent, replica.offset));
    xml::Builder container = make_primitive(id, "heartbeat", data_.agent);
    const std::string set_id = fmt::format("{}-attributes-{}", bundle_.id, replica.offset);
    xml::Builder set("instance_attributes");
    set.set("id", set_id);
    const auto parameter = [&](std::string_view name, std::string_view value) {
        set.add(make_nvpair_xml(set_id, name, value));
    };
    std::string mount_points;
    const std::string options = run_options(replica, mount_points);
    parameter("image", data_.image);
    parameter("allow_pull", "true");
    parameter("force_kill", "false");
    parameter("reuse", "false");
    parameter("run_opts", options);
    parameter("mount_points", mount_points);
    if (!run_command_.empty()) {
        parameter("run_cmd", run_command_);
    } else if (replica.child != nullptr) {
        parameter("run_cmd", kRemoteServer);
    }
    // Whether the container is alive is for the connection inside to find out.
    parameter("monitor_cmd", "/bin/true");
    container.add(std::move(set));
    xml::Builder operations("operations");
    operations.add(make_operation_xml(id, "monitor", "60s", ""));
    container.add(std::move(operations));
    replica.container = reader_.create_resource(std::move(container).build(), &bundle_, std::nullopt);
    if (replica.container == nullptr) return false;
    replica.container->replica_container = true;
    bundle_.children.push_back(replica.container);
    return true;
}

bool BundleReader::make_address(BundleReplica& replica) {
    if (range_start_.empty()) return true;
    const std::string id = xml_id(fmt::format("{}-ip-{}", bundle_.id, replica.ip_address));
    xml::Builder ip = make_primitive(id, "heartbeat", "IPaddr2");
    const std::string set_id = fmt::format("{}-attributes-{}", bundle_.id, replica.offset);
    xml::Builder set("instance_attributes");
    set.set("id", set_id);
    set.add(make_nvpair_xml(set_id, "ip", replica.ip_address));
    if (!interface_.empty()) set.add(make_nvpair_xml(set_id, "nic", interface_));
    set.add(make_nvpair_xml(set_id, "cidr_netmask", netmask_.empty() ? std::string_view("32") : netmask_));
    ip.add(std::move(set));
    xml::Builder operations("operations");
    operations.add(make_operation_xml(id, "monitor", "60s", ""));
    ip.add(std::move(operations));
    replica.ip = reader_.create_resource(std::move(ip).build(), &bundle_, std::nullopt);
    if (replica.ip == nullptr) return false;
    bundle_.children.push_back(replica.ip);
    return true;
}

bool BundleReader::make_connection(BundleReplica& replica) {
    if (replica.child == nullptr || !valid_network()) return true;
    std::string id = fmt::format("{}-{}", bundle_.id, replica.offset);
    if (c_.find_resource(id) != nullptr) {
        id = fmt::format("pcmk-internal-{}-remote-{}", replica.child->id, replica.offset);
    }
    Node* node = c_.find_node(id);
    if (node == nullptr) {
        node = reader_.create_node(id, id, "remote", Score::minus_infinity());
    } else {
        node->score = Score::minus_infinity();
        const auto forbid = [&](auto&& self, Resource& r) -> void {
            if (NodeScore* entry = r.allowed.find(*node)) {
                entry->score = Score::minus_infinity();
                entry->discovery = Discovery::kNever;
            }
            for (Resource* child : r.children) self(self, *child);
        };
        for (Resource* r : c_.resources) forbid(forbid, *r);
    }
    node->discovery = Discovery::kNever;  // nothing but the bundled primitive may ever be probed or run there
    replica.node = node;
    replica.child->allowed.clear();
    NodeScore own{.score = Score{kReplicaScore}, .discovery = Discovery::kExclusive};
    replica.child->allowed.at(*node, own);
    NodeScore clone_own = own;
    clone_own.score = Score::minus_infinity();
    replica.child->parent->allowed.at(*node, clone_own) = [&] {
        clone_own.present = true;
        return clone_own;
    }();

    const RemoteSpec spec{.name = id,
                          .container = replica.container->id,
                          .server = replica.ip_address.empty() ? std::string_view("#uname") : replica.ip_address,
                          .port = control_port_.empty() ? kRemotePort : control_port_};
    replica.remote = reader_.create_resource(make_remote_xml(spec), &bundle_, std::nullopt);
    if (replica.remote == nullptr) return false;
    for (const Node* each : c_.nodes) {
        if (each->remote_kind) {
            if (NodeScore* entry = replica.remote->allowed.find(*each)) entry->score = Score::minus_infinity();
        }
    }
    node->remote = replica.remote;
    // A guest's connection is launched by its container, but unlike with configured guests only the connection
    // knows of it.
    replica.remote->launcher = replica.container;
    node->attributes["#kind"] = "container";
    bundle_.children.push_back(replica.remote);
    return true;
}

bool BundleReader::make_replica(BundleReplica& replica) {
    if (!make_container(replica) || !make_address(replica) || !make_connection(replica)) {
        c_.config_error(fmt::format("Failed unpacking resource {}", bundle_.id));
        return false;
    }
    if (replica.child != nullptr) {
        if (!replica.ip_address.empty()) replica.child->meta["external-ip"] = replica.ip_address;
        // What the primitive needs, the container takes from its host.
        std::swap(replica.container->utilization, replica.child->utilization);
    }
    if (replica.remote != nullptr) replica.remote->remote_nesting_allowed = true;
    return true;
}

bool BundleReader::read() {
    if (!read_container()) return false;
    read_network();
    read_storage();
    const xml::NodePtr primitive = bundle_.xml->child_ptr("primitive");
    if (primitive) {
        if (!valid_network()) {
            c_.config_error(fmt::format("Cannot control {} inside {} without either ip-range-start or control-port",
                                        bundle_.id, primitive->id()));
            return false;
        }
        if (!make_clone(primitive)) return false;
        mounts_.push_back({std::string(kKeyFile), std::string(kKeyFile), "", false});
        if (need_log_mount_) mounts_.push_back({std::string(kLogDirectory), "/var/log", "", true});
        const std::string port(control_port_.empty() ? kRemotePort : std::string_view(control_port_));
        ports_.push_back({port, port});
    }
    const std::size_t count =
        data_.child != nullptr ? data_.child->children.size() : static_cast<std::size_t>(data_.replicas_max);
    data_.replicas.resize(count);
    std::optional<std::string> attribute_target;
    for (std::size_t i = 0; i < count; ++i) {
        BundleReplica& replica = data_.replicas[i];
        replica.offset = static_cast<int>(i);
        if (data_.child != nullptr) {
            replica.child = data_.child->children[i];
            replica.child->exclusive_discovery = true;
            if (replica.child->notify) data_.child->notify = true;
            const auto target = replica.child->meta_value("container-attribute-target");
            attribute_target = target ? std::optional<std::string>(*target) : std::nullopt;
        }
        give_address(replica);
    }
    if (attribute_target) {
        bundle_.meta["container-attribute-target"] = *attribute_target;
        data_.child->meta["container-attribute-target"] = *attribute_target;
    }
    for (BundleReplica& replica : data_.replicas) {
        if (!make_replica(replica)) return false;
    }
    if (data_.child != nullptr) bundle_.children.push_back(data_.child);
    return true;
}

bool Reader::unpack_bundle(Resource& resource) {
    resource.bundle = std::make_unique<BundleData>();
    return BundleReader(*this, resource).read();
}

}  // namespace systole::model
