#include "runtime/linux/tls_credentials.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gnutls/gnutls.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "runtime/linux/accounts.h"
#include "runtime/linux/paths.h"

namespace systole::runtime {
namespace {

constexpr const char* kIdentity = "lrmd";
constexpr std::size_t kKeyMax = 64 * 1024;  // GnuTLS takes no longer ones

template <auto Free>
struct FreeWith {
    void operator()(auto* p) const { Free(p); }
};
using PskClient = std::unique_ptr<std::remove_pointer_t<gnutls_psk_client_credentials_t>,
                                  FreeWith<&gnutls_psk_free_client_credentials>>;
using PskServer = std::unique_ptr<std::remove_pointer_t<gnutls_psk_server_credentials_t>,
                                  FreeWith<&gnutls_psk_free_server_credentials>>;
using Certificates = std::unique_ptr<std::remove_pointer_t<gnutls_certificate_credentials_t>,
                                     FreeWith<&gnutls_certificate_free_credentials>>;

/// Why this user cannot read it, and what would be right.
std::string describe_denied(const std::string& path) {
    struct stat status{};
    std::string owner = "somebody else";
    if (::stat(path.c_str(), &status) == 0)
        owner = fmt::format("user {} and group {} with mode {:04o}", user_name(status.st_uid), status.st_gid,
                            status.st_mode & 07777U);
    return fmt::format("{} cannot be read by user {}: it belongs to {} (right: owner root, group {}, mode 0640)", path,
                       user_name(::geteuid()), owner, kDaemonGroup);
}

struct Key {
    std::string file, bytes, remark;
};

Result<Key> read_key(const std::vector<std::string>& files) {
    int fd = -1;
    std::string file;
    for (const std::string& path : files) {
        file = path;
        fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0 || errno != ENOENT) break;
    }
    if (fd < 0 && errno == EACCES) return fail(Errc::kDenied, "The key " + describe_denied(file));
    if (fd < 0)
        return fail(errno == ENOENT ? Errc::kNotFound : Errc::kIo,
                    fmt::format("There is no key {}: {}", join(files, " or "), std::strerror(errno)));
    Key key{.file = file, .bytes = {}, .remark = {}};
    struct stat status{};
    const bool regular = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    std::array<char, 4096> chunk{};
    ssize_t n = 0;
    while (regular && key.bytes.size() <= kKeyMax && (n = ::read(fd, chunk.data(), chunk.size())) > 0)
        key.bytes.append(chunk.data(), static_cast<std::size_t>(n));
    ::close(fd);
    if (!regular) return fail(Errc::kInvalid, fmt::format("The key {} is not a file", file));
    if (n < 0) return fail(Errc::kIo, fmt::format("The key {} cannot be read: {}", file, std::strerror(errno)));
    if (key.bytes.empty()) return fail(Errc::kInvalid, fmt::format("The key {} is empty", file));
    if (key.bytes.size() > kKeyMax)
        return fail(Errc::kInvalid, fmt::format("The key {} is longer than {} bytes", file, kKeyMax));
    if ((status.st_mode & (S_IROTH | S_IWOTH)) != 0)
        key.remark = fmt::format("The key {} can be {} by every user of this machine (mode {:04o}; right: 0640)", file,
                                 (status.st_mode & S_IWOTH) != 0 ? "changed" : "read", status.st_mode & 07777U);
    return key;
}

Result<Certificates> load_certificates(const TlsSettings& settings) {
    for (const std::string& path : {settings.certificate, settings.private_key, settings.authority}) {
        if (::access(path.c_str(), R_OK) == 0) continue;
        if (errno == EACCES) return fail(Errc::kDenied, "The file " + describe_denied(path));
        return fail(Errc::kNotFound, fmt::format("{}: {}", path, std::strerror(errno)));
    }
    gnutls_certificate_credentials_t raw = nullptr;
    if (gnutls_certificate_allocate_credentials(&raw) != 0) return fail(Errc::kIo, "no memory for TLS credentials");
    Certificates loaded(raw);
    const auto refused = [](const std::string& path, int rc) {
        return fail(Errc::kInvalid, fmt::format("{}: {}", path, gnutls_strerror(rc)));
    };
    if (const int rc = gnutls_certificate_set_x509_trust_file(raw, settings.authority.c_str(), GNUTLS_X509_FMT_PEM);
        rc <= 0)
        return rc == 0 ? fail(Errc::kInvalid, settings.authority + ": there is no certificate in it")
                       : refused(settings.authority, rc);
    if (!settings.revocations.empty())
        if (const int rc = gnutls_certificate_set_x509_crl_file(raw, settings.revocations.c_str(), GNUTLS_X509_FMT_PEM);
            rc < 0)
            return refused(settings.revocations, rc);
    if (const int rc = gnutls_certificate_set_x509_key_file(raw, settings.certificate.c_str(),
                                                            settings.private_key.c_str(), GNUTLS_X509_FMT_PEM);
        rc < 0)
        return refused(settings.certificate + " with " + settings.private_key, rc);
    return loaded;
}

}  // namespace

