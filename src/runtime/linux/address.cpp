#include "runtime/linux/address.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

namespace systole::runtime {
namespace {

constexpr unsigned kThreadsMax = 8;  // each waits for one name

Result<Resolver::Addresses> look_up(const std::string& name, std::uint16_t port, int flags) {
    addrinfo hints{};
    hints.ai_flags = flags;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* first = nullptr;
    if (const int rc = ::getaddrinfo(name.c_str(), std::to_string(port).c_str(), &hints, &first); rc != 0)
        return fail(Errc::kNotFound, fmt::format("{}: {}", name, ::gai_strerror(rc)));
    Resolver::Addresses addresses;
    for (const addrinfo* at = first; at != nullptr; at = at->ai_next) {
        sockaddr_storage address{};
        if (at->ai_addrlen > sizeof address) continue;
        std::memcpy(&address, at->ai_addr, at->ai_addrlen);
        addresses.push_back(address);
    }
    ::freeaddrinfo(first);
    if (addresses.empty()) return fail(Errc::kNotFound, fmt::format("{} has no address", name));
    return addresses;
}

struct Question {
    std::string name;
    std::uint16_t port{};
    std::weak_ptr<Resolver::Done> done;
};
struct Answer {
    std::weak_ptr<Resolver::Done> done;
    Result<Resolver::Addresses> addresses;
};

/// Outlives the resolver as long as a thread waits for a name: nothing can make it give up.
struct Mailbox {
    std::mutex lock;
    std::deque<Question> questions;
    std::deque<Answer> answers;
    unsigned threads = 0;
    const int bell = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    Mailbox() { SYSTOLE_ASSERT(bell >= 0, "there are descriptors when a daemon starts"); }
    ~Mailbox() { ::close(bell); }
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;
};

void work(const std::shared_ptr<Mailbox>& mailbox) {
    for (;;) {
        Question question;
        {
            const std::lock_guard held(mailbox->lock);
            if (mailbox->questions.empty()) {
                --mailbox->threads;
                return;
            }
            question = std::move(mailbox->questions.front());
            mailbox->questions.pop_front();
        }
        if (question.done.expired()) continue;
        auto addresses = look_up(question.name, question.port, 0);
        const std::lock_guard held(mailbox->lock);
        mailbox->answers.push_back({question.done, std::move(addresses)});
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto n = ::write(mailbox->bell, &one, sizeof one);
    }
}

}  // namespace

std::string describe_address(const sockaddr_storage& address) {
    std::array<char, NI_MAXHOST> host{};
    const socklen_t size = address.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    if (::getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host.data(), host.size(), nullptr, 0,
                      NI_NUMERICHOST) != 0)
        return "an unknown address";
    const std::string_view text(host.data());
    constexpr std::string_view kMapped = "::ffff:";  // an IPv4 peer of a socket for both
    if (text.starts_with(kMapped) && text.find('.') != std::string_view::npos)
        return fmt::format("{}:{}", text.substr(kMapped.size()), port_of(address));
    if (address.ss_family == AF_INET6) return fmt::format("[{}]:{}", text, port_of(address));
    return fmt::format("{}:{}", text, port_of(address));
}

std::uint16_t port_of(const sockaddr_storage& address) {
    return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                               : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

struct Resolver::Impl {
    Loop& loop;
    std::shared_ptr<Mailbox> mailbox = std::make_shared<Mailbox>();
    Source watch;

    explicit Impl(Loop& l) : loop(l) {
        watch = loop.on_fd(mailbox->bell, EPOLLIN, [this](std::uint32_t) { deliver(); });
    }

    void deliver() {
        std::uint64_t count = 0;
        [[maybe_unused]] const auto n = ::read(mailbox->bell, &count, sizeof count);
        std::deque<Answer> answers;
        {
            const std::lock_guard held(mailbox->lock);
            answers.swap(mailbox->answers);
        }
        for (const Answer& answer : answers)
            if (const auto done = answer.done.lock()) (*done)(answer.addresses);
    }
};

Resolver::Resolver(Loop& loop) : impl_(std::make_unique<Impl>(loop)) {}
Resolver::~Resolver() = default;

Resolver::Lookup Resolver::find(const std::string& name, std::uint16_t port, Done done) {
    auto lookup = std::make_shared<Done>(std::move(done));
    Mailbox& mailbox = *impl_->mailbox;
    // Numbers need nobody's help.
    if (auto addresses = look_up(name, port, AI_NUMERICHOST)) {
        const std::lock_guard held(mailbox.lock);
        mailbox.answers.push_back({lookup, std::move(addresses)});
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto n = ::write(mailbox.bell, &one, sizeof one);
        return lookup;
    }
    const std::lock_guard held(mailbox.lock);
    mailbox.questions.push_back({name, port, lookup});
    if (mailbox.threads < kThreadsMax) {
        // Signals are for the loop: the new thread inherits a mask in which they are blocked.
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        ++mailbox.threads;
        std::thread([shared = impl_->mailbox] { work(shared); }).detach();
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    return lookup;
}

}  // namespace systole::runtime
