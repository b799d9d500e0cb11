// Both ends of remote connections over loopback in this process; the kernel chooses the ports.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "runtime/linux/tcp_connect.h"
#include "runtime/linux/tls_channel.h"
#include "runtime/linux/tls_server.h"
#include "wire/remote_frame.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// What a client of a test sees.
struct Client {
    std::unique_ptr<TcpConnect> attempt;
    std::unique_ptr<TlsChannel> channel;
    bool established = false;
    std::vector<std::string> messages;
    std::optional<TlsEnd> end;
    std::string fault;  ///< of the attempt
};

class Tls : public testing::Test {
protected:
    Tls() {
        folder_ = std::filesystem::temp_directory_path() / fmt::format("systole-tls-{}", getpid());
        std::filesystem::create_directories(folder_);
        write_key("key", "a key\nwith a line's end and a \x01 byte\n");
        write_key("other", "another key");
    }
    ~Tls() override {
        clients_.clear();
        server_.reset();
        std::filesystem::remove_all(folder_);
    }

    void write_key(const std::string& name, const std::string& bytes) {
        std::ofstream(folder_ / name) << bytes;
        ::chmod((folder_ / name).c_str(), 0640);
    }
    TlsSettings with_key(const std::string& name) {
        TlsSettings settings;
        settings.key_files = {folder_ / name};
        return settings;
    }

    void serve(TlsServerOptions options) {
        options.address = "127.0.0.1";
        options.port = 0;
        options.log = [this](const wire::Log& line) { log_.push_back(line.text); };
        server_.emplace(
            loop_, std::move(options),
            TlsServer::Handlers{
                .connected = [this](TlsServer::PeerId id,
                                    const std::string&) { events_.push_back(fmt::format("{} connected", id)); },
                .message =
                    [this](TlsServer::PeerId id, const xml::NodePtr& message) {
                        events_.push_back(fmt::format("{}: {}", id, xml::write(*message)));
                        if (!echo_) return;
                        EXPECT_TRUE(server_->send(id, *message));
                    },
                .closed = [this](TlsServer::PeerId id,
                                 const std::string&) { events_.push_back(fmt::format("{} closed", id)); }});
        const auto port = server_->open();
        ASSERT_TRUE(port) << port.error().what;
        port_ = *port;
    }
    void serve() { serve({.tls = with_key("key")}); }

    Client& connect(const TlsSettings& settings, const std::string& name = "127.0.0.1",
                    Duration timeout = Duration{20'000}) {
        clients_.push_back(std::make_unique<Client>());
        Client& client = *clients_.back();
        client.attempt = std::make_unique<TcpConnect>(
            loop_, resolver_, name, port_, timeout, [this, &client, settings](Result<int> fd) {
                if (!fd) {
                    client.fault = fd.error().what;
                    return;
                }
                const auto credentials = TlsCredentials::load(settings, TlsRole::kClient);
                ASSERT_TRUE(credentials) << credentials.error().what;
                client.channel = std::make_unique<TlsChannel>(
                    loop_, *fd, TlsChannelOptions{.credentials = *credentials},
                    TlsChannel::Handlers{
                        .established = [&client] { client.established = true; },
                        .message = [&client](const xml::NodePtr& m) { client.messages.push_back(xml::write(*m)); },
                        .ended = [&client](const TlsEnd& end) { client.end = end; }});
            });
        return client;
    }

    template <class Condition>
    void until(Condition condition) {
        // Rounds, not time: a hang ends by the test's own limit.
        while (!condition()) loop_.dispatch(Duration{-1});
    }
    int plain_socket() {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port_);
        EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        return fd;
    }

    std::filesystem::path folder_;
    Loop loop_;
    Resolver resolver_{loop_};
    std::optional<TlsServer> server_;
    std::uint16_t port_ = 0;
    std::vector<std::unique_ptr<Client>> clients_;
    std::vector<std::string> events_, log_;
    bool echo_ = true;
};

TEST_F(Tls, CarriesMessagesBothWays) {
    serve();
    Client& client = connect(with_key("key"));
    until([&] { return client.established; });
    ASSERT_TRUE(client.channel->send(*xml::Builder("one").build()));
    ASSERT_TRUE(client.channel->send(*xml::Builder("two").set("a", "b").build()));
    until([&] { return client.messages.size() == 2; });
    EXPECT_THAT(client.messages, ElementsAre("<one/>", "<two a=\"b\"/>"));
    EXPECT_THAT(events_, ElementsAre("1 connected", "1: <one/>", "1: <two a=\"b\"/>"));
}