TlsSettings tls_settings_of_environment() {
    TlsSettings settings;
    const std::string location = pcmk_option("authkey_location");
    settings.key_files = location.empty() ? std::vector<std::string>{"/etc/pacemaker/authkey", "/etc/corosync/authkey"}
                                          : std::vector<std::string>{location};
    if (const std::string base = pcmk_option("tls_priorities"); !base.empty()) settings.priorities = base;
    settings.certificate = pcmk_option("cert_file");
    settings.private_key = pcmk_option("key_file");
    settings.authority = pcmk_option("ca_file");
    settings.revocations = pcmk_option("crl_file");
    const auto bits = parse_integer(pcmk_option("dh_min_bits")).value_or(0);
    settings.dh_bits_min = bits > 0 && bits <= 16384 ? static_cast<unsigned>(bits) : 0U;
    return settings;
}

struct TlsCredentials::Impl {
    TlsRole role{};
    std::string file, remark, priorities;
    unsigned dh_bits_min{};
    std::string key;
    PskClient client;
    PskServer server;
    Certificates certificates;

    /// GnuTLS asks for the key of a name; the answer's memory becomes its own.
    static int find_key(gnutls_session_t session, const char* name, gnutls_datum_t* key) {
        const auto* self = static_cast<const Impl*>(gnutls_session_get_ptr(session));
        if (self == nullptr || name == nullptr || std::strcmp(name, kIdentity) != 0) return -1;
        key->data = static_cast<unsigned char*>(gnutls_malloc(self->key.size()));
        if (key->data == nullptr) return -1;
        std::memcpy(key->data, self->key.data(), self->key.size());
        key->size = static_cast<unsigned>(self->key.size());
        return 0;
    }
};

TlsCredentials::TlsCredentials(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsCredentials::~TlsCredentials() { gnutls_memset(impl_->key.data(), 0, impl_->key.size()); }

Result<std::shared_ptr<const TlsCredentials>> TlsCredentials::load(const TlsSettings& settings, TlsRole role) {
    auto impl = std::make_unique<Impl>();
    impl->role = role;
    impl->dh_bits_min = settings.dh_bits_min;
    impl->priorities = settings.priorities;
    if (settings.certificates()) {
        auto loaded = load_certificates(settings);
        if (!loaded) return tl::unexpected(loaded.error());
        impl->file = settings.certificate;
        impl->certificates = std::move(*loaded);
        return std::shared_ptr<const TlsCredentials>(new TlsCredentials(std::move(impl)));
    }
    auto key = read_key(settings.key_files);
    if (!key) return tl::unexpected(key.error());
    impl->file = key->file;
    impl->remark = key->remark;
    impl->key = std::move(key->bytes);
    impl->priorities += ":+DHE-PSK:+PSK";
    if (role == TlsRole::kClient) {
        gnutls_psk_client_credentials_t raw = nullptr;
        if (gnutls_psk_allocate_client_credentials(&raw) != 0) return fail(Errc::kIo, "no memory for TLS credentials");
        impl->client.reset(raw);
        const gnutls_datum_t datum{.data = reinterpret_cast<unsigned char*>(impl->key.data()),
                                   .size = static_cast<unsigned>(impl->key.size())};
        if (const int rc = gnutls_psk_set_client_credentials(raw, kIdentity, &datum, GNUTLS_PSK_KEY_RAW); rc != 0)
            return fail(Errc::kInvalid, fmt::format("The key {}: {}", impl->file, gnutls_strerror(rc)));
    } else {
        gnutls_psk_server_credentials_t raw = nullptr;
        if (gnutls_psk_allocate_server_credentials(&raw) != 0) return fail(Errc::kIo, "no memory for TLS credentials");
        impl->server.reset(raw);
        gnutls_psk_set_server_credentials_function(raw, &Impl::find_key);
        gnutls_psk_set_server_known_dh_params(raw, GNUTLS_SEC_PARAM_MEDIUM);
    }
    return std::shared_ptr<const TlsCredentials>(new TlsCredentials(std::move(impl)));
}

Result<void> TlsCredentials::apply(gnutls_session_int* session) const {
    const char* wrong = nullptr;
    if (const int rc = gnutls_priority_set_direct(session, impl_->priorities.c_str(), &wrong); rc != 0)
        return fail(Errc::kInvalid, fmt::format("TLS priorities '{}': {}{}{}", impl_->priorities, gnutls_strerror(rc),
                                                wrong != nullptr ? " at " : "", wrong != nullptr ? wrong : ""));
    if (impl_->certificates) {
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, impl_->certificates.get());
        if (impl_->role == TlsRole::kServer) gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
        gnutls_session_set_verify_cert(session, nullptr, 0);
    } else if (impl_->client) {
        gnutls_credentials_set(session, GNUTLS_CRD_PSK, impl_->client.get());
        if (impl_->dh_bits_min != 0) gnutls_dh_set_prime_bits(session, impl_->dh_bits_min);
    } else {
        gnutls_session_set_ptr(session, impl_.get());
        gnutls_credentials_set(session, GNUTLS_CRD_PSK, impl_->server.get());
    }
    return {};
}

TlsRole TlsCredentials::role() const { return impl_->role; }
const std::string& TlsCredentials::file() const { return impl_->file; }
const std::string& TlsCredentials::remark() const { return impl_->remark; }

}  // namespace systole::runtime
