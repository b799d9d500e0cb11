#include "runtime/linux/hub_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>

#include "runtime/linux/frame_socket.h"
#include "runtime/linux/local_engine.h"

namespace systole::runtime {

struct HubServer::Impl {
    struct Link {
        std::unique_ptr<FrameSocket> socket;
        Source watch;
        bool writing = false;
    };

    Loop& loop;
    Hub hub;
    LogSink log;
    Timers timers;
    int listener = -1;
    Source accepting;
    std::map<Hub::Connection, Link> links;
    Hub::Connection next = 1;
    std::shared_ptr<char> alive = std::make_shared<char>();

    Impl(Loop& l, Hub::Config config, LogSink sink)
        : loop(l),
          hub(std::move(config)),
          log(std::move(sink)),
          timers(loop, [this](const std::string& name) { perform(hub.on_timer(loop.now(), name)); }) {}
    ~Impl() {
        accepting.reset();
        if (listener >= 0) ::close(listener);
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void accept_one() {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) return;
        const Hub::Connection id = next++;
        links[id].socket = std::make_unique<FrameSocket>(fd);
        attach(id);
    }

    void attach(Hub::Connection id) {
        Link& link = links.at(id);
        link.writing = link.socket->wants_write();
        const std::uint32_t events = link.writing ? std::uint32_t{EPOLLIN | EPOLLOUT} : std::uint32_t{EPOLLIN};
        link.watch.reset();
        link.watch = loop.on_fd(link.socket->fd(), events, [this, id](std::uint32_t) { serve(id); });
    }

    void serve(Hub::Connection id) {
        const auto filled = links.at(id).socket->fill();
        bool broken = !filled;
        while (links.contains(id)) {
            const auto frame = links.at(id).socket->next();
            if (!frame) broken = true;
            if (!frame || !*frame) break;
            perform(hub.on_frame(loop.now(), id, *(*frame)->head, (*frame)->body));
        }
        if (!links.contains(id)) return;
        if (broken || !links.at(id).socket->flush())
            close(id);
        else if (links.at(id).writing != links.at(id).socket->wants_write())
            attach(id);
    }

    void close(Hub::Connection id) {
        if (links.erase(id) != 0) perform(hub.on_closed(loop.now(), id));
    }

    void perform(const Hub::Effects& effects) {
        for (const Hub::Effect& effect : effects) {
            if (const auto* send = std::get_if<Hub::Send>(&effect)) {
                const auto found = links.find(send->to);
                if (found == links.end()) continue;
                if (!found->second.socket->send(*send->head, send->body.get()))
                    // Told to the hub once these effects are done: their order is what all members rely on.
                    loop.defer([this, held = std::weak_ptr(alive), id = send->to] {
                        if (!held.expired()) close(id);
                    });
                else if (found->second.watch && found->second.writing != found->second.socket->wants_write())
                    attach(send->to);
            } else if (const auto* gone = std::get_if<Hub::Close>(&effect)) {
                links.erase(gone->connection);
            } else if (const auto* timer = std::get_if<wire::ArmTimer>(&effect)) {
                timers.arm(timer->name, timer->at);
            } else if (const auto* line = std::get_if<wire::Log>(&effect)) {
                if (log) log(*line);
            }
        }
    }
};

HubServer::HubServer(Loop& loop, Hub::Config config, LogSink log)
    : impl_(std::make_unique<Impl>(loop, std::move(config), std::move(log))) {}
HubServer::~HubServer() = default;

Result<void> HubServer::open(const std::string& folder) {
    const auto fd = listen_at(folder, kHubSocket);
    if (!fd) return tl::unexpected(fd.error());
    impl_->listener = *fd;
    impl_->accepting = impl_->loop.on_fd(*fd, EPOLLIN, [impl = impl_.get()](std::uint32_t) { impl->accept_one(); });
    impl_->perform(impl_->hub.start(impl_->loop.now()));
    return {};
}

const Hub& HubServer::hub() const { return impl_->hub; }

}  // namespace systole::runtime
