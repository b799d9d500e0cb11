#pragma once
// runtime/linux/local_cluster.h — a local cluster as it stands in its folder: which nodes, and how to reach each.
//
// FOLDER/cluster.xml names it; FOLDER/NODE holds a node's files; the hub's socket and the logs are there too. What a
// process of a node needs to know is in its environment.
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "wire/port.h"

namespace systole::runtime {

struct LocalCluster {
    std::string folder;  ///< absolute
    std::string name;
    std::string tag;  ///< tells this cluster's IPC names from those of others on the machine
    std::vector<wire::NodeRef> nodes;

    [[nodiscard]] const wire::NodeRef* find(const std::string& node) const;
    [[nodiscard]] std::string node_folder(const std::string& node) const { return folder + "/" + node; }
    [[nodiscard]] std::string ipc_prefix(const std::string& node) const { return tag + "-" + node + "-"; }
    /// Variables that make a daemon or a command belong to this node.
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> environment(const wire::NodeRef& node) const;
};

/// --dir's default: $SYSTOLE_LOCAL_DIR, else systole/local below $XDG_STATE_HOME or ~/.local/state.
std::string default_local_folder();
/// Errors: kNotFound if there is no cluster in this folder; kInvalid if its description cannot be read.
Result<LocalCluster> read_local_cluster(const std::string& folder);
/// Describes a new cluster of `count` nodes, n1 to nN. Errors: kExists, kIo.
Result<LocalCluster> create_local_cluster(const std::string& folder, unsigned count);

}  // namespace systole::runtime
