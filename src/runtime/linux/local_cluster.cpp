#include "runtime/linux/local_cluster.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>

#include "base/md5.h"
#include "base/text.h"
#include "runtime/linux/disk.h"
#include "runtime/linux/paths.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::runtime {
namespace {

constexpr const char* kDescription = "cluster.xml";

std::string absolute(const std::string& folder) {
    char* const real = ::realpath(folder.c_str(), nullptr);
    if (real == nullptr) return folder;
    std::string path(real);
    ::free(real);
    return path;
}

}  // namespace

const wire::NodeRef* LocalCluster::find(const std::string& node) const {
    for (const wire::NodeRef& one : nodes)
        if (same_ignoring_case(one.name, node)) return &one;
    return nullptr;
}

std::vector<std::pair<std::string, std::string>> LocalCluster::environment(const wire::NodeRef& node) const {
    const std::string state = node_folder(node.name);
    return {{"SYSTOLE_ENGINE", "local"},
            {"SYSTOLE_LOCAL_DIR", folder},
            {"SYSTOLE_HUB", folder},
            {"SYSTOLE_NODE", node.name},
            {"SYSTOLE_NODE_ID", fmt::format("{}", node.id.value)},
            {"SYSTOLE_STATE_DIR", state},
            {"SYSTOLE_IPC_PREFIX", ipc_prefix(node.name)},
            {"HA_RSCTMP", state + "/resource-agents"},
            {"HA_VARRUN", state + "/run"},
            {"PCMK_logfacility", "none"},
            {"PCMK_logfile", state + "/log/pacemaker.log"}};
}

std::string default_local_folder() {
    if (const std::string folder = environment_value("SYSTOLE_LOCAL_DIR"); !folder.empty()) return folder;
    std::string state = environment_value("XDG_STATE_HOME");
    if (state.empty()) state = environment_value("HOME") + "/.local/state";
    return state + "/systole/local";
}

Result<LocalCluster> read_local_cluster(const std::string& folder) {
    LocalCluster cluster;
    cluster.folder = absolute(folder);
    const auto text = Disk(cluster.folder).read(kDescription);
    if (!text)
        return fail(Errc::kNotFound,
                    fmt::format("there is no local cluster in {} (systole local up makes one)", folder));
    const auto tree = xml::parse(*text);
    if (!tree) return fail(Errc::kInvalid, fmt::format("{}/{}: {}", folder, kDescription, tree.error().what));
    cluster.name = (*tree)->get("name");
    cluster.tag = (*tree)->get("tag");
    for (const auto& child : (*tree)->children()) {
        const auto id = parse_integer(child->id());
        if (child->is("node") && id && *id > 0)
            cluster.nodes.push_back({NodeId{static_cast<std::uint32_t>(*id)}, std::string(child->get("name"))});
    }
    if (cluster.nodes.empty() || cluster.tag.empty())
        return fail(Errc::kInvalid, fmt::format("{}/{}: no nodes", folder, kDescription));
    return cluster;
}

Result<LocalCluster> create_local_cluster(const std::string& folder, unsigned count) {
    if (const auto made = make_folders(folder, S_IRWXU); !made) return tl::unexpected(made.error());
    LocalCluster cluster;
    cluster.folder = absolute(folder);
    Disk disk(cluster.folder);
    if (disk.read(kDescription))
        return fail(Errc::kExists, fmt::format("there is a local cluster in {} already", folder));
    cluster.name = "local";
    // Abstract socket names are one set per machine, so the folder's path is in them, in short.
    cluster.tag = "systole-" + md5_hex(cluster.folder).substr(0, 12);
    xml::Builder description("local-cluster");
    description.set("name", cluster.name).set("tag", cluster.tag);
    for (unsigned i = 1; i <= count; ++i) {
        cluster.nodes.push_back({NodeId{i}, fmt::format("n{}", i)});
        description.add(xml::Builder("node").set("id", i).set("name", fmt::format("n{}", i)).build());
    }
    const std::string text = xml::write(*std::move(description).build(), {.pretty = true});
    if (const auto written = disk.write(kDescription, text); !written) return tl::unexpected(written.error());
    return cluster;
}

}  // namespace systole::runtime