TEST_F(Tls, SendsAFramesHeaderAsARecordOfItsOwn) {
    // A controller of Pacemaker 2.1.5 that got both in one record waited for more, gave up, and crashed as it tried
    // again.
    serve();
    const int fd = plain_socket();
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    const auto credentials = TlsCredentials::load(with_key("key"), TlsRole::kClient);
    ASSERT_TRUE(credentials);
    gnutls_session_t session = nullptr;
    gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NONBLOCK);
    ASSERT_TRUE((*credentials)->apply(session));
    gnutls_transport_set_int(session, fd);
    while (gnutls_handshake(session) == GNUTLS_E_AGAIN) loop_.dispatch(Duration{0});
    until([&] { return !events_.empty(); });
    ASSERT_TRUE(server_->send(1, *xml::Builder("m").set("value", std::string(100, 'x')).build()));
    std::array<char, 4096> bytes{};
    const auto receive = [&] {
        ssize_t n = GNUTLS_E_AGAIN;
        while ((n = gnutls_record_recv(session, bytes.data(), bytes.size())) == GNUTLS_E_AGAIN)
            loop_.dispatch(Duration{0});
        return n;
    };
    EXPECT_EQ(receive(), static_cast<ssize_t>(wire::kRemoteHeaderSize));
    EXPECT_EQ(receive(), 100 + 14);
    gnutls_deinit(session);
    ::close(fd);
}

TEST_F(Tls, CarriesWhatIsLargerThanAnySocketsBuffer) {
    serve();
    Client& client = connect(with_key("key"));
    until([&] { return client.established; });
    const std::string value(30'000'000, 'x');
    ASSERT_TRUE(client.channel->send(*xml::Builder("large").set("value", value).build()));
    EXPECT_GT(client.channel->queued(), 0U);
    until([&] { return !client.messages.empty(); });
    EXPECT_EQ(client.messages[0], fmt::format("<large value=\"{}\"/>", value));
    EXPECT_EQ(client.channel->queued(), 0U);
}

TEST_F(Tls, TheOtherEndIsToldOfAnEnd) {
    serve();
    Client& client = connect(with_key("key"));
    until([&] { return !events_.empty() && client.established; });
    client.channel.reset();
    until([&] { return events_.size() == 2; });
    EXPECT_EQ(events_[1], "1 closed");

    Client& second = connect(with_key("key"));
    until([&] { return events_.size() == 3 && second.established; });
    server_->close(2, "enough");
    until([&] { return second.end.has_value(); });
    EXPECT_EQ(second.end->kind, TlsEnd::Kind::kClosed);
    EXPECT_EQ(events_.back(), "2 closed");
}

TEST_F(Tls, WhatWasSaidBeforeAnEndArrives) {
    serve();
    echo_ = false;
    Client& client = connect(with_key("key"));
    until([&] { return client.established; });
    ASSERT_TRUE(client.channel->send(*xml::Builder("farewell").build()));
    client.channel.reset();
    until([&] { return events_.size() == 3; });
    EXPECT_THAT(events_, ElementsAre("1 connected", "1: <farewell/>", "1 closed"));
}

TEST_F(Tls, AWrongKeyIsRefusedAndBothEndsSayWhy) {
    serve();
    Client& client = connect(with_key("other"));
    until([&] { return client.end.has_value() && !log_.empty(); });
    EXPECT_EQ(client.end->kind, TlsEnd::Kind::kRejected);
    EXPECT_THAT(client.end->why, HasSubstr((folder_ / "other").string() + " must be that of the other end"));
    EXPECT_THAT(log_, ElementsAre(HasSubstr((folder_ / "key").string() + " must be that of the other end")));
    EXPECT_THAT(events_, IsEmpty());
}

TEST_F(Tls, AKeyThatComesLaterIsUsedThen) {
    serve({.tls = with_key("later")});
    EXPECT_THAT(log_, ElementsAre(HasSubstr("There is no key")));
    Client& refused = connect(with_key("key"));
    until([&] { return refused.end.has_value(); });
    EXPECT_EQ(refused.end->kind, TlsEnd::Kind::kClosed);
    std::filesystem::copy_file(folder_ / "key", folder_ / "later");
    Client& client = connect(with_key("key"));
    until([&] { return client.established; });
}

