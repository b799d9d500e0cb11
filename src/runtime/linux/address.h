#pragma once
// runtime/linux/address.h — internet addresses: as people read them, and found by name without waiting.
// Source: getaddrinfo(3), getnameinfo(3); RFC 6724 for the order of addresses.
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/linux/loop.h"

namespace systole::runtime {

/// "10.0.0.1:3121", "[fe80::1]:3121"
std::string describe_address(const sockaddr_storage& address);
std::uint16_t port_of(const sockaddr_storage& address);

/// Looks names up in threads of its own, as the system's resolver may wait for servers that do not answer.
/// Invariant: `done` is called from the loop, in the order in which answers come; not at all for a dropped Lookup.
class Resolver {
public:
    using Addresses = std::vector<sockaddr_storage>;
    /// In the system's order of preference, at least one. Errors: kNotFound with the name and the system's reason.
    using Done = std::function<void(const Result<Addresses>&)>;
    /// Dropping it drops the answer.
    using Lookup = std::shared_ptr<void>;

    explicit Resolver(Loop& loop);
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    [[nodiscard]] Lookup find(const std::string& name, std::uint16_t port, Done done);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::runtime
