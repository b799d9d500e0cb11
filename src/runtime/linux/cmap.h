#pragma once
// runtime/linux/cmap.h — Corosync's configuration: node names, the cluster's name, who may use its services.
// Source: protocol sheet cpg.md, sections 1 and 5; cmap_keys(7).
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "wire/port.h"

namespace systole::runtime {

class Cmap {
public:
    /// Errors: kUnreachable if Corosync is not there, kDenied if it may not be used or is not root's.
    static Result<Cmap> open();
    Cmap(Cmap&&) noexcept;
    Cmap& operator=(Cmap&&) noexcept;
    ~Cmap();

    /// A value as text: strings as they are, numbers in decimal.
    [[nodiscard]] std::optional<std::string> get(const std::string& key) const;
    /// All nodes of the nodelist; a name is empty where only an address is known.
    [[nodiscard]] std::vector<wire::NodeRef> nodes() const;
    /// Lets members of this group use Corosync's services. Errors: kIo.
    Result<void> admit_group(gid_t gid);

private:
    struct Handle;
    explicit Cmap(std::unique_ptr<Handle> handle);
    std::unique_ptr<Handle> handle_;
};

/// Text of a Corosync result.
std::string corosync_error(int rc);
/// True if the process at the other end of the socket runs as root (user or group).
bool served_by_root(int fd);

}  // namespace systole::runtime