TEST_F(Tls, WhatIsNoTlsGetsNothing) {
    serve({.tls = with_key("key"), .handshake_max = Duration{1}});
    const int fd = plain_socket();
    const auto frame = wire::encode_remote(1, "<lrmd_command/>");
    EXPECT_EQ(::write(fd, frame->data(), frame->size()), static_cast<ssize_t>(frame->size()));
    until([&] { return server_->handshakes() == 1; });
    until([&] { return server_->handshakes() == 0; });
    EXPECT_THAT(events_, IsEmpty());
    ::close(fd);
}

TEST_F(Tls, HandshakesThatNeverFinishDisturbNobody) {
    serve();
    Client& before = connect(with_key("key"));
    until([&] { return before.established; });
    constexpr int kStrangers = 1000;
    std::vector<int> strangers;
    std::size_t most = 0;
    for (int i = 0; i < kStrangers; ++i) {
        strangers.push_back(plain_socket());
        // A beginning of a handshake, and no more.
        EXPECT_EQ(::write(strangers.back(), "\x16\x03\x01\x02", 4), 4);
        while (loop_.dispatch(Duration{0})) most = std::max(most, server_->handshakes());
    }
    EXPECT_LE(most, 64U);
    EXPECT_GT(most, 32U);
    ASSERT_TRUE(before.channel->send(*xml::Builder("still").build()));
    until([&] { return !before.messages.empty(); });
    Client& after = connect(with_key("key"));
    until([&] { return after.established || after.end; });
    EXPECT_TRUE(after.established);
    EXPECT_FALSE(before.end);
    EXPECT_LE(log_.size(), 11U) << "and the log is not filled";
    for (const int fd : strangers) ::close(fd);
}

TEST_F(Tls, AHandshakeHasItsTime) {
    serve({.tls = with_key("key"), .handshake_max = Duration{1}});
    const int fd = plain_socket();
    until([&] { return server_->handshakes() == 1; });
    until([&] { return server_->handshakes() == 0; });
    EXPECT_THAT(log_, ElementsAre(HasSubstr("no TLS handshake within")));
    ::close(fd);
}

TEST_F(Tls, APeerThatDoesNotReadIsGivenUp) {
    serve();
    Client& slow = connect(with_key("key"));
    until([&] { return slow.established && !events_.empty(); });
    // The loop is not run meanwhile, so nobody reads.
    const auto message = xml::Builder("m").set("value", std::string(1'000'000, 'x')).build();
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(server_->send(1, *message));
    until([&] { return events_.size() == 2; });
    EXPECT_EQ(events_.back(), "1 closed");
}

TEST_F(Tls, AStoppedServerTakesNobody) {
    serve();
    Client& before = connect(with_key("key"));
    until([&] { return before.established && !events_.empty(); });
    server_->stop_listening();
    Client& after = connect(with_key("key"));
    until([&] { return !after.fault.empty(); });
    EXPECT_THAT(after.fault, HasSubstr("refused"));
    ASSERT_TRUE(before.channel->send(*xml::Builder("still").build()));
    until([&] { return !before.messages.empty(); });
}

TEST_F(Tls, AnAddressThatRefusesIsNotTheLast) {
    serve();
    // Most systems have ::1 before 127.0.0.1 for this name; the server is on the latter only.
    if (::gethostbyname("localhost") == nullptr) GTEST_SKIP() << "SKIP: this system has no address for localhost";
    Client& client = connect(with_key("key"), "localhost");
    until([&] { return client.established || !client.fault.empty(); });
    EXPECT_TRUE(client.established) << client.fault;
}

TEST_F(Tls, ANameWithoutAddressIsSaid) {
    serve();
    Client& client = connect(with_key("key"), "no such name");
    until([&] { return !client.fault.empty(); });
    EXPECT_THAT(client.fault, HasSubstr("no such name"));
}

TEST_F(Tls, KeyFilesAreToldApart) {
    const auto fault = [&](const TlsSettings& settings) {
        const auto loaded = TlsCredentials::load(settings, TlsRole::kClient);
        return loaded ? Error{Errc::kIo, "none"} : loaded.error();
    };
    EXPECT_EQ(fault(with_key("missing")).code, Errc::kNotFound);
    write_key("empty", "");
    EXPECT_EQ(fault(with_key("empty")).code, Errc::kInvalid);
    EXPECT_THAT(fault(with_key("empty")).what, HasSubstr("is empty"));
    std::filesystem::create_directory(folder_ / "directory");
    EXPECT_THAT(fault(with_key("directory")).what, HasSubstr("is not a file"));
    TlsSettings wrong = with_key("key");
    ASSERT_EQ(::chmod((folder_ / "key").c_str(), 0644), 0);
    EXPECT_THAT((*TlsCredentials::load(wrong, TlsRole::kClient))->remark(), HasSubstr("can be read by every user"));
    ASSERT_EQ(::chmod((folder_ / "key").c_str(), 0640), 0);
    EXPECT_EQ((*TlsCredentials::load(wrong, TlsRole::kClient))->remark(), "");
}

