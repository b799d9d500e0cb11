#include "runtime/linux/cmap.h"

#include <corosync/cmap.h>
#include <corosync/corotypes.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "base/text.h"

namespace systole::runtime {

std::string corosync_error(int rc) { return cs_strerror(static_cast<cs_error_t>(rc)); }

bool served_by_root(int fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == 0 || peer.gid == 0);
}

struct Cmap::Handle {
    cmap_handle_t cmap{};
    Handle() = default;
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() {
        if (cmap != 0) cmap_finalize(cmap);
    }
};

Cmap::Cmap(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
Cmap::Cmap(Cmap&&) noexcept = default;
Cmap& Cmap::operator=(Cmap&&) noexcept = default;
Cmap::~Cmap() = default;

Result<Cmap> Cmap::open() {
    auto handle = std::make_unique<Handle>();
    if (const auto rc = cmap_initialize(&handle->cmap); rc != CS_OK) {
        handle->cmap = 0;
        return fail(rc == CS_ERR_ACCESS ? Errc::kDenied : Errc::kUnreachable,
                    fmt::format("Corosync's configuration map: {}", corosync_error(rc)));
    }
    int fd = -1;
    if (cmap_fd_get(handle->cmap, &fd) != CS_OK || !served_by_root(fd))
        return fail(Errc::kDenied, "Corosync's configuration map is not served by root");
    return Cmap(std::move(handle));
}

std::optional<std::string> Cmap::get(const std::string& key) const {
    std::array<char, 16> value{};
    std::size_t size = 0;
    cmap_value_types_t type{};
    if (cmap_get(handle_->cmap, key.c_str(), nullptr, &size, &type) != CS_OK) return std::nullopt;
    if (type == CMAP_VALUETYPE_STRING) {
        char* text = nullptr;
        if (cmap_get_string(handle_->cmap, key.c_str(), &text) != CS_OK) return std::nullopt;
        std::string out(text);
        std::free(text);
        return out;
    }
    if (size > value.size()) return std::nullopt;
    size = value.size();
    if (cmap_get(handle_->cmap, key.c_str(), value.data(), &size, &type) != CS_OK) return std::nullopt;
    const auto as = [&]<class T>(T) {
        T number{};
        std::memcpy(&number, value.data(), sizeof number);
        return fmt::format("{}", number);
    };
    switch (type) {
        case CMAP_VALUETYPE_INT8: return as(std::int8_t{});
        case CMAP_VALUETYPE_UINT8: return as(std::uint8_t{});
        case CMAP_VALUETYPE_INT16: return as(std::int16_t{});
        case CMAP_VALUETYPE_UINT16: return as(std::uint16_t{});
        case CMAP_VALUETYPE_INT32: return as(std::int32_t{});
        case CMAP_VALUETYPE_UINT32: return as(std::uint32_t{});
        case CMAP_VALUETYPE_INT64: return as(std::int64_t{});
        case CMAP_VALUETYPE_UINT64: return as(std::uint64_t{});
        case CMAP_VALUETYPE_FLOAT: return as(float{});
        case CMAP_VALUETYPE_DOUBLE: return as(double{});
        case CMAP_VALUETYPE_STRING:
        case CMAP_VALUETYPE_BINARY: return std::nullopt;
    }
    return std::nullopt;
}

std::vector<wire::NodeRef> Cmap::nodes() const {
    std::vector<wire::NodeRef> found;
    for (int i = 0;; ++i) {
        const std::string prefix = fmt::format("nodelist.node.{}.", i);
        const auto id = get(prefix + "nodeid");
        const auto address = get(prefix + "ring0_addr");
        if (!id && !address) break;
        const auto number = id ? parse_integer(*id) : std::nullopt;
        if (!number || *number <= 0) continue;
        wire::NodeRef node{NodeId{static_cast<std::uint32_t>(*number)}, get(prefix + "name").value_or("")};
        // An address that is a host's name will do; one of digits and dots, or with colons, is none.
        if (node.name.empty() && address && address->find_first_not_of("0123456789.") != std::string::npos &&
            address->find(':') == std::string::npos)
            node.name = *address;
        found.push_back(std::move(node));
    }
    return found;
}

Result<void> Cmap::admit_group(gid_t gid) {
    const std::string key = fmt::format("uidgid.gid.{}", gid);
    if (const auto rc = cmap_set_uint8(handle_->cmap, key.c_str(), 1); rc != CS_OK)
        return fail(Errc::kIo, fmt::format("group {} cannot be admitted to Corosync: {}", gid, corosync_error(rc)));
    return {};
}

}  // namespace systole::runtime
