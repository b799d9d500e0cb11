#pragma once
// runtime/linux/frame_socket.h — frames (a small XML head, bytes as a body) over a stream socket, without blocking.
//
// On the wire: length of the head and of the body (4 bytes each, native order: both ends are on one machine), head,
// body. Invariants: send() never blocks; what cannot be written waits, up to a bound; a damaged frame ends the
// connection.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "xml/tree.h"

namespace systole::runtime {

struct Frame {
    xml::NodePtr head;
    std::shared_ptr<const std::string> body;  ///< null if it has none
};

class FrameSocket {
public:
    /// Takes the descriptor over; it becomes non-blocking.
    explicit FrameSocket(int fd);
    ~FrameSocket();
    FrameSocket(const FrameSocket&) = delete;
    FrameSocket& operator=(const FrameSocket&) = delete;

    [[nodiscard]] int fd() const { return fd_; }
    /// Writes what the socket takes at once; the rest at flush(). Errors: kUnreachable if the other end is gone,
    /// kInvalid if more waits than may.
    Result<void> send(const xml::Node& head, const std::string* body = nullptr);
    Result<void> flush();
    [[nodiscard]] bool wants_write() const { return written_ < out_.size(); }
    /// Reads what is there. Errors: kUnreachable at the end of the stream.
    Result<void> fill();
    /// The next whole frame, or nothing yet. Errors: kInvalid for what is no frame.
    Result<std::optional<Frame>> next();

private:
    int fd_;
    std::string in_, out_;
    std::size_t read_{}, written_{};  // consumed beginnings of in_ and out_
};

/// Unix stream sockets in a folder whose path may be longer than a socket address holds.
/// Errors: kIo, kUnreachable (nobody listens), kExists (somebody listens already).
Result<int> listen_at(const std::string& folder, const std::string& name);
Result<int> connect_to(const std::string& folder, const std::string& name);

}  // namespace systole::runtime