TEST_F(Tls, TheFirstKeyThatExistsCounts) {
    TlsSettings settings = with_key("missing");
    settings.key_files.push_back(folder_ / "other");
    const auto loaded = TlsCredentials::load(settings, TlsRole::kClient);
    ASSERT_TRUE(loaded);
    EXPECT_EQ((*loaded)->file(), folder_ / "other");
}

/// A certificate, signed by the one and the key of `issuer`, or by its own.
struct Certificate {
    gnutls_x509_privkey_t key = nullptr;
    gnutls_x509_crt_t certificate = nullptr;

    explicit Certificate(const Certificate* issuer) {
        gnutls_x509_privkey_init(&key);
        gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
        gnutls_x509_crt_init(&certificate);
        gnutls_x509_crt_set_version(certificate, 3);
        gnutls_x509_crt_set_serial(certificate, "1", 1);
        gnutls_x509_crt_set_dn(certificate, issuer == nullptr ? "CN=authority" : "CN=anybody", nullptr);
        gnutls_x509_crt_set_activation_time(certificate, ::time(nullptr) - 60);
        gnutls_x509_crt_set_expiration_time(certificate, ::time(nullptr) + 3600);
        gnutls_x509_crt_set_key(certificate, key);
        gnutls_x509_crt_set_basic_constraints(certificate, issuer == nullptr ? 1 : 0, -1);
        const Certificate& signer = issuer == nullptr ? *this : *issuer;
        gnutls_x509_crt_sign2(certificate, signer.certificate, signer.key, GNUTLS_DIG_SHA256, 0);
    }
    ~Certificate() {
        gnutls_x509_crt_deinit(certificate);
        gnutls_x509_privkey_deinit(key);
    }
    Certificate(const Certificate&) = delete;
    Certificate& operator=(const Certificate&) = delete;

    void write(const std::filesystem::path& certificate_file, const std::filesystem::path& key_file) const {
        gnutls_datum_t text{};
        gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &text);
        std::ofstream(certificate_file).write(reinterpret_cast<const char*>(text.data), text.size);
        gnutls_free(text.data);
        gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &text);
        std::ofstream(key_file).write(reinterpret_cast<const char*>(text.data), text.size);
        gnutls_free(text.data);
    }
};

TEST_F(Tls, CertificatesOfOneAuthorityAccept) {
    const Certificate authority(nullptr);
    const Certificate member(&authority);
    const Certificate stranger(nullptr);
    authority.write(folder_ / "ca", folder_ / "ca.key");
    member.write(folder_ / "member", folder_ / "member.key");
    stranger.write(folder_ / "stranger", folder_ / "stranger.key");
    const auto with = [&](const std::string& name) {
        TlsSettings settings;
        settings.certificate = folder_ / name;
        settings.private_key = folder_ / (name + ".key");
        settings.authority = folder_ / "ca";
        return settings;
    };
    serve({.tls = with("member")});
    Client& client = connect(with("member"));
    until([&] { return client.established || client.end; });
    ASSERT_TRUE(client.established) << client.end->why;
    ASSERT_TRUE(client.channel->send(*xml::Builder("m").build()));
    until([&] { return !client.messages.empty(); });

    Client& other = connect(with("stranger"));
    until([&] { return other.end.has_value(); });
    EXPECT_EQ(other.end->kind, TlsEnd::Kind::kRejected);
    Client& keyed = connect(with_key("key"));
    until([&] { return keyed.end.has_value(); });
    EXPECT_EQ(keyed.end->kind, TlsEnd::Kind::kRejected);
    EXPECT_THAT(events_, ElementsAre("1 connected", "1: <m/>"));
}

TEST_F(Tls, UnknownPrioritiesEndTheConnection) {
    serve();
    TlsSettings settings = with_key("key");
    settings.priorities = "NONSENSE";
    Client& client = connect(settings);
    until([&] { return client.end.has_value(); });
    EXPECT_THAT(client.end->why, HasSubstr("NONSENSE"));
}

}  // namespace
}  // namespace systole::runtime
