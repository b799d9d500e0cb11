#pragma once
// runtime/linux/tcp_connect.h — one attempt to connect to a name and port, over all addresses that the name has.
//
// Invariants: `done` is called once, from the loop, within the timeout; never after this object is gone. An address
// that does not answer takes no more than its share of the time that is left, so that the others have theirs.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/linux/address.h"
#include "runtime/linux/loop.h"

namespace systole::runtime {

class TcpConnect {
public:
    /// The socket, non-blocking and the caller's. Errors: kNotFound (the name has no address), kUnreachable (says why
    /// for each address).
    using Done = std::function<void(Result<int>)>;
    TcpConnect(Loop& loop, Resolver& resolver, const std::string& name, std::uint16_t port, Duration timeout,
               Done done);
    ~TcpConnect();
    TcpConnect(const TcpConnect&) = delete;
    TcpConnect& operator=(const TcpConnect&) = delete;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::runtime
